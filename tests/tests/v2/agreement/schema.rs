//! Schemas of OpenAPI documents in one form, whatever their version and however they were put together: references are
//! followed, parts composed, choices flattened, and what only explains is left out. Knows nothing of operations.

use serde_json::{Map, Value, json};

/// What a schema says of a value's form. The rest only explains it.
const KEPT: [&str; 13] = [
    "type",
    "format",
    "pattern",
    "enum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "uniqueItems",
    "minimum",
    "maximum",
];

/// Deepest schema within a schema.
const DEEPEST: usize = 32;

/// Of what else there can be in a schema, in the one form: `nullable`, `properties`, `required`, `additionalProperties`,
/// `items`, and `alternatives`, each of them a whole schema.
pub fn normal(document: &Value, schema: &Value) -> Value {
    read(document, schema, 0)
}

fn read(document: &Value, schema: &Value, depth: usize) -> Value {
    assert!(depth < DEEPEST, "a schema is in itself: {schema}");
    let within = |schema: &Value| read(document, schema, depth + 1);
    if let Some(target) = schema["$ref"].as_str() {
        let target = document.pointer(target.trim_start_matches('#'));
        return within(target.unwrap_or_else(|| panic!("nothing is at {schema}")));
    }
    let mut own = Map::new();
    for (name, value) in schema.as_object().into_iter().flatten() {
        match name.as_str() {
            "properties" => {
                let members = value.as_object().into_iter().flatten();
                let members = members.map(|(name, schema)| (name.clone(), within(schema)));
                own.insert(name.clone(), members.collect());
            }
            "items" => drop(own.insert(name.clone(), within(value))),
            // Open is what an object is if nothing is said.
            "additionalProperties" if *value != json!(true) => {
                let closed = *value == json!(false);
                own.insert(name.clone(), if closed { value.clone() } else { within(value) });
            }
            "nullable" if *value == json!(true) => drop(own.insert(name.clone(), json!(true))),
            "type" if value.is_array() => {
                let types: Vec<_> =
                    value.as_array().into_iter().flatten().filter(|it| **it != "null").collect();
                if types.len() < value.as_array().map_or(0, Vec::len) {
                    own.insert("nullable".into(), json!(true));
                }
                own.insert(name.clone(), if let [one] = types[..] { one.clone() } else { json!(types) });
            }
            "required" | "enum" => drop(own.insert(name.clone(), sorted(value))),
            kept if KEPT.contains(&kept) => drop(own.insert(name.clone(), value.clone())),
            _ => {}
        }
    }
    let mut whole = Value::Object(own);
    for part in schema["allOf"].as_array().into_iter().flatten() {
        whole = compose(whole, within(part));
    }
    for choice in ["oneOf", "anyOf"] {
        if let Some(choices) = schema[choice].as_array() {
            let choices: Vec<_> = choices.iter().map(within).collect();
            whole = compose(whole, alternatives(choices));
        }
    }
    whole
}

fn sorted(list: &Value) -> Value {
    let mut list = list.as_array().cloned().unwrap_or_default();
    list.sort_by_key(ToString::to_string);
    list.dedup();
    json!(list)
}

/// One of several. A choice of null is no choice of its own, and choices among choices are all of them.
fn alternatives(choices: Vec<Value>) -> Value {
    let mut all: Vec<Value> = Vec::new();
    let mut nullable = false;
    for choice in choices {
        nullable |= choice["nullable"] == true || choice["type"] == "null";
        if choice["type"] == "null" {
            continue;
        }
        let inner = choice["alternatives"].as_array().cloned();
        for choice in inner.unwrap_or_else(|| vec![choice.clone()]) {
            if !all.contains(&choice) {
                all.push(choice);
            }
        }
    }
    let mut whole = if let [one] = &all[..] { one.clone() } else { json!({ "alternatives": all }) };
    if nullable {
        whole["nullable"] = json!(true);
    }
    whole
}

/// What is as both say. Where both say something of one thing, the second is the more particular.
fn compose(first: Value, second: Value) -> Value {
    for (one, other, first_is_one) in [(&first, &second, true), (&second, &first, false)] {
        if let Some(choices) = one["alternatives"].as_array() {
            let mut rest = one.clone();
            rest.as_object_mut().and_then(|members| members.remove("alternatives"));
            let base = if first_is_one { compose(rest, other.clone()) } else { compose(other.clone(), rest) };
            let each = choices.iter().map(|choice| compose(base.clone(), choice.clone()));
            return json!({ "alternatives": each.collect::<Vec<_>>() });
        }
    }
    let (Value::Object(mut whole), Value::Object(more)) = (first, second) else { panic!("no schema") };
    for (name, value) in more {
        let known = whole.remove(&name);
        let both = match (name.as_str(), known) {
            ("required", Some(known)) => {
                let mut all = known.as_array().cloned().unwrap_or_default();
                all.extend(value.as_array().cloned().unwrap_or_default());
                sorted(&json!(all))
            }
            ("additionalProperties", Some(known)) if known == json!(false) => known,
            ("properties", Some(Value::Object(mut known))) => {
                for (name, schema) in value.as_object().cloned().unwrap_or_default() {
                    let both = match known.remove(&name) {
                        Some(known) => compose(known, schema),
                        None => schema,
                    };
                    known.insert(name, both);
                }
                Value::Object(known)
            }
            _ => value,
        };
        whole.insert(name, both);
    }
    Value::Object(whole)
}

/// By which a choice is known: the member that has one value only, or else the members it must have, or may have, or its
/// type.
pub fn label(choice: &Value) -> String {
    let names = |list: &Value| {
        let names = list.as_array().into_iter().flatten().filter_map(Value::as_str);
        names.collect::<Vec<_>>().join(",")
    };
    let members = choice["properties"].as_object();
    let only = members.into_iter().flatten().find_map(|(name, schema)| {
        match schema["enum"].as_array()?.as_slice() {
            [one] => Some(format!("{name}={}", one.as_str().unwrap_or_default())),
            _ => None,
        }
    });
    let required = names(&choice["required"]);
    match (only, members) {
        (Some(only), _) => only,
        (None, _) if !required.is_empty() => format!("{{{required}}}"),
        (None, Some(members)) => {
            format!("{{{}}}", members.keys().map(String::as_str).collect::<Vec<_>>().join(","))
        }
        (None, None) => choice["type"].as_str().unwrap_or("anything").to_owned(),
    }
}
