//! What providers are told of registrations: events for a bridge, grants at Auth0.

use anyhow::Result;
use app_auth_tests::admin::Database;
use app_auth_tests::idp_double::Fault;
use serde_json::{Value, json};

use super::common::{Idp, Scene};

#[tokio::test]
async fn given_a_bridge_when_registrations_come_and_go_then_it_hears_of_each() -> Result<()> {
    let scene = Scene::start("http", Database::Sqlite).await?;
    let Idp::Bridge(double) = &scene.idp else { unreachable!() };
    let (path, version) = (scene.created("billing").await?, scene.version().await?);
    let registrations = format!("{path}/registrations");
    let body = json!({"product_version_id": version});

    let made = scene.client().post(&registrations, &body).await?.expect(201)?.field("id")?;
    scene.client().delete(&format!("{registrations}/{made}")).await?.expect(204)?;

    let events = double.with(|bridge| std::mem::take(&mut bridge.events));
    let told: Vec<_> =
        events.iter().map(|event| (&event["event_type"], &event["api_product_version_id"])).collect();
    let version = json!(version);
    assert_eq!(told, [(&json!("add_registration"), &version), (&json!("remove_registration"), &version)]);

    double.set_fault(Fault::Status(400), ("POST", "/dcr/"));
    scene.client().post(&registrations, &body).await?.expect(502)?;
    let list = scene.client().get(&registrations).await?.json();
    assert_eq!((&list["meta"]["page"]["total"], scene.jobs().await?), (&json!(0), Vec::<Value>::new()));
    Ok(())
}

#[tokio::test]
async fn given_a_registered_application_when_the_version_is_deleted_then_the_bridge_hears_of_it() -> Result<()>
{
    let scene = Scene::start("http", Database::Sqlite).await?;
    let Idp::Bridge(double) = &scene.idp else { unreachable!() };
    let (path, version) = (scene.created("billing").await?, scene.version().await?);
    let body = json!({"product_version_id": version});
    scene.client().post(&format!("{path}/registrations"), &body).await?.expect(201)?;
    double.with(|bridge| bridge.events.clear());
    let products = scene.client().get("/v2/api-products").await?.expect(200)?.json();
    let product = products["data"][0]["id"].as_str().unwrap_or_default();

    let gone = format!("/v2/api-products/{product}/product-versions/{version}");
    scene.client().delete(&gone).await?.expect(204)?;
    scene.wait_for_no_jobs().await?;

    let events = double.with(|bridge| std::mem::take(&mut bridge.events));
    assert_eq!(events.len(), 1);
    assert_eq!(
        (&events[0]["event_type"], &events[0]["api_product_version_id"]),
        (&json!("remove_registration"), &json!(version))
    );
    Ok(())
}

#[tokio::test]
async fn given_a_bridge_without_hooks_and_refreshes_when_changed_then_it_hears_nothing() -> Result<()> {
    let scene = Scene::start("http", Database::Sqlite).await?;
    let Idp::Bridge(double) = &scene.idp else { unreachable!() };
    let off = json!({"dcr_config": {"disable_event_hooks": true, "disable_refresh_secret": true}});
    scene.client().patch(&format!("/v2/dcr-providers/{}", scene.provider), &off).await?.expect(200)?;
    let (path, version) = (scene.created("billing").await?, scene.version().await?);
    double.take_calls();

    scene.client().patch(&path, &json!({"name": "other"})).await?.expect(200)?;
    let body = json!({"product_version_id": version});
    scene.client().post(&format!("{path}/registrations"), &body).await?.expect(201)?;
    scene.client().post(&format!("{path}/refresh-token"), &json!({})).await?.expect(409)?;

    assert_eq!(double.take_calls().len(), 0);
    Ok(())
}

#[tokio::test]
async fn given_auth0_when_registrations_with_scopes_come_and_go_then_the_grants_follow() -> Result<()> {
    let scene = Scene::start("auth0", Database::Sqlite).await?;
    let Idp::Auth0(double) = &scene.idp else { unreachable!() };
    let scopes =
        || double.with(|auth0| auth0.grants.values().map(|grant| grant["scope"].clone()).collect::<Vec<_>>());
    let (path, version) = (scene.created("billing").await?, scene.version().await?);
    let registrations = format!("{path}/registrations");
    assert_eq!(scopes(), Vec::<Value>::new());

    let body = json!({"product_version_id": version, "scopes": ["orders:read", "unheard_of"]});
    let made = scene.client().post(&registrations, &body).await?.expect(201)?.field("id")?;
    assert_eq!(scopes(), [json!(["orders:read"])]);

    scene.client().delete(&format!("{registrations}/{made}")).await?.expect(204)?;
    assert_eq!(scopes(), Vec::<Value>::new());
    Ok(())
}
