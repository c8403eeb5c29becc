//! Schemas of a few plugins, in the form Kong answers them, and Kong's way of holding a body against one: defaults put
//! in, everything that is wrong collected. JSON bodies are not coerced.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::entities::Answer;

/// The plugins that are enabled, by name: the `fields` of their schemas.
static PLUGINS: LazyLock<Value> = LazyLock::new(|| {
    let consumer = json!({"consumer": {"type": "foreign", "reference": "consumers", "required": false}});
    let protocols = json!({"protocols": {"type": "set", "required": true,
        "default": ["grpc", "grpcs", "http", "https"],
        "elements": {"type": "string", "one_of": ["grpc", "grpcs", "http", "https"]}}});
    let plugin = |consumer: &Value, fields: Value| json!({"fields": [consumer, protocols, {"config": {"type": "record", "required": true, "fields": fields}}]});
    let limit = |name: &str| json!({name: {"type": "number", "gt": 0}});
    json!({
        "proxy-cache": plugin(&consumer, json!([
            {"response_code": {"type": "array", "required": true, "default": [200, 301, 404], "len_min": 1,
                "elements": {"type": "integer", "between": [100, 900]}}},
            {"request_method": {"type": "array", "required": true, "default": ["GET", "HEAD"],
                "elements": {"type": "string", "one_of": ["HEAD", "GET", "POST", "PATCH", "PUT"]}}},
            {"content_type": {"type": "array", "required": true, "default": ["text/plain", "application/json"],
                "elements": {"type": "string"}}},
            {"cache_ttl": {"type": "integer", "default": 300, "gt": 0}},
            {"strategy": {"type": "string", "required": true, "one_of": ["memory"]}},
            {"cache_control": {"type": "boolean", "required": true, "default": false}},
            {"storage_ttl": {"type": "integer"}},
            {"memory": {"type": "record", "required": true, "fields": [
                {"dictionary_name": {"type": "string", "required": true, "default": "kong_db_cache"}}]}},
            {"vary_headers": {"type": "array", "elements": {"type": "string"}}},
        ])),
        "rate-limiting": plugin(&consumer, json!([
            limit("second"), limit("minute"), limit("hour"), limit("day"), limit("month"), limit("year"),
            {"limit_by": {"type": "string", "default": "consumer",
                "one_of": ["consumer", "credential", "ip", "service", "header", "path", "consumer-group"]}},
            {"policy": {"type": "string", "default": "local", "one_of": ["local", "cluster", "redis"]}},
            {"fault_tolerant": {"type": "boolean", "required": true, "default": true}},
            {"hide_client_headers": {"type": "boolean", "required": true, "default": false}},
            {"error_code": {"type": "number", "default": 429, "gt": 0}},
            {"error_message": {"type": "string", "default": "API rate limit exceeded"}},
        ])),
        "request-size-limiting": plugin(&consumer, json!([
            {"allowed_payload_size": {"type": "integer", "default": 128}},
            {"size_unit": {"type": "string", "required": true, "default": "megabytes",
                "one_of": ["megabytes", "kilobytes", "bytes"]}},
            {"require_content_length": {"type": "boolean", "required": true, "default": false}},
        ])),
        "ip-restriction": plugin(&consumer, json!([
            {"allow": {"type": "array", "elements": {"type": "string"}}},
            {"deny": {"type": "array", "elements": {"type": "string"}}},
        ])),
        "bot-detection": plugin(&json!({"consumer": {"type": "foreign", "reference": "consumers", "eq": null}}),
            json!([{"allow": {"type": "array", "elements": {"type": "string"}}}])),
    })
});

const PERIODS: [&str; 6] = ["second", "minute", "hour", "day", "month", "year"];

pub fn of_plugin(name: &str) -> Option<Value> {
    PLUGINS.get(name).cloned()
}

/// The plugin a body describes, whole; its consumer is not looked up.
pub fn plugin(mut body: Map<String, Value>) -> Result<Value, Answer> {
    let Some(name) = body.get("name").and_then(Value::as_str).map(str::to_owned) else {
        return Err(violation(&json!({"name": "required field missing"})));
    };
    let Some(schema) = PLUGINS.get(&name) else {
        let problem = format!("plugin '{name}' not enabled; add it to the 'plugins' configuration property");
        return Err(violation(&json!({"name": problem})));
    };
    let mut problems = Map::new();
    let mut whole = Map::new();
    for (member, field) in [
        ("name", json!({"type": "string", "required": true})),
        ("instance_name", json!({"type": "string"})),
        ("enabled", json!({"type": "boolean", "required": true, "default": true})),
        ("tags", json!({"type": "set", "elements": {"type": "string"}})),
        ("route", json!({"type": "foreign"})),
        ("service", json!({"type": "foreign"})),
    ] {
        check_member(member, &field, body.remove(member), &mut whole, &mut problems);
    }
    for (member, field) in fields(schema) {
        check_member(member, field, body.remove(member), &mut whole, &mut problems);
    }
    for member in body.keys() {
        problems.insert(member.clone(), json!("unknown field"));
    }
    let config = whole.get("config").cloned().unwrap_or_default();
    if name == "rate-limiting" && problems.is_empty() && PERIODS.iter().all(|period| config[period].is_null())
    {
        let names: Vec<_> = PERIODS.iter().map(|period| format!("'config.{period}'")).collect();
        let problem = format!("at least one of these fields must be non-empty: {}", names.join(", "));
        problems.insert("@entity".into(), json!([problem]));
    }
    if problems.is_empty() { Ok(Value::Object(whole)) } else { Err(violation(&Value::Object(problems))) }
}

/// Kong's answer to a body that breaks a schema.
pub fn violation(fields: &Value) -> Answer {
    let mut lines = Vec::new();
    collect("", fields, &mut lines);
    let message = match lines.as_slice() {
        [one] => format!("schema violation ({one})"),
        several => format!("{} schema violations ({})", several.len(), several.join("; ")),
    };
    (400, json!({"code": 2, "name": "schema violation", "message": message, "fields": fields}))
}

fn collect(path: &str, problems: &Value, lines: &mut Vec<String>) {
    match problems {
        Value::Object(members) => {
            for (name, inner) in members {
                let path = match (path, name.as_str()) {
                    (path, "@entity") => path.to_owned(),
                    ("", name) => name.to_owned(),
                    (path, name) => format!("{path}.{name}"),
                };
                collect(&path, inner, lines);
            }
        }
        Value::Array(elements) => elements.iter().for_each(|inner| collect(path, inner, lines)),
        Value::String(problem) if path.is_empty() => lines.push(problem.clone()),
        Value::String(problem) => lines.push(format!("{path}: {problem}")),
        _ => {}
    }
}

fn fields(record: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let fields = record["fields"].as_array().into_iter().flatten();
    fields.filter_map(|field| field.as_object()?.iter().next()).map(|(name, field)| (name.as_str(), field))
}

fn check_member(
    name: &str,
    field: &Value,
    given: Option<Value>,
    whole: &mut Map<String, Value>,
    problems: &mut Map<String, Value>,
) {
    let given = given.unwrap_or_default();
    if field.get("eq").is_some_and(|eq| eq.is_null() && !given.is_null()) {
        problems.insert(name.into(), json!("value must be null"));
        return;
    }
    let value = match given {
        Value::Null if field["type"] == "record" => json!({}),
        Value::Null => field["default"].clone(),
        given => given,
    };
    if value.is_null() && field["required"] == true {
        problems.insert(name.into(), json!("required field missing"));
        return;
    }
    match check(field, value) {
        Ok(value) => whole.insert(name.into(), value),
        Err(problem) => problems.insert(name.into(), problem),
    };
}

fn check(field: &Value, value: Value) -> Result<Value, Value> {
    let (kind, fits) = match field["type"].as_str().unwrap_or_default() {
        "string" => ("a string", value.is_string()),
        "number" => ("a number", value.is_number()),
        "integer" => ("an integer", value.is_i64()),
        "boolean" => ("a boolean", value.is_boolean()),
        "array" => ("an array", value.is_array()),
        "set" => ("a set", value.is_array()),
        "record" => ("a record", value.is_object()),
        _ => ("", true),
    };
    if value.is_null() {
        return Ok(value);
    }
    if !fits {
        return Err(json!(format!("expected {kind}")));
    }
    if let Some(choices) = field["one_of"].as_array()
        && !choices.contains(&value)
    {
        let names: Vec<_> = choices.iter().filter_map(Value::as_str).collect();
        return Err(json!(format!("expected one of: {}", names.join(", "))));
    }
    if let (Some(least), Some(number)) = (field["gt"].as_f64(), value.as_f64())
        && number <= least
    {
        return Err(json!(format!("value must be greater than {least}")));
    }
    if let (Some(between), Some(number)) = (field["between"].as_array(), value.as_i64())
        && !(between[0].as_i64() <= Some(number) && Some(number) <= between[1].as_i64())
    {
        return Err(json!(format!("value should be between {} and {}", between[0], between[1])));
    }
    match value {
        Value::Array(elements) => elements_of(field, elements),
        Value::Object(members) if field["type"] == "record" => record(field, members),
        other => Ok(other),
    }
}

fn elements_of(field: &Value, elements: Vec<Value>) -> Result<Value, Value> {
    if field["len_min"].as_u64().is_some_and(|least| (elements.len() as u64) < least) {
        return Err(json!(format!("length must be at least {}", field["len_min"])));
    }
    let checked: Vec<_> = elements.into_iter().map(|element| check(&field["elements"], element)).collect();
    if checked.iter().all(Result::is_ok) {
        return Ok(checked.into_iter().filter_map(Result::ok).collect());
    }
    Err(checked.into_iter().map(|element| element.err().unwrap_or_default()).collect())
}

fn record(field: &Value, mut given: Map<String, Value>) -> Result<Value, Value> {
    let (mut whole, mut problems) = (Map::new(), Map::new());
    for (name, inner) in fields(field) {
        check_member(name, inner, given.remove(name), &mut whole, &mut problems);
    }
    problems.extend(given.into_iter().map(|(name, _)| (name, json!("unknown field"))));
    if problems.is_empty() { Ok(Value::Object(whole)) } else { Err(Value::Object(problems)) }
}
