//! What the scenarios share: an admin extension with a Kong that follows, and the usual questions to both.

use anyhow::Result;
use app_auth_tests::admin::{Admin, Database};
use app_auth_tests::client::{Answer, Client, send};
use app_auth_tests::kong_double::KongDouble;
use app_auth_tests::wait;
use reqwest::Method;
use serde_json::{Value, json};

pub const ADA: &str = "/developers/ada@example.com";

/// An admin extension and the Kong that follows it.
pub struct Pair {
    pub admin: Admin,
    pub kong: KongDouble,
}

impl Pair {
    pub async fn start(database: Database) -> Result<Self> {
        Self::start_with(database, KongDouble::start()?, &[("APP_AUTH_KONG_TIMEOUT", "2000")]).await
    }

    pub async fn start_with(database: Database, kong: KongDouble, more: &[(&str, &str)]) -> Result<Self> {
        // Shown when the scenario fails an assertion.
        println!("on {database:?}");
        let url = kong.url();
        let mut environment = vec![("APP_AUTH_KONG_ADMIN_URL", url.as_str())];
        environment.extend(more);
        let admin = Admin::start_with(database, &environment).await?;
        Ok(Self { admin, kong })
    }

    pub fn client(&self) -> &Client {
        self.admin.client()
    }

    pub async fn developer(&self, name: &str) -> Result<Answer> {
        let body = json!({"email": format!("{name}@example.com"), "meta": {"full_name": name}, "status": 0});
        self.client().post("/developers", &body).await
    }

    pub async fn application(&self, developer: &str, name: &str) -> Result<Answer> {
        let body = json!({"name": name, "redirect_uri": "https://example.com/callback"});
        self.client().post(&format!("{developer}/applications"), &body).await
    }

    /// A `proxy-cache` in memory.
    pub async fn cache(&self, developer: &str) -> Result<Answer> {
        let body = json!({"name": "proxy-cache", "config": {"strategy": "memory"}});
        self.client().post(&format!("{developer}/plugins"), &body).await
    }

    /// What Kong has still to be told.
    pub async fn left(&self) -> Result<Vec<Value>> {
        left(self.client()).await
    }

    pub async fn wait_until_told(&self) -> Result<()> {
        wait_until_told(self.client()).await
    }
}

/// Asks for something by its path alone.
pub async fn ask(client: &Client, path: &str) -> Result<Answer> {
    send(client.request(Method::POST, path)).await
}

/// What Kong has still to be told, as this replica has it.
pub async fn left(client: &Client) -> Result<Vec<Value>> {
    let list = client.get("/kong/sync").await?.expect(200)?.json();
    Ok(list["data"].as_array().cloned().unwrap_or_default())
}

pub async fn wait_until_told(client: &Client) -> Result<()> {
    wait::until("Kong to be told everything", async || Ok(left(client).await?.is_empty())).await
}

/// Whether Kong knew of a change when it was answered.
pub fn sync(answer: &Answer) -> &str {
    answer.header("x-kong-sync")
}
