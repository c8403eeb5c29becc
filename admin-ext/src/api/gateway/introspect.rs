//! `POST /gateway/v1/introspect`: what the issuer says of an opaque token.

use app_auth_core::calls::Introspect;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Map, Value};

use super::problem::Problem;
use super::{App, read};
use crate::idp::introspection::IntrospectionError;
use crate::model::PlainSecret;

/// Ask the issuer about a token (RFC 7662), as the strategy's own client
#[utoipa::path(
    post,
    path = "/gateway/v1/introspect",
    tag = "gateway",
    request_body(content = serde_json::Value, content_type = "application/json",
        description = "`strategy`, the id of the strategy that the token was presented to, and the `token`.",
        example = json!({"strategy": "0c9e6d4e-1e9c-4d3a-9d6c-4b5e0a8f6b3d", "token": "2YotnFZFEjr1zCsicMWpAA"})),
    responses(
        (status = 200, description = "What the issuer answered.", body = serde_json::Value),
        (status = 400, description = "The body is not as it must be.", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No valid gateway token.", body = serde_json::Value),
        (status = 404, description = "There is no such strategy, or it asks nobody about tokens.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The strategy lacks what is needed for it.", body = Problem, content_type = "application/problem+json"),
        (status = 502, description = "The issuer does not take the question, or its answer cannot be used.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The issuer does not answer, or too many are asked.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn introspect(State(app): State<App>, body: Bytes) -> Result<Json<Map<String, Value>>, Problem> {
    let Introspect { strategy, token } = read(&body)?;
    let token = PlainSecret::new(token);
    let found = app.store.auth_strategy(strategy).await?.map(|detail| detail.strategy);
    let how = found.as_ref().and_then(|found| Some((found.introspection()?, found.issuer()?)));
    let Some((how, issuer)) = how else {
        count("unknown");
        return Err(Problem::not_found("there is no such strategy, or it has no introspection"));
    };
    let published = app.store.issuer_metadata(issuer).await?;
    match app.idp.introspector.introspect(&how, published.as_ref(), token).await {
        Ok(said) => {
            count("answered");
            Ok(Json(said))
        }
        Err(error) => {
            // The metrics tell of it; a line for each request would be too many.
            tracing::debug!(%error, %strategy, "a token was not introspected");
            Err(problem(&error))
        }
    }
}

fn problem(error: &IntrospectionError) -> Problem {
    let (outcome, status, title) = match error {
        IntrospectionError::Incomplete(_) => ("incomplete", StatusCode::CONFLICT, "Conflict"),
        IntrospectionError::Refused(_) => ("refused", StatusCode::BAD_GATEWAY, "Bad Gateway"),
        IntrospectionError::Unusable(_) => ("unusable", StatusCode::BAD_GATEWAY, "Bad Gateway"),
        IntrospectionError::Away => ("away", StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
        IntrospectionError::Busy => ("busy", StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
    };
    count(outcome);
    Problem::new(status, title, error.to_string())
}

fn count(outcome: &'static str) {
    metrics::counter!("app_auth_admin_introspections_total", "outcome" => outcome).increment(1);
}
