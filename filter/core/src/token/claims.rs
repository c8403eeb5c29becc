//! What a token says, or what its issuer says of it (RFC 7662): claims, looked up by path. Knows no rule about what
//! they must be.

use std::borrow::Cow;
use std::fmt;

use serde_json::{Map, Value};

use super::json;

/// Longest JSON text that claims are read from, in bytes.
pub const CLAIMS_MAX: usize = 64 << 10;

/// Not what it should be. Says nothing of what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// Claims of somebody, whose `Debug` shows none of them.
#[derive(Clone, PartialEq)]
pub struct Claims(Map<String, Value>);

impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Claims({})", self.0.len())
    }
}

impl Claims {
    /// From a token's payload or an introspection answer: a JSON object, read strictly.
    pub fn from_json(json: &[u8]) -> Result<Self, Malformed> {
        if json.len() > CLAIMS_MAX {
            return Err(Malformed);
        }
        json::object(json).map(Self)
    }

    /// The claim at the end of a path of member names, of which all but the last name objects.
    pub fn at(&self, path: &[String]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        rest.iter().try_fold(self.0.get(first)?, |value, name| value.as_object()?.get(name))
    }

    /// A claim that names something: a string that is not empty, or an integer as text.
    pub fn text(&self, path: &[String]) -> Option<Cow<'_, str>> {
        match self.at(path)? {
            Value::String(text) if !text.is_empty() => Some(Cow::Borrowed(text)),
            Value::Number(number) if !number.is_f64() => Some(Cow::Owned(number.to_string())),
            _ => None,
        }
    }

    /// A claim that lists words: a string of words with spaces between them, or an array of strings, each one word.
    pub fn words(&self, path: &[String]) -> Vec<String> {
        match self.at(path) {
            Some(Value::String(text)) => {
                text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
            }
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        }
    }

    /// A `NumericDate` (RFC 7519, section 2) in milliseconds since the Unix epoch, at most as far away as the type can say.
    pub fn time(&self, name: &str) -> Result<Option<i64>, Malformed> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::Number(seconds)) => milliseconds(seconds).map(Some),
            Some(_) => Err(Malformed),
        }
    }

    /// Who issued it (`iss`).
    pub fn issuer(&self) -> Option<&str> {
        self.0.get("iss").and_then(Value::as_str)
    }

    /// Whether they are those of a token that is no access token, whatever its header said.
    pub(super) fn say_another_purpose(&self) -> bool {
        // What only ID tokens have (OpenID Connect Core 1.0, sections 3.1.3.6, 3.3.2.11 and FAPI).
        let hashes = ["at_hash", "c_hash", "s_hash"];
        // Keycloak tells its tokens apart by a claim of this name.
        let typ = self.0.get("typ").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
        // A nonce is sent to be found in an ID token; what grants something to somebody has scopes.
        let scopes = ["scope", "scp"];
        let nonce = self.0.contains_key("nonce") && !scopes.iter().any(|name| self.0.contains_key(*name));
        // OpenID Connect Back-Channel Logout 1.0, section 2.4.
        let events = self.0.get("events").and_then(Value::as_object);
        let logout = "http://schemas.openid.net/event/backchannel-logout";
        hashes.iter().any(|name| self.0.contains_key(*name))
            || matches!(typ.as_str(), "id" | "refresh" | "offline" | "logout")
            || nonce
            || events.is_some_and(|events| events.contains_key(logout))
    }
}

fn milliseconds(seconds: &serde_json::Number) -> Result<i64, Malformed> {
    if let Some(seconds) = seconds.as_i64() {
        return Ok(seconds.saturating_mul(1000));
    }
    if seconds.is_u64() {
        return Ok(i64::MAX);
    }
    let seconds = seconds.as_f64().ok_or(Malformed)?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "it saturates, and a fraction of a millisecond is nothing"
    )]
    Ok((seconds * 1000.0).floor() as i64)
}
