//! What the scenarios share: answers of the v2 APIs in a form to assert on.

use anyhow::{Result, ensure};
pub use app_auth_tests::admin::on_both;
use app_auth_tests::client::{Answer, Client, send};
use reqwest::Method;
use serde_json::{Value, json};

/// Field, rule and source of a parameter.
pub type Wrong = (String, String, String);

/// What a 400 says is wrong: field, rule and source of each parameter, in the order of the fields.
pub fn wrong(answer: &Answer) -> Vec<Wrong> {
    let body = answer.json();
    assert_eq!((answer.status, &body["status"]), (400, &json!(400)), "{}", answer.text());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let parameters = body["invalid_parameters"].as_array().into_iter().flatten();
    let mut wrong: Vec<_> =
        parameters.map(|item| (text(&item["field"]), text(&item["rule"]), text(&item["source"]))).collect();
    wrong.sort();
    wrong
}

/// One parameter of [`wrong`].
pub fn one(field: &str, rule: &str, source: &str) -> Wrong {
    (field.into(), rule.into(), source.into())
}

pub const STRATEGIES: &str = "/v2/application-auth-strategies";
pub const PROVIDERS: &str = "/v2/dcr-providers";

/// A `key_auth` strategy, as it is made.
pub fn key_auth(name: &str) -> Value {
    json!({"name": name, "display_name": "API key", "strategy_type": "key_auth",
        "configs": {"key-auth": {"key_names": ["x-api-key"]}}})
}

/// An `openid_connect` strategy, as it is made.
pub fn openid_connect(name: &str) -> Value {
    json!({"name": name, "display_name": "Token", "strategy_type": "openid_connect",
        "configs": {"openid-connect": {"issuer": "https://idp.example.com", "credential_claim": ["client_id"],
            "scopes": ["openid"], "auth_methods": ["bearer"]}}})
}

/// The types of DCR providers.
pub const PROVIDER_TYPES: [&str; 5] = ["auth0", "azureAd", "curity", "okta", "http"];

/// The secret of [`provider`].
pub const PROVIDER_SECRET: &str = "hush_hush_provider";

/// A DCR provider of a type, as it is made, with everything that must be there.
pub fn provider(kind: &str, name: &str) -> Value {
    let config = match kind {
        "okta" => json!({"dcr_token": PROVIDER_SECRET}),
        "http" => json!({"dcr_base_url": "https://bridge.example.com", "api_key": PROVIDER_SECRET}),
        _ => json!({"initial_client_id": "us", "initial_client_secret": PROVIDER_SECRET}),
    };
    json!({"name": name, "provider_type": kind, "issuer": "https://idp.example.com", "dcr_config": config})
}

/// The body with the value at this place (a JSON pointer) replaced, or with a member more.
pub fn with(mut body: Value, pointer: &str, value: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer begins with a slash");
    let parent = body.pointer_mut(parent).unwrap_or_else(|| panic!("there is no {parent}"));
    parent[name] = value;
    body
}

/// The body without the member at this place (a JSON pointer).
pub fn without(mut body: Value, pointer: &str) -> Value {
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer begins with a slash");
    let members = body.pointer_mut(parent).and_then(Value::as_object_mut);
    members.and_then(|members| members.remove(name)).unwrap_or_else(|| panic!("there is no {pointer}"));
    body
}

/// All that there is of strategies and providers, and how many lines the audit log has.
pub async fn everything(client: &Client) -> Result<Value> {
    let mut all = Vec::new();
    for list in [STRATEGIES, PROVIDERS] {
        let page = client.get(&format!("{list}?page[size]=100")).await?.expect(200)?.json();
        ensure!(page["meta"]["page"]["total"].as_u64() <= Some(100), "{page}");
        all.push(page);
    }
    all.push(client.get("/audit?size=1").await?.expect(200)?.json()["total"].clone());
    Ok(json!(all))
}

/// Sends what must be refused, and answers what is wrong with it. Nothing may have changed.
pub async fn refused(client: &Client, method: Method, path: &str, body: &Value) -> Result<Vec<Wrong>> {
    let before = everything(client).await?;
    let answer = send(client.request(method, path).json(body)).await?;
    ensure!(answer.status == 400, "{} {}", answer.status, answer.text());
    ensure!(everything(client).await? == before, "{path}: something has changed");
    Ok(wrong(&answer))
}
