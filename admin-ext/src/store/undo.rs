//! Decisions that can be undone for a moment. What was before is kept until the time is over, and so are the mails that
//! tell of the decision; an undo puts back what nobody has changed since. How it is offered is not known here.

use app_auth_core::ids::{ApplicationId, ConnectionId, DeveloperId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::sql::Columns as _;
use super::{Result, Store, StoreError, Writer, connections, developers};
use crate::model::{
    Connection, ConnectionDetail, ConnectionStatus, Developer, DeveloperStatus, StatusCode as _, Timestamp,
};

/// How long a decision can be undone, in milliseconds.
pub const UNDO_MS: i64 = 10_000;

/// A decision that can be undone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Undoable {
    pub id: Uuid,
    pub until: Timestamp,
}

/// What an undo came to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Undone {
    /// As they are now.
    pub connections: Vec<ConnectionDetail>,
    pub developers: Vec<Developer>,
    /// What was left as it is: it is gone, was changed since, or its mail is on its way.
    pub left: usize,
}

/// Decisions being made that can be undone.
pub(super) struct Undoing {
    /// Mails that tell of them are not sent before.
    pub until: Timestamp,
    /// The mail that the change in progress left.
    pub mail: Option<Uuid>,
    items: Vec<Item>,
}

/// What one decision has changed.
#[derive(Serialize, Deserialize)]
struct Item {
    subject: Subject,
    status: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Of developers.
    #[serde(skip_serializing_if = "Option::is_none")]
    approved_at: Option<i64>,
    /// Its `updated_at` after the decision, which no two changes have in common.
    changed_at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    mail: Option<Uuid>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Subject {
    Connection { application: Uuid, id: Uuid },
    Developer { id: Uuid },
}

impl Store {
    /// Removes what can no longer be undone.
    pub async fn prune_undos(&self) -> Result<u64> {
        let gone = sqlx::query("DELETE FROM undos WHERE ends_at <= $1")
            .bind(self.now().0)
            .execute(&self.0.writes)
            .await?;
        Ok(gone.rows_affected())
    }
}

impl Writer {
    /// Decisions from here on can be undone: see [`Writer::keep_undo`].
    pub fn begin_undo(&mut self) {
        let until = self.now.plus_millis(UNDO_MS);
        self.undoing = Some(Undoing { until, mail: None, items: Vec::new() });
    }

    /// Lets whoever makes the change undo the decisions since [`Writer::begin_undo`]. `None` if there were none.
    pub async fn keep_undo(&mut self) -> Result<Option<Undoable>> {
        let Some(undoing) = self.undoing.take().filter(|undoing| !undoing.items.is_empty()) else {
            return Ok(None);
        };
        let undoable = Undoable { id: self.store.random_id()?, until: undoing.until };
        let items = serde_json::to_string(&undoing.items).map_err(|_| StoreError::Corrupt("undos.items"))?;
        sqlx::query("INSERT INTO undos (id, actor, ends_at, items) VALUES ($1, $2, $3, $4)")
            .bind(undoable.id.as_bytes().as_slice())
            .bind(self.actor.name.clone())
            .bind(undoable.until.0)
            .bind(items)
            .execute(self.conn())
            .await?;
        Ok(Some(undoable))
    }

    /// Notes what a change of a connection's status can be undone to.
    pub(super) fn note_connection(&mut self, before: &Connection, after: &Connection) {
        let Some(undoing) = self.undoing.as_mut().filter(|_| before.status != after.status) else { return };
        undoing.items.push(Item {
            subject: Subject::Connection { application: before.application.0, id: before.id.0 },
            status: before.status.code(),
            reason: before.reason.clone(),
            approved_at: None,
            changed_at: after.updated_at.0,
            mail: undoing.mail.take(),
        });
    }

    /// As [`Writer::note_connection`].
    pub(super) fn note_developer(&mut self, before: &Developer, after: &Developer) {
        let Some(undoing) = self.undoing.as_mut().filter(|_| before.status != after.status) else { return };
        undoing.items.push(Item {
            subject: Subject::Developer { id: before.id.0 },
            status: before.status.code(),
            reason: before.reason.clone(),
            approved_at: before.approved_at.map(|at| at.0),
            changed_at: after.updated_at.0,
            mail: undoing.mail.take(),
        });
    }

    /// Undoes a decision of the same actor, once. `None` if there is nothing (any more) that they can undo.
    pub async fn take_back(&mut self, id: Uuid) -> Result<Option<Undone>> {
        let (actor, now) = (self.actor.name.clone(), self.now);
        let row =
            sqlx::query("DELETE FROM undos WHERE id = $1 AND actor = $2 AND ends_at > $3 RETURNING items")
                .bind(id.as_bytes().as_slice())
                .bind(actor)
                .bind(now.0)
                .fetch_optional(self.conn())
                .await?;
        let Some(row) = row else { return Ok(None) };
        let items: Vec<Item> =
            serde_json::from_str(&row.text("items")?).map_err(|_| StoreError::Corrupt("undos.items"))?;
        // Nobody has heard of the decision yet.
        self.without_mails();
        let mut undone = Undone::default();
        for item in items {
            if !self.take_back_item(&item, &mut undone).await? {
                undone.left += 1;
            }
        }
        Ok(Some(undone))
    }

    async fn take_back_item(&mut self, item: &Item, undone: &mut Undone) -> Result<bool> {
        let changed_at = Timestamp(item.changed_at);
        match item.subject {
            Subject::Connection { application, id } => {
                let (application, id) = (ApplicationId(application), ConnectionId(id));
                let Some(before) = found(connections::existing(self, application, id).await)? else {
                    return Ok(false);
                };
                let before = before.connection;
                if before.updated_at != changed_at || !self.take_mail_back(item).await? {
                    return Ok(false);
                }
                let status = ConnectionStatus::from_code(item.status.into());
                let status = status.ok_or(StoreError::Corrupt("undos.items"))?;
                let after = Connection { status, reason: item.reason.clone(), ..before.clone() };
                undone.connections.push(self.rewrite_connection(&before, after).await?);
            }
            Subject::Developer { id } => {
                let id = DeveloperId(id);
                let Some(before) = found(developers::existing(self.conn(), id).await)? else {
                    return Ok(false);
                };
                if before.updated_at != changed_at || !self.take_mail_back(item).await? {
                    return Ok(false);
                }
                let status = DeveloperStatus::from_code(item.status.into());
                let after = Developer {
                    status: status.ok_or(StoreError::Corrupt("undos.items"))?,
                    reason: item.reason.clone(),
                    approved_at: item.approved_at.map(Timestamp),
                    ..before.clone()
                };
                undone.developers.push(self.rewrite_developer(&before, after).await?);
            }
        }
        Ok(true)
    }

    /// Whether nobody is sent the mail any more that tells of a decision. One that a sender has taken is as good as read.
    async fn take_mail_back(&mut self, item: &Item) -> Result<bool> {
        let Some(mail) = item.mail else { return Ok(true) };
        let deleted = sqlx::query("DELETE FROM mails WHERE id = $1 AND attempts = 0")
            .bind(mail.as_bytes().as_slice())
            .execute(self.conn())
            .await?;
        Ok(deleted.rows_affected() > 0)
    }
}

/// What is gone is no error.
fn found<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(StoreError::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
