//! What identity providers have still to be told of the clients of applications, or may have been told without our
//! knowing the answer. A job is written before its provider is called and removed with the change it was for; whoever
//! works on it has claimed it, and nobody else then works on the same application's client. This module makes no calls.

use std::collections::BTreeSet;

use app_auth_core::ids::{ApplicationId, DeveloperId, StrategyId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe};
use tokio::sync::Notify;
use uuid::Uuid;

use super::audit::Audited as _;
use super::collection::{Collection, Member, Value};
use super::sql::{Columns as _, count};
use super::{
    Actor, Entity, Result, Store, StoreError, Writer, applications, auth_strategies, developers, portals,
};
use crate::model::{
    AccessRole, Application, AuthStrategy, Collected, CollectionRequest, Connection, DcrProvider,
    DcrProviderId, PortalId, Timestamp, VersionId,
};

/// What a job is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JobKind {
    /// The client is, or may be, there; it is not to be without its application.
    Create,
    /// The client is to go, and its application with it.
    Delete,
    /// The client is to be as the application is.
    Update,
    /// Secrets that no longer count are to go.
    Tidy,
    /// The provider is to know whether the application is connected to a version.
    Registration,
}

impl JobKind {
    pub const ALL: [Self; 5] = [Self::Create, Self::Delete, Self::Update, Self::Tidy, Self::Registration];

    /// As the API and the database have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Delete => "delete",
            Self::Update => "update",
            Self::Tidy => "tidy",
            Self::Registration => "registration",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// What a job needs besides its columns.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct JobDetails {
    /// The name the provider shows for the client; it holds the application's id.
    pub client_name: String,
    /// See [`crate::model::DcrClient::handle`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handle: Option<String>,
    /// The provider's name for the one secret that counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep: Option<String>,
}

/// Something an identity provider has to be told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DcrJob {
    pub id: Uuid,
    pub provider: DcrProviderId,
    pub kind: JobKind,
    /// There may be no such application, any more or yet.
    pub application: ApplicationId,
    /// Of a registration.
    pub version: Option<VersionId>,
    pub client_id: Option<String>,
    pub details: JobDetails,
    pub attempts: u32,
    pub next_at: Timestamp,
    /// Until then whoever claimed it is at it.
    pub claimed_until: Timestamp,
    pub error: Option<String>,
    pub created_at: Timestamp,
}

/// A job to be made.
#[derive(Clone, Debug)]
pub struct NewJob {
    pub provider: DcrProviderId,
    pub kind: JobKind,
    pub application: ApplicationId,
    pub version: Option<VersionId>,
    pub client_id: Option<String>,
    pub details: JobDetails,
}

/// Everything an identity provider is told of an application.
#[derive(Clone, Debug)]
pub struct ClientContext {
    pub application: Application,
    pub portal: PortalId,
    pub strategy: AuthStrategy,
    pub provider: DcrProvider,
    /// The scopes of all its connections.
    pub registered: BTreeSet<String>,
    /// The versions it is connected to.
    pub versions: BTreeSet<VersionId>,
}

/// Of the table `dcr_jobs j`.
pub(super) const COLUMNS: &str = "j.id, j.provider, j.kind, j.application, j.version, j.client_id, j.details, j.attempts, \
    j.next_at, j.claimed_until, j.error, j.created_at";

pub(super) fn read(row: &AnyRow) -> Result<DcrJob> {
    Ok(DcrJob {
        id: row.uuid("id")?,
        provider: DcrProviderId(row.uuid("provider")?),
        kind: JobKind::parse(&row.text("kind")?).ok_or(StoreError::Corrupt("dcr_jobs.kind"))?,
        application: ApplicationId(row.uuid("application")?),
        version: row.optional_uuid("version")?.map(VersionId),
        client_id: row.optional_text("client_id")?,
        details: row.optional_json("details")?.unwrap_or_default(),
        attempts: u32::try_from(row.int("attempts")?).unwrap_or(u32::MAX),
        next_at: row.time("next_at")?,
        claimed_until: row.time("claimed_until")?,
        error: row.optional_text("error")?,
        created_at: row.time("created_at")?,
    })
}

fn details(details: &JobDetails) -> String {
    json!(details).to_string()
}

/// What a provider is told of an application; `None` where there is none, or no provider has a say in it.
async fn context(
    store: &Store,
    conn: &mut AnyConnection,
    id: ApplicationId,
) -> Result<Option<ClientContext>> {
    let Some(application) = applications::by_id(conn, id).await? else { return Ok(None) };
    let Some(strategy) = application.strategy else { return Ok(None) };
    let Some(strategy) = auth_strategies::by_id(conn, strategy).await? else { return Ok(None) };
    let provider = application.dcr.as_ref().map(|dcr| dcr.provider).or(strategy.dcr_provider);
    let Some(provider) = provider else { return Ok(None) };
    let Some(provider) = store.provider_by_id(conn, provider).await? else { return Ok(None) };
    let portal = developers::existing(conn, application.developer).await?.portal;
    let rows = sqlx::query("SELECT version, scopes FROM connections WHERE application = $1")
        .bind(id.as_bytes().as_slice())
        .fetch_all(conn)
        .await?;
    let (mut registered, mut versions) = (BTreeSet::new(), BTreeSet::new());
    for row in &rows {
        registered.extend(row.optional_texts("scopes")?);
        versions.extend(row.optional_uuid("version")?.map(VersionId));
    }
    Ok(Some(ClientContext {
        application,
        portal,
        strategy,
        provider: provider.provider,
        registered,
        versions,
    }))
}

impl Store {
    /// Who keeps the jobs, where no request does.
    pub fn dcr_keeper() -> Actor {
        Actor::internal("dcr jobs")
    }

    /// Rings when an identity provider has to be told something.
    pub fn dcr_news(&self) -> &Notify {
        &self.0.dcr_news
    }

    pub async fn client_context(&self, application: ApplicationId) -> Result<Option<ClientContext>> {
        context(self, &mut *self.reader().await?, application).await
    }

    /// The provider that makes the clients of a developer's new applications, under a strategy or the portal's default.
    pub async fn provider_of_applications(
        &self,
        developer: DeveloperId,
        strategy: Option<StrategyId>,
    ) -> Result<Option<DcrProviderId>> {
        let mut reader = self.reader().await?;
        let strategy = match strategy {
            Some(strategy) => Some(strategy),
            None => {
                let portal = developers::existing(&mut reader, developer).await?.portal;
                portals::default_strategy(&mut reader, portal).await?
            }
        };
        let Some(strategy) = strategy else { return Ok(None) };
        Ok(auth_strategies::by_id(&mut reader, strategy).await?.and_then(|strategy| strategy.dcr_provider))
    }

    /// Claims jobs that are due, of so many applications at most and one of each.
    pub async fn claim_dcr_jobs(&self, limit: usize, milliseconds: i64) -> Result<Vec<DcrJob>> {
        if self.next_dcr_job_due().await?.is_none_or(|due| due > self.now()) {
            return Ok(Vec::new());
        }
        let mut writer = self.write(&Self::dcr_keeper()).await?;
        let now = writer.now;
        let sql = format!(
            "SELECT {COLUMNS} FROM dcr_jobs j WHERE j.next_at <= $1 AND NOT EXISTS \
             (SELECT 1 FROM dcr_jobs c WHERE c.application = j.application AND c.claimed_until > $1) \
             ORDER BY j.next_at, j.created_at LIMIT 200"
        );
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(now.0).fetch_all(writer.conn()).await?;
        let mut claimed: Vec<DcrJob> = Vec::new();
        for row in &rows {
            let mut job = read(row)?;
            if claimed.len() < limit && claimed.iter().all(|other| other.application != job.application) {
                job.claimed_until = now.plus_millis(milliseconds);
                writer.set_claim(job.id, job.claimed_until).await?;
                claimed.push(job);
            }
        }
        writer.commit().await?;
        Ok(claimed)
    }

    /// When the next job is due that nobody works on; `None` if there is none.
    pub async fn next_dcr_job_due(&self) -> Result<Option<Timestamp>> {
        let row = sqlx::query(
            "SELECT MIN(CASE WHEN claimed_until > next_at THEN claimed_until ELSE next_at END) AS due FROM dcr_jobs",
        )
        .fetch_one(&mut *self.reader().await?)
        .await?;
        Ok(row.optional_int("due")?.map(Timestamp))
    }

    pub async fn dcr_jobs_count(&self) -> Result<u64> {
        count(&mut *self.reader().await?, "SELECT COUNT(*) AS n FROM dcr_jobs", |query| query).await
    }

    /// What identity providers have still to be told.
    pub async fn dcr_jobs(&self, request: &CollectionRequest) -> Result<Collected<DcrJob>> {
        Collection {
            columns: COLUMNS,
            from: "dcr_jobs j WHERE 1 = 1",
            bound: &[],
            members: &[
                Member { name: "kind", value: Value::Column("j.kind") },
                Member { name: "dcr_provider_id", value: Value::Id("j.provider") },
                Member { name: "application_id", value: Value::Id("j.application") },
                Member { name: "created_at", value: Value::Column("j.created_at") },
                Member { name: "next_at", value: Value::Column("j.next_at") },
            ],
            last: "j.created_at, j.id",
        }
        .page(&mut *self.reader().await?, self.0.backend, request, read)
        .await
    }

    /// Has a job tried at once. [`StoreError::NotFound`] if there is none: it is done.
    pub async fn retry_dcr_job(&self, id: Uuid) -> Result<DcrJob> {
        let mut writer = self.write(&Self::dcr_keeper()).await?;
        let now = writer.now;
        let sql =
            format!("UPDATE dcr_jobs SET next_at = $2 WHERE id = $1 RETURNING {}", COLUMNS.replace("j.", ""));
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(id.as_bytes().as_slice())
            .bind(now.0)
            .fetch_optional(writer.conn())
            .await?;
        let job = row.as_ref().map(read).transpose()?.ok_or(StoreError::NotFound(Entity::DcrJob))?;
        writer.dcr_jobs = true;
        writer.commit().await?;
        Ok(job)
    }

    /// Gives up every claim: whoever held one has ended.
    pub async fn release_all_dcr_jobs(&self) -> Result<()> {
        let mut writer = self.write(&Self::dcr_keeper()).await?;
        let now = writer.now;
        sqlx::query("UPDATE dcr_jobs SET claimed_until = 0, next_at = $1 WHERE claimed_until > 0")
            .bind(now.0)
            .execute(writer.conn())
            .await?;
        writer.commit().await.map(drop)
    }

    /// Writes down what a provider called the client it has just made, before anything else can go wrong.
    pub async fn note_dcr_client(&self, job: &DcrJob) -> Result<()> {
        let mut writer = self.write(&Self::dcr_keeper()).await?;
        sqlx::query("UPDATE dcr_jobs SET client_id = $2, details = $3 WHERE id = $1")
            .bind(job.id.as_bytes().as_slice())
            .bind(job.client_id.clone())
            .bind(details(&job.details))
            .execute(writer.conn())
            .await?;
        writer.commit().await.map(drop)
    }

    /// A job is done with; see [`Writer::finish_dcr_job`].
    pub async fn finish_dcr_job(&self, job: &DcrJob) -> Result<()> {
        let mut writer = self.write(&Self::dcr_keeper()).await?;
        writer.finish_dcr_job(job).await?;
        writer.commit().await.map(drop)
    }

    /// Gives up a claim: the job is to be tried, with what is known of it now, at this time.
    pub async fn postpone_dcr_job(&self, job: &DcrJob, error: &str, next_at: Timestamp) -> Result<()> {
        let mut writer = self.write(&Self::dcr_keeper()).await?;
        sqlx::query(
            "UPDATE dcr_jobs SET client_id = $3, details = $4, error = $5, next_at = $6, claimed_until = 0, \
             attempts = attempts + 1 WHERE id = $1 AND claimed_until = $2",
        )
        .bind(job.id.as_bytes().as_slice())
        .bind(job.claimed_until.0)
        .bind(job.client_id.clone())
        .bind(details(&job.details))
        .bind(error.to_owned())
        .bind(next_at.0)
        .execute(writer.conn())
        .await?;
        writer.dcr_jobs = true;
        writer.commit().await.map(drop)
    }
}

impl Writer {
    /// As [`Store::client_context`], with this change.
    pub async fn client_context(&mut self, application: ApplicationId) -> Result<Option<ClientContext>> {
        let store = self.store.clone();
        context(&store, self.conn(), application).await
    }

    /// Writes down what is going to be told, and claims it. `None`: somebody tells something of this application now.
    pub async fn begin_dcr_job(&mut self, new: NewJob, milliseconds: i64) -> Result<Option<DcrJob>> {
        // A job leaves no line in the audit log, where roles are checked; the change it is for may leave none either.
        if self.actor.role != AccessRole::Admin && new.kind != JobKind::Registration {
            return Err(StoreError::Forbidden(self.actor.role));
        }
        let now = self.now;
        let row =
            sqlx::query("SELECT 1 AS n FROM dcr_jobs WHERE application = $1 AND claimed_until > $2 LIMIT 1")
                .bind(new.application.as_bytes().as_slice())
                .bind(now.0)
                .fetch_optional(self.conn())
                .await?;
        if row.is_some() {
            return Ok(None);
        }
        self.insert_dcr_job(new, now.plus_millis(milliseconds)).await.map(Some)
    }

    async fn insert_dcr_job(&mut self, new: NewJob, claimed_until: Timestamp) -> Result<DcrJob> {
        let job = DcrJob {
            id: self.store.random_id()?,
            provider: new.provider,
            kind: new.kind,
            application: new.application,
            version: new.version,
            client_id: new.client_id,
            details: new.details,
            attempts: 0,
            next_at: self.now,
            claimed_until,
            error: None,
            created_at: self.now,
        };
        sqlx::query(
            "INSERT INTO dcr_jobs (id, provider, kind, application, version, client_id, details, attempts, next_at, \
             claimed_until, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, $9, $10)",
        )
        .bind(job.id.as_bytes().as_slice())
        .bind(job.provider.as_bytes().as_slice())
        .bind(job.kind.as_str())
        .bind(job.application.as_bytes().as_slice())
        .bind(job.version.map(|version| version.as_bytes().to_vec()))
        .bind(job.client_id.clone())
        .bind(details(&job.details))
        .bind(job.next_at.0)
        .bind(job.claimed_until.0)
        .bind(job.created_at.0)
        .execute(self.conn())
        .await?;
        Ok(job)
    }

    async fn set_claim(&mut self, id: Uuid, until: Timestamp) -> Result<()> {
        sqlx::query("UPDATE dcr_jobs SET claimed_until = $2 WHERE id = $1")
            .bind(id.as_bytes().as_slice())
            .bind(until.0)
            .execute(self.conn())
            .await?;
        Ok(())
    }

    /// A job is done with. Answers false, and changes nothing, if its claim has ended: somebody else has it now.
    pub async fn finish_dcr_job(&mut self, job: &DcrJob) -> Result<bool> {
        let deleted = sqlx::query("DELETE FROM dcr_jobs WHERE id = $1 AND claimed_until = $2")
            .bind(job.id.as_bytes().as_slice())
            .bind(job.claimed_until.0)
            .execute(self.conn())
            .await?;
        Ok(deleted.rows_affected() > 0)
    }

    /// The application and its client are gone: nothing is to be told of it any more.
    pub async fn forget_dcr_jobs(&mut self, application: ApplicationId) -> Result<()> {
        sqlx::query("DELETE FROM dcr_jobs WHERE application = $1")
            .bind(application.as_bytes().as_slice())
            .execute(self.conn())
            .await?;
        Ok(())
    }

    /// An application goes, and its client is to go with it.
    pub(super) async fn orphan_client(&mut self, application: &Application) -> Result<()> {
        let (Some(dcr), Some(client_id)) = (&application.dcr, &application.client_id) else { return Ok(()) };
        let new = NewJob {
            provider: dcr.provider,
            kind: JobKind::Delete,
            application: application.id,
            version: None,
            client_id: Some(client_id.clone()),
            details: JobDetails {
                client_name: application.client_name(),
                handle: dcr.handle.clone(),
                keep: None,
            },
        };
        self.insert_dcr_job(new, Timestamp(0)).await?;
        self.dcr_jobs = true;
        Ok(())
    }

    /// A connection goes with something else, and its application's provider may want to know.
    pub(super) async fn leave_registration(&mut self, connection: &Connection) -> Result<()> {
        let Some(version) = connection.version else { return Ok(()) };
        let Some(application) = applications::by_id(self.conn(), connection.application).await? else {
            return Ok(());
        };
        let Some(dcr) = &application.dcr else { return Ok(()) };
        let new = NewJob {
            provider: dcr.provider,
            kind: JobKind::Registration,
            application: application.id,
            version: Some(version),
            client_id: application.client_id.clone(),
            details: JobDetails {
                client_name: application.client_name(),
                handle: dcr.handle.clone(),
                keep: None,
            },
        };
        self.insert_dcr_job(new, Timestamp(0)).await?;
        self.dcr_jobs = true;
        Ok(())
    }

    /// The application's client has a new secret, which is kept nowhere.
    pub async fn note_client_secret(&mut self, application: &Application) -> Result<()> {
        let (before, mut after) = (application.view(), application.view());
        if let Some(after) = after.as_object_mut() {
            after.insert("client_secret".to_owned(), json!("(changed)"));
        }
        self.audit(Entity::Application, "update", application.id.0, Some(before), Some(after)).await
    }
}
