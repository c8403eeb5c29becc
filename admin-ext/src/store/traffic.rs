//! Traffic in the database: taking reports, each batch once, and adding them up for a period. No change of an entity: it
//! moves no revision, takes no head lock and leaves no audit line.

use std::collections::{BTreeMap, BTreeSet};

use app_auth_core::ids::{ApplicationId, ServiceId};
use app_auth_core::traffic::{Key, Outcome};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe};

use super::sql::{Columns as _, insert, signed};
use super::{Result, Store, StoreError};
use crate::model::Timestamp;
use crate::model::traffic::{Counted, Period, Span, Traffic};

/// Rows of one statement. More cost more: SQLite finds the name of each parameter by counting from the first.
const ROWS: usize = 50;
/// Rows that are removed in one transaction, so that others can write between two of them.
const PRUNED_AT_ONCE: i64 = 5_000;
/// How long a reporter is remembered after its last report. One that is silent for longer has gone with its gateway.
const REPORTERS_KEPT_MS: i64 = 30 * 24 * 3_600_000;
/// Most applications whose last use is told in one call.
const ASKED_MAX: usize = 1_000;

/// What a reporter has to say since its last batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrafficBatch {
    pub reporter: [u8; 16],
    pub seq: u64,
    pub rows: Vec<(Key, u64)>,
}

/// What became of a report.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TrafficTaken {
    /// Batches that are counted now.
    pub batches: u64,
    /// Those that had been counted before.
    pub repeated: u64,
    /// Requests that are counted now.
    pub requests: u64,
}

impl Store {
    /// Counts what gateways report, all of it or nothing, as of now.
    pub async fn take_traffic(&self, mut batches: Vec<TrafficBatch>) -> Result<TrafficTaken> {
        let now = self.now();
        // Whoever reports at the same time takes the same rows in the same order, and nobody waits for each other in a ring.
        batches.sort_by_key(|batch| (batch.reporter, batch.seq));
        let mut tx = self.0.writes.begin().await?;
        let (mut taken, mut sums) = (TrafficTaken::default(), BTreeMap::<Key, u64>::new());
        for batch in batches {
            if !is_new(&mut tx, &batch, now).await? {
                taken.repeated += 1;
                continue;
            }
            taken.batches += 1;
            for (key, requests) in batch.rows {
                taken.requests = taken.requests.saturating_add(requests);
                let sum = sums.entry(key).or_default();
                *sum = sum.saturating_add(requests);
            }
        }
        let rows: Vec<_> = sums.into_iter().collect();
        for span in Span::ALL {
            for rows in rows.chunks(ROWS) {
                add(&mut tx, span, now, rows).await?;
            }
        }
        let used: BTreeSet<_> = rows.iter().map(|(key, _)| key.application).collect();
        let used: Vec<_> = used.into_iter().filter(|application| !application.0.is_nil()).collect();
        for applications in used.chunks(ROWS) {
            mark_used(&mut tx, applications, now).await?;
        }
        tx.commit().await?;
        Ok(taken)
    }

    /// An application's requests of a period.
    pub async fn traffic(&self, application: ApplicationId, period: Period) -> Result<Traffic> {
        let now = self.now();
        let (from, to) = period.range(now);
        let mut reader = self.reader().await?;
        let select = |columns: &str, tables: &str, group: &str| {
            format!(
                "SELECT {columns}, t.outcome AS outcome, CAST(SUM(t.requests) AS BIGINT) AS n FROM {tables} \
                 WHERE t.application = $1 AND t.span = $2 AND t.at >= $3 AND t.at < $4 GROUP BY {group}, t.outcome"
            )
        };
        let by_time = select("t.at AS at", "traffic t", "t.at");
        let by_service = select(
            "t.service AS service, s.name AS name",
            "traffic t LEFT JOIN services s ON s.id = t.service",
            "t.service, s.name",
        );
        let mut rows = async |sql: String| {
            sqlx::query(AssertSqlSafe(sql))
                .bind(application.as_bytes().to_vec())
                .bind(period.span().millis())
                .bind(from.0)
                .bind(to.0)
                .fetch_all(&mut *reader)
                .await
        };
        let (by_time, by_service) = (rows(by_time).await?, rows(by_service).await?);
        let by_time = by_time.iter().map(|row| counted(row, row.time("at")?));
        let by_service = by_service
            .iter()
            .map(|row| counted(row, (ServiceId(row.uuid("service")?), row.optional_text("name")?)));
        Ok(Traffic::new(period, now, by_time.collect::<Result<_>>()?, by_service.collect::<Result<_>>()?))
    }

    /// When requests of applications were last counted, let through or not, to the time of the report. Those of which none
    /// ever was are left out.
    pub async fn last_used(&self, applications: &[ApplicationId]) -> Result<Vec<(ApplicationId, Timestamp)>> {
        let asked = applications.get(..ASKED_MAX).unwrap_or(applications);
        let mut reader = self.reader().await?;
        let mut used = Vec::new();
        for applications in asked.chunks(ROWS) {
            let places: Vec<_> = (1..=applications.len()).map(|place| format!("${place}")).collect();
            let sql = format!(
                "SELECT application, last_used_at FROM application_use WHERE application IN ({})",
                places.join(", ")
            );
            let query = applications
                .iter()
                .fold(sqlx::query(AssertSqlSafe(sql)), |query, id| query.bind(id.as_bytes().to_vec()));
            for row in query.fetch_all(&mut *reader).await? {
                used.push((ApplicationId(row.uuid("application")?), row.time("last_used_at")?));
            }
        }
        Ok(used)
    }

    /// Removes some of what is older than it is kept. Answers how many rows; there may be more.
    pub async fn prune_traffic(&self) -> Result<u64> {
        let now = self.now();
        let mut gone = 0;
        for span in Span::ALL {
            let before = now.plus_millis(-span.kept_millis());
            let found = sqlx::query(
                "SELECT COUNT(*) AS n FROM (SELECT 1 FROM traffic WHERE span = $1 AND at < $2 LIMIT 1) AS t",
            )
            .bind(span.millis())
            .bind(before.0)
            .fetch_one(&mut *self.reader().await?)
            .await?
            .count("n")?;
            // Without a need nobody is kept from writing.
            if found == 0 {
                continue;
            }
            let sql = format!(
                "DELETE FROM traffic WHERE (application, span, at, service, outcome) IN (SELECT application, span, at, \
                 service, outcome FROM traffic WHERE span = $1 AND at < $2 LIMIT {PRUNED_AT_ONCE})"
            );
            let query = sqlx::query(AssertSqlSafe(sql)).bind(span.millis()).bind(before.0);
            gone += query.execute(&mut *self.0.writes.acquire().await?).await?.rows_affected();
        }
        Ok(gone)
    }

    /// Forgets reporters that are silent for long, and the last use of applications that are gone.
    pub async fn forget_reporters(&self) -> Result<u64> {
        let now = self.now();
        let mut writes = self.0.writes.acquire().await?;
        let reporters = sqlx::query("DELETE FROM traffic_reporters WHERE reported_at < $1")
            .bind(now.plus_millis(-REPORTERS_KEPT_MS).0)
            .execute(&mut *writes)
            .await?
            .rows_affected();
        let uses = sqlx::query(
            "DELETE FROM application_use WHERE last_used_at < $1 \
             AND NOT EXISTS (SELECT 1 FROM applications a WHERE a.id = application_use.application)",
        )
        .bind(now.plus_millis(-Span::Hour.kept_millis()).0)
        .execute(&mut *writes)
        .await?
        .rows_affected();
        Ok(reporters + uses)
    }
}

/// Notes a batch as taken. False where it was before: then nothing of it may count.
async fn is_new(conn: &mut AnyConnection, batch: &TrafficBatch, now: Timestamp) -> Result<bool> {
    let noted = sqlx::query(
        "INSERT INTO traffic_reporters (id, seq, reported_at) VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE \
         SET seq = excluded.seq, reported_at = excluded.reported_at WHERE traffic_reporters.seq < excluded.seq",
    )
    .bind(batch.reporter.to_vec())
    .bind(signed(batch.seq))
    .bind(now.0)
    .execute(conn)
    .await?;
    Ok(noted.rows_affected() > 0)
}

async fn add(conn: &mut AnyConnection, span: Span, now: Timestamp, rows: &[(Key, u64)]) -> Result<()> {
    let columns = "traffic (application, span, at, service, outcome, requests)";
    let sql = format!(
        "{} ON CONFLICT (application, span, at, service, outcome) \
         DO UPDATE SET requests = traffic.requests + excluded.requests",
        insert(columns, 6, rows.len())
    );
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for (key, requests) in rows {
        query = query
            .bind(key.application.as_bytes().to_vec())
            .bind(span.millis())
            .bind(span.start(now).0)
            .bind(key.service.as_bytes().to_vec())
            .bind(i64::from(key.outcome.code()))
            .bind(signed(*requests));
    }
    query.execute(conn).await?;
    Ok(())
}

async fn mark_used(conn: &mut AnyConnection, applications: &[ApplicationId], now: Timestamp) -> Result<()> {
    let sql = format!(
        "{} ON CONFLICT (application) DO UPDATE SET last_used_at = excluded.last_used_at \
         WHERE application_use.last_used_at < excluded.last_used_at",
        insert("application_use (application, last_used_at)", 2, applications.len())
    );
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for application in applications {
        query = query.bind(application.as_bytes().to_vec()).bind(now.0);
    }
    query.execute(conn).await?;
    Ok(())
}

fn counted<Of>(row: &AnyRow, of: Of) -> Result<Counted<Of>> {
    let outcome = u8::try_from(row.int("outcome")?).map_err(|_| StoreError::Corrupt("outcome"))?;
    Ok(Counted { of, outcome: Outcome::from_code(outcome), requests: row.count("n")? })
}
