//! What is around every page: who is signed in, the sections, what the last form did. And the two ways a handler answers:
//! with a page, or with the way to the page that shows what was done.

use axum::extract::{FromRequestParts, OriginalUri};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use minijinja::value::Serde;
use minijinja::{Value, context};
use serde::Serialize;

use super::failure::Failure;
use super::flash::Flash;
use super::render;
use super::visitor::Visitor;
use super::when::When;
use crate::api::{App, Seen};
use crate::model::{AccessRole, Timestamp};
use crate::store::Actor;

/// Answers of pages.
pub type Answer = Result<Response, Failure>;

/// The parts of the console, as the navigation has them: path below `/console`, and name.
const SECTIONS: [(&str, &str); 7] = [
    ("applications", "Applications"),
    ("requests", "Requests"),
    ("developers", "Developers"),
    ("strategies", "Auth strategies"),
    ("dcr-providers", "DCR providers"),
    ("gateways", "Gateways"),
    ("audit", "Audit log"),
];

/// Most requests that are counted for the navigation.
const COUNTED: u64 = 99;

/// A signed-in request.
pub struct Frame {
    pub app: App,
    pub visitor: Visitor,
    /// The section it is in.
    section: String,
    flash: Option<Flash>,
    now: Timestamp,
}

#[derive(Serialize)]
struct Section {
    path: &'static str,
    name: &'static str,
    current: bool,
    count: Option<String>,
}

impl FromRequestParts<App> for Frame {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let visitor = Visitor::from_request_parts(parts, app).await?;
        // Routers within routers see a part of the path only.
        let path = parts.extensions.get::<OriginalUri>().map_or(parts.uri.path(), |uri| uri.path());
        let section = path.split('/').nth(2).unwrap_or_default().to_owned();
        let flash = Flash::read(&parts.headers);
        let now = app.store.now();
        // Whoever may not see secrets has a store that shows none.
        let Ok(Seen(app)) = Seen::from_request_parts(parts, app).await;
        Ok(Self { app, visitor, section, flash, now })
    }
}

impl Frame {
    pub const fn actor(&self) -> &Actor {
        &self.visitor.actor
    }

    pub fn when(&self, at: Timestamp) -> When {
        When::new(at, self.now)
    }

    pub fn when_if(&self, at: Option<Timestamp>) -> Option<When> {
        at.map(|at| self.when(at))
    }

    /// A page: a template and what it shows.
    pub async fn page(&self, template: &str, shown: impl Serialize) -> Answer {
        let waiting = self.app.store.waiting_requests(COUNTED + 1).await?;
        let count = match waiting {
            0 => None,
            n if n > COUNTED => Some(format!("{COUNTED}+")),
            n => Some(n.to_string()),
        };
        let sections: Vec<_> = SECTIONS
            .into_iter()
            .map(|(path, name)| Section {
                path,
                name,
                current: path == self.section,
                count: count.clone().filter(|_| path == "requests"),
            })
            .collect();
        let role = self.actor().role;
        let frame = context! {
            sections => Value::from(Serde(sections)),
            name => self.actor().name.as_str(),
            role => role.as_str(),
            may_decide => role >= AccessRole::Approver,
            may_change => role >= AccessRole::Admin,
            csrf => self.visitor.csrf.as_str(),
            flash => Value::from(Serde(&self.flash)),
            // The browser's clock may be another than ours.
            undo_left => self.flash.as_ref().and_then(|flash| Some(flash.undo.as_ref()?.until - self.now.0)),
        };
        let mut response = render::page(template, context! { frame, ..Value::from(Serde(shown)) })?;
        if self.flash.is_some() {
            response.headers_mut().append(header::SET_COOKIE, Flash::read_once());
        }
        Ok(response)
    }
}

/// To the page that shows what a form did.
pub fn see(path: &str, flash: Flash) -> Response {
    let location = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/console"));
    let mut response = (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response();
    if let Some(cookie) = flash.cookie() {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// To the page that shows what a form did, or why it did nothing.
pub fn outcome(path: &str, done: Result<impl Into<Flash>, Failure>) -> Response {
    match done {
        Ok(done) => see(path, done.into()),
        Err(failure) => failed(path, failure),
    }
}

/// To the page that says why a form did nothing.
pub fn failed(path: &str, failure: Failure) -> Response {
    // Who is not let in, or what is gone, has no page to come back to.
    if failure.ends() { failure.into_response() } else { see(path, Flash::bad(failure.to_string())) }
}

/// A piece of a page, for scripts.
pub fn piece(template: &str, shown: impl Serialize) -> Answer {
    Ok(render::page(template, Value::from(Serde(shown)))?)
}
