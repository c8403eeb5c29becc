//! `/developers/{developer}/applications/{application}/application_instances`: the application's connections to services,
//! under the name this API has for them.

use app_auth_core::ids::{ConnectionId, ServiceId};
use axum::extract::Extension;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::applications::{self, ApplicationBody};
use super::bodies::{Message, Ref, Reference, Violation};
use super::conventions::query::Page;
use super::conventions::{Error, Field, Input, Kind, Query, Schema, Segments, members, path, reply};
use super::developers::{self, DeveloperBody};
use super::parameters::{ApplicationPath, PageArguments};
use crate::api::Seen;
use crate::model::{
    Application, ConnectionDetail, ConnectionPatch, ConnectionStatus, ConnectionTarget, NewConnection,
    StatusCode as _, Update, rules,
};
use crate::store::{Actor, Store};

const STATUS: Kind = Kind::Integer { min: 0, max: 3 };

pub const SCHEMA: Schema = Schema {
    fields: &[
        Field::new("id", Kind::Uuid).immutable(),
        Field::new("service", Kind::Reference).required(),
        Field::new("status", STATUS).lasting(),
        Field::new("reason", Kind::text(rules::REASON_MAX)),
        Field::new("suspended", Kind::Boolean).required().default("false"),
        Field::read_only("application"),
        Field::read_only("composite_id"),
        Field::read_only("created_at"),
        Field::read_only("updated_at"),
    ],
};

/// A connection of an application to a service. `application` is its id alone, or all of it where a list has it in full.
#[derive(Serialize, ToSchema)]
pub struct InstanceBody<A> {
    application: A,
    /// Application and service; an application is connected to a service once.
    composite_id: String,
    /// Seconds since the Unix epoch.
    created_at: i64,
    id: Uuid,
    /// Why it has the status, in the words of whoever decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Null where the connection is to a product version that no service serves.
    service: Option<Ref>,
    /// 0 approved, 1 requested, 2 rejected, 3 revoked.
    status: u8,
    /// Held back whatever the status: by this flag, or because the developer is not approved.
    suspended: bool,
    updated_at: i64,
}

/// A connection's application with its developer.
pub type InFull = ApplicationBody<DeveloperBody>;

impl<A> InstanceBody<A> {
    fn new(detail: &ConnectionDetail, application: A) -> Self {
        let connection = &detail.connection;
        Self {
            application,
            composite_id: connection.composite_id(),
            created_at: connection.created_at.seconds(),
            id: connection.id.0,
            reason: connection.reason.clone(),
            service: connection.service.map(|service| service.0.into()),
            status: connection.status.code(),
            suspended: detail.suspended,
            updated_at: connection.updated_at.seconds(),
        }
    }
}

impl From<&ConnectionDetail> for InstanceBody<Ref> {
    fn from(detail: &ConnectionDetail) -> Self {
        Self::new(detail, detail.connection.application.0.into())
    }
}

impl From<ConnectionDetail> for InstanceBody<InFull> {
    fn from(detail: ConnectionDetail) -> Self {
        let application = ApplicationBody::new(detail.application.clone(), detail.developer.clone().into());
        Self::new(&detail, application)
    }
}

/// A connection to be made.
#[derive(Deserialize, ToSchema)]
pub struct InstanceInput {
    /// Absent: a random one.
    id: Option<Uuid>,
    /// By `id` or by `name`.
    service: Reference,
    /// Absent: approved (0) if the service approves by itself, else requested (1).
    #[schema(maximum = 3)]
    status: Option<i64>,
    /// Goes with the status.
    reason: Option<String>,
    #[serde(default)]
    suspended: bool,
}

/// Changes to a connection.
#[derive(Deserialize, ToSchema)]
pub struct InstanceChanges {
    /// By `id` or by `name`.
    service: Option<Reference>,
    /// 0 approves, 1 puts back to requested, 2 rejects, 3 revokes.
    #[schema(maximum = 3)]
    status: Option<i64>,
    /// Goes with the status.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    reason: Update<String>,
    suspended: Option<bool>,
}

fn status(code: i64) -> Result<ConnectionStatus, Error> {
    ConnectionStatus::from_code(code)
        .ok_or_else(|| Error::violation("status", "value should be between 0 and 3"))
}

async fn service_id(store: &Store, reference: Reference) -> Result<ServiceId, Error> {
    match reference {
        Reference { id: Some(id), .. } => Ok(ServiceId(id)),
        Reference { name: Some(name), .. } => match path::find_service(store, &name).await? {
            Some(service) => Ok(service.id),
            None => Err(Error::ForeignKeyUnresolved {
                member: "service",
                entity: "services",
                by: "name",
                value: name,
            }),
        },
        Reference { .. } => Err(Error::violation("service", "required field missing")),
    }
}

async fn instance(
    store: &Store,
    application: &Application,
    segment: &str,
) -> Result<ConnectionDetail, Error> {
    let id = path::id::<ConnectionId>(segment)?;
    store.connection(application.id, id).await?.ok_or(Error::NotFound)
}

/// List an application's connections
#[utoipa::path(
    get, path = "/developers/{developer}/applications/{application}/application_instances",
    tag = "application_instances", operation_id = "list_application_instances",
    params(ApplicationPath, PageArguments),
    responses(
        (status = 200, description = "A page of the list", body = Page<InstanceBody<ApplicationBody<DeveloperBody>>>,
            example = json!({"data": [example_in_full()], "next": null, "total": 1})),
        (status = 400, description = "Refused; nothing has changed", body = Violation),
        (status = 404, description = "Nothing has that name", body = Message),
    ),
)]
pub async fn list(
    Seen(app): Seen,
    Segments((developer, application)): Segments<(String, String)>,
    query: Query,
) -> Result<Response, Error> {
    let application = path::application(&app.store, &developer, &application).await?;
    let connections = app.store.connections_of_application(application.id, query.page()?).await?;
    Ok(query.list(connections, InstanceBody::<InFull>::from))
}

/// Connect an application to a service
#[utoipa::path(
    post, path = "/developers/{developer}/applications/{application}/application_instances",
    tag = "application_instances", operation_id = "create_application_instance",
    params(ApplicationPath),
    request_body(
        content((InstanceInput = "application/json"), (InstanceInput = "application/x-www-form-urlencoded")),
        example = json!({"service": {"id": "212a758a-810b-4226-9175-b1b44eecebec"}})
    ),
    responses(
        (status = 201, description = "As it is now", body = InstanceBody<Ref>, example = json!(example())),
        (status = 400, description = "Refused; nothing has changed", body = Violation),
        (status = 404, description = "Nothing has that name", body = Message),
        (status = 409, body = Violation, description = "The application is connected to the service already"),
        (status = 502, body = Message, description = "The identity provider refused it; nothing has changed"),
    ),
)]
pub async fn create(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    Segments((developer, application)): Segments<(String, String)>,
    input: Input,
) -> Result<Response, Error> {
    let application = path::application(&app.store, &developer, &application).await?;
    let new = self::input(input)?.new_connection(&app.store).await?;
    let created = app.clients.create_connection::<Error>(&actor, application.id, new).await?;
    Ok(reply::changed(StatusCode::CREATED, created, |connection| InstanceBody::<Ref>::from(&connection)))
}

/// A connection to be made, as a request describes it.
pub fn input(input: Input) -> Result<InstanceInput, Error> {
    members::typed(SCHEMA.insert(input)?)
}

impl InstanceInput {
    /// The connection to be made, its service found by what the input names it.
    pub async fn new_connection(self, store: &Store) -> Result<NewConnection, Error> {
        Ok(NewConnection {
            id: self.id.map(ConnectionId),
            target: ConnectionTarget::Service(service_id(store, self.service).await?),
            status: self.status.map(status).transpose()?,
            suspended: self.suspended,
            scopes: Vec::new(),
            reason: self.reason,
        })
    }
}

/// Read a connection
#[utoipa::path(
    get, path = "/developers/{developer}/applications/{application}/application_instances/{instance}",
    tag = "application_instances", operation_id = "get_application_instance",
    params(ApplicationPath, ("instance" = Uuid, Path)),
    responses(
        (status = 200, description = "As it is now", body = InstanceBody<Ref>, example = json!(example())),
        (status = 404, description = "Nothing has that name", body = Message),
    ),
)]
pub async fn get(
    Seen(app): Seen,
    Segments((developer, application, instance)): Segments<(String, String, String)>,
) -> Result<Response, Error> {
    let application = path::application(&app.store, &developer, &application).await?;
    let connection = self::instance(&app.store, &application, &instance).await?;
    Ok(reply::ok(&InstanceBody::<Ref>::from(&connection)))
}

/// Approve, reject, revoke, suspend or redirect a connection
#[utoipa::path(
    patch, path = "/developers/{developer}/applications/{application}/application_instances/{instance}",
    tag = "application_instances", operation_id = "update_application_instance",
    params(ApplicationPath, ("instance" = Uuid, Path)),
    request_body(
        content((InstanceChanges = "application/json"), (InstanceChanges = "application/x-www-form-urlencoded")),
        example = json!({"status": 0})
    ),
    responses(
        (status = 200, description = "As it is now", body = InstanceBody<Ref>, example = json!(example())),
        (status = 400, description = "Refused; nothing has changed", body = Violation),
        (status = 404, description = "Nothing has that name", body = Message),
        (status = 409, body = Violation, description = "The application is connected to the service already"),
    ),
)]
pub async fn update(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    Segments((developer, application, instance)): Segments<(String, String, String)>,
    mut input: Input,
) -> Result<Response, Error> {
    let application = path::application(&app.store, &developer, &application).await?;
    let connection = self::instance(&app.store, &application, &instance).await?;
    if connection.connection.service.is_none() && input.members.get("service").is_some_and(Value::is_null) {
        // Sent back as it was read.
        input.members.remove("service");
    }
    let changes = SCHEMA.update(input, &json!(InstanceBody::<Ref>::from(&connection)))?;
    let changes: InstanceChanges = members::typed(changes)?;
    let service = match changes.service {
        Some(reference) => Some(service_id(&app.store, reference).await?),
        None => None,
    };
    let patch = ConnectionPatch {
        status: changes.status.map(status).transpose()?,
        suspended: changes.suspended,
        service,
        reason: changes.reason,
    };
    let mut writer = app.store.write(&actor).await?;
    let connection = writer.update_connection(application.id, connection.connection.id, patch).await?;
    let revision = writer.commit().await?;
    Ok(reply::written(StatusCode::OK, &InstanceBody::<Ref>::from(&connection), revision))
}

/// Disconnect an application from a service
#[utoipa::path(
    delete, path = "/developers/{developer}/applications/{application}/application_instances/{instance}",
    tag = "application_instances", operation_id = "delete_application_instance",
    params(ApplicationPath, ("instance" = Uuid, Path)),
    responses(
        (status = 204, description = "Deleted"),
        (status = 404, description = "Nothing has that name", body = Message),
        (status = 502, body = Message, description = "The identity provider refused it; nothing has changed"),
    ),
)]
pub async fn delete(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    Segments((developer, application, instance)): Segments<(String, String, String)>,
) -> Result<Response, Error> {
    let application = path::application(&app.store, &developer, &application).await?;
    let id = path::id::<ConnectionId>(&instance)?;
    let target = (application.id, id);
    let deleted = app.clients.delete_connection::<Error>(&actor, target, |_| Ok(())).await?;
    Ok(reply::gone(&deleted))
}

fn example() -> Value {
    example_of(&json!({"id": "ca0d62bd-4616-4b87-b947-43e33e5418f0"}))
}

/// As lists have it.
pub fn example_in_full() -> Value {
    example_of(&applications::example_of(&developers::example()))
}

fn example_of(application: &Value) -> Value {
    json!({
        "application": application,
        "composite_id": "ca0d62bd-4616-4b87-b947-43e33e5418f0_212a758a-810b-4226-9175-b1b44eecebec",
        "created_at": 1_645_570_372, "id": "50193ee0-372a-4694-874c-90ffbc0ae522",
        "service": {"id": "212a758a-810b-4226-9175-b1b44eecebec"}, "status": 1, "suspended": false,
        "updated_at": 1_645_570_372
    })
}
