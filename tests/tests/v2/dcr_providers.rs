//! `/v2/dcr-providers`: made, listed, read, changed, deleted; and their secrets, which nothing shows.

use anyhow::Result;
use app_auth_tests::admin::{Admin, Database};
use app_auth_tests::at_rest::{at_rest, holds};
use app_auth_tests::audit::lines;
use serde_json::{Value, json};
use uuid::Uuid;

use super::common::{
    PROVIDER_SECRET, PROVIDER_TYPES, PROVIDERS, STRATEGIES, everything, on_both, one, openid_connect,
    provider, with, wrong,
};

/// The `dcr_config` that answers show of [`provider`].
fn shown(kind: &str) -> Value {
    match kind {
        "auth0" => json!({"initial_client_id": "us", "initial_client_audience": null,
            "use_developer_managed_scopes": false}),
        "okta" => json!({}),
        "http" => json!({"dcr_base_url": "https://bridge.example.com", "disable_event_hooks": false,
            "disable_refresh_secret": false}),
        _ => json!({"initial_client_id": "us"}),
    }
}

#[tokio::test]
async fn given_nothing_when_a_provider_of_each_type_is_created_then_it_is_answered_without_its_secret()
-> Result<()> {
    on_both(async |client| {
        for kind in PROVIDER_TYPES {
            let body = with(provider(kind, "ours"), "/labels", json!({"env": "test"}));
            // Bodies that create a provider may hold more than is asked for.
            let body = with(body, "/unheard_of", json!(1));
            let made = client.post(PROVIDERS, &body).await?.expect(201)?.json();
            let expected = json!({"id": made["id"], "name": "ours", "provider_type": kind,
                "issuer": "https://idp.example.com", "active": false, "dcr_config": shown(kind),
                "labels": {"env": "test"}, "created_at": made["created_at"], "updated_at": made["created_at"]});
            assert_eq!(made, expected);
        }
        let mut body = with(provider("auth0", "ours"), "/display_name", json!("Ours"));
        body["dcr_config"]["initial_client_audience"] = json!("");
        body["dcr_config"]["use_developer_managed_scopes"] = json!(true);
        let made = client.post(PROVIDERS, &body).await?.expect(201)?.json();
        let config = json!({"initial_client_id": "us", "initial_client_audience": "",
            "use_developer_managed_scopes": true});
        assert_eq!((&made["display_name"], &made["dcr_config"]), (&json!("Ours"), &config));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_providers_when_they_are_listed_then_all_are_there_as_each_is_by_itself() -> Result<()> {
    on_both(async |client| {
        let empty = client.get(PROVIDERS).await?.expect(200)?.json();
        assert_eq!(empty, json!({"data": [], "meta": {"page": {"number": 1, "size": 10, "total": 0}}}));
        let mut made = Vec::new();
        for kind in PROVIDER_TYPES {
            made.push(client.post(PROVIDERS, &provider(kind, kind)).await?.expect(201)?.json());
        }
        let page = client.get(PROVIDERS).await?.expect(200)?.json();
        assert_eq!(page, json!({"data": made, "meta": {"page": {"number": 1, "size": 10, "total": 5}}}));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_provider_when_it_is_fetched_then_only_its_id_finds_it() -> Result<()> {
    on_both(async |client| {
        let made = client.post(PROVIDERS, &provider("okta", "ours")).await?.expect(201)?;
        let read = client.get(&format!("{PROVIDERS}/{}", made.field("id")?)).await?.expect(200)?;
        assert_eq!((read.json(), read.header("etag")), (made.json(), made.header("etag")));
        assert_eq!(client.get(&format!("{PROVIDERS}/{}", Uuid::new_v4())).await?.status, 404);
        let bad = client.get(&format!("{PROVIDERS}/ours")).await?;
        assert_eq!(wrong(&bad), [one("dcrProviderId", "is_uuid", "path")]);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_provider_of_each_type_when_it_is_updated_then_what_is_not_named_stays() -> Result<()> {
    on_both(async |client| {
        for kind in PROVIDER_TYPES {
            let body = with(provider(kind, "ours"), "/labels", json!({"env": "test", "team": "sales"}));
            let made = client.post(PROVIDERS, &body).await?.expect(201)?.json();
            let path = format!("{PROVIDERS}/{}", made["id"].as_str().unwrap_or_default());
            let changes = match kind {
                "auth0" => vec![
                    json!({"initial_client_id": "others"}),
                    json!({"initial_client_secret": "hush_again"}),
                    json!({"initial_client_audience": "https://api.example.com", "use_developer_managed_scopes": true}),
                    json!({"initial_client_audience": null}),
                ],
                "okta" => vec![json!({}), json!({"dcr_token": "hush_again"})],
                "http" => vec![
                    json!({"api_key": "hush_hush_again"}),
                    json!({"dcr_base_url": "http://other.example.com/x", "disable_event_hooks": true}),
                    json!({"disable_refresh_secret": true, "disable_event_hooks": false}),
                ],
                _ => vec![json!({"initial_client_id": "others", "initial_client_secret": "hush_again"})],
            };
            let mut expected = made.clone();
            for config in changes {
                let after = client.patch(&path, &json!({"dcr_config": config})).await?.expect(200)?.json();
                for (name, value) in config.as_object().into_iter().flatten() {
                    if expected["dcr_config"].get(name).is_some() {
                        expected["dcr_config"][name] = value.clone();
                    }
                }
                expected["updated_at"] = after["updated_at"].clone();
                assert_eq!(after, expected, "{kind}: {config}");
            }
            let changes = json!({"name": "theirs", "display_name": "Theirs", "issuer": "https://b.example.com",
                "labels": {"team": null, "x": "y"}});
            let after = client.patch(&path, &changes).await?.expect(200)?.json();
            for name in ["name", "display_name", "issuer"] {
                assert_eq!(after[name], changes[name]);
            }
            assert_eq!(after["labels"], json!({"env": "test", "x": "y"}));
            assert_eq!(after["dcr_config"], expected["dcr_config"]);
            assert_eq!(client.get(&path).await?.expect(200)?.json(), after);
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_provider_that_a_strategy_names_when_it_is_deleted_then_it_is_kept_until_none_does()
-> Result<()> {
    on_both(async |client| {
        let made = client.post(PROVIDERS, &provider("curity", "ours")).await?.expect(201)?.json();
        let path = format!("{PROVIDERS}/{}", made["id"].as_str().unwrap_or_default());
        let strategy = with(openid_connect("tokens"), "/dcr_provider_id", made["id"].clone());
        let strategy = client.post(STRATEGIES, &strategy).await?.expect(201)?.field("id")?;

        let before = everything(client).await?;
        let conflict = client.delete(&path).await?.expect(409)?;
        assert_eq!(conflict.header("content-type"), "application/problem+json");
        assert_eq!(conflict.json()["title"], "Conflict");
        assert_eq!(everything(client).await?, before);

        client
            .patch(&format!("{STRATEGIES}/{strategy}"), &json!({"dcr_provider_id": null}))
            .await?
            .expect(200)?;
        client.delete(&path).await?.expect(204)?;
        for gone in
            [client.get(&path).await?, client.delete(&path).await?, client.patch(&path, &json!({})).await?]
        {
            assert_eq!(gone.status, 404, "{}", gone.text());
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_secrets_when_they_are_kept_then_they_are_in_no_answer_no_log_and_nowhere_readable_on_the_disk()
-> Result<()> {
    for database in Database::BOTH {
        let admin = Admin::start(database).await?;
        let client = admin.client();
        let mut seen = Vec::new();
        for kind in PROVIDER_TYPES {
            let made = client.post(PROVIDERS, &provider(kind, "the-open-name")).await?.expect(201)?;
            let path = format!("{PROVIDERS}/{}", made.field("id")?);
            let member = match kind {
                "okta" => "dcr_token",
                "http" => "api_key",
                _ => "initial_client_secret",
            };
            let changes = json!({"dcr_config": {member: format!("{PROVIDER_SECRET}_again")}});
            let after = client.patch(&path, &changes).await?.expect(200)?;
            let id = made.field("id")?;
            let told = lines(client, &format!("entity=dcr_provider&entity_id={id}")).await?;
            assert_eq!(told[0]["after"][member], "(changed)", "{told:?}");
            let refused = client.patch(&path, &with(changes, "/colour", json!("red"))).await?.expect(400)?;
            seen.extend([made.text(), after.text(), refused.text(), json!(told).to_string()]);
        }
        // What else a strategy may know is shown, because it is its answer's to show, but kept as secrets are.
        let mut body = openid_connect("tokens");
        body["configs"]["openid-connect"]["client_secret"] = json!(["hush_hush_strategy"]);
        let made = client.post(STRATEGIES, &body).await?.expect(201)?;
        assert_eq!(made.json()["configs"]["openid-connect"]["client_secret"], json!(["hush_hush_strategy"]));
        let path = format!("{STRATEGIES}/{}", made.field("id")?);
        let changes = json!({"configs": {"openid-connect": {"client_secret": ["hush_hush_other"]}}});
        client.patch(&path, &changes).await?.expect(200)?;
        let told = lines(client, "entity=auth_strategy").await?;
        assert_eq!(told[0]["after"]["client_secret"], "(changed)", "{told:?}");
        assert_eq!(told[0]["after"]["configs"]["client_secret"], "(set)", "{told:?}");
        let list = client.get(PROVIDERS).await?.expect(200)?.text();
        seen.extend([json!(told).to_string(), list, admin.log()]);
        let seen = seen.join("\n");

        assert!(seen.contains("the-open-name"));
        assert!(!seen.contains("hush_hush"), "{database:?}: {seen}");
        let kept = at_rest(&admin)?;
        assert!(holds(&kept, "the-open-name"), "{database:?}");
        assert!(!holds(&kept, "hush_hush"), "{database:?}");
    }
    Ok(())
}
