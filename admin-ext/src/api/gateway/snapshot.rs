//! `GET /gateway/v1/snapshot`: every record, in pages of whole buckets.

use app_auth_core::feed::{PAGE_LIMIT, bucket_bits};
use app_auth_core::ids::{Revision, StoreId};
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::cursor::Cursor;
use super::problem::Problem;
use super::{App, node_of};
use crate::store::feed::RawRecord;

/// Most streams of one snapshot.
const STREAMS_MAX: u32 = 16;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SnapshotQuery {
    /// As a page gave it out; absent: the beginning.
    cursor: Option<String>,
    /// Answer no records but so many cursors to follow in parallel: 1 to 16.
    streams: Option<u32>,
    /// Most records, rounded to whole buckets: 1 to 500.
    limit: Option<usize>,
    /// The gateway's name.
    node: Option<String>,
    /// The filter's version.
    version: Option<String>,
}

/// A [`SnapshotPage`](app_auth_core::feed::SnapshotPage) whose records are still text.
#[derive(Debug, Serialize)]
pub struct RawSnapshotPage {
    store: StoreId,
    revision: Revision,
    total: u64,
    bits: u8,
    buckets: [u32; 2],
    records: Vec<RawRecord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cursors: Vec<String>,
}

/// Every record, in pages.
#[utoipa::path(
    get,
    path = "/gateway/v1/snapshot",
    tag = "gateway",
    params(SnapshotQuery),
    responses(
        (status = 200, description = "A page of records, or the cursors of the streams.", body = serde_json::Value),
        (status = 400, description = "A parameter is out of its range.", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No valid gateway token.", body = serde_json::Value),
    )
)]
pub async fn snapshot(
    State(app): State<App>,
    query: Result<Query<SnapshotQuery>, QueryRejection>,
) -> Result<Json<RawSnapshotPage>, Problem> {
    let Query(query) = query?;
    if let Some((node, version)) = node_of(query.node.as_deref(), query.version.as_deref())? {
        app.nodes.resyncs(node, version);
    }
    let head = app.store.feed_head().await?;
    let cursor = match &query.cursor {
        Some(cursor) => cursor
            .parse()
            .map_err(|error: super::cursor::InvalidCursor| Problem::bad_request(error.to_string()))?,
        None => {
            let bits = bucket_bits(head.records);
            Cursor { bits, from: 0, until: 1 << bits, total: head.records }
        }
    };
    if let (Some(streams), None) = (query.streams, &query.cursor) {
        let cursors = Cursor::streams(cursor.bits, cursor.total, streams.clamp(1, STREAMS_MAX));
        return Ok(Json(RawSnapshotPage {
            store: app.store.id(),
            revision: head.revision,
            total: cursor.total,
            bits: cursor.bits,
            buckets: [0, 0],
            records: Vec::new(),
            next: None,
            cursors: cursors.iter().map(Cursor::to_string).collect(),
        }));
    }
    let limit = query.limit.unwrap_or(PAGE_LIMIT).clamp(1, PAGE_LIMIT);
    let stretch = app.store.stretch(cursor.bits, cursor.from, cursor.until, limit).await?;
    let more = stretch.until < cursor.until;
    Ok(Json(RawSnapshotPage {
        store: app.store.id(),
        revision: stretch.revision,
        total: cursor.total,
        bits: cursor.bits,
        buckets: [cursor.from, stretch.until],
        records: stretch.records,
        next: more.then(|| Cursor { from: stretch.until, ..cursor }.to_string()),
        cursors: Vec::new(),
    }))
}
