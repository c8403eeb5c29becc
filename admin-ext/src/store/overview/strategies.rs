//! Auth strategies and DCR providers, as a person looks through them: who uses them, and whether their issuers answer.

use app_auth_core::ids::StrategyId;
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use super::super::sql::{Columns as _, List};
use super::super::{Result, Store, auth_strategies, dcr_jobs};
use super::COUNTED_MAX;
use crate::model::{AuthStrategyDetail, DcrProvider, DcrProviderId, Offset, PageRequest, VersionId};
use crate::store::DcrJob;

/// A strategy, and how many use it; no more than [`COUNTED_MAX`] are counted.
#[derive(Clone, Debug)]
pub struct StrategyLine {
    /// Without the secrets of its configuration.
    pub detail: AuthStrategyDetail,
    pub versions: u64,
    pub applications: u64,
}

/// A product version that has a strategy in a portal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StrategyUse {
    pub portal: String,
    pub product: String,
    pub version: String,
    pub published: bool,
    /// The gateway service that serves it, if one does.
    pub service: Option<String>,
    pub version_id: VersionId,
}

fn counted(table: &str) -> String {
    format!(
        "(SELECT COUNT(*) FROM (SELECT 1 AS one FROM {table} u WHERE u.strategy = t.id LIMIT {COUNTED_MAX}) counted)"
    )
}

fn line(row: &AnyRow) -> Result<StrategyLine> {
    Ok(StrategyLine {
        detail: auth_strategies::read_detail(row)?,
        versions: row.count("t_versions")?,
        applications: row.count("t_applications")?,
    })
}

impl Store {
    /// A page of the strategies, in the order in which they were made; of one DCR provider, or of all.
    pub async fn strategy_lines(
        &self,
        provider: Option<DcrProviderId>,
        page: PageRequest,
    ) -> Result<(Vec<StrategyLine>, Option<Offset>)> {
        let columns = format!(
            "{}, {}, {} AS t_versions, {} AS t_applications",
            auth_strategies::COLUMNS,
            auth_strategies::DETAIL,
            counted("portal_versions"),
            counted("applications"),
        );
        let condition = provider.map_or("1 = 1", |_| "t.dcr_provider = $1");
        let from = format!("auth_strategies t {} WHERE {condition}", auth_strategies::PROVIDER);
        List { columns: &columns, from: &from, bound: usize::from(provider.is_some()), alias: "t" }
            .slice(
                &mut *self.reader().await?,
                page,
                |query| match provider {
                    Some(provider) => query.bind(provider.as_bytes().to_vec()),
                    None => query,
                },
                line,
                |line| Offset { created_at: line.detail.strategy.created_at, id: line.detail.strategy.id.0 },
            )
            .await
    }

    /// The product versions that have a strategy, by their names; so many at most.
    pub async fn uses_of(&self, strategy: StrategyId, limit: u16) -> Result<Vec<StrategyUse>> {
        let rows = sqlx::query(
            "SELECT q.display_name AS portal, p.name AS product, v.name AS version, v.id AS version_id, \
             o.publish_status, s.name AS service FROM portal_versions o JOIN portals q ON q.id = o.portal \
             JOIN product_versions v ON v.id = o.version JOIN api_products p ON p.id = v.product \
             LEFT JOIN services s ON s.id = v.service WHERE o.strategy = $1 \
             ORDER BY p.name, v.name, q.name LIMIT $2",
        )
        .bind(strategy.as_bytes().as_slice())
        .bind(i64::from(limit))
        .fetch_all(&mut *self.reader().await?)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(StrategyUse {
                    portal: row.text("portal")?,
                    product: row.text("product")?,
                    version: row.text("version")?,
                    published: row.text("publish_status")? == "published",
                    service: row.optional_text("service")?,
                    version_id: VersionId(row.uuid("version_id")?),
                })
            })
            .collect()
    }

    /// A page of the DCR providers, in the order in which they were made.
    pub async fn provider_lines(&self, page: PageRequest) -> Result<(Vec<DcrProvider>, Option<Offset>)> {
        let (columns, from) = (super::super::dcr_providers::COLUMNS, "dcr_providers r WHERE 1 = 1");
        List { columns, from, bound: 0, alias: "r" }
            .slice(
                &mut *self.reader().await?,
                page,
                |query| query,
                |row| self.read_provider(row).map(|detail| detail.provider),
                |provider| Offset { created_at: provider.created_at, id: provider.id.0 },
            )
            .await
    }

    /// What a provider has still to be told, the oldest first; so many at most.
    pub async fn jobs_of_provider(&self, provider: DcrProviderId, limit: u16) -> Result<Vec<DcrJob>> {
        let sql = format!(
            "SELECT {} FROM dcr_jobs j WHERE j.provider = $1 ORDER BY j.created_at, j.id LIMIT $2",
            dcr_jobs::COLUMNS
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(provider.as_bytes().as_slice())
            .bind(i64::from(limit))
            .fetch_all(&mut *self.reader().await?)
            .await?;
        rows.iter().map(dcr_jobs::read).collect()
    }
}
