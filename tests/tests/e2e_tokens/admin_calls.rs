//! What a gateway asks the admin extension while a request waits: an issuer's keys, what an issuer says of an opaque token,
//! and nothing at all for a moment.

use std::time::Duration;

use anyhow::{Context as _, Result};
use app_auth_core::calls;
use app_auth_tests::admin::{Admin, Database};
use app_auth_tests::client::Answer;
use app_auth_tests::oidc_provider::OidcProvider;
use app_auth_tests::wait;
use reqwest::Method;
use serde_json::{Map, Value, json};
use uuid::Uuid;

const STRATEGIES: &str = "/v2/application-auth-strategies";
/// The gateway's own client at the provider, with what must be encoded.
const CLIENT: (&str, &str) = ("us+them", "hush%hush: /&more=");
/// A client of some application.
const CALLER: (&str, &str) = ("billing", "hush_of_billing");

struct Scene {
    idp: OidcProvider,
    admin: Admin,
}

impl Scene {
    async fn start(database: Database, interval: &str) -> Result<Self> {
        // Shown when the scenario fails an assertion.
        println!("on {database:?}");
        let idp = OidcProvider::start().await?;
        idp.add_client(CLIENT.0, CLIENT.1).await?;
        idp.add_client(CALLER.0, CALLER.1).await?;
        let settings = [
            ("APP_AUTH_IDP_ALLOW_HTTP", "true"),
            ("APP_AUTH_IDP_TIMEOUT", "5000"),
            ("APP_AUTH_IDP_ISSUER_INTERVAL", interval),
        ];
        Ok(Self { idp, admin: Admin::start_with(database, &settings).await? })
    }

    /// A strategy for the provider's tokens, with these members in its configuration.
    async fn strategy(&self, members: Value) -> Result<String> {
        let mut config = json!({"issuer": self.idp.url(), "credential_claim": ["client_id"], "scopes": [],
            "auth_methods": ["bearer"]});
        for (name, value) in members.as_object().unwrap_or(&Map::new()) {
            config[name] = value.clone();
        }
        let body = json!({"name": "tokens", "display_name": "Token", "strategy_type": "openid_connect",
            "configs": {"openid-connect": config}});
        self.admin.client().post(STRATEGIES, &body).await?.expect(201)?.field("id")
    }

    /// One whose tokens the issuer is asked about.
    async fn introspecting(&self, members: Value) -> Result<String> {
        let mut whole = json!({"auth_methods": ["introspection"], "client_id": [CLIENT.0],
            "client_secret": [CLIENT.1]});
        for (name, value) in members.as_object().unwrap_or(&Map::new()) {
            whole[name] = value.clone();
        }
        self.strategy(whole).await
    }

    /// The ids of the keys that gateways know.
    async fn keys(&self) -> Result<Vec<String>> {
        keys(&self.admin).await
    }

    async fn refresh(&self) -> Result<Answer> {
        refresh(&self.admin, &self.idp.url()).await
    }

    async fn introspect(&self, strategy: &str, token: &str) -> Result<Answer> {
        let body = json!({"strategy": strategy, "token": token});
        self.admin.gateway_client().post(calls::INTROSPECT, &body).await
    }

    /// What is counted under a name, such as `…_total{outcome="answered"}`.
    async fn metric(&self, name: &str) -> Result<String> {
        let metrics = self.admin.client().get("/metrics").await?.text();
        let line = metrics.lines().find_map(|line| line.strip_prefix(name));
        Ok(line.unwrap_or_default().trim().to_owned())
    }
}

async fn keys(admin: &Admin) -> Result<Vec<String>> {
    let page = admin.gateway_client().get("/gateway/v1/snapshot?limit=500").await?.expect(200)?.json();
    let records = page["records"].as_array().cloned().unwrap_or_default();
    let keys = records.iter().filter_map(|entry| entry["record"]["issuer"]["keys"].as_array()).flatten();
    Ok(keys.filter_map(|key| key["kid"].as_str()).map(str::to_owned).collect())
}

async fn refresh(admin: &Admin, issuer: &str) -> Result<Answer> {
    admin.gateway_client().post(calls::REFRESH_ISSUER, &json!({"issuer": issuer})).await
}

async fn wait_for_first_keys(scene: &Scene) -> Result<()> {
    wait::until("the first keys", async || Ok(!scene.keys().await?.is_empty())).await
}

#[tokio::test]
async fn given_new_keys_when_a_gateway_asks_then_they_are_in_the_feed_when_it_is_answered() -> Result<()> {
    for database in Database::BOTH {
        let scene = Scene::start(database, "200").await?;
        scene.strategy(json!({})).await?;
        wait_for_first_keys(&scene).await?;
        let first = scene.keys().await?;

        let second = scene.idp.rotate("ES384", true).await?;
        let answer = scene.refresh().await?.expect(200)?;
        assert_eq!(answer.json(), json!({}));
        assert_eq!(scene.keys().await?, [second, first[0].clone()]);

        // A key that is no longer published is gone at once.
        let third = scene.idp.rotate("EdDSA", false).await?;
        scene.refresh().await?.expect(200)?;
        assert_eq!(scene.keys().await?, [third]);

        // Nothing has changed, so nobody is told anything.
        let revision = async || {
            let nodes = scene.admin.client().get("/gateway/v1/nodes").await?.expect(200)?.json();
            nodes["revision"].as_u64().context("no revision")
        };
        let before = revision().await?;
        scene.refresh().await?.expect(200)?;
        assert_eq!(revision().await?, before);
    }
    Ok(())
}

#[tokio::test]
async fn given_many_gateways_that_ask_at_once_when_answered_then_the_issuer_was_asked_once_and_all_have_its_keys()
-> Result<()> {
    for database in Database::BOTH {
        let scene = Scene::start(database, "1500").await?;
        scene.strategy(json!({})).await?;
        wait_for_first_keys(&scene).await?;
        let replica = match database {
            Database::Sqlite => None,
            Database::Postgres => Some(scene.admin.replica().await?),
        };
        scene.idp.calls(&Method::GET, "/jwks").await?;
        let kid = scene.idp.rotate("ES256", false).await?;

        let url = scene.idp.url();
        let ask = async |admin: &Admin| -> Result<Vec<String>> {
            refresh(admin, &url).await?.expect(200)?;
            keys(admin).await
        };
        let asking =
            (0..12).map(|place| ask(replica.as_ref().filter(|_| place % 2 == 0).unwrap_or(&scene.admin)));
        let known = futures_util::future::try_join_all(asking).await?;

        assert!(known.iter().all(|known| *known == [kid.clone()]), "{known:?}");
        assert_eq!(scene.idp.calls(&Method::GET, "/jwks").await?, 1);
    }
    Ok(())
}

#[tokio::test]
async fn given_an_issuer_that_was_just_asked_when_its_keys_change_then_the_next_question_waits_and_finds_them()
-> Result<()> {
    let scene = Scene::start(Database::Sqlite, "1000").await?;
    scene.strategy(json!({})).await?;
    wait_for_first_keys(&scene).await?;
    scene.refresh().await?.expect(200)?;
    for _ in 0..2 {
        let kid = scene.idp.rotate("ES256", false).await?;
        scene.refresh().await?.expect(200)?;
        assert_eq!(scene.keys().await?, [kid]);
    }
    Ok(())
}

/// A gateway that takes its time to apply what it is told.
async fn follow_slowly(admin: &Admin, moment: Duration) -> Result<()> {
    let gateway = admin.gateway_client();
    let mut applied = 0;
    loop {
        let path = format!("/gateway/v1/feed?after={applied}&wait=20&node=slow&version=1");
        let page = gateway.get(&path).await?.expect(200)?.json();
        tokio::time::sleep(moment).await;
        applied = page["revision"].as_u64().context("no revision")?;
    }
}

#[tokio::test]
async fn given_a_gateway_that_applies_slowly_when_keys_have_changed_then_the_answer_waits_for_it()
-> Result<()> {
    let scene = Scene::start(Database::Sqlite, "100").await?;
    scene.strategy(json!({})).await?;
    wait_for_first_keys(&scene).await?;
    let slowly = follow_slowly(&scene.admin, Duration::from_millis(300));
    let asking = async {
        let nodes = async || -> Result<Value> {
            Ok(scene.admin.client().get("/gateway/v1/nodes").await?.expect(200)?.json())
        };
        let has_all = async || Ok(nodes().await?["data"][0]["lag"] == 0);
        wait::until("the gateway to have everything", has_all).await?;
        scene.idp.rotate("ES256", false).await?;
        scene.refresh().await?.expect(200)?;
        let known = nodes().await?;
        assert_eq!(known["data"][0]["applied"], known["revision"], "{known}");
        Ok(())
    };
    tokio::select! {
        ended = slowly => ended,
        done = asking => done,
    }
}

#[tokio::test]
async fn given_an_issuer_nobody_names_or_no_token_when_a_gateway_asks_then_it_is_refused() -> Result<()> {
    let scene = Scene::start(Database::Sqlite, "200").await?;
    let unknown = scene.refresh().await?.expect(404)?;
    assert_eq!(unknown.header("content-type"), "application/problem+json");
    assert_eq!(scene.idp.calls(&Method::GET, "/jwks").await?, 0);

    let gateway = scene.admin.gateway_client();
    for path in [calls::REFRESH_ISSUER, calls::INTROSPECT] {
        for body in [json!({}), json!({"issuer": 7}), json!([]), json!({"strategy": "x", "token": "hush"})] {
            let refused = gateway.post(path, &body).await?.expect(400)?;
            assert!(!refused.text().contains("hush"), "{}", refused.text());
        }
        let body = json!({"issuer": scene.idp.url(), "strategy": Uuid::new_v4(), "token": "hush"});
        gateway.with_token(None).post(path, &body).await?.expect(401)?;
        scene.admin.client().post(path, &body).await?.expect(401)?;
    }
    gateway.with_token(None).post(calls::WAIT, &json!({})).await?.expect(401)?;
    Ok(())
}

#[tokio::test]
async fn given_an_outage_or_an_empty_key_set_when_a_gateway_asks_then_the_last_good_keys_stay_and_it_is_told_at_once()
-> Result<()> {
    for database in Database::BOTH {
        let scene = Scene::start(database, "200").await?;
        scene.strategy(json!({})).await?;
        wait_for_first_keys(&scene).await?;
        let known = scene.keys().await?;

        scene.idp.set_keys_answer(&json!({}), &json!({"keys": []})).await?;
        scene.refresh().await?.expect(200)?;
        assert_eq!(scene.keys().await?, known);
        assert!(
            scene.admin.log().contains("its key set has no key that can be used"),
            "{}",
            scene.admin.log()
        );

        // It has failed just now, so nobody asks again on demand.
        scene.idp.calls(&Method::GET, "/jwks").await?;
        scene.idp.set_outage(true).await?;
        for _ in 0..5 {
            scene.refresh().await?.expect(200)?;
        }
        assert!(scene.idp.calls(&Method::GET, "/jwks").await? <= 1);
        assert_eq!(scene.keys().await?, known);

        scene.idp.set_outage(false).await?;
        scene.idp.set_keys_answer(&json!({}), &Value::Null).await?;
        let kid = scene.idp.rotate("PS256", true).await?;
        wait::until("the new key, without a question", async || Ok(scene.keys().await?.contains(&kid)))
            .await?;
    }
    Ok(())
}

#[tokio::test]
async fn given_an_issuer_that_hangs_when_another_is_asked_then_that_one_answers() -> Result<()> {
    let scene = Scene::start(Database::Sqlite, "200").await?;
    let hanging = OidcProvider::start().await?;
    hanging.set_fault(Some(("hang", &Method::GET, "/"))).await?;
    scene.strategy(json!({"issuer": hanging.url()})).await?;
    scene.strategy(json!({})).await?;
    wait_for_first_keys(&scene).await?;
    let kid = scene.idp.rotate("ES256", false).await?;
    scene.refresh().await?.expect(200)?;
    assert_eq!(scene.keys().await?, [kid]);
    Ok(())
}

#[tokio::test]
async fn given_an_opaque_token_when_a_gateway_asks_then_it_is_told_what_the_issuer_says() -> Result<()> {
    for database in Database::BOTH {
        let scene = Scene::start(database, "200").await?;
        let basic = scene.introspecting(json!({})).await?;
        wait_for_first_keys(&scene).await?;
        let token = scene.idp.opaque(CALLER.0, CALLER.1, "orders:read").await?;

        let said = scene.introspect(&basic, &token).await?.expect(200)?.json();
        assert_eq!((&said["active"], &said["client_id"]), (&json!(true), &json!(CALLER.0)));
        assert_eq!((&said["scope"], &said["iss"]), (&json!("orders:read"), &json!(scene.idp.url())));
        let other = scene.introspect(&basic, "nobody's").await?.expect(200)?.json();
        assert_eq!(other, json!({"active": false}));
        scene.idp.forget(&token).await?;
        let over = scene.introspect(&basic, &token).await?.expect(200)?.json();
        assert_eq!(over, json!({"active": false}));

        // The provider takes the client's secret in one way only, so the other strategy's is the form's.
        scene.idp.add_client_by("form", "hush_of_form", "client_secret_post").await?;
        let form = scene
            .introspecting(json!({"client_id": "form", "client_secret": "hush_of_form",
                "introspection_endpoint_auth_method": "client_secret_post",
                "introspection_endpoint": format!("{}/token/introspection", scene.idp.url()),
                "introspection_post_args_names": ["more"], "introspection_post_args_values": ["of it"]}))
            .await?;
        let token = scene.idp.opaque(CALLER.0, CALLER.1, "").await?;
        assert_eq!(scene.introspect(&form, &token).await?.expect(200)?.json()["active"], true);
        assert_eq!(scene.metric("app_auth_admin_introspections_total{outcome=\"answered\"}").await?, "4");
        for secret in [&*token, CLIENT.1, "hush_of_form"] {
            assert!(!scene.admin.log().contains(secret));
        }
        let feed = scene.admin.gateway_client().get("/gateway/v1/snapshot?limit=500").await?.text();
        assert!(!feed.contains("hush"), "{feed}");
    }
    Ok(())
}

#[tokio::test]
async fn given_a_strategy_that_cannot_introspect_when_a_gateway_asks_then_the_answer_says_why_and_no_secret()
-> Result<()> {
    let scene = Scene::start(Database::Sqlite, "200").await?;
    let bearer = scene.strategy(json!({})).await?;
    wait_for_first_keys(&scene).await?;
    let nowhere = OidcProvider::start().await?.url();
    let stranger = json!({"client_secret": "hush_of_nobody"});
    let away = json!({"introspection_endpoint": format!("{nowhere}/hush"), "timeout": 500});
    let no_object = json!({"introspection_endpoint": format!("{}/jwks", scene.idp.url())});
    let unknown = json!({"issuer": nowhere});
    for (strategy, status, why) in [
        (Uuid::new_v4().to_string(), 404, "no such strategy"),
        (bearer, 404, "no introspection"),
        (scene.introspecting(unknown).await?, 409, "introspection_endpoint"),
        (scene.introspecting(stranger).await?, 502, "status 401"),
        (scene.introspecting(no_object).await?, 502, "status 404"),
        (scene.introspecting(away).await?, 503, "does not answer"),
    ] {
        let refused = scene.introspect(&strategy, "hush_of_a_token").await?.expect(status)?;
        assert_eq!(refused.header("content-type"), "application/problem+json");
        let text = refused.text();
        assert!(text.contains(why) && !text.contains("hush"), "{text}");
    }
    assert!(!scene.admin.log().contains("hush"));
    assert_eq!(scene.metric("app_auth_admin_introspections_total{outcome=\"refused\"}").await?, "2");
    Ok(())
}

#[tokio::test]
async fn given_a_moment_to_wait_when_it_is_over_then_the_answer_is_empty() -> Result<()> {
    let mut scene = Scene::start(Database::Sqlite, "200").await?;
    let gateway = scene.admin.gateway_client();
    for milliseconds in ["", "?milliseconds=0", "?milliseconds=50"] {
        let answer =
            gateway.post(&format!("{}{milliseconds}", calls::WAIT), &json!({})).await?.expect(204)?;
        assert!(answer.body.is_empty());
    }
    gateway.post(&format!("{}?milliseconds=soon", calls::WAIT), &json!({})).await?.expect(400)?;
    // No longer than may be waited.
    gateway.post(&format!("{}?milliseconds=9999999999", calls::WAIT), &json!({})).await?.expect(204)?;
    scene.admin.check_alive()
}
