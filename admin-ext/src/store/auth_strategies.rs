//! Auth strategies in the database; the secrets of their configuration are sealed.

use std::collections::BTreeMap;

use app_auth_core::ids::{ServiceId, StrategyId};
use serde_json::{Map, Value as Json};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe};
use zeroize::Zeroizing;

use super::collection::{Collection, Member, Value};
use super::sql::{Columns as _, count, json_labels};
use super::{Entity, Result, Store, StoreError, Writer, dcr_providers};
use crate::model::{
    AuthStrategy, AuthStrategyDetail, AuthStrategyPatch, Collected, CollectionRequest, DcrProviderId,
    NewAuthStrategy, ProviderSummary, ProviderType, StrategyType, VersionId, labels,
};

/// Of the table `auth_strategies t`; the names do not clash in joins.
pub(super) const COLUMNS: &str = "t.id AS t_id, t.name AS t_name, t.display_name AS t_display_name, \
    t.strategy_type AS t_type, t.config AS t_config, t.sealed AS t_sealed, t.dcr_provider AS t_dcr_provider, t.labels AS t_labels, \
    t.created_at AS t_created_at, t.updated_at AS t_updated_at";

/// Without the secrets of its configuration.
pub(super) fn read(row: &AnyRow) -> Result<AuthStrategy> {
    Ok(AuthStrategy {
        id: StrategyId(row.uuid("t_id")?),
        name: row.text("t_name")?,
        display_name: row.text("t_display_name")?,
        strategy_type: StrategyType::parse(&row.text("t_type")?)
            .ok_or(StoreError::Corrupt("auth_strategies.strategy_type"))?,
        config: row.optional_json("t_config")?.unwrap_or_default(),
        secret: BTreeMap::new(),
        dcr_provider: row.optional_uuid("t_dcr_provider")?.map(DcrProviderId),
        labels: row.labels("t_labels")?,
        created_at: row.time("t_created_at")?,
        updated_at: row.time("t_updated_at")?,
    })
}

/// What other entities say about the strategies of `t`, joined with [`PROVIDER`].
pub(super) const DETAIL: &str = "r.id AS r_id, r.name AS r_name, r.display_name AS r_display_name, \
    r.provider_type AS r_type, (SELECT COUNT(*) FROM portal_versions o JOIN product_versions v ON v.id = o.version \
    WHERE o.strategy = t.id AND o.publish_status = 'published') AS t_uses";

/// The provider of a strategy.
pub(super) const PROVIDER: &str = "LEFT JOIN dcr_providers r ON r.id = t.dcr_provider";

/// Without the secrets of the configuration.
pub(super) fn read_detail(row: &AnyRow) -> Result<AuthStrategyDetail> {
    let dcr_provider = match row.optional_uuid("r_id")? {
        Some(id) => Some(ProviderSummary {
            id: DcrProviderId(id),
            name: row.text("r_name")?,
            display_name: row.optional_text("r_display_name")?,
            provider_type: ProviderType::parse(&row.text("r_type")?)
                .ok_or(StoreError::Corrupt("dcr_providers.provider_type"))?,
        }),
        None => None,
    };
    Ok(AuthStrategyDetail { strategy: read(row)?, active: row.count("t_uses")? > 0, dcr_provider })
}

/// Without the secrets of its configuration.
pub(super) async fn by_id(conn: &mut AnyConnection, id: StrategyId) -> Result<Option<AuthStrategy>> {
    let sql = format!("SELECT {COLUMNS} FROM auth_strategies t WHERE t.id = $1");
    let row = sqlx::query(AssertSqlSafe(sql)).bind(id.as_bytes().as_slice()).fetch_optional(conn).await?;
    row.as_ref().map(read).transpose()
}

/// The strategies of a product version, whatever the portal, in the order in which they were made.
pub(super) async fn of_version(conn: &mut AnyConnection, version: VersionId) -> Result<Vec<AuthStrategy>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM auth_strategies t WHERE t.id IN \
         (SELECT strategy FROM portal_versions WHERE version = $1) ORDER BY t.created_at, t.id"
    );
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(version.as_bytes().as_slice()).fetch_all(conn).await?;
    rows.iter().map(read).collect()
}

impl Store {
    fn open_strategy(&self, row: &AnyRow) -> Result<AuthStrategyDetail> {
        let mut detail = read_detail(row)?;
        if let Some(sealed) = row.optional_bytes("t_sealed")? {
            let opened = self.0.sealer.open_sealed(detail.strategy.id.as_bytes(), &sealed);
            let secret: Map<String, Json> = serde_json::from_slice(&opened.ok_or(StoreError::Sealed)?)
                .map_err(|_| StoreError::Corrupt("auth_strategies.sealed"))?;
            // What counted as a secret once, and does so no longer, is where everything else is.
            let open;
            (open, detail.strategy.secret) = AuthStrategy::split(secret);
            detail.strategy.config.extend(open);
            if self.hides_secrets() {
                detail.strategy.secret.clear();
            }
        }
        Ok(detail)
    }

    fn seal_strategy(&self, strategy: &AuthStrategy) -> Result<Option<Vec<u8>>> {
        if strategy.secret.is_empty() {
            return Ok(None);
        }
        let mut secret = strategy.whole_config();
        secret.retain(|name, _| strategy.secret.contains_key(name));
        let secret = Zeroizing::new(Json::Object(secret).to_string());
        let sealed = self.0.sealer.seal(&*self.0.entropy, strategy.id.as_bytes(), secret.as_bytes())?;
        Ok(Some(sealed))
    }

    async fn strategy_by_id(
        &self,
        conn: &mut AnyConnection,
        id: StrategyId,
    ) -> Result<Option<AuthStrategyDetail>> {
        let sql = format!("SELECT {COLUMNS}, {DETAIL} FROM auth_strategies t {PROVIDER} WHERE t.id = $1");
        let row = sqlx::query(AssertSqlSafe(sql)).bind(id.as_bytes().as_slice()).fetch_optional(conn).await?;
        row.as_ref().map(|row| self.open_strategy(row)).transpose()
    }

    pub async fn auth_strategies(
        &self,
        request: &CollectionRequest,
    ) -> Result<Collected<AuthStrategyDetail>> {
        Collection {
            columns: &format!("{COLUMNS}, {DETAIL}"),
            from: &format!("auth_strategies t {PROVIDER} WHERE 1 = 1"),
            bound: &[],
            members: &[
                Member { name: "id", value: Value::Id("t.id") },
                Member { name: "name", value: Value::Column("t.name") },
                Member { name: "display_name", value: Value::Column("t.display_name") },
                Member { name: "strategy_type", value: Value::Column("t.strategy_type") },
                Member { name: "dcr_provider_id", value: Value::Id("t.dcr_provider") },
                Member { name: "dcr_provider_name", value: Value::Column("r.name") },
                Member { name: "dcr_provider_type", value: Value::Column("r.provider_type") },
                Member { name: "created_at", value: Value::Column("t.created_at") },
                Member { name: "updated_at", value: Value::Column("t.updated_at") },
            ],
            last: "t.created_at, t.id",
        }
        .page(&mut *self.reader().await?, self.0.backend, request, |row| self.open_strategy(row))
        .await
    }

    pub async fn auth_strategy(&self, id: StrategyId) -> Result<Option<AuthStrategyDetail>> {
        self.strategy_by_id(&mut *self.reader().await?, id).await
    }
}

impl Writer {
    /// The strategy as it is until this change ends: nobody else can write meanwhile. `None` if there is none.
    pub async fn auth_strategy(&mut self, id: StrategyId) -> Result<Option<AuthStrategy>> {
        let store = self.store.clone();
        Ok(store.strategy_by_id(self.conn(), id).await?.map(|detail| detail.strategy))
    }

    async fn strategy_detail(&mut self, id: StrategyId) -> Result<AuthStrategyDetail> {
        let store = self.store.clone();
        store.strategy_by_id(self.conn(), id).await?.ok_or(StoreError::NotFound(Entity::AuthStrategy))
    }

    /// With this id, or a random one. [`StoreError::ForeignKey`] (field `dcr_provider_id`) if there is no such provider.
    pub async fn create_auth_strategy(
        &mut self,
        id: Option<StrategyId>,
        new: NewAuthStrategy,
    ) -> Result<AuthStrategyDetail> {
        let (config, secret) = AuthStrategy::split(new.config);
        let strategy = AuthStrategy {
            id: match id {
                Some(id) => id,
                None => StrategyId(self.new_id()?),
            },
            name: new.name,
            display_name: new.display_name,
            strategy_type: new.strategy_type,
            config,
            secret,
            dcr_provider: new.dcr_provider,
            labels: new.labels,
            created_at: self.now,
            updated_at: self.now,
        };
        self.check_provider(&strategy).await?;
        let sealed = self.store.seal_strategy(&strategy)?;
        sqlx::query(
            "INSERT INTO auth_strategies (id, name, display_name, strategy_type, config, sealed, issuer, \
             dcr_provider, labels, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        )
        .bind(strategy.id.as_bytes().as_slice())
        .bind(strategy.name.clone())
        .bind(strategy.display_name.clone())
        .bind(strategy.strategy_type.as_str())
        .bind(Json::Object(strategy.config.clone()).to_string())
        .bind(sealed)
        .bind(strategy.issuer().map(str::to_owned))
        .bind(strategy.dcr_provider.map(|provider| provider.as_bytes().to_vec()))
        .bind(json_labels(&strategy.labels))
        .bind(strategy.created_at.0)
        .bind(strategy.updated_at.0)
        .execute(self.conn())
        .await?;
        self.follow_issuer(None, strategy.issuer()).await?;
        self.audit_created(&strategy).await?;
        self.strategy_detail(strategy.id).await
    }

    /// `before` is what [`Writer::auth_strategy`] answered.
    pub async fn update_auth_strategy(
        &mut self,
        before: &AuthStrategy,
        patch: AuthStrategyPatch,
    ) -> Result<AuthStrategyDetail> {
        let mut after = before.clone();
        after.name = patch.name.unwrap_or(after.name);
        after.display_name = patch.display_name.unwrap_or(after.display_name);
        if let Some(config) = patch.config {
            (after.config, after.secret) = AuthStrategy::split(config);
        }
        patch.dcr_provider.apply(&mut after.dcr_provider);
        labels::change("labels", &mut after.labels, patch.labels)?;
        self.rewrite_strategy(before, after).await
    }

    /// The whole of a strategy. [`StoreError::InUse`] if it becomes one of another type while something uses it.
    pub async fn replace_auth_strategy(
        &mut self,
        before: &AuthStrategy,
        new: NewAuthStrategy,
    ) -> Result<AuthStrategyDetail> {
        if before.strategy_type != new.strategy_type && self.uses_of_strategy(before.id).await? > 0 {
            return Err(in_use("its type cannot change while product versions or applications use it"));
        }
        let (config, secret) = AuthStrategy::split(new.config);
        let after = AuthStrategy {
            name: new.name,
            display_name: new.display_name,
            strategy_type: new.strategy_type,
            config,
            secret,
            dcr_provider: new.dcr_provider,
            labels: new.labels,
            ..before.clone()
        };
        self.rewrite_strategy(before, after).await
    }

    async fn rewrite_strategy(
        &mut self,
        before: &AuthStrategy,
        mut after: AuthStrategy,
    ) -> Result<AuthStrategyDetail> {
        after.updated_at = self.now.after(before.updated_at);
        if before.dcr_provider != after.dcr_provider {
            self.check_provider(&after).await?;
            let sql =
                "SELECT COUNT(*) AS n FROM applications WHERE strategy = $1 AND dcr_provider IS NOT NULL";
            let clients = count(self.conn(), sql, |query| query.bind(before.id.as_bytes().to_vec()));
            if clients.await? > 0 {
                return Err(in_use("its DCR provider cannot change while it has clients of applications"));
            }
        }
        let sealed = self.store.seal_strategy(&after)?;
        sqlx::query(
            "UPDATE auth_strategies SET name = $2, display_name = $3, strategy_type = $4, config = $5, sealed = $6, \
             issuer = $7, dcr_provider = $8, labels = $9, updated_at = $10 WHERE id = $1",
        )
        .bind(after.id.as_bytes().as_slice())
        .bind(after.name.clone())
        .bind(after.display_name.clone())
        .bind(after.strategy_type.as_str())
        .bind(Json::Object(after.config.clone()).to_string())
        .bind(sealed)
        .bind(after.issuer().map(str::to_owned))
        .bind(after.dcr_provider.map(|provider| provider.as_bytes().to_vec()))
        .bind(json_labels(&after.labels))
        .bind(after.updated_at.0)
        .execute(self.conn())
        .await?;
        self.follow_issuer(before.issuer(), after.issuer()).await?;
        self.touch_strategy(after.id).await?;
        self.audit_updated(before, &after).await?;
        self.strategy_detail(after.id).await
    }

    /// [`StoreError::InUse`] while a product version in any portal, a portal or an application uses it.
    pub async fn delete_auth_strategy(&mut self, before: &AuthStrategy) -> Result<()> {
        if self.uses_of_strategy(before.id).await? > 0 {
            return Err(in_use("product versions, portals or applications use it"));
        }
        sqlx::query("DELETE FROM auth_strategies WHERE id = $1")
            .bind(before.id.as_bytes().as_slice())
            .execute(self.conn())
            .await?;
        self.follow_issuer(before.issuer(), None).await?;
        self.audit_deleted(before).await
    }

    async fn uses_of_strategy(&mut self, id: StrategyId) -> Result<u64> {
        let sql = "SELECT (SELECT COUNT(*) FROM portal_versions WHERE strategy = $1) \
                   + (SELECT COUNT(*) FROM portals WHERE default_strategy = $1) \
                   + (SELECT COUNT(*) FROM applications WHERE strategy = $1) AS n";
        count(self.conn(), sql, |query| query.bind(id.as_bytes().to_vec())).await
    }

    async fn check_provider(&mut self, strategy: &AuthStrategy) -> Result<()> {
        let Some(id) = strategy.dcr_provider else { return Ok(()) };
        if dcr_providers::exists(self.conn(), id).await? {
            return Ok(());
        }
        let id = id.to_string();
        Err(StoreError::ForeignKey { entity: Entity::DcrProvider, field: "dcr_provider_id", id })
    }

    /// The records of every service that the strategy is in force on will be derived again.
    pub(super) async fn touch_strategy(&mut self, strategy: StrategyId) -> Result<()> {
        let rows = sqlx::query(
            "SELECT DISTINCT v.service FROM portal_versions o JOIN product_versions v ON v.id = o.version \
             WHERE o.strategy = $1 AND v.service IS NOT NULL",
        )
        .bind(strategy.as_bytes().as_slice())
        .fetch_all(self.conn())
        .await?;
        for row in &rows {
            self.touch_service(ServiceId(row.uuid("service")?));
        }
        Ok(())
    }
}

fn in_use(reason: &str) -> StoreError {
    StoreError::InUse { entity: Entity::AuthStrategy, reason: reason.to_owned() }
}
