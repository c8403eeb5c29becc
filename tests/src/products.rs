//! The v2 API's calls in the words of the tests: make a strategy, a product version, a portal and what is in it.

use anyhow::{Context as _, Result};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{Answer, Client, send};

/// The id of the portal that is always there.
pub const DEFAULT_PORTAL: &str = "706f7274-616c-4000-8000-000000000001";

/// The v2 API of one admin extension.
#[derive(Debug, Clone)]
pub struct Products {
    client: Client,
    /// Seconds for `Prefer: wait` on every write.
    wait: Option<u8>,
}

/// An application in a portal.
#[derive(Debug, Clone)]
pub struct PortalApplication {
    pub portal: String,
    pub id: String,
}

impl PortalApplication {
    pub fn path(&self) -> String {
        format!("/v2/portals/{}/applications/{}", self.portal, self.id)
    }
}

/// A product version, and the product it is of.
#[derive(Debug, Clone)]
pub struct Version {
    pub product: String,
    pub id: String,
}

impl Version {
    pub fn path(&self) -> String {
        format!("/v2/api-products/{}/product-versions/{}", self.product, self.id)
    }

    /// In a portal.
    pub fn path_in(&self, portal: &str) -> String {
        format!("/v2/portals/{portal}/product-versions/{}", self.id)
    }
}

impl Products {
    pub fn new(client: &Client) -> Self {
        Self { client: client.clone(), wait: None }
    }

    /// The same, with every write answered only after all gateways have applied it (or that many seconds).
    #[must_use]
    pub fn waiting(&self, seconds: u8) -> Self {
        Self { wait: Some(seconds), ..self.clone() }
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    pub async fn write(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer> {
        let mut request = self.client.request(method, path);
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some(seconds) = self.wait {
            request = request.header("Prefer", format!("wait={seconds}"));
        }
        send(request).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        self.write(Method::POST, path, Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Result<Answer> {
        self.write(Method::PATCH, path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> Result<Answer> {
        self.write(Method::DELETE, path, None).await
    }

    /// The items on the first 100 of a list, by one of their members.
    pub async fn texts(&self, list: &str, member: &str) -> Result<Vec<String>> {
        let joint = if list.contains('?') { '&' } else { '?' };
        let page = self.client.get(&format!("{list}{joint}page[size]=100")).await?.expect(200)?.json();
        let items = page["data"].as_array().context("no data")?;
        Ok(items.iter().map(|item| item[member].as_str().unwrap_or_default().to_owned()).collect())
    }

    /// A `key_auth` strategy whose keys are in these headers.
    pub async fn strategy(&self, key_names: &[&str]) -> Result<String> {
        self.strategy_with(json!({"key_names": key_names})).await
    }

    /// A `key_auth` strategy of this configuration.
    pub async fn strategy_with(&self, config: Value) -> Result<String> {
        let body = json!({"name": "keys", "display_name": "Keys", "strategy_type": "key_auth",
            "configs": {"key-auth": config}});
        self.post("/v2/application-auth-strategies", &body).await?.expect(201)?.field("id")
    }

    /// An `openid_connect` strategy; `members` join the body.
    pub async fn openid_connect(&self, members: Value) -> Result<String> {
        let mut body = json!({"name": "tokens", "display_name": "Tokens", "strategy_type": "openid_connect",
            "configs": {"openid-connect": {"issuer": "https://idp.example.com", "credential_claim": ["azp"],
                "scopes": ["openid"], "auth_methods": ["bearer"]}}});
        merge(&mut body, members);
        self.post("/v2/application-auth-strategies", &body).await?.expect(201)?.field("id")
    }

    /// A portal under a fresh name; `members` join the body.
    pub async fn portal(&self, members: Value) -> Result<String> {
        let mut body = json!({"name": fresh("portal")});
        merge(&mut body, members);
        self.post("/v2/portals", &body).await?.expect(201)?.field("id")
    }

    pub async fn product(&self, name: &str) -> Result<String> {
        self.post("/v2/api-products", &json!({"name": name})).await?.expect(201)?.field("id")
    }

    /// A version `v1` of a new product, served by a service or by none.
    pub async fn version(&self, product: &str, service: Option<Uuid>) -> Result<Version> {
        let product = self.product(product).await?;
        let body = json!({"name": "v1", "gateway_service": service.map(gateway_service)});
        let path = format!("/v2/api-products/{product}/product-versions");
        let id = self.post(&path, &body).await?.expect(201)?.field("id")?;
        Ok(Version { product, id })
    }

    /// A version in a portal, published and open for registrations; `members` join the body.
    pub async fn offer(
        &self,
        portal: &str,
        version: &Version,
        strategy: Option<&str>,
        members: Value,
    ) -> Result<Answer> {
        let strategies: Vec<_> = strategy.into_iter().collect();
        let mut body = json!({"product_version_id": version.id, "publish_status": "published",
            "auth_strategy_ids": strategies, "application_registration_enabled": true,
            "auto_approve_registration": false, "deprecated": false});
        merge(&mut body, members);
        self.post(&format!("/v2/portals/{portal}/product-versions"), &body).await?.expect(201)
    }

    /// An approved developer with a fresh address.
    pub async fn developer(&self, portal: &str) -> Result<String> {
        let email = format!("{}@example.com", fresh("developer"));
        let body = json!({"email": email, "full_name": "A Developer", "status": "approved"});
        self.post(&format!("/v2/portals/{portal}/developers"), &body).await?.expect(201)?.field("id")
    }

    /// An application of a new developer; `members` join the body.
    pub async fn application(&self, portal: &str, members: Value) -> Result<PortalApplication> {
        let developer = self.developer(portal).await?;
        self.application_of(portal, &developer, members).await
    }

    /// An application of a developer, under a fresh name; `members` join the body.
    pub async fn application_of(
        &self,
        portal: &str,
        developer: &str,
        members: Value,
    ) -> Result<PortalApplication> {
        let mut body = json!({"name": fresh("application"), "developer_id": developer});
        merge(&mut body, members);
        let path = format!("/v2/portals/{portal}/applications");
        let id = self.post(&path, &body).await?.expect(201)?.field("id")?;
        Ok(PortalApplication { portal: portal.to_owned(), id })
    }

    /// A new key of an application.
    pub async fn key(&self, application: &PortalApplication) -> Result<String> {
        let path = format!("{}/credentials", application.path());
        self.post(&path, &json!({"display_name": "a key"})).await?.expect(201)?.field("credential")
    }

    /// Registers an application; answers the path of the registration.
    pub async fn register(
        &self,
        application: &PortalApplication,
        version: &Version,
        status: Option<&str>,
    ) -> Result<String> {
        let mut body = json!({"product_version_id": version.id});
        if let Some(status) = status {
            body["status"] = status.into();
        }
        let path = format!("{}/registrations", application.path());
        let id = self.post(&path, &body).await?.expect(201)?.field("id")?;
        Ok(format!("{path}/{id}"))
    }
}

/// A service, as versions of products name it.
pub fn gateway_service(id: Uuid) -> Value {
    json!({"id": id, "control_plane_id": "e4d9ebb1-26b4-426a-b00e-cb67044f3baf"})
}

/// A name that nothing else has.
pub fn fresh(what: &str) -> String {
    format!("{what}-{}", Uuid::new_v4().simple())
}

fn merge(body: &mut Value, members: Value) {
    if let (Some(body), Value::Object(members)) = (body.as_object_mut(), members) {
        body.extend(members);
    }
}
