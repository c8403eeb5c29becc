//! `/v2/portals/{portalId}/applications/{applicationId}/credentials`: the API keys of an application, or the client that
//! its identity provider has for it. Secrets are shown once.

use app_auth_core::ids::CredentialId;
use axum::Json;
use axum::extract::Extension;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use super::applications::{self, ClientBody};
use super::conventions::{
    Collection, Filters, Ids, Input, Member, Object, PageBody, Parameter, Problem, Query, Rule, arguments,
    bodies, reply,
};
use crate::api::Seen;
use crate::model::{
    Application, ApplicationDetail, Collected, CollectionRequest, Credential, CredentialSecret,
    NewCredential, NewSecret, PlainSecret, StrategyType, Timestamp, rules,
};
use crate::store::Actor;

const NAME: Rule = Rule::Text { min: 1, max: 255 };
const KEY: Rule = Rule::Text { min: 1, max: PlainSecret::MAX as u64 };

const CREATE: Object = Object::closed(&[
    Member::new("display_name", NAME, "What people call it"),
    Member::new("key", KEY, "The key itself; absent: a random one").secret(),
    Member::new("expires_at", Rule::Time, "Absent: as the application's strategy has it, or never"),
]);

const UPDATE: Object = Object::closed(&[Member::new("display_name", NAME, "What people call it").required()]);

const LIST: Collection = Collection::new(&["created_at", "display_name"], Filters::Deep, &[]);

/// A key to be made.
#[derive(Deserialize)]
pub struct PortalCredentialInput {
    display_name: Option<String>,
    key: Option<String>,
    expires_at: Option<String>,
}

/// Another name for a credential.
#[derive(Deserialize)]
pub struct PortalCredentialChanges {
    display_name: String,
}

bodies!(PortalCredentialInput: CREATE, PortalCredentialChanges: UPDATE);
arguments!(
    /// The arguments of the list.
    CredentialArguments: LIST
);

/// What proves which application it is.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum PortalCredentialBody {
    Key(ApiKeyBody),
    Client(ClientSecretBody),
}

/// A key that the gateway knows.
#[derive(Serialize, ToSchema)]
pub struct ApiKeyBody {
    #[schema(pattern = "^api_key$")]
    r#type: &'static str,
    id: Uuid,
    /// Empty where it has none.
    display_name: String,
    /// The key; in the answer to its creation only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    credential: Option<String>,
    #[schema(pattern = "^(active|expired)$")]
    status: &'static str,
    expires_at: Option<String>,
    created_at: String,
}

/// A client that an identity provider knows; it keeps the secret, too.
#[derive(Serialize, ToSchema)]
pub struct ClientSecretBody {
    #[schema(pattern = "^client_secret$")]
    r#type: &'static str,
    /// The client id.
    id: String,
    display_name: Option<String>,
    client_id: String,
    expires_at: Option<String>,
    created_at: Option<String>,
}

impl PortalCredentialBody {
    /// Without the key.
    fn key(credential: Credential, now: Timestamp) -> Self {
        let name = match credential.secret {
            CredentialSecret::OAuth2 { name, .. } => Some(name),
            CredentialSecret::KeyAuth { .. } => None,
        };
        let expired = credential.expires_at.is_some_and(|end| end <= now);
        Self::Key(ApiKeyBody {
            r#type: "api_key",
            id: credential.id.0,
            display_name: credential.display_name.or(name).unwrap_or_default(),
            credential: None,
            status: if expired { "expired" } else { "active" },
            expires_at: credential.expires_at.map(reply::time),
            created_at: reply::time(credential.created_at),
        })
    }

    fn client(client_id: String, application: &Application) -> Self {
        Self::Client(ClientSecretBody {
            r#type: "client_secret",
            id: client_id.clone(),
            display_name: None,
            client_id,
            expires_at: None,
            created_at: Some(reply::time(application.created_at)),
        })
    }
}

/// Whether keys prove which application it is.
fn knows_keys(detail: &ApplicationDetail) -> bool {
    detail.strategy.as_ref().is_none_or(|it| it.strategy.strategy_type == StrategyType::KeyAuth)
}

fn refuse_clients(detail: &ApplicationDetail) -> Result<(), Problem> {
    if knows_keys(detail) {
        return Ok(());
    }
    Err(Problem::conflict("the credentials of the application are kept by its identity provider"))
}

fn check(body: &Map<String, Value>, wrong: &mut Vec<Parameter>) {
    if let Some(key) = body.get("key").and_then(Value::as_str).filter(|key| !key.is_empty())
        && let Err(invalid) = rules::key("key", &PlainSecret::new(key))
    {
        wrong.push(Parameter::body("key", "invalid", invalid.reason));
    }
}

/// List the credentials of an application
///
/// Without secrets. Every key counts, also those that the application got through `/developers`.
#[utoipa::path(
    get, path = "/portals/{portalId}/applications/{applicationId}/credentials", tag = "portal applications",
    operation_id = "list_portal_application_credentials",
    params(("portalId" = Uuid, Path), ("applicationId" = Uuid, Path), CredentialArguments),
    responses((status = 200, description = "A page of the list", body = PageBody<PortalCredentialBody>)),
)]
pub async fn list(Seen(app): Seen, ids: Ids<2>, query: Query) -> Result<Response, Problem> {
    let [portal, application] = ids.0;
    let request = LIST.read(&query)?;
    let detail = applications::named(&app.store, portal, application).await?;
    if !knows_keys(&detail) {
        return Ok(reply::ok(&PageBody::new(&request, clients(&detail.application, &request), |it| it)));
    }
    let now = app.store.now();
    let credentials = app.store.credentials_of(detail.application.id, &request).await?;
    Ok(reply::ok(&PageBody::new(&request, credentials, |it| PortalCredentialBody::key(it, now))))
}

/// The client of an application, if it has one.
fn clients(application: &Application, request: &CollectionRequest) -> Collected<PortalCredentialBody> {
    let client = application.client_id.clone();
    let total = u64::from(client.is_some());
    let client = client.filter(|_| request.number == 1);
    let items = client.map(|client| PortalCredentialBody::client(client, application));
    Collected { items: items.into_iter().collect(), total }
}

/// Create a key of an application
///
/// The answer shows the key, this one time.
#[utoipa::path(
    post, path = "/portals/{portalId}/applications/{applicationId}/credentials", tag = "portal applications",
    operation_id = "create_portal_application_credential",
    params(("portalId" = Uuid, Path), ("applicationId" = Uuid, Path)),
    request_body(content = PortalCredentialInput, example = json!({"display_name": "production"})),
    responses(
        (status = 201, description = "As it is now", body = PortalCredentialBody),
        (status = 403, description = "Not allowed, or the application has as many as it may have"),
        (status = 409, description = "The key is taken, or the application proves who it is without keys"),
    ),
)]
pub async fn create(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    ids: Ids<2>,
    input: Input,
) -> Result<Response, Problem> {
    let [portal, application] = ids.0;
    let input: PortalCredentialInput = input.read(&CREATE, check)?;
    let now = app.store.now();
    let expires_at = input.expires_at.as_deref().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let expires_at = expires_at.map(|time| Timestamp(time.as_millisecond()));
    if expires_at.is_some_and(|end| end <= now) {
        let reason = "\"expires_at\" must lie in the future";
        return Err(Problem::parameter(Parameter::body("expires_at", "invalid", reason)));
    }
    let detail = applications::named(&app.store, portal, application).await?;
    refuse_clients(&detail)?;
    let new = NewCredential {
        display_name: input.display_name,
        expires_at,
        ..NewCredential::new(NewSecret::KeyAuth { key: input.key.map(PlainSecret::new) })
    };
    let mut writer = app.store.write(&actor).await?;
    let made = writer.create_credential(detail.application.id, new).await?;
    let revision = writer.commit().await?;
    let key = match &made.secret {
        CredentialSecret::KeyAuth { key } => key.as_ref().map(|key| key.expose().to_owned()),
        CredentialSecret::OAuth2 { .. } => None,
    };
    let mut body = PortalCredentialBody::key(made, now);
    if let PortalCredentialBody::Key(body) = &mut body {
        body.credential = key;
    }
    let answer = (StatusCode::CREATED, Json(body)).into_response();
    Ok(reply::secret(reply::at(answer, revision)))
}

/// Call a credential something else
#[utoipa::path(
    put, path = "/portals/{portalId}/applications/{applicationId}/credentials/{credentialId}",
    tag = "portal applications", operation_id = "replace_portal_application_credential",
    params(("portalId" = Uuid, Path), ("applicationId" = Uuid, Path), ("credentialId" = Uuid, Path)),
    request_body(content = PortalCredentialChanges, example = json!({"display_name": "staging"})),
    responses((status = 200, description = "Done")),
)]
pub async fn replace(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    ids: Ids<3>,
    input: Input,
) -> Result<Response, Problem> {
    let [portal, application, id] = ids.0;
    let changes: PortalCredentialChanges = input.read(&UPDATE, |_, _| {})?;
    let detail = applications::named(&app.store, portal, application).await?;
    let mut writer = app.store.write(&actor).await?;
    let before = writer.credential_of(detail.application.id, CredentialId(id)).await?;
    writer.rename_credential(&before, changes.display_name).await?;
    Ok(reply::at(StatusCode::OK.into_response(), writer.commit().await?))
}

/// Delete a key of an application
#[utoipa::path(
    delete, path = "/portals/{portalId}/applications/{applicationId}/credentials/{credentialId}",
    tag = "portal applications", operation_id = "delete_portal_application_credential",
    params(("portalId" = Uuid, Path), ("applicationId" = Uuid, Path), ("credentialId" = Uuid, Path)),
    responses((status = 204, description = "Deleted")),
)]
pub async fn delete(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    ids: Ids<3>,
) -> Result<Response, Problem> {
    let [portal, application, id] = ids.0;
    let detail = applications::named(&app.store, portal, application).await?;
    let mut writer = app.store.write(&actor).await?;
    let before = writer.credential_of(detail.application.id, CredentialId(id)).await?;
    writer.delete_credential(before.application, before.kind(), before.id).await?;
    Ok(reply::done(writer.commit().await?))
}

/// Give the client of an application a new secret
///
/// The answer shows it, this one time; the old one no longer counts.
#[utoipa::path(
    post, path = "/portals/{portalId}/applications/{applicationId}/refresh-token", tag = "portal applications",
    operation_id = "refresh_portal_application_token",
    params(("portalId" = Uuid, Path), ("applicationId" = Uuid, Path)),
    responses(
        (status = 201, description = "The client as it is now", body = ClientBody),
        (status = 409, description = "The application has no client that could have a new secret"),
        (status = 502, description = "The identity provider refused it; nothing has changed"),
    ),
)]
pub async fn refresh(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    ids: Ids<2>,
) -> Result<Response, Problem> {
    let [portal, application] = ids.0;
    let detail = applications::named(&app.store, portal, application).await?;
    let refreshed = app.clients.refresh_secret::<Problem>(&actor, &detail.application).await?;
    let body = ClientBody {
        client_id: refreshed.client_id,
        client_secret: refreshed.client_secret.expose().to_owned(),
    };
    Ok(reply::secret((StatusCode::CREATED, Json(body)).into_response()))
}
