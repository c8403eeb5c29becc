//! `/console/developers/{developer}`: one developer, where they stand, and their applications.

use app_auth_core::ids::DeveloperId;
use axum::response::Response;
use minijinja::context;
use minijinja::value::{Serde, Value};
use serde::Serialize;
use uuid::Uuid;

use super::connections::DecisionForm;
use super::decide::{self, Item};
use super::extract::{Form, Path};
use super::failure::Failure;
use super::flash::Flash;
use super::force::{self, Force};
use super::frame::{Answer, Frame, failed, outcome, piece, see};
use super::when::When;
use super::{applications, developers};
use crate::kong;
use crate::model::{AccessRole, Decision, Developer, DeveloperDetail, PageRequest};
use crate::store::{ApplicationSearch, Entity, StoreError};

/// Applications that the page shows.
const SHOWN: u16 = 20;

#[derive(Serialize)]
struct Shown {
    developer: Head,
    applications: Vec<applications::Line>,
    more_applications: bool,
    force: Force,
    decisions: Vec<&'static str>,
    /// The applications of a revoked developer are refused.
    blocks: bool,
}

#[derive(Serialize)]
struct Head {
    id: String,
    name: String,
    email: String,
    status: &'static str,
    reason: Option<String>,
    changed: When,
    /// Who gave them the status, where the audit log knows.
    by: Option<String>,
    portal: Option<String>,
    custom_id: Option<String>,
    roles: Vec<String>,
    /// What they told about themselves besides their name.
    told: Vec<(String, String)>,
    created: When,
}

/// The page of a developer.
pub fn path(id: DeveloperId) -> String {
    format!("/console/developers/{id}")
}

async fn named(frame: &Frame, id: Uuid) -> Result<Developer, Failure> {
    let found = frame.app.store.developer(&DeveloperId(id).into()).await?;
    found.ok_or_else(|| StoreError::NotFound(Entity::Developer).into())
}

pub async fn page(frame: Frame, Path(id): Path<Uuid>) -> Answer {
    let developer = named(&frame, id).await?;
    let store = &frame.app.store;
    let search = ApplicationSearch { developer: Some(developer.id), ..ApplicationSearch::default() };
    let page = PageRequest { size: SHOWN, ..PageRequest::default() };
    let (applications, next) = store.find_applications(&search, page).await?;
    let decision = store.last_decision(id).await?;
    let portal = store.portal_by_id(developer.portal).await?;
    let status = decide::of_developer(developer.status);
    let shown = Shown {
        applications: applications.into_iter().map(|line| applications::shown(&frame, line)).collect(),
        more_applications: next.is_some(),
        force: force_of(&frame, developer.id).await?,
        decisions: Decision::of(status).iter().map(|decision| decision.as_str()).collect(),
        blocks: store.revoke_developer_blocks(),
        developer: Head {
            id: developer.id.to_string(),
            name: developer.full_name(),
            email: developer.email.to_string(),
            status: status.word(),
            changed: frame.when(decision.as_ref().map_or(developer.created_at, |decision| decision.at)),
            by: decision.map(|decision| decision.actor),
            portal: portal.map(|detail| detail.portal.name),
            told: told(developer.meta.as_deref()),
            reason: developer.reason,
            custom_id: developer.custom_id,
            roles: developer.roles,
            created: frame.when(developer.created_at),
        },
    };
    frame.page("developer.html", shown).await
}

fn told(meta: Option<&str>) -> Vec<(String, String)> {
    let meta = meta.and_then(|meta| serde_json::from_str::<serde_json::Value>(meta).ok());
    let members = meta.as_ref().and_then(serde_json::Value::as_object).into_iter().flatten();
    let others = members.filter(|(name, _)| *name != "full_name");
    others.map(|(name, value)| (name.clone(), super::facts::text(value))).collect()
}

async fn force_of(frame: &Frame, id: DeveloperId) -> Result<Force, Failure> {
    let revision = frame.app.store.revision_of_developer(id).await?;
    Ok(Force::new(frame, id.to_string(), format!("{}/force", path(id)), revision))
}

/// On how many gateways what holds for the developer's applications is applied now.
pub async fn force(frame: Frame, Path(id): Path<Uuid>) -> Answer {
    let force = force_of(&frame, DeveloperId(id)).await?;
    piece("force.html", context! { force => Value::from(Serde(force)) })
}

/// Approves, rejects or revokes.
pub async fn decide(
    frame: Frame,
    Path((id, decision)): Path<(Uuid, String)>,
    Form(form): Form<DecisionForm>,
) -> Response {
    let id = DeveloperId(id);
    let back = path(id);
    let decided = async {
        frame.visitor.require(AccessRole::Approver)?;
        let decision = Decision::parse(&decision).ok_or(Failure::NotFound("There is no such decision."))?;
        decide::single(&frame, Item::Developer(id), decision, &form.reason, &back).await
    };
    outcome(&back, decided.await)
}

/// Asks whether to delete them, and says what that means.
pub async fn ask_delete(frame: Frame, Path(id): Path<Uuid>) -> Answer {
    frame.visitor.require(AccessRole::Admin)?;
    let developer = named(&frame, id).await?;
    let found = frame.app.store.developer_in(developer.portal, developer.id).await?;
    let shown = context! {
        id => id.to_string(),
        name => developer.full_name(),
        applications => developers::counted(found.map_or(0, |DeveloperDetail { applications, .. }| applications)),
    };
    frame.page("developer-delete.html", shown).await
}

pub async fn delete(frame: Frame, Path(id): Path<Uuid>) -> Response {
    let deleted = async {
        frame.visitor.require(AccessRole::Admin)?;
        let developer = named(&frame, id).await?;
        let app = &frame.app;
        let deleted =
            kong::change(&app.store, app.kong.as_ref(), frame.actor(), developer.id, |writer, id| {
                Box::pin(async move { Ok::<_, Failure>(writer.delete_developer(id).await?) })
            });
        let revision = deleted.await?.revision;
        Ok(format!("Deleted {}. {}", developer.full_name(), force::told(&frame, revision).await))
    };
    match deleted.await {
        Ok(text) => see("/console/developers", Flash::good(text)),
        Err(failure) => failed(&path(DeveloperId(id)), failure),
    }
}
