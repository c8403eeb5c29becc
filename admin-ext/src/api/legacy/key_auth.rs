//! `/developers/{developer}/applications/{application}/credentials/key-auth`: API keys of an application. Several may live
//! at once, each with an expiry of its own, so that keys can be rotated with an overlap.

use app_auth_core::ids::CredentialId;
use axum::extract::Extension;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::bodies::{Message, Ref, Violation};
use super::conventions::query::Page;
use super::conventions::{Error, Field, Input, Kind, Query, Schema, Segments, members, path, reply, texts};
use super::expiry;
use super::parameters::{ApplicationPath, PageArguments, TagArguments};
use crate::api::Seen;
use crate::model::{
    Application, Credential, CredentialKind, CredentialPatch, CredentialSecret, NewCredential, NewSecret,
    PlainSecret, Timestamp, Update,
};
use crate::store::Actor;

const KIND: CredentialKind = CredentialKind::KeyAuth;

pub const SCHEMA: Schema = Schema {
    fields: &[
        Field::new("id", Kind::Uuid).immutable(),
        Field::new("key", Kind::checked_text(PlainSecret::MAX, texts::key)).lasting(),
        Field::new("ttl", Kind::Integer { min: 0, max: expiry::TTL_MAX }),
        Field::tags(),
        Field::read_only("consumer"),
        Field::read_only("created_at"),
        Field::read_only("expires_at"),
    ],
};

/// An API key of an application.
#[derive(Serialize, ToSchema)]
#[schema(as = KeyAuthCredential)]
pub struct KeyAuthBody {
    consumer: Ref,
    /// Seconds since the Unix epoch.
    created_at: i64,
    /// When the key ceases to hold, in seconds since the Unix epoch; absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
    id: Uuid,
    /// Absent where the server shows it only once, when it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// The end of the key, where that is not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_four: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    /// Seconds left until `expires_at`.
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<i64>,
}

impl KeyAuthBody {
    /// `None` for a credential of another kind, which the store does not answer here.
    fn new(application: &Application, credential: Credential, now: Timestamp) -> Option<Self> {
        let CredentialSecret::KeyAuth { key } = credential.secret else {
            return None;
        };
        Some(Self {
            consumer: application.consumer.0.into(),
            created_at: credential.created_at.seconds(),
            expires_at: credential.expires_at.map(Timestamp::seconds),
            id: credential.id.0,
            last_four: key.is_none().then_some(credential.last_four),
            key: key.map(|key| key.expose().to_owned()),
            tags: credential.tags,
            ttl: credential.expires_at.map(|at| expiry::left(now, at)),
        })
    }
}

/// An API key to be made; without a body, everything is made up.
#[derive(Deserialize, ToSchema)]
pub struct KeyAuthInput {
    /// Absent: a random one.
    id: Option<Uuid>,
    /// Absent: 32 random characters.
    key: Option<String>,
    /// Seconds until the key ceases to hold; absent or 0: it holds until it is deleted.
    #[schema(maximum = 100_000_000)]
    ttl: Option<i64>,
    #[serde(default)]
    tags: Vec<String>,
}

/// Changes to an API key; null unsets.
#[derive(Deserialize, ToSchema)]
pub struct KeyAuthChanges {
    key: Option<String>,
    /// Seconds from now until the key ceases to hold; null or 0: it holds until it is deleted.
    #[serde(default)]
    #[schema(value_type = Option<i64>, maximum = 100_000_000)]
    ttl: Update<i64>,
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    tags: Update<Vec<String>>,
}

/// List an application's API keys
#[utoipa::path(
    get, path = "/developers/{developer}/applications/{application}/credentials/key-auth", tag = "credentials",
    operation_id = "list_key_auth_credentials",
    params(ApplicationPath, PageArguments, TagArguments),
    responses(
        (status = 200, description = "A page of the list", body = Page<KeyAuthBody>,
            example = json!({"data": [example()], "next": null, "total": 1})),
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
    let credentials = app.store.credentials(application.id, KIND, query.page()?).await?;
    let now = app.store.now();
    Ok(query.list(credentials, |credential| KeyAuthBody::new(&application, credential, now)))
}

/// Create an API key for an application
#[utoipa::path(
    post, path = "/developers/{developer}/applications/{application}/credentials/key-auth", tag = "credentials",
    operation_id = "create_key_auth_credential",
    params(ApplicationPath),
    request_body(
        content((Option<KeyAuthInput> = "application/json"), (Option<KeyAuthInput> = "application/x-www-form-urlencoded")),
        example = json!({"ttl": 86400})
    ),
    responses(
        (status = 201, description = "As it is now", body = KeyAuthBody, example = json!(example())),
        (status = 400, description = "Refused; nothing has changed", body = Violation),
        (status = 404, description = "Nothing has that name", body = Message),
        (status = 409, body = Violation, description = "The key is in use"),
    ),
)]
pub async fn create(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    Segments((developer, application)): Segments<(String, String)>,
    input: Input,
) -> Result<Response, Error> {
    let application = path::application(&app.store, &developer, &application).await?;
    let input = self::input(input)?;
    let mut writer = app.store.write(&actor).await?;
    let new = input.new_credential(writer.now());
    let credential = writer.create_credential(application.id, new).await?;
    let revision = writer.commit().await?;
    let body = KeyAuthBody::new(&application, credential, app.store.now());
    Ok(reply::written(StatusCode::CREATED, &body, revision))
}

/// An API key to be made, as a request describes it.
pub fn input(input: Input) -> Result<KeyAuthInput, Error> {
    members::typed(SCHEMA.insert(input)?)
}

impl KeyAuthInput {
    /// The key to be made, its life counted from now.
    pub fn new_credential(self, now: Timestamp) -> NewCredential {
        NewCredential {
            id: self.id.map(CredentialId),
            secret: NewSecret::KeyAuth { key: self.key.map(PlainSecret::new) },
            expires_at: self.ttl.and_then(|ttl| expiry::after(now, ttl)),
            display_name: None,
            tags: self.tags,
        }
    }
}

/// Read an API key of an application
#[utoipa::path(
    get, path = "/developers/{developer}/applications/{application}/credentials/key-auth/{credential}",
    tag = "credentials", operation_id = "get_key_auth_credential",
    params(ApplicationPath, ("credential" = String, Path, description = "Id or key")),
    responses(
        (status = 200, description = "As it is now", body = KeyAuthBody, example = json!(example())),
        (status = 404, description = "Nothing has that name", body = Message),
    ),
)]
pub async fn get(
    Seen(app): Seen,
    Segments((developer, application, credential)): Segments<(String, String, String)>,
) -> Result<Response, Error> {
    let application = path::application(&app.store, &developer, &application).await?;
    let credential = path::credential(&app.store, &application, KIND, &credential).await?;
    Ok(reply::ok(&KeyAuthBody::new(&application, credential, app.store.now())))
}

/// Change an API key or its expiry
#[utoipa::path(
    patch, path = "/developers/{developer}/applications/{application}/credentials/key-auth/{credential}",
    tag = "credentials", operation_id = "update_key_auth_credential",
    params(ApplicationPath, ("credential" = String, Path, description = "Id or key")),
    request_body(
        content((KeyAuthChanges = "application/json"), (KeyAuthChanges = "application/x-www-form-urlencoded")),
        example = json!({"ttl": 3600})
    ),
    responses(
        (status = 200, description = "As it is now", body = KeyAuthBody, example = json!(example())),
        (status = 400, description = "Refused; nothing has changed", body = Violation),
        (status = 404, description = "Nothing has that name", body = Message),
        (status = 409, body = Violation, description = "The key is in use"),
    ),
)]
pub async fn update(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    Segments((developer, application, credential)): Segments<(String, String, String)>,
    input: Input,
) -> Result<Response, Error> {
    let application = path::application(&app.store, &developer, &application).await?;
    let credential = path::credential(&app.store, &application, KIND, &credential).await?;
    let id = credential.id;
    let current = KeyAuthBody::new(&application, credential, app.store.now());
    let changes: KeyAuthChanges = members::typed(SCHEMA.update(input, &json!(current))?)?;
    let mut writer = app.store.write(&actor).await?;
    let patch = CredentialPatch {
        key: changes.key.map(PlainSecret::new),
        expires_at: expiry::update(writer.now(), &changes.ttl),
        display_name: Update::Keep,
        tags: changes.tags.or_empty(),
    };
    let credential = writer.update_credential(application.id, id, patch).await?;
    let revision = writer.commit().await?;
    let body = KeyAuthBody::new(&application, credential, app.store.now());
    Ok(reply::written(StatusCode::OK, &body, revision))
}

/// Delete an API key of an application
#[utoipa::path(
    delete, path = "/developers/{developer}/applications/{application}/credentials/key-auth/{credential}",
    tag = "credentials", operation_id = "delete_key_auth_credential",
    params(ApplicationPath, ("credential" = String, Path, description = "Id or key")),
    responses(
        (status = 204, description = "Deleted"),
        (status = 404, description = "Nothing has that name", body = Message),
    ),
)]
pub async fn delete(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    Segments((developer, application, credential)): Segments<(String, String, String)>,
) -> Result<Response, Error> {
    let application = path::application(&app.store, &developer, &application).await?;
    let credential = path::credential(&app.store, &application, KIND, &credential).await?;
    let mut writer = app.store.write(&actor).await?;
    writer.delete_credential(application.id, KIND, credential.id).await?;
    Ok(reply::deleted(writer.commit().await?))
}

fn example() -> Value {
    json!({
        "consumer": {"id": "d5ea9628-f359-4b96-9f76-61562aaf4300"}, "created_at": 1_645_567_499,
        "expires_at": 1_645_653_899, "id": "1b0ba8f4-dd9f-4f68-8108-c81952e05b8e",
        "key": "wpJqvsTFRjgQstL16pQTYKtlHfkzdJpb", "ttl": 86400
    })
}
