//! What the admin extension tells a gateway: one record per credential and one per service.
//!
//! A credential's record answers the whole question with one look-up: whose it is, until when it holds, and which
//! services its application is connected to. A service's record says how callers of that service authenticate.

use serde::{Deserialize, Serialize};

use crate::ids::{ApplicationId, ConnectionId, ConsumerId, CredentialId, DeveloperId, ServiceId, StrategyId};

/// A record of the feed. On the wire `{"credential": {…}}` or `{"service": {…}}`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    Credential(CredentialRecord),
    Service(ServiceRecord),
}

impl Record {
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Credential(_) => Kind::Credential,
            Self::Service(_) => Kind::Service,
        }
    }
}

/// What a record is about. Service records are *policy*: workers cache them until the policy revision moves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Credential,
    Service,
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

/// How callers of a service authenticate. A service without strategies is refused by the filter.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ServiceRecord {
    pub service: ServiceId,
    /// In the order in which they are tried.
    pub strategies: Vec<Strategy>,
}

/// One strategy in force on a service.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Strategy {
    /// The scope of the strategy's credentials: a key is known under this id and no other.
    pub id: StrategyId,
    pub config: StrategyConfig,
}

/// A strategy's configuration. On the wire `{"key_auth": {…}}`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StrategyConfig {
    KeyAuth(KeyAuthConfig),
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
