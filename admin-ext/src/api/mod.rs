//! The HTTP side. `legacy` serves `/developers` and `/services`, `v2` serves `/v2`; `gateway` serves the feed; `console`
//! serves people with a browser, `ops` those who run the program. Around them: authentication, `Prefer: wait`, and what is measured of every request.

pub mod auth;
pub mod console;
pub mod gateway;
pub mod legacy;
pub mod ops;
pub mod permission;
pub mod prefer;
#[cfg(test)]
mod tests;
pub mod v2;

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRequestParts};
use axum::http::request::Parts;
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use tokio::sync::watch;
use tower_http::catch_panic::CatchPanicLayer;

use self::console::ConsoleSettings;
use crate::idp::{Clients, Idp};
use crate::kong::Kong;
use crate::mail::Mailer;
use crate::model::AccessRole;
use crate::nodes::Nodes;
use crate::store::{Actor, Store};

/// Largest body of a request, in bytes.
const BODY_MAX: usize = 1024 * 1024;

/// What every handler gets as its state.
///
/// A handler of a write takes `Extension<Actor>` (the caller, put there by the authentication layer) and puts the
/// [`Revision`](app_auth_core::ids::Revision) that [`Writer::commit`](crate::store::Writer::commit) answered into the
/// response's extensions; the `Prefer: wait` layer does the rest.
#[derive(Clone)]
pub struct App {
    pub store: Store,
    pub nodes: Nodes,
    pub mailer: Mailer,
    /// Every change of an application goes through here.
    pub clients: Clients,
    pub idp: Idp,
    /// The Kong that follows, if one does.
    pub kong: Option<Kong>,
    pub settings: Arc<ApiSettings>,
    /// Turns true when the program is to stop: what is held open is let go.
    pub stopping: watch::Receiver<bool>,
}

/// What handlers get that answer administrators: how much of it they see depends on who asks, so it comes by [`Seen`] and
/// no other way.
#[derive(Clone)]
pub struct Unseen(App);

/// The state as the caller may see it: only the role admin sees secrets that are kept.
pub struct Seen(pub App);

impl AsRef<App> for App {
    fn as_ref(&self) -> &App {
        self
    }
}

impl AsRef<App> for Unseen {
    fn as_ref(&self) -> &App {
        &self.0
    }
}

impl<S: AsRef<App> + Sync> FromRequestParts<S> for Seen {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let app = state.as_ref();
        let admin = parts.extensions.get::<Actor>().is_some_and(|actor| actor.role == AccessRole::Admin);
        let store = if admin { app.store.with_secrets() } else { app.store.without_secrets() };
        Ok(Self(App { store, ..app.clone() }))
    }
}

/// What an operator can set about the API.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ApiSettings {
    /// Lets callers on this machine in without a token if they name this machine as the host.
    pub allow_loopback_without_token: bool,
    pub console: ConsoleSettings,
}

/// All endpoints.
pub fn router(app: App) -> Router {
    let admin = legacy::router()
        .fallback(legacy::not_found)
        .layer(from_fn(ops::within_time))
        .layer(from_fn(ops::to_the_end))
        .merge(legacy::bulk_router())
        .layer(from_fn_with_state(app.clone(), prefer::wait))
        .layer(from_fn_with_state(app.clone(), auth::admin))
        .with_state(Unseen(app.clone()));
    let v2 = v2::router()
        .layer(from_fn(ops::within_time))
        .layer(from_fn(ops::to_the_end))
        .layer(from_fn_with_state(app.clone(), prefer::wait))
        .layer(from_fn_with_state(app.clone(), auth::admin_v2))
        .layer(from_fn(v2::render))
        .with_state(Unseen(app.clone()));
    let metrics = ops::metrics_router().layer(from_fn_with_state(app.clone(), auth::any));
    let gateway = gateway::router(&app);
    let console = console::router(&app);
    Router::new()
        .merge(ops::router())
        .merge(metrics)
        .merge(gateway)
        .merge(console)
        .merge(v2)
        .merge(admin)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(CatchPanicLayer::new())
        .layer(map_response(ops::name_server))
        .layer(from_fn(ops::observe))
        .with_state(app)
}

/// The OpenAPI document of all endpoints.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut document = ops::openapi();
    document.merge(legacy::openapi());
    document.merge(v2::openapi());
    document.merge(gateway::openapi());
    document
}
