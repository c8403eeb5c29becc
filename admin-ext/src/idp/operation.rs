//! What an operation on a client goes through: a job is committed before the provider is called, so that whatever ends
//! in between is taken up again; and what a job stands for when it is.

use std::time::{Duration, Instant};

use app_auth_core::ids::ApplicationId;

use super::clients::ClientError;
use super::dcr::{self, ClientRef, ClientSpec, Dcr, Found, Registration};
use super::http::{CallError, Calls};
use super::{Clients, Idp};
use crate::kong::{self, Making, Refusal, backoff};
use crate::model::{ConnectionDetail, DcrClient, DcrProvider, ProviderType, VersionId};
use crate::store::{Actor, ClientContext, DcrJob, JobKind, NewJob, Store, StoreError, Writer};

/// How often to look whether somebody else has done with an application.
const POLL: Duration = Duration::from_millis(20);
/// Between the end of what may happen under a claim and the end of the claim: as much as the clocks of replicas may
/// differ.
const SLACK: Duration = Duration::from_secs(5);
/// How often a client that may have been made is looked for before it is believed that there is none.
const LOOKS: u32 = 3;

/// A job that is written down and claimed, and what its provider is told.
pub(super) struct Begun {
    pub job: DcrJob,
    pub context: ClientContext,
}

/// What speaks to one provider, within one operation's time.
pub(super) struct Line {
    pub dcr: Box<dyn Dcr>,
    pub calls: Calls,
}

impl Idp {
    pub(super) fn line(&self, provider: &DcrProvider) -> Result<Line, CallError> {
        let dcr = dcr::of(provider, &self.azure)?;
        Ok(Line { dcr, calls: self.http.calls().hiding(&provider.secret) })
    }
}

/// The client an application has.
pub(super) fn client_of(context: &ClientContext) -> Option<ClientRef> {
    let DcrClient { handle, .. } = context.application.dcr.clone()?;
    Some(ClientRef { client_id: context.application.client_id.clone()?, handle })
}

/// The client a job is about, as far as it is known.
fn client_of_job(job: &DcrJob) -> Option<ClientRef> {
    Some(ClientRef { client_id: job.client_id.clone()?, handle: job.details.handle.clone() })
}

/// What has become of a job.
enum Settled {
    /// In words, where there was something to finish.
    Done(Option<String>),
    /// To be looked at again.
    NotYet(String),
    /// The application went with it, and its jobs.
    Gone,
}

impl Clients {
    pub(super) fn spec(&self, context: &ClientContext) -> ClientSpec {
        ClientSpec::new(context, self.organization())
    }

    /// How long a claim holds, in milliseconds: for the operation, for making up for it, and for Kong in between.
    pub(super) fn claim_ms(&self) -> i64 {
        let own = (self.idp.http.operation_time() * 2 + SLACK).as_millis();
        let kong = self.kong.as_ref().map_or(0, kong::Kong::claim_ms);
        i64::try_from(own).unwrap_or(i64::MAX).saturating_add(kong)
    }

    /// Tries a change without making it, and writes down what the provider will be told of it. `None`: there is no
    /// provider that could be.
    pub(super) async fn begin<T, E, F>(
        &self,
        actor: &Actor,
        id: ApplicationId,
        kind: JobKind,
        attempt: F,
    ) -> Result<Option<Begun>, E>
    where
        E: From<StoreError> + From<ClientError>,
        F: for<'a> Fn(&'a mut Writer) -> Making<'a, T, E>,
    {
        self.begin_with(actor, id, kind, attempt, |_| None).await
    }

    async fn begin_with<T, E, F>(
        &self,
        actor: &Actor,
        id: ApplicationId,
        kind: JobKind,
        attempt: F,
        version: impl Fn(&T) -> Option<VersionId>,
    ) -> Result<Option<Begun>, E>
    where
        E: From<StoreError> + From<ClientError>,
        F: for<'a> Fn(&'a mut Writer) -> Making<'a, T, E>,
    {
        let deadline = Instant::now() + self.idp.http.operation_time();
        loop {
            let mut writer = self.store.write(actor).await?;
            let before = writer.client_context(id).await?;
            let mark = writer.mark().await?;
            let outlook = attempt(&mut writer).await?;
            let after = writer.client_context(id).await?;
            writer.undo(mark).await?;
            let Some(context) = after.or(before) else { return Ok(None) };
            let new = NewJob {
                provider: context.provider.id,
                kind,
                application: id,
                version: version(&outlook),
                // Until it is registered, an application has its own id there.
                client_id: context.application.client_id.clone().filter(|_| kind != JobKind::Create),
                details: crate::store::JobDetails {
                    client_name: context.application.client_name(),
                    handle: context.application.dcr.as_ref().and_then(|dcr| dcr.handle.clone()),
                    keep: None,
                },
            };
            if let Some(job) = writer.begin_dcr_job(new, self.claim_ms()).await? {
                writer.commit().await?;
                return Ok(Some(Begun { job, context }));
            }
            drop(writer);
            if Instant::now() > deadline {
                return Err(ClientError::Away("somebody else changes the application's client".into()).into());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Whether an application's provider wants to know what it is connected to.
    pub(super) async fn follows_registrations(&self, id: ApplicationId) -> Result<bool, StoreError> {
        let context = self.store.client_context(id).await?;
        let Some(context) = context.filter(|context| client_of(context).is_some()) else { return Ok(false) };
        Ok(self.idp.line(&context.provider).is_ok_and(|line| line.dcr.follows_registrations()))
    }

    /// As [`Clients::begin`], for a connection that comes or goes.
    pub(super) async fn begin_registration<E, F>(
        &self,
        actor: &Actor,
        id: ApplicationId,
        attempt: F,
    ) -> Result<Option<Begun>, E>
    where
        E: From<StoreError> + From<ClientError>,
        F: for<'a> Fn(&'a mut Writer) -> Making<'a, ConnectionDetail, E>,
    {
        self.begin_with(actor, id, JobKind::Registration, attempt, |detail| detail.connection.version).await
    }

    /// Tells a provider of a connection that comes or goes. An error is the end of it.
    pub(super) async fn tell_registration(
        &self,
        begun: &Begun,
        registration: Registration,
    ) -> Result<(), ClientError> {
        let Begun { job, context } = begun;
        let told = match (self.idp.line(&context.provider), client_of(context)) {
            (Ok(line), Some(client)) => {
                line.dcr.registration(&line.calls, &client, &self.spec(context), registration).await
            }
            (Ok(_), None) => Ok(()),
            (Err(error), _) => Err(error),
        };
        match told {
            Ok(()) => Ok(()),
            Err(error) => {
                // Of what a refusal left half done, the rest is undone.
                if error.nothing_done() && context.provider.provider_type == ProviderType::Http {
                    self.forget(job).await;
                } else {
                    self.leave(job, &error.to_string()).await;
                }
                Err(error.into())
            }
        }
    }

    /// An operation whose provider did nothing is forgotten.
    pub(super) async fn forget(&self, job: &DcrJob) {
        if let Err(error) = self.store.finish_dcr_job(job).await {
            tracing::warn!(%error, job = %job.id, "a job of an identity provider is taken up once its claim ends");
        }
    }

    /// An operation is left to whoever works on jobs.
    pub(super) async fn leave(&self, job: &DcrJob, reason: &str) {
        let next_at = self.store.now().plus_millis(backoff::wait_ms(job.attempts));
        if let Err(error) = self.store.postpone_dcr_job(job, reason, next_at).await {
            tracing::warn!(%error, job = %job.id, "a job of an identity provider is taken up once its claim ends");
        }
    }

    /// Brings provider and database together in what a claimed job is about, and the job to its end or its next try.
    pub(super) async fn settle(&self, mut job: DcrJob) {
        match self.try_settling(&mut job).await {
            Ok(Settled::Gone) => {
                tracing::info!(job = %job.id, application = %job.application, "finished the deletion of an application and its client");
            }
            Ok(Settled::Done(finished)) => {
                if let Some(finished) = finished {
                    let (application, provider) = (job.application, job.provider);
                    tracing::info!(job = %job.id, %application, %provider, "{finished}");
                }
                self.forget(&job).await;
            }
            Ok(Settled::NotYet(reason)) => self.leave(&job, &reason).await,
            Err(error) => {
                if job.attempts == 0 {
                    let provider = job.provider;
                    tracing::warn!(job = %job.id, kind = job.kind.as_str(), %provider, %error, "an identity provider could not be told; it is tried again");
                }
                self.leave(&job, &error).await;
            }
        }
    }

    async fn try_settling(&self, job: &mut DcrJob) -> Result<Settled, String> {
        let text = |error: StoreError| error.to_string();
        let provider = self.store.dcr_provider(job.provider).await.map_err(text)?;
        let Some(provider) = provider else { return Ok(Settled::Done(None)) };
        let line = self.idp.line(&provider.provider).map_err(|error| error.to_string())?;
        let context = self.store.client_context(job.application).await.map_err(text)?;
        let context = context.filter(|context| context.provider.id == job.provider);
        let settled = match (job.kind, &context) {
            (JobKind::Create, Some(context)) if client_of(context).is_some() => Ok(Settled::Done(None)),
            (JobKind::Delete, Some(context)) => return self.finish_deletion(job, context, &line).await,
            (JobKind::Create | JobKind::Delete, _) => self.remove_orphan(job, &line).await,
            (_, None) => Ok(Settled::Done(None)),
            (kind, Some(context)) => self.tell(kind, job, context, &line).await,
        };
        settled.map_err(|error| error.to_string())
    }

    /// Tells a provider what the database says now.
    async fn tell(
        &self,
        kind: JobKind,
        job: &DcrJob,
        context: &ClientContext,
        line: &Line,
    ) -> Result<Settled, CallError> {
        let Some(client) = client_of(context) else { return Ok(Settled::Done(None)) };
        let (spec, calls) = (self.spec(context), &line.calls);
        let what = match (kind, job.version, &job.details.keep) {
            (JobKind::Registration, Some(version), _) => {
                let there = context.versions.contains(&version);
                let registration =
                    if there { Registration::Added(version) } else { Registration::Removed(version) };
                line.dcr.registration(calls, &client, &spec, registration).await?;
                "told an identity provider of a registration"
            }
            (JobKind::Tidy, _, Some(keep)) => {
                line.dcr.tidy(calls, &client, keep).await?;
                "removed the old secrets of a client"
            }
            (JobKind::Tidy, _, None) => return Ok(Settled::Done(None)),
            _ => {
                line.dcr.update(calls, &client, &spec).await?;
                "made a client what its application is"
            }
        };
        Ok(Settled::Done(Some(what.to_owned())))
    }

    /// Removes the client of an application that is not there.
    async fn remove_orphan(&self, job: &DcrJob, line: &Line) -> Result<Settled, CallError> {
        if let Some(client) = client_of_job(job) {
            line.dcr.delete(&line.calls, &client).await?;
            return Ok(Settled::Done(Some(format!("removed the client {}", client.client_id))));
        }
        let name = &job.details.client_name;
        let clients = match line.dcr.find(&line.calls, job.application, name).await? {
            Found::Clients(clients) => clients,
            Found::CannotSearch => {
                metrics::counter!("app_auth_admin_dcr_unknown_total").increment(1);
                tracing::warn!(
                    client_name = name, provider = %job.provider, application = %job.application,
                    "an identity provider may have a client that no application has, and cannot be asked: look for it by its name"
                );
                return Ok(Settled::Done(None));
            }
        };
        if clients.is_empty() {
            // It may still be at it.
            let age = self.store.now().0.saturating_sub(job.created_at.0);
            let at_it = i64::try_from(self.idp.http.operation_time().as_millis()).unwrap_or(i64::MAX);
            if job.attempts + 1 < LOOKS || age < at_it {
                return Ok(Settled::NotYet("no client of this name yet".into()));
            }
            return Ok(Settled::Done(None));
        }
        let mut gone = Vec::new();
        for client in clients {
            line.dcr.delete(&line.calls, &client).await?;
            gone.push(client.client_id);
        }
        Ok(Settled::Done(Some(format!("removed clients that no application has: {}", gone.join(", ")))))
    }

    /// A deletion that was begun goes on: the client may be gone already, and the application is not to be without it.
    async fn finish_deletion(
        &self,
        job: &DcrJob,
        context: &ClientContext,
        line: &Line,
    ) -> Result<Settled, String> {
        if let Some(client) = client_of(context) {
            line.dcr.delete(&line.calls, &client).await.map_err(|error| error.to_string())?;
        }
        let (developer, id) = (context.application.developer, context.application.id);
        let (keeper, job) = (Store::dcr_keeper(), job.clone());
        let deleted = kong::change(&self.store, self.kong.as_ref(), &keeper, job, move |writer, job| {
            Box::pin(async move {
                if !writer.finish_dcr_job(&job).await? {
                    return Err(Unfinished("its claim has ended".into()));
                }
                writer.delete_application(developer, id).await?;
                writer.forget_dcr_jobs(id).await?;
                Ok(())
            })
        });
        match deleted.await {
            Ok(_) => Ok(Settled::Gone),
            Err(Unfinished(error)) => Err(error),
        }
    }
}

/// Why the database's part could not be done.
struct Unfinished(String);

impl From<StoreError> for Unfinished {
    fn from(error: StoreError) -> Self {
        Self(error.to_string())
    }
}

impl From<Refusal> for Unfinished {
    fn from(refusal: Refusal) -> Self {
        Self(refusal.message())
    }
}
