//! `/console/dcr-providers`: where clients of applications are registered; a list, a page of each, and whether it works.

use axum::response::{IntoResponse as _, Redirect, Response};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::extract::{Path, Query};
use super::failure::Failure;
use super::frame::{Answer, Frame, failed};
use super::link::{Link, Pages};
use super::when::When;
use super::{facts, strategies};
use crate::model::{AccessRole, DcrProvider, DcrProviderId, PageRequest, ProviderType};
use crate::store::{DcrJob, Entity, JobKind, StoreError};

/// Providers of one page.
const PAGE: u16 = 50;
/// Strategies and jobs that a provider's page shows.
const SHOWN: u16 = 50;

#[derive(Deserialize)]
pub struct Arguments {
    #[serde(default)]
    after: String,
}

#[derive(Serialize)]
struct Line {
    id: String,
    name: String,
    kind: &'static str,
    issuer: String,
    created: When,
}

#[derive(Serialize)]
struct ListShown {
    providers: Vec<Line>,
    pages: Pages,
}

#[derive(Serialize)]
struct Shown {
    provider: Head,
    strategies: Vec<strategies::Line>,
    more_strategies: bool,
    jobs: Vec<Job>,
    more_jobs: bool,
    /// What a trial came to that was just made: what is wrong.
    verified: Option<Vec<String>>,
}

#[derive(Serialize)]
struct Head {
    id: String,
    name: String,
    display_name: Option<String>,
    kind: &'static str,
    issuer: String,
    config: Vec<(String, String)>,
    /// The member that is set, and never shown.
    secret: &'static str,
    labels: Vec<(String, String)>,
    created: When,
    updated: When,
}

#[derive(Serialize)]
struct Job {
    what: &'static str,
    application: String,
    /// It is there; a client may have been made for one that never came to be.
    linked: bool,
    attempts: u32,
    error: Option<String>,
    next: When,
    since: When,
}

const fn spoken(kind: ProviderType) -> &'static str {
    match kind {
        ProviderType::Auth0 => "Auth0",
        ProviderType::AzureAd => "Azure AD",
        ProviderType::Curity => "Curity",
        ProviderType::Okta => "Okta",
        ProviderType::Http => "HTTP bridge",
    }
}

const fn task(kind: JobKind) -> &'static str {
    match kind {
        JobKind::Create => "See whether a client was made",
        JobKind::Delete => "Delete a client",
        JobKind::Update => "Change a client",
        JobKind::Tidy => "Remove old secrets",
        JobKind::Registration => "Tell of a registration",
    }
}

pub async fn list(frame: Frame, Query(arguments): Query<Arguments>) -> Answer {
    let offset = arguments.after.parse().ok();
    let page = PageRequest { size: PAGE, offset, tags: None };
    let (providers, next) = frame.app.store.provider_lines(page).await?;
    let shown = ListShown {
        pages: Link::to("/console/dcr-providers").pages(offset.is_some(), next),
        providers: providers.into_iter().map(|provider| line(&frame, provider)).collect(),
    };
    frame.page("dcr-providers.html", shown).await
}

fn line(frame: &Frame, provider: DcrProvider) -> Line {
    Line {
        id: provider.id.to_string(),
        kind: spoken(provider.provider_type),
        created: frame.when(provider.created_at),
        name: provider.name,
        issuer: provider.issuer,
    }
}

async fn named(frame: &Frame, id: Uuid) -> Result<DcrProvider, Failure> {
    let found = frame.app.store.dcr_provider(DcrProviderId(id)).await?;
    let found = found.ok_or(StoreError::NotFound(Entity::DcrProvider))?;
    Ok(found.provider)
}

fn path(id: Uuid) -> String {
    format!("/console/dcr-providers/{id}")
}

pub async fn page(frame: Frame, Path(id): Path<Uuid>) -> Answer {
    let provider = named(&frame, id).await?;
    show(&frame, provider, None).await
}

/// Registers a client at the provider and deletes it again.
pub async fn verify(frame: Frame, Path(id): Path<Uuid>) -> Response {
    let verified = async {
        frame.visitor.require(AccessRole::Admin)?;
        let provider = named(&frame, id).await?;
        let errors = frame.app.clients.verify(frame.actor(), &provider).await?;
        show(&frame, provider, Some(errors)).await
    };
    match verified.await {
        Ok(page) => page,
        Err(failure) => failed(&path(id), failure),
    }
}

/// Whoever loads the answer of a trial again gets the page.
pub async fn verified(Path(id): Path<Uuid>) -> Response {
    Redirect::to(&path(id)).into_response()
}

async fn show(frame: &Frame, provider: DcrProvider, verified: Option<Vec<String>>) -> Answer {
    let store = &frame.app.store;
    let first = PageRequest { size: SHOWN, ..PageRequest::default() };
    let (used, next) = store.strategy_lines(Some(provider.id), first).await?;
    let mut jobs = store.jobs_of_provider(provider.id, SHOWN + 1).await?;
    let more_jobs = jobs.len() > usize::from(SHOWN);
    jobs.truncate(usize::from(SHOWN));
    let shown = Shown {
        provider: Head {
            id: provider.id.to_string(),
            kind: spoken(provider.provider_type),
            config: facts::members(&provider.config),
            secret: provider.provider_type.secret_member(),
            labels: provider.labels.into_iter().collect(),
            created: frame.when(provider.created_at),
            updated: frame.when(provider.updated_at),
            name: provider.name,
            display_name: provider.display_name,
            issuer: provider.issuer,
        },
        strategies: used.into_iter().map(|it| strategies::line(frame, it)).collect(),
        more_strategies: next.is_some(),
        jobs: jobs.into_iter().map(|job| shown_job(frame, job)).collect(),
        more_jobs,
        verified,
    };
    frame.page("dcr-provider.html", shown).await
}

fn shown_job(frame: &Frame, job: DcrJob) -> Job {
    Job {
        what: task(job.kind),
        application: job.application.to_string(),
        linked: job.kind != JobKind::Create,
        attempts: job.attempts,
        next: frame.when(job.next_at.max(job.claimed_until)),
        since: frame.when(job.created_at),
        error: job.error,
    }
}
