//! `ETag` and `If-Match` (RFC 9110, 8.8.3 and 13.1.1): who changes a resource can say which state of it they saw, and is
//! refused if it is no longer that.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};

use super::problem::Problem;
use crate::model::Timestamp;

/// The entity tag of a resource: the time of its last change, which no two changes share.
pub fn etag(updated_at: Timestamp) -> HeaderValue {
    HeaderValue::from_str(&tag(updated_at)).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

fn tag(updated_at: Timestamp) -> String {
    format!("\"{:x}\"", updated_at.0)
}

/// The states a caller is ready to change. Checked where nobody else can change the resource any more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IfMatch(Option<Vec<String>>);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut tags = None;
        for value in parts.headers.get_all(header::IF_MATCH) {
            let text = value.to_str().map_err(|_| failed())?;
            let more = text.split(',').map(|tag| tag.trim().to_owned());
            tags.get_or_insert_with(Vec::new).extend(more);
        }
        Ok(Self(tags))
    }
}

impl IfMatch {
    /// 412 unless the resource, last changed then, is in a state the caller named. Weak tags match nothing.
    pub fn check(&self, updated_at: Timestamp) -> Result<(), Problem> {
        match &self.0 {
            Some(tags) if !tags.iter().any(|given| given == "*" || *given == tag(updated_at)) => {
                Err(failed())
            }
            _ => Ok(()),
        }
    }

    /// 412 if the caller named any state: there is no resource.
    pub fn check_absent(&self) -> Result<(), Problem> {
        if self.0.is_some() { Err(failed()) } else { Ok(()) }
    }
}

fn failed() -> Problem {
    Problem::new(
        StatusCode::PRECONDITION_FAILED,
        "Precondition Failed",
        "Somebody has changed the resource since; read it again. Nothing has changed",
    )
}
