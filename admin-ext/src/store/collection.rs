//! The one way to list what the v2 APIs show: a numbered page of a sorted and filtered list.

use sqlx::AnyConnection;
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use super::Result;
use super::sql::{AnyQuery, Backend, Columns as _};
use crate::model::{Collected, CollectionRequest, Condition, Operand, Test};

/// A member of a list's items, and the SQL expression that has its value.
pub(super) struct Member {
    /// As the API names it.
    pub name: &'static str,
    pub value: Value,
}

/// Where a member's value is.
pub(super) enum Value {
    /// The same expression on both databases.
    Column(&'static str),
    /// A UUID's sixteen bytes.
    Id(&'static str),
    /// A text in an object kept as JSON, or else another expression.
    JsonText { column: &'static str, member: &'static str, or: &'static str },
}

impl Value {
    fn sql(&self, backend: Backend) -> String {
        match self {
            Self::Column(column) | Self::Id(column) => (*column).to_owned(),
            Self::JsonText { column, member, or } => {
                let text = match backend {
                    Backend::Sqlite => format!("json_extract({column}, '$.{member}')"),
                    Backend::Postgres => format!("({column}::json ->> '{member}')"),
                };
                format!("COALESCE({text}, {or})")
            }
        }
    }

    /// As a text to look for something in.
    pub(super) fn text_sql(&self, backend: Backend) -> String {
        match (self, backend) {
            (Self::Id(column), Backend::Sqlite) => format!("lower(hex({column}))"),
            (Self::Id(column), Backend::Postgres) => format!("encode({column}, 'hex')"),
            _ => format!("lower({})", self.sql(backend)),
        }
    }

    /// What is looked for, in the form the text has.
    pub(super) fn needle(&self, text: &str) -> String {
        let text = match self {
            Self::Id(_) => text.replace('-', ""),
            _ => text.to_owned(),
        };
        let escaped = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        format!("%{escaped}%")
    }
}

/// A list of the v2 APIs.
pub(super) struct Collection<'a> {
    /// The columns to read.
    pub columns: &'a str,
    /// Tables and condition: `t JOIN … WHERE …`, with placeholders from `$1` on.
    pub from: &'a str,
    /// Ids, for the placeholders of `from`.
    pub bound: &'a [[u8; 16]],
    /// What can be sorted and filtered by.
    pub members: &'a [Member],
    /// The order where nothing else decides; unique.
    pub last: &'a str,
}

/// Something to bind to a placeholder.
enum Bound {
    Text(String),
    Bytes(Vec<u8>),
    Number(i64),
}

impl From<&Operand> for Bound {
    fn from(operand: &Operand) -> Self {
        match operand {
            Operand::Text(text) => Self::Text(text.clone()),
            Operand::Id(id) => Self::Bytes(id.as_bytes().to_vec()),
            Operand::Time(time) => Self::Number(time.0),
            Operand::Truth(truth) => Self::Number(i64::from(*truth)),
            Operand::Code(code) => Self::Number(*code),
        }
    }
}

impl Collection<'_> {
    /// One page, and the number of items on all of them.
    pub async fn page<T>(
        &self,
        conn: &mut AnyConnection,
        backend: Backend,
        request: &CollectionRequest,
        read: impl Fn(&AnyRow) -> Result<T>,
    ) -> Result<Collected<T>> {
        let mut bound: Vec<_> = self.bound.iter().map(|id| Bound::Bytes(id.to_vec())).collect();
        let mut from = self.from.to_owned();
        for condition in &request.conditions {
            if let Some(member) = self.member(condition.member) {
                from.push_str(" AND ");
                from.push_str(&sql_of(condition, &member.value, backend, &mut bound));
            }
        }
        let count = format!("SELECT COUNT(*) AS n FROM {from}");
        let total = bind_all(sqlx::query(AssertSqlSafe(count)), &bound).fetch_one(&mut *conn).await?;
        let total = total.count("n")?;

        let order: Vec<_> = request
            .order
            .iter()
            .filter_map(|order| {
                let value = self.member(order.member)?.value.sql(backend);
                // Absent values are the greatest, on both databases.
                let direction = if order.descending { "DESC NULLS FIRST" } else { "ASC NULLS LAST" };
                Some(format!("{value} {direction}, "))
            })
            .collect();
        let (order, last, columns) = (order.concat(), self.last, self.columns);
        let (limit, offset) = (bound.len() + 1, bound.len() + 2);
        let select =
            format!("SELECT {columns} FROM {from} ORDER BY {order}{last} LIMIT ${limit} OFFSET ${offset}");
        let size = request.size.clamp(1, CollectionRequest::SIZE_MAX);
        let skipped = request.number.saturating_sub(1).saturating_mul(size);
        let rows = bind_all(sqlx::query(AssertSqlSafe(select)), &bound)
            .bind(i64::try_from(size).unwrap_or(i64::MAX))
            .bind(i64::try_from(skipped).unwrap_or(i64::MAX))
            .fetch_all(&mut *conn)
            .await?;
        Ok(Collected { items: rows.iter().map(read).collect::<Result<_>>()?, total })
    }

    fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }
}

fn bind_all<'q>(query: AnyQuery<'q>, bound: &[Bound]) -> AnyQuery<'q> {
    bound.iter().fold(query, |query, bound| match bound {
        Bound::Text(text) => query.bind(text.clone()),
        Bound::Bytes(bytes) => query.bind(bytes.clone()),
        Bound::Number(number) => query.bind(*number),
    })
}

/// The condition as SQL; what it compares with is added to what is to be bound.
fn sql_of(condition: &Condition, value: &Value, backend: Backend, bound: &mut Vec<Bound>) -> String {
    let column = value.sql(backend);
    let mut place = |operand: Bound| {
        bound.push(operand);
        format!("${}", bound.len())
    };
    let mut compare =
        |operator: &str, operand: &Operand| format!("{column} {operator} {}", place(operand.into()));
    match &condition.test {
        Test::Exists => format!("{column} IS NOT NULL"),
        Test::Equal(operand) => compare("=", operand),
        Test::NotEqual(operand) => format!("({} OR {column} IS NULL)", compare("<>", operand)),
        Test::OneOf(operands) => {
            let places: Vec<_> = operands.iter().map(|operand| place(operand.into())).collect();
            if places.is_empty() {
                "1 = 0".to_owned()
            } else {
                format!("{column} IN ({})", places.join(", "))
            }
        }
        Test::Contains(text) => contains(value, backend, &place(Bound::Text(value.needle(text)))),
        Test::ContainsOneOf(texts) => {
            let each =
                texts.iter().map(|text| contains(value, backend, &place(Bound::Text(value.needle(text)))));
            let each: Vec<_> = each.collect();
            if each.is_empty() { "1 = 0".to_owned() } else { format!("({})", each.join(" OR ")) }
        }
        Test::Less(operand) => compare("<", operand),
        Test::LessOrEqual(operand) => compare("<=", operand),
        Test::Greater(operand) => compare(">", operand),
        Test::GreaterOrEqual(operand) => compare(">=", operand),
    }
}

fn contains(value: &Value, backend: Backend, place: &str) -> String {
    // Both in the small letters of the database, which may know more letters than those of ASCII, or not.
    format!("{} LIKE lower({place}) ESCAPE '\\'", value.text_sql(backend))
}
