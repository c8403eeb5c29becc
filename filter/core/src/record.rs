//! What the admin extension tells a gateway: one record per credential, one per service, one per issuer of tokens.
//!
//! A credential's record answers the whole question with one look-up: whose it is, until when it holds, and which
//! services its application is connected to. A service's record says how callers of that service authenticate, an
//! issuer's by which keys its tokens are known.

use serde::{Deserialize, Serialize};

use crate::ids::{ApplicationId, ConnectionId, ConsumerId, CredentialId, DeveloperId, ServiceId, StrategyId};

/// A record of the feed. On the wire `{"credential": {…}}`, `{"service": {…}}` or `{"issuer": {…}}`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    Credential(CredentialRecord),
    Service(ServiceRecord),
    Issuer(IssuerRecord),
}

impl Record {
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Credential(_) => Kind::Credential,
            Self::Service(_) => Kind::Service,
            Self::Issuer(_) => Kind::Issuer,
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

/// A strategy's configuration. On the wire `{"key_auth": {…}}` or `{"openid_connect": {…}}`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StrategyConfig {
    KeyAuth(KeyAuthConfig),
    #[serde(rename = "openid_connect")]
    OpenIdConnect(OpenIdConnectConfig),
}

/// How a token says whose it is, and what it must be; the members and defaults of Kong's `openid-connect` plugin that
/// say something about applications. A claim's name is a path into the token.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OpenIdConnectConfig {
    /// As it was given: what the issuer's record is kept under ([`IssuerRecord::configured`]).
    pub issuer: String,
    /// Such as `bearer`, `client_credentials` and `introspection`.
    #[serde(default)]
    pub auth_methods: Vec<String>,
    /// Where a token holds the client id of its application.
    #[serde(default = "sub")]
    pub credential_claim: Vec<String>,
    /// What is asked for where the filter gets a token for its caller.
    #[serde(default)]
    pub scopes: Vec<String>,
    #[serde(default = "scope")]
    pub scopes_claim: Vec<String>,
    /// One of these must hold, each all of its words.
    #[serde(default)]
    pub scopes_required: Vec<String>,
    #[serde(default = "aud")]
    pub audience_claim: Vec<String>,
    #[serde(default)]
    pub audience_required: Vec<String>,
    #[serde(default = "groups")]
    pub groups_claim: Vec<String>,
    #[serde(default)]
    pub groups_required: Vec<String>,
    #[serde(default = "roles")]
    pub roles_claim: Vec<String>,
    #[serde(default)]
    pub roles_required: Vec<String>,
    #[serde(default)]
    pub consumer_claim: Vec<String>,
    #[serde(default)]
    pub consumer_by: Vec<String>,
    /// Seconds that clocks may differ.
    #[serde(default)]
    pub leeway: u64,
    /// Longest time since the token was issued, in seconds.
    #[serde(default)]
    pub maximum_age: Option<u64>,
    #[serde(default)]
    pub hide_credentials: bool,
}

fn path_of(name: &str) -> Vec<String> {
    vec![name.to_owned()]
}
fn sub() -> Vec<String> {
    path_of("sub")
}
fn scope() -> Vec<String> {
    path_of("scope")
}
fn aud() -> Vec<String> {
    path_of("aud")
}
fn groups() -> Vec<String> {
    path_of("groups")
}
fn roles() -> Vec<String> {
    path_of("roles")
}

/// What is known of an issuer of tokens (OpenID Connect Discovery 1.0, RFC 8414).
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
