//! Strategy → product version → gateway service → connection: each link of the chain changes what the gateway does, at once.

use anyhow::Result;
use app_auth_tests::admin::Database;
use app_auth_tests::products::{DEFAULT_PORTAL, Products, gateway_service};
use app_auth_tests::scene::{Outcome, Scene};
use serde_json::json;

use super::stage::Stage;

const NO_KEY: &str = "No API key found in request";
const UNKNOWN_KEY: &str = "Unauthorized";

#[tokio::test]
async fn given_an_application_when_the_chain_is_built_link_by_link_then_the_last_link_lets_it_through()
-> Result<()> {
    let scene = Scene::start(Database::Sqlite).await?;
    let products = Products::new(scene.admin.client()).waiting(30);
    let strategy = products.strategy(&["x-partner-key", "x-key"]).await?;
    let application = products.application(DEFAULT_PORTAL, json!({"auth_strategy_id": strategy})).await?;
    let key = products.key(&application).await?;
    let call = async |header: &str| {
        let request = scene.client().request(reqwest::Method::GET, "/").header(header, &key);
        anyhow::Ok(Outcome::of(&app_auth_tests::client::send(request).await?))
    };
    let nobody = Outcome::unauthorized(UNKNOWN_KEY);
    assert_eq!(call("apikey").await?, nobody, "the service stands by itself and does not know the key");

    let version = products.version("Orders", Some(scene.service())).await?;
    assert_eq!(call("apikey").await?, nobody, "a version without a strategy is its service by itself");
    products.offer(DEFAULT_PORTAL, &version, Some(&strategy), json!({})).await?;
    assert_eq!(call("apikey").await?, Outcome::unauthorized(NO_KEY), "its header is another");
    for header in ["x-partner-key", "x-key"] {
        assert_eq!(call(header).await?, Outcome::forbidden("no_connection"), "{header}");
    }
    let registration = products.register(&application, &version, None).await?;
    assert_eq!(call("x-key").await?, Outcome::forbidden("pending"));
    products.patch(&registration, &json!({"status": "approved"})).await?.expect(200)?;
    for header in ["x-partner-key", "x-key"] {
        assert_eq!(call(header).await?, Outcome::allowed(), "{header}");
    }
    Ok(())
}

#[tokio::test]
async fn given_two_services_with_different_strategies_when_called_then_each_has_its_own_headers_and_keys()
-> Result<()> {
    let services = [("orders", "/orders", json!({})), ("bills", "/bills", json!({}))];
    let scene = Scene::with_services(Database::Sqlite, &services).await?;
    let products = Products::new(scene.admin.client()).waiting(30);
    let mut keys = Vec::new();
    for (name, header) in [("orders", "x-orders"), ("bills", "x-bills")] {
        let strategy = products.strategy(&[header]).await?;
        let version = products.version(name, Some(scene.service_named(name)?)).await?;
        products.offer(DEFAULT_PORTAL, &version, Some(&strategy), json!({})).await?;
        let application = products.application(DEFAULT_PORTAL, json!({"auth_strategy_id": strategy})).await?;
        products.register(&application, &version, Some("approved")).await?;
        keys.push(products.key(&application).await?);
    }
    let stage = async |path: &str, header: &str, key: &str| {
        let request = scene.client().request(reqwest::Method::GET, path).header(header, key);
        anyhow::Ok(Outcome::of(&app_auth_tests::client::send(request).await?))
    };

    assert_eq!(stage("/orders", "x-orders", &keys[0]).await?, Outcome::allowed());
    assert_eq!(stage("/bills", "x-bills", &keys[1]).await?, Outcome::allowed());
    assert_eq!(stage("/orders", "x-bills", &keys[0]).await?, Outcome::unauthorized(NO_KEY));
    assert_eq!(stage("/orders", "x-orders", &keys[1]).await?, Outcome::unauthorized(UNKNOWN_KEY));
    assert_eq!(stage("/bills", "x-bills", &keys[0]).await?, Outcome::unauthorized(UNKNOWN_KEY));
    Ok(())
}

#[tokio::test]
async fn given_several_portals_with_strategies_of_their_own_when_called_then_applications_of_each_get_through()
-> Result<()> {
    let stage = Stage::start().await?;
    let products = &stage.products;
    let partners = products.portal(json!({})).await?;
    let other = products.strategy(&["x-partner"]).await?;
    products.offer(&partners, &stage.version, Some(&other), json!({})).await?;
    let ours = products.application(DEFAULT_PORTAL, json!({"auth_strategy_id": stage.strategy})).await?;
    let theirs = products.application(&partners, json!({"auth_strategy_id": other})).await?;
    let (our_key, their_key) = (products.key(&ours).await?, products.key(&theirs).await?);
    for application in [&ours, &theirs] {
        products.register(application, &stage.version, Some("approved")).await?;
    }
    let of = async |header: &str, key: &str| anyhow::Ok(Outcome::of(&stage.call("/", header, key).await?));

    assert_eq!(of("x-api-key", &our_key).await?, Outcome::allowed());
    assert_eq!(of("x-partner", &their_key).await?, Outcome::allowed());
    assert_eq!(of("x-partner", &our_key).await?, Outcome::unauthorized(UNKNOWN_KEY));

    products.delete(&format!("/v2/portals/{partners}?force=true")).await?.expect(204)?;
    assert_eq!(of("x-partner", &their_key).await?, Outcome::unauthorized(NO_KEY), "its strategy is gone");
    assert_eq!(of("x-api-key", &our_key).await?, Outcome::allowed());
    Ok(())
}

#[tokio::test]
async fn given_a_version_when_its_strategy_is_switched_then_the_new_one_is_in_force_at_once() -> Result<()> {
    let stage = Stage::start().await?;
    let products = &stage.products;
    let application =
        products.application(DEFAULT_PORTAL, json!({"auth_strategy_id": stage.strategy})).await?;
    let key = products.key(&application).await?;
    products.register(&application, &stage.version, Some("approved")).await?;
    let in_portal = stage.version.path_in(DEFAULT_PORTAL);
    let other = products.strategy(&["x-other"]).await?;

    products.patch(&in_portal, &json!({"auth_strategy_ids": [other]})).await?.expect(200)?;
    assert_eq!(stage.outcome(&key).await?, Outcome::unauthorized(NO_KEY));
    let there = Outcome::of(&stage.call("/", "x-other", &key).await?);
    assert_eq!(there, Outcome::unauthorized(UNKNOWN_KEY), "it is a key of the other strategy");

    products.patch(&in_portal, &json!({"auth_strategy_ids": [stage.strategy]})).await?.expect(200)?;
    assert_eq!(stage.outcome(&key).await?, Outcome::allowed(), "its registration was kept");
    let names = json!({"configs": {"key-auth": {"key_names": ["x-renamed"]}}});
    let strategy = format!("/v2/application-auth-strategies/{}", stage.strategy);
    products.patch(&strategy, &names).await?.expect(200)?;
    assert_eq!(Outcome::of(&stage.call("/", "x-renamed", &key).await?), Outcome::allowed());
    Ok(())
}

#[tokio::test]
async fn given_the_last_strategy_when_removed_then_the_service_is_open_and_logged_and_a_strategy_closes_it()
-> Result<()> {
    let stage = Stage::start().await?;
    let (products, in_portal) = (&stage.products, stage.version.path_in(DEFAULT_PORTAL));
    let ask = async || anyhow::Ok(stage.scene.client().get("/").await?.status);
    assert_eq!(ask().await?, 401);

    let warned = |log: &str| {
        log.lines().filter(|line| line.contains("WARN") && line.contains(&stage.version.id)).count()
    };
    assert_eq!(warned(&stage.scene.admin.log()), 0);
    products.patch(&in_portal, &json!({"auth_strategy_ids": []})).await?.expect(200)?;

    assert_eq!(ask().await?, 200, "open to everybody");
    let log = stage.scene.admin.log();
    assert_eq!(warned(&log), 1, "{log}");
    assert!(log.contains(&stage.scene.service().to_string()), "{log}");
    let shown = products.client().get(&stage.version.path()).await?.expect(200)?.json();
    assert_eq!(shown["open"], true);
    let audit = format!("/audit?entity_id={}&action=update", stage.version.id);
    let line = products.client().get(&audit).await?.expect(200)?.json()["data"][0].clone();
    assert_eq!((&line["before"]["open"], &line["after"]["open"]), (&json!(false), &json!(true)));
    assert_eq!(line["actor"], "admin token");

    products.patch(&in_portal, &json!({"auth_strategy_ids": [stage.strategy]})).await?.expect(200)?;
    assert_eq!(ask().await?, 401);
    Ok(())
}

#[tokio::test]
async fn given_one_of_two_strategies_when_removed_then_the_service_stays_closed() -> Result<()> {
    let stage = Stage::start().await?;
    let products = &stage.products;
    let partners = products.portal(json!({})).await?;
    let other = products.strategy(&["x-partner"]).await?;
    products.offer(&partners, &stage.version, Some(&other), json!({})).await?;

    let first = stage.version.path_in(DEFAULT_PORTAL);
    products.patch(&first, &json!({"auth_strategy_ids": []})).await?.expect(200)?;
    assert_eq!(stage.scene.client().get("/").await?.status, 401);
    products.delete(&stage.version.path_in(&partners)).await?.expect(204)?;
    assert_eq!(
        stage.scene.client().get("/").await?.status,
        401,
        "taking a version out of a portal opens nothing"
    );
    Ok(())
}

#[tokio::test]
async fn given_an_open_version_when_unlinked_or_deleted_then_its_service_is_closed() -> Result<()> {
    for how in ["unlink", "delete", "product"] {
        let stage = Stage::start().await?;
        let products = &stage.products;
        let in_portal = stage.version.path_in(DEFAULT_PORTAL);
        products.patch(&in_portal, &json!({"auth_strategy_ids": []})).await?.expect(200)?;
        assert_eq!(stage.scene.client().get("/").await?.status, 200);

        match how {
            "unlink" => {
                products
                    .patch(&stage.version.path(), &json!({"gateway_service": null}))
                    .await?
                    .expect(200)?;
                let link = json!({"gateway_service": gateway_service(stage.scene.service())});
                assert_eq!(stage.scene.client().get("/").await?.status, 401, "{how}");
                products.patch(&stage.version.path(), &link).await?.expect(200)?;
            }
            "delete" => drop(products.delete(&stage.version.path()).await?.expect(204)?),
            _ => {
                let product = format!("/v2/api-products/{}", stage.version.product);
                drop(products.delete(&product).await?.expect(204)?);
            }
        }
        assert_eq!(stage.scene.client().get("/").await?.status, 401, "{how}");
    }
    Ok(())
}

#[tokio::test]
async fn given_registrations_when_the_version_moves_to_another_service_then_they_go_with_it() -> Result<()> {
    let services = [("old", "/old", json!({})), ("new", "/new", json!({}))];
    let scene = Scene::with_services(Database::Sqlite, &services).await?;
    let new = scene.service_named("new")?;
    let stage = Stage::of(scene).await?;
    let products = &stage.products;
    let application =
        products.application(DEFAULT_PORTAL, json!({"auth_strategy_id": stage.strategy})).await?;
    let key = products.key(&application).await?;
    products.register(&application, &stage.version, Some("approved")).await?;
    let of = async |path: &str| anyhow::Ok(Outcome::of(&stage.call(path, "x-api-key", &key).await?));
    assert_eq!(of("/old").await?, Outcome::allowed());

    let link = json!({"gateway_service": gateway_service(new)});
    products.patch(&stage.version.path(), &link).await?.expect(200)?;

    assert_eq!(of("/new").await?, Outcome::allowed());
    assert_eq!(of("/old").await?.status, 401, "it stands by itself again");
    Ok(())
}
