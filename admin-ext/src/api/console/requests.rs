//! `/console/requests`: what waits for a decision, the oldest first, to be decided one by one or many at once.

use std::fmt::Write as _;

use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::applications::DeveloperLine;
use super::decide::{self, Decided, ITEMS_MAX, Item};
use super::extract::{Form, Path, Query};
use super::failure::Failure;
use super::flash::Flash;
use super::force;
use super::frame::{Answer, Frame, outcome};
use super::link::{Link, Pages};
use super::when::When;
use crate::model::{AccessRole, Decision, DeveloperStatus, PageRequest};
use crate::store::{Request, RequestFilter};

/// Requests of one page.
const PAGE: u16 = 50;
/// Most items that a notice names one by one.
const NAMED: usize = 5;

/// The arguments of the list. What cannot be read counts as absent.
#[derive(Deserialize)]
pub struct Arguments {
    #[serde(default)]
    show: String,
    #[serde(default)]
    after: String,
}

#[derive(Serialize)]
struct Shown {
    show: &'static str,
    requests: Vec<Line>,
    pages: Pages,
}

#[derive(Serialize)]
struct Line {
    item: String,
    /// Absent: the developer asks to be let in.
    connection: Option<ConnectionLine>,
    developer: DeveloperLine,
    developer_status: &'static str,
    /// The application is refused even after an approval.
    held_back: bool,
    since: When,
}

#[derive(Serialize)]
struct ConnectionLine {
    application: super::application::Named,
    target: String,
}

/// What a form may say, in any order and number.
#[derive(Default)]
struct DecisionForm {
    items: Vec<String>,
    only: Option<String>,
    reason: String,
    show: String,
}

fn filter(show: &str) -> (&'static str, RequestFilter) {
    match show {
        "connections" => ("connections", RequestFilter::Connections),
        "developers" => ("developers", RequestFilter::Developers),
        _ => ("", RequestFilter::All),
    }
}

fn link(show: &str) -> Link {
    Link::to("/console/requests").with("show", show)
}

pub async fn list(frame: Frame, Query(arguments): Query<Arguments>) -> Answer {
    let (show, filter) = filter(&arguments.show);
    let offset = arguments.after.parse().ok();
    let page = PageRequest { size: PAGE, offset, tags: None };
    let (requests, next) = frame.app.store.requests(filter, page).await?;
    let shown = Shown {
        show,
        pages: link(show).pages(offset.is_some(), next),
        requests: requests.into_iter().map(|request| line(&frame, request)).collect(),
    };
    frame.page("requests.html", shown).await
}

fn line(frame: &Frame, request: Request) -> Line {
    match request {
        Request::Connection(detail) => Line {
            item: Item::Connection(detail.application.id, detail.connection.id).to_string(),
            connection: Some(ConnectionLine {
                application: super::application::Named {
                    id: detail.application.id.to_string(),
                    name: detail.application.name.clone(),
                },
                target: decide::target(&detail),
            }),
            held_back: detail.suspended,
            since: frame.when(detail.connection.created_at),
            developer_status: decide::of_developer(detail.developer.status).word(),
            developer: DeveloperLine::of(&detail.developer),
        },
        Request::Developer(developer) => Line {
            item: Item::Developer(developer.id).to_string(),
            connection: None,
            held_back: false,
            since: frame.when(developer.created_at),
            developer_status: decide::of_developer(DeveloperStatus::Pending).word(),
            developer: DeveloperLine::of(&developer),
        },
    }
}

/// Approves or rejects: what is ticked, or the one whose button it was.
pub async fn decide(
    frame: Frame,
    Path(decision): Path<String>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Response {
    let form = read(fields);
    let back = link(filter(&form.show).0).text();
    let decided = async {
        frame.visitor.require(AccessRole::Approver)?;
        let Some(decision @ (Decision::Approve | Decision::Reject)) = Decision::parse(&decision) else {
            return Err(Failure::NotFound("There is no such decision."));
        };
        let items = items(form.only.map_or(form.items, |only| vec![only]))?;
        let (decided, revision) =
            decide::decide(&frame.app, frame.actor(), items, decision, &form.reason).await?;
        let force = if decided.done.is_empty() { String::new() } else { force::told(&frame, revision).await };
        let text = said(&decided, decision, &force);
        let undo = decided.undo_at(&back);
        let flash = if decided.done.is_empty() { Flash::bad(text) } else { Flash::good(text) };
        Ok(Flash { undo, ..flash })
    };
    outcome(&back, decided.await)
}

fn read(fields: Vec<(String, String)>) -> DecisionForm {
    let mut form = DecisionForm::default();
    for (name, value) in fields {
        match name.as_str() {
            "item" => form.items.push(value),
            "only" => form.only = Some(value),
            "reason" => form.reason = value,
            "show" => form.show = value,
            _ => {}
        }
    }
    form
}

fn items(texts: Vec<String>) -> Result<Vec<Item>, Failure> {
    if texts.is_empty() {
        return Err(Failure::refused("Nothing was ticked. Tick the requests you want to decide about."));
    }
    if texts.len() > ITEMS_MAX {
        let text = format!("At most {ITEMS_MAX} requests can be decided at once, and nothing was done.");
        return Err(Failure::refused(text));
    }
    let mut items = Vec::with_capacity(texts.len());
    for text in texts {
        let item = Item::parse(&text);
        let item =
            item.ok_or_else(|| Failure::refused("item: the form names something that is no request."))?;
        if !items.contains(&item) {
            items.push(item);
        }
    }
    Ok(items)
}

/// What was done, and what was not.
fn said(decided: &Decided, decision: Decision, force: &str) -> String {
    let word = decision.status().word();
    let mut text = match decided.done.as_slice() {
        [] => "Nothing was done.".to_owned(),
        [one] => decide::told(one),
        several => format!("{} requests are {word}.", several.len()),
    };
    if decided.done.iter().any(is_held_back) && decision == Decision::Approve {
        text.push_str(" Connections of developers who are not approved let nobody through yet.");
    }
    if !force.is_empty() {
        text.push(' ');
        text.push_str(force);
    }
    if !decided.skipped.is_empty() {
        let named: Vec<_> =
            decided.skipped.iter().take(NAMED).map(|(name, why)| format!("{name} ({why})")).collect();
        let more = decided.skipped.len().saturating_sub(NAMED);
        // Writing to a string cannot fail.
        let _ = write!(text, " Skipped: {}", named.join(", "));
        if more > 0 {
            let _ = write!(text, " and {more} more");
        }
        text.push('.');
    }
    text
}

fn is_held_back(subject: &Request) -> bool {
    matches!(subject, Request::Connection(detail) if detail.suspended)
}
