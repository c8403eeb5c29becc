//! What an issuer says of itself (OpenID Connect Discovery 1.0, RFC 8414) and its public keys (RFC 7517). Only what
//! somebody here needs is kept, and of keys only what everybody may know.

use std::time::Duration;

use reqwest::header::{self, HeaderMap};
use serde_json::{Map, Value};
use url::Url;

use super::http::{Call, CallError, Calls, below, text};

const WELL_KNOWN: &str = "/.well-known/openid-configuration";
/// Most keys of one issuer.
const KEYS_MAX: usize = 50;
/// Most bytes of all of them as JSON: the gateways keep an issuer in one piece.
const KEYS_ROOM: usize = 48 << 10;
/// Longest member of a key: of an RSA modulus of 16384 bits.
const MEMBER_MAX: usize = 2752;
/// Longest member of the metadata.
const URL_MAX: usize = 2048;
/// What is kept of the metadata besides the issuer's name.
const KEPT: [&str; 5] =
    ["jwks_uri", "token_endpoint", "introspection_endpoint", "registration_endpoint", "userinfo_endpoint"];
/// Lists that are kept, of words that are short.
const KEPT_LISTS: [&str; 3] = [
    "token_endpoint_auth_methods_supported",
    "introspection_endpoint_auth_methods_supported",
    "id_token_signing_alg_values_supported",
];
const LIST_MAX: usize = 50;
const WORD_MAX: usize = 64;
/// The public members of asymmetric keys (RFC 7518, 6.2 and 6.3; RFC 8037).
const PUBLIC: [&str; 9] = ["kty", "use", "alg", "kid", "crv", "x", "y", "n", "e"];

/// An issuer's metadata and keys.
#[derive(Clone, PartialEq, Debug)]
pub struct Discovered {
    pub metadata: Map<String, Value>,
    pub keys: Vec<Value>,
    /// How long the keys are good for, in the issuer's words.
    pub max_age: Option<Duration>,
}

/// An issuer's metadata and keys. `issuer` is its name, or the whole address of its metadata.
pub async fn discover(calls: &Calls, issuer: &str) -> Result<Discovered, CallError> {
    let metadata = metadata(calls, issuer).await?;
    let jwks = metadata.get("jwks_uri").and_then(Value::as_str);
    // Whoever gives out opaque tokens only needs no keys.
    if jwks.is_none() && metadata.contains_key("introspection_endpoint") {
        return Ok(Discovered { metadata, keys: Vec::new(), max_age: None });
    }
    let jwks = jwks.ok_or_else(|| CallError::Failed("its metadata has no jwks_uri".into()))?;
    let (keys, max_age) = keys(calls, &address(jwks)?).await?;
    Ok(Discovered { metadata, keys, max_age })
}

/// An issuer's public keys, and how long they are good for in its words.
pub async fn keys(calls: &Calls, jwks_uri: &Url) -> Result<(Vec<Value>, Option<Duration>), CallError> {
    let answer = calls.send(Call::get(jwks_uri.clone())).await?;
    let keys = public_keys(&answer.body)
        .ok_or_else(|| CallError::Failed("what its jwks_uri answers is no set of keys".into()))?;
    Ok((keys, max_age(&answer.headers)))
}

/// What somebody needs to know of an issuer to sign in there.
#[derive(Clone, Debug)]
pub struct Published {
    /// As it names itself.
    pub issuer: String,
    pub authorization_endpoint: Url,
    pub token_endpoint: Url,
    pub userinfo_endpoint: Option<Url>,
    pub jwks_uri: Url,
    /// What it signs ID tokens with.
    pub algorithms: Vec<String>,
    token_auth_methods: Vec<String>,
    /// Whether it says who it is when a browser comes back from it (RFC 9207).
    pub names_itself: bool,
}

impl Published {
    /// Whether a client names itself in the `Authorization` header, which is what holds where nothing is said.
    pub fn takes_basic(&self) -> bool {
        let has = |method: &str| self.token_auth_methods.iter().any(|known| known == method);
        has("client_secret_basic") || !has("client_secret_post")
    }
}

/// What an issuer says to those who want to sign in there.
pub async fn published(calls: &Calls, issuer: &str) -> Result<Published, CallError> {
    let (name, body) = document(calls, issuer).await?;
    let words = |member: &str| {
        let words = body.get(member).and_then(Value::as_array).into_iter().flatten();
        words.filter_map(Value::as_str).take(LIST_MAX).map(str::to_owned).collect()
    };
    let url = |member: &str| {
        let url = text(&body, member).filter(|value| value.len() <= URL_MAX);
        address(&url.ok_or_else(|| CallError::Failed(format!("its metadata has no {member}")))?)
    };
    Ok(Published {
        issuer: name,
        authorization_endpoint: url("authorization_endpoint")?,
        token_endpoint: url("token_endpoint")?,
        userinfo_endpoint: url("userinfo_endpoint").ok(),
        jwks_uri: url("jwks_uri")?,
        algorithms: words("id_token_signing_alg_values_supported"),
        token_auth_methods: words("token_endpoint_auth_methods_supported"),
        names_itself: body.get("authorization_response_iss_parameter_supported") == Some(&Value::Bool(true)),
    })
}

/// What an issuer says of itself.
pub async fn metadata(calls: &Calls, issuer: &str) -> Result<Map<String, Value>, CallError> {
    let (name, body) = document(calls, issuer).await?;
    let mut kept = Map::from_iter([("issuer".to_owned(), Value::String(name))]);
    for member in KEPT {
        if let Some(value) = text(&body, member).filter(|value| value.len() <= URL_MAX) {
            kept.insert(member.to_owned(), Value::String(value));
        }
    }
    for member in KEPT_LISTS {
        let Some(words) = body.get(member).and_then(Value::as_array) else { continue };
        let short = |word: &&Value| word.as_str().is_some_and(|word| word.len() <= WORD_MAX);
        kept.insert(member.to_owned(), words.iter().filter(short).take(LIST_MAX).cloned().collect());
    }
    Ok(kept)
}

/// The document in which an issuer speaks of itself, and the name it has there.
async fn document(calls: &Calls, issuer: &str) -> Result<(String, Value), CallError> {
    let whole = issuer.trim_end_matches('/').ends_with(WELL_KNOWN);
    let url = address(issuer)?;
    let url = if whole { url } else { below(&url, &[".well-known", "openid-configuration"]) };
    let body = calls.send(Call::get(url)).await?.body;
    let name = text(&body, "issuer").filter(|name| name.len() <= URL_MAX);
    let name = name.ok_or_else(|| CallError::Failed("its metadata names no issuer".into()))?;
    // Who names the whole address has chosen the document. Otherwise the issuer must be the one that was asked for
    // (OpenID Connect Discovery 1.0, 4.3); the last slash is where real issuers differ from what people enter.
    if !whole && name.trim_end_matches('/') != issuer.trim_end_matches('/') {
        return Err(CallError::Failed("its metadata is of another issuer".into()));
    }
    Ok((name, body))
}

/// Of one of the endpoints in the metadata.
pub fn endpoint(metadata: &Map<String, Value>, member: &str) -> Result<Url, CallError> {
    let url = metadata.get(member).and_then(Value::as_str);
    address(url.ok_or_else(|| CallError::Untold(format!("its metadata has no {member}")))?)
}

fn address(text: &str) -> Result<Url, CallError> {
    Url::parse(text).map_err(|_| CallError::Untold("an address that is no URL".into()))
}

/// The asymmetric keys that may sign tokens, without anything that is not public.
fn public_keys(set: &Value) -> Option<Vec<Value>> {
    let keys = set.get("keys")?.as_array()?;
    let public = |key: &Value| {
        let asymmetric = matches!(key.get("kty")?.as_str()?, "RSA" | "EC" | "OKP");
        let signs = key.get("use").is_none_or(|usage| usage == "sig");
        let mut kept = Map::new();
        for member in PUBLIC {
            if let Some(value) = text(key, member) {
                if value.len() > MEMBER_MAX {
                    return None;
                }
                kept.insert(member.to_owned(), Value::String(value));
            }
        }
        (asymmetric && signs).then_some(Value::Object(kept))
    };
    let mut room = KEYS_ROOM;
    let fits = |key: &Value| {
        let rest = room.checked_sub(key.to_string().len());
        room = rest.unwrap_or(room);
        rest.is_some()
    };
    Some(keys.iter().filter_map(public).take(KEYS_MAX).filter(fits).collect())
}

/// How long an answer stays fresh (RFC 9111, 4.2): none at all if it is not to be kept. `None` if it does not say.
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let time =
        |name| jiff::fmt::rfc2822::parse(text(name)?.trim()).ok().map(|time| time.timestamp().as_second());
    let mut said = None;
    let caching = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    for directive in caching.flat_map(|value| value.split(',')) {
        let directive = directive.trim().to_ascii_lowercase();
        if matches!(directive.as_str(), "no-store" | "no-cache") {
            return Some(Duration::ZERO);
        }
        said = said.or_else(|| directive.strip_prefix("max-age=").map(str::to_owned));
    }
    let seconds = match said {
        Some(age) => age.trim_matches('"').parse::<u64>().ok()?,
        // A time that cannot be read is one in the past (RFC 9111, 5.3).
        None => match (text(header::EXPIRES)?, time(header::EXPIRES), time(header::DATE)) {
            (_, Some(expires), Some(date)) => u64::try_from(expires.saturating_sub(date)).unwrap_or(0),
            (_, Some(_), None) => return None,
            (_, None, _) => 0,
        },
    };
    let age = text(header::AGE).and_then(|age| age.trim().parse().ok()).unwrap_or(0);
    Some(Duration::from_secs(seconds.saturating_sub(age)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_public_of_asymmetric_keys_that_sign_is_kept() {
        let set = json!({"keys": [
            {"kty": "RSA", "kid": "1", "n": "n", "e": "AQAB", "d": "private", "p": "private", "x5c": ["…"]},
            {"kty": "EC", "kid": "2", "crv": "P-256", "x": "x", "y": "y", "use": "sig"},
            {"kty": "RSA", "kid": "3", "n": "n", "e": "AQAB", "use": "enc"},
            {"kty": "oct", "k": "symmetric"},
            {"kty": "RSA", "kid": "4", "n": "n".repeat(MEMBER_MAX + 1), "e": "AQAB"},
            "nonsense",
        ]});

        let keys = public_keys(&set).unwrap();

        assert_eq!(
            keys,
            [
                json!({"kty": "RSA", "kid": "1", "n": "n", "e": "AQAB"}),
                json!({"kty": "EC", "kid": "2", "crv": "P-256", "x": "x", "y": "y", "use": "sig"}),
            ]
        );
        assert_eq!(public_keys(&json!({"keys": 1})), None);
    }

    #[test]
    fn more_keys_than_anybody_needs_are_left_out() {
        let keys: Vec<_> = (0..80).map(|kid| json!({"kty": "EC", "kid": kid.to_string()})).collect();
        assert_eq!(public_keys(&json!({ "keys": keys })).unwrap().len(), KEYS_MAX);
    }

    #[test]
    fn how_long_keys_are_good_for_is_what_the_headers_of_their_answer_say() {
        let of = |headers: &[(header::HeaderName, &'static str)]| {
            let value = |(name, value): &(header::HeaderName, &'static str)| {
                (name.clone(), header::HeaderValue::from_static(value))
            };
            max_age(&headers.iter().map(value).collect()).map(|age| age.as_secs())
        };
        let cache = header::CACHE_CONTROL;
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[(cache.clone(), "public, Max-Age=600, must-revalidate")]), Some(600));
        assert_eq!(of(&[(cache.clone(), "max-age=\"600\""), (header::AGE, "500")]), Some(100));
        assert_eq!(of(&[(cache.clone(), "max-age=600"), (header::AGE, "700")]), Some(0));
        assert_eq!(of(&[(cache.clone(), "max-age=600, no-store")]), Some(0));
        assert_eq!(of(&[(cache.clone(), "no-cache")]), Some(0));
        assert_eq!(of(&[(cache.clone(), "max-age=soon")]), None);
        let (date, expires) = (header::DATE, header::EXPIRES);
        let (now, later) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:59:37 GMT");
        assert_eq!(of(&[(date.clone(), now), (expires.clone(), later)]), Some(600));
        assert_eq!(of(&[(date.clone(), later), (expires.clone(), now)]), Some(0));
        assert_eq!(of(&[(date.clone(), now), (expires.clone(), "0")]), Some(0));
        assert_eq!(of(&[(date, now), (expires, later), (cache, "max-age=60")]), Some(60));
    }
}
