//! What is known of the issuers that strategies name: their metadata and keys, as they were last fetched.

use app_auth_core::digest::KeyDigest;
use app_auth_core::ids::Revision;
use app_auth_core::record::IssuerRecord;
use serde_json::{Map, Value};
use sqlx::{AnyConnection, AssertSqlSafe};

use tokio::sync::{Notify, watch};

use super::sql::{Columns as _, signed};
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
    /// It has keys that tokens can be known by.
    pub has_keys: bool,
    /// Which fetch this is; the first is 1.
    pub fetch: u64,
}

/// How far the fetching of an issuer is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FetchProgress {
    /// Something is known of it.
    pub known: bool,
    /// How many fetches have begun.
    pub begun: u64,
    /// The last that ended.
    pub ended: u64,
    /// The one that somebody waits for, if it is greater than `begun`.
    pub wanted: u64,
    /// When the last one ended, if it failed.
    pub failed_at: Option<Timestamp>,
}

/// Whether an issuer answers, for those who look.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IssuerState {
    /// Something is known of it.
    pub known: bool,
    /// Number of keys that tokens can be known by.
    pub keys: usize,
    /// When it was last asked with success.
    pub fetched_at: Option<Timestamp>,
    /// When it is asked next.
    pub next_at: Timestamp,
    /// How often asking has failed since it last did not, and why.
    pub failures: u64,
    pub error: Option<String>,
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

async fn fetch_progress(conn: &mut AnyConnection, issuer: &str) -> Result<Option<FetchProgress>> {
    let sql = format!(
        "SELECT CASE WHEN i.metadata IS NULL THEN 0 ELSE 1 END AS known, i.begun, i.ended, i.wanted, \
         CASE WHEN i.failures > 0 THEN i.ended_at END AS failed_at FROM issuers i WHERE i.issuer = $1 AND {NAMED}"
    );
    let row = sqlx::query(AssertSqlSafe(sql)).bind(issuer.to_owned()).fetch_optional(conn).await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(FetchProgress {
        known: row.truth("known")?,
        begun: row.count("begun")?,
        ended: row.count("ended")?,
        wanted: row.count("wanted")?,
        failed_at: row.optional_int("failed_at")?.map(Timestamp),
    }))
}

impl Store {
    fn asker() -> Actor {
        Actor::internal("issuers")
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
            "SELECT i.issuer, i.failures, CASE WHEN i.metadata IS NULL THEN 0 ELSE 1 END AS known, \
             CASE WHEN i.keys IS NULL OR i.keys = '[]' THEN 0 ELSE 1 END AS has_keys, i.begun FROM issuers i \
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
            sqlx::query(
                "UPDATE issuers SET next_at = $2, begun = begun + 1, began_at = $3 WHERE issuer = $1",
            )
            .bind(issuer.clone())
            .bind(now.plus_millis(milliseconds).0)
            .bind(now.0)
            .execute(writer.conn())
            .await?;
            due.push(DueIssuer {
                issuer,
                failures: row.count("failures")?,
                known: row.truth("known")?,
                has_keys: row.truth("has_keys")?,
                fetch: row.count("begun")?.saturating_add(1),
            });
        }
        writer.commit().await?;
        Ok(due)
    }

    /// How far the fetching of an issuer is; `None` if no strategy names it.
    pub async fn fetch_progress(&self, issuer: &str) -> Result<Option<FetchProgress>> {
        fetch_progress(&mut *self.reader().await?, issuer).await
    }

    /// Asks for a fetch that has not begun yet, and answers which one that will be. It begins so many milliseconds after
    /// the one before at the earliest. `None` if no strategy names the issuer.
    pub async fn want_fetch(&self, issuer: &str, apart: i64) -> Result<Option<u64>> {
        let mut writer = self.write(&Self::asker()).await?;
        let Some(progress) = fetch_progress(writer.conn(), issuer).await? else { return Ok(None) };
        if progress.wanted > progress.begun {
            return Ok(Some(progress.wanted));
        }
        let wanted = progress.begun.saturating_add(1);
        let now = writer.now;
        // One that is under way sees to the next when it ends; until then nobody else may begin.
        sqlx::query(
            "UPDATE issuers SET wanted = $2, next_at = CASE \
             WHEN begun > ended AND next_at > $3 THEN next_at \
             WHEN began_at IS NOT NULL AND began_at + $4 > $3 THEN began_at + $4 ELSE $3 END WHERE issuer = $1",
        )
        .bind(issuer.to_owned())
        .bind(signed(wanted))
        .bind(now.0)
        .bind(apart)
        .execute(writer.conn())
        .await?;
        writer.new_issuer = true;
        writer.commit().await?;
        Ok(Some(wanted))
    }

    /// When the record of an issuer was last changed; `None` if it has none.
    pub async fn issuer_revision(&self, issuer: &str) -> Result<Option<Revision>> {
        let key = KeyDigest::of_issuer(&self.id(), issuer);
        let row = sqlx::query("SELECT revision FROM records WHERE digest = $1")
            .bind(key.0.as_slice())
            .fetch_optional(&mut *self.reader().await?)
            .await?;
        row.map(|row| row.count("revision").map(Revision)).transpose()
    }

    /// Moves whenever a fetch of this replica has ended.
    pub fn fetches_ended(&self) -> watch::Receiver<()> {
        self.0.issuer_fetches.subscribe()
    }

    /// When the next issuer is to be asked; `None` if there is none.
    pub async fn next_issuer_due(&self) -> Result<Option<Timestamp>> {
        let sql = format!("SELECT MIN(i.next_at) AS due FROM issuers i WHERE {NAMED}");
        let row = sqlx::query(AssertSqlSafe(sql)).fetch_one(&mut *self.reader().await?).await?;
        Ok(row.optional_int("due")?.map(Timestamp))
    }

    /// What an issuer answered; the gateways learn of it. It is asked again at `next_at` or, if somebody waits for that, so
    /// many milliseconds after it was asked.
    pub async fn keep_issuer(
        &self,
        due: &DueIssuer,
        metadata: &Map<String, Value>,
        keys: &[Value],
        next_at: Timestamp,
        apart: i64,
    ) -> Result<()> {
        let mut writer = self.write(&Self::asker()).await?;
        let now = writer.now;
        // What was fetched earlier never replaces what was fetched later.
        sqlx::query(
            "UPDATE issuers SET metadata = $3, keys = $4, fetched_at = $5, ended_at = $5, ended = $2, failures = 0, \
             error = NULL, next_at = CASE WHEN begun > $2 THEN next_at WHEN wanted > $2 THEN began_at + $7 ELSE $6 END \
             WHERE issuer = $1 AND ended < $2",
        )
        .bind(due.issuer.clone())
        .bind(signed(due.fetch))
        .bind(Value::Object(metadata.clone()).to_string())
        .bind(Value::from(keys).to_string())
        .bind(now.0)
        .bind(next_at.0)
        .bind(apart)
        .execute(writer.conn())
        .await?;
        writer.touch_issuer(&due.issuer);
        writer.commit().await?;
        self.0.issuer_fetches.send_replace(());
        Ok(())
    }

    /// An issuer did not answer as it should; what is known of it stays. Whoever waits has waited for that.
    pub async fn issuer_failed(&self, due: &DueIssuer, error: &str, next_at: Timestamp) -> Result<()> {
        let mut writer = self.write(&Self::asker()).await?;
        let now = writer.now;
        sqlx::query(
            "UPDATE issuers SET failures = failures + 1, error = $3, ended_at = $4, ended = $2, \
             wanted = CASE WHEN begun > $2 THEN wanted ELSE $2 END, \
             next_at = CASE WHEN begun > $2 THEN next_at ELSE $5 END WHERE issuer = $1 AND ended < $2",
        )
        .bind(due.issuer.clone())
        .bind(signed(due.fetch))
        .bind(error.to_owned())
        .bind(now.0)
        .bind(next_at.0)
        .execute(writer.conn())
        .await?;
        writer.commit().await?;
        self.0.issuer_fetches.send_replace(());
        Ok(())
    }

    /// What an issuer says of itself, as it was last fetched; `None` if nothing is known of it.
    pub async fn issuer_metadata(&self, issuer: &str) -> Result<Option<Map<String, Value>>> {
        let row = sqlx::query("SELECT metadata FROM issuers WHERE issuer = $1")
            .bind(issuer.to_owned())
            .fetch_optional(&mut *self.reader().await?)
            .await?;
        row.map_or(Ok(None), |row| row.optional_json("metadata"))
    }

    /// Whether an issuer answers; `None` if no strategy names it.
    pub async fn issuer_state(&self, issuer: &str) -> Result<Option<IssuerState>> {
        let sql = format!(
            "SELECT CASE WHEN i.metadata IS NULL THEN 0 ELSE 1 END AS known, i.keys, i.fetched_at, i.next_at, \
             i.failures, i.error FROM issuers i WHERE i.issuer = $1 AND {NAMED}"
        );
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(issuer.to_owned())
            .fetch_optional(&mut *self.reader().await?)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let keys: Vec<Value> = row.optional_json("keys")?.unwrap_or_default();
        Ok(Some(IssuerState {
            known: row.truth("known")?,
            keys: keys.len(),
            fetched_at: row.optional_int("fetched_at")?.map(Timestamp),
            next_at: row.time("next_at")?,
            failures: row.count("failures")?,
            error: row.optional_text("error")?,
        }))
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
