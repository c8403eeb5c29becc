//! `/developers/roles`: names that group developers.

use axum::extract::Extension;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::bodies::{Message, Violation};
use super::conventions::query::Page;
use super::conventions::{Error, Field, Input, Kind, Query, Schema, Segments, members, path, reply, texts};
use super::parameters::{PageArguments, RolePath};
use crate::api::Seen;
use crate::model::{NewRole, Role, RolePatch, Update, rules};
use crate::store::{Actor, StoreError};

pub const SCHEMA: Schema = Schema {
    fields: &[
        Field::new("id", Kind::Uuid).immutable(),
        Field::new("name", Kind::checked_text(rules::NAME_MAX, texts::role_name)).required(),
        Field::new("comment", Kind::text(rules::DESCRIPTION_MAX)),
        Field::read_only("created_at"),
        Field::read_only("permissions"),
    ],
};

/// A role, as a list has it.
#[derive(Serialize, ToSchema)]
#[schema(as = Role)]
pub struct RoleBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    /// Seconds since the Unix epoch.
    created_at: i64,
    id: Uuid,
    name: String,
}

impl From<Role> for RoleBody {
    fn from(role: Role) -> Self {
        Self { comment: role.comment, created_at: role.created_at.seconds(), id: role.id, name: role.name }
    }
}

/// A role.
#[derive(Serialize, ToSchema)]
pub struct RoleInFull {
    #[serde(flatten)]
    role: RoleBody,
    /// Always empty: roles restrict nothing by themselves.
    permissions: Map<String, Value>,
}

impl From<Role> for RoleInFull {
    fn from(role: Role) -> Self {
        Self { role: role.into(), permissions: Map::new() }
    }
}

/// A role to be made.
#[derive(Deserialize, ToSchema)]
pub struct RoleInput {
    /// Absent: a random one.
    id: Option<Uuid>,
    /// Unique; neither `*` nor a UUID.
    name: String,
    comment: Option<String>,
}

/// Changes to a role; null unsets.
#[derive(Deserialize, ToSchema)]
pub struct RoleChanges {
    name: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    comment: Update<String>,
}

/// List roles
#[utoipa::path(
    get, path = "/developers/roles", tag = "roles", operation_id = "list_roles",
    params(PageArguments),
    responses(
        (status = 200, description = "A page of the list", body = Page<RoleBody>,
            example = json!({"data": [listed_example()], "next": null, "total": 1})),
        (status = 400, description = "Refused; nothing has changed", body = Violation),
    ),
)]
pub async fn list(Seen(app): Seen, query: Query) -> Result<Response, Error> {
    Ok(query.list(app.store.roles(query.page()?).await?, RoleBody::from))
}

/// Create a role
#[utoipa::path(
    post, path = "/developers/roles", tag = "roles", operation_id = "create_role",
    request_body(
        content((RoleInput = "application/json"), (RoleInput = "application/x-www-form-urlencoded")),
        example = json!({"name": "Billing", "comment": "Billing services team"})
    ),
    responses(
        (status = 201, description = "As it is now", body = RoleInFull, example = json!(example())),
        (status = 400, description = "Refused; nothing has changed", body = Violation),
        (status = 409, body = Violation, description = "The name is taken"),
    ),
)]
pub async fn create(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    input: Input,
) -> Result<Response, Error> {
    let input: RoleInput = members::typed(SCHEMA.insert(input)?)?;
    let new = NewRole { id: input.id, name: input.name, comment: input.comment };
    let mut writer = app.store.write(&actor).await?;
    let role = writer.create_role(new).await?;
    let revision = writer.commit().await?;
    Ok(reply::written(StatusCode::CREATED, &RoleInFull::from(role), revision))
}

/// Read a role
#[utoipa::path(
    get, path = "/developers/roles/{role}", tag = "roles", operation_id = "get_role",
    params(RolePath),
    responses(
        (status = 200, description = "As it is now", body = RoleInFull, example = json!(example())),
        (status = 404, description = "Nothing has that name", body = Message),
    ),
)]
pub async fn get(Seen(app): Seen, Segments(role): Segments<String>) -> Result<Response, Error> {
    let role = path::role(&app.store, &role).await?;
    Ok(reply::ok(&RoleInFull::from(role)))
}

/// Change a role; developers who have it follow
#[utoipa::path(
    patch, path = "/developers/roles/{role}", tag = "roles", operation_id = "update_role",
    params(RolePath),
    request_body(
        content((RoleChanges = "application/json"), (RoleChanges = "application/x-www-form-urlencoded")),
        example = json!({"name": "Billing"})
    ),
    responses(
        (status = 200, description = "As it is now", body = RoleInFull, example = json!(example())),
        (status = 400, description = "Refused; nothing has changed", body = Violation),
        (status = 404, description = "Nothing has that name", body = Message),
        (status = 409, body = Violation, description = "The name is taken"),
    ),
)]
pub async fn update(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    Segments(role): Segments<String>,
    input: Input,
) -> Result<Response, Error> {
    let role = path::role(&app.store, &role).await?;
    let id = role.id;
    let changes: RoleChanges = members::typed(SCHEMA.update(input, &json!(RoleInFull::from(role)))?)?;
    let mut writer = app.store.write(&actor).await?;
    let patch = RolePatch { name: changes.name, comment: changes.comment };
    let role = writer.update_role(id, patch).await?;
    let revision = writer.commit().await?;
    Ok(reply::written(StatusCode::OK, &RoleInFull::from(role), revision))
}

/// Delete a role; no developer has it any more
#[utoipa::path(
    delete, path = "/developers/roles/{role}", tag = "roles", operation_id = "delete_role",
    params(RolePath),
    responses((status = 204, description = "There is no such role any more")),
)]
pub async fn delete(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    Segments(role): Segments<String>,
) -> Result<Response, Error> {
    let role = path::find_role(&app.store, &role).await?;
    let mut writer = app.store.write(&actor).await?;
    if let Some(role) = role {
        match writer.delete_role(role.id).await {
            Ok(()) | Err(StoreError::NotFound(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(reply::deleted(writer.commit().await?))
}

fn listed_example() -> Value {
    json!({
        "comment": "Billing services team", "created_at": 1_644_620_475,
        "id": "b7794758-394e-46f1-a9a1-f495f2e97a68", "name": "Billing"
    })
}

fn example() -> Value {
    let mut example = listed_example();
    if let Value::Object(members) = &mut example {
        members.insert("permissions".into(), json!({}));
    }
    example
}
