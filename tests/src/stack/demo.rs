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
    let (service, orders) = (Uuid::new_v4(), Uuid::new_v4());
    let mut gateway = Gateway::start_from(gateway::Settings {
        host,
        port: ports::free()?,
        control_port: ports::free()?,
        workers: 2,
        admin: admin.address().parse()?,
        gateway_token: admin.gateway_token().into(),
        upstream: upstream.address(),
        services: vec![Service::new("orders", orders, "/orders"), Service::new("echo", service, "/")],
        issuers: Vec::new(),
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
    println!("\nthe same from the product side: strategy, product version, service, registration\n");
    story.tell_of_products(orders).await?;
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
        gateway.wait_until_known("/hello").await?;
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

    /// One chain from an auth strategy to a request, built over the v2 APIs.
    async fn tell_of_products(&mut self, service: Uuid) -> Result<()> {
        let body = json!({"name": "orders keys", "display_name": "API key", "strategy_type": "key_auth",
            "configs": {"key-auth": {"key_names": ["x-orders-key"]}}});
        let strategy = self.make("an auth strategy", "/v2/application-auth-strategies", body).await?;
        let portal = self.make("a portal", "/v2/portals", json!({"name": "demo"})).await?;
        let portal = format!("/v2/portals/{portal}");
        let product = self.make("an API product", "/v2/api-products", json!({"name": "Orders"})).await?;
        let body =
            json!({"name": "v1", "gateway_service": {"id": service, "control_plane_id": Uuid::new_v4()}});
        let versions = format!("/v2/api-products/{product}/product-versions");
        let version = self.make("its first version, served by a gateway service", &versions, body).await?;
        let body = json!({"product_version_id": version, "auth_strategy_ids": [strategy],
            "publish_status": "published", "application_registration_enabled": true,
            "auto_approve_registration": false, "deprecated": false});
        self.make("put it into the portal, with the strategy", &format!("{portal}/product-versions"), body)
            .await?;
        let in_portal = format!("{portal}/product-versions/{version}");

        let body =
            json!({"email": "orders@example.com", "full_name": "An Orders Developer", "status": "approved"});
        let developer = self.make("a developer", &format!("{portal}/developers"), body).await?;
        let body = json!({"name": "shop", "auth_strategy_id": strategy, "developer_id": developer});
        let applications = format!("{portal}/applications");
        let application = self.make("an application under the strategy", &applications, body).await?;
        let path = format!("{applications}/{application}");
        let body = json!({"display_name": "first"});
        let made = self
            .change("its key, shown once", Method::POST, &format!("{path}/credentials"), body, 201)
            .await?;
        let key = made.field("credential")?;
        let body = json!({"product_version_id": version});
        let registrations = format!("{path}/registrations");
        let registration = self.make("it registers for the version", &registrations, body).await?;
        let registration = format!("{registrations}/{registration}");

        self.order("the registration is pending", Some(&key), 403, "pending").await?;
        let set = |status: &str| json!({"status": status});
        self.change("approve it", Method::PATCH, &registration, set("approved"), 200).await?;
        self.order("the gateway lets it in", Some(&key), 200, "").await?;
        let revoked = json!({"status": "revoked", "reason": "The contract has ended"});
        self.change("revoke it, and say why", Method::PATCH, &registration, revoked, 200).await?;
        self.order("the very next request", Some(&key), 403, "revoked").await?;

        let instances = format!("/developers/{developer}/applications/{application}/application_instances");
        let request = self.admin.request(Method::GET, &instances);
        let seen = self
            .step("the legacy API shows the same", "admin  ", &format!("GET {instances}"), request, 200)
            .await?;
        let instance = seen.json()["data"][0]["id"].as_str().map(str::to_owned);
        let instance = format!("{instances}/{}", instance.context("the legacy API shows no connection")?);
        self.set_status("and approves it again", &instance, 0).await?;
        self.order("back in", Some(&key), 200, "").await?;

        let none = json!({"auth_strategy_ids": []});
        self.change("take the strategy away", Method::PATCH, &in_portal, none, 200).await?;
        self.order("the API is open now, as the warning in the log says", None, 200, "").await?;
        let again = json!({"auth_strategy_ids": [strategy]});
        self.change("give it back", Method::PATCH, &in_portal, again, 200).await?;
        self.order("nobody gets in without a key", None, 401, "").await?;
        self.order("the application does", Some(&key), 200, "").await?;
        Ok(())
    }

    /// Makes something; answers its id.
    async fn make(&mut self, title: &str, path: &str, body: Value) -> Result<String> {
        self.change(title, Method::POST, path, body, 201).await?.field("id")
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
        self.request(title, "/hello", key.map(|key| ("apikey", key)), (status, reason)).await
    }

    /// As [`Story::call`], of the service with the product version.
    async fn order(&mut self, title: &str, key: Option<&str>, status: u16, reason: &str) -> Result<Answer> {
        self.request(title, "/orders/1", key.map(|key| ("x-orders-key", key)), (status, reason)).await
    }

    async fn request(
        &mut self,
        title: &str,
        path: &str,
        key: Option<(&str, &str)>,
        (status, reason): (u16, &str),
    ) -> Result<Answer> {
        let mut request = self.gateway.request(Method::GET, path);
        let mut sent = format!("GET {path}");
        if let Some((name, key)) = key {
            request = request.header(name, key);
            sent = format!("{sent}  {name}: {key}");
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
