//! The real admin extension: its binary on a free port, over a database of its own, with tokens the test knows.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use tempfile::TempDir;
use uuid::Uuid;

use crate::client::Client;
use crate::postgres::PostgresDatabase;
use crate::process::Process;
use crate::{binaries, ports, wait};

/// Which database an admin extension runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    Sqlite,
    Postgres,
}

impl Database {
    pub const BOTH: [Self; 2] = [Self::Sqlite, Self::Postgres];
}

/// Everything an admin extension is started with.
#[derive(Debug, Clone)]
pub struct Settings {
    pub port: u16,
    pub data: PathBuf,
    /// SQLite in the data folder if absent.
    pub database_url: Option<String>,
    pub admin_token: String,
    pub gateway_token: String,
    /// Where its output goes.
    pub log: PathBuf,
    /// Further environment variables.
    pub environment: Vec<(String, String)>,
}

/// A running admin extension. Dropping it kills it.
#[derive(Debug)]
pub struct Admin {
    process: Option<Process>,
    settings: Settings,
    client: Client,
    // Kept for as long as the process may run or be restarted; shared by replicas.
    storage: Storage,
}

#[derive(Debug, Clone, Default)]
struct Storage {
    _folder: Option<Arc<TempDir>>,
    postgres: Option<PostgresDatabase>,
}

impl Admin {
    /// Starts one over a fresh database and waits until it answers.
    pub async fn start(database: Database) -> Result<Self> {
        Self::start_with(database, &[]).await
    }

    /// As [`Admin::start`], with further environment variables.
    pub async fn start_with(database: Database, environment: &[(&str, &str)]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("app-auth-admin-").tempdir()?;
        let postgres = match database {
            Database::Sqlite => None,
            Database::Postgres => Some(PostgresDatabase::create().await?),
        };
        let settings = Settings {
            port: ports::free()?,
            data: folder.path().join("data"),
            database_url: postgres.as_ref().map(PostgresDatabase::url),
            admin_token: new_token(),
            gateway_token: new_token(),
            log: folder.path().join("admin.log"),
            environment: environment.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        };
        Self::launch(settings, Storage { _folder: Some(Arc::new(folder)), postgres }).await
    }

    /// Starts one with settings of the caller's own, over data that outlives it.
    pub async fn start_from(settings: Settings) -> Result<Self> {
        Self::launch(settings, Storage::default()).await
    }

    /// A second admin extension over the same database and data folder, on another port.
    pub async fn replica(&self) -> Result<Self> {
        let settings = Settings {
            port: ports::free()?,
            log: self.settings.log.with_extension("replica.log"),
            ..self.settings.clone()
        };
        Self::launch(settings, self.storage.clone()).await
    }

    async fn launch(settings: Settings, storage: Storage) -> Result<Self> {
        let client = Client::new(&format!("http://127.0.0.1:{}", settings.port), Some(&settings.admin_token));
        let mut admin = Self { process: None, settings, client, storage };
        admin.start_process().await?;
        Ok(admin)
    }

    /// The program with these settings, ready to be told what to do.
    fn command(&self) -> Result<Command> {
        let settings = &self.settings;
        let mut command = Command::new(binaries::admin()?);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("APP_AUTH_") {
                command.env_remove(name);
            }
        }
        command
            .env("APP_AUTH_LISTEN", self.address())
            .env("APP_AUTH_DATA", &settings.data)
            .env("APP_AUTH_ADMIN_TOKEN", &settings.admin_token)
            .env("APP_AUTH_GATEWAY_TOKEN", &settings.gateway_token)
            .envs(settings.environment.iter().map(|(name, value)| (name, value)));
        if let Some(url) = &settings.database_url {
            command.env("APP_AUTH_DATABASE_URL", url);
        }
        Ok(command)
    }

    /// What the command line prints, beside the running server.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        let output = self.command()?.args(arguments).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "{arguments:?}: {said}");
        Ok(String::from_utf8(output.stdout)?)
    }

    async fn start_process(&mut self) -> Result<()> {
        let mut command = self.command()?;
        command.arg("serve");
        let settings = &self.settings;
        let ready = format!("listening on http://{}", self.address());
        // The log of a restarted process goes on in the same file: count what an earlier one said.
        let already = ready_lines(&std::fs::read_to_string(&settings.log).unwrap_or_default(), &ready);
        let mut process = Process::start("the admin extension", command, &settings.log)?;
        wait::until("the admin extension's ready line", async || {
            process.check_alive()?;
            Ok(ready_lines(&process.log(), &ready) > already)
        })
        .await?;
        self.process = Some(process);
        Ok(())
    }

    /// `127.0.0.1:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.settings.port)
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    pub fn port(&self) -> u16 {
        self.settings.port
    }

    pub fn admin_token(&self) -> &str {
        &self.settings.admin_token
    }

    pub fn gateway_token(&self) -> &str {
        &self.settings.gateway_token
    }

    pub fn data(&self) -> &Path {
        &self.settings.data
    }

    /// A client with the admin token.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// A client with the gateway token.
    pub fn gateway_client(&self) -> Client {
        self.client.with_token(Some(self.gateway_token()))
    }

    /// The PostgreSQL database it runs on.
    pub fn postgres(&self) -> Option<&PostgresDatabase> {
        self.storage.postgres.as_ref()
    }

    /// Everything it has written to standard output and error.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.settings.log).unwrap_or_default()
    }

    /// SIGKILL: it gets no chance to finish anything.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again on the same port, data and tokens; kills it first if it still runs.
    pub async fn restart(&mut self) -> Result<()> {
        self.kill();
        self.start_process().await
    }

    /// Starts it again on the same port and tokens but with an empty store of another identity, as after a disaster.
    pub async fn restart_with_another_store(&mut self) -> Result<()> {
        self.kill();
        self.settings.data = self.settings.data.with_extension(Uuid::new_v4().simple().to_string());
        self.settings.database_url = None;
        self.start_process().await
    }

    /// An error if it has ended by itself.
    pub fn check_alive(&mut self) -> Result<()> {
        self.process.as_mut().map_or(Ok(()), Process::check_alive)
    }
}

fn ready_lines(log: &str, ready: &str) -> usize {
    log.lines().filter(|line| line.trim_end() == ready).count()
}

/// Runs a scenario against an empty admin extension on each database.
pub async fn on_both<S>(scenario: S) -> Result<()>
where
    S: AsyncFn(&Client) -> Result<()>,
{
    on_both_with(&[], scenario).await
}

/// As [`on_both`], with further environment variables.
pub async fn on_both_with<S>(environment: &[(&str, &str)], scenario: S) -> Result<()>
where
    S: AsyncFn(&Client) -> Result<()>,
{
    for database in Database::BOTH {
        // Shown when the scenario fails an assertion.
        println!("on {database:?}");
        let admin = Admin::start_with(database, environment).await?;
        scenario(admin.client()).await.with_context(|| format!("on {database:?}\n{}", admin.log()))?;
    }
    Ok(())
}

/// A token with 244 random bits.
pub fn new_token() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}
