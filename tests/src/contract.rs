//! Holds every exchange with the admin extension against its OpenAPI document: the operation, the query arguments, the
//! status, and the members of both bodies must be described, and nothing else may be there. All scenarios send their
//! requests through here, so each of them also proves that document and behaviour agree.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use anyhow::{Context as _, Result, bail, ensure};
use jsonschema::Validator;
use reqwest::Method;
use serde_json::{Map, Value, json};

/// One exchange.
#[derive(Debug)]
pub struct Exchange<'a> {
    pub method: &'a Method,
    pub path: &'a str,
    /// Names of the query's arguments.
    pub arguments: &'a [String],
    /// The body of the request, if it is JSON.
    pub sent: Option<Value>,
    pub status: u16,
    pub content_type: &'a str,
    pub body: &'a [u8],
}

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| json!(app_auth_admin::api::openapi()));

/// Validators by the JSON pointer of the schema they were made from.
static VALIDATORS: LazyLock<Mutex<HashMap<String, &'static Validator>>> = LazyLock::new(Mutex::default);

/// Every operation of the document: method and path.
static OPERATIONS: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
    let paths = DOCUMENT["paths"].as_object().into_iter().flatten();
    let operations = paths.flat_map(|(path, item)| {
        let methods = item.as_object().into_iter().flatten();
        methods.map(move |(method, _)| (method.to_uppercase(), path.clone()))
    });
    operations.collect()
});

/// Every operation of the document: method and path.
pub fn operations() -> Vec<(String, String)> {
    OPERATIONS.clone()
}

/// The operation of the document that a request is for.
pub fn operation(method: &Method, path: &str) -> Option<(String, String)> {
    let path = path.strip_prefix("/default").filter(|rest| rest.starts_with('/')).unwrap_or(path);
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    let fitting = OPERATIONS.iter().filter(|(known, template)| known == method && fits(template, path));
    // Of several, the one with the fewest variables.
    fitting.min_by_key(|(_, template)| template.matches('{').count()).cloned()
}

fn fits(template: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(wanted), Some(given)) if wanted == given => {}
            (Some(wanted), Some(given)) if wanted.starts_with('{') && !given.is_empty() => {}
            _ => return false,
        }
    }
}

/// Checks one exchange.
///
/// # Errors
/// The first thing in which document and behaviour differ.
pub fn check(exchange: &Exchange<'_>) -> Result<()> {
    differences(exchange).with_context(|| {
        let Exchange { method, path, status, .. } = exchange;
        format!("{method} {path} → {status} is not as the OpenAPI document has it")
    })
}

fn differences(exchange: &Exchange<'_>) -> Result<()> {
    // Pages for people are no part of the API.
    let page = exchange.path == "/console" || exchange.path.starts_with("/console/");
    if page || exchange.method == Method::OPTIONS || exchange.status == 405 {
        return Ok(());
    }
    let Some((method, path)) = operation(exchange.method, exchange.path) else {
        ensure!(exchange.status == 404 || exchange.status == 401, "there is no such operation");
        return Ok(());
    };
    let pointer = format!("/paths/{}/{}", escape(&path), method.to_lowercase());
    let described = DOCUMENT.pointer(&pointer).context("there is no such operation")?;
    let status = exchange.status.to_string();
    let Some(response) = described["responses"].get(&status) else { bail!("the status is not described") };

    let media = exchange.content_type.split(';').next().unwrap_or_default().trim();
    match response["content"].as_object() {
        None => ensure!(exchange.body.is_empty() || media != "application/json", "a body is not described"),
        Some(_) if exchange.method == Method::HEAD => {}
        Some(content) => {
            let (name, _) =
                content.iter().find(|(name, _)| *name == media).context("another content type")?;
            if media == "application/json" || media == "application/problem+json" {
                let body = serde_json::from_slice(exchange.body).context("the body is no JSON")?;
                let schema = format!("{pointer}/responses/{status}/content/{}/schema", escape(name));
                validate(&schema, &body).context("the answer")?;
            }
        }
    }
    if exchange.status < 300 {
        let known: Vec<_> = described["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|parameter| parameter["in"] == "query")
            .collect();
        let unknown = exchange.arguments.iter().find(|argument| !known.iter().any(|it| names(it, argument)));
        ensure!(unknown.is_none(), "the argument {unknown:?} is not described");
        if let Some(sent) = &exchange.sent
            && !described["requestBody"].is_null()
        {
            let schema = format!("{pointer}/requestBody/content/application~1json/schema");
            // Names with dots are the legacy API's; the names of labels may have them, too.
            let sent = if path.starts_with("/v2/") { sent.clone() } else { nested(sent) };
            let sent = without_repeats(&sent, &schema, exchange);
            validate(&schema, &sent).context("the request")?;
        }
    }
    Ok(())
}

/// Whether a described parameter has an argument's name, such as `filter[name][eq]` where it is a deep object.
fn names(parameter: &'static Value, argument: &str) -> bool {
    let name = parameter["name"].as_str().unwrap_or_default();
    if parameter["style"] != "deepObject" {
        return name == argument;
    }
    let Some(path) = argument.strip_prefix(name).and_then(|rest| rest.strip_prefix('[')?.strip_suffix(']'))
    else {
        return false;
    };
    let mut schemas = vec![resolved(&parameter["schema"])];
    for member in path.split("][") {
        let inner = schemas.iter().flat_map(|schema| choices(schema));
        schemas = inner.filter_map(|schema| schema["properties"].get(member).map(resolved)).collect();
    }
    // As the last member it must be able to hold a text.
    schemas.iter().flat_map(|schema| choices(schema)).any(|schema| schema["type"] == "string")
}

/// What a schema lets a value be one of: the schema itself, or its choices.
fn choices(schema: &'static Value) -> Vec<&'static Value> {
    match schema["oneOf"].as_array() {
        Some(all) => all.iter().flat_map(|choice| choices(resolved(choice))).collect(),
        None => vec![schema],
    }
}

/// The schema itself, where another refers to it.
fn resolved(schema: &'static Value) -> &'static Value {
    let target = schema["$ref"].as_str().and_then(|target| DOCUMENT.pointer(target.trim_start_matches('#')));
    target.unwrap_or(schema)
}

/// A body whose dotted names are nested, as they are read.
fn nested(sent: &Value) -> Value {
    let mut whole = json!({});
    for (name, value) in sent.as_object().into_iter().flatten() {
        let inner = name.split('.').fold(&mut whole, |inner, part| &mut inner[part]);
        *inner = value.clone();
    }
    whole
}

/// What a change sends without what only repeats what the answer says: members that the server sets may be sent back.
fn without_repeats(sent: &Value, schema: &str, exchange: &Exchange<'_>) -> Value {
    let (Value::Object(members), true) = (sent, exchange.method == Method::PATCH) else {
        return sent.clone();
    };
    let answer: Value = serde_json::from_slice(exchange.body).unwrap_or_default();
    let answer = answer.get("developer").filter(|inner| inner["email"].is_string()).unwrap_or(&answer);
    let described = DOCUMENT.pointer(schema).map(members_of).unwrap_or_default();
    let kept = members
        .iter()
        .filter(|(name, _)| described.contains(&name.as_str()) || answer.get(name.as_str()).is_none());
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// The members that a schema names.
fn members_of(schema: &'static Value) -> Vec<&'static str> {
    let own = schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    let parts = ["allOf", "oneOf"].iter().filter_map(|name| schema[*name].as_array()).flatten();
    let target = schema["$ref"].as_str().and_then(|target| DOCUMENT.pointer(target.trim_start_matches('#')));
    own.chain(parts.chain(target).flat_map(members_of)).collect()
}

/// Holds the examples of the document, requests and answers, against its schemas.
///
/// # Errors
/// The first example that is not as its schema says.
pub fn check_examples() -> Result<()> {
    for (method, path) in operations() {
        let operation = format!("/paths/{}/{}", escape(&path), method.to_lowercase());
        let described = DOCUMENT.pointer(&operation).context("there is no such operation")?;
        let statuses = described["responses"].as_object().into_iter().flatten();
        let answers = statuses.map(|(status, _)| format!("/responses/{status}"));
        for body in answers.chain(["/requestBody".to_owned()]) {
            let content = format!("{operation}{body}/content/application~1json");
            let example = DOCUMENT.pointer(&format!("{content}/example"));
            if let Some(example) = example {
                validate(&format!("{content}/schema"), example)
                    .with_context(|| format!("the example of {method} {path}{body}"))?;
            }
        }
    }
    Ok(())
}

fn escape(segment: &str) -> String {
    segment.replace('~', "~0").replace('/', "~1")
}

fn validate(pointer: &str, instance: &Value) -> Result<()> {
    if DOCUMENT.pointer(pointer).is_none() {
        bail!("there is no schema at {pointer}");
    }
    let problems: Vec<_> = validator(pointer)?
        .iter_errors(instance)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    ensure!(problems.is_empty(), "{}\nin {instance}", problems.join("\n"));
    Ok(())
}

fn validator(pointer: &str) -> Result<&'static Validator> {
    let mut validators = VALIDATORS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = validators.get(pointer) {
        return Ok(known);
    }
    let schema = DOCUMENT.pointer(pointer).context("no such schema")?;
    let components: Map<_, _> = DOCUMENT["components"]["schemas"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, schema)| (name.clone(), closed_within(schema)))
        .collect();
    let whole = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "components": {"schemas": components},
        "allOf": [closed(schema)],
    });
    let made = jsonschema::validator_for(&whole).map_err(|error| anyhow::anyhow!("{pointer}: {error}"))?;
    // One for each schema of the document, for as long as the tests run.
    let made: &'static Validator = Box::leak(Box::new(made));
    validators.insert(pointer.to_owned(), made);
    Ok(made)
}

/// The schema of a value, where members it does not name are refused.
fn closed(schema: &Value) -> Value {
    let inner = closed_within(schema);
    if is_object(schema, 0) { json!({"allOf": [inner], "unevaluatedProperties": false}) } else { inner }
}

/// The schema with the values inside it closed. It stays open itself, because others may be composed of it.
fn closed_within(schema: &Value) -> Value {
    let Value::Object(members) = schema else { return schema.clone() };
    let parts = members.iter().map(|(name, value)| {
        let value = match (name.as_str(), value) {
            ("properties", Value::Object(inner)) => {
                inner.iter().map(|(name, schema)| (name.clone(), closed(schema))).collect()
            }
            ("items" | "additionalProperties", schema) => closed(schema),
            // What a value may be one of: each is the whole value.
            ("oneOf", Value::Array(choices)) => choices.iter().map(closed).collect(),
            ("allOf" | "anyOf", Value::Array(parts)) => parts.iter().map(closed_within).collect(),
            (_, value) => value.clone(),
        };
        (name.clone(), value)
    });
    Value::Object(parts.collect())
}

/// Whether the schema names the members of an object. One that names none describes any object.
fn is_object(schema: &Value, depth: usize) -> bool {
    let named = schema["properties"].as_object().is_some_and(|properties| !properties.is_empty());
    let parts = ["allOf", "anyOf"].iter().filter_map(|name| schema[*name].as_array()).flatten();
    let composed = depth < 8 && parts.clone().any(|part| is_object(part, depth + 1));
    // A part that describes any object keeps the whole open.
    let open = parts.clone().any(|part| part["type"] == "object" && part["properties"].is_null());
    let target =
        schema["$ref"].as_str().and_then(|reference| DOCUMENT.pointer(reference.trim_start_matches('#')));
    let referred = depth < 8 && target.is_some_and(|target| is_object(target, depth + 1));
    (named || composed || referred) && !open && schema["additionalProperties"].is_null()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &Value) -> Result<()> {
        let body = body.to_string();
        check(&Exchange {
            method: &Method::GET,
            path: "/developers/a@example.com",
            arguments: &[],
            sent: None,
            status,
            content_type: "application/json; charset=utf-8",
            body: body.as_bytes(),
        })
    }

    #[test]
    fn what_the_document_does_not_have_is_noticed() {
        let id = "855fe098-3bb3-4041-8a3d-149a9e5462c6";
        let good = json!({"consumer": {"id": id}, "created_at": 1, "email": "a@example.com", "id": id, "status": 0, "updated_at": 1});
        answer(200, &good).unwrap_or_else(|error| panic!("{error:?}"));

        let mut unknown = good.clone();
        unknown["surprise"] = json!(1);
        let mut inside = good.clone();
        inside["consumer"]["surprise"] = json!(1);
        let mut mistyped = good.clone();
        mistyped["status"] = json!("0");
        let missing = json!({"id": id});
        for bad in [unknown, inside, mistyped, missing] {
            assert!(answer(200, &bad).is_err(), "{bad}");
        }
        assert!(answer(201, &good).is_err());
        assert!(answer(500, &json!({"message": "x"})).is_err());
        assert!(answer(404, &json!({"message": "Not found"})).is_ok());
    }

    #[test]
    fn a_problem_that_is_not_as_described_is_noticed() {
        let refused = |body: &Value| {
            check(&Exchange {
                method: &Method::POST,
                path: "/v2/api-products",
                arguments: &[],
                sent: None,
                status: 400,
                content_type: "application/problem+json",
                body: body.to_string().as_bytes(),
            })
        };
        let problem = |item: Value| {
            json!({"status": 400, "title": "x", "instance": "kong:trace:1", "detail": "x",
                "invalid_parameters": [item]})
        };
        let good = json!({"field": "name", "rule": "required", "source": "body", "reason": "x"});
        refused(&problem(good.clone())).unwrap_or_else(|error| panic!("{error:?}"));
        for (member, value) in [("rule", json!("min_length")), ("rule", json!("x")), ("surprise", json!(1))] {
            let mut bad = good.clone();
            bad[member] = value;
            assert!(refused(&problem(bad)).is_err(), "{member}");
        }
        assert!(
            refused(&json!({"status": 400, "title": "x", "instance": "kong:trace:1", "detail": "x"}))
                .is_err()
        );
    }

    #[test]
    fn filters_of_a_deep_object_are_described_member_by_member() {
        let listed = |argument: &str| {
            check(&Exchange {
                method: &Method::GET,
                path: "/v2/api-products",
                arguments: &[argument.to_owned()],
                sent: None,
                status: 200,
                content_type: "application/json",
                body: json!({"data": [], "meta": {"page": {"number": 1, "size": 10, "total": 0}}})
                    .to_string()
                    .as_bytes(),
            })
        };
        for good in ["filter[name]", "filter[name][contains]", "filter[id][oeq]", "page[size]"] {
            listed(good).unwrap_or_else(|error| panic!("{good}: {error:?}"));
        }
        for bad in ["filter", "filter[x]", "filter[id][contains]", "filter[name][eq][eq]", "filter[name"] {
            assert!(listed(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_most_particular_operation_is_meant() {
        let found = |path| operation(&Method::GET, path).map(|(_, path)| path);
        assert_eq!(found("/developers/x").as_deref(), Some("/developers/{developer}"));
        assert_eq!(found("/default/developers").as_deref(), Some("/developers"));
        assert_eq!(found("/nothing"), None);
    }
}
