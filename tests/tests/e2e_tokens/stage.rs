//! What the scenarios begin with: a provider, a gateway whose service serves a version that is protected by a strategy of
//! that provider, and an application that the provider and we know by the same client id.

use anyhow::Result;
use app_auth_tests::client::{Answer, send};
use app_auth_tests::oidc_provider::OidcProvider;
use app_auth_tests::products::{DEFAULT_PORTAL, PortalApplication, Products};
use app_auth_tests::scene::Scene;
use app_auth_tests::upstream::Echo;
use reqwest::Method;
use serde_json::{Value, json};

pub const CLIENT: &str = "orders-client";
pub const SECRET: &str = "orders-secret-of-the-tests";
/// The audience of tokens.
pub const API: &str = "https://orders.example";

pub struct Stage {
    pub scene: Scene,
    pub provider: OidcProvider,
    /// Every write is answered when the gateway has applied it.
    pub products: Products,
    pub strategy: String,
    pub application: PortalApplication,
    /// The path of the application's registration, which is approved.
    pub registration: String,
}

impl Stage {
    /// `members` join the strategy's configuration.
    pub async fn start(members: Value) -> Result<Self> {
        let provider = OidcProvider::start().await?;
        provider.add_client(CLIENT, SECRET).await?;
        let scene = Scene::with_issuers(&[provider.address()], &[("echo", "/", json!({}))]).await?;
        let products = Products::new(scene.admin.client()).waiting(30);
        let strategy = strategy(&products, &provider, members).await?;
        let version = products.version("Orders", Some(scene.service())).await?;
        products.offer(DEFAULT_PORTAL, &version, Some(&strategy), json!({})).await?;
        let members = json!({"auth_strategy_id": strategy, "reference_id": CLIENT});
        let application = products.application(DEFAULT_PORTAL, members).await?;
        let registration = products.register(&application, &version, Some("approved")).await?;
        let stage = Self { scene, provider, products, strategy, application, registration };
        stage.wait_until_issuer_is_known().await?;
        Ok(stage)
    }

    /// A token of the provider for the application.
    pub async fn token(&self, scope: &str) -> Result<String> {
        self.provider.jwt(CLIENT, SECRET, scope, API).await
    }

    pub async fn call(&self, token: &str) -> Result<Answer> {
        self.ask(&[("authorization", &format!("Bearer {token}"))]).await
    }

    pub async fn ask(&self, headers: &[(&str, &str)]) -> Result<Answer> {
        let request = self.scene.client().request(Method::GET, "/orders");
        send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
    }

    pub async fn set_registration(&self, status: &str) -> Result<()> {
        self.products.patch(&self.registration, &json!({"status": status})).await?.expect(200).map(drop)
    }

    /// Changes the strategy's configuration.
    pub async fn configure(&self, members: Value) -> Result<()> {
        let path = format!("/v2/application-auth-strategies/{}", self.strategy);
        let body = json!({"configs": {"openid-connect": members}});
        self.products.patch(&path, &body).await?.expect(200).map(drop)
    }

    async fn wait_until_issuer_is_known(&self) -> Result<()> {
        app_auth_tests::wait::until("the gateway to know the issuer", async || {
            // Before that it could not tell whether this is a token.
            Ok(self.call("e30.e30.e30").await?.status == 401)
        })
        .await
    }
}

/// An `openid_connect` strategy of a provider.
pub async fn strategy(products: &Products, provider: &OidcProvider, members: Value) -> Result<String> {
    let mut config = json!({"issuer": provider.url(), "credential_claim": ["client_id"], "scopes": ["openid"],
        "auth_methods": ["bearer"]});
    if let (Some(config), Value::Object(members)) = (config.as_object_mut(), members) {
        config.extend(members);
    }
    products.openid_connect(json!({"configs": {"openid-connect": config}})).await
}

/// Status, error in the challenge of a bearer token, and reason.
pub fn verdict(answer: &Answer) -> (u16, String, String) {
    let challenge = answer.header("www-authenticate").to_owned();
    let error = challenge.split_once("error=\"").and_then(|(_, rest)| rest.split_once('"'));
    let error = error.map(|(error, _)| error.to_owned()).unwrap_or_default();
    (answer.status, error, answer.header("x-app-auth-reason").to_owned())
}

/// What the upstream received.
pub fn echo(answer: Answer) -> Result<Echo> {
    Ok(serde_json::from_slice(&answer.expect(200)?.body)?)
}
