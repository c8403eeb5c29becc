//! The filter on Kong's services: there where a product version is served, and nowhere else.

use anyhow::{Context as _, Result};
use app_auth_tests::admin::Database;
use app_auth_tests::client::Client;
use app_auth_tests::kong_double::KongDouble;
use app_auth_tests::wait;
use serde_json::{Value, json};
use uuid::Uuid;

use super::common::{Pair, ask, wait_until_told};

/// A service that Kong has.
fn service(kong: &KongDouble, name: &str) -> Result<Uuid> {
    let id = Uuid::new_v4();
    let body = json!({"name": name, "protocol": "http", "host": "upstream.example.com", "port": 80});
    kong.put(&format!("/services/{id}"), &body)?;
    Ok(id)
}

/// A product version; answers its path.
async fn version(client: &Client, name: &str, service: Option<Uuid>) -> Result<String> {
    let product = client.post("/v2/api-products", &json!({"name": name})).await?.expect(201)?;
    let versions = format!("/v2/api-products/{}/product-versions", product.field("id")?);
    let gateway_service = service.map(|id| json!({"id": id, "control_plane_id": Uuid::new_v4()}));
    let body = json!({"name": "v1", "gateway_service": gateway_service});
    let body = if gateway_service.is_some() { body } else { json!({"name": "v1"}) };
    let made = client.post(&versions, &body).await?.expect(201)?;
    Ok(format!("{versions}/{}", made.field("id")?))
}

/// The filters that stand on a service: from plugins and from its chain.
fn filters(kong: &KongDouble, service: Uuid) -> Vec<Value> {
    let of_service = |entity: &&Value| entity["service"]["id"] == json!(service);
    let plugins: Vec<_> = kong.plugins().into_values().collect();
    let chains: Vec<_> = kong.filter_chains().into_values().collect();
    let plugins = plugins.iter().filter(of_service).cloned();
    let chained = chains.iter().filter(of_service).flat_map(|chain| chain["filters"].as_array().cloned());
    plugins.chain(chained.flatten()).collect()
}

fn names(filters: &[Value]) -> Vec<&str> {
    filters.iter().filter_map(|filter| filter["name"].as_str()).collect()
}

#[tokio::test]
async fn given_a_kong_when_a_version_is_linked_moved_and_unlinked_then_the_filter_goes_with_it() -> Result<()>
{
    for database in Database::BOTH {
        for kong_version in ["3.9.3", "3.8.0"] {
            println!("Kong {kong_version}");
            let pair = Pair::start(database).await?;
            pair.kong.set_version(kong_version);
            let (first, second) = (service(&pair.kong, "orders")?, service(&pair.kong, "billing")?);
            let client = pair.client();

            let path = version(client, "Orders", Some(first)).await?;
            pair.wait_until_told().await?;
            let there = filters(&pair.kong, first);
            assert_eq!(names(&there), ["app_auth"]);
            let config = &there[0]["config"];
            assert_eq!(config["admin_address"], pair.admin.address());
            let token = config["gateway_token"].as_str().context("a token")?;
            let feed =
                client.with_token(Some(token)).get("/gateway/v1/snapshot?streams=1&node=n&version=1").await?;
            assert_eq!(feed.status, 200, "the token in the configuration is good for the feed");
            assert_eq!(pair.kong.plugins().len(), usize::from(kong_version == "3.9.3"));

            let moved = json!({"gateway_service": {"id": second, "control_plane_id": Uuid::new_v4()}});
            client.patch(&path, &moved).await?.expect(200)?;
            pair.wait_until_told().await?;
            assert_eq!(filters(&pair.kong, first), [Value::Null; 0]);
            assert_eq!(names(&filters(&pair.kong, second)), ["app_auth"]);

            client.patch(&path, &json!({"gateway_service": null})).await?.expect(200)?;
            pair.wait_until_told().await?;
            assert_eq!(filters(&pair.kong, second), [Value::Null; 0]);

            client.patch(&path, &moved).await?.expect(200)?;
            pair.wait_until_told().await?;
            client.delete(&path).await?.expect(204)?;
            pair.wait_until_told().await?;
            assert_eq!(filters(&pair.kong, second), [Value::Null; 0]);
            assert!(!pair.admin.log().contains(token), "no token in the log");
        }
    }
    Ok(())
}

#[tokio::test]
async fn given_what_an_operator_attached_when_a_version_comes_and_goes_then_that_stays_as_it_was()
-> Result<()> {
    let pair = Pair::start_with(
        Database::Sqlite,
        KongDouble::start()?,
        &[
            ("APP_AUTH_KONG_ATTACH_AS", "filter-chain"),
            ("APP_AUTH_KONG_FILTER_ADMIN_ADDRESS", "admin.example.com:8005"),
        ],
    )
    .await?;
    let client = pair.client();

    // A chain of the operator's: the filter joins it, and leaves it again.
    let shared = service(&pair.kong, "shared")?;
    let chain = format!("/filter-chains/{}", Uuid::new_v4());
    let other = json!({"name": "other_filter", "enabled": true, "config": {"a": 1}});
    pair.kong.put(&chain, &json!({"service": {"id": shared}, "filters": [other]}))?;
    let path = version(client, "Shared", Some(shared)).await?;
    pair.wait_until_told().await?;
    let there = filters(&pair.kong, shared);
    assert_eq!(names(&there), ["other_filter", "app_auth"]);
    assert_eq!((&there[0], &there[1]["config"]["admin_address"]), (&other, &json!("admin.example.com:8005")));
    ask(client, "/kong/sync").await?.expect(202)?;
    pair.wait_until_told().await?;
    assert_eq!(names(&filters(&pair.kong, shared)), ["other_filter", "app_auth"], "told twice, there once");
    client.delete(&path).await?.expect(204)?;
    pair.wait_until_told().await?;
    assert_eq!(filters(&pair.kong, shared), [other]);

    // The filter itself, attached by hand: theirs, before and after.
    let by_hand = service(&pair.kong, "by hand")?;
    let config = json!({"admin_address": "admin:1", "gateway_token": "their-own-token"});
    let plugin = json!({"name": "app_auth", "service": {"id": by_hand}, "config": config});
    pair.kong.put(&format!("/plugins/{}", Uuid::new_v4()), &plugin)?;
    let path = version(client, "By hand", Some(by_hand)).await?;
    pair.wait_until_told().await?;
    let there = filters(&pair.kong, by_hand);
    assert_eq!((there.len(), &there[0]["config"]), (1, &config));
    client.delete(&path).await?.expect(204)?;
    pair.wait_until_told().await?;
    assert_eq!(filters(&pair.kong, by_hand), there);
    Ok(())
}

#[tokio::test]
async fn given_a_kong_that_is_away_or_lacks_the_service_when_a_version_is_linked_then_the_queue_says_so_and_goes_on()
-> Result<()> {
    let mut pair = Pair::start(Database::Sqlite).await?;
    let missing = Uuid::new_v4();
    version(pair.client(), "Early", Some(missing)).await?;
    wait::until("the queue to say what is wrong", async || {
        let left = pair.left().await?;
        Ok(left.len() == 1 && left[0]["error"].is_string())
    })
    .await?;
    let left = pair.left().await?;
    assert_eq!((&left[0]["target"], &left[0]["id"]), (&json!("filter"), &json!(missing)));
    assert_eq!(left[0].get("consumer"), None);
    pair.kong.put(&format!("/services/{missing}"), &json!({"name": "early"}))?;
    ask(pair.client(), &format!("/kong/sync/filter/{missing}")).await?.expect(202)?;
    pair.wait_until_told().await?;
    assert_eq!(names(&filters(&pair.kong, missing)), ["app_auth"]);

    let later = service(&pair.kong, "later")?;
    pair.kong.stop();
    version(pair.client(), "Later", Some(later)).await?;
    pair.admin.restart().await?;
    pair.kong.restart()?;
    wait_until_told(pair.client()).await?;
    assert_eq!(names(&filters(&pair.kong, later)), ["app_auth"]);
    Ok(())
}

#[tokio::test]
async fn given_a_kong_when_its_services_are_asked_for_then_they_are_choices_with_what_they_serve()
-> Result<()> {
    let mut pair = Pair::start(Database::Sqlite).await?;
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(service(&pair.kong, &format!("service-{number}"))?);
    }
    let path = version(pair.client(), "Orders", Some(ids[2])).await?;
    let registered = json!({"id": ids[3], "name": "registered"});
    pair.client().post("/services", &registered).await?.expect(201)?;

    let (mut seen, mut next) = (Vec::new(), "/kong/services?size=2".to_owned());
    loop {
        let page = pair.client().get(&next).await?.expect(200)?.json();
        seen.extend(page["data"].as_array().cloned().unwrap_or_default());
        match page["next"].as_str() {
            Some(path) => next = path.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen.len(), 5);
    for service in &seen {
        let id = Uuid::try_parse(service["id"].as_str().unwrap_or_default())?;
        let serves = if id == ids[2] { json!(path.rsplit('/').next()) } else { json!(null) };
        assert_eq!(service["product_version"], serves);
        assert_eq!(service["registered"], id == ids[2] || id == ids[3]);
        assert_eq!(service["host"], "upstream.example.com");
    }
    pair.client().get("/kong/services?size=0").await?.expect(400)?;
    pair.kong.stop();
    let away = pair.client().get("/kong/services").await?.expect(502)?;
    assert!(away.json()["message"].as_str().is_some_and(|message| !message.is_empty()));
    Ok(())
}

#[tokio::test]
async fn given_linked_services_when_the_command_line_is_asked_then_it_prints_what_a_kong_without_a_database_needs()
-> Result<()> {
    let pair = Pair::start(Database::Sqlite).await?;
    let orders = service(&pair.kong, "orders")?;
    version(pair.client(), "Orders", Some(orders)).await?;
    let printed = pair.admin.run(&["kong", "config", "--admin-address", "10.0.0.1:8005"])?;
    let token = pair.admin.gateway_token();
    for line in [
        "_format_version: \"3.0\"",
        "filter_chains:",
        &format!("  - service: {orders}"),
        "      - name: app_auth",
        "          admin_address: \"10.0.0.1:8005\"",
        &format!("          gateway_token: \"{token}\""),
    ] {
        assert!(printed.lines().any(|printed| printed == line), "{line} in\n{printed}");
    }
    let plugins = pair.admin.run(&["kong", "config", "--plugins"])?;
    assert!(plugins.contains(&format!("    service: {orders}")) && !plugins.contains("filter_chains"));
    assert!(plugins.contains(&format!("admin_address: \"{}\"", pair.admin.address())));
    Ok(())
}
