//! `/developers/{developer}/credentials/{plugin}`: what developers themselves prove who they are with, one family of
//! credentials for each authentication plugin.

pub mod families;

use app_auth_core::ids::CredentialId;
use axum::extract::Extension;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use self::families::FamilyBody;
use super::bodies::{Message, Ref, Violation};
use super::conventions::query::Page;
use super::conventions::{Error, Input, Query, Segments, members, path, reply};
use super::expiry;
use super::parameters::{FamilyPath, PageArguments, TagArguments};
use crate::api::{App, Seen};
use crate::model::{
    Developer, DeveloperCredential, DeveloperCredentialPatch, Members, NewDeveloperCredential, PlainSecret,
    PluginKind, Timestamp, Update,
};
use crate::store::Actor;

/// A credential of a developer; beside the members here it has those of its plugin.
#[derive(Serialize, ToSchema)]
#[schema(as = DeveloperCredential)]
pub struct CredentialBody {
    consumer: Ref,
    /// Seconds since the Unix epoch.
    created_at: i64,
    /// When the credential ceases to hold, in seconds since the Unix epoch; absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
    id: Uuid,
    /// The end of the key or client id, where that is not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_four: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    /// Seconds left until `expires_at`.
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<i64>,
    #[serde(flatten)]
    members: FamilyBody,
}

impl CredentialBody {
    /// `None` for what no schema lets in.
    fn new(developer: &Developer, credential: DeveloperCredential, now: Timestamp) -> Option<Self> {
        let members = FamilyBody::new(&credential)?;
        let hidden = credential.members.text(credential.kind.identifier()).is_none();
        Some(Self {
            consumer: developer.consumer.0.into(),
            created_at: credential.created_at.seconds(),
            expires_at: credential.expires_at.map(Timestamp::seconds),
            id: credential.id.0,
            members,
            last_four: hidden.then_some(credential.last_four),
            tags: credential.tags,
            ttl: credential.expires_at.map(|at| expiry::left(now, at)),
        })
    }
}

/// A credential to be made, with the members of its plugin; what is left out is made up where the plugin does so.
#[derive(Deserialize, ToSchema)]
pub struct CredentialInput {
    /// Absent: a random one.
    id: Option<Uuid>,
    /// Seconds until the credential ceases to hold; absent or 0: it holds until it is deleted.
    #[schema(maximum = 100_000_000)]
    ttl: Option<i64>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(flatten)]
    #[schema(value_type = Object)]
    members: Map<String, Value>,
}

/// Changes to a credential; null unsets.
#[derive(Deserialize, ToSchema)]
pub struct CredentialChanges {
    /// Seconds from now until the credential ceases to hold; null or 0: it holds until it is deleted.
    #[serde(default)]
    #[schema(value_type = Option<i64>, maximum = 100_000_000)]
    ttl: Update<i64>,
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    tags: Update<Vec<String>>,
    #[serde(flatten)]
    #[schema(value_type = Object)]
    members: Map<String, Value>,
}

fn family(segment: &str) -> Result<PluginKind, Error> {
    PluginKind::parse(segment).ok_or(Error::NotFound)
}

/// A credential of a developer, by id or by what identifies it: its key, client id or user name.
async fn find(
    app: &App,
    developer: &Developer,
    kind: PluginKind,
    segment: &str,
) -> Result<DeveloperCredential, Error> {
    let by_id = match segment.parse::<CredentialId>() {
        Ok(id) => app.store.developer_credential(developer.id, kind, id).await?,
        Err(_) => None,
    };
    let found = match by_id {
        // A key may look like an id.
        None => {
            let identifier = PlainSecret::new(segment);
            app.store.developer_credential_by_identifier(developer.id, kind, &identifier).await?
        }
        found => found,
    };
    found.ok_or(Error::NotFound)
}

/// List a developer's credentials for a plugin
#[utoipa::path(
    get, path = "/developers/{developer}/credentials/{plugin}", tag = "developer_credentials",
    operation_id = "list_developer_credentials",
    params(FamilyPath, PageArguments, TagArguments),
    responses(
        (status = 200, description = "A page of the list", body = Page<CredentialBody>,
            example = json!({"data": [example()], "next": null, "total": 1})),
        (status = 400, description = "Refused; nothing has changed", body = Violation),
        (status = 404, description = "Nothing has that name", body = Message),
    ),
)]
pub async fn list(
    Seen(app): Seen,
    Segments((developer, plugin)): Segments<(String, String)>,
    query: Query,
) -> Result<Response, Error> {
    let kind = family(&plugin)?;
    let developer = path::developer(&app.store, &developer).await?;
    let credentials = app.store.developer_credentials(developer.id, kind, query.page()?).await?;
    let now = app.store.now();
    Ok(query.list(credentials, |credential| CredentialBody::new(&developer, credential, now)))
}

/// Create a credential of a developer
#[utoipa::path(
    post, path = "/developers/{developer}/credentials/{plugin}", tag = "developer_credentials",
    operation_id = "create_developer_credential",
    params(FamilyPath),
    request_body(
        content(
            (Option<CredentialInput> = "application/json"),
            (Option<CredentialInput> = "application/x-www-form-urlencoded")
        ),
        example = json!({"ttl": 86400})
    ),
    responses(
        (status = 201, description = "As it is now", body = CredentialBody, example = json!(example())),
        (status = 400, description = "Refused; nothing has changed", body = Violation),
        (status = 404, description = "Nothing has that name", body = Message),
        (status = 409, body = Violation, description = "The key, client id or user name is in use"),
    ),
)]
pub async fn create(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    Segments((developer, plugin)): Segments<(String, String)>,
    input: Input,
) -> Result<Response, Error> {
    let kind = family(&plugin)?;
    let developer = path::developer(&app.store, &developer).await?;
    let input: CredentialInput = members::typed(families::schema(kind).insert(input)?)?;
    families::check(kind, &input.members)?;
    let new = NewDeveloperCredential {
        id: input.id.map(CredentialId),
        kind,
        members: Members::new(kind, input.members),
        expires_at: input.ttl.and_then(|ttl| expiry::after(app.store.now(), ttl)),
        tags: input.tags,
    };
    let ready = app.store.ready_developer_credential(&developer, new).await?;
    let mut writer = app.store.write(&actor).await?;
    let credential = writer.create_developer_credential(ready).await?;
    let revision = writer.commit().await?;
    let body = CredentialBody::new(&developer, credential, app.store.now());
    Ok(reply::written(StatusCode::CREATED, &body, revision))
}

/// Read a credential of a developer
#[utoipa::path(
    get, path = "/developers/{developer}/credentials/{plugin}/{credential}", tag = "developer_credentials",
    operation_id = "get_developer_credential",
    params(FamilyPath, ("credential" = String, Path, description = "Id, key, client id or user name")),
    responses(
        (status = 200, description = "As it is now", body = CredentialBody, example = json!(example())),
        (status = 404, description = "Nothing has that name", body = Message),
    ),
)]
pub async fn get(
    Seen(app): Seen,
    Segments((developer, plugin, credential)): Segments<(String, String, String)>,
) -> Result<Response, Error> {
    let kind = family(&plugin)?;
    let developer = path::developer(&app.store, &developer).await?;
    let credential = find(&app, &developer, kind, &credential).await?;
    Ok(reply::ok(&CredentialBody::new(&developer, credential, app.store.now())))
}

/// Change a credential of a developer
#[utoipa::path(
    patch, path = "/developers/{developer}/credentials/{plugin}/{credential}", tag = "developer_credentials",
    operation_id = "update_developer_credential",
    params(FamilyPath, ("credential" = String, Path, description = "Id, key, client id or user name")),
    request_body(
        content((CredentialChanges = "application/json"), (CredentialChanges = "application/x-www-form-urlencoded")),
        example = json!({"key": "apikey"})
    ),
    responses(
        (status = 200, description = "As it is now", body = CredentialBody, example = json!(example())),
        (status = 400, description = "Refused; nothing has changed", body = Violation),
        (status = 404, description = "Nothing has that name", body = Message),
        (status = 409, body = Violation, description = "The key, client id or user name is in use"),
    ),
)]
pub async fn update(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    Segments((developer, plugin, credential)): Segments<(String, String, String)>,
    input: Input,
) -> Result<Response, Error> {
    let kind = family(&plugin)?;
    let developer = path::developer(&app.store, &developer).await?;
    let credential = find(&app, &developer, kind, &credential).await?;
    let id = credential.id;
    let current = json!(CredentialBody::new(&developer, credential, app.store.now()));
    let changes: CredentialChanges = members::typed(families::schema(kind).update(input, &current)?)?;
    let mut writer = app.store.write(&actor).await?;
    let patch = DeveloperCredentialPatch {
        members: changes.members,
        expires_at: expiry::update(writer.now(), &changes.ttl),
        tags: changes.tags.or_empty(),
    };
    let credential = writer.update_developer_credential(&developer, kind, id, patch).await?;
    // Of what it will be, where nobody else can change it any more.
    families::check(kind, &credential.members.exposed())?;
    let revision = writer.commit().await?;
    let body = CredentialBody::new(&developer, credential, app.store.now());
    Ok(reply::written(StatusCode::OK, &body, revision))
}

/// Delete a credential of a developer
#[utoipa::path(
    delete, path = "/developers/{developer}/credentials/{plugin}/{credential}", tag = "developer_credentials",
    operation_id = "delete_developer_credential",
    params(FamilyPath, ("credential" = String, Path, description = "Id, key, client id or user name")),
    responses(
        (status = 204, description = "Deleted"),
        (status = 404, description = "Nothing has that name", body = Message),
    ),
)]
pub async fn delete(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    Segments((developer, plugin, credential)): Segments<(String, String, String)>,
) -> Result<Response, Error> {
    let kind = family(&plugin)?;
    let developer = path::developer(&app.store, &developer).await?;
    let credential = find(&app, &developer, kind, &credential).await?;
    let mut writer = app.store.write(&actor).await?;
    writer.delete_developer_credential(developer.id, kind, credential.id).await?;
    Ok(reply::deleted(writer.commit().await?))
}

fn example() -> Value {
    json!({
        "consumer": {"id": "bc504999-b3e5-4b08-8544-86962c969335"}, "created_at": 1_645_567_499,
        "id": "1b0ba8f4-dd9f-4f68-8108-c81952e05b8e", "key": "wpJqvsTFRjgQstL16pQTYKtlHfkzdJpb"
    })
}
