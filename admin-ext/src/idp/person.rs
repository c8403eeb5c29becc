//! What the claims of an ID token must be before anybody is believed to be somebody, and what they say: a name and a role.
//! Makes no calls.

use app_auth_core::token::Claims;
use serde_json::Value;
use subtle::ConstantTimeEq as _;
use url::Url;

use crate::model::{AccessRole, Timestamp};

/// How far clocks may be apart.
const LEEWAY_MS: i64 = 60_000;
/// Longest name that is shown, in characters.
const NAME_MAX: usize = 100;
/// Longest subject (OpenID Connect Core 1.0, section 2).
const SUBJECT_MAX: usize = 255;
/// Most values of the claim that are looked at.
const VALUES_MAX: usize = 1000;

/// What an ID token must say to be an answer to us.
pub struct Expected<'a> {
    pub issuer: &'a str,
    pub client_id: &'a str,
    pub nonce: &'a str,
    /// Of the access token that came with it.
    pub access_token_hash: Option<String>,
    pub now: Timestamp,
}

fn text<'c>(claims: &'c Claims, name: &str) -> Option<&'c str> {
    claims.at(&[name.to_owned()])?.as_str().filter(|text| !text.is_empty())
}

/// Holds the claims against OpenID Connect Core 1.0, sections 3.1.3.7 and 3.1.3.8. The error says what is wrong.
pub fn check(claims: &Claims, expected: &Expected<'_>) -> Result<(), &'static str> {
    if claims.issuer() != Some(expected.issuer) {
        return Err("its ID token names another issuer");
    }
    let audience = match claims.at(&["aud".to_owned()]) {
        Some(Value::String(one)) => vec![one.as_str()],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let authorized = text(claims, "azp");
    if !audience.contains(&expected.client_id)
        || authorized.is_some_and(|party| party != expected.client_id)
        || (audience.len() > 1 && authorized.is_none())
    {
        return Err("its ID token is for somebody else");
    }
    let time = |name| claims.time(name).map_err(|_| "its ID token has a time that is none");
    let now = expected.now.0;
    if time("exp")?.is_none_or(|end| end.saturating_add(LEEWAY_MS) <= now) {
        return Err("its ID token has expired");
    }
    let begins =
        [time("iat")?.ok_or("its ID token does not say when it was issued")?, time("nbf")?.unwrap_or(0)];
    if begins.into_iter().any(|begin| begin > now.saturating_add(LEEWAY_MS)) {
        return Err("its ID token is not valid yet");
    }
    let nonce = text(claims, "nonce").unwrap_or_default();
    if !bool::from(nonce.as_bytes().ct_eq(expected.nonce.as_bytes())) {
        return Err("its ID token answers another sign-in");
    }
    let hash = claims.at(&["at_hash".to_owned()]);
    if hash.is_some_and(|hash| hash.as_str() != expected.access_token_hash.as_deref()) {
        return Err("its ID token is not that of its access token");
    }
    if text(claims, "sub").is_none_or(|subject| subject.len() > SUBJECT_MAX) {
        return Err("its ID token names nobody");
    }
    Ok(())
}

/// What people call whom the claims are about.
pub fn name(claims: &Claims) -> Option<String> {
    let preferred = text(claims, "preferred_username").and_then(shown);
    // An address that anybody could have entered tells nothing.
    let unverified = claims.at(&["email_verified".to_owned()]).is_some_and(|verified| *verified == false);
    preferred.or_else(|| text(claims, "email").filter(|_| !unverified).and_then(shown))
}

/// A name as it can be shown: on one line, and not too long.
pub fn shown(name: &str) -> Option<String> {
    let name: String = name.trim().chars().filter(|char| !char.is_control()).take(NAME_MAX).collect();
    (!name.is_empty()).then_some(name)
}

/// What people know an issuer by.
pub fn host(issuer: &str) -> &str {
    let rest = issuer.split_once("://").map_or(issuer, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or(rest)
}

/// Which values of which claim give which role.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoleRule {
    /// The name of a claim, a path to it with dots, or a JSON pointer (RFC 6901).
    pub claim: String,
    pub viewers: Vec<String>,
    pub approvers: Vec<String>,
    pub admins: Vec<String>,
}

impl RoleRule {
    /// The highest role that the claim gives; `Some(None)` if it is there and gives none, `None` if it is not there.
    pub fn role(&self, claims: &Claims) -> Option<Option<AccessRole>> {
        let values: Vec<&str> = match self.find(claims)? {
            // Some providers list what they have in one string.
            Value::String(text) => std::iter::once(&**text).chain(text.split([' ', ','])).collect(),
            Value::Array(values) => values.iter().filter_map(Value::as_str).take(VALUES_MAX).collect(),
            _ => Vec::new(),
        };
        let gives = |giving: &[String]| giving.iter().any(|value| values.contains(&&**value));
        Some(if gives(&self.admins) {
            Some(AccessRole::Admin)
        } else if gives(&self.approvers) {
            Some(AccessRole::Approver)
        } else if gives(&self.viewers) {
            Some(AccessRole::Viewer)
        } else {
            None
        })
    }

    fn find<'c>(&self, claims: &'c Claims) -> Option<&'c Value> {
        // Names of claims may be URLs, so a whole name comes before a path.
        if let Some(value) = claims.at(std::slice::from_ref(&self.claim)) {
            return Some(value);
        }
        let path: Vec<String> = match self.claim.strip_prefix('/') {
            Some(pointer) => {
                pointer.split('/').map(|part| part.replace("~1", "/").replace("~0", "~")).collect()
            }
            None => self.claim.split('.').map(str::to_owned).collect(),
        };
        claims.at(&path)
    }
}

/// Whether an issuer can be one: an address without what no issuer has (OpenID Connect Discovery 1.0, section 3).
pub fn is_issuer(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_800_000_000_000;

    fn claims(value: &Value) -> Claims {
        Claims::from_json(value.to_string().as_bytes()).unwrap()
    }

    fn good() -> Value {
        json!({"iss": "https://idp.example.com", "aud": "us", "sub": "1", "nonce": "n",
            "iat": NOW / 1000, "exp": NOW / 1000 + 60, "at_hash": "h"})
    }

    fn checked(value: &Value) -> Result<(), &'static str> {
        let expected = Expected {
            issuer: "https://idp.example.com",
            client_id: "us",
            nonce: "n",
            access_token_hash: Some("h".into()),
            now: Timestamp(NOW),
        };
        check(&claims(value), &expected)
    }

    #[test]
    fn an_id_token_that_is_no_answer_to_us_is_refused() {
        assert_eq!(checked(&good()), Ok(()));
        for (member, value) in [
            ("iss", json!("https://idp.example.com/")),
            ("iss", json!(["https://idp.example.com"])),
            ("aud", json!("them")),
            ("aud", json!([])),
            ("aud", json!(["us", "them"])),
            ("azp", json!("them")),
            ("sub", json!("")),
            ("sub", json!("x".repeat(256))),
            ("nonce", json!("m")),
            ("nonce", json!(null)),
            ("exp", json!(NOW / 1000 - 60)),
            ("exp", json!("soon")),
            ("exp", json!(null)),
            ("iat", json!(NOW / 1000 + 61)),
            ("nbf", json!(NOW / 1000 + 61)),
            ("at_hash", json!("g")),
            ("at_hash", json!(1)),
        ] {
            let mut changed = good();
            changed[member] = value.clone();
            assert!(checked(&changed).is_err(), "{member}: {value}");
        }
        for member in ["iss", "aud", "sub", "nonce", "exp", "iat"] {
            let mut without = good();
            without.as_object_mut().unwrap().remove(member);
            assert!(checked(&without).is_err(), "without {member}");
        }
        for (member, value) in [("aud", json!(["us"])), ("azp", json!("us")), ("exp", json!(NOW / 1000 - 59))]
        {
            let mut changed = good();
            changed[member] = value;
            assert_eq!(checked(&changed), Ok(()), "{member}");
        }
        let mut several = good();
        (several["aud"], several["azp"]) = (json!(["us", "them"]), json!("us"));
        assert_eq!(checked(&several), Ok(()));
        several.as_object_mut().unwrap().remove("at_hash");
        assert_eq!(checked(&several), Ok(()));
    }

    #[test]
    fn the_highest_role_that_a_claim_gives_counts_wherever_the_claim_is() {
        let giving = |claim: &str| RoleRule {
            claim: claim.into(),
            viewers: vec!["v".into(), "all staff".into()],
            approvers: vec!["a".into()],
            admins: vec!["root".into()],
        };
        let role = |claim: &str, value: Value| giving(claim).role(&claims(&value));
        let (viewer, approver, admin) = (AccessRole::Viewer, AccessRole::Approver, AccessRole::Admin);
        for (claim, value, expected) in [
            ("roles", json!({"roles": "v"}), Some(Some(viewer))),
            ("roles", json!({"roles": ["x", "v", "a"]}), Some(Some(approver))),
            ("roles", json!({"roles": ["root", "v"]}), Some(Some(admin))),
            ("roles", json!({"roles": "x a"}), Some(Some(approver))),
            ("roles", json!({"roles": "all staff"}), Some(Some(viewer))),
            ("roles", json!({"roles": ["rooted", "Root", 1, null]}), Some(None)),
            ("roles", json!({"roles": {"root": true}}), Some(None)),
            ("roles", json!({"roles": []}), Some(None)),
            ("roles", json!({"role": "root"}), None),
            ("realm_access.roles", json!({"realm_access": {"roles": ["a"]}}), Some(Some(approver))),
            ("/realm_access/roles", json!({"realm_access": {"roles": ["a"]}}), Some(Some(approver))),
            ("/a~1b/c.d", json!({"a/b": {"c.d": "v"}}), Some(Some(viewer))),
            ("https://x.example/roles", json!({"https://x.example/roles": ["v"]}), Some(Some(viewer))),
            ("realm_access.roles", json!({"realm_access": "root"}), None),
        ] {
            assert_eq!(role(claim, value.clone()), expected, "{claim} {value}");
        }
    }

    #[test]
    fn a_name_is_what_can_be_shown_and_was_verified() {
        let named = |value: Value| name(&claims(&value));
        assert_eq!(named(json!({"preferred_username": "al\nice ", "email": "e"})).as_deref(), Some("alice"));
        assert_eq!(named(json!({"email": "a@example.com"})).as_deref(), Some("a@example.com"));
        assert_eq!(named(json!({"email": "a@example.com", "email_verified": false})), None);
        assert_eq!(shown(&"x".repeat(500)).map(|name| name.len()), Some(NAME_MAX));
        assert_eq!(host("https://login.example.com:8443/realms/a"), "login.example.com:8443");
    }
}
