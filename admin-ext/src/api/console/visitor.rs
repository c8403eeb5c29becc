//! Who looks at the console. Every request passes here: one without a session gets no further than the sign-in page. Knows
//! nothing of how people sign in.

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};

use super::cookies::{self, CookieKind};
use super::csrf::Csrf;
use super::{PREFIX, next, plain};
use crate::api::App;
use crate::api::ops::RequestId;
use crate::model::AccessRole;
use crate::store::{Actor, Session};

const HX_REQUEST: HeaderName = HeaderName::from_static("hx-request");
const HX_REDIRECT: HeaderName = HeaderName::from_static("hx-redirect");
const HX_CURRENT_URL: HeaderName = HeaderName::from_static("hx-current-url");

/// Somebody who is signed in.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// Whom changes are made for; its role is what they may do now.
    pub actor: Actor,
    /// What every form has to carry in the field `csrf`, and every other unsafe request in `X-CSRF-Token`.
    pub csrf: String,
    pub(super) session: Session,
}

impl Visitor {
    pub fn may(&self, role: AccessRole) -> bool {
        self.actor.role >= role
    }

    /// As [`Visitor::may`], with the answer to those who may not.
    pub fn require(&self, role: AccessRole) -> Result<(), Forbidden> {
        if self.may(role) { Ok(()) } else { Err(Forbidden(role)) }
    }
}

/// Something that only another role may do.
#[derive(Clone, Copy, Debug)]
pub struct Forbidden(AccessRole);

impl IntoResponse for Forbidden {
    fn into_response(self) -> Response {
        let Self(role) = self;
        let text = format!("This needs the role {}. Ask whoever gave you access.", role.as_str());
        plain::notice(StatusCode::FORBIDDEN, "Not allowed", &text, ("Back to the console", PREFIX))
    }
}

/// Handlers behind [`required`] always have a visitor.
impl<S: Sync> FromRequestParts<S> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| to_sign_in(&Method::POST, "", &parts.headers))
    }
}

/// The layer that finds out who it is, if they are signed in, and what their forms have to carry.
pub async fn find(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let settings = &app.settings.console;
    if let Some(secret) = cookies::read(request.headers(), settings, CookieKind::Session) {
        match app.store.session(&secret).await {
            Ok(Some(session)) => {
                let csrf = Csrf::of(&secret);
                let id = request.extensions().get::<RequestId>().map_or_else(String::new, |id| id.0.clone());
                let actor = Actor { name: session.subject.clone(), request: id, role: session.role };
                let visitor = Visitor { actor, csrf: csrf.expose().to_owned(), session };
                request.extensions_mut().insert(visitor.actor.clone());
                request.extensions_mut().insert(visitor);
                request.extensions_mut().insert(csrf);
                return next.run(request).await;
            }
            Ok(None) => {}
            Err(error) => {
                tracing::error!(%error, "a session could not be looked up");
                let text = "The database does not answer. Nothing has changed; try again in a moment.";
                let link = ("Back to the console", PREFIX);
                return plain::notice(StatusCode::SERVICE_UNAVAILABLE, "Not available", text, link);
            }
        }
    }
    if let Some(secret) = cookies::read(request.headers(), settings, CookieKind::Visit) {
        request.extensions_mut().insert(Csrf::of(&secret));
    }
    next.run(request).await
}

/// The layer that lets only those in who are signed in, and sends all others to where they can.
pub async fn required(request: Request, next: Next) -> Response {
    if request.extensions().get::<Visitor>().is_some() {
        return next.run(request).await;
    }
    let page = request.uri().path_and_query().map_or(PREFIX, |page| page.as_str());
    to_sign_in(request.method(), page, request.headers())
}

/// To the sign-in page, and from there back: to the page that was asked for, or the one the browser shows now.
fn to_sign_in(method: &Method, page: &str, headers: &HeaderMap) -> Response {
    if headers.get(HX_REQUEST).is_none_or(|value| value != "true") {
        let page = if method.is_safe() { page } else { PREFIX };
        return Redirect::to(&next::sign_in_for(page)).into_response();
    }
    let shown = headers.get(HX_CURRENT_URL).and_then(|url| url.to_str().ok()).and_then(next::page_of_url);
    let address = next::sign_in_for(shown.as_deref().unwrap_or(PREFIX));
    let mut response = StatusCode::UNAUTHORIZED.into_response();
    if let Ok(address) = HeaderValue::from_str(&address) {
        response.headers_mut().insert(HX_REDIRECT, address);
    }
    response
}
