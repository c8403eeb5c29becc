//! For those who run the program: health, metrics, the API's description; and what is measured of every request.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use serde_json::json;
use tokio::sync::watch;
use utoipa::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};

use super::App;
use crate::model::{OsEntropy, ambient};

const LATENCY: HeaderName = HeaderName::from_static("x-kong-admin-latency");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Names a request in logs and in the audit log.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

/// The endpoints that need no token.
pub fn router() -> Router<App> {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/openapi.json", get(openapi_json))
}

/// The endpoint that needs a token of either kind.
pub fn metrics_router() -> Router<App> {
    Router::new().route("/metrics", get(metrics))
}

/// Answers when the program is to stop.
pub async fn stopping(mut stopping: watch::Receiver<bool>) {
    // A sender that is gone is as good as a word to stop.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

/// How the program is.
#[derive(serde::Serialize, utoipa::ToSchema)]
struct Health {
    /// `ok`, or what is wrong.
    status: &'static str,
}

/// The program runs.
#[utoipa::path(get, path = "/healthz", tag = "operations", security(()),
    responses((status = 200, description = "The program runs.", body = Health, example = json!({"status": "ok"}))))]
async fn healthz() -> Response {
    Json(Health { status: "ok" }).into_response()
}

/// The program can serve: the database answers and has the schema.
#[utoipa::path(get, path = "/readyz", tag = "operations", security(()),
    responses(
        (status = 200, description = "The program can serve.", body = Health, example = json!({"status": "ok"})),
        (status = 503, description = "It cannot, or is about to stop.", body = Health),
    ))]
async fn readyz(State(app): State<App>) -> Response {
    let status = if *app.stopping.borrow() {
        "stopping"
    } else if let Err(error) = app.store.ready().await {
        tracing::warn!(%error, "not ready");
        "the database does not answer"
    } else {
        return Json(Health { status: "ok" }).into_response();
    };
    (StatusCode::SERVICE_UNAVAILABLE, Json(Health { status })).into_response()
}

/// Measurements, in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "operations",
    responses(
        (status = 200, description = "Measurements in Prometheus' text format.", content_type = "text/plain"),
        (status = 401, description = "No valid token."),
    ))]
async fn metrics(State(app): State<App>) -> Response {
    let recorder = recorder();
    gauge(&app);
    if let Ok(head) = app.store.feed_head().await {
        metrics::gauge!("app_auth_admin_head_revision").set(as_f64(head.revision.0));
        metrics::gauge!("app_auth_admin_records").set(as_f64(head.records));
        let lag = app.nodes.list().iter().filter(|node| node.live).map(|node| node.applied.0).min();
        let lag = lag.map_or(0, |slowest| head.revision.0.saturating_sub(slowest));
        metrics::gauge!("app_auth_admin_nodes_lag_max").set(as_f64(lag));
    }
    if let Ok(waiting) = app.store.mails_count().await {
        metrics::gauge!("app_auth_admin_mails_waiting").set(as_f64(waiting));
    }
    if app.kong.is_some()
        && let Ok(markers) = app.store.marker_counts().await
    {
        metrics::gauge!("app_auth_admin_kong_pending").set(as_f64(markers.pending));
        metrics::gauge!("app_auth_admin_kong_refused").set(as_f64(markers.refused));
    }
    if let Ok(jobs) = app.store.dcr_jobs_count().await {
        metrics::gauge!("app_auth_admin_dcr_jobs").set(as_f64(jobs));
    }
    if let Ok(issuers) = app.store.issuer_counts().await {
        metrics::gauge!("app_auth_admin_issuers").set(as_f64(issuers.all));
        metrics::gauge!("app_auth_admin_issuers_unknown").set(as_f64(issuers.unknown));
        metrics::gauge!("app_auth_admin_issuers_failing").set(as_f64(issuers.failing));
    }
    recorder.run_upkeep();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], recorder.render()).into_response()
}

fn gauge(app: &App) {
    let nodes = app.nodes.list();
    let live = nodes.iter().filter(|node| node.live).count();
    metrics::gauge!("app_auth_admin_nodes_live").set(as_f64(live as u64));
    metrics::gauge!("app_auth_admin_nodes_known").set(as_f64(nodes.len() as u64));
    metrics::gauge!("app_auth_admin_feed_waiters").set(as_f64(app.nodes.held()));
}

#[expect(clippy::cast_precision_loss, reason = "a measurement may lose its last digits beyond 2^53")]
const fn as_f64(value: u64) -> f64 {
    value as f64
}

/// The one recorder of the process; made when first asked for.
pub fn recorder() -> &'static PrometheusHandle {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];
    RECORDER.get_or_init(|| {
        let builder = PrometheusBuilder::new();
        let builder = match builder.set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS) {
            Ok(builder) => builder,
            // Only an empty list of buckets is refused.
            Err(_) => PrometheusBuilder::new(),
        };
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("another recorder of metrics is in place already");
        }
        metrics::describe_counter!(
            "app_auth_admin_requests_total",
            "HTTP requests by method, route and status."
        );
        metrics::describe_histogram!(
            "app_auth_admin_request_seconds",
            "Time to answer by route; a feed request is held open."
        );
        metrics::describe_histogram!(
            "app_auth_admin_write_seconds",
            "Time of a write, waiting for its turn included."
        );
        metrics::describe_gauge!("app_auth_admin_head_revision", "Newest revision of the feed.");
        metrics::describe_gauge!("app_auth_admin_records", "Records the gateways are told.");
        metrics::describe_gauge!("app_auth_admin_nodes_live", "Gateway nodes that are live.");
        metrics::describe_gauge!("app_auth_admin_nodes_known", "Gateway nodes heard of in the last day.");
        metrics::describe_gauge!(
            "app_auth_admin_nodes_lag_max",
            "Revisions the slowest live node is behind."
        );
        metrics::describe_gauge!("app_auth_admin_feed_waiters", "Feed requests held open.");
        metrics::describe_gauge!("app_auth_admin_mails_waiting", "Mails that are still to be sent.");
        metrics::describe_counter!("app_auth_admin_mails_sent_total", "Mails that were sent.");
        metrics::describe_counter!(
            "app_auth_admin_mails_failed_total",
            "Attempts to send a mail that failed."
        );
        metrics::describe_gauge!("app_auth_admin_kong_pending", "Things Kong has still to be told.");
        metrics::describe_gauge!("app_auth_admin_kong_refused", "Things Kong was told and refused.");
        metrics::describe_counter!(
            "app_auth_admin_kong_calls_total",
            "Calls of Kong's Admin API by outcome."
        );
        metrics::describe_counter!(
            "app_auth_admin_idp_calls_total",
            "Calls of identity providers by outcome."
        );
        metrics::describe_gauge!(
            "app_auth_admin_dcr_jobs",
            "Things identity providers have still to be told."
        );
        metrics::describe_counter!(
            "app_auth_admin_dcr_unknown_total",
            "Clients that an identity provider may have without our knowing, and cannot be asked about."
        );
        metrics::describe_gauge!("app_auth_admin_issuers", "Issuers of tokens that strategies name.");
        metrics::describe_gauge!("app_auth_admin_issuers_unknown", "Those of them nothing is known of yet.");
        metrics::describe_gauge!("app_auth_admin_issuers_failing", "Those of them that do not answer.");
        metrics::describe_counter!(
            "app_auth_admin_oauth2_requests_total",
            "Requests for access tokens by outcome: `issued`, or the error."
        );
        metrics::describe_counter!(
            "app_auth_admin_issuer_fetches_total",
            "Attempts to fetch an issuer's metadata and keys by outcome."
        );
        metrics::describe_counter!(
            "app_auth_admin_issuer_refreshes_total",
            "Requests of gateways for an issuer's keys by outcome."
        );
        metrics::describe_counter!(
            "app_auth_admin_introspections_total",
            "Tokens that gateways asked about by outcome."
        );
        handle
    })
}

/// Longest time a request of the admin API may take, its body included; waiting for gateways comes after it.
const REQUEST_TIME: Duration = Duration::from_mins(1);

/// Ends requests that take too long, such as those whose body never ends. A change that was not committed by then is
/// not made.
pub async fn within_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(REQUEST_TIME, next.run(request)).await {
        Ok(response) => response,
        Err(_) => (StatusCode::REQUEST_TIMEOUT, Json(json!({ "message": "The request took too long" })))
            .into_response(),
    }
}

/// Lets a request come to its end even if the caller goes away: what was begun with a Kong or an identity provider is
/// written down.
pub async fn to_the_end(request: Request, next: Next) -> Response {
    match tokio::spawn(next.run(request)).await {
        Ok(response) => response,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Names, counts and logs every request. Paths are logged without their query: it may hold anything.
pub async fn observe(mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = ambient::random_id(&OsEntropy).map_or_else(|_| String::new(), |id| id.simple().to_string());
    request.extensions_mut().insert(RequestId(id.clone()));
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let route = route.unwrap_or_else(|| "unmatched".to_owned());
    let mut response = next.run(request).await;
    let status = response.status().as_u16();
    let took = began.elapsed();
    let seconds = took.as_secs_f64();
    // Methods are labels only if they are well-known: anything else is the client's invention.
    let label = if known(&method) { method.as_str().to_owned() } else { "other".to_owned() };
    metrics::counter!(
        "app_auth_admin_requests_total",
        "method" => label, "route" => route.clone(), "status" => status.to_string()
    )
    .increment(1);
    metrics::histogram!("app_auth_admin_request_seconds", "route" => route.clone()).record(seconds);
    tracing::debug!(request = %id, %method, %route, status, seconds, "answered");
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, value);
    }
    // Whole milliseconds, as Kong's Admin API tells them.
    headers.insert(LATENCY, HeaderValue::from(u64::try_from(took.as_millis()).unwrap_or(u64::MAX)));
    response
}

fn known(method: &axum::http::Method) -> bool {
    matches!(method.as_str(), "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS")
}

/// The API's description.
#[utoipa::path(get, path = "/openapi.json", tag = "operations", security(()),
    responses((status = 200, description = "This document.", body = Object)))]
async fn openapi_json() -> Response {
    static DOCUMENT: OnceLock<String> = OnceLock::new();
    let document = DOCUMENT.get_or_init(|| super::openapi().to_json().unwrap_or_default());
    ([(header::CONTENT_TYPE, "application/json")], document.as_str()).into_response()
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Application access control: admin extension",
        description = "Developers, their applications, and what these may use. Every call needs a token.",
    ),
    paths(healthz, readyz, metrics, openapi_json),
    modifiers(&Tokens),
    security(("bearer" = []), ("kong_admin_token" = [])),
)]
struct Document;

/// How tokens are presented.
struct Tokens;

impl utoipa::Modify for Tokens {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        let header = ApiKey::Header(ApiKeyValue::new("Kong-Admin-Token"));
        components.add_security_scheme("kong_admin_token", SecurityScheme::ApiKey(header));
    }
}

/// The frame of the document and the endpoints of this module.
pub fn openapi() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

/// The server's name and version in every answer.
const SERVER: HeaderValue = HeaderValue::from_static(concat!("app-auth-admin/", env!("CARGO_PKG_VERSION")));

/// The layer that names the server.
pub async fn name_server(mut response: Response) -> Response {
    response.headers_mut().insert(header::SERVER, SERVER);
    response
}
