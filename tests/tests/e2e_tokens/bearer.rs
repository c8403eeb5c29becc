//! JSON Web Tokens of a real provider: who they let in, as whom, and what they must say.

use anyhow::Result;
use app_auth_tests::client::send;
use reqwest::Method;
use serde_json::json;

use super::stage::{API, CLIENT, SECRET, Stage, echo, verdict};

fn refused(status: u16, error: &str, reason: &str) -> (u16, String, String) {
    (status, error.into(), reason.into())
}

#[tokio::test]
async fn given_tokens_of_every_algorithm_when_they_are_shown_then_the_application_gets_in_as_itself()
-> Result<()> {
    let stage = Stage::start(json!({})).await?;
    for alg in ["RS256", "PS256", "ES256", "ES384", "ES512", "EdDSA"] {
        stage.provider.rotate(alg, true).await?;
        let token = stage.token("").await?;
        // Once from scratch, once from memory.
        for _ in 0..2 {
            let seen = echo(stage.call(&token).await?)?;
            assert_eq!(seen.every_spelling("x-credential-identifier"), [CLIENT], "{alg}");
            assert_eq!(seen.every_spelling("x-application-id"), [stage.application.id.as_str()]);
            assert_eq!(seen.every_spelling("x-auth-strategy-id"), [stage.strategy.as_str()]);
            assert_eq!(seen.every_spelling("authorization"), [format!("Bearer {token}")]);
        }
    }
    let log = stage.scene.gateway.log();
    assert!(!log.contains("eyJ"), "{log}");
    Ok(())
}

#[tokio::test]
async fn given_a_token_that_was_let_in_when_its_connection_changes_then_the_answer_does_at_once() -> Result<()>
{
    let stage = Stage::start(json!({})).await?;
    let token = stage.token("").await?;
    assert_eq!(stage.call(&token).await?.status, 200);
    for (status, expected) in [
        ("revoked", refused(403, "", "revoked")),
        ("approved", refused(200, "", "")),
        ("rejected", refused(403, "", "rejected")),
    ] {
        // What is not possible at once is possible by way of pending; the API says which are.
        if stage.products.patch(&stage.registration, &json!({"status": status})).await?.status == 200 {
            assert_eq!(verdict(&stage.call(&token).await?), expected);
        }
    }
    stage.products.delete(&stage.registration).await?.expect(204)?;
    let gone = stage.call(&token).await?;
    assert_eq!(verdict(&gone), refused(403, "", "no_connection"));
    assert_eq!(gone.json()["message"], "You cannot consume this service");

    // Somebody the provider knows and we do not.
    stage.provider.add_client("a-stranger", SECRET).await?;
    let stranger = stage.provider.jwt("a-stranger", SECRET, "", API).await?;
    assert_eq!(verdict(&stage.call(&stranger).await?), refused(403, "", "no_connection"));
    Ok(())
}

#[tokio::test]
async fn given_no_token_or_none_that_is_one_when_asking_then_the_answer_says_so_and_no_more() -> Result<()> {
    let stage = Stage::start(json!({})).await?;
    let bare = stage.ask(&[]).await?;
    let realm = stage.provider.address();
    assert_eq!(bare.header("www-authenticate"), format!("Bearer realm=\"{realm}\""));
    assert_eq!((bare.status, bare.json()["message"].as_str()), (401, Some("Unauthorized")));

    let token = stage.token("").await?;
    let (head, signature) = token.rsplit_once('.').unwrap_or_default();
    let long = "x".repeat(20_000);
    for bad in [
        "",
        "nonsense",
        "a.b.c",
        &format!("{head}."),
        &format!("{head}.AAAA"),
        &format!("{token}.{signature}"),
        &long,
    ] {
        let answer = stage.call(bad).await?;
        assert_eq!(verdict(&answer), refused(401, "invalid_token", ""), "{bad:.60}");
        assert_eq!(answer.json()["message"], "Unauthorized");
    }
    let bearer = format!("Bearer {token}");
    let twice = stage.ask(&[("authorization", &bearer), ("authorization", &bearer)]).await?;
    assert_eq!(verdict(&twice), refused(401, "invalid_request", ""));
    assert_eq!(stage.ask(&[("authorization", "Digest x")]).await?.status, 401);
    Ok(())
}

#[tokio::test]
async fn given_a_token_in_query_or_body_when_the_strategy_allows_it_then_it_counts_and_can_be_hidden()
-> Result<()> {
    let stage = Stage::start(json!({"hide_credentials": true})).await?;
    let (token, client) = (stage.token("").await?, stage.scene.client());
    let asked = |path: String| client.request(Method::GET, &path);
    let seen = echo(send(asked(format!("/orders?a=1&access_token={token}&b=2"))).await?)?;
    assert_eq!(seen.query, "a=1&b=2");
    let form = [("a", "1"), ("access_token", token.as_str())];
    let seen = echo(send(client.request(Method::POST, "/orders").form(&form)).await?)?;
    assert_eq!(seen.body, "a=1");
    let both = asked(format!("/orders?access_token={token}")).bearer_auth(&token);
    let seen = echo(send(both).await?)?;
    assert!(seen.every_spelling("authorization").is_empty() && seen.query.is_empty());
    let other = stage.token("").await?;
    let differ = asked(format!("/orders?access_token={other}")).bearer_auth(&token);
    assert_eq!(send(differ).await?.status, 401);

    stage.configure(json!({"bearer_token_param_type": ["header"], "hide_credentials": false})).await?;
    assert_eq!(send(asked(format!("/orders?access_token={token}"))).await?.status, 401);
    assert_eq!(send(client.request(Method::POST, "/orders").form(&form)).await?.status, 401);
    assert_eq!(stage.call(&token).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn given_what_a_strategy_requires_when_a_token_lacks_it_then_it_is_forbidden_until_it_does_not()
-> Result<()> {
    let stage = Stage::start(json!({})).await?;
    let claims = json!({CLIENT: {"groups": ["staff", "buyers"], "realm_access": {"roles": ["a", "b"], "name": "nested"}}});
    stage.provider.set_claims(&claims).await?;
    let token = stage.token("orders:read").await?;
    for (requirement, met) in [
        (json!({"scopes_required": ["orders:read"]}), true),
        (json!({"scopes_required": ["orders:write", "orders:read"]}), true),
        (json!({"scopes_required": ["orders:read orders:write"]}), false),
        (json!({"scopes_required": null, "audience_required": [API]}), true),
        (json!({"audience_required": ["https://else.example"]}), false),
        (json!({"audience_required": null, "groups_required": ["staff buyers"]}), true),
        (json!({"groups_required": ["staff sellers", "nobody"]}), false),
        (
            json!({"groups_required": null, "roles_claim": ["realm_access", "roles"], "roles_required": ["b"]}),
            true,
        ),
        (json!({"roles_claim": ["roles"]}), false),
        (json!({"roles_required": null}), true),
    ] {
        stage.configure(requirement.clone()).await?;
        let answer = stage.call(&token).await?;
        assert_eq!(answer.status, if met { 200 } else { 403 }, "{requirement} {}", answer.text());
        if !met {
            assert_eq!(answer.json()["message"], "Forbidden");
            assert!(answer.header("www-authenticate").contains("error=\"insufficient_scope\""));
        }
    }
    stage.configure(json!({"scopes_required": ["orders:write admin"]})).await?;
    let answer = stage.call(&token).await?;
    assert!(answer.header("www-authenticate").ends_with("scope=\"orders:write admin\""));
    assert_eq!(answer.header("x-app-auth-reason"), "insufficient_scope");

    // Which application it is, is told by a path too.
    stage.configure(json!({"scopes_required": null, "credential_claim": ["realm_access", "name"]})).await?;
    assert_eq!(verdict(&stage.call(&token).await?), refused(403, "", "no_connection"));
    stage.products.patch(&stage.application.path(), &json!({"reference_id": "nested"})).await?.expect(200)?;
    assert_eq!(stage.call(&token).await?.status, 200);
    stage.configure(json!({"claims_forbidden": ["realm_access"]})).await?;
    assert_eq!(stage.call(&token).await?.status, 401);
    Ok(())
}

#[tokio::test]
async fn given_a_token_with_an_end_when_it_comes_then_the_memory_of_it_lets_nobody_in() -> Result<()> {
    let stage = Stage::start(json!({})).await?;
    stage.provider.set_lifetime(2).await?;
    let token = stage.token("").await?;
    assert_eq!(stage.call(&token).await?.status, 200);
    app_auth_tests::wait::until("the token to expire", async || Ok(stage.call(&token).await?.status == 401))
        .await?;
    // Clocks may differ.
    stage.configure(json!({"leeway": 3600})).await?;
    assert_eq!(stage.call(&token).await?.status, 200);
    stage.configure(json!({"maximum_age": 1, "leeway": 0})).await?;
    stage.provider.set_lifetime(600).await?;
    let token = stage.token("").await?;
    app_auth_tests::wait::until("the token to be too old", async || {
        Ok(stage.call(&token).await?.status == 401)
    })
    .await
}
