//! The console: pages for the person who approves and revokes. One file per page, named like its path; what stands around
//! all of them is in `guard`.

mod cookies;
mod csrf;
mod guard;
mod next;
mod plain;
mod settings;
mod sign_in;
mod visitor;

use axum::Router;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{any, get};

pub use self::settings::ConsoleSettings;
pub use self::visitor::{Forbidden, Visitor};
use super::App;

/// Where all of it is.
pub const PREFIX: &str = "/console";

/// All pages.
pub fn router(app: &App) -> Router<App> {
    let pages = Router::new()
        .route("/console", get(home))
        .route("/console/", any(not_found))
        .route("/console/{*path}", any(not_found));
    guard::guarded(app, pages, Router::new())
}

async fn home(visitor: Visitor) -> Response {
    let text = format!("Signed in as {} ({}).", visitor.actor.name, visitor.actor.role.as_str());
    plain::notice(StatusCode::OK, "Console", &text, ("Here", PREFIX))
}

async fn not_found() -> Response {
    plain::notice(StatusCode::NOT_FOUND, "Not found", "There is no such page.", ("Open the console", PREFIX))
}
