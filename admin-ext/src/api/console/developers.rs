//! `/console/developers`: all developers, found by a few characters.

use serde::{Deserialize, Serialize};

use super::extract::Query;
use super::frame::{Answer, Frame};
use super::link::{Link, Pages};
use super::when::When;
use crate::model::{ConnectionStatus, DeveloperDetail, DeveloperStatus, PageRequest, StatusCode as _};
use crate::store::{COUNTED_MAX, DeveloperSearch, SEARCH_MAX};

/// Developers of one page.
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
struct Line {
    id: String,
    name: String,
    email: String,
    status: &'static str,
    reason: Option<String>,
    applications: String,
    created: When,
}

#[derive(Serialize)]
struct Shown {
    q: String,
    status: &'static str,
    statuses: [&'static str; 4],
    developers: Vec<Line>,
    pages: Pages,
}

pub async fn list(frame: Frame, Query(arguments): Query<Arguments>) -> Answer {
    let mut q = arguments.q;
    super::link::cut(&mut q, SEARCH_MAX);
    let status = ConnectionStatus::ALL.into_iter().find(|status| status.word() == arguments.status);
    let search = DeveloperSearch {
        text: q.clone(),
        status: status.and_then(|status| DeveloperStatus::from_code(status.code().into())),
    };
    let offset = arguments.after.parse().ok();
    let page = PageRequest { size: PAGE, offset, tags: None };
    let (developers, next) = frame.app.store.find_developers(&search, page).await?;
    let status = status.map_or("", ConnectionStatus::word);
    let link = Link::to("/console/developers").with("q", &q).with("status", status);
    let shown = Shown {
        pages: link.pages(offset.is_some(), next),
        q,
        status,
        statuses: ConnectionStatus::ALL.map(ConnectionStatus::word),
        developers: developers.into_iter().map(|detail| line(&frame, detail)).collect(),
    };
    frame.page("developers.html", shown).await
}

fn line(frame: &Frame, detail: DeveloperDetail) -> Line {
    let DeveloperDetail { developer, applications } = detail;
    Line {
        id: developer.id.to_string(),
        name: developer.full_name(),
        email: developer.email.to_string(),
        status: super::decide::of_developer(developer.status).word(),
        reason: developer.reason,
        applications: counted(applications),
        created: frame.when(developer.created_at),
    }
}

/// A number that is not counted beyond some end.
pub fn counted(count: u64) -> String {
    if count < COUNTED_MAX { count.to_string() } else { format!("{COUNTED_MAX} or more") }
}
