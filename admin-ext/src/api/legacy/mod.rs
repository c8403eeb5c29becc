//! The legacy Admin API: `/developers` and `/services`.

use super::App;

/// The API's routes, without authentication and `Prefer: wait`: those are layers around it.
pub fn router() -> axum::Router<App> {
    axum::Router::new()
}

/// The API's part of the OpenAPI document.
pub fn openapi() -> utoipa::openapi::OpenApi {
    utoipa::openapi::OpenApi::default()
}
