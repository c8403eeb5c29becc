//! Kong's configuration: DB-less, one service with a route and a filter chain for each protected service, and a
//! shared-data zone that refuses to forget (`eviction=none`).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::Settings;
use crate::binaries;

/// Room for about a quarter of a million credentials.
const ZONE: &str = "64m";

/// Where Kong's packages put their nginx.
const NGINX: &str = "/usr/local/openresty/nginx/sbin/nginx";

/// Whether `kong` is on the PATH and its nginx was built with the Wasm module.
pub fn has_wasm() -> bool {
    if binaries::on_path("kong").is_none() {
        return false;
    }
    let packaged = PathBuf::from(NGINX);
    let nginx = if packaged.is_file() { Some(packaged) } else { binaries::on_path("nginx") };
    let Some(Ok(output)) = nginx.map(|nginx| Command::new(nginx).arg("-V").output()) else { return false };
    // nginx tells its build options on standard error.
    String::from_utf8_lossy(&output.stderr).contains("wasm")
}

/// Writes `kong.conf` and `kong.yml` and makes the command that runs Kong with them in the foreground.
pub(super) fn command(settings: &Settings) -> Result<Command> {
    let wasm = binaries::wasm()?;
    let filters = wasm.parent().context("the filter has no folder")?;
    let folder = fs::canonicalize(&settings.folder)?;
    let (conf, yml) = (folder.join("kong.conf"), folder.join("kong.yml"));
    // JSON is YAML.
    fs::write(&yml, serde_json::to_vec_pretty(&declaration(settings))?)?;
    fs::write(&conf, kong_conf(settings, &folder, filters, &yml))?;
    let mut command = Command::new("kong");
    command.arg("start").arg("--conf").arg(conf);
    Ok(command)
}

fn kong_conf(settings: &Settings, folder: &Path, filters: &Path, yml: &Path) -> String {
    let Settings { port, control_port, workers, .. } = settings;
    [
        format!("prefix = {}", folder.join("kong").display()),
        "database = off".into(),
        format!("declarative_config = {}", yml.display()),
        format!("proxy_listen = 127.0.0.1:{port}"),
        "admin_listen = off".into(),
        "admin_gui_listen = off".into(),
        // Serves /status and /metrics.
        format!("status_listen = 127.0.0.1:{control_port}"),
        format!("nginx_worker_processes = {workers}"),
        "nginx_daemon = off".into(),
        "proxy_access_log = off".into(),
        "proxy_error_log = /dev/stderr".into(),
        "anonymous_reports = off".into(),
        "wasm = on".into(),
        format!("wasm_filters_path = {}", filters.display()),
        format!("nginx_wasm_shm_kv_app_auth = {ZONE} eviction=none"),
    ]
    .join("\n")
        + "\n"
}

fn declaration(settings: &Settings) -> Value {
    let services: Vec<_> = settings
        .services
        .iter()
        .map(|service| {
            let configuration = settings.filter_configuration(service, &settings.admin.to_string());
            json!({
                "id": service.id,
                "name": service.name,
                "url": format!("http://{}", settings.upstream),
                "routes": [{
                    "name": service.name,
                    "paths": [service.prefix],
                    "strip_path": false,
                }],
                "filter_chains": [{"filters": [{"name": "app_auth", "config": configuration}]}],
            })
        })
        .collect();
    json!({
        "_format_version": "3.0",
        "services": services,
        "plugins": [{"name": "prometheus"}],
    })
}
