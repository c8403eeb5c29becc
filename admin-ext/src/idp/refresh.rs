//! An issuer's keys on demand: a gateway has seen a token that names a key it does not know. Everybody who waits for the
//! same issuer waits for the same fetch, on whichever replica, and an issuer is never asked more often than its interval
//! allows. What is fetched, [`super::issuers`] fetches; here it is only asked for and waited for.

use std::time::Duration;

use app_auth_core::calls::PATIENCE_MILLISECONDS;
use tokio::time::{Instant, sleep, sleep_until};

use super::Idp;
use super::issuers::milliseconds;
use crate::nodes::Nodes;
use crate::store::{FetchProgress, Result, Store};

/// How long the gateways may take to apply what has changed.
const APPLY_TIME: Duration = Duration::from_secs(2);
/// How much sooner than the gateway's patience we end.
const SLACK: Duration = Duration::from_millis(500);
/// So long after a failure, nobody asks again on demand.
const FAILED_MS: i64 = 5_000;
/// Another replica does not say when it has fetched something that has not changed.
const LOOK: Duration = Duration::from_millis(250);

/// What came of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refreshed {
    /// What the issuer says now is in force.
    Fetched,
    /// It does not answer; what was known of it stays in force.
    Failed,
    /// It took too long, or the program is to stop.
    Late,
    /// No strategy names it.
    Unknown,
}

/// Waits until a fetch of an issuer has ended that began after this, and the live nodes have applied what it changed.
pub async fn refresh(
    store: &Store,
    idp: &Idp,
    nodes: &Nodes,
    stopping: impl Future<Output = ()>,
    issuer: &str,
) -> Result<Refreshed> {
    let patience = Duration::from_millis(u64::from(PATIENCE_MILLISECONDS));
    let deadline = Instant::now() + patience.saturating_sub(APPLY_TIME + SLACK);
    let outcome = wait_for_fetch(store, idp, stopping, issuer, deadline).await?;
    if outcome == Refreshed::Fetched
        && let Some(revision) = store.issuer_revision(issuer).await?
    {
        nodes.wait_applied(revision, APPLY_TIME).await;
    }
    Ok(outcome)
}

async fn wait_for_fetch(
    store: &Store,
    idp: &Idp,
    stopping: impl Future<Output = ()>,
    issuer: &str,
    deadline: Instant,
) -> Result<Refreshed> {
    tokio::pin!(stopping);
    // Before anything is looked at, so that nothing is missed.
    let (mut ended, mut newest) = (store.fetches_ended(), store.newest());
    let Some(progress) = store.fetch_progress(issuer).await? else { return Ok(Refreshed::Unknown) };
    if has_failed(store, &progress) {
        return Ok(Refreshed::Failed);
    }
    let fetch = if !progress.known && progress.begun > progress.ended {
        // The first of all is news, whenever it began.
        progress.begun
    } else if progress.wanted > progress.begun {
        progress.wanted
    } else {
        match store.want_fetch(issuer, milliseconds(idp.issuer_interval)).await? {
            Some(fetch) => fetch,
            None => return Ok(Refreshed::Unknown),
        }
    };
    loop {
        ended.mark_unchanged();
        newest.mark_unchanged();
        match store.fetch_progress(issuer).await? {
            None => return Ok(Refreshed::Unknown),
            Some(progress) if has_failed(store, &progress) => return Ok(Refreshed::Failed),
            Some(progress) if progress.ended >= fetch => return Ok(Refreshed::Fetched),
            Some(_) => {}
        }
        if Instant::now() >= deadline {
            return Ok(Refreshed::Late);
        }
        tokio::select! {
            _ = ended.changed() => {}
            _ = newest.changed() => {}
            () = sleep(LOOK), if store.has_replicas() => {}
            // It is looked at once more.
            () = sleep_until(deadline) => {}
            () = &mut stopping => return Ok(Refreshed::Late),
        }
    }
}

fn has_failed(store: &Store, progress: &FetchProgress) -> bool {
    progress.failed_at.is_some_and(|at| at.plus_millis(FAILED_MS) > store.now())
}
