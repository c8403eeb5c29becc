//! The settings of the console: where it is, how long people stay signed in, and the OpenID provider they may sign in at.

use std::time::Duration;

use url::Url;

use super::values::{ConfigError, value, wrong};
use super::{Settings, url};
use crate::api::console::{ConsoleSettings, PREFIX};
use crate::idp::{RoleRule, SignInConfig, is_issuer};
use crate::store::SessionLimits;

/// Longest word among these settings, in bytes.
const WORD_MAX: usize = 512;
/// Most values that give a role.
const VALUES_MAX: usize = 100;

pub(super) fn console(settings: &Settings) -> Result<ConsoleSettings, ConfigError> {
    Ok(ConsoleSettings { url: value!(settings.console_url).read(console_url)? })
}

pub(super) fn sessions(settings: &Settings) -> Result<SessionLimits, ConfigError> {
    // The time of last use is noted to a minute.
    let idle = value!(settings.console_session_idle).count(30, 5..=1440)?;
    let lifetime = value!(settings.console_session_lifetime).count(720, 5..=10_080)?;
    let milliseconds = |minutes| Duration::from_mins(minutes).as_millis().try_into().unwrap_or(i64::MAX);
    Ok(SessionLimits { idle_ms: milliseconds(idle), lifetime_ms: milliseconds(lifetime) })
}

/// The OpenID provider people may sign in at, if there is one.
pub(super) fn sign_in(settings: &Settings) -> Result<Option<SignInConfig>, ConfigError> {
    let issuer = value!(settings.console_oidc_issuer).read(issuer)?;
    let client_id = value!(settings.console_oidc_client_id).read(word)?;
    let client_secret = value!(settings.console_oidc_client_secret).secret();
    let scopes = value!(settings.console_oidc_scopes).read(scopes)?;
    let roles = RoleRule {
        claim: value!(settings.console_oidc_role_claim).read(word)?.unwrap_or_else(|| "roles".to_owned()),
        viewers: value!(settings.console_oidc_viewers).read(values)?.unwrap_or_default(),
        approvers: value!(settings.console_oidc_approvers).read(values)?.unwrap_or_default(),
        admins: value!(settings.console_oidc_admins).read(values)?.unwrap_or_default(),
    };
    let Some(issuer) = issuer else {
        return match client_id {
            Some(_) => Err(wrong("console_oidc_issuer", "required with console_oidc_client_id")),
            None => Ok(None),
        };
    };
    let needed = |key| wrong(key, "required with console_oidc_issuer");
    let client_id = client_id.ok_or_else(|| needed("console_oidc_client_id"))?;
    // The provider sends browsers to this address and no other.
    let mut redirect_uri =
        value!(settings.console_url).read(console_url)?.ok_or_else(|| needed("console_url"))?;
    redirect_uri.set_path(&format!("{PREFIX}/sign-in/openid/callback"));
    if roles.viewers.is_empty() && roles.approvers.is_empty() && roles.admins.is_empty() {
        let reason = "with console_oidc_issuer, at least one of console_oidc_viewers, console_oidc_approvers and \
                      console_oidc_admins is required: else nobody has a role";
        return Err(wrong("console_oidc_admins", reason));
    }
    let scopes = scopes.unwrap_or_else(|| "openid profile email".to_owned());
    Ok(Some(SignInConfig { issuer, client_id, client_secret, scopes, redirect_uri, roles }))
}

/// The console has one path, so all that can differ is what stands before it.
fn console_url(text: &str) -> Result<Url, String> {
    let expected = || format!("expected a URL like https://host{PREFIX}");
    let mut url = url(text).map_err(|_| expected())?;
    let fits = ["/", "", PREFIX].contains(&url.path())
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    url.set_path(PREFIX);
    if fits { Ok(url) } else { Err(expected()) }
}

fn issuer(text: &str) -> Result<String, &'static str> {
    if is_issuer(text) { Ok(text.to_owned()) } else { Err("expected a URL like https://login.example.com") }
}

fn word(text: &str) -> Result<String, String> {
    let fits = (1..=WORD_MAX).contains(&text.len()) && !text.chars().any(char::is_control);
    if fits { Ok(text.to_owned()) } else { Err(format!("expected 1 to {WORD_MAX} characters on one line")) }
}

fn scopes(text: &str) -> Result<String, String> {
    let text = word(text)?;
    // Without it there is no ID token.
    if text.split(' ').any(|scope| scope == "openid") {
        Ok(text)
    } else {
        Err("expected words separated by spaces, openid among them".to_owned())
    }
}

fn values(text: &str) -> Result<Vec<String>, String> {
    let values: Vec<_> = text.split(',').map(str::trim).filter(|value| !value.is_empty()).collect();
    if values.is_empty() || values.len() > VALUES_MAX {
        return Err(format!("expected 1 to {VALUES_MAX} values separated by commas"));
    }
    values.into_iter().map(word).collect()
}
