//! `/v2/portals`: where developers find API products. What a portal shows is here, too; what it offers to applications is in
//! `portal_product_versions`.

use app_auth_core::ids::StrategyId;
use axum::extract::Extension;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::conventions::{
    Collection, Filter, Filters, Ids, IfMatch, Input, Member, Object, PageBody, Parameter, Problem, Query,
    Rule, Source, arguments, bodies, reply,
};
use crate::api::Seen;
use crate::kong;
use crate::model::{LabelChanges, Labels, NewPortal, PortalDetail, PortalId, PortalPatch, Update};
use crate::store::{Actor, Store};

const NAME: Rule = Rule::Text { min: 1, max: 255 };
const DESCRIPTION: Rule = Rule::Text { min: 0, max: 512 };
const DOMAIN: Rule = Rule::Hostname { max: 1024 };
const PUBLIC: &str = "Seen without signing in; has neither developers nor applications";
const RBAC: &str = "Kept and shown";
const APPLICATIONS: &str = "Registrations are approved at once, whatever their product version says";
const DEVELOPERS: &str = "New developers are approved at once";
const CLIENT_DOMAIN: &str = "Of whoever serves the portal's pages themselves; goes with `custom_domain`";
const STRATEGY: &str = "Of applications that are made without one";

const CREATE: Object = Object::closed(&[
    Member::new("name", NAME, "Unique").required(),
    Member::new("display_name", NAME, "What developers see; absent: the name"),
    Member::new("description", DESCRIPTION, "").nullable(),
    Member::new("is_public", Rule::Boolean, PUBLIC),
    Member::new("rbac_enabled", Rule::Boolean, RBAC),
    Member::new("auto_approve_applications", Rule::Boolean, APPLICATIONS),
    Member::new("auto_approve_developers", Rule::Boolean, DEVELOPERS),
    Member::new("custom_domain", DOMAIN, "").nullable(),
    Member::new("custom_client_domain", DOMAIN, CLIENT_DOMAIN).nullable(),
    Member::new("default_application_auth_strategy_id", Rule::Uuid, STRATEGY).nullable(),
    Member::new("labels", Rule::Labels, ""),
]);

const UPDATE: Object = Object::closed(&[
    Member::new("name", NAME, "Unique"),
    Member::new("display_name", NAME, "What developers see"),
    Member::new("description", DESCRIPTION, "").nullable(),
    Member::new("is_public", Rule::Boolean, PUBLIC),
    Member::new("rbac_enabled", Rule::Boolean, RBAC),
    Member::new("auto_approve_applications", Rule::Boolean, APPLICATIONS),
    Member::new("auto_approve_developers", Rule::Boolean, DEVELOPERS),
    Member::new("custom_domain", DOMAIN, "").nullable(),
    Member::new("custom_client_domain", DOMAIN, CLIENT_DOMAIN).nullable(),
    Member::new("default_application_auth_strategy_id", Rule::Uuid, STRATEGY).nullable(),
    Member::new("labels", Rule::LabelChanges, "").nullable(),
]);

const LIST: Collection = Collection::new(
    &[
        "name",
        "description",
        "is_public",
        "rbac_enabled",
        "auto_approve_applications",
        "auto_approve_developers",
        "default_domain",
        "custom_domain",
        "custom_client_domain",
        "created_at",
        "updated_at",
    ],
    Filters::Deep,
    &[
        ("id", Filter::Id),
        ("name", Filter::Text),
        ("description", Filter::Text),
        ("is_public", Filter::Truth),
        ("rbac_enabled", Filter::Truth),
        ("auto_approve_applications", Filter::Truth),
        ("auto_approve_developers", Filter::Truth),
        ("default_domain", Filter::Text),
        ("custom_domain", Filter::Text),
        ("custom_client_domain", Filter::Text),
    ],
);

/// A portal to be made.
#[expect(clippy::struct_excessive_bools, reason = "as the API has them")]
#[derive(Deserialize)]
pub struct PortalInput {
    name: String,
    display_name: Option<String>,
    description: Option<String>,
    #[serde(default)]
    is_public: bool,
    #[serde(default)]
    rbac_enabled: bool,
    #[serde(default)]
    auto_approve_applications: bool,
    #[serde(default)]
    auto_approve_developers: bool,
    custom_domain: Option<String>,
    custom_client_domain: Option<String>,
    default_application_auth_strategy_id: Option<StrategyId>,
    #[serde(default)]
    labels: Labels,
}

/// Changes to a portal; null unsets.
#[derive(Deserialize)]
pub struct PortalChanges {
    name: Option<String>,
    display_name: Option<String>,
    #[serde(default)]
    description: Update<String>,
    is_public: Option<bool>,
    rbac_enabled: Option<bool>,
    auto_approve_applications: Option<bool>,
    auto_approve_developers: Option<bool>,
    #[serde(default)]
    custom_domain: Update<String>,
    #[serde(default)]
    custom_client_domain: Update<String>,
    #[serde(default)]
    default_application_auth_strategy_id: Update<StrategyId>,
    labels: Option<LabelChanges>,
}

bodies!(PortalInput: CREATE, PortalChanges: UPDATE);
arguments!(
    /// The arguments of the list.
    PortalArguments: LIST
);

/// A portal.
#[expect(clippy::struct_excessive_bools, reason = "as the API has them")]
#[derive(Serialize, ToSchema)]
#[schema(as = DeveloperPortal)]
pub struct PortalBody {
    id: Uuid,
    name: String,
    display_name: String,
    description: Option<String>,
    is_public: bool,
    rbac_enabled: bool,
    auto_approve_applications: bool,
    auto_approve_developers: bool,
    /// What it is called where it has no domain of its own; leads nowhere.
    default_domain: String,
    custom_domain: Option<String>,
    custom_client_domain: Option<String>,
    default_application_auth_strategy_id: Option<Uuid>,
    labels: Labels,
    application_count: u64,
    developer_count: u64,
    published_product_count: u64,
    created_at: String,
    updated_at: String,
}

impl From<PortalDetail> for PortalBody {
    fn from(detail: PortalDetail) -> Self {
        let PortalDetail { portal, applications, developers, published_products } = detail;
        Self {
            id: portal.id.0,
            name: portal.name,
            display_name: portal.display_name,
            description: portal.description,
            is_public: portal.is_public,
            rbac_enabled: portal.rbac_enabled,
            auto_approve_applications: portal.auto_approve_applications,
            auto_approve_developers: portal.auto_approve_developers,
            default_domain: portal.default_domain,
            custom_domain: portal.custom_domain,
            custom_client_domain: portal.custom_client_domain,
            default_application_auth_strategy_id: portal.default_strategy.map(|strategy| strategy.0),
            labels: portal.labels,
            application_count: applications,
            developer_count: developers,
            published_product_count: published_products,
            created_at: reply::time(portal.created_at),
            updated_at: reply::time(portal.updated_at),
        }
    }
}

/// The portal that a path names.
pub async fn named(store: &Store, portal: Uuid) -> Result<PortalDetail, Problem> {
    store.portal_by_id(PortalId(portal)).await?.ok_or_else(Problem::not_found)
}

/// List portals
#[utoipa::path(
    get, path = "/portals", tag = "portals", operation_id = "list_portals",
    params(PortalArguments),
    responses((status = 200, description = "A page of the list", body = PageBody<PortalBody>)),
)]
pub async fn list(Seen(app): Seen, query: Query) -> Result<Response, Problem> {
    let request = LIST.read(&query)?;
    let portals = app.store.portals(&request).await?;
    Ok(reply::ok(&PageBody::new(&request, portals, PortalBody::from)))
}

/// Create a portal
#[utoipa::path(
    post, path = "/portals", tag = "portals", operation_id = "create_portal",
    request_body(content = PortalInput, example = json!({"name": "partners"})),
    responses(
        (status = 201, description = "As it is now", body = PortalBody),
        (status = 409, description = "The name is taken"),
    ),
)]
pub async fn create(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    input: Input,
) -> Result<Response, Problem> {
    let input: PortalInput = input.read(&CREATE, |_, _| {})?;
    let new = NewPortal {
        name: input.name,
        display_name: input.display_name,
        description: input.description,
        is_public: input.is_public,
        rbac_enabled: input.rbac_enabled,
        auto_approve_applications: input.auto_approve_applications,
        auto_approve_developers: input.auto_approve_developers,
        custom_domain: input.custom_domain,
        custom_client_domain: input.custom_client_domain,
        default_strategy: input.default_application_auth_strategy_id,
        labels: input.labels,
    };
    let mut writer = app.store.write(&actor).await?;
    let portal = writer.create_portal(new).await?;
    let revision = writer.commit().await?;
    let updated_at = portal.portal.updated_at;
    Ok(reply::written(StatusCode::CREATED, &PortalBody::from(portal), updated_at, revision))
}

/// Read a portal
#[utoipa::path(
    get, path = "/portals/{portalId}", tag = "portals", operation_id = "get_portal",
    params(("portalId" = Uuid, Path)),
    responses((status = 200, description = "As it is now", body = PortalBody)),
)]
pub async fn get(Seen(app): Seen, ids: Ids<1>) -> Result<Response, Problem> {
    let [id] = ids.0;
    let portal = named(&app.store, id).await?;
    let updated_at = portal.portal.updated_at;
    Ok(reply::resource(&PortalBody::from(portal), updated_at))
}

/// Change a portal
#[utoipa::path(
    patch, path = "/portals/{portalId}", tag = "portals", operation_id = "update_portal",
    params(("portalId" = Uuid, Path)),
    request_body(content = PortalChanges, example = json!({"auto_approve_developers": true})),
    responses(
        (status = 200, description = "As it is now", body = PortalBody),
        (status = 409, description = "The name is taken"),
    ),
)]
pub async fn update(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    ids: Ids<1>,
    unless_changed: IfMatch,
    input: Input,
) -> Result<Response, Problem> {
    let [id] = ids.0;
    let changes: PortalChanges = input.read(&UPDATE, |_, _| {})?;
    let patch = PortalPatch {
        name: changes.name,
        display_name: changes.display_name,
        description: changes.description,
        is_public: changes.is_public,
        rbac_enabled: changes.rbac_enabled,
        auto_approve_applications: changes.auto_approve_applications,
        auto_approve_developers: changes.auto_approve_developers,
        custom_domain: changes.custom_domain,
        custom_client_domain: changes.custom_client_domain,
        default_strategy: changes.default_application_auth_strategy_id,
        labels: changes.labels.unwrap_or_default(),
    };
    let mut writer = app.store.write(&actor).await?;
    let before = writer.portal_by_id(PortalId(id)).await?;
    unless_changed.check(before.updated_at)?;
    let portal = writer.update_portal(&before, patch).await?;
    let revision = writer.commit().await?;
    let updated_at = portal.portal.updated_at;
    Ok(reply::written(StatusCode::OK, &PortalBody::from(portal), updated_at, revision))
}

/// Delete a portal
///
/// With its developers, their applications and everything that is theirs. It opens no API.
#[utoipa::path(
    delete, path = "/portals/{portalId}", tag = "portals", operation_id = "delete_portal",
    params(
        ("portalId" = Uuid, Path),
        ("force" = Option<bool>, Query, description = "Also if the portal has developers or takes registrations"),
    ),
    responses(
        (status = 204, description = "Deleted"),
        (status = 409, description = "It is the portal of `/developers`"),
    ),
)]
pub async fn delete(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    ids: Ids<1>,
    unless_changed: IfMatch,
    query: Query,
) -> Result<Response, Problem> {
    let [id] = ids.0;
    let force = query.flag("force")?;
    let deleted =
        kong::change(&app.store, app.kong.as_ref(), &actor, unless_changed, move |writer, unless_changed| {
            Box::pin(async move {
                let before = writer.portal_by_id(PortalId(id)).await?;
                unless_changed.check(before.updated_at)?;
                if id != PortalId::DEFAULT.0
                    && !force
                    && let Some(against) = writer.against_deleting_portal(before.id).await?
                {
                    let reason = format!("{against}; force=true deletes all of it");
                    let force = Parameter::new(Source::Query, "force", "invalid", reason);
                    return Err(Problem::parameter(force));
                }
                Ok::<_, Problem>(writer.delete_portal(&before).await?)
            })
        });
    Ok(reply::done(deleted.await?.revision))
}
