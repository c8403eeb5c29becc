//! Roles of developers in the database.

use app_auth_core::ids::DeveloperId;
use uuid::Uuid;

use super::sql::Columns as _;
use super::{Result, Writer};
use crate::model::Invalid;

/// As answers show them: each once, by name.
pub(super) fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort_unstable();
    names.dedup();
    names
}

/// Gives a developer these roles and no others. [`Invalid`] (field `roles`) if one does not exist.
pub(super) async fn assign(writer: &mut Writer, developer: DeveloperId, names: &[String]) -> Result<()> {
    sqlx::query("DELETE FROM developer_roles WHERE developer = $1")
        .bind(developer.as_bytes().as_slice())
        .execute(writer.conn())
        .await?;
    for name in names {
        let found = sqlx::query("SELECT id FROM roles WHERE name = $1")
            .bind(name.clone())
            .fetch_optional(writer.conn())
            .await?;
        let Some(found) = found else {
            return Err(Invalid::new("roles", format!("no role is named '{name}'")).into());
        };
        let role: Uuid = found.uuid("id")?;
        sqlx::query("INSERT INTO developer_roles (developer, role) VALUES ($1, $2)")
            .bind(developer.as_bytes().as_slice())
            .bind(role.as_bytes().as_slice())
            .execute(writer.conn())
            .await?;
    }
    Ok(())
}
