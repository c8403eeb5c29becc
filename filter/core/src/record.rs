//! What the admin extension tells a gateway: one record per credential, one per service, one per issuer of tokens, one
//! per access token that the admin extension gave out itself.
//!
//! A credential's record answers the whole question with one look-up: whose it is, until when it holds, and which
//! services its application is connected to. A service's record says how callers of that service authenticate, an
//! issuer's by which keys its tokens are known, a token's whose credential it stands for.

use serde::{Deserialize, Serialize};

use crate::digest::{KeyDigest, Masked};
use crate::ids::{ApplicationId, ConnectionId, ConsumerId, CredentialId, DeveloperId, ServiceId, StrategyId};

/// A record of the feed. On the wire `{"credential": {…}}`, `{"service": {…}}`, `{"issuer": {…}}` or `{"token": {…}}`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    Credential(CredentialRecord),
    Service(ServiceRecord),
    Issuer(IssuerRecord),
    Token(TokenRecord),
}

impl Record {
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Credential(_) => Kind::Credential,
            Self::Service(_) => Kind::Service,
            Self::Issuer(_) => Kind::Issuer,
            Self::Token(_) => Kind::Token,
        }
    }
}

/// What a record is about. Service and issuer records are *policy*: workers cache them until the policy revision moves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Credential,
    Service,
    Issuer,
    Token,
}

impl Kind {
    /// Whether workers must forget what they cached when a record of the kind changes.
    pub const fn is_policy(self) -> bool {
        matches!(self, Self::Service | Self::Issuer)
    }
}

/// A credential, its owner, and the application's connections.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CredentialRecord {
    pub credential: CredentialId,
    pub application: ApplicationId,
    pub developer: DeveloperId,
    pub consumer: ConsumerId,
    /// The application's own name for itself (`custom_id`); at most [`CredentialRecord::CUSTOM_ID_MAX`] bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_id: Option<String>,
    /// Milliseconds since the Unix epoch; from that instant on the credential is unknown. Absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
    /// Whether the developer has status 0 (approved). If not, none of the developer's applications gets through.
    pub developer_approved: bool,
    /// The application's connections, at most [`CredentialRecord::CONNECTIONS_MAX`].
    pub connections: Vec<Connection>,
}

impl CredentialRecord {
    /// Longest `custom_id`, in bytes.
    pub const CUSTOM_ID_MAX: usize = 255;
    /// Most connections of one application.
    pub const CONNECTIONS_MAX: usize = 1000;
}

/// One application's connection to one service.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Connection {
    pub service: ServiceId,
    pub connection: ConnectionId,
    pub status: ConnectionStatus,
    /// Held back although its status may be approved.
    #[serde(default)]
    pub suspended: bool,
}

/// Where a connection stands. Only `Approved` (and not suspended) lets traffic through.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionStatus {
    /// 0 in the legacy API.
    Approved,
    /// 1 in the legacy API: requested, waiting for a decision.
    Pending,
    /// 2 in the legacy API.
    Rejected,
    /// 3 in the legacy API: was approved, is no longer.
    Revoked,
}

impl ConnectionStatus {
    pub const ALL: [Self; 4] = [Self::Approved, Self::Pending, Self::Rejected, Self::Revoked];

    /// As it is written.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Pending => "pending",
            Self::Rejected => "rejected",
            Self::Revoked => "revoked",
        }
    }
}

/// How callers of a service authenticate. A service without strategies is refused by the filter, unless it is open.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ServiceRecord {
    pub service: ServiceId,
    /// In the order in which they are tried.
    pub strategies: Vec<Strategy>,
    /// An operator took the last strategy away: everybody gets in, without an identity. Counts only where there is no
    /// strategy.
    #[serde(default, skip_serializing_if = "is_false")]
    pub open: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// One strategy in force on a service.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Strategy {
    /// The scope of the strategy's credentials: a key is known under this id and no other.
    pub id: StrategyId,
    pub config: StrategyConfig,
}

/// An access token of Kong's OAuth 2.0 (RFC 6749), known by [`KeyDigest::of_access_token`]. It says nothing of
/// connections: those are in the record of the client it was given to, so that whatever ends the client's access ends
/// the token's.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TokenRecord {
    /// Where the record of the client's credential is kept.
    pub credential: KeyDigest,
    /// The service it was given out for; absent: any service with `global_credentials`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceId>,
    /// Milliseconds since the Unix epoch; from that instant on the token is unknown. Absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
    /// At most [`TokenRecord::TEXT_MAX`] bytes, as the two below. To be read with the token only, because where keys are
    /// asked for a client's id is one.
    pub client_id: Masked,
    /// Words with a space between.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The end user for whom the client acts, in the words of whoever holds the provision key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authenticated_userid: Option<String>,
}

impl TokenRecord {
    /// Longest text of a token's record, in bytes.
    pub const TEXT_MAX: usize = 4096;
}

/// A strategy's configuration. On the wire `{"key_auth": {…}}`, `{"openid_connect": {…}}` or `{"oauth2": {…}}`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StrategyConfig {
    KeyAuth(KeyAuthConfig),
    #[serde(rename = "openid_connect")]
    OpenIdConnect(Box<OpenIdConnectConfig>),
    #[serde(rename = "oauth2")]
    OAuth2(OAuth2Config),
}

/// How a token says whose it is, and what it must be; the members and defaults of Kong's `openid-connect` plugin that
/// say something about applications. A claim's name is a path into the token.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "the plugin's own configuration has these switches")]
pub struct OpenIdConnectConfig {
    /// As it was given: what the issuer's record is kept under ([`IssuerRecord::configured`]).
    pub issuer: String,
    /// What `iss` may be instead of the issuer's own name; empty: that name only.
    pub issuers_allowed: Vec<String>,
    /// `bearer`, `client_credentials` and `introspection` are supported.
    pub auth_methods: Vec<String>,
    /// Where a token is looked for: `header`, `query`, `body`.
    pub bearer_token_param_type: Vec<String>,
    /// Where a client's id and secret are looked for: `header`, `query`, `body`.
    pub client_credentials_param_type: Vec<String>,
    /// Where a token holds the client id of its application.
    pub credential_claim: Vec<String>,
    /// What is asked for where the filter gets a token for its caller.
    pub scopes: Vec<String>,
    /// Whom a token is asked for, where the filter gets one.
    pub audience: Vec<String>,
    /// Further arguments of such a request, name by name with [`Self::token_post_args_values`].
    pub token_post_args_names: Vec<String>,
    pub token_post_args_values: Vec<String>,
    /// Where to get it, if not where the issuer says.
    pub token_endpoint: Option<String>,
    /// `client_secret_basic` or `client_secret_post`; absent: what the issuer takes, Basic if it takes both.
    pub token_endpoint_auth_method: Option<String>,
    /// How long an issuer may take to answer, in milliseconds.
    pub timeout: u64,
    pub scopes_claim: Vec<String>,
    /// One of these must hold, each all of its words.
    pub scopes_required: Vec<String>,
    pub audience_claim: Vec<String>,
    pub audience_required: Vec<String>,
    pub groups_claim: Vec<String>,
    pub groups_required: Vec<String>,
    pub roles_claim: Vec<String>,
    pub roles_required: Vec<String>,
    /// Members that a token must not have.
    pub claims_forbidden: Vec<String>,
    /// Where a token holds the `custom_id` of its application; empty: nowhere.
    pub consumer_claim: Vec<String>,
    /// Only `custom_id` finds an application.
    pub consumer_by: Vec<String>,
    /// Seconds that clocks may differ.
    pub leeway: u64,
    /// Longest time since the token was issued, in seconds.
    pub maximum_age: Option<u64>,
    /// Ask the issuer about JSON Web Tokens too, where `introspection` is among the methods.
    pub introspect_jwt_tokens: bool,
    /// Keep what the issuer said of a token, for [`Self::cache_ttl`] seconds at most and never beyond the token's end.
    pub cache_introspection: bool,
    /// Keep tokens that were got for a client, within the same bounds.
    pub cache_tokens: bool,
    pub cache_ttl: u64,
    /// Whether `OPTIONS` requests must authenticate too; if not, they pass untouched.
    pub run_on_preflight: bool,
    /// Keep the token, or the client's secret, from the upstream.
    pub hide_credentials: bool,
}

impl Default for OpenIdConnectConfig {
    fn default() -> Self {
        let list = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let anywhere = list(&["header", "query", "body"]);
        Self {
            issuer: String::new(),
            issuers_allowed: Vec::new(),
            auth_methods: Vec::new(),
            bearer_token_param_type: anywhere.clone(),
            client_credentials_param_type: anywhere,
            credential_claim: list(&["sub"]),
            scopes: Vec::new(),
            audience: Vec::new(),
            token_post_args_names: Vec::new(),
            token_post_args_values: Vec::new(),
            token_endpoint: None,
            token_endpoint_auth_method: None,
            timeout: 10_000,
            scopes_claim: list(&["scope"]),
            scopes_required: Vec::new(),
            audience_claim: list(&["aud"]),
            audience_required: Vec::new(),
            groups_claim: list(&["groups"]),
            groups_required: Vec::new(),
            roles_claim: list(&["roles"]),
            roles_required: Vec::new(),
            claims_forbidden: Vec::new(),
            consumer_claim: Vec::new(),
            consumer_by: list(&["username", "custom_id"]),
            leeway: 0,
            maximum_age: None,
            introspect_jwt_tokens: false,
            cache_introspection: true,
            cache_tokens: true,
            cache_ttl: 3600,
            run_on_preflight: true,
            hide_credentials: false,
        }
    }
}

/// Where an access token of Kong's OAuth 2.0 is looked for and what becomes of it; the members and defaults of Kong's
/// `oauth2` plugin that matter where a token is used. Giving tokens out is the admin extension's business.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct OAuth2Config {
    /// The header a token stands in, `Bearer …`, `token …` or bare.
    pub auth_header_name: String,
    /// Take tokens that were given out for other services with the same setting, and give out such.
    pub global_credentials: bool,
    /// Keep the token from the upstream.
    pub hide_credentials: bool,
    /// The `realm` of `WWW-Authenticate`; as in [`KeyAuthConfig::realm`].
    pub realm: Option<String>,
}

impl Default for OAuth2Config {
    fn default() -> Self {
        Self {
            auth_header_name: "authorization".into(),
            global_credentials: false,
            hide_credentials: false,
            realm: None,
        }
    }
}

/// What is known of an issuer of tokens (`OpenID` Connect Discovery 1.0, RFC 8414).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct IssuerRecord {
    /// As strategies name it ([`OpenIdConnectConfig::issuer`]).
    pub configured: String,
    /// As it names itself: what a token's `iss` must be, exactly.
    pub issuer: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_endpoint: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub introspection_endpoint: Option<String>,
    /// How clients may authenticate at the token endpoint (`token_endpoint_auth_methods_supported`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token_endpoint_auth_methods: Vec<String>,
    /// The algorithms it signs with (`id_token_signing_alg_values_supported`): for keys that name none themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub algorithms: Vec<String>,
    /// Its public keys, each a JSON Web Key (RFC 7517); asymmetric ones only.
    pub keys: Vec<serde_json::Value>,
}

/// Where an API key is looked for and what becomes of it; the members and defaults of Kong's `key-auth` plugin.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "the plugin's own configuration has these switches")]
pub struct KeyAuthConfig {
    /// Names of the header, query argument or body field, tried in order. 1 to 10 names of `[A-Za-z0-9_-]{1,256}`.
    pub key_names: Vec<String>,
    pub key_in_header: bool,
    pub key_in_query: bool,
    /// Form, JSON and multipart bodies.
    pub key_in_body: bool,
    /// Keep the key from the upstream.
    pub hide_credentials: bool,
    /// Whether `OPTIONS` requests must authenticate too; if not, they pass untouched.
    pub run_on_preflight: bool,
    /// The `realm` of `WWW-Authenticate`; at most 256 printable ASCII characters without `"` and `\`.
    pub realm: Option<String>,
}

impl Default for KeyAuthConfig {
    fn default() -> Self {
        Self {
            key_names: vec!["apikey".into()],
            key_in_header: true,
            key_in_query: true,
            key_in_body: false,
            hide_credentials: false,
            run_on_preflight: true,
            realm: None,
        }
    }
}
