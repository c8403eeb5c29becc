//! `/console/strategies`: how callers prove which application they are; a list, and a page of each.

use app_auth_core::ids::StrategyId;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::application::Named;
use super::applications::{self};
use super::developers::counted;
use super::extract::{Path, Query};
use super::facts;
use super::failure::Failure;
use super::frame::{Answer, Frame};
use super::link::{Link, Pages};
use super::when::When;
use crate::model::{AuthStrategyDetail, PageRequest, StrategyType};
use crate::store::{ApplicationSearch, Entity, IssuerState, StoreError, StrategyLine, StrategyUse};

/// Strategies of one page.
const PAGE: u16 = 50;
/// Product versions and applications that a strategy's page shows.
const VERSIONS: u16 = 200;
const APPLICATIONS: u16 = 20;

#[derive(Deserialize)]
pub struct Arguments {
    #[serde(default)]
    after: String,
}

/// A strategy as lists show it.
#[derive(Serialize)]
pub struct Line {
    id: String,
    name: String,
    display_name: String,
    kind: &'static str,
    provider: Option<Named>,
    versions: String,
    applications: String,
    created: When,
}

#[derive(Serialize)]
struct ListShown {
    strategies: Vec<Line>,
    pages: Pages,
}

#[derive(Serialize)]
struct Shown {
    strategy: Head,
    issuer: Option<Issuer>,
    versions: Vec<Use>,
    more_versions: bool,
    applications: Vec<applications::Line>,
    more_applications: bool,
}

#[derive(Serialize)]
struct Head {
    id: String,
    name: String,
    display_name: String,
    kind: &'static str,
    provider: Option<Named>,
    config: Vec<(String, String)>,
    /// Members that are set, and never shown.
    secrets: Vec<String>,
    labels: Vec<(String, String)>,
    created: When,
    updated: When,
}

#[derive(Serialize)]
struct Issuer {
    name: String,
    known: bool,
    keys: usize,
    fetched: Option<When>,
    next: When,
    failures: u64,
    error: Option<String>,
}

#[derive(Serialize)]
struct Use {
    portal: String,
    version: String,
    published: bool,
    service: Option<String>,
}

const fn spoken(kind: StrategyType) -> &'static str {
    match kind {
        StrategyType::KeyAuth => "API key",
        StrategyType::OpenIdConnect => "OpenID Connect",
    }
}

pub fn line(frame: &Frame, line: StrategyLine) -> Line {
    let StrategyLine { detail, versions, applications } = line;
    let AuthStrategyDetail { strategy, dcr_provider, .. } = detail;
    Line {
        id: strategy.id.to_string(),
        kind: spoken(strategy.strategy_type),
        provider: dcr_provider.map(|it| Named { id: it.id.to_string(), name: it.name }),
        versions: counted(versions),
        applications: counted(applications),
        created: frame.when(strategy.created_at),
        name: strategy.name,
        display_name: strategy.display_name,
    }
}

pub async fn list(frame: Frame, Query(arguments): Query<Arguments>) -> Answer {
    let offset = arguments.after.parse().ok();
    let page = PageRequest { size: PAGE, offset, tags: None };
    let (strategies, next) = frame.app.store.strategy_lines(None, page).await?;
    let shown = ListShown {
        pages: Link::to("/console/strategies").pages(offset.is_some(), next),
        strategies: strategies.into_iter().map(|it| line(&frame, it)).collect(),
    };
    frame.page("strategies.html", shown).await
}

pub async fn page(frame: Frame, Path(id): Path<Uuid>) -> Answer {
    let store = &frame.app.store;
    let id = StrategyId(id);
    let found = store.auth_strategy(id).await?.ok_or(StoreError::NotFound(Entity::AuthStrategy))?;
    let AuthStrategyDetail { strategy, dcr_provider, .. } = found;
    let issuer = match strategy.issuer() {
        Some(name) => issuer(&frame, name).await?,
        None => None,
    };
    let mut versions = store.uses_of(id, VERSIONS + 1).await?;
    let more_versions = versions.len() > usize::from(VERSIONS);
    versions.truncate(usize::from(VERSIONS));
    let search = ApplicationSearch { strategy: Some(id), ..ApplicationSearch::default() };
    let first = PageRequest { size: APPLICATIONS, ..PageRequest::default() };
    let (applications, next) = store.find_applications(&search, first).await?;
    let shown = Shown {
        strategy: Head {
            id: id.to_string(),
            kind: spoken(strategy.strategy_type),
            provider: dcr_provider.map(|it| Named { id: it.id.to_string(), name: it.name }),
            config: facts::members(&strategy.config),
            secrets: strategy.secret.into_keys().collect(),
            labels: strategy.labels.into_iter().collect(),
            created: frame.when(strategy.created_at),
            updated: frame.when(strategy.updated_at),
            name: strategy.name,
            display_name: strategy.display_name,
        },
        issuer,
        versions: versions.into_iter().map(used).collect(),
        more_versions,
        applications: applications.into_iter().map(|line| applications::shown(&frame, line)).collect(),
        more_applications: next.is_some(),
    };
    frame.page("strategy.html", shown).await
}

async fn issuer(frame: &Frame, name: &str) -> Result<Option<Issuer>, Failure> {
    let state = frame.app.store.issuer_state(name).await?;
    Ok(state.map(|state| {
        let IssuerState { known, keys, fetched_at, next_at, failures, error } = state;
        let (fetched, next) = (frame.when_if(fetched_at), frame.when(next_at));
        Issuer { name: name.to_owned(), known, keys, fetched, next, failures, error }
    }))
}

fn used(used: StrategyUse) -> Use {
    let StrategyUse { portal, product, version, published, service, .. } = used;
    Use { portal, version: format!("{product} {version}"), published, service }
}
