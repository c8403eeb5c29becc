//! `/developers/{developer}/applications/{application}/credentials/oauth2`: OAuth 2 clients of an application. On services
//! with key authentication the `client_id` is an API key.

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
use super::parameters::{ApplicationPath, PageArguments, TagArguments};
use crate::api::Seen;
use crate::model::{
    Application, ClientType, Credential, CredentialKind, CredentialSecret, NewCredential, NewSecret,
    PlainSecret, rules,
};
use crate::store::{Actor, Store};

const KIND: CredentialKind = CredentialKind::OAuth2;

pub const SCHEMA: Schema = Schema {
    fields: &[
        Field::new("id", Kind::Uuid),
        Field::new("name", Kind::checked_text(rules::NAME_MAX, texts::line)),
        Field::new("client_id", Kind::checked_text(PlainSecret::MAX, texts::key)),
        Field::new("client_secret", Kind::checked_text(PlainSecret::MAX, texts::line)),
        Field::new("client_type", Kind::OneOf(&["confidential", "public"]))
            .required()
            .default("\"confidential\""),
        Field::new(
            "redirect_uris",
            Kind::List {
                of: &Kind::checked_text(rules::URI_MAX, texts::redirect_uri),
                min: 0,
                max: rules::LIST_MAX,
            },
        ),
        Field::new("hash_secret", Kind::Boolean).required().default("false"),
        Field::tags(),
        Field::read_only("consumer"),
        Field::read_only("created_at"),
    ],
};

/// An OAuth 2 client of an application.
#[derive(Serialize, ToSchema)]
#[schema(as = OAuth2Credential)]
pub struct OAuth2Body {
    /// Absent where the server shows it only once, when the credential is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    /// The secret, or its hash with `hash_secret`. Absent where the server shows it only once.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<String>,
    /// `confidential` or `public`.
    client_type: &'static str,
    consumer: Ref,
    /// Seconds since the Unix epoch.
    created_at: i64,
    hash_secret: bool,
    id: Uuid,
    /// The end of the `client_id`, where that is not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_four: Option<String>,
    name: String,
    redirect_uris: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
}

impl OAuth2Body {
    /// `None` for a credential of another kind, which the store does not answer here.
    fn new(application: &Application, credential: Credential) -> Option<Self> {
        let CredentialSecret::OAuth2 {
            name,
            client_id,
            client_secret,
            client_type,
            redirect_uris,
            hash_secret,
        } = credential.secret
        else {
            return None;
        };
        let shown = |secret: PlainSecret| secret.expose().to_owned();
        Some(Self {
            last_four: client_id.is_none().then_some(credential.last_four),
            client_id: client_id.map(shown),
            client_secret: client_secret.map(shown),
            client_type: client_type.as_str(),
            consumer: application.consumer.0.into(),
            created_at: credential.created_at.seconds(),
            hash_secret,
            id: credential.id.0,
            name,
            redirect_uris,
            tags: credential.tags,
        })
    }
}

/// An OAuth 2 client to be made; without a body, everything is made up.
#[derive(Deserialize, ToSchema)]
pub struct OAuth2Input {
    /// Absent: a random one.
    id: Option<Uuid>,
    /// Absent: the application's.
    name: Option<String>,
    /// Absent: 32 random characters.
    client_id: Option<String>,
    /// Absent: 32 random characters.
    client_secret: Option<String>,
    /// `confidential` or `public`.
    #[schema(required = false, default = "confidential")]
    client_type: String,
    /// Absent: the application's `redirect_uri`.
    redirect_uris: Option<Vec<String>>,
    /// Keep a hash of the secret only.
    #[serde(default)]
    hash_secret: bool,
    #[serde(default)]
    tags: Vec<String>,
}

/// List an application's OAuth 2 clients
#[utoipa::path(
    get, path = "/developers/{developer}/applications/{application}/credentials/oauth2", tag = "credentials",
    operation_id = "list_oauth2_credentials",
    params(ApplicationPath, PageArguments, TagArguments),
    responses(
        (status = 200, description = "A page of the list", body = Page<OAuth2Body>,
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
    Ok(query.list(credentials, |credential| OAuth2Body::new(&application, credential)))
}

/// Create an OAuth 2 client for an application
#[utoipa::path(
    post, path = "/developers/{developer}/applications/{application}/credentials/oauth2", tag = "credentials",
    operation_id = "create_oauth2_credential",
    params(ApplicationPath),
    request_body(
        content((Option<OAuth2Input> = "application/json"), (Option<OAuth2Input> = "application/x-www-form-urlencoded")),
        example = json!({"client_id": "myclient", "client_secret": "mysecret"})
    ),
    responses(
        (status = 201, description = "As it is now", body = OAuth2Body, example = json!(example())),
        (status = 400, description = "Refused; nothing has changed", body = Violation),
        (status = 404, description = "Nothing has that name", body = Message),
        (status = 409, body = Violation, description = "The client_id is in use"),
    ),
)]
pub async fn create(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    Segments((developer, application)): Segments<(String, String)>,
    input: Input,
) -> Result<Response, Error> {
    let application = path::application(&app.store, &developer, &application).await?;
    let new = new(&app.store, input).await?;
    let mut writer = app.store.write(&actor).await?;
    let credential = writer.create_credential(application.id, new).await?;
    let revision = writer.commit().await?;
    Ok(reply::written(StatusCode::CREATED, &OAuth2Body::new(&application, credential), revision))
}

/// A client to be made, as a request describes it; its secret is hashed already where only the hash is kept.
pub async fn new(store: &Store, input: Input) -> Result<NewCredential, Error> {
    let input: OAuth2Input = members::typed(SCHEMA.insert(input)?)?;
    let secret = NewSecret::OAuth2 {
        name: input.name,
        client_id: input.client_id.map(PlainSecret::new),
        client_secret: input.client_secret.map(PlainSecret::new),
        client_type: ClientType::parse(&input.client_type).unwrap_or_default(),
        redirect_uris: input.redirect_uris,
        hash_secret: input.hash_secret,
        secret_hash: None,
    };
    let secret = store.ready_secret(secret).await?;
    Ok(NewCredential {
        id: input.id.map(CredentialId),
        secret,
        expires_at: None,
        display_name: None,
        tags: input.tags,
    })
}

/// Read an OAuth 2 client of an application
#[utoipa::path(
    get, path = "/developers/{developer}/applications/{application}/credentials/oauth2/{credential}",
    tag = "credentials", operation_id = "get_oauth2_credential",
    params(ApplicationPath, ("credential" = String, Path, description = "Id or client_id")),
    responses(
        (status = 200, description = "As it is now", body = OAuth2Body, example = json!(example())),
        (status = 404, description = "Nothing has that name", body = Message),
    ),
)]
pub async fn get(
    Seen(app): Seen,
    Segments((developer, application, credential)): Segments<(String, String, String)>,
) -> Result<Response, Error> {
    let application = path::application(&app.store, &developer, &application).await?;
    let credential = path::credential(&app.store, &application, KIND, &credential).await?;
    Ok(reply::ok(&OAuth2Body::new(&application, credential)))
}

/// Delete an OAuth 2 client of an application
#[utoipa::path(
    delete, path = "/developers/{developer}/applications/{application}/credentials/oauth2/{credential}",
    tag = "credentials", operation_id = "delete_oauth2_credential",
    params(ApplicationPath, ("credential" = String, Path, description = "Id or client_id")),
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
        "client_id": "t2vTlxxV1ANi9jFq2U1rlR1yp03Mi6uf", "client_secret": "EdKxXDD97LSe45lG5G5f6CBn5G9gXcp4",
        "client_type": "confidential", "consumer": {"id": "d5ea9628-f359-4b96-9f76-61562aaf4300"},
        "created_at": 1_645_569_439, "hash_secret": false, "id": "2dc8ee2a-ecfd-4ca5-a9c1-db371480e2cf",
        "name": "billing", "redirect_uris": ["https://example.com/callback"]
    })
}
