//! What a DCR provider may not be: every constraint, by field, rule and source; and that nothing changes when one is
//! broken.

use anyhow::{Context as _, Result};
use app_auth_tests::client::Client;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::common::{PROVIDER_TYPES, PROVIDERS, on_both, one, provider, refused, with, without};

/// What is wrong with a body, and how.
type Case = (Value, String, &'static str);

fn case(body: Value, field: &str, rule: &'static str) -> Case {
    (body, field.to_owned(), rule)
}

/// What neither a provider nor a change to one may have.
fn common(body: &Value) -> Vec<Case> {
    let at = |pointer: &str, value: Value| with(body.clone(), pointer, value);
    let long = "ä".repeat(257);
    vec![
        case(at("/name", json!("")), "name", "min_length"),
        case(at("/name", json!(long)), "name", "max_length"),
        case(at("/name", json!(1)), "name", "is_string"),
        case(at("/name", Value::Null), "name", "is_string"),
        case(at("/display_name", json!("")), "display_name", "min_length"),
        case(at("/display_name", json!(long)), "display_name", "max_length"),
        case(at("/display_name", Value::Null), "display_name", "is_string"),
        case(at("/issuer", json!("idp.example.com")), "issuer", "invalid"),
        case(at("/issuer", json!("https://us:hush@idp.example.com")), "issuer", "invalid"),
        case(at("/issuer", json!(format!("https://{}", "x".repeat(249)))), "issuer", "max_length"),
        case(at("/issuer", Value::Null), "issuer", "is_string"),
        case(at("/labels", json!([])), "labels", "is_object"),
        case(at("/labels", json!({"kong": "x"})), "labels.kong", "is_label"),
        case(at("/labels", json!({"a": "x".repeat(64)})), "labels.a", "max_length"),
        case(at("/dcr_config", json!("x")), "dcr_config", "is_object"),
        case(at("/dcr_config", Value::Null), "dcr_config", "is_object"),
    ]
}

/// What a type's `dcr_config` may not be, whether it makes or changes a provider.
fn config(kind: &str, body: &Value) -> Vec<Case> {
    let at = |name: &str, value: Value| with(body.clone(), &format!("/dcr_config/{name}"), value);
    let wrong = |name: &str, value: Value, rule| case(at(name, value), &format!("dcr_config.{name}"), rule);
    let text = |name: &str| {
        vec![wrong(name, json!("x".repeat(257)), "max_length"), wrong(name, json!(1), "is_string")]
    };
    let mut cases = vec![wrong("colour", json!("red"), "unknown_property")];
    // The members of another type.
    let foreign = if kind == "okta" { "initial_client_id" } else { "dcr_token" };
    cases.push(wrong(foreign, json!("x"), "unknown_property"));
    match kind {
        "okta" => cases.extend(text("dcr_token")),
        "http" => cases.extend([
            wrong("dcr_base_url", json!("bridge"), "invalid"),
            wrong("dcr_base_url", json!("https://us:hush@bridge.example.com"), "invalid"),
            wrong("dcr_base_url", json!(format!("https://{}", "x".repeat(249))), "max_length"),
            wrong("dcr_base_url", json!(1), "is_string"),
            wrong("api_key", json!("x".repeat(11)), "min_length"),
            wrong("api_key", json!("x".repeat(257)), "max_length"),
            wrong("api_key", json!("x".repeat(12) + "-"), "matches_regex"),
            wrong("api_key", json!("ä".repeat(12)), "matches_regex"),
            wrong("disable_event_hooks", json!("true"), "is_boolean"),
            wrong("disable_refresh_secret", json!(1), "is_boolean"),
            wrong("disable_refresh_secret", Value::Null, "is_boolean"),
        ]),
        _ => {
            cases.extend(text("initial_client_id"));
            cases.extend(text("initial_client_secret"));
            cases.push(wrong("initial_client_secret", Value::Null, "is_string"));
        }
    }
    if kind == "auth0" {
        cases.extend(text("initial_client_audience"));
        cases.push(wrong("use_developer_managed_scopes", json!("true"), "is_boolean"));
    } else if kind != "http" {
        cases.push(wrong("initial_client_audience", json!("x"), "unknown_property"));
    }
    cases
}

async fn each_is_refused(client: &Client, method: &Method, path: &str, cases: Vec<Case>) -> Result<()> {
    for (body, field, rule) in cases {
        let wrong = refused(client, method.clone(), path, &body).await;
        let wrong = wrong.with_context(|| format!("{method} {field} {rule}: {body}"))?;
        assert_eq!(wrong, [one(&field, rule, "body")], "{method} {body}");
    }
    Ok(())
}

#[tokio::test]
async fn given_a_provider_that_breaks_one_rule_when_it_is_made_then_that_rule_is_named() -> Result<()> {
    on_both(async |client| {
        for kind in PROVIDER_TYPES {
            let body = provider(kind, "ours");
            let mut cases = common(&body);
            cases.extend(config(kind, &body));
            for name in ["name", "issuer", "dcr_config", "provider_type"] {
                cases.push(case(without(body.clone(), &format!("/{name}")), name, "required"));
            }
            let needed = body["dcr_config"].as_object().into_iter().flatten();
            for (name, _) in needed {
                let body = without(body.clone(), &format!("/dcr_config/{name}"));
                cases.push((body, format!("dcr_config.{name}"), "required"));
            }
            cases.extend([
                case(with(body.clone(), "/provider_type", json!("kongIdentity")), "provider_type", "enum"),
                case(with(body.clone(), "/provider_type", json!(1)), "provider_type", "is_string"),
                case(with(body, "/labels", json!({"a": null})), "labels.a", "is_string"),
            ]);
            each_is_refused(client, &Method::POST, PROVIDERS, cases).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_change_that_breaks_one_rule_when_it_is_sent_then_that_rule_is_named() -> Result<()> {
    on_both(async |client| {
        for kind in PROVIDER_TYPES {
            let made = client.post(PROVIDERS, &provider(kind, kind)).await?.expect(201)?.field("id")?;
            let mut cases = common(&json!({}));
            cases.extend(config(kind, &json!({"dcr_config": {}})));
            for (name, value) in [
                ("provider_type", json!(kind)),
                ("id", json!(Uuid::new_v4())),
                ("active", json!(true)),
                ("colour", json!("red")),
            ] {
                cases.push(case(json!({name: value}), name, "unknown_property"));
            }
            each_is_refused(client, &Method::PATCH, &format!("{PROVIDERS}/{made}"), cases).await?;
        }
        Ok(())
    })
    .await
}
