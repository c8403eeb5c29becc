//! A scene: one admin extension, one gateway with two workers, one upstream, and services registered under the same id
//! on both sides. Most scenarios begin with one.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::admin::{Admin, Database};
use crate::client::{Answer, Client, send};
use crate::gateway::{Gateway, Service};
use crate::portal::Portal;
use crate::upstream::{Echo, Upstream};
use crate::wait;

/// Everything a scenario plays on.
#[derive(Debug)]
pub struct Scene {
    // In the order in which they stop.
    pub gateway: Gateway,
    pub admin: Admin,
    pub upstream: Upstream,
    services: Vec<Service>,
}

impl Scene {
    /// One service at `/`, with the default key-auth settings.
    pub async fn start(database: Database) -> Result<Self> {
        Self::with_services(database, &[("echo", "/", json!({}))]).await
    }

    /// As [`Scene::start`] on SQLite, with further environment variables for the admin extension.
    pub async fn start_with(environment: &[(&str, &str)]) -> Result<Self> {
        let admin = Admin::start_with(Database::Sqlite, environment).await?;
        Self::around(admin, &[("echo", "/", json!({}))], &[]).await
    }

    /// As [`Scene::start_with`], with a gateway that may call these issuers of tokens over plain HTTP.
    pub async fn with_issuers(issuers: &[SocketAddr], services: &[(&str, &str, Value)]) -> Result<Self> {
        let environment = [("APP_AUTH_IDP_ALLOW_HTTP", "true")];
        let admin = Admin::start_with(Database::Sqlite, &environment).await?;
        Self::around(admin, services, issuers).await
    }

    /// Several services: name, path prefix and key-auth settings of each.
    pub async fn with_services(database: Database, services: &[(&str, &str, Value)]) -> Result<Self> {
        Self::around(Admin::start(database).await?, services, &[]).await
    }

    async fn around(admin: Admin, services: &[(&str, &str, Value)], issuers: &[SocketAddr]) -> Result<Self> {
        let upstream = Upstream::start(0)?;
        let portal = Portal::new(admin.client());
        let mut placed = Vec::new();
        for (name, prefix, key_auth) in services {
            let service = Service::new(name, Uuid::new_v4(), prefix);
            portal.service(service.id, name, key_auth.clone()).await?;
            placed.push(service);
        }
        let mut gateway = Gateway::start_for(&admin, upstream.address(), placed.clone(), issuers).await?;
        gateway.wait_until_synced().await?;
        Ok(Self { gateway, admin, upstream, services: placed })
    }

    /// The id of the first (usually only) service.
    pub fn service(&self) -> Uuid {
        self.services[0].id
    }

    /// The services, as the gateway has them.
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// The id of a service by its name.
    pub fn service_named(&self, name: &str) -> Result<Uuid> {
        let service = self.services.iter().find(|service| service.name == name);
        Ok(service.with_context(|| format!("no service {name}"))?.id)
    }

    /// The admin API; writes are answered at once.
    pub fn portal(&self) -> Portal {
        Portal::new(self.admin.client())
    }

    /// The admin API; writes are answered when the gateway has applied them.
    pub fn confirmed(&self) -> Portal {
        self.portal().waiting(30)
    }

    pub fn client(&self) -> Client {
        self.gateway.client()
    }

    /// `GET path` with a key in the header `apikey`.
    pub async fn call(&self, path: &str, key: &str) -> Result<Answer> {
        send(self.client().request(Method::GET, path).header("apikey", key)).await
    }

    /// Calls until the answer has this status and reason.
    pub async fn wait_for(&self, key: &str, outcome: Outcome) -> Result<()> {
        let mut last = None;
        let waited = wait::until("the gateway's decision to change", async || {
            let seen = Outcome::of(&self.call("/", key).await?);
            let reached = seen == outcome;
            last = Some(seen);
            Ok(reached)
        });
        waited.await.with_context(|| format!("wanted {outcome:?}"))
    }
}

/// What the gateway decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub status: u16,
    /// `X-App-Auth-Reason`, or "".
    pub reason: String,
    /// The message of a refusal's JSON body, or "".
    pub message: String,
}

impl Outcome {
    pub fn of(answer: &Answer) -> Self {
        Self {
            status: answer.status,
            reason: answer.header("x-app-auth-reason").into(),
            message: answer.json()["message"].as_str().unwrap_or_default().into(),
        }
    }

    pub fn allowed() -> Self {
        Self { status: 200, reason: String::new(), message: String::new() }
    }

    pub fn unauthorized(message: &str) -> Self {
        Self { status: 401, reason: String::new(), message: message.into() }
    }

    pub fn forbidden(reason: &str) -> Self {
        Self { status: 403, reason: reason.into(), message: "You cannot consume this service".into() }
    }
}

/// Where a request carries its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Location {
    Header,
    Query,
    Form,
    Json,
    Multipart,
}

impl Location {
    pub const ALL: [Self; 5] = [Self::Header, Self::Query, Self::Form, Self::Json, Self::Multipart];

    /// A request to `path` that carries these keys (none, one, or several) under `name` in this place.
    pub fn request(self, client: &Client, path: &str, name: &str, keys: &[&str]) -> RequestBuilder {
        let pairs: Vec<_> = keys.iter().map(|key| (name, *key)).collect();
        let joined = || keys.iter().map(|key| format!("{name}={key}")).collect::<Vec<_>>().join("&");
        match self {
            Self::Header => {
                keys.iter().fold(client.request(Method::GET, path), |request, key| request.header(name, *key))
            }
            Self::Query => client.request(Method::GET, &format!("{path}?{}", joined())),
            Self::Form => client.request(Method::POST, path).form(&pairs),
            Self::Json => {
                let body = match keys {
                    [] => json!({"other": 1}),
                    [key] => json!({name: key, "other": 1}),
                    several => json!({name: several, "other": 1}),
                };
                client.request(Method::POST, path).json(&body)
            }
            Self::Multipart => {
                let form =
                    keys.iter().fold(reqwest::multipart::Form::new().text("other", "1"), |form, key| {
                        form.text(name.to_owned(), (*key).to_owned())
                    });
                client.request(Method::POST, path).multipart(form)
            }
        }
    }
}

/// What the upstream says it received.
pub fn echo(answer: &Answer) -> Result<Echo> {
    serde_json::from_slice(&answer.body)
        .with_context(|| format!("no echo: {} {}", answer.status, answer.text()))
}
