//! The database: one set of queries for SQLite and PostgreSQL.
//!
//! Reads are methods of [`Store`]; changes are methods of [`Writer`], which [`Store::write`] begins and
//! [`Writer::commit`] ends. A writer that is dropped changes nothing.

pub mod error;

pub use error::{Entity, FeedError, StoreError};

use app_auth_core::ids::{
    ApplicationId, ConnectionId, CredentialId, DeveloperId, Revision, ServiceId, StoreId,
};

use crate::model::{
    Application, ApplicationPatch, ConnectionDetail, ConnectionPatch, Credential, CredentialKind,
    CredentialPatch, Developer, DeveloperPatch, DeveloperRef, DeveloperStatus, Listed, NewApplication,
    NewConnection, NewCredential, NewDeveloper, NewService, PageRequest, Service, ServicePatch, ServiceRef,
    Timestamp,
};

pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Who changes something, for the audit log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Actor {
    /// The name of the token, or what stands for one.
    pub name: String,
    /// The request the change came in.
    pub request: String,
}

/// A handle to the database; cheap to clone.
#[derive(Clone)]
pub struct Store {}

impl Store {
    pub fn id(&self) -> StoreId {
        unimplemented!()
    }
    /// The time, by the clock the store was opened with.
    pub fn now(&self) -> Timestamp {
        unimplemented!()
    }
    /// Begins a change. Writers queue: the one before must commit or be dropped first.
    pub async fn write(&self, actor: &Actor) -> Result<Writer> {
        let _ = actor;
        unimplemented!()
    }

    pub async fn developers(
        &self,
        status: Option<DeveloperStatus>,
        page: PageRequest,
    ) -> Result<Listed<Developer>> {
        let _ = (status, page);
        unimplemented!()
    }
    pub async fn developer(&self, developer: &DeveloperRef) -> Result<Option<Developer>> {
        let _ = developer;
        unimplemented!()
    }
    pub async fn applications(
        &self,
        developer: DeveloperId,
        page: PageRequest,
    ) -> Result<Listed<Application>> {
        let _ = (developer, page);
        unimplemented!()
    }
    /// The developer's application; another developer's is not found.
    pub async fn application(
        &self,
        developer: DeveloperId,
        application: ApplicationId,
    ) -> Result<Option<Application>> {
        let _ = (developer, application);
        unimplemented!()
    }
    pub async fn connections_of_application(
        &self,
        application: ApplicationId,
        page: PageRequest,
    ) -> Result<Listed<ConnectionDetail>> {
        let _ = (application, page);
        unimplemented!()
    }
    pub async fn connections_of_service(
        &self,
        service: ServiceId,
        page: PageRequest,
    ) -> Result<Listed<ConnectionDetail>> {
        let _ = (service, page);
        unimplemented!()
    }
    /// The application's connection; another application's is not found.
    pub async fn connection(
        &self,
        application: ApplicationId,
        connection: ConnectionId,
    ) -> Result<Option<ConnectionDetail>> {
        let _ = (application, connection);
        unimplemented!()
    }
    pub async fn credentials(
        &self,
        application: ApplicationId,
        kind: CredentialKind,
        page: PageRequest,
    ) -> Result<Listed<Credential>> {
        let _ = (application, kind, page);
        unimplemented!()
    }
    /// The application's credential of that kind; any other is not found.
    pub async fn credential(
        &self,
        application: ApplicationId,
        kind: CredentialKind,
        credential: CredentialId,
    ) -> Result<Option<Credential>> {
        let _ = (application, kind, credential);
        unimplemented!()
    }
    pub async fn services(&self, page: PageRequest) -> Result<Listed<Service>> {
        let _ = page;
        unimplemented!()
    }
    pub async fn service(&self, service: &ServiceRef) -> Result<Option<Service>> {
        let _ = service;
        unimplemented!()
    }
}

/// A change in progress.
pub struct Writer {}

impl Writer {
    /// Makes the change durable and tells the gateways. The revision is the newest the change made, or the store's
    /// newest where the gateways need not know of it.
    pub async fn commit(self) -> Result<Revision> {
        unimplemented!()
    }

    pub async fn create_developer(&mut self, new: NewDeveloper) -> Result<Developer> {
        let _ = new;
        unimplemented!()
    }
    pub async fn update_developer(&mut self, id: DeveloperId, patch: DeveloperPatch) -> Result<Developer> {
        let _ = (id, patch);
        unimplemented!()
    }
    /// With everything that is theirs. [`StoreError::NotFound`] if there is no such developer.
    pub async fn delete_developer(&mut self, id: DeveloperId) -> Result<()> {
        let _ = id;
        unimplemented!()
    }

    /// With its hidden consumer and a first `oauth2` credential.
    pub async fn create_application(
        &mut self,
        developer: DeveloperId,
        new: NewApplication,
    ) -> Result<Application> {
        let _ = (developer, new);
        unimplemented!()
    }
    pub async fn update_application(
        &mut self,
        developer: DeveloperId,
        id: ApplicationId,
        patch: ApplicationPatch,
    ) -> Result<Application> {
        let _ = (developer, id, patch);
        unimplemented!()
    }
    pub async fn delete_application(&mut self, developer: DeveloperId, id: ApplicationId) -> Result<()> {
        let _ = (developer, id);
        unimplemented!()
    }

    /// [`StoreError::ForeignKey`] (field `service`) if the service is unknown, [`StoreError::Unique`] (field
    /// `composite_id`) if the application is connected to it already.
    pub async fn create_connection(
        &mut self,
        application: ApplicationId,
        new: NewConnection,
    ) -> Result<ConnectionDetail> {
        let _ = (application, new);
        unimplemented!()
    }
    pub async fn update_connection(
        &mut self,
        application: ApplicationId,
        id: ConnectionId,
        patch: ConnectionPatch,
    ) -> Result<ConnectionDetail> {
        let _ = (application, id, patch);
        unimplemented!()
    }
    pub async fn delete_connection(&mut self, application: ApplicationId, id: ConnectionId) -> Result<()> {
        let _ = (application, id);
        unimplemented!()
    }

    /// The answer shows every secret in full, also where the store keeps none.
    pub async fn create_credential(
        &mut self,
        application: ApplicationId,
        new: NewCredential,
    ) -> Result<Credential> {
        let _ = (application, new);
        unimplemented!()
    }
    /// A `key-auth` credential; `oauth2` ones do not change.
    pub async fn update_credential(
        &mut self,
        application: ApplicationId,
        id: CredentialId,
        patch: CredentialPatch,
    ) -> Result<Credential> {
        let _ = (application, id, patch);
        unimplemented!()
    }
    pub async fn delete_credential(
        &mut self,
        application: ApplicationId,
        kind: CredentialKind,
        id: CredentialId,
    ) -> Result<()> {
        let _ = (application, kind, id);
        unimplemented!()
    }

    pub async fn create_service(&mut self, new: NewService) -> Result<Service> {
        let _ = new;
        unimplemented!()
    }
    /// Makes the service, or replaces the whole of it. By name: the service of that name, or a new one with it.
    pub async fn put_service(&mut self, service: &ServiceRef, new: NewService) -> Result<Service> {
        let _ = (service, new);
        unimplemented!()
    }
    pub async fn update_service(&mut self, id: ServiceId, patch: ServicePatch) -> Result<Service> {
        let _ = (id, patch);
        unimplemented!()
    }
    /// With all connections to it.
    pub async fn delete_service(&mut self, id: ServiceId) -> Result<()> {
        let _ = id;
        unimplemented!()
    }
}
