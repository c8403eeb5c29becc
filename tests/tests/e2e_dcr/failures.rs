//! Providers that refuse, fail, limit rates or break off: nothing has changed, or it is brought to its end.

use anyhow::Result;
use app_auth_tests::admin::Database;
use app_auth_tests::idp_double::{Fault, SECRET};
use app_auth_tests::wait;
use serde_json::{Value, json};

use super::common::{Idp, KINDS, SEARCHABLE, Scene, at_once};

fn none() -> Vec<Value> {
    Vec::new()
}

#[tokio::test]
async fn given_a_provider_that_refuses_when_an_application_is_made_then_nothing_has_changed() -> Result<()> {
    at_once(&KINDS, async |kind| {
        let scene = Scene::start(kind, Database::Sqlite).await?;
        let member = match kind {
            "okta" => "dcr_token",
            "http" => "api_key",
            _ => "initial_client_secret",
        };
        let wrong = json!({"dcr_config": {member: "something_else_again"}});
        let path = format!("/v2/dcr-providers/{}", scene.provider);
        scene.client().patch(&path, &wrong).await?.expect(200)?;

        let refused = scene.create("billing").await?.expect(502)?;

        assert!(!refused.text().contains("something_else_again"), "{kind}: {}", refused.text());
        assert_eq!((scene.count().await?, scene.idp.clients().await?.len()), (0, 0), "{kind}");
        assert_eq!(scene.jobs().await?, none(), "{kind}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_provider_that_fails_when_an_application_comes_or_goes_then_nothing_has_changed() -> Result<()>
{
    at_once(&KINDS, async |kind| {
        let scene = Scene::start(kind, Database::Sqlite).await?;
        let path = scene.created("kept").await?;
        scene.idp.fault_making(Fault::Status(500)).await?;
        scene.create("billing").await?.expect(503)?;
        assert_eq!((scene.count().await?, scene.idp.clients().await?.len()), (1, 1), "{kind}");

        scene.idp.fault_deleting(Fault::Status(500)).await?;
        scene.client().delete(&path).await?.expect(503)?;
        scene.idp.behave().await?;

        scene.client().get(&path).await?.expect(200)?;
        assert_eq!(scene.idp.clients().await?.len(), 1, "{kind}");
        scene.wait_for_no_jobs().await?;
        scene.client().delete(&path).await?.expect(204)?;
        assert_eq!((scene.count().await?, scene.idp.clients().await?.len()), (0, 0), "{kind}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_provider_that_is_away_when_told_then_nothing_has_changed() -> Result<()> {
    let mut scene = Scene::start("okta", Database::Sqlite).await?;
    let path = scene.created("kept").await?;
    let before = scene.client().get(&path).await?.json();
    let Idp::Okta(double) = &mut scene.idp else { unreachable!() };
    double.stop();

    scene.create("billing").await?.expect(503)?;
    scene.client().patch(&path, &json!({"name": "other"})).await?.expect(503)?;
    scene.client().delete(&path).await?.expect(503)?;
    scene.client().post(&format!("{path}/refresh-token"), &json!({})).await?.expect(503)?;

    assert_eq!(scene.client().get(&path).await?.json(), before);
    assert_eq!((scene.count().await?, scene.jobs().await?), (1, none()));
    Ok(())
}

#[tokio::test]
async fn given_too_many_calls_when_the_provider_says_when_to_come_again_then_it_is_done_then() -> Result<()> {
    at_once(&["okta", "auth0", "azureAd", "http"], async |kind| {
        let scene = Scene::start(kind, Database::Sqlite).await?;
        scene.idp.fault_making(Fault::TooMany(1)).await?;
        let path = scene.created("billing").await?;
        scene.idp.fault_deleting(Fault::TooMany(1)).await?;
        scene.client().delete(&path).await?.expect(204)?;
        assert_eq!(scene.idp.clients().await?, [], "{kind}");
        assert_eq!(scene.jobs().await?, none(), "{kind}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_an_answer_that_breaks_off_when_a_client_was_made_then_it_is_found_and_removed() -> Result<()> {
    at_once(&SEARCHABLE, async |kind| {
        let scene = Scene::start(kind, Database::Sqlite).await?;
        scene.created("kept").await?;
        scene.idp.fault_making(Fault::ApplyAndCut).await?;

        scene.create("billing").await?.expect(503)?;
        scene.idp.behave().await?;

        scene.wait_for_no_jobs().await?;
        let left = scene.idp.clients().await?;
        assert_eq!((scene.count().await?, left.len()), (1, 1), "{kind}: {left:?}");
        assert!(left[0].name.starts_with("kept"), "{kind}: {left:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_an_answer_that_breaks_off_when_the_provider_cannot_search_then_the_name_is_in_the_log()
-> Result<()> {
    at_once(&["http", "curity"], async |kind| {
        let scene = Scene::start(kind, Database::Sqlite).await?;
        scene.idp.fault_making(Fault::ApplyAndCut).await?;
        scene.create("billing").await?.expect(503)?;
        scene.idp.behave().await?;
        scene.wait_for_no_jobs().await?;
        let name = scene.idp.clients().await?[0].name.clone();
        assert!(scene.admin.log().contains(&name), "{kind}: {}", scene.admin.log());
        assert_eq!(scene.count().await?, 0, "{kind}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_an_answer_that_breaks_off_when_a_client_was_deleted_then_its_application_goes_too()
-> Result<()> {
    at_once(&KINDS, async |kind| {
        let scene = Scene::start(kind, Database::Sqlite).await?;
        let path = scene.created("billing").await?;
        scene.idp.fault_deleting(Fault::ApplyAndCut).await?;

        // Asked once more, the provider says that it is gone; unless that breaks off as well.
        let deleted = scene.client().delete(&path).await?;
        assert!([204, 503].contains(&deleted.status), "{kind}: {}", deleted.text());
        scene.idp.behave().await?;

        wait::until("the application to go", async || Ok(scene.count().await? == 0)).await?;
        scene.wait_for_no_jobs().await?;
        assert_eq!(scene.idp.clients().await?, [], "{kind}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_deletion_that_fails_when_it_is_shown_then_it_says_why_and_no_secret() -> Result<()> {
    let scene = Scene::start("okta", Database::Sqlite).await?;
    scene.created("billing").await?;
    scene.idp.fault_deleting(Fault::Status(500)).await?;
    scene.client().delete("/developers/ada@example.com").await?.expect(204)?;
    wait::until("a failed attempt", async || {
        Ok(scene.jobs().await?.first().is_some_and(|job| job["attempts"].as_u64() > Some(0)))
    })
    .await?;
    let jobs = scene.jobs().await?;
    assert!(jobs[0]["error"].as_str().is_some_and(|error| error.contains("E0000009")), "{jobs:?}");
    assert!(!json!(jobs).to_string().contains(SECRET));
    let metrics = scene.client().get("/metrics").await?.text();
    assert!(metrics.contains("app_auth_admin_dcr_jobs 1"), "{metrics}");
    Ok(())
}
