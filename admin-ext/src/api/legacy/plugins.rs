//! `/developers/{developer}/plugins`: what a gateway does to the requests of the developer's consumer. With a Kong that
//! follows, its plugins are these, and what they may hold is for Kong to say.

use axum::extract::Extension;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::bodies::{Message, Ref, Violation};
use super::conventions::query::Page;
use super::conventions::{Error, Field, Input, Kind, Query, Schema, Segments, members, path, reply, texts};
use super::parameters::{DeveloperPath, PageArguments, TagArguments};
use crate::api::Seen;
use crate::kong;
use crate::model::plugin::{CONFIG_MAX, PLUGIN_NAME_MAX};
use crate::model::{Developer, NewPlugin, Plugin, PluginId, PluginPatch, Update, rules};
use crate::store::Actor;

/// Kong's protocols.
const PROTOCOLS: &[&str] =
    &["grpc", "grpcs", "http", "https", "tcp", "tls", "tls_passthrough", "udp", "ws", "wss"];

pub const SCHEMA: Schema = Schema {
    fields: &[
        Field::new("id", Kind::Uuid).immutable(),
        Field::new("name", Kind::checked_text(PLUGIN_NAME_MAX, texts::service_name)).required().immutable(),
        Field::new("instance_name", Kind::checked_text(rules::NAME_MAX, texts::service_name)),
        Field::new("enabled", Kind::Boolean).required().default("true"),
        Field::new("protocols", Kind::Set { of: &Kind::OneOf(PROTOCOLS), max: PROTOCOLS.len() }),
        Field::new("config", Kind::Object { max: CONFIG_MAX }),
        Field::tags(),
        Field::read_only("consumer"),
        Field::read_only("created_at"),
        Field::read_only("updated_at"),
    ],
};

/// A plugin of a developer.
#[derive(Serialize, ToSchema)]
#[schema(as = Plugin)]
pub struct PluginBody {
    /// With a Kong that follows: the whole configuration, defaults included. Else what was given.
    #[schema(value_type = Object)]
    config: Map<String, Value>,
    consumer: Ref,
    /// Seconds since the Unix epoch.
    created_at: i64,
    enabled: bool,
    id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_name: Option<String>,
    name: String,
    protocols: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    updated_at: i64,
}

impl PluginBody {
    fn new(developer: &Developer, plugin: Plugin) -> Self {
        Self {
            config: plugin.config(),
            consumer: developer.consumer.0.into(),
            created_at: plugin.created_at.seconds(),
            enabled: plugin.enabled,
            id: plugin.id.0,
            protocols: plugin.protocols(),
            instance_name: plugin.instance_name,
            name: plugin.name,
            tags: plugin.tags,
            updated_at: plugin.updated_at.seconds(),
        }
    }
}

/// A plugin to be applied to a developer.
#[derive(Deserialize, ToSchema)]
pub struct PluginInput {
    /// Absent: a random one.
    id: Option<Uuid>,
    /// Any plugin that a consumer may have; a developer has one of a name.
    name: String,
    /// The plugin's own name for itself, unique; it may stand for the id in paths.
    instance_name: Option<String>,
    #[schema(required = false, default = true)]
    enabled: bool,
    /// Absent: the plugin's own.
    protocols: Option<Vec<String>>,
    /// The plugin's own settings, at most 64 KiB.
    #[schema(value_type = Option<Object>)]
    #[serde(default)]
    config: Map<String, Value>,
    #[serde(default)]
    tags: Vec<String>,
}

/// Changes to a plugin; null unsets.
#[derive(Deserialize, ToSchema)]
pub struct PluginChanges {
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    instance_name: Update<String>,
    enabled: Option<bool>,
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    protocols: Update<Vec<String>>,
    /// Member by member: records are merged, lists are replaced, null unsets.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    config: Update<Map<String, Value>>,
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    tags: Update<Vec<String>>,
}

/// List a developer's plugins
#[utoipa::path(
    get, path = "/developers/{developer}/plugins", tag = "plugins", operation_id = "list_plugins",
    params(DeveloperPath, PageArguments, TagArguments),
    responses(
        (status = 200, description = "A page of the list", body = Page<PluginBody>,
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
    let plugins = app.store.plugins(developer.id, query.page()?).await?;
    Ok(query.list(plugins, |plugin| PluginBody::new(&developer, plugin)))
}

/// Apply a plugin to a developer
///
/// With a Kong that follows, its own refusals are answered as they are, and `X-Kong-Sync` tells whether Kong knows the
/// plugin already (`applied`) or will as soon as it is there (`pending`).
#[utoipa::path(
    post, path = "/developers/{developer}/plugins", tag = "plugins", operation_id = "create_plugin",
    params(DeveloperPath),
    request_body(
        content((PluginInput = "application/json"), (PluginInput = "application/x-www-form-urlencoded")),
        example = json!({"name": "proxy-cache", "config": {"strategy": "memory"}})
    ),
    responses(
        (status = 201, description = "As it is now", body = PluginBody,
            headers(("X-Kong-Sync" = String, description = "`applied` or `pending`; absent without a Kong that follows")),
            example = json!(example())),
        (status = 400, description = "Refused; nothing has changed", body = Violation),
        (status = 404, description = "Nothing has that name", body = Message),
        (status = 409, body = Violation, description = "The developer has that plugin, or the instance_name is taken"),
    ),
)]
pub async fn create(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    Segments(developer): Segments<String>,
    input: Input,
) -> Result<Response, Error> {
    let developer = path::developer(&app.store, &developer).await?;
    let textual = input.coerce;
    let input: PluginInput = members::typed(SCHEMA.insert(input)?)?;
    let new = NewPlugin {
        id: input.id.map(PluginId),
        name: input.name,
        instance_name: input.instance_name,
        enabled: input.enabled,
        protocols: input.protocols,
        textual: textual && !input.config.is_empty(),
        config: input.config,
        tags: input.tags,
    };
    let created = kong::change(
        &app.store,
        app.kong.as_ref(),
        &actor,
        (developer.id, new),
        |writer, (developer, new)| {
            Box::pin(async move { Ok::<_, Error>(writer.create_plugin(developer, new).await?) })
        },
    );
    Ok(reply::changed(StatusCode::CREATED, created.await?, |plugin| PluginBody::new(&developer, plugin)))
}

/// Read a plugin of a developer
#[utoipa::path(
    get, path = "/developers/{developer}/plugins/{plugin}", tag = "plugins", operation_id = "get_plugin",
    params(DeveloperPath, ("plugin" = String, Path, description = "Id or instance_name")),
    responses(
        (status = 200, description = "As it is now", body = PluginBody, example = json!(example())),
        (status = 404, description = "Nothing has that name", body = Message),
    ),
)]
pub async fn get(
    Seen(app): Seen,
    Segments((developer, plugin)): Segments<(String, String)>,
) -> Result<Response, Error> {
    let developer = path::developer(&app.store, &developer).await?;
    let plugin = path::plugin(&app.store, &developer, &plugin).await?;
    Ok(reply::ok(&PluginBody::new(&developer, plugin)))
}

/// Change a plugin of a developer
#[utoipa::path(
    patch, path = "/developers/{developer}/plugins/{plugin}", tag = "plugins", operation_id = "update_plugin",
    params(DeveloperPath, ("plugin" = String, Path, description = "Id or instance_name")),
    request_body(
        content((PluginChanges = "application/json"), (PluginChanges = "application/x-www-form-urlencoded")),
        example = json!({"config": {"response_code": [200, 301, 404]}})
    ),
    responses(
        (status = 200, description = "As it is now", body = PluginBody,
            headers(("X-Kong-Sync" = String, description = "`applied` or `pending`; absent without a Kong that follows")),
            example = json!(example())),
        (status = 400, description = "Refused; nothing has changed", body = Violation),
        (status = 404, description = "Nothing has that name", body = Message),
        (status = 409, body = Violation, description = "The instance_name is taken"),
    ),
)]
pub async fn update(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    Segments((developer, plugin)): Segments<(String, String)>,
    input: Input,
) -> Result<Response, Error> {
    let developer = path::developer(&app.store, &developer).await?;
    let plugin = path::plugin(&app.store, &developer, &plugin).await?;
    let id = plugin.id;
    let textual = input.coerce;
    let changes = SCHEMA.update(input, &json!(PluginBody::new(&developer, plugin)))?;
    let changes: PluginChanges = members::typed(changes)?;
    let patch = PluginPatch {
        instance_name: changes.instance_name,
        enabled: changes.enabled,
        protocols: changes.protocols,
        config: changes.config,
        textual,
        tags: changes.tags,
    };
    let updated = kong::change(
        &app.store,
        app.kong.as_ref(),
        &actor,
        (developer.id, patch),
        move |writer, (developer, patch)| {
            Box::pin(async move { Ok::<_, Error>(writer.update_plugin(developer, id, patch).await?) })
        },
    );
    Ok(reply::changed(StatusCode::OK, updated.await?, |plugin| PluginBody::new(&developer, plugin)))
}

/// Remove a plugin from a developer
#[utoipa::path(
    delete, path = "/developers/{developer}/plugins/{plugin}", tag = "plugins", operation_id = "delete_plugin",
    params(DeveloperPath, ("plugin" = String, Path, description = "Id or instance_name")),
    responses(
        (status = 204, description = "Deleted"),
        (status = 404, description = "Nothing has that name", body = Message),
    ),
)]
pub async fn delete(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    Segments((developer, plugin)): Segments<(String, String)>,
) -> Result<Response, Error> {
    let developer = path::developer(&app.store, &developer).await?;
    let plugin = path::plugin(&app.store, &developer, &plugin).await?;
    let deleted = kong::change(
        &app.store,
        app.kong.as_ref(),
        &actor,
        (developer.id, plugin.id),
        |writer, (developer, plugin)| {
            Box::pin(async move { Ok::<_, Error>(writer.delete_plugin(developer, plugin).await?) })
        },
    );
    Ok(reply::gone(&deleted.await?))
}

fn example() -> Value {
    json!({
        "config": {"cache_ttl": 300, "response_code": [200, 301, 404], "strategy": "memory"},
        "consumer": {"id": "855fe098-3bb3-4041-8a3d-149a9e5462c6"}, "created_at": 1_645_564_279, "enabled": true,
        "id": "c0e1a9a7-36f5-4d0c-9a4e-5e0e9a4d2b11", "name": "proxy-cache",
        "protocols": ["grpc", "grpcs", "http", "https"], "updated_at": 1_645_564_279
    })
}
