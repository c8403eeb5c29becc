//! Pages outside the console's frame: sign-in and refusals. They show nothing of the store, so they need no session.

use std::sync::OnceLock;

use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _, Response};
use minijinja::{Environment, Value, context};

macro_rules! embedded {
    ($($name:literal),* $(,)?) => { &[ $( ($name, include_str!(concat!("templates/", $name))) ),* ] };
}

const TEMPLATES: &[(&str, &str)] = embedded!["plain.html", "notice.html", "sign_in.html"];

/// A page that tells one thing and where to go from there: a link's text and its address.
pub fn notice(status: StatusCode, title: &str, text: &str, link: (&str, &str)) -> Response {
    let (link_text, link_address) = link;
    page("notice.html", status, context! { title, text, link_text, link_address })
}

/// A page from one of the templates.
pub fn page(name: &str, status: StatusCode, values: Value) -> Response {
    let rendered = environment().get_template(name).and_then(|template| template.render(values));
    match rendered {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, name, "a page could not be made");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn environment() -> &'static Environment<'static> {
    static ENVIRONMENT: OnceLock<Environment<'static>> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let mut environment = Environment::new();
        for (name, source) in TEMPLATES {
            if let Err(error) = environment.add_template(name, source) {
                tracing::error!(%error, name, "a template cannot be used");
            }
        }
        environment
    })
}
