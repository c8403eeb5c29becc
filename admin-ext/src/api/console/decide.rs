//! What a person decides about connections and developers: one step from where each stands, never from where it stood when
//! the page was made. All of it is one change, which can be undone for a moment.

use std::fmt;

use app_auth_core::ids::{ApplicationId, ConnectionId, DeveloperId, Revision};
use uuid::Uuid;

use super::failure::Failure;
use super::flash::{Flash, Undo};
use super::force;
use super::frame::Frame;
use crate::api::App;
use crate::kong::{self, Changed};
use crate::model::{
    ConnectionDetail, ConnectionPatch, ConnectionStatus, Decision, DeveloperPatch, DeveloperStatus,
    StatusCode as _, Update, rules,
};
use crate::store::{Actor, Request, StoreError, Undoable, Writer};

/// Most that is decided at once.
pub const ITEMS_MAX: usize = 200;

/// Something that is decided about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Item {
    Connection(ApplicationId, ConnectionId),
    Developer(DeveloperId),
}

/// As forms name it.
impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection(application, id) => write!(f, "connection:{application}:{id}"),
            Self::Developer(id) => write!(f, "developer:{id}"),
        }
    }
}

impl Item {
    pub fn parse(text: &str) -> Option<Self> {
        let id = |text: Option<&str>| text.and_then(|text| text.parse::<Uuid>().ok());
        let mut parts = text.split(':');
        let item = match parts.next()? {
            "connection" => {
                Self::Connection(ApplicationId(id(parts.next())?), ConnectionId(id(parts.next())?))
            }
            "developer" => Self::Developer(DeveloperId(id(parts.next())?)),
            _ => return None,
        };
        parts.next().is_none().then_some(item)
    }
}

/// What came of decisions.
#[derive(Clone, Debug, Default)]
pub struct Decided {
    /// What they were about, as it is now.
    pub done: Vec<Request>,
    /// What could not be decided from where it stands now, and why.
    pub skipped: Vec<(String, String)>,
    pub undo: Option<Undoable>,
}

/// Decides about all items, but for those somebody else has decided about meanwhile.
pub async fn decide(
    app: &App,
    actor: &Actor,
    items: Vec<Item>,
    decision: Decision,
    reason: &str,
) -> Result<(Decided, Revision), Failure> {
    let reason = Some(reason.trim()).filter(|reason| !reason.is_empty()).map(str::to_owned);
    // Else the first item would be blamed.
    rules::optional_text("reason", reason.as_deref(), rules::REASON_MAX).map_err(StoreError::from)?;
    let Changed { value, revision, .. } = kong::change(
        &app.store,
        app.kong.as_ref(),
        actor,
        (items, reason),
        move |writer, (items, reason)| {
            Box::pin(async move {
                writer.begin_undo();
                let mut decided = Decided::default();
                for item in items {
                    decide_item(writer, item, decision, reason.as_deref(), &mut decided).await?;
                }
                decided.undo = writer.keep_undo().await?;
                Ok::<_, Failure>(decided)
            })
        },
    )
    .await?;
    Ok((value, revision))
}

async fn decide_item(
    writer: &mut Writer,
    item: Item,
    decision: Decision,
    reason: Option<&str>,
    decided: &mut Decided,
) -> Result<(), Failure> {
    let reason = reason.map_or(Update::Keep, |reason| Update::Set(reason.to_owned()));
    match item {
        Item::Connection(application, id) => {
            let before = match writer.connection(application, id).await {
                Ok(before) => before,
                Err(StoreError::NotFound(_)) => {
                    decided.skip("A connection", "it was deleted");
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            };
            let name = format!("{} to {}", before.application.name, target(&before));
            if let Err(why) = check(decision, before.connection.status) {
                decided.skip(name, why);
                return Ok(());
            }
            let status = Some(decision.status());
            let patch = ConnectionPatch { status, reason, ..ConnectionPatch::default() };
            let after = writer.update_connection(application, id, patch).await?;
            decided.done.push(Request::Connection(Box::new(after)));
        }
        Item::Developer(id) => {
            let before = match writer.developer(id).await {
                Ok(before) => before,
                Err(StoreError::NotFound(_)) => {
                    decided.skip("A developer", "they were deleted");
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            };
            let name = before.full_name();
            if let Err(why) = check(decision, of_developer(before.status)) {
                decided.skip(name, why);
                return Ok(());
            }
            let status = DeveloperStatus::from_code(decision.status().code().into());
            let patch = DeveloperPatch { status, reason, ..DeveloperPatch::default() };
            let after = writer.update_developer(id, patch).await?;
            decided.done.push(Request::Developer(Box::new(after)));
        }
    }
    Ok(())
}

impl Decided {
    fn skip(&mut self, name: impl Into<String>, why: impl Into<String>) {
        self.skipped.push((name.into(), why.into()));
    }

    /// The way to take it back, from a page.
    pub fn undo_at(&self, back: &str) -> Option<Undo> {
        let Undoable { id, until } = self.undo?;
        Some(Undo { id: id.to_string(), until: until.0, back: back.to_owned() })
    }
}

/// A single decision, told on the page it was made on.
pub async fn single(
    frame: &Frame,
    item: Item,
    decision: Decision,
    reason: &str,
    back: &str,
) -> Result<Flash, Failure> {
    let (decided, revision) = decide(&frame.app, frame.actor(), vec![item], decision, reason).await?;
    if let Some((name, why)) = decided.skipped.first() {
        return Err(Failure::refused(format!("{name}: {why}.")));
    }
    let what = decided.done.first().map(told).unwrap_or_default();
    let text = format!("{what} {}", force::told(frame, revision).await);
    Ok(Flash { undo: decided.undo_at(back), ..Flash::good(text) })
}

/// Developers go through the same statuses as connections.
pub fn of_developer(status: DeveloperStatus) -> ConnectionStatus {
    ConnectionStatus::from_code(status.code().into()).unwrap_or(ConnectionStatus::Pending)
}

/// Whether it can be decided from this status, or else why not.
fn check(decision: Decision, status: ConnectionStatus) -> Result<(), String> {
    if Decision::of(status).contains(&decision) {
        return Ok(());
    }
    let now = status.word();
    Err(if decision.status() == status {
        format!("{now} already; somebody may have been faster")
    } else {
        format!("{now} now; somebody may have been faster")
    })
}

/// What something is now that was decided about.
pub fn told(subject: &Request) -> String {
    match subject {
        Request::Connection(detail) => {
            format!("The connection to {} is {}.", target(detail), detail.connection.status.word())
        }
        Request::Developer(developer) => {
            format!("{} is {}.", developer.full_name(), of_developer(developer.status).word())
        }
    }
}

/// What a connection leads to, in a person's words.
pub fn target(detail: &ConnectionDetail) -> String {
    match (&detail.version, &detail.service_name) {
        (Some(version), _) => format!("{} {}", version.product_name, version.name),
        (None, Some(service)) => service.clone(),
        (None, None) => "a service that is gone".to_owned(),
    }
}
