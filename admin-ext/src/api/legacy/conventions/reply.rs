//! Answers of the legacy API: JSON with Kong's content type, and the revision a write was committed at, for the layer
//! that waits for gateways.

use app_auth_core::ids::Revision;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::kong::{Changed, Sync};

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
/// Whether the Kong that follows knows of a change; absent where it is none of its business.
const KONG_SYNC: HeaderName = HeaderName::from_static("x-kong-sync");

/// A JSON answer.
pub fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(body) => (status, [(header::CONTENT_TYPE, JSON)], body).into_response(),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written as JSON");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// `{"message": …}`.
pub fn message(status: StatusCode, message: &str) -> Response {
    json(status, &serde_json::json!({"message": message}))
}

/// 200 with what was asked for.
pub fn ok(body: &impl Serialize) -> Response {
    json(StatusCode::OK, body)
}

/// The answer to a write: what the entity is now.
pub fn written(status: StatusCode, body: &impl Serialize, revision: Revision) -> Response {
    at(json(status, body), revision)
}

/// The answer to a deletion.
pub fn deleted(revision: Revision) -> Response {
    at(StatusCode::NO_CONTENT.into_response(), revision)
}

/// The answer to a change of which a Kong may have been told: what the entity is now.
pub fn changed<T, B: Serialize>(
    status: StatusCode,
    changed: Changed<T>,
    body: impl FnOnce(T) -> B,
) -> Response {
    let Changed { value, revision, sync } = changed;
    told(written(status, &body(value), revision), sync)
}

/// The answer to a deletion of which a Kong may have been told.
pub fn gone<T>(changed: &Changed<T>) -> Response {
    told(deleted(changed.revision), changed.sync)
}

fn told(mut response: Response, sync: Option<Sync>) -> Response {
    let word = match sync {
        None => return response,
        Some(Sync::Applied) => "applied",
        Some(Sync::Pending) => "pending",
    };
    response.headers_mut().insert(KONG_SYNC, HeaderValue::from_static(word));
    response
}

fn at(mut response: Response, revision: Revision) -> Response {
    response.extensions_mut().insert(revision);
    response
}
