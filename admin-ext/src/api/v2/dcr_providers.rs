//! `/v2/dcr-providers`: the identity providers at which the clients of applications are registered. What they let us in
//! with is taken and never shown.

use axum::extract::Extension;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::conventions::{
    Collection, Filter, Filters, Ids, IfMatch, Input, Member, Object, PageBody, Problem, Query, Rule, Union,
    arguments, bodies, reply,
};
use crate::api::Seen;
use crate::model::{
    DcrProvider, DcrProviderDetail, DcrProviderId, DcrProviderPatch, LabelChanges, Labels, NewDcrProvider,
    PlainSecret, ProviderType,
};
use crate::store::Actor;

const NAME: Rule = Rule::Text { min: 1, max: 256 };
const TEXT: Rule = Rule::Text { min: 0, max: 256 };
const URL: Rule = Rule::Url { max: 256 };
const API_KEY: Rule = Rule::Pattern { min: 12, max: 256, pattern: "^[a-zA-Z0-9_]+$", fits: is_api_key };

fn is_api_key(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

const CLIENT_ID: Member = Member::new("initial_client_id", TEXT, "Of the client that may make clients");
const CLIENT_SECRET: Member = Member::new("initial_client_secret", TEXT, "Its secret; never shown").secret();
const AUDIENCE: Member = Member::new(
    "initial_client_audience",
    TEXT,
    "Audience of the management API, where the provider has a domain of its own; the issuer's if blank",
)
.nullable();
const DEVELOPER_SCOPES: Member = Member::new(
    "use_developer_managed_scopes",
    Rule::Boolean,
    "Developers choose the scopes of registrations",
);
const TOKEN: Member = Member::new("dcr_token", TEXT, "An API token; never shown").secret();
const BASE_URL: Member = Member::new("dcr_base_url", URL, "Where the bridge is");
const KEY: Member = Member::new("api_key", API_KEY, "What the bridge knows us by; never shown").secret();
const NO_HOOKS: Member = Member::new(
    "disable_event_hooks",
    Rule::Boolean,
    "The bridge does not hear of changes and registrations",
);
const NO_REFRESH: Member =
    Member::new("disable_refresh_secret", Rule::Boolean, "The bridge cannot make another secret");

/// What a type's `dcr_config` is in a body that creates, in changes, and in answers.
struct Configs {
    create: Object,
    update: Object,
    answer: Object,
}

const AUTH0: Configs = Configs {
    create: Object::closed(&[CLIENT_ID.required(), CLIENT_SECRET.required(), AUDIENCE, DEVELOPER_SCOPES]),
    update: Object::closed(&[CLIENT_ID, CLIENT_SECRET, AUDIENCE, DEVELOPER_SCOPES]),
    answer: Object::closed(&[CLIENT_ID.required(), AUDIENCE.required(), DEVELOPER_SCOPES.required()]),
};
/// Of Azure AD and Curity.
const CLIENT: Configs = Configs {
    create: Object::closed(&[CLIENT_ID.required(), CLIENT_SECRET.required()]),
    update: Object::closed(&[CLIENT_ID, CLIENT_SECRET]),
    answer: Object::closed(&[CLIENT_ID.required()]),
};
const OKTA: Configs = Configs {
    create: Object::closed(&[TOKEN.required()]),
    update: Object::closed(&[TOKEN]),
    answer: Object::closed(&[]),
};
const HTTP: Configs = Configs {
    create: Object::closed(&[BASE_URL.required(), KEY.required(), NO_HOOKS, NO_REFRESH]),
    update: Object::closed(&[BASE_URL, KEY, NO_HOOKS, NO_REFRESH]),
    answer: Object::closed(&[BASE_URL.required(), NO_HOOKS, NO_REFRESH]),
};

/// What changes of a type's `dcr_config` may be.
const fn changes_of(kind: ProviderType) -> &'static Object {
    match kind {
        ProviderType::Auth0 => &AUTH0.update,
        ProviderType::AzureAd | ProviderType::Curity => &CLIENT.update,
        ProviderType::Okta => &OKTA.update,
        ProviderType::Http => &HTTP.update,
    }
}

const NAME_MEMBER: Member = Member::new("name", NAME, "For operators");
const DISPLAY_NAME: Member = Member::new("display_name", NAME, "What developers see");
const ISSUER: Member = Member::new("issuer", URL, "Of the tokens that applications get");

/// What makes a provider, by its type. Members that are not named are passed over, as these bodies have always been open.
macro_rules! create {
    ($name:literal, $configs:expr) => {
        (
            $name,
            &Object::open(&[
                Member::new("provider_type", Rule::Choice(&[$name]), "").required(),
                Member::new("dcr_config", Rule::Object(&$configs.create), "").required(),
                NAME_MEMBER.required(),
                DISPLAY_NAME,
                ISSUER.required(),
                Member::new("labels", Rule::Labels, ""),
            ]),
        )
    };
}

const CREATE: Union = Union {
    tag: "provider_type",
    variants: &[
        create!("auth0", AUTH0),
        create!("azureAd", CLIENT),
        create!("curity", CLIENT),
        create!("okta", OKTA),
        create!("http", HTTP),
    ],
};

const UPDATE: Object = Object::closed(&[
    NAME_MEMBER,
    DISPLAY_NAME,
    ISSUER,
    Member::new("labels", Rule::LabelChanges, "").nullable(),
    Member::new(
        "dcr_config",
        Rule::AnyOf(&[&AUTH0.update, &CLIENT.update, &OKTA.update, &HTTP.update]),
        "Members of the provider's own type; the others stay",
    ),
]);

/// What a provider looks like, by its type.
macro_rules! answer {
    ($name:literal, $configs:expr) => {
        (
            $name,
            &Object::closed(&[
                Member::new("id", Rule::Uuid, "").required(),
                NAME_MEMBER.required(),
                DISPLAY_NAME,
                Member::new("provider_type", Rule::Choice(&[$name]), "").required(),
                ISSUER.required(),
                Member::new("active", Rule::Boolean, "An active auth strategy uses it").required(),
                Member::new("dcr_config", Rule::Object(&$configs.answer), "").required(),
                Member::new("labels", Rule::Labels, ""),
                Member::new("created_at", Rule::Time, "").required(),
                Member::new("updated_at", Rule::Time, "").required(),
            ]),
        )
    };
}

const PROVIDER: Union = Union {
    tag: "provider_type",
    variants: &[
        answer!("auth0", AUTH0),
        answer!("azureAd", CLIENT),
        answer!("curity", CLIENT),
        answer!("okta", OKTA),
        answer!("http", HTTP),
    ],
};

const LIST: Collection = Collection::new(
    &["created_at", "updated_at", "provider_type", "issuer", "name"],
    Filters::Flat,
    &[
        ("id", Filter::SimpleId),
        ("issuer", Filter::SimpleText),
        ("name", Filter::SimpleText),
        ("provider_type", Filter::Exact),
        ("initial_client_id", Filter::SimpleText),
        ("initial_client_audience", Filter::SimpleText),
    ],
);

/// A provider to be made.
#[derive(Deserialize)]
pub struct ProviderInput {
    name: String,
    display_name: Option<String>,
    provider_type: String,
    issuer: String,
    dcr_config: Map<String, Value>,
    #[serde(default)]
    labels: Labels,
}

/// Changes to a provider; what is absent stays.
#[derive(Deserialize)]
pub struct ProviderChanges {
    name: Option<String>,
    display_name: Option<String>,
    issuer: Option<String>,
    labels: Option<LabelChanges>,
    #[serde(default)]
    dcr_config: Map<String, Value>,
}

bodies!(ProviderInput: CREATE, ProviderChanges: UPDATE, ProviderBody: PROVIDER);
arguments!(
    /// The arguments of the list.
    ProviderArguments: LIST
);

/// A provider, without its secret.
#[derive(Serialize)]
pub struct ProviderBody {
    id: Uuid,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<String>,
    provider_type: &'static str,
    issuer: String,
    active: bool,
    dcr_config: Value,
    labels: Labels,
    created_at: String,
    updated_at: String,
}

/// `dcr_config` without its secret; switches that nobody touched are off.
fn shown(provider: &DcrProvider) -> Value {
    let text = |member: &str| provider.config.get(member).cloned().unwrap_or_default();
    let switch = |member: &str| provider.switch(member);
    match provider.provider_type {
        ProviderType::Auth0 => json!({
            "initial_client_id": text("initial_client_id"),
            "initial_client_audience": text("initial_client_audience"),
            "use_developer_managed_scopes": switch("use_developer_managed_scopes"),
        }),
        ProviderType::AzureAd | ProviderType::Curity => {
            json!({ "initial_client_id": text("initial_client_id") })
        }
        ProviderType::Okta => json!({}),
        ProviderType::Http => json!({
            "dcr_base_url": text("dcr_base_url"),
            "disable_event_hooks": switch("disable_event_hooks"),
            "disable_refresh_secret": switch("disable_refresh_secret"),
        }),
    }
}

impl From<DcrProviderDetail> for ProviderBody {
    fn from(detail: DcrProviderDetail) -> Self {
        let DcrProviderDetail { provider, active } = detail;
        Self {
            dcr_config: shown(&provider),
            id: provider.id.0,
            name: provider.name,
            display_name: provider.display_name,
            provider_type: provider.provider_type.as_str(),
            issuer: provider.issuer,
            active,
            labels: provider.labels,
            created_at: reply::time(provider.created_at),
            updated_at: reply::time(provider.updated_at),
        }
    }
}

/// Takes the secret out of a `dcr_config`.
fn take_secret(kind: ProviderType, config: &mut Map<String, Value>) -> Option<PlainSecret> {
    match config.remove(kind.secret_member()) {
        Some(Value::String(secret)) => Some(PlainSecret::new(secret)),
        _ => None,
    }
}

/// List DCR providers
#[utoipa::path(
    get, path = "/dcr-providers", tag = "dcr providers", operation_id = "list_dcr_providers",
    params(ProviderArguments),
    responses((status = 200, description = "A page of the list", body = PageBody<ProviderBody>)),
)]
pub async fn list(Seen(app): Seen, query: Query) -> Result<Response, Problem> {
    let request = LIST.read(&query)?;
    let providers = app.store.dcr_providers(&request).await?;
    Ok(reply::ok(&PageBody::new(&request, providers, ProviderBody::from)))
}

/// Create a DCR provider
#[utoipa::path(
    post, path = "/dcr-providers", tag = "dcr providers", operation_id = "create_dcr_provider",
    request_body(content = ProviderInput, example = json!({
        "name": "okta", "provider_type": "okta", "issuer": "https://idp.example.com/oauth2/default",
        "dcr_config": {"dcr_token": "an API token of the provider"},
    })),
    responses((status = 201, description = "As it is now", body = ProviderBody)),
)]
pub async fn create(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    input: Input,
) -> Result<Response, Problem> {
    let mut input: ProviderInput = input.read_one_of(&CREATE, |_, _| {})?;
    let provider_type = ProviderType::parse(&input.provider_type).ok_or_else(Problem::unreadable)?;
    let secret = take_secret(provider_type, &mut input.dcr_config).ok_or_else(Problem::unreadable)?;
    let new = NewDcrProvider {
        name: input.name,
        display_name: input.display_name,
        provider_type,
        issuer: input.issuer,
        config: input.dcr_config,
        secret,
        labels: input.labels,
    };
    let mut writer = app.store.write(&actor).await?;
    let provider = writer.create_dcr_provider(new).await?;
    let revision = writer.commit().await?;
    let updated_at = provider.provider.updated_at;
    Ok(reply::written(StatusCode::CREATED, &ProviderBody::from(provider), updated_at, revision))
}

/// Read a DCR provider
#[utoipa::path(
    get, path = "/dcr-providers/{dcrProviderId}", tag = "dcr providers", operation_id = "get_dcr_provider",
    params(("dcrProviderId" = Uuid, Path)),
    responses((status = 200, description = "As it is now", body = ProviderBody)),
)]
pub async fn get(Seen(app): Seen, ids: Ids<1>) -> Result<Response, Problem> {
    let [id] = ids.0;
    let provider = app.store.dcr_provider(DcrProviderId(id)).await?.ok_or_else(Problem::not_found)?;
    let updated_at = provider.provider.updated_at;
    Ok(reply::resource(&ProviderBody::from(provider), updated_at))
}

/// Change a DCR provider
///
/// Its type never changes.
#[utoipa::path(
    patch, path = "/dcr-providers/{dcrProviderId}", tag = "dcr providers", operation_id = "update_dcr_provider",
    params(("dcrProviderId" = Uuid, Path)),
    request_body(content = ProviderChanges, example = json!({"dcr_config": {"dcr_token": "another API token"}})),
    responses((status = 200, description = "As it is now", body = ProviderBody)),
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
    let before = writer.dcr_provider(DcrProviderId(id)).await?;
    // What the changes may be depends on the provider's type.
    let mut changes: ProviderChanges = input.read(&UPDATE, |body, wrong| {
        if let Some(Value::Object(config)) = body.get("dcr_config") {
            changes_of(before.provider_type).check(config, "dcr_config", wrong);
        }
    })?;
    unless_changed.check(before.updated_at)?;
    let secret = take_secret(before.provider_type, &mut changes.dcr_config);
    let patch = DcrProviderPatch {
        name: changes.name,
        display_name: changes.display_name,
        issuer: changes.issuer,
        config: changes.dcr_config,
        secret,
        labels: changes.labels.unwrap_or_default(),
    };
    let provider = writer.update_dcr_provider(&before, patch).await?;
    let revision = writer.commit().await?;
    let updated_at = provider.provider.updated_at;
    Ok(reply::written(StatusCode::OK, &ProviderBody::from(provider), updated_at, revision))
}

/// Delete a DCR provider that nothing uses
#[utoipa::path(
    delete, path = "/dcr-providers/{dcrProviderId}", tag = "dcr providers", operation_id = "delete_dcr_provider",
    params(("dcrProviderId" = Uuid, Path)),
    responses(
        (status = 204, description = "Deleted"),
        (status = 409, description = "An auth strategy or the client of an application needs it; nothing has changed"),
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
    let before = writer.dcr_provider(DcrProviderId(id)).await?;
    unless_changed.check(before.updated_at)?;
    writer.delete_dcr_provider(&before).await?;
    Ok(reply::done(writer.commit().await?))
}
