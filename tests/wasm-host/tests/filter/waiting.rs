//! Requests that wait for somebody's answer: an issuer that gives a token for a client, the admin extension that gives out
//! tokens and asks issuers. On both kinds of host, with the answers that come and those that do not.

use app_auth_core::digest::{KeyDigest, Masked};
use app_auth_core::feed::Operation;
use app_auth_core::ids::{StoreId, StrategyId};
use app_auth_core::record::{
    CredentialRecord, IssuerRecord, OAuth2Config, OpenIdConnectConfig, Record, Strategy, StrategyConfig,
    TokenRecord,
};
use app_auth_test_tokens::{jwk, token};
use app_auth_wasm_host::{Answer, HttpCall, Outcome, Quirks, Request};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{SERVICE, World, caller, get, message, request};

const ISSUER: &str = "https://issuer.example";
const STRATEGY: StrategyId = StrategyId(Uuid::from_u128(0x1d));
/// `someone:hush!` as Basic has it.
const BASIC: &str = "Basic c29tZW9uZTpodXNoIQ==";

fn put(world: &mut World, key: KeyDigest, record: Record) {
    world.admin.change(key, Operation::Put(record));
}

/// Hosts whose service takes clients and opaque tokens of an issuer, which knows [`caller`] 1 as `someone`.
fn openid_connect() -> [World; 2] {
    [Quirks::kong(), Quirks::envoy()].map(|quirks| {
        let mut world = World::without_contact(quirks);
        let config = OpenIdConnectConfig {
            issuer: ISSUER.into(),
            auth_methods: ["client_credentials", "introspection"].map(Into::into).to_vec(),
            scopes: vec!["read".into(), "write".into()],
            audience: vec!["https://api.example/?a=b".into()],
            ..OpenIdConnectConfig::default()
        };
        let strategy = Strategy { id: STRATEGY, config: StrategyConfig::OpenIdConnect(Box::new(config)) };
        world.admin.strategies(SERVICE, vec![strategy], false);
        let issuer = IssuerRecord {
            configured: ISSUER.into(),
            issuer: ISSUER.into(),
            token_endpoint: Some("https://issuer.example/oauth/token?tenant=1".into()),
            introspection_endpoint: None,
            token_endpoint_auth_methods: Vec::new(),
            algorithms: Vec::new(),
            keys: vec![jwk("ES256", "ES256")],
        };
        let store = world.admin.store;
        put(&mut world, KeyDigest::of_issuer(&store, ISSUER), Record::Issuer(issuer));
        let client = KeyDigest::of_client_id(&store, STRATEGY, b"someone");
        put(&mut world, client, Record::Credential(caller(1)));
        world.settle();
        world
    })
}

fn claims() -> Value {
    json!({ "iss": ISSUER, "sub": "someone", "exp": 4_102_444_800_u64 })
}

fn granted(kid: &str) -> Answer {
    let token = token(&json!({ "alg": "ES256", "kid": kid }), &claims());
    Answer::json(
        200,
        json!({ "access_token": token, "token_type": "Bearer", "expires_in": 3600 }).to_string(),
    )
}

fn basic() -> Request {
    get("/echo").header("authorization", BASIC)
}

fn identified(outcome: &Outcome) -> Vec<String> {
    outcome.upstream().headers.all("X-Application-ID")
}

#[test]
fn given_a_client_when_its_issuer_gives_a_token_then_it_gets_in_with_that_and_again_without_asking() {
    for mut world in openid_connect() {
        let first = world.send(&basic().answer(granted("ES256")));
        assert_eq!(identified(&first), [caller(1).application.to_string()]);
        let [call] = first.waited_for.as_slice() else { panic!("{:?}", first.waited_for) };
        assert_eq!(call.upstream, "issuer.example:443");
        assert_eq!(call.path(), "/oauth/token?tenant=1");
        for (name, value) in [
            (":method", "POST"),
            (":scheme", "https"),
            (":authority", "issuer.example"),
            ("content-type", "application/x-www-form-urlencoded"),
            ("authorization", BASIC),
        ] {
            assert_eq!(call.header(name), value);
        }
        let form =
            "grant_type=client_credentials&scope=read+write&audience=https%3A%2F%2Fapi.example%2F%3Fa%3Db";
        assert_eq!(String::from_utf8_lossy(&call.body), form);
        let again = world.send(&basic());
        assert!(again.waited_for.is_empty());
        for outcome in [first, again] {
            let seen = outcome.upstream().headers.all("authorization");
            assert!(seen.len() == 1 && seen[0].starts_with("Bearer eyJ"), "{seen:?}");
        }
        // Nobody's secret is anywhere but in the call.
        assert!(!world.node.logs().iter().any(|line| line.text.contains("c29tZW9uZTpodXNoIQ")));
    }
}

#[test]
fn given_a_client_in_a_form_when_it_is_let_in_then_its_secret_went_to_the_issuer_in_its_own_way() {
    for mut world in openid_connect() {
        let form = "a=1&client_id=someone&client_secret=hush%21";
        let outcome = world.send(
            &request("POST", "/echo")
                .body("application/x-www-form-urlencoded", form)
                .upstream_uri("/echo")
                .answer(granted("ES256")),
        );
        assert_eq!(outcome.upstream().body, form.as_bytes());
        assert_eq!(outcome.upstream().path, "/echo");
        assert_eq!(identified(&outcome).len(), 1);
        // Encoded as RFC 6749 has it, and then as RFC 7617 has it.
        assert_eq!(outcome.waited_for[0].header("authorization"), "Basic c29tZW9uZTpodXNoJTIx");
    }
}

#[test]
fn given_an_issuer_that_refuses_or_fails_when_a_client_asks_then_only_a_refusal_is_remembered() {
    for mut world in openid_connect() {
        for failure in [
            Answer::failure(),
            Answer::json(500, "{}"),
            Answer::json(200, "nonsense"),
            Answer::json(429, "{}"),
        ] {
            let outcome = world.send(&basic().answer(failure));
            assert_eq!(outcome.status(), 503);
            assert_eq!(message(&outcome), "The issuer of tokens does not answer");
        }
        let refusal = Answer::json(401, r#"{"error": "invalid_client"}"#);
        let refused = world.send(&basic().answer(refusal));
        assert_eq!(refused.status(), 401);
        let realm = "Bearer realm=\"issuer.example\", Basic realm=\"issuer.example\"";
        assert_eq!(refused.local().header("WWW-Authenticate").as_deref(), Some(realm));
        let again = world.send(&basic());
        assert_eq!((again.status(), again.waited_for.len()), (401, 0));
        // Not for ever.
        world.run(crate::support::SECOND * 3);
        assert_eq!(world.send(&basic().answer(granted("ES256"))).status(), 200);
    }
}

#[test]
fn given_a_token_signed_by_a_new_key_when_it_is_got_for_a_client_then_the_admin_extension_is_asked_for_the_key()
 {
    for mut world in openid_connect() {
        let outcome = world.send(&basic().answer(granted("new")).answer(Answer::json(200, "{}")));
        assert_eq!(outcome.status(), 401);
        let paths: Vec<_> = outcome.waited_for.iter().map(HttpCall::path).collect();
        assert_eq!(paths, ["/oauth/token?tenant=1", "/gateway/v1/issuers/refresh"]);
        assert_eq!(outcome.waited_for[1].body, br#"{"issuer":"https://issuer.example"}"#);
        // Nobody to ask: nobody can tell.
        let other = basic().answer(granted("newer")).answer(Answer::failure());
        assert_eq!(world.send(&other).status(), 503);
    }
}

#[test]
fn given_an_opaque_token_when_its_issuer_says_it_is_active_then_it_counts_until_it_ends() {
    for mut world in openid_connect() {
        let bearing = |token: &str| get("/echo").header("authorization", format!("bearer {token}"));
        let active = json!({ "active": true, "sub": "someone", "exp": 4_102_444_800_u64 }).to_string();
        let outcome = world.send(&bearing("opaque-1").answer(Answer::json(200, &active)));
        assert_eq!(identified(&outcome), [caller(1).application.to_string()]);
        let call = &outcome.waited_for[0];
        assert_eq!(call.path(), "/gateway/v1/introspect");
        assert_eq!(call.header("authorization"), format!("Bearer {}", app_auth_wasm_host::TOKEN));
        let asked: Value = serde_json::from_slice(&call.body).unwrap_or_default();
        assert_eq!(asked, json!({ "strategy": STRATEGY, "token": "opaque-1" }));
        assert!(world.send(&bearing("opaque-1")).waited_for.is_empty());

        for (token, answer, status) in [
            ("opaque-2", r#"{"active": false}"#, 401),
            ("opaque-3", r#"{"active": "true", "sub": "someone"}"#, 401),
            ("opaque-4", r#"{"active": true, "active": true, "sub": "someone"}"#, 401),
            ("opaque-5", r#"{"active": true, "sub": "someone", "iss": "https://else.example"}"#, 401),
            ("opaque-6", r#"{"active": true, "sub": "someone", "exp": 1}"#, 401),
            ("opaque-7", r#"{"active": true, "sub": "nobody"}"#, 403),
            ("opaque-8", "nonsense", 401),
        ] {
            assert_eq!(
                world.send(&bearing(token).answer(Answer::json(200, answer))).status(),
                status,
                "{token}"
            );
        }
        for failure in [Answer::failure(), Answer::json(502, "{}"), Answer::json(404, "{}")] {
            assert_eq!(world.send(&bearing("opaque-9").answer(failure)).status(), 503);
        }
    }
}

/// Hosts whose service takes Kong's OAuth 2.0 tokens; one is known, of [`caller`] 1.
fn oauth2(token: &TokenRecord, client: &CredentialRecord, config: &OAuth2Config) -> [World; 2] {
    [Quirks::kong(), Quirks::envoy()].map(|quirks| {
        let mut world = World::without_contact(quirks);
        let config = StrategyConfig::OAuth2(config.clone());
        world.admin.strategies(SERVICE, vec![Strategy { id: StrategyId::OAUTH2, config }], false);
        let store = world.admin.store;
        let credential = KeyDigest::of_api_key(&store, StrategyId::KEY_AUTH, b"client");
        put(&mut world, credential, Record::Credential(client.clone()));
        let client_id = Masked::new(&store, b"tok", b"client");
        let record = TokenRecord { credential, client_id, ..token.clone() };
        put(&mut world, KeyDigest::of_access_token(&store, b"tok"), Record::Token(record));
        world.settle();
        world
    })
}

fn known() -> TokenRecord {
    TokenRecord {
        credential: KeyDigest([0; 32]),
        service: Some(SERVICE),
        expires_at: None,
        client_id: Masked::new(&StoreId([0; 32]), b"", b""),
        scope: Some("read write".into()),
        authenticated_userid: Some("joe".into()),
    }
}

#[test]
fn given_an_access_token_when_it_is_shown_then_the_upstream_learns_whose_it_is() {
    for mut world in oauth2(&known(), &caller(1), &OAuth2Config::default()) {
        for authorization in ["Bearer tok", "token tok", "TOKEN  tok", "tok"] {
            let outcome = world.send(&get("/echo").header("authorization", authorization));
            for (name, value) in [
                ("X-Credential-Identifier", "client"),
                ("X-Authenticated-Scope", "read write"),
                ("X-Authenticated-UserId", "joe"),
                ("X-Auth-Strategy-ID", &StrategyId::OAUTH2.to_string()),
            ] {
                assert_eq!(outcome.upstream().headers.all(name), [value], "{authorization}");
            }
        }
        assert_eq!(world.send(&get("/echo?access_token=tok")).status(), 200);
        let body = request("POST", "/echo").body("application/json", r#"{"access_token": "tok"}"#);
        assert_eq!(world.send(&body.upstream_uri("/echo")).status(), 200);
        let forged = get("/echo").header("authorization", "tok").header("x-authenticated-scope", "admin");
        assert_eq!(world.send(&forged).upstream().headers.all("X-Authenticated-Scope"), ["read write"]);
    }
}

#[test]
fn given_no_good_access_token_when_asking_then_the_answers_are_those_of_the_plugin() {
    let invalid =
        r#"{"error_description":"The access token is invalid or has expired","error":"invalid_token"}"#;
    let challenge = "Bearer realm=\"apis\" error=\"invalid_token\" error_description=\"The access token is invalid or has expired\"";
    let config = OAuth2Config { realm: Some("apis".into()), ..OAuth2Config::default() };
    let ask = |world: &mut World, token: &str| world.send(&get("/echo").header("authorization", token));
    for mut world in oauth2(&known(), &caller(1), &config) {
        let none = world.send(&get("/echo"));
        let missing = r#"{"error_description":"The access token is missing","error":"invalid_request"}"#;
        assert_eq!((none.status(), none.local().text().trim_end()), (401, missing));
        assert_eq!(none.local().header("WWW-Authenticate").as_deref(), Some("Bearer realm=\"apis\""));
        let unknown = ask(&mut world, "Bearer nonsense");
        assert_eq!((unknown.status(), unknown.local().text().trim_end()), (401, invalid));
        assert_eq!(unknown.local().header("WWW-Authenticate").as_deref(), Some(challenge));
    }
    let other = TokenRecord { service: Some(crate::support::OTHER_SERVICE), ..known() };
    let expired = TokenRecord { expires_at: Some(1), ..known() };
    for token in [other, expired] {
        for mut world in oauth2(&token, &caller(1), &config) {
            assert_eq!(ask(&mut world, "tok").local().text().trim_end(), invalid);
        }
    }
    let global = TokenRecord { service: None, ..known() };
    for mut world in oauth2(&global, &caller(1), &config) {
        let text = ask(&mut world, "tok").local().text();
        assert!(text.contains("configured without 'global_credentials'"), "{text}");
    }
    let takes_global = OAuth2Config { global_credentials: true, ..config.clone() };
    for mut world in oauth2(&global, &caller(1), &takes_global) {
        assert_eq!(ask(&mut world, "tok").status(), 200);
    }
    let revoked = crate::support::caller_with(1, app_auth_core::record::ConnectionStatus::Revoked);
    for mut world in oauth2(&known(), &revoked, &config) {
        assert_eq!(ask(&mut world, "tok").status(), 403);
    }
}

#[test]
fn given_a_request_for_a_token_when_the_admin_extension_answers_then_the_caller_gets_just_that() {
    for mut world in oauth2(&known(), &caller(1), &OAuth2Config::default()) {
        let answer = json!({ "status": 400, "headers": [["cache-control", "no-store"], ["content-type", "application/json"]],
            "body": "{\"error\":\"invalid_scope\"}" });
        let form = "grant_type=client_credentials&client_id=client";
        let outcome = world.send(
            &request("POST", "/api/oauth2/token?state=x")
                .header("authorization", "Basic eA==")
                .header("x-forwarded-proto", "https")
                .body("application/x-www-form-urlencoded", form)
                .upstream_uri("/api/oauth2/token")
                .answer(Answer::json(200, answer.to_string())),
        );
        let local = outcome.local();
        assert_eq!((local.status, local.text().trim_end()), (400, r#"{"error":"invalid_scope"}"#));
        assert_eq!(local.header("cache-control").as_deref(), Some("no-store"));
        let asked: Value = serde_json::from_slice(&outcome.waited_for[0].body).unwrap_or_default();
        let expected = json!({ "service": SERVICE, "method": "POST", "https": false, "forwarded_proto": ["https"],
            "query": "state=x", "content_type": "application/x-www-form-urlencoded", "authorization": "Basic eA==",
            "body": form });
        assert_eq!(asked, expected);
        // Without an answer nobody gets anything, least of all the upstream.
        for failure in [Answer::failure(), Answer::json(500, "{}"), Answer::json(200, "nonsense")] {
            assert_eq!(world.send(&request("POST", "/oauth2/token/").answer(failure)).status(), 503);
        }
    }
}
