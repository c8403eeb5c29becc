//! Two OpenAPI documents, operation by operation. Each difference is one line: where, what is published, what ours is.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::schema::{label, normal};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// A document, and the path under which its operations are.
pub struct Document<'a> {
    pub json: &'a Value,
    pub prefix: &'a str,
}

impl Document<'_> {
    /// The operations whose paths, without the prefix, begin as one of these.
    pub fn operations(&self, of: &[&str]) -> BTreeSet<(String, String)> {
        let paths = self.json["paths"].as_object().into_iter().flatten();
        let ours = paths.filter_map(|(path, item)| Some((path.strip_prefix(self.prefix)?, item)));
        let meant = ours.filter(|(path, _)| of.iter().any(|begin| path.starts_with(begin)));
        let operations = meant.flat_map(|(path, item)| {
            let methods = METHODS.iter().filter(|method| !item[**method].is_null());
            methods.map(move |method| (path.to_owned(), (*method).to_owned()))
        });
        operations.collect()
    }

    fn item(&self, path: &str) -> &Value {
        &self.json["paths"][format!("{}{path}", self.prefix)]
    }

    /// What a reference refers to, or the value itself.
    pub fn resolved<'v>(&'v self, value: &'v Value) -> &'v Value {
        let target =
            value["$ref"].as_str().and_then(|target| self.json.pointer(target.trim_start_matches('#')));
        target.unwrap_or(value)
    }

    /// Parameters by place and name, each with its schema.
    fn parameters(&self, path: &str, method: &str) -> Map<String, Value> {
        let item = self.item(path);
        let lists = [&item["parameters"], &item[method]["parameters"]];
        let all = lists.into_iter().filter_map(Value::as_array).flatten().map(|it| self.resolved(it));
        let named = all.map(|it| {
            let key = |name: &str| it[name].as_str().unwrap_or_default();
            let whole = json!({"required": it["required"] == true, "style": it["style"],
                "schema": normal(self.json, &it["schema"])});
            (format!("{} {}", key("in"), key("name")), whole)
        });
        named.collect()
    }

    /// The answers of an operation by status.
    pub fn responses(&self, path: &str, method: &str) -> Map<String, Value> {
        let all = self.item(path)[method]["responses"].as_object().into_iter().flatten();
        all.map(|(status, response)| (status.clone(), self.resolved(response).clone())).collect()
    }

    fn request(&self, path: &str, method: &str) -> Option<Value> {
        let body = self.resolved(&self.item(path)[method]["requestBody"]);
        self.json_schema(&body["content"])
    }

    fn json_schema(&self, content: &Value) -> Option<Value> {
        let schema = content.get("application/json")?.get("schema")?;
        Some(normal(self.json, schema))
    }
}

/// In what the documents differ.
pub fn differences(published: &Document<'_>, ours: &Document<'_>, of: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let (theirs, own) = (published.operations(of), ours.operations(of));
    for (path, method) in theirs.union(&own) {
        let at = format!("{} {path}", method.to_uppercase());
        let operation = (path.clone(), method.clone());
        if !own.contains(&operation) {
            found.push(format!("{at}: published, not ours"));
        } else if !theirs.contains(&operation) {
            found.push(format!("{at}: ours, not published"));
        } else {
            of_operation(published, ours, path, method, &at, &mut found);
        }
    }
    found
}

fn of_operation(
    published: &Document<'_>,
    ours: &Document<'_>,
    path: &str,
    method: &str,
    at: &str,
    found: &mut Vec<String>,
) {
    let (theirs, own) = (published.parameters(path, method), ours.parameters(path, method));
    for (name, value) in both(&theirs, &own, &format!("{at} › parameter"), found) {
        let at = format!("{at} › {name}");
        for what in ["required", "style"] {
            scalar(&value.0[what], &value.1[what], what, &at, found);
        }
        schemas(&value.0["schema"], &value.1["schema"], &at, found);
    }

    match (published.request(path, method), ours.request(path, method)) {
        (None, None) => {}
        (Some(theirs), Some(own)) => schemas(&theirs, &own, &format!("{at} › request"), found),
        (theirs, _) => {
            let whose = if theirs.is_some() { "published, not ours" } else { "ours, not published" };
            found.push(format!("{at} › request: {whose}"));
        }
    }

    let (theirs, own) = (published.responses(path, method), ours.responses(path, method));
    for (status, value) in both(&theirs, &own, &format!("{at} › status"), found) {
        if !status.starts_with('2') {
            // What refusals look like is seen by looking at real ones.
            let kind = "application/problem+json";
            let problems = [&value.0, &value.1].map(|it| it["content"].get(kind).is_some());
            if problems[0] && !problems[1] {
                found.push(format!("{at} › status {status}: no problem"));
            }
            continue;
        }
        let [theirs, own] =
            [published.json_schema(&value.0["content"]), ours.json_schema(&value.1["content"])];
        let at = format!("{at} › answer");
        schemas(&theirs.unwrap_or(json!({})), &own.unwrap_or(json!({})), &at, found);
    }
}

/// What both have; what only one has is a difference.
fn both<'a>(
    theirs: &'a Map<String, Value>,
    own: &'a Map<String, Value>,
    at: &str,
    found: &mut Vec<String>,
) -> Vec<(&'a String, (&'a Value, &'a Value))> {
    let only = |has: &'a Map<String, Value>, lacks: &'a Map<String, Value>| {
        has.keys().filter(move |name| !lacks.contains_key(*name))
    };
    found.extend(only(theirs, own).map(|name| format!("{at} {name}: published, not ours")));
    found.extend(only(own, theirs).map(|name| format!("{at} {name}: ours, not published")));
    theirs.iter().filter_map(|(name, value)| Some((name, (value, own.get(name)?)))).collect()
}

fn scalar(theirs: &Value, own: &Value, what: &str, at: &str, found: &mut Vec<String>) {
    if theirs != own {
        let shown = |value: &Value| match value {
            Value::Null => "none".to_owned(),
            value => value.to_string(),
        };
        found.push(format!("{at} › {what}: published {}, ours {}", shown(theirs), shown(own)));
    }
}

fn schemas(theirs: &Value, own: &Value, at: &str, found: &mut Vec<String>) {
    let choices = |schema: &Value| -> Map<String, Value> {
        let all = schema["alternatives"].as_array().into_iter().flatten();
        all.map(|choice| (label(choice), choice.clone())).collect()
    };
    let (their_choices, own_choices) = (choices(theirs), choices(own));
    for (name, (theirs, own)) in both(&their_choices, &own_choices, &format!("{at} › choice"), found) {
        schemas(theirs, own, &format!("{at} › {name}"), found);
    }
    let empty = Map::new();
    let members =
        |schema: &'_ Value| schema["properties"].as_object().cloned().unwrap_or_else(|| empty.clone());
    let (their_members, own_members) = (members(theirs), members(own));
    for (name, (theirs, own)) in both(&their_members, &own_members, &format!("{at} › member"), found) {
        schemas(theirs, own, &format!("{at}.{name}"), found);
    }
    let names: BTreeSet<_> =
        [theirs, own].iter().filter_map(|it| it.as_object()).flat_map(Map::keys).collect();
    for name in names {
        let (their_value, own_value) = (&theirs[name], &own[name]);
        match name.as_str() {
            "properties" | "alternatives" => {}
            "items" => schemas(their_value, own_value, &format!("{at}[]"), found),
            "additionalProperties" if their_value.is_object() && own_value.is_object() => {
                schemas(their_value, own_value, &format!("{at}.*"), found);
            }
            _ => scalar(their_value, own_value, name, at, found),
        }
    }
}
