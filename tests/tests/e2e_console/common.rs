//! What the scenarios share: a stack with people and applications in it, and a browser that is signed in.

use anyhow::Result;
use app_auth_tests::admin::Database;
use app_auth_tests::browser::Browser;
use app_auth_tests::gateway::Gateway;
use app_auth_tests::portal::{Application, Connection, Portal, Status};
use app_auth_tests::scene::Scene;
use serde_json::json;

/// A stack, and a browser at its console.
pub struct Console {
    pub browser: Browser,
    pub scene: Scene,
    /// Beside the scene's own.
    pub gateways: Vec<Gateway>,
}

/// An application with a key, and its connection.
pub struct Cast {
    pub application: Application,
    pub connection: Connection,
    pub key: String,
}

impl Console {
    /// With one gateway.
    pub async fn open() -> Result<Self> {
        Self::open_with(1).await
    }

    /// With so many gateways, and signed in with the admin token.
    pub async fn open_with(gateways: usize) -> Result<Self> {
        let scene = Scene::start(Database::Sqlite).await?;
        let mut others = Vec::new();
        for _ in 1..gateways {
            let mut gateway =
                Gateway::start(&scene.admin, scene.upstream.address(), scene.services().to_vec()).await?;
            gateway.wait_until_synced().await?;
            others.push(gateway);
        }
        let console = Self { browser: Browser::start().await?, scene, gateways: others };
        console.sign_in(console.scene.admin.admin_token()).await?;
        Ok(console)
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.scene.admin.url())
    }

    pub async fn goto(&self, path: &str) -> Result<()> {
        self.browser.goto(&self.url(path)).await
    }

    pub async fn sign_in(&self, token: &str) -> Result<()> {
        self.goto("/console").await?;
        self.browser.fill("#token", token).await?;
        self.browser.click("main button").await?;
        self.browser.find("nav[aria-label=Sections]").await?;
        Ok(())
    }

    pub fn portal(&self) -> Portal {
        self.scene.portal()
    }

    /// A developer of this name, with an application of this one that is connected to the scene's service.
    pub async fn cast(&self, developer: &str, application: &str, status: Status) -> Result<Cast> {
        let portal = self.portal();
        let email = format!("{}@example.com", developer.to_lowercase().replace(' ', "."));
        let body =
            json!({"email": email, "meta": {"full_name": developer}, "status": Status::Approved.number()});
        let developer = portal.post("/developers", &body).await?.expect(200)?.field("id")?;
        let members =
            json!({"name": application, "description": format!("{application}, as its users know it")});
        let application = portal.application_with(&developer, members).await?;
        let key = portal.key(&application).await?.key;
        let connection = portal.connection(&application, self.scene.service()).await?;
        if status != Status::Pending {
            self.scene.confirmed().set_connection(&connection, status).await?;
        }
        Ok(Cast { application, connection, key })
    }

    /// The answer of every gateway to a key is this.
    pub async fn every_gateway_answers(&self, key: &str, status: u16, reason: &str) -> Result<()> {
        use app_auth_tests::client::send;
        use app_auth_tests::wait;
        use reqwest::Method;
        for client in std::iter::once(self.scene.client()).chain(self.gateways.iter().map(Gateway::client)) {
            let mut last = String::new();
            let answers = async || {
                let answer = send(client.request(Method::GET, "/").header("apikey", key)).await?;
                last = format!("{} {}", answer.status, answer.header("x-app-auth-reason"));
                Ok(answer.status == status && answer.header("x-app-auth-reason") == reason)
            };
            wait::until("the gateway's decision", answers).await.map_err(|error| error.context(last))?;
        }
        Ok(())
    }

    /// Looks for barriers, in light and in dark and on a phone, and takes pictures.
    pub async fn inspect(&self, name: &str) -> Result<()> {
        self.browser.check_barriers().await?;
        self.browser.prefer_dark(true).await?;
        self.browser.check_barriers().await?;
        self.browser.resize(390, 844).await?;
        self.browser.check_barriers().await?;
        self.browser.resize(1280, 900).await?;
        self.browser.picture(name).await
    }
}
