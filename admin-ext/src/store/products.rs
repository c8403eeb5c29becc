//! API products in the database.

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe};

use super::collection::{Collection, Member, Value};
use super::sql::{Columns as _, json_labels};
use super::{Entity, Result, Store, StoreError, Writer, product_versions};
use crate::model::{
    Collected, CollectionRequest, NewProduct, PortalId, Product, ProductDetail, ProductId, ProductPatch,
    labels,
};

pub(super) const PRODUCT: &str =
    "p.id, p.name, p.description, p.labels, p.public_labels, p.created_at, p.updated_at";

/// With the number of its versions.
const COUNTED: &str = "(SELECT COUNT(*) FROM product_versions v WHERE v.product = p.id) AS versions";

fn read_product(row: &AnyRow) -> Result<Product> {
    Ok(Product {
        id: ProductId(row.uuid("id")?),
        name: row.text("name")?,
        description: row.optional_text("description")?,
        labels: row.labels("labels")?,
        public_labels: row.labels("public_labels")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

/// The portals that show a product are not among its columns.
pub(super) fn read_detail(row: &AnyRow) -> Result<ProductDetail> {
    Ok(ProductDetail { product: read_product(row)?, portals: Vec::new(), versions: row.count("versions")? })
}

/// The portals that show a product, in the order of their names.
pub(super) async fn portals_of(
    conn: &mut AnyConnection,
    product: ProductId,
) -> Result<Vec<(PortalId, String)>> {
    let rows = sqlx::query(
        "SELECT o.id, o.name FROM portal_products pp JOIN portals o ON o.id = pp.portal \
         WHERE pp.product = $1 ORDER BY o.name, o.id",
    )
    .bind(product.as_bytes().as_slice())
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Ok((PortalId(row.uuid("id")?), row.text("name")?))).collect()
}

pub(super) async fn product_by_id(conn: &mut AnyConnection, id: ProductId) -> Result<Option<ProductDetail>> {
    let sql = format!("SELECT {PRODUCT}, {COUNTED} FROM api_products p WHERE p.id = $1");
    let row =
        sqlx::query(AssertSqlSafe(sql)).bind(id.as_bytes().as_slice()).fetch_optional(&mut *conn).await?;
    let Some(row) = row else { return Ok(None) };
    let portals = portals_of(conn, id).await?;
    Ok(Some(ProductDetail { portals, ..read_detail(&row)? }))
}

impl Store {
    pub async fn products(&self, request: &CollectionRequest) -> Result<Collected<ProductDetail>> {
        let mut reader = self.reader().await?;
        let mut page = Collection {
            columns: &format!("{PRODUCT}, {COUNTED}"),
            from: "api_products p WHERE 1 = 1",
            bound: &[],
            members: &[
                Member { name: "id", value: Value::Id("p.id") },
                Member { name: "name", value: Value::Column("p.name") },
                Member { name: "created_at", value: Value::Column("p.created_at") },
                Member { name: "updated_at", value: Value::Column("p.updated_at") },
            ],
            last: "p.created_at, p.id",
        }
        .page(&mut reader, self.0.backend, request, read_detail)
        .await?;
        for item in &mut page.items {
            item.portals = portals_of(&mut reader, item.product.id).await?;
        }
        Ok(page)
    }

    pub async fn product(&self, id: ProductId) -> Result<Option<ProductDetail>> {
        product_by_id(&mut *self.reader().await?, id).await
    }
}

impl Writer {
    /// The product as it is until this change ends: nobody else can write meanwhile.
    pub async fn product(&mut self, id: ProductId) -> Result<Product> {
        let found = product_by_id(self.conn(), id).await?;
        found.map(|detail| detail.product).ok_or(StoreError::NotFound(Entity::Product))
    }

    /// [`StoreError::ForeignKey`] (field `portal_ids`) if there is no such portal.
    pub async fn create_product(&mut self, new: NewProduct) -> Result<ProductDetail> {
        let product = Product {
            id: ProductId(self.new_id()?),
            name: new.name,
            description: new.description,
            labels: new.labels,
            public_labels: new.public_labels,
            created_at: self.now,
            updated_at: self.now,
        };
        sqlx::query(
            "INSERT INTO api_products (id, name, description, labels, public_labels, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(product.id.as_bytes().as_slice())
        .bind(product.name.clone())
        .bind(product.description.clone())
        .bind(json_labels(&product.labels))
        .bind(json_labels(&product.public_labels))
        .bind(product.created_at.0)
        .bind(product.updated_at.0)
        .execute(self.conn())
        .await?;
        self.show_in(product.id, &new.portals).await?;
        self.audit_created(&product).await?;
        self.product_detail(product.id).await
    }

    /// `before` is what [`Writer::product`] answered.
    pub async fn update_product(&mut self, before: &Product, patch: ProductPatch) -> Result<ProductDetail> {
        let mut after = before.clone();
        after.name = patch.name.unwrap_or(after.name);
        patch.description.apply(&mut after.description);
        labels::change("labels", &mut after.labels, patch.labels)?;
        labels::change("public_labels", &mut after.public_labels, patch.public_labels)?;
        after.updated_at = self.now.after(before.updated_at);
        sqlx::query(
            "UPDATE api_products SET name = $2, description = $3, labels = $4, public_labels = $5, updated_at = $6 \
             WHERE id = $1",
        )
        .bind(after.id.as_bytes().as_slice())
        .bind(after.name.clone())
        .bind(after.description.clone())
        .bind(json_labels(&after.labels))
        .bind(json_labels(&after.public_labels))
        .bind(after.updated_at.0)
        .execute(self.conn())
        .await?;
        if let Some(portals) = patch.portals {
            self.show_in(after.id, &portals).await?;
        }
        self.audit_updated(before, &after).await?;
        self.product_detail(after.id).await
    }

    async fn product_detail(&mut self, id: ProductId) -> Result<ProductDetail> {
        product_by_id(self.conn(), id).await?.ok_or(StoreError::NotFound(Entity::Product))
    }

    /// Shows a product in these portals and no others.
    pub(super) async fn show_in(&mut self, product: ProductId, portals: &[PortalId]) -> Result<()> {
        let before: Vec<_> = portals_of(self.conn(), product).await?.into_iter().map(|(id, _)| id).collect();
        sqlx::query("DELETE FROM portal_products WHERE product = $1")
            .bind(product.as_bytes().as_slice())
            .execute(self.conn())
            .await?;
        for portal in portals {
            if super::portals::portal_by_id(self.conn(), *portal).await?.is_none() {
                let id = portal.to_string();
                return Err(StoreError::ForeignKey { entity: Entity::Portal, field: "portal_ids", id });
            }
            sqlx::query(
                "INSERT INTO portal_products (portal, product) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            )
            .bind(portal.as_bytes().as_slice())
            .bind(product.as_bytes().as_slice())
            .execute(self.conn())
            .await?;
        }
        let after: Vec<_> = portals_of(self.conn(), product).await?.into_iter().map(|(id, _)| id).collect();
        if before == after {
            return Ok(());
        }
        let shown = |portals: &[PortalId]| Some(serde_json::json!({ "portals": portals }));
        self.audit(Entity::Product, "publish", product.0, shown(&before), shown(&after)).await
    }

    /// With its versions and the connections to them. `before` is what [`Writer::product`] answered.
    pub async fn delete_product(&mut self, before: &Product) -> Result<()> {
        for version in product_versions::all_of_product(self.conn(), before.id).await? {
            self.delete_product_version(&version).await?;
        }
        sqlx::query("DELETE FROM api_products WHERE id = $1")
            .bind(before.id.as_bytes().as_slice())
            .execute(self.conn())
            .await?;
        self.audit_deleted(before).await
    }
}
