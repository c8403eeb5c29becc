//! `/kong/services`: the services of the Kong that follows, as choices for what product versions are served by.

use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::bodies::{Message, Violation};
use super::conventions::{Error, Query, reply};
use super::kong_sync::kong;
use crate::api::Seen;
use crate::kong::{KongService, Unanswered};
use crate::store::KnownService;

/// A service of Kong's, and what is known of it here.
#[derive(Serialize, ToSchema)]
#[schema(as = KongService)]
pub struct ServiceBody {
    enabled: Option<bool>,
    host: Option<String>,
    id: Uuid,
    name: Option<String>,
    path: Option<String>,
    port: Option<u16>,
    /// The product version it serves.
    product_version: Option<Uuid>,
    protocol: Option<String>,
    /// Whether applications can be connected to it.
    registered: bool,
}

impl ServiceBody {
    fn new(service: KongService, known: Option<&KnownService>) -> Self {
        Self {
            enabled: service.enabled,
            host: service.host,
            id: service.id,
            name: service.name,
            path: service.path,
            port: service.port,
            product_version: known.and_then(|known| known.version).map(|version| version.0),
            protocol: service.protocol,
            registered: known.is_some(),
        }
    }
}

/// A page of Kong's list.
#[derive(Serialize, ToSchema)]
pub struct ServicesBody {
    data: Vec<ServiceBody>,
    /// Path of the next page; null on the last.
    next: Option<String>,
}

/// List Kong's services
#[utoipa::path(
    get, path = "/kong/services", tag = "kong", operation_id = "list_kong_services",
    params(
        ("size" = Option<u16>, Query, description = "Most items of the page, 1 to 1000", example = 100),
        ("offset" = Option<String>, Query, description = "From the `next` of the page before"),
    ),
    responses(
        (status = 200, description = "A page of the list", body = ServicesBody,
            example = json!({"data": [example()], "next": null})),
        (status = 400, description = "Refused; nothing has changed", body = Violation),
        (status = 404, description = "No Kong follows", body = Message),
        (status = 502, description = "Kong does not answer", body = Message),
    ),
)]
pub async fn list(Seen(app): Seen, query: Query) -> Result<Response, Error> {
    let kong = kong(&app)?;
    let size = query.size()?;
    let page =
        kong.services(size, query.argument("offset")).await.map_err(|unanswered| match unanswered {
            Unanswered::Refused(refusal) => Error::Kong(refusal),
            Unanswered::Away(reason) => Error::Request(StatusCode::BAD_GATEWAY, reason.into()),
        })?;
    let mut data = Vec::with_capacity(page.data.len());
    for service in page.data {
        let known = app.store.known_service(service.id.into()).await?;
        data.push(ServiceBody::new(service, known.as_ref()));
    }
    let next = page.offset.map(|offset| {
        let arguments = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("size", &size.to_string())
            .append_pair("offset", &offset)
            .finish();
        format!("/kong/services?{arguments}")
    });
    Ok(reply::ok(&ServicesBody { data, next }))
}

fn example() -> Value {
    json!({
        "enabled": true, "host": "orders.example.com", "id": "212a758a-810b-4226-9175-b1b44eecebec",
        "name": "orders", "path": null, "port": 443,
        "product_version": "1c3f1b9e-2b0e-4e1c-8f4a-0d4f6f1f2a3b", "protocol": "https", "registered": true
    })
}
