//! `POST /gateway/v1/wait`: nothing, a moment later.

use std::time::Duration;

use app_auth_core::calls::WAIT_MAX_MILLISECONDS;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use super::App;
use super::problem::Problem;
use crate::api::ops;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WaitQuery {
    /// How long: 0 to 1000.
    #[serde(default)]
    milliseconds: u64,
}

/// Nothing, a moment later.
#[utoipa::path(
    post,
    path = "/gateway/v1/wait",
    tag = "gateway",
    params(WaitQuery),
    responses(
        (status = 204, description = "The time is over, or the program is to stop."),
        (status = 400, description = "A parameter is no number.", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No valid gateway token.", body = serde_json::Value),
    )
)]
pub async fn wait(
    State(app): State<App>,
    query: Result<Query<WaitQuery>, QueryRejection>,
) -> Result<StatusCode, Problem> {
    let Query(query) = query?;
    let wait = Duration::from_millis(query.milliseconds.min(WAIT_MAX_MILLISECONDS));
    let _ = tokio::time::timeout(wait, ops::stopping(app.stopping)).await;
    Ok(StatusCode::NO_CONTENT)
}
