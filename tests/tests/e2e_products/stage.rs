//! What the scenarios begin with: a version of a product that the gateway's service serves, in the default portal.

use anyhow::Result;
use app_auth_tests::admin::Database;
use app_auth_tests::client::{Answer, send};
use app_auth_tests::products::{DEFAULT_PORTAL, Products, Version};
use app_auth_tests::scene::{Outcome, Scene};
use reqwest::Method;
use serde_json::json;

/// A gateway whose service serves a version that is protected by keys in `x-api-key`.
pub struct Stage {
    pub scene: Scene,
    /// Every write is answered when the gateway has applied it.
    pub products: Products,
    pub strategy: String,
    pub version: Version,
}

impl Stage {
    pub async fn start() -> Result<Self> {
        Self::of(Scene::start(Database::Sqlite).await?).await
    }

    pub async fn of(scene: Scene) -> Result<Self> {
        let products = Products::new(scene.admin.client()).waiting(30);
        let strategy = products.strategy(&["x-api-key"]).await?;
        let version = products.version("Orders", Some(scene.service())).await?;
        products.offer(DEFAULT_PORTAL, &version, Some(&strategy), json!({})).await?;
        Ok(Self { scene, products, strategy, version })
    }

    /// Asks the gateway, with a key in a header.
    pub async fn call(&self, path: &str, header: &str, key: &str) -> Result<Answer> {
        send(self.scene.client().request(Method::GET, path).header(header, key)).await
    }

    /// What the gateway decides of a key in `x-api-key`.
    pub async fn outcome(&self, key: &str) -> Result<Outcome> {
        Ok(Outcome::of(&self.call("/", "x-api-key", key).await?))
    }
}
