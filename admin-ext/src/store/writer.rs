//! The one way to change anything: a transaction that first locks the head row, and whose end derives the records the
//! gateways need, writes the audit log and wakes the feeds.
//!
//! Writers are serialised by that lock. So every one sees all that was committed before it, and revisions are assigned
//! in the order of commits: no reader of the feed can skip a change.

use std::collections::BTreeSet;
use std::time::Instant;

use app_auth_core::ids::{ApplicationId, Revision, ServiceId};
use sqlx::AnyConnection;
use sqlx::{Any, Transaction};

use super::kong::Marks;
use super::listen::CHANNEL;
use super::mails::Mails;
use super::sql::{Backend, Columns as _, signed};
use super::undo::Undoing;
use super::{Actor, Result, Store, StoreError};
use crate::model::{AccessRole, Timestamp};

/// A change in progress. Dropped without [`Writer::commit`] it changes nothing.
pub struct Writer {
    pub(super) tx: Transaction<'static, Any>,
    pub(super) store: Store,
    pub(super) actor: Actor,
    pub(super) head: Head,
    pub(super) now: Timestamp,
    /// Whose records must be derived again.
    pub(super) applications: BTreeSet<ApplicationId>,
    pub(super) services: BTreeSet<ServiceId>,
    pub(super) issuers: BTreeSet<String>,
    pub(super) mails: Mails,
    /// Decisions that can be undone.
    pub(super) undoing: Option<Undoing>,
    /// What Kong has to be told.
    pub(super) kong: Marks,
    /// A strategy names an issuer that it did not name before.
    pub(super) new_issuer: bool,
    /// An identity provider has to be told something.
    pub(super) dcr_jobs: bool,
    began: Instant,
}

/// Where a change stood; see [`Writer::mark`].
#[must_use = "a mark is kept or undone"]
pub struct Mark {
    head: Head,
    applications: BTreeSet<ApplicationId>,
    services: BTreeSet<ServiceId>,
    issuers: BTreeSet<String>,
    kong: Marks,
}

/// The counters of the head row.
#[derive(Clone, Copy)]
pub(super) struct Head {
    pub revision: u64,
    pub oldest: u64,
    pub records: u64,
    pub audit: u64,
}

impl Store {
    /// Begins a change. Writers queue: the one before must commit or be dropped first. [`StoreError::Forbidden`] for those
    /// who may change nothing.
    pub async fn write(&self, actor: &Actor) -> Result<Writer> {
        if actor.role == AccessRole::Viewer {
            return Err(StoreError::Forbidden(actor.role));
        }
        let began = Instant::now();
        let statement = match self.0.backend {
            Backend::Sqlite => "BEGIN IMMEDIATE",
            Backend::Postgres => "BEGIN",
        };
        let mut tx = self.0.writes.begin_with(statement).await?;
        let row = sqlx::query(
            "UPDATE head SET revision = revision WHERE id = 1 RETURNING revision, oldest, records, audit",
        )
        .fetch_one(&mut *tx)
        .await?;
        let head = Head {
            revision: row.count("revision")?,
            oldest: row.count("oldest")?,
            records: row.count("records")?,
            audit: row.count("audit")?,
        };
        Ok(Writer {
            tx,
            // A change needs to know everything, whoever makes it.
            store: self.with_secrets(),
            actor: actor.clone(),
            head,
            // Read under the lock, so that times never run against the order of commits on one machine.
            now: self.now(),
            applications: BTreeSet::new(),
            services: BTreeSet::new(),
            issuers: BTreeSet::new(),
            mails: Mails::default(),
            undoing: None,
            kong: Marks::default(),
            new_issuer: false,
            dcr_jobs: false,
            began,
        })
    }
}

impl Writer {
    /// The instant the change happens at, the same for everything in it.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Makes the change durable and tells the gateways. The revision is the newest the change made, or the store's
    /// newest where the gateways need not know of it.
    ///
    /// Runs to its end even if the caller goes away: a change that was committed is always announced.
    pub async fn commit(self) -> Result<Revision> {
        tokio::spawn(self.finish()).await.map_err(|_| StoreError::Interrupted)?
    }

    async fn finish(mut self) -> Result<Revision> {
        let before = self.head.revision;
        self.derive_records().await?;
        let kong_news = self.write_marks().await?;
        sqlx::query("UPDATE head SET revision = $1, oldest = $2, records = $3, audit = $4 WHERE id = 1")
            .bind(signed(self.head.revision))
            .bind(signed(self.head.oldest))
            .bind(signed(self.head.records))
            .bind(signed(self.head.audit))
            .execute(&mut *self.tx)
            .await?;
        let revision = Revision(self.head.revision);
        if self.head.revision > before && self.store.0.backend == Backend::Postgres {
            // Delivered to the other replicas when, and only if, the transaction commits.
            sqlx::query("SELECT pg_notify($1, $2)")
                .bind(CHANNEL)
                .bind(revision.to_string())
                .execute(&mut *self.tx)
                .await?;
        }
        self.tx.commit().await?;
        self.store.announce(revision);
        if self.mails == Mails::Some {
            self.store.0.mails.notify_one();
        }
        if kong_news {
            self.store.kong_news().notify_one();
        }
        if self.new_issuer {
            self.store.issuer_news().notify_one();
        }
        if self.dcr_jobs {
            self.store.dcr_news().notify_one();
        }
        metrics::histogram!("app_auth_admin_write_seconds").record(self.began.elapsed().as_secs_f64());
        Ok(revision)
    }

    /// Remembers where the change stands, so that what follows can be undone by itself. Marks do not nest.
    pub async fn mark(&mut self) -> Result<Mark> {
        sqlx::query("SAVEPOINT mark").execute(&mut *self.tx).await?;
        Ok(Mark {
            head: self.head,
            applications: self.applications.clone(),
            services: self.services.clone(),
            issuers: self.issuers.clone(),
            kong: self.kong.clone(),
        })
    }

    /// Keeps what followed the mark.
    pub async fn keep(&mut self, _: Mark) -> Result<()> {
        sqlx::query("RELEASE SAVEPOINT mark").execute(&mut *self.tx).await?;
        Ok(())
    }

    /// Undoes what followed the mark.
    pub async fn undo(&mut self, mark: Mark) -> Result<()> {
        sqlx::query("ROLLBACK TO SAVEPOINT mark").execute(&mut *self.tx).await?;
        sqlx::query("RELEASE SAVEPOINT mark").execute(&mut *self.tx).await?;
        Mark {
            head: self.head,
            applications: self.applications,
            services: self.services,
            issuers: self.issuers,
            kong: self.kong,
        } = mark;
        Ok(())
    }

    pub(super) fn conn(&mut self) -> &mut AnyConnection {
        &mut self.tx
    }

    /// The application's records will be derived again.
    pub(super) fn touch_application(&mut self, application: ApplicationId) {
        self.applications.insert(application);
    }

    /// The record of an issuer, by the name strategies have for it, will be derived again.
    pub(super) fn touch_issuer(&mut self, issuer: &str) {
        self.issuers.insert(issuer.to_owned());
    }

    /// The service's record will be derived again.
    pub(super) fn touch_service(&mut self, service: ServiceId) {
        self.services.insert(service);
    }
}
