//! Roles of developers in the database.

use app_auth_core::ids::DeveloperId;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe};
use uuid::Uuid;

use super::developers;
use super::sql::{Columns as _, List, count};
use super::{Entity, Result, Store, StoreError, Writer};
use crate::model::{Invalid, Listed, NewRole, Offset, PageRequest, Role, RolePatch, RoleRef};

const COLUMNS: &str = "r.id, r.name, r.comment, r.created_at";

/// Most roles.
const ROLES_MAX: u64 = 1000;
/// Developers that are read at once when a role ends.
const BATCH: i64 = 200;

fn read(row: &AnyRow) -> Result<Role> {
    Ok(Role {
        id: row.uuid("id")?,
        name: row.text("name")?,
        comment: row.optional_text("comment")?,
        created_at: row.time("created_at")?,
    })
}

async fn by_ref(conn: &mut AnyConnection, role: &RoleRef) -> Result<Option<Role>> {
    let select = |condition| AssertSqlSafe(format!("SELECT {COLUMNS} FROM roles r WHERE {condition}"));
    let query = match role {
        RoleRef::Id(id) => sqlx::query(select("r.id = $1")).bind(id.as_bytes().to_vec()),
        RoleRef::Name(name) => sqlx::query(select("r.name = $1")).bind(name.clone()),
    };
    query.fetch_optional(conn).await?.as_ref().map(read).transpose()
}

/// The role a change is about.
async fn existing(conn: &mut AnyConnection, id: Uuid) -> Result<Role> {
    by_ref(conn, &RoleRef::Id(id)).await?.ok_or(StoreError::NotFound(Entity::Role))
}

/// As answers show them: each once, by name.
pub(super) fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort_unstable();
    names.dedup();
    names
}

/// The roles of these names. [`Invalid`] (field `roles`) if one does not exist.
async fn named(conn: &mut AnyConnection, names: &[String]) -> Result<Vec<Uuid>> {
    let mut found = Vec::with_capacity(names.len());
    for name in names {
        match by_ref(&mut *conn, &RoleRef::Name(name.clone())).await? {
            Some(role) => found.push(role.id),
            None => return Err(Invalid::new("roles", format!("no role is named '{name}'")).into()),
        }
    }
    Ok(found)
}

/// Gives a developer these roles and no others. [`Invalid`] (field `roles`) if one does not exist.
pub(super) async fn assign(writer: &mut Writer, developer: DeveloperId, names: &[String]) -> Result<()> {
    sqlx::query("DELETE FROM developer_roles WHERE developer = $1")
        .bind(developer.as_bytes().as_slice())
        .execute(writer.conn())
        .await?;
    for role in named(writer.conn(), names).await? {
        sqlx::query("INSERT INTO developer_roles (developer, role) VALUES ($1, $2)")
            .bind(developer.as_bytes().as_slice())
            .bind(role.as_bytes().as_slice())
            .execute(writer.conn())
            .await?;
    }
    Ok(())
}

impl Store {
    pub async fn roles(&self, page: PageRequest) -> Result<Listed<Role>> {
        List { columns: COLUMNS, from: "roles r WHERE 1 = 1", bound: 0, alias: "r" }
            .page(
                &mut *self.reader().await?,
                page,
                |query| query,
                read,
                |role| Offset { created_at: role.created_at, id: role.id },
            )
            .await
    }

    pub async fn role(&self, role: &RoleRef) -> Result<Option<Role>> {
        by_ref(&mut *self.reader().await?, role).await
    }

    /// Whether there is a role of each name. [`Invalid`] (field `roles`) names the first that does not exist.
    pub async fn check_roles(&self, names: &[String]) -> Result<()> {
        named(&mut *self.reader().await?, names).await.map(drop)
    }
}

impl Writer {
    pub async fn create_role(&mut self, new: NewRole) -> Result<Role> {
        if count(self.conn(), "SELECT COUNT(*) AS n FROM roles", |query| query).await? >= ROLES_MAX {
            return Err(StoreError::Limit { entity: Entity::Role, limit: ROLES_MAX });
        }
        let role = Role {
            id: match new.id {
                Some(id) => id,
                None => self.store.random_id()?,
            },
            name: new.name,
            comment: new.comment,
            created_at: self.now,
        };
        role.check()?;
        sqlx::query("INSERT INTO roles (id, name, comment, created_at) VALUES ($1, $2, $3, $4)")
            .bind(role.id.as_bytes().as_slice())
            .bind(role.name.clone())
            .bind(role.comment.clone())
            .bind(role.created_at.0)
            .execute(self.conn())
            .await
            .map_err(|error| name_value(error, &role))?;
        self.audit_created(&role).await?;
        Ok(role)
    }

    pub async fn update_role(&mut self, id: Uuid, patch: RolePatch) -> Result<Role> {
        let before = existing(self.conn(), id).await?;
        let mut after = before.clone();
        after.name = patch.name.unwrap_or(after.name);
        patch.comment.apply(&mut after.comment);
        after.check()?;
        sqlx::query("UPDATE roles SET name = $2, comment = $3 WHERE id = $1")
            .bind(id.as_bytes().as_slice())
            .bind(after.name.clone())
            .bind(after.comment.clone())
            .execute(self.conn())
            .await
            .map_err(|error| name_value(error, &after))?;
        self.audit_updated(&before, &after).await?;
        Ok(after)
    }

    /// No developer has it any more; each that had it gets a line in the audit log. [`StoreError::NotFound`] if there is
    /// no such role.
    pub async fn delete_role(&mut self, id: Uuid) -> Result<()> {
        let before = existing(self.conn(), id).await?;
        let mut last = None;
        loop {
            let holders = developers::with_role(self.conn(), id, last, BATCH).await?;
            let Some(end) = holders.last() else { break };
            last = Some(end.id);
            for developer in &holders {
                let mut after = developer.clone();
                after.roles.retain(|name| *name != before.name);
                self.audit_updated(developer, &after).await?;
            }
        }
        // The developers lose it with this (ON DELETE CASCADE).
        sqlx::query("DELETE FROM roles WHERE id = $1")
            .bind(id.as_bytes().as_slice())
            .execute(self.conn())
            .await?;
        self.audit_deleted(&before).await
    }
}

fn name_value(error: sqlx::Error, role: &Role) -> StoreError {
    StoreError::from(error).with_value("id", role.id.to_string()).with_value("name", &role.name)
}
