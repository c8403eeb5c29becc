//! `POST /gateway/v1/issuers/refresh`: a token names a key that the gateways do not have.

use app_auth_core::calls::RefreshIssuer;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::Problem;
use super::{App, read};
use crate::api::ops;
use crate::idp::{IssuerRefreshed, refresh_issuer};

/// Nothing: what was learned is in the feed.
#[derive(Debug, Serialize, ToSchema)]
pub struct Known {}

/// Fetch an issuer's keys, and wait until the gateways have them
#[utoipa::path(
    post,
    path = "/gateway/v1/issuers/refresh",
    tag = "gateway",
    request_body(content = serde_json::Value, content_type = "application/json",
        description = "`issuer`, as strategies name it.", example = json!({"issuer": "https://idp.example.com"})),
    responses(
        (status = 200, description = "What could be learned in time is in force.", body = Known),
        (status = 400, description = "The body is not as it must be.", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No valid gateway token.", body = serde_json::Value),
        (status = 503, description = "It takes longer than a request can wait.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No strategy names the issuer.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn refresh(State(app): State<App>, body: Bytes) -> Result<Json<Known>, Problem> {
    let RefreshIssuer { issuer } = read(&body)?;
    let stopping = ops::stopping(app.stopping);
    let refreshed = refresh_issuer(&app.store, &app.idp, &app.nodes, stopping, &issuer).await?;
    let outcome = match refreshed {
        IssuerRefreshed::Fetched => "fetched",
        IssuerRefreshed::Failed => "failed",
        IssuerRefreshed::Late => "late",
        IssuerRefreshed::Unknown => "unknown",
    };
    metrics::counter!("app_auth_admin_issuer_refreshes_total", "outcome" => outcome).increment(1);
    match refreshed {
        IssuerRefreshed::Unknown => Err(Problem::not_found("no strategy names the issuer")),
        IssuerRefreshed::Late => {
            let detail = "what the issuer has to say did not come in time";
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable", detail))
        }
        IssuerRefreshed::Fetched | IssuerRefreshed::Failed => Ok(Json(Known {})),
    }
}
