//! Applications and the clients they have at identity providers: every change of an application goes through here,
//! whichever API it came by, so that neither is ever left without the other.

use app_auth_core::ids::{ApplicationId, ConnectionId, DeveloperId};

use uuid::Uuid;

use super::Idp;
use super::dcr::{ClientRef, Registration, Rotated};
use super::http::CallError;
use super::operation::{Begun, client_of};
use crate::kong::{self, Changed, Kong, Refusal};
use crate::model::ambient;
use crate::model::application::client_name;
use crate::model::{
    Application, ApplicationPatch, ConnectionDetail, DcrClient, DcrProvider, Invalid, NewApplication,
    NewConnection, OsEntropy, PlainSecret, Timestamp, Update,
};
use crate::store::{Actor, JobKind, NewJob, Store, StoreError, Writer};

/// Why an identity provider did not do its part. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// It understood and refused.
    #[error("the identity provider refused: {0}")]
    Refused(String),
    /// It could not be reached, did not answer in time, or failed.
    #[error("the identity provider cannot be used now: {0}")]
    Away(String),
    /// The application has no client that could be told so, or its provider does not do it.
    #[error("{0}")]
    NotPossible(&'static str),
}

impl From<CallError> for ClientError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Refused { .. } => Self::Refused(error.to_string()),
            CallError::Untold(_) | CallError::Failed(_) | CallError::Lost(_) => Self::Away(error.to_string()),
        }
    }
}

/// The claim on a job ended before its change was made.
fn too_late() -> ClientError {
    ClientError::Away("it took too long".into())
}

/// Makes changes of applications; cheap to clone.
#[derive(Clone)]
pub struct Clients {
    pub(super) store: Store,
    pub(super) kong: Option<Kong>,
    pub(super) idp: Idp,
}

/// An application that was made, and the secret of the client that was registered for it: shown this one time.
#[derive(Clone, Debug)]
pub struct Created {
    pub application: Application,
    pub client_secret: Option<PlainSecret>,
}

/// A new secret of an application's client: shown this one time.
#[derive(Clone, Debug)]
pub struct Refreshed {
    pub client_id: String,
    pub client_secret: PlainSecret,
}

/// What the caller knows of the state of what is changed; see `If-Match`.
pub trait Precondition<E>: Fn(Timestamp) -> Result<(), E> + Clone + Send + Sync + 'static {}
impl<E, F: Fn(Timestamp) -> Result<(), E> + Clone + Send + Sync + 'static> Precondition<E> for F {}

/// What a trial of a provider came to where it cannot be used.
const TRIAL_FAILED: &str = "Unable to create the DCR application";
const TRIAL_LEFT: &str = "Unable to delete the DCR application";

impl Clients {
    pub const fn new(store: Store, kong: Option<Kong>, idp: Idp) -> Self {
        Self { store, kong, idp }
    }

    /// What stands for all of us where a provider asks for an organization.
    pub(super) fn organization(&self) -> Uuid {
        let id = self.store.id().0;
        let bytes = id.first_chunk().copied().unwrap_or_default();
        uuid::Builder::from_custom_bytes(bytes).into_uuid()
    }

    /// Makes an application. `first_key`: with a first `oauth2` credential, where its strategy knows keys.
    pub async fn create_application<E>(
        &self,
        actor: &Actor,
        developer: DeveloperId,
        mut new: NewApplication,
        first_key: bool,
    ) -> Result<Changed<Created>, E>
    where
        E: From<StoreError> + From<Refusal> + From<ClientError>,
    {
        let provider = self.store.provider_of_applications(developer, new.strategy).await?;
        let Some(provider) = provider.filter(|_| new.dcr.is_none()) else {
            let created = kong::change(&self.store, self.kong.as_ref(), actor, new, move |writer, new| {
                Box::pin(async move {
                    let application = make(writer, developer, new, first_key).await?;
                    Ok::<_, E>(Created { application, client_secret: None })
                })
            });
            return created.await;
        };
        if new.client_id.is_some() {
            return Err(
                StoreError::from(Invalid::new("client_id", "the identity provider chooses it")).into()
            );
        }
        let id = match new.id {
            Some(id) => id,
            None => ApplicationId(ambient::random_id(&OsEntropy).map_err(StoreError::from)?),
        };
        new.id = Some(id);
        let known_as = |new: &NewApplication, client: ClientRef| NewApplication {
            client_id: Some(client.client_id),
            dcr: Some(DcrClient { provider, handle: client.handle }),
            ..new.clone()
        };
        // Until it is registered, its own id stands for its client's.
        let attempt = known_as(&new, ClientRef { client_id: id.to_string(), handle: None });
        let begun = self.begin(actor, id, JobKind::Create, |writer| {
            let attempt = attempt.clone();
            Box::pin(async move { Ok::<_, E>(make(writer, developer, attempt, false).await?) })
        });
        let Some(Begun { mut job, context }) = begun.await? else { return Err(too_late().into()) };
        let mut made = None;
        let registered = match self.idp.line(&context.provider) {
            Ok(line) => line.dcr.register(&line.calls, &self.spec(&context), &mut made).await,
            Err(error) => Err(error),
        };
        job.client_id = made.as_ref().map(|client| client.client_id.clone());
        job.details.handle = made.as_ref().and_then(|client| client.handle.clone());
        let (client, secret) = match (registered, made) {
            (Ok(secret), Some(client)) => (client, secret),
            (Ok(_), None) => return Err(too_late().into()),
            (Err(error), made) => {
                match made {
                    None if error.nothing_done() => self.forget(&job).await,
                    // Whether there is one, the provider has to be asked.
                    None => self.leave(&job, &error.to_string()).await,
                    Some(_) => self.settle(job).await,
                }
                return Err(ClientError::from(error).into());
            }
        };
        if let Err(error) = self.store.note_dcr_client(&job).await {
            self.settle(job).await;
            return Err(error.into());
        }
        let input = (known_as(&new, client), job.clone(), secret);
        let created = kong::change(&self.store, self.kong.as_ref(), actor, input, move |writer, input| {
            Box::pin(async move {
                let (new, job, secret) = input;
                let application = make(writer, developer, new, false).await?;
                if !writer.finish_dcr_job(&job).await? {
                    return Err(E::from(too_late()));
                }
                Ok(Created { application, client_secret: Some(secret) })
            })
        });
        let created = created.await;
        if created.is_err() {
            self.settle(job).await;
        }
        created
    }

    /// Changes an application, and its client with it.
    pub async fn update_application<E>(
        &self,
        actor: &Actor,
        (developer, id): (DeveloperId, ApplicationId),
        patch: ApplicationPatch,
        unless: impl Precondition<E>,
    ) -> Result<Changed<Application>, E>
    where
        E: From<StoreError> + From<Refusal> + From<ClientError>,
    {
        let told = patch.name.is_some() || patch.redirect_uri.is_some() || patch.description != Update::Keep;
        let begun = if told && self.has_client(developer, id).await? {
            let (patch, unless) = (patch.clone(), unless.clone());
            self.begin(actor, id, JobKind::Update, |writer| {
                let (patch, unless) = (patch.clone(), unless.clone());
                Box::pin(async move {
                    unless(writer.application(id).await?.updated_at)?;
                    Ok::<_, E>(writer.update_application(developer, id, patch).await?)
                })
            })
            .await?
        } else {
            None
        };
        if let Some(Begun { job, context }) = &begun {
            let updated = match (self.idp.line(&context.provider), client_of(context)) {
                (Ok(line), Some(client)) => line.dcr.update(&line.calls, &client, &self.spec(context)).await,
                (Ok(_), None) => Ok(()),
                (Err(error), _) => Err(error),
            };
            if let Err(error) = updated {
                if error.nothing_done() {
                    self.forget(job).await;
                } else {
                    self.leave(job, &error.to_string()).await;
                }
                return Err(ClientError::from(error).into());
            }
        }
        let job = begun.map(|begun| begun.job);
        let input = (patch, unless, job.clone());
        let updated = kong::change(&self.store, self.kong.as_ref(), actor, input, move |writer, input| {
            Box::pin(async move {
                let (patch, unless, job) = input;
                let before = writer.application(id).await?;
                unless(before.updated_at)?;
                let after = writer.update_application(developer, id, patch).await?;
                if let Some(job) = job
                    && !writer.finish_dcr_job(&job).await?
                {
                    return Err(E::from(too_late()));
                }
                Ok(after)
            })
        });
        let updated = updated.await;
        if let (Err(_), Some(job)) = (&updated, job) {
            // The provider has heard of a change that is none.
            self.settle(job).await;
        }
        updated
    }

    /// Deletes an application with its credentials and connections, and its client with it.
    pub async fn delete_application<E>(
        &self,
        actor: &Actor,
        (developer, id): (DeveloperId, ApplicationId),
        unless: impl Precondition<E>,
    ) -> Result<Changed<()>, E>
    where
        E: From<StoreError> + From<Refusal> + From<ClientError>,
    {
        let begun = if self.has_client(developer, id).await? {
            let unless = unless.clone();
            self.begin(actor, id, JobKind::Delete, |writer| {
                let unless = unless.clone();
                Box::pin(async move {
                    unless(writer.application(id).await?.updated_at)?;
                    Ok::<_, E>(writer.delete_application(developer, id).await?)
                })
            })
            .await?
        } else {
            None
        };
        let Some(Begun { job, context }) = begun else {
            let deleted =
                kong::change(&self.store, self.kong.as_ref(), actor, unless, move |writer, unless| {
                    Box::pin(async move {
                        let before = writer.application(id).await?;
                        unless(before.updated_at)?;
                        Ok::<_, E>(writer.delete_application(developer, id).await?)
                    })
                });
            return deleted.await;
        };
        let gone = match (self.idp.line(&context.provider), client_of(&context)) {
            (Ok(line), Some(client)) => line.dcr.delete(&line.calls, &client).await,
            (Ok(_), None) => Ok(()),
            (Err(error), _) => Err(error),
        };
        match gone {
            Ok(()) => {}
            Err(CallError::Lost(error)) => {
                // The client may be gone: then its application goes as well, as soon as the provider says so.
                self.leave(&job, &error).await;
                let error =
                    format!("{error}; whether the client is gone is not known, and it will be seen to");
                return Err(ClientError::Away(error).into());
            }
            Err(error) => {
                self.forget(&job).await;
                return Err(ClientError::from(error).into());
            }
        }
        // The client is gone, so whatever the application is now, it goes.
        let deleted =
            kong::change(&self.store, self.kong.as_ref(), actor, job.clone(), move |writer, job| {
                Box::pin(async move {
                    if !writer.finish_dcr_job(&job).await? {
                        return Err(E::from(too_late()));
                    }
                    writer.delete_application(developer, id).await?;
                    writer.forget_dcr_jobs(id).await?;
                    Ok(())
                })
            });
        let deleted = deleted.await;
        if deleted.is_err() {
            self.leave(&job, "the application could not be deleted").await;
        }
        deleted
    }

    /// Gives the application's client a new secret; the old one no longer counts.
    pub async fn refresh_secret<E>(&self, actor: &Actor, application: &Application) -> Result<Refreshed, E>
    where
        E: From<StoreError> + From<ClientError>,
    {
        let id = application.id;
        let context = self.store.client_context(id).await?;
        let Some((context, client)) = context.and_then(|it| client_of(&it).map(|client| (it, client))) else {
            let none = "the application has no client that was registered for it";
            return Err(ClientError::NotPossible(none).into());
        };
        let line = self.idp.line(&context.provider).map_err(ClientError::from)?;
        if !line.dcr.rotates() {
            return Err(ClientError::NotPossible("its DCR provider does not refresh secrets").into());
        }
        let begun = self.begin(actor, id, JobKind::Tidy, |_| Box::pin(async { Ok::<_, E>(()) })).await?;
        let Some(Begun { mut job, context }) = begun else { return Err(too_late().into()) };
        let Rotated { secret, keep } = match line.dcr.rotate(&line.calls, &client, &self.spec(&context)).await
        {
            Ok(rotated) => rotated,
            Err(error) => {
                self.forget(&job).await;
                return Err(ClientError::from(error).into());
            }
        };
        let mut writer = self.store.write(actor).await?;
        writer.note_client_secret(&context.application).await?;
        if keep.is_none() {
            writer.finish_dcr_job(&job).await?;
        }
        writer.commit().await?;
        if keep.is_some() {
            job.details.keep = keep;
            self.settle(job).await;
        }
        Ok(Refreshed { client_id: client.client_id, client_secret: secret })
    }

    /// Connects an application, and tells its provider where it wants to know.
    pub async fn create_connection<E>(
        &self,
        actor: &Actor,
        application: ApplicationId,
        new: NewConnection,
    ) -> Result<Changed<ConnectionDetail>, E>
    where
        E: From<StoreError> + From<ClientError>,
    {
        let begun = if self.follows_registrations(application).await? {
            let new = new.clone();
            self.begin_registration(actor, application, |writer| {
                let new = new.clone();
                Box::pin(async move { Ok::<_, E>(writer.create_connection(application, new).await?) })
            })
            .await?
        } else {
            None
        };
        if let Some(begun) = &begun
            && let Some(version) = begun.job.version
        {
            self.tell_registration(begun, Registration::Added(version)).await?;
        }
        let job = begun.map(|begun| begun.job);
        let made = async {
            let mut writer = self.store.write(actor).await?;
            let value = writer.create_connection(application, new).await?;
            finish::<E>(&mut writer, job.as_ref()).await?;
            Ok::<_, E>(Changed { value, revision: writer.commit().await?, sync: None })
        };
        let made = made.await;
        if let (Err(_), Some(job)) = (&made, job) {
            self.settle(job).await;
        }
        made
    }

    /// Disconnects an application, and tells its provider where it wants to know.
    pub async fn delete_connection<E>(
        &self,
        actor: &Actor,
        (application, id): (ApplicationId, ConnectionId),
        unless: impl Precondition<E>,
    ) -> Result<Changed<()>, E>
    where
        E: From<StoreError> + From<ClientError>,
    {
        let begun = if self.follows_registrations(application).await? {
            let unless = unless.clone();
            self.begin_registration(actor, application, |writer| {
                let unless = unless.clone();
                Box::pin(async move {
                    let before = writer.connection(application, id).await?;
                    unless(before.connection.updated_at)?;
                    writer.delete_connection(application, id).await?;
                    Ok::<_, E>(before)
                })
            })
            .await?
        } else {
            None
        };
        if let Some(begun) = &begun
            && let Some(version) = begun.job.version
        {
            self.tell_registration(begun, Registration::Removed(version)).await?;
        }
        let job = begun.map(|begun| begun.job);
        let made = async {
            let mut writer = self.store.write(actor).await?;
            let before = writer.connection(application, id).await?;
            unless(before.connection.updated_at)?;
            writer.delete_connection(application, id).await?;
            finish::<E>(&mut writer, job.as_ref()).await?;
            Ok::<_, E>(Changed { value: (), revision: writer.commit().await?, sync: None })
        };
        let made = made.await;
        if let (Err(_), Some(job)) = (&made, job) {
            self.settle(job).await;
        }
        made
    }

    /// Tries whether clients can be registered at a provider, by registering one and deleting it. Answers what is wrong;
    /// nothing, if it is all right.
    pub async fn verify(&self, actor: &Actor, provider: &DcrProvider) -> Result<Vec<String>, StoreError> {
        let application = ApplicationId(ambient::random_id(&OsEntropy)?);
        let failed = |what: &str, error: &CallError| vec![what.to_owned(), error.to_string()];
        let mut spec = super::dcr::ClientSpec::trial(provider, application, self.organization());
        spec.client_name = client_name(&spec.name, application);
        let new = NewJob {
            provider: provider.id,
            kind: JobKind::Create,
            application,
            version: None,
            client_id: None,
            details: crate::store::JobDetails { client_name: spec.client_name.clone(), ..Default::default() },
        };
        let mut writer = self.store.write(actor).await?;
        let Some(mut job) = writer.begin_dcr_job(new, self.claim_ms()).await? else {
            return Err(StoreError::Busy);
        };
        writer.commit().await?;
        let mut made = None;
        let line = match self.idp.line(provider) {
            Ok(line) => line,
            Err(error) => {
                self.forget(&job).await;
                return Ok(failed(TRIAL_FAILED, &error));
            }
        };
        let registered = line.dcr.register(&line.calls, &spec, &mut made).await;
        job.client_id = made.as_ref().map(|client| client.client_id.clone());
        job.details.handle = made.as_ref().and_then(|client| client.handle.clone());
        if let Err(error) = registered {
            match made {
                None if error.nothing_done() => self.forget(&job).await,
                None => self.leave(&job, &error.to_string()).await,
                Some(_) => self.settle(job).await,
            }
            return Ok(failed(TRIAL_FAILED, &error));
        }
        let Some(client) = made else { return Ok(vec![TRIAL_FAILED.to_owned()]) };
        match line.dcr.delete(&line.calls, &client).await {
            Ok(()) => {
                self.forget(&job).await;
                Ok(Vec::new())
            }
            Err(error) => {
                self.leave(&job, &error.to_string()).await;
                Ok(failed(TRIAL_LEFT, &error))
            }
        }
    }

    async fn has_client(&self, developer: DeveloperId, id: ApplicationId) -> Result<bool, StoreError> {
        let application = self.store.application(developer, id).await?;
        Ok(application.is_some_and(|application| application.dcr.is_some()))
    }
}

async fn make(
    writer: &mut Writer,
    developer: DeveloperId,
    new: NewApplication,
    first_key: bool,
) -> Result<Application, StoreError> {
    if first_key {
        writer.create_application(developer, new).await
    } else {
        writer.create_bare_application(developer, new).await
    }
}

async fn finish<E>(writer: &mut Writer, job: Option<&crate::store::DcrJob>) -> Result<(), E>
where
    E: From<StoreError> + From<ClientError>,
{
    match job {
        Some(job) if !writer.finish_dcr_job(job).await? => Err(too_late().into()),
        _ => Ok(()),
    }
}
