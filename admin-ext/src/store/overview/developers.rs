//! Developers, as a person looks through them, and how far what holds for one of them has come.

use app_auth_core::ids::{DeveloperId, Revision};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::super::collection::Value;
use super::super::sql::{Columns as _, cut, rows_of};
use super::super::{AuditEntry, AuditFilter, Result, Store, developers};
use crate::model::{Developer, DeveloperDetail, DeveloperStatus, Offset, PageRequest, StatusCode as _};

/// Applications of a developer that are counted at most.
pub const COUNTED_MAX: u64 = 1000;
/// Changes that are looked through for the one of the status.
const CHANGES: u16 = 50;

/// Which developers to list: those that meet all that is given.
#[derive(Clone, Debug, Default)]
pub struct DeveloperSearch {
    /// Part of the name or the e-mail address.
    pub text: String,
    pub status: Option<DeveloperStatus>,
}

impl Store {
    /// A page of the developers that are searched for, newest first.
    pub async fn find_developers(
        &self,
        search: &DeveloperSearch,
        page: PageRequest,
    ) -> Result<(Vec<DeveloperDetail>, Option<Offset>)> {
        let text = search.text.trim().to_lowercase();
        let (before, before_id) =
            page.offset.map_or((i64::MAX, vec![0xff; 17]), |at| (at.created_at.0, at.id.as_bytes().to_vec()));
        let mut conditions = vec![String::from("(d.created_at, d.id) < ($1, $2)")];
        if let Some(status) = search.status {
            conditions.push(format!("d.status = {}", status.code()));
        }
        if !text.is_empty() {
            let like = |value: Value| format!("{} LIKE $4 ESCAPE '\\'", value.text_sql(self.0.backend));
            conditions.push(format!("({} OR {})", like(Value::Column("d.email")), like(developers::NAME)));
        }
        let conditions = conditions.join(" AND ");
        let sql = format!(
            "SELECT {}, (SELECT COUNT(*) FROM (SELECT 1 AS one FROM applications a WHERE a.developer = d.id \
             LIMIT {COUNTED_MAX}) counted) AS d_applications FROM (SELECT d.id FROM developers d WHERE {conditions} \
             ORDER BY d.created_at DESC, d.id DESC LIMIT $3) found JOIN developers d ON d.id = found.id \
             ORDER BY d.created_at DESC, d.id DESC",
            developers::COLUMNS,
        );
        let mut query = sqlx::query(AssertSqlSafe(sql)).bind(before).bind(before_id).bind(rows_of(&page));
        if !text.is_empty() {
            query = query.bind(Value::Column("").needle(&text));
        }
        let rows = query.fetch_all(&mut *self.reader().await?).await?;
        cut(&rows, &page, developers::read_counted, |detail| place(&detail.developer))
    }

    /// The revision from which on gateways have what holds for all applications of a developer now.
    pub async fn revision_of_developer(&self, developer: DeveloperId) -> Result<Revision> {
        let row = sqlx::query(
            "SELECT COALESCE(MAX(r.revision), 0) AS n FROM applications a JOIN records r ON r.owner = a.id \
             WHERE a.developer = $1",
        )
        .bind(developer.as_bytes().as_slice())
        .fetch_one(&mut *self.reader().await?)
        .await?;
        row.count("n").map(Revision)
    }

    /// The line of the audit log that tells how something got the status it has.
    pub async fn last_decision(&self, entity: Uuid) -> Result<Option<AuditEntry>> {
        let filter = AuditFilter { entity_id: Some(entity), ..AuditFilter::default() };
        let page = PageRequest { size: CHANGES, ..PageRequest::default() };
        let (entries, _) = self.audit_entries(&filter, page).await?;
        Ok(entries
            .into_iter()
            .find(|entry| status(entry.before.as_deref()) != status(entry.after.as_deref())))
    }

    /// Whether the applications of a revoked developer are refused.
    pub fn revoke_developer_blocks(&self) -> bool {
        self.0.revoke_developer_blocks
    }
}

/// The status in a line of the audit log.
fn status(view: Option<&str>) -> Option<i64> {
    let view: serde_json::Value = serde_json::from_str(view?).ok()?;
    view.get("status")?.as_i64()
}

fn place(developer: &Developer) -> Offset {
    Offset { created_at: developer.created_at, id: developer.id.0 }
}
