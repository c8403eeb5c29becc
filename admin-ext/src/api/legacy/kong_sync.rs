//! `/kong/sync`: what the Kong that follows has still to be told, and asking for it to be told now. Where no Kong
//! follows, nothing is ever listed and nothing can be asked for.

use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::bodies::{Message, Ref, Violation};
use super::conventions::query::Page;
use super::conventions::{Error, Query, Segments, path, reply};
use super::parameters::PageArguments;
use crate::api::{App, Seen};
use crate::kong::Kong;
use crate::store::kong::{Marker, Target};

/// Something that Kong has still to be told.
#[derive(Serialize, ToSchema)]
#[schema(as = KongSync)]
pub struct MarkerBody {
    /// Tries so far.
    attempts: u32,
    /// The consumer it is about or belongs to; absent of a filter.
    #[serde(skip_serializing_if = "Option::is_none")]
    consumer: Option<Ref>,
    /// Since when Kong is behind, in seconds since the Unix epoch.
    created_at: i64,
    /// What came of the last try.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Of the consumer or the plugin, here and in Kong; of a filter, that of the service.
    id: Uuid,
    /// When it is tried again at the latest, in seconds since the Unix epoch; absent if only a change or a request
    /// will have it tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_at: Option<i64>,
    /// `pending`, or `refused`: Kong understood and does not want it as it is.
    state: &'static str,
    /// `consumer`, `plugin` or `filter`.
    target: &'static str,
}

impl From<Marker> for MarkerBody {
    fn from(marker: Marker) -> Self {
        Self {
            attempts: marker.attempts,
            consumer: match marker.target {
                Target::Consumer(_) | Target::Plugin(_) => Some(marker.consumer.0.into()),
                Target::Filter(_) => None,
            },
            created_at: marker.created_at.seconds(),
            error: marker.error,
            id: marker.target.id(),
            next_at: (!marker.refused).then_some(marker.next_at.seconds()),
            state: if marker.refused { "refused" } else { "pending" },
            target: marker.target.kind(),
        }
    }
}

/// How much is to be told.
#[derive(Serialize, ToSchema)]
pub struct Marked {
    marked: u64,
}

/// The Kong that follows.
pub fn kong(app: &App) -> Result<&Kong, Error> {
    let none = "No Kong follows: kong_admin_url is not set";
    app.kong.as_ref().ok_or_else(|| Error::Request(StatusCode::NOT_FOUND, none.into()))
}

/// List what Kong has still to be told
#[utoipa::path(
    get, path = "/kong/sync", tag = "kong", operation_id = "list_kong_sync",
    params(
        ("state" = Option<String>, Query, description = "Only `pending` or only `refused`", example = "refused"),
        PageArguments,
    ),
    responses(
        (status = 200, description = "A page of the list", body = Page<MarkerBody>,
            example = json!({"data": [example()], "next": null, "total": 1})),
        (status = 400, description = "Refused; nothing has changed", body = Violation),
    ),
)]
pub async fn list(Seen(app): Seen, query: Query) -> Result<Response, Error> {
    let refused = match query.argument("state") {
        None => None,
        Some("pending") => Some(false),
        Some("refused") => Some(true),
        Some(_) => {
            let problem = "expected one of: pending, refused".into();
            return Err(Error::InvalidOption { name: "state", problem });
        }
    };
    Ok(query.list(app.store.markers(refused, query.page()?).await?, MarkerBody::from))
}

/// Tell Kong everything again
///
/// For a Kong that lost its database, or in which somebody changed what is ours.
#[utoipa::path(
    post, path = "/kong/sync", tag = "kong", operation_id = "start_kong_sync",
    responses(
        (status = 202, description = "It begins", body = Marked, example = json!({"marked": 3})),
        (status = 404, description = "No Kong follows", body = Message),
    ),
)]
pub async fn start(Seen(app): Seen) -> Result<Response, Error> {
    let kong = kong(&app)?;
    let marked = app.store.mark_everything().await?;
    kong.wake();
    Ok(reply::json(StatusCode::ACCEPTED, &Marked { marked }))
}

/// Tell Kong one thing now
#[utoipa::path(
    post, path = "/kong/sync/{target}/{id}", tag = "kong", operation_id = "retry_kong_sync",
    params(
        ("target" = String, Path, description = "`consumer`, `plugin` or `filter`", example = "plugin"),
        ("id" = Uuid, Path, description = "Of the consumer, the plugin, or the service with the filter"),
    ),
    responses(
        (status = 202, description = "It begins", body = MarkerBody, example = json!(example())),
        (status = 404, description = "Kong knows it already, or there is no such thing", body = Message),
    ),
)]
pub async fn retry(
    Seen(app): Seen,
    Segments((target, id)): Segments<(String, String)>,
) -> Result<Response, Error> {
    let kong = kong(&app)?;
    let target = Target::parse(&target, path::id(&id)?).ok_or(Error::NotFound)?;
    let marker = app.store.retry_marker(target).await?.ok_or(Error::NotFound)?;
    kong.wake();
    Ok(reply::json(StatusCode::ACCEPTED, &MarkerBody::from(marker)))
}

fn example() -> Value {
    json!({
        "attempts": 2, "consumer": {"id": "855fe098-3bb3-4041-8a3d-149a9e5462c6"}, "created_at": 1_645_564_279,
        "error": "Connection refused", "id": "c0e1a9a7-36f5-4d0c-9a4e-5e0e9a4d2b11", "next_at": 1_645_564_281,
        "state": "pending", "target": "plugin"
    })
}
