//! `Prefer: wait=N` (RFC 7240) on writes: the answer waits until every live gateway node has applied the change, so that
//! a revocation is confirmed and not hoped for.

use std::time::Duration;

use app_auth_core::feed::WAIT_MAX_SECONDS;
use app_auth_core::ids::Revision;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;

use super::{App, ops};
use crate::nodes::Progress;

const PREFER: HeaderName = HeaderName::from_static("prefer");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
const GATEWAYS_APPLIED: HeaderName = HeaderName::from_static("x-gateways-applied");

/// The layer around every handler that may write. A handler that wrote left its [`Revision`] in the extensions.
pub async fn wait(State(app): State<App>, request: Request, next: Next) -> Response {
    let wait = requested(request.headers());
    let mut response = next.run(request).await;
    if let (Some(wait), Some(revision)) = (wait, response.extensions().get::<Revision>().copied()) {
        let progress = tokio::select! {
            progress = app.nodes.wait_applied(revision, wait) => progress,
            () = ops::stopping(app.stopping.clone()) => app.nodes.progress(revision),
        };
        tell(response.headers_mut(), progress);
    }
    response
}

fn tell(headers: &mut HeaderMap, Progress { applied, live }: Progress) {
    if live > 0 && applied == live {
        headers.insert(PREFERENCE_APPLIED, HeaderValue::from_static("wait"));
    }
    if let Ok(value) = HeaderValue::from_str(&format!("{applied}/{live}")) {
        headers.insert(GATEWAYS_APPLIED, value);
    }
}

/// The first `wait` preference, at most [`WAIT_MAX_SECONDS`]. One that is no number is ignored, as the RFC has it.
fn requested(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
    let preferences = values.flat_map(|value| value.split(','));
    let mut waits = preferences.filter_map(|preference| {
        let (name, value) = preference.split(';').next()?.split_once('=')?;
        let value = value.trim().trim_matches('"');
        let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        (name.trim().eq_ignore_ascii_case("wait") && digits).then_some(value)
    });
    // A number too large to parse is longer than the longest wait.
    let seconds = waits.next()?.parse().unwrap_or(WAIT_MAX_SECONDS);
    Some(Duration::from_secs(seconds.min(WAIT_MAX_SECONDS)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(values: &[&'static str]) -> Option<u64> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(PREFER, HeaderValue::from_static(value));
        }
        requested(&headers).map(|wait| wait.as_secs())
    }

    #[test]
    fn the_first_wait_counts_and_is_bounded() {
        assert_eq!(seconds(&[]), None);
        assert_eq!(seconds(&["wait=5"]), Some(5));
        assert_eq!(seconds(&["respond-async, wait=7; foo=bar"]), Some(7));
        assert_eq!(seconds(&["respond-async", "Wait = \"3\"", "wait=9"]), Some(3));
        assert_eq!(seconds(&["wait=3600"]), Some(60));
        assert_eq!(seconds(&["wait=99999999999999999999999"]), Some(60));
        assert_eq!(seconds(&["wait=-1"]), None);
        assert_eq!(seconds(&["wait=soon"]), None);
        assert_eq!(seconds(&["wait"]), None);
    }
}
