//! What addresses and forms say, with refusals that are pages.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::failure::Failure;

/// The variable parts of a path. One that names nothing that could be is not found.
pub struct Path<T>(pub T);

/// The arguments of an address.
pub struct Query<T>(pub T);

/// The fields of a form.
pub struct Form<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let path = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        path.map(|path| Self(path.0)).map_err(|_| Failure::NotFound("There is no such page."))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let query = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        query.map(|query| Self(query.0)).map_err(|_| Failure::Unreadable("The address cannot be read."))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Form<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let form = axum::extract::Form::<T>::from_request(request, state).await;
        let unreadable =
            "The form cannot be read, and nothing was changed. Open the page again and repeat what you did.";
        form.map(|form| Self(form.0)).map_err(|_| Failure::Unreadable(unreadable))
    }
}
