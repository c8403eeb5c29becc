//! The filter's configuration, as the gateway's operator writes it (JSON). `kong/app_auth.meta.json` is its schema.

use serde::Deserialize;

use crate::ids::ServiceId;

/// A configuration that can be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// The service to enforce; `None`: the host's own notion (Kong's `kong.service_id`).
    pub service: Option<ServiceId>,
    /// Refuse when the admin extension has not answered for this long, in seconds; 0: never.
    pub max_stale_seconds: u64,
    /// Say in `X-App-Auth-Reason` why an authenticated caller is refused.
    pub deny_reason_header: bool,
    /// Count requests by application, service and outcome, and report them.
    pub count_traffic: bool,
    pub sync: SyncConfig,
}

/// How to reach the admin extension.
#[derive(Clone, PartialEq, Eq)]
pub struct SyncConfig {
    /// `host:port` on Kong, a cluster's name on Envoy.
    pub address: String,
    /// The `Host` header.
    pub authority: String,
    pub scheme: Scheme,
    /// A gateway token of the admin extension. Secret.
    pub token: String,
    /// Name of this node in the admin extension's list; `None`: a random one.
    pub node: Option<String>,
    /// How long the admin extension may hold a feed request, in seconds.
    pub wait_seconds: u64,
    /// Time between two looks at the lease and the feed.
    pub tick_milliseconds: u32,
}

impl std::fmt::Debug for SyncConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SyncConfig")
            .field("address", &self.address)
            .field("authority", &self.authority)
            .field("scheme", &self.scheme)
            .field("node", &self.node)
            .field("wait_seconds", &self.wait_seconds)
            .field("tick_milliseconds", &self.tick_milliseconds)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    #[default]
    Http,
    Https,
}

impl Scheme {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    admin_address: String,
    admin_authority: Option<String>,
    #[serde(default)]
    admin_scheme: Scheme,
    gateway_token: String,
    service_id: Option<String>,
    node: Option<String>,
    #[serde(default)]
    max_stale_seconds: u64,
    #[serde(default = "yes")]
    deny_reason_header: bool,
    #[serde(default = "yes")]
    count_traffic: bool,
    #[serde(default = "default_tick")]
    tick_milliseconds: u32,
    #[serde(default = "default_wait")]
    wait_seconds: u64,
}

const fn yes() -> bool {
    true
}

const fn default_tick() -> u32 {
    25
}

const fn default_wait() -> u64 {
    25
}

/// What is wrong with a configuration, in words for the log. Holds no value of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadConfig(pub String);

impl std::fmt::Display for BadConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Config {
    /// Reads and checks a configuration.
    pub fn parse(json: &[u8]) -> Result<Self, BadConfig> {
        if json.trim_ascii().is_empty() {
            return Err(bad("no configuration: admin_address and gateway_token are required"));
        }
        // The parser's own message may quote the text, and with it the token; only its place is repeated.
        let raw: Raw = serde_json::from_slice(json).map_err(|error| bad(&describe(&error)))?;
        let service = match raw.service_id.as_deref() {
            None => None,
            Some(text) => Some(text.parse().map_err(|_| bad("service_id: expected a UUID"))?),
        };
        check_text("admin_address", &raw.admin_address, 255)?;
        check_text("gateway_token", &raw.gateway_token, 1024)?;
        let authority = raw.admin_authority.unwrap_or_else(|| raw.admin_address.clone());
        check_text("admin_authority", &authority, 255)?;
        if let Some(node) = &raw.node {
            check_name("node", node)?;
        }
        check_range("tick_milliseconds", u64::from(raw.tick_milliseconds), 10, 1000)?;
        check_range("wait_seconds", raw.wait_seconds, 1, crate::feed::WAIT_MAX_SECONDS)?;
        check_range("max_stale_seconds", raw.max_stale_seconds, 0, 31_536_000)?;
        if raw.max_stale_seconds != 0 && raw.max_stale_seconds < 3 {
            return Err(bad("max_stale_seconds: 0 (no limit), or at least 3"));
        }
        // Contact is made at least three times within the limit, or a quiet day would look like an outage.
        let wait_seconds = match raw.max_stale_seconds {
            0 => raw.wait_seconds,
            limit => raw.wait_seconds.min((limit / 3).max(1)),
        };
        Ok(Self {
            service,
            max_stale_seconds: raw.max_stale_seconds,
            deny_reason_header: raw.deny_reason_header,
            count_traffic: raw.count_traffic,
            sync: SyncConfig {
                address: raw.admin_address,
                authority,
                scheme: raw.admin_scheme,
                token: raw.gateway_token,
                node: raw.node,
                wait_seconds,
                tick_milliseconds: raw.tick_milliseconds,
            },
        })
    }
}

fn bad(message: &str) -> BadConfig {
    BadConfig(message.to_owned())
}

fn describe(error: &serde_json::Error) -> String {
    let text = error.to_string();
    // "missing field" and "unknown field" name members of the schema or of the operator's own making, no values.
    let safe = text.starts_with("missing field") || text.starts_with("unknown field");
    if safe {
        text
    } else {
        format!("not a valid configuration at line {} column {}", error.line(), error.column())
    }
}

fn check_text(name: &str, value: &str, max: usize) -> Result<(), BadConfig> {
    let fits = !value.is_empty() && value.len() <= max && value.bytes().all(|byte| byte.is_ascii_graphic());
    if fits {
        Ok(())
    } else {
        Err(bad(&format!("{name}: expected 1 to {max} printable characters without spaces")))
    }
}

fn check_name(name: &str, value: &str) -> Result<(), BadConfig> {
    let fits = (1..=64).contains(&value.len())
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if fits { Ok(()) } else { Err(bad(&format!("{name}: expected 1 to 64 of A-Z a-z 0-9 - _ ."))) }
}

fn check_range(name: &str, value: u64, min: u64, max: u64) -> Result<(), BadConfig> {
    if (min..=max).contains(&value) { Ok(()) } else { Err(bad(&format!("{name}: expected {min} to {max}"))) }
}
