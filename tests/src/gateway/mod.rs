//! A gateway with the filter, whichever host it is: Kong where it is installed with Wasm, Envoy otherwise. The same
//! settings describe it on both, and the same calls start, stop and ask it.

pub mod envoy;
pub mod kong;

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use crate::admin::Admin;
use crate::client::{Answer, Client};
use crate::process::Process;
use crate::{ports, wait};

/// Which program hosts the filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    Envoy,
    Kong,
}

impl Host {
    /// Kong if it is on the PATH and has the Wasm host, Envoy otherwise.
    pub fn installed() -> Self {
        if kong::has_wasm() { Self::Kong } else { Self::Envoy }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Envoy => "Envoy",
            Self::Kong => "Kong",
        }
    }
}

/// A service that the gateway protects: requests whose path starts with `prefix` go through the filter.
#[derive(Debug, Clone)]
pub struct Service {
    pub id: Uuid,
    pub name: String,
    pub prefix: String,
    /// Members of the filter's configuration that replace or join the usual ones; null removes one.
    pub configuration: Map<String, Value>,
}

impl Service {
    pub fn new(name: &str, id: Uuid, prefix: &str) -> Self {
        Self { id, name: name.into(), prefix: prefix.into(), configuration: Map::new() }
    }

    /// Sets one member of the filter's configuration.
    #[must_use]
    pub fn configured(mut self, member: &str, value: Value) -> Self {
        self.configuration.insert(member.into(), value);
        self
    }
}

/// Everything a gateway is started with.
#[derive(Debug, Clone)]
pub struct Settings {
    pub host: Host,
    pub port: u16,
    /// The host's own administration and metrics, also on loopback.
    pub control_port: u16,
    pub workers: u16,
    /// Where the admin extension listens, and the token it gave out.
    pub admin: SocketAddr,
    pub gateway_token: String,
    pub upstream: SocketAddr,
    pub services: Vec<Service>,
    /// Issuers of tokens that the filter may call, by their addresses.
    pub issuers: Vec<SocketAddr>,
    /// For generated configuration and the log.
    pub folder: PathBuf,
}

/// A running gateway. Dropping it kills it.
#[derive(Debug)]
pub struct Gateway {
    process: Option<Process>,
    settings: Settings,
    control: Client,
    _folder: Option<Arc<TempDir>>,
}

impl Gateway {
    /// Envoy with two workers on free ports, fed by `admin`.
    pub async fn start(admin: &Admin, upstream: SocketAddr, services: Vec<Service>) -> Result<Self> {
        Self::start_for(admin, upstream, services, &[]).await
    }

    /// As [`Gateway::start`], for a filter that may call these issuers.
    pub async fn start_for(
        admin: &Admin,
        upstream: SocketAddr,
        services: Vec<Service>,
        issuers: &[SocketAddr],
    ) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("app-auth-gateway-").tempdir()?;
        let settings = Settings {
            host: Host::Envoy,
            port: ports::free()?,
            control_port: ports::free()?,
            workers: 2,
            admin: admin.address().parse()?,
            gateway_token: admin.gateway_token().into(),
            upstream,
            services,
            issuers: issuers.to_vec(),
            folder: folder.path().into(),
        };
        Self::launch(settings, Some(Arc::new(folder))).await
    }

    /// A gateway with settings of the caller's own.
    pub async fn start_from(settings: Settings) -> Result<Self> {
        Self::launch(settings, None).await
    }

    async fn launch(settings: Settings, folder: Option<Arc<TempDir>>) -> Result<Self> {
        fs::create_dir_all(&settings.folder)?;
        let control = Client::new(&format!("http://127.0.0.1:{}", settings.control_port), None);
        let mut gateway = Self { process: None, settings, control, _folder: folder };
        gateway.start_process().await?;
        Ok(gateway)
    }

    /// Waits until the host accepts requests, not until the filter has its records.
    async fn start_process(&mut self) -> Result<()> {
        let log = self.settings.folder.join("gateway.log");
        let (command, ready_path) = match self.settings.host {
            Host::Envoy => (envoy::command(&self.settings)?, "/ready"),
            Host::Kong => (kong::command(&self.settings)?, "/status"),
        };
        let mut process = Process::start(self.settings.host.name(), command, &log)?;
        wait::until("the gateway to start", async || {
            process.check_alive()?;
            Ok(self.control.get(ready_path).await.is_ok_and(|answer| answer.status == 200))
        })
        .await?;
        self.process = Some(process);
        Ok(())
    }

    /// Waits until no service answers 503 to a request without a key: every filter chain has its records.
    pub async fn wait_until_synced(&mut self) -> Result<()> {
        let prefixes: Vec<_> = self.settings.services.iter().map(|service| service.prefix.clone()).collect();
        for prefix in prefixes {
            self.wait_until_known(&prefix).await?;
        }
        Ok(())
    }

    /// Waits until the service at a path does not answer 503 to a request without a key.
    pub async fn wait_until_known(&mut self, prefix: &str) -> Result<()> {
        let client = self.client();
        wait::until("the gateway to have its records", async || {
            self.process.as_mut().map_or(Ok(()), Process::check_alive)?;
            Ok(client.get(prefix).await.is_ok_and(|answer| answer.status != 503))
        })
        .await
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.settings.port)
    }

    pub fn port(&self) -> u16 {
        self.settings.port
    }

    /// The process id of the host's main process.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// A client without any credential.
    pub fn client(&self) -> Client {
        Client::new(&self.url(), None)
    }

    /// The host's metrics, in Prometheus' text format.
    pub async fn metrics(&self) -> Result<Answer> {
        self.control
            .get(match self.settings.host {
                Host::Envoy => "/stats/prometheus",
                Host::Kong => "/metrics",
            })
            .await
    }

    /// Everything the host has written to standard output and error.
    pub fn log(&self) -> String {
        fs::read_to_string(self.settings.folder.join("gateway.log")).unwrap_or_default()
    }

    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again with the same configuration and port; kills it first if it still runs.
    pub async fn restart(&mut self) -> Result<()> {
        self.kill();
        self.start_process().await
    }

    pub fn check_alive(&mut self) -> Result<()> {
        self.process.as_mut().map_or(Ok(()), Process::check_alive)
    }
}

impl Settings {
    /// The filter's configuration for one service. `admin_address` is what the host calls the admin extension.
    fn filter_configuration(&self, service: &Service, admin_address: &str) -> Value {
        let mut configuration = json!({
            "admin_address": admin_address,
            "admin_authority": self.admin.to_string(),
            "gateway_token": self.gateway_token,
            "service_id": service.id.to_string(),
        });
        if let Some(members) = configuration.as_object_mut() {
            for (member, value) in &service.configuration {
                match value {
                    Value::Null => members.remove(member),
                    _ => members.insert(member.clone(), value.clone()),
                };
            }
        }
        configuration
    }
}
