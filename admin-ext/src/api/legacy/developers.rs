//! `/developers`: the people whose applications call the services.

use app_auth_core::ids::DeveloperId;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::bodies::{Message, Ref, Violation};
use super::conventions::problems::Problems;
use super::conventions::query::Page;
use super::conventions::{Error, Field, Input, Kind, Query, Schema, Segments, members, path, reply, texts};
use super::parameters::{DeveloperPath, PageArguments};
use crate::api::App;
use crate::kong;
use crate::model::{
    self, Developer, DeveloperStatus, Email, NewDeveloper, PlainSecret, StatusCode as _, Update, rules,
};
use crate::store::{Actor, StoreError};

pub const SCHEMA: Schema = Schema {
    fields: &[
        Field::new("id", Kind::Uuid).immutable(),
        Field::new("email", Kind::checked_text(Email::MAX, texts::email)).required(),
        Field::new("status", Kind::Integer { min: 0, max: 3 }).required().default("1"),
        Field::new("meta", Kind::JsonText { max: rules::META_MAX, rules: meta_rules }).default("{}"),
        Field::new("custom_id", Kind::checked_text(rules::NAME_MAX, texts::line)),
        Field::new("password", Kind::text(PlainSecret::MAX)).lasting(),
        Field::read_only("consumer"),
        Field::read_only("created_at"),
        Field::read_only("updated_at"),
    ],
};

/// What a developer has to tell about themselves: by default their full name.
fn meta_rules(meta: &Map<String, Value>) -> Result<(), Problems> {
    match meta.get("full_name") {
        None | Some(Value::Null) => Err(Problems::member("full_name", "required field missing")),
        Some(Value::String(name)) if name.is_empty() => {
            Err(Problems::member("full_name", "required field missing"))
        }
        Some(Value::String(_)) => Ok(()),
        Some(_) => Err(Problems::member("full_name", "expected a string")),
    }
}

/// A developer.
#[derive(Serialize, ToSchema)]
#[schema(as = Developer)]
pub struct DeveloperBody {
    consumer: Ref,
    /// Seconds since the Unix epoch.
    created_at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_id: Option<String>,
    email: String,
    id: Uuid,
    /// The JSON text of an object.
    #[serde(skip_serializing_if = "Option::is_none")]
    meta: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    roles: Vec<String>,
    /// 0 approved, 1 requested, 2 rejected, 3 revoked.
    status: u8,
    updated_at: i64,
}

impl From<Developer> for DeveloperBody {
    fn from(developer: Developer) -> Self {
        Self {
            consumer: developer.consumer.0.into(),
            created_at: developer.created_at.seconds(),
            custom_id: developer.custom_id,
            email: developer.email.to_string(),
            id: developer.id.0,
            meta: developer.meta.filter(|meta| meta != "{}"),
            roles: developer.roles,
            status: developer.status.code(),
            updated_at: developer.updated_at.seconds(),
        }
    }
}

/// A developer to be made.
#[derive(Deserialize, ToSchema)]
pub struct DeveloperInput {
    /// Absent: a random one.
    id: Option<Uuid>,
    /// Stored in lower case.
    email: String,
    /// 0 approved, 1 requested, 2 rejected, 3 revoked.
    #[schema(required = false, default = 1, maximum = 3)]
    status: i64,
    /// An object or its JSON text; `full_name` is required.
    #[schema(example = json!("{\"full_name\":\"Wally\"}"))]
    meta: Option<String>,
    custom_id: Option<String>,
    /// Never shown again.
    password: Option<String>,
}

/// Changes to a developer; null unsets.
#[derive(Deserialize, ToSchema)]
pub struct DeveloperChanges {
    email: Option<String>,
    #[schema(maximum = 3)]
    status: Option<i64>,
    #[serde(default, deserialize_with = "members::update")]
    #[schema(value_type = Option<String>)]
    meta: Update<String>,
    #[serde(default, deserialize_with = "members::update")]
    #[schema(value_type = Option<String>)]
    custom_id: Update<String>,
    password: Option<String>,
}

fn email(text: &str) -> Result<Email, Error> {
    Email::parse(text).map_err(|invalid| Error::violation("email", invalid.reason))
}

fn status(code: i64) -> Result<DeveloperStatus, Error> {
    DeveloperStatus::from_code(code)
        .ok_or_else(|| Error::violation("status", "value should be between 0 and 3"))
}

/// List developers
#[utoipa::path(
    get, path = "/developers", tag = "developers", operation_id = "list_developers",
    params(
        ("status" = Option<i64>, Query, description = "Only developers of this status, 0 to 3", example = 1),
        PageArguments,
    ),
    responses(
        (status = 200, description = "A page of the list", body = Page<DeveloperBody>,
            example = json!({"data": [example()], "next": null, "total": 1})),
        (status = 400, description = "Refused; nothing has changed", body = Violation),
    ),
)]
pub async fn list(State(app): State<App>, query: Query) -> Result<Response, Error> {
    let status = query.integer("status", 0, 3)?.and_then(DeveloperStatus::from_code);
    let developers = app.store.developers(status, query.page()?).await?;
    Ok(query.list(developers, DeveloperBody::from))
}

/// Create a developer
#[utoipa::path(
    post, path = "/developers", tag = "developers", operation_id = "create_developer",
    request_body(
        content((DeveloperInput = "application/json"), (DeveloperInput = "application/x-www-form-urlencoded")),
        example = json!({"email": "wally@example.com", "meta": "{\"full_name\":\"Wally\"}", "status": 0})
    ),
    responses(
        (status = 200, description = "As it is now", body = DeveloperBody, example = json!(example())),
        (status = 400, description = "Refused; nothing has changed", body = Violation),
        (status = 409, body = Violation, description = "The e-mail address or custom_id is taken"),
    ),
)]
pub async fn create(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    input: Input,
) -> Result<Response, Error> {
    let input: DeveloperInput = members::typed(SCHEMA.insert(input)?)?;
    let new = NewDeveloper {
        id: input.id.map(DeveloperId),
        email: email(&input.email)?,
        status: status(input.status)?,
        meta: input.meta,
        custom_id: input.custom_id,
        password_hash: hashed(&app, input.password).await?,
        roles: Vec::new(),
    };
    let created = kong::change(&app.store, app.kong.as_ref(), &actor, new, |writer, new| {
        Box::pin(async move { Ok::<_, Error>(writer.create_developer(new).await?) })
    });
    Ok(reply::changed(StatusCode::OK, created.await?, DeveloperBody::from))
}

/// Read a developer
#[utoipa::path(
    get, path = "/developers/{developer}", tag = "developers", operation_id = "get_developer",
    params(DeveloperPath),
    responses(
        (status = 200, description = "As it is now", body = DeveloperBody, example = json!(example())),
        (status = 404, description = "Nothing has that name", body = Message),
    ),
)]
pub async fn get(State(app): State<App>, Segments(developer): Segments<String>) -> Result<Response, Error> {
    let developer = path::developer(&app.store, &developer).await?;
    Ok(reply::ok(&DeveloperBody::from(developer)))
}

/// Change a developer
#[utoipa::path(
    patch, path = "/developers/{developer}", tag = "developers", operation_id = "update_developer",
    params(DeveloperPath),
    request_body(
        content((DeveloperChanges = "application/json"), (DeveloperChanges = "application/x-www-form-urlencoded")),
        example = json!({"status": 0})
    ),
    responses(
        (status = 200, description = "As it is now", body = Wrapped,
            example = json!({"developer": example()})),
        (status = 400, description = "Refused; nothing has changed", body = Violation),
        (status = 404, description = "Nothing has that name", body = Message),
        (status = 409, body = Violation, description = "The e-mail address or custom_id is taken"),
    ),
)]
pub async fn update(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Segments(developer): Segments<String>,
    input: Input,
) -> Result<Response, Error> {
    let developer = path::developer(&app.store, &developer).await?;
    let id = developer.id;
    let changes = SCHEMA.update(input, &json!(DeveloperBody::from(developer)))?;
    let changes: DeveloperChanges = members::typed(changes)?;
    let patch = model::DeveloperPatch {
        email: changes.email.as_deref().map(email).transpose()?,
        status: changes.status.map(status).transpose()?,
        meta: changes.meta,
        custom_id: changes.custom_id,
        password_hash: hashed(&app, changes.password).await?,
        roles: None,
    };
    let updated = kong::change(&app.store, app.kong.as_ref(), &actor, patch, move |writer, patch| {
        Box::pin(async move { Ok::<_, Error>(writer.update_developer(id, patch).await?) })
    });
    Ok(reply::changed(StatusCode::OK, updated.await?, |developer| Wrapped { developer: developer.into() }))
}

async fn hashed(app: &App, password: Option<String>) -> Result<Option<PlainSecret>, Error> {
    match password.map(PlainSecret::new) {
        Some(password) => Ok(Some(app.store.hash(&password).await?)),
        None => Ok(None),
    }
}

/// The answer to a change, the only one that wraps its entity.
#[derive(Serialize, ToSchema)]
pub struct Wrapped {
    developer: DeveloperBody,
}

/// Delete a developer with everything that is theirs
#[utoipa::path(
    delete, path = "/developers/{developer}", tag = "developers", operation_id = "delete_developer",
    params(DeveloperPath),
    responses((status = 204, description = "There is no such developer any more")),
)]
pub async fn delete(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Segments(developer): Segments<String>,
) -> Result<Response, Error> {
    let developer = path::find_developer(&app.store, &developer).await?;
    let deleted = kong::change(&app.store, app.kong.as_ref(), &actor, developer, |writer, developer| {
        Box::pin(async move {
            let Some(developer) = developer else { return Ok(()) };
            match writer.delete_developer(developer.id).await {
                Ok(()) | Err(StoreError::NotFound(_)) => Ok(()),
                Err(error) => Err(Error::from(error)),
            }
        })
    });
    Ok(reply::gone(&deleted.await?))
}

pub fn example() -> Value {
    json!({
        "consumer": {"id": "855fe098-3bb3-4041-8a3d-149a9e5462c6"}, "created_at": 1_644_617_754,
        "email": "wally@example.com", "id": "f94e4fbd-c30b-41d7-b349-13c8f4fc23ca",
        "meta": "{\"full_name\":\"Wally\"}", "status": 0, "updated_at": 1_644_621_148
    })
}
