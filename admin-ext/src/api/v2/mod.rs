//! The v2 APIs: auth strategies and DCR providers, and the portals and API products they govern. One file per resource,
//! named like the last segment of its path; what all of them share is in `conventions`.

#![expect(unused_qualifications, reason = "the macro that describes an operation writes paths in full")]

mod api_products;
mod conventions;
mod dcr_jobs;
mod verify;

use axum::Router;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use self::conventions::{Problem, render};
use super::App;

/// Where all of it is.
pub const PREFIX: &str = "/v2";

/// All endpoints.
pub fn router() -> Router<App> {
    let (router, _) = endpoints().split_for_parts();
    Router::new().nest(PREFIX, router.fallback(not_found))
}

/// The description of all endpoints.
pub fn openapi() -> OpenApi {
    let document = OpenApiRouter::new().nest(PREFIX, endpoints()).into_openapi();
    conventions::described(document)
}

async fn not_found() -> Problem {
    Problem::not_found()
}

fn endpoints() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(api_products::list, api_products::create))
        .routes(routes!(api_products::get, api_products::update, api_products::delete))
        .routes(routes!(dcr_jobs::list))
        .routes(routes!(dcr_jobs::retry))
        .routes(routes!(verify::verify))
}
