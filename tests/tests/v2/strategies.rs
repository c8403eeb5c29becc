//! `/v2/application-auth-strategies`: made, listed, read, replaced, changed, deleted.

use anyhow::Result;
use app_auth_tests::audit::lines;
use serde_json::{Value, json};
use uuid::Uuid;

use super::common::{
    PROVIDERS, STRATEGIES, everything, key_auth, on_both, one, openid_connect, provider, with, without, wrong,
};

/// The members that the server makes, taken out of a strategy.
fn given(strategy: &Value) -> Value {
    ["id", "created_at", "updated_at"].iter().fold(strategy.clone(), |rest, name| {
        assert!(rest[name].is_string(), "{strategy}");
        without(rest, &format!("/{name}"))
    })
}

#[tokio::test]
async fn given_nothing_when_a_key_auth_strategy_is_created_then_it_is_answered_with_exactly_its_members()
-> Result<()> {
    on_both(async |client| {
        let body = with(key_auth("keys"), "/labels", json!({"KONGCTL-namespace": "a", "team": "sales"}));
        let made = client.post(STRATEGIES, &body).await?.expect(201)?;
        let mut expected = with(body, "/active", json!(false));
        expected["dcr_provider"] = Value::Null;
        assert_eq!(given(&made.json()), expected);
        assert!(made.header("etag").starts_with('"'));
        let time = made.field("created_at")?;
        assert!(time.len() == 24 && time.ends_with('Z'), "{time}");
        assert_eq!(made.field("updated_at")?, time);

        // The least there can be, and an empty name for developers.
        for config in [json!({}), json!({"ttl": {"value": 1, "unit": "years"}})] {
            let body = json!({"name": "a", "display_name": "", "strategy_type": "key_auth",
                "configs": {"key-auth": config}});
            let made = client.post(STRATEGIES, &body).await?.expect(201)?.json();
            assert_eq!((&made["configs"]["key-auth"], &made["labels"]), (&config, &json!({})));
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_provider_when_openid_connect_strategies_are_created_then_they_show_it_and_what_was_given()
-> Result<()> {
    on_both(async |client| {
        let named = with(provider("okta", "ours"), "/display_name", json!("Ours"));
        for (provider, display_name) in [(named, true), (provider("http", "bridge"), false)] {
            let provider = client.post(PROVIDERS, &provider).await?.expect(201)?.json();
            let mut body = with(openid_connect("tokens"), "/dcr_provider_id", provider["id"].clone());
            // Whatever else the gateway's plugin takes.
            let config = &mut body["configs"]["openid-connect"];
            config["token_post_args_names"] = json!(["audience"]);
            config["token_post_args_values"] = json!(["https://api.example.com"]);
            config["cache_tokens"] = json!(false);
            config["leeway"] = json!(5);
            config["client_secret"] = json!(["hush"]);
            config["maximum_age"] = Value::Null;
            let made = client.post(STRATEGIES, &body).await?.expect(201)?;
            let mut expected = without(body, "/dcr_provider_id");
            expected["active"] = json!(false);
            expected["labels"] = json!({});
            expected["dcr_provider"] = json!({"id": provider["id"], "name": provider["name"],
                "provider_type": provider["provider_type"]});
            if display_name {
                expected["dcr_provider"]["display_name"] = json!("Ours");
            }
            assert_eq!(given(&made.json()), expected);
            let path = format!("{STRATEGIES}/{}", made.field("id")?);
            assert_eq!(client.get(&path).await?.expect(200)?.json(), made.json());
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_strategies_when_they_are_listed_then_all_are_there_as_each_is_by_itself() -> Result<()> {
    on_both(async |client| {
        let empty = client.get(STRATEGIES).await?.expect(200)?.json();
        assert_eq!(empty, json!({"data": [], "meta": {"page": {"number": 1, "size": 10, "total": 0}}}));

        let mut made = Vec::new();
        for body in [key_auth("b"), openid_connect("a"), key_auth("a")] {
            made.push(client.post(STRATEGIES, &body).await?.expect(201)?.json());
        }
        let page = client.get(STRATEGIES).await?.expect(200)?.json();
        let expected = json!({"data": made, "meta": {"page": {"number": 1, "size": 10, "total": 3}}});
        assert_eq!(page, expected);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_strategy_when_it_is_read_then_only_its_id_finds_it() -> Result<()> {
    on_both(async |client| {
        let made = client.post(STRATEGIES, &key_auth("keys")).await?.expect(201)?;
        let read = client.get(&format!("{STRATEGIES}/{}", made.field("id")?)).await?.expect(200)?;
        assert_eq!((read.json(), read.header("etag")), (made.json(), made.header("etag")));

        let missing = client.get(&format!("{STRATEGIES}/{}", Uuid::new_v4())).await?.expect(404)?;
        assert_eq!(missing.header("content-type"), "application/problem+json");
        assert_eq!(missing.json()["title"], "Not Found");
        let bad = client.get(&format!("{STRATEGIES}/keys")).await?;
        assert_eq!(wrong(&bad), [one("authStrategyId", "is_uuid", "path")]);

        let stranger = client.with_token(Some("nobody")).get(STRATEGIES).await?.expect(401)?;
        assert_eq!(stranger.json()["title"], "Unauthorized");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_strategy_when_it_is_replaced_then_nothing_of_what_it_was_is_left() -> Result<()> {
    on_both(async |client| {
        let body = with(key_auth("keys"), "/labels", json!({"team": "sales"}));
        let made = client.post(STRATEGIES, &body).await?.expect(201)?.json();
        let path = format!("{STRATEGIES}/{}", made["id"].as_str().unwrap_or_default());

        let provider = client.post(PROVIDERS, &provider("curity", "ours")).await?.expect(201)?.json();
        let whole = with(openid_connect("tokens"), "/dcr_provider_id", provider["id"].clone());
        let replaced = client.put(&path, &whole).await?.expect(201)?.json();
        let mut expected = without(whole.clone(), "/dcr_provider_id");
        expected["active"] = json!(false);
        expected["labels"] = json!({});
        expected["dcr_provider"] = json!({"id": provider["id"], "name": "ours", "provider_type": "curity"});
        assert_eq!(given(&replaced), expected);
        assert_eq!((&replaced["id"], &replaced["created_at"]), (&made["id"], &made["created_at"]));

        // Without the provider it has none.
        let bare = client.put(&path, &openid_connect("tokens")).await?.expect(201)?.json();
        assert_eq!(bare["dcr_provider"], Value::Null);
        assert_eq!(client.get(&path).await?.expect(200)?.json(), bare);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_no_strategy_of_an_id_when_one_is_put_there_then_it_is_created_with_that_id() -> Result<()> {
    on_both(async |client| {
        let id = Uuid::new_v4();
        let path = format!("{STRATEGIES}/{id}");
        let made = client.put(&path, &key_auth("keys")).await?.expect(201)?.json();
        assert_eq!(made["id"], json!(id));
        assert_eq!(client.get(&path).await?.expect(200)?.json(), made);
        let told = lines(client, &format!("entity=auth_strategy&entity_id={id}")).await?;
        assert_eq!(told.len(), 1);
        assert_eq!(told[0]["action"], "create");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_key_auth_strategy_when_it_is_changed_then_what_is_not_named_stays() -> Result<()> {
    on_both(async |client| {
        let body = with(key_auth("keys"), "/labels", json!({"team": "sales", "env": "test"}));
        let made = client.post(STRATEGIES, &body).await?.expect(201)?.json();
        let path = format!("{STRATEGIES}/{}", made["id"].as_str().unwrap_or_default());
        let (ttl, names) = (json!({"value": 2, "unit": "weeks"}), json!(["x-api-key"]));
        for (changes, pointer, expected) in [
            (json!({}), "/name", json!("keys")),
            (json!({"name": "other"}), "/name", json!("other")),
            (json!({"display_name": ""}), "/display_name", json!("")),
            (json!({"labels": {"team": null, "x": "y"}}), "/labels", json!({"env": "test", "x": "y"})),
            (json!({"labels": null}), "/labels", json!({"env": "test", "x": "y"})),
            (json!({"labels": {"never-there": null}}), "/labels", json!({"env": "test", "x": "y"})),
            (json!({"dcr_provider_id": null}), "/dcr_provider", Value::Null),
            (json!({"configs": {"key-auth": {"ttl": ttl}}}), "/configs/key-auth/key_names", names),
            (json!({"configs": {"key-auth": {"key_names": ["a", "B_2"]}}}), "/configs/key-auth/ttl", ttl),
            (json!({"configs": {"key-auth": {}}}), "/configs/key-auth/key_names", json!(["a", "B_2"])),
            (
                json!({"configs": {"key-auth": {"ttl": null}}}),
                "/configs",
                json!({"key-auth": {"key_names": ["a", "B_2"]}}),
            ),
        ] {
            let before = client.get(&path).await?.expect(200)?.json();
            let after = client.patch(&path, &changes).await?.expect(200)?.json();
            assert_eq!(after.pointer(pointer), Some(&expected), "{changes}");
            for (name, value) in before.as_object().into_iter().flatten() {
                let meant = changes.get(name).is_some() || name == "updated_at";
                assert!(meant || after[name] == *value, "{changes} changed {name}");
            }
            assert_ne!(after["updated_at"], before["updated_at"]);
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_an_openid_connect_strategy_when_it_is_changed_then_its_configuration_changes_member_by_member()
-> Result<()> {
    on_both(async |client| {
        let mut body = openid_connect("tokens");
        body["configs"]["openid-connect"]["leeway"] = json!(5);
        body["configs"]["openid-connect"]["client_secret"] = json!("hush");
        body["configs"]["openid-connect"]["own"] = json!({"deep": [1]});
        let made = client.post(STRATEGIES, &body).await?.expect(201)?.json();
        let path = format!("{STRATEGIES}/{}", made["id"].as_str().unwrap_or_default());
        let mut config = made["configs"]["openid-connect"].clone();
        for (changes, gone) in [
            (json!({"scopes": ["openid", "email"]}), vec![]),
            (json!({"leeway": null}), vec!["leeway"]),
            (json!({"client_secret": null, "issuer": "https://other.example.com/x"}), vec!["client_secret"]),
            (json!({"own": {"deep": [2]}, "more": true, "client_secret": "again"}), vec![]),
            (json!({"own": null, "never_there": null}), vec!["own", "never_there"]),
        ] {
            let body = json!({"configs": {"openid-connect": changes}});
            let after = client.patch(&path, &body).await?.expect(200)?.json();
            for (name, value) in changes.as_object().into_iter().flatten() {
                config[name] = value.clone();
            }
            let members = config.as_object_mut().into_iter().flat_map(|members| {
                members.retain(|name, _| !gone.contains(&name.as_str()));
                Vec::<()>::new()
            });
            assert_eq!(members.count(), 0);
            assert_eq!(after["configs"], json!({"openid-connect": config}), "{changes}");
        }

        let provider = client.post(PROVIDERS, &provider("auth0", "ours")).await?.expect(201)?.json();
        let with_provider =
            client.patch(&path, &json!({"dcr_provider_id": provider["id"]})).await?.expect(200)?;
        assert_eq!(with_provider.json()["dcr_provider"]["name"], "ours");
        let renamed = client.patch(&path, &json!({"name": "x"})).await?.expect(200)?;
        assert_eq!(renamed.json()["dcr_provider"]["name"], "ours");
        let bare = client.patch(&path, &json!({"dcr_provider_id": null})).await?.expect(200)?;
        assert_eq!(bare.json()["dcr_provider"], Value::Null);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_strategy_nobody_uses_when_it_is_deleted_then_it_is_gone() -> Result<()> {
    on_both(async |client| {
        let made = client.post(STRATEGIES, &openid_connect("tokens")).await?.expect(201)?;
        let kept = client.post(STRATEGIES, &key_auth("kept")).await?.expect(201)?.json();
        let path = format!("{STRATEGIES}/{}", made.field("id")?);
        let deleted = client.delete(&path).await?.expect(204)?;
        assert!(deleted.body.is_empty());
        for gone in
            [client.get(&path).await?, client.delete(&path).await?, client.patch(&path, &json!({})).await?]
        {
            assert_eq!(gone.status, 404, "{}", gone.text());
        }
        assert_eq!(everything(client).await?[0]["data"], json!([kept]));
        Ok(())
    })
    .await
}
