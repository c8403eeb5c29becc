//! What a person decides about a connection: one step from where it stands, never from where it stood when the page was
//! made.

use app_auth_core::ids::{ApplicationId, ConnectionId, Revision};

use super::failure::Failure;
use crate::model::{ConnectionDetail, ConnectionPatch, ConnectionStatus, Decision, Update};
use crate::store::{Actor, Store, Writer};

/// Decides about a connection. [`Failure::Refused`] if that cannot be decided from where it stands now.
pub async fn connection(
    store: &Store,
    actor: &Actor,
    (application, id): (ApplicationId, ConnectionId),
    decision: Decision,
    reason: &str,
) -> Result<(ConnectionDetail, Revision), Failure> {
    let mut writer = store.write(actor).await?;
    let detail = decide_connection(&mut writer, (application, id), decision, reason).await?;
    let revision = writer.commit().await?;
    Ok((detail, revision))
}

/// [`connection`] as a part of a larger change.
pub async fn decide_connection(
    writer: &mut Writer,
    (application, id): (ApplicationId, ConnectionId),
    decision: Decision,
    reason: &str,
) -> Result<ConnectionDetail, Failure> {
    let before = writer.connection(application, id).await?;
    check(decision, before.connection.status)?;
    let reason = reason.trim();
    let patch = ConnectionPatch {
        status: Some(decision.status()),
        reason: if reason.is_empty() { Update::Keep } else { Update::Set(reason.to_owned()) },
        ..ConnectionPatch::default()
    };
    Ok(writer.update_connection(application, id, patch).await?)
}

/// Whether it can be decided from this status.
pub fn check(decision: Decision, status: ConnectionStatus) -> Result<(), Failure> {
    if Decision::of(status).contains(&decision) {
        return Ok(());
    }
    let now = status.word();
    Err(Failure::refused(if decision.status() == status {
        format!("It is {now} already.")
    } else {
        format!(
            "It is {now} now, so that you cannot {} it. Somebody may have been faster.",
            decision.as_str()
        )
    }))
}

/// What a connection leads to, in a person's words.
pub fn target(detail: &ConnectionDetail) -> String {
    match (&detail.version, &detail.service_name) {
        (Some(version), _) => format!("{} {}", version.product_name, version.name),
        (None, Some(service)) => service.clone(),
        (None, None) => "a service that is gone".to_owned(),
    }
}
