//! `/console/applications`: all applications, found by a few characters.

use serde::{Deserialize, Serialize};

use super::extract::Query;
use super::frame::{Answer, Frame};
use super::link::Link;
use super::when::When;
use crate::model::{ConnectionStatus, Developer, PageRequest};
use crate::store::{ApplicationLine, ApplicationSearch, SEARCH_MAX};

/// Applications of one page.
const PAGE: u16 = 50;

/// The arguments of the list. What cannot be read counts as absent.
#[derive(Deserialize)]
pub struct Arguments {
    #[serde(default)]
    q: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    after: String,
}

#[derive(Serialize)]
pub struct Line {
    id: String,
    name: String,
    developer: DeveloperLine,
    connections: Vec<Connections>,
    last_used: Option<When>,
    created: When,
}

/// A developer, as lists of other things show it.
#[derive(Serialize)]
pub struct DeveloperLine {
    pub id: String,
    pub name: String,
    pub email: String,
}

impl DeveloperLine {
    pub fn of(developer: &Developer) -> Self {
        Self { id: developer.id.to_string(), name: developer.full_name(), email: developer.email.to_string() }
    }
}

#[derive(Serialize)]
struct Connections {
    status: &'static str,
    count: u64,
}

#[derive(Serialize)]
struct Shown {
    q: String,
    status: &'static str,
    statuses: [&'static str; 4],
    applications: Vec<Line>,
    pages: super::link::Pages,
}

pub async fn list(frame: Frame, Query(arguments): Query<Arguments>) -> Answer {
    let mut q = arguments.q;
    super::link::cut(&mut q, SEARCH_MAX);
    let status = ConnectionStatus::ALL.into_iter().find(|status| status.word() == arguments.status);
    let search = ApplicationSearch { text: q.clone(), status, ..ApplicationSearch::default() };
    let offset = arguments.after.parse().ok();
    let page = PageRequest { size: PAGE, offset, tags: None };
    let (lines, next) = frame.app.store.find_applications(&search, page).await?;
    let status = status.map_or("", ConnectionStatus::word);
    let link = Link::to("/console/applications").with("q", &q).with("status", status);
    let shown = Shown {
        pages: link.pages(offset.is_some(), next),
        q,
        status,
        statuses: ConnectionStatus::ALL.map(ConnectionStatus::word),
        applications: lines.into_iter().map(|line| shown(&frame, line)).collect(),
    };
    frame.page("applications.html", shown).await
}

/// An application as lists show it.
pub fn shown(frame: &Frame, line: ApplicationLine) -> Line {
    let ApplicationLine { application, developer, last_used_at, connections } = line;
    Line {
        id: application.id.to_string(),
        name: application.name,
        developer: DeveloperLine::of(&developer),
        connections: connections
            .into_iter()
            .map(|(status, count)| Connections { status: status.word(), count })
            .collect(),
        last_used: frame.when_if(last_used_at),
        created: frame.when(application.created_at),
    }
}
