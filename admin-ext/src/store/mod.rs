//! The database: one set of queries for SQLite and PostgreSQL.
//!
//! Reads are methods of [`Store`]; changes are methods of [`Writer`], which [`Store::write`] begins and
//! [`Writer::commit`] ends. A writer that is dropped changes nothing.

mod access_tokens;
mod applications;
mod audit;
mod audit_log;
mod auth_strategies;
mod collection;
mod connections;
mod credentials;
mod dcr_jobs;
mod dcr_providers;
mod developer_credentials;
mod developers;
pub mod error;
pub mod feed;
mod issuers;
pub mod kong;
mod listen;
mod mails;
mod nodes;
mod oauth2_clients;
mod open;
mod overview;
mod permission;
mod plugins;
mod portal_applications;
mod portal_config;
mod portal_versions;
mod portals;
mod product_versions;
mod products;
mod records;
mod registrations;
mod roles;
mod schema;
pub mod seed;
mod services;
mod sessions;
mod sql;
#[cfg(test)]
mod tests;
mod tokens;
mod traffic;
mod undo;
mod writer;

use std::sync::Arc;

use app_auth_core::ids::{Revision, StoreId};
use sqlx::Any;
use sqlx::AnyPool;
use sqlx::pool::PoolConnection;
use tokio::sync::{Notify, watch};
use uuid::Uuid;

pub use access_tokens::{GivenToken, NewAccessToken, Refresh, Refreshable, TOKENS_MAX};
pub use audit_log::{AuditEntry, AuditFilter};
pub use dcr_jobs::{ClientContext, DcrJob, JobDetails, JobKind, NewJob};
pub use developers::DeveloperLine;
pub use error::{Entity, FeedError, StoreError};
pub use issuers::{DueIssuer, FetchProgress, IssuerCounts, IssuerState};
pub use nodes::StoredNode;
pub use oauth2_clients::{KeptSecret, OAuth2Client};
pub use open::{Limits, Reveal, StoreOptions};
pub use overview::{
    ApplicationLine, ApplicationSearch, COUNTED_MAX, DeveloperSearch, Request, RequestFilter, SEARCH_MAX,
    StrategyLine, StrategyUse,
};
pub use portal_versions::PortalVersionChanged;
pub use services::KnownService;
pub use sessions::{Opened, Session, SessionLimits};
pub use tokens::{TOKEN_MIN, Token, TokenKind};
pub use traffic::{TrafficBatch, TrafficTaken};
pub use undo::{UNDO_MS, Undoable, Undone};
pub use writer::Writer;

use crate::model::{AccessRole, Clock, Entropy, PlainSecret, PortalConfig, Timestamp, ambient};
use crate::secrets::{self, Sealer};

pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Who changes something, for the audit log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Actor {
    /// The name of the token, or what stands for one.
    pub name: String,
    /// The request the change came in.
    pub request: String,
    /// What they may change.
    pub role: AccessRole,
}

impl Actor {
    /// The program itself, at work of that name.
    pub fn internal(name: &str) -> Self {
        Self { name: name.to_owned(), request: String::new(), role: AccessRole::Admin }
    }
}

/// A handle to the database; cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<Inner>, Secrets);

/// Whether a handle's reads answer secrets that are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Secrets {
    Shown,
    Hidden,
}

struct Inner {
    backend: sql::Backend,
    url: String,
    id: StoreId,
    reads: AnyPool,
    /// On SQLite a single connection: writers queue for it.
    writes: AnyPool,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    sealer: Sealer,
    reveal: Reveal,
    limits: Limits,
    sessions: SessionLimits,
    portal: PortalConfig,
    follows_kong: bool,
    attaches_filter: bool,
    revoke_developer_blocks: bool,
    /// Rings when there is something to tell Kong.
    kong_news: Notify,
    /// The newest revision known to be committed, by this or any other replica.
    newest: watch::Sender<Revision>,
    /// Told when a change has left mails behind.
    mails: Notify,
    /// Rings when an identity provider has to be told something.
    dcr_news: Notify,
    /// Rings when there is an issuer nothing is known of yet.
    issuer_news: Notify,
    /// Told when a fetch of an issuer has ended.
    issuer_fetches: watch::Sender<()>,
}

impl Store {
    /// The same database without its secrets: reads answer what they would if secrets were shown once only. Changes are
    /// not impaired.
    #[must_use]
    pub fn without_secrets(&self) -> Self {
        Self(self.0.clone(), Secrets::Hidden)
    }

    /// The same database with its secrets, for what is not shown to anybody.
    #[must_use]
    pub fn with_secrets(&self) -> Self {
        Self(self.0.clone(), Secrets::Shown)
    }

    fn hides_secrets(&self) -> bool {
        self.1 == Secrets::Hidden
    }

    pub fn id(&self) -> StoreId {
        self.0.id
    }

    /// The time, by the clock the store was opened with.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Follows the newest committed revision.
    pub fn newest(&self) -> watch::Receiver<Revision> {
        self.0.newest.subscribe()
    }

    /// Whether the database answers and has the schema.
    pub async fn ready(&self) -> Result<()> {
        sqlx::query("SELECT revision FROM head WHERE id = 1").fetch_one(&mut *self.reader().await?).await?;
        Ok(())
    }

    /// Closes every connection; what is committed stays.
    pub async fn close(&self) {
        self.0.writes.close().await;
        self.0.reads.close().await;
    }

    async fn reader(&self) -> Result<PoolConnection<Any>> {
        Ok(self.0.reads.acquire().await?)
    }

    /// Wakes everyone who waits for a change.
    fn announce(&self, revision: Revision) {
        self.0.newest.send_if_modified(|newest| {
            let moved = revision > *newest;
            *newest = revision.max(*newest);
            moved
        });
    }

    /// Seals what somebody else keeps for us, for one purpose.
    pub fn seal_for(&self, purpose: &str, bytes: &[u8]) -> Result<Vec<u8>> {
        Ok(self.0.sealer.seal(&*self.0.entropy, purpose.as_bytes(), bytes)?)
    }

    /// Opens what [`Store::seal_for`] sealed for the same purpose; `None` if it did not.
    pub fn open_for(&self, purpose: &str, sealed: &[u8]) -> Option<zeroize::Zeroizing<Vec<u8>>> {
        self.0.sealer.open_sealed(purpose.as_bytes(), sealed)
    }

    /// A new secret.
    pub fn generate_secret(&self) -> Result<PlainSecret> {
        Ok(PlainSecret::generate(&*self.0.entropy)?)
    }

    fn random_id(&self) -> Result<Uuid> {
        Ok(ambient::random_id(&*self.0.entropy)?)
    }

    /// Hashes a password; takes tens of milliseconds.
    pub async fn hash(&self, secret: &PlainSecret) -> Result<PlainSecret> {
        secrets::hash(secret, self.salt()?).await.ok_or(StoreError::Interrupted)
    }

    /// Hashes a client secret; takes milliseconds.
    async fn hash_client_secret(&self, secret: &PlainSecret) -> Result<PlainSecret> {
        secrets::hash_client_secret(secret, self.salt()?).await.ok_or(StoreError::Interrupted)
    }

    fn salt(&self) -> Result<[u8; 16]> {
        let mut salt = [0; 16];
        self.0.entropy.fill(&mut salt)?;
        Ok(salt)
    }
}
