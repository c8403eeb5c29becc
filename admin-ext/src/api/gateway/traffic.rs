//! `POST /gateway/v1/traffic`: what gateways counted of applications' requests. The contract is in
//! `app_auth_core::traffic::report`.

use app_auth_core::traffic::Key;
use app_auth_core::traffic::report::{BATCHES_MAX, Batch, COUNT_MAX, ROWS_MAX, Report};
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::Problem;
use super::{App, check_name};
use crate::store::TrafficBatch;

/// What became of a report: all of it is kept.
#[derive(Debug, Serialize, ToSchema)]
pub struct Taken {
    /// Batches that are counted now.
    batches: u64,
    /// Those that had been counted before, which they are not again.
    repeated: u64,
    /// Requests that are counted now.
    requests: u64,
}

/// Take what a gateway counted, each batch once
#[utoipa::path(
    post,
    path = "/gateway/v1/traffic",
    tag = "gateway",
    request_body(content = serde_json::Value, content_type = "application/json",
        description = "`node` and `version`, as in the feed, and `batches`: the `reporter` (32 hexadecimal digits, random), \
            its `seq`, which rises with each batch, and `rows` of requests that were counted since the batch before.",
        example = json!({"node": "gateway-1", "version": "0.1.0", "batches": [{
            "reporter": "7d2a1f0c9be14c5a8f3e6d7b2a1c0e9f", "seq": 1, "rows": [{
                "application": "5e6d3f0a-2c1b-4a7e-9d8c-7b6a5f4e3d2c", "service": "212a758a-810b-4226-9175-b1b44eecebec",
                "outcome": "allowed", "count": 42}]}]})),
    responses(
        (status = 200, description = "All of it is kept.", body = Taken),
        (status = 400, description = "It is no report, or too long.", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No valid gateway token.", body = serde_json::Value),
        (status = 503, description = "The database is busy.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn traffic(State(app): State<App>, body: Bytes) -> Result<Json<Taken>, Problem> {
    // Nothing in a report is secret, so that what is wrong with it can be said.
    let report: Report =
        serde_json::from_slice(&body).map_err(|error| Problem::bad_request(error.to_string()))?;
    check_name("node", &report.node)?;
    check_name("version", &report.version)?;
    if report.batches.len() > BATCHES_MAX {
        return Err(Problem::bad_request(format!("batches: at most {BATCHES_MAX}")));
    }
    if report.batches.iter().map(|batch| batch.rows.len()).sum::<usize>() > ROWS_MAX {
        return Err(Problem::bad_request(format!("rows: at most {ROWS_MAX}, of all batches taken together")));
    }
    let batches = report.batches.into_iter().map(checked).collect::<Result<Vec<_>, _>>()?;
    let taken = app.store.take_traffic(batches).await?;
    tracing::debug!(node = report.node, ?taken, "traffic was reported");
    for (outcome, batches) in [("counted", taken.batches), ("repeated", taken.repeated)] {
        metrics::counter!("app_auth_admin_traffic_batches_total", "outcome" => outcome).increment(batches);
    }
    metrics::counter!("app_auth_admin_traffic_requests_total").increment(taken.requests);
    Ok(Json(Taken { batches: taken.batches, repeated: taken.repeated, requests: taken.requests }))
}

fn checked(batch: Batch) -> Result<TrafficBatch, Problem> {
    let digits = |text: &str| text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let reporter = u128::from_str_radix(&batch.reporter, 16).ok().filter(|_| digits(&batch.reporter));
    let Some(reporter) = reporter else {
        return Err(Problem::bad_request("reporter: expected 32 hexadecimal digits"));
    };
    if !(1..=u64::from(u32::MAX) << 16).contains(&batch.seq) {
        return Err(Problem::bad_request("seq: out of its range"));
    }
    let row = |row: app_auth_core::traffic::report::Row| {
        if !(1..=COUNT_MAX).contains(&row.count) {
            return Err(Problem::bad_request(format!("count: expected 1 to {COUNT_MAX}")));
        }
        Ok((Key { application: row.application, service: row.service, outcome: row.outcome }, row.count))
    };
    let rows = batch.rows.into_iter().map(row).collect::<Result<_, _>>()?;
    Ok(TrafficBatch { reporter: reporter.to_be_bytes(), seq: batch.seq, rows })
}
