//! Pages outside the console's frame: sign-in and refusals. They show nothing of the store, so they need no session.

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use minijinja::{Value, context};

use super::render;

/// A page that tells one thing and where to go from there: a link's text and its address.
pub fn notice(status: StatusCode, title: &str, text: &str, link: (&str, &str)) -> Response {
    let (link_text, link_address) = link;
    page("notice.html", status, context! { title, text, link_text, link_address })
}

/// A page from one of the templates.
pub fn page(name: &str, status: StatusCode, values: Value) -> Response {
    match render::page(name, values) {
        Ok(mut response) => {
            *response.status_mut() = status;
            response
        }
        Err(error) => {
            tracing::error!(%error, name, "a page could not be made");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
