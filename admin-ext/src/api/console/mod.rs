//! `/console`: what the APIs do, for people: pages made here and sent as HTML. Every form works without scripts, and with them
//! (htmx) only what changed is exchanged. One file per page, named like its path; what stands around all of them is in
//! `guard`.

mod application;
mod applications;
mod assets;
mod connections;
mod cookies;
mod credentials;
mod csrf;
mod decide;
mod failure;
mod flash;
mod force;
mod frame;
mod guard;
mod link;
mod next;
mod openid;
mod plain;
mod render;
mod requests;
mod settings;
mod sign_in;
mod traffic;
mod undo;
mod visitor;
mod when;

use axum::Router;
use axum::response::Redirect;
use axum::routing::{any, get, post};

pub use self::settings::ConsoleSettings;
pub use self::visitor::{Forbidden, Visitor};
use super::App;
use crate::api::console::failure::Failure;

/// Where all of it is.
pub const PREFIX: &str = "/console";

/// All pages.
pub fn router(app: &App) -> Router<App> {
    let assets = Router::new().route("/console/assets/{build}/{name}", get(assets::asset));
    guard::guarded(app, pages(), assets)
}

/// The pages for those who are signed in.
fn pages() -> Router<App> {
    Router::new()
        .route("/console", get(async || Redirect::to("/console/applications")))
        .route("/console/", any(not_found))
        .route("/console/{*path}", any(not_found))
        .route("/console/applications", get(applications::list))
        .nest("/console/applications/{application}", an_application())
        .route("/console/requests", get(requests::list))
        .route("/console/requests/{decision}", post(requests::decide))
        .route("/console/undo", post(undo::undo))
}

fn an_application() -> Router<App> {
    Router::new()
        .route("/", get(application::page))
        .route("/force", get(application::force))
        .route("/traffic", get(traffic::piece))
        .route("/delete", get(application::ask_delete).post(application::delete))
        .route("/client-secret", post(credentials::renew))
        .route("/credentials", post(credentials::create))
        .route("/credentials/{credential}/expire", post(credentials::expire))
        .route("/credentials/{credential}/delete", get(credentials::ask_delete).post(credentials::delete))
        .route("/connections/{connection}/delete", get(connections::ask_delete).post(connections::delete))
        .route("/connections/{connection}/{decision}", post(connections::decide))
}

async fn not_found() -> Failure {
    Failure::NotFound("There is no such page.")
}
