//! Several strategies on one service: each is tried on the credentials that are its own.

use anyhow::Result;
use app_auth_tests::client::send;
use app_auth_tests::oidc_provider::OidcProvider;
use app_auth_tests::products::{DEFAULT_PORTAL, Products};
use app_auth_tests::scene::Scene;
use reqwest::Method;
use serde_json::json;

use super::stage::{API, SECRET, echo, strategy};

#[tokio::test]
async fn given_two_issuers_and_keys_on_one_service_when_callers_come_then_each_gets_in_its_own_way()
-> Result<()> {
    let (first, second) = (OidcProvider::start().await?, OidcProvider::start().await?);
    let scene =
        Scene::with_issuers(&[first.address(), second.address()], &[("echo", "/", json!({}))]).await?;
    let products = Products::new(scene.admin.client()).waiting(30);
    let version = products.version("Orders", Some(scene.service())).await?;
    // A version has one strategy in each portal; a service has those of all.
    let strategies = [
        strategy(&products, &first, json!({})).await?,
        strategy(
            &products,
            &second,
            json!({"auth_methods": ["bearer", "client_credentials"],
            "token_post_args_names": ["resource"], "token_post_args_values": [API]}),
        )
        .await?,
        products.strategy(&["x-api-key"]).await?,
    ];
    let mut keys = Vec::new();
    for (at, strategy) in strategies.iter().enumerate() {
        let portal = match at {
            0 => DEFAULT_PORTAL.to_owned(),
            _ => products.portal(json!({})).await?,
        };
        products.offer(&portal, &version, Some(strategy), json!({})).await?;
        let mut members = json!({"auth_strategy_id": strategy});
        if at < 2 {
            members["reference_id"] = format!("client-{at}").into();
        }
        let application = products.application(&portal, members).await?;
        products.register(&application, &version, Some("approved")).await?;
        if at == 2 {
            keys.push(products.key(&application).await?);
        }
    }
    for (at, provider) in [&first, &second].into_iter().enumerate() {
        provider.add_client(&format!("client-{at}"), SECRET).await?;
    }
    let client = scene.client();
    let get = || client.request(Method::GET, "/");
    let tokens =
        [first.jwt("client-0", SECRET, "", API).await?, second.jwt("client-1", SECRET, "", API).await?];
    app_auth_tests::wait::until("the gateway to know the issuers", async || {
        let mut known = 0;
        for token in &tokens {
            known += usize::from(send(get().bearer_auth(token)).await?.status == 200);
        }
        Ok(known == 2)
    })
    .await?;
    for (request, strategy) in [
        (get().bearer_auth(&tokens[0]), 0),
        (get().bearer_auth(&tokens[1]), 1),
        (get().basic_auth("client-1", Some(SECRET)), 1),
        (get().header("x-api-key", &keys[0]), 2),
        // The first that lets the caller in does, in the order of their making.
        (get().header("x-api-key", &keys[0]).bearer_auth(&tokens[1]), 1),
        (get().header("x-api-key", &keys[0]).bearer_auth("nonsense"), 2),
        (get().header("x-api-key", "nonsense").bearer_auth(&tokens[0]), 0),
    ] {
        let seen = echo(send(request).await?)?;
        assert_eq!(seen.every_spelling("x-auth-strategy-id"), [strategies[strategy].as_str()]);
    }
    let bare = send(get()).await?;
    let (one, two) = (first.address(), second.address());
    let all = format!("Bearer realm=\"{one}\", Bearer realm=\"{two}\", Basic realm=\"{two}\", Key");
    assert_eq!((bare.status, bare.header("www-authenticate")), (401, all.as_str()));
    Ok(())
}
