//! `POST /gateway/v1/oauth2/token`: a request to Kong's OAuth 2.0 token endpoint as a gateway relays it, and the answer to
//! relay. The contract is in `app_auth_core::calls`.

use std::time::Duration;

use app_auth_core::calls::{TOKEN_REQUEST_BODY_MAX, TokenAnswer, TokenRequest};
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;

use super::problem::Problem;
use super::{App, read};
use crate::api::ops;
use crate::oauth2;

/// How long the answer waits for the gateways to know of a token that it gives out.
const KNOWN_WITHIN: Duration = Duration::from_secs(1);

/// Decide a request for an access token of Kong's OAuth 2.0
#[utoipa::path(
    post,
    path = "/gateway/v1/oauth2/token",
    tag = "gateway",
    request_body(content = serde_json::Value, content_type = "application/json",
        description = "What the caller sent: `service`, `method`, `https` and, as far as there are any, `forwarded_proto`, \
            `query`, `content_type`, `authorization`, `body`.",
        example = json!({"service": "212a758a-810b-4226-9175-b1b44eecebec", "method": "POST", "https": true,
            "content_type": "application/x-www-form-urlencoded",
            "body": "grant_type=client_credentials&client_id=myclient&client_secret=mysecret"})),
    responses(
        (status = 200, description = "What the caller gets: status, headers and body.", body = serde_json::Value),
        (status = 400, description = "It is no such request, or too long.", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No valid gateway token."),
        (status = 404, description = "Callers of the service get no tokens.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn token(State(app): State<App>, body: Bytes) -> Result<Json<TokenAnswer>, Problem> {
    let request: TokenRequest = read(&body)?;
    if request.body.len() > TOKEN_REQUEST_BODY_MAX || request.query.len() > TOKEN_REQUEST_BODY_MAX {
        return Err(Problem::bad_request("the query or the body is too long"));
    }
    let decided = oauth2::decide(&app.store, &request).await?;
    let Some(decided) = decided else {
        return Err(Problem::not_found("callers of the service get no tokens"));
    };
    metrics::counter!("app_auth_admin_oauth2_requests_total", "outcome" => decided.outcome).increment(1);
    if let Some(revision) = decided.revision {
        // A token is to be good wherever its owner turns to next.
        tokio::select! {
            _ = app.nodes.wait_applied(revision, KNOWN_WITHIN) => {}
            () = ops::stopping(app.stopping.clone()) => {}
        }
    }
    Ok(Json(decided.answer))
}
