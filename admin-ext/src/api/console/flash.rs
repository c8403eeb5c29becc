//! What the next page says of what the last form did: a short-lived cookie that is read once. It holds nothing that
//! matters: who forges it fools himself.

use axum::http::{HeaderMap, HeaderValue, header};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use cookie::Cookie;
use serde::{Deserialize, Serialize};

const NAME: &str = "app_auth_flash";
/// Longest text, in bytes: browsers keep 4 KiB of a cookie.
const TEXT_MAX: usize = 1500;

/// A notice.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Flash {
    pub kind: FlashKind,
    pub text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Undo>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlashKind {
    Good,
    Bad,
}

/// What was done can be undone for a while.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Undo {
    pub id: String,
    /// Milliseconds since the Unix epoch.
    pub until: i64,
    /// The page to come back to.
    pub back: String,
}

impl From<String> for Flash {
    fn from(text: String) -> Self {
        Self::good(text)
    }
}

impl Flash {
    pub fn good(text: impl Into<String>) -> Self {
        Self { kind: FlashKind::Good, text: text.into(), undo: None }
    }

    pub fn bad(text: impl Into<String>) -> Self {
        Self { kind: FlashKind::Bad, text: text.into(), undo: None }
    }

    /// What the request brought, if it brought something.
    pub fn read(headers: &HeaderMap) -> Option<Self> {
        let headers = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut cookies = headers.flat_map(Cookie::split_parse).flatten();
        let cookie = cookies.find(|cookie| cookie.name() == NAME)?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(cookie.value()).ok()?).ok()
    }

    /// The cookie that brings it to the next page.
    pub fn cookie(mut self) -> Option<HeaderValue> {
        if self.text.len() > TEXT_MAX {
            super::link::cut(&mut self.text, TEXT_MAX);
            self.text.push('…');
        }
        let value = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&self).ok()?);
        HeaderValue::from_str(&format!("{NAME}={value}; Path=/console; Max-Age=60; HttpOnly; SameSite=Lax"))
            .ok()
    }

    /// The cookie that ends it.
    pub const fn read_once() -> HeaderValue {
        HeaderValue::from_static("app_auth_flash=; Path=/console; Max-Age=0; HttpOnly; SameSite=Lax")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_comes_to_the_next_page_however_long_it_is() {
        let long = Flash::bad("ü".repeat(5000));
        let cookie = long.cookie().unwrap();
        assert!(cookie.len() < 4096);
        let mut headers = HeaderMap::new();
        let pair = cookie.to_str().unwrap().split(';').next().unwrap();
        headers.insert(header::COOKIE, format!("other=1; {pair}").parse().unwrap());
        let read = Flash::read(&headers).unwrap();
        assert_eq!(read.kind, FlashKind::Bad);
        assert!(read.text.starts_with('ü') && read.text.ends_with('…'));
        headers.insert(header::COOKIE, HeaderValue::from_static("app_auth_flash=%%%"));
        assert_eq!(Flash::read(&headers), None);
    }
}
