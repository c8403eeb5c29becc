//! Connections of applications to services ("application instances" in the legacy API) and to product versions
//! ("registrations" in the v2 API). A version's connections are connections to the service that serves it.

use app_auth_core::ids::{ApplicationId, ConnectionId, ServiceId};
use app_auth_core::record::ConnectionStatus;

use super::Update;
use super::ambient::Timestamp;
use super::application::Application;
use super::developer::Developer;
use super::product::{ProductId, VersionId};

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Connection {
    pub id: ConnectionId,
    pub application: ApplicationId,
    /// Absent where no service serves the version.
    pub service: Option<ServiceId>,
    /// Absent where the service stands by itself.
    pub version: Option<VersionId>,
    pub status: ConnectionStatus,
    /// Why it has the status, in the words of whoever decided.
    pub reason: Option<String>,
    pub scopes: Vec<String>,
    /// Held back by an operator; see [`ConnectionDetail::suspended`] for what holds in the end.
    pub suspended: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Connection {
    /// `<application>_<service>`: an application connects to a service once. The version stands for its service where
    /// there is none.
    pub fn composite_id(&self) -> String {
        let target = self.service.map(|service| service.0).or(self.version.map(|version| version.0));
        format!("{}_{}", self.application, target.unwrap_or_default())
    }
}

/// A connection with the application and developer it belongs to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConnectionDetail {
    pub connection: Connection,
    pub application: Application,
    pub developer: Developer,
    pub service_name: Option<String>,
    pub version: Option<VersionSummary>,
    /// Whether the connection is held back: by its own flag, or because of where the developer stands.
    pub suspended: bool,
}

/// What a connection shows of its product version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VersionSummary {
    pub id: VersionId,
    pub name: String,
    pub product: ProductId,
    pub product_name: String,
}

/// What an application connects to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConnectionTarget {
    /// Or to the version it serves, if it serves one.
    Service(ServiceId),
    Version(VersionId),
}

/// A connection to be made.
#[derive(Clone, Debug)]
pub struct NewConnection {
    /// Absent: a random one.
    pub id: Option<ConnectionId>,
    pub target: ConnectionTarget,
    /// Absent: approved if service, version or portal approve by themselves, else pending.
    pub status: Option<ConnectionStatus>,
    pub suspended: bool,
    pub scopes: Vec<String>,
    /// Goes with the status.
    pub reason: Option<String>,
}

impl NewConnection {
    /// To this service, with everything else as the API has it by default.
    pub const fn new(service: ServiceId) -> Self {
        Self {
            id: None,
            target: ConnectionTarget::Service(service),
            status: None,
            suspended: false,
            scopes: Vec::new(),
            reason: None,
        }
    }
}

/// What a person decides about a connection or a developer. The APIs take any status at any time; people are offered what
/// makes sense from where things stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision {
    Approve,
    Reject,
    Revoke,
}

impl Decision {
    pub const ALL: [Self; 3] = [Self::Approve, Self::Reject, Self::Revoke];

    /// As paths and forms have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Revoke => "revoke",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|decision| decision.as_str() == text)
    }

    /// The status it leads to.
    pub const fn status(self) -> ConnectionStatus {
        match self {
            Self::Approve => ConnectionStatus::Approved,
            Self::Reject => ConnectionStatus::Rejected,
            Self::Revoke => ConnectionStatus::Revoked,
        }
    }

    /// What can be decided about a connection that has a status. What was revoked can be approved again at any time; what
    /// was rejected has to be deleted before it can be asked for anew.
    pub const fn of(status: ConnectionStatus) -> &'static [Self] {
        match status {
            ConnectionStatus::Pending => &[Self::Approve, Self::Reject],
            ConnectionStatus::Approved => &[Self::Revoke],
            ConnectionStatus::Revoked => &[Self::Approve],
            ConnectionStatus::Rejected => &[],
        }
    }
}

/// A change to a connection; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct ConnectionPatch {
    pub status: Option<ConnectionStatus>,
    pub suspended: Option<bool>,
    pub service: Option<ServiceId>,
    /// Goes with the status: a new status without a reason has none.
    pub reason: Update<String>,
}
