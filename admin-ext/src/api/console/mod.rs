//! `/console`: what the APIs do, for people: pages made here and sent as HTML. Every form works without scripts, and with them
//! (htmx) only what changed is exchanged. One file per page, named like its path; what stands around all of them is in
//! `guard`.

mod application;
mod applications;
mod assets;
mod audit;
mod connections;
mod cookies;
mod credentials;
mod csrf;
mod dcr_providers;
mod decide;
mod developer;
mod developers;
mod extract;
mod facts;
mod failure;
mod flash;
mod force;
mod frame;
mod gateways;
mod guard;
mod link;
mod next;
mod openid;
mod plain;
mod render;
mod requests;
mod settings;
mod sign_in;
mod strategies;
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
        .route("/console/developers", get(developers::list))
        .nest("/console/developers/{developer}", a_developer())
        .route("/console/strategies", get(strategies::list))
        .route("/console/strategies/{strategy}", get(strategies::page))
        .route("/console/dcr-providers", get(dcr_providers::list))
        .route("/console/dcr-providers/{provider}", get(dcr_providers::page))
        .route(
            "/console/dcr-providers/{provider}/verify",
            get(dcr_providers::verified).post(dcr_providers::verify),
        )
        .route("/console/gateways", get(gateways::list))
        .route("/console/gateways/{node}", get(gateways::page))
        .route("/console/audit", get(audit::list))
        .route("/console/audit/{seq}", get(audit::page))
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

fn a_developer() -> Router<App> {
    Router::new()
        .route("/", get(developer::page))
        .route("/force", get(developer::force))
        .route("/delete", get(developer::ask_delete).post(developer::delete))
        .route("/{decision}", post(developer::decide))
}

async fn not_found() -> Failure {
    Failure::NotFound("There is no such page.")
}
