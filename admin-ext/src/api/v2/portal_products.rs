//! `/v2/portals/{portalId}/products` and `/v2/portals/{portalId}/publish`: the API products that a portal shows.

use std::collections::BTreeMap;

use axum::extract::Extension;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use super::conventions::{
    Collection, Filter, Filters, Ids, Input, Member, Object, PageBody, Parameter, Problem, Query, Rule,
    arguments, bodies, reply,
};
use super::portals;
use super::product_versions::{PUBLISH_STATUS, publish_status};
use crate::api::Seen;
use crate::model::{Labels, PortalId, ProductDetail, ProductId, PublishStatus};
use crate::store::Actor;

/// Most products of one request.
const PRODUCTS_MAX: usize = 100;

const PRODUCT: Object = Object::closed(&[Member::new("publish_status", PUBLISH_STATUS, "").required()]);

const PUBLISH: Object = Object::closed(&[Member::new(
    "api_products",
    Rule::Map(&Rule::OrNull(&Rule::Object(&PRODUCT))),
    "By the ids of the products, at most 100; null is as good as unpublished",
)
.required()]);

const LIST: Collection = Collection::new(
    &["created_at", "name", "description"],
    Filters::Deep,
    &[("id", Filter::Id), ("name", Filter::Text), ("description", Filter::Text)],
);

/// What is to be shown, and what no longer.
#[derive(Deserialize)]
pub struct PublishInput {
    api_products: BTreeMap<ProductId, Option<Publication>>,
}

#[derive(Deserialize)]
struct Publication {
    publish_status: String,
}

bodies!(PublishInput: PUBLISH);
arguments!(
    /// The arguments of the list.
    PublishedArguments: LIST
);

/// A product that a portal shows.
#[derive(Serialize, ToSchema)]
pub struct PublishedBody {
    id: Uuid,
    name: String,
    description: Option<String>,
    /// All the portals that show it.
    portal_ids: Vec<Uuid>,
    /// Of the versions that are published in this portal.
    version_count: u64,
    labels: Labels,
    created_at: String,
    updated_at: String,
}

impl From<ProductDetail> for PublishedBody {
    fn from(detail: ProductDetail) -> Self {
        let ProductDetail { product, portals, versions } = detail;
        Self {
            id: product.id.0,
            name: product.name,
            description: product.description,
            portal_ids: portals.into_iter().map(|(id, _)| id.0).collect(),
            version_count: versions,
            labels: product.labels,
            created_at: reply::time(product.created_at),
            updated_at: reply::time(product.updated_at),
        }
    }
}

/// List the API products that a portal shows
#[utoipa::path(
    get, path = "/portals/{portalId}/products", tag = "portals", operation_id = "list_portal_products",
    params(("portalId" = Uuid, Path), PublishedArguments),
    responses((status = 200, description = "A page of the list", body = PageBody<PublishedBody>)),
)]
pub async fn list(Seen(app): Seen, ids: Ids<1>, query: Query) -> Result<Response, Problem> {
    let [portal] = ids.0;
    let request = LIST.read(&query)?;
    let portal = portals::named(&app.store, portal).await?.portal;
    let products = app.store.products_in(portal.id, &request).await?;
    Ok(reply::ok(&PageBody::new(&request, products, PublishedBody::from)))
}

/// Show API products in a portal, or no longer
#[utoipa::path(
    post, path = "/portals/{portalId}/publish", tag = "portals", operation_id = "publish_api_products",
    params(("portalId" = Uuid, Path)),
    request_body(content = PublishInput, example = json!({
        "api_products": {"c5460788-d5ff-44db-bbd1-36db5ae6c7b5": {"publish_status": "published"}}
    })),
    responses((status = 204, description = "Done")),
)]
pub async fn publish(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    ids: Ids<1>,
    input: Input,
) -> Result<Response, Problem> {
    let [portal] = ids.0;
    let input: PublishInput = input.read(&PUBLISH, check)?;
    let shown = |publication: Option<Publication>| {
        publication.is_some_and(|it| publish_status(&it.publish_status) == PublishStatus::Published)
    };
    let products: Vec<_> = input.api_products.into_iter().map(|(id, it)| (id, shown(it))).collect();
    let mut writer = app.store.write(&actor).await?;
    let portal = writer.portal_by_id(PortalId(portal)).await?;
    writer.publish(&portal, &products).await?;
    Ok(reply::done(writer.commit().await?))
}

fn check(body: &Map<String, Value>, wrong: &mut Vec<Parameter>) {
    let Some(Value::Object(products)) = body.get("api_products") else { return };
    if products.len() > PRODUCTS_MAX {
        let reason = format!("\"api_products\" must have at most {PRODUCTS_MAX} products");
        wrong.push(Parameter::body("api_products", "max_length", reason));
        return;
    }
    for id in products.keys().filter(|id| id.len() != 36 || id.parse::<Uuid>().is_err()) {
        let field = format!("api_products.{id}");
        let reason = format!("\"{field}\" must be named by a UUID");
        wrong.push(Parameter::body(field, "is_uuid", reason));
    }
}
