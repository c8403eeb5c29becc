//! What the gateway reads of an `openid-connect` configuration: it is of the types that the gateway needs, never weaker than
//! what was asked for, and no secret of it goes further than it must.

use anyhow::{Context as _, Result};
use app_auth_tests::admin::{Admin, Database};
use app_auth_tests::audit::lines;
use reqwest::Method;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::common::{STRATEGIES, on_both, one, openid_connect, refused, wrong};

/// Members, and what is wrong with them: field and rule.
type Case = (Value, &'static str, &'static str);

fn cases() -> Vec<Case> {
    let many = json!(vec!["x"; 51]);
    let long = "x".repeat(129);
    vec![
        (json!({"leeway": "5"}), "leeway", "is_integer"),
        (json!({"leeway": -1}), "leeway", "invalid"),
        (json!({"leeway": 3601}), "leeway", "invalid"),
        (json!({"maximum_age": 1.5}), "maximum_age", "is_integer"),
        (json!({"timeout": 0}), "timeout", "invalid"),
        (json!({"timeout": 60_001}), "timeout", "invalid"),
        (json!({"cache_ttl": 86_401}), "cache_ttl", "invalid"),
        (json!({"hide_credentials": "x"}), "hide_credentials", "is_boolean"),
        (json!({"run_on_preflight": 1}), "run_on_preflight", "is_boolean"),
        (json!({"introspect_jwt_tokens": "true"}), "introspect_jwt_tokens", "is_boolean"),
        (json!({"cache_introspection": []}), "cache_introspection", "is_boolean"),
        (json!({"cache_tokens": {}}), "cache_tokens", "is_boolean"),
        (json!({"scopes_required": "x"}), "scopes_required", "is_array"),
        (json!({"scopes_required": many}), "scopes_required", "max_length"),
        (json!({"scopes_required": [long]}), "scopes_required[0]", "max_length"),
        (json!({"groups_required": many}), "groups_required", "max_length"),
        (json!({"roles_claim": "x"}), "roles_claim", "is_array"),
        (json!({"claims_forbidden": many}), "claims_forbidden", "max_length"),
        (json!({"audience": many}), "audience", "max_length"),
        (json!({"issuers_allowed": many}), "issuers_allowed", "max_length"),
        (json!({"bearer_token_param_type": ["cookie"]}), "bearer_token_param_type[0]", "enum"),
        (json!({"client_credentials_param_type": ["cookie"]}), "client_credentials_param_type[0]", "enum"),
        (json!({"token_endpoint": "idp.example.com"}), "token_endpoint", "invalid"),
        (json!({"token_endpoint": "https://us:hush@idp.example.com"}), "token_endpoint", "invalid"),
        (json!({"token_endpoint_auth_method": "private_key_jwt"}), "token_endpoint_auth_method", "enum"),
        (json!({"introspection_endpoint": 7}), "introspection_endpoint", "is_string"),
        (
            json!({"introspection_endpoint_auth_method": "client_secret_jwt"}),
            "introspection_endpoint_auth_method",
            "enum",
        ),
        (json!({"introspection_hint": ""}), "introspection_hint", "min_length"),
        (json!({"client_id": 7}), "client_id", "is_string"),
        (json!({"client_id": ["x", 7]}), "client_id[1]", "is_string"),
        (json!({"client_secret": many}), "client_secret", "max_length"),
        (json!({"consumer_by": ["nickname"]}), "consumer_by[0]", "enum"),
        (json!({"consumer_by": ["id"], "consumer_claim": ["sub"]}), "consumer_by", "invalid"),
        (
            json!({"token_post_args_names": ["x"], "token_post_args_values": [7]}),
            "token_post_args_values[0]",
            "is_string",
        ),
        (json!({"token_post_args_names": ["x"]}), "token_post_args_values", "invalid"),
        (json!({"token_post_args_values": ["x"]}), "token_post_args_values", "invalid"),
        (json!({"introspection_post_args_values": ["x"]}), "introspection_post_args_values", "invalid"),
        // Weaker than what was asked for.
        (json!({"anonymous": "7ab4ac9f-6e3c-4b5c-8e21-5b1f2f7f9d1e"}), "anonymous", "invalid"),
        (json!({"verify_signature": false}), "verify_signature", "invalid"),
        (json!({"verify_claims": "no"}), "verify_claims", "invalid"),
        (json!({"introspection_check_active": false}), "introspection_check_active", "invalid"),
        (json!({"ignore_signature": ["introspection"]}), "ignore_signature", "invalid"),
        (json!({"enable_hs_signatures": true}), "enable_hs_signatures", "invalid"),
        (json!({"proof_of_possession_mtls": "strict"}), "proof_of_possession_mtls", "invalid"),
        (json!({"proof_of_possession_dpop": "optional"}), "proof_of_possession_dpop", "invalid"),
        // What the gateway cannot do yet, or not without more.
        (json!({"auth_methods": ["bearer", "session"]}), "auth_methods[1]", "enum"),
        (json!({"auth_methods": ["userinfo"]}), "auth_methods[0]", "enum"),
        (json!({"auth_methods": ["introspection"], "client_secret": "x"}), "client_id", "required"),
        (
            json!({"auth_methods": ["introspection"], "client_id": "x", "client_secret": []}),
            "client_secret",
            "required",
        ),
    ]
}

/// A whole strategy with these members in its configuration.
fn whole(members: &Value) -> Value {
    let mut body = openid_connect("tokens");
    for (name, value) in members.as_object().into_iter().flatten() {
        body["configs"]["openid-connect"][name] = value.clone();
    }
    body
}

fn change(members: &Value) -> Value {
    json!({"configs": {"openid-connect": members}})
}

#[tokio::test]
async fn given_what_no_gateway_could_enforce_when_a_strategy_is_made_or_changed_so_then_it_is_refused()
-> Result<()> {
    let admin = Admin::start(Database::Sqlite).await?;
    let client = admin.client();
    let made = client.post(STRATEGIES, &openid_connect("tokens")).await?.expect(201)?.field("id")?;
    let (new, old) = (format!("{STRATEGIES}/{}", Uuid::new_v4()), format!("{STRATEGIES}/{made}"));
    for (members, field, rule) in cases() {
        let expected = [one(&format!("configs.openid-connect.{field}"), rule, "body")];
        let put = refused(client, Method::PUT, &new, &whole(&members)).await;
        assert_eq!(put.with_context(|| members.to_string())?, expected, "{members}");
        let patched = refused(client, Method::PATCH, &old, &change(&members)).await;
        assert_eq!(patched.with_context(|| members.to_string())?, expected, "{members}");
    }
    Ok(())
}

#[tokio::test]
async fn given_what_a_gateway_can_enforce_when_a_strategy_has_it_then_it_is_taken_and_so_is_what_nobody_reads()
-> Result<()> {
    on_both(async |client| {
        for members in [
            json!({"auth_methods": ["bearer", "client_credentials", "introspection"], "client_id": ["us"],
                "client_secret": "hush", "introspection_post_args_names": ["a"],
                "introspection_post_args_values": ["b"], "introspection_hint": "refresh_token"}),
            json!({"auth_methods": ["introspection"], "introspection_endpoint_auth_method": "none"}),
            json!({"auth_methods": []}),
            json!({"anonymous": null, "verify_signature": true, "verify_claims": true, "ignore_signature": [],
                "enable_hs_signatures": false, "introspection_check_active": true,
                "proof_of_possession_mtls": "off", "proof_of_possession_dpop": null}),
            json!({"leeway": 3600, "timeout": 60_000, "cache_ttl": 0, "maximum_age": null, "timeout_x": "any"}),
            json!({"consumer_claim": ["sub"], "consumer_by": ["username", "custom_id"]}),
            json!({"session_secret": "hush", "cache_user_info": "whatever", "login_methods": [1]}),
        ] {
            let made = client.post(STRATEGIES, &whole(&members)).await?.expect(201);
            let config = made.with_context(|| members.to_string())?.json()["configs"]["openid-connect"].clone();
            for (name, value) in members.as_object().into_iter().flatten() {
                assert_eq!(config[name], *value, "{members}");
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_ways_that_are_not_there_yet_when_a_strategy_asks_for_them_then_the_answer_names_those_that_are()
-> Result<()> {
    let admin = Admin::start(Database::Sqlite).await?;
    let all = ["password", "authorization_code", "userinfo", "kong_oauth2", "refresh_token", "session"];
    let body = whole(&json!({"auth_methods": all}));

    let answer = admin.client().post(STRATEGIES, &body).await?;

    let named: Vec<_> = wrong(&answer).into_iter().map(|(field, ..)| field).collect();
    let places = (0..6).map(|place| format!("configs.openid-connect.auth_methods[{place}]"));
    assert_eq!(named, places.collect::<Vec<_>>());
    let item = &answer.json()["invalid_parameters"][0];
    assert_eq!(item["choices"], json!(["bearer", "client_credentials", "introspection"]));
    let reason = item["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("client_credentials") && reason.contains("not supported yet"), "{reason}");
    Ok(())
}

#[tokio::test]
async fn given_a_strategy_that_introspects_when_it_is_changed_then_it_is_the_outcome_that_must_hold()
-> Result<()> {
    on_both(async |client| {
        let members = json!({"auth_methods": ["introspection"], "client_id": "us", "client_secret": "hush",
            "token_post_args_names": ["a"], "token_post_args_values": ["b"]});
        let made = client.post(STRATEGIES, &whole(&members)).await?.expect(201)?.field("id")?;
        let path = format!("{STRATEGIES}/{made}");
        for (members, field, rule) in [
            (json!({"client_secret": null}), "client_secret", "required"),
            (json!({"token_post_args_names": null}), "token_post_args_values", "invalid"),
            (json!({"token_post_args_values": ["b", "c"]}), "token_post_args_values", "invalid"),
        ] {
            let wrong = refused(client, Method::PATCH, &path, &change(&members)).await?;
            assert_eq!(wrong, [one(&format!("configs.openid-connect.{field}"), rule, "body")]);
        }
        for members in [
            json!({"client_secret": "again", "token_post_args_names": null, "token_post_args_values": null}),
            json!({"client_secret": null, "auth_methods": ["bearer"]}),
        ] {
            client.patch(&path, &change(&members)).await?.expect(200)?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_arguments_of_token_requests_when_a_strategy_is_made_then_they_are_told_and_secrets_are_not()
-> Result<()> {
    on_both(async |client| {
        let members = json!({"token_post_args_names": ["resource"], "token_post_args_values": ["told"],
            "client_id": "us", "client_secret": ["hush_secret"],
            "introspection_post_args_names": ["a"], "introspection_post_args_values": ["hush_value"]});
        let made = client.post(STRATEGIES, &whole(&members)).await?.expect(201)?;
        let config = made.json()["configs"]["openid-connect"].clone();
        for (name, value) in members.as_object().unwrap_or(&Map::new()) {
            assert_eq!(config[name], *value);
        }
        let told = lines(client, "entity=auth_strategy").await?;
        let told = json!(told).to_string();
        assert!(told.contains("told") && !told.contains("hush"), "{told}");
        Ok(())
    })
    .await
}
