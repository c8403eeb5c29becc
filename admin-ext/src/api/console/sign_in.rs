//! Signing in with an admin token, and signing out. What a session is, the store knows.

use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Form, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use minijinja::context;
use serde::Deserialize;

use super::cookies::{self, CookieKind};
use super::csrf::Csrf;
use super::visitor::Visitor;
use super::{PREFIX, next, openid, plain};
use crate::api::App;
use crate::api::auth::TOKEN_MAX;
use crate::api::ops::RequestId;
use crate::model::PlainSecret;
use crate::store::{Opened, StoreError, TokenKind};

/// The endpoints for those who are not signed in.
pub fn router() -> Router<App> {
    Router::new().route("/console/sign-in", get(form).post(sign_in))
}

/// The endpoint for those who are.
pub fn router_of_visitors() -> Router<App> {
    Router::new().route("/console/sign-out", post(sign_out))
}

#[derive(Deserialize, Default)]
pub(super) struct Where {
    #[serde(default)]
    pub next: String,
}

#[derive(Deserialize, Default)]
struct SignIn {
    #[serde(default)]
    token: String,
    #[serde(default)]
    next: String,
}

async fn form(
    State(app): State<App>,
    query: Result<Query<Where>, QueryRejection>,
    request: Request,
) -> Response {
    let Where { next } = query.map(|Query(query)| query).unwrap_or_default();
    let next = next::page_of_console(&next);
    if request.extensions().get::<Visitor>().is_some() {
        return Redirect::to(next).into_response();
    }
    if let Some(csrf) = request.extensions().get::<Csrf>() {
        return page(&app, StatusCode::OK, next, csrf, None);
    }
    let Ok(secret) = app.store.generate_secret() else { return unavailable() };
    let response = page(&app, StatusCode::OK, next, &Csrf::of(&secret), None);
    with_cookie(response, cookies::set(&app.settings.console, CookieKind::Visit, &secret))
}

async fn sign_in(
    State(app): State<App>,
    Extension(csrf): Extension<Csrf>,
    Extension(RequestId(id)): Extension<RequestId>,
    visitor: Option<Extension<Visitor>>,
    form: Result<Form<SignIn>, FormRejection>,
) -> Response {
    let SignIn { token, next } = form.map(|Form(form)| form).unwrap_or_default();
    let next = next::page_of_console(&next);
    let presented = PlainSecret::new(token);
    let opened = match open(&app, &id, presented).await {
        Ok(Some(secret)) => secret,
        Ok(None) => {
            let error =
                "This token opens nothing here. Check that it is an admin token and was copied whole.";
            return page(&app, StatusCode::UNAUTHORIZED, next, &csrf, Some(error));
        }
        Err(error) => {
            tracing::error!(%error, "a sign-in failed");
            return unavailable();
        }
    };
    if let Some(Extension(visitor)) = visitor
        && let Err(error) = app.store.close_session(&id, &visitor.session).await
    {
        tracing::warn!(%error, "the session before this one was not ended");
    }
    enter(&app, &opened, next)
}

/// The secret of a new session; `None` if the token opens none.
async fn open(app: &App, request: &str, presented: PlainSecret) -> Result<Option<PlainSecret>, StoreError> {
    // Blanks come with copying.
    let token = PlainSecret::new(presented.expose().trim());
    if token.expose().is_empty() || token.expose().len() > TOKEN_MAX {
        return Ok(None);
    }
    let Some(token) = app.store.authenticate(TokenKind::Admin, &token).await? else { return Ok(None) };
    let opened = app.store.open_session(request, &token.name, Opened::ByToken(token.id)).await?;
    Ok(opened.map(|(_, secret)| secret))
}

/// Gives the browser a session, whose secret nobody knew before, and takes what it had without one.
pub(super) fn enter(app: &App, secret: &PlainSecret, next: &str) -> Response {
    let settings = &app.settings.console;
    let response = Redirect::to(next).into_response();
    let response = with_cookie(response, cookies::set(settings, CookieKind::Session, secret));
    with_cookie(response, cookies::forget(settings, CookieKind::Visit))
}

async fn sign_out(
    State(app): State<App>,
    Extension(RequestId(id)): Extension<RequestId>,
    visitor: Visitor,
) -> Response {
    if let Err(error) = app.store.close_session(&id, &visitor.session).await {
        tracing::error!(%error, "a sign-out failed");
        return unavailable();
    }
    let response = Redirect::to(&next::sign_in_for(PREFIX)).into_response();
    with_cookie(response, cookies::forget(&app.settings.console, CookieKind::Session))
}

fn page(app: &App, status: StatusCode, next: &str, csrf: &Csrf, error: Option<&str>) -> Response {
    let csrf = csrf.expose();
    let provider = app.idp.sign_in.as_ref().map(|provider| provider.host());
    let openid = openid::address_for(next);
    plain::page("sign_in.html", status, context! { next, csrf, error, provider, openid })
}

pub(super) fn unavailable() -> Response {
    let text = "The database does not answer. Try again in a moment.";
    let link = ("Back to the console", PREFIX);
    plain::notice(StatusCode::SERVICE_UNAVAILABLE, "Not available", text, link)
}

pub(super) fn with_cookie(mut response: Response, cookie: Option<axum::http::HeaderValue>) -> Response {
    if let Some(cookie) = cookie {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}
