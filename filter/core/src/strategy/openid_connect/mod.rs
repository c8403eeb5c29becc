//! `openid_connect`: the caller shows a token of an issuer, or the id and secret of a client that the issuer knows.
//! What of Kong's `openid-connect` plugin says something about applications; see [`OpenIdConnectConfig`].

pub mod exchange;
pub mod facts;
pub mod present;

use crate::gate::call::Origin;
use crate::record::OpenIdConnectConfig;
use crate::refusal::{Lacking, Unauthenticated};

pub const BEARER: &str = "bearer";
pub const CLIENT_CREDENTIALS: &str = "client_credentials";
pub const INTROSPECTION: &str = "introspection";

/// The challenges of a 401 (RFC 6750, 3; RFC 7617). The realm is the host of the issuer.
pub fn challenge(config: &OpenIdConnectConfig, cause: Option<Unauthenticated>) -> String {
    let realm = realm(config);
    let error = match cause {
        Some(Unauthenticated::InvalidToken) => ", error=\"invalid_token\"",
        Some(Unauthenticated::RepeatedToken) => ", error=\"invalid_request\"",
        _ => "",
    };
    let basic = config.auth_methods.iter().any(|method| method == CLIENT_CREDENTIALS)
        && config.client_credentials_param_type.iter().any(|place| place == "header");
    let basic = if basic { format!(", Basic realm=\"{realm}\"") } else { String::new() };
    format!("Bearer realm=\"{realm}\"{error}{basic}")
}

/// The challenge of a 403 to a token that lacks something; of a scope it says which would do.
pub fn insufficient(config: &OpenIdConnectConfig, lacking: Lacking) -> String {
    let challenge = format!("Bearer realm=\"{}\", error=\"insufficient_scope\"", realm(config));
    if lacking == Lacking::Scope
        && let Some(scope) = config.scopes_required.first()
        && scope
            .bytes()
            .all(|byte| (byte.is_ascii_graphic() || byte == b' ') && byte != b'"' && byte != b'\\')
    {
        return format!("{challenge}, scope=\"{scope}\"");
    }
    challenge
}

fn realm(config: &OpenIdConnectConfig) -> String {
    Origin::of(&config.issuer).map(|(origin, _)| origin.authority).unwrap_or_default()
}
