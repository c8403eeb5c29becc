//! The templates, embedded in the program, and how they become answers. Everything that is filled in is escaped.

use std::sync::LazyLock;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use minijinja::{Environment, UndefinedBehavior, Value};

use super::assets;

macro_rules! embedded {
    ($($name:literal),* $(,)?) => { &[ $( ($name, include_str!(concat!("templates/", $name))) ),* ] };
}

const TEMPLATES: &[(&str, &str)] = embedded![
    "layout.html",
    "alone.html",
    "parts.html",
    "notice.html",
    "sign_in.html",
    "applications.html",
    "application.html",
    "force.html",
    "traffic.html",
    "connection-delete.html",
    "credential-delete.html",
    "credential-created.html",
    "application-delete.html",
    "requests.html",
    "developers.html",
    "developer.html",
    "developer-delete.html",
    "strategies.html",
    "strategy.html",
    "dcr-providers.html",
    "dcr-provider.html",
    "gateways.html",
    "gateway.html",
    "audit.html",
    "audit-entry.html",
];

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    environment.add_global("assets", assets::FOLDER.as_str());
    for (name, source) in TEMPLATES {
        if let Err(error) = environment.add_template(name, source) {
            // Tested: every template of ours can be read.
            tracing::error!(%error, name, "a template cannot be read");
        }
    }
    environment
});

/// A page of HTML.
pub fn page(template: &str, shown: Value) -> Result<Response, minijinja::Error> {
    let html = ENVIRONMENT.get_template(template)?.render(shown)?;
    Ok(([(header::CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_can_be_read_and_escapes_what_it_shows() {
        for (name, _) in TEMPLATES {
            assert!(ENVIRONMENT.get_template(name).is_ok(), "{name}");
        }
        let shown =
            minijinja::context! { title => "<b>", text => "\"&", link_text => "", link_address => "" };
        let html = ENVIRONMENT.get_template("notice.html").unwrap().render(shown).unwrap();
        assert!(html.contains("&lt;b&gt;") && !html.contains("<b>"));
    }
}
