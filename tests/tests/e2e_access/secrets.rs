//! Secrets that are kept are shown to admins alone: everything that can be read is read with each role.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use app_auth_tests::admin::{Admin, Database};
use app_auth_tests::audit::MARK;
use app_auth_tests::client::Client;
use app_auth_tests::contract;
use app_auth_tests::portal::{Portal, Status};
use app_auth_tests::products::{DEFAULT_PORTAL, Products};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::roles::with_role;
use crate::visit::Visit;

/// Operations that show nothing of the store, or that only gateways may ask for.
const NOT_READ: [&str; 5] =
    ["/healthz", "/readyz", "/openapi.json", "/gateway/v1/feed", "/gateway/v1/snapshot"];

/// What of every kind there is; answers the secrets that only their hashes are kept of.
struct World<'a> {
    client: &'a Client,
    /// Everything that can be read.
    paths: Vec<String>,
    hashes: Vec<String>,
}

fn secret(of: &str) -> String {
    format!("{MARK}-{of}-0123456789")
}

impl World<'_> {
    /// Makes something; its own path and that of its list can be read.
    async fn make(&mut self, list: &str, body: Value) -> Result<Value> {
        let answer = self.client.post(list, &body).await?;
        let made = answer.expect(201)?.json();
        let id = made["id"].as_str().unwrap_or_default();
        self.read(&[list, &format!("{list}/{id}")]);
        Ok(made)
    }

    fn read(&mut self, paths: &[&str]) {
        self.paths.extend(paths.iter().map(|path| (*path).to_owned()));
    }

    fn hash(&mut self, made: &Value, member: &str) {
        self.hashes.extend(made[member].as_str().map(str::to_owned));
    }

    async fn fill_legacy(&mut self) -> Result<()> {
        let portal = Portal::new(self.client);
        let oauth2 = json!({"enable_client_credentials": true, "provision_key": secret("provision")});
        let service = self.make("/services", json!({"name": "orders", "oauth2": oauth2})).await?;
        let service = service["id"].as_str().unwrap_or_default().parse::<Uuid>()?;
        let developer = portal.developer(Status::Approved).await?;
        let application = portal.application(&developer).await?;
        portal.connection(&application, service).await?;
        let (developer, application) = (format!("/developers/{developer}"), application.path());
        let keys = format!("{application}/credentials/key-auth");
        self.make(&keys, json!({"key": secret("key")})).await?;
        let clients = format!("{application}/credentials/oauth2");
        let client = json!({"client_id": secret("client"), "client_secret": secret("client-secret")});
        self.make(&clients, client).await?;
        let hashed = json!({"client_id": secret("hashed"), "hash_secret": true});
        let hashed = self.make(&clients, hashed).await?;
        self.hash(&hashed, "client_secret");
        for (family, members) in [
            ("key-auth", json!({"key": secret("own-key")})),
            ("basic-auth", json!({"username": "wally", "password": secret("password")})),
            ("hmac-auth", json!({"username": "wally", "secret": secret("hmac")})),
            ("jwt", json!({"key": "issuer", "secret": secret("jwt")})),
            (
                "oauth2",
                json!({"name": "a", "client_id": secret("own"), "client_secret": secret("own-secret")}),
            ),
            ("openid-connect", json!({"issuer": "https://idp.example.com", "subject": "wally"})),
        ] {
            let made = self.make(&format!("{developer}/credentials/{family}"), members).await?;
            if family == "basic-auth" {
                self.hash(&made, "password");
            }
        }
        let redis =
            json!({"minute": 5, "policy": "redis", "redis": {"host": "h", "password": secret("redis")}});
        let plugin = json!({"name": "rate-limiting", "config": redis});
        self.make(&format!("{developer}/plugins"), plugin).await?;
        self.make("/developers/roles", json!({"name": "readers"})).await?;
        let instances = format!("{application}/application_instances");
        let instance = self.client.get(&instances).await?.json()["data"][0]["id"].clone();
        self.read(&[
            "/developers",
            &developer,
            &format!("{developer}/applications"),
            &application,
            &instances,
        ]);
        self.read(&[&format!("{instances}/{}", instance.as_str().unwrap_or_default())]);
        self.read(&["/services/orders/application_instances", "/developers/export", "/workspaces"]);
        self.read(&["/workspaces/default", "/mails", "/kong/services", "/kong/sync", "/audit?size=1000"]);
        self.read(&["/audit/1", "/metrics", "/gateway/v1/nodes"]);
        Ok(())
    }

    async fn fill_v2(&mut self) -> Result<()> {
        let products = Products::new(self.client);
        let config = json!({"initial_client_id": "us", "initial_client_secret": secret("provider")});
        let provider = json!({"name": "ours", "provider_type": "auth0", "issuer": "https://idp.example.com",
            "dcr_config": config});
        self.make("/v2/dcr-providers", provider).await?;
        let config = json!({"issuer": "https://idp.example.com", "credential_claim": ["azp"], "scopes": ["openid"],
            "auth_methods": ["bearer"], "client_id": ["us"], "client_secret": [secret("strategy")]});
        let strategy = json!({"name": "tokens", "display_name": "Tokens", "strategy_type": "openid_connect",
            "configs": {"openid-connect": config}});
        self.make("/v2/application-auth-strategies", strategy).await?;
        let keys = products.strategy(&["apikey"]).await?;
        let version = products.version("orders", None).await?;
        let (product, versions) = (
            format!("/v2/api-products/{}", version.product),
            format!("/v2/api-products/{}/product-versions", version.product),
        );
        products.offer(DEFAULT_PORTAL, &version, Some(&keys), json!({})).await?;
        let developer = products.developer(DEFAULT_PORTAL).await?;
        let members = json!({"auth_strategy_id": keys});
        let application = products.application_of(DEFAULT_PORTAL, &developer, members).await?;
        let credentials = format!("{}/credentials", application.path());
        let key = json!({"display_name": "a key", "key": secret("portal-key")});
        self.client.post(&credentials, &key).await?.expect(201)?;
        let registration = products.register(&application, &version, None).await?;
        let portal = format!("/v2/portals/{DEFAULT_PORTAL}");
        for below in
            ["developers", "applications", "application-registrations", "product-versions", "products"]
        {
            self.read(&[&format!("{portal}/{below}")]);
        }
        let (own, any) = (application.path(), format!("/v2/applications/{}", application.id));
        self.read(&["/v2/portals", &portal, &format!("{portal}/developers/{developer}"), &own, &any]);
        self.read(&[&credentials, &registration, &format!("{registration}/granted-scopes")]);
        self.read(&[
            &format!("{own}/traffic"),
            &format!("{own}/registrations"),
            &version.path_in(DEFAULT_PORTAL),
            "/v2/dcr-jobs",
        ]);
        self.read(&["/v2/api-products", &product, &versions, &version.path()]);
        Ok(())
    }
}

#[tokio::test]
async fn given_secrets_of_every_kind_when_everything_is_read_then_only_an_admin_sees_any() -> Result<()> {
    let admin = Admin::start(Database::Sqlite).await?;
    let mut world = World { client: admin.client(), paths: Vec::new(), hashes: Vec::new() };
    world.fill_legacy().await?;
    world.fill_v2().await?;
    let known = contract::operations().into_iter();
    let known = known.filter(|(method, path)| method == "GET" && !NOT_READ.contains(&&**path));
    let read: BTreeSet<_> = world.paths.iter().filter_map(|path| operation(path)).collect();
    assert_eq!(read, known.map(|(_, path)| path).collect(), "every operation that reads is tried");

    let is_secret =
        |text: &str| text.contains(MARK) || world.hashes.iter().any(|hash| text.contains(&**hash));
    let (viewer, approver) = (with_role(&admin, "viewer")?, with_role(&admin, "approver")?);
    let mut shown = BTreeSet::new();
    for path in &world.paths {
        let own = admin.client().get(path).await?;
        shown.extend(is_secret(&own.text()).then(|| operation(path)).flatten());
        for client in [&viewer, &approver] {
            let seen = client.get(path).await?;
            assert_eq!(seen.status, own.status, "{path}: {}", seen.text());
            assert!(!is_secret(&seen.text()), "{path} shows a secret: {}", seen.text());
        }
    }
    for role in ["viewer", "approver"] {
        let pages = pages_of_console(&admin, role).await?;
        assert!(pages.len() > 15, "{:?}", pages.keys());
        for (address, page) in pages {
            assert!(!is_secret(&page), "{address} shows a secret to the role {role}");
        }
    }
    // Else the other answers would prove nothing.
    assert_eq!(world.hashes.len(), 2);
    let expected = [
        "/developers/{developer}/applications/{application}/credentials/key-auth",
        "/developers/{developer}/applications/{application}/credentials/key-auth/{credential}",
        "/developers/{developer}/applications/{application}/credentials/oauth2",
        "/developers/{developer}/applications/{application}/credentials/oauth2/{credential}",
        "/developers/{developer}/credentials/{plugin}",
        "/developers/{developer}/credentials/{plugin}/{credential}",
        "/developers/{developer}/plugins",
        "/developers/{developer}/plugins/{plugin}",
        "/services",
        "/services/{service}",
        "/v2/application-auth-strategies",
        "/v2/application-auth-strategies/{authStrategyId}",
    ];
    assert_eq!(shown, expected.map(str::to_owned).into());
    Ok(())
}

/// Every page of the console that links lead to, as a role sees it.
async fn pages_of_console(admin: &Admin, role: &str) -> Result<BTreeMap<String, String>> {
    let token =
        admin.run(&["token", "create", "--kind", "admin", "--role", role, "--name", "at the console"])?;
    let mut visit = Visit::new(&admin.url());
    visit.sign_in(token.trim()).await?;
    let (mut pages, mut open) = (BTreeMap::new(), vec!["/console/applications".to_owned()]);
    while let Some(address) = open.pop() {
        let answer = visit.get(&address).await?;
        // What a role may not do has no page for it, either.
        assert!(matches!(answer.status, 200 | 403), "{address}: {} {}", answer.status, answer.text());
        let page = answer.text().replace("&#x2f;", "/").replace("&amp;", "&");
        let links = page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
        let links = links.map(|link| link.split('#').next().unwrap_or_default().to_owned());
        let is_page = |link: &String| link.starts_with("/console/") && !link.starts_with("/console/assets");
        open.extend(links.filter(is_page).filter(|link| !pages.contains_key(link)));
        pages.insert(address, page);
        assert!(pages.len() < 500, "there is no end to it: {:?}", pages.keys());
    }
    Ok(pages)
}

fn operation(path: &str) -> Option<String> {
    let path = path.split('?').next().unwrap_or_default();
    contract::operation(&Method::GET, path).map(|(_, template)| template)
}

#[tokio::test]
async fn given_a_viewer_who_reads_credentials_then_their_ends_are_shown_in_the_place_of_secrets() -> Result<()>
{
    let admin = Admin::start(Database::Sqlite).await?;
    let portal = Portal::new(admin.client());
    let application = portal.application(&portal.developer(Status::Approved).await?).await?;
    let key = portal.key_with(&application, json!({"key": secret("key")})).await?;
    let seen = with_role(&admin, "viewer")?.get(&key.path()).await?.expect(200)?.json();
    assert_eq!((&seen["last_four"], &seen["key"]), (&json!("6789"), &Value::Null));
    assert_eq!(admin.client().get(&key.path()).await?.json()["key"], secret("key"));
    Ok(())
}
