//! The v2 APIs: auth strategies and DCR providers, and the portals and API products they govern. One file per resource,
//! named like the last segment of its path; what all of them share is in `conventions`.

mod api_products;
mod application_auth_strategies;
mod applications;
mod conventions;
mod credentials;
mod dcr_jobs;
mod dcr_providers;
mod developers;
mod openid_connect;
mod portal_product_versions;
mod portal_products;
mod portals;
mod product_versions;
mod registrations;
mod strategy_summary;
mod traffic;
mod verify;

use axum::Router;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use self::conventions::{Problem, render};
use super::Unseen;

/// Where all of it is.
pub const PREFIX: &str = "/v2";

/// All endpoints.
pub fn router() -> Router<Unseen> {
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

fn endpoints() -> OpenApiRouter<Unseen> {
    OpenApiRouter::new()
        .routes(routes!(application_auth_strategies::list, application_auth_strategies::create))
        .routes(routes!(
            application_auth_strategies::get,
            application_auth_strategies::replace,
            application_auth_strategies::update,
            application_auth_strategies::delete
        ))
        .routes(routes!(dcr_providers::list, dcr_providers::create))
        .routes(routes!(dcr_providers::get, dcr_providers::update, dcr_providers::delete))
        .routes(routes!(verify::verify))
        .routes(routes!(dcr_jobs::list))
        .routes(routes!(dcr_jobs::retry))
        .routes(routes!(api_products::list, api_products::create))
        .routes(routes!(api_products::get, api_products::update, api_products::delete))
        .routes(routes!(product_versions::list, product_versions::create))
        .routes(routes!(product_versions::get, product_versions::update, product_versions::delete))
        .routes(routes!(portals::list, portals::create))
        .routes(routes!(portals::get, portals::update, portals::delete))
        .routes(routes!(portal_products::list))
        .routes(routes!(portal_products::publish))
        .routes(routes!(portal_product_versions::list, portal_product_versions::create))
        .routes(routes!(
            portal_product_versions::get,
            portal_product_versions::replace,
            portal_product_versions::update,
            portal_product_versions::delete
        ))
        .routes(routes!(developers::list, developers::create))
        .routes(routes!(developers::get, developers::update, developers::delete))
        .routes(routes!(applications::list, applications::create))
        .routes(routes!(applications::get, applications::update, applications::delete))
        .routes(routes!(applications::get_any))
        .routes(routes!(traffic::get))
        .routes(routes!(credentials::list, credentials::create))
        .routes(routes!(credentials::replace, credentials::delete))
        .routes(routes!(credentials::refresh))
        .routes(routes!(registrations::list_all))
        .routes(routes!(registrations::list, registrations::create))
        .routes(routes!(registrations::get, registrations::update, registrations::delete))
        .routes(routes!(registrations::granted_scopes))
}
