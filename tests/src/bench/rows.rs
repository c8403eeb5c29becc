//! What is compared: one Envoy with one worker for each way to check a key, all in the same frame and in front of the
//! same upstream.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::{Value, json};

use super::affinity;
use crate::client::Client;
use crate::gateway::envoy;
use crate::process::Process;
use crate::{binaries, ports, wait};

/// A gateway under measurement.
#[derive(Debug)]
pub struct Row {
    pub name: &'static str,
    pub port: u16,
    /// A file of keys it lets through.
    pub keys: PathBuf,
    process: Process,
}

/// What a row's Envoy runs besides the router, and the cluster it needs for that.
#[derive(Debug, Default)]
pub struct Checks {
    pub filters: Vec<Value>,
    pub cluster: Option<Value>,
}

impl Row {
    pub async fn start(
        name: &'static str,
        checks: Checks,
        upstream: SocketAddr,
        keys: &Path,
    ) -> Result<Self> {
        let folder = keys.parent().unwrap_or(Path::new("."));
        let (port, control_port) = (ports::free()?, ports::free()?);
        let clusters: Vec<_> =
            [envoy::cluster(envoy::UPSTREAM_CLUSTER, upstream)].into_iter().chain(checks.cluster).collect();
        let routes = [envoy::route("/", None)];
        let frame = envoy::frame(port, control_port, checks.filters, &routes, &clusters);
        let file = folder.join(format!("envoy-{port}.json"));
        let command = affinity::on_gateway_core(envoy::run_command(&frame, &file, 1)?);
        let mut process = Process::start(name, command, &file.with_extension("log"))?;
        let control = Client::new(&format!("http://127.0.0.1:{control_port}"), None);
        wait::until("Envoy to start", async || {
            process.check_alive()?;
            Ok(control.get("/ready").await.is_ok_and(|answer| answer.status == 200))
        })
        .await?;
        Ok(Self { name, port, keys: keys.into(), process })
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

/// This project's filter, fed by an admin extension.
pub fn app_auth(
    admin: SocketAddr,
    gateway_token: &str,
    service: &str,
    count_traffic: bool,
) -> Result<Checks> {
    let configuration = json!({
        "admin_address": envoy::ADMIN_CLUSTER,
        "admin_authority": admin.to_string(),
        "gateway_token": gateway_token,
        "service_id": service,
        "count_traffic": count_traffic,
    });
    Ok(Checks {
        filters: vec![envoy::wasm_filter("app_auth", &binaries::wasm()?, &configuration, false)],
        cluster: Some(envoy::cluster(envoy::ADMIN_CLUSTER, admin)),
    })
}

/// Envoy's native key check; it tells the upstream which client calls, as ours does.
pub fn native(keys: &[String]) -> Checks {
    let credentials: Vec<_> = keys
        .iter()
        .enumerate()
        .map(|(n, key)| json!({"key": key, "client": format!("client-{n}")}))
        .collect();
    filter(
        "envoy.filters.http.api_key_auth",
        json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.http.api_key_auth.v3.ApiKeyAuth",
            "credentials": credentials,
            "key_sources": [{"header": "apikey"}],
            "forwarding": {"header": "x-client-id"},
        }),
    )
}

/// The native key check, and then as many identity headers for the upstream as ours sets: what those alone cost.
pub fn native_with_identity(keys: &[String]) -> Checks {
    const NAMES: [&str; 6] = [
        "x-consumer-id",
        "x-credential-identifier",
        "x-application-id",
        "x-developer-id",
        "x-connection-id",
        "x-auth-strategy-id",
    ];
    let mutations = NAMES.map(|name| {
        json!({"append": {
            "header": {"key": name, "value": "00000000-0000-4000-8000-000000000000"},
            "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
        }})
    });
    let headers = filter(
        "envoy.filters.http.header_mutation",
        json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
            "mutations": {"request_mutations": mutations},
        }),
    );
    let mut checks = native(keys);
    checks.filters.extend(headers.filters);
    checks
}

/// Envoy's native check of tokens, with the keys of an issuer; `cache_size` 0 is without its cache.
pub fn jwt_authn(issuer: &str, jwks: &str, cache_size: u32) -> Checks {
    let mut provider = json!({
        "issuer": issuer,
        "forward": true,
        "local_jwks": {"inline_string": jwks},
    });
    if cache_size > 0 {
        provider["jwt_cache_config"] = json!({"jwt_cache_size": cache_size});
    }
    filter(
        "envoy.filters.http.jwt_authn",
        json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": {"issuer": provider},
            "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "issuer"}}],
        }),
    )
}

/// A Lua script with the keys in a table.
pub fn lua(keys: &[String]) -> Checks {
    use std::fmt::Write as _;
    let mut script = "local clients = {\n".to_owned();
    for (n, key) in keys.iter().enumerate() {
        let _ = writeln!(script, "  [{key:?}] = \"client-{n}\",");
    }
    script.push_str(
        "}\n\
         function envoy_on_request(handle)\n\
         \x20 local headers = handle:headers()\n\
         \x20 local key = headers:get(\"apikey\")\n\
         \x20 local client = key and clients[key]\n\
         \x20 if not client then\n\
         \x20   handle:respond({[\":status\"] = \"401\"}, \"Unauthorized\")\n\
         \x20   return\n\
         \x20 end\n\
         \x20 headers:replace(\"x-client-id\", client)\n\
         end\n",
    );
    filter(
        "envoy.filters.http.lua",
        json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
            "default_source_code": {"inline_string": script},
        }),
    )
}

/// A local server that says yes to everything.
pub fn ext_authz(server: SocketAddr) -> Checks {
    const CLUSTER: &str = "authorization";
    let mut checks = filter(
        "envoy.filters.http.ext_authz",
        json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
            "http_service": {
                "server_uri": {"uri": format!("http://{server}"), "cluster": CLUSTER, "timeout": "1s"},
                "path_prefix": "/fast",
            },
            "allowed_headers": {"patterns": [{"exact": "apikey"}]},
        }),
    );
    checks.cluster = Some(envoy::cluster(CLUSTER, server));
    checks
}

#[expect(clippy::needless_pass_by_value, reason = "callers build it on the spot")]
fn filter(name: &str, typed_config: Value) -> Checks {
    Checks { filters: vec![json!({"name": name, "typed_config": typed_config})], cluster: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::Upstream;

    /// A comparison is worth something only if each row does the work it is named for.
    #[tokio::test]
    async fn given_each_of_envoys_own_checks_when_called_then_known_keys_pass_and_unknown_ones_do_not()
    -> Result<()> {
        let folder = tempfile::tempdir()?;
        let keys = folder.path().join("keys");
        std::fs::write(&keys, "key-a\nkey-b\n")?;
        let known = ["key-a".to_owned(), "key-b".to_owned()];
        let (upstream, authorization) = (Upstream::start(0)?, Upstream::start(0)?);

        for (name, checks, refuses) in [
            ("no filter", Checks::default(), false),
            ("native", native(&known), true),
            ("native with identity", native_with_identity(&known), true),
            ("lua", lua(&known), true),
            ("ext_authz", ext_authz(authorization.address()), false),
        ] {
            let row = Row::start(name, checks, upstream.address(), &keys).await?;
            let client = Client::new(&row.url(), None);
            let asked = authorization.received();
            for key in &known {
                let request = client.request(reqwest::Method::GET, "/fast").header("apikey", key);
                assert_eq!(crate::client::send(request).await?.status, 200, "{name}");
            }
            let request = client.request(reqwest::Method::GET, "/fast").header("apikey", "key-c");
            assert_eq!(crate::client::send(request).await?.status, if refuses { 401 } else { 200 }, "{name}");
            assert_eq!(authorization.received() > asked, name == "ext_authz", "{name}");
        }
        Ok(())
    }
}
