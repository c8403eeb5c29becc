//! Developers in the database.

use app_auth_core::ids::{ApplicationId, ConsumerId, DeveloperId};
use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use uuid::Uuid;

use super::collection::{Collection, Member, Value};
use super::mails::Notice;
use super::sql::{AnyQuery, Columns as _, List};
use super::{Entity, Result, Store, StoreError, Writer, applications, plugins, roles};
use crate::model::{
    Collected, CollectionRequest, Developer, DeveloperDetail, DeveloperPatch, DeveloperRef, DeveloperStatus,
    Email, Listed, NewDeveloper, Offset, PageRequest, PlainSecret, PortalId, StatusCode as _, Timestamp,
};

/// Of the table `developers d`; the names do not clash in joins.
pub(super) const COLUMNS: &str = "d.id AS d_id, d.email AS d_email, d.status AS d_status, d.meta AS d_meta, \
    d.custom_id AS d_custom_id, d.consumer AS d_consumer, d.password_hash AS d_password_hash, \
    d.portal AS d_portal, d.reason AS d_reason, d.approved_at AS d_approved_at, d.created_at AS d_created_at, d.updated_at AS d_updated_at, \
    (SELECT string_agg(r.name, '\u{1f}') FROM developer_roles dr JOIN roles r ON r.id = dr.role \
    WHERE dr.developer = d.id) AS d_roles";

/// Between the names of roles, which hold no control characters.
const SEPARATOR: char = '\u{1f}';

pub(super) fn read(row: &AnyRow) -> Result<Developer> {
    Ok(Developer {
        id: DeveloperId(row.uuid("d_id")?),
        email: Email::stored(row.text("d_email")?),
        status: DeveloperStatus::from_code(row.int("d_status")?)
            .ok_or(StoreError::Corrupt("developers.status"))?,
        meta: row.optional_text("d_meta")?,
        custom_id: row.optional_text("d_custom_id")?,
        consumer: ConsumerId(row.uuid("d_consumer")?),
        password_hash: row.optional_text("d_password_hash")?.map(PlainSecret::new),
        // Sorted again: a database may have an order of its own for letters.
        roles: row
            .optional_text("d_roles")?
            .map(|names| roles::sorted(names.split(SEPARATOR).map(str::to_owned).collect()))
            .unwrap_or_default(),
        portal: row.optional_uuid("d_portal")?.map_or(PortalId::DEFAULT, PortalId),
        reason: row.optional_text("d_reason")?,
        approved_at: row.optional_int("d_approved_at")?.map(Timestamp),
        created_at: row.time("d_created_at")?,
        updated_at: row.time("d_updated_at")?,
    })
}

async fn by_ref(conn: &mut AnyConnection, developer: &DeveloperRef) -> Result<Option<Developer>> {
    let row = match developer {
        DeveloperRef::Id(id) => {
            sqlx::query(sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM developers d WHERE d.id = $1")))
                .bind(id.as_bytes().as_slice())
                .fetch_optional(conn)
                .await?
        }
        DeveloperRef::Email(email) => {
            sqlx::query(sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM developers d WHERE d.email = $1")))
                .bind(email.clone())
                .fetch_optional(conn)
                .await?
        }
    };
    row.as_ref().map(read).transpose()
}

/// The developer a change is about.
pub(super) async fn existing(conn: &mut AnyConnection, id: DeveloperId) -> Result<Developer> {
    by_ref(conn, &id.into()).await?.ok_or(StoreError::NotFound(Entity::Developer))
}

/// Some of the developers who have a role, in the order of their ids after `last`.
pub(super) async fn with_role(
    conn: &mut AnyConnection,
    role: Uuid,
    last: Option<DeveloperId>,
    limit: i64,
) -> Result<Vec<Developer>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM developer_roles held JOIN developers d ON d.id = held.developer \
         WHERE held.role = $1 AND held.developer > $2 ORDER BY held.developer LIMIT $3"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(role.as_bytes().as_slice())
        .bind(last.map_or_else(Vec::new, |last| last.as_bytes().to_vec()))
        .bind(limit)
        .fetch_all(conn)
        .await?;
    rows.iter().map(read).collect()
}

/// An address and where its owner stands.
#[derive(Clone, Debug)]
pub struct DeveloperLine {
    pub email: Email,
    pub status: DeveloperStatus,
    place: Offset,
}

fn read_line(row: &AnyRow) -> Result<DeveloperLine> {
    Ok(DeveloperLine {
        email: Email::stored(row.text("email")?),
        status: DeveloperStatus::from_code(row.int("status")?)
            .ok_or(StoreError::Corrupt("developers.status"))?,
        place: Offset { created_at: row.time("created_at")?, id: row.uuid("id")? },
    })
}

/// The list of all developers, or of those of a status.
const fn of_status(columns: &str, status: Option<DeveloperStatus>) -> List<'_> {
    let (from, bound) = match status {
        Some(_) => ("developers d WHERE d.status = $1", 1),
        None => ("developers d WHERE 1 = 1", 0),
    };
    List { columns, from, bound, alias: "d" }
}

fn bind_status(query: AnyQuery<'_>, status: Option<DeveloperStatus>) -> AnyQuery<'_> {
    match status {
        Some(status) => query.bind(i64::from(status.code())),
        None => query,
    }
}

impl Store {
    pub async fn developers(
        &self,
        status: Option<DeveloperStatus>,
        page: PageRequest,
    ) -> Result<Listed<Developer>> {
        of_status(COLUMNS, status)
            .page(
                &mut *self.reader().await?,
                page,
                |query| bind_status(query, status),
                read,
                |developer| Offset { created_at: developer.created_at, id: developer.id.0 },
            )
            .await
    }

    /// A page of the list of developers with nothing but addresses and statuses, and where the next page begins.
    pub async fn developer_statuses(
        &self,
        status: Option<DeveloperStatus>,
        page: PageRequest,
    ) -> Result<(Vec<DeveloperLine>, Option<Offset>)> {
        of_status("d.email, d.status, d.created_at, d.id", status)
            .slice(
                &mut *self.reader().await?,
                page,
                |query| bind_status(query, status),
                read_line,
                |line| line.place,
            )
            .await
    }

    pub async fn developer(&self, developer: &DeveloperRef) -> Result<Option<Developer>> {
        by_ref(&mut *self.reader().await?, developer).await
    }
}

/// A developer's name, as [`Developer::full_name`] tells it.
pub(super) const NAME: Value = Value::JsonText { column: "d.meta", member: "full_name", or: "d.email" };

pub(super) fn read_counted(row: &AnyRow) -> Result<DeveloperDetail> {
    Ok(DeveloperDetail { developer: read(row)?, applications: row.count("d_applications")? })
}

fn counted() -> String {
    format!("{COLUMNS}, (SELECT COUNT(*) FROM applications a WHERE a.developer = d.id) AS d_applications")
}

async fn in_portal(
    conn: &mut AnyConnection,
    portal: PortalId,
    id: DeveloperId,
) -> Result<Option<DeveloperDetail>> {
    let sql = format!("SELECT {} FROM developers d WHERE d.id = $1 AND d.portal = $2", counted());
    let row = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(id.as_bytes().as_slice())
        .bind(portal.as_bytes().as_slice())
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(read_counted).transpose()
}

impl Store {
    pub async fn developers_in(
        &self,
        portal: PortalId,
        request: &CollectionRequest,
    ) -> Result<Collected<DeveloperDetail>> {
        Collection {
            columns: &counted(),
            from: "developers d WHERE d.portal = $1",
            bound: &[*portal.as_bytes()],
            members: &[
                Member { name: "name", value: NAME },
                Member { name: "email", value: Value::Column("d.email") },
                Member { name: "status", value: Value::Column("d.status") },
                Member { name: "created_at", value: Value::Column("d.created_at") },
                Member { name: "updated_at", value: Value::Column("d.updated_at") },
            ],
            last: "d.created_at, d.id",
        }
        .page(&mut *self.reader().await?, self.0.backend, request, read_counted)
        .await
    }

    /// The portal's developer; another portal's is not found.
    pub async fn developer_in(&self, portal: PortalId, id: DeveloperId) -> Result<Option<DeveloperDetail>> {
        in_portal(&mut *self.reader().await?, portal, id).await
    }
}

impl Writer {
    /// The portal's developer as they are until this change ends: nobody else can write meanwhile.
    pub async fn developer_in(&mut self, portal: PortalId, id: DeveloperId) -> Result<DeveloperDetail> {
        in_portal(self.conn(), portal, id).await?.ok_or(StoreError::NotFound(Entity::Developer))
    }

    /// The developer as they are until this change ends: nobody else can write meanwhile.
    pub async fn developer(&mut self, id: DeveloperId) -> Result<Developer> {
        existing(self.conn(), id).await
    }

    pub async fn create_developer(&mut self, new: NewDeveloper) -> Result<Developer> {
        let developer = Developer {
            id: match new.id {
                Some(id) => id,
                None => DeveloperId(self.new_id()?),
            },
            email: new.email,
            status: new.status,
            meta: new.meta,
            custom_id: new.custom_id,
            consumer: ConsumerId(self.new_id()?),
            password_hash: new.password_hash,
            roles: roles::sorted(new.roles),
            portal: new.portal,
            reason: new.reason,
            approved_at: (new.status == DeveloperStatus::Approved).then_some(self.now),
            created_at: self.now,
            updated_at: self.now,
        };
        developer.check()?;
        sqlx::query(
            "INSERT INTO developers (id, email, status, meta, custom_id, consumer, password_hash, approved_at, \
             portal, reason, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        )
        .bind(developer.id.as_bytes().as_slice())
        .bind(developer.email.as_str().to_owned())
        .bind(i64::from(developer.status.code()))
        .bind(developer.meta.clone())
        .bind(developer.custom_id.clone())
        .bind(developer.consumer.as_bytes().as_slice())
        .bind(developer.password_hash.as_ref().map(|hash| hash.expose().to_owned()))
        .bind(developer.approved_at.map(|at| at.0))
        .bind(developer.portal.as_bytes().as_slice())
        .bind(developer.reason.clone())
        .bind(developer.created_at.0)
        .bind(developer.updated_at.0)
        .execute(self.conn())
        .await
        .map_err(|error| name_value(error, &developer))?;
        roles::assign(self, developer.id, &developer.roles).await?;
        self.mark_developer(None, Some(&developer));
        self.audit_created(&developer).await?;
        self.notify(Notice::Developer { before: None, after: &developer }).await?;
        Ok(developer)
    }

    pub async fn update_developer(&mut self, id: DeveloperId, patch: DeveloperPatch) -> Result<Developer> {
        let before = existing(self.conn(), id).await?;
        let mut after = before.clone();
        after.password_hash = patch.password_hash.or(after.password_hash);
        after.email = patch.email.unwrap_or(after.email);
        after.status = patch.status.unwrap_or(after.status);
        if after.status != before.status {
            after.reason = None;
        }
        patch.reason.apply(&mut after.reason);
        patch.meta.apply(&mut after.meta);
        patch.custom_id.apply(&mut after.custom_id);
        after.roles = patch.roles.map_or(after.roles, roles::sorted);
        if after.status == DeveloperStatus::Approved {
            after.approved_at = after.approved_at.or(Some(self.now));
        }
        self.rewrite_developer(&before, after).await
    }

    /// Makes a developer what they are to be now.
    pub(super) async fn rewrite_developer(
        &mut self,
        before: &Developer,
        mut after: Developer,
    ) -> Result<Developer> {
        let id = before.id;
        after.updated_at = self.now.after(before.updated_at);
        after.check()?;
        sqlx::query(
            "UPDATE developers SET email = $2, status = $3, meta = $4, custom_id = $5, password_hash = $6, \
             approved_at = $7, reason = $8, updated_at = $9 WHERE id = $1",
        )
        .bind(id.as_bytes().as_slice())
        .bind(after.email.as_str().to_owned())
        .bind(i64::from(after.status.code()))
        .bind(after.meta.clone())
        .bind(after.custom_id.clone())
        .bind(after.password_hash.as_ref().map(|hash| hash.expose().to_owned()))
        .bind(after.approved_at.map(|at| at.0))
        .bind(after.reason.clone())
        .bind(after.updated_at.0)
        .execute(self.conn())
        .await
        .map_err(|error| name_value(error, &after))?;
        if before.roles != after.roles {
            roles::assign(self, id, &after.roles).await?;
        }
        if before.status != after.status {
            for application in applications_of(self.conn(), id).await? {
                self.touch_application(application);
            }
        }
        self.mark_developer(Some(before), Some(&after));
        self.audit_updated(before, &after).await?;
        self.notify(Notice::Developer { before: Some(before), after: &after }).await?;
        self.note_developer(before, &after);
        Ok(after)
    }

    /// With everything that is theirs. [`StoreError::NotFound`] if there is no such developer.
    pub async fn delete_developer(&mut self, id: DeveloperId) -> Result<()> {
        let before = existing(self.conn(), id).await?;
        for application in applications_of(self.conn(), id).await? {
            applications::delete(self, application).await?;
        }
        plugins::audit_all_deleted(self, id).await?;
        self.audit_credentials_of(id).await?;
        sqlx::query("DELETE FROM developers WHERE id = $1")
            .bind(id.as_bytes().as_slice())
            .execute(self.conn())
            .await?;
        self.mark_developer(Some(&before), None);
        self.audit_deleted(&before).await
    }
}

async fn applications_of(conn: &mut AnyConnection, developer: DeveloperId) -> Result<Vec<ApplicationId>> {
    let rows = sqlx::query("SELECT id FROM applications WHERE developer = $1")
        .bind(developer.as_bytes().as_slice())
        .fetch_all(conn)
        .await?;
    rows.iter().map(|row| row.uuid("id").map(ApplicationId)).collect()
}

fn name_value(error: sqlx::Error, developer: &Developer) -> StoreError {
    StoreError::from(error)
        .with_value("id", developer.id.to_string())
        .with_value("email", developer.email.as_str())
        .with_value("custom_id", developer.custom_id.as_deref().unwrap_or_default())
}
