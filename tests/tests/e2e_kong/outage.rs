//! Kong is away, in every way a Kong can be, and comes back.

use std::time::Duration;

use anyhow::Result;
use app_auth_tests::admin::{Database, new_token};
use app_auth_tests::kong_double::{Fault, KongDouble};
use app_auth_tests::wait;
use reqwest::Method;
use serde_json::json;

use super::common::{ADA, Pair, sync};

#[tokio::test]
async fn given_a_kong_that_is_away_when_things_are_made_then_they_are_made_and_kong_gets_them_in_order()
-> Result<()> {
    for database in Database::BOTH {
        let mut pair = Pair::start(database).await?;
        pair.kong.stop();

        let ada = pair.developer("ada").await?.expect(200)?;
        let application = pair.application(ADA, "billing").await?.expect(201)?;
        let form = [("name", "proxy-cache"), ("config.strategy", "memory"), ("config.cache_ttl", "60")];
        let plugins = format!("{ADA}/plugins");
        let plugin = pair.client().send_form(Method::POST, &plugins, &form).await?.expect(201)?;
        for answer in [&ada, &application, &plugin] {
            assert_eq!(sync(answer), "pending");
        }
        assert_eq!(pair.client().get(&plugins).await?.json()["data"], json!([plugin.json()]));
        let left = pair.left().await?;
        let mut targets: Vec<_> =
            left.iter().map(|marker| marker["target"].as_str().unwrap_or_default()).collect();
        targets.sort_unstable();
        assert_eq!(targets, ["consumer", "consumer", "plugin"]);
        for marker in &left {
            assert_eq!(marker["state"], "pending");
            assert!(marker["attempts"].as_u64() > Some(0) && marker["error"].is_string(), "{marker}");
            assert!(marker["next_at"].is_i64(), "{marker}");
        }
        let page = pair.client().get("/kong/sync?size=2&state=pending").await?.json();
        assert_eq!((page["data"].as_array().map(Vec::len), &page["total"]), (Some(2), &json!(3)));
        let rest = pair.client().get(page["next"].as_str().unwrap_or_default()).await?.json();
        assert_eq!((rest["data"].as_array().map(Vec::len), &rest["next"]), (Some(1), &json!(null)));
        let metrics = pair.client().get("/metrics").await?.text();
        assert!(metrics.contains("app_auth_admin_kong_pending 3"), "{metrics}");

        pair.kong.restart()?;
        pair.wait_until_told().await?;

        assert_eq!((pair.kong.consumers().len(), pair.kong.plugins().len()), (2, 1));
        let calls = pair.kong.take_calls();
        let place = |path: &str| calls.iter().position(|call| call.path == path && call.status == 200);
        let consumer = format!("/consumers/{}", ada.json()["consumer"]["id"].as_str().unwrap_or_default());
        let told = place(&format!("/plugins/{}", plugin.field("id")?));
        assert!(place(&consumer).is_some() && place(&consumer) < told, "{calls:?}");
        // What Kong made of it is known now.
        let shown = pair.client().get(&format!("{plugins}/{}", plugin.field("id")?)).await?.json();
        assert_eq!(shown["config"]["cache_ttl"], 60);
        assert_eq!(shown["config"]["response_code"], json!([200, 301, 404]));
        assert_eq!(pair.admin.log().matches("Kong is away").count(), 1, "{}", pair.admin.log());
        assert_eq!(pair.admin.log().matches("Kong is back").count(), 1, "{}", pair.admin.log());
    }
    Ok(())
}

#[tokio::test]
async fn given_any_fault_of_kong_when_things_change_then_they_are_pending_and_right_once_it_is_over()
-> Result<()> {
    let faults = [
        (Fault::Status(500), "Kong cannot answer now: 500"),
        (Fault::Status(503), "Kong cannot answer now: 503"),
        (Fault::Status(429), "Kong cannot answer now: 429"),
        (Fault::Hang, "no answer in time"),
        (Fault::ApplyAndHang, "no answer in time"),
        (Fault::ApplyAndCut, ""),
        (Fault::Slow(Duration::from_secs(20)), "no answer in time"),
        (Fault::Html, "no Kong Admin API"),
        (Fault::Proxy, "Kong's proxy"),
    ];
    for (fault, error) in faults {
        println!("{fault:?}");
        let kong = KongDouble::start()?;
        let pair = Pair::start_with(Database::Sqlite, kong, &[("APP_AUTH_KONG_TIMEOUT", "300")]).await?;
        let client = pair.client();
        pair.developer("ada").await?.expect(200)?;
        pair.developer("eva").await?.expect(200)?;
        let plugin = format!("{ADA}/plugins/{}", pair.cache(ADA).await?.expect(201)?.field("id")?);

        pair.kong.set_fault(fault);
        let answers = [
            pair.developer("ida").await?.expect(200)?,
            client.patch(&plugin, &json!({"config": {"cache_ttl": 7}})).await?.expect(200)?,
            client.delete("/developers/eva@example.com").await?.expect(204)?,
        ];
        for answer in &answers {
            assert_eq!(sync(answer), "pending");
        }
        assert_eq!(client.get(&plugin).await?.json()["config"]["cache_ttl"], 7);
        let told = pair
            .left()
            .await?
            .iter()
            .any(|marker| marker["error"].as_str().is_some_and(|said| said.contains(error)));
        assert!(told, "{:?}", pair.left().await?);

        pair.kong.set_fault(Fault::None);
        pair.wait_until_told().await?;
        assert_eq!(pair.kong.usernames(), ["developer:ada@example.com", "developer:ida@example.com"]);
        let configs: Vec<_> =
            pair.kong.plugins().into_values().map(|plugin| plugin["config"]["cache_ttl"].clone()).collect();
        assert_eq!(configs, [json!(7)]);
    }
    Ok(())
}

#[tokio::test]
async fn given_a_token_kong_does_not_take_when_told_then_the_reason_is_visible_and_the_token_is_not()
-> Result<()> {
    let (right, wrong) = (new_token(), new_token());
    let kong = KongDouble::start_behind("", &right)?;
    let pair = Pair::start_with(Database::Sqlite, kong, &[("APP_AUTH_KONG_ADMIN_TOKEN", &wrong)]).await?;

    let ada = pair.developer("ada").await?.expect(200)?;

    assert_eq!(sync(&ada), "pending");
    let error = pair.left().await?[0]["error"].to_string();
    assert!(error.contains("Kong does not accept kong_admin_token"), "{error}");
    wait::until("a line in the log", async || Ok(pair.admin.log().contains("Kong is away"))).await?;
    assert!(!pair.admin.log().contains(&wrong) && !error.contains(&wrong));
    Ok(())
}

#[tokio::test]
async fn given_a_developer_made_and_deleted_while_kong_is_away_when_it_is_back_then_it_never_hears_of_them()
-> Result<()> {
    let mut pair = Pair::start(Database::Sqlite).await?;
    pair.developer("eva").await?.expect(200)?;
    pair.kong.stop();
    pair.developer("ada").await?.expect(200)?;
    pair.cache(ADA).await?.expect(201)?;
    assert_eq!(sync(&pair.client().delete(ADA).await?.expect(204)?), "pending");
    // And the name of one who went can be taken by one who comes.
    pair.client().delete("/developers/eva@example.com").await?.expect(204)?;
    let eva = pair.developer("eva").await?.expect(200)?.json();
    pair.kong.take_calls();

    pair.kong.restart()?;
    pair.wait_until_told().await?;

    assert_eq!(pair.kong.usernames(), ["developer:eva@example.com"]);
    let there: Vec<_> = pair.kong.consumers().keys().map(|id| json!({"id": id})).collect();
    assert_eq!(there, [eva["consumer"].clone()]);
    assert!(pair.kong.plugins().is_empty());
    Ok(())
}

#[tokio::test]
async fn given_an_admin_extension_that_stops_while_kong_is_away_when_both_are_back_then_kong_is_told()
-> Result<()> {
    for database in Database::BOTH {
        let mut pair = Pair::start(database).await?;
        pair.kong.stop();
        pair.developer("ada").await?.expect(200)?;
        pair.cache(ADA).await?.expect(201)?;
        pair.admin.kill();
        pair.kong.restart()?;

        pair.admin.restart().await?;

        pair.wait_until_told().await?;
        assert_eq!((pair.kong.consumers().len(), pair.kong.plugins().len()), (1, 1));
    }
    Ok(())
}
