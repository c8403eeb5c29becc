//! The legacy Admin API: `/developers` and what belongs to them, and `/services`. One file per resource, named like the
//! last segment of its path; what all of them share is in `conventions`.

mod application_instances;
mod applications;
mod bodies;
mod conventions;
mod developers;
mod key_auth;
mod oauth2;
mod parameters;
mod services;

use axum::Router;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::conventions::{Error, reply};
use super::App;

/// The server's name and version in every answer.
const SERVER: HeaderValue = HeaderValue::from_static(concat!("app-auth-admin/", env!("CARGO_PKG_VERSION")));

/// All endpoints, also under `/default`, the name of the only workspace. Paths that are none of them are left to the
/// router this one is merged into; see [`not_found`].
pub fn router() -> Router<App> {
    let (router, _) = endpoints().split_for_parts();
    Router::new()
        .nest("/default", router.clone())
        .merge(router)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(axum::middleware::map_response(name_server))
}

/// The description of all endpoints.
pub fn openapi() -> OpenApi {
    endpoints().into_openapi()
}

/// The answer to a path that names nothing.
pub async fn not_found() -> Response {
    name_server(Error::NotFound.into_response()).await
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

async fn name_server(mut response: Response) -> Response {
    response.headers_mut().insert(header::SERVER, SERVER);
    response
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::*;

    fn operations(document: &Value) -> Vec<(String, &Value)> {
        let paths = document["paths"].as_object().unwrap();
        paths
            .iter()
            .flat_map(|(path, item)| {
                item.as_object()
                    .unwrap()
                    .iter()
                    .map(move |(method, operation)| (format!("{method} {path}"), operation))
            })
            .collect()
    }

    #[test]
    fn every_operation_is_described_with_a_name_of_its_own_and_an_example() {
        let document = json!(openapi());
        let operations = operations(&document);
        assert_eq!(operations.len(), 31);

        let names: BTreeSet<_> =
            operations.iter().map(|(_, operation)| operation["operationId"].to_string()).collect();
        assert_eq!(names.len(), operations.len());
        for (name, operation) in operations {
            assert!(operation["summary"].is_string(), "{name}");
            let success = ["200", "201", "204"].map(|status| &operation["responses"][status]);
            let answer = success.into_iter().find(|answer| !answer.is_null()).unwrap();
            for (status, response) in operation["responses"].as_object().unwrap() {
                assert_ne!(response["description"].as_str().unwrap_or_default(), "", "{name} {status}");
            }
            let shown = !answer["content"]["application/json"]["example"].is_null();
            assert_eq!(shown, !name.starts_with("delete "), "{name}");
            if name.starts_with("post ") || name.starts_with("put ") || name.starts_with("patch ") {
                for body in ["application/json", "application/x-www-form-urlencoded"] {
                    assert!(operation["requestBody"]["content"][body].is_object(), "{name} {body}");
                }
            }
        }
    }
}
