//! `/services`: what applications connect to, each with the id it has at the gateway and how its callers authenticate.

use app_auth_core::ids::ServiceId;
use app_auth_core::record::KeyAuthConfig;
use axum::extract::Extension;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::application_instances::{self, InstanceBody};
use super::applications::ApplicationBody;
use super::bodies::{Message, Violation};
use super::conventions::query::{CorePage, Page};
use super::conventions::{Error, Field, Input, Kind, Query, Schema, Segments, members, path, reply, texts};
use super::developers::DeveloperBody;
use super::parameters::{PageArguments, ServicePath};
use super::service_oauth2::{self, ServiceOAuth2};
use crate::api::Seen;
use crate::model::{NewService, OAuth2Settings, Service, ServicePatch, ServiceRef, Update, rules};
use crate::store::{Actor, StoreError};

const KEY_AUTH: &[Field] = &[
    Field::new("key_names", Kind::List { of: &Kind::checked_text(256, texts::key_name), min: 1, max: 10 })
        .required()
        .default("[\"apikey\"]"),
    Field::new("key_in_header", Kind::Boolean).required().default("true"),
    Field::new("key_in_query", Kind::Boolean).required().default("true"),
    Field::new("key_in_body", Kind::Boolean).required().default("false"),
    Field::new("hide_credentials", Kind::Boolean).required().default("false"),
    Field::new("run_on_preflight", Kind::Boolean).required().default("true"),
    Field::new("realm", Kind::checked_text(256, texts::realm)),
];

pub const SCHEMA: Schema = Schema {
    fields: &[
        Field::new("id", Kind::Uuid).immutable(),
        Field::new("name", Kind::checked_text(rules::NAME_MAX, texts::service_name)).required(),
        Field::new("auto_approve", Kind::Boolean).required().default("false"),
        Field::new("key_auth", Kind::Record(KEY_AUTH)),
        Field::new("oauth2", Kind::Record(service_oauth2::FIELDS)),
        Field::read_only("created_at"),
        Field::read_only("updated_at"),
    ],
};

/// A service.
#[derive(Serialize, ToSchema)]
#[schema(as = Service)]
pub struct ServiceBody {
    /// Whether new connections are approved at once.
    auto_approve: bool,
    /// Seconds since the Unix epoch.
    created_at: i64,
    /// The id the service has at the gateway.
    id: Uuid,
    /// Null: API keys open nothing.
    key_auth: Option<KeyAuth>,
    name: String,
    /// Null: there are no access tokens.
    oauth2: Option<ServiceOAuth2>,
    updated_at: i64,
}

/// Where an API key is looked for and what becomes of it.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "the settings it mirrors are switches")]
pub struct KeyAuth {
    /// Keep the key from the upstream.
    hide_credentials: bool,
    /// Look in form, JSON and multipart bodies.
    key_in_body: bool,
    key_in_header: bool,
    key_in_query: bool,
    /// Names of the header, query argument or body field, tried in order.
    #[schema(min_items = 1, max_items = 10)]
    key_names: Vec<String>,
    /// `realm` of `WWW-Authenticate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    realm: Option<String>,
    /// Whether `OPTIONS` requests must authenticate too.
    run_on_preflight: bool,
}

impl Default for KeyAuth {
    fn default() -> Self {
        KeyAuthConfig::default().into()
    }
}

impl From<KeyAuthConfig> for KeyAuth {
    fn from(config: KeyAuthConfig) -> Self {
        let KeyAuthConfig {
            key_names,
            key_in_header,
            key_in_query,
            key_in_body,
            hide_credentials,
            run_on_preflight,
            realm,
        } = config;
        Self {
            hide_credentials,
            key_in_body,
            key_in_header,
            key_in_query,
            key_names,
            realm,
            run_on_preflight,
        }
    }
}

impl From<KeyAuth> for KeyAuthConfig {
    fn from(body: KeyAuth) -> Self {
        let KeyAuth {
            hide_credentials,
            key_in_body,
            key_in_header,
            key_in_query,
            key_names,
            realm,
            run_on_preflight,
        } = body;
        Self {
            key_names,
            key_in_header,
            key_in_query,
            key_in_body,
            hide_credentials,
            run_on_preflight,
            realm,
        }
    }
}

impl From<Service> for ServiceBody {
    fn from(service: Service) -> Self {
        Self {
            auto_approve: service.auto_approve,
            created_at: service.created_at.seconds(),
            id: service.id.0,
            key_auth: service.key_auth.map(KeyAuth::from),
            name: service.name,
            oauth2: service.oauth2.map(ServiceOAuth2::from),
            updated_at: service.updated_at.seconds(),
        }
    }
}

/// A service to be registered.
#[derive(Deserialize, ToSchema)]
pub struct ServiceInput {
    /// The id the service has at the gateway. Absent: a random one.
    id: Option<Uuid>,
    /// Unique.
    name: String,
    /// Whether new connections are approved at once.
    #[serde(default)]
    auto_approve: bool,
    /// Absent: as it is by default, and null where there is `oauth2`. One of the two must be in force; where both are,
    /// API keys are tried first.
    key_auth: Option<KeyAuth>,
    oauth2: Option<ServiceOAuth2>,
}

/// A service to be, as a request describes it.
fn new(input: Input) -> Result<NewService, Error> {
    let unset = input.members.get("key_auth").is_some_and(Value::is_null);
    let input: ServiceInput = members::typed(service_oauth2::check(SCHEMA.check_insert(input)).finish()?)?;
    // Who says nothing of API keys wants them, if there is no other way in: a client id is an API key where there are
    // any, and where tokens are asked for it must not be.
    let key_auth = match (input.key_auth, &input.oauth2) {
        (None, None) if !unset => Some(KeyAuth::default()),
        (given, _) => given,
    };
    Ok(NewService {
        id: input.id.map(ServiceId),
        name: input.name,
        auto_approve: input.auto_approve,
        key_auth: key_auth.map(KeyAuthConfig::from),
        oauth2: input.oauth2.map(OAuth2Settings::from),
    })
}

/// What a service is to be, whatever it was; what the path names need not be said again.
#[derive(ToSchema)]
#[expect(dead_code, reason = "described here, read as `ServiceInput`")]
pub struct ServiceReplacement {
    /// The id the service has at the gateway.
    id: Option<Uuid>,
    /// Unique; required where the path has the id.
    name: Option<String>,
    /// Whether new connections are approved at once.
    auto_approve: Option<bool>,
    key_auth: Option<KeyAuth>,
    oauth2: Option<ServiceOAuth2>,
}

/// Changes to a service; the members of `key_auth` and `oauth2` change one by one.
#[derive(Deserialize, ToSchema)]
pub struct ServiceChanges {
    name: Option<String>,
    auto_approve: Option<bool>,
    /// Null: API keys open nothing any more.
    #[serde(default)]
    #[schema(value_type = Option<KeyAuth>)]
    key_auth: Update<KeyAuth>,
    /// Null: every access token for the service ends.
    #[serde(default)]
    #[schema(value_type = Option<ServiceOAuth2>)]
    oauth2: Update<ServiceOAuth2>,
}

/// List services
#[utoipa::path(
    get, path = "/services", tag = "services", operation_id = "list_services",
    params(PageArguments),
    responses(
        (status = 200, description = "A page of the list", body = CorePage<ServiceBody>,
            example = json!({"data": [example()], "next": null})),
        (status = 400, description = "Refused; nothing has changed", body = Violation),
    ),
)]
pub async fn list(Seen(app): Seen, query: Query) -> Result<Response, Error> {
    Ok(query.core_list(app.store.services(query.page()?).await?, ServiceBody::from))
}

/// Register a service
#[utoipa::path(
    post, path = "/services", tag = "services", operation_id = "create_service",
    request_body(
        content((ServiceInput = "application/json"), (ServiceInput = "application/x-www-form-urlencoded")),
        example = json!({"id": "212a758a-810b-4226-9175-b1b44eecebec", "name": "orders"})
    ),
    responses(
        (status = 201, description = "As it is now", body = ServiceBody, example = json!(example())),
        (status = 400, description = "Refused; nothing has changed", body = Violation),
        (status = 409, body = Violation, description = "The name is taken"),
    ),
)]
pub async fn create(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    input: Input,
) -> Result<Response, Error> {
    let new = new(input)?;
    let mut writer = app.store.write(&actor).await?;
    let service = writer.create_service(new).await?;
    let revision = writer.commit().await?;
    Ok(reply::written(StatusCode::CREATED, &ServiceBody::from(service), revision))
}

/// Read a service
#[utoipa::path(
    get, path = "/services/{service}", tag = "services", operation_id = "get_service",
    params(ServicePath),
    responses(
        (status = 200, description = "As it is now", body = ServiceBody, example = json!(example())),
        (status = 404, description = "Nothing has that name", body = Message),
    ),
)]
pub async fn get(Seen(app): Seen, Segments(service): Segments<String>) -> Result<Response, Error> {
    let service = path::service(&app.store, &service).await?;
    Ok(reply::ok(&ServiceBody::from(service)))
}

/// Register a service or replace the whole of it
#[utoipa::path(
    put, path = "/services/{service}", tag = "services", operation_id = "put_service",
    params(ServicePath),
    request_body(
        content(
            (ServiceReplacement = "application/json"),
            (ServiceReplacement = "application/x-www-form-urlencoded")
        ),
        example = json!({"name": "orders", "auto_approve": true})
    ),
    responses(
        (status = 200, description = "As it is now", body = ServiceBody, example = json!(example())),
        (status = 400, description = "Refused; nothing has changed", body = Violation),
        (status = 409, body = Violation, description = "The name is taken"),
    ),
)]
pub async fn put(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    Segments(service): Segments<String>,
    mut input: Input,
) -> Result<Response, Error> {
    let service = ServiceRef::parse(&service);
    let (member, value) = match &service {
        ServiceRef::Id(id) => ("id", id.to_string()),
        ServiceRef::Name(name) => ("name", name.clone()),
    };
    // The path says what the service is called; a body that says something else is a mistake.
    let given = input.members.entry(member).or_insert_with(|| json!(value));
    if given != &json!(value) {
        return Err(Error::violation(member, "must be what the path says"));
    }
    let new = new(input)?;
    let mut writer = app.store.write(&actor).await?;
    let service = writer.put_service(&service, new).await?;
    let revision = writer.commit().await?;
    Ok(reply::written(StatusCode::OK, &ServiceBody::from(service), revision))
}

/// Change a service
#[utoipa::path(
    patch, path = "/services/{service}", tag = "services", operation_id = "update_service",
    params(ServicePath),
    request_body(
        content((ServiceChanges = "application/json"), (ServiceChanges = "application/x-www-form-urlencoded")),
        example = json!({"key_auth": {"hide_credentials": true}})
    ),
    responses(
        (status = 200, description = "As it is now", body = ServiceBody, example = json!(example())),
        (status = 400, description = "Refused; nothing has changed", body = Violation),
        (status = 404, description = "Nothing has that name", body = Message),
        (status = 409, body = Violation, description = "The name is taken"),
    ),
)]
pub async fn update(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    Segments(service): Segments<String>,
    input: Input,
) -> Result<Response, Error> {
    let id = path::service(&app.store, &service).await?.id;
    let mut writer = app.store.write(&actor).await?;
    // Read where nobody else can change it any more, because the members of records merge with what they are now.
    let service = writer.service(id).await?;
    let checked = SCHEMA.check_update(input, &json!(ServiceBody::from(service)));
    let changes: ServiceChanges = members::typed(service_oauth2::check(checked).finish()?)?;
    let patch = ServicePatch {
        name: changes.name,
        auto_approve: changes.auto_approve,
        key_auth: changes.key_auth.map(KeyAuthConfig::from),
        oauth2: changes.oauth2.map(OAuth2Settings::from),
    };
    let service = writer.update_service(id, patch).await?;
    let revision = writer.commit().await?;
    Ok(reply::written(StatusCode::OK, &ServiceBody::from(service), revision))
}

/// Delete a service with all connections to it
#[utoipa::path(
    delete, path = "/services/{service}", tag = "services", operation_id = "delete_service",
    params(ServicePath),
    responses((status = 204, description = "There is no such service any more")),
)]
pub async fn delete(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    Segments(service): Segments<String>,
) -> Result<Response, Error> {
    let service = path::find_service(&app.store, &service).await?;
    let mut writer = app.store.write(&actor).await?;
    if let Some(service) = service {
        match writer.delete_service(service.id).await {
            Ok(()) | Err(StoreError::NotFound(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(reply::deleted(writer.commit().await?))
}

/// List a service's connections
#[utoipa::path(
    get, path = "/services/{service}/application_instances", tag = "services",
    operation_id = "list_service_application_instances",
    params(ServicePath, PageArguments),
    responses(
        (status = 200, description = "A page of the list", body = Page<InstanceBody<ApplicationBody<DeveloperBody>>>,
            example = json!({"data": [application_instances::example_in_full()], "next": null, "total": 1})),
        (status = 400, description = "Refused; nothing has changed", body = Violation),
        (status = 404, description = "Nothing has that name", body = Message),
    ),
)]
pub async fn application_instances(
    Seen(app): Seen,
    Segments(service): Segments<String>,
    query: Query,
) -> Result<Response, Error> {
    let service = path::service(&app.store, &service).await?;
    let connections = app.store.connections_of_service(service.id, query.page()?).await?;
    Ok(query.list(connections, InstanceBody::<application_instances::InFull>::from))
}

fn example() -> Value {
    json!({
        "auto_approve": false, "created_at": 1_644_615_388, "id": "212a758a-810b-4226-9175-b1b44eecebec",
        "key_auth": {
            "hide_credentials": false, "key_in_body": false, "key_in_header": true, "key_in_query": true,
            "key_names": ["apikey"], "run_on_preflight": true
        },
        "name": "orders", "oauth2": null, "updated_at": 1_644_615_388
    })
}
