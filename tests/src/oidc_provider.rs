//! A real OpenID provider, npm's oidc-provider, in a process of its own; it registers clients as Curity does.

use std::process::Command;

use anyhow::{Context as _, Result};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::http;
use crate::process::Process;
use crate::{binaries, ports, wait};

pub const CLIENT_ID: &str = "us";
pub const CLIENT_SECRET: &str = "hush_hush_initial_client";

/// A running provider. Dropping it kills it.
pub struct OidcProvider {
    process: Option<Process>,
    port: u16,
    http: reqwest::Client,
    folder: TempDir,
}

impl OidcProvider {
    pub async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut provider = Self { process: None, port: ports::free()?, http: http(), folder };
        provider.restart().await?;
        Ok(provider)
    }

    /// Nothing answers on its port any more.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Answers again, with nothing of what it knew.
    pub async fn restart(&mut self) -> Result<()> {
        self.stop();
        let node = binaries::on_path("node").context("node is missing; run `tests/setup/tools.sh node`")?;
        let mut command = Command::new(node);
        command
            .arg(binaries::workspace().join("tests/idp/oidc_provider.mjs"))
            .arg(binaries::node_modules()?)
            .arg(self.port.to_string())
            .args([CLIENT_ID, CLIENT_SECRET]);
        let mut process = Process::start("the OpenID provider", command, &self.folder.path().join("log"))?;
        wait::until("the OpenID provider to answer", async || {
            process.check_alive()?;
            Ok(self.http.get(format!("{}/test/calls", self.url())).send().await.is_ok())
        })
        .await?;
        self.process = Some(process);
        Ok(())
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The address of its metadata.
    pub fn discovery(&self) -> String {
        format!("{}/.well-known/openid-configuration", self.url())
    }

    async fn test(&self, path: &str) -> Result<Value> {
        Ok(self.http.get(format!("{}/test/{path}", self.url())).send().await?.json().await?)
    }

    /// The clients that were registered, as it keeps them.
    pub async fn clients(&self) -> Result<Vec<Value>> {
        Ok(self.test("clients").await?.as_array().cloned().unwrap_or_default())
    }

    /// `hang`, `fail`, `apply-and-hang` or `apply-and-cut` for calls of a method below a path; `None` ends it.
    pub async fn set_fault(&self, fault: Option<(&str, &Method, &str)>) -> Result<()> {
        let arguments = match fault {
            Some((name, method, path)) => format!("?name={name}&method={method}&path={path}"),
            None => String::new(),
        };
        self.test(&format!("fault{arguments}")).await.map(drop)
    }

    /// Whether a client gets a token with this secret.
    pub async fn lets_in(&self, client_id: &str, secret: &str) -> Result<bool> {
        let request = self.http.post(format!("{}/token", self.url())).basic_auth(client_id, Some(secret));
        let answer = request.form(&json!({"grant_type": "client_credentials"})).send().await?;
        Ok(answer.status().is_success())
    }
}
