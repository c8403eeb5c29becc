//! The legacy Admin API: `/developers` and what belongs to them, and `/services`. One file per resource, named like the
//! last segment of its path; what all of them share is in `conventions`.

mod application_instances;
mod applications;
mod bodies;
mod conventions;
mod developers;
mod key_auth;
mod kong_sync;
mod oauth2;
mod parameters;
mod plugins;
mod services;
#[cfg(test)]
mod tests;

use axum::Router;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::conventions::{Error, reply};
use super::App;

/// All endpoints, also under `/default`, the name of the only workspace. Paths that are none of them are left to the
/// router this one is merged into; see [`not_found`].
pub fn router() -> Router<App> {
    let (router, _) = endpoints().split_for_parts();
    Router::new()
        .nest("/default", router.clone())
        .merge(router)
        .method_not_allowed_fallback(method_not_allowed)
}

/// The description of all endpoints.
pub fn openapi() -> OpenApi {
    endpoints().into_openapi()
}

/// The answer to a path that names nothing.
pub async fn not_found() -> Response {
    Error::NotFound.into_response()
}

fn endpoints() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(developers::list, developers::create))
        .routes(routes!(developers::get, developers::update, developers::delete))
        .routes(routes!(applications::list, applications::create))
        .routes(routes!(applications::get, applications::update, applications::delete))
        .routes(routes!(application_instances::list, application_instances::create))
        .routes(routes!(
            application_instances::get,
            application_instances::update,
            application_instances::delete
        ))
        .routes(routes!(oauth2::list, oauth2::create))
        .routes(routes!(oauth2::get, oauth2::delete))
        .routes(routes!(key_auth::list, key_auth::create))
        .routes(routes!(key_auth::get, key_auth::update, key_auth::delete))
        .routes(routes!(plugins::list, plugins::create))
        .routes(routes!(plugins::get, plugins::update, plugins::delete))
        .routes(routes!(kong_sync::list, kong_sync::start))
        .routes(routes!(kong_sync::retry))
        .routes(routes!(services::list, services::create))
        .routes(routes!(services::get, services::put, services::update, services::delete))
        .routes(routes!(services::application_instances))
}

/// The router adds `Allow` with the path's methods to whatever is answered here.
async fn method_not_allowed(method: Method) -> Response {
    if method == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    reply::message(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed")
}
