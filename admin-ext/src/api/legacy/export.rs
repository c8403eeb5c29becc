//! `/developers/export`: every developer's address and status as a table, for people and their spreadsheets. It is read
//! and sent page by page, so that its length costs no memory.

use std::borrow::Cow;
use std::io;

use axum::body::Body;
use axum::http::{Method, header};
use axum::response::{IntoResponse as _, Response};
use csv::{Terminator, WriterBuilder};
use futures_util::stream;

use super::bodies::Violation;
use super::conventions::{Error, Query};
use crate::api::Seen;
use crate::model::{DeveloperStatus, Offset, PageRequest, StatusCode as _};
use crate::store::{DeveloperLine, Store};

const HEADER: &[u8] = b"Email, Status\n";

/// Lines that are to be sent, and where those after them begin.
type Part = (Vec<u8>, Option<Offset>);

/// Export addresses and statuses of developers as CSV
#[utoipa::path(
    get, path = "/developers/export", tag = "developers", operation_id = "export_developers",
    params(("status" = Option<i64>, Query, description = "Only developers of this status, 0 to 3", example = 1)),
    responses(
        (status = 200, description = "A line for each developer. An address that a spreadsheet would take for a formula \
            has an apostrophe before it. A table that is not whole ends the connection",
            content_type = "text/csv", body = String,
            example = "Email, Status\nwally@example.com,APPROVED\ndiana@example.com,PENDING\n"),
        (status = 400, description = "Refused", body = Violation),
    ),
)]
pub async fn export(Seen(app): Seen, method: Method, query: Query) -> Result<Response, Error> {
    let status = query.integer("status", 0, 3)?.and_then(DeveloperStatus::from_code);
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"developers.csv\""),
    ];
    if method == Method::HEAD {
        return Ok(headers.into_response());
    }
    // Read before anything is sent, so that a database that does not answer is told as it is everywhere.
    let (mut table, next) = part(&app.store, status, None).await?;
    table.splice(0..0, HEADER.iter().copied());
    let table =
        stream::try_unfold(Some((table, next)), move |part| following(app.store.clone(), status, part));
    Ok((headers, Body::from_stream(table)).into_response())
}

/// What is to be sent now, and the part after it. An error ends the connection before its time, so that nobody takes
/// what was sent for the whole.
async fn following(
    store: Store,
    status: Option<DeveloperStatus>,
    now: Option<Part>,
) -> io::Result<Option<(Vec<u8>, Option<Part>)>> {
    let Some((table, next)) = now else { return Ok(None) };
    let next = match next {
        Some(offset) => {
            let part = part(&store, status, Some(offset)).await;
            Some(part.map_err(|_| io::Error::other("the developers could not be read to the end"))?)
        }
        None => None,
    };
    Ok(Some((table, next)))
}

async fn part(store: &Store, status: Option<DeveloperStatus>, offset: Option<Offset>) -> Result<Part, Error> {
    let page = PageRequest { size: PageRequest::SIZE_MAX, offset, tags: None };
    let (developers, next) = store.developer_statuses(status, page).await?;
    let lines = lines(&developers).map_err(|error| {
        tracing::error!(%error, "lines of a table could not be written");
        Error::Store
    })?;
    Ok((lines, next))
}

fn lines(developers: &[DeveloperLine]) -> Result<Vec<u8>, io::Error> {
    let mut table = WriterBuilder::new().terminator(Terminator::Any(b'\n')).from_writer(Vec::new());
    for developer in developers {
        table.write_record([&*harmless(developer.email.as_str()), developer.status.word()])?;
    }
    table.into_inner().map_err(|error| io::Error::other(error.error().to_string()))
}

/// Spreadsheets run what begins like a formula; an apostrophe makes it text.
fn harmless(text: &str) -> Cow<'_, str> {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        Cow::Owned(format!("'{text}"))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_like_a_formula_is_made_text() {
        for (text, shown) in [
            ("a@example.com", "a@example.com"),
            ("=1+1@example.com", "'=1+1@example.com"),
            ("+a@example.com", "'+a@example.com"),
            ("-a@example.com", "'-a@example.com"),
            ("@sum", "'@sum"),
            ("\tx", "'\tx"),
            ("\rx", "'\rx"),
            ("a=b@example.com", "a=b@example.com"),
        ] {
            assert_eq!(harmless(text), shown);
        }
    }
}
