//! Opening the database: folders, key file, pools, migrations, and the row that identifies the store.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use app_auth_core::ids::{Revision, StoreId};
use app_auth_core::record::CredentialRecord;
use sqlx::AnyPool;
use sqlx::any::AnyPoolOptions;
use tokio::sync::{Notify, watch};

use super::sql::{Backend, Columns as _};
use super::{Actor, Inner, Result, Secrets, SessionLimits, Store, StoreError, schema};
use crate::model::{Clock, Entropy, OsEntropy, PortalConfig, SystemClock};
use crate::secrets::Sealer;

/// Whether keys and client secrets can be read again after they were made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Reveal {
    /// They are kept, encrypted, and every answer shows them.
    #[default]
    Always,
    /// They are not kept; the answer to their creation shows them, and nothing after it.
    Once,
}

/// How many children a parent may have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    pub applications_per_developer: u64,
    /// Of one application and one kind.
    pub credentials_per_kind: u64,
    /// At most [`CredentialRecord::CONNECTIONS_MAX`].
    pub connections_per_application: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            applications_per_developer: 500,
            credentials_per_kind: 20,
            connections_per_application: CredentialRecord::CONNECTIONS_MAX as u64,
        }
    }
}

/// What a store needs to be opened.
#[derive(Clone)]
pub struct StoreOptions {
    /// `sqlite:…` or `postgres://…`; absent: SQLite in the data folder.
    pub database_url: Option<String>,
    /// Holds the key file and, by default, the database. Made if absent.
    pub data: PathBuf,
    pub reveal: Reveal,
    pub limits: Limits,
    pub sessions: SessionLimits,
    /// How the portal behaves where nobody has set it otherwise at run time.
    pub portal: PortalConfig,
    /// Whether a Kong is to be told of developers, applications and plugins.
    pub follows_kong: bool,
    /// Whether that Kong is to be told to put the filter on services that serve product versions.
    pub attaches_filter: bool,
    /// Whether revoking a developer keeps the developer's applications out, and not only the developer.
    pub revoke_developer_blocks: bool,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
}

impl StoreOptions {
    /// SQLite in a folder, with the system's clock and randomness.
    pub fn in_folder(data: impl Into<PathBuf>) -> Self {
        Self {
            database_url: None,
            data: data.into(),
            reveal: Reveal::default(),
            limits: Limits::default(),
            sessions: SessionLimits::default(),
            portal: PortalConfig::default(),
            follows_kong: false,
            attaches_filter: false,
            revoke_developer_blocks: true,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(OsEntropy),
        }
    }
}

/// How long a request waits for a connection before the answer is "busy".
const READ_WAIT: Duration = Duration::from_secs(10);
const WRITE_WAIT: Duration = Duration::from_secs(30);

/// Every acknowledged write is on the disk (`synchronous`), readers and the writer do not block each other (`WAL`).
const SQLITE_PRAGMAS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
    PRAGMA busy_timeout = 10000; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -32768;";

/// Sealed in the head row, so that a foreign key file is noticed at start and not when a secret is read.
const CHECK: &[u8] = b"app-auth";

impl Store {
    /// Opens the database, makes it if there is none, and brings its schema up to date.
    pub async fn open(options: StoreOptions) -> Result<Self> {
        sqlx::any::install_default_drivers();
        make_folder(&options.data)?;
        let url = match &options.database_url {
            Some(url) => url.clone(),
            None => sqlite_url(&options.data.join("app_auth.db"))?,
        };
        let backend = if url.starts_with("sqlite:") { Backend::Sqlite } else { Backend::Postgres };
        let sealer = Sealer::open(&options.data.join("secrets.key"), &*options.entropy)
            .map_err(|error| StoreError::Folder(error.to_string()))?;
        let (reads, writes) = pools(backend, &url).await?;
        schema::migrate(&writes, backend).await?;
        let (id, revision) = head(&writes, &sealer, &*options.entropy).await?;
        let (newest, _) = watch::channel(revision);
        let inner = Arc::new(Inner {
            backend,
            url,
            id,
            reads,
            writes,
            clock: options.clock,
            entropy: options.entropy,
            sealer,
            reveal: options.reveal,
            limits: options.limits,
            sessions: options.sessions,
            portal: options.portal,
            follows_kong: options.follows_kong,
            attaches_filter: options.attaches_filter,
            kong_news: Notify::new(),
            newest,
            mails: Notify::new(),
            revoke_developer_blocks: options.revoke_developer_blocks,
            dcr_news: Notify::new(),
            issuer_news: Notify::new(),
            issuer_fetches: watch::channel(()).0,
        });
        let store = Self(inner, Secrets::Shown);
        store.begin().await?;
        Ok(store)
    }

    /// Makes what is always there, and what the settings of this start make different from the last.
    async fn begin(&self) -> Result<()> {
        let actor = Actor::internal("start");
        let mut writer = self.write(&actor).await?;
        writer.make_default_portal().await?;
        writer.follow_blocking().await?;
        writer.follow_derivation().await?;
        writer.commit().await?;
        Ok(())
    }
}

fn make_folder(path: &Path) -> Result<()> {
    let failed = |error| StoreError::Folder(format!("{}: {error}", path.display()));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)
}

/// The URL of a database file that is made if absent.
fn sqlite_url(path: &Path) -> Result<String> {
    let path = path.to_str().ok_or_else(|| StoreError::Folder("the path is not UTF-8".into()))?;
    // What has a meaning in the URL must not have one in the path.
    let escaped = path.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    Ok(format!("sqlite://{escaped}?mode=rwc"))
}

async fn pools(backend: Backend, url: &str) -> Result<(AnyPool, AnyPool)> {
    let (many, few) = match backend {
        Backend::Sqlite => (4, 1),
        Backend::Postgres => (8, 4),
    };
    let options = |size, wait| {
        let options = AnyPoolOptions::new().max_connections(size).acquire_timeout(wait);
        match backend {
            Backend::Postgres => options,
            Backend::Sqlite => options.after_connect(|conn, _| {
                Box::pin(async move { sqlx::raw_sql(SQLITE_PRAGMAS).execute(conn).await.map(drop) })
            }),
        }
    };
    // The writer comes first: it is the one that makes the file.
    let writes = options(few, WRITE_WAIT).connect(url).await?;
    let reads = options(many, READ_WAIT).connect(url).await?;
    Ok((reads, writes))
}

/// Reads the head row, or makes it in a new database.
async fn head(pool: &AnyPool, sealer: &Sealer, entropy: &dyn Entropy) -> Result<(StoreId, Revision)> {
    let mut id = [0; 32];
    entropy.fill(&mut id)?;
    let check = sealer.seal(entropy, &id, CHECK)?;
    // Of several replicas that start on a new database, one makes the row.
    sqlx::query(
        "INSERT INTO head (id, store, sealed_check, revision, oldest, records, audit) \
         VALUES (1, $1, $2, 0, 0, 0, 0) ON CONFLICT (id) DO NOTHING",
    )
    .bind(id.as_slice())
    .bind(check.as_slice())
    .execute(pool)
    .await?;
    let row =
        sqlx::query("SELECT store, sealed_check, revision FROM head WHERE id = 1").fetch_one(pool).await?;
    let id: [u8; 32] = row.array("store")?;
    let opened = sealer.open_sealed(&id, &row.bytes("sealed_check")?);
    if opened.is_none_or(|opened| opened.as_slice() != CHECK) {
        return Err(StoreError::Sealed);
    }
    Ok((StoreId(id), Revision(row.count("revision")?)))
}
