//! Connections of applications to services ("application instances" in the legacy API).

use app_auth_core::ids::{ApplicationId, ConnectionId, ServiceId};
use app_auth_core::record::ConnectionStatus;

use super::ambient::Timestamp;
use super::application::Application;
use super::developer::{Developer, DeveloperStatus};

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Connection {
    pub id: ConnectionId,
    pub application: ApplicationId,
    pub service: ServiceId,
    pub status: ConnectionStatus,
    /// Held back by an operator; see [`ConnectionDetail::suspended`] for what holds in the end.
    pub suspended: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Connection {
    /// `<application>_<service>`: an application connects to a service once.
    pub fn composite_id(&self) -> String {
        format!("{}_{}", self.application, self.service)
    }
}

/// A connection with the application and developer it belongs to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConnectionDetail {
    pub connection: Connection,
    pub application: Application,
    pub developer: Developer,
}

impl ConnectionDetail {
    /// Whether the connection is held back: by its own flag, or because the developer is not approved.
    pub fn suspended(&self) -> bool {
        self.connection.suspended || self.developer.status != DeveloperStatus::Approved
    }
}

/// A connection to be made.
#[derive(Clone, Debug)]
pub struct NewConnection {
    /// Absent: a random one.
    pub id: Option<ConnectionId>,
    pub service: ServiceId,
    /// Absent: approved if the service approves by itself, else pending.
    pub status: Option<ConnectionStatus>,
    pub suspended: bool,
}

impl NewConnection {
    /// To this service, with everything else as the API has it by default.
    pub const fn new(service: ServiceId) -> Self {
        Self { id: None, service, status: None, suspended: false }
    }
}

/// A change to a connection; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct ConnectionPatch {
    pub status: Option<ConnectionStatus>,
    pub suspended: Option<bool>,
    pub service: Option<ServiceId>,
}
