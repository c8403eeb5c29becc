//! A real OpenID provider, npm's oidc-provider, in a process of its own; it registers clients as Curity does, gives out
//! tokens, and does what a test tells it to.

use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::http;
use crate::process::Process;
use crate::{binaries, ports, wait};

pub const CLIENT_ID: &str = "us";
pub const CLIENT_SECRET: &str = "hush_hush_initial_client";

/// A running provider. Dropping it kills it.
pub struct OidcProvider {
    process: Option<Process>,
    port: u16,
    http: reqwest::Client,
    folder: TempDir,
}

impl OidcProvider {
    pub async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut provider = Self { process: None, port: ports::free()?, http: http(), folder };
        provider.restart().await?;
        Ok(provider)
    }

    /// Nothing answers on its port any more.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Answers again, with nothing of what it knew.
    pub async fn restart(&mut self) -> Result<()> {
        self.stop();
        let node = binaries::on_path("node").context("node is missing; run `tests/setup/tools.sh node`")?;
        let mut command = Command::new(node);
        command
            .arg(binaries::workspace().join("tests/idp/oidc_provider.mjs"))
            .arg(binaries::node_modules()?)
            .arg(self.port.to_string())
            .args([CLIENT_ID, CLIENT_SECRET]);
        let mut process = Process::start("the OpenID provider", command, &self.folder.path().join("log"))?;
        wait::until("the OpenID provider to answer", async || {
            process.check_alive()?;
            Ok(self.http.get(format!("{}/test/calls", self.url())).send().await.is_ok())
        })
        .await?;
        self.process = Some(process);
        Ok(())
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// The address of its metadata.
    pub fn discovery(&self) -> String {
        format!("{}/.well-known/openid-configuration", self.url())
    }

    async fn test(&self, path: &str) -> Result<Value> {
        Ok(self.http.get(format!("{}/test/{path}", self.url())).send().await?.json().await?)
    }

    async fn tell(&self, path: &str, body: &Value) -> Result<()> {
        let answer = self.http.post(format!("{}/test/{path}", self.url())).json(body).send().await?;
        answer.error_for_status().map(drop).map_err(Into::into)
    }

    /// The clients that were registered, as it keeps them.
    pub async fn clients(&self) -> Result<Vec<Value>> {
        Ok(self.test("clients").await?.as_array().cloned().unwrap_or_default())
    }

    /// A client for tokens and introspection, which names itself in the `Authorization` header.
    pub async fn add_client(&self, id: &str, secret: &str) -> Result<()> {
        self.add_client_by(id, secret, "client_secret_basic").await
    }

    /// The same, with another `token_endpoint_auth_method`; the provider takes no other one from it.
    pub async fn add_client_by(&self, id: &str, secret: &str, auth_method: &str) -> Result<()> {
        let client = json!({"client_id": id, "client_secret": secret, "grant_types": ["client_credentials"],
            "response_types": [], "redirect_uris": [], "token_endpoint_auth_method": auth_method});
        self.tell("client", &client).await
    }

    /// A client at which people sign in, who come back to this address.
    pub async fn add_sign_in(&self, id: &str, secret: &str, auth_method: &str, back: &str) -> Result<()> {
        let client = json!({"client_id": id, "client_secret": secret, "grant_types": ["authorization_code"],
            "response_types": ["code"], "redirect_uris": [back], "token_endpoint_auth_method": auth_method});
        self.tell("client", &client).await
    }

    /// Who signs in from now on, by their claims; `None`: whoever it is, they are not let in.
    pub async fn set_person(&self, claims: Option<&Value>) -> Result<()> {
        self.tell("manner", &json!({"person": claims})).await
    }

    /// Claims that ID tokens leave out from now on, and `/me` tells.
    pub async fn set_elsewhere(&self, claims: &[&str]) -> Result<()> {
        self.tell("manner", &json!({"elsewhere": claims})).await
    }

    /// Gives out the ID token of the sign-in before once more, as long as this lasts.
    pub async fn set_replay(&self, on: bool) -> Result<()> {
        self.tell("manner", &json!({"replay": on})).await
    }

    /// Signs with a new key from now on, whose id it answers. The keys it had are still published, or none of them.
    pub async fn rotate(&self, alg: &str, keep_old: bool) -> Result<String> {
        let kid = self.test(&format!("rotate?alg={alg}&keep={keep_old}")).await?;
        kid.as_str().map(str::to_owned).with_context(|| format!("no new key: {kid}"))
    }

    /// The number of seconds until tokens expire that are given out from now on.
    pub async fn set_lifetime(&self, seconds: u64) -> Result<()> {
        self.tell("manner", &json!({"ttl": seconds})).await
    }

    /// Further claims of tokens that are given out from now on, by client id.
    pub async fn set_claims(&self, by_client: &Value) -> Result<()> {
        self.tell("manner", &json!({"claims": by_client})).await
    }

    /// Headers of the key set's answer, such as `Cache-Control`, and what it answers instead of the set unless null.
    pub async fn set_keys_answer(&self, headers: &Value, body: &Value) -> Result<()> {
        self.tell("manner", &json!({"jwks": {"headers": headers, "body": body}})).await
    }

    /// A JSON Web Token for a resource, which is its audience: any absolute URI.
    pub async fn jwt(&self, client_id: &str, secret: &str, scope: &str, resource: &str) -> Result<String> {
        self.token(client_id, secret, scope, resource).await
    }

    /// An opaque token, whose audience is `urn:opaque:api`.
    pub async fn opaque(&self, client_id: &str, secret: &str, scope: &str) -> Result<String> {
        self.token(client_id, secret, scope, "urn:opaque:api").await
    }

    async fn token(&self, client_id: &str, secret: &str, scope: &str, resource: &str) -> Result<String> {
        let request = self.http.post(format!("{}/token", self.url())).basic_auth(client_id, Some(secret));
        let mut form = vec![("grant_type", "client_credentials"), ("resource", resource)];
        if !scope.is_empty() {
            form.push(("scope", scope));
        }
        let answer = request.form(&form).send().await?;
        let (status, body) = (answer.status(), answer.json::<Value>().await?);
        ensure!(status.is_success(), "no token: {status} {body}");
        body["access_token"].as_str().map(str::to_owned).context("an answer without a token")
    }

    /// Says that a token is over (it is no longer active when introspected).
    pub async fn forget(&self, token: &str) -> Result<()> {
        self.test(&format!("forget?token={token}")).await.map(drop)
    }

    /// How many calls of a method came to a path since this was last asked about any.
    pub async fn calls(&self, method: &Method, path: &str) -> Result<usize> {
        let calls = self.test("calls").await?;
        let is = |call: &&Value| call["method"] == method.as_str() && call["path"] == path;
        Ok(calls.as_array().into_iter().flatten().filter(is).count())
    }

    /// Every call fails as long as this lasts; nothing is forgotten.
    pub async fn set_outage(&self, on: bool) -> Result<()> {
        let arguments = if on { "?name=fail&method=ANY&path=/" } else { "" };
        self.test(&format!("fault{arguments}")).await.map(drop)
    }

    /// `hang`, `fail`, `apply-and-hang` or `apply-and-cut` for calls of a method below a path; `None` ends it.
    pub async fn set_fault(&self, fault: Option<(&str, &Method, &str)>) -> Result<()> {
        let arguments = match fault {
            Some((name, method, path)) => format!("?name={name}&method={method}&path={path}"),
            None => String::new(),
        };
        self.test(&format!("fault{arguments}")).await.map(drop)
    }

    /// Whether a client gets a token with this secret.
    pub async fn lets_in(&self, client_id: &str, secret: &str) -> Result<bool> {
        let request = self.http.post(format!("{}/token", self.url())).basic_auth(client_id, Some(secret));
        let answer = request.form(&json!({"grant_type": "client_credentials"})).send().await?;
        Ok(answer.status().is_success())
    }
}
