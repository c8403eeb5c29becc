//! Services: what applications connect to. A service here carries the id it has at the gateway.

use app_auth_core::ids::ServiceId;
use app_auth_core::record::KeyAuthConfig;

use super::Update;
use super::ambient::Timestamp;
use super::oauth2::OAuth2Settings;
use super::rules::{self, Invalid};

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Service {
    pub id: ServiceId,
    /// Unique.
    pub name: String,
    /// Whether new connections are approved at once.
    pub auto_approve: bool,
    /// Absent: API keys open nothing.
    pub key_auth: Option<KeyAuthConfig>,
    /// Absent: access tokens open nothing, and there are none to get.
    pub oauth2: Option<OAuth2Settings>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Service {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        rules::text("name", &self.name, rules::NAME_MAX)?;
        if self.key_auth.is_none() && self.oauth2.is_none() {
            return Err(Invalid::new("key_auth", "required where there is no oauth2"));
        }
        self.key_auth.iter().try_for_each(check_key_auth)?;
        self.oauth2.iter().try_for_each(OAuth2Settings::check)
    }
}

/// Whether a filter can look for a key under this name.
pub fn is_key_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (1..=256).contains(&name.len()) && name.chars().all(fits)
}

/// The rules [`KeyAuthConfig`] states for its members.
fn check_key_auth(config: &KeyAuthConfig) -> Result<(), Invalid> {
    if config.key_names.is_empty() {
        return Err(Invalid::new("key_auth.key_names", "length must be at least 1"));
    }
    if config.key_names.len() > 10 {
        return Err(Invalid::new("key_auth.key_names", "length must be at most 10"));
    }
    if !config.key_names.iter().all(|name| is_key_name(name)) {
        return Err(Invalid::new(
            "key_auth.key_names",
            "bad header name: expected 1 to 256 of the characters A-Z, a-z, 0-9, '-' and '_'",
        ));
    }
    check_realm("key_auth.realm", config.realm.as_deref())
}

/// What a quoted string of `WWW-Authenticate` holds without escapes.
pub(super) fn check_realm(field: &'static str, realm: Option<&str>) -> Result<(), Invalid> {
    let fits = |c: char| (c.is_ascii_graphic() || c == ' ') && c != '"' && c != '\\';
    match realm {
        Some(realm) if realm.len() > 256 || !realm.chars().all(fits) => {
            Err(Invalid::new(field, "expected at most 256 printable characters without '\"' and '\\'"))
        }
        _ => Ok(()),
    }
}

/// How a path names a service: by id or by name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ServiceRef {
    Id(ServiceId),
    Name(String),
}

impl ServiceRef {
    /// A UUID is an id, anything else a name.
    pub fn parse(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Name(text.to_owned()), Self::Id)
    }
}

impl From<ServiceId> for ServiceRef {
    fn from(id: ServiceId) -> Self {
        Self::Id(id)
    }
}

/// A service to be registered, or the whole of what replaces it.
#[derive(Clone, Debug)]
pub struct NewService {
    /// The id the service has at the gateway. Absent: a random one.
    pub id: Option<ServiceId>,
    pub name: String,
    pub auto_approve: bool,
    pub key_auth: Option<KeyAuthConfig>,
    pub oauth2: Option<OAuth2Settings>,
}

impl NewService {
    /// With API keys, as services are where nobody says otherwise.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            id: None,
            name: name.into(),
            auto_approve: false,
            key_auth: Some(KeyAuthConfig::default()),
            oauth2: None,
        }
    }
}

/// A change to a service; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct ServicePatch {
    pub name: Option<String>,
    pub auto_approve: Option<bool>,
    pub key_auth: Update<KeyAuthConfig>,
    pub oauth2: Update<OAuth2Settings>,
}
