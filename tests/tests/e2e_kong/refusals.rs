//! Kong is there and refuses.

use anyhow::Result;
use app_auth_tests::admin::Database;
use app_auth_tests::wait;
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

use super::common::{ADA, Pair, ask, sync};

#[tokio::test]
async fn given_a_plugin_kong_refuses_when_applied_then_its_answer_is_passed_on_and_nothing_has_changed()
-> Result<()> {
    for database in Database::BOTH {
        let pair = Pair::start(database).await?;
        let client = pair.client();
        pair.developer("ada").await?.expect(200)?;
        let plugins = format!("{ADA}/plugins");

        let violation = |message: &str, fields: serde_json::Value| {
            let message = format!("schema violation ({message})");
            json!({"code": 2, "name": "schema violation", "message": message, "fields": fields})
        };
        let not_enabled = "plugin 'no-such' not enabled; add it to the 'plugins' configuration property";
        let none = "at least one of these fields must be non-empty: 'config.second', 'config.minute', \
            'config.hour', 'config.day', 'config.month', 'config.year'";
        for (body, answer) in [
            (
                json!({"name": "no-such"}),
                violation(&format!("name: {not_enabled}"), json!({"name": not_enabled})),
            ),
            (
                json!({"name": "proxy-cache", "config": {"strategy": "disk"}}),
                violation(
                    "config.strategy: expected one of: memory",
                    json!({"config": {"strategy": "expected one of: memory"}}),
                ),
            ),
            (
                json!({"name": "proxy-cache", "config": {"strategy": "memory", "cache_ttl": "60"}}),
                violation(
                    "config.cache_ttl: expected an integer",
                    json!({"config": {"cache_ttl": "expected an integer"}}),
                ),
            ),
            (json!({"name": "rate-limiting"}), violation(none, json!({"@entity": [none]}))),
            (
                json!({"name": "bot-detection"}),
                violation("consumer: value must be null", json!({"consumer": "value must be null"})),
            ),
        ] {
            let refused = client.post(&plugins, &body).await?;
            assert_eq!((refused.status, refused.json()), (400, answer), "{body}");
            assert_eq!(sync(&refused), "");
        }
        assert_eq!(client.get(&plugins).await?.json()["total"], 0);
        assert!(pair.kong.plugins().is_empty());
        assert_eq!(pair.left().await?, [json!(null); 0]);

        // A form is coerced by the plugin's schema; what does not fit is refused as it is.
        let form = [("name", "proxy-cache"), ("config.strategy", "memory"), ("config.cache_ttl", "soon")];
        let refused = client.send_form(Method::POST, &plugins, &form).await?.expect(400)?.json();
        assert_eq!(refused["fields"], json!({"config": {"cache_ttl": "expected an integer"}}));
        let unknown =
            client.send_form(Method::POST, &plugins, &[("name", "no-such"), ("config.a", "1")]).await?;
        assert_eq!(unknown.expect(400)?.json()["fields"], json!({"name": not_enabled}));
    }
    Ok(())
}

#[tokio::test]
async fn given_a_change_kong_refuses_when_sent_then_everything_is_as_it_was() -> Result<()> {
    for database in Database::BOTH {
        let pair = Pair::start(database).await?;
        let client = pair.client();
        pair.kong.put(
            &format!("/consumers/{}", Uuid::new_v4()),
            &json!({"username": "x", "custom_id": "taken"}),
        )?;
        pair.developer("ada").await?.expect(200)?;
        let plugin = format!("{ADA}/plugins/{}", pair.cache(ADA).await?.expect(201)?.field("id")?);
        let application = pair.application(ADA, "billing").await?.expect(201)?.field("id")?;
        let application = format!("{ADA}/applications/{application}");
        let (consumers, plugins) = (pair.kong.consumers(), pair.kong.plugins());

        let taken = json!({"code": 5, "name": "unique constraint violation", "fields": {"custom_id": "taken"},
            "message": "UNIQUE violation detected on '{custom_id=\"taken\"}'"});
        for path in [ADA, &application] {
            let before = client.get(path).await?.json();
            let refused = client.patch(path, &json!({"custom_id": "taken"})).await?;
            assert_eq!((refused.status, refused.json()), (409, taken.clone()), "{path}");
            assert_eq!(client.get(path).await?.json(), before);
        }
        let eva = json!({"email": "eva@example.com", "meta": {"full_name": "Eva"}, "custom_id": "taken"});
        assert_eq!(client.post("/developers", &eva).await?.expect(409)?.json(), taken);
        assert_eq!(client.get("/developers/eva@example.com").await?.status, 404);

        let before = client.get(&plugin).await?.json();
        client.patch(&plugin, &json!({"config": {"response_code": []}})).await?.expect(400)?;
        assert_eq!(client.get(&plugin).await?.json(), before);

        // What is wrong by our own rules, Kong is not asked about.
        pair.kong.take_calls();
        pair.cache(ADA).await?.expect(409)?;
        client.post(&format!("{ADA}/plugins"), &json!({"name": "key-auth"})).await?.expect(400)?;
        assert_eq!(pair.kong.take_calls(), []);
        assert_eq!((pair.kong.consumers(), pair.kong.plugins()), (consumers, plugins));
        assert_eq!(pair.left().await?, [json!(null); 0]);
    }
    Ok(())
}

#[tokio::test]
async fn given_something_kong_refuses_afterwards_when_looked_at_then_it_says_so_until_it_is_mended()
-> Result<()> {
    for database in Database::BOTH {
        let mut pair = Pair::start(database).await?;
        pair.developer("ada").await?.expect(200)?;
        pair.kong.stop();
        let body = json!({"name": "proxy-cache", "config": {"strategy": "disk"}});
        let made = pair.client().post(&format!("{ADA}/plugins"), &body).await?.expect(201)?;
        assert_eq!(sync(&made), "pending");
        let id = made.field("id")?;
        pair.kong.restart()?;
        ask(pair.client(), "/kong/sync").await?.expect(202)?;

        let refused = async || -> Result<Option<serde_json::Value>> {
            let list = pair.client().get("/kong/sync?state=refused").await?.expect(200)?.json();
            Ok((list["total"] == 1).then(|| list["data"][0].clone()))
        };
        let marker = wait::for_some("Kong's refusal", refused).await?;
        assert_eq!(
            (&marker["target"], &marker["id"], &marker["state"]),
            (&json!("plugin"), &json!(id), &json!("refused"))
        );
        assert_eq!(marker["error"], "schema violation (config.strategy: expected one of: memory)");
        assert_eq!(marker.get("next_at"), None);
        wait::until("the rest to be told", async || Ok(pair.left().await?.len() == 1)).await?;

        // Asking for it has it tried once more, to the same end.
        let retried = ask(pair.client(), &format!("/kong/sync/plugin/{id}")).await?.expect(202)?;
        assert_eq!(retried.json()["state"], "pending");
        wait::for_some("Kong's refusal again", refused).await?;
        for path in [
            format!("/kong/sync/plugin/{}", Uuid::new_v4()),
            format!("/kong/sync/route/{id}"),
            "/kong/sync/plugin/x".into(),
        ] {
            assert_eq!(ask(pair.client(), &path).await?.status, 404, "{path}");
        }
        let metrics = pair.client().get("/metrics").await?.text();
        assert!(metrics.contains("app_auth_admin_kong_refused 1"), "{metrics}");
        assert!(metrics.contains("app_auth_admin_kong_calls_total{outcome=\"refused\"}"), "{metrics}");

        let body = json!({"config": {"strategy": "memory"}});
        let mended = pair.client().patch(&format!("{ADA}/plugins/{id}"), &body).await?.expect(200)?;
        assert_eq!(sync(&mended), "applied");
        assert_eq!(pair.left().await?, [json!(null); 0]);
        assert_eq!(pair.kong.plugins().len(), 1);
        let bad = pair.client().get("/kong/sync?state=lost").await?;
        assert_eq!((bad.status, &bad.json()["code"]), (400, &json!(11)));
    }
    Ok(())
}
