//! `/v2/portals/{portalId}/applications/{applicationId}/registrations` and `/v2/portals/{portalId}/application-registrations`:
//! which product versions applications may use. They are the connections of the legacy API, by portal.

use app_auth_core::ids::ConnectionId;
use axum::extract::Extension;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use super::applications::{self, SCOPES};
use super::conventions::{
    Collection, Filter, Filters, Ids, IfMatch, Input, Member, Object, PageBody, Parameter, Problem, Query,
    Rule, arguments, bodies, reply,
};
use super::developers::{REASON, STATUS, STATUSES};
use super::portals;
use crate::api::Seen;
use crate::model::{
    ConnectionDetail, ConnectionPatch, ConnectionStatus, ConnectionTarget, NewConnection, PortalId, Update,
    VersionId,
};
use crate::store::{Actor, Store};

const CREATE: Object = Object::closed(&[
    Member::new("product_version_id", Rule::Uuid, "It or `api_id` is required"),
    Member::new("api_id", Rule::Uuid, "Another name of `product_version_id`"),
    Member::new(
        "status",
        Rule::Choice(&["approved", "pending"]),
        "Absent: approved where the portal or the product version approves by itself, else pending",
    ),
    Member::new("scopes", SCOPES, "What the application asks for"),
]);

const UPDATE: Object = Object::closed(&[
    Member::new("status", STATUS, "Only what is approved lets the application through"),
    Member::new("reason", REASON, "Goes with the status").nullable(),
]);

const ALL: Collection = Collection::new(
    &["created_at", "updated_at", "developer_id", "status"],
    Filters::Deep,
    &[
        ("developer_id", Filter::Id),
        ("developer_name", Filter::Text),
        ("application_name", Filter::Text),
        ("status", Filter::Code(STATUSES)),
    ],
);

const LIST: Collection = Collection::new(
    &["created_at", "updated_at", "status"],
    Filters::Deep,
    &[("status", Filter::Code(STATUSES))],
);

/// A registration to be made.
#[derive(Deserialize)]
pub struct RegistrationInput {
    product_version_id: Option<VersionId>,
    api_id: Option<VersionId>,
    status: Option<String>,
    #[serde(default)]
    scopes: Vec<String>,
}

/// Changes to a registration.
#[derive(Deserialize)]
pub struct RegistrationChanges {
    status: Option<String>,
    #[serde(default)]
    reason: Update<String>,
}

bodies!(RegistrationInput: CREATE, RegistrationChanges: UPDATE);
arguments!(
    /// The arguments of a portal's list.
    AllArguments: ALL
);
arguments!(
    /// The arguments of an application's list.
    RegistrationArguments: LIST
);

/// An application's leave to use a product version.
#[derive(Serialize, ToSchema)]
pub struct RegistrationBody {
    id: Uuid,
    #[schema(pattern = "^(approved|pending|rejected|revoked)$")]
    status: &'static str,
    /// Why it has the status, in the words of whoever decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<String>,
    /// The service, where it stands by itself.
    product: Named,
    /// The service, where it stands by itself.
    product_version: Named,
    application: Named,
    developer: Named,
    /// Null where the application's strategy knows of no scopes that are granted.
    granted_scopes: Option<Vec<String>>,
    created_at: String,
    updated_at: String,
}

/// Something, by its id and name.
#[derive(Serialize, ToSchema)]
pub struct Named {
    id: Uuid,
    name: String,
}

/// The scopes that go with a registration.
#[derive(Serialize, ToSchema)]
pub struct GrantedScopes {
    data: Vec<String>,
}

impl From<ConnectionDetail> for RegistrationBody {
    fn from(detail: ConnectionDetail) -> Self {
        let ConnectionDetail { connection, application, developer, service_name, version, .. } = detail;
        let (product, product_version) = match version {
            Some(version) => (
                Named { id: version.product.0, name: version.product_name },
                Named { id: version.id.0, name: version.name },
            ),
            None => {
                let id = connection.service.map(|service| service.0).unwrap_or_default();
                let name = service_name.unwrap_or_default();
                (Named { id, name: name.clone() }, Named { id, name })
            }
        };
        Self {
            id: connection.id.0,
            status: connection.status.word(),
            reason: connection.reason,
            product,
            product_version,
            granted_scopes: application.dcr.is_some().then_some(connection.scopes),
            application: Named { id: application.id.0, name: application.name },
            developer: Named { id: developer.id.0, name: developer.full_name() },
            created_at: reply::time(connection.created_at),
            updated_at: reply::time(connection.updated_at),
        }
    }
}

/// As [`STATUS`] lets it through.
fn status(text: &str) -> ConnectionStatus {
    match text {
        "approved" => ConnectionStatus::Approved,
        "rejected" => ConnectionStatus::Rejected,
        "revoked" => ConnectionStatus::Revoked,
        _ => ConnectionStatus::Pending,
    }
}

fn check(body: &Map<String, Value>, wrong: &mut Vec<Parameter>) {
    match (body.contains_key("product_version_id"), body.contains_key("api_id")) {
        (false, false) => {
            let reason = "\"product_version_id\" is required";
            wrong.push(Parameter::body("product_version_id", "required", reason));
        }
        (true, true) => {
            let reason = "\"api_id\" is another name of product_version_id; give one of them";
            wrong.push(Parameter::body("api_id", "invalid", reason));
        }
        _ => {}
    }
}

async fn named(store: &Store, [portal, application, id]: [Uuid; 3]) -> Result<ConnectionDetail, Problem> {
    let application = applications::named(store, portal, application).await?.application.id;
    let found = store.registration(PortalId(portal), application, ConnectionId(id)).await?;
    found.ok_or_else(Problem::not_found)
}

/// List the registrations of all applications in a portal
#[utoipa::path(
    get, path = "/portals/{portalId}/application-registrations", tag = "registrations",
    operation_id = "list_portal_registrations",
    params(("portalId" = Uuid, Path), AllArguments),
    responses((status = 200, description = "A page of the list", body = PageBody<RegistrationBody>)),
)]
pub async fn list_all(Seen(app): Seen, ids: Ids<1>, query: Query) -> Result<Response, Problem> {
    let [portal] = ids.0;
    let request = ALL.read(&query)?;
    let portal = portals::named(&app.store, portal).await?.portal;
    let registrations = app.store.registrations_in(portal.id, &request).await?;
    Ok(reply::ok(&PageBody::new(&request, registrations, RegistrationBody::from)))
}

/// List the registrations of an application
#[utoipa::path(
    get, path = "/portals/{portalId}/applications/{applicationId}/registrations", tag = "registrations",
    operation_id = "list_registrations",
    params(("portalId" = Uuid, Path), ("applicationId" = Uuid, Path), RegistrationArguments),
    responses((status = 200, description = "A page of the list", body = PageBody<RegistrationBody>)),
)]
pub async fn list(Seen(app): Seen, ids: Ids<2>, query: Query) -> Result<Response, Problem> {
    let [portal, application] = ids.0;
    let request = LIST.read(&query)?;
    let application = applications::named(&app.store, portal, application).await?.application;
    let registrations = app.store.registrations_of(application.id, &request).await?;
    Ok(reply::ok(&PageBody::new(&request, registrations, RegistrationBody::from)))
}

/// Register an application for a product version
///
/// The version must be in the application's portal, take registrations there and have the application's auth strategy.
#[utoipa::path(
    post, path = "/portals/{portalId}/applications/{applicationId}/registrations", tag = "registrations",
    operation_id = "create_registration",
    params(("portalId" = Uuid, Path), ("applicationId" = Uuid, Path)),
    request_body(content = RegistrationInput, example = json!({
        "product_version_id": "c5460788-d5ff-44db-bbd1-36db5ae6c7b5"
    })),
    responses(
        (status = 201, description = "As it is now", body = RegistrationBody),
        (status = 409, description = "The application is registered for it already, whatever the status"),
        (status = 502, description = "The identity provider refused it; nothing has changed"),
    ),
)]
pub async fn create(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    ids: Ids<2>,
    input: Input,
) -> Result<Response, Problem> {
    let [portal, application] = ids.0;
    let input: RegistrationInput = input.read(&CREATE, check)?;
    let (member, version) = match (input.product_version_id, input.api_id) {
        (Some(id), _) => ("product_version_id", id),
        (None, Some(id)) => ("api_id", id),
        // Checked before.
        (None, None) => return Err(Problem::unreadable()),
    };
    let application = applications::named(&app.store, portal, application).await?.application;
    let new = NewConnection {
        id: None,
        target: ConnectionTarget::Version(version),
        status: input.status.as_deref().map(status),
        suspended: false,
        scopes: input.scopes,
        reason: None,
    };
    let created = app.clients.create_connection::<Problem>(&actor, application.id, new).await;
    let created = created.map_err(|mut problem| {
        // It is to be called what the caller called it.
        for parameter in &mut problem.invalid_parameters {
            if parameter.field == "product_version_id" {
                member.clone_into(&mut parameter.field);
            }
        }
        problem
    })?;
    let updated_at = created.value.connection.updated_at;
    let body = RegistrationBody::from(created.value);
    Ok(reply::written(StatusCode::CREATED, &body, updated_at, created.revision))
}

/// Read a registration
#[utoipa::path(
    get, path = "/portals/{portalId}/applications/{applicationId}/registrations/{registrationId}",
    tag = "registrations", operation_id = "get_registration",
    params(("portalId" = Uuid, Path), ("applicationId" = Uuid, Path), ("registrationId" = Uuid, Path)),
    responses((status = 200, description = "As it is now", body = RegistrationBody)),
)]
pub async fn get(Seen(app): Seen, ids: Ids<3>) -> Result<Response, Problem> {
    let detail = named(&app.store, ids.0).await?;
    let updated_at = detail.connection.updated_at;
    Ok(reply::resource(&RegistrationBody::from(detail), updated_at))
}

/// Approve, reject or revoke a registration
#[utoipa::path(
    patch, path = "/portals/{portalId}/applications/{applicationId}/registrations/{registrationId}",
    tag = "registrations", operation_id = "update_registration",
    params(("portalId" = Uuid, Path), ("applicationId" = Uuid, Path), ("registrationId" = Uuid, Path)),
    request_body(content = RegistrationChanges, example = json!({"status": "revoked", "reason": "Too many calls"})),
    responses((status = 200, description = "As it is now", body = RegistrationBody)),
)]
pub async fn update(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    ids: Ids<3>,
    unless_changed: IfMatch,
    input: Input,
) -> Result<Response, Problem> {
    let changes: RegistrationChanges = input.read(&UPDATE, |_, _| {})?;
    let found = named(&app.store, ids.0).await?.connection;
    let patch = ConnectionPatch {
        status: changes.status.as_deref().map(status),
        reason: changes.reason,
        ..ConnectionPatch::default()
    };
    let mut writer = app.store.write(&actor).await?;
    let before = writer.connection(found.application, found.id).await?;
    unless_changed.check(before.connection.updated_at)?;
    let detail = writer.update_connection(found.application, found.id, patch).await?;
    let revision = writer.commit().await?;
    let updated_at = detail.connection.updated_at;
    Ok(reply::written(StatusCode::OK, &RegistrationBody::from(detail), updated_at, revision))
}

/// Delete a registration
///
/// The application no longer gets through, and may be registered anew.
#[utoipa::path(
    delete, path = "/portals/{portalId}/applications/{applicationId}/registrations/{registrationId}",
    tag = "registrations", operation_id = "delete_registration",
    params(("portalId" = Uuid, Path), ("applicationId" = Uuid, Path), ("registrationId" = Uuid, Path)),
    responses(
        (status = 204, description = "Deleted"),
        (status = 502, description = "The identity provider refused it; nothing has changed"),
    ),
)]
pub async fn delete(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    ids: Ids<3>,
    unless_changed: IfMatch,
) -> Result<Response, Problem> {
    let found = named(&app.store, ids.0).await?.connection;
    let unless = move |updated_at| unless_changed.check(updated_at);
    let target = (found.application, found.id);
    let deleted = app.clients.delete_connection::<Problem>(&actor, target, unless).await?;
    Ok(reply::done(deleted.revision))
}

/// List the scopes that go with a registration
#[utoipa::path(
    get, path = "/portals/{portalId}/applications/{applicationId}/registrations/{registrationId}/granted-scopes",
    tag = "registrations", operation_id = "list_granted_scopes",
    params(("portalId" = Uuid, Path), ("applicationId" = Uuid, Path), ("registrationId" = Uuid, Path)),
    responses((status = 200, description = "All of them", body = GrantedScopes)),
)]
pub async fn granted_scopes(Seen(app): Seen, ids: Ids<3>) -> Result<Response, Problem> {
    let detail = named(&app.store, ids.0).await?;
    let data = if detail.application.dcr.is_some() { detail.connection.scopes } else { Vec::new() };
    Ok(reply::ok(&GrantedScopes { data }))
}
