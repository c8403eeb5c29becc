//! What a strategy may not be: every constraint, by field, rule and source; and that nothing changes when one is broken.

use anyhow::{Context as _, Result};
use app_auth_tests::client::Client;
use reqwest::Method;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::common::{
    PROVIDERS, STRATEGIES, Wrong, key_auth, on_both, one, openid_connect, provider, refused, with, without,
    wrong,
};

/// A text of so many characters, of two bytes each.
fn long(characters: usize) -> String {
    "ä".repeat(characters)
}

/// What is wrong with a body, and how.
type Case = (Value, &'static str, &'static str);

/// What neither a strategy nor a change to one may have.
fn labels(body: &Value) -> Vec<Case> {
    let many: Map<_, _> = (0..51).map(|n| (format!("l{n}"), json!("x"))).collect();
    let label = |name: &str, value: Value| with(body.clone(), "/labels", json!({name: value}));
    vec![
        (with(body.clone(), "/labels", json!([])), "labels", "is_object"),
        (with(body.clone(), "/labels", json!("x")), "labels", "is_object"),
        (with(body.clone(), "/labels", json!(many)), "labels", "max_length"),
        (label("kong-x", json!("x")), "labels.kong-x", "is_label"),
        (label("konnect", json!("x")), "labels.konnect", "is_label"),
        (label("mesh1", json!("x")), "labels.mesh1", "is_label"),
        (label("kic.a", json!("x")), "labels.kic.a", "is_label"),
        (label("_a", json!("x")), "labels._a", "is_label"),
        (label("", json!("x")), "labels.", "is_label"),
        (label("a b", json!("x")), "labels.a b", "is_label"),
        (label("a", json!("")), "labels.a", "is_label"),
        (label("a", json!("-x")), "labels.a", "is_label"),
        (label("a", json!("x".repeat(64))), "labels.a", "max_length"),
        (label("a", json!(1)), "labels.a", "is_string"),
    ]
}

/// What no strategy's name may be, and so on.
fn common(body: &Value) -> Vec<Case> {
    let mut cases = vec![
        (with(body.clone(), "/name", json!("")), "name", "min_length"),
        (with(body.clone(), "/name", json!(long(257))), "name", "max_length"),
        (with(body.clone(), "/name", json!(7)), "name", "is_string"),
        (with(body.clone(), "/name", Value::Null), "name", "is_string"),
        (with(body.clone(), "/name", json!("a\0b")), "name", "invalid"),
        (with(body.clone(), "/display_name", json!(long(257))), "display_name", "max_length"),
        (with(body.clone(), "/display_name", json!(["x"])), "display_name", "is_string"),
        (with(body.clone(), "/configs", json!("x")), "configs", "is_object"),
        (with(body.clone(), "/colour", json!("red")), "colour", "unknown_property"),
        (with(body.clone(), "/id", json!(Uuid::nil())), "id", "unknown_property"),
        (with(body.clone(), "/active", json!(true)), "active", "unknown_property"),
    ];
    cases.extend(labels(body));
    cases
}

/// What a `key-auth` block may not be, whether it makes or changes a strategy.
fn key_auth_config(body: &Value) -> Vec<Case> {
    let at = |value: Value| with(body.clone(), "/configs", json!({"key-auth": value}));
    let names = |names: Value| at(json!({"key_names": names}));
    let ttl = |ttl: Value| at(json!({"ttl": ttl}));
    let (list, first) = ("configs.key-auth.key_names", "configs.key-auth.key_names[0]");
    let (value, unit) = ("configs.key-auth.ttl.value", "configs.key-auth.ttl.unit");
    let many: Vec<_> = (0..11).map(|n| format!("k{n}")).collect();
    vec![
        (at(json!([])), "configs.key-auth", "is_object"),
        (at(json!({"hide": true})), "configs.key-auth.hide", "unknown_property"),
        (names(json!("x")), list, "is_array"),
        (names(Value::Null), list, "is_array"),
        (names(json!([])), list, "min_length"),
        (names(json!(many)), list, "max_length"),
        (names(json!([""])), first, "min_length"),
        (names(json!(["x".repeat(257)])), first, "max_length"),
        (names(json!([1])), first, "is_string"),
        (names(json!(["x y"])), first, "matches_regex"),
        (names(json!(["ä"])), first, "matches_regex"),
        (names(json!(["x:y"])), first, "matches_regex"),
        (ttl(json!(7)), "configs.key-auth.ttl", "is_object"),
        (ttl(json!({"value": 0, "unit": "days"})), value, "invalid"),
        (ttl(json!({"value": 1.5, "unit": "days"})), value, "is_integer"),
        (ttl(json!({"value": "1", "unit": "days"})), value, "is_integer"),
        (ttl(json!({"value": 36_501, "unit": "days"})), value, "invalid"),
        (ttl(json!({"unit": "days"})), value, "required"),
        (ttl(json!({"value": 1})), unit, "required"),
        (ttl(json!({"value": 1, "unit": "hours"})), unit, "enum"),
        (ttl(json!({"value": 1, "unit": "days", "x": 1})), "configs.key-auth.ttl.x", "unknown_property"),
    ]
}

/// What an `openid-connect` block may not be, whether it makes or changes a strategy.
fn openid_connect_config(body: &Value) -> Vec<Case> {
    let at = |name: &str, value: Value| with(body.clone(), &format!("/configs/openid-connect/{name}"), value);
    let mut cases = vec![
        (at("issuer", json!("idp.example.com")), "configs.openid-connect.issuer", "invalid"),
        (at("issuer", json!("/path")), "configs.openid-connect.issuer", "invalid"),
        (at("issuer", json!("ftp://idp.example.com")), "configs.openid-connect.issuer", "invalid"),
        (at("issuer", json!("https://us:hush@idp.example.com")), "configs.openid-connect.issuer", "invalid"),
        (at("issuer", json!("")), "configs.openid-connect.issuer", "invalid"),
        (
            at("issuer", json!(format!("https://{}", "x".repeat(249)))),
            "configs.openid-connect.issuer",
            "max_length",
        ),
        (at("issuer", Value::Null), "configs.openid-connect.issuer", "is_string"),
        (at("leeway", json!("5")), "configs.openid-connect.leeway", "is_integer"),
        (at("leeway", json!(-1)), "configs.openid-connect.leeway", "invalid"),
        (at("hide_credentials", json!("x")), "configs.openid-connect.hide_credentials", "is_boolean"),
        (at("scopes_required", json!("x")), "configs.openid-connect.scopes_required", "is_array"),
        (at("own", json!("x".repeat(40_000))), "configs.openid-connect", "max_length"),
        (with(body.clone(), "/configs/openid-connect", json!([])), "configs.openid-connect", "is_object"),
    ];
    for (name, field, first, items, characters) in [
        (
            "credential_claim",
            "configs.openid-connect.credential_claim",
            "configs.openid-connect.credential_claim[0]",
            10,
            128,
        ),
        ("scopes", "configs.openid-connect.scopes", "configs.openid-connect.scopes[0]", 50, 128),
        (
            "auth_methods",
            "configs.openid-connect.auth_methods",
            "configs.openid-connect.auth_methods[0]",
            10,
            64,
        ),
    ] {
        cases.extend([
            (at(name, json!("x")), field, "is_array"),
            (at(name, Value::Null), field, "is_array"),
            (at(name, json!(vec!["x"; items + 1])), field, "max_length"),
            (at(name, json!([long(characters + 1)])), first, "max_length"),
            (at(name, json!([1])), first, "is_string"),
        ]);
    }
    cases
}

async fn each_is_refused(client: &Client, method: &Method, path: &str, cases: Vec<Case>) -> Result<()> {
    for (body, field, rule) in cases {
        let shown: String = body.to_string().chars().take(300).collect();
        let wrong = refused(client, method.clone(), path, &body).await;
        let wrong = wrong.with_context(|| format!("{method} {field} {rule}: {shown}"))?;
        assert_eq!(wrong, [one(field, rule, "body")], "{method} {shown}");
    }
    Ok(())
}

#[tokio::test]
async fn given_a_key_auth_strategy_that_breaks_one_rule_when_it_is_made_then_that_rule_is_named() -> Result<()>
{
    on_both(async |client| {
        let body = key_auth("keys");
        let mut cases = common(&body);
        cases.extend(key_auth_config(&body));
        cases.extend([
            (without(body.clone(), "/name"), "name", "required"),
            (without(body.clone(), "/display_name"), "display_name", "required"),
            (without(body.clone(), "/strategy_type"), "strategy_type", "required"),
            (without(body.clone(), "/configs"), "configs", "required"),
            (without(body.clone(), "/configs/key-auth"), "configs.key-auth", "required"),
            (with(body.clone(), "/strategy_type", json!("oauth2")), "strategy_type", "enum"),
            (with(body.clone(), "/strategy_type", json!(1)), "strategy_type", "is_string"),
            (with(body.clone(), "/strategy_type", Value::Null), "strategy_type", "is_string"),
            (with(body.clone(), "/labels", json!({"a": null})), "labels.a", "is_string"),
            (with(body.clone(), "/labels", Value::Null), "labels", "is_object"),
            (
                with(body.clone(), "/dcr_provider_id", json!(Uuid::new_v4())),
                "dcr_provider_id",
                "unknown_property",
            ),
            (with(body.clone(), "/dcr_provider_id", Value::Null), "dcr_provider_id", "unknown_property"),
            (
                with(body.clone(), "/configs/openid-connect", json!({})),
                "configs.openid-connect",
                "unknown_property",
            ),
            (with(body, "/configs/key-auth/ttl", Value::Null), "configs.key-auth.ttl", "is_object"),
        ]);
        each_is_refused(client, &Method::POST, STRATEGIES, cases).await
    })
    .await
}

#[tokio::test]
async fn given_an_openid_connect_strategy_that_breaks_one_rule_when_it_is_put_then_that_rule_is_named()
-> Result<()> {
    on_both(async |client| {
        let body = openid_connect("tokens");
        let mut cases = common(&body);
        cases.extend(openid_connect_config(&body));
        for (pointer, field) in [
            ("/configs/openid-connect", "configs.openid-connect"),
            ("/configs/openid-connect/issuer", "configs.openid-connect.issuer"),
            ("/configs/openid-connect/credential_claim", "configs.openid-connect.credential_claim"),
            ("/configs/openid-connect/scopes", "configs.openid-connect.scopes"),
            ("/configs/openid-connect/auth_methods", "configs.openid-connect.auth_methods"),
        ] {
            cases.push((without(body.clone(), pointer), field, "required"));
        }
        let provider = |value: Value| with(body.clone(), "/dcr_provider_id", value);
        cases.extend([
            (provider(json!("x")), "dcr_provider_id", "is_uuid"),
            (provider(json!(1)), "dcr_provider_id", "is_string"),
            (provider(json!(Uuid::new_v4())), "dcr_provider_id", "invalid"),
            (with(body.clone(), "/configs/key-auth", json!({})), "configs.key-auth", "unknown_property"),
        ]);
        // Of an id that there is none of, and of one that there is.
        let path = format!("{STRATEGIES}/{}", Uuid::new_v4());
        each_is_refused(client, &Method::PUT, &path, cases.clone()).await?;
        let made = client.post(STRATEGIES, &key_auth("keys")).await?.expect(201)?;
        each_is_refused(client, &Method::PUT, &format!("{STRATEGIES}/{}", made.field("id")?), cases).await
    })
    .await
}

#[tokio::test]
async fn given_a_change_that_breaks_one_rule_when_it_is_sent_then_that_rule_is_named() -> Result<()> {
    on_both(async |client| {
        let made = async |body| client.post(STRATEGIES, &body).await?.expect(201)?.field("id");
        let keys = format!("{STRATEGIES}/{}", made(key_auth("keys")).await?);
        let tokens = format!("{STRATEGIES}/{}", made(openid_connect("tokens")).await?);
        let provider = client.post(PROVIDERS, &provider("okta", "ours")).await?.expect(201)?.field("id")?;

        let mut of_both = common(&json!({}));
        of_both.extend([
            (json!({"strategy_type": "key_auth"}), "strategy_type", "unknown_property"),
            (json!({"dcr_provider": null}), "dcr_provider", "unknown_property"),
            (json!({"display_name": null}), "display_name", "is_string"),
            (json!({"configs": {}}), "configs", "enum"),
            (json!({"configs": null}), "configs", "is_object"),
        ]);
        let mut cases = of_both.clone();
        cases.extend(key_auth_config(&json!({})));
        cases.extend([
            (json!({"dcr_provider_id": provider}), "dcr_provider_id", "invalid"),
            (json!({"configs": {"openid-connect": {}}}), "configs.openid-connect", "unknown_property"),
        ]);
        each_is_refused(client, &Method::PATCH, &keys, cases).await?;

        let mut cases = of_both;
        cases.extend(openid_connect_config(&json!({"configs": {"openid-connect": {}}})));
        cases.extend([
            (json!({"dcr_provider_id": Uuid::new_v4()}), "dcr_provider_id", "invalid"),
            (json!({"dcr_provider_id": "x"}), "dcr_provider_id", "is_uuid"),
            (json!({"configs": {"key-auth": {}}}), "configs.key-auth", "unknown_property"),
            (json!({"configs": {"x": {}, "openid-connect": {}}}), "configs.x", "unknown_property"),
        ]);
        each_is_refused(client, &Method::PATCH, &tokens, cases).await
    })
    .await
}

#[tokio::test]
async fn given_a_body_with_many_faults_when_it_is_sent_then_each_is_named_with_its_detail() -> Result<()> {
    on_both(async |client| {
        let body = json!({"name": "", "strategy_type": "key_auth", "colour": 1, "labels": {"_x": "-"},
            "configs": {"key-auth": {"key_names": ["", "a b"], "ttl": {"value": 0, "unit": "x"}}}});
        let answer = client.post(STRATEGIES, &body).await?;
        let expected: Vec<Wrong> = [
            ("colour", "unknown_property"),
            ("configs.key-auth.key_names[0]", "min_length"),
            ("configs.key-auth.key_names[1]", "matches_regex"),
            ("configs.key-auth.ttl.unit", "enum"),
            ("configs.key-auth.ttl.value", "invalid"),
            ("display_name", "required"),
            ("labels._x", "is_label"),
            ("name", "min_length"),
        ]
        .map(|(field, rule)| one(field, rule, "body"))
        .to_vec();
        let mut wrong = wrong(&answer);
        // The label's name and value.
        wrong.dedup();
        assert_eq!(wrong, expected);
        let problem = answer.json();
        assert_eq!(
            (&problem["title"], &problem["detail"]),
            (&json!("Invalid Request"), &json!("Invalid Parameters"))
        );
        let items = problem["invalid_parameters"].as_array().cloned().unwrap_or_default();
        let item =
            |field: &str| items.iter().find(|item| item["field"] == field).cloned().unwrap_or_default();
        assert_eq!(item("name")["minimum"], 1);
        assert_eq!(item("configs.key-auth.ttl.unit")["choices"], json!(["days", "weeks", "years"]));

        // So many that they are not all told.
        let many: Map<_, _> = (0..5000).map(|n| (format!("m{n}"), json!(n))).collect();
        let answer = client.post(STRATEGIES, &json!(many)).await?.expect(400)?;
        assert!(answer.json()["invalid_parameters"].as_array().is_some_and(|items| items.len() <= 200));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_something_that_is_no_json_object_when_it_is_sent_then_it_is_refused_as_a_whole() -> Result<()>
{
    on_both(async |client| {
        for body in ["{", "[]", "null", "\"x\"", "{\"name\": \"a\", }", "\u{feff}{}"] {
            let request = client.request(Method::POST, STRATEGIES).header("content-type", "application/json");
            let answer = app_auth_tests::client::send(request.body(body)).await?;
            assert_eq!(wrong(&answer), [one("body", "invalid", "body")], "{body}");
            assert_eq!(answer.json()["detail"], "Could not parse request body");
        }
        let request = client.request(Method::POST, STRATEGIES).header("content-type", "text/plain");
        assert_eq!(app_auth_tests::client::send(request.body("{}")).await?.status, 415);
        let large = json!({"name": "x".repeat(1024 * 1024)});
        assert_eq!(client.post(STRATEGIES, &large).await?.status, 413);
        Ok(())
    })
    .await
}
