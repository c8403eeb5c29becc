//! Reads a request's JSON body and holds it against the rules of what it describes.

use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::problem::{Parameter, Problem};
use super::rules::{Object, Union};

/// Largest body, in bytes.
const BODY_MAX: usize = 1024 * 1024;

/// The members of a body. Without a body there are none.
#[derive(Debug, Default)]
pub struct Input(pub Map<String, Value>);

impl<S: Send + Sync> FromRequest<S> for Input {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, BODY_MAX).await.map_err(|_| {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "Payload Too Large", "The body is too large")
        })?;
        if body.is_empty() {
            return Ok(Self::default());
        }
        let media = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media = media.and_then(|value| value.parse::<mime::Mime>().ok());
        let json = |media: mime::Mime| {
            media.type_() == "application"
                && (media.subtype() == "json" || media.suffix().is_some_and(|suffix| suffix == "json"))
        };
        if !media.is_some_and(json) {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "Unsupported Media Type",
                "Bodies are application/json",
            ));
        }
        match serde_json::from_slice(&body) {
            Ok(Value::Object(members)) => Ok(Self(members)),
            Ok(_) | Err(_) => Err(Problem::unreadable()),
        }
    }
}

impl Input {
    /// The body as `object` describes it, with everything that is wrong with it in one answer. `more` adds what no rule
    /// of a single member can tell.
    pub fn read<T: DeserializeOwned>(
        self,
        object: &Object,
        more: impl FnOnce(&Map<String, Value>, &mut Vec<Parameter>),
    ) -> Result<T, Problem> {
        let mut wrong = Vec::new();
        object.check(&self.0, "", &mut wrong);
        more(&self.0, &mut wrong);
        self.finish(wrong)
    }

    /// As [`Input::read`], for one of several kinds of things.
    pub fn read_one_of<T: DeserializeOwned>(
        self,
        union: &Union,
        more: impl FnOnce(&Map<String, Value>, &mut Vec<Parameter>),
    ) -> Result<T, Problem> {
        let mut wrong = Vec::new();
        union.check(&self.0, &mut wrong);
        more(&self.0, &mut wrong);
        self.finish(wrong)
    }

    fn finish<T: DeserializeOwned>(self, wrong: Vec<Parameter>) -> Result<T, Problem> {
        if !wrong.is_empty() {
            return Err(Problem::invalid(wrong));
        }
        // The rules have seen to the types, so a failure is a fault of ours; the cause may quote a secret.
        serde_json::from_value(Value::Object(self.0)).map_err(|_| {
            tracing::error!(
                target_type = std::any::type_name::<T>(),
                "a body fits its rules but not its type"
            );
            Problem::unreadable()
        })
    }
}
