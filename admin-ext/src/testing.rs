//! What the tests of this crate share: stores in either database, a clock that is set by hand, and a small world.
//!
//! With `APP_AUTH_TEST_POSTGRES_URL` (a server on which databases may be made) every store is in PostgreSQL, else in
//! SQLite.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use app_auth_core::feed::{FeedPage, Operation};
use app_auth_core::ids::{Revision, StrategyId};
use app_auth_core::record::{CredentialRecord, Record};
use tempfile::TempDir;
use url::Url;

use crate::config::{Config, Settings};
use crate::idp::Idp;
use crate::mail::Mailer;
use crate::model::{
    Application, Clock, Developer, DeveloperStatus, Email, Entropy as _, NewApplication, NewCredential,
    NewDeveloper, NewSecret, NewService, OsEntropy, PageRequest, PlainSecret, Service, Timestamp,
};
use crate::store::{Actor, AuditEntry, AuditFilter, Store, StoreOptions, Writer};

/// What calls identity providers, with no settings.
pub fn idp() -> Idp {
    Idp::new(&Config::new(&Settings::default()).unwrap().idp).unwrap()
}

/// A clock that stands still until it is moved.
#[derive(Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    pub fn advance(&self, milliseconds: i64) {
        self.0.fetch_add(milliseconds, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

/// A store that is gone when this is dropped.
pub struct TestStore {
    pub store: Store,
    pub clock: Arc<ManualClock>,
    pub folder: TempDir,
    pub options: StoreOptions,
}

impl TestStore {
    pub async fn open() -> Self {
        Self::open_with(|_| {}).await
    }

    pub async fn open_with(change: impl FnOnce(&mut StoreOptions)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock(AtomicI64::new(1_800_000_000_000)));
        let mut options = StoreOptions::in_folder(folder.path());
        options.clock = clock.clone();
        options.database_url = postgres().await;
        change(&mut options);
        let store = Store::open(options.clone()).await.unwrap();
        Self { store, clock, folder, options }
    }

    /// A second handle to the same database, as another replica has it.
    pub async fn replica(&self) -> Store {
        Store::open(self.options.clone()).await.unwrap()
    }

    pub async fn write(&self) -> Writer {
        self.store.write(&actor()).await.unwrap()
    }

    pub fn is_sqlite(&self) -> bool {
        self.options.database_url.is_none()
    }
}

/// A new database on the server the environment names, if it names one.
async fn postgres() -> Option<String> {
    let server = std::env::var("APP_AUTH_TEST_POSTGRES_URL").ok().filter(|url| !url.is_empty())?;
    sqlx::any::install_default_drivers();
    let mut random = [0; 8];
    OsEntropy.fill(&mut random).unwrap();
    let name = format!("app_auth_{:x}", u64::from_be_bytes(random));
    let pool = sqlx::any::AnyPoolOptions::new().max_connections(1).connect(&server).await.unwrap();
    sqlx::query(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&pool).await.unwrap();
    pool.close().await;
    let mut url = Url::parse(&server).unwrap();
    url.set_path(&name);
    Some(url.to_string())
}

pub fn actor() -> Actor {
    Actor { request: "request-1".into(), ..Actor::internal("test") }
}

/// Sends nothing.
pub fn mailer() -> Mailer {
    Mailer::new(&Config::new(&Settings::default()).unwrap().mail).unwrap()
}

/// An approved developer with an application that has one `key-auth` credential, and a service.
pub struct World {
    pub developer: Developer,
    pub application: Application,
    pub service: Service,
    pub key: PlainSecret,
    /// The newest revision once all of it is there.
    pub revision: Revision,
}

pub fn new_application(name: &str) -> NewApplication {
    NewApplication {
        id: None,
        name: name.into(),
        redirect_uri: "https://app.example.com/callback".into(),
        description: None,
        meta: None,
        custom_id: None,
        ..NewApplication::default()
    }
}

pub fn new_service(name: &str) -> NewService {
    NewService::new(name)
}

pub fn key_auth(key: &str) -> NewCredential {
    NewCredential::new(NewSecret::KeyAuth { key: Some(PlainSecret::new(key)) })
}

impl World {
    pub async fn make(store: &TestStore) -> Self {
        let mut writer = store.write().await;
        let email = Email::parse("Dev@Example.com").unwrap();
        let new = NewDeveloper { status: DeveloperStatus::Approved, ..NewDeveloper::new(email) };
        let developer = writer.create_developer(new).await.unwrap();
        let application = writer.create_application(developer.id, new_application("app")).await.unwrap();
        let service = writer.create_service(new_service("orders")).await.unwrap();
        let key = PlainSecret::new("0123456789abcdef0123456789abcdef");
        writer.create_credential(application.id, key_auth(key.expose())).await.unwrap();
        let revision = writer.commit().await.unwrap();
        Self { developer, application, service, key, revision }
    }
}

/// The newest lines of the audit log, newest first.
pub async fn audit_log(store: &Store, limit: u16) -> Vec<AuditEntry> {
    let page = PageRequest { size: limit, ..PageRequest::default() };
    store.audit_log(&AuditFilter::default(), page).await.unwrap().items
}

/// The changes after a revision, as a gateway reads them.
pub async fn changes(store: &Store, after: Revision) -> FeedPage {
    let page = store.changes(after, 500).await.unwrap();
    serde_json::from_value(serde_json::to_value(page).unwrap()).unwrap()
}

/// What the gateways know of a key now; `None` if it is unknown or gone.
pub async fn record_of(store: &Store, key: &PlainSecret) -> Option<CredentialRecord> {
    let digest = app_auth_core::digest::KeyDigest::of_api_key(
        &store.id(),
        StrategyId::KEY_AUTH,
        key.expose().as_bytes(),
    );
    let change = changes(store, Revision(0)).await.changes.into_iter().find(|change| change.key == digest)?;
    match change.change {
        Operation::Put(Record::Credential(record)) => Some(record),
        _ => None,
    }
}
