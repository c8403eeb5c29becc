//! Portals in the database, and the API products they show.

use app_auth_core::ids::{ApplicationId, DeveloperId, StrategyId};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe};

use super::collection::{Collection, Member, Value};
use super::sql::{Columns as _, count, json_labels};
use super::{Entity, Result, Store, StoreError, Writer, auth_strategies, portal_versions, products};
use crate::model::{
    Collected, CollectionRequest, DeveloperStatus, Invalid, NewPortal, Portal, PortalDetail, PortalId,
    PortalPatch, ProductDetail, ProductId, StatusCode as _, labels,
};

/// Of the table `portals p`; the names do not clash in joins.
pub(super) const PORTAL: &str = "p.id AS p_id, p.name AS p_name, p.display_name AS p_display_name, \
    p.description AS p_description, p.is_public AS p_is_public, p.rbac_enabled AS p_rbac_enabled, \
    p.auto_approve_applications AS p_auto_approve_applications, \
    p.auto_approve_developers AS p_auto_approve_developers, p.custom_domain AS p_custom_domain, \
    p.custom_client_domain AS p_custom_client_domain, p.default_strategy AS p_default_strategy, \
    p.default_domain AS p_default_domain, p.labels AS p_labels, p.created_at AS p_created_at, p.updated_at AS p_updated_at";

pub(super) fn read_portal(row: &AnyRow) -> Result<Portal> {
    Ok(Portal {
        id: PortalId(row.uuid("p_id")?),
        name: row.text("p_name")?,
        display_name: row.text("p_display_name")?,
        description: row.optional_text("p_description")?,
        is_public: row.truth("p_is_public")?,
        rbac_enabled: row.truth("p_rbac_enabled")?,
        auto_approve_applications: row.truth("p_auto_approve_applications")?,
        auto_approve_developers: row.truth("p_auto_approve_developers")?,
        default_domain: row.text("p_default_domain")?,
        custom_domain: row.optional_text("p_custom_domain")?,
        custom_client_domain: row.optional_text("p_custom_client_domain")?,
        default_strategy: row.optional_uuid("p_default_strategy")?.map(StrategyId),
        labels: row.labels("p_labels")?,
        created_at: row.time("p_created_at")?,
        updated_at: row.time("p_updated_at")?,
    })
}

/// What other entities say about the portals of `p`.
const COUNTED: &str = "(SELECT COUNT(*) FROM applications a JOIN developers d ON d.id = a.developer \
    WHERE d.portal = p.id) AS p_applications, \
    (SELECT COUNT(*) FROM developers d WHERE d.portal = p.id) AS p_developers, \
    (SELECT COUNT(*) FROM portal_products pp WHERE pp.portal = p.id) AS p_products";

fn read_detail(row: &AnyRow) -> Result<PortalDetail> {
    Ok(PortalDetail {
        portal: read_portal(row)?,
        applications: row.count("p_applications")?,
        developers: row.count("p_developers")?,
        published_products: row.count("p_products")?,
    })
}

async fn detail_by_id(conn: &mut AnyConnection, id: PortalId) -> Result<Option<PortalDetail>> {
    let sql = format!("SELECT {PORTAL}, {COUNTED} FROM portals p WHERE p.id = $1");
    let row = sqlx::query(AssertSqlSafe(sql)).bind(id.as_bytes().as_slice()).fetch_optional(conn).await?;
    row.as_ref().map(read_detail).transpose()
}

pub(super) async fn portal_by_id(conn: &mut AnyConnection, id: PortalId) -> Result<Option<Portal>> {
    let sql = format!("SELECT {PORTAL} FROM portals p WHERE p.id = $1");
    let row = sqlx::query(AssertSqlSafe(sql)).bind(id.as_bytes().as_slice()).fetch_optional(conn).await?;
    row.as_ref().map(read_portal).transpose()
}

/// The strategy of applications that are made without one in a portal.
pub(super) async fn default_strategy(
    conn: &mut AnyConnection,
    portal: PortalId,
) -> Result<Option<StrategyId>> {
    Ok(portal_by_id(conn, portal).await?.and_then(|portal| portal.default_strategy))
}

impl Store {
    pub async fn portals(&self, request: &CollectionRequest) -> Result<Collected<PortalDetail>> {
        Collection {
            columns: &format!("{PORTAL}, {COUNTED}"),
            from: "portals p WHERE 1 = 1",
            bound: &[],
            members: &[
                Member { name: "id", value: Value::Id("p.id") },
                Member { name: "name", value: Value::Column("p.name") },
                Member { name: "description", value: Value::Column("p.description") },
                Member { name: "is_public", value: Value::Column("p.is_public") },
                Member { name: "rbac_enabled", value: Value::Column("p.rbac_enabled") },
                Member {
                    name: "auto_approve_applications",
                    value: Value::Column("p.auto_approve_applications"),
                },
                Member { name: "auto_approve_developers", value: Value::Column("p.auto_approve_developers") },
                Member { name: "default_domain", value: Value::Column("p.default_domain") },
                Member { name: "custom_domain", value: Value::Column("p.custom_domain") },
                Member { name: "custom_client_domain", value: Value::Column("p.custom_client_domain") },
                Member { name: "created_at", value: Value::Column("p.created_at") },
                Member { name: "updated_at", value: Value::Column("p.updated_at") },
            ],
            last: "p.created_at, p.id",
        }
        .page(&mut *self.reader().await?, self.0.backend, request, read_detail)
        .await
    }

    pub async fn portal_by_id(&self, id: PortalId) -> Result<Option<PortalDetail>> {
        detail_by_id(&mut *self.reader().await?, id).await
    }

    /// The products that a portal shows, each with the number of its versions that are published there.
    pub async fn products_in(
        &self,
        portal: PortalId,
        request: &CollectionRequest,
    ) -> Result<Collected<ProductDetail>> {
        let mut reader = self.reader().await?;
        let columns = format!(
            "{}, (SELECT COUNT(*) FROM portal_versions o JOIN product_versions v ON v.id = o.version \
             WHERE v.product = p.id AND o.portal = pp.portal AND o.publish_status = 'published') AS versions",
            products::PRODUCT
        );
        let mut page = Collection {
            columns: &columns,
            from: "portal_products pp JOIN api_products p ON p.id = pp.product WHERE pp.portal = $1",
            bound: &[*portal.as_bytes()],
            members: &[
                Member { name: "id", value: Value::Id("p.id") },
                Member { name: "name", value: Value::Column("p.name") },
                Member { name: "description", value: Value::Column("p.description") },
                Member { name: "created_at", value: Value::Column("p.created_at") },
            ],
            last: "p.created_at, p.id",
        }
        .page(&mut reader, self.0.backend, request, products::read_detail)
        .await?;
        for item in &mut page.items {
            item.portals = products::portals_of(&mut reader, item.product.id).await?;
        }
        Ok(page)
    }
}

impl Writer {
    /// The portal as it is until this change ends: nobody else can write meanwhile.
    pub async fn portal_by_id(&mut self, id: PortalId) -> Result<Portal> {
        portal_by_id(self.conn(), id).await?.ok_or(StoreError::NotFound(Entity::Portal))
    }

    async fn portal_detail(&mut self, id: PortalId) -> Result<PortalDetail> {
        detail_by_id(self.conn(), id).await?.ok_or(StoreError::NotFound(Entity::Portal))
    }

    /// [`StoreError::ForeignKey`] (field `default_application_auth_strategy_id`) if there is no such strategy.
    pub async fn create_portal(&mut self, new: NewPortal) -> Result<PortalDetail> {
        let id = PortalId(self.new_id()?);
        let portal = Portal {
            id,
            display_name: new.display_name.unwrap_or_else(|| new.name.clone()),
            name: new.name,
            description: new.description,
            is_public: new.is_public,
            rbac_enabled: new.rbac_enabled,
            auto_approve_applications: new.auto_approve_applications,
            auto_approve_developers: new.auto_approve_developers,
            default_domain: id.default_domain(),
            custom_domain: new.custom_domain,
            custom_client_domain: new.custom_client_domain,
            default_strategy: new.default_strategy,
            labels: new.labels,
            created_at: self.now,
            updated_at: self.now,
        };
        self.check_portal(&portal).await?;
        sqlx::query(
            "INSERT INTO portals (id, default_domain, created_at, name, display_name, description, is_public, \
             rbac_enabled, auto_approve_applications, auto_approve_developers, custom_domain, custom_client_domain, \
             default_strategy, labels, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
        )
        .bind(portal.id.as_bytes().as_slice())
        .bind(portal.default_domain.clone())
        .bind(portal.created_at.0)
        .bind(portal.name.clone())
        .bind(portal.display_name.clone())
        .bind(portal.description.clone())
        .bind(i64::from(portal.is_public))
        .bind(i64::from(portal.rbac_enabled))
        .bind(i64::from(portal.auto_approve_applications))
        .bind(i64::from(portal.auto_approve_developers))
        .bind(portal.custom_domain.clone())
        .bind(portal.custom_client_domain.clone())
        .bind(portal.default_strategy.map(|strategy| strategy.as_bytes().to_vec()))
        .bind(json_labels(&portal.labels))
        .bind(portal.updated_at.0)
        .execute(self.conn())
        .await
        .map_err(|error| StoreError::from(error).with_value("name", &portal.name))?;
        self.audit_created(&portal).await?;
        self.portal_detail(portal.id).await
    }

    /// `before` is what [`Writer::portal_by_id`] answered. The same errors as [`Writer::create_portal`].
    pub async fn update_portal(&mut self, before: &Portal, patch: PortalPatch) -> Result<PortalDetail> {
        let mut after = before.clone();
        after.name = patch.name.unwrap_or(after.name);
        after.display_name = patch.display_name.unwrap_or(after.display_name);
        patch.description.apply(&mut after.description);
        after.is_public = patch.is_public.unwrap_or(after.is_public);
        after.rbac_enabled = patch.rbac_enabled.unwrap_or(after.rbac_enabled);
        after.auto_approve_applications =
            patch.auto_approve_applications.unwrap_or(after.auto_approve_applications);
        after.auto_approve_developers =
            patch.auto_approve_developers.unwrap_or(after.auto_approve_developers);
        patch.custom_domain.apply(&mut after.custom_domain);
        patch.custom_client_domain.apply(&mut after.custom_client_domain);
        patch.default_strategy.apply(&mut after.default_strategy);
        labels::change("labels", &mut after.labels, patch.labels)?;
        after.updated_at = self.now.after(before.updated_at);
        self.check_portal(&after).await?;
        if after.is_public && !before.is_public && !developers_of(self.conn(), after.id).await?.is_empty() {
            return Err(
                Invalid::new("is_public", "the portal has developers, and a public one has none").into()
            );
        }
        sqlx::query(
            "UPDATE portals SET name = $2, display_name = $3, description = $4, is_public = $5, rbac_enabled = $6, \
             auto_approve_applications = $7, auto_approve_developers = $8, custom_domain = $9, \
             custom_client_domain = $10, default_strategy = $11, labels = $12, updated_at = $13 WHERE id = $1",
        )
        .bind(after.id.as_bytes().as_slice())
        .bind(after.name.clone())
        .bind(after.display_name.clone())
        .bind(after.description.clone())
        .bind(i64::from(after.is_public))
        .bind(i64::from(after.rbac_enabled))
        .bind(i64::from(after.auto_approve_applications))
        .bind(i64::from(after.auto_approve_developers))
        .bind(after.custom_domain.clone())
        .bind(after.custom_client_domain.clone())
        .bind(after.default_strategy.map(|strategy| strategy.as_bytes().to_vec()))
        .bind(json_labels(&after.labels))
        .bind(after.updated_at.0)
        .execute(self.conn())
        .await
        .map_err(|error| StoreError::from(error).with_value("name", &after.name))?;
        self.audit_updated(before, &after).await?;
        self.portal_detail(after.id).await
    }

    /// What only the database and the portal as a whole can tell.
    async fn check_portal(&mut self, portal: &Portal) -> Result<()> {
        portal.check()?;
        match portal.default_strategy {
            Some(id) if auth_strategies::by_id(self.conn(), id).await?.is_none() => {
                Err(StoreError::ForeignKey {
                    entity: Entity::AuthStrategy,
                    field: "default_application_auth_strategy_id",
                    id: id.to_string(),
                })
            }
            _ => Ok(()),
        }
    }

    /// What stands against deleting a portal, in words; `None`: nothing does.
    pub async fn against_deleting_portal(&mut self, portal: PortalId) -> Result<Option<&'static str>> {
        let developers = "SELECT COUNT(*) AS n FROM developers WHERE portal = $1";
        let open = "SELECT COUNT(*) AS n FROM portal_versions WHERE portal = $1 \
                    AND application_registration_enabled <> 0";
        let bound = portal.as_bytes().to_vec();
        if count(self.conn(), developers, |query| query.bind(bound.clone())).await? > 0 {
            return Ok(Some("the portal has developers"));
        }
        if count(self.conn(), open, |query| query.bind(bound)).await? > 0 {
            return Ok(Some("applications can be registered for product versions of the portal"));
        }
        Ok(None)
    }

    /// With its developers and everything that is theirs, and with its strategies for product versions: none of them is
    /// opened by it. [`StoreError::InUse`] if it is the portal of the legacy API.
    pub async fn delete_portal(&mut self, before: &Portal) -> Result<()> {
        if before.id == PortalId::DEFAULT {
            return Err(StoreError::InUse {
                entity: Entity::Portal,
                reason: "it is the portal of /developers".to_owned(),
            });
        }
        for developer in developers_of(self.conn(), before.id).await? {
            self.delete_developer(developer).await?;
        }
        for offered in portal_versions::all_of_portal(self.conn(), before.id).await? {
            self.delete_portal_version(&offered).await?;
        }
        // What products it shows goes with it (ON DELETE CASCADE).
        sqlx::query("DELETE FROM portals WHERE id = $1")
            .bind(before.id.as_bytes().as_slice())
            .execute(self.conn())
            .await?;
        self.audit_deleted(before).await
    }

    /// Shows products in a portal, or no longer. [`StoreError::ForeignKey`] (field `api_products`) if there is no such
    /// product.
    pub async fn publish(&mut self, portal: &Portal, products: &[(ProductId, bool)]) -> Result<()> {
        for (id, shown) in products {
            if products::product_by_id(self.conn(), *id).await?.is_none() {
                let id = id.to_string();
                return Err(StoreError::ForeignKey { entity: Entity::Product, field: "api_products", id });
            }
            let before = products::portals_of(self.conn(), *id).await?;
            let mut after: Vec<_> =
                before.iter().map(|(known, _)| *known).filter(|known| *known != portal.id).collect();
            if *shown {
                after.push(portal.id);
            }
            self.show_in(*id, &after).await?;
        }
        Ok(())
    }

    /// The portal that is always there, and the developers of a time before there were portals.
    pub(super) async fn make_default_portal(&mut self) -> Result<()> {
        let now = self.now;
        sqlx::query(
            "INSERT INTO portals (id, name, display_name, is_public, rbac_enabled, auto_approve_applications, \
             auto_approve_developers, default_domain, labels, created_at, updated_at) \
             VALUES ($1, 'default', 'default', 0, 0, 0, 0, $2, '{}', $3, $3) ON CONFLICT DO NOTHING",
        )
        .bind(PortalId::DEFAULT.as_bytes().as_slice())
        .bind(PortalId::DEFAULT.default_domain())
        .bind(now.0)
        .execute(self.conn())
        .await?;
        sqlx::query("UPDATE developers SET portal = $1 WHERE portal IS NULL")
            .bind(PortalId::DEFAULT.as_bytes().as_slice())
            .execute(self.conn())
            .await?;
        Ok(())
    }

    /// Has the applications of revoked developers derived again if they were derived by another rule than holds now.
    pub(super) async fn follow_blocking(&mut self) -> Result<()> {
        let blocks = self.store.0.revoke_developer_blocks;
        let row = sqlx::query("SELECT revoke_blocks FROM head WHERE id = 1").fetch_one(self.conn()).await?;
        if row.truth("revoke_blocks")? == blocks {
            return Ok(());
        }
        sqlx::query("UPDATE head SET revoke_blocks = $1 WHERE id = 1")
            .bind(i64::from(blocks))
            .execute(self.conn())
            .await?;
        let rows = sqlx::query(
            "SELECT a.id FROM applications a JOIN developers d ON d.id = a.developer WHERE d.status = $1",
        )
        .bind(i64::from(DeveloperStatus::Revoked.code()))
        .fetch_all(self.conn())
        .await?;
        for row in &rows {
            self.touch_application(ApplicationId(row.uuid("id")?));
        }
        Ok(())
    }
}

/// Every developer of a portal, for what is done to all of them.
async fn developers_of(conn: &mut AnyConnection, portal: PortalId) -> Result<Vec<DeveloperId>> {
    let rows = sqlx::query("SELECT id FROM developers WHERE portal = $1 ORDER BY id")
        .bind(portal.as_bytes().as_slice())
        .fetch_all(conn)
        .await?;
    rows.iter().map(|row| row.uuid("id").map(DeveloperId)).collect()
}
