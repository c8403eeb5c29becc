//! What stands around every page of the console, in one place so that no page can be without: who looks, where the request
//! came from, and the headers that tell browsers what the pages may do.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;

use super::{PREFIX, csrf, openid, plain, sign_in, visitor};
use crate::api::{App, auth, ops};

/// Scripts, styles and fetches from here alone; no frames, no forms to elsewhere.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Of every answer. Where the page is told nothing to anybody else.
const HEADERS: [(HeaderName, HeaderValue); 6] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY)),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (header::VARY, HeaderValue::from_static("Cookie, HX-Request")),
];

/// The console: pages for those who are signed in, and assets for everybody.
pub fn guarded(app: &App, pages: Router<App>, assets: Router<App>) -> Router<App> {
    let pages = pages
        .merge(sign_in::router_of_visitors())
        .layer(from_fn(ops::to_the_end))
        .layer(from_fn_with_state(app.clone(), csrf::check))
        .layer(from_fn(visitor::required));
    let sign_in = sign_in::router()
        .merge(openid::router())
        .layer(from_fn(ops::to_the_end))
        .layer(from_fn_with_state(app.clone(), csrf::check));
    pages
        .merge(sign_in)
        .layer(from_fn_with_state(app.clone(), visitor::find))
        .merge(assets)
        .layer(from_fn_with_state(app.clone(), check_host))
        .layer(from_fn(ops::within_time))
        .layer(from_fn(tell_browsers))
}

async fn tell_browsers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, value);
    }
    // Assets say themselves how long they may be kept.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Refuses names that are not the console's: a page of another site could have its own name resolve to here.
async fn check_host(State(app): State<App>, request: Request, next: Next) -> Response {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok()).filter(|_| hosts.next().is_none());
    let here = host.is_some_and(|host| match &app.settings.console.url {
        Some(url) => url
            .origin()
            .ascii_serialization()
            .split_once("://")
            .is_some_and(|(_, known)| known.eq_ignore_ascii_case(host)),
        None => {
            let local = request
                .extensions()
                .get::<ConnectInfo<SocketAddr>>()
                .is_none_or(|ConnectInfo(peer)| peer.ip().to_canonical().is_loopback());
            !(app.settings.allow_loopback_without_token && local) || auth::names_loopback(host)
        }
    });
    if here {
        return next.run(request).await;
    }
    let known = app.settings.console.url.as_ref().map_or(PREFIX, url::Url::as_str);
    let text = "The console is not at this address. Whoever runs it can set another one: console_url.";
    plain::notice(StatusCode::MISDIRECTED_REQUEST, "Not here", text, ("Open the console", known))
}
