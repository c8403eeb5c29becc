//! The few things all queries share: reading columns, and the one way to page through a list.

use serde::de::DeserializeOwned;
use sqlx::AnyConnection;
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe, Row as _};
use uuid::Uuid;

use super::{Result, StoreError};
use crate::model::{Labels, Listed, Offset, PageRequest, TagFilter, Timestamp};

/// Which database it is, for the few statements that differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Backend {
    Sqlite,
    Postgres,
}

/// A query in progress.
pub(super) type AnyQuery<'q> = Query<'q, Any, AnyArguments>;

/// Columns as the types the model has for them.
pub(super) trait Columns {
    fn uuid(&self, column: &'static str) -> Result<Uuid>;
    fn optional_uuid(&self, column: &'static str) -> Result<Option<Uuid>>;
    fn int(&self, column: &'static str) -> Result<i64>;
    fn optional_int(&self, column: &'static str) -> Result<Option<i64>>;
    fn text(&self, column: &'static str) -> Result<String>;
    fn optional_text(&self, column: &'static str) -> Result<Option<String>>;
    fn bytes(&self, column: &'static str) -> Result<Vec<u8>>;
    fn optional_bytes(&self, column: &'static str) -> Result<Option<Vec<u8>>>;

    fn array<const N: usize>(&self, column: &'static str) -> Result<[u8; N]> {
        self.bytes(column)?.try_into().map_err(|_| StoreError::Corrupt(column))
    }

    fn time(&self, column: &'static str) -> Result<Timestamp> {
        self.int(column).map(Timestamp)
    }

    fn truth(&self, column: &'static str) -> Result<bool> {
        Ok(self.int(column)? != 0)
    }

    /// A counter, which is never negative.
    fn count(&self, column: &'static str) -> Result<u64> {
        u64::try_from(self.int(column)?).map_err(|_| StoreError::Corrupt(column))
    }

    /// A list of texts, kept as JSON.
    fn texts(&self, column: &'static str) -> Result<Vec<String>> {
        serde_json::from_str(&self.text(column)?).map_err(|_| StoreError::Corrupt(column))
    }

    /// A list of texts; absent, it is empty.
    fn optional_texts(&self, column: &'static str) -> Result<Vec<String>> {
        self.optional_json(column).map(Option::unwrap_or_default)
    }

    /// Labels; absent, there are none.
    fn labels(&self, column: &'static str) -> Result<Labels> {
        self.optional_json(column).map(Option::unwrap_or_default)
    }

    /// Whatever is kept as JSON.
    fn optional_json<T: DeserializeOwned>(&self, column: &'static str) -> Result<Option<T>> {
        let read = |text: String| serde_json::from_str(&text).map_err(|_| StoreError::Corrupt(column));
        self.optional_text(column)?.map(read).transpose()
    }
}

impl Columns for AnyRow {
    fn uuid(&self, column: &'static str) -> Result<Uuid> {
        self.array(column).map(Uuid::from_bytes)
    }
    fn optional_uuid(&self, column: &'static str) -> Result<Option<Uuid>> {
        let Some(bytes) = self.optional_bytes(column)? else { return Ok(None) };
        let bytes = bytes.try_into().map_err(|_| StoreError::Corrupt(column))?;
        Ok(Some(Uuid::from_bytes(bytes)))
    }
    fn int(&self, column: &'static str) -> Result<i64> {
        Ok(self.try_get(column)?)
    }
    fn optional_int(&self, column: &'static str) -> Result<Option<i64>> {
        Ok(self.try_get(column)?)
    }
    fn text(&self, column: &'static str) -> Result<String> {
        Ok(self.try_get(column)?)
    }
    fn optional_text(&self, column: &'static str) -> Result<Option<String>> {
        Ok(self.try_get(column)?)
    }
    fn bytes(&self, column: &'static str) -> Result<Vec<u8>> {
        Ok(self.try_get(column)?)
    }
    fn optional_bytes(&self, column: &'static str) -> Result<Option<Vec<u8>>> {
        Ok(self.try_get(column)?)
    }
}

/// A list of texts as it is kept.
pub(super) fn json_texts(texts: &[String]) -> String {
    serde_json::Value::from(texts).to_string()
}

/// Labels as they are kept.
pub(super) fn json_labels(labels: &Labels) -> String {
    serde_json::to_string(labels).unwrap_or_default()
}

/// A revision or counter as the database holds it.
pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// `INSERT INTO … VALUES ($1, …), …`
pub(super) fn insert(columns: &str, width: usize, rows: usize) -> String {
    let mut sql = format!("INSERT INTO {columns} VALUES ");
    for parameter in 0..width * rows {
        sql.push_str(match (parameter, parameter % width) {
            (0, _) => "($",
            (_, 0) => "), ($",
            _ => ", $",
        });
        sql.push_str(&(parameter + 1).to_string());
    }
    sql.push(')');
    sql
}

/// Whether a column of a bounded table has at least `limit` rows for a parent.
pub(super) async fn count(
    conn: &mut AnyConnection,
    sql: &'static str,
    bind: impl FnOnce(AnyQuery<'static>) -> AnyQuery<'static>,
) -> Result<u64> {
    bind(sqlx::query(sql)).fetch_one(conn).await?.count("n")
}

/// A list that can be paged through, in the order of creation.
pub(super) struct List<'a> {
    /// The columns to read.
    pub columns: &'a str,
    /// Tables and condition: `t JOIN … WHERE …`, with placeholders from `$1` on.
    pub from: &'a str,
    /// Number of placeholders in `from`.
    pub bound: usize,
    /// The alias of the table whose rows are listed.
    pub alias: &'a str,
}

impl List<'_> {
    /// One page. `bind` binds the placeholders of `from`.
    pub async fn page<T>(
        &self,
        conn: &mut AnyConnection,
        page: PageRequest,
        bind: impl for<'q> Fn(AnyQuery<'q>) -> AnyQuery<'q>,
        read: impl Fn(&AnyRow) -> Result<T>,
        place: impl Fn(&T) -> Offset,
    ) -> Result<Listed<T>> {
        let count = format!("SELECT COUNT(*) AS n FROM {}", self.from);
        let total = bind(sqlx::query(AssertSqlSafe(count))).fetch_one(&mut *conn).await?.count("n")?;

        let (items, next) = self.slice(conn, page, bind, read, place).await?;
        Ok(Listed { items, next, total })
    }

    /// As [`List::page`], for those who need not know how many there are.
    pub async fn slice<T>(
        &self,
        conn: &mut AnyConnection,
        page: PageRequest,
        bind: impl for<'q> Fn(AnyQuery<'q>) -> AnyQuery<'q>,
        read: impl Fn(&AnyRow) -> Result<T>,
        place: impl Fn(&T) -> Offset,
    ) -> Result<(Vec<T>, Option<Offset>)> {
        let Self { columns, from, bound, alias } = self;
        let (time, id, limit) = (bound + 1, bound + 2, bound + 3);
        let select = format!(
            "SELECT {columns} FROM {from} AND ({alias}.created_at, {alias}.id) > (${time}, ${id}) \
             ORDER BY {alias}.created_at, {alias}.id LIMIT ${limit}"
        );
        let (after_time, after_id) = page
            .offset
            .map_or((i64::MIN, Vec::new()), |offset| (offset.created_at.0, offset.id.as_bytes().to_vec()));
        let rows = bind(sqlx::query(AssertSqlSafe(select)))
            .bind(after_time)
            .bind(after_id)
            .bind(rows_of(&page))
            .fetch_all(&mut *conn)
            .await?;
        cut(&rows, &page, read, place)
    }
}

/// A list's `from` with the condition that its rows have the tags that are asked for, and what to bind after the rest.
/// Tags are kept as a JSON array, so a tag with its quotes is found where, and only where, it is an element.
pub(super) fn tagged(
    from: &str,
    bound: usize,
    alias: &str,
    tags: Option<&TagFilter>,
) -> (String, Vec<String>) {
    let (tags, operator) = match tags {
        None => return (from.to_owned(), Vec::new()),
        Some(TagFilter::All(tags)) => (tags, " AND "),
        Some(TagFilter::Any(tags)) => (tags, " OR "),
    };
    let has = |place: usize| format!("replace({alias}.tags, ${place}, '') <> {alias}.tags");
    let conditions: Vec<_> = (bound + 1..).take(tags.len()).map(has).collect();
    let elements = tags.iter().map(|tag| serde_json::Value::from(tag.as_str()).to_string()).collect();
    (format!("{from} AND ({})", conditions.join(operator)), elements)
}

/// Rows to read for a page: one more than asked for tells whether there is a next page.
pub(super) fn rows_of(page: &PageRequest) -> i64 {
    i64::from(page.size.clamp(1, PageRequest::SIZE_MAX)) + 1
}

/// The items of a page, from as many rows as [`rows_of`] says, and where the next page begins.
pub(super) fn cut<T>(
    rows: &[AnyRow],
    page: &PageRequest,
    read: impl Fn(&AnyRow) -> Result<T>,
    place: impl Fn(&T) -> Offset,
) -> Result<(Vec<T>, Option<Offset>)> {
    let size = usize::from(page.size.clamp(1, PageRequest::SIZE_MAX));
    let items = rows.iter().take(size).map(read).collect::<Result<Vec<_>>>()?;
    let next = if rows.len() > size { items.last().map(place) } else { None };
    Ok((items, next))
}
