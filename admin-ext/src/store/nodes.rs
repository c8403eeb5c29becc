//! What is remembered of gateway nodes across restarts.

use app_auth_core::ids::Revision;

use super::sql::{Columns as _, signed};
use super::{Result, Store};
use crate::model::Timestamp;

/// A gateway node as it was last seen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredNode {
    pub node: String,
    pub version: String,
    pub applied: Revision,
    pub seen_at: Timestamp,
}

impl Store {
    pub async fn load_nodes(&self) -> Result<Vec<StoredNode>> {
        let rows = sqlx::query("SELECT node, version, applied, seen_at FROM nodes")
            .fetch_all(&mut *self.reader().await?)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(StoredNode {
                    node: row.text("node")?,
                    version: row.text("version")?,
                    applied: Revision(row.count("applied")?),
                    seen_at: row.time("seen_at")?,
                })
            })
            .collect()
    }

    /// Remembers nodes; a replica that saw a node later wins. Forgets those not seen since `forget_before`.
    pub async fn save_nodes(&self, nodes: &[StoredNode], forget_before: Timestamp) -> Result<()> {
        let mut tx = self.0.writes.begin().await?;
        for node in nodes {
            sqlx::query(
                "INSERT INTO nodes (node, version, applied, seen_at) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (node) DO UPDATE SET version = excluded.version, applied = excluded.applied, \
                 seen_at = excluded.seen_at WHERE excluded.seen_at >= nodes.seen_at",
            )
            .bind(node.node.clone())
            .bind(node.version.clone())
            .bind(signed(node.applied.0))
            .bind(node.seen_at.0)
            .execute(&mut *tx)
            .await?;
        }
        sqlx::query("DELETE FROM nodes WHERE seen_at < $1").bind(forget_before.0).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }
}
