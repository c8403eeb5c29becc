//! The ids in a path.

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use uuid::Uuid;

use super::problem::{Parameter, Problem, Source};

/// The ids in a path, in the order in which they stand there. One that is no UUID is refused by its name.
#[derive(Debug)]
pub struct Ids<const N: usize>(pub [Uuid; N]);

impl<S: Send + Sync, const N: usize> FromRequestParts<S> for Ids<N> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let segments =
            RawPathParams::from_request_parts(parts, state).await.map_err(|_| Problem::not_found())?;
        let mut ids = Vec::with_capacity(N);
        let mut wrong = Vec::new();
        for (name, value) in &segments {
            match value.parse() {
                Ok(id) if value.len() == 36 => ids.push(id),
                _ => {
                    let reason = format!("value of \"{name}\" must be a UUID");
                    wrong.push(Parameter::new(Source::Path, name, "is_uuid", reason));
                }
            }
        }
        if !wrong.is_empty() {
            return Err(Problem::invalid(wrong));
        }
        ids.try_into().map(Self).map_err(|_| Problem::not_found())
    }
}
