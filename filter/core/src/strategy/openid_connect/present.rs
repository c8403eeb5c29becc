//! What a request presents to an `openid_connect` strategy: a token (RFC 6750), or a client's id and secret (RFC 6749,
//! 2.3.1). Looks at headers, query and body, in that order; whether anything of it is any good is for others.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::record::OpenIdConnectConfig;
use crate::request::headers::{HeaderMap, same_name};
use crate::request::{Body, Found, body, query};

pub const TOKEN: &str = "access_token";
pub const CLIENT_ID: &str = "client_id";
pub const CLIENT_SECRET: &str = "client_secret";
pub const AUTHORIZATION: &str = "authorization";

/// Longest client id and longest secret, in bytes.
const CLIENT_MAX: usize = 1024;

/// Where a credential stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Header,
    Query,
    Body,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Presented<'a> {
    Token {
        token: Cow<'a, [u8]>,
        place: Place,
    },
    Client {
        id: Cow<'a, [u8]>,
        secret: Cow<'a, [u8]>,
        basic: Option<&'a [u8]>,
        place: Place,
    },
    Nothing,
    /// More than one, or one that reads in more than one way.
    Repeated,
    /// The body has to be read first.
    NeedsBody,
}

/// Which credentials a strategy takes.
#[derive(Debug, Clone, Copy)]
pub struct Takes {
    pub tokens: bool,
    pub clients: bool,
}

/// Looks for a credential.
pub fn present<'a>(
    config: &OpenIdConnectConfig,
    takes: Takes,
    headers: &HeaderMap<'a>,
    body: Body<'a>,
) -> Presented<'a> {
    let allows = |list: &[String], place: &str| list.iter().any(|known| known == place);
    let tokens = |place| takes.tokens && allows(&config.bearer_token_param_type, place);
    let clients = |place| takes.clients && allows(&config.client_credentials_param_type, place);

    let header =
        if tokens("header") || clients("header") { authorization(headers) } else { Authorization::None };
    let in_header = match header {
        Authorization::Repeated => return Presented::Repeated,
        Authorization::Bearer(token) if tokens("header") => Some(token),
        _ => None,
    };
    let arguments = query::split_target(headers.first(":path").unwrap_or_default()).1.unwrap_or_default();
    if tokens("query") && !arguments.is_empty() {
        match (query::find(arguments, TOKEN), in_header) {
            (Found::Nothing | Found::NotText, _) => {}
            (Found::One(token), None) => return Presented::Token { token, place: Place::Query },
            // The same token twice is one token.
            (Found::One(token), Some(other)) if token.as_ref() == other => {}
            (Found::One(_) | Found::Many, _) => return Presented::Repeated,
        }
    }
    if let Some(token) = in_header {
        return Presented::Token { token: token.into(), place: Place::Header };
    }
    if let Authorization::Basic(encoded) = header
        && clients("header")
    {
        return basic(encoded);
    }
    if clients("query") && !arguments.is_empty() {
        match client(|name| query::find(arguments, name), Place::Query) {
            Presented::Nothing => {}
            found => return found,
        }
    }
    if !tokens("body") && !clients("body") {
        return Presented::Nothing;
    }
    let Some(kind) = headers.first("content-type").and_then(body::Kind::of) else {
        return Presented::Nothing;
    };
    let bytes = match body {
        Body::Unread => return Presented::NeedsBody,
        Body::Read(bytes) if bytes.len() <= body::MAX => bytes,
        Body::Read(_) | Body::Absent => return Presented::Nothing,
    };
    if tokens("body") {
        match kind.find(bytes, TOKEN) {
            Found::Nothing | Found::NotText => {}
            Found::One(token) => return Presented::Token { token, place: Place::Body },
            Found::Many => return Presented::Repeated,
        }
    }
    if clients("body") {
        return client(|name| kind.find(bytes, name), Place::Body);
    }
    Presented::Nothing
}

#[derive(Clone, Copy)]
enum Authorization<'a> {
    None,
    Bearer(&'a [u8]),
    Basic(&'a [u8]),
    Other,
    Repeated,
}

fn authorization<'a>(headers: &HeaderMap<'a>) -> Authorization<'a> {
    let mut found = Authorization::None;
    for (_, value) in headers.iter().filter(|(name, _)| same_name(name, AUTHORIZATION.as_bytes())) {
        if !matches!(found, Authorization::None) {
            return Authorization::Repeated;
        }
        let value = value.trim_ascii();
        // One host joins the copies of this header; no scheme that is understood here has a comma in it.
        if value.contains(&b',') {
            return Authorization::Repeated;
        }
        let end = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
        let (scheme, rest) = value.split_at_checked(end).unwrap_or((value, b""));
        let rest = rest.trim_ascii();
        found = if scheme.eq_ignore_ascii_case(b"bearer") {
            Authorization::Bearer(rest)
        } else if scheme.eq_ignore_ascii_case(b"basic") {
            Authorization::Basic(rest)
        } else {
            Authorization::Other
        };
    }
    found
}

/// RFC 7617: the id ends at the first colon. A header that is no such thing is a client without a name, which no issuer
/// knows.
fn basic(encoded: &[u8]) -> Presented<'_> {
    let decoded = STANDARD.decode(encoded).unwrap_or_default();
    let colon = decoded.iter().position(|byte| *byte == b':').unwrap_or(decoded.len());
    let id = decoded.get(..colon).unwrap_or_default().to_vec();
    let secret = decoded.get(colon + 1..).unwrap_or_default().to_vec();
    limited(id.into(), secret.into(), Some(encoded), Place::Header)
}

fn client<'a>(find: impl Fn(&str) -> Found<'a>, place: Place) -> Presented<'a> {
    match (find(CLIENT_ID), find(CLIENT_SECRET)) {
        (Found::One(id), Found::One(secret)) => limited(id, secret, None, place),
        (Found::Many, _) | (_, Found::Many) => Presented::Repeated,
        _ => Presented::Nothing,
    }
}

fn limited<'a>(
    id: Cow<'a, [u8]>,
    secret: Cow<'a, [u8]>,
    basic: Option<&'a [u8]>,
    place: Place,
) -> Presented<'a> {
    if id.len() > CLIENT_MAX || secret.len() > CLIENT_MAX {
        return Presented::Client { id: Cow::Borrowed(b""), secret: Cow::Borrowed(b""), basic: None, place };
    }
    Presented::Client { id, secret, basic, place }
}
