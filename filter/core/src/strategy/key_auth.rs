//! `key-auth` as Kong's plugin of that name does it: for each key name in order the header, the query, the body; the
//! first text wins; a name given twice is a refusal.

use std::borrow::Cow;

use crate::record::KeyAuthConfig;
use crate::request::headers::HeaderMap;
use crate::request::{Body, Found, body, query};

/// Longest key that is looked up, in bytes. A longer one is unknown without hashing it.
pub const KEY_MAX: usize = 1024;

/// What a request presents.
#[derive(Debug, PartialEq, Eq)]
pub enum Presented<'a> {
    /// A key, and the name it was found under.
    Key {
        key: Cow<'a, [u8]>,
        name: &'a str,
    },
    Nothing,
    Duplicate,
    /// The body has to be read first.
    NeedsBody,
}

/// Looks for the key.
pub fn present<'a>(config: &'a KeyAuthConfig, headers: &HeaderMap<'a>, body: Body<'a>) -> Presented<'a> {
    let query = || query::split_target(headers.first(":path").unwrap_or_default()).1.unwrap_or_default();
    for name in &config.key_names {
        let mut found = Found::Nothing;
        if config.key_in_header {
            found = headers.find(name);
        }
        if found == Found::Nothing && config.key_in_query {
            found = query::find(query(), name);
        }
        if found == Found::Nothing && config.key_in_body {
            let Some(kind) = headers.first("content-type").and_then(body::Kind::of) else { continue };
            match body {
                Body::Unread => return Presented::NeedsBody,
                Body::Read(bytes) if bytes.len() <= body::MAX => found = kind.find(bytes, name),
                Body::Read(_) | Body::Absent => {}
            }
        }
        match found {
            Found::One(key) if key.is_empty() => return Presented::Nothing,
            Found::One(key) => return Presented::Key { key, name },
            Found::Many => return Presented::Duplicate,
            Found::NotText | Found::Nothing => {}
        }
    }
    Presented::Nothing
}

/// The challenge of a 401 (RFC 9110, 11.6.1).
pub fn challenge(realm: Option<&str>) -> String {
    realm.map_or_else(|| "Key".to_owned(), |realm| format!("Key realm=\"{realm}\""))
}
