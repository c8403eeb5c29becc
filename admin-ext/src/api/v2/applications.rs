//! `/v2/portals/{portalId}/applications` and `/v2/applications/{applicationId}`: what developers register, with whatever
//! client an identity provider has for it. They are the applications of the legacy API, by portal.

use app_auth_core::ids::{ApplicationId, DeveloperId, StrategyId};
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
use super::portals;
use super::strategy_summary::StrategySummary;
use crate::api::Seen;
use crate::model::{
    ApplicationDetail, ApplicationPatch, AuthStrategyDetail, LabelChanges, Labels, NewApplication, Portal,
    PortalId, StrategyType, Update, rules,
};
use crate::store::{Actor, Store};

const NAME: Rule = Rule::Text { min: 1, max: 255 };
const DESCRIPTION: Rule = Rule::Text { min: 0, max: 255 };
const REDIRECT_URI: Rule = Rule::Text { min: 1, max: rules::URI_MAX as u64 };
/// What an application may ask for.
pub const SCOPES: Rule = Rule::List { of: &Rule::Text { min: 1, max: 128 }, min: 0, max: 50 };
const CLIENT_ID: &str =
    "What its identity provider calls it; of openid_connect strategies without a DCR provider";
const CLIENT_ID_TOO: &str = "Another name of `reference_id`";

const OWNER: Object = Object::closed(&[
    Member::new("type", Rule::Choice(&["developer"]), "").required(),
    Member::new("id", Rule::Uuid, "").required(),
]);

const CREATE: Object = Object::closed(&[
    Member::new("name", NAME, "Unique among the developer's applications").required(),
    Member::new("description", DESCRIPTION, "").nullable(),
    Member::new("redirect_uri", REDIRECT_URI, "").nullable(),
    Member::new("auth_strategy_id", Rule::Uuid, "For as long as it lives; absent: the portal's default")
        .nullable(),
    Member::new("developer_id", Rule::Uuid, "Whose it is; it or `owner` is required"),
    Member::new("owner", Rule::Object(&OWNER), "Whose it is; it or `developer_id` is required"),
    Member::new("reference_id", NAME, CLIENT_ID).nullable(),
    Member::new("client_id", NAME, CLIENT_ID_TOO).nullable(),
    Member::new("labels", Rule::Labels, ""),
    Member::new("scopes", SCOPES, "What it asks for"),
]);

const UPDATE: Object = Object::closed(&[
    Member::new("name", NAME, "Unique among the developer's applications"),
    Member::new("description", DESCRIPTION, "").nullable(),
    Member::new("redirect_uri", REDIRECT_URI, "").nullable(),
    Member::new("reference_id", NAME, CLIENT_ID).nullable(),
    Member::new("client_id", NAME, CLIENT_ID_TOO).nullable(),
    Member::new("labels", Rule::LabelChanges, "").nullable(),
    Member::new("scopes", SCOPES, "All that it asks for"),
]);

const LIST: Collection = Collection::new(
    &["created_at", "developer_id", "name", "updated_at"],
    Filters::Deep,
    &[
        ("developer_id", Filter::Id),
        ("developer_name", Filter::Text),
        ("developer_email", Filter::Text),
        ("name", Filter::Text),
    ],
);

/// An application to be made.
#[derive(Deserialize)]
pub struct PortalApplicationInput {
    name: String,
    description: Option<String>,
    redirect_uri: Option<String>,
    auth_strategy_id: Option<StrategyId>,
    developer_id: Option<DeveloperId>,
    owner: Option<Owner>,
    reference_id: Option<String>,
    client_id: Option<String>,
    #[serde(default)]
    labels: Labels,
    #[serde(default)]
    scopes: Vec<String>,
}

#[derive(Deserialize)]
struct Owner {
    id: DeveloperId,
}

/// Changes to an application; null unsets.
#[derive(Deserialize)]
pub struct PortalApplicationChanges {
    name: Option<String>,
    #[serde(default)]
    description: Update<String>,
    #[serde(default)]
    redirect_uri: Update<String>,
    #[serde(default)]
    reference_id: Update<String>,
    #[serde(default)]
    client_id: Update<String>,
    labels: Option<LabelChanges>,
    scopes: Option<Vec<String>>,
}

bodies!(PortalApplicationInput: CREATE, PortalApplicationChanges: UPDATE);
arguments!(
    /// The arguments of the list.
    ApplicationArguments: LIST
);

/// An application of a portal.
#[derive(Serialize, ToSchema)]
pub struct PortalApplicationBody {
    id: Uuid,
    name: String,
    description: Option<String>,
    labels: Labels,
    redirect_uri: Option<String>,
    /// What the issuer of its strategy calls it; empty where none does.
    reference_id: String,
    /// Of any status.
    registration_count: u64,
    /// Where its client was registered for it.
    dcr_provider: Option<Identified>,
    portal: Identified,
    developer: DeveloperSummary,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    auth_strategy: Option<StrategySummary>,
    /// What it asks for.
    scopes: Vec<String>,
    /// Null where its strategy knows of no scopes that are granted.
    granted_scopes: Option<Vec<String>>,
    /// Of the client that was registered for it; shown this one time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    credentials: Option<ClientBody>,
    created_at: String,
    updated_at: String,
}

/// Something, by its id.
#[derive(Serialize, ToSchema)]
pub struct Identified {
    pub id: Uuid,
}

/// Whose an application is.
#[derive(Serialize, ToSchema)]
pub struct DeveloperSummary {
    id: Uuid,
    name: String,
    email: String,
}

/// A client of an identity provider.
#[derive(Serialize, ToSchema)]
pub struct ClientBody {
    pub client_id: String,
    pub client_secret: String,
}

impl From<ApplicationDetail> for PortalApplicationBody {
    fn from(detail: ApplicationDetail) -> Self {
        let ApplicationDetail { application, developer, strategy, registrations } = detail;
        Self {
            id: application.id.0,
            name: application.name,
            description: application.description,
            labels: application.labels,
            redirect_uri: Some(application.redirect_uri).filter(|uri| !uri.is_empty()),
            reference_id: application.client_id.unwrap_or_default(),
            registration_count: registrations,
            granted_scopes: application.dcr.is_some().then(|| application.scopes.clone()),
            dcr_provider: application.dcr.map(|dcr| Identified { id: dcr.provider.0 }),
            portal: Identified { id: developer.portal.0 },
            developer: DeveloperSummary {
                id: developer.id.0,
                name: developer.full_name(),
                email: developer.email.to_string(),
            },
            auth_strategy: strategy.map(StrategySummary::from),
            scopes: application.scopes,
            credentials: None,
            created_at: reply::time(application.created_at),
            updated_at: reply::time(application.updated_at),
        }
    }
}

/// The application that a path names.
pub async fn named(store: &Store, portal: Uuid, application: Uuid) -> Result<ApplicationDetail, Problem> {
    let found = store.application_in(PortalId(portal), ApplicationId(application)).await?;
    found.ok_or_else(Problem::not_found)
}

/// What no rule of a single member can tell.
fn check(body: &Map<String, Value>, wrong: &mut Vec<Parameter>) {
    if let Some(uri) = body.get("redirect_uri").and_then(Value::as_str).filter(|uri| !uri.is_empty())
        && let Err(invalid) = rules::redirect_uri("redirect_uri", uri)
    {
        wrong.push(Parameter::body("redirect_uri", "invalid", invalid.reason));
    }
    if body.contains_key("reference_id") && body.contains_key("client_id") {
        let reason = "\"client_id\" is another name of reference_id; give one of them";
        wrong.push(Parameter::body("client_id", "invalid", reason));
    }
}

fn check_new(body: &Map<String, Value>, wrong: &mut Vec<Parameter>) {
    check(body, wrong);
    match (body.contains_key("developer_id"), body.contains_key("owner")) {
        (false, false) => {
            wrong.push(Parameter::body("developer_id", "required", "\"developer_id\" is required"));
        }
        (true, true) => {
            let reason = "\"owner\" is another way to give developer_id; give one of them";
            wrong.push(Parameter::body("owner", "invalid", reason));
        }
        _ => {}
    }
}

/// Who names a client must have a strategy whose clients somebody else makes.
fn check_client_id(strategy: Option<&AuthStrategyDetail>, member: &str) -> Result<(), Problem> {
    let strategy = strategy.map(|detail| &detail.strategy);
    let reason = match strategy {
        Some(strategy) if strategy.strategy_type != StrategyType::OpenIdConnect => {
            "applications of a key_auth strategy have none"
        }
        Some(strategy) if strategy.dcr_provider.is_some() => {
            "the DCR provider of the application's strategy gives it"
        }
        Some(_) => return Ok(()),
        None => "applications without an auth strategy have none",
    };
    Err(Problem::parameter(Parameter::body(member, "invalid", format!("\"{member}\": {reason}"))))
}

fn unknown(member: &str, what: &str, id: Uuid) -> Problem {
    Problem::parameter(Parameter::body(member, "invalid", format!("\"{member}\" names no {what}: {id}")))
}

/// List the applications of a portal
#[utoipa::path(
    get, path = "/portals/{portalId}/applications", tag = "portal applications",
    operation_id = "list_portal_applications",
    params(("portalId" = Uuid, Path), ApplicationArguments),
    responses((status = 200, description = "A page of the list", body = PageBody<PortalApplicationBody>)),
)]
pub async fn list(Seen(app): Seen, ids: Ids<1>, query: Query) -> Result<Response, Problem> {
    let [portal] = ids.0;
    let request = LIST.read(&query)?;
    let portal = portals::named(&app.store, portal).await?.portal;
    let applications = app.store.applications_in(portal.id, &request).await?;
    Ok(reply::ok(&PageBody::new(&request, applications, PortalApplicationBody::from)))
}

/// Create an application for a developer of a portal
///
/// Where its auth strategy has a DCR provider, a client is registered for it; the client's secret is shown this one time.
#[utoipa::path(
    post, path = "/portals/{portalId}/applications", tag = "portal applications",
    operation_id = "create_portal_application",
    params(("portalId" = Uuid, Path)),
    request_body(content = PortalApplicationInput, example = json!({
        "name": "billing", "developer_id": "f94e4fbd-c30b-41d7-b349-13c8f4fc23ca"
    })),
    responses(
        (status = 201, description = "As it is now", body = PortalApplicationBody),
        (status = 409, description = "The name or the reference_id is taken, or Kong refused it"),
        (status = 502, description = "The identity provider refused to register a client; nothing has changed"),
    ),
)]
pub async fn create(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    ids: Ids<1>,
    input: Input,
) -> Result<Response, Problem> {
    let [portal] = ids.0;
    let input: PortalApplicationInput = input.read(&CREATE, check_new)?;
    let portal = portals::named(&app.store, portal).await?.portal;
    let (developer, new) = new(&app.store, &portal, input).await?;
    let created = app.clients.create_application::<Problem>(&actor, developer, new, false).await?;
    let made = created.value.application;
    let detail = named(&app.store, portal.id.0, made.id.0).await?;
    let credentials = created.value.client_secret.map(|secret| ClientBody {
        client_id: made.client_id.unwrap_or_default(),
        client_secret: secret.expose().to_owned(),
    });
    let body = PortalApplicationBody { credentials, ..detail.into() };
    let answer = reply::written(StatusCode::CREATED, &body, made.updated_at, created.revision);
    Ok(reply::secret(answer))
}

async fn new(
    store: &Store,
    portal: &Portal,
    input: PortalApplicationInput,
) -> Result<(DeveloperId, NewApplication), Problem> {
    let (member, developer) = match (input.developer_id, input.owner) {
        (Some(id), _) => ("developer_id", id),
        (None, Some(owner)) => ("owner.id", owner.id),
        // Checked before.
        (None, None) => return Err(Problem::unreadable()),
    };
    if store.developer_in(portal.id, developer).await?.is_none() {
        return Err(unknown(member, "developer of the portal", developer.0));
    }
    let strategy = input.auth_strategy_id.or(portal.default_strategy);
    let found = match strategy {
        Some(id) => store.auth_strategy(id).await?,
        None => None,
    };
    if let (Some(id), None) = (strategy, &found) {
        return Err(unknown("auth_strategy_id", "auth strategy", id.0));
    }
    let member = if input.reference_id.is_some() { "reference_id" } else { "client_id" };
    let client_id = input.reference_id.or(input.client_id);
    if client_id.is_some() {
        check_client_id(found.as_ref(), member)?;
    }
    let new = NewApplication {
        name: input.name,
        redirect_uri: input.redirect_uri.unwrap_or_default(),
        description: input.description,
        strategy,
        client_id,
        labels: input.labels,
        scopes: input.scopes,
        ..NewApplication::default()
    };
    Ok((developer, new))
}

/// Read an application of a portal
#[utoipa::path(
    get, path = "/portals/{portalId}/applications/{applicationId}", tag = "portal applications",
    operation_id = "get_portal_application",
    params(("portalId" = Uuid, Path), ("applicationId" = Uuid, Path)),
    responses((status = 200, description = "As it is now", body = PortalApplicationBody)),
)]
pub async fn get(Seen(app): Seen, ids: Ids<2>) -> Result<Response, Problem> {
    let [portal, id] = ids.0;
    let detail = named(&app.store, portal, id).await?;
    let updated_at = detail.application.updated_at;
    Ok(reply::resource(&PortalApplicationBody::from(detail), updated_at))
}

/// Read an application of whatever portal
#[utoipa::path(
    get, path = "/applications/{applicationId}", tag = "portal applications", operation_id = "get_any_application",
    params(("applicationId" = Uuid, Path)),
    responses((status = 200, description = "As it is now", body = PortalApplicationBody)),
)]
pub async fn get_any(Seen(app): Seen, ids: Ids<1>) -> Result<Response, Problem> {
    let [id] = ids.0;
    let found = app.store.application_detail(ApplicationId(id)).await?;
    let detail = found.ok_or_else(Problem::not_found)?;
    let updated_at = detail.application.updated_at;
    Ok(reply::resource(&PortalApplicationBody::from(detail), updated_at))
}

/// Change an application of a portal, and its client with it
#[utoipa::path(
    patch, path = "/portals/{portalId}/applications/{applicationId}", tag = "portal applications",
    operation_id = "update_portal_application",
    params(("portalId" = Uuid, Path), ("applicationId" = Uuid, Path)),
    request_body(content = PortalApplicationChanges, example = json!({"description": "Sends the bills"})),
    responses(
        (status = 200, description = "As it is now", body = PortalApplicationBody),
        (status = 409, description = "The name or the reference_id is taken, or Kong refused it"),
        (status = 502, description = "The identity provider refused it; nothing has changed"),
    ),
)]
pub async fn update(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    ids: Ids<2>,
    unless_changed: IfMatch,
    input: Input,
) -> Result<Response, Problem> {
    let [portal, id] = ids.0;
    let changes: PortalApplicationChanges = input.read(&UPDATE, check)?;
    let before = named(&app.store, portal, id).await?;
    let (member, client_id) = match changes.reference_id {
        Update::Keep => ("client_id", changes.client_id),
        given => ("reference_id", given),
    };
    if client_id.set().is_some() || (client_id == Update::Clear && before.application.dcr.is_some()) {
        check_client_id(before.strategy.as_ref(), member)?;
    }
    let patch = ApplicationPatch {
        name: changes.name,
        redirect_uri: changes.redirect_uri.or_empty(),
        description: changes.description,
        client_id,
        labels: changes.labels.unwrap_or_default(),
        scopes: changes.scopes,
        ..ApplicationPatch::default()
    };
    let unless = move |updated_at| unless_changed.check(updated_at);
    let target = (before.application.developer, before.application.id);
    let updated = app.clients.update_application::<Problem>(&actor, target, patch, unless).await?;
    let detail = named(&app.store, portal, id).await?;
    let updated_at = updated.value.updated_at;
    Ok(reply::written(StatusCode::OK, &PortalApplicationBody::from(detail), updated_at, updated.revision))
}

/// Delete an application of a portal with its credentials and registrations, and its client with it
#[utoipa::path(
    delete, path = "/portals/{portalId}/applications/{applicationId}", tag = "portal applications",
    operation_id = "delete_portal_application",
    params(("portalId" = Uuid, Path), ("applicationId" = Uuid, Path)),
    responses(
        (status = 204, description = "Deleted"),
        (status = 502, description = "The identity provider refused it; nothing has changed"),
    ),
)]
pub async fn delete(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    ids: Ids<2>,
    unless_changed: IfMatch,
) -> Result<Response, Problem> {
    let [portal, id] = ids.0;
    let before = named(&app.store, portal, id).await?.application;
    let unless = move |updated_at| unless_changed.check(updated_at);
    let target = (before.developer, before.id);
    let deleted = app.clients.delete_application::<Problem>(&actor, target, unless).await?;
    Ok(reply::done(deleted.revision))
}
