//! Clients that show their id and secret: the gateway gets the token for them.

use anyhow::Result;
use app_auth_tests::client::send;
use reqwest::Method;
use serde_json::json;

use super::stage::{API, CLIENT, SECRET, Stage, echo, verdict};

fn strategy() -> serde_json::Value {
    json!({"auth_methods": ["client_credentials"], "token_post_args_names": ["resource"],
        "token_post_args_values": [API], "scopes": ["orders:read"]})
}

#[tokio::test]
async fn given_a_clients_secret_when_it_is_shown_then_it_is_exchanged_once_and_never_reaches_the_upstream()
-> Result<()> {
    let stage = Stage::start(strategy()).await?;
    let client = stage.scene.client();
    let basic = || client.request(Method::GET, "/orders").basic_auth(CLIENT, Some(SECRET));
    stage.provider.calls(&Method::POST, "/token").await?;
    // All at once, and nobody is refused because somebody else is asking.
    let answers = futures_util::future::join_all((0..16).map(|_| send(basic()))).await;
    for answer in answers {
        let seen = echo(answer?)?;
        assert_eq!(seen.every_spelling("x-credential-identifier"), [CLIENT]);
        let [authorization] = seen.every_spelling("authorization")[..] else { panic!("{seen:?}") };
        assert!(authorization.starts_with("Bearer eyJ"), "{authorization}");
    }
    for _ in 0..20 {
        assert_eq!(send(basic()).await?.status, 200);
    }
    // One exchange for each of the two workers at most.
    let exchanges = stage.provider.calls(&Method::POST, "/token").await?;
    assert!((1..=2).contains(&exchanges), "{exchanges} exchanges");

    // In a form, too; and hidden where that is asked for.
    let form = [("a", "1"), ("client_id", CLIENT), ("client_secret", SECRET)];
    let seen = echo(send(client.request(Method::POST, "/orders").form(&form)).await?)?;
    assert!(seen.every_spelling("authorization")[0].starts_with("Bearer "));
    stage.configure(json!({"hide_credentials": true})).await?;
    let seen = echo(send(client.request(Method::POST, "/orders").form(&form)).await?)?;
    assert_eq!((seen.body.as_str(), seen.every_spelling("authorization")), ("a=1", vec![]));

    stage.set_registration("revoked").await?;
    assert_eq!(verdict(&send(basic()).await?), (403, String::new(), "revoked".into()));
    Ok(())
}

#[tokio::test]
async fn given_a_wrong_secret_or_an_issuer_that_is_away_when_asking_then_the_answer_tells_them_apart()
-> Result<()> {
    let stage = Stage::start(strategy()).await?;
    let client = stage.scene.client();
    let basic = |secret: &str| client.request(Method::GET, "/orders").basic_auth(CLIENT, Some(secret));
    let wrong = send(basic("not-the-secret")).await?;
    let realm = stage.provider.address();
    let challenges = format!("Bearer realm=\"{realm}\", Basic realm=\"{realm}\"");
    assert_eq!((wrong.status, wrong.header("www-authenticate")), (401, challenges.as_str()));
    assert_eq!(send(client.request(Method::GET, "/orders")).await?.header("www-authenticate"), challenges);
    for bad in ["", "%%%", "bm9jb2xvbg=="] {
        let answer = stage.ask(&[("authorization", &format!("Basic {bad}"))]).await?;
        assert_eq!(answer.status, 401, "{bad}");
    }
    // A token is no secret of a client.
    assert_eq!(stage.call(&stage.token("").await?).await?.status, 401);

    stage.provider.set_fault(Some(("fail", &Method::POST, "/token"))).await?;
    let away = send(basic("a-secret-nobody-tried")).await?;
    assert_eq!((away.status, away.header("retry-after")), (503, "1"));
    stage.provider.set_fault(None).await?;
    assert_eq!(send(basic(SECRET)).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn given_an_exchanged_token_that_is_over_when_the_client_comes_again_then_it_gets_another() -> Result<()>
{
    let stage = Stage::start(strategy()).await?;
    let client = stage.scene.client();
    let basic = || client.request(Method::GET, "/orders").basic_auth(CLIENT, Some(SECRET));
    stage.provider.set_lifetime(2).await?;
    stage.provider.calls(&Method::POST, "/token").await?;
    let mut exchanges = 0;
    app_auth_tests::wait::until("a third exchange for two workers", async || {
        assert_eq!(send(basic()).await?.status, 200);
        exchanges += stage.provider.calls(&Method::POST, "/token").await?;
        Ok(exchanges >= 3)
    })
    .await?;
    // A key that goes takes the tokens with it that it signed, not the client.
    stage.provider.set_lifetime(600).await?;
    assert_eq!(send(basic()).await?.status, 200);
    stage.provider.rotate("ES256", false).await?;
    stage.call(&stage.token("").await?).await?;
    assert_eq!(send(basic()).await?.status, 200);
    Ok(())
}
