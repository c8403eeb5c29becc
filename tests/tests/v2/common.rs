//! What the scenarios share: answers of the v2 APIs in a form to assert on.

pub use app_auth_tests::admin::on_both;
use app_auth_tests::client::Answer;
use serde_json::json;

/// What a 400 says is wrong: field, rule and source of each parameter, in the order of the fields.
pub fn wrong(answer: &Answer) -> Vec<(String, String, String)> {
    let body = answer.json();
    assert_eq!((answer.status, &body["status"]), (400, &json!(400)), "{}", answer.text());
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let parameters = body["invalid_parameters"].as_array().into_iter().flatten();
    let mut wrong: Vec<_> =
        parameters.map(|item| (text(&item["field"]), text(&item["rule"]), text(&item["source"]))).collect();
    wrong.sort();
    wrong
}

/// One parameter of [`wrong`].
pub fn one(field: &str, rule: &str, source: &str) -> (String, String, String) {
    (field.into(), rule.into(), source.into())
}
