//! `GET /gateway/v1/nodes`: which gateways follow the feed, and how far each has got.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::problem::Problem;

#[derive(Debug, Serialize, ToSchema)]
pub struct NodeList {
    /// The store's newest revision.
    revision: u64,
    data: Vec<Node>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Node {
    /// Its name.
    #[serde(rename = "node")]
    name: String,
    /// The filter's version.
    version: String,
    /// Revision it has applied.
    applied: u64,
    /// Number of revisions it is behind.
    lag: u64,
    /// When it was last heard of, in seconds since the Unix epoch.
    last_contact: i64,
    /// Whether it holds a feed request or was heard of in the last 15 seconds.
    live: bool,
}

/// The gateways and how far they have got.
#[utoipa::path(
    get,
    path = "/gateway/v1/nodes",
    tag = "gateway",
    responses(
        (status = 200, description = "The nodes heard of in the last day.", body = NodeList),
        (status = 401, description = "No valid token.", body = serde_json::Value),
    )
)]
pub async fn nodes(State(app): State<App>) -> Result<Json<NodeList>, Problem> {
    let revision = app.store.feed_head().await?.revision.0;
    let data = app
        .nodes
        .list()
        .into_iter()
        .map(|node| Node {
            name: node.node,
            version: node.version,
            applied: node.applied.0,
            lag: revision.saturating_sub(node.applied.0),
            last_contact: node.seen_at.seconds(),
            live: node.live,
        })
        .collect();
    Ok(Json(NodeList { revision, data }))
}
