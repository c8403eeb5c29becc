//! Versions of API products in the database, and the gateway services that serve them.

use app_auth_core::ids::ServiceId;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe};

use super::collection::{Collection, Member, Value};
use super::mails::Notice;
use super::sql::{Columns as _, json_labels};
use super::{Entity, Result, Store, StoreError, Writer, connections, portal_versions, services};
use crate::model::{
    Collected, CollectionRequest, GatewayService, NewProductVersion, NewService, Product, ProductId,
    ProductVersion, ProductVersionDetail, ProductVersionPatch, PublishStatus, ServiceRef, Update, VersionId,
    VersionOffer, labels,
};

/// Of the table `product_versions v`; the names do not clash in joins.
pub(super) const VERSION: &str = "v.id AS v_id, v.product AS v_product, v.name AS v_name, \
    v.publish_status AS v_publish_status, v.deprecated AS v_deprecated, v.service AS v_service, \
    v.control_plane AS v_control_plane, v.opened AS v_opened, v.labels AS v_labels, \
    v.created_at AS v_created_at, v.updated_at AS v_updated_at";

pub(super) fn read_version(row: &AnyRow) -> Result<ProductVersion> {
    let control_plane = row.optional_uuid("v_control_plane")?;
    Ok(ProductVersion {
        id: VersionId(row.uuid("v_id")?),
        product: ProductId(row.uuid("v_product")?),
        name: row.text("v_name")?,
        publish_status: PublishStatus::parse(&row.text("v_publish_status")?)
            .ok_or(StoreError::Corrupt("product_versions.publish_status"))?,
        deprecated: row.truth("v_deprecated")?,
        service: row
            .optional_uuid("v_service")?
            .map(|id| GatewayService { id: ServiceId(id), control_plane }),
        opened: row.truth("v_opened")?,
        labels: row.labels("v_labels")?,
        created_at: row.time("v_created_at")?,
        updated_at: row.time("v_updated_at")?,
    })
}

pub(super) async fn version_by_id(conn: &mut AnyConnection, id: VersionId) -> Result<Option<ProductVersion>> {
    let sql = format!("SELECT {VERSION} FROM product_versions v WHERE v.id = $1");
    let row = sqlx::query(AssertSqlSafe(sql)).bind(id.as_bytes().as_slice()).fetch_optional(conn).await?;
    row.as_ref().map(read_version).transpose()
}

/// The version a service serves, if it serves one.
pub(super) async fn version_of_service(
    conn: &mut AnyConnection,
    service: ServiceId,
) -> Result<Option<ProductVersion>> {
    let sql = format!("SELECT {VERSION} FROM product_versions v WHERE v.service = $1");
    let row =
        sqlx::query(AssertSqlSafe(sql)).bind(service.as_bytes().as_slice()).fetch_optional(conn).await?;
    row.as_ref().map(read_version).transpose()
}

/// What a version shows as its publication; see [`ProductVersionDetail::publish_status`].
const PUBLISHED: &str = "(CASE WHEN EXISTS (SELECT 1 FROM portal_versions o WHERE o.version = v.id \
    AND o.publish_status = 'published') THEN 'published' \
    WHEN EXISTS (SELECT 1 FROM portal_versions o WHERE o.version = v.id) THEN 'unpublished' \
    ELSE v.publish_status END)";

/// Every version of a product, for what is done to all of them.
pub(super) async fn all_of_product(
    conn: &mut AnyConnection,
    product: ProductId,
) -> Result<Vec<ProductVersion>> {
    let sql = format!("SELECT {VERSION} FROM product_versions v WHERE v.product = $1 ORDER BY v.id");
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(product.as_bytes().as_slice()).fetch_all(conn).await?;
    rows.iter().map(read_version).collect()
}

/// Product and version, as people read them.
pub(super) async fn full_name(conn: &mut AnyConnection, version: VersionId) -> Result<String> {
    let row = sqlx::query(
        "SELECT p.name AS p_name, v.name AS v_name FROM product_versions v \
         JOIN api_products p ON p.id = v.product WHERE v.id = $1",
    )
    .bind(version.as_bytes().as_slice())
    .fetch_one(conn)
    .await?;
    Ok(format!("{} {}", row.text("p_name")?, row.text("v_name")?))
}

/// How the portals offer a version, in the order of their names.
async fn offers_of(conn: &mut AnyConnection, version: VersionId) -> Result<Vec<VersionOffer>> {
    let offered = portal_versions::COLUMNS;
    let sql = format!(
        "SELECT {offered}, p.name AS p_name, t.display_name AS t_display_name FROM portal_versions o \
         JOIN portals p ON p.id = o.portal LEFT JOIN auth_strategies t ON t.id = o.strategy \
         WHERE o.version = $1 ORDER BY p.name, p.id"
    );
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(version.as_bytes().as_slice()).fetch_all(conn).await?;
    rows.iter()
        .map(|row| {
            Ok(VersionOffer {
                portal_name: row.text("p_name")?,
                offered: portal_versions::read(row)?,
                strategy_name: row.optional_text("t_display_name")?,
            })
        })
        .collect()
}

async fn detail(conn: &mut AnyConnection, version: ProductVersion) -> Result<ProductVersionDetail> {
    let portals = offers_of(conn, version.id).await?;
    Ok(ProductVersionDetail { version, portals })
}

impl Store {
    pub async fn product_versions(
        &self,
        product: ProductId,
        request: &CollectionRequest,
    ) -> Result<Collected<ProductVersionDetail>> {
        let mut reader = self.reader().await?;
        let page = Collection {
            columns: VERSION,
            from: "product_versions v WHERE v.product = $1",
            bound: &[*product.as_bytes()],
            members: &[
                Member { name: "name", value: Value::Column("v.name") },
                Member { name: "publish_status", value: Value::Column(PUBLISHED) },
                Member { name: "gateway_service_id", value: Value::Id("v.service") },
                Member { name: "created_at", value: Value::Column("v.created_at") },
                Member { name: "updated_at", value: Value::Column("v.updated_at") },
            ],
            last: "v.created_at, v.id",
        }
        .page(&mut reader, self.0.backend, request, read_version)
        .await?;
        let mut items = Vec::with_capacity(page.items.len());
        for version in page.items {
            items.push(detail(&mut reader, version).await?);
        }
        Ok(Collected { items, total: page.total })
    }

    /// The product's version; another product's is not found.
    pub async fn product_version(
        &self,
        product: ProductId,
        id: VersionId,
    ) -> Result<Option<ProductVersionDetail>> {
        let mut reader = self.reader().await?;
        match version_by_id(&mut reader, id).await?.filter(|version| version.product == product) {
            Some(version) => detail(&mut reader, version).await.map(Some),
            None => Ok(None),
        }
    }
}

impl Writer {
    /// The product's version as it is until this change ends: nobody else can write meanwhile.
    pub async fn product_version(&mut self, product: ProductId, id: VersionId) -> Result<ProductVersion> {
        let found = version_by_id(self.conn(), id).await?.filter(|version| version.product == product);
        found.ok_or(StoreError::NotFound(Entity::ProductVersion))
    }

    /// [`StoreError::InUse`] if its service serves another version. A service nobody has heard of is registered.
    pub async fn create_product_version(
        &mut self,
        product: &Product,
        new: NewProductVersion,
    ) -> Result<ProductVersionDetail> {
        let version = ProductVersion {
            id: VersionId(self.new_id()?),
            product: product.id,
            name: new.name,
            publish_status: new.publish_status,
            deprecated: new.deprecated,
            service: new.service,
            opened: false,
            labels: new.labels,
            created_at: self.now,
            updated_at: self.now,
        };
        if let Some(service) = version.service {
            self.ready_to_serve(version.id, service.id).await?;
        }
        sqlx::query(
            "INSERT INTO product_versions (id, product, name, publish_status, deprecated, service, control_plane, \
             opened, labels, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, $9, $10)",
        )
        .bind(version.id.as_bytes().as_slice())
        .bind(version.product.as_bytes().as_slice())
        .bind(version.name.clone())
        .bind(version.publish_status.as_str())
        .bind(i64::from(version.deprecated))
        .bind(version.service.map(|service| service.id.as_bytes().to_vec()))
        .bind(control_plane(&version))
        .bind(json_labels(&version.labels))
        .bind(version.created_at.0)
        .bind(version.updated_at.0)
        .execute(self.conn())
        .await
        .map_err(|error| StoreError::from(error).with_value("name", &version.name))?;
        self.relink(version.id, None, version.service.map(|service| service.id)).await?;
        self.audit_created(&version).await?;
        detail(self.conn(), version).await
    }

    /// `before` is what [`Writer::product_version`] answered. Publication and deprecation go for every portal that has
    /// the version. The same errors as [`Writer::create_product_version`].
    pub async fn update_product_version(
        &mut self,
        before: &ProductVersion,
        patch: ProductVersionPatch,
    ) -> Result<ProductVersionDetail> {
        let mut after = before.clone();
        after.name = patch.name.unwrap_or(after.name);
        after.publish_status = patch.publish_status.unwrap_or(after.publish_status);
        after.deprecated = patch.deprecated.unwrap_or(after.deprecated);
        labels::change("labels", &mut after.labels, patch.labels)?;
        patch.service.apply(&mut after.service);
        let id_of = |version: &ProductVersion| version.service.map(|service| service.id);
        if let Some(service) = id_of(&after).filter(|service| Some(*service) != id_of(before)) {
            self.ready_to_serve(before.id, service).await?;
        }
        if id_of(before) != id_of(&after) {
            // Who opened the one service has said nothing about the other.
            after.opened = false;
        }
        after.updated_at = self.now.after(before.updated_at);
        self.rewrite_version(before, &after).await?;
        self.relink(after.id, id_of(before), id_of(&after)).await?;
        let deprecated = detail(self.conn(), before.clone()).await?.deprecated();
        portal_versions::follow_version(self, after.id, patch.publish_status, patch.deprecated).await?;
        let after = detail(self.conn(), after).await?;
        let newly = !deprecated && after.deprecated() && after.publish_status() == PublishStatus::Published;
        if patch.notify && newly {
            let developers = connections::users_of(self.conn(), before.id, None).await?;
            let notice =
                Notice::Version { version: before.id, status: "deprecated", developers: &developers };
            self.notify(notice).await?;
        }
        Ok(after)
    }

    /// No service serves the version any more. What is connected to it stays so.
    pub(super) async fn unlink(&mut self, before: &ProductVersion) -> Result<()> {
        let patch = ProductVersionPatch { service: Update::Clear, ..ProductVersionPatch::default() };
        self.update_product_version(before, patch).await.map(drop)
    }

    /// Everybody is let in to the version's service from now on, or no longer.
    pub(super) async fn set_opened(&mut self, before: &ProductVersion, opened: bool) -> Result<()> {
        if before.opened == opened {
            return Ok(());
        }
        let after =
            ProductVersion { opened, updated_at: self.now.after(before.updated_at), ..before.clone() };
        self.rewrite_version(before, &after).await
    }

    async fn rewrite_version(&mut self, before: &ProductVersion, after: &ProductVersion) -> Result<()> {
        sqlx::query(
            "UPDATE product_versions SET name = $2, publish_status = $3, deprecated = $4, service = $5, \
             control_plane = $6, opened = $7, labels = $8, updated_at = $9 WHERE id = $1",
        )
        .bind(after.id.as_bytes().as_slice())
        .bind(after.name.clone())
        .bind(after.publish_status.as_str())
        .bind(i64::from(after.deprecated))
        .bind(after.service.map(|service| service.id.as_bytes().to_vec()))
        .bind(control_plane(after))
        .bind(i64::from(after.opened))
        .bind(json_labels(&after.labels))
        .bind(after.updated_at.0)
        .execute(self.conn())
        .await
        .map_err(|error| StoreError::from(error).with_value("name", &after.name))?;
        self.audit_updated(before, after).await
    }

    /// With the connections to it. Its service stands by itself again.
    pub async fn delete_product_version(&mut self, before: &ProductVersion) -> Result<()> {
        for connection in connections::all_of_version(self.conn(), before.id).await? {
            connections::remove(self, &connection).await?;
            self.leave_registration(&connection).await?;
        }
        for offered in portal_versions::all_of_version(self.conn(), before.id).await? {
            self.audit_deleted(&offered).await?;
        }
        // Its places in portals go with it (ON DELETE CASCADE).
        sqlx::query("DELETE FROM product_versions WHERE id = $1")
            .bind(before.id.as_bytes().as_slice())
            .execute(self.conn())
            .await?;
        if let Some(service) = before.service {
            self.touch_service(service.id);
            self.mark_filter(service.id);
        }
        self.audit_deleted(before).await
    }

    /// Sees to it that there is the service, and that it serves no other version.
    async fn ready_to_serve(&mut self, version: VersionId, service: ServiceId) -> Result<()> {
        if services::by_ref(self.conn(), &service.into()).await?.is_none() {
            self.register(service).await?;
        }
        match version_of_service(self.conn(), service).await? {
            Some(other) if other.id != version => Err(StoreError::InUse {
                entity: Entity::Service,
                reason: format!("it serves the product version {} ({})", other.id, other.name),
            }),
            _ => Ok(()),
        }
    }

    /// A service that is known by its id only is called by it.
    async fn register(&mut self, id: ServiceId) -> Result<()> {
        let by_id = ServiceRef::Name(id.to_string());
        let taken = services::by_ref(self.conn(), &by_id).await?.is_some();
        let name = if taken { format!("service {id}") } else { id.to_string() };
        let new = NewService { id: Some(id), ..NewService::new(name) };
        self.create_service(new).await.map(drop)
    }
}

fn control_plane(version: &ProductVersion) -> Option<Vec<u8>> {
    version.service.and_then(|service| service.control_plane).map(|id| id.as_bytes().to_vec())
}
