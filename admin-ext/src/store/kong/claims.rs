//! Claims: who tells Kong of a consumer now. A claim ends when its holder gives it up, or by itself some time after the
//! holder ended.

use std::collections::BTreeSet;

use app_auth_core::ids::ConsumerId;
use sqlx::AssertSqlSafe;

use super::{Claim, Claimed, MARKER, Target, Told, Want, claimed};
use crate::model::Timestamp;
use crate::store::sql::Columns as _;
use crate::store::{Result, Store, Writer, plugins};

impl Writer {
    /// Gives up a claim.
    pub async fn release(&mut self, claim: &Claim) -> Result<()> {
        let consumers: BTreeSet<_> = claim.claimed.iter().map(|claimed| claimed.want.consumer).collect();
        for consumer in consumers {
            sqlx::query("UPDATE kong_sync SET claimed_until = 0 WHERE consumer = $1 AND claimed_until = $2")
                .bind(consumer.as_bytes().as_slice())
                .bind(claim.until.0)
                .execute(self.conn())
                .await?;
        }
        Ok(())
    }

    /// Gives up a claim whose first `asked` wants Kong was asked about and refused the last one of. What Kong never had
    /// to be told before is forgotten, for it has changed on neither side.
    pub async fn withdraw(&mut self, claim: &Claim, asked: usize) -> Result<()> {
        let done = asked.saturating_sub(1);
        for claimed in claim.claimed.iter().skip(done).filter(|claimed| claimed.fresh) {
            self.forget(claimed).await?;
        }
        self.release(claim).await
    }

    /// Deletes a marker whose entity has not changed since it was claimed. Answers whether that was so.
    async fn forget(&mut self, claimed: &Claimed) -> Result<bool> {
        let target = claimed.want.target;
        let deleted = sqlx::query("DELETE FROM kong_sync WHERE target = $1 AND id = $2 AND version = $3")
            .bind(target.kind())
            .bind(target.id().as_bytes().as_slice())
            .bind(claimed.version)
            .execute(self.conn())
            .await?;
        Ok(deleted.rows_affected() > 0)
    }

    /// Whether somebody is telling Kong of a consumer now.
    pub(super) async fn is_claimed(&mut self, consumer: ConsumerId) -> Result<bool> {
        let now = self.now;
        let row =
            sqlx::query("SELECT 1 AS n FROM kong_sync WHERE consumer = $1 AND claimed_until > $2 LIMIT 1")
                .bind(consumer.as_bytes().as_slice())
                .bind(now.0)
                .fetch_optional(self.conn())
                .await?;
        Ok(row.is_some())
    }

    /// Claims what is due of a consumer.
    async fn claim_due(&mut self, id: ConsumerId, until: Timestamp) -> Result<Vec<Claimed>> {
        let now = self.now;
        let sql = format!(
            "UPDATE kong_sync AS k SET claimed_until = $3 WHERE k.consumer = $1 AND k.refused = 0 AND k.next_at <= $2 \
             RETURNING {}",
            MARKER.replace("k.", "")
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(id.as_bytes().as_slice())
            .bind(now.0)
            .bind(until.0)
            .fetch_all(self.conn())
            .await?;
        claimed(self.conn(), id, &rows).await
    }
}

impl Store {
    /// Claims what is due, of so many consumers at most.
    pub async fn claim_markers(&self, consumers: usize, milliseconds: i64) -> Result<Claim> {
        let mut writer = self.write(&Self::keeper()).await?;
        let now = writer.now;
        let rows = sqlx::query(
            "SELECT k.consumer FROM kong_sync k WHERE k.refused = 0 AND k.next_at <= $1 AND NOT EXISTS \
             (SELECT 1 FROM kong_sync c WHERE c.consumer = k.consumer AND c.claimed_until > $1) \
             ORDER BY k.next_at LIMIT 200",
        )
        .bind(now.0)
        .fetch_all(writer.conn())
        .await?;
        let mut due = Vec::new();
        for row in &rows {
            let consumer = ConsumerId(row.uuid("consumer")?);
            if !due.contains(&consumer) && due.len() < consumers {
                due.push(consumer);
            }
        }
        let mut claim = Claim { until: now.plus_millis(milliseconds), claimed: Vec::new() };
        for consumer in due {
            claim.claimed.extend(writer.claim_due(consumer, claim.until).await?);
        }
        writer.commit().await?;
        Ok(claim)
    }

    /// What was claimed of these consumers with [`Writer::claim_at_commit`].
    pub async fn claimed_at_commit(
        &self,
        consumers: &BTreeSet<ConsumerId>,
        until: Timestamp,
    ) -> Result<Claim> {
        let mut reader = self.reader().await?;
        let mut claim = Claim { until, claimed: Vec::new() };
        for id in consumers {
            let sql =
                format!("SELECT {MARKER} FROM kong_sync k WHERE k.consumer = $1 AND k.claimed_until = $2");
            let rows = sqlx::query(AssertSqlSafe(sql))
                .bind(id.as_bytes().as_slice())
                .bind(until.0)
                .fetch_all(&mut *reader)
                .await?;
            claim.claimed.extend(claimed(&mut reader, *id, &rows).await?);
        }
        Ok(claim)
    }

    /// Writes down what is going to be told, before it is told; should this program end in between, the markers are
    /// there. `None`: somebody is telling Kong of one of the consumers already.
    pub async fn intend(&self, wants: &[Want], milliseconds: i64) -> Result<Option<Claim>> {
        let mut writer = self.write(&Self::keeper()).await?;
        let until = writer.now.plus_millis(milliseconds);
        let consumers: BTreeSet<_> = wants.iter().map(|want| want.consumer).collect();
        for consumer in consumers {
            if writer.is_claimed(consumer).await? {
                return Ok(None);
            }
        }
        let mut claimed = Vec::with_capacity(wants.len());
        for want in wants {
            let key = |sql: &'static str| {
                sqlx::query(sql).bind(want.target.kind()).bind(want.target.id().as_bytes().to_vec())
            };
            let before = key("SELECT version FROM kong_sync WHERE target = $1 AND id = $2");
            let fresh = before.fetch_optional(writer.conn()).await?.is_none();
            writer.write_marker(want.target, want.consumer, until, None).await?;
            let after = key("SELECT version FROM kong_sync WHERE target = $1 AND id = $2");
            let version = after.fetch_one(writer.conn()).await?.int("version")?;
            claimed.push(Claimed { want: want.clone(), attempts: 0, version, fresh });
        }
        writer.commit().await?;
        Ok(Some(Claim { until, claimed }))
    }

    /// Writes down what came of a claim and gives it up.
    pub async fn finish_claim(&self, claim: &Claim, told: Vec<Told>) -> Result<()> {
        let mut writer = self.write(&Self::keeper()).await?;
        for (claimed, told) in claim.claimed.iter().zip(told) {
            let target = claimed.want.target;
            let (refused, error, next_at) = match told {
                Told::Untouched => continue,
                Told::Applied(answer) => {
                    if writer.forget(claimed).await?
                        && let (Target::Plugin(id), Some(answer)) = (target, answer)
                    {
                        plugins::keep_answer(writer.conn(), id, answer).await?;
                    }
                    continue;
                }
                Told::Failed { error, next_at } => (0, error, next_at),
                Told::Refused { error } => (1, error, writer.now),
            };
            sqlx::query(
                "UPDATE kong_sync SET refused = $4, error = $5, next_at = $6, attempts = attempts + 1 \
                 WHERE target = $1 AND id = $2 AND version = $3",
            )
            .bind(target.kind())
            .bind(target.id().as_bytes().as_slice())
            .bind(claimed.version)
            .bind(refused)
            .bind(error)
            .bind(next_at.0)
            .execute(writer.conn())
            .await?;
        }
        writer.release(claim).await?;
        writer.commit().await.map(drop)
    }

    /// Gives up a claim; what is claimed is due again.
    pub async fn release_claim(&self, claim: &Claim) -> Result<()> {
        let mut writer = self.write(&Self::keeper()).await?;
        writer.release(claim).await?;
        writer.commit().await.map(drop)
    }

    /// See [`Writer::withdraw`].
    pub async fn withdraw_claim(&self, claim: &Claim, asked: usize) -> Result<()> {
        let mut writer = self.write(&Self::keeper()).await?;
        writer.withdraw(claim, asked).await?;
        writer.commit().await.map(drop)
    }

    /// Gives up every claim: whoever held one has ended.
    pub async fn release_all_claims(&self) -> Result<()> {
        let mut writer = self.write(&Self::keeper()).await?;
        sqlx::query("UPDATE kong_sync SET claimed_until = 0 WHERE claimed_until > 0")
            .execute(writer.conn())
            .await?;
        writer.commit().await.map(drop)
    }
}
