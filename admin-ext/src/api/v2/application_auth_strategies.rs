//! `/v2/application-auth-strategies`: how callers of a product version prove which application they are.

use app_auth_core::ids::StrategyId;
use axum::extract::Extension;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::conventions::{
    Collection, Filter, Filters, Ids, IfMatch, Input, Member, Object, PageBody, Parameter, Problem, Query,
    Rule, Source, Union, arguments, bodies, reply,
};
use super::openid_connect;
use crate::api::Seen;
use crate::model::auth_strategy::CONFIG_MAX;
use crate::model::{
    AuthStrategy, AuthStrategyDetail, AuthStrategyPatch, DcrProviderId, LabelChanges, Labels,
    NewAuthStrategy, StrategyType, Update, is_key_name,
};
use crate::store::{Actor, Entity, StoreError};

const NAME: Rule = Rule::Text { min: 1, max: 256 };
const DISPLAY_NAME: Rule = Rule::Text { min: 0, max: 256 };
const KEY_NAME: Rule = Rule::Pattern { min: 1, max: 256, pattern: "^[A-Za-z0-9_-]+$", fits: is_key_name };
/// Longest life of a key, in whatever unit.
const TTL: Rule = Rule::Integer { min: 1, max: 36_500 };

const KEY_TTL: Object = Object::closed(&[
    Member::new("value", TTL, "").required(),
    Member::new("unit", Rule::Choice(&["days", "weeks", "years"]), "").required(),
]);

const KEY_NAMES: Member = Member::new(
    "key_names",
    Rule::List { of: &KEY_NAME, min: 1, max: 10 },
    "Names of the headers that hold the key, in the order in which they are looked at; `apikey` if absent",
);
const TTL_ABOUT: &str = "How long keys hold that are made from now on; for ever if absent";

const KEY_AUTH: Object = Object::closed(&[KEY_NAMES, Member::new("ttl", Rule::Object(&KEY_TTL), TTL_ABOUT)]);
const KEY_AUTH_CHANGES: Object =
    Object::closed(&[KEY_NAMES, Member::new("ttl", Rule::Object(&KEY_TTL), TTL_ABOUT).nullable()]);

const KEY_AUTH_CONFIGS: Member = Member::new(
    "configs",
    Rule::Object(&Object::closed(&[Member::new("key-auth", Rule::Object(&KEY_AUTH), "").required()])),
    "",
);
const OPENID_CONNECT_CONFIGS: Member = Member::new(
    "configs",
    Rule::Object(&Object::closed(&[Member::new(
        "openid-connect",
        Rule::Object(&openid_connect::CONFIG),
        "",
    )
    .required()])),
    "",
);

const NAME_MEMBER: Member = Member::new("name", NAME, "For operators; need not be unique");
const DISPLAY_NAME_MEMBER: Member = Member::new("display_name", DISPLAY_NAME, "What developers see");
const PROVIDER_MEMBER: Member =
    Member::new("dcr_provider_id", Rule::Uuid, "Registers the clients of applications").nullable();
const KEY_AUTH_TYPE: Member = Member::new("strategy_type", Rule::Choice(&["key_auth"]), "");
const OPENID_CONNECT_TYPE: Member = Member::new("strategy_type", Rule::Choice(&["openid_connect"]), "");

const CREATE: Union = Union {
    tag: "strategy_type",
    variants: &[
        (
            "key_auth",
            &Object::closed(&[
                NAME_MEMBER.required(),
                DISPLAY_NAME_MEMBER.required(),
                KEY_AUTH_TYPE.required(),
                KEY_AUTH_CONFIGS.required(),
                Member::new("labels", Rule::Labels, ""),
            ]),
        ),
        (
            "openid_connect",
            &Object::closed(&[
                NAME_MEMBER.required(),
                DISPLAY_NAME_MEMBER.required(),
                OPENID_CONNECT_TYPE.required(),
                OPENID_CONNECT_CONFIGS.required(),
                PROVIDER_MEMBER,
                Member::new("labels", Rule::Labels, ""),
            ]),
        ),
    ],
};

const UPDATE: Object = Object::closed(&[
    NAME_MEMBER,
    DISPLAY_NAME_MEMBER,
    Member::new("labels", Rule::LabelChanges, "").nullable(),
    PROVIDER_MEMBER,
    Member::new(
        "configs",
        Rule::OneOf(&[("openid-connect", &openid_connect::CHANGES), ("key-auth", &KEY_AUTH_CHANGES)]),
        "Of the strategy's own type. Members are set one by one; null takes one away",
    ),
]);

const PROVIDER: Object = Object::closed(&[
    Member::new("id", Rule::Uuid, "").required(),
    Member::new("name", NAME, "").required(),
    Member::new("display_name", Rule::Text { min: 1, max: 256 }, ""),
    Member::new("provider_type", Rule::Choice(&["auth0", "azureAd", "curity", "okta", "http"]), "")
        .required(),
]);

/// What a strategy looks like, by its type.
macro_rules! strategy {
    ($strategy_type:expr, $configs:expr) => {
        Object::closed(&[
            Member::new("id", Rule::Uuid, "").required(),
            NAME_MEMBER.required(),
            DISPLAY_NAME_MEMBER.required(),
            $strategy_type.required(),
            $configs.required(),
            Member::new("active", Rule::Boolean, "A published product version uses it").required(),
            Member::new("dcr_provider", Rule::Object(&PROVIDER), "").nullable().required(),
            Member::new("labels", Rule::Labels, "").required(),
            Member::new("created_at", Rule::Time, "").required(),
            Member::new("updated_at", Rule::Time, "").required(),
        ])
    };
}

const STRATEGY: Union = Union {
    tag: "strategy_type",
    variants: &[
        ("key_auth", &strategy!(KEY_AUTH_TYPE, KEY_AUTH_CONFIGS)),
        ("openid_connect", &strategy!(OPENID_CONNECT_TYPE, OPENID_CONNECT_CONFIGS)),
    ],
};

const LIST: Collection = Collection::new(
    &[
        "created_at",
        "updated_at",
        "strategy_type",
        "name",
        "display_name",
        "dcr_provider_id",
        "dcr_provider_name",
        "dcr_provider_type",
    ],
    Filters::Deep,
    &[
        ("strategy_type", Filter::Text),
        ("name", Filter::Text),
        ("display_name", Filter::Text),
        ("dcr_provider_id", Filter::Id),
        ("dcr_provider_name", Filter::Text),
        ("dcr_provider_type", Filter::Text),
    ],
);

/// A strategy to be made, or the whole of what replaces one.
#[derive(Deserialize)]
pub struct StrategyInput {
    name: String,
    display_name: String,
    strategy_type: String,
    configs: Map<String, Value>,
    dcr_provider_id: Option<DcrProviderId>,
    #[serde(default)]
    labels: Labels,
}

/// Changes to a strategy; what is absent stays.
#[derive(Deserialize)]
pub struct StrategyChanges {
    name: Option<String>,
    display_name: Option<String>,
    labels: Option<LabelChanges>,
    #[serde(default)]
    dcr_provider_id: Update<DcrProviderId>,
    configs: Option<Map<String, Value>>,
}

bodies!(StrategyInput: CREATE, StrategyChanges: UPDATE, StrategyBody: STRATEGY);
arguments!(
    /// The arguments of the list.
    StrategyArguments: LIST
);

/// A strategy.
#[derive(Serialize)]
pub struct StrategyBody {
    id: Uuid,
    name: String,
    display_name: String,
    strategy_type: &'static str,
    configs: Map<String, Value>,
    active: bool,
    dcr_provider: Option<ProviderBody>,
    labels: Labels,
    created_at: String,
    updated_at: String,
}

/// What a strategy shows of its DCR provider.
#[derive(Serialize)]
struct ProviderBody {
    id: Uuid,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<String>,
    provider_type: &'static str,
}

impl From<AuthStrategyDetail> for StrategyBody {
    fn from(detail: AuthStrategyDetail) -> Self {
        let AuthStrategyDetail { strategy, active, dcr_provider } = detail;
        let config = Value::Object(strategy.whole_config());
        Self {
            id: strategy.id.0,
            name: strategy.name,
            display_name: strategy.display_name,
            strategy_type: strategy.strategy_type.as_str(),
            configs: Map::from_iter([(strategy.strategy_type.config_key().to_owned(), config)]),
            active,
            dcr_provider: dcr_provider.map(|provider| ProviderBody {
                id: provider.id.0,
                name: provider.name,
                display_name: provider.display_name,
                provider_type: provider.provider_type.as_str(),
            }),
            labels: strategy.labels,
            created_at: reply::time(strategy.created_at),
            updated_at: reply::time(strategy.updated_at),
        }
    }
}

fn written(
    status: StatusCode,
    detail: AuthStrategyDetail,
    revision: app_auth_core::ids::Revision,
) -> Response {
    let updated_at = detail.strategy.updated_at;
    reply::written(status, &StrategyBody::from(detail), updated_at, revision)
}

/// List auth strategies
#[utoipa::path(
    get, path = "/application-auth-strategies", tag = "auth strategies", operation_id = "list_auth_strategies",
    params(StrategyArguments),
    responses((status = 200, description = "A page of the list", body = PageBody<StrategyBody>)),
)]
pub async fn list(Seen(app): Seen, query: Query) -> Result<Response, Problem> {
    let request = LIST.read(&query)?;
    let strategies = app.store.auth_strategies(&request).await?;
    Ok(reply::ok(&PageBody::new(&request, strategies, StrategyBody::from)))
}

/// Create an auth strategy
#[utoipa::path(
    post, path = "/application-auth-strategies", tag = "auth strategies", operation_id = "create_auth_strategy",
    request_body(content = StrategyInput, example = json!({
        "name": "keys", "display_name": "API key", "strategy_type": "key_auth",
        "configs": {"key-auth": {"key_names": ["x-api-key"]}},
    })),
    responses((status = 201, description = "As it is now", body = StrategyBody)),
)]
pub async fn create(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    input: Input,
) -> Result<Response, Problem> {
    let new = read_whole(input)?;
    let mut writer = app.store.write(&actor).await?;
    let strategy = writer.create_auth_strategy(None, new).await?;
    let revision = writer.commit().await?;
    Ok(written(StatusCode::CREATED, strategy, revision))
}

/// Read an auth strategy
#[utoipa::path(
    get, path = "/application-auth-strategies/{authStrategyId}", tag = "auth strategies",
    operation_id = "get_auth_strategy",
    params(("authStrategyId" = Uuid, Path)),
    responses((status = 200, description = "As it is now", body = StrategyBody)),
)]
pub async fn get(Seen(app): Seen, ids: Ids<1>) -> Result<Response, Problem> {
    let [id] = ids.0;
    let detail = app.store.auth_strategy(StrategyId(id)).await?.ok_or_else(Problem::not_found)?;
    let updated_at = detail.strategy.updated_at;
    Ok(reply::resource(&StrategyBody::from(detail), updated_at))
}

/// Replace an auth strategy, or create one with an id of your own
#[utoipa::path(
    put, path = "/application-auth-strategies/{authStrategyId}", tag = "auth strategies",
    operation_id = "replace_auth_strategy",
    params(("authStrategyId" = Uuid, Path)),
    request_body(content = StrategyInput, example = json!({
        "name": "tokens", "display_name": "Token", "strategy_type": "openid_connect",
        "configs": {"openid-connect": {
            "issuer": "https://idp.example.com", "credential_claim": ["client_id"], "scopes": ["openid"],
            "auth_methods": ["bearer", "client_credentials"],
        }},
        "labels": {"team": "sales"},
    })),
    responses(
        (status = 201, description = "As it is now", body = StrategyBody),
        (status = 409, description = "Its type or DCR provider cannot change while it is in use; nothing has changed"),
    ),
)]
pub async fn replace(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    ids: Ids<1>,
    unless_changed: IfMatch,
    input: Input,
) -> Result<Response, Problem> {
    let [id] = ids.0;
    let new = read_whole(input)?;
    let mut writer = app.store.write(&actor).await?;
    let strategy = match writer.auth_strategy(StrategyId(id)).await? {
        Some(before) => {
            unless_changed.check(before.updated_at)?;
            writer.replace_auth_strategy(&before, new).await?
        }
        None => {
            unless_changed.check_absent()?;
            writer.create_auth_strategy(Some(StrategyId(id)), new).await?
        }
    };
    let revision = writer.commit().await?;
    Ok(written(StatusCode::CREATED, strategy, revision))
}

/// Change an auth strategy
#[utoipa::path(
    patch, path = "/application-auth-strategies/{authStrategyId}", tag = "auth strategies",
    operation_id = "update_auth_strategy",
    params(("authStrategyId" = Uuid, Path)),
    request_body(content = StrategyChanges, example = json!({
        "configs": {"openid-connect": {"scopes": ["openid", "email"], "leeway": null}}, "labels": {"team": null},
    })),
    responses(
        (status = 200, description = "As it is now", body = StrategyBody),
        (status = 409, description = "Its DCR provider cannot change while it has clients; nothing has changed"),
    ),
)]
pub async fn update(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    ids: Ids<1>,
    unless_changed: IfMatch,
    input: Input,
) -> Result<Response, Problem> {
    let [id] = ids.0;
    let mut writer = app.store.write(&actor).await?;
    let before =
        writer.auth_strategy(StrategyId(id)).await?.ok_or(StoreError::NotFound(Entity::AuthStrategy))?;
    // What the changes may be depends on what is stored, so they are read where nobody else can change it.
    let changes: StrategyChanges = input.read(&UPDATE, |body, wrong| check_fit(&before, body, wrong))?;
    unless_changed.check(before.updated_at)?;
    let patch = AuthStrategyPatch {
        name: changes.name,
        display_name: changes.display_name,
        config: changes
            .configs
            .map(|configs| before.changed_config(config_of(before.strategy_type, configs))),
        dcr_provider: changes.dcr_provider_id,
        labels: changes.labels.unwrap_or_default(),
    };
    let strategy = writer.update_auth_strategy(&before, patch).await?;
    let revision = writer.commit().await?;
    Ok(written(StatusCode::OK, strategy, revision))
}

/// Delete an auth strategy that nothing uses
#[utoipa::path(
    delete, path = "/application-auth-strategies/{authStrategyId}", tag = "auth strategies",
    operation_id = "delete_auth_strategy",
    params(("authStrategyId" = Uuid, Path)),
    responses(
        (status = 204, description = "Deleted"),
        (status = 409, description = "Something uses it, such as a product version in any portal; nothing has changed"),
    ),
)]
pub async fn delete(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    ids: Ids<1>,
    unless_changed: IfMatch,
) -> Result<Response, Problem> {
    let [id] = ids.0;
    let mut writer = app.store.write(&actor).await?;
    let before =
        writer.auth_strategy(StrategyId(id)).await?.ok_or(StoreError::NotFound(Entity::AuthStrategy))?;
    unless_changed.check(before.updated_at)?;
    writer.delete_auth_strategy(&before).await?;
    Ok(reply::done(writer.commit().await?))
}

/// A body that describes a whole strategy.
fn read_whole(input: Input) -> Result<NewAuthStrategy, Problem> {
    let input: StrategyInput = input.read_one_of(&CREATE, |body, wrong| {
        for kind in StrategyType::ALL {
            let config = body.get("configs").and_then(|configs| configs.get(kind.config_key()));
            if let Some(Value::Object(config)) = config {
                check_whole(kind, config, wrong);
            }
        }
    })?;
    let strategy_type = StrategyType::parse(&input.strategy_type).ok_or_else(Problem::unreadable)?;
    Ok(NewAuthStrategy {
        name: input.name,
        display_name: input.display_name,
        strategy_type,
        config: config_of(strategy_type, input.configs),
        dcr_provider: input.dcr_provider_id,
        labels: input.labels,
    })
}

/// The one member of `configs`.
fn config_of(kind: StrategyType, mut configs: Map<String, Value>) -> Map<String, Value> {
    match configs.remove(kind.config_key()) {
        Some(Value::Object(config)) => config,
        _ => Map::new(),
    }
}

/// Whether changes fit the strategy they are for.
fn check_fit(before: &AuthStrategy, body: &Map<String, Value>, wrong: &mut Vec<Parameter>) {
    let kind = before.strategy_type;
    let provider = body.get("dcr_provider_id").is_some_and(|provider| !provider.is_null());
    if kind == StrategyType::KeyAuth && provider {
        let reason = "\"dcr_provider_id\" must be null: keys are not made by an identity provider";
        wrong.push(Parameter::body("dcr_provider_id", "invalid", reason));
    }
    let Some(Value::Object(configs)) = body.get("configs") else { return };
    for other in StrategyType::ALL {
        match configs.get(other.config_key()) {
            Some(_) if other != kind => {
                wrong.push(Parameter::unknown(Source::Body, &format!("configs.{}", other.config_key())));
            }
            Some(Value::Object(changes)) => {
                check_whole(kind, &before.changed_config(changes.clone()), wrong);
            }
            _ => {}
        }
    }
}

/// What the rule of no single member tells of a whole configuration.
fn check_whole(kind: StrategyType, config: &Map<String, Value>, wrong: &mut Vec<Parameter>) {
    if Value::Object(config.clone()).to_string().len() > CONFIG_MAX {
        let field = format!("configs.{}", kind.config_key());
        let reason = format!("value of \"{field}\" must not exceed {CONFIG_MAX} characters");
        wrong.push(Parameter::body(field, "max_length", reason));
    } else if kind == StrategyType::OpenIdConnect {
        openid_connect::check(config, wrong);
    }
}
