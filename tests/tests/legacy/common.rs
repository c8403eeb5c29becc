//! What the scenarios share: the usual entities, and answers in a form that is the same on every run.

use anyhow::Result;
pub use app_auth_tests::admin::{on_both, on_both_with};
use app_auth_tests::client::{Answer, Client};
use app_auth_tests::portal::{Application, Portal, Status};
use serde_json::{Value, json};

/// An application of an approved developer.
pub async fn application(client: &Client) -> Result<Application> {
    let portal = Portal::new(client);
    let developer = portal.developer(Status::Approved).await?;
    portal.application(&developer).await
}

/// Status and body of an answer, in which what differs from run to run is replaced: ids and generated secrets by their
/// order of appearance, times by a word.
pub fn shape(answer: &Answer) -> Value {
    let mut seen = Vec::new();
    json!({"status": answer.status, "body": stable(answer.json(), "", &mut seen)})
}

fn stable(value: Value, member: &str, seen: &mut Vec<String>) -> Value {
    match value {
        Value::Object(members) => {
            members.into_iter().map(|(name, value)| (name.clone(), stable(value, &name, seen))).collect()
        }
        Value::Array(elements) => elements.into_iter().map(|value| stable(value, member, seen)).collect(),
        Value::Number(_) if matches!(member, "created_at" | "updated_at" | "expires_at") => json!("<time>"),
        Value::String(text) if member == "composite_id" => {
            let halves: Vec<_> = text.split('_').map(|half| numbered("id", half, seen)).collect();
            json!(halves.join("_"))
        }
        Value::String(text) if uuid::Uuid::try_parse(&text).is_ok() => json!(numbered("id", &text, seen)),
        Value::String(text)
            if matches!(member, "key" | "client_id" | "client_secret") && text.len() == 32 =>
        {
            json!("<secret>")
        }
        other => other,
    }
}

fn numbered(what: &str, text: &str, seen: &mut Vec<String>) -> String {
    let position = seen.iter().position(|known| known == text).unwrap_or_else(|| {
        seen.push(text.to_owned());
        seen.len() - 1
    });
    format!("<{what} {}>", position + 1)
}

/// The `fields` of a refusal, which must be 400 with code 2.
pub fn violations(answer: &Answer) -> Value {
    let body = answer.json();
    assert_eq!((answer.status, &body["code"]), (400, &json!(2)), "{}", answer.text());
    body["fields"].clone()
}
