//! `/v2/api-products/{apiProductId}/product-versions`: what applications register for, and which gateway service serves it.

use app_auth_core::ids::ServiceId;
use axum::extract::Extension;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use super::conventions::{
    Collection, Filter, Filters, Ids, IfMatch, Input, Member, Object, PageBody, Parameter, Problem, Query,
    Rule, arguments, bodies, reply,
};
use crate::api::Seen;
use crate::model::{
    GatewayService, LabelChanges, Labels, NewProductVersion, ProductId, ProductVersionDetail,
    ProductVersionPatch, PublishStatus, Update, VersionId, VersionOffer,
};
use crate::store::Actor;

const NAME: Rule = Rule::Text { min: 1, max: 255 };
/// As the API writes a [`PublishStatus`].
pub const PUBLISH_STATUS: Rule = Rule::Choice(&["published", "unpublished"]);

const SERVICE: Object = Object::closed(&[
    Member::new("id", Rule::Uuid, "The service's id at the gateway; one nobody has heard of is registered")
        .required(),
    Member::new("control_plane_id", Rule::Uuid, "Kept and shown; it or `runtime_group_id` is required"),
    Member::new("runtime_group_id", Rule::Uuid, "An older name of `control_plane_id`"),
]);

const CREATE: Object = Object::closed(&[
    Member::new("name", NAME, "Unique in the product").required(),
    Member::new("publish_status", PUBLISH_STATUS, "Of no effect once a portal has the version"),
    Member::new("deprecated", Rule::Boolean, "Of no effect once a portal has the version"),
    Member::new("labels", Rule::Labels, ""),
    Member::new("gateway_service", Rule::Object(&SERVICE), "Serves this version and no other").nullable(),
]);

const UPDATE: Object = Object::closed(&[
    Member::new("name", NAME, "Unique in the product"),
    Member::new("publish_status", PUBLISH_STATUS, "Of every portal that has the version"),
    Member::new("deprecated", Rule::Boolean, "In every portal that has the version"),
    Member::new("notify", Rule::Boolean, "Mail the users of a published version that becomes deprecated"),
    Member::new("labels", Rule::LabelChanges, "").nullable(),
    Member::new("gateway_service", Rule::Object(&SERVICE), "Null: none").nullable(),
]);

const LIST: Collection = Collection::new(
    &["name", "created_at", "updated_at"],
    Filters::Deep,
    &[("name", Filter::Text), ("publish_status", Filter::Text), ("gateway_service_id", Filter::Id)],
);

/// A version to be made.
#[derive(Deserialize)]
pub struct VersionInput {
    name: String,
    publish_status: Option<String>,
    #[serde(default)]
    deprecated: bool,
    #[serde(default)]
    labels: Labels,
    gateway_service: Option<ServiceInput>,
}

/// Changes to a version; null unsets.
#[derive(Deserialize)]
pub struct VersionChanges {
    name: Option<String>,
    publish_status: Option<String>,
    deprecated: Option<bool>,
    #[serde(default)]
    notify: bool,
    labels: Option<LabelChanges>,
    #[serde(default)]
    gateway_service: Update<ServiceInput>,
}

#[derive(Deserialize)]
struct ServiceInput {
    id: ServiceId,
    control_plane_id: Option<Uuid>,
    runtime_group_id: Option<Uuid>,
}

bodies!(VersionInput: CREATE, VersionChanges: UPDATE);
arguments!(
    /// The arguments of the list.
    VersionArguments: LIST
);

/// A version of a product.
#[derive(Serialize, ToSchema)]
pub struct VersionBody {
    id: Uuid,
    name: String,
    gateway_service: Option<ServiceBody>,
    /// Published in a portal.
    publish_status: &'static str,
    /// Deprecated in a portal.
    deprecated: bool,
    labels: Labels,
    /// Always null: a change is in force at the gateways, or it was not made.
    #[schema(value_type = Option<Vec<Object>>)]
    auth_strategy_sync_errors: Option<Vec<Value>>,
    /// True, and there only then: its last auth strategy was taken away, and its service lets everybody in.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    open: bool,
    portals: Vec<OfferSummary>,
    created_at: String,
    updated_at: String,
}

/// The gateway service that serves a version.
#[derive(Serialize, ToSchema)]
pub struct ServiceBody {
    id: Uuid,
    control_plane_id: Option<Uuid>,
    /// The same as `control_plane_id`.
    runtime_group_id: Option<Uuid>,
}

/// How a portal offers a version.
#[derive(Serialize, ToSchema)]
pub struct OfferSummary {
    portal_id: Uuid,
    portal_name: String,
    portal_product_version_id: Uuid,
    publish_status: &'static str,
    deprecated: bool,
    application_registration_enabled: bool,
    auto_approve_registration: bool,
    auth_strategies: Vec<StrategyName>,
}

/// An auth strategy, as developers see it.
#[derive(Serialize, ToSchema)]
pub struct StrategyName {
    id: Uuid,
    name: String,
}

impl From<VersionOffer> for OfferSummary {
    fn from(offer: VersionOffer) -> Self {
        let VersionOffer { portal_name, offered, strategy_name } = offer;
        let strategy =
            offered.strategy.map(|id| StrategyName { id: id.0, name: strategy_name.unwrap_or_default() });
        Self {
            portal_id: offered.portal.0,
            portal_name,
            portal_product_version_id: offered.id.0,
            publish_status: offered.publish_status.as_str(),
            deprecated: offered.deprecated,
            application_registration_enabled: offered.application_registration_enabled,
            auto_approve_registration: offered.auto_approve_registration,
            auth_strategies: strategy.into_iter().collect(),
        }
    }
}

impl From<ProductVersionDetail> for VersionBody {
    fn from(detail: ProductVersionDetail) -> Self {
        let (publish_status, deprecated) = (detail.publish_status().as_str(), detail.deprecated());
        let ProductVersionDetail { version, portals } = detail;
        Self {
            id: version.id.0,
            name: version.name,
            gateway_service: version.service.map(|service| ServiceBody {
                id: service.id.0,
                control_plane_id: service.control_plane,
                runtime_group_id: service.control_plane,
            }),
            publish_status,
            deprecated,
            labels: version.labels,
            auth_strategy_sync_errors: None,
            open: version.opened,
            portals: portals.into_iter().map(OfferSummary::from).collect(),
            created_at: reply::time(version.created_at),
            updated_at: reply::time(version.updated_at),
        }
    }
}

impl From<ServiceInput> for GatewayService {
    fn from(input: ServiceInput) -> Self {
        Self { id: input.id, control_plane: input.control_plane_id.or(input.runtime_group_id) }
    }
}

/// A service comes with its control plane, under one of the two names.
fn check_service(body: &Map<String, Value>, wrong: &mut Vec<Parameter>) {
    let Some(Value::Object(service)) = body.get("gateway_service") else { return };
    match (service.contains_key("control_plane_id"), service.contains_key("runtime_group_id")) {
        (false, false) => wrong.push(Parameter::body(
            "gateway_service.control_plane_id",
            "required",
            "\"gateway_service.control_plane_id\" is required",
        )),
        (true, true) => wrong.push(Parameter::body(
            "gateway_service.runtime_group_id",
            "invalid",
            "\"gateway_service.runtime_group_id\" is another name of control_plane_id; give one of them",
        )),
        _ => {}
    }
}

/// As [`PUBLISH_STATUS`] lets it through.
pub fn publish_status(text: &str) -> PublishStatus {
    PublishStatus::parse(text).unwrap_or(PublishStatus::Unpublished)
}

/// List the versions of an API product
#[utoipa::path(
    get, path = "/api-products/{apiProductId}/product-versions", tag = "product versions",
    operation_id = "list_product_versions",
    params(("apiProductId" = Uuid, Path), VersionArguments),
    responses((status = 200, description = "A page of the list", body = PageBody<VersionBody>)),
)]
pub async fn list(Seen(app): Seen, ids: Ids<1>, query: Query) -> Result<Response, Problem> {
    let [product] = ids.0;
    let request = LIST.read(&query)?;
    app.store.product(ProductId(product)).await?.ok_or_else(Problem::not_found)?;
    let versions = app.store.product_versions(ProductId(product), &request).await?;
    Ok(reply::ok(&PageBody::new(&request, versions, VersionBody::from)))
}

/// Create a version of an API product
#[utoipa::path(
    post, path = "/api-products/{apiProductId}/product-versions", tag = "product versions",
    operation_id = "create_product_version",
    params(("apiProductId" = Uuid, Path)),
    request_body(content = VersionInput, example = json!({"name": "v1"})),
    responses(
        (status = 201, description = "As it is now", body = VersionBody),
        (status = 409, description = "The name is taken, or the service serves another version"),
    ),
)]
pub async fn create(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    ids: Ids<1>,
    input: Input,
) -> Result<Response, Problem> {
    let [product] = ids.0;
    let input: VersionInput = input.read(&CREATE, check_service)?;
    let new = NewProductVersion {
        name: input.name,
        publish_status: input.publish_status.as_deref().map_or(PublishStatus::Unpublished, publish_status),
        deprecated: input.deprecated,
        service: input.gateway_service.map(GatewayService::from),
        labels: input.labels,
    };
    let mut writer = app.store.write(&actor).await?;
    let product = writer.product(ProductId(product)).await?;
    let version = writer.create_product_version(&product, new).await?;
    let revision = writer.commit().await?;
    let updated_at = version.version.updated_at;
    Ok(reply::written(StatusCode::CREATED, &VersionBody::from(version), updated_at, revision))
}

/// Read a version of an API product
#[utoipa::path(
    get, path = "/api-products/{apiProductId}/product-versions/{id}", tag = "product versions",
    operation_id = "get_product_version",
    params(("apiProductId" = Uuid, Path), ("id" = Uuid, Path)),
    responses((status = 200, description = "As it is now", body = VersionBody)),
)]
pub async fn get(Seen(app): Seen, ids: Ids<2>) -> Result<Response, Problem> {
    let [product, id] = ids.0;
    let found = app.store.product_version(ProductId(product), VersionId(id)).await?;
    let version = found.ok_or_else(Problem::not_found)?;
    let updated_at = version.version.updated_at;
    Ok(reply::resource(&VersionBody::from(version), updated_at))
}

/// Change a version of an API product
///
/// Another service, or none, takes effect at the gateways at once; what applications are registered for goes along.
#[utoipa::path(
    patch, path = "/api-products/{apiProductId}/product-versions/{id}", tag = "product versions",
    operation_id = "update_product_version",
    params(("apiProductId" = Uuid, Path), ("id" = Uuid, Path)),
    request_body(content = VersionChanges, example = json!({"gateway_service": null})),
    responses(
        (status = 200, description = "As it is now", body = VersionBody),
        (status = 409, description = "The name is taken, or the service serves another version"),
    ),
)]
pub async fn update(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    ids: Ids<2>,
    unless_changed: IfMatch,
    input: Input,
) -> Result<Response, Problem> {
    let [product, id] = ids.0;
    let changes: VersionChanges = input.read(&UPDATE, check_service)?;
    let patch = ProductVersionPatch {
        name: changes.name,
        publish_status: changes.publish_status.as_deref().map(publish_status),
        deprecated: changes.deprecated,
        service: changes.gateway_service.map(GatewayService::from),
        labels: changes.labels.unwrap_or_default(),
        notify: changes.notify,
    };
    let mut writer = app.store.write(&actor).await?;
    let before = writer.product_version(ProductId(product), VersionId(id)).await?;
    unless_changed.check(before.updated_at)?;
    let version = writer.update_product_version(&before, patch).await?;
    let revision = writer.commit().await?;
    let updated_at = version.version.updated_at;
    Ok(reply::written(StatusCode::OK, &VersionBody::from(version), updated_at, revision))
}

/// Delete a version of an API product with the registrations for it
///
/// Its service stands by itself again: it is open to nobody but applications that are connected to it then.
#[utoipa::path(
    delete, path = "/api-products/{apiProductId}/product-versions/{id}", tag = "product versions",
    operation_id = "delete_product_version",
    params(("apiProductId" = Uuid, Path), ("id" = Uuid, Path)),
    responses((status = 204, description = "Deleted")),
)]
pub async fn delete(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    ids: Ids<2>,
    unless_changed: IfMatch,
) -> Result<Response, Problem> {
    let [product, id] = ids.0;
    let mut writer = app.store.write(&actor).await?;
    let before = writer.product_version(ProductId(product), VersionId(id)).await?;
    unless_changed.check(before.updated_at)?;
    writer.delete_product_version(&before).await?;
    Ok(reply::done(writer.commit().await?))
}
