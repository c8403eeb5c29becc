//! Envoy's configuration: one listener, one route for each service, and on each route that service's instance of the
//! filter. The pieces are public so that benches can put other filters into the same frame.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use serde_json::{Value, json};

use super::{Service, Settings};
use crate::binaries;

/// The cluster's name for the admin extension; what the filter calls it.
pub const ADMIN_CLUSTER: &str = "app_auth_admin";
/// The cluster's name for the service behind the gateway.
pub const UPSTREAM_CLUSTER: &str = "upstream";

const LISTENER: &str = "gateway";

/// Writes the configuration and makes the command that runs Envoy with it.
pub(super) fn command(settings: &Settings) -> Result<Command> {
    let wasm = binaries::wasm()?;
    let (mut filters, mut routes) = (Vec::new(), Vec::new());
    for service in &settings.services {
        let filter = filter_name(service);
        let configuration = settings.filter_configuration(service, ADMIN_CLUSTER);
        filters.push(wasm_filter(&filter, &wasm, &configuration, true));
        routes.push(route(&service.prefix, Some(&filter)));
    }
    let mut clusters =
        vec![cluster(ADMIN_CLUSTER, settings.admin), cluster(UPSTREAM_CLUSTER, settings.upstream)];
    // The filter calls an issuer by host and port.
    clusters.extend(settings.issuers.iter().map(|issuer| cluster(&issuer.to_string(), *issuer)));
    let frame = frame(settings.port, settings.control_port, filters, &routes, &clusters);
    run_command(&frame, &settings.folder.join("envoy.json"), settings.workers)
}

/// The command that runs Envoy with a configuration, which is written to `file` first.
pub fn run_command(configuration: &Value, file: &Path, workers: u16) -> Result<Command> {
    fs::write(file, serde_json::to_vec_pretty(configuration)?)?;
    let mut command = Command::new(binaries::envoy()?);
    command.arg("-c").arg(file);
    command.args(["--concurrency", &workers.to_string(), "--disable-hot-restart", "--log-level", "warning"]);
    command.args(["--component-log-level", "wasm:info"]);
    Ok(command)
}

/// A whole configuration: a loopback listener with these HTTP filters (the router comes last by itself) and routes.
pub fn frame(
    port: u16,
    control_port: u16,
    mut filters: Vec<Value>,
    routes: &[Value],
    clusters: &[Value],
) -> Value {
    filters.push(json!({
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
    }));
    json!({
        "admin": {"address": socket(control_port)},
        "static_resources": {
            "listeners": [{
                "name": LISTENER,
                "address": socket(port),
                // Two gateways on one port would share its requests without a word.
                "enable_reuse_port": true,
                "filter_chains": [{"filters": [{
                    "name": "envoy.filters.network.http_connection_manager",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                        "stat_prefix": LISTENER,
                        "http_filters": filters,
                        "route_config": {"virtual_hosts": [{"name": LISTENER, "domains": ["*"], "routes": routes}]},
                    },
                }]}],
            }],
            "clusters": clusters,
        },
    })
}

/// A route to the upstream that switches on one of the listener's filters that are off by default.
pub fn route(prefix: &str, filter: Option<&str>) -> Value {
    let mut route = json!({
        "match": {"prefix": prefix},
        "route": {"cluster": UPSTREAM_CLUSTER, "timeout": "30s"},
    });
    if let Some(filter) = filter {
        route["typed_per_filter_config"] = json!({filter: {
            "@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig",
            "config": {},
        }});
    }
    route
}

/// One Wasm filter. All with the same module and `vm_id` share one VM a worker and one shared-data space.
pub fn wasm_filter(name: &str, module: &Path, configuration: &Value, disabled: bool) -> Value {
    json!({
        "name": name,
        "disabled": disabled,
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": {
                "name": name,
                "root_id": name,
                "failure_policy": "FAIL_RELOAD",
                // Without this a filter that waits for the body is never shown the body.
                "allow_on_headers_stop_iteration": true,
                "configuration": {
                    "@type": "type.googleapis.com/google.protobuf.StringValue",
                    "value": configuration.to_string(),
                },
                "vm_config": {
                    "vm_id": "app_auth",
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": {"local": {"filename": module}},
                },
            },
        },
    })
}

/// A cluster of one address.
pub fn cluster(name: &str, address: SocketAddr) -> Value {
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": {
            "address": {"socket_address": {"address": address.ip().to_string(), "port_value": address.port()}},
        }}]}]},
    })
}

fn socket(port: u16) -> Value {
    json!({"socket_address": {"address": "127.0.0.1", "port_value": port}})
}

fn filter_name(service: &Service) -> String {
    format!("app_auth_{}", service.name)
}
