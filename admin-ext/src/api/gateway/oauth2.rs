//! `POST /gateway/v1/oauth2/token`: a request to Kong's OAuth 2.0 token endpoint as a gateway relays it, and the answer to
//! relay. The contract is in `app_auth_core::calls`.

use std::time::Duration;

use app_auth_core::calls::{TOKEN_REQUEST_BODY_MAX, TokenAnswer, TokenRequest};
use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;

use super::App;
use super::problem::Problem;
use crate::api::ops;
use crate::oauth2;

/// How long the answer waits for the gateways to know of a token that it gives out.
const KNOWN_WITHIN: Duration = Duration::from_secs(1);

/// What a caller of the token endpoint gets.
#[utoipa::path(
    post,
    path = "/gateway/v1/oauth2/token",
    tag = "gateway",
    request_body = serde_json::Value,
    responses(
        (status = 200, description = "What the caller gets: status, headers and body.", body = serde_json::Value),
        (status = 400, description = "It is no such request, or too long.", body = Problem),
        (status = 401, description = "No valid gateway token."),
        (status = 404, description = "Callers of the service get no tokens.", body = Problem),
    )
)]
pub async fn token(
    State(app): State<App>,
    request: Result<Json<TokenRequest>, JsonRejection>,
) -> Result<Json<TokenAnswer>, Problem> {
    // What is wrong with it might quote a secret.
    let Ok(Json(request)) = request else {
        return Err(Problem::bad_request("expected the JSON of a token request"));
    };
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
