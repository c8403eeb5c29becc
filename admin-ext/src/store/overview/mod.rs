//! Lists across all developers and portals, as a person looks through them: found by a few characters, newest first,
//! without counting what is not shown, so that a page costs the same however long the list is.

mod developers;
mod requests;
mod strategies;

use std::collections::HashMap;

use app_auth_core::ids::{ApplicationId, DeveloperId, Revision, StrategyId};
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;
use uuid::Uuid;

use super::collection::Value;
use super::sql::{Columns as _, cut, rows_of};
use super::{AuditEntry, AuditFilter, Result, Store, StoreError, applications, developers as people};
use crate::model::{
    Application, ConnectionStatus, CredentialKind, Developer, Offset, PageRequest, PlainSecret,
    StatusCode as _, StrategyType, Timestamp,
};

pub use developers::{COUNTED_MAX, DeveloperSearch};
pub use requests::{Request, RequestFilter};
pub use strategies::{StrategyLine, StrategyUse};

/// Longest text to search for, in bytes.
pub const SEARCH_MAX: usize = 255;

/// Which applications to list: those that meet all that is given.
#[derive(Clone, Debug, Default)]
pub struct ApplicationSearch {
    /// Part of the name, the developer's name or e-mail, or the client id; or the whole client id of a credential.
    pub text: String,
    /// With a connection of this status.
    pub status: Option<ConnectionStatus>,
    pub developer: Option<DeveloperId>,
    pub strategy: Option<StrategyId>,
}

/// An application as a list shows it.
#[derive(Clone, Debug)]
pub struct ApplicationLine {
    pub application: Application,
    pub developer: Developer,
    /// When a gateway last saw it.
    pub last_used_at: Option<Timestamp>,
    /// How many of its connections have each status; those that none has are left out.
    pub connections: Vec<(ConnectionStatus, u64)>,
}

impl Store {
    /// A page of the applications that are searched for, newest first.
    pub async fn find_applications(
        &self,
        search: &ApplicationSearch,
        page: PageRequest,
    ) -> Result<(Vec<ApplicationLine>, Option<Offset>)> {
        let text = search.text.trim().to_lowercase();
        let mut conditions = vec![String::from("(a.created_at, a.id) < ($1, $2)")];
        let (before, before_id) =
            page.offset.map_or((i64::MAX, vec![0xff; 17]), |at| (at.created_at.0, at.id.as_bytes().to_vec()));
        let mut by_credential = None;
        if !text.is_empty() {
            by_credential = self.application_with_client_id(search.text.trim()).await?;
            let (name, client_id) = (Value::Column("a.name"), Value::Column("a.client_id"));
            let email = Value::Column("d.email");
            let like = |value: &Value| format!("{} LIKE $4 ESCAPE '\\'", value.text_sql(self.0.backend));
            // Developers are looked through once, not once for each of their applications.
            conditions.push(format!(
                "({} OR {} OR a.id = $5 OR a.developer IN (SELECT d.id FROM developers d WHERE {} OR {}))",
                like(&name),
                like(&client_id),
                like(&email),
                like(&people::NAME),
            ));
        }
        if let Some(status) = search.status {
            conditions.push(format!(
                "EXISTS (SELECT 1 FROM connections c WHERE c.application = a.id AND c.status = {})",
                status.code()
            ));
        }
        let owners = [
            ("developer", search.developer.map(|id| id.as_bytes().to_vec())),
            ("strategy", search.strategy.map(|id| id.as_bytes().to_vec())),
        ];
        let owners: Vec<_> = owners.into_iter().filter_map(|(column, id)| Some((column, id?))).collect();
        for ((column, _), n) in owners.iter().zip(if text.is_empty() { 4.. } else { 6.. }) {
            conditions.push(format!("a.{column} = ${n}"));
        }
        let conditions = conditions.join(" AND ");
        let sql = format!(
            "SELECT {}, {} FROM (SELECT a.id, a.created_at FROM applications a WHERE {conditions} \
             ORDER BY a.created_at DESC, a.id DESC LIMIT $3) found \
             JOIN applications a ON a.id = found.id JOIN developers d ON d.id = a.developer \
             ORDER BY a.created_at DESC, a.id DESC",
            applications::COLUMNS,
            people::COLUMNS,
        );
        let mut query = sqlx::query(AssertSqlSafe(sql)).bind(before).bind(before_id).bind(rows_of(&page));
        if !text.is_empty() {
            query = query
                .bind(Value::Column("").needle(&text))
                .bind(by_credential.map_or_else(Vec::new, |id| id.as_bytes().to_vec()));
        }
        for (_, id) in owners {
            query = query.bind(id);
        }
        let mut reader = self.reader().await?;
        let rows = query.fetch_all(&mut *reader).await?;
        let (mut lines, next) = cut(&rows, &page, read, |line| Offset {
            created_at: line.application.created_at,
            id: line.application.id.0,
        })?;
        drop(reader);
        let mut counts = self.connections_by_status(&lines).await?;
        let ids: Vec<_> = lines.iter().map(|line| line.application.id).collect();
        let mut used: HashMap<_, _> = self.last_used(&ids).await?.into_iter().collect();
        for line in &mut lines {
            line.last_used_at = used.remove(&line.application.id);
            line.connections = counts.remove(&line.application.id).unwrap_or_default();
        }
        Ok((lines, next))
    }

    /// How many connections of each status the applications have.
    async fn connections_by_status(
        &self,
        lines: &[ApplicationLine],
    ) -> Result<HashMap<ApplicationId, Vec<(ConnectionStatus, u64)>>> {
        let mut counts: HashMap<_, Vec<_>> = HashMap::new();
        if lines.is_empty() {
            return Ok(counts);
        }
        let places: Vec<_> = (1..=lines.len()).map(|n| format!("${n}")).collect();
        let sql = format!(
            "SELECT c.application AS c_application, c.status AS c_status, COUNT(*) AS n FROM connections c \
             WHERE c.application IN ({}) GROUP BY c.application, c.status",
            places.join(", ")
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for line in lines {
            query = query.bind(line.application.id.as_bytes().to_vec());
        }
        for row in query.fetch_all(&mut *self.reader().await?).await? {
            let application = ApplicationId(row.uuid("c_application")?);
            let status = ConnectionStatus::from_code(row.int("c_status")?)
                .ok_or(StoreError::Corrupt("connections.status"))?;
            counts.entry(application).or_default().push((status, row.count("n")?));
        }
        for counts in counts.values_mut() {
            counts.sort_by_key(|(status, _)| ConnectionStatus::ALL.iter().position(|other| other == status));
        }
        Ok(counts)
    }

    /// The application that has a credential with exactly this client id, under whatever strategy. Keys are not looked
    /// for: nobody should type one into a search.
    async fn application_with_client_id(&self, text: &str) -> Result<Option<ApplicationId>> {
        let strategies = sqlx::query("SELECT id FROM auth_strategies WHERE strategy_type = $1 LIMIT 1000")
            .bind(StrategyType::KeyAuth.as_str())
            .fetch_all(&mut *self.reader().await?)
            .await?;
        let client_id = PlainSecret::new(text);
        let mut scopes = vec![StrategyId::KEY_AUTH];
        for row in &strategies {
            scopes.push(StrategyId(row.uuid("id")?));
        }
        let places: Vec<_> = (2..).take(scopes.len()).map(|n| format!("${n}")).collect();
        let sql = format!(
            "SELECT application FROM credentials WHERE kind = $1 AND digest IN ({}) LIMIT 1",
            places.join(", ")
        );
        let mut query = sqlx::query(AssertSqlSafe(sql)).bind(CredentialKind::OAuth2.as_str());
        for scope in scopes {
            query = query.bind(self.key_digest(scope, &client_id).0.to_vec());
        }
        let row = query.fetch_optional(&mut *self.reader().await?).await?;
        row.map(|row| row.uuid("application").map(ApplicationId)).transpose()
    }

    /// The revision from which on gateways have what holds for an application now; the first where they need not know
    /// of it.
    pub async fn revision_of_application(&self, application: ApplicationId) -> Result<Revision> {
        let row = sqlx::query("SELECT COALESCE(MAX(revision), 0) AS n FROM records WHERE owner = $1")
            .bind(application.as_bytes().as_slice())
            .fetch_one(&mut *self.reader().await?)
            .await?;
        row.count("n").map(Revision)
    }

    /// The newest line of the audit log about each of these things.
    pub async fn last_changes(&self, entities: &[Uuid]) -> Result<HashMap<Uuid, AuditEntry>> {
        let mut changes = HashMap::new();
        for entity in entities {
            let filter = AuditFilter { entity_id: Some(*entity), ..AuditFilter::default() };
            if let Some(entry) = self.newest_audit_entry(&filter).await? {
                changes.insert(*entity, entry);
            }
        }
        Ok(changes)
    }

    /// How many connections and developers wait for a decision; no more than `limit` of each are counted.
    pub async fn waiting_requests(&self, limit: u64) -> Result<u64> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let row = sqlx::query(
            "SELECT (SELECT COUNT(*) FROM (SELECT 1 AS one FROM connections WHERE status = $1 LIMIT $2) c) + \
             (SELECT COUNT(*) FROM (SELECT 1 AS one FROM developers WHERE status = $1 LIMIT $2) d) AS n",
        )
        .bind(i64::from(ConnectionStatus::Pending.code()))
        .bind(limit)
        .fetch_one(&mut *self.reader().await?)
        .await?;
        row.count("n")
    }
}

fn read(row: &AnyRow) -> Result<ApplicationLine> {
    Ok(ApplicationLine {
        application: applications::read(row)?,
        developer: people::read(row)?,
        last_used_at: None,
        connections: Vec::new(),
    })
}
