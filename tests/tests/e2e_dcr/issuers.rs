//! What issuers say of themselves reaches the gateways, and stays in force when they no longer answer.

use anyhow::Result;
use app_auth_tests::admin::Database;
use app_auth_tests::wait;
use serde_json::{Value, json};

use super::common::{Idp, Scene};

/// The issuers' records, as a gateway that begins is told.
async fn issuers(scene: &Scene) -> Result<Vec<Value>> {
    let page = scene.admin.gateway_client().get("/gateway/v1/snapshot?limit=500").await?.expect(200)?.text();
    let all: Value = serde_json::from_str(&page)?;
    let records = all["records"].as_array().cloned().unwrap_or_default();
    Ok(records.iter().filter_map(|entry| entry["record"].get("issuer").cloned()).collect())
}

#[tokio::test]
async fn given_a_strategy_when_its_issuer_answers_then_gateways_have_its_keys_and_keep_them() -> Result<()> {
    for database in Database::BOTH {
        let mut scene = Scene::start("curity", database).await?;
        let url = scene.idp.url();
        wait::until("the issuer to be known", async || Ok(!issuers(&scene).await?.is_empty())).await?;

        let known = issuers(&scene).await?;
        let [issuer] = known.as_slice() else { panic!("{known:?}") };
        assert_eq!((&issuer["configured"], &issuer["issuer"]), (&json!(url), &json!(url)));
        assert_eq!(issuer["token_endpoint"], json!(format!("{url}/token")));
        let key = &issuer["keys"][0];
        assert_eq!((&key["kty"], key["d"].is_null()), (&json!("RSA"), true), "{issuer}");

        let Idp::Curity(provider) = &mut scene.idp else { unreachable!() };
        provider.stop();
        scene.admin.restart().await?;
        assert_eq!(issuers(&scene).await?, known);
    }
    Ok(())
}

#[tokio::test]
async fn given_an_issuer_that_does_not_answer_when_it_does_then_it_is_known_without_a_restart() -> Result<()>
{
    let mut scene = Scene::start("curity", Database::Sqlite).await?;
    wait::until("the issuer to be known", async || Ok(issuers(&scene).await?.len() == 1)).await?;
    let Idp::Curity(provider) = &mut scene.idp else { unreachable!() };
    provider.stop();
    let whole = provider.discovery();
    let path = format!("/v2/application-auth-strategies/{}", scene.strategy);
    let change = json!({"configs": {"openid-connect": {"issuer": whole}}});
    scene.client().patch(&path, &change).await?.expect(200)?;
    wait::until("a failed attempt", async || {
        Ok(scene.admin.log().contains("does not answer, and nothing is known of it"))
    })
    .await?;
    assert_eq!(issuers(&scene).await?, Vec::<Value>::new());

    let Idp::Curity(provider) = &mut scene.idp else { unreachable!() };
    provider.restart().await?;

    wait::until("the issuer to be known", async || Ok(issuers(&scene).await?.len() == 1)).await?;
    assert_eq!(issuers(&scene).await?[0]["configured"], json!(whole));
    Ok(())
}
