//! The console's cookies: one for the session, one for a browser that has none yet. Knows what they are called and how they
//! are protected, not what they mean.

use axum::http::{HeaderMap, HeaderValue, header};
use cookie::{Cookie, SameSite};

use super::{ConsoleSettings, PREFIX};
use crate::model::PlainSecret;

/// No value of ours is longer, in bytes.
const VALUE_MAX: usize = 4096;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CookieKind {
    /// The secret of a session.
    Session,
    /// A secret of a browser that is not signed in, so that its forms can be told from those of other sites.
    Visit,
    /// A sign-in at an identity provider that has begun, sealed.
    Pending,
}

impl CookieKind {
    /// By https the prefix keeps out cookies that another host of the same domain, or plain http, has set.
    const fn name(self, https: bool) -> &'static str {
        match (self, https) {
            (Self::Session, true) => "__Host-app_auth_session",
            (Self::Session, false) => "app_auth_session",
            (Self::Visit, true) => "__Host-app_auth_visit",
            (Self::Visit, false) => "app_auth_visit",
            (Self::Pending, true) => "__Host-app_auth_pending",
            (Self::Pending, false) => "app_auth_pending",
        }
    }
}

/// The value a request brought; `None` if it brought none, or several that differ.
pub fn read(headers: &HeaderMap, settings: &ConsoleSettings, kind: CookieKind) -> Option<PlainSecret> {
    let name = kind.name(settings.is_https());
    let mut found: Option<String> = None;
    for header in headers.get_all(header::COOKIE) {
        for cookie in Cookie::split_parse(header.to_str().ok()?).flatten() {
            if cookie.name() != name || cookie.value().is_empty() || cookie.value().len() > VALUE_MAX {
                continue;
            }
            if found.as_ref().is_some_and(|other| other != cookie.value()) {
                return None;
            }
            found = Some(cookie.value().to_owned());
        }
    }
    found.map(PlainSecret::new)
}

/// Sets the cookie until the browser is closed.
pub fn set(settings: &ConsoleSettings, kind: CookieKind, value: &PlainSecret) -> Option<HeaderValue> {
    header_value(&cookie(settings, kind, value.expose()))
}

/// Makes the browser forget the cookie.
pub fn forget(settings: &ConsoleSettings, kind: CookieKind) -> Option<HeaderValue> {
    let mut cookie = cookie(settings, kind, "");
    cookie.make_removal();
    header_value(&cookie)
}

fn cookie<'c>(settings: &ConsoleSettings, kind: CookieKind, value: &'c str) -> Cookie<'c> {
    let https = settings.is_https();
    Cookie::build((kind.name(https), value))
        .http_only(true)
        // Strict would leave out a visitor who comes back from an identity provider.
        .same_site(SameSite::Lax)
        .secure(https)
        // The prefix of the name asks for the root.
        .path(if https { "/" } else { PREFIX })
        .build()
}

fn header_value(cookie: &Cookie<'_>) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&cookie.to_string()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;

    fn settings(url: &str) -> ConsoleSettings {
        ConsoleSettings { url: Some(Url::parse(url).unwrap()) }
    }

    #[test]
    fn a_cookie_is_kept_from_scripts_other_sites_and_plain_http() {
        let secret = PlainSecret::new("abc");
        let plain = set(&settings("http://localhost:8005/console"), CookieKind::Session, &secret).unwrap();
        assert_eq!(plain, "app_auth_session=abc; HttpOnly; SameSite=Lax; Path=/console");
        let encrypted = set(&settings("https://admin.example.com/console"), CookieKind::Session, &secret);
        assert_eq!(encrypted.unwrap(), "__Host-app_auth_session=abc; HttpOnly; SameSite=Lax; Secure; Path=/");
    }

    #[test]
    fn two_cookies_that_differ_are_none() {
        let settings = ConsoleSettings::default();
        for (cookies, expected) in [
            (&["app_auth_session=a"][..], Some("a")),
            (&["x=y; app_auth_session=a", "app_auth_session=a"], Some("a")),
            (&["app_auth_session=a; app_auth_session=b"], None),
            (&["app_auth_session=a", "app_auth_session=b"], None),
            (&["app_auth_session="], None),
            (&["__Host-app_auth_session=a"], None),
            (&["app_auth_sessions=a"], None),
        ] {
            let mut headers = HeaderMap::new();
            for value in cookies {
                headers.append(header::COOKIE, value.parse().unwrap());
            }
            let found = read(&headers, &settings, CookieKind::Session);
            assert_eq!(found.as_ref().map(PlainSecret::expose), expected, "{cookies:?}");
        }
    }
}
