//! Product versions in portals, and the auth strategies they have there, in the database.

use app_auth_core::ids::StrategyId;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe};

use super::collection::{Collection, Member, Value};
use super::mails::Notice;
use super::sql::{Columns as _, count};
use super::{
    Entity, Result, Store, StoreError, Writer, auth_strategies, connections, portals, product_versions,
};
use crate::model::{
    Collected, CollectionRequest, NewPortalVersion, Portal, PortalId, PortalVersion, PortalVersionDetail,
    PortalVersionId, PortalVersionPatch, ProductVersion, PublishStatus, VersionId,
};

/// Of the table `portal_versions o`; the names do not clash in joins.
pub(super) const COLUMNS: &str = "o.id AS o_id, o.portal AS o_portal, o.version AS o_version, \
    o.publish_status AS o_publish_status, o.strategy AS o_strategy, \
    o.application_registration_enabled AS o_registration, o.auto_approve_registration AS o_auto_approve, \
    o.deprecated AS o_deprecated, o.created_at AS o_created_at, o.updated_at AS o_updated_at";

pub(super) fn read(row: &AnyRow) -> Result<PortalVersion> {
    Ok(PortalVersion {
        id: PortalVersionId(row.uuid("o_id")?),
        portal: PortalId(row.uuid("o_portal")?),
        version: VersionId(row.uuid("o_version")?),
        publish_status: PublishStatus::parse(&row.text("o_publish_status")?)
            .ok_or(StoreError::Corrupt("portal_versions.publish_status"))?,
        strategy: row.optional_uuid("o_strategy")?.map(StrategyId),
        application_registration_enabled: row.truth("o_registration")?,
        auto_approve_registration: row.truth("o_auto_approve")?,
        deprecated: row.truth("o_deprecated")?,
        created_at: row.time("o_created_at")?,
        updated_at: row.time("o_updated_at")?,
    })
}

/// A strategy there may be; see [`auth_strategies::COLUMNS`].
fn joined() -> (String, String) {
    let columns = format!("{COLUMNS}, {}, {}", auth_strategies::COLUMNS, auth_strategies::DETAIL);
    let from = format!(
        "portal_versions o LEFT JOIN auth_strategies t ON t.id = o.strategy {}",
        auth_strategies::PROVIDER
    );
    (columns, from)
}

fn read_detail(row: &AnyRow) -> Result<PortalVersionDetail> {
    let version = read(row)?;
    let strategy = match version.strategy {
        Some(_) => Some(auth_strategies::read_detail(row)?),
        None => None,
    };
    Ok(PortalVersionDetail { version, strategy })
}

async fn detail_by_version(
    conn: &mut AnyConnection,
    portal: PortalId,
    version: VersionId,
) -> Result<Option<PortalVersionDetail>> {
    let (columns, from) = joined();
    let sql = format!("SELECT {columns} FROM {from} WHERE o.portal = $1 AND o.version = $2");
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(portal.as_bytes().as_slice())
        .bind(version.as_bytes().as_slice())
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(read_detail).transpose()
}

/// How a portal offers a version, if it does.
pub(super) async fn offered(
    conn: &mut AnyConnection,
    portal: PortalId,
    version: VersionId,
) -> Result<Option<(Portal, PortalVersion)>> {
    let sql = format!(
        "SELECT {}, {COLUMNS} FROM portal_versions o JOIN portals p ON p.id = o.portal \
         WHERE o.portal = $1 AND o.version = $2",
        portals::PORTAL
    );
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(portal.as_bytes().as_slice())
        .bind(version.as_bytes().as_slice())
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(|row| Ok((portals::read_portal(row)?, read(row)?))).transpose()
}

/// A version in every portal that has it, for what is done to all of them.
pub(super) async fn all_of_version(
    conn: &mut AnyConnection,
    version: VersionId,
) -> Result<Vec<PortalVersion>> {
    all_where(conn, "o.version = $1", version.as_bytes()).await
}

/// Every version a portal has, for what is done to all of them.
pub(super) async fn all_of_portal(conn: &mut AnyConnection, portal: PortalId) -> Result<Vec<PortalVersion>> {
    all_where(conn, "o.portal = $1", portal.as_bytes()).await
}

async fn all_where(
    conn: &mut AnyConnection,
    condition: &str,
    parent: &[u8; 16],
) -> Result<Vec<PortalVersion>> {
    let sql = format!("SELECT {COLUMNS} FROM portal_versions o WHERE {condition} ORDER BY o.id");
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(parent.as_slice()).fetch_all(conn).await?;
    rows.iter().map(read).collect()
}

/// Publishes a version, or marks it as deprecated, in every portal that has it.
pub(super) async fn follow_version(
    writer: &mut Writer,
    version: VersionId,
    publish_status: Option<PublishStatus>,
    deprecated: Option<bool>,
) -> Result<()> {
    if publish_status.is_none() && deprecated.is_none() {
        return Ok(());
    }
    for before in all_of_version(writer.conn(), version).await? {
        let mut after = before.clone();
        after.publish_status = publish_status.unwrap_or(after.publish_status);
        after.deprecated = deprecated.unwrap_or(after.deprecated);
        if before != after {
            writer.rewrite_portal_version(&before, after).await?;
        }
    }
    Ok(())
}

/// What developers are told of a change, in words; empty where there is nothing to tell.
fn what_changed(before: &PortalVersion, after: &PortalVersion) -> String {
    let mut words = Vec::new();
    if before.publish_status != after.publish_status {
        words.push(after.publish_status.as_str());
    }
    if before.deprecated != after.deprecated {
        words.push(if after.deprecated { "deprecated" } else { "no longer deprecated" });
    }
    if before.strategy != after.strategy {
        words.push(if after.strategy.is_some() { "protected in another way" } else { "open to everybody" });
    }
    words.join(" and ")
}

/// A product version in a portal after a change.
#[derive(Debug)]
pub struct PortalVersionChanged {
    pub detail: PortalVersionDetail,
    /// The version, if the change has opened its service to everybody.
    pub opened: Option<ProductVersion>,
}

impl Store {
    pub async fn portal_versions(
        &self,
        portal: PortalId,
        request: &CollectionRequest,
    ) -> Result<Collected<PortalVersionDetail>> {
        let (columns, from) = joined();
        Collection {
            columns: &columns,
            from: &format!("{from} WHERE o.portal = $1"),
            bound: &[*portal.as_bytes()],
            members: &[
                Member { name: "id", value: Value::Id("o.id") },
                Member { name: "publish_status", value: Value::Column("o.publish_status") },
                Member { name: "product_version_id", value: Value::Id("o.version") },
                Member { name: "auth_strategy_ids", value: Value::Id("o.strategy") },
                Member {
                    name: "application_registration_enabled",
                    value: Value::Column("o.application_registration_enabled"),
                },
                Member {
                    name: "auto_approve_registration",
                    value: Value::Column("o.auto_approve_registration"),
                },
                Member { name: "deprecated", value: Value::Column("o.deprecated") },
                Member { name: "created_at", value: Value::Column("o.created_at") },
                Member { name: "updated_at", value: Value::Column("o.updated_at") },
            ],
            last: "o.created_at, o.id",
        }
        .page(&mut *self.reader().await?, self.0.backend, request, read_detail)
        .await
    }

    /// How a portal offers a version, if it does.
    pub async fn portal_version(
        &self,
        portal: PortalId,
        version: VersionId,
    ) -> Result<Option<PortalVersionDetail>> {
        detail_by_version(&mut *self.reader().await?, portal, version).await
    }
}

impl Writer {
    /// The version in the portal as it is until this change ends: nobody else can write meanwhile.
    pub async fn portal_version(&mut self, portal: PortalId, version: VersionId) -> Result<PortalVersion> {
        let found = offered(self.conn(), portal, version).await?;
        found.map(|(_, offered)| offered).ok_or(StoreError::NotFound(Entity::PortalVersion))
    }

    /// [`StoreError::ForeignKey`] (fields `product_version_id` and `auth_strategy_ids`) if there is no such thing.
    pub async fn create_portal_version(
        &mut self,
        portal: &Portal,
        version: VersionId,
        new: NewPortalVersion,
    ) -> Result<PortalVersionDetail> {
        if product_versions::version_by_id(self.conn(), version).await?.is_none() {
            return Err(StoreError::ForeignKey {
                entity: Entity::ProductVersion,
                field: "product_version_id",
                id: version.to_string(),
            });
        }
        let after = PortalVersion {
            id: PortalVersionId(self.new_id()?),
            portal: portal.id,
            version,
            publish_status: new.publish_status,
            strategy: new.strategy,
            application_registration_enabled: new.application_registration_enabled,
            auto_approve_registration: new.auto_approve_registration,
            deprecated: new.deprecated,
            created_at: self.now,
            updated_at: self.now,
        };
        self.check_strategy(after.strategy).await?;
        sqlx::query(
            "INSERT INTO portal_versions (id, portal, version, publish_status, strategy, \
             application_registration_enabled, auto_approve_registration, deprecated, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(after.id.as_bytes().as_slice())
        .bind(after.portal.as_bytes().as_slice())
        .bind(after.version.as_bytes().as_slice())
        .bind(after.publish_status.as_str())
        .bind(after.strategy.map(|strategy| strategy.as_bytes().to_vec()))
        .bind(i64::from(after.application_registration_enabled))
        .bind(i64::from(after.auto_approve_registration))
        .bind(i64::from(after.deprecated))
        .bind(after.created_at.0)
        .bind(after.updated_at.0)
        .execute(self.conn())
        .await
        .map_err(|error| StoreError::from(error).with_value("product_version_id", version.to_string()))?;
        self.audit_created(&after).await?;
        self.strategy_changed(None, &after).await?;
        self.portal_version_detail(&after).await
    }

    /// `before` is what [`Writer::portal_version`] answered. The same errors as [`Writer::create_portal_version`].
    pub async fn update_portal_version(
        &mut self,
        before: &PortalVersion,
        patch: PortalVersionPatch,
    ) -> Result<PortalVersionChanged> {
        let mut after = before.clone();
        after.publish_status = patch.publish_status.unwrap_or(after.publish_status);
        patch.strategy.apply(&mut after.strategy);
        after.application_registration_enabled =
            patch.application_registration_enabled.unwrap_or(after.application_registration_enabled);
        after.auto_approve_registration =
            patch.auto_approve_registration.unwrap_or(after.auto_approve_registration);
        after.deprecated = patch.deprecated.unwrap_or(after.deprecated);
        if before.strategy != after.strategy {
            self.check_strategy(after.strategy).await?;
        }
        let after = self.rewrite_portal_version(before, after).await?;
        let opened = self.strategy_changed(before.strategy, &after).await?;
        if patch.notify_developers {
            let developers = connections::users_of(self.conn(), after.version, Some(after.portal)).await?;
            let status = what_changed(before, &after);
            self.notify(Notice::Version { version: after.version, status: &status, developers: &developers })
                .await?;
        }
        Ok(PortalVersionChanged { detail: self.portal_version_detail(&after).await?, opened })
    }

    async fn portal_version_detail(&mut self, version: &PortalVersion) -> Result<PortalVersionDetail> {
        let found = detail_by_version(self.conn(), version.portal, version.version).await?;
        found.ok_or(StoreError::NotFound(Entity::PortalVersion))
    }

    async fn rewrite_portal_version(
        &mut self,
        before: &PortalVersion,
        mut after: PortalVersion,
    ) -> Result<PortalVersion> {
        after.updated_at = self.now.after(before.updated_at);
        sqlx::query(
            "UPDATE portal_versions SET publish_status = $2, strategy = $3, application_registration_enabled = $4, \
             auto_approve_registration = $5, deprecated = $6, updated_at = $7 WHERE id = $1",
        )
        .bind(after.id.as_bytes().as_slice())
        .bind(after.publish_status.as_str())
        .bind(after.strategy.map(|strategy| strategy.as_bytes().to_vec()))
        .bind(i64::from(after.application_registration_enabled))
        .bind(i64::from(after.auto_approve_registration))
        .bind(i64::from(after.deprecated))
        .bind(after.updated_at.0)
        .execute(self.conn())
        .await?;
        self.audit_updated(before, &after).await?;
        Ok(after)
    }

    /// The portal no longer has the version. What applications are registered for stays; nothing is opened.
    pub async fn delete_portal_version(&mut self, before: &PortalVersion) -> Result<()> {
        sqlx::query("DELETE FROM portal_versions WHERE id = $1")
            .bind(before.id.as_bytes().as_slice())
            .execute(self.conn())
            .await?;
        let version = product_versions::version_by_id(self.conn(), before.version).await?;
        if let Some(service) = version.and_then(|version| version.service) {
            self.touch_service(service.id);
        }
        self.audit_deleted(before).await
    }

    async fn check_strategy(&mut self, strategy: Option<StrategyId>) -> Result<()> {
        match strategy {
            Some(id) if auth_strategies::by_id(self.conn(), id).await?.is_none() => {
                Err(StoreError::ForeignKey {
                    entity: Entity::AuthStrategy,
                    field: "auth_strategy_ids",
                    id: id.to_string(),
                })
            }
            _ => Ok(()),
        }
    }

    /// Has the version's service follow its strategies. Who takes the last one away opens it, and is told; a strategy
    /// closes it again.
    async fn strategy_changed(
        &mut self,
        before: Option<StrategyId>,
        after: &PortalVersion,
    ) -> Result<Option<ProductVersion>> {
        if before == after.strategy {
            return Ok(None);
        }
        let found = product_versions::version_by_id(self.conn(), after.version).await?;
        let version = found.ok_or(StoreError::NotFound(Entity::ProductVersion))?;
        let Some(service) = version.service else { return Ok(None) };
        self.touch_service(service.id);
        let sql = "SELECT COUNT(*) AS n FROM portal_versions WHERE version = $1 AND strategy IS NOT NULL";
        let left = count(self.conn(), sql, |query| query.bind(version.id.as_bytes().to_vec())).await?;
        let opened = left == 0;
        self.set_opened(&version, opened).await?;
        Ok(opened.then_some(version))
    }
}
