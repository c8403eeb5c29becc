//! `/developers`: the people whose applications call the services.

use std::collections::BTreeMap;

use app_auth_core::ids::DeveloperId;
use axum::extract::Extension;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::bodies::{JsonText, Message, Ref, Violation};
use super::conventions::problems::Problems;
use super::conventions::query::Page;
use super::conventions::{
    Checked, Error, Field, Input, Kind, Query, Schema, Segments, members, path, reply, texts,
};
use super::parameters::{DeveloperPath, PageArguments};
use crate::api::{App, Seen};
use crate::kong;
use crate::model::{
    self, Developer, DeveloperStatus, Email, Members, NewDeveloper, NewDeveloperCredential, PlainSecret,
    PluginKind, PortalAuth, PortalConfig, PortalId, StatusCode as _, Update, rules,
};
use crate::store::{Actor, StoreError, Writer};

pub const SCHEMA: Schema = Schema {
    fields: &[
        Field::new("id", Kind::Uuid).immutable(),
        Field::new("email", Kind::checked_text(Email::MAX, texts::email)).required(),
        Field::new("status", Kind::Integer { min: 0, max: 3 }).lasting(),
        Field::new("reason", Kind::checked_text(rules::REASON_MAX, texts::line)),
        Field::new("meta", Kind::JsonText { max: rules::META_MAX, check: texts::json_object }).default("{}"),
        Field::new("custom_id", Kind::checked_text(rules::NAME_MAX, texts::line)),
        Field::new("password", Kind::text(PlainSecret::MAX)).lasting(),
        Field::new("key", Kind::checked_text(PlainSecret::MAX, texts::key)).immutable(),
        Field::new(
            "roles",
            Kind::Set { of: &Kind::checked_text(rules::NAME_MAX, texts::line), max: rules::LIST_MAX },
        )
        .lasting(),
        Field::read_only("consumer"),
        Field::read_only("created_at"),
        Field::read_only("updated_at"),
    ],
};

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
    /// Why they have the status, in the words of whoever decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
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
            reason: developer.reason,
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
    /// 0 approved, 1 requested, 2 rejected, 3 revoked. Absent: 0 where the portal approves by itself, else 1.
    #[schema(maximum = 3)]
    status: Option<i64>,
    /// Goes with the status.
    reason: Option<String>,
    /// An object or its JSON text, with what the portal asks of developers; by default `full_name` is required.
    #[schema(value_type = Option<JsonText>, example = json!("{\"full_name\":\"Wally\"}"))]
    meta: Option<String>,
    custom_id: Option<String>,
    /// Never shown again. Required where developers sign in with `basic-auth`.
    password: Option<String>,
    /// Becomes a `key-auth` credential of the developer. Required where developers sign in with `key-auth`.
    key: Option<String>,
    /// Names of roles.
    #[serde(default)]
    roles: Vec<String>,
}

/// Changes to a developer; null unsets.
#[derive(Deserialize, ToSchema)]
pub struct DeveloperChanges {
    email: Option<String>,
    #[schema(maximum = 3)]
    status: Option<i64>,
    /// Goes with the status.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    reason: Update<String>,
    #[serde(default)]
    #[schema(value_type = Option<JsonText>)]
    meta: Update<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    custom_id: Update<String>,
    password: Option<String>,
    /// Names of roles, all of them; empty: none.
    roles: Option<Vec<String>>,
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
pub async fn list(Seen(app): Seen, query: Query) -> Result<Response, Error> {
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
        (status = 200, description = "As it is now",
            headers(("X-Kong-Sync" = String, description = "`applied` or `pending`; absent without a Kong that follows")),
            body = DeveloperBody, example = json!(example())),
        (status = 400, description = "Refused; nothing has changed", body = Violation),
        (status = 409, body = Violation, description = "The e-mail address or custom_id is taken"),
    ),
)]
pub async fn create(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    input: Input,
) -> Result<Response, Error> {
    let planned = plan(&app, input).await?;
    let created = kong::change(&app.store, app.kong.as_ref(), &actor, planned, |writer, planned| {
        Box::pin(planned.write(writer))
    });
    Ok(reply::changed(StatusCode::OK, created.await?, DeveloperBody::from))
}

/// A developer that nothing but the database can refuse any more.
#[derive(Clone)]
pub struct Planned {
    new: NewDeveloper,
    key: Option<PlainSecret>,
}

/// Checks everything that can be checked before the change begins, and hashes the password.
pub async fn plan(app: &App, input: Input) -> Result<Planned, Error> {
    let portal = app.store.portal().await?;
    let own = app.store.portal_by_id(PortalId::DEFAULT).await?;
    let first_status = own.map_or(portal.first_status(), |own| own.portal.first_status(&portal));
    let texts = input.coerce;
    let mut checked = SCHEMA.check_insert(input);
    check_proof(&portal, &mut checked);
    check_meta(&portal, texts, &mut checked);
    check_roles(app, &mut checked).await?;
    let input: DeveloperInput = members::typed(checked.finish()?)?;
    let new = NewDeveloper {
        id: input.id.map(DeveloperId),
        email: email(&input.email)?,
        status: input.status.map_or_else(|| Ok(first_status), status)?,
        meta: input.meta,
        custom_id: input.custom_id,
        password_hash: hashed(app, input.password).await?,
        roles: input.roles,
        portal: PortalId::DEFAULT,
        reason: input.reason,
    };
    Ok(Planned { new, key: input.key.map(PlainSecret::new) })
}

impl Planned {
    pub fn email(&self) -> &Email {
        &self.new.email
    }

    /// Makes the developer and, where a key was given, a `key-auth` credential of theirs.
    pub async fn write(self, writer: &mut Writer) -> Result<Developer, Error> {
        let developer = writer.create_developer(self.new).await?;
        if let Some(key) = self.key {
            let members = Members { secret: [("key".to_owned(), key)].into(), ..Members::default() };
            let new = NewDeveloperCredential::new(PluginKind::KeyAuth, members);
            writer.create_credential_of(&developer, new).await?;
        }
        Ok(developer)
    }
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
pub async fn get(Seen(app): Seen, Segments(developer): Segments<String>) -> Result<Response, Error> {
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
        (status = 200, description = "As it is now",
            headers(("X-Kong-Sync" = String, description = "`applied` or `pending`; absent without a Kong that follows")),
            body = Wrapped,
            example = json!({"developer": example()})),
        (status = 400, description = "Refused; nothing has changed", body = Violation),
        (status = 404, description = "Nothing has that name", body = Message),
        (status = 409, body = Violation, description = "The e-mail address or custom_id is taken"),
    ),
)]
pub async fn update(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    Segments(developer): Segments<String>,
    input: Input,
) -> Result<Response, Error> {
    let developer = path::developer(&app.store, &developer).await?;
    let id = developer.id;
    let meta = developer.meta.clone();
    let texts = input.coerce;
    let mut checked = SCHEMA.check_update(input, &json!(DeveloperBody::from(developer)));
    // What is sent back as it was read is no change, whatever is asked of developers by now.
    if checked.get("meta").and_then(Value::as_str) != meta.as_deref() {
        check_meta(&app.store.portal().await?, texts, &mut checked);
    }
    check_roles(&app, &mut checked).await?;
    let changes: DeveloperChanges = members::typed(checked.finish()?)?;
    let patch = model::DeveloperPatch {
        email: changes.email.as_deref().map(email).transpose()?,
        status: changes.status.map(status).transpose()?,
        meta: changes.meta,
        custom_id: changes.custom_id,
        password_hash: hashed(&app, changes.password).await?,
        roles: changes.roles,
        reason: changes.reason,
    };
    let updated = kong::change(&app.store, app.kong.as_ref(), &actor, patch, move |writer, patch| {
        Box::pin(async move { Ok::<_, Error>(writer.update_developer(id, patch).await?) })
    });
    Ok(reply::changed(StatusCode::OK, updated.await?, |developer| Wrapped { developer: developer.into() }))
}

/// What developers sign in with must be there.
fn check_proof(portal: &PortalConfig, checked: &mut Checked) {
    let member = match portal.auth {
        Some(PortalAuth::BasicAuth) => "password",
        Some(PortalAuth::KeyAuth) => "key",
        Some(PortalAuth::OpenidConnect) | None => return,
    };
    if checked.get(member).is_none() {
        checked.refuse(member, Problems::Here(format!("{member} is required")));
    }
}

/// `meta`, if it is given, must be what the portal asks for. `texts` where all of it came as text.
fn check_meta(portal: &PortalConfig, texts: bool, checked: &mut Checked) {
    let meta = checked.get("meta").and_then(Value::as_str);
    let Some(Ok(meta)) = meta.map(serde_json::from_str::<Map<String, Value>>) else {
        return;
    };
    let problems: BTreeMap<_, _> = portal
        .meta_problems(&meta, texts)
        .into_iter()
        .map(|(title, problem)| (title, Problems::Here(problem.to_owned())))
        .collect();
    if !problems.is_empty() {
        checked.refuse("meta", Problems::Members(problems));
    }
}

/// Every role must exist.
async fn check_roles(app: &App, checked: &mut Checked) -> Result<(), Error> {
    let Some(Value::Array(roles)) = checked.get("roles") else {
        return Ok(());
    };
    let names: Vec<_> = roles.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    match app.store.check_roles(&names).await {
        Err(StoreError::Invalid(invalid)) => checked.refuse("roles", Problems::Here(invalid.reason)),
        found => found?,
    }
    Ok(())
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
    responses((status = 204, description = "There is no such developer any more",
            headers(("X-Kong-Sync" = String, description = "`applied` or `pending`; absent without a Kong that follows")))),
)]
pub async fn delete(
    Seen(app): Seen,
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
