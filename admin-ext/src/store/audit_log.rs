//! Reads the audit log, newest first. What its lines say is decided where they are written.

use std::fmt::Write as _;

use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;
use uuid::Uuid;

use super::sql::{AnyQuery, Columns as _, cut, rows_of, signed};
use super::{Entity, Result, Store};
use crate::model::{Listed, Offset, PageRequest, Timestamp};

const COLUMNS: &str = "seq, at, actor, request, action, entity, entity_id, before_change, after_change";

/// One line of the audit log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditEntry {
    pub seq: u64,
    pub at: Timestamp,
    pub actor: String,
    pub request: String,
    pub action: String,
    pub entity: String,
    pub entity_id: String,
    /// JSON texts.
    pub before: Option<String>,
    pub after: Option<String>,
}

/// Which lines to read: those that meet all that is given.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    pub actor: Option<String>,
    pub request: Option<String>,
    pub action: Option<String>,
    pub entity: Option<Entity>,
    pub entity_id: Option<Uuid>,
    /// Inclusive.
    pub since: Option<Timestamp>,
    /// Inclusive.
    pub until: Option<Timestamp>,
}

/// A value that a condition compares with.
enum Operand {
    Text(String),
    Number(i64),
}

impl AuditFilter {
    /// Conditions, each still without its placeholder, and what they compare with.
    fn conditions(&self) -> Vec<(&'static str, Operand)> {
        let text = |condition, value: Option<String>| value.map(|value| (condition, Operand::Text(value)));
        let time = |condition, value: Option<Timestamp>| value.map(|at| (condition, Operand::Number(at.0)));
        [
            text("actor =", self.actor.clone()),
            text("request =", self.request.clone()),
            text("action =", self.action.clone()),
            text("entity =", self.entity.map(|entity| entity.noun().to_owned())),
            text("entity_id =", self.entity_id.map(|id| id.to_string())),
            time("at >=", self.since),
            time("at <=", self.until),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// The conditions with their placeholders, each followed by `AND`.
fn numbered(operands: &[(&str, Operand)]) -> String {
    let mut conditions = String::new();
    for ((condition, _), n) in operands.iter().zip(1..) {
        // Writing to a string cannot fail.
        let _ = write!(conditions, "{condition} ${n} AND ");
    }
    conditions
}

/// A page of the lines that meet conditions with that many placeholders; its place and size come after them.
fn select(conditions: &str, bound: usize) -> String {
    let (at, seq, limit) = (bound + 1, bound + 2, bound + 3);
    format!(
        "SELECT {COLUMNS} FROM audit WHERE {conditions}(at, seq) < (${at}, ${seq}) \
         ORDER BY at DESC, seq DESC LIMIT ${limit}"
    )
}

fn bind<'q>(mut query: AnyQuery<'q>, operands: &[(&str, Operand)]) -> AnyQuery<'q> {
    for (_, operand) in operands {
        query = match operand {
            Operand::Text(text) => query.bind(text.clone()),
            Operand::Number(number) => query.bind(*number),
        };
    }
    query
}

fn read(row: &AnyRow) -> Result<AuditEntry> {
    Ok(AuditEntry {
        seq: row.count("seq")?,
        at: row.time("at")?,
        actor: row.text("actor")?,
        request: row.text("request")?,
        action: row.text("action")?,
        entity: row.text("entity")?,
        entity_id: row.text("entity_id")?,
        before: row.optional_text("before_change")?,
        after: row.optional_text("after_change")?,
    })
}

/// The place of a line: its time, and its number where an id would be.
fn place(entry: &AuditEntry) -> Offset {
    Offset { created_at: entry.at, id: Uuid::from_u64_pair(0, entry.seq) }
}

impl Store {
    /// A page of the audit log, newest first.
    pub async fn audit_log(&self, filter: &AuditFilter, page: PageRequest) -> Result<Listed<AuditEntry>> {
        let operands = filter.conditions();
        let mut reader = self.reader().await?;
        let total = if operands.is_empty() {
            // No line ever goes, so the number of the newest is the number of all.
            sqlx::query("SELECT audit AS n FROM head WHERE id = 1").fetch_one(&mut *reader).await?
        } else {
            let count = format!("SELECT COUNT(*) AS n FROM audit WHERE {}1 = 1", numbered(&operands));
            bind(sqlx::query(AssertSqlSafe(count)), &operands).fetch_one(&mut *reader).await?
        };
        drop(reader);
        let (items, next) = self.audit_entries(filter, page).await?;
        Ok(Listed { items, next, total: total.count("n")? })
    }

    /// As [`Store::audit_log`], for those who need not know how many there are.
    pub async fn audit_entries(
        &self,
        filter: &AuditFilter,
        page: PageRequest,
    ) -> Result<(Vec<AuditEntry>, Option<Offset>)> {
        let operands = filter.conditions();
        let (at, seq) = page
            .offset
            .map_or((i64::MAX, i64::MAX), |offset| (offset.created_at.0, signed(offset.id.as_u64_pair().1)));
        let select = select(&numbered(&operands), operands.len());
        let rows = bind(sqlx::query(AssertSqlSafe(select)), &operands)
            .bind(at)
            .bind(seq)
            .bind(rows_of(&page))
            .fetch_all(&mut *self.reader().await?)
            .await?;
        cut(&rows, &page, read, place)
    }

    /// The newest line that meets a filter.
    pub async fn newest_audit_entry(&self, filter: &AuditFilter) -> Result<Option<AuditEntry>> {
        let operands = filter.conditions();
        let row = bind(sqlx::query(AssertSqlSafe(select(&numbered(&operands), operands.len()))), &operands)
            .bind(i64::MAX)
            .bind(i64::MAX)
            .bind(1_i64)
            .fetch_optional(&mut *self.reader().await?)
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// The line of the audit log with a number.
    pub async fn audit_entry(&self, seq: u64) -> Result<Option<AuditEntry>> {
        let row = sqlx::query(AssertSqlSafe(format!("SELECT {COLUMNS} FROM audit WHERE seq = $1")))
            .bind(signed(seq))
            .fetch_optional(&mut *self.reader().await?)
            .await?;
        row.as_ref().map(read).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestStore;

    #[tokio::test]
    async fn a_page_is_read_from_an_index_in_its_order_whatever_the_filter() {
        let test = TestStore::open().await;
        if !test.is_sqlite() {
            return;
        }
        let (word, at) = (Some("x".to_owned()), Some(Timestamp(0)));
        for filter in [
            AuditFilter::default(),
            AuditFilter { actor: word.clone(), ..AuditFilter::default() },
            AuditFilter { request: word.clone(), ..AuditFilter::default() },
            AuditFilter { action: word.clone(), since: at, until: at, ..AuditFilter::default() },
            AuditFilter { entity: Some(Entity::Role), since: at, ..AuditFilter::default() },
            AuditFilter { entity_id: Some(Uuid::nil()), until: at, ..AuditFilter::default() },
            AuditFilter { since: at, until: at, ..AuditFilter::default() },
        ] {
            let operands = filter.conditions();
            let sql = format!("EXPLAIN QUERY PLAN {}", select(&numbered(&operands), operands.len()));
            let rows = bind(sqlx::query(AssertSqlSafe(sql)), &operands)
                .bind(i64::MAX)
                .bind(i64::MAX)
                .bind(10_i64)
                .fetch_all(&mut *test.store.reader().await.unwrap())
                .await
                .unwrap();
            let plan: Vec<_> = rows.iter().map(|row| row.text("detail").unwrap()).collect();
            let plan = plan.join("; ");
            assert!(
                plan.starts_with("SEARCH audit USING INDEX") && !plan.contains("TEMP"),
                "{filter:?}: {plan}"
            );
        }
    }
}
