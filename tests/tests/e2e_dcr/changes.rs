//! An application's client follows the application.

use anyhow::{Context as _, Result};
use app_auth_tests::admin::Database;
use app_auth_tests::audit::lines;
use app_auth_tests::idp_double::{CLIENT_ID, Fault, SECRET};
use serde_json::json;

use super::common::{Idp, KINDS, Scene, applications};

#[tokio::test]
async fn given_a_provider_when_an_application_comes_changes_and_goes_then_its_client_does_too() -> Result<()>
{
    for kind in KINDS {
        let scene = Scene::start(kind, Database::Sqlite).await?;
        let client = scene.client();

        let made = scene.create("billing").await?.expect(201)?;
        let body = made.json();
        let (id, known) = (made.field("id")?, scene.idp.clients().await?);
        let [there] = known.as_slice() else { panic!("{kind}: {known:?}") };
        assert!(there.name.contains(&id) && there.name.starts_with("billing"), "{kind}: {there:?}");
        assert_eq!(there.redirect_uris, ["https://example.com/callback"], "{kind}");
        let credentials = json!({"client_id": there.client_id, "client_secret": there.secrets[0]});
        assert_eq!(
            (&body["credentials"], &body["reference_id"]),
            (&credentials, &json!(there.client_id)),
            "{kind}"
        );
        assert_eq!(made.header("cache-control"), "no-store", "{kind}");

        let path = format!("{}/{id}", applications());
        let read = client.get(&path).await?.expect(200)?;
        assert!(!read.text().contains(&there.secrets[0]), "{kind}: the secret is shown once");
        assert_eq!(read.json()["dcr_provider"], json!({"id": scene.provider}), "{kind}");

        let change = json!({"name": "invoices", "redirect_uri": "https://example.com/other"});
        client.patch(&path, &change).await?.expect(200)?;
        let refreshed = client.post(&format!("{path}/refresh-token"), &json!({})).await?.expect(201)?;
        let secret = refreshed.field("client_secret")?;
        scene.wait_for_no_jobs().await?;
        let known = scene.idp.clients().await?;
        // What the bridge calls its client it was told once.
        assert_eq!(known[0].name.starts_with("invoices"), kind != "http", "{kind}: {known:?}");
        assert_eq!(known[0].redirect_uris, ["https://example.com/other"], "{kind}");
        assert_eq!(
            (&known[0].client_id, &known[0].secrets),
            (&there.client_id, &vec![secret.clone()]),
            "{kind}"
        );
        assert_ne!(secret, there.secrets[0], "{kind}");
        if let Idp::Curity(provider) = &scene.idp {
            assert!(provider.lets_in(&there.client_id, &secret).await?);
            assert!(!provider.lets_in(&there.client_id, &there.secrets[0]).await?);
        }

        client.delete(&path).await?.expect(204)?;
        assert_eq!(scene.idp.clients().await?, [], "{kind}");
        client.get(&path).await?.expect(404)?;
        assert_eq!(scene.jobs().await?, Vec::<serde_json::Value>::new(), "{kind}");

        let told = format!("{}{:?}", scene.admin.log(), lines(client, "").await?);
        for hidden in [SECRET, secret.as_str(), there.secrets[0].as_str()] {
            assert!(!told.contains(hidden), "{kind}: a secret in the log or the audit log");
        }
    }
    Ok(())
}

#[tokio::test]
async fn given_names_with_what_queries_are_made_of_when_applications_are_made_then_each_has_its_client()
-> Result<()> {
    for kind in KINDS {
        let scene = Scene::start(kind, Database::Sqlite).await?;
        for name in ["Ada's & Co. 100%", "\u{fc}ber \"quotes\" (x)", &"x".repeat(255)] {
            let path = scene.created(name).await?;
            scene.client().delete(&path).await?.expect(204)?;
        }
        assert_eq!(scene.idp.clients().await?, [], "{kind}");
    }
    Ok(())
}

#[tokio::test]
async fn given_a_client_when_a_caller_names_another_then_it_is_refused_and_nothing_changes() -> Result<()> {
    let scene = Scene::start("okta", Database::Sqlite).await?;
    let mut body = scene.application("billing");
    body["reference_id"] = json!(CLIENT_ID);
    scene.client().post(&applications(), &body).await?.expect(400)?;
    assert_eq!((scene.count().await?, scene.idp.clients().await?.len()), (0, 0));

    let path = scene.created("billing").await?;
    let before = scene.client().get(&path).await?.json();
    scene.client().patch(&path, &json!({"reference_id": "mine"})).await?.expect(400)?;
    assert_eq!(scene.client().get(&path).await?.json(), before);
    Ok(())
}

#[tokio::test]
async fn given_an_application_of_the_same_name_when_another_is_made_then_its_provider_is_not_asked()
-> Result<()> {
    let scene = Scene::start("okta", Database::Sqlite).await?;
    scene.created("billing").await?;
    let Idp::Okta(double) = &scene.idp else { unreachable!() };
    double.take_calls();

    scene.create("billing").await?.expect(409)?;

    assert_eq!(double.take_calls().len(), 0);
    assert_eq!(scene.jobs().await?, Vec::<serde_json::Value>::new());
    Ok(())
}

#[tokio::test]
async fn given_a_developer_who_goes_when_clients_are_looked_for_then_they_are_gone_too() -> Result<()> {
    for kind in KINDS {
        let scene = Scene::start(kind, Database::Sqlite).await?;
        for name in ["one", "two"] {
            scene.created(name).await?;
        }
        scene.idp.fault_deleting(Fault::Status(500)).await?;
        scene.client().delete("/developers/ada@example.com").await?.expect(204)?;
        let jobs = scene.jobs().await?;
        let kinds: Vec<_> = jobs.iter().map(|job| job["kind"].as_str().unwrap_or_default()).collect();
        assert_eq!(kinds, ["delete", "delete"], "{kind}");
        scene.client().delete(&format!("/v2/dcr-providers/{}", scene.provider)).await?.expect(409)?;

        scene.idp.behave().await?;
        for job in &jobs {
            let id = job["id"].as_str().context("no id")?;
            let retried = scene.client().post(&format!("/v2/dcr-jobs/{id}/retry"), &json!({})).await?;
            assert!([202, 404].contains(&retried.status), "{kind}: {}", retried.text());
        }
        scene.idp.wait_for_clients(0).await?;
        scene.wait_for_no_jobs().await?;
    }
    Ok(())
}

#[tokio::test]
async fn given_the_portals_default_strategy_when_the_legacy_api_makes_an_application_then_it_has_a_client()
-> Result<()> {
    let scene = Scene::start("okta", Database::Sqlite).await?;
    let portal = format!("/v2/portals/{}", app_auth_admin::model::PortalId::DEFAULT);
    let default = json!({"default_application_auth_strategy_id": scene.strategy});
    scene.client().patch(&portal, &default).await?.expect(200)?;

    let body = json!({"name": "billing", "redirect_uri": "https://example.com/callback"});
    let path = "/developers/ada@example.com/applications";
    let id = scene.client().post(path, &body).await?.expect(201)?.field("id")?;
    assert_eq!(scene.idp.clients().await?.len(), 1);

    scene
        .client()
        .patch(&format!("{path}/{id}"), &json!({"redirect_uri": "https://example.com/o"}))
        .await?
        .expect(200)?;
    assert_eq!(scene.idp.clients().await?[0].redirect_uris, ["https://example.com/o"]);
    scene.client().delete(&format!("{path}/{id}")).await?.expect(204)?;
    assert_eq!(scene.idp.clients().await?, []);
    Ok(())
}
