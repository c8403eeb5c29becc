//! What is known of the issuers that strategies name: their metadata and keys, as they were last fetched.

use app_auth_core::record::IssuerRecord;
use serde_json::{Map, Value};
use sqlx::AnyConnection;

use super::sql::Columns as _;
use super::{Result, Writer};

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
    Ok(Some(IssuerRecord {
        configured: issuer.to_owned(),
        issuer: text("issuer").unwrap_or_else(|| issuer.to_owned()),
        token_endpoint: text("token_endpoint"),
        introspection_endpoint: text("introspection_endpoint"),
        keys: row.optional_json("keys")?.unwrap_or_default(),
    }))
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
        }
        for issuer in before.into_iter().chain(after) {
            self.touch_issuer(issuer);
        }
        Ok(())
    }
}
