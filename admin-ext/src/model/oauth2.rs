//! How callers of a service get access tokens of Kong's OAuth 2.0, and what holds for those; the members, defaults and
//! rules of Kong's `oauth2` plugin. What becomes of a request for a token is the business of `crate::oauth2`.

use app_auth_core::record::{OAuth2Config, TokenRecord};
use serde::{Deserialize, Serialize};

use super::rules::{self, Invalid};
use super::secret::PlainSecret;
use super::service::{check_realm, is_key_name};

/// The flows that exist, by the members that switch them on.
pub const SUPPORTED_FLOWS: &str = "enable_client_credentials and enable_password_grant";

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "the plugin's own configuration has these switches")]
pub struct OAuth2Settings {
    /// What a token may be good for.
    pub scopes: Vec<String>,
    /// Whether a request for a token must name a scope.
    pub mandatory_scope: bool,
    /// What lets a client act for an end user. Absent: made up where the settings are new, or not shown.
    #[serde(skip)]
    pub provision_key: Option<PlainSecret>,
    /// Seconds; 0: for ever.
    pub token_expiration: u64,
    pub enable_client_credentials: bool,
    pub enable_password_grant: bool,
    /// Keep the token from the upstream.
    pub hide_credentials: bool,
    /// Take the word of `X-Forwarded-Proto` that the caller's connection was encrypted.
    pub accept_http_if_already_terminated: bool,
    /// Give out tokens that are good for every service with this setting, and take such.
    pub global_credentials: bool,
    pub auth_header_name: String,
    /// Seconds; 0: for ever.
    pub refresh_token_ttl: u64,
    /// Answer the same refresh token again, instead of a new one each time.
    pub reuse_refresh_token: bool,
    pub pkce: Pkce,
    pub realm: Option<String>,
}

impl Default for OAuth2Settings {
    fn default() -> Self {
        Self {
            scopes: Vec::new(),
            mandatory_scope: false,
            provision_key: None,
            token_expiration: 7200,
            enable_client_credentials: false,
            enable_password_grant: false,
            hide_credentials: false,
            accept_http_if_already_terminated: false,
            global_credentials: false,
            auth_header_name: "authorization".into(),
            refresh_token_ttl: 14 * 24 * 3600,
            reuse_refresh_token: false,
            pkce: Pkce::Lax,
            realm: None,
        }
    }
}

/// Whether an authorization code needs a proof of who asked for it (RFC 7636).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pkce {
    None,
    #[default]
    Lax,
    Strict,
}

impl OAuth2Settings {
    /// Longest life of a token, in seconds: three years and some.
    pub const LIFE_MAX: i64 = 100_000_000;

    /// What gateways are told.
    pub fn in_force(&self) -> OAuth2Config {
        OAuth2Config {
            auth_header_name: self.auth_header_name.clone(),
            global_credentials: self.global_credentials,
            hide_credentials: self.hide_credentials,
            realm: self.realm.clone(),
        }
    }

    pub(crate) fn check(&self) -> Result<(), Invalid> {
        if !self.enable_client_credentials && !self.enable_password_grant {
            return Err(Invalid::new("oauth2", format!("at least one must be true: {SUPPORTED_FLOWS}")));
        }
        if self.mandatory_scope && self.scopes.is_empty() {
            return Err(Invalid::new("oauth2.scopes", "required field missing"));
        }
        check_scopes(&self.scopes)?;
        if !is_key_name(&self.auth_header_name) {
            return Err(Invalid::new("oauth2.auth_header_name", "bad header name"));
        }
        let life = 0..=Self::LIFE_MAX.unsigned_abs();
        for (name, seconds) in [
            ("oauth2.token_expiration", self.token_expiration),
            ("oauth2.refresh_token_ttl", self.refresh_token_ttl),
        ] {
            if !life.contains(&seconds) {
                return Err(Invalid::new(name, format!("value should be between 0 and {}", Self::LIFE_MAX)));
            }
        }
        self.provision_key.iter().try_for_each(|key| rules::key("oauth2.provision_key", key))?;
        check_realm("oauth2.realm", self.realm.as_deref())
    }
}

/// All of them together must fit the record of a token.
fn check_scopes(scopes: &[String]) -> Result<(), Invalid> {
    let field = "oauth2.scopes";
    rules::list(field, scopes, rules::NAME_MAX)?;
    if !scopes.iter().all(|scope| is_scope(scope)) {
        return Err(Invalid::new(field, "only printable ASCII characters without ' ', '\"' and '\\'"));
    }
    let length = scopes.iter().map(|scope| scope.len() + 1).sum::<usize>();
    if length > TokenRecord::TEXT_MAX {
        return Err(Invalid::new(field, format!("at most {} bytes in all", TokenRecord::TEXT_MAX)));
    }
    Ok(())
}

/// Whether a text is one scope (`scope-token` of RFC 6749 section 3.3).
pub fn is_scope(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> OAuth2Settings {
        OAuth2Settings { enable_client_credentials: true, ..OAuth2Settings::default() }
    }

    #[test]
    fn settings_that_break_a_rule_are_refused_by_the_member() {
        assert_eq!(settings().check(), Ok(()));
        let many = (0..100).map(|number| format!("{number:0100}")).collect();
        for (settings, field) in [
            (OAuth2Settings::default(), "oauth2"),
            (OAuth2Settings { mandatory_scope: true, ..settings() }, "oauth2.scopes"),
            (OAuth2Settings { scopes: vec!["a b".into()], ..settings() }, "oauth2.scopes"),
            (OAuth2Settings { scopes: many, ..settings() }, "oauth2.scopes"),
            (OAuth2Settings { auth_header_name: "a b".into(), ..settings() }, "oauth2.auth_header_name"),
            (OAuth2Settings { token_expiration: 100_000_001, ..settings() }, "oauth2.token_expiration"),
            (OAuth2Settings { realm: Some("\"".into()), ..settings() }, "oauth2.realm"),
        ] {
            assert_eq!(settings.check().map_err(|invalid| invalid.field), Err(field));
        }
    }

    #[test]
    fn what_is_kept_as_json_has_no_provision_key() {
        let settings = OAuth2Settings { provision_key: Some(PlainSecret::new("secret")), ..settings() };
        assert!(!serde_json::to_string(&settings).unwrap().contains("secret"));
    }
}
