//! `/v2/portals/{portalId}/product-versions`: product versions in a portal. The auth strategy a version has here is in
//! force at the gateway service that serves it.

use app_auth_core::ids::StrategyId;
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
use super::portals;
use super::product_versions::{PUBLISH_STATUS, publish_status};
use super::strategy_summary::StrategySummary;
use crate::api::{App, Seen};
use crate::model::{
    NewPortalVersion, PortalId, PortalVersionDetail, PortalVersionPatch, ProductVersion, Update, VersionId,
};
use crate::store::Actor;

const STRATEGIES: Rule = Rule::List { of: &Rule::Uuid, min: 0, max: 1 };
const STRATEGY: &str =
    "At most one. Whoever takes a version's last strategy away opens its service to everybody";
const REGISTRATION: &str = "Whether applications can be registered; those that are stay so";
const AUTO_APPROVE: &str = "New registrations are approved at once";
const NOTIFY: &str = "Mail the developers of the applications that are registered";

const CREATE: Object = Object::closed(&[
    Member::new("product_version_id", Rule::Uuid, "").required(),
    Member::new("publish_status", PUBLISH_STATUS, "").required(),
    Member::new("auth_strategy_ids", STRATEGIES, STRATEGY).required(),
    Member::new("application_registration_enabled", Rule::Boolean, REGISTRATION).required(),
    Member::new("auto_approve_registration", Rule::Boolean, AUTO_APPROVE).required(),
    Member::new("deprecated", Rule::Boolean, "").required(),
]);

const REPLACE: Object = Object::closed(&[
    Member::new("publish_status", PUBLISH_STATUS, "").required(),
    Member::new("auth_strategy_ids", STRATEGIES, STRATEGY).required(),
    Member::new("application_registration_enabled", Rule::Boolean, REGISTRATION).required(),
    Member::new("auto_approve_registration", Rule::Boolean, AUTO_APPROVE).required(),
    Member::new("deprecated", Rule::Boolean, "").required(),
    Member::new("notify_developers", Rule::Boolean, NOTIFY),
]);

const UPDATE: Object = Object::closed(&[
    Member::new("publish_status", PUBLISH_STATUS, ""),
    Member::new("auth_strategy_ids", STRATEGIES, STRATEGY),
    Member::new("application_registration_enabled", Rule::Boolean, REGISTRATION),
    Member::new("auto_approve_registration", Rule::Boolean, AUTO_APPROVE),
    Member::new("deprecated", Rule::Boolean, ""),
    Member::new("notify_developers", Rule::Boolean, NOTIFY),
]);

const LIST: Collection = Collection::new(
    &[
        "created_at",
        "updated_at",
        "publish_status",
        "product_version_id",
        "auth_strategy_ids",
        "application_registration_enabled",
        "auto_approve_registration",
        "deprecated",
    ],
    Filters::Deep,
    &[
        ("id", Filter::Id),
        ("publish_status", Filter::Text),
        ("product_version_id", Filter::Id),
        ("created_at", Filter::Time),
        ("updated_at", Filter::Time),
        ("auth_strategy_ids", Filter::Id),
        ("application_registration_enabled", Filter::Truth),
        ("auto_approve_registration", Filter::Truth),
        ("deprecated", Filter::Truth),
    ],
);

/// A product version to be put into a portal.
#[derive(Deserialize)]
pub struct OfferInput {
    product_version_id: VersionId,
    #[serde(flatten)]
    offer: OfferReplacement,
}

/// The whole of how a product version is in a portal.
#[expect(clippy::struct_excessive_bools, reason = "as the API has them")]
#[derive(Deserialize)]
pub struct OfferReplacement {
    publish_status: String,
    auth_strategy_ids: Vec<StrategyId>,
    application_registration_enabled: bool,
    auto_approve_registration: bool,
    deprecated: bool,
    #[serde(default)]
    notify_developers: bool,
}

/// Changes to how a product version is in a portal.
#[derive(Deserialize)]
pub struct OfferChanges {
    publish_status: Option<String>,
    auth_strategy_ids: Option<Vec<StrategyId>>,
    application_registration_enabled: Option<bool>,
    auto_approve_registration: Option<bool>,
    deprecated: Option<bool>,
    #[serde(default)]
    notify_developers: bool,
}

bodies!(OfferInput: CREATE, OfferReplacement: REPLACE, OfferChanges: UPDATE);
arguments!(
    /// The arguments of the list.
    OfferArguments: LIST
);

/// A product version in a portal.
#[derive(Serialize, ToSchema)]
pub struct OfferBody {
    id: Uuid,
    product_version_id: Uuid,
    publish_status: &'static str,
    /// At most one.
    auth_strategies: Vec<StrategySummary>,
    application_registration_enabled: bool,
    auto_approve_registration: bool,
    deprecated: bool,
    created_at: String,
    updated_at: String,
}

impl From<PortalVersionDetail> for OfferBody {
    fn from(detail: PortalVersionDetail) -> Self {
        let PortalVersionDetail { version, strategy } = detail;
        Self {
            id: version.id.0,
            product_version_id: version.version.0,
            publish_status: version.publish_status.as_str(),
            auth_strategies: strategy.into_iter().map(StrategySummary::from).collect(),
            application_registration_enabled: version.application_registration_enabled,
            auto_approve_registration: version.auto_approve_registration,
            deprecated: version.deprecated,
            created_at: reply::time(version.created_at),
            updated_at: reply::time(version.updated_at),
        }
    }
}

impl From<OfferReplacement> for PortalVersionPatch {
    fn from(input: OfferReplacement) -> Self {
        Self {
            publish_status: Some(publish_status(&input.publish_status)),
            strategy: strategy(&input.auth_strategy_ids),
            application_registration_enabled: Some(input.application_registration_enabled),
            auto_approve_registration: Some(input.auto_approve_registration),
            deprecated: Some(input.deprecated),
            notify_developers: input.notify_developers,
        }
    }
}

impl From<OfferChanges> for PortalVersionPatch {
    fn from(input: OfferChanges) -> Self {
        Self {
            publish_status: input.publish_status.as_deref().map(publish_status),
            strategy: input.auth_strategy_ids.as_deref().map_or(Update::Keep, strategy),
            application_registration_enabled: input.application_registration_enabled,
            auto_approve_registration: input.auto_approve_registration,
            deprecated: input.deprecated,
            notify_developers: input.notify_developers,
        }
    }
}

fn strategy(ids: &[StrategyId]) -> Update<StrategyId> {
    ids.first().map_or(Update::Clear, |id| Update::Set(*id))
}

/// Somebody has opened a service, and whoever reads the log is to know.
fn warn_of(opened: Option<&ProductVersion>, actor: &Actor) {
    if let Some((version, service)) = opened.and_then(|version| Some((version, version.service?))) {
        tracing::warn!(
            product_version = %version.id,
            service = %service.id,
            actor = %actor.name,
            "the last auth strategy of a product version was taken away: its service is open to everybody"
        );
    }
}

/// List the product versions of a portal
#[utoipa::path(
    get, path = "/portals/{portalId}/product-versions", tag = "portal product versions",
    operation_id = "list_portal_product_versions",
    params(("portalId" = Uuid, Path), OfferArguments),
    responses((status = 200, description = "A page of the list", body = PageBody<OfferBody>)),
)]
pub async fn list(Seen(app): Seen, ids: Ids<1>, query: Query) -> Result<Response, Problem> {
    let [portal] = ids.0;
    let request = LIST.read(&query)?;
    let portal = portals::named(&app.store, portal).await?.portal;
    let versions = app.store.portal_versions(portal.id, &request).await?;
    Ok(reply::ok(&PageBody::new(&request, versions, OfferBody::from)))
}

/// Put a product version into a portal
///
/// Its auth strategy is in force at the version's gateway service at once.
#[utoipa::path(
    post, path = "/portals/{portalId}/product-versions", tag = "portal product versions",
    operation_id = "create_portal_product_version",
    params(("portalId" = Uuid, Path)),
    request_body(content = OfferInput, example = json!({
        "product_version_id": "c5460788-d5ff-44db-bbd1-36db5ae6c7b5", "publish_status": "published",
        "auth_strategy_ids": ["b9e81174-b5bb-4638-a3c3-8afe61a0abf8"], "application_registration_enabled": true,
        "auto_approve_registration": false, "deprecated": false
    })),
    responses(
        (status = 201, description = "As it is now", body = OfferBody),
        (status = 409, description = "The portal has the version already"),
    ),
)]
pub async fn create(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    ids: Ids<1>,
    input: Input,
) -> Result<Response, Problem> {
    let [portal] = ids.0;
    let OfferInput { product_version_id, offer } = input.read(&CREATE, |_, _| {})?;
    let new = NewPortalVersion {
        publish_status: publish_status(&offer.publish_status),
        strategy: offer.auth_strategy_ids.first().copied(),
        application_registration_enabled: offer.application_registration_enabled,
        auto_approve_registration: offer.auto_approve_registration,
        deprecated: offer.deprecated,
    };
    let mut writer = app.store.write(&actor).await?;
    let portal = writer.portal_by_id(PortalId(portal)).await?;
    let made = writer.create_portal_version(&portal, product_version_id, new).await?;
    let revision = writer.commit().await?;
    let updated_at = made.version.updated_at;
    Ok(reply::written(StatusCode::CREATED, &OfferBody::from(made), updated_at, revision))
}

/// Read a product version of a portal
#[utoipa::path(
    get, path = "/portals/{portalId}/product-versions/{productVersionId}", tag = "portal product versions",
    operation_id = "get_portal_product_version",
    params(("portalId" = Uuid, Path), ("productVersionId" = Uuid, Path, description = "Of the product's version")),
    responses((status = 200, description = "As it is now", body = OfferBody)),
)]
pub async fn get(Seen(app): Seen, ids: Ids<2>) -> Result<Response, Problem> {
    let [portal, version] = ids.0;
    let found = app.store.portal_version(PortalId(portal), VersionId(version)).await?;
    let version = found.ok_or_else(Problem::not_found)?;
    let updated_at = version.version.updated_at;
    Ok(reply::resource(&OfferBody::from(version), updated_at))
}

/// Replace how a product version is in a portal
#[utoipa::path(
    put, path = "/portals/{portalId}/product-versions/{productVersionId}", tag = "portal product versions",
    operation_id = "replace_portal_product_version",
    params(("portalId" = Uuid, Path), ("productVersionId" = Uuid, Path, description = "Of the product's version")),
    request_body(content = OfferReplacement),
    responses((status = 200, description = "As it is now", body = OfferBody)),
)]
pub async fn replace(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    ids: Ids<2>,
    unless_changed: IfMatch,
    input: Input,
) -> Result<Response, Problem> {
    let replacement: OfferReplacement = input.read(&REPLACE, |_, _| {})?;
    change(&app, &actor, ids, &unless_changed, replacement.into()).await
}

/// Change how a product version is in a portal
#[utoipa::path(
    patch, path = "/portals/{portalId}/product-versions/{productVersionId}", tag = "portal product versions",
    operation_id = "update_portal_product_version",
    params(("portalId" = Uuid, Path), ("productVersionId" = Uuid, Path, description = "Of the product's version")),
    request_body(content = OfferChanges, example = json!({"auto_approve_registration": true})),
    responses((status = 200, description = "As it is now", body = OfferBody)),
)]
pub async fn update(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    ids: Ids<2>,
    unless_changed: IfMatch,
    input: Input,
) -> Result<Response, Problem> {
    let changes: OfferChanges = input.read(&UPDATE, |_, _| {})?;
    change(&app, &actor, ids, &unless_changed, changes.into()).await
}

async fn change(
    app: &App,
    actor: &Actor,
    ids: Ids<2>,
    unless_changed: &IfMatch,
    patch: PortalVersionPatch,
) -> Result<Response, Problem> {
    let [portal, version] = ids.0;
    let mut writer = app.store.write(actor).await?;
    let before = writer.portal_version(PortalId(portal), VersionId(version)).await?;
    unless_changed.check(before.updated_at)?;
    let changed = writer.update_portal_version(&before, patch).await?;
    let revision = writer.commit().await?;
    warn_of(changed.opened.as_ref(), actor);
    let updated_at = changed.detail.version.updated_at;
    Ok(reply::written(StatusCode::OK, &OfferBody::from(changed.detail), updated_at, revision))
}

/// Take a product version out of a portal
///
/// The strategy it has there is no longer in force; nothing is opened by it. Applications stay registered.
#[utoipa::path(
    delete, path = "/portals/{portalId}/product-versions/{productVersionId}", tag = "portal product versions",
    operation_id = "delete_portal_product_version",
    params(("portalId" = Uuid, Path), ("productVersionId" = Uuid, Path, description = "Of the product's version")),
    responses((status = 204, description = "Done")),
)]
pub async fn delete(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    ids: Ids<2>,
    unless_changed: IfMatch,
) -> Result<Response, Problem> {
    let [portal, version] = ids.0;
    let mut writer = app.store.write(&actor).await?;
    let before = writer.portal_version(PortalId(portal), VersionId(version)).await?;
    unless_changed.check(before.updated_at)?;
    writer.delete_portal_version(&before).await?;
    Ok(reply::done(writer.commit().await?))
}
