//! The admin extension is killed between the provider's doing and its own.

use anyhow::Result;
use app_auth_tests::admin::Database;
use app_auth_tests::idp_double::Fault;
use app_auth_tests::wait;
use reqwest::Method;
use serde_json::{Value, json};

use super::common::{KINDS, SEARCHABLE, Scene, applications, at_once};

/// Sends a change that the provider does not answer, and kills the admin extension once `done` says so.
async fn kill_in_the_middle(
    scene: &mut Scene,
    method: Method,
    path: &str,
    body: Value,
    done: impl AsyncFn(&Scene) -> Result<bool>,
) -> Result<()> {
    let client = scene.client().clone();
    let path = path.to_owned();
    let call = tokio::spawn(async move { client.request(method, &path).json(&body).send().await.is_err() });
    wait::until("the moment to kill it", async || done(scene).await).await?;
    scene.admin.kill();
    assert!(call.await?, "the change was not acknowledged");
    scene.idp.behave().await?;
    scene.admin.restart().await
}

#[tokio::test]
async fn given_a_kill_after_a_client_was_made_when_restarted_then_it_is_removed_and_said_so() -> Result<()> {
    // What is claimed in a database that others may share is left alone until the claim ends.
    let killed = async |kind, database| {
        let mut scene = Scene::start(kind, database).await?;
        scene.idp.fault_making(Fault::ApplyAndHang).await?;
        let made = async |scene: &Scene| Ok(scene.idp.clients().await?.len() == 1);
        let body = scene.application("billing");
        kill_in_the_middle(&mut scene, Method::POST, &applications(), body, made).await?;

        scene.idp.wait_for_clients(0).await?;
        scene.wait_for_no_jobs().await?;
        assert_eq!(scene.count().await?, 0, "{kind}");
        assert!(scene.admin.log().contains("removed clients that no application has"), "{kind}");
        scene.created("billing").await?;
        assert_eq!(scene.idp.clients().await?.len(), 1, "{kind}");
        Ok(())
    };
    let (sqlite, postgres) = tokio::join!(
        at_once(&SEARCHABLE, async |kind| killed(kind, Database::Sqlite).await),
        at_once(&SEARCHABLE, async |kind| killed(kind, Database::Postgres).await),
    );
    sqlite.and(postgres)
}

#[tokio::test]
async fn given_a_kill_after_a_client_was_made_where_nobody_can_search_then_its_name_is_in_the_log()
-> Result<()> {
    at_once(&["http", "curity"], async |kind| {
        let mut scene = Scene::start(kind, Database::Sqlite).await?;
        scene.idp.fault_making(Fault::ApplyAndHang).await?;
        let made = async |scene: &Scene| Ok(scene.idp.clients().await?.len() == 1);
        let body = scene.application("billing");
        kill_in_the_middle(&mut scene, Method::POST, &applications(), body, made).await?;

        scene.wait_for_no_jobs().await?;
        let name = scene.idp.clients().await?[0].name.clone();
        assert!(scene.admin.log().contains(&name), "{kind}: {}", scene.admin.log());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_kill_before_the_provider_did_anything_when_restarted_then_there_is_nothing() -> Result<()> {
    at_once(&KINDS, async |kind| {
        let mut scene = Scene::start(kind, Database::Sqlite).await?;
        scene.idp.fault_making(Fault::Hang).await?;
        let begun = async |scene: &Scene| Ok(!scene.jobs().await?.is_empty());
        let body = scene.application("billing");
        kill_in_the_middle(&mut scene, Method::POST, &applications(), body, begun).await?;

        scene.wait_for_no_jobs().await?;
        assert_eq!((scene.count().await?, scene.idp.clients().await?.len()), (0, 0), "{kind}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_kill_during_a_deletion_when_restarted_then_both_are_gone() -> Result<()> {
    at_once(&KINDS, async |kind| {
        for fault in [Fault::Hang, Fault::ApplyAndHang] {
            let mut scene = Scene::start(kind, Database::Sqlite).await?;
            let path = scene.created("billing").await?;
            let kept = scene.created("kept").await?;
            scene.idp.fault_deleting(fault.clone()).await?;
            let expected = if fault == Fault::Hang { 2 } else { 1 };
            let begun = async |scene: &Scene| {
                Ok(!scene.jobs().await?.is_empty() && scene.idp.clients().await?.len() == expected)
            };
            kill_in_the_middle(&mut scene, Method::DELETE, &path, json!({}), begun).await?;

            scene.wait_for_no_jobs().await?;
            scene.client().get(&path).await?.expect(404)?;
            scene.client().get(&kept).await?.expect(200)?;
            assert_eq!(scene.idp.clients().await?.len(), 1, "{kind}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_kill_after_a_client_was_changed_when_restarted_then_it_is_as_the_database_says() -> Result<()>
{
    let mut scene = Scene::start("auth0", Database::Sqlite).await?;
    let path = scene.created("billing").await?;
    let super::common::Idp::Auth0(double) = &scene.idp else { unreachable!() };
    double.set_fault(Fault::ApplyAndHang, ("PATCH", "/api/v2/clients"));
    let changed = async |scene: &Scene| Ok(scene.idp.clients().await?[0].name.starts_with("other"));
    kill_in_the_middle(&mut scene, Method::PATCH, &path, json!({"name": "other"}), changed).await?;

    scene.wait_for_no_jobs().await?;
    assert_eq!(scene.client().get(&path).await?.json()["name"], "billing");
    assert!(scene.idp.clients().await?[0].name.starts_with("billing"));
    Ok(())
}
