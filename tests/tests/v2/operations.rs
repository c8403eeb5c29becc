//! Every operation of the v2 APIs: those that read answer as described, those that write leave a line in the audit log, and
//! no secret is in any of them. What each operation does is in the other scenarios.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use app_auth_tests::admin::{Admin, Database};
use app_auth_tests::audit::{MARK, Writes, lines};
use app_auth_tests::contract;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::common::{PROVIDERS, STRATEGIES, key_auth, openid_connect, provider, with};

/// What needs an identity provider that answers, or changes nothing of ours.
const ELSEWHERE: [&str; 3] = ["/verify", "/refresh-token", "/retry"];

/// One of everything: the paths of the resources by the names that templates have for their ids.
struct World<'a> {
    writes: Writes<'a>,
    ids: BTreeMap<&'static str, String>,
    /// Paths of what was made, in that order.
    made: Vec<String>,
}

fn id_of(path: &str) -> String {
    path.rsplit('/').next().unwrap_or_default().to_owned()
}

impl World<'_> {
    async fn create(&mut self, list: &str, body: Value) -> Result<String> {
        let path = self.writes.create(list, body).await?;
        self.made.push(path.clone());
        Ok(path)
    }

    async fn change(&mut self, path: &str, body: Value) -> Result<()> {
        self.writes.write(Method::PATCH, path, body).await?;
        Ok(())
    }

    /// A template with the ids put in. An `{id}` is of what its list is called.
    fn path(&self, template: &str) -> Result<String> {
        let mut path = String::new();
        for segment in template.split('/').skip(1) {
            let name = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            let name = name
                .map(|name| if name == "id" { path.rsplit('/').next().unwrap_or_default() } else { name });
            let value = match name {
                Some(name) => self
                    .ids
                    .get(name)
                    .with_context(|| format!("{template}: nothing is called {name}"))?
                    .as_str(),
                None => segment,
            };
            path = format!("{path}/{value}");
        }
        Ok(path)
    }

    async fn make(&mut self) -> Result<()> {
        let portal = self.create("/v2/portals", json!({"name": "main"})).await?;
        self.change(&portal, json!({"description": "x"})).await?;
        let secret = |what: &str| json!(format!("{MARK} {what}"));

        let mut body = provider("okta", "ours");
        body["dcr_config"]["dcr_token"] = secret("token");
        let provider = self.create(PROVIDERS, body).await?;
        self.change(&provider, json!({"dcr_config": {"dcr_token": secret("other token")}})).await?;
        let mut body = with(openid_connect("tokens"), "/dcr_provider_id", json!(id_of(&provider)));
        body["configs"]["openid-connect"]["client_secret"] = secret("client");
        let tokens = self.create(STRATEGIES, body).await?;
        let changes = json!({"configs": {"openid-connect": {"client_secret": secret("other client")}}});
        self.change(&tokens, changes).await?;
        let keys = self.create(STRATEGIES, key_auth("keys")).await?;
        self.writes.write(Method::PUT, &keys, key_auth("other keys")).await?;

        let product = self.create("/v2/api-products", json!({"name": "Orders"})).await?;
        self.change(&product, json!({"description": "x"})).await?;
        let service = json!({"id": Uuid::new_v4(), "control_plane_id": Uuid::new_v4()});
        let body = json!({"name": "v1", "gateway_service": service});
        let version = self.create(&format!("{product}/product-versions"), body).await?;
        self.change(&version, json!({"deprecated": true})).await?;
        let body = json!({"api_products": {id_of(&product): {"publish_status": "published"}}});
        self.writes.write(Method::POST, &format!("{portal}/publish"), body).await?;
        let mut body = json!({"publish_status": "published", "auth_strategy_ids": [id_of(&keys)],
            "application_registration_enabled": true, "auto_approve_registration": false, "deprecated": false});
        let list = format!("{portal}/product-versions");
        let whole = with(body.clone(), "/product_version_id", json!(id_of(&version)));
        self.writes.write(Method::POST, &list, whole).await?;
        body["deprecated"] = json!(true);
        let offer = format!("{list}/{}", id_of(&version));
        self.made.push(offer.clone());
        self.writes.write(Method::PUT, &offer, body).await?;
        self.change(&offer, json!({"deprecated": false})).await?;

        let body = json!({"email": "a@example.com", "full_name": "A", "status": "pending"});
        let developer = self.create(&format!("{portal}/developers"), body).await?;
        self.change(&developer, json!({"status": "approved"})).await?;
        let body = json!({"name": "a", "developer_id": id_of(&developer), "auth_strategy_id": id_of(&keys)});
        let application = self.create(&format!("{portal}/applications"), body).await?;
        self.change(&application, json!({"description": "x"})).await?;
        let list = format!("{application}/credentials");
        let key = self.create(&list, json!({"key": secret("key")})).await?;
        self.writes.write(Method::PUT, &key, json!({"display_name": "x"})).await?;
        self.create(&list, json!({})).await?;
        let body = json!({"product_version_id": id_of(&version)});
        let registration = self.create(&format!("{application}/registrations"), body).await?;
        self.change(&registration, json!({"status": "approved"})).await?;

        let made = [
            ("portalId", portal),
            ("dcrProviderId", provider),
            ("authStrategyId", keys),
            ("apiProductId", product.clone()),
            ("api-products", product),
            ("productVersionId", version.clone()),
            ("product-versions", version),
            ("developerId", developer),
            ("applicationId", application),
            ("credentialId", key),
            ("registrationId", registration),
        ];
        self.ids = made.into_iter().map(|(name, path)| (name, id_of(&path))).collect();
        Ok(())
    }

    /// What was made last goes first.
    async fn unmake(&mut self) -> Result<()> {
        for path in std::mem::take(&mut self.made).iter().rev() {
            self.writes.write(Method::DELETE, path, json!({})).await?;
        }
        Ok(())
    }
}

#[tokio::test]
async fn given_one_of_everything_when_each_operation_is_called_then_it_is_as_described_and_tells_no_secret()
-> Result<()> {
    for database in Database::BOTH {
        let admin = Admin::start(database).await?;
        let client = admin.client();
        let mut world = World { writes: Writes::new(client), ids: BTreeMap::new(), made: Vec::new() };
        world.make().await?;
        let mut read = 0;
        for (method, template) in contract::operations() {
            if method == "GET" && template.starts_with("/v2/") {
                let path = world.path(&template)?;
                let answer = client.get(&path).await.with_context(|| path.clone())?;
                assert_eq!(answer.status, 200, "{path}: {}", answer.text());
                read += 1;
            }
        }
        assert!(read >= 20, "{read}");
        world.unmake().await?;

        for operation in contract::operations() {
            let meant = operation.0 != "GET" && operation.1.starts_with("/v2/");
            let elsewhere = ELSEWHERE.iter().any(|end| operation.1.ends_with(end));
            assert!(
                !meant || elsewhere || world.writes.done.contains(&operation),
                "{operation:?} is not tried"
            );
        }
        let log = lines(client, "").await?;
        for entity in ["portal", "dcr_provider", "auth_strategy", "api_product", "product_version"] {
            let of = log.iter().filter(|line| line["entity"] == entity);
            let actions: Vec<_> = of.map(|line| line["action"].as_str().unwrap_or_default()).collect();
            assert!(
                ["create", "update", "delete"].iter().all(|it| actions.contains(it)),
                "{entity}: {actions:?}"
            );
        }
        let told = format!("{}{}", json!(log), admin.log());
        let mut secrets = world.writes.secrets.clone();
        secrets.extend([MARK.to_owned(), admin.admin_token().to_owned()]);
        assert!(secrets.len() >= 4, "{}", secrets.len());
        for secret in &secrets {
            assert!(!told.contains(secret.as_str()), "{database:?}: {secret} is told");
        }
        assert!(log.iter().any(|line| line["after"]["dcr_token"] == "(changed)"), "{told}");
    }
    Ok(())
}
