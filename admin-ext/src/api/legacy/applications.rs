//! `/developers/{developer}/applications`: what a developer registers and what holds credentials and connections.

use app_auth_core::ids::{ApplicationId, StrategyId};
use app_auth_core::record::CredentialRecord;
use axum::extract::Extension;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::bodies::{JsonText, Message, Ref, Violation};
use super::conventions::query::Page;
use super::conventions::{Error, Field, Input, Kind, Query, Schema, Segments, members, path, reply, texts};
use super::parameters::{ApplicationPath, DeveloperPath, PageArguments};
use crate::api::Seen;
use crate::idp::Created;
use crate::model::{Application, ApplicationPatch, NewApplication, Update, rules};
use crate::store::Actor;

pub const SCHEMA: Schema = Schema {
    fields: &[
        Field::new("id", Kind::Uuid).immutable(),
        Field::new("name", Kind::checked_text(rules::NAME_MAX, texts::line)).required(),
        Field::new("redirect_uri", Kind::checked_text(rules::URI_MAX, texts::redirect_uri)).required(),
        Field::new("description", Kind::text(rules::DESCRIPTION_MAX)),
        Field::new("meta", Kind::JsonText { max: rules::META_MAX, check: texts::json_object }),
        Field::new("custom_id", Kind::checked_text(CredentialRecord::CUSTOM_ID_MAX, texts::line)),
        Field::new("auth_strategy_id", Kind::Uuid).immutable(),
        Field::read_only("consumer"),
        Field::read_only("developer"),
        Field::read_only("created_at"),
        Field::read_only("updated_at"),
    ],
};

/// An application. `developer` is its id alone, or all of it where a list has it in full.
#[derive(Serialize, ToSchema)]
pub struct ApplicationBody<D> {
    /// How it proves who it is at versions of API products; absent: by the keys of services that stand by themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_strategy_id: Option<Uuid>,
    /// The application's identity at the gateway.
    consumer: Ref,
    /// Seconds since the Unix epoch.
    created_at: i64,
    /// Of the client that was registered for it; shown this one time.
    #[serde(skip_serializing_if = "Option::is_none")]
    credentials: Option<ClientBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    developer: D,
    id: Uuid,
    /// The JSON text of an object.
    #[serde(skip_serializing_if = "Option::is_none")]
    meta: Option<String>,
    name: String,
    /// Absent where it was made without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect_uri: Option<String>,
    updated_at: i64,
}

/// A client of an identity provider.
#[derive(Serialize, ToSchema)]
#[schema(as = RegisteredClient)]
pub struct ClientBody {
    client_id: String,
    client_secret: String,
}

impl From<Created> for ApplicationBody<Ref> {
    fn from(created: Created) -> Self {
        let client_id = created.application.client_id.clone().unwrap_or_default();
        let credentials = created
            .client_secret
            .map(|secret| ClientBody { client_id, client_secret: secret.expose().to_owned() });
        Self { credentials, ..created.application.into() }
    }
}

impl<D> ApplicationBody<D> {
    /// With this for its developer.
    pub fn new(application: Application, developer: D) -> Self {
        Self {
            auth_strategy_id: application.strategy.map(|strategy| strategy.0),
            consumer: application.consumer.0.into(),
            created_at: application.created_at.seconds(),
            credentials: None,
            custom_id: application.custom_id,
            description: application.description,
            developer,
            id: application.id.0,
            meta: application.meta,
            name: application.name,
            redirect_uri: Some(application.redirect_uri).filter(|uri| !uri.is_empty()),
            updated_at: application.updated_at.seconds(),
        }
    }
}

impl From<Application> for ApplicationBody<Ref> {
    fn from(application: Application) -> Self {
        let developer = application.developer.0.into();
        Self::new(application, developer)
    }
}

/// An application to be made.
#[derive(Deserialize, ToSchema)]
pub struct ApplicationInput {
    /// Absent: a random one.
    id: Option<Uuid>,
    /// Unique among the developer's applications.
    name: String,
    redirect_uri: String,
    description: Option<String>,
    /// An object or its JSON text.
    #[schema(value_type = Option<JsonText>)]
    meta: Option<String>,
    /// The application's own name for itself, unique; the upstream sees it as `X-Consumer-Custom-ID`.
    custom_id: Option<String>,
    /// How it proves who it is at versions of API products. Absent: as the portal has it, or by the keys of services that
    /// stand by themselves.
    auth_strategy_id: Option<Uuid>,
}

/// Changes to an application; null unsets.
#[derive(Deserialize, ToSchema)]
pub struct ApplicationChanges {
    name: Option<String>,
    redirect_uri: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    description: Update<String>,
    #[serde(default)]
    #[schema(value_type = Option<JsonText>)]
    meta: Update<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    custom_id: Update<String>,
}

/// List a developer's applications
#[utoipa::path(
    get, path = "/developers/{developer}/applications", tag = "applications", operation_id = "list_applications",
    params(DeveloperPath, PageArguments),
    responses(
        (status = 200, description = "A page of the list", body = Page<ApplicationBody<Ref>>,
            example = json!({"data": [example()], "next": null, "total": 1})),
        (status = 400, description = "Refused; nothing has changed", body = Violation),
        (status = 404, description = "Nothing has that name", body = Message),
    ),
)]
pub async fn list(
    Seen(app): Seen,
    Segments(developer): Segments<String>,
    query: Query,
) -> Result<Response, Error> {
    let developer = path::developer(&app.store, &developer).await?;
    let applications = app.store.applications(developer.id, query.page()?).await?;
    Ok(query.list(applications, ApplicationBody::from))
}

/// Create an application
#[utoipa::path(
    post, path = "/developers/{developer}/applications", tag = "applications", operation_id = "create_application",
    params(DeveloperPath),
    request_body(
        content((ApplicationInput = "application/json"), (ApplicationInput = "application/x-www-form-urlencoded")),
        example = json!({"name": "billing", "redirect_uri": "https://example.com/callback"})
    ),
    responses(
        (status = 201, description = "As it is now",
            headers(("X-Kong-Sync" = String, description = "`applied` or `pending`; absent without a Kong that follows")),
            body = ApplicationBody<Ref>, example = json!(example())),
        (status = 400, description = "Refused; nothing has changed", body = Violation),
        (status = 404, description = "Nothing has that name", body = Message),
        (status = 409, body = Violation, description = "The name or custom_id is taken"),
        (status = 502, body = Message, description = "The identity provider refused it; nothing has changed"),
    ),
)]
pub async fn create(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    Segments(developer): Segments<String>,
    input: Input,
) -> Result<Response, Error> {
    let developer = path::developer(&app.store, &developer).await?;
    let new = new(input)?;
    let created = app.clients.create_application::<Error>(&actor, developer.id, new, true).await?;
    Ok(reply::changed(StatusCode::CREATED, created, ApplicationBody::from))
}

/// An application to be made, as a request describes it.
pub fn new(input: Input) -> Result<NewApplication, Error> {
    let input: ApplicationInput = members::typed(SCHEMA.insert(input)?)?;
    Ok(NewApplication {
        id: input.id.map(ApplicationId),
        name: input.name,
        redirect_uri: input.redirect_uri,
        description: input.description,
        meta: input.meta,
        custom_id: input.custom_id,
        strategy: input.auth_strategy_id.map(StrategyId),
        ..NewApplication::default()
    })
}

/// Read an application
#[utoipa::path(
    get, path = "/developers/{developer}/applications/{application}", tag = "applications", operation_id = "get_application",
    params(ApplicationPath),
    responses(
        (status = 200, description = "As it is now", body = ApplicationBody<Ref>, example = json!(example())),
        (status = 404, description = "Nothing has that name", body = Message),
    ),
)]
pub async fn get(
    Seen(app): Seen,
    Segments((developer, application)): Segments<(String, String)>,
) -> Result<Response, Error> {
    let application = path::application(&app.store, &developer, &application).await?;
    Ok(reply::ok(&ApplicationBody::from(application)))
}

/// Change an application
#[utoipa::path(
    patch, path = "/developers/{developer}/applications/{application}", tag = "applications", operation_id = "update_application",
    params(ApplicationPath),
    request_body(
        content((ApplicationChanges = "application/json"), (ApplicationChanges = "application/x-www-form-urlencoded")),
        example = json!({"custom_id": "billing"})
    ),
    responses(
        (status = 200, description = "As it is now",
            headers(("X-Kong-Sync" = String, description = "`applied` or `pending`; absent without a Kong that follows")),
            body = ApplicationBody<Ref>, example = json!(example())),
        (status = 400, description = "Refused; nothing has changed", body = Violation),
        (status = 404, description = "Nothing has that name", body = Message),
        (status = 409, body = Violation, description = "The name or custom_id is taken"),
        (status = 502, body = Message, description = "The identity provider refused it; nothing has changed"),
    ),
)]
pub async fn update(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    Segments((developer, application)): Segments<(String, String)>,
    input: Input,
) -> Result<Response, Error> {
    let application = path::application(&app.store, &developer, &application).await?;
    let (developer, id) = (application.developer, application.id);
    let changes = SCHEMA.update(input, &json!(ApplicationBody::from(application)))?;
    let changes: ApplicationChanges = members::typed(changes)?;
    let patch = ApplicationPatch {
        name: changes.name,
        redirect_uri: changes.redirect_uri,
        description: changes.description,
        meta: changes.meta,
        custom_id: changes.custom_id,
        ..ApplicationPatch::default()
    };
    let updated = app.clients.update_application::<Error>(&actor, (developer, id), patch, |_| Ok(())).await?;
    Ok(reply::changed(StatusCode::OK, updated, ApplicationBody::from))
}

/// Delete an application with its credentials and connections
#[utoipa::path(
    delete, path = "/developers/{developer}/applications/{application}", tag = "applications", operation_id = "delete_application",
    params(ApplicationPath),
    responses(
        (status = 204, description = "Deleted",
            headers(("X-Kong-Sync" = String, description = "`applied` or `pending`; absent without a Kong that follows"))),
        (status = 404, description = "Nothing has that name", body = Message),
        (status = 502, body = Message, description = "The identity provider refused it; nothing has changed"),
    ),
)]
pub async fn delete(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    Segments((developer, application)): Segments<(String, String)>,
) -> Result<Response, Error> {
    let application = path::application(&app.store, &developer, &application).await?;
    let target = (application.developer, application.id);
    let deleted = app.clients.delete_application::<Error>(&actor, target, |_| Ok(())).await?;
    Ok(reply::gone(&deleted))
}

fn example() -> Value {
    example_of(&json!({"id": "f94e4fbd-c30b-41d7-b349-13c8f4fc23ca"}))
}

/// With this for its developer.
pub fn example_of(developer: &Value) -> Value {
    json!({
        "consumer": {"id": "d5ea9628-f359-4b96-9f76-61562aaf4300"}, "created_at": 1_644_965_555, "custom_id": "billing",
        "developer": developer, "id": "ca0d62bd-4616-4b87-b947-43e33e5418f0", "name": "billing",
        "redirect_uri": "https://example.com/callback", "updated_at": 1_644_965_555
    })
}
