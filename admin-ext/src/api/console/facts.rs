//! Values of configurations and of the audit log as pages show them: plain texts as they are, everything else as JSON.

use serde_json::{Map, Value};

/// A value in a line of a table.
pub fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "none".to_owned(),
        Value::Array(values) if !values.is_empty() && values.iter().all(Value::is_string) => {
            values.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
        }
        Value::Array(values) if values.is_empty() => "none".to_owned(),
        Value::Object(members) if members.is_empty() => "none".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        other => serde_json::to_string_pretty(other).unwrap_or_default(),
    }
}

/// All members, each with its value.
pub fn members(members: &Map<String, Value>) -> Vec<(String, String)> {
    members.iter().map(|(name, value)| (name.clone(), text(value))).collect()
}
