//! What the filters on Kong's services are given: a gateway token of their own, and when they have to be told anew.

use serde_json::{Map, Value};

use crate::model::{AccessRole, PlainSecret};
use crate::store::sql::Columns as _;
use crate::store::{Result, Store, StoreError, TokenKind};

/// Seals the token; there is but one.
const ROW: &[u8] = b"kong_filter";

impl Store {
    /// The gateway token of the filters on Kong's services, made when it is first asked for or was revoked.
    pub async fn kong_filter_token(&self) -> Result<PlainSecret> {
        let row = sqlx::query("SELECT sealed FROM kong_filter WHERE id = 1")
            .fetch_optional(&mut *self.reader().await?)
            .await?;
        if let Some(row) = row {
            let opened = self.0.sealer.open_sealed(ROW, &row.bytes("sealed")?).ok_or(StoreError::Sealed)?;
            let token =
                std::str::from_utf8(&opened).map_err(|_| StoreError::Corrupt("kong_filter.sealed"))?;
            let token = PlainSecret::new(token);
            if self.authenticate(TokenKind::Gateway, &token).await?.is_some() {
                return Ok(token);
            }
        }
        let (_, secret) = self
            .create_token(&Self::keeper(), TokenKind::Gateway, AccessRole::Admin, "filters on Kong")
            .await?;
        let sealed = self.0.sealer.seal(&*self.0.entropy, ROW, secret.expose().as_bytes())?;
        let mut writer = self.write(&Self::keeper()).await?;
        sqlx::query(
            "INSERT INTO kong_filter (id, sealed) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET sealed = excluded.sealed",
        )
        .bind(sealed)
        .execute(writer.conn())
        .await?;
        writer.commit().await?;
        Ok(secret)
    }

    /// Marks the filter on every service if filters are given something else from now on. What they are given may hold
    /// a token; only a digest of it is kept.
    pub async fn follow_filter(&self, config: &Map<String, Value>) -> Result<bool> {
        let given = blake3::keyed_hash(&self.id().0, Value::Object(config.clone()).to_string().as_bytes());
        let given = given.to_hex().to_string();
        let mut writer = self.write(&Self::keeper()).await?;
        let row =
            sqlx::query("SELECT value FROM kong_given WHERE id = 1").fetch_optional(writer.conn()).await?;
        if row.map(|row| row.text("value")).transpose()?.as_deref() == Some(given.as_str()) {
            return Ok(false);
        }
        let services = sqlx::query("SELECT service FROM product_versions WHERE service IS NOT NULL")
            .fetch_all(writer.conn())
            .await?;
        for row in &services {
            writer.mark_filter(app_auth_core::ids::ServiceId(row.uuid("service")?));
        }
        sqlx::query(
            "INSERT INTO kong_given (id, value) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET value = excluded.value",
        )
        .bind(given)
        .execute(writer.conn())
        .await?;
        writer.commit().await?;
        Ok(true)
    }
}
