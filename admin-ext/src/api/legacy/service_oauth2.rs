//! The member `oauth2` of a service: how its callers get access tokens of Kong's OAuth 2.0, and what holds for those.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::conventions::problems::Problems;
use super::conventions::{Checked, Field, Kind, texts};
use crate::model::oauth2::SUPPORTED_FLOWS;
use crate::model::{OAuth2Settings, Pkce, PlainSecret, rules};

/// The members that switch a flow on, in the order in which Kong names them.
const FLOWS: [&str; 4] = [
    "enable_authorization_code",
    "enable_implicit_grant",
    "enable_client_credentials",
    "enable_password_grant",
];

/// Those of them that do not exist here.
const UNSUPPORTED: [&str; 2] = ["enable_authorization_code", "enable_implicit_grant"];

pub const FIELDS: &[Field] = &[
    Field::new(
        "scopes",
        Kind::List { of: &Kind::checked_text(rules::NAME_MAX, texts::scope), min: 0, max: rules::LIST_MAX },
    )
    .required()
    .default("[]"),
    Field::new("mandatory_scope", Kind::Boolean).required().default("false"),
    Field::new("provision_key", Kind::checked_text(PlainSecret::MAX, texts::key)),
    Field::new("token_expiration", SECONDS).required().default("7200"),
    Field::new("enable_authorization_code", Kind::Boolean).required().default("false"),
    Field::new("enable_implicit_grant", Kind::Boolean).required().default("false"),
    Field::new("enable_client_credentials", Kind::Boolean).required().default("false"),
    Field::new("enable_password_grant", Kind::Boolean).required().default("false"),
    Field::new("hide_credentials", Kind::Boolean).required().default("false"),
    Field::new("accept_http_if_already_terminated", Kind::Boolean).required().default("false"),
    Field::new("global_credentials", Kind::Boolean).required().default("false"),
    Field::new("auth_header_name", Kind::checked_text(256, texts::key_name))
        .required()
        .default("\"authorization\""),
    Field::new("refresh_token_ttl", SECONDS).required().default("1209600"),
    Field::new("reuse_refresh_token", Kind::Boolean).required().default("false"),
    Field::new("pkce", Kind::OneOf(&["none", "lax", "strict"])).required().default("\"lax\""),
    Field::new("realm", Kind::checked_text(256, texts::realm)),
];

const SECONDS: Kind = Kind::Integer { min: 0, max: OAuth2Settings::LIFE_MAX };

/// Access tokens of OAuth 2.0: how callers get them, and what holds for them.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = ServiceOAuth2)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "the settings it mirrors are switches")]
pub struct ServiceOAuth2 {
    /// Take the word of `X-Forwarded-Proto` that the caller's connection was encrypted.
    accept_http_if_already_terminated: bool,
    /// The header that a token, or a client's id and secret, stands in.
    auth_header_name: String,
    /// Not supported: only `false` is accepted.
    enable_authorization_code: bool,
    enable_client_credentials: bool,
    /// Not supported: only `false` is accepted.
    enable_implicit_grant: bool,
    enable_password_grant: bool,
    /// Give out tokens that are good for every service with this setting, and take such.
    global_credentials: bool,
    /// Keep the token from the upstream.
    hide_credentials: bool,
    /// Whether a request for a token must name a scope.
    mandatory_scope: bool,
    /// `none`, `lax` or `strict`.
    #[schema(value_type = String)]
    pkce: Pkce,
    /// What lets a client act for an end user. Absent in input: 32 random characters. Absent in answers where the server
    /// shows it only once, when it is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    provision_key: Option<String>,
    /// `realm` of `WWW-Authenticate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    realm: Option<String>,
    /// How long a token can be refreshed, in seconds; 0: for ever.
    refresh_token_ttl: u64,
    /// Answer the same refresh token again, instead of a new one each time.
    reuse_refresh_token: bool,
    /// What a token may be good for.
    #[schema(max_items = 100)]
    scopes: Vec<String>,
    /// How long a token is good, in seconds; 0: for ever.
    token_expiration: u64,
}

impl Default for ServiceOAuth2 {
    fn default() -> Self {
        OAuth2Settings::default().into()
    }
}

impl From<OAuth2Settings> for ServiceOAuth2 {
    fn from(settings: OAuth2Settings) -> Self {
        Self {
            accept_http_if_already_terminated: settings.accept_http_if_already_terminated,
            auth_header_name: settings.auth_header_name,
            enable_authorization_code: false,
            enable_client_credentials: settings.enable_client_credentials,
            enable_implicit_grant: false,
            enable_password_grant: settings.enable_password_grant,
            global_credentials: settings.global_credentials,
            hide_credentials: settings.hide_credentials,
            mandatory_scope: settings.mandatory_scope,
            pkce: settings.pkce,
            provision_key: settings.provision_key.map(|key| key.expose().to_owned()),
            realm: settings.realm,
            refresh_token_ttl: settings.refresh_token_ttl,
            reuse_refresh_token: settings.reuse_refresh_token,
            scopes: settings.scopes,
            token_expiration: settings.token_expiration,
        }
    }
}

impl From<ServiceOAuth2> for OAuth2Settings {
    fn from(body: ServiceOAuth2) -> Self {
        Self {
            scopes: body.scopes,
            mandatory_scope: body.mandatory_scope,
            provision_key: body.provision_key.map(PlainSecret::new),
            token_expiration: body.token_expiration,
            enable_client_credentials: body.enable_client_credentials,
            enable_password_grant: body.enable_password_grant,
            hide_credentials: body.hide_credentials,
            accept_http_if_already_terminated: body.accept_http_if_already_terminated,
            global_credentials: body.global_credentials,
            auth_header_name: body.auth_header_name,
            refresh_token_ttl: body.refresh_token_ttl,
            reuse_refresh_token: body.reuse_refresh_token,
            pkce: body.pkce,
            realm: body.realm,
        }
    }
}

/// The rules that concern several members, and what is not supported.
pub fn check(mut checked: Checked) -> Checked {
    let Some(oauth2) = checked.get("oauth2").filter(|oauth2| oauth2.is_object()) else { return checked };
    let on = |name: &&str| oauth2.get(*name) == Some(&Value::Bool(true));
    let mut problems: BTreeMap<String, Problems> = UNSUPPORTED
        .iter()
        .filter(|name| on(name))
        .map(|name| ((*name).to_owned(), Problems::Here(format!("not supported; use {SUPPORTED_FLOWS}"))))
        .collect();
    let mut entity = None;
    if !FLOWS.iter().any(on) {
        let names = FLOWS.join(", ");
        entity = Some(Problems::entity(format!("at least one of these fields must be true: {names}")));
    }
    if on(&"mandatory_scope") && oauth2.get("scopes").and_then(Value::as_array).is_none_or(Vec::is_empty) {
        problems.insert("scopes".to_owned(), Problems::Here("required field missing".into()));
    }
    let found = match (entity, problems.is_empty()) {
        (None, true) => return checked,
        (None, false) => Problems::Members(problems),
        (Some(entity), _) => entity.and(Problems::Members(problems)),
    };
    checked.refuse("oauth2", found);
    checked
}
