//! Portals in the database, and the product versions they offer.

use app_auth_core::ids::{ApplicationId, StrategyId};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe};

use super::sql::Columns as _;
use super::{Result, StoreError, Writer};
use crate::model::{
    DeveloperStatus, Portal, PortalId, PortalVersion, PortalVersionId, PublishStatus, StatusCode as _,
    VersionId,
};

/// Of the table `portals p`; the names do not clash in joins.
pub(super) const PORTAL: &str = "p.id AS p_id, p.name AS p_name, p.display_name AS p_display_name, \
    p.description AS p_description, p.is_public AS p_is_public, p.rbac_enabled AS p_rbac_enabled, \
    p.auto_approve_applications AS p_auto_approve_applications, \
    p.auto_approve_developers AS p_auto_approve_developers, p.custom_domain AS p_custom_domain, \
    p.custom_client_domain AS p_custom_client_domain, p.default_strategy AS p_default_strategy, \
    p.labels AS p_labels, p.created_at AS p_created_at, p.updated_at AS p_updated_at";

/// Of the table `portal_versions o`; the names do not clash in joins.
pub(super) const OFFERED: &str = "o.id AS o_id, o.portal AS o_portal, o.version AS o_version, \
    o.publish_status AS o_publish_status, o.strategy AS o_strategy, \
    o.application_registration_enabled AS o_registration, o.auto_approve_registration AS o_auto_approve, \
    o.deprecated AS o_deprecated, o.created_at AS o_created_at, o.updated_at AS o_updated_at";

pub(super) fn read_portal(row: &AnyRow) -> Result<Portal> {
    Ok(Portal {
        id: PortalId(row.uuid("p_id")?),
        name: row.text("p_name")?,
        display_name: row.text("p_display_name")?,
        description: row.optional_text("p_description")?,
        is_public: row.truth("p_is_public")?,
        rbac_enabled: row.truth("p_rbac_enabled")?,
        auto_approve_applications: row.truth("p_auto_approve_applications")?,
        auto_approve_developers: row.truth("p_auto_approve_developers")?,
        custom_domain: row.optional_text("p_custom_domain")?,
        custom_client_domain: row.optional_text("p_custom_client_domain")?,
        default_strategy: row.optional_uuid("p_default_strategy")?.map(StrategyId),
        labels: row.labels("p_labels")?,
        created_at: row.time("p_created_at")?,
        updated_at: row.time("p_updated_at")?,
    })
}

pub(super) fn read_offered(row: &AnyRow) -> Result<PortalVersion> {
    Ok(PortalVersion {
        id: PortalVersionId(row.uuid("o_id")?),
        portal: PortalId(row.uuid("o_portal")?),
        version: VersionId(row.uuid("o_version")?),
        publish_status: PublishStatus::parse(&row.text("o_publish_status")?)
            .ok_or(StoreError::Corrupt("portal_versions.publish_status"))?,
        strategy: row.optional_uuid("o_strategy")?.map(StrategyId),
        application_registration_enabled: row.truth("o_registration")?,
        auto_approve_registration: row.truth("o_auto_approve")?,
        deprecated: row.truth("o_deprecated")?,
        created_at: row.time("o_created_at")?,
        updated_at: row.time("o_updated_at")?,
    })
}

pub(super) async fn portal_by_id(conn: &mut AnyConnection, id: PortalId) -> Result<Option<Portal>> {
    let sql = format!("SELECT {PORTAL} FROM portals p WHERE p.id = $1");
    let row = sqlx::query(AssertSqlSafe(sql)).bind(id.as_bytes().as_slice()).fetch_optional(conn).await?;
    row.as_ref().map(read_portal).transpose()
}

/// The strategy of applications that are made without one in a portal.
pub(super) async fn default_strategy(
    conn: &mut AnyConnection,
    portal: PortalId,
) -> Result<Option<StrategyId>> {
    Ok(portal_by_id(conn, portal).await?.and_then(|portal| portal.default_strategy))
}

/// How a portal offers a version, if it does.
pub(super) async fn offered(
    conn: &mut AnyConnection,
    portal: PortalId,
    version: VersionId,
) -> Result<Option<(Portal, PortalVersion)>> {
    let sql = format!(
        "SELECT {PORTAL}, {OFFERED} FROM portal_versions o JOIN portals p ON p.id = o.portal \
         WHERE o.portal = $1 AND o.version = $2"
    );
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(portal.as_bytes().as_slice())
        .bind(version.as_bytes().as_slice())
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(|row| Ok((read_portal(row)?, read_offered(row)?))).transpose()
}

impl Writer {
    /// The portal that is always there, and the developers of a time before there were portals.
    pub(super) async fn make_default_portal(&mut self) -> Result<()> {
        let now = self.now;
        sqlx::query(
            "INSERT INTO portals (id, name, display_name, is_public, rbac_enabled, auto_approve_applications, \
             auto_approve_developers, labels, created_at, updated_at) \
             VALUES ($1, 'default', 'default', 0, 0, 0, 0, '{}', $2, $2) ON CONFLICT DO NOTHING",
        )
        .bind(PortalId::DEFAULT.as_bytes().as_slice())
        .bind(now.0)
        .execute(self.conn())
        .await?;
        sqlx::query("UPDATE developers SET portal = $1 WHERE portal IS NULL")
            .bind(PortalId::DEFAULT.as_bytes().as_slice())
            .execute(self.conn())
            .await?;
        Ok(())
    }

    /// Has the applications of revoked developers derived again if they were derived by another rule than holds now.
    pub(super) async fn follow_blocking(&mut self) -> Result<()> {
        let blocks = self.store.0.revoke_developer_blocks;
        let row = sqlx::query("SELECT revoke_blocks FROM head WHERE id = 1").fetch_one(self.conn()).await?;
        if row.truth("revoke_blocks")? == blocks {
            return Ok(());
        }
        sqlx::query("UPDATE head SET revoke_blocks = $1 WHERE id = 1")
            .bind(i64::from(blocks))
            .execute(self.conn())
            .await?;
        let rows = sqlx::query(
            "SELECT a.id FROM applications a JOIN developers d ON d.id = a.developer WHERE d.status = $1",
        )
        .bind(i64::from(DeveloperStatus::Revoked.code()))
        .fetch_all(self.conn())
        .await?;
        for row in &rows {
            self.touch_application(ApplicationId(row.uuid("id")?));
        }
        Ok(())
    }
}
