//! `/developers/{developer}/plugins`, where no Kong follows: stored and served.

use anyhow::Result;
use app_auth_tests::client::Client;
use serde_json::{Value, json};

use super::common::{on_both, shape, violations};

const PLUGINS: &str = "/developers/example@example.com/plugins";

async fn developer(client: &Client, email: &str) -> Result<Value> {
    let body = json!({"email": email, "meta": {"full_name": "Wally"}});
    Ok(client.post("/developers", &body).await?.expect(200)?.json())
}

#[tokio::test]
async fn given_a_plugin_when_changed_then_records_are_merged_lists_replaced_and_null_unsets() -> Result<()> {
    on_both(async |client| {
        developer(client, "example@example.com").await?;
        let body = json!({"name": "rate-limiting", "instance_name": "mine", "enabled": false, "tags": ["a"],
            "protocols": ["http"], "config": {"minute": 5, "redis": {"host": "h", "port": 1}, "list": [1, 2]}});
        let made = client.post(PLUGINS, &body).await?.expect(201)?;
        let path = format!("{PLUGINS}/mine");
        assert_eq!(client.get(&path).await?.expect(200)?.json(), made.json());

        let wanted = json!({"config": {"minute": null, "redis": {"port": 2}, "list": [3]}, "enabled": true});
        let changed = client.patch(&path, &wanted).await?.expect(200)?.json();
        assert_eq!(changed["config"], json!({"redis": {"host": "h", "port": 2}, "list": [3]}));
        assert_eq!(
            (&changed["enabled"], &changed["tags"], &changed["protocols"]),
            (&json!(true), &json!(["a"]), &json!(["http"]))
        );
        // What was read can be sent back; what is unset has its default again.
        assert_eq!(client.patch(&path, &changed).await?.expect(200)?.json()["config"], changed["config"]);
        let unset = json!({"protocols": null, "tags": null, "instance_name": null, "config": null});
        let unset = client.patch(&path, &unset).await?.expect(200)?.json();
        assert_eq!(
            (&unset["protocols"], &unset["config"]),
            (&json!(["grpc", "grpcs", "http", "https"]), &json!({}))
        );
        assert_eq!((unset.get("tags"), unset.get("instance_name")), (None, None));
        assert_eq!(client.get(&path).await?.status, 404, "the name is free");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_plugin_that_cannot_be_when_sent_then_it_is_refused_and_nothing_has_changed() -> Result<()> {
    on_both(async |client| {
        developer(client, "example@example.com").await?;
        let long = "x".repeat(65_536);
        let missing = "required field missing";
        for (body, fields) in [
            (json!({}), json!({"name": missing})),
            (json!({"name": null, "enabled": "true"}), json!({"name": missing, "enabled": "expected a boolean"})),
            (json!({"name": 7}), json!({"name": "expected a string"})),
            (json!({"name": "a", "config": []}), json!({"config": "expected a record"})),
            (json!({"name": "a", "config": {"a": long}}), json!({"config": "length must be at most 65536"})),
            (json!({"name": "a", "config": {"a": "\0"}}), json!({"config": "must not contain a NUL character"})),
            (
                json!({"name": "a", "protocols": ["smtp"]}),
                json!({"protocols": ["expected one of: grpc, grpcs, http, https, tcp, tls, tls_passthrough, udp, ws, wss"]}),
            ),
            (json!({"name": "a", "route": {"id": "x"}}), json!({"route": "unknown field"})),
            (json!({"name": "a", "consumer": {"id": "x"}}), json!({"consumer": "read-only field cannot be set"})),
            (
                json!({"name": "a", "instance_name": "212a758a-810b-4226-9175-b1b44eecebec"}),
                json!({"instance_name": "must not be a UUID"}),
            ),
        ] {
            assert_eq!(violations(&client.post(PLUGINS, &body).await?), fields);
        }
        for name in ["key-auth", "basic-auth", "oauth2", "jwt", "hmac-auth", "openid-connect", "acl", "ldap-auth"] {
            let refused = client.post(PLUGINS, &json!({"name": name})).await?;
            assert_eq!(violations(&refused), json!({"consumer": "value must be null"}), "{name}");
        }
        assert_eq!(client.get(PLUGINS).await?.json()["total"], 0);

        let made = client.post(PLUGINS, &json!({"name": "proxy-cache"})).await?.expect(201)?;
        let path = format!("{PLUGINS}/{}", made.field("id")?);
        let refused = client.patch(&path, &json!({"name": "cors", "config": {"a": long}})).await?;
        let immutable = "immutable field cannot be updated";
        assert_eq!(violations(&refused), json!({"name": immutable, "config": "length must be at most 65536"}));
        // Half and half are too much together.
        let half = "x".repeat(40_000);
        client.patch(&path, &json!({"config": {"a": half}})).await?.expect(200)?;
        let refused = client.patch(&path, &json!({"config": {"b": half}})).await?;
        assert_eq!(violations(&refused), json!({"config": "length must be at most 65536"}));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_developers_plugin_when_made_again_or_looked_for_elsewhere_then_there_is_none() -> Result<()>
{
    on_both(async |client| {
        developer(client, "example@example.com").await?;
        developer(client, "other@example.com").await?;
        let body = json!({"name": "proxy-cache", "instance_name": "cache"});
        let id = client.post(PLUGINS, &body).await?.expect(201)?.field("id")?;

        let again = client.post(PLUGINS, &json!({"name": "proxy-cache"})).await?;
        insta::assert_json_snapshot!("plugin_taken", shape(&again));
        let other = "/developers/other@example.com/plugins";
        let taken = client.post(other, &body).await?.expect(409)?.json();
        assert_eq!(taken["fields"], json!({"instance_name": "cache"}));
        client.post(other, &json!({"name": "proxy-cache"})).await?.expect(201)?;

        for path in [
            format!("{other}/{id}"),
            format!("{other}/cache"),
            format!("{PLUGINS}/x"),
            "/developers/x@example.com/plugins".into(),
        ] {
            assert_eq!(client.get(&path).await?.status, 404, "{path}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_many_plugins_when_listed_then_they_come_in_pages_and_have_a_limit() -> Result<()> {
    on_both(async |client| {
        developer(client, "example@example.com").await?;
        for number in 0..100 {
            client.post(PLUGINS, &json!({"name": format!("plugin-{number}")})).await?.expect(201)?;
        }
        let refused = client.post(PLUGINS, &json!({"name": "one-more"})).await?;
        assert_eq!(violations(&refused), json!({"@entity": ["at most 100 plugins are allowed"]}));

        let (mut path, mut names) = (format!("{PLUGINS}?size=40"), Vec::new());
        loop {
            let page = client.get(&path).await?.expect(200)?.json();
            assert_eq!(page["total"], 100);
            names.extend(page["data"].as_array().into_iter().flatten().map(|plugin| plugin["name"].clone()));
            match page["next"].as_str() {
                Some(next) => path = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(names, (0..100).map(|number| json!(format!("plugin-{number}"))).collect::<Vec<_>>());
        Ok(())
    })
    .await
}
