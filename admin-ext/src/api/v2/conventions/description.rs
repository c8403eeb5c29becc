//! What every operation of the v2 APIs has in common in the OpenAPI document.

use serde_json::{Value, json};
use utoipa::openapi::path::Operation;
use utoipa::openapi::{OpenApi, RefOr, Response};

use super::json::set;

/// Adds what any operation may answer before it is reached, or when it is refused.
pub fn described(mut document: OpenApi) -> OpenApi {
    for item in document.paths.paths.values_mut() {
        let lists = item.get.as_ref().is_some_and(has_page);
        if let Some(operation) = &mut item.get {
            refusals(operation, Method::Read, lists);
        }
        // What a PUT finds missing it makes.
        let makes = |operation: &Operation| operation.responses.responses.contains_key("201");
        if let Some(operation) = &mut item.put {
            let method = if makes(operation) { Method::Upsert } else { Method::Write };
            refusals(operation, method, false);
        }
        if let Some(operation) = &mut item.post {
            refusals(operation, Method::Post, false);
        }
        for operation in [&mut item.delete, &mut item.patch].into_iter().flatten() {
            refusals(operation, Method::Write, false);
        }
    }
    let components = document.components.get_or_insert_default();
    for (name, schema) in [(PROBLEM, problem()), (INVALID, invalid())] {
        components
            .schemas
            .extend(serde_json::from_value(schema).ok().map(|schema| (name.to_owned(), schema)));
    }
    document
}

/// The component that describes a refusal.
const PROBLEM: &str = "RefusedRequest";
/// The component that describes a 400.
const INVALID: &str = "InvalidRequest";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    Read,
    /// Makes something, or sets something going.
    Post,
    /// Changes what there is.
    Write,
    /// Writes what there is, or else makes it.
    Upsert,
}

fn has_page(operation: &Operation) -> bool {
    operation
        .parameters
        .iter()
        .flatten()
        .any(|parameter| json!(parameter).get("name").is_some_and(|name| name == "page[size]"))
}

fn refusals(operation: &mut Operation, method: Method, lists: bool) {
    let by_id = operation
        .parameters
        .iter()
        .flatten()
        .any(|parameter| json!(parameter).get("in").is_some_and(|place| place == "path"));
    let body = operation.request_body.is_some();
    let mut add = |status: &str, about: &str| {
        let mut refusal = refusal(status);
        set(&mut refusal, "description", about);
        if let Ok(response) = serde_json::from_value::<Response>(refusal) {
            operation.responses.responses.entry(status.to_owned()).or_insert(RefOr::T(response));
        }
    };
    if by_id || body || lists {
        add("400", "Refused, with every parameter that is wrong; nothing has changed");
    }
    add("401", "No valid admin token");
    add("403", "Not allowed");
    if by_id && method != Method::Upsert {
        add("404", "There is no such thing");
    }
    add("408", "The request took too long; nothing has changed");
    if matches!(method, Method::Write | Method::Upsert) && by_id {
        add("412", "`If-Match` names another state than the resource is in; nothing has changed");
    }
    if body {
        add("413", "The body is too large");
        add("415", "The body is not JSON");
    }
    add("503", "The database is busy, try again; nothing has changed");
    // What an operation describes itself says only why.
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && (status.starts_with('4') || status.starts_with('5'))
            && response.content.is_empty()
            && let Ok(whole) = serde_json::from_value::<Response>(refusal(status))
        {
            response.content = whole.content;
        }
    }
}

fn refusal(status: &str) -> Value {
    let name = if status == "400" { INVALID } else { PROBLEM };
    let schema = json!({"$ref": format!("#/components/schemas/{name}")});
    json!({"description": "", "content": {"application/problem+json": {"schema": schema}}})
}

fn members() -> Value {
    json!({
        "status": {"type": "integer", "description": "The HTTP status"},
        "title": {"type": "string", "description": "What is wrong in general"},
        "type": {"type": "string"},
        "instance": {"type": "string", "description": "Names the request in logs", "pattern": "^kong:trace:[0-9]+$"},
        "detail": {"type": "string", "description": "What is wrong with this request"},
    })
}

fn problem() -> Value {
    json!({
        "type": "object", "description": "Why a request is refused (RFC 9457)",
        "required": ["status", "title", "instance", "detail"], "properties": members(),
    })
}

fn invalid() -> Value {
    let item = |rule: Value, detail: &[(&str, Value)]| {
        let mut properties = json!({
            "field": {"type": "string", "description": "Its path, such as `configs.key-auth` or `filter[name]`"},
            "rule": rule,
            "source": {"type": "string", "enum": ["body", "query", "path", "header"]},
            "reason": {"type": "string", "description": "What is wrong, in words"},
        });
        let mut required = vec!["field", "rule", "source", "reason"];
        for (name, schema) in detail {
            set(&mut properties, name, schema.clone());
            required.push(name);
        }
        json!({"type": "object", "required": required, "additionalProperties": false, "properties": properties})
    };
    let rule = |rules: &[&str]| json!({"type": "string", "enum": rules});
    let list = json!({"type": "array", "items": {}, "minItems": 1, "uniqueItems": true});
    let items = [
        item(rule(&super::problem::RULES), &[]),
        item(rule(&["min_length"]), &[("minimum", json!({"type": "integer"}))]),
        item(rule(&["enum"]), &[("choices", list.clone())]),
        item(rule(&["dependent_fields"]), &[("dependents", list)]),
    ];
    let mut properties = members();
    let list = json!({"type": "array", "items": {"oneOf": items}, "minItems": 1, "uniqueItems": true});
    set(&mut properties, "invalid_parameters", list);
    json!({
        "type": "object", "description": "What is wrong with a request, parameter by parameter (RFC 9457)",
        "required": ["status", "title", "instance", "detail", "invalid_parameters"], "properties": properties,
    })
}
