//! Kong's OAuth 2.0 where a token is used: where the token stands in a request, and what an answer says of a request
//! without a good one (RFC 6750, in the words of Kong's `oauth2` plugin). Giving tokens out is not done here.

use std::borrow::Cow;

use crate::record::OAuth2Config;
use crate::refusal::Unauthenticated;
use crate::request::headers::HeaderMap;
use crate::request::{Body, Found, body, query};

pub const TOKEN: &str = "access_token";
/// Longest token that is looked up, in bytes.
pub const TOKEN_MAX: usize = 1024;

/// The end of the paths at which tokens are given out.
const ENDPOINT: &[u8] = b"/oauth2/token";

#[derive(Debug, PartialEq, Eq)]
pub enum Presented<'a> {
    Token {
        token: Cow<'a, [u8]>,
        in_header: bool,
    },
    Nothing,
    Repeated,
    /// The body has to be read first.
    NeedsBody,
}

/// Whether a request is for a token instead of for the service.
pub fn is_token_endpoint(headers: &HeaderMap<'_>) -> bool {
    let path = query::split_target(headers.first(":path").unwrap_or_default()).0;
    path.strip_suffix(b"/").unwrap_or(path).ends_with(ENDPOINT)
}

/// Looks for the token: the header, the query, the body.
pub fn present<'a>(config: &OAuth2Config, headers: &HeaderMap<'a>, body: Body<'a>) -> Presented<'a> {
    match headers.find(&config.auth_header_name) {
        Found::One(value) => {
            if let Some(token) = of_header(&value) {
                return Presented::Token { token, in_header: true };
            }
        }
        Found::Many => return Presented::Repeated,
        Found::NotText | Found::Nothing => {}
    }
    let arguments = query::split_target(headers.first(":path").unwrap_or_default()).1.unwrap_or_default();
    let mut found = query::find(arguments, TOKEN);
    if matches!(found, Found::Nothing | Found::NotText)
        && let Some(kind) = headers.first("content-type").and_then(body::Kind::of)
    {
        match body {
            Body::Unread => return Presented::NeedsBody,
            Body::Read(bytes) if bytes.len() <= body::MAX => found = kind.find(bytes, TOKEN),
            Body::Read(_) | Body::Absent => {}
        }
    }
    match found {
        Found::One(token) if !token.is_empty() => Presented::Token { token, in_header: false },
        Found::Many => Presented::Repeated,
        _ => Presented::Nothing,
    }
}

/// `Bearer …`, `token …`, or the token by itself.
fn of_header(value: &[u8]) -> Option<Cow<'static, [u8]>> {
    let text = value.trim_ascii();
    if text.is_empty() {
        return None;
    }
    let mut words = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let token = match (words.next(), words.next(), words.next()) {
        (Some(scheme), Some(token), None)
            if scheme.eq_ignore_ascii_case(b"bearer") || scheme.eq_ignore_ascii_case(b"token") =>
        {
            token
        }
        _ => text,
    };
    Some(token.to_vec().into())
}

/// The challenge of a 401.
pub fn challenge(realm: Option<&str>, cause: Option<Unauthenticated>) -> String {
    let challenge = match realm {
        Some(realm) => format!("Bearer realm=\"{realm}\""),
        None => "Bearer".to_owned(),
    };
    if let Some((error, description)) =
        cause.filter(|cause| *cause != Unauthenticated::MissingAccessToken).and_then(Unauthenticated::oauth2)
    {
        // The plugin separates the parameters so, without commas.
        return format!("{challenge} error=\"{error}\" error_description=\"{description}\"");
    }
    challenge
}
