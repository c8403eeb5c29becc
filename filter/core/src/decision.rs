//! The decision: an authenticated credential, a service, an instant: in or out, and why. No input and no output.

use crate::identity::{Authenticated, CredentialIdentifier, Identity};
use crate::ids::{ApplicationId, ServiceId, StrategyId};
use crate::record::ConnectionStatus;
use crate::refusal::Reason;
use crate::state::bucket::CredentialView;

/// What is to be done with a caller whose credential was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Allow(Identity),
    /// The credential is no longer one: answered like an unknown key.
    Expired(ApplicationId),
    Deny(ApplicationId, Reason),
}

impl Verdict {
    /// Whose credential it is.
    pub const fn application(&self) -> ApplicationId {
        match self {
            Self::Allow(identity) => identity.application,
            Self::Expired(application) | Self::Deny(application, _) => *application,
        }
    }
}

/// Decides. `now` (milliseconds since the Unix epoch) is asked for only where the credential can expire.
///
/// Where several reasons hold, the one that comes first is told: developer, connection, status, suspension.
pub fn decide(
    credential: &CredentialView<'_>,
    strategy: StrategyId,
    service: ServiceId,
    now: impl FnOnce() -> u64,
) -> Verdict {
    let application = credential.application();
    let deny = |reason| Verdict::Deny(application, reason);
    if credential.expires_at().is_some_and(|at| now() >= at) {
        return Verdict::Expired(application);
    }
    if !credential.developer_approved() {
        return deny(Reason::DeveloperNotApproved);
    }
    let Some(connection) = credential.connection(service) else {
        return deny(Reason::NoConnection);
    };
    match connection.status {
        Some(ConnectionStatus::Approved) => {}
        Some(ConnectionStatus::Pending) => return deny(Reason::Pending),
        Some(ConnectionStatus::Rejected) => return deny(Reason::Rejected),
        Some(ConnectionStatus::Revoked) => return deny(Reason::Revoked),
        None => return deny(Reason::NoConnection),
    }
    if connection.suspended {
        return deny(Reason::Suspended);
    }
    Verdict::Allow(Identity {
        credential: CredentialIdentifier::Id(credential.credential()),
        application,
        developer: credential.developer(),
        consumer: credential.consumer(),
        custom_id: credential.custom_id().to_vec(),
        connection: connection.connection,
        strategy,
        authenticated: Authenticated::default(),
    })
}
