//! `GET /gateway/v1/feed`: changes after a revision, held open until there is one.

use std::time::Duration;

use app_auth_core::feed::{PAGE_LIMIT, WAIT_MAX_SECONDS};
use app_auth_core::ids::{Revision, StoreId};
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::Deserialize;
use tokio::time::{Instant, sleep_until};
use utoipa::IntoParams;

use super::problem::Problem;
use super::{App, node_of};
use crate::api::ops;
use crate::store::FeedError;
use crate::store::feed::RawFeedPage;

/// However quiet it is, a held request looks for itself this often: a message between replicas may get lost.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FeedQuery {
    /// The store the revision is of: 43 base64url characters. Another store answers 410.
    #[param(value_type = Option<String>)]
    store: Option<StoreId>,
    /// Revision the gateway has applied.
    #[serde(default)]
    #[param(value_type = u64)]
    after: Revision,
    /// How long to hold the request open, in seconds: 0 to 60.
    #[serde(default)]
    wait: u64,
    /// Most changes: 1 to 500.
    limit: Option<usize>,
    /// The gateway's name. Only named gateways count for `Prefer: wait`.
    node: Option<String>,
    /// The filter's version.
    version: Option<String>,
}

/// Changes after a revision, in the order of commits.
#[utoipa::path(
    get,
    path = "/gateway/v1/feed",
    tag = "gateway",
    params(FeedQuery),
    responses(
        (status = 200, description = "The changes; none if the wait ended without one.", body = serde_json::Value),
        (status = 400, description = "A parameter is out of its range.", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No valid gateway token.", body = serde_json::Value),
        (status = 410, description = "The gateway must take the snapshot.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn feed(
    State(app): State<App>,
    query: Result<Query<FeedQuery>, QueryRejection>,
) -> Result<Json<RawFeedPage>, Problem> {
    let Query(query) = query?;
    let limit = query.limit.unwrap_or(PAGE_LIMIT).clamp(1, PAGE_LIMIT);
    let deadline = Instant::now() + Duration::from_secs(query.wait.min(WAIT_MAX_SECONDS));
    let mut newest = app.store.newest();
    let ours = query.store.is_none_or(|store| store == app.store.id());
    let held = node_of(query.node.as_deref(), query.version.as_deref())?.map(|(node, version)| {
        // What a gateway says it has of another store it does not have of this one.
        let applied = if ours { query.after } else { Revision(0) };
        app.nodes.follows(node, version, applied)
    });
    if !ours {
        return Err(FeedError::Gone { after: query.after, reason: "the revision is of another store" }.into());
    }
    loop {
        newest.mark_unchanged();
        let page = app.store.changes(query.after, limit).await.inspect_err(|error| {
            if let (FeedError::Gone { .. }, Some(held)) = (error, &held) {
                held.lost();
            }
        })?;
        if !page.changes.is_empty() || Instant::now() >= deadline || *app.stopping.borrow() {
            return Ok(Json(page));
        }
        tokio::select! {
            _ = newest.changed() => {}
            () = sleep_until(deadline.min(Instant::now() + LOOK_AGAIN)) => {}
            () = ops::stopping(app.stopping.clone()) => {}
        }
    }
}
