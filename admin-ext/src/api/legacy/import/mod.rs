//! `POST /developers/import`: many developers in one request, each line taken whole or refused with its reason.

mod entry;
mod lines;

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::Extension;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::Semaphore;
use utoipa::ToSchema;

use self::entry::Entry;
use self::lines::{Format, Line};
use super::conventions::{Error, Query, path, reply};
use crate::api::{App, Seen};
use crate::store::{Actor, StoreError};

/// Largest file of one request, in bytes.
const FILE_MAX: usize = 64 * 1024 * 1024;
/// Lines that are written in one transaction: other writers wait for as long.
const BATCH: usize = 100;
/// Most refused lines the answer lists.
const LISTED_MAX: usize = 1000;
/// How long sending the file may take: whoever is slower would keep others from importing.
const SENDING: Duration = Duration::from_mins(5);
/// Imports at a time; each holds its file in memory.
static RUNNING: Semaphore = Semaphore::const_new(2);

/// What became of the lines.
#[derive(Serialize, ToSchema, Default)]
pub struct ImportReport {
    /// Lines that were read, blank ones and the header not counted.
    lines: u64,
    /// Lines whose developer is there now with everything the line says.
    created: u64,
    /// Lines whose developer was there before, with `on_conflict=skip`.
    skipped: u64,
    /// Lines of which nothing was taken.
    refused: u64,
    /// The refused lines, at most 1000 of them.
    errors: Vec<RefusedLine>,
    /// Nothing was written, as asked.
    dry_run: bool,
}

/// A line of which nothing was taken.
#[derive(Serialize, ToSchema)]
pub struct RefusedLine {
    /// From 1, the header counted.
    line: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    /// As a single request would have been answered.
    #[schema(value_type = Object)]
    error: Value,
}

impl ImportReport {
    fn refuse(&mut self, line: u64, email: Option<String>, error: &Error) {
        self.refused += 1;
        if self.errors.len() < LISTED_MAX {
            self.errors.push(RefusedLine { line, email, error: error.body() });
        }
    }
}

/// Import many developers
#[utoipa::path(
    post, path = "/developers/import", tag = "developers", operation_id = "import_developers",
    params(
        ("on_conflict" = Option<String>, Query,
            description = "What becomes of a line whose developer exists: `refuse` (default) or `skip`"),
        ("dry_run" = Option<bool>, Query, description = "`true` checks every line and writes none"),
    ),
    request_body(
        description = "CSV whose first line names the members (`email,status,roles,meta.full_name`; roles separated by \
            semicolons), or one JSON object a line, which may have `applications` with `oauth2`, `key_auth` and \
            `application_instances`",
        content((String = "text/csv"), (String = "application/x-ndjson")),
    ),
    responses(
        (status = 200, description = "What became of the lines", body = ImportReport, example = json!({
            "lines": 3, "created": 2, "skipped": 0, "refused": 1, "dry_run": false,
            "errors": [{"line": 3, "email": "wally@example.com", "error": {
                "code": 5, "name": "unique constraint violation",
                "message": "UNIQUE violation detected on '{email=\"wally@example.com\"}'",
                "fields": {"email": "wally@example.com"}
            }}]
        })),
        (status = 400, description = "Refused; nothing has changed", body = super::bodies::Violation),
    ),
)]
pub async fn import(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    query: Query,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let format = Format::of_media(media).ok_or(Error::UnsupportedMediaType)?;
    let skip = query.one_of("on_conflict", [("refuse", false), ("skip", true)].into_iter())? == Some(true);
    let dry_run = query.one_of("dry_run", [("true", true), ("false", false)].into_iter())? == Some(true);
    let _turn = RUNNING.try_acquire().map_err(|_| Error::Busy)?;
    let file = tokio::time::timeout(SENDING, to_bytes(body, FILE_MAX))
        .await
        .map_err(|_| Error::Request(StatusCode::REQUEST_TIMEOUT, "The request took too long".into()))?
        .map_err(|_| Error::Request(StatusCode::PAYLOAD_TOO_LARGE, "Request body is too large".into()))?;
    let lines = lines::lines(format, &file)?;
    drop(file);

    let mut report = ImportReport { lines: lines.len() as u64, dry_run, ..ImportReport::default() };
    let mut revision = None;
    let mut left = lines.into_iter();
    loop {
        let batch: Vec<_> = left.by_ref().take(BATCH).collect();
        if batch.is_empty() {
            break;
        }
        let planned = plan(&app, batch, skip, &mut report).await?;
        revision = write(&app, &actor, planned, dry_run, &mut report).await?.or(revision);
    }
    Ok(match revision {
        Some(revision) => reply::written(StatusCode::OK, &report, revision),
        None => reply::ok(&report),
    })
}

/// Checks the lines and hashes their passwords, before writers have to wait for this one.
async fn plan(
    app: &App,
    batch: Vec<Line>,
    skip: bool,
    report: &mut ImportReport,
) -> Result<Vec<(u64, Entry)>, Error> {
    let mut planned = Vec::with_capacity(batch.len());
    for Line { number, members } in batch {
        let input = match members {
            Ok(input) => input,
            Err(error) => {
                report.refuse(number, None, &error);
                continue;
            }
        };
        let email = input.members.get("email").and_then(Value::as_str).map(str::to_owned);
        if let (true, Some(email)) = (skip, &email)
            && path::find_developer(&app.store, email).await?.is_some()
        {
            report.skipped += 1;
            continue;
        }
        match Entry::plan(app, input).await {
            Ok(entry) => planned.push((number, entry)),
            Err(error @ (Error::Store | Error::Busy)) => return Err(error),
            Err(error) => report.refuse(number, email, &error),
        }
    }
    Ok(planned)
}

/// Writes lines in one transaction; those that the database refuses leave nothing behind.
async fn write(
    app: &App,
    actor: &Actor,
    planned: Vec<(u64, Entry)>,
    dry_run: bool,
    report: &mut ImportReport,
) -> Result<Option<app_auth_core::ids::Revision>, Error> {
    if planned.is_empty() {
        return Ok(None);
    }
    let mut writer = app.store.write(actor).await?;
    writer.without_mails();
    for (number, entry) in planned {
        let email = entry.email().to_owned();
        let mark = writer.mark().await?;
        match entry.write(&mut writer, app).await {
            Ok(()) => {
                writer.keep(mark).await?;
                report.created += 1;
            }
            Err(error @ (Error::Store | Error::Busy)) => return Err(error),
            Err(error) => {
                writer.undo(mark).await?;
                report.refuse(number, Some(email), &error);
            }
        }
    }
    if dry_run {
        return Ok(None);
    }
    Ok(Some(writer.commit().await.map_err(|error: StoreError| Error::from(error))?))
}
