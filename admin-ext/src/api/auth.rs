//! Who may call: admin tokens for the admin APIs, gateway tokens for the feed. Deny by default.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::ops::RequestId;
use super::v2::Problem;
use super::{App, permission};
use crate::model::{AccessRole, PlainSecret};
use crate::store::{Actor, StoreError, TokenKind};

const ADMIN_TOKEN: HeaderName = HeaderName::from_static("kong-admin-token");

const JSON: &str = "application/json; charset=utf-8";

/// No token is longer, in bytes.
pub(super) const TOKEN_MAX: usize = 512;

/// Lets callers with an admin token in and tells the handlers who it is ([`Actor`]).
pub async fn admin(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let caller = Caller::of(&app, &request);
    match admitted(&app, caller).await {
        Ok(actor) if !permission::may_ask(actor.role, &request) => forbidden(actor.role),
        Ok(actor) => {
            request.extensions_mut().insert(actor);
            next.run(request).await
        }
        Err(Turned::Away) => unauthorized(),
        Err(Turned::Later(error)) => unavailable(&error),
    }
}

/// As [`admin`], with the answers of the v2 APIs.
pub async fn admin_v2(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let caller = Caller::of(&app, &request);
    match admitted(&app, caller).await {
        Ok(actor) if !permission::may_ask(actor.role, &request) => {
            Problem::from(StoreError::Forbidden(actor.role)).into_response()
        }
        Ok(actor) => {
            request.extensions_mut().insert(actor);
            next.run(request).await
        }
        Err(Turned::Away) => {
            let mut response = Problem::unauthorized().into_response();
            let challenge = header::HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            response
        }
        Err(Turned::Later(error)) => {
            tracing::error!(%error, "a token could not be checked");
            Problem::from(StoreError::Busy).into_response()
        }
    }
}

/// Why a caller is not let in.
enum Turned {
    Away,
    Later(StoreError),
}

/// Who wants to be let in.
struct Caller {
    request: String,
    presented: Presented,
    /// A token is not asked for.
    trusted: bool,
}

impl Caller {
    fn of(app: &App, request: &Request) -> Self {
        Self {
            request: request.extensions().get::<RequestId>().map_or_else(String::new, |id| id.0.clone()),
            presented: presented(request.headers(), true),
            trusted: app.settings.allow_loopback_without_token && is_loopback(request),
        }
    }
}

async fn admitted(app: &App, caller: Caller) -> Result<Actor, Turned> {
    let (name, role) = match caller.presented {
        Presented::Token(token) => match app.store.authenticate(TokenKind::Admin, &token).await {
            Ok(Some(token)) => (token.name, token.role),
            Ok(None) => return Err(Turned::Away),
            Err(error) => return Err(Turned::Later(error)),
        },
        Presented::Nothing if caller.trusted => ("loopback".to_owned(), AccessRole::Admin),
        Presented::Nothing | Presented::Unusable => return Err(Turned::Away),
    };
    Ok(Actor { name, request: caller.request, role })
}

/// Lets callers with a gateway token in.
pub async fn gateway(State(app): State<App>, request: Request, next: Next) -> Response {
    let Presented::Token(token) = presented(request.headers(), false) else { return unauthorized() };
    match app.store.authenticate(TokenKind::Gateway, &token).await {
        Ok(Some(_)) => next.run(request).await,
        Ok(None) => unauthorized(),
        Err(error) => unavailable(&error),
    }
}

/// Lets callers with a token of either kind in.
pub async fn any(State(app): State<App>, request: Request, next: Next) -> Response {
    match presented(request.headers(), true) {
        Presented::Token(token) => {
            for kind in [TokenKind::Admin, TokenKind::Gateway] {
                match app.store.authenticate(kind, &token).await {
                    Ok(Some(_)) => return next.run(request).await,
                    Ok(None) => {}
                    Err(error) => return unavailable(&error),
                }
            }
            unauthorized()
        }
        Presented::Nothing if app.settings.allow_loopback_without_token && is_loopback(&request) => {
            next.run(request).await
        }
        Presented::Nothing | Presented::Unusable => unauthorized(),
    }
}

/// What a request brought.
enum Presented {
    Nothing,
    Token(PlainSecret),
    /// More than one, or not in the form of a token.
    Unusable,
}

/// The token of `Authorization: Bearer` or, where allowed, of `Kong-Admin-Token`. Two that differ are none.
fn presented(headers: &HeaderMap, admin: bool) -> Presented {
    let mut tokens = Vec::with_capacity(2);
    for value in headers.get_all(header::AUTHORIZATION) {
        tokens.push(value.to_str().ok().and_then(bearer));
    }
    if admin {
        for value in headers.get_all(ADMIN_TOKEN) {
            tokens.push(value.to_str().ok().map(str::trim));
        }
    }
    match tokens.as_slice() {
        [] => Presented::Nothing,
        [Some(first), rest @ ..]
            if rest.iter().all(|other| *other == Some(first))
                && !first.is_empty()
                && first.len() <= TOKEN_MAX =>
        {
            Presented::Token(PlainSecret::new(*first))
        }
        _ => Presented::Unusable,
    }
}

/// The token of an `Authorization` header (RFC 6750 section 2.1); the scheme's case does not matter.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Whether the request comes from this machine and names it as the host. The second keeps out pages in a browser on
/// this machine that resolve a name of their own to it.
fn is_loopback(request: &Request) -> bool {
    let from_here = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .is_some_and(|ConnectInfo(peer)| peer.ip().to_canonical().is_loopback());
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok());
    from_here && hosts.next().is_none() && host.is_some_and(names_loopback)
}

pub(super) fn names_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn unauthorized() -> Response {
    let headers = [(header::WWW_AUTHENTICATE, "Bearer"), (header::CONTENT_TYPE, JSON)];
    (StatusCode::UNAUTHORIZED, headers, r#"{"message":"Unauthorized"}"#).into_response()
}

fn forbidden(role: AccessRole) -> Response {
    let body = serde_json::json!({ "message": StoreError::Forbidden(role).to_string() }).to_string();
    (StatusCode::FORBIDDEN, [(header::CONTENT_TYPE, JSON)], body).into_response()
}

/// Without the database nobody can be told apart, so nobody gets in.
fn unavailable(error: &StoreError) -> Response {
    tracing::error!(%error, "a token could not be checked");
    let headers = [(header::RETRY_AFTER, "1"), (header::CONTENT_TYPE, JSON)];
    (StatusCode::SERVICE_UNAVAILABLE, headers, r#"{"message":"Service unavailable"}"#).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(headers: &[(&'static str, &'static str)], admin: bool) -> Option<String> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        match presented(&map, admin) {
            Presented::Nothing => Some(String::new()),
            Presented::Token(token) => Some(token.expose().to_owned()),
            Presented::Unusable => None,
        }
    }

    #[test]
    fn a_token_comes_in_either_header_but_never_as_two_that_differ() {
        assert_eq!(token(&[], true).as_deref(), Some(""));
        assert_eq!(token(&[("kong-admin-token", "a")], true).as_deref(), Some("a"));
        assert_eq!(token(&[("kong-admin-token", "a")], false).as_deref(), Some(""));
        assert_eq!(token(&[("authorization", "bEaReR a")], true).as_deref(), Some("a"));
        assert_eq!(
            token(&[("authorization", "Bearer a"), ("kong-admin-token", "a")], true).as_deref(),
            Some("a")
        );
        assert_eq!(token(&[("authorization", "Bearer a"), ("kong-admin-token", "b")], true), None);
        assert_eq!(token(&[("authorization", "Bearer a"), ("authorization", "Bearer b")], true), None);
        assert_eq!(token(&[("authorization", "Basic a")], true), None);
        assert_eq!(token(&[("kong-admin-token", "")], true), None);
    }

    #[test]
    fn only_names_of_this_machine_are_loopback() {
        for host in ["localhost", "LOCALHOST:8005", "127.0.0.1", "127.0.0.2:8005", "[::1]", "[::1]:8005"] {
            assert!(names_loopback(host), "{host}");
        }
        for host in ["", "localhost.example.com", "127.0.0.1.example.com", "10.0.0.1", "[::2]:8005"] {
            assert!(!names_loopback(host), "{host}");
        }
    }
}
