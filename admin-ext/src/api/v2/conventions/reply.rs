//! Answers of the v2 APIs: JSON, the entity tag, and the revision a write was committed at, for the layer that waits for
//! gateways.

use app_auth_core::ids::Revision;
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::precondition::etag;
use crate::model::Timestamp;

/// A time as the v2 APIs show it: RFC 3339 in UTC, to the millisecond. One that no calendar has is the last there is.
pub fn time(time: Timestamp) -> String {
    let time = jiff::Timestamp::from_millisecond(time.0).unwrap_or(jiff::Timestamp::MAX);
    format!("{time:.3}")
}

/// 200 with what was asked for.
pub fn ok(body: &impl Serialize) -> Response {
    Json(body).into_response()
}

/// 200 with a resource that can be changed.
pub fn resource(body: &impl Serialize, updated_at: Timestamp) -> Response {
    tagged(ok(body), updated_at)
}

/// The answer to a write: what the resource is now.
pub fn written(
    status: StatusCode,
    body: &impl Serialize,
    updated_at: Timestamp,
    revision: Revision,
) -> Response {
    at(tagged((status, Json(body)).into_response(), updated_at), revision)
}

/// 204, of a write.
pub fn done(revision: Revision) -> Response {
    at(StatusCode::NO_CONTENT.into_response(), revision)
}

/// An answer that holds a secret nobody is to keep on the way.
pub fn secret(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn tagged(mut response: Response, updated_at: Timestamp) -> Response {
    response.headers_mut().insert(header::ETAG, etag(updated_at));
    response
}

/// The answer to a write that was committed at this revision.
pub fn at(mut response: Response, revision: Revision) -> Response {
    response.extensions_mut().insert(revision);
    response
}
