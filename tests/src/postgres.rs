//! A PostgreSQL server from Debian's binaries: in a temporary folder, on a free loopback port, without durability.
//! Tests of one process share one server and get a database each; the last to finish stops the server.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Weak};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Signal, geteuid};
use tempfile::TempDir;
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::process::Process;
use crate::{binaries, ports, wait};

/// The server refuses to run as root; Debian's package makes this account for it.
const ACCOUNT: &str = "postgres";

/// The superuser that `initdb` makes.
const USER: &str = "postgres";

static SHARED: Mutex<Weak<Server>> = Mutex::const_new(Weak::new());

/// A database of its own on the shared server.
#[derive(Debug, Clone)]
pub struct PostgresDatabase {
    server: Arc<Server>,
    name: String,
}

impl PostgresDatabase {
    /// Creates a fresh database, starting the server if none of this process runs.
    pub async fn create() -> Result<Self> {
        Self::create_on(Server::shared().await?)
    }

    /// Creates a database on a server of its own whose writes wait for the disk, as in earnest.
    pub async fn create_durable() -> Result<Self> {
        Self::create_on(Arc::new(Server::start(&[]).await?))
    }

    fn create_on(server: Arc<Server>) -> Result<Self> {
        let name = format!("test_{}", Uuid::new_v4().simple());
        let mut createdb = Command::new(server.programs.join("createdb"));
        createdb.args(["-h", "127.0.0.1", "-p", &server.port.to_string(), "-U", USER, &name]);
        run("createdb", createdb)?;
        Ok(Self { server, name })
    }

    pub fn url(&self) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{}", self.server.port, self.name)
    }

    /// Runs one statement with `psql` and answers its output: values only, one row a line.
    pub fn query(&self, sql: &str) -> Result<String> {
        let mut psql = Command::new(self.server.programs.join("psql"));
        psql.args(["-At", "-v", "ON_ERROR_STOP=1", "-d", &self.url(), "-c", sql]);
        let output = run("psql", psql)?;
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }
}

#[derive(Debug)]
struct Server {
    // Before the folder, so that the server ends first.
    _process: Process,
    _folder: TempDir,
    port: u16,
    programs: PathBuf,
}

impl Server {
    async fn shared() -> Result<Arc<Self>> {
        let mut shared = SHARED.lock().await;
        if let Some(server) = shared.upgrade() {
            return Ok(server);
        }
        // The data lives as long as the test: nothing has to survive a power cut.
        let server = Arc::new(Self::start(&["fsync=off", "full_page_writes=off"]).await?);
        *shared = Arc::downgrade(&server);
        Ok(server)
    }

    async fn start(settings: &[&str]) -> Result<Self> {
        let programs = programs()?;
        let folder = tempfile::Builder::new().prefix("app-auth-postgres-").tempdir()?;
        if geteuid().is_root() {
            let [user, group] = [account_number("-u")?, account_number("-g")?];
            chown(folder.path(), Some(user), Some(group))?;
        }
        let data = folder.path().join("data");
        let mut initdb = as_server_account(&programs.join("initdb"));
        initdb.args(["--no-sync", "-A", "trust", "-U", USER, "-E", "UTF8", "--locale=C", "-D"]).arg(&data);
        initdb.current_dir(folder.path());
        run("initdb", initdb)?;

        let port = ports::free()?;
        let mut postgres = as_server_account(&programs.join("postgres"));
        postgres.current_dir(folder.path()).arg("-D").arg(&data).args(["-p", &port.to_string()]);
        let common = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=300"];
        for setting in common.iter().chain(settings) {
            postgres.args(["-c", setting]);
        }
        // SIGQUIT ends the server's children at once, too.
        let log = folder.path().join("server.log");
        let mut process = Process::start("PostgreSQL", postgres, &log)?.stopped_by(Signal::QUIT);
        wait::until("PostgreSQL to accept connections", async || {
            process.check_alive()?;
            let mut ready = Command::new(programs.join("pg_isready"));
            ready.args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()]);
            Ok(ready.status()?.success())
        })
        .await?;
        Ok(Self { _process: process, _folder: folder, port, programs })
    }
}

/// The folder with `initdb` and `postgres`: Debian keeps them off the PATH, one folder a version; the newest wins.
fn programs() -> Result<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, folder)| folder.join("initdb").is_file() && folder.join("postgres").is_file())
        .collect();
    versions.sort();
    if let Some((_, folder)) = versions.pop() {
        return Ok(folder);
    }
    match binaries::on_path("initdb") {
        Some(initdb) => Ok(initdb.parent().unwrap_or(Path::new("/")).to_path_buf()),
        None => bail!("PostgreSQL is missing: install Debian's package `postgresql`"),
    }
}

/// The command under the server's account if we are root, under our own otherwise.
fn as_server_account(program: &Path) -> Command {
    if !geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    // A change of user clears the parent-death signal; setpriv sets it again afterwards.
    command
        .args(["--reuid", ACCOUNT, "--regid", ACCOUNT, "--init-groups", "--pdeathsig", "QUIT", "--"])
        .arg(program);
    command
}

fn account_number(which: &str) -> Result<u32> {
    let mut id = Command::new("id");
    id.args([which, ACCOUNT]);
    let output =
        run("id", id).context("PostgreSQL needs the account `postgres` when the tests run as root")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().parse()?)
}

fn run(what: &str, mut command: Command) -> Result<Output> {
    let output = command.output().with_context(|| format!("cannot start {what}"))?;
    ensure!(output.status.success(), "{what} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(output)
}
