//! Mails that wait in the database to be sent. A change writes its mails in its own transaction, so that no crash loses
//! one; how they are sent is not known here.

use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use uuid::Uuid;

use super::sql::{Columns as _, List};
use super::{Entity, Result, Store, StoreError, Writer, product_versions};
use crate::model::{
    Connection, ConnectionDetail, ConnectionStatus, Developer, DeveloperStatus, Email, Listed, MailContext,
    MailFate, MailTemplate, Offset, PageRequest, PortalConfig, Timestamp, VersionId, WaitingMail,
};

const COLUMNS: &str = "id, recipient, template, context, attempts, next_at, error, created_at";

/// What somebody may have to be told of.
pub(super) enum Notice<'a> {
    Developer {
        before: Option<&'a Developer>,
        after: &'a Developer,
    },
    Connection {
        before: Option<&'a Connection>,
        after: &'a ConnectionDetail,
    },
    /// An operator wants the users of a version to know what it is now, in words; nothing to tell if there are none.
    Version {
        version: VersionId,
        status: &'a str,
        developers: &'a [Developer],
    },
}

/// Whether a change leaves mails behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Mails {
    #[default]
    None,
    /// The sender is to be woken.
    Some,
    /// None, whatever happens.
    Never,
}

fn read(row: &AnyRow) -> Result<WaitingMail> {
    Ok(WaitingMail {
        id: row.uuid("id")?,
        recipient: row.text("recipient")?,
        template: MailTemplate::parse(&row.text("template")?).ok_or(StoreError::Corrupt("mails.template"))?,
        context: serde_json::from_str(&row.text("context")?)
            .map_err(|_| StoreError::Corrupt("mails.context"))?,
        attempts: row.count("attempts")?,
        next_at: row.time("next_at")?,
        error: row.optional_text("error")?,
        created_at: row.time("created_at")?,
    })
}

impl Store {
    pub async fn mails(&self, page: PageRequest) -> Result<Listed<WaitingMail>> {
        List { columns: COLUMNS, from: "mails m WHERE 1 = 1", bound: 0, alias: "m" }
            .page(
                &mut *self.reader().await?,
                page,
                |query| query,
                read,
                |mail| Offset { created_at: mail.created_at, id: mail.id },
            )
            .await
    }

    /// How many mails wait.
    pub async fn mails_count(&self) -> Result<u64> {
        let row =
            sqlx::query("SELECT COUNT(*) AS n FROM mails").fetch_one(&mut *self.reader().await?).await?;
        row.count("n")
    }

    /// Ends when a change has left mails behind.
    pub async fn mails_waiting(&self) {
        self.0.mails.notified().await;
    }

    /// When the next mail is due.
    pub async fn next_mail(&self) -> Result<Option<Timestamp>> {
        let row = sqlx::query("SELECT MIN(next_at) AS next_at FROM mails")
            .fetch_one(&mut *self.reader().await?)
            .await?;
        Ok(row.optional_int("next_at")?.map(Timestamp))
    }

    /// Takes mails that are due, the longest due first; until `until` nobody else gets them.
    pub async fn claim_mails(&self, limit: u16, until: Timestamp) -> Result<Vec<WaitingMail>> {
        let now = self.now();
        // A look costs nothing; the statement below would make every writer wait.
        if self.next_mail().await?.is_none_or(|next| next > now) {
            return Ok(Vec::new());
        }
        // Of two replicas that find the same mail due, the second sees that it no longer is.
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "UPDATE mails SET attempts = attempts + 1, next_at = $1 WHERE next_at <= $2 AND id IN \
             (SELECT id FROM mails WHERE next_at <= $2 ORDER BY next_at, id LIMIT $3) RETURNING {COLUMNS}"
        )))
        .bind(until.0)
        .bind(now.0)
        .bind(i64::from(limit))
        .fetch_all(&self.0.writes)
        .await?;
        let mut mails = rows.iter().map(read).collect::<Result<Vec<_>>>()?;
        mails.sort_by_key(|mail| (mail.created_at, mail.id));
        Ok(mails)
    }

    /// Writes down what came of claimed mails, all of it or nothing. A mail that is gone meanwhile stays gone.
    pub async fn settle_mails(&self, fates: &[(Uuid, MailFate)]) -> Result<()> {
        let mut tx = self.0.writes.begin().await?;
        for (id, fate) in fates {
            let query = match fate {
                MailFate::Over => {
                    sqlx::query("DELETE FROM mails WHERE id = $1").bind(id.as_bytes().as_slice())
                }
                MailFate::Again { at, error } => {
                    sqlx::query("UPDATE mails SET next_at = $2, error = $3 WHERE id = $1")
                        .bind(id.as_bytes().as_slice())
                        .bind(at.0)
                        .bind(error.as_str())
                }
            };
            query.execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

impl Writer {
    /// Sends no mails of this change: it moves in what was there already.
    pub fn without_mails(&mut self) {
        self.mails = Mails::Never;
    }

    /// Leaves a mail for everybody who is to be told, if they are to be told by mail.
    pub(super) async fn notify(&mut self, notice: Notice<'_>) -> Result<()> {
        if self.mails == Mails::Never {
            return Ok(());
        }
        match notice {
            Notice::Developer { before, after } => self.notify_of_developer(before, after).await,
            Notice::Connection { before, after } => self.notify_of_connection(before, after).await,
            Notice::Version { version, status, developers } => {
                self.notify_of_version(version, status, developers).await
            }
        }
    }

    async fn notify_of_developer(&mut self, before: Option<&Developer>, after: &Developer) -> Result<()> {
        let approved =
            after.approved_at.is_some() && before.is_none_or(|before| before.approved_at.is_none());
        let asks = before.is_none() && after.status == DeveloperStatus::Pending;
        if !approved && !asks {
            return Ok(());
        }
        let portal = self.portal().await?;
        let about = about(&portal, after);
        if approved && portal.mails.approved {
            self.leave_of_status(after.id.0, after.email.as_str(), MailTemplate::ApprovedAccess, &about)
                .await?;
        }
        if asks && portal.mails.access_request {
            self.leave_administrators(&portal, MailTemplate::RequestAccess, &about).await?;
        }
        Ok(())
    }

    async fn notify_of_connection(
        &mut self,
        before: Option<&Connection>,
        after: &ConnectionDetail,
    ) -> Result<()> {
        let status = after.connection.status;
        let changed = before.is_some_and(|before| before.status != status);
        let asks = before.is_none() && status == ConnectionStatus::Pending;
        if !changed && !asks {
            return Ok(());
        }
        let portal = self.portal().await?;
        let (tells, asks) =
            (changed && portal.mails.application_status, asks && portal.mails.application_request);
        if !tells && !asks {
            return Ok(());
        }
        let about = MailContext {
            application: Some(after.application.name.clone()),
            application_id: Some(after.application.id.0),
            service: after
                .version
                .as_ref()
                .map(|version| format!("{} {}", version.product_name, version.name))
                .or_else(|| after.service_name.clone()),
            status: Some(word(status).to_owned()),
            reason: after.connection.reason.clone(),
            ..about(&portal, &after.developer)
        };
        if tells {
            let (subject, recipient) = (after.connection.id.0, after.developer.email.as_str());
            self.leave_of_status(subject, recipient, MailTemplate::ApplicationStatus, &about).await?;
        }
        if asks {
            self.leave_administrators(&portal, MailTemplate::ApplicationRequest, &about).await?;
        }
        Ok(())
    }

    /// Asked for, so no setting keeps it from being sent.
    async fn notify_of_version(
        &mut self,
        version: VersionId,
        status: &str,
        developers: &[Developer],
    ) -> Result<()> {
        if status.is_empty() {
            return Ok(());
        }
        let portal = self.portal().await?;
        let service = product_versions::full_name(self.conn(), version).await?;
        for developer in developers {
            let about = MailContext {
                service: Some(service.clone()),
                status: Some(status.to_owned()),
                ..about(&portal, developer)
            };
            self.leave(developer.email.as_str(), MailTemplate::VersionChanged, &about).await?;
        }
        Ok(())
    }

    async fn leave_administrators(
        &mut self,
        portal: &PortalConfig,
        template: MailTemplate,
        about: &MailContext,
    ) -> Result<()> {
        for admin in &portal.admin_emails {
            self.leave(admin, template, about).await?;
        }
        Ok(())
    }

    /// Leaves a mail that tells the status of something. As long as the change can be undone it is not sent; one that
    /// tells of an earlier change goes first.
    async fn leave_of_status(
        &mut self,
        subject: Uuid,
        recipient: &str,
        template: MailTemplate,
        about: &MailContext,
    ) -> Result<()> {
        let now = self.now;
        sqlx::query("UPDATE mails SET next_at = $2 WHERE subject = $1 AND attempts = 0 AND next_at > $2")
            .bind(subject.as_bytes().as_slice())
            .bind(now.0)
            .execute(self.conn())
            .await?;
        let due = self.undoing.as_ref().map_or(now, |undoing| undoing.until);
        let id = self.leave_until(due, Some(subject), recipient, template, about).await?;
        if let Some(undoing) = &mut self.undoing {
            undoing.mail = Some(id);
        }
        Ok(())
    }

    async fn leave(&mut self, recipient: &str, template: MailTemplate, about: &MailContext) -> Result<()> {
        self.leave_until(self.now, None, recipient, template, about).await.map(drop)
    }

    async fn leave_until(
        &mut self,
        due: Timestamp,
        subject: Option<Uuid>,
        recipient: &str,
        template: MailTemplate,
        about: &MailContext,
    ) -> Result<Uuid> {
        let id = self.store.random_id()?;
        let context = serde_json::to_string(about).map_err(|_| StoreError::Corrupt("mails.context"))?;
        sqlx::query(
            "INSERT INTO mails (id, recipient, template, context, attempts, next_at, error, created_at, subject) \
             VALUES ($1, $2, $3, $4, 0, $5, NULL, $6, $7)",
        )
        .bind(id.as_bytes().as_slice())
        .bind(recipient)
        .bind(template.as_str())
        .bind(context)
        .bind(due.0)
        .bind(self.now.0)
        .bind(subject.map(|id| id.as_bytes().to_vec()))
        .execute(self.conn())
        .await?;
        self.mails = Mails::Some;
        Ok(id)
    }

    /// Notes who is invited.
    pub async fn invite(&mut self, recipients: &[Email]) -> Result<()> {
        let id = self.store.random_id()?;
        let recipients: Vec<_> = recipients.iter().map(Email::as_str).collect();
        let view = serde_json::json!({ "recipients": recipients });
        self.audit(Entity::Mail, "invite", id, None, Some(view)).await
    }

    /// Invites a developer who was made by somebody else.
    pub async fn invite_developer(&mut self, developer: &Developer) -> Result<()> {
        let portal = self.portal().await?;
        let about = about(&portal, developer);
        self.leave(developer.email.as_str(), MailTemplate::Invite, &about).await
    }

    /// Gives a mail up. [`StoreError::NotFound`] if it does not wait (any more).
    pub async fn delete_mail(&mut self, id: Uuid) -> Result<()> {
        let before = existing(self.conn(), id).await?;
        sqlx::query("DELETE FROM mails WHERE id = $1")
            .bind(id.as_bytes().as_slice())
            .execute(self.conn())
            .await?;
        let view = serde_json::json!({ "recipient": before.recipient, "template": before.template.as_str() });
        self.audit(Entity::Mail, "delete", id, Some(view), None).await
    }
}

async fn existing(conn: &mut AnyConnection, id: Uuid) -> Result<WaitingMail> {
    let row = sqlx::query(sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM mails m WHERE m.id = $1")))
        .bind(id.as_bytes().as_slice())
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(read).transpose()?.ok_or(StoreError::NotFound(Entity::Mail))
}

fn about(portal: &PortalConfig, developer: &Developer) -> MailContext {
    MailContext::about(developer.email.as_str(), developer.meta.as_deref(), &portal.meta_fields)
}

fn word(status: ConnectionStatus) -> &'static str {
    match status {
        ConnectionStatus::Approved => "approved",
        ConnectionStatus::Pending => "requested",
        ConnectionStatus::Rejected => "rejected",
        ConnectionStatus::Revoked => "revoked",
    }
}
