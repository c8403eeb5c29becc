//! The decision: an authenticated credential, a service, an instant: in or out, and why. No input and no output.

use crate::identity::{Authenticated, CredentialIdentifier, Identity};
use crate::ids::{ServiceId, StrategyId};
use crate::record::ConnectionStatus;
use crate::refusal::Reason;
use crate::state::bucket::CredentialView;

/// What is to be done with a caller whose credential was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Allow(Identity),
    /// The credential is no longer one: answered like an unknown key.
    Expired,
    Deny(Reason),
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
    if credential.expires_at().is_some_and(|at| now() >= at) {
        return Verdict::Expired;
    }
    if !credential.developer_approved() {
        return Verdict::Deny(Reason::DeveloperNotApproved);
    }
    let Some(connection) = credential.connection(service) else {
        return Verdict::Deny(Reason::NoConnection);
    };
    match connection.status {
        Some(ConnectionStatus::Approved) => {}
        Some(ConnectionStatus::Pending) => return Verdict::Deny(Reason::Pending),
        Some(ConnectionStatus::Rejected) => return Verdict::Deny(Reason::Rejected),
        Some(ConnectionStatus::Revoked) => return Verdict::Deny(Reason::Revoked),
        None => return Verdict::Deny(Reason::NoConnection),
    }
    if connection.suspended {
        return Verdict::Deny(Reason::Suspended);
    }
    Verdict::Allow(Identity {
        credential: CredentialIdentifier::Id(credential.credential()),
        application: credential.application(),
        developer: credential.developer(),
        consumer: credential.consumer(),
        custom_id: credential.custom_id().to_vec(),
        connection: connection.connection,
        strategy,
        authenticated: Authenticated::default(),
    })
}
