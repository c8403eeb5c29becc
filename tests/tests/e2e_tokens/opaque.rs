//! Opaque tokens: the issuer is asked about them (RFC 7662), and what it says is kept for a while.

use anyhow::Result;
use reqwest::Method;
use serde_json::json;

use super::stage::{API, CLIENT, SECRET, Stage, echo, verdict};

const ASKER: &str = "the-gateway-itself";

async fn stage() -> Result<Stage> {
    let members = json!({"auth_methods": ["bearer", "introspection"], "client_id": [ASKER],
        "client_secret": ["a-secret-of-the-gateway"]});
    let stage = Stage::start(members).await?;
    stage.provider.add_client(ASKER, "a-secret-of-the-gateway").await?;
    Ok(stage)
}

#[tokio::test]
async fn given_an_opaque_token_when_it_is_shown_then_its_issuer_is_asked_once_and_it_ends_when_it_is_said_to()
-> Result<()> {
    let stage = stage().await?;
    let token = stage.provider.opaque(CLIENT, SECRET, "orders:read").await?;
    stage.provider.calls(&Method::POST, "/token/introspection").await?;
    for _ in 0..10 {
        let seen = echo(stage.call(&token).await?)?;
        assert_eq!(seen.every_spelling("x-credential-identifier"), [CLIENT]);
    }
    let asked = stage.provider.calls(&Method::POST, "/token/introspection").await?;
    assert!((1..=2).contains(&asked), "{asked} questions");
    // The connection is asked about every time.
    stage.set_registration("revoked").await?;
    assert_eq!(verdict(&stage.call(&token).await?).2, "revoked");
    stage.set_registration("approved").await?;

    // Without a memory, the end of a token is the end of it at once.
    stage.configure(json!({"cache_introspection": false})).await?;
    assert_eq!(stage.call(&token).await?.status, 200);
    stage.configure(json!({"scopes_required": ["orders:read"]})).await?;
    assert_eq!(stage.call(&token).await?.status, 200);
    stage.configure(json!({"scopes_required": ["orders:write"]})).await?;
    assert_eq!(verdict(&stage.call(&token).await?).2, "insufficient_scope");
    stage.configure(json!({"scopes_required": null})).await?;
    stage.provider.forget(&token).await?;
    let over = verdict(&stage.call(&token).await?);
    assert_eq!(over, (401, "invalid_token".into(), String::new()));
    for bad in ["x", "not a token", "\u{e9}", &"x".repeat(10_000)] {
        assert_eq!(stage.call(bad).await?.status, 401, "{bad:.40}");
    }
    let logs = stage.scene.gateway.log() + &stage.scene.admin.log();
    assert!(!logs.contains(&token) && !logs.contains("a-secret-of-the-gateway"));
    Ok(())
}

#[tokio::test]
async fn given_an_issuer_that_does_not_answer_when_a_token_is_unknown_then_nobody_can_tell() -> Result<()> {
    let stage = stage().await?;
    let token = stage.provider.opaque(CLIENT, SECRET, "").await?;
    let fault = Some(("fail", &Method::POST, "/token/introspection"));
    stage.provider.set_fault(fault).await?;
    let away = stage.call(&token).await?;
    assert_eq!((away.status, away.header("retry-after")), (503, "1"));
    // A signed token needs nobody.
    stage.provider.set_fault(None).await?;
    let signed = stage.token("").await?;
    stage.provider.set_fault(fault).await?;
    assert_eq!(stage.call(&signed).await?.status, 200);
    // Unless its issuer is to be asked about those, too.
    stage.configure(json!({"introspect_jwt_tokens": true})).await?;
    assert_eq!(stage.call(&signed).await?.status, 503);
    stage.provider.set_fault(None).await?;
    assert_eq!(stage.call(&token).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn given_a_strategy_without_introspection_when_an_opaque_token_is_shown_then_it_is_none() -> Result<()>
{
    let stage = Stage::start(json!({"audience_required": [API]})).await?;
    let token = stage.provider.opaque(CLIENT, SECRET, "").await?;
    assert_eq!(verdict(&stage.call(&token).await?), (401, "invalid_token".into(), String::new()));
    Ok(())
}
