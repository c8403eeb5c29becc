//! Keeps what the gateways need to know of the issuers that strategies name: fetches it when an issuer is new and again
//! before it is too old. What was fetched last stays in force for as long as nothing newer can be.

use std::time::Duration;

use tokio::task::JoinSet;

use super::Idp;
use super::discovery::{self, Discovered};
use crate::kong::backoff;
use crate::store::{DueIssuer, Store};

/// Most issuers that are asked at the same time.
const AT_ONCE: usize = 32;
/// How often to look for what other replicas left.
const LOOK: Duration = Duration::from_secs(5);
/// The wait after the database failed.
const DATABASE_WAIT: Duration = Duration::from_secs(1);
/// When to ask again where the issuer does not say, and within which bounds it may say.
const REFRESH: Duration = Duration::from_hours(1);
const REFRESH_MIN: Duration = Duration::from_mins(5);
const REFRESH_MAX: Duration = Duration::from_hours(24);

/// Asks issuers whatever is to be asked, until it is cancelled.
pub async fn keep_fetching(store: &Store, idp: &Idp) {
    let mut asking = JoinSet::new();
    loop {
        match begin(store, idp, &mut asking).await {
            Ok(true) => {}
            Ok(false) => {
                let room = asking.len() < AT_ONCE;
                tokio::select! {
                    Some(_) = asking.join_next() => {}
                    () = wait_for_news(store, room) => {}
                }
            }
            Err(error) => {
                tracing::warn!(%error, "what is known of issuers could not be read or written");
                tokio::time::sleep(DATABASE_WAIT).await;
            }
        }
    }
}

/// Begins to ask those that are due. Answers whether there was any. One that does not answer keeps none of the others
/// waiting.
async fn begin(store: &Store, idp: &Idp, asking: &mut JoinSet<()>) -> crate::store::Result<bool> {
    while asking.try_join_next().is_some() {}
    // Whoever else would ask meanwhile waits until this must have ended.
    let hold = milliseconds(idp.http.operation_time() * 2);
    let due = match AT_ONCE.saturating_sub(asking.len()) {
        0 => Vec::new(),
        room => store.take_due_issuers(room, hold).await?,
    };
    let any = !due.is_empty();
    for due in due {
        let (store, idp) = (store.clone(), idp.clone());
        asking.spawn(async move {
            if let Err(error) = ask(&store, &idp, &due).await {
                tracing::warn!(%error, issuer = due.issuer, "what an issuer answered could not be written");
            }
        });
    }
    Ok(any)
}

/// Asks one issuer and writes down what came of it.
async fn ask(store: &Store, idp: &Idp, due: &DueIssuer) -> crate::store::Result<()> {
    let found = discovery::discover(&idp.http.calls(), &due.issuer).await.map_err(|error| error.to_string());
    // Whoever publishes no key at all from one day to the next has made a mistake. Fewer keys are taken at their word: one
    // that is gone must open nothing any more.
    let found = found.and_then(|found| {
        if found.keys.is_empty() && due.has_keys {
            return Err("its key set has no key that can be used".to_owned());
        }
        Ok(found)
    });
    note(due, &found);
    let apart = milliseconds(idp.issuer_interval);
    match found {
        Ok(found) => {
            let next_at = store.now().plus_millis(milliseconds(next(&found)));
            store.keep_issuer(due, &found.metadata, &found.keys, next_at, apart).await
        }
        Err(error) => {
            let failures = u32::try_from(due.failures).unwrap_or(u32::MAX);
            let next_at = store.now().plus_millis(backoff::wait_ms(failures).max(apart));
            store.issuer_failed(due, &error, next_at).await
        }
    }
}

/// Says what has changed, once.
fn note(due: &DueIssuer, found: &Result<Discovered, String>) {
    let outcome = if found.is_ok() { "fetched" } else { "failed" };
    metrics::counter!("app_auth_admin_issuer_fetches_total", "outcome" => outcome).increment(1);
    let issuer = &due.issuer;
    match found {
        Ok(found) if found.keys.is_empty() && (due.failures > 0 || !due.known) => {
            tracing::warn!(issuer, "an issuer has no key that tokens could be known by");
        }
        Ok(found) if !due.known => tracing::info!(issuer, keys = found.keys.len(), "an issuer is known now"),
        Ok(_) if due.failures > 0 => tracing::info!(issuer, "an issuer answers again"),
        Err(error) if due.failures == 0 && due.known => {
            tracing::warn!(issuer, error, "an issuer does not answer; what is known of it stays in force");
        }
        Err(error) if due.failures == 0 => {
            tracing::warn!(issuer, error, "an issuer does not answer, and nothing is known of it");
        }
        Ok(_) | Err(_) => {}
    }
}

fn next(found: &Discovered) -> Duration {
    found.max_age.unwrap_or(REFRESH).clamp(REFRESH_MIN, REFRESH_MAX)
}

pub(super) fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Until an issuer may be due, if there is room to ask it.
async fn wait_for_news(store: &Store, room: bool) {
    if !room {
        return std::future::pending().await;
    }
    let due = store.next_issuer_due().await.ok().flatten();
    let until_due = due.map(|due| due.0.saturating_sub(store.now().0).max(1));
    let wait = until_due.and_then(|wait| u64::try_from(wait).ok()).map_or(LOOK, Duration::from_millis);
    tokio::select! {
        () = store.issuer_news().notified() => {}
        () = tokio::time::sleep(wait.min(LOOK)) => {}
    }
}
