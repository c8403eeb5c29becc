//! How long things hold: keys that expire, registration that is switched off, what is deleted with something else.

use anyhow::Result;
use app_auth_tests::portal::Application;
use app_auth_tests::products::DEFAULT_PORTAL;
use app_auth_tests::scene::Outcome;
use app_auth_tests::wait;
use serde_json::json;

use super::stage::Stage;

#[tokio::test]
async fn given_a_strategy_with_a_ttl_when_keys_are_made_then_they_end_and_a_change_of_it_leaves_them()
-> Result<()> {
    let stage = Stage::start().await?;
    let products = &stage.products;
    let strategy = products.strategy_with(json!({"ttl": {"value": 2, "unit": "weeks"}})).await?;
    let application = products.application(DEFAULT_PORTAL, json!({"auth_strategy_id": strategy})).await?;
    let keys = format!("{}/credentials", application.path());
    let first = products.post(&keys, &json!({"display_name": "first"})).await?.expect(201)?.json();
    assert!(first["expires_at"].is_string(), "{first}");

    let forever = json!({"configs": {"key-auth": {"ttl": null}}});
    let path = format!("/v2/application-auth-strategies/{strategy}");
    products.patch(&path, &forever).await?.expect(200)?;

    let second = products.post(&keys, &json!({"display_name": "second"})).await?.expect(201)?.json();
    assert!(second["expires_at"].is_null(), "{second}");
    let list = products.client().get(&format!("{keys}?sort=display_name")).await?.expect(200)?.json();
    assert_eq!(list["data"][0]["expires_at"], first["expires_at"]);
    Ok(())
}

#[tokio::test]
async fn given_a_key_with_an_end_when_it_has_come_then_the_gateway_does_not_know_it() -> Result<()> {
    let stage = Stage::start().await?;
    let products = &stage.products;
    let developer = products.developer(DEFAULT_PORTAL).await?;
    let members = json!({"auth_strategy_id": stage.strategy});
    let application = products.application_of(DEFAULT_PORTAL, &developer, members).await?;
    products.register(&application, &stage.version, Some("approved")).await?;
    let keys = format!("{}/credentials", application.path());
    // The legacy API counts in seconds.
    let legacy = Application { developer, id: application.id.clone() };
    let key = stage.scene.confirmed().key_with(&legacy, json!({"ttl": 5})).await?.key;
    assert_eq!(products.texts(&keys, "type").await?, ["api_key"]);

    wait::until("the key to end", async || {
        Ok(stage.outcome(&key).await? == Outcome::unauthorized("Unauthorized"))
    })
    .await?;

    assert_eq!(products.texts(&keys, "status").await?, ["expired"]);
    Ok(())
}

#[tokio::test]
async fn given_registrations_when_registration_is_switched_off_then_they_stay_and_no_new_ones_are_taken()
-> Result<()> {
    let stage = Stage::start().await?;
    let products = &stage.products;
    let members = json!({"auth_strategy_id": stage.strategy});
    let application = products.application(DEFAULT_PORTAL, members.clone()).await?;
    let key = products.key(&application).await?;
    products.register(&application, &stage.version, Some("approved")).await?;

    let off = json!({"application_registration_enabled": false});
    products.patch(&stage.version.path_in(DEFAULT_PORTAL), &off).await?.expect(200)?;

    assert_eq!(stage.outcome(&key).await?, Outcome::allowed());
    let late = products.application(DEFAULT_PORTAL, members).await?;
    let body = json!({"product_version_id": stage.version.id});
    let refused = products.post(&format!("{}/registrations", late.path()), &body).await?;
    assert_eq!(refused.status, 400, "{}", refused.text());
    Ok(())
}

#[tokio::test]
async fn given_an_application_when_it_or_its_developer_or_its_key_is_deleted_then_the_key_is_unknown()
-> Result<()> {
    let stage = Stage::start().await?;
    let products = &stage.products;
    for what in ["key", "application", "developer"] {
        let developer = products.developer(DEFAULT_PORTAL).await?;
        let members = json!({"auth_strategy_id": stage.strategy});
        let application = products.application_of(DEFAULT_PORTAL, &developer, members).await?;
        let key = products.key(&application).await?;
        products.register(&application, &stage.version, Some("approved")).await?;
        assert_eq!(stage.outcome(&key).await?, Outcome::allowed());
        let keys = format!("{}/credentials", application.path());
        let path = match what {
            "key" => format!("{keys}/{}", products.texts(&keys, "id").await?[0]),
            "application" => application.path(),
            _ => format!("/v2/portals/{DEFAULT_PORTAL}/developers/{developer}"),
        };

        products.delete(&path).await?.expect(204)?;

        assert_eq!(stage.outcome(&key).await?, Outcome::unauthorized("Unauthorized"), "{what}");
    }
    Ok(())
}

#[tokio::test]
async fn given_applications_of_the_legacy_api_when_a_version_takes_their_service_then_its_strategy_decides()
-> Result<()> {
    let scene = app_auth_tests::scene::Scene::start(app_auth_tests::admin::Database::Sqlite).await?;
    let (legacy, _) = scene.confirmed().approved_key(scene.service()).await?;
    assert_eq!(scene.call("/", &legacy.key).await?.status, 200);

    let stage = Stage::of(scene).await?;
    assert_eq!(stage.scene.call("/", &legacy.key).await?.status, 401);
    let link = json!({"gateway_service": null});
    stage.products.patch(&stage.version.path(), &link).await?.expect(200)?;

    // What was connected to the service is connected to the version now, which no service serves.
    let answer = Outcome::of(&stage.scene.call("/", &legacy.key).await?);
    assert_eq!(answer, Outcome::forbidden("no_connection"));
    Ok(())
}
