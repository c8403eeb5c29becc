//! Auth strategies and DCR providers: what they are, who uses them, and whether a provider works.

use anyhow::Result;
use app_auth_admin::model::PortalId;
use app_auth_tests::browser::Browser;
use app_auth_tests::idp_double::{Fault, IdpDouble, Okta, Vendor as _};
use app_auth_tests::scene::Scene;
use serde_json::json;

use crate::common::Console;

#[tokio::test]
async fn given_a_provider_when_it_is_verified_then_the_page_shows_its_answer_and_pages_keep_the_secrets()
-> Result<()> {
    let scene = Scene::start_with(&[("APP_AUTH_IDP_ALLOW_HTTP", "true")]).await?;
    let console = Console { browser: Browser::start().await?, scene, gateways: Vec::new() };
    console.sign_in(console.scene.admin.admin_token()).await?;
    let browser = &console.browser;
    for (page, text) in [("strategies", "No auth strategies yet"), ("dcr-providers", "No DCR providers yet")]
    {
        console.goto(&format!("/console/{page}")).await?;
        browser.sees(text).await?;
        browser.check_barriers().await?;
    }

    let idp = IdpDouble::<Okta>::start()?;
    let client = console.scene.admin.client();
    let provider = client.post("/v2/dcr-providers", &idp.provider()).await?.expect(201)?.field("id")?;
    let body = json!({"name": "staff", "display_name": "Staff sign-in", "strategy_type": "openid_connect",
        "dcr_provider_id": provider, "configs": {"openid-connect": {"issuer": idp.url(),
            "credential_claim": ["client_id"], "scopes": ["read", "write"], "auth_methods": ["bearer"],
            "client_secret": ["never-shown-to-anybody"]}}});
    let strategy = client.post("/v2/application-auth-strategies", &body).await?.expect(201)?.field("id")?;
    let product =
        client.post("/v2/api-products", &json!({"name": "Orders"})).await?.expect(201)?.field("id")?;
    let version = json!({"name": "v1", "publish_status": "published"});
    let versions = format!("/v2/api-products/{product}/product-versions");
    let version = client.post(&versions, &version).await?.expect(201)?.field("id")?;
    let offered = json!({"publish_status": "published", "product_version_id": version,
        "auth_strategy_ids": [strategy], "application_registration_enabled": true,
        "auto_approve_registration": true, "deprecated": false});
    client
        .post(&format!("/v2/portals/{}/product-versions", PortalId::DEFAULT), &offered)
        .await?
        .expect(201)?;

    console.goto("/console/strategies").await?;
    browser.sees("Staff sign-in").await?;
    console.inspect("strategies").await?;
    browser.press("main table", "staff").await?;
    for shown in
        ["OpenID Connect", "Orders v1", "read, write", "set, and never shown", "No application uses it"]
    {
        browser.sees(shown).await?;
    }
    // The double answers no discovery.
    let issuer = "section[aria-labelledby=issuer]";
    app_auth_tests::wait::until("the issuer to be asked", async || {
        browser.reload().await?;
        Ok(browser.find(issuer).await?.text().await?.contains("Does not answer"))
    })
    .await?;
    console.inspect("strategy").await?;
    anyhow::ensure!(!browser.text().await?.contains("never-shown-to-anybody"));

    console.goto("/console/dcr-providers").await?;
    console.inspect("dcr-providers").await?;
    browser.press("main table", "okta").await?;
    browser.sees("dcr_token").await?;
    browser.press(".head", "Verify").await?;
    browser.sees("It works.").await?;
    browser.check_barriers().await?;
    idp.set_fault(Fault::Status(500), Okta::making());
    browser.press(".head", "Verify").await?;
    browser.sees("It cannot be used as it is.").await?;
    browser.sees("Unable to create the DCR application").await?;
    browser.sees("500").await?;
    console.inspect("dcr-provider").await?;
    idp.behave();
    browser.press("section[aria-labelledby=strategies]", "staff").await?;
    browser.sees("Staff sign-in").await?;
    console.browser.close().await
}
