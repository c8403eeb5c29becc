//! Auth strategies at the gateway: what a product version's strategy says is in force on the service that serves it, at
//! once; and what is in force stays until nothing uses it.

use anyhow::Result;
use app_auth_tests::admin::Database;
use app_auth_tests::client::{Client, send};
use app_auth_tests::portal::Portal;
use app_auth_tests::scene::Scene;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::common::{PROVIDERS, STRATEGIES, key_auth, openid_connect, provider, with};

/// A product version that the scene's service serves, in a portal.
struct Offer {
    portal: String,
    version: String,
    /// The version in the portal.
    path: String,
}

async fn made(confirmed: &Portal, list: &str, body: Value) -> Result<String> {
    confirmed.post(list, &body).await?.expect(201)?.field("id")
}

async fn offer(confirmed: &Portal, service: Uuid, strategy: &str) -> Result<Offer> {
    let portal = made(confirmed, "/v2/portals", json!({"name": "main"})).await?;
    let product = made(confirmed, "/v2/api-products", json!({"name": "Orders"})).await?;
    let service = json!({"id": service, "control_plane_id": Uuid::new_v4()});
    let list = format!("/v2/api-products/{product}/product-versions");
    let version = made(confirmed, &list, json!({"name": "v1", "gateway_service": service})).await?;
    let list = format!("/v2/portals/{portal}/product-versions");
    let body = json!({"product_version_id": version, "publish_status": "published", "auth_strategy_ids": [strategy],
        "application_registration_enabled": true, "auto_approve_registration": true, "deprecated": false});
    made(confirmed, &list, body).await?;
    let path = format!("{list}/{version}");
    Ok(Offer { portal, version, path })
}

/// An approved developer's application under a strategy, registered for the version; answers its path and key.
async fn application(confirmed: &Portal, offer: &Offer, strategy: &str) -> Result<(String, String)> {
    let of = format!("/v2/portals/{}", offer.portal);
    let body = json!({"email": "a@example.com", "full_name": "A", "status": "approved"});
    let developer = made(confirmed, &format!("{of}/developers"), body).await?;
    let body = json!({"name": "a", "developer_id": developer, "auth_strategy_id": strategy});
    let path = format!("{of}/applications/{}", made(confirmed, &format!("{of}/applications"), body).await?);
    let body = json!({"product_version_id": offer.version});
    let registration = confirmed.post(&format!("{path}/registrations"), &body).await?.expect(201)?;
    assert_eq!(registration.json()["status"], "approved");
    let key = confirmed.post(&format!("{path}/credentials"), &json!({})).await?.expect(201)?;
    Ok((path, key.field("credential")?))
}

/// The status of a call with these headers.
async fn status(gateway: &Client, headers: &[(&str, &str)]) -> Result<u16> {
    let request = gateway.request(Method::GET, "/");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    Ok(send(request).await?.status)
}

#[tokio::test]
async fn given_a_strategy_on_a_version_when_its_key_names_change_then_the_gateway_looks_there_at_once()
-> Result<()> {
    for database in Database::BOTH {
        let scene = Scene::start(database).await?;
        let (confirmed, gateway) = (scene.confirmed(), scene.client());
        // Until a version is served, the service is by itself.
        let (by_itself, _) = confirmed.approved_key(scene.service()).await?;
        assert_eq!(status(&gateway, &[("apikey", &by_itself.key)]).await?, 200);

        let strategy = made(&confirmed, STRATEGIES, key_auth("keys")).await?;
        let path = format!("{STRATEGIES}/{strategy}");
        let offer = offer(&confirmed, scene.service(), &strategy).await?;
        let (_, key) = application(&confirmed, &offer, &strategy).await?;
        let key = key.as_str();
        for (name, expected) in [("x-api-key", 200), ("X-API-KEY", 200), ("apikey", 401), ("x-orders", 401)] {
            assert_eq!(status(&gateway, &[(name, key)]).await?, expected, "{database:?} {name}");
        }
        // Keys of the service by itself are keys of another strategy.
        assert_eq!(status(&gateway, &[("x-api-key", &by_itself.key)]).await?, 401);
        let in_query = send(gateway.request(Method::GET, &format!("/?x-api-key={key}"))).await?;
        assert_eq!(in_query.status, 401, "keys are in headers only");

        let changes = json!({"configs": {"key-auth": {"key_names": ["x-orders", "X-Old_Orders"]}}});
        confirmed.patch(&path, &changes).await?.expect(200)?;
        for (name, expected) in [("x-api-key", 401), ("x-orders", 200), ("x-old_orders", 200)] {
            assert_eq!(status(&gateway, &[(name, key)]).await?, expected, "{database:?} {name}");
        }
        confirmed.patch(&path, &json!({"name": "other", "labels": {"a": "b"}})).await?.expect(200)?;
        assert_eq!(status(&gateway, &[("x-orders", key)]).await?, 200);

        // A whole strategy without names looks where keys are by default.
        let bare = with(key_auth("keys"), "/configs/key-auth", json!({}));
        let request = confirmed.client().request(Method::PUT, &path).header("prefer", "wait=30").json(&bare);
        send(request).await?.expect(201)?;
        for (name, expected) in [("x-orders", 401), ("apikey", 200)] {
            assert_eq!(status(&gateway, &[(name, key)]).await?, expected, "{database:?} {name}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn given_a_strategy_in_use_when_it_is_deleted_or_made_another_type_then_it_is_kept() -> Result<()> {
    for database in Database::BOTH {
        let scene = Scene::start(database).await?;
        let (confirmed, gateway) = (scene.confirmed(), scene.client());
        let client = confirmed.client();
        let strategy = made(&confirmed, STRATEGIES, key_auth("keys")).await?;
        let path = format!("{STRATEGIES}/{strategy}");
        let active =
            async || Ok::<_, anyhow::Error>(client.get(&path).await?.expect(200)?.json()["active"].clone());
        assert_eq!(active().await?, false);
        let offer = offer(&confirmed, scene.service(), &strategy).await?;
        let (application, key) = application(&confirmed, &offer, &strategy).await?;
        assert_eq!(active().await?, true);
        assert_eq!(status(&gateway, &[("x-api-key", &key)]).await?, 200);

        // Whatever its publication status.
        for publish_status in ["published", "unpublished"] {
            confirmed.patch(&offer.path, &json!({"publish_status": publish_status})).await?.expect(200)?;
            assert_eq!(active().await?, publish_status == "published");
            let before = client.get(&path).await?.expect(200)?.json();
            for refused in [client.delete(&path).await?, client.put(&path, &openid_connect("tokens")).await?]
            {
                assert_eq!(refused.status, 409, "{}", refused.text());
                assert_eq!(refused.json()["title"], "Conflict");
            }
            assert_eq!(client.get(&path).await?.expect(200)?.json(), before);
            assert_eq!(status(&gateway, &[("x-api-key", &key)]).await?, 200);
        }

        // An application holds it, too; then nothing does.
        confirmed.delete(&offer.path).await?.expect(204)?;
        client.delete(&path).await?.expect(409)?;
        confirmed.delete(&application).await?.expect(204)?;
        assert_eq!(active().await?, false);
        client.delete(&path).await?.expect(204)?;
        client.get(&path).await?.expect(404)?;
    }
    Ok(())
}

#[tokio::test]
async fn given_an_openid_connect_strategy_on_a_version_when_gateways_follow_then_they_get_all_of_it_but_secrets()
-> Result<()> {
    for database in Database::BOTH {
        let scene = Scene::start(database).await?;
        let (confirmed, gateway) = (scene.confirmed(), scene.client());
        let (by_itself, _) = confirmed.approved_key(scene.service()).await?;
        assert_eq!(status(&gateway, &[("apikey", &by_itself.key)]).await?, 200);
        let provider = made(&confirmed, PROVIDERS, provider("curity", "ours")).await?;
        let mut body = with(openid_connect("tokens"), "/dcr_provider_id", json!(provider));
        body["configs"]["openid-connect"]["scopes_required"] = json!(["orders"]);
        body["configs"]["openid-connect"]["leeway"] = json!(7);
        body["configs"]["openid-connect"]["client_secret"] = json!(["hush_hush_strategy"]);
        let strategy = made(&confirmed, STRATEGIES, body).await?;
        offer(&confirmed, scene.service(), &strategy).await?;

        let path = format!("{PROVIDERS}/{provider}");
        assert_eq!(confirmed.client().get(&path).await?.expect(200)?.json()["active"], true);
        let snapshot = scene.admin.gateway_client().get("/gateway/v1/snapshot").await?.expect(200)?;
        assert!(!snapshot.text().contains("hush_hush"), "{}", snapshot.text());
        let records = snapshot.json()["records"].as_array().cloned().unwrap_or_default();
        let services = records.iter().filter_map(|record| record["record"].get("service"));
        let strategies: Vec<_> = services.map(|service| service["strategies"].clone()).collect();
        assert_eq!(strategies.len(), 1, "{}", snapshot.text());
        let told = &strategies[0][0];
        assert_eq!(told["id"], json!(strategy), "{told}");
        let config = &told["config"]["openid_connect"];
        for (name, value) in [
            ("issuer", json!("https://idp.example.com")),
            ("credential_claim", json!(["client_id"])),
            ("scopes", json!(["openid"])),
            ("auth_methods", json!(["bearer"])),
            ("scopes_required", json!(["orders"])),
            ("leeway", json!(7)),
        ] {
            assert_eq!(config[name], value, "{name}: {told}");
        }
        // Nobody gets in with what was good for the service by itself.
        for headers in [vec![], vec![("apikey", by_itself.key.as_str())]] {
            assert_ne!(status(&gateway, &headers).await?, 200, "{headers:?}");
        }
    }
    Ok(())
}
