//! Whether a provider can be used is tried, not guessed.

use anyhow::Result;
use app_auth_tests::admin::Database;
use app_auth_tests::idp_double::Fault;
use serde_json::{Value, json};

use super::common::{KINDS, Scene};

#[tokio::test]
async fn given_each_kind_when_verified_then_a_client_is_made_and_removed_or_it_says_that_it_cannot()
-> Result<()> {
    for kind in KINDS {
        let scene = Scene::start(kind, Database::Sqlite).await?;
        let path = format!("/v2/dcr-providers/{}/verify", scene.provider);
        let verified = scene.client().post(&path, &json!({})).await?.expect(200)?.json();
        assert_eq!(verified, json!({"status": "success", "errors": []}), "{kind}");

        scene.idp.fault_making(Fault::Status(500)).await?;
        let verified = scene.client().post(&path, &json!({})).await?.expect(200)?.json();
        assert_eq!(verified["status"], "failed", "{kind}");
        assert_eq!(verified["errors"][0], "Unable to create the DCR application", "{kind}");
        scene.idp.behave().await?;
        scene.wait_for_no_jobs().await?;
        assert_eq!(scene.idp.clients().await?, [], "{kind}");
    }
    Ok(())
}

#[tokio::test]
async fn given_no_such_provider_when_verified_then_it_is_not_found() -> Result<()> {
    let scene = Scene::start("okta", Database::Sqlite).await?;
    let unknown = "/v2/dcr-providers/00000000-0000-4000-8000-000000000000/verify";
    scene.client().post(unknown, &json!({})).await?.expect(404)?;
    scene.client().post("/v2/dcr-providers/okta/verify", &json!({})).await?.expect(400)?;
    assert_eq!(scene.jobs().await?, Vec::<Value>::new());
    Ok(())
}
