//! Signing in at an OpenID provider: there, and back with a session. Who it is that comes back, and with which role, `idp`
//! finds out.

use std::sync::{Mutex, PoisonError};

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Extension, Router};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::cookies::{self, CookieKind};
use super::sign_in::{Where, enter, unavailable, with_cookie};
use super::visitor::Visitor;
use super::{PREFIX, next, plain};
use crate::api::App;
use crate::api::ops::RequestId;
use crate::idp::{Pending, Person, RelyingParty, Returned, SignInError};
use crate::model::{PlainSecret, Timestamp};
use crate::store::{Opened, StoreError};

/// What the sealed cookie is for.
const PURPOSE: &str = "console sign-in";
/// Most refusals that are written into the audit log in a minute: strangers could fill it. All of them are in the log.
const NOTED_MAX: u32 = 30;

const SIGN_IN: (&str, &str) = ("Sign in", "/console/sign-in");

/// The endpoints, which are there where a provider is set.
pub fn router() -> Router<App> {
    Router::new()
        .route("/console/sign-in/openid", get(begin))
        .route("/console/sign-in/openid/callback", get(callback))
}

/// The address that leads to the provider and then to a page.
pub fn address_for(next: &str) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("next", next).finish();
    format!("{PREFIX}/sign-in/openid?{query}")
}

async fn begin(State(app): State<App>, query: Result<Query<Where>, QueryRejection>) -> Response {
    let Some(provider) = &app.idp.sign_in else { return none() };
    let Where { next } = query.map(|Query(query)| query).unwrap_or_default();
    let begun = Pending::new(next::page_of_console(&next), app.store.now(), || app.store.generate_secret());
    let sealed = begun.and_then(|pending| Ok((sealed(&app, &pending)?, pending)));
    let (cookie, pending) = match sealed {
        Ok(begun) => begun,
        Err(error) => return broken(&error),
    };
    match provider.address(&pending).await {
        Ok(address) => {
            let response = Redirect::to(address.as_str()).into_response();
            with_cookie(response, cookies::set(&app.settings.console, CookieKind::Pending, &cookie))
        }
        Err(error) => {
            tracing::warn!(%error, "nobody can sign in at the identity provider");
            failed(provider, &error)
        }
    }
}

async fn callback(
    State(app): State<App>,
    Extension(RequestId(request)): Extension<RequestId>,
    visitor: Option<Extension<Visitor>>,
    headers: HeaderMap,
    query: Result<Query<Returned>, QueryRejection>,
) -> Response {
    let Some(provider) = &app.idp.sign_in else { return none() };
    let returned = query.map(|Query(query)| query).unwrap_or_default();
    let now = app.store.now();
    let pending = begun(&app, &headers).filter(|pending| pending.is_answered_by(&returned, now));
    let Some(pending) = pending else { return over() };
    let response = match provider.person(&pending, returned, now).await {
        Ok(person) => match welcome(&app, &request, visitor, &pending, person).await {
            Ok(response) => response,
            Err(error) => return broken(&error),
        },
        Err(error) => {
            note(&app, &request, provider.host(), &error.to_string()).await;
            failed(provider, &error)
        }
    };
    // What has been answered is over, whatever the answer was.
    with_cookie(response, cookies::forget(&app.settings.console, CookieKind::Pending))
}

/// A session for whoever has a role.
async fn welcome(
    app: &App,
    request: &str,
    visitor: Option<Extension<Visitor>>,
    pending: &Pending,
    person: Person,
) -> Result<Response, StoreError> {
    let Some(role) = person.role else {
        note(app, request, &person.name, "no role").await;
        let text = format!(
            "You are signed in as {}, but that gives you no role here. Ask whoever runs this for one, or sign in as \
             somebody else.",
            person.name
        );
        return Ok(plain::notice(StatusCode::FORBIDDEN, "No access", &text, SIGN_IN));
    };
    let opened = Opened::ByProvider {
        role,
        identity: person.identity,
        sign_in: (pending.digest(), pending.ends_at()),
    };
    let Some((_, secret)) = app.store.open_session(request, &person.name, opened).await? else {
        return Ok(over());
    };
    if let Some(Extension(visitor)) = visitor {
        app.store.close_session(request, &visitor.session).await?;
    }
    Ok(enter(app, &secret, &pending.next))
}

fn sealed(app: &App, pending: &Pending) -> Result<PlainSecret, StoreError> {
    let json = serde_json::to_vec(pending).map_err(|_| StoreError::Corrupt("a sign-in"))?;
    Ok(PlainSecret::new(URL_SAFE_NO_PAD.encode(app.store.seal_for(PURPOSE, &json)?)))
}

/// The sign-in that this browser began.
fn begun(app: &App, headers: &HeaderMap) -> Option<Pending> {
    let cookie = cookies::read(headers, &app.settings.console, CookieKind::Pending)?;
    let sealed = URL_SAFE_NO_PAD.decode(cookie.expose()).ok()?;
    serde_json::from_slice(&app.store.open_for(PURPOSE, &sealed)?).ok()
}

/// Writes down who was not let in, and why.
async fn note(app: &App, request: &str, who: &str, reason: &str) {
    static NOTED: Mutex<(i64, u32)> = Mutex::new((0, 0));
    tracing::warn!(request, who, reason, "a sign-in was refused");
    if !is_within(&NOTED, app.store.now()) {
        return;
    }
    if let Err(error) = app.store.note_refused_sign_in(request, who, reason).await {
        tracing::error!(%error, "a refused sign-in was not written into the audit log");
    }
}

/// Counts what happens in a minute.
fn is_within(noted: &Mutex<(i64, u32)>, now: Timestamp) -> bool {
    let minute = now.0.div_euclid(60_000);
    let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
    if noted.0 != minute {
        *noted = (minute, 0);
    }
    noted.1 = noted.1.saturating_add(1);
    noted.1 <= NOTED_MAX
}

fn failed(provider: &RelyingParty, error: &SignInError) -> Response {
    let host = provider.host();
    let (status, text) = match error {
        SignInError::Away(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("{host} does not answer. Try again in a moment, or sign in with an admin token."),
        ),
        SignInError::Refused(reason) => (
            StatusCode::FORBIDDEN,
            format!("{host} did not let you in: {reason}. Try again, or sign in with an admin token."),
        ),
        SignInError::Untrusted(reason) => (
            StatusCode::BAD_GATEWAY,
            format!(
                "What {host} answered cannot be trusted: {reason}. Try again; if that does not help, tell whoever runs \
                 this."
            ),
        ),
    };
    plain::notice(status, "Not signed in", &text, SIGN_IN)
}

/// The answer to who comes back from nowhere.
fn over() -> Response {
    let text = "This sign-in is over: it took too long, was used before, or was not begun in this browser. Sign in again.";
    plain::notice(StatusCode::BAD_REQUEST, "Not signed in", text, SIGN_IN)
}

fn none() -> Response {
    let text = "Here one signs in with an admin token; no identity provider is set.";
    plain::notice(StatusCode::NOT_FOUND, "Not found", text, SIGN_IN)
}

fn broken(error: &StoreError) -> Response {
    tracing::error!(%error, "a sign-in failed");
    unavailable()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_of_a_minute_are_counted_up_to_a_limit() {
        let noted = Mutex::new((0, 0));
        let at = |minute: i64| is_within(&noted, Timestamp(minute * 60_000));
        assert_eq!((0..50).filter(|_| at(7)).count(), NOTED_MAX as usize);
        assert!(at(8));
    }
}
