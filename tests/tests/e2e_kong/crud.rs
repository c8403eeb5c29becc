//! Kong is there and agrees.

use anyhow::Result;
use app_auth_tests::admin::{Admin, Database, Settings, new_token};
use app_auth_tests::kong_double::KongDouble;
use app_auth_tests::{ports, wait};
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

use super::common::{ADA, Pair, ask, sync, wait_until_told};

#[tokio::test]
async fn given_a_kong_when_developers_and_applications_come_change_and_go_then_its_consumers_do() -> Result<()>
{
    for database in Database::BOTH {
        let pair = Pair::start(database).await?;
        let client = pair.client();

        let ada = pair.developer("ada").await?.expect(200)?;
        assert_eq!(sync(&ada), "applied");
        let id = Uuid::try_parse(ada.json()["consumer"]["id"].as_str().unwrap_or_default())?;
        let consumer = pair.kong.consumers()[&id].clone();
        assert_eq!(
            (&consumer["username"], &consumer["custom_id"], &consumer["tags"]),
            (&json!("developer:ada@example.com"), &json!(null), &json!(["app_auth"]))
        );

        let application = pair.application(ADA, "billing").await?.expect(201)?;
        assert_eq!(sync(&application), "applied");
        let path = format!("{ADA}/applications/{}", application.field("id")?);
        let changed = client.patch(&path, &json!({"custom_id": "c-1"})).await?.expect(200)?;
        assert_eq!(sync(&changed), "applied");
        let username = format!("application:{}", application.field("id")?);
        assert_eq!(pair.kong.usernames(), [username.as_str(), "developer:ada@example.com"]);
        let custom_ids = pair.kong.consumers().into_values().map(|consumer| consumer["custom_id"].clone());
        assert_eq!(custom_ids.filter(|id| !id.is_null()).collect::<Vec<_>>(), [json!("c-1")]);

        // What Kong does not see, it is not told of.
        pair.kong.take_calls();
        for (path, body) in [(ADA, json!({"status": 3})), (path.as_str(), json!({"name": "renamed"}))] {
            assert_eq!(sync(&client.patch(path, &body).await?.expect(200)?), "");
        }
        assert_eq!(pair.kong.take_calls(), []);

        let renamed = client.patch(ADA, &json!({"email": "Eva@example.com"})).await?.expect(200)?;
        assert_eq!(sync(&renamed), "applied");
        assert_eq!(pair.kong.usernames(), [username.as_str(), "developer:eva@example.com"]);

        let path = path.replace("ada@", "eva@");
        assert_eq!(sync(&client.delete(&path).await?.expect(204)?), "applied");
        assert_eq!(pair.kong.usernames(), ["developer:eva@example.com"]);
        assert_eq!(sync(&client.delete("/developers/eva@example.com").await?.expect(204)?), "applied");
        assert_eq!(pair.kong.usernames(), [""; 0]);
        assert_eq!(pair.left().await?, [json!(null); 0]);
    }
    Ok(())
}

#[tokio::test]
async fn given_a_kong_when_plugins_come_change_and_go_then_its_plugins_do_with_kongs_defaults() -> Result<()>
{
    for database in Database::BOTH {
        let pair = Pair::start(database).await?;
        let client = pair.client();
        let consumer = pair.developer("ada").await?.expect(200)?.json()["consumer"].clone();
        let plugins = format!("{ADA}/plugins");

        // As the reference page has it: a form whose values are all text.
        let form = [("name", "proxy-cache"), ("config.strategy", "memory"), ("config.cache_ttl", "60")];
        let made = client.send_form(Method::POST, &plugins, &form).await?.expect(201)?;
        assert_eq!(sync(&made), "applied");
        let path = format!("{plugins}/{}", made.field("id")?);
        let body = made.json();
        assert_eq!(body["consumer"], consumer);
        assert_eq!(body["protocols"], json!(["grpc", "grpcs", "http", "https"]));
        assert_eq!(body["config"]["cache_ttl"], 60);
        assert_eq!(body["config"]["response_code"], json!([200, 301, 404]), "Kong's default");
        assert_eq!(body["config"]["memory"], json!({"dictionary_name": "kong_db_cache"}));
        assert_eq!(client.get(&path).await?.json(), body);
        let id = Uuid::try_parse(&made.field("id")?)?;
        assert_eq!(pair.kong.plugins()[&id]["consumer"], consumer);
        assert_eq!(pair.kong.plugins()[&id]["config"], body["config"]);

        // As httpie writes it, and as a form: what is not given stays.
        let codes = json!({"config.response_code": [200, 301, 400, 404]});
        let changed = client.patch(&path, &codes).await?.expect(200)?;
        assert_eq!(sync(&changed), "applied");
        let config = changed.json()["config"].clone();
        assert_eq!(
            (&config["response_code"], &config["cache_ttl"]),
            (&json!([200, 301, 400, 404]), &json!(60))
        );
        let form =
            [("config.cache_control", "true"), ("config.vary_headers", "accept"), ("enabled", "false")];
        let changed = client.send_form(Method::PATCH, &path, &form).await?.expect(200)?.json();
        assert_eq!(
            (&changed["config"]["cache_control"], &changed["config"]["vary_headers"], &changed["enabled"]),
            (&json!(true), &json!(["accept"]), &json!(false))
        );
        assert_eq!(changed["config"]["response_code"], json!([200, 301, 400, 404]));
        // Null unsets: Kong's default holds again.
        let changed = client.patch(&path, &json!({"config": {"cache_ttl": null}})).await?.expect(200)?;
        assert_eq!(changed.json()["config"]["cache_ttl"], 300);
        assert_eq!(pair.kong.plugins()[&id]["config"], changed.json()["config"]);
        assert_eq!(pair.kong.plugins()[&id]["enabled"], false);

        assert_eq!(sync(&client.delete(&path).await?.expect(204)?), "applied");
        assert!(pair.kong.plugins().is_empty());
        assert_eq!(pair.left().await?, [json!(null); 0]);
    }
    Ok(())
}

#[tokio::test]
async fn given_a_developer_with_everything_when_deleted_then_nothing_is_left_in_kong() -> Result<()> {
    for (database, applications) in [(Database::Sqlite, 2), (Database::Postgres, 12)] {
        let pair = Pair::start(database).await?;
        pair.kong.put(&format!("/consumers/{}", Uuid::new_v4()), &json!({"username": "the operator's"}))?;
        pair.developer("ada").await?.expect(200)?;
        for number in 0..applications {
            pair.application(ADA, &format!("application {number}")).await?.expect(201)?;
        }
        pair.cache(ADA).await?.expect(201)?;
        assert_eq!((pair.kong.consumers().len(), pair.kong.plugins().len()), (applications + 2, 1));

        pair.client().delete(ADA).await?.expect(204)?;

        pair.wait_until_told().await?;
        assert_eq!(pair.kong.usernames(), ["the operator's"]);
        assert!(pair.kong.plugins().is_empty());
    }
    Ok(())
}

#[tokio::test]
async fn given_a_kong_behind_a_path_and_a_token_when_told_then_it_listens() -> Result<()> {
    let token = new_token();
    let kong = KongDouble::start_behind("/kong-admin", &token)?;
    let pair = Pair::start_with(Database::Sqlite, kong, &[("APP_AUTH_KONG_ADMIN_TOKEN", &token)]).await?;

    assert_eq!(sync(&pair.developer("ada").await?.expect(200)?), "applied");
    assert_eq!(pair.kong.usernames(), ["developer:ada@example.com"]);
    assert!(!pair.admin.log().contains(&token));
    Ok(())
}

#[tokio::test]
async fn given_a_kong_that_lost_its_database_when_a_pass_is_asked_for_then_it_has_everything_again()
-> Result<()> {
    let pair = Pair::start(Database::Sqlite).await?;
    for number in 0..100 {
        pair.developer(&format!("developer-{number}")).await?.expect(200)?;
    }
    pair.cache("/developers/developer-7@example.com").await?.expect(201)?;
    let (consumers, plugins) = (pair.kong.usernames(), pair.kong.plugins());
    assert_eq!(consumers.len(), 100);
    pair.kong.forget();

    let begun = ask(pair.client(), "/kong/sync").await?.expect(202)?;

    assert_eq!(begun.json(), json!({"marked": 101}));
    pair.wait_until_told().await?;
    assert_eq!(pair.kong.usernames(), consumers);
    assert!(pair.kong.plugins().keys().eq(plugins.keys()));
    assert_eq!(pair.kong.take_calls().iter().filter(|call| call.status != 200).count(), 0);
    Ok(())
}

#[tokio::test]
async fn given_developers_from_before_when_a_kong_is_followed_then_it_is_told_of_them() -> Result<()> {
    let (folder, kong) = (tempfile::tempdir()?, KongDouble::start()?);
    let mut settings = Settings {
        port: ports::free()?,
        data: folder.path().join("data"),
        database_url: None,
        admin_token: new_token(),
        gateway_token: new_token(),
        log: folder.path().join("log"),
        environment: Vec::new(),
    };
    let before = Admin::start_from(settings.clone()).await?;
    let ada = json!({"email": "ada@example.com", "meta": {"full_name": "Ada"}});
    assert_eq!(sync(&before.client().post("/developers", &ada).await?.expect(200)?), "");
    let limit = json!({"name": "rate-limiting", "config": {"minute": 5}});
    before.client().post(&format!("{ADA}/plugins"), &limit).await?.expect(201)?;
    for (path, status) in [("/kong/sync", 200), ("/kong/sync?state=refused", 200)] {
        assert_eq!(before.client().get(path).await?.expect(status)?.json()["total"], 0);
    }
    let none = json!({"message": "No Kong follows: kong_admin_url is not set"});
    assert_eq!(ask(before.client(), "/kong/sync").await?.expect(404)?.json(), none);
    drop(before);

    settings.environment = vec![("APP_AUTH_KONG_ADMIN_URL".into(), kong.url())];
    let after = Admin::start_from(settings).await?;

    wait::until("the plugin", async || Ok(kong.plugins().len() == 1)).await?;
    wait_until_told(after.client()).await?;
    assert_eq!(kong.usernames(), ["developer:ada@example.com"]);
    let listed = after.client().get(&format!("{ADA}/plugins")).await?.json();
    assert_eq!(listed["data"][0]["config"]["policy"], "local", "Kong's defaults are known now");
    Ok(())
}
