//! `/workspaces`: the only workspace and, as its configuration, how the portal behaves. What is set here holds on every
//! replica at once and until it is put back.

use axum::extract::Extension;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::bodies::{Message, Violation};
use super::conventions::query::CorePage;
use super::conventions::{Error, Field, Input, Kind, Query, Schema, Segments, reply, texts};
use super::parameters::{PageArguments, WorkspacePath};
use crate::api::{App, Seen};
use crate::model::{Listed, PortalAuth, PortalConfig, Timestamp, rules};
use crate::store::Actor;

/// The workspace's name.
const NAME: &str = "default";

const ADMIN_EMAILS: &str = "portal_smtp_admin_emails";
const MAILBOX: Kind = Kind::checked_text(rules::MAILBOX_MAX, texts::mailbox);

const CONFIG: &[Field] = &[
    Field::new("portal_auth", Kind::OneOf(&["basic-auth", "key-auth", "openid-connect"])),
    Field::new("portal_auto_approve", Kind::Boolean),
    Field::new(
        "portal_developer_meta_fields",
        Kind::JsonText { max: rules::META_MAX, check: texts::meta_fields },
    ),
    Field::new("portal_invite_email", Kind::Boolean),
    Field::new("portal_access_request_email", Kind::Boolean),
    Field::new("portal_approved_email", Kind::Boolean),
    Field::new("portal_application_status_email", Kind::Boolean),
    Field::new("portal_application_request_email", Kind::Boolean),
    Field::new("portal_emails_from", MAILBOX),
    Field::new("portal_emails_reply_to", MAILBOX),
    Field::new(ADMIN_EMAILS, Kind::List { of: &MAILBOX, min: 0, max: rules::LIST_MAX }),
];

pub const SCHEMA: Schema = Schema {
    fields: &[
        Field::new("config", Kind::Record(CONFIG)).lasting(),
        Field::read_only("id"),
        Field::read_only("name"),
        Field::read_only("meta"),
        Field::read_only("created_at"),
    ],
};

/// The workspace.
#[derive(Serialize, ToSchema)]
#[schema(as = Workspace)]
pub struct WorkspaceBody {
    config: WorkspaceConfig,
    /// Seconds since the Unix epoch.
    created_at: i64,
    id: Uuid,
    /// Always empty.
    meta: Map<String, Value>,
    name: &'static str,
}

impl WorkspaceBody {
    fn new(app: &App, created_at: Timestamp, portal: PortalConfig) -> Self {
        Self {
            config: portal.into(),
            created_at: created_at.seconds(),
            id: app.store.workspace_id(),
            meta: Map::new(),
            name: NAME,
        }
    }

    async fn read(app: &App) -> Result<Self, Error> {
        Ok(Self::new(app, app.store.began_at().await?, app.store.portal().await?))
    }
}

/// How the portal behaves: as set here, else as configured.
#[derive(Serialize, ToSchema)]
#[expect(clippy::struct_excessive_bools, clippy::struct_field_names, reason = "the settings it mirrors")]
pub struct WorkspaceConfig {
    /// Mail administrators when somebody asks for access.
    portal_access_request_email: bool,
    /// Mail administrators when an application asks for a service.
    portal_application_request_email: bool,
    /// Mail developers when one of their connections changes its status.
    portal_application_status_email: bool,
    /// Mail developers when they are approved for the first time.
    portal_approved_email: bool,
    /// How developers sign in: `basic-auth` asks for a password when one is created, `key-auth` for a key.
    #[schema(pattern = "^(basic-auth|key-auth|openid-connect)$")]
    portal_auth: Option<&'static str>,
    /// Approve new developers at once.
    portal_auto_approve: bool,
    /// What developers tell about themselves: the JSON text of an array of
    /// `{title, label, is_email, validator: {type, required}}`.
    portal_developer_meta_fields: String,
    /// Sender of mails.
    portal_emails_from: Option<String>,
    /// Where answers to mails go.
    portal_emails_reply_to: Option<String>,
    /// Mail invitations.
    portal_invite_email: bool,
    /// Who is asked when somebody wants something.
    portal_smtp_admin_emails: Vec<String>,
}

impl From<PortalConfig> for WorkspaceConfig {
    fn from(portal: PortalConfig) -> Self {
        Self {
            portal_access_request_email: portal.mails.access_request,
            portal_application_request_email: portal.mails.application_request,
            portal_application_status_email: portal.mails.application_status,
            portal_approved_email: portal.mails.approved,
            portal_auth: portal.auth.map(PortalAuth::as_str),
            portal_auto_approve: portal.auto_approve,
            portal_developer_meta_fields: json!(portal.meta_fields).to_string(),
            portal_emails_from: portal.emails_from,
            portal_emails_reply_to: portal.emails_reply_to,
            portal_invite_email: portal.mails.invite,
            portal_smtp_admin_emails: portal.admin_emails,
        }
    }
}

/// Changes to the workspace; the other members may be repeated as they are.
#[derive(ToSchema)]
#[expect(dead_code, reason = "for the description of the API")]
pub struct WorkspaceChanges {
    config: Option<WorkspaceConfigChanges>,
    #[schema(value_type = Option<Object>)]
    meta: Option<Value>,
    name: Option<String>,
}

/// Changes to how the portal behaves; null puts the configured value back.
#[derive(ToSchema)]
#[expect(dead_code, clippy::struct_field_names, reason = "for the description of the API")]
pub struct WorkspaceConfigChanges {
    portal_access_request_email: Option<bool>,
    portal_application_request_email: Option<bool>,
    portal_application_status_email: Option<bool>,
    portal_approved_email: Option<bool>,
    /// `basic-auth`, `key-auth` or `openid-connect`.
    portal_auth: Option<String>,
    portal_auto_approve: Option<bool>,
    /// An array of `{title, label, is_email, validator: {type, required}}`, or its JSON text.
    #[schema(value_type = Option<Value>)]
    portal_developer_meta_fields: Option<Value>,
    /// An address that may have a name before it.
    portal_emails_from: Option<String>,
    portal_emails_reply_to: Option<String>,
    portal_invite_email: Option<bool>,
    /// A list of addresses, or one text with commas between them.
    #[schema(value_type = Option<Value>)]
    portal_smtp_admin_emails: Option<Value>,
}

/// List workspaces, of which there is one
#[utoipa::path(
    get, path = "/workspaces", tag = "workspaces", operation_id = "list_workspaces",
    params(PageArguments),
    responses(
        (status = 200, description = "A page of the list", body = CorePage<WorkspaceBody>,
            example = json!({"data": [example()], "next": null})),
        (status = 400, description = "Refused; nothing has changed", body = Violation),
    ),
)]
pub async fn list(Seen(app): Seen, query: Query) -> Result<Response, Error> {
    query.page()?;
    let only = Listed { items: vec![WorkspaceBody::read(&app).await?], next: None, total: 1 };
    Ok(query.core_list(only, |workspace| workspace))
}

/// Read the workspace
#[utoipa::path(
    get, path = "/workspaces/{workspace}", tag = "workspaces", operation_id = "get_workspace",
    params(WorkspacePath),
    responses(
        (status = 200, description = "As it is now", body = WorkspaceBody, example = json!(example())),
        (status = 404, description = "Nothing has that name", body = Message),
    ),
)]
pub async fn get(Seen(app): Seen, Segments(workspace): Segments<String>) -> Result<Response, Error> {
    check_name(&app, &workspace)?;
    Ok(reply::ok(&WorkspaceBody::read(&app).await?))
}

/// Change how the portal behaves
#[utoipa::path(
    patch, path = "/workspaces/{workspace}", tag = "workspaces", operation_id = "update_workspace",
    params(WorkspacePath),
    request_body(
        content((WorkspaceChanges = "application/json"), (WorkspaceChanges = "application/x-www-form-urlencoded")),
        example = json!({"config": {"portal_auto_approve": true}})
    ),
    responses(
        (status = 200, description = "As it is now", body = WorkspaceBody, example = json!(example())),
        (status = 400, description = "Refused; nothing has changed", body = Violation),
        (status = 404, description = "Nothing has that name", body = Message),
    ),
)]
pub async fn update(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    Segments(workspace): Segments<String>,
    mut input: Input,
) -> Result<Response, Error> {
    check_name(&app, &workspace)?;
    split_addresses(&mut input);
    let created_at = app.store.began_at().await?;
    let mut writer = app.store.write(&actor).await?;
    let current = json!(WorkspaceBody::new(&app, created_at, writer.portal().await?));
    let changes = config_changes(input, &current)?;
    let portal = writer.set_portal(changes).await?;
    let revision = writer.commit().await?;
    Ok(reply::written(StatusCode::OK, &WorkspaceBody::new(&app, created_at, portal), revision))
}

/// By name or id.
fn check_name(app: &App, workspace: &str) -> Result<(), Error> {
    let by_id = || workspace.parse() == Ok(app.store.workspace_id());
    if workspace == NAME || by_id() { Ok(()) } else { Err(Error::NotFound) }
}

/// Addresses may come as one text with commas, as the configuration has them.
fn split_addresses(input: &mut Input) {
    let config = input.members.get_mut("config").and_then(Value::as_object_mut);
    if let Some(addresses) = config.and_then(|config| config.get_mut(ADMIN_EMAILS))
        && let Value::String(text) = addresses
    {
        *addresses = text.split(',').map(|address| Value::from(address.trim())).collect();
    }
}

/// The members of `config` that are to be other than they are now; null where one is put back.
fn config_changes(input: Input, current: &Value) -> Result<Map<String, Value>, Error> {
    let mut bare = current.clone();
    if let Some(config) = bare.get_mut("config") {
        // The schema merges with what is here; only what was given is to come out.
        *config = json!({});
    }
    let Some(Value::Object(mut changes)) = SCHEMA.update(input, &bare)?.remove("config") else {
        return Ok(Map::new());
    };
    let now = current.get("config");
    // What is sent back as it was read stays as it is, configured or set.
    changes.retain(|name, value| now.and_then(|now| now.get(name)) != Some(value));
    Ok(changes)
}

fn example() -> Value {
    json!({
        "config": {
            "portal_access_request_email": true, "portal_application_request_email": false,
            "portal_application_status_email": false, "portal_approved_email": true, "portal_auth": "basic-auth",
            "portal_auto_approve": true,
            "portal_developer_meta_fields": "[{\"title\":\"full_name\",\"label\":\"Full Name\",\"is_email\":false,\
                \"validator\":{\"type\":\"string\",\"required\":true}}]",
            "portal_emails_from": "Portal <portal@example.com>", "portal_emails_reply_to": null,
            "portal_invite_email": true, "portal_smtp_admin_emails": ["admin@example.com"]
        },
        "created_at": 1_644_615_388, "id": "a43fc3f9-98e4-43b0-b703-c3b1004980d5", "meta": {}, "name": "default"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_to_be_other_than_it_is_comes_out() {
        let current = example();
        let changes = |config: Value| {
            let members = Map::from_iter([("config".to_owned(), config)]);
            config_changes(Input { members, coerce: false }, &current).map(Value::Object).ok()
        };
        assert_eq!(changes(current["config"].clone()), Some(json!({})));
        assert_eq!(
            changes(json!({"portal_auto_approve": false, "portal_invite_email": true, "portal_auth": null})),
            Some(json!({"portal_auto_approve": false, "portal_auth": null}))
        );
        assert_eq!(changes(json!({"portal_emails_reply_to": null})), Some(json!({})));
        assert_eq!(changes(json!({"portal_auto_approve": "yes"})), None);
    }
}
