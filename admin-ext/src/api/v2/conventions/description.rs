//! What every operation of the v2 APIs has in common in the OpenAPI document.

use serde_json::{Value, json};
use utoipa::openapi::path::Operation;
use utoipa::openapi::{OpenApi, RefOr, Response};

/// Adds what any operation may answer before it is reached, or when it is refused.
pub fn described(mut document: OpenApi) -> OpenApi {
    for item in document.paths.paths.values_mut() {
        let lists = item.get.as_ref().is_some_and(has_page);
        if let Some(operation) = &mut item.get {
            refusals(operation, false, lists);
        }
        let writes = [&mut item.put, &mut item.post, &mut item.delete, &mut item.patch];
        for operation in writes.into_iter().flatten() {
            refusals(operation, true, false);
        }
    }
    document
}

fn has_page(operation: &Operation) -> bool {
    operation.parameters.iter().flatten().any(|parameter| json!(parameter)["name"] == "page[size]")
}

fn refusals(operation: &mut Operation, writes: bool, lists: bool) {
    let by_id = operation.parameters.iter().flatten().any(|parameter| json!(parameter)["in"] == "path");
    let body = operation.request_body.is_some();
    let mut add = |status: &str, about: &str| {
        let schema = if status == "400" { bad_request() } else { problem() };
        let response =
            json!({"description": about, "content": {"application/problem+json": {"schema": schema}}});
        if let Ok(response) = serde_json::from_value::<Response>(response) {
            operation.responses.responses.entry(status.to_owned()).or_insert(RefOr::T(response));
        }
    };
    if by_id || body || lists {
        add("400", "Refused, with every parameter that is wrong; nothing has changed");
    }
    add("401", "No valid admin token");
    add("403", "Not allowed");
    if by_id {
        add("404", "There is no such thing");
    }
    add("408", "The request took too long; nothing has changed");
    if writes && by_id {
        add("412", "`If-Match` names another state than the resource is in; nothing has changed");
    }
    if body {
        add("413", "The body is too large");
        add("415", "The body is not JSON");
    }
    add("503", "The database is busy, try again; nothing has changed");
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
    json!({"type": "object", "required": ["status", "title", "instance", "detail"], "properties": members()})
}

fn bad_request() -> Value {
    let item = json!({
        "type": "object", "required": ["field", "reason"], "additionalProperties": false,
        "properties": {
            "field": {"type": "string"},
            "rule": {"type": ["string", "null"]},
            "source": {"type": "string", "enum": ["body", "query", "path", "header"]},
            "reason": {"type": "string", "description": "What is wrong, in words"},
            "minimum": {"type": "integer", "description": "Of `min_length`"},
            "choices": {"type": "array", "items": {}, "description": "Of `enum`"},
            "dependents": {"type": ["array", "null"], "items": {}, "description": "Of `dependent_fields`"},
        },
    });
    let mut json = problem();
    json["properties"]["invalid_parameters"] = json!({"type": "array", "items": item, "minItems": 1});
    json["required"] = json!(["status", "title", "instance", "detail", "invalid_parameters"]);
    json
}
