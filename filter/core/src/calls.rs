//! What a gateway asks the admin extension while a request waits: JSON over HTTP, bearer gateway token, `POST`. None of it
//! is asked for a request that has been seen before; see [`crate::gate`] for when.
//!
//! * [`REFRESH_ISSUER`]: a token names a key that its issuer's record does not have. The answer comes when what could be
//!   learned is in the feed and has been applied, or when that takes too long.
//! * [`INTROSPECT`]: what the issuer says of an opaque token (RFC 7662). The answer is the issuer's own. The secret that the
//!   question needs never leaves the admin extension.
//! * [`OAUTH2_TOKEN`]: a request to Kong's OAuth 2.0 token endpoint, and the answer to relay.
//! * [`WAIT`]: nothing, a moment later. One gateway lets a request wait for nothing but an answer.
//!
//! Whatever is not answered with 200 has failed, and says nothing about the caller.

use serde::{Deserialize, Serialize};

use crate::ids::{ServiceId, StrategyId};

pub const REFRESH_ISSUER: &str = "/gateway/v1/issuers/refresh";
pub const INTROSPECT: &str = "/gateway/v1/introspect";
pub const OAUTH2_TOKEN: &str = "/gateway/v1/oauth2/token";
/// With `?milliseconds=`, at most [`WAIT_MAX_MILLISECONDS`]; answers 204.
pub const WAIT: &str = "/gateway/v1/wait";

pub const WAIT_MAX_MILLISECONDS: u64 = 1_000;

/// How long the admin extension may take over one of these, in milliseconds. It ends its own work before.
pub const PATIENCE_MILLISECONDS: u32 = 15_000;

/// Body of [`REFRESH_ISSUER`]; the answer is `{}`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RefreshIssuer {
    /// As strategies name it.
    pub issuer: String,
}

/// Body of [`INTROSPECT`]; the answer is what the issuer answered, at most [`INTROSPECTION_MAX`] bytes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Introspect {
    /// The strategy the token was presented to: it says which issuer, and as which client to ask.
    pub strategy: StrategyId,
    /// Secret.
    pub token: String,
}

/// Longest answer about a token, in bytes.
pub const INTROSPECTION_MAX: usize = 64 << 10;

/// Body of [`OAUTH2_TOKEN`]: what the caller sent. Secret in most of its parts.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRequest {
    pub service: ServiceId,
    pub method: String,
    /// Whether the caller's connection was encrypted, as far as the gateway knows.
    pub https: bool,
    /// `X-Forwarded-Proto`, each of its values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forwarded_proto: Vec<String>,
    /// Of the request target, without `?`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub query: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// The header that the service's `auth_header_name` names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
}

/// Longest body of a token request, in bytes.
pub const TOKEN_REQUEST_BODY_MAX: usize = 64 << 10;

/// Answer of [`OAUTH2_TOKEN`]: what the caller gets.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenAnswer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}
