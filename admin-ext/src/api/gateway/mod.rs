//! `/gateway/v1`: what the gateways talk to. The contract is in `app_auth_core::feed`, for what they ask while a request
//! waits in `app_auth_core::calls`, and for what they counted in `app_auth_core::traffic::report`.

mod cursor;
#[expect(
    unused_qualifications,
    reason = "the macro that describes a query's parameters writes a path in full"
)]
mod feed;
mod introspect;
mod issuers;
mod nodes;
mod oauth2;
mod problem;
#[expect(unused_qualifications, reason = "as in `feed`")]
mod snapshot;
mod traffic;
#[expect(unused_qualifications, reason = "as in `feed`")]
mod wait;

use axum::Router;
use axum::body::Bytes;
use axum::middleware::from_fn_with_state;
use serde::de::DeserializeOwned;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::problem::Problem;
use super::{App, auth};

fn endpoints() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(feed::feed))
        .routes(routes!(snapshot::snapshot))
        .routes(routes!(nodes::nodes))
        .routes(routes!(issuers::refresh))
        .routes(routes!(introspect::introspect))
        .routes(routes!(wait::wait))
        .routes(routes!(oauth2::token))
        .routes(routes!(traffic::traffic))
}

/// The endpoints, behind the authentication each of them wants.
pub fn router(app: &App) -> Router<App> {
    use app_auth_core::calls;
    use app_auth_core::traffic::report::REPORT;
    use axum::routing::{get, post};

    let stream = Router::new()
        .route("/gateway/v1/feed", get(feed::feed))
        .route("/gateway/v1/snapshot", get(snapshot::snapshot))
        .route(calls::REFRESH_ISSUER, post(issuers::refresh))
        .route(calls::INTROSPECT, post(introspect::introspect))
        .route(calls::WAIT, post(wait::wait))
        .route(calls::OAUTH2_TOKEN, post(oauth2::token))
        .route(REPORT, post(traffic::traffic))
        .layer(from_fn_with_state(app.clone(), auth::gateway));
    // Operators look at the nodes as well as gateways may.
    let nodes = Router::new()
        .route("/gateway/v1/nodes", get(nodes::nodes))
        .layer(from_fn_with_state(app.clone(), auth::any));
    stream.merge(nodes)
}

/// The description of the endpoints.
pub fn openapi() -> utoipa::openapi::OpenApi {
    endpoints().into_openapi()
}

/// The JSON body of a call. What is wrong with it is not quoted: most of it is secret.
fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|_| Problem::bad_request("the body is not as it must be"))
}

/// Longest name of a node and of a filter's version, in bytes.
const NAME_MAX: usize = 128;

/// A node's name and version as they may be listed, logged and told to other replicas.
fn check_name(field: &'static str, value: &str) -> Result<(), Problem> {
    let fits = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    if value.is_empty() || value.len() > NAME_MAX || !value.bytes().all(fits) {
        let detail = format!("{field}: expected 1 to {NAME_MAX} printable ASCII characters");
        return Err(Problem::bad_request(detail));
    }
    Ok(())
}

/// The node of a request, if it names one, and its version.
fn node_of<'a>(
    node: Option<&'a str>,
    version: Option<&'a str>,
) -> Result<Option<(&'a str, &'a str)>, Problem> {
    let Some(node) = node else { return Ok(None) };
    check_name("node", node)?;
    let version = version.unwrap_or("unknown");
    check_name("version", version)?;
    Ok(Some((node, version)))
}
