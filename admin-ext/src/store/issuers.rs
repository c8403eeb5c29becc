//! What is known of the issuers that strategies name: their metadata and keys, as they were last fetched.

use app_auth_core::record::IssuerRecord;
use serde_json::{Map, Value};
use sqlx::{AnyConnection, AssertSqlSafe};

use tokio::sync::Notify;

use super::sql::Columns as _;
use super::{Actor, Result, Store, Writer};
use crate::model::Timestamp;

/// An issuer that is to be asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DueIssuer {
    /// As strategies name it.
    pub issuer: String,
    /// How often asking has failed since it last did not.
    pub failures: u64,
    /// Something is known of it already.
    pub known: bool,
}

/// How many issuers strategies name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct IssuerCounts {
    /// Nothing is known of them yet.
    pub unknown: u64,
    /// They do not answer.
    pub failing: u64,
    pub all: u64,
}

/// Only issuers that a strategy names are asked.
const NAMED: &str = "EXISTS (SELECT 1 FROM auth_strategies t WHERE t.issuer = i.issuer)";

/// The record of an issuer; none as long as nothing is known of it, or no strategy names it.
pub(super) async fn record(conn: &mut AnyConnection, issuer: &str) -> Result<Option<IssuerRecord>> {
    let row = sqlx::query(
        "SELECT metadata, keys FROM issuers i WHERE i.issuer = $1 \
         AND EXISTS (SELECT 1 FROM auth_strategies t WHERE t.issuer = i.issuer)",
    )
    .bind(issuer.to_owned())
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let metadata: Option<Map<String, Value>> = row.optional_json("metadata")?;
    let Some(metadata) = metadata else { return Ok(None) };
    let text = |member: &str| metadata.get(member).and_then(Value::as_str).map(str::to_owned);
    let list = |member: &str| {
        let words = metadata.get(member).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        words.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    Ok(Some(IssuerRecord {
        configured: issuer.to_owned(),
        issuer: text("issuer").unwrap_or_else(|| issuer.to_owned()),
        token_endpoint: text("token_endpoint"),
        introspection_endpoint: text("introspection_endpoint"),
        token_endpoint_auth_methods: list("token_endpoint_auth_methods_supported"),
        algorithms: list("id_token_signing_alg_values_supported"),
        keys: row.optional_json("keys")?.unwrap_or_default(),
    }))
}

impl Store {
    fn asker() -> Actor {
        Actor { name: "issuers".into(), request: String::new() }
    }

    /// Rings when a strategy names an issuer that is to be asked.
    pub fn issuer_news(&self) -> &Notify {
        &self.0.issuer_news
    }

    /// Issuers that are to be asked now; nobody else is given them for so many milliseconds.
    pub async fn take_due_issuers(&self, limit: usize, milliseconds: i64) -> Result<Vec<DueIssuer>> {
        if self.next_issuer_due().await?.is_none_or(|due| due > self.now()) {
            return Ok(Vec::new());
        }
        let mut writer = self.write(&Self::asker()).await?;
        let now = writer.now;
        let sql = format!(
            "SELECT i.issuer, i.failures, CASE WHEN i.metadata IS NULL THEN 0 ELSE 1 END AS known FROM issuers i \
             WHERE i.next_at <= $1 AND {NAMED} ORDER BY i.next_at LIMIT $2"
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(now.0)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(writer.conn())
            .await?;
        let mut due = Vec::with_capacity(rows.len());
        for row in &rows {
            let issuer = row.text("issuer")?;
            sqlx::query("UPDATE issuers SET next_at = $2 WHERE issuer = $1")
                .bind(issuer.clone())
                .bind(now.plus_millis(milliseconds).0)
                .execute(writer.conn())
                .await?;
            due.push(DueIssuer { issuer, failures: row.count("failures")?, known: row.truth("known")? });
        }
        writer.commit().await?;
        Ok(due)
    }

    /// When the next issuer is to be asked; `None` if there is none.
    pub async fn next_issuer_due(&self) -> Result<Option<Timestamp>> {
        let sql = format!("SELECT MIN(i.next_at) AS due FROM issuers i WHERE {NAMED}");
        let row = sqlx::query(AssertSqlSafe(sql)).fetch_one(&mut *self.reader().await?).await?;
        Ok(row.optional_int("due")?.map(Timestamp))
    }

    /// What an issuer answered; the gateways learn of it.
    pub async fn keep_issuer(
        &self,
        issuer: &str,
        metadata: &Map<String, Value>,
        keys: &[Value],
        next_at: Timestamp,
    ) -> Result<()> {
        let mut writer = self.write(&Self::asker()).await?;
        let now = writer.now;
        sqlx::query(
            "UPDATE issuers SET metadata = $2, keys = $3, fetched_at = $4, next_at = $5, failures = 0, error = NULL \
             WHERE issuer = $1",
        )
        .bind(issuer.to_owned())
        .bind(Value::Object(metadata.clone()).to_string())
        .bind(Value::from(keys).to_string())
        .bind(now.0)
        .bind(next_at.0)
        .execute(writer.conn())
        .await?;
        writer.touch_issuer(issuer);
        writer.commit().await.map(drop)
    }

    /// An issuer did not answer as it should; what is known of it stays.
    pub async fn issuer_failed(&self, issuer: &str, error: &str, next_at: Timestamp) -> Result<()> {
        let mut writer = self.write(&Self::asker()).await?;
        sqlx::query("UPDATE issuers SET failures = failures + 1, error = $2, next_at = $3 WHERE issuer = $1")
            .bind(issuer.to_owned())
            .bind(error.to_owned())
            .bind(next_at.0)
            .execute(writer.conn())
            .await?;
        writer.commit().await.map(drop)
    }

    pub async fn issuer_counts(&self) -> Result<IssuerCounts> {
        let sql = format!(
            "SELECT COUNT(*) AS n, COUNT(i.metadata) AS known, COUNT(i.error) AS failing FROM issuers i WHERE {NAMED}"
        );
        let row = sqlx::query(AssertSqlSafe(sql)).fetch_one(&mut *self.reader().await?).await?;
        let all = row.count("n")?;
        Ok(IssuerCounts {
            unknown: all.saturating_sub(row.count("known")?),
            failing: row.count("failing")?,
            all,
        })
    }
}

impl Writer {
    /// A strategy names another issuer from now on, or none. What nobody has fetched yet is fetched soon.
    pub(super) async fn follow_issuer(&mut self, before: Option<&str>, after: Option<&str>) -> Result<()> {
        if let Some(issuer) = after {
            let now = self.now;
            sqlx::query(
                "INSERT INTO issuers (issuer, next_at, failures) VALUES ($1, $2, 0) ON CONFLICT DO NOTHING",
            )
            .bind(issuer.to_owned())
            .bind(now.0)
            .execute(self.conn())
            .await?;
            self.new_issuer = true;
        }
        for issuer in before.into_iter().chain(after) {
            self.touch_issuer(issuer);
        }
        Ok(())
    }
}
