//! `/v2/api-products`: what portals offer.

use axum::extract::Extension;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::conventions::{
    Collection, Filter, Filters, Ids, IfMatch, Input, Member, Object, PageBody, Problem, Query, Rule,
    arguments, bodies, reply,
};
use crate::api::Seen;
use crate::model::{
    LabelChanges, Labels, NewProduct, PortalId, ProductDetail, ProductId, ProductPatch, Update,
};
use crate::store::Actor;

const NAME: Rule = Rule::Text { min: 1, max: 100 };
const DESCRIPTION: Rule = Rule::Text { min: 0, max: 4096 };
const PORTALS: Rule = Rule::List { of: &Rule::Uuid, min: 0, max: 100 };

const CREATE: Object = Object::closed(&[
    Member::new("name", NAME, "").required(),
    Member::new("description", DESCRIPTION, "").nullable(),
    Member::new("labels", Rule::Labels, ""),
    Member::new("public_labels", Rule::Labels, "Labels that developers may see"),
    Member::new("portal_ids", PORTALS, "The portals that show the product"),
]);

const UPDATE: Object = Object::closed(&[
    Member::new("name", NAME, ""),
    Member::new("description", DESCRIPTION, "").nullable(),
    Member::new("labels", Rule::LabelChanges, "").nullable(),
    Member::new("public_labels", Rule::LabelChanges, "Labels that developers may see").nullable(),
    Member::new("portal_ids", PORTALS, "All the portals that show the product"),
]);

const LIST: Collection = Collection::new(
    &["name", "created_at", "updated_at"],
    Filters::Deep,
    &[("id", Filter::Id), ("name", Filter::Text), ("created_at", Filter::Time), ("updated_at", Filter::Time)],
);

/// A product to be made.
#[derive(Deserialize)]
pub struct ProductInput {
    name: String,
    description: Option<String>,
    #[serde(default)]
    labels: Labels,
    #[serde(default)]
    public_labels: Labels,
    #[serde(default)]
    portal_ids: Vec<PortalId>,
}

/// Changes to a product; null unsets.
#[derive(Deserialize)]
pub struct ProductChanges {
    name: Option<String>,
    #[serde(default)]
    description: Update<String>,
    labels: Option<LabelChanges>,
    public_labels: Option<LabelChanges>,
    portal_ids: Option<Vec<PortalId>>,
}

bodies!(ProductInput: CREATE, ProductChanges: UPDATE);
arguments!(
    /// The arguments of the list.
    ProductArguments: LIST
);

/// A product.
#[derive(Serialize, ToSchema)]
pub struct ProductBody {
    id: Uuid,
    name: String,
    description: Option<String>,
    portal_ids: Vec<Uuid>,
    portals: Vec<ProductPortal>,
    version_count: u64,
    labels: Labels,
    public_labels: Labels,
    created_at: String,
    updated_at: String,
}

/// A portal that shows a product.
#[derive(Serialize, ToSchema)]
pub struct ProductPortal {
    portal_id: Uuid,
    portal_name: String,
}

impl From<ProductDetail> for ProductBody {
    fn from(detail: ProductDetail) -> Self {
        let ProductDetail { product, portals, versions } = detail;
        Self {
            id: product.id.0,
            name: product.name,
            description: product.description,
            portal_ids: portals.iter().map(|(id, _)| id.0).collect(),
            portals: portals
                .into_iter()
                .map(|(id, portal_name)| ProductPortal { portal_id: id.0, portal_name })
                .collect(),
            version_count: versions,
            labels: product.labels,
            public_labels: product.public_labels,
            created_at: reply::time(product.created_at),
            updated_at: reply::time(product.updated_at),
        }
    }
}

/// List API products
#[utoipa::path(
    get, path = "/api-products", tag = "api products", operation_id = "list_api_products",
    params(ProductArguments),
    responses((status = 200, description = "A page of the list", body = PageBody<ProductBody>)),
)]
pub async fn list(Seen(app): Seen, query: Query) -> Result<Response, Problem> {
    let request = LIST.read(&query)?;
    let products = app.store.products(&request).await?;
    Ok(reply::ok(&PageBody::new(&request, products, ProductBody::from)))
}

/// Create an API product
#[utoipa::path(
    post, path = "/api-products", tag = "api products", operation_id = "create_api_product",
    request_body(content = ProductInput, example = json!({"name": "Orders"})),
    responses((status = 201, description = "As it is now", body = ProductBody)),
)]
pub async fn create(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    input: Input,
) -> Result<Response, Problem> {
    let input: ProductInput = input.read(&CREATE, |_, _| {})?;
    let new = NewProduct {
        name: input.name,
        description: input.description,
        labels: input.labels,
        public_labels: input.public_labels,
        portals: input.portal_ids,
    };
    let mut writer = app.store.write(&actor).await?;
    let product = writer.create_product(new).await?;
    let revision = writer.commit().await?;
    let updated_at = product.product.updated_at;
    Ok(reply::written(StatusCode::CREATED, &ProductBody::from(product), updated_at, revision))
}

/// Read an API product
#[utoipa::path(
    get, path = "/api-products/{id}", tag = "api products", operation_id = "get_api_product",
    params(("id" = Uuid, Path)),
    responses((status = 200, description = "As it is now", body = ProductBody)),
)]
pub async fn get(Seen(app): Seen, ids: Ids<1>) -> Result<Response, Problem> {
    let [id] = ids.0;
    let product = app.store.product(ProductId(id)).await?.ok_or_else(Problem::not_found)?;
    let updated_at = product.product.updated_at;
    Ok(reply::resource(&ProductBody::from(product), updated_at))
}

/// Change an API product
#[utoipa::path(
    patch, path = "/api-products/{id}", tag = "api products", operation_id = "update_api_product",
    params(("id" = Uuid, Path)),
    request_body(content = ProductChanges, example = json!({"description": "What customers ordered"})),
    responses((status = 200, description = "As it is now", body = ProductBody)),
)]
pub async fn update(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    ids: Ids<1>,
    unless_changed: IfMatch,
    input: Input,
) -> Result<Response, Problem> {
    let [id] = ids.0;
    let changes: ProductChanges = input.read(&UPDATE, |_, _| {})?;
    let patch = ProductPatch {
        name: changes.name,
        description: changes.description,
        labels: changes.labels.unwrap_or_default(),
        public_labels: changes.public_labels.unwrap_or_default(),
        portals: changes.portal_ids,
    };
    let mut writer = app.store.write(&actor).await?;
    let before = writer.product(ProductId(id)).await?;
    unless_changed.check(before.updated_at)?;
    let product = writer.update_product(&before, patch).await?;
    let revision = writer.commit().await?;
    let updated_at = product.product.updated_at;
    Ok(reply::written(StatusCode::OK, &ProductBody::from(product), updated_at, revision))
}

/// Delete an API product with its versions and the registrations for them
#[utoipa::path(
    delete, path = "/api-products/{id}", tag = "api products", operation_id = "delete_api_product",
    params(("id" = Uuid, Path)),
    responses((status = 204, description = "Deleted")),
)]
pub async fn delete(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    ids: Ids<1>,
    unless_changed: IfMatch,
) -> Result<Response, Problem> {
    let [id] = ids.0;
    let mut writer = app.store.write(&actor).await?;
    let before = writer.product(ProductId(id)).await?;
    unless_changed.check(before.updated_at)?;
    writer.delete_product(&before).await?;
    Ok(reply::done(writer.commit().await?))
}
