//! Settings of `make run`, from the environment, and the tokens it keeps in the data folder so that a second start
//! knows them.

use std::env;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::{admin, ports};

/// Tokens of an earlier start, readable by their owner only. The admin extension itself keeps hashes.
const TOKENS_FILE: &str = "stack-tokens.json";

/// What `make run` can be told.
#[derive(Debug, Clone)]
pub struct StackSettings {
    pub gateway_port: u16,
    pub admin_port: u16,
    pub upstream_port: u16,
    pub data: PathBuf,
    pub database_url: Option<String>,
    pub admin_token: Option<String>,
    pub workers: u16,
}

impl StackSettings {
    pub fn from_environment() -> Result<Self> {
        Ok(Self {
            gateway_port: number("APP_AUTH_GATEWAY_PORT", 8000)?,
            admin_port: number("APP_AUTH_ADMIN_PORT", 8005)?,
            upstream_port: number("APP_AUTH_UPSTREAM_PORT", 8080)?,
            data: text("APP_AUTH_DATA").unwrap_or_else(|| "./data".into()).into(),
            database_url: text("APP_AUTH_DATABASE_URL"),
            admin_token: text("APP_AUTH_ADMIN_TOKEN"),
            workers: number("APP_AUTH_WORKERS", 2)?,
        })
    }

    /// Refuses ports that are taken, before anything starts.
    pub fn check_ports(&self) -> Result<()> {
        for (name, port) in [
            ("APP_AUTH_GATEWAY_PORT", self.gateway_port),
            ("APP_AUTH_ADMIN_PORT", self.admin_port),
            ("APP_AUTH_UPSTREAM_PORT", self.upstream_port),
        ] {
            ensure!(ports::is_free(port), "port {port} is in use: set {name} to a free one");
        }
        Ok(())
    }
}

/// The two tokens the stack works with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tokens {
    pub admin: String,
    pub gateway: String,
}

impl Tokens {
    /// Those of an earlier start on this data folder, or new ones; `admin`, if given, replaces the admin token.
    pub fn load_or_make(data: &Path, admin: Option<&str>) -> Result<Self> {
        let file = data.join(TOKENS_FILE);
        let kept = match fs::read(&file) {
            Ok(json) => Some(
                serde_json::from_slice(&json).with_context(|| format!("{} is damaged", file.display()))?,
            ),
            Err(_) => None,
        };
        let mut tokens =
            kept.unwrap_or_else(|| Self { admin: admin::new_token(), gateway: admin::new_token() });
        if let Some(admin) = admin {
            admin.clone_into(&mut tokens.admin);
        }
        Ok(tokens)
    }

    /// Keeps them for the next start.
    pub fn keep(&self, data: &Path) -> Result<()> {
        let file = data.join(TOKENS_FILE);
        let write =
            |mut file: File| file.write_all(&serde_json::to_vec_pretty(self)?).map_err(anyhow::Error::from);
        File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&file)
            .map_err(anyhow::Error::from)
            .and_then(write)
            .with_context(|| format!("cannot write {}", file.display()))
    }
}

fn text(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn number(name: &str, default: u16) -> Result<u16> {
    let Some(text) = text(name) else { return Ok(default) };
    let number = text.parse().ok().filter(|number| *number > 0);
    number.with_context(|| format!("{name}: expected a number from 1 to 65535, got {text:?}"))
}
