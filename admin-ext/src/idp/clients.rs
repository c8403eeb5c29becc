//! Applications and the clients they have at identity providers: every change of an application goes through here,
//! whichever API it came by, so that neither is ever left without the other.

use app_auth_core::ids::{ApplicationId, ConnectionId, DeveloperId};

use crate::kong::{self, Changed, Kong, Refusal};
use crate::model::{
    Application, ApplicationPatch, ConnectionDetail, NewApplication, NewConnection, PlainSecret, Timestamp,
};
use crate::store::{Actor, Store, StoreError};

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

/// Makes changes of applications; cheap to clone.
#[derive(Clone)]
pub struct Clients {
    store: Store,
    kong: Option<Kong>,
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

impl Clients {
    pub const fn new(store: Store, kong: Option<Kong>) -> Self {
        Self { store, kong }
    }

    /// Makes an application. `first_key`: with a first `oauth2` credential, where its strategy knows keys.
    pub async fn create_application<E>(
        &self,
        actor: &Actor,
        developer: DeveloperId,
        new: NewApplication,
        first_key: bool,
    ) -> Result<Changed<Created>, E>
    where
        E: From<StoreError> + From<Refusal> + From<ClientError>,
    {
        let created = kong::change(&self.store, self.kong.as_ref(), actor, new, move |writer, new| {
            Box::pin(async move {
                let application = if first_key {
                    writer.create_application(developer, new).await?
                } else {
                    writer.create_bare_application(developer, new).await?
                };
                Ok::<_, E>(Created { application, client_secret: None })
            })
        });
        created.await
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
        let input = (patch, unless);
        let updated = kong::change(&self.store, self.kong.as_ref(), actor, input, move |writer, input| {
            Box::pin(async move {
                let (patch, unless) = input;
                let before = writer.application(id).await?;
                unless(before.updated_at)?;
                Ok::<_, E>(writer.update_application(developer, id, patch).await?)
            })
        });
        updated.await
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
        let deleted = kong::change(&self.store, self.kong.as_ref(), actor, unless, move |writer, unless| {
            Box::pin(async move {
                let before = writer.application(id).await?;
                unless(before.updated_at)?;
                Ok::<_, E>(writer.delete_application(developer, id).await?)
            })
        });
        deleted.await
    }

    /// Gives the application's client a new secret; the old one no longer counts.
    pub async fn refresh_secret<E>(&self, _actor: &Actor, _application: &Application) -> Result<Refreshed, E>
    where
        E: From<StoreError> + From<ClientError>,
    {
        Err(ClientError::NotPossible("the application has no client that was registered for it").into())
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
        let mut writer = self.store.write(actor).await?;
        let value = writer.create_connection(application, new).await?;
        Ok(Changed { value, revision: writer.commit().await?, sync: None })
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
        let mut writer = self.store.write(actor).await?;
        let before = writer.connection(application, id).await?;
        unless(before.connection.updated_at)?;
        writer.delete_connection(application, id).await?;
        Ok(Changed { value: (), revision: writer.commit().await?, sync: None })
    }
}
