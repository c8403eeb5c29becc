//! DCR providers in the database; their secrets are sealed.

use serde_json::Value as Json;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe};

use super::collection::{Collection, Member, Value};
use super::sql::{Columns as _, count, json_labels};
use super::{Entity, Result, Store, StoreError, Writer};
use crate::model::{
    Collected, CollectionRequest, DcrProvider, DcrProviderDetail, DcrProviderId, DcrProviderPatch,
    NewDcrProvider, PlainSecret, ProviderType, labels,
};

/// Of the table `dcr_providers r`. Active is a provider that an active strategy uses.
pub(super) const COLUMNS: &str = "r.id, r.name, r.display_name, r.provider_type, r.issuer, r.config, r.sealed, r.labels, \
    r.created_at, r.updated_at, (SELECT COUNT(*) FROM auth_strategies t JOIN portal_versions o ON o.strategy = t.id \
    WHERE t.dcr_provider = r.id AND o.publish_status = 'published') AS uses";

pub(super) async fn exists(conn: &mut AnyConnection, id: DcrProviderId) -> Result<bool> {
    let sql = "SELECT COUNT(*) AS n FROM dcr_providers WHERE id = $1";
    Ok(count(conn, sql, |query| query.bind(id.as_bytes().to_vec())).await? > 0)
}

impl Store {
    pub(super) fn read_provider(&self, row: &AnyRow) -> Result<DcrProviderDetail> {
        let id = DcrProviderId(row.uuid("id")?);
        let secret = self.0.sealer.open_sealed(id.as_bytes(), &row.bytes("sealed")?);
        let secret = secret.ok_or(StoreError::Sealed)?;
        let secret = std::str::from_utf8(&secret).map_err(|_| StoreError::Corrupt("dcr_providers.sealed"))?;
        let provider = DcrProvider {
            id,
            name: row.text("name")?,
            display_name: row.optional_text("display_name")?,
            provider_type: ProviderType::parse(&row.text("provider_type")?)
                .ok_or(StoreError::Corrupt("dcr_providers.provider_type"))?,
            issuer: row.text("issuer")?,
            config: row.optional_json("config")?.unwrap_or_default(),
            secret: PlainSecret::new(secret),
            labels: row.labels("labels")?,
            created_at: row.time("created_at")?,
            updated_at: row.time("updated_at")?,
        };
        Ok(DcrProviderDetail { provider, active: row.count("uses")? > 0 })
    }

    pub async fn dcr_providers(&self, request: &CollectionRequest) -> Result<Collected<DcrProviderDetail>> {
        let config = |member| Value::JsonText { column: "r.config", member, or: "NULL" };
        Collection {
            columns: COLUMNS,
            from: "dcr_providers r WHERE 1 = 1",
            bound: &[],
            members: &[
                Member { name: "id", value: Value::Id("r.id") },
                Member { name: "name", value: Value::Column("r.name") },
                Member { name: "issuer", value: Value::Column("r.issuer") },
                Member { name: "provider_type", value: Value::Column("r.provider_type") },
                Member { name: "initial_client_id", value: config("initial_client_id") },
                Member { name: "initial_client_audience", value: config("initial_client_audience") },
                Member { name: "created_at", value: Value::Column("r.created_at") },
                Member { name: "updated_at", value: Value::Column("r.updated_at") },
            ],
            last: "r.created_at, r.id",
        }
        .page(&mut *self.reader().await?, self.0.backend, request, |row| self.read_provider(row))
        .await
    }

    pub async fn dcr_provider(&self, id: DcrProviderId) -> Result<Option<DcrProviderDetail>> {
        self.provider_by_id(&mut *self.reader().await?, id).await
    }

    pub(super) async fn provider_by_id(
        &self,
        conn: &mut AnyConnection,
        id: DcrProviderId,
    ) -> Result<Option<DcrProviderDetail>> {
        let sql = format!("SELECT {COLUMNS} FROM dcr_providers r WHERE r.id = $1");
        let row = sqlx::query(AssertSqlSafe(sql)).bind(id.as_bytes().as_slice()).fetch_optional(conn).await?;
        row.as_ref().map(|row| self.read_provider(row)).transpose()
    }

    fn seal_provider(&self, provider: &DcrProvider) -> Result<Vec<u8>> {
        let secret = provider.secret.expose().as_bytes();
        Ok(self.0.sealer.seal(&*self.0.entropy, provider.id.as_bytes(), secret)?)
    }
}

impl Writer {
    /// The provider as it is until this change ends: nobody else can write meanwhile.
    pub async fn dcr_provider(&mut self, id: DcrProviderId) -> Result<DcrProvider> {
        Ok(self.provider_detail(id).await?.provider)
    }

    async fn provider_detail(&mut self, id: DcrProviderId) -> Result<DcrProviderDetail> {
        let store = self.store.clone();
        let found = store.provider_by_id(self.conn(), id).await?;
        found.ok_or(StoreError::NotFound(Entity::DcrProvider))
    }

    pub async fn create_dcr_provider(&mut self, new: NewDcrProvider) -> Result<DcrProviderDetail> {
        let provider = DcrProvider {
            id: DcrProviderId(self.new_id()?),
            name: new.name,
            display_name: new.display_name,
            provider_type: new.provider_type,
            issuer: new.issuer,
            config: new.config,
            secret: new.secret,
            labels: new.labels,
            created_at: self.now,
            updated_at: self.now,
        };
        let sealed = self.store.seal_provider(&provider)?;
        sqlx::query(
            "INSERT INTO dcr_providers (id, name, display_name, provider_type, issuer, config, sealed, labels, \
             created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(provider.id.as_bytes().as_slice())
        .bind(provider.name.clone())
        .bind(provider.display_name.clone())
        .bind(provider.provider_type.as_str())
        .bind(provider.issuer.clone())
        .bind(Json::Object(provider.config.clone()).to_string())
        .bind(sealed)
        .bind(json_labels(&provider.labels))
        .bind(provider.created_at.0)
        .bind(provider.updated_at.0)
        .execute(self.conn())
        .await?;
        self.audit_created(&provider).await?;
        self.provider_detail(provider.id).await
    }

    /// `before` is what [`Writer::dcr_provider`] answered.
    pub async fn update_dcr_provider(
        &mut self,
        before: &DcrProvider,
        patch: DcrProviderPatch,
    ) -> Result<DcrProviderDetail> {
        let mut after = before.clone();
        after.name = patch.name.unwrap_or(after.name);
        after.display_name = patch.display_name.or(after.display_name);
        after.issuer = patch.issuer.unwrap_or(after.issuer);
        after.config.extend(patch.config);
        after.secret = patch.secret.unwrap_or(after.secret);
        labels::change("labels", &mut after.labels, patch.labels)?;
        after.updated_at = self.now.after(before.updated_at);
        let sealed = self.store.seal_provider(&after)?;
        sqlx::query(
            "UPDATE dcr_providers SET name = $2, display_name = $3, issuer = $4, config = $5, sealed = $6, \
             labels = $7, updated_at = $8 WHERE id = $1",
        )
        .bind(after.id.as_bytes().as_slice())
        .bind(after.name.clone())
        .bind(after.display_name.clone())
        .bind(after.issuer.clone())
        .bind(Json::Object(after.config.clone()).to_string())
        .bind(sealed)
        .bind(json_labels(&after.labels))
        .bind(after.updated_at.0)
        .execute(self.conn())
        .await?;
        self.audit_updated(before, &after).await?;
        self.provider_detail(after.id).await
    }

    /// [`StoreError::InUse`] while a strategy or an application's client needs it, or it has still to be told something.
    pub async fn delete_dcr_provider(&mut self, before: &DcrProvider) -> Result<()> {
        let sql = "SELECT (SELECT COUNT(*) FROM auth_strategies WHERE dcr_provider = $1) \
                   + (SELECT COUNT(*) FROM applications WHERE dcr_provider = $1) \
                   + (SELECT COUNT(*) FROM dcr_jobs WHERE provider = $1) AS n";
        if count(self.conn(), sql, |query| query.bind(before.id.as_bytes().to_vec())).await? > 0 {
            return Err(StoreError::InUse {
                entity: Entity::DcrProvider,
                reason: "strategies or clients of applications need it".into(),
            });
        }
        sqlx::query("DELETE FROM dcr_providers WHERE id = $1")
            .bind(before.id.as_bytes().as_slice())
            .execute(self.conn())
            .await?;
        self.audit_deleted(before).await
    }
}
