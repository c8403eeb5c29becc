//! What the texts of a form stand for in a plugin's configuration, by the schema Kong answers for it
//! (`/schemas/plugins/{name}`). What does not fit stays text: Kong then says what is wrong with it.

use serde_json::{Map, Number, Value};

/// The configuration with every text as its field's type.
pub fn config(given: Map<String, Value>, schema: &Value) -> Map<String, Value> {
    match field(schema, "config") {
        Some(config) => record(given, config),
        None => given,
    }
}

/// The description of a member: `fields` is a list of objects with one member each.
fn field<'a>(record: &'a Value, name: &str) -> Option<&'a Value> {
    let lists = ["fields", "shorthand_fields"].into_iter().filter_map(|list| record.get(list)?.as_array());
    lists.flatten().find_map(|field| field.get(name))
}

fn record(given: Map<String, Value>, schema: &Value) -> Map<String, Value> {
    given
        .into_iter()
        .map(|(name, member)| match field(schema, &name) {
            Some(field) => (name, value(member, field)),
            None => (name, member),
        })
        .collect()
}

fn value(given: Value, schema: &Value) -> Value {
    let kind = schema.get("type").and_then(Value::as_str).unwrap_or_default();
    match (kind, given) {
        ("number" | "integer", Value::String(text)) => {
            number(&text).map_or(Value::String(text), Value::Number)
        }
        ("boolean", Value::String(text)) => match text.as_str() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => Value::String(text),
        },
        ("array" | "set", Value::Array(elements)) => {
            elements.into_iter().map(|element| self::element(element, schema)).collect()
        }
        // A form cannot tell one value from a list of one.
        ("array" | "set", single @ Value::String(_)) => Value::Array(vec![element(single, schema)]),
        ("map", Value::Object(members)) => match schema.get("values") {
            Some(values) => members.into_iter().map(|(name, member)| (name, value(member, values))).collect(),
            None => Value::Object(members),
        },
        ("record", Value::Object(members)) => Value::Object(record(members, schema)),
        (_, other) => other,
    }
}

fn element(given: Value, schema: &Value) -> Value {
    match schema.get("elements") {
        Some(elements) => value(given, elements),
        None => given,
    }
}

fn number(text: &str) -> Option<Number> {
    let whole = text.parse::<i64>().ok().map(Number::from);
    whole.or_else(|| text.parse().ok().and_then(Number::from_f64))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_become_what_the_schema_has_for_them_and_nothing_else_changes() {
        let schema = json!({"fields": [{"consumer": {"type": "foreign"}}, {"config": {
            "type": "record",
            "shorthand_fields": [{"old": {"type": "integer"}}],
            "fields": [
                {"ttl": {"type": "integer"}}, {"rate": {"type": "number"}}, {"on": {"type": "boolean"}},
                {"name": {"type": "string"}}, {"codes": {"type": "array", "elements": {"type": "integer"}}},
                {"tags": {"type": "set", "elements": {"type": "string"}}},
                {"limits": {"type": "map", "keys": {"type": "string"}, "values": {"type": "number"}}},
                {"inner": {"type": "record", "fields": [{"size": {"type": "integer"}}]}},
                {"rows": {"type": "array", "elements": {"type": "record", "fields": [{"n": {"type": "integer"}}]}}},
            ],
        }}]});
        let cases = [
            (
                json!({"ttl": "300", "rate": "0.5", "on": "true", "old": "7"}),
                json!({"ttl": 300, "rate": 0.5, "on": true, "old": 7}),
            ),
            (json!({"name": "300", "tags": "a"}), json!({"name": "300", "tags": ["a"]})),
            (json!({"codes": ["200", "301"]}), json!({"codes": [200, 301]})),
            (json!({"codes": "200"}), json!({"codes": [200]})),
            (
                json!({"limits": {"a": "1"}, "inner": {"size": "1"}, "rows": [{"n": "1"}]}),
                json!({"limits": {"a": 1}, "inner": {"size": 1}, "rows": [{"n": 1}]}),
            ),
            (
                json!({"ttl": "soon", "on": "yes", "codes": {"a": "1"}, "inner": "x", "unknown": "1"}),
                json!({"ttl": "soon", "on": "yes", "codes": {"a": "1"}, "inner": "x", "unknown": "1"}),
            ),
            (json!({"ttl": null, "codes": []}), json!({"ttl": null, "codes": []})),
        ];
        for (given, expected) in cases {
            let given: Map<_, _> = serde_json::from_value(given).unwrap();
            assert_eq!(Value::Object(config(given, &schema)), expected);
        }
    }

    #[test]
    fn a_schema_of_another_form_changes_nothing() {
        for schema in [json!(null), json!([]), json!({"fields": {}}), json!({"fields": [{"config": 1}, 2]})] {
            let given: Map<_, _> = [("ttl".to_owned(), json!("1"))].into_iter().collect();
            assert_eq!(config(given.clone(), &schema), given);
        }
    }
}
