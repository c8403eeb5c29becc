//! The connections of an application: which there are, and what a person decides about them.

use app_auth_core::ids::{ApplicationId, ConnectionId};
use axum::response::Response;
use minijinja::context;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::application::path;
use super::extract::{Form, Path};
use super::failure::Failure;
use super::frame::{Answer, Frame, outcome};
use super::when::When;
use super::{decide, force};
use crate::model::{AccessRole, ConnectionDetail, Decision, PageRequest};
use crate::store::{AuditEntry, Entity, StoreError};

/// Most connections that a page shows.
const SHOWN: u16 = 200;

/// A connection as its application's page shows it.
#[derive(Serialize)]
pub struct ConnectionLine {
    id: String,
    target: String,
    /// What is connected to: a product version, or a service by itself.
    kind: &'static str,
    status: &'static str,
    suspended: bool,
    reason: Option<String>,
    changed: When,
    /// Who changed it last, where the audit log knows.
    by: Option<String>,
    decisions: Vec<&'static str>,
}

/// What a form of a decision may say.
#[derive(Deserialize)]
pub struct DecisionForm {
    #[serde(default)]
    pub reason: String,
}

/// The application's connections, and whether there are more than are shown.
pub async fn of(frame: &Frame, application: ApplicationId) -> Result<(Vec<ConnectionLine>, bool), Failure> {
    let store = &frame.app.store;
    let page = PageRequest { size: SHOWN, ..PageRequest::default() };
    let listed = store.connections_of_application(application, page).await?;
    let ids: Vec<_> = listed.items.iter().map(|detail| detail.connection.id.0).collect();
    let mut changes = store.last_changes(&ids).await?;
    let lines = listed.items.into_iter().map(|detail| {
        let change = changes.remove(&detail.connection.id.0);
        line(frame, detail, change)
    });
    Ok((lines.collect(), listed.next.is_some()))
}

fn line(frame: &Frame, detail: ConnectionDetail, change: Option<AuditEntry>) -> ConnectionLine {
    let target = decide::target(&detail);
    let connection = detail.connection;
    ConnectionLine {
        id: connection.id.to_string(),
        target,
        kind: if connection.version.is_some() { "Product version" } else { "Service" },
        status: connection.status.word(),
        suspended: detail.suspended,
        reason: connection.reason,
        changed: frame.when(change.as_ref().map_or(connection.updated_at, |change| change.at)),
        by: change.map(|change| change.actor),
        decisions: Decision::of(connection.status).iter().map(|decision| decision.as_str()).collect(),
    }
}

/// Approves, rejects or revokes.
pub async fn decide(
    frame: Frame,
    Path((application, connection, decision)): Path<(Uuid, Uuid, String)>,
    Form(form): Form<DecisionForm>,
) -> Response {
    let application = ApplicationId(application);
    let back = path(application);
    let decided = async {
        frame.visitor.require(AccessRole::Approver)?;
        let decision = Decision::parse(&decision).ok_or(Failure::NotFound("There is no such decision."))?;
        let item = decide::Item::Connection(application, ConnectionId(connection));
        decide::single(&frame, item, decision, &form.reason, &back).await
    };
    outcome(&back, decided.await)
}

async fn named(frame: &Frame, application: Uuid, connection: Uuid) -> Result<ConnectionDetail, Failure> {
    let found = frame.app.store.connection(ApplicationId(application), ConnectionId(connection)).await?;
    found.ok_or_else(|| StoreError::NotFound(Entity::Connection).into())
}

/// Asks whether to delete it, and says what that means.
pub async fn ask_delete(frame: Frame, Path((application, connection)): Path<(Uuid, Uuid)>) -> Answer {
    frame.visitor.require(AccessRole::Approver)?;
    let detail = named(&frame, application, connection).await?;
    let shown = context! {
        application => context! { id => application.to_string(), name => detail.application.name.as_str() },
        developer => detail.developer.full_name(),
        id => connection.to_string(),
        target => decide::target(&detail),
        status => detail.connection.status.word(),
    };
    frame.page("connection-delete.html", shown).await
}

pub async fn delete(frame: Frame, Path((application, connection)): Path<(Uuid, Uuid)>) -> Response {
    let deleted = async {
        frame.visitor.require(AccessRole::Approver)?;
        let detail = named(&frame, application, connection).await?;
        let target = (ApplicationId(application), ConnectionId(connection));
        let made = frame.app.clients.delete_connection::<Failure>(frame.actor(), target, |_| Ok(())).await?;
        let what = decide::target(&detail);
        Ok(format!("Deleted the connection to {what}. {}", force::told(&frame, made.revision).await))
    };
    outcome(&path(ApplicationId(application)), deleted.await)
}
