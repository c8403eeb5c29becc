//! The legacy Admin API: `/developers` and what belongs to them, and `/services`. One file per resource, named like the
//! last segment of its path; what all of them share is in `conventions`.

mod application_instances;
mod applications;
mod audit;
mod bodies;
mod conventions;
mod developer_credentials;
mod developers;
mod expiry;
mod export;
mod import;
mod invite;
mod key_auth;
mod kong_services;
mod kong_sync;
mod mails;
mod oauth2;
mod parameters;
mod plugins;
mod roles;
mod service_oauth2;
mod services;
#[cfg(test)]
mod tests;
mod workspaces;

use std::collections::HashMap;
use std::sync::OnceLock;

use axum::Router;
use axum::extract::MatchedPath;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use utoipa::ToSchema as _;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::OneOfBuilder;
use utoipa::openapi::{Content, OpenApi, PathItem, Ref, RefOr, Response as Described, ResponseBuilder};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::bodies::{Message, Violation};
use self::conventions::{Error, reply};
use super::Unseen;

/// The prefix of the only workspace.
pub const WORKSPACE: &str = "/default";

/// All endpoints but those of [`bulk_router`], also under `/default`, the name of the only workspace. Paths that are none
/// of them are left to the router this one is merged into; see [`not_found`].
pub fn router() -> Router<Unseen> {
    let (router, _) = endpoints().split_for_parts();
    Router::new()
        .nest(WORKSPACE, router.clone())
        .merge(router)
        .method_not_allowed_fallback(method_not_allowed)
}

/// The endpoints whose requests may take as long as there is something to do.
pub fn bulk_router() -> Router<Unseen> {
    let (router, _) = bulk_endpoints().split_for_parts();
    Router::new()
        .nest(WORKSPACE, router.clone())
        .merge(router)
        .method_not_allowed_fallback(method_not_allowed)
}

fn bulk_endpoints() -> OpenApiRouter<Unseen> {
    OpenApiRouter::new().routes(routes!(import::import))
}

/// The description of all endpoints.
pub fn openapi() -> OpenApi {
    let mut document = endpoints().merge(bulk_endpoints()).into_openapi();
    for item in document.paths.paths.values_mut() {
        for operation in writes(item).into_iter().flatten() {
            refused_to_some(operation);
        }
        for operation in operations(item) {
            refusals(operation);
        }
    }
    document
}

fn operations(path: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, patch, .. } = path;
    [get, put, post, delete, patch].into_iter().flatten()
}

fn writes(path: &mut PathItem) -> [&mut Option<Operation>; 4] {
    let PathItem { put, post, delete, patch, .. } = path;
    [put, post, delete, patch]
}

/// Adds what an operation that changes something answers those whose role does not allow it.
fn refused_to_some(operation: &mut Operation) {
    let content = Content::new(Some(Ref::from_schema_name(Message::name())));
    let response = ResponseBuilder::new()
        .description("The role of the token does not allow it; nothing has changed")
        .content("application/json", content)
        .build();
    operation.responses.responses.entry("403".to_owned()).or_insert(RefOr::T(response));
}

/// Adds what any operation may answer before it is reached or when the database cannot follow.
fn refusals(operation: &mut Operation) {
    let message = || Ref::from_schema_name(Message::name());
    let described = |text: &str| {
        let content = Content::new(Some(message()));
        ResponseBuilder::new().description(text).content("application/json", content).build()
    };
    let responses = &mut operation.responses.responses;
    let mut add = |status: &str, response: Described| {
        responses.entry(status.to_owned()).or_insert(RefOr::T(response));
    };
    add("401", described("No valid admin token"));
    add("408", described("The request took too long; nothing has changed"));
    add("503", described("The database is busy, try again; nothing has changed"));
    if operation.request_body.is_some() {
        // What cannot be read at all is refused with a message alone.
        let refused = OneOfBuilder::new().item(Ref::from_schema_name(Violation::name())).item(message());
        let refused = Content::new(Some(refused));
        let refused = ResponseBuilder::new()
            .description("Refused; nothing has changed")
            .content("application/json", refused)
            .build();
        add("413", described("The body is too large"));
        add("415", ResponseBuilder::new().description("The body is of no type that is understood").build());
        responses.insert("400".to_owned(), RefOr::T(refused));
    }
}

/// The answer to a path that names nothing.
pub async fn not_found() -> Response {
    Error::NotFound.into_response()
}

fn endpoints() -> OpenApiRouter<Unseen> {
    OpenApiRouter::new()
        .routes(routes!(developers::list, developers::create))
        .routes(routes!(developers::get, developers::update, developers::delete))
        .routes(routes!(invite::invite))
        .routes(routes!(mails::list))
        .routes(routes!(mails::delete))
        .routes(routes!(export::export))
        .routes(routes!(roles::list, roles::create))
        .routes(routes!(roles::get, roles::update, roles::delete))
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
        .routes(routes!(kong_services::list))
        .routes(routes!(kong_sync::list, kong_sync::start))
        .routes(routes!(kong_sync::retry))
        .routes(routes!(developer_credentials::list, developer_credentials::create))
        .routes(routes!(
            developer_credentials::get,
            developer_credentials::update,
            developer_credentials::delete
        ))
        .routes(routes!(services::list, services::create))
        .routes(routes!(services::get, services::put, services::update, services::delete))
        .routes(routes!(services::application_instances))
        .routes(routes!(audit::list))
        .routes(routes!(audit::get))
        .routes(routes!(workspaces::list))
        .routes(routes!(workspaces::get, workspaces::update))
}

/// `OPTIONS` of any path, or a method that it does not have.
async fn method_not_allowed(method: Method, path: MatchedPath) -> Response {
    let mut response = if method == Method::OPTIONS {
        StatusCode::NO_CONTENT.into_response()
    } else {
        reply::message(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed")
    };
    let path = path.as_str();
    let allowed = allowed().get(path.strip_prefix(WORKSPACE).unwrap_or(path));
    if let Some(Ok(allowed)) = allowed.map(|allowed| HeaderValue::from_str(allowed)) {
        response.headers_mut().insert(header::ALLOW, allowed);
    }
    response
}

/// The methods of every path, `OPTIONS` included, which the router would leave out.
fn allowed() -> &'static HashMap<String, String> {
    static ALLOWED: OnceLock<HashMap<String, String>> = OnceLock::new();
    ALLOWED.get_or_init(|| {
        let paths = endpoints().merge(bulk_endpoints()).into_openapi().paths.paths;
        let methods = |item: PathItem| {
            let known = [
                ("DELETE", item.delete),
                ("GET", item.get.clone()),
                ("HEAD", item.get),
                ("PATCH", item.patch),
                ("POST", item.post),
                ("PUT", item.put),
            ];
            let there = known.into_iter().filter_map(|(name, operation)| operation.map(|_| name));
            there.chain(["OPTIONS"]).collect::<Vec<_>>().join(", ")
        };
        paths.into_iter().map(|(path, item)| (path, methods(item))).collect()
    })
}
