//! What the scenarios begin with: a service that gives out tokens, a client, and the token endpoint as gateways ask it.

use anyhow::{Context as _, Result, ensure};
use app_auth_tests::admin::Admin;
use app_auth_tests::client::Client;
use app_auth_tests::portal::{Application, Portal, Status};
use serde_json::{Value, json};
use uuid::Uuid;

pub const FORM: &str = "application/x-www-form-urlencoded";
pub const PROVISION_KEY: &str = "hush_hush_provision_key";
pub const SECRET: &str = "hush_hush_client_secret";

/// An admin extension with a service that has every flow there is.
pub struct Stage<'a> {
    pub client: &'a Client,
    gateway: Client,
    pub service: Uuid,
    pub application: Application,
    pub client_id: String,
}

/// The usual settings, and members that replace or join them.
pub fn oauth2(members: &Value) -> Value {
    let mut settings = json!({
        "enable_client_credentials": true, "enable_password_grant": true, "provision_key": PROVISION_KEY,
        "scopes": ["email", "address"],
    });
    for (name, value) in members.as_object().into_iter().flatten() {
        settings[name] = value.clone();
    }
    settings
}

/// What a caller got.
#[derive(Debug)]
pub struct Got {
    pub status: u16,
    pub body: Value,
    headers: Vec<(String, String)>,
}

impl Got {
    /// A header, or "".
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// Status, error and description.
    pub fn refusal(&self) -> (u16, String, String) {
        let text = |name: &str| self.body[name].as_str().unwrap_or_default().to_owned();
        (self.status, text("error"), text("error_description"))
    }

    /// A member of the body of a token.
    pub fn token(&self, name: &str) -> Result<String> {
        ensure!(self.status == 200, "{self:?}");
        Ok(self.body[name].as_str().with_context(|| format!("no {name} in {}", self.body))?.to_owned())
    }
}

impl<'a> Stage<'a> {
    /// `members` replace or join the service's settings.
    pub async fn make(admin: &'a Admin, members: &Value) -> Result<Self> {
        let client = admin.client();
        let service = Uuid::new_v4();
        let body = json!({"id": service, "name": "tokens", "oauth2": oauth2(members)});
        client.post("/services", &body).await?.expect(201)?;
        let portal = Portal::new(client);
        let developer = portal.developer(Status::Approved).await?;
        let application = portal.application(&developer).await?;
        let gateway = admin.gateway_client();
        let mut stage = Self { client, gateway, service, application, client_id: String::new() };
        stage.client_id = stage.client(json!({"client_secret": SECRET})).await?;
        Ok(stage)
    }

    /// What another program made, seen through this one.
    pub fn again(admin: &'a Admin, service: Uuid, application: Application, client_id: String) -> Self {
        Self { client: admin.client(), gateway: admin.gateway_client(), service, application, client_id }
    }

    /// Another client of the application; answers its id.
    pub async fn client(&self, members: Value) -> Result<String> {
        let path = format!("{}/credentials/oauth2", self.application.path());
        self.client.post(&path, &members).await?.expect(201)?.field("client_id")
    }

    /// Changes the service's settings.
    pub async fn set(&self, members: Value) -> Result<()> {
        let path = format!("/services/{}", self.service);
        self.client.patch(&path, &json!({"oauth2": members})).await?.expect(200)?;
        Ok(())
    }

    /// As a gateway relays a request; `members` replace or join what it usually says.
    pub async fn relay(&self, members: &Value) -> Result<Got> {
        let mut request = json!({"service": self.service, "method": "POST", "https": true});
        for (name, value) in members.as_object().into_iter().flatten() {
            request[name] = value.clone();
        }
        let said = self.gateway.post("/gateway/v1/oauth2/token", &request).await?.expect(200)?.json();
        let headers = serde_json::from_value(said["headers"].clone())?;
        let status = serde_json::from_value(said["status"].clone())?;
        let body = said["body"].as_str().context("no body")?;
        Ok(Got { status, headers, body: serde_json::from_str(body)? })
    }

    /// A form with the client's id and secret and these fields.
    pub async fn ask(&self, fields: &[(&str, &str)]) -> Result<Got> {
        let mut all = vec![("client_id", self.client_id.as_str()), ("client_secret", SECRET)];
        all.retain(|(name, _)| !fields.iter().any(|(given, _)| given == name));
        all.extend(fields);
        self.relay(&json!({"content_type": FORM, "body": form(&all)})).await
    }

    pub async fn client_credentials(&self) -> Result<Got> {
        self.ask(&[("grant_type", "client_credentials")]).await
    }

    pub async fn password(&self, fields: &[(&str, &str)]) -> Result<Got> {
        let mut all = vec![
            ("grant_type", "password"),
            ("provision_key", PROVISION_KEY),
            ("authenticated_userid", "id123"),
        ];
        all.retain(|(name, _)| !fields.iter().any(|(given, _)| given == name));
        all.extend(fields);
        self.ask(&all).await
    }

    pub async fn refresh(&self, token: &str) -> Result<Got> {
        self.ask(&[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    /// What the feed says of tokens now: their records, and how many tombstones there are.
    pub async fn records(&self) -> Result<(Vec<Value>, usize)> {
        let page = self.gateway.get("/gateway/v1/feed?after=0&limit=500").await?.expect(200)?.json();
        let changes = page["changes"].as_array().cloned().unwrap_or_default();
        let records = changes.iter().filter_map(|change| change.pointer("/change/put/token").cloned());
        let gone = changes.iter().filter(|change| change["change"]["delete"] == "token").count();
        Ok((records.collect(), gone))
    }
}

pub fn form(fields: &[(&str, &str)]) -> String {
    let mut url = reqwest::Url::parse("http://localhost").unwrap();
    url.query_pairs_mut().extend_pairs(fields);
    url.query().unwrap_or_default().to_owned()
}

/// The value of `Authorization`.
pub fn basic(id: &str, secret: &str) -> Result<String> {
    let request =
        app_auth_tests::client::http().get("http://localhost").basic_auth(id, Some(secret)).build()?;
    let value = request.headers().get("authorization").context("no header")?;
    Ok(value.to_str()?.to_owned())
}
