//! `make demo`: one story against a stack of its own. Each step shows what was sent, what came back and how long it
//! took; the first answer that is not the expected one ends the story with an error.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::admin::{Admin, Database};
use crate::client::{Answer, Client, send};
use crate::gateway::{self, Gateway, Host, Service};
use crate::ports;
use crate::upstream::{Echo, Upstream};

/// Characters of a body that a step shows.
const SHOWN: usize = 160;

const PREFER_WAIT: (&str, &str) = ("Prefer", "wait=5");

/// Tells the story.
pub async fn demo() -> Result<()> {
    let host = Host::installed();
    println!(
        "starting the admin extension (SQLite), {} with the filter, and an echo upstream …",
        host.name()
    );
    let started = Instant::now();
    let folder = tempfile::Builder::new().prefix("app-auth-demo-").tempdir()?;
    let upstream = Upstream::start(0)?;
    let admin = Admin::start(Database::Sqlite).await?;
    let service = Uuid::new_v4();
    let mut gateway = Gateway::start_from(gateway::Settings {
        host,
        port: ports::free()?,
        control_port: ports::free()?,
        workers: 2,
        admin: admin.address().parse()?,
        gateway_token: admin.gateway_token().into(),
        upstream: upstream.address(),
        services: vec![Service::new("echo", service, "/")],
        folder: folder.path().into(),
    })
    .await?;
    println!(
        "ready after {:.1} s: admin {}, gateway {}\n",
        started.elapsed().as_secs_f32(),
        admin.url(),
        gateway.url()
    );

    let mut story = Story { admin: admin.client().clone(), gateway: gateway.client(), step: 0 };
    story.tell(service, &mut gateway).await?;
    println!("\n{} steps, every answer as expected", story.step);
    Ok(())
}

struct Story {
    admin: Client,
    gateway: Client,
    step: usize,
}

impl Story {
    async fn tell(&mut self, service: Uuid, gateway: &mut Gateway) -> Result<()> {
        let key = format!("demo-{}", Uuid::new_v4().simple());

        self.change(
            "register the service",
            Method::POST,
            "/services",
            json!({"id": service, "name": "echo"}),
            201,
        )
        .await?;
        // Until here the gateway had nothing to enforce; it answered 503.
        gateway.wait_until_synced().await?;
        let body = json!({"email": "developer@example.com", "meta": {"full_name": "A Developer"}});
        let developer =
            self.change("a developer asks for access", Method::POST, "/developers", body, 200).await?;
        let developer = format!("/developers/{}", developer.field("id")?);
        self.change("approve the developer", Method::PATCH, &developer, json!({"status": 0}), 200).await?;

        let body = json!({"name": "demo", "redirect_uri": "https://application.example.com/callback"});
        let path = format!("{developer}/applications");
        let application = self.change("an application", Method::POST, &path, body, 201).await?.field("id")?;
        let path = format!("{path}/{application}");
        self.change(
            "its key",
            Method::POST,
            &format!("{path}/credentials/key-auth"),
            json!({"key": key}),
            201,
        )
        .await?;
        let instances = format!("{path}/application_instances");
        let body = json!({"service": {"id": service}});
        let connection =
            self.change("a connection to the service", Method::POST, &instances, body, 201).await?;
        let connection = format!("{instances}/{}", connection.field("id")?);

        self.call("the connection is pending", Some(&key), 403, "pending").await?;
        self.set_status("approve the connection", &connection, 0).await?;
        let seen = self.call("the gateway lets it in", Some(&key), 200, "").await?;
        check_identity(&seen, &application)?;
        self.call("a key nobody has", Some("no-such-key"), 401, "").await?;
        self.call("no key", None, 401, "").await?;

        let answer = self.set_status("revoke the connection", &connection, 3).await?;
        ensure!(
            answer.header("preference-applied") == "wait",
            "the revocation was not confirmed by every gateway"
        );
        self.call("the very next request", Some(&key), 403, "revoked").await?;
        self.set_status("approve it again", &connection, 0).await?;
        self.call("back in", Some(&key), 200, "").await?;

        self.set_status("revoke the developer", &developer, 3).await?;
        self.call("none of the developer's applications gets in", Some(&key), 403, "developer_not_approved")
            .await?;
        self.set_status("approve the developer again", &developer, 0).await?;
        self.call("back in", Some(&key), 200, "").await?;
        self.change("delete the connection", Method::DELETE, &connection, Value::Null, 204).await?;
        self.call("no connection, no entry", Some(&key), 403, "no_connection").await?;
        Ok(())
    }

    async fn set_status(&mut self, title: &str, path: &str, status: u8) -> Result<Answer> {
        self.change(title, Method::PATCH, path, json!({"status": status}), 200).await
    }

    /// A write to the admin extension that is answered once every gateway has applied it.
    async fn change(
        &mut self,
        title: &str,
        method: Method,
        path: &str,
        body: Value,
        status: u16,
    ) -> Result<Answer> {
        let mut request = self.admin.request(method.clone(), path).header(PREFER_WAIT.0, PREFER_WAIT.1);
        let mut sent = format!("{method} {path}  {}: {}", PREFER_WAIT.0, PREFER_WAIT.1);
        if !body.is_null() {
            sent = format!("{sent}  {body}");
            request = request.json(&body);
        }
        self.step(title, "admin  ", &sent, request, status).await
    }

    /// A request through the gateway; `reason` is what a refusal must give as its reason.
    async fn call(&mut self, title: &str, key: Option<&str>, status: u16, reason: &str) -> Result<Answer> {
        let mut request = self.gateway.request(Method::GET, "/hello");
        let mut sent = "GET /hello".to_owned();
        if let Some(key) = key {
            request = request.header("apikey", key);
            sent = format!("{sent}  apikey: {key}");
        }
        let answer = self.step(title, "gateway", &sent, request, status).await?;
        let told = answer.header("x-app-auth-reason");
        ensure!(told == reason, "step {}: expected the reason {reason:?}, got {told:?}", self.step);
        Ok(answer)
    }

    async fn step(
        &mut self,
        title: &str,
        to: &str,
        sent: &str,
        request: reqwest::RequestBuilder,
        status: u16,
    ) -> Result<Answer> {
        self.step += 1;
        let started = Instant::now();
        let answer = send(request).await.with_context(|| format!("step {} ({title})", self.step))?;
        let took = started.elapsed().as_secs_f64() * 1000.0;
        println!("{:>2}. {title}", self.step);
        println!("    {to} → {sent}");
        println!(
            "            ← {}{}  {}  [{took:.1} ms]",
            answer.status,
            notable_headers(&answer),
            shown(&answer)
        );
        ensure!(
            answer.status == status,
            "step {} ({title}): expected {status}, got {}: {}",
            self.step,
            answer.status,
            answer.text()
        );
        Ok(answer)
    }
}

/// The upstream must have seen who calls.
fn check_identity(answer: &Answer, application: &str) -> Result<()> {
    let echo: Echo = serde_json::from_slice(&answer.body).context("the upstream's answer is not an echo")?;
    for name in
        ["X-Application-ID", "X-Developer-ID", "X-Connection-ID", "X-Consumer-ID", "X-Credential-Identifier"]
    {
        let values = echo.every_spelling(name);
        ensure!(values.len() == 1 && !values[0].is_empty(), "the upstream saw {name}: {values:?}");
        println!("              upstream saw {name}: {}", values[0]);
    }
    let seen = echo.every_spelling("X-Application-ID");
    ensure!(seen == [application], "the upstream saw the application {seen:?} instead of {application}");
    Ok(())
}

fn notable_headers(answer: &Answer) -> String {
    let mut shown = String::new();
    for name in ["X-App-Auth-Reason", "WWW-Authenticate", "Preference-Applied", "X-Gateways-Applied"] {
        let value = answer.header(name);
        if !value.is_empty() {
            shown = format!("{shown}  {name}: {value}");
        }
    }
    shown
}

fn shown(answer: &Answer) -> String {
    let line = answer.text().split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= SHOWN {
        return line;
    }
    line.chars().take(SHOWN).chain(['…']).collect()
}
