//! Requests that change something come from our own pages (no cross-site request forgery): every unsafe request has to name
//! our origin, where it names one, and to carry a token that is bound to the browser's cookie. No handler can forget it.

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use subtle::ConstantTimeEq as _;

use super::{ConsoleSettings, PREFIX, plain};
use crate::api::App;
use crate::model::PlainSecret;

const TOKEN_HEADER: HeaderName = HeaderName::from_static("x-csrf-token");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const TOKEN_FIELD: &str = "csrf";

/// Largest form, in bytes.
const BODY_MAX: usize = 256 * 1024;

/// What forms of this browser have to carry: made from the secret in its cookie, which it does not tell.
#[derive(Clone, Debug)]
pub struct Csrf(PlainSecret);

impl Csrf {
    pub fn of(secret: &PlainSecret) -> Self {
        let derived = blake3::derive_key("app-auth console form", secret.expose().as_bytes());
        Self(PlainSecret::new(URL_SAFE_NO_PAD.encode(derived)))
    }

    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    fn is(&self, presented: &str) -> bool {
        self.expose().as_bytes().ct_eq(presented.as_bytes()).into()
    }
}

/// The layer around every handler of the console.
pub async fn check(State(app): State<App>, request: Request, next: Next) -> Response {
    if request.method().is_safe() {
        return next.run(request).await;
    }
    if !is_from_here(request.headers(), &app.settings.console) {
        let text = "The form came from another site than the console. If you sent it from the console itself, the console \
                    is not reached by the address it knows of: whoever runs it can set console_url.";
        return plain::notice(StatusCode::FORBIDDEN, "Refused", text, ("Open the console", PREFIX));
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_MAX).await else {
        let text = "The form is too large, or did not arrive whole. Nothing has changed.";
        return plain::notice(StatusCode::PAYLOAD_TOO_LARGE, "Refused", text, ("Open the console", PREFIX));
    };
    let genuine = match (parts.extensions.get::<Csrf>(), presented(&parts.headers, &body)) {
        (Some(expected), Some(presented)) => expected.is(presented.expose()),
        _ => false,
    };
    if !genuine {
        let text = "The page was too old, or the browser keeps no cookies of the console. Nothing has changed: open the \
                    page again and repeat what you did.";
        return plain::notice(StatusCode::FORBIDDEN, "Refused", text, ("Open the console", PREFIX));
    }
    next.run(Request::from_parts(parts, Body::from(body))).await
}

/// The token in the header or, if there is none, in the form; `None` if there are several.
fn presented(headers: &HeaderMap, body: &Bytes) -> Option<PlainSecret> {
    let mut in_headers = headers.get_all(TOKEN_HEADER).iter();
    if let Some(token) = in_headers.next() {
        let token = token.to_str().ok()?;
        return in_headers.next().is_none().then(|| PlainSecret::new(token));
    }
    let content_type: mime::Mime = headers.get(header::CONTENT_TYPE)?.to_str().ok()?.parse().ok()?;
    if content_type.essence_str() != mime::APPLICATION_WWW_FORM_URLENCODED.essence_str() {
        return None;
    }
    let mut in_form = url::form_urlencoded::parse(body).filter(|(name, _)| name == TOKEN_FIELD);
    let (_, token) = in_form.next()?;
    in_form.next().is_none().then(|| PlainSecret::new(token))
}

/// Whether a request names no other site as where it came from.
fn is_from_here(headers: &HeaderMap, settings: &ConsoleSettings) -> bool {
    // A page cannot make a browser say `none`: that is what the person did without one.
    let same_site = |value: &axum::http::HeaderValue| value == "same-origin" || value == "none";
    if !headers.get_all(SEC_FETCH_SITE).iter().all(same_site) {
        return false;
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    headers.get_all(header::ORIGIN).iter().all(|origin| {
        let Ok(origin) = origin.to_str() else { return false };
        match &settings.url {
            Some(url) => url.origin().ascii_serialization() == origin,
            // Whoever ends TLS in front of us tells the host, but not the scheme.
            None => {
                let named = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
                named.is_some() && named.map(str::to_ascii_lowercase) == host.map(str::to_ascii_lowercase)
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;

    fn from_here(headers: &[(&'static str, &'static str)], url: Option<&str>) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let url = url.map(|url| Url::parse(url).unwrap());
        is_from_here(&map, &ConsoleSettings { url })
    }

    #[test]
    fn a_request_that_names_another_origin_is_refused() {
        for (headers, genuine) in [
            (&[("host", "a:1")][..], true),
            (&[("host", "a:1"), ("origin", "http://a:1")], true),
            (&[("host", "a"), ("origin", "https://A")], true),
            (&[("host", "a:1"), ("origin", "http://a:2")], false),
            (&[("host", "a:1"), ("origin", "http://b:1")], false),
            (&[("host", "a:1"), ("origin", "http://a:1"), ("origin", "http://b")], false),
            (&[("host", "a:1"), ("origin", "null")], false),
            (&[("origin", "http://a:1")], false),
            (&[("host", "a:1"), ("sec-fetch-site", "same-origin")], true),
            (&[("host", "a:1"), ("sec-fetch-site", "none")], true),
            (&[("host", "a:1"), ("sec-fetch-site", "same-site")], false),
            (&[("host", "a:1"), ("sec-fetch-site", "cross-site")], false),
            (&[("host", "a:1"), ("origin", "http://a:1"), ("sec-fetch-site", "cross-site")], false),
        ] {
            assert_eq!(from_here(headers, None), genuine, "{headers:?}");
        }
        let url = Some("https://admin.example.com/console");
        assert!(from_here(&[("host", "a"), ("origin", "https://admin.example.com")], url));
        assert!(!from_here(&[("host", "admin.example.com"), ("origin", "http://admin.example.com")], url));
        assert!(!from_here(&[("host", "a"), ("origin", "https://a")], url));
    }

    #[test]
    fn a_token_comes_in_the_header_or_once_in_a_form() {
        let found = |headers: &[(&'static str, &'static str)], body: &'static str| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(*name, value.parse().unwrap());
            }
            presented(&map, &Bytes::from_static(body.as_bytes())).map(|token| token.expose().to_owned())
        };
        let form = ("content-type", "application/x-www-form-urlencoded; charset=utf-8");
        assert_eq!(found(&[form], "a=b&csrf=x%20y").as_deref(), Some("x y"));
        assert_eq!(found(&[form, ("x-csrf-token", "h")], "csrf=x").as_deref(), Some("h"));
        assert_eq!(found(&[("x-csrf-token", "h"), ("x-csrf-token", "h")], ""), None);
        assert_eq!(found(&[form], "csrf=x&csrf=x"), None);
        assert_eq!(found(&[form], "a=b"), None);
        assert_eq!(found(&[("content-type", "text/plain")], "csrf=x"), None);
        assert_eq!(found(&[], "csrf=x"), None);
    }
}
