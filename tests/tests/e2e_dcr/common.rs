//! What the scenarios share: one kind of provider, an admin extension that registers clients there, and a developer.

use anyhow::{Context as _, Result};
use app_auth_admin::model::PortalId;
use app_auth_tests::admin::{Admin, Database};
use app_auth_tests::client::{Answer, Client};
use app_auth_tests::idp_double::{self, Auth0, AzureAd, Bridge, Fault, IdpDouble, Okta, Vendor};
use app_auth_tests::oidc_provider::{self, OidcProvider};
use app_auth_tests::wait;
use futures_util::future::try_join_all;
use reqwest::Method;
use serde_json::{Value, json};

pub const KINDS: [&str; 5] = ["okta", "auth0", "azureAd", "http", "curity"];
/// Those that can be asked which clients they have.
pub const SEARCHABLE: [&str; 3] = ["okta", "auth0", "azureAd"];

/// A provider of some kind.
pub enum Idp {
    Okta(IdpDouble<Okta>),
    Auth0(IdpDouble<Auth0>),
    Azure(IdpDouble<AzureAd>),
    Bridge(IdpDouble<Bridge>),
    Curity(OidcProvider),
}

macro_rules! each {
    ($idp:expr, $double:ident => $do:expr, $curity:ident => $other:expr) => {
        match $idp {
            Idp::Okta($double) => $do,
            Idp::Auth0($double) => $do,
            Idp::Azure($double) => $do,
            Idp::Bridge($double) => $do,
            Idp::Curity($curity) => $other,
        }
    };
}

fn making<V: Vendor>(_: &IdpDouble<V>) -> (&'static str, &'static str) {
    V::making()
}

fn deleting<V: Vendor>(_: &IdpDouble<V>) -> (&'static str, &'static str) {
    V::deleting()
}

impl Idp {
    pub async fn start(kind: &str) -> Result<Self> {
        Ok(match kind {
            "okta" => Self::Okta(IdpDouble::start()?),
            "auth0" => Self::Auth0(IdpDouble::start()?),
            "azureAd" => Self::Azure(IdpDouble::start()?),
            "http" => Self::Bridge(IdpDouble::start()?),
            _ => Self::Curity(OidcProvider::start().await?),
        })
    }

    pub fn url(&self) -> String {
        each!(self, double => double.url(), curity => curity.url())
    }

    /// The body that makes a DCR provider of it.
    pub fn provider(&self) -> Value {
        each!(self, double => double.provider(), curity => json!({
            "name": "curity", "provider_type": "curity", "issuer": curity.discovery(),
            "dcr_config": {"initial_client_id": oidc_provider::CLIENT_ID,
                "initial_client_secret": oidc_provider::CLIENT_SECRET}}))
    }

    /// Its clients, but for our own.
    pub async fn clients(&self) -> Result<Vec<idp_double::Client>> {
        each!(self, double => Ok(double.clients()), curity => {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let client = |client: &Value| idp_double::Client {
                client_id: text(&client["client_id"]),
                name: text(&client["client_name"]),
                redirect_uris: client["redirect_uris"].as_array().into_iter().flatten().map(text).collect(),
                secrets: vec![text(&client["client_secret"])],
            };
            Ok(curity.clients().await?.iter().map(client).collect())
        })
    }

    async fn misbehave(&self, fault: Fault, deletes: bool) -> Result<()> {
        each!(self, double => {
            let at = if deletes { deleting(double) } else { making(double) };
            double.set_fault(fault, at);
        }, curity => {
            let name = match fault {
                Fault::Hang => "hang",
                Fault::ApplyAndHang => "apply-and-hang",
                Fault::ApplyAndCut => "apply-and-cut",
                _ => "fail",
            };
            let method = if deletes { Method::DELETE } else { Method::POST };
            curity.set_fault(Some((name, &method, "/reg"))).await?;
        });
        Ok(())
    }

    /// Calls that make clients come to this.
    pub async fn fault_making(&self, fault: Fault) -> Result<()> {
        self.misbehave(fault, false).await
    }

    /// Calls that delete clients come to this.
    pub async fn fault_deleting(&self, fault: Fault) -> Result<()> {
        self.misbehave(fault, true).await
    }

    pub async fn behave(&self) -> Result<()> {
        each!(self, double => double.behave(), curity => curity.set_fault(None).await?);
        Ok(())
    }

    pub async fn wait_for_clients(&self, count: usize) -> Result<()> {
        wait::until("the provider's clients", async || Ok(self.clients().await?.len() == count)).await
    }
}

/// Runs a scenario with several kinds at the same time: most of each is waiting.
pub async fn at_once(
    kinds: &[&'static str],
    scenario: impl AsyncFn(&'static str) -> Result<()>,
) -> Result<()> {
    try_join_all(kinds.iter().map(|kind| scenario(kind))).await.map(drop)
}

/// An admin extension, a provider, and a developer.
pub struct Scene {
    pub admin: Admin,
    pub idp: Idp,
    pub provider: String,
    pub strategy: String,
    pub developer: String,
}

/// Where the legacy API's developers are in the v2 API.
pub fn applications() -> String {
    format!("/v2/portals/{}/applications", PortalId::DEFAULT)
}

impl Scene {
    pub async fn start(kind: &str, database: Database) -> Result<Self> {
        // Shown when the scenario fails an assertion.
        println!("{kind} on {database:?}");
        let idp = Idp::start(kind).await?;
        let url = idp.url();
        let environment = [
            ("APP_AUTH_IDP_ALLOW_HTTP", "true"),
            ("APP_AUTH_IDP_TIMEOUT", "3000"),
            ("APP_AUTH_IDP_AZURE_LOGIN_URL", url.as_str()),
            ("APP_AUTH_IDP_AZURE_GRAPH_URL", url.as_str()),
        ];
        let admin = Admin::start_with(database, &environment).await?;
        let client = admin.client();
        let provider = client.post("/v2/dcr-providers", &idp.provider()).await?.expect(201)?.field("id")?;
        let strategy = client.post("/v2/application-auth-strategies", &strategy(&url, &provider)).await?;
        let strategy = strategy.expect(201)?.field("id")?;
        let developer = json!({"email": "ada@example.com", "meta": {"full_name": "Ada"}, "status": 0});
        let developer = client.post("/developers", &developer).await?.expect(200)?;
        let developer = developer.field("id")?;
        Ok(Self { admin, idp, provider, strategy, developer })
    }

    pub fn client(&self) -> &Client {
        self.admin.client()
    }

    pub fn application(&self, name: &str) -> Value {
        json!({"name": name, "developer_id": self.developer, "auth_strategy_id": self.strategy,
            "description": "Sends the bills", "redirect_uri": "https://example.com/callback"})
    }

    pub async fn create(&self, name: &str) -> Result<Answer> {
        self.client().post(&applications(), &self.application(name)).await
    }

    /// The path of an application that is made now.
    pub async fn created(&self, name: &str) -> Result<String> {
        let id = self.create(name).await?.expect(201)?.field("id")?;
        Ok(format!("{}/{id}", applications()))
    }

    pub async fn count(&self) -> Result<u64> {
        let list = self.client().get(&applications()).await?.expect(200)?.json();
        list["meta"]["page"]["total"].as_u64().context("no total")
    }

    pub async fn jobs(&self) -> Result<Vec<Value>> {
        let list = self.client().get("/v2/dcr-jobs").await?.expect(200)?.json();
        Ok(list["data"].as_array().cloned().unwrap_or_default())
    }

    pub async fn wait_for_no_jobs(&self) -> Result<()> {
        wait::until("all jobs to be done", async || Ok(self.jobs().await?.is_empty())).await
    }

    /// A product version that applications of the strategy can be registered to.
    pub async fn version(&self) -> Result<String> {
        let client = self.client();
        let product = client.post("/v2/api-products", &json!({"name": "Orders"})).await?.expect(201)?;
        let versions = format!("/v2/api-products/{}/product-versions", product.field("id")?);
        let body = json!({"name": "v1", "publish_status": "published"});
        let version = client.post(&versions, &body).await?.expect(201)?.field("id")?;
        let offered = json!({"publish_status": "published", "product_version_id": version,
            "auth_strategy_ids": [self.strategy], "application_registration_enabled": true,
            "auto_approve_registration": true, "deprecated": false});
        let path = format!("/v2/portals/{}/product-versions", PortalId::DEFAULT);
        client.post(&path, &offered).await?.expect(201)?;
        Ok(version)
    }
}

/// A strategy whose clients a provider makes.
pub fn strategy(issuer: &str, provider: &str) -> Value {
    json!({"name": "ours", "display_name": "Ours", "strategy_type": "openid_connect", "dcr_provider_id": provider,
        "configs": {"openid-connect": {"issuer": issuer, "credential_claim": ["client_id"], "scopes": [],
            "auth_methods": ["client_credentials", "bearer"]}}})
}
