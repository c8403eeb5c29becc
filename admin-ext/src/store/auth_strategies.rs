//! Auth strategies in the database.

use app_auth_core::ids::{ServiceId, StrategyId};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe};

use super::sql::Columns as _;
use super::{Result, StoreError, Writer};
use crate::model::{AuthStrategy, DcrProviderId, StrategyType, VersionId};

/// Of the table `auth_strategies t`; the names do not clash in joins.
pub(super) const COLUMNS: &str = "t.id AS t_id, t.name AS t_name, t.display_name AS t_display_name, \
    t.strategy_type AS t_type, t.config AS t_config, t.dcr_provider AS t_dcr_provider, t.labels AS t_labels, \
    t.created_at AS t_created_at, t.updated_at AS t_updated_at";

pub(super) fn read(row: &AnyRow) -> Result<AuthStrategy> {
    Ok(AuthStrategy {
        id: StrategyId(row.uuid("t_id")?),
        name: row.text("t_name")?,
        display_name: row.text("t_display_name")?,
        strategy_type: StrategyType::parse(&row.text("t_type")?)
            .ok_or(StoreError::Corrupt("auth_strategies.strategy_type"))?,
        config: row.optional_json("t_config")?.unwrap_or_default(),
        dcr_provider: row.optional_uuid("t_dcr_provider")?.map(DcrProviderId),
        labels: row.labels("t_labels")?,
        created_at: row.time("t_created_at")?,
        updated_at: row.time("t_updated_at")?,
    })
}

pub(super) async fn by_id(conn: &mut AnyConnection, id: StrategyId) -> Result<Option<AuthStrategy>> {
    let sql = format!("SELECT {COLUMNS} FROM auth_strategies t WHERE t.id = $1");
    let row = sqlx::query(AssertSqlSafe(sql)).bind(id.as_bytes().as_slice()).fetch_optional(conn).await?;
    row.as_ref().map(read).transpose()
}

/// The strategies of a product version, whatever the portal, in the order in which they were made.
pub(super) async fn of_version(conn: &mut AnyConnection, version: VersionId) -> Result<Vec<AuthStrategy>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM auth_strategies t WHERE t.id IN \
         (SELECT strategy FROM portal_versions WHERE version = $1) ORDER BY t.created_at, t.id"
    );
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(version.as_bytes().as_slice()).fetch_all(conn).await?;
    rows.iter().map(read).collect()
}

impl Writer {
    /// The records of every service that the strategy is in force on will be derived again.
    pub(super) async fn touch_strategy(&mut self, strategy: StrategyId) -> Result<()> {
        let rows = sqlx::query(
            "SELECT DISTINCT v.service FROM portal_versions o JOIN product_versions v ON v.id = o.version \
             WHERE o.strategy = $1 AND v.service IS NOT NULL",
        )
        .bind(strategy.as_bytes().as_slice())
        .fetch_all(self.conn())
        .await?;
        for row in &rows {
            self.touch_service(ServiceId(row.uuid("service")?));
        }
        Ok(())
    }
}
