//! Keeps what the gateways need to know of the issuers that strategies name: fetches it when an issuer is new and again
//! before it is too old. What was fetched last stays in force for as long as nothing newer can be.

use std::time::Duration;

use tokio::task::JoinSet;

use super::discovery::{self, Discovered};
use super::http::IdpHttp;
use crate::kong::backoff;
use crate::store::{DueIssuer, Store};

/// Issuers that are asked together.
const AT_ONCE: usize = 8;
/// How often to look for what other replicas left.
const LOOK: Duration = Duration::from_secs(5);
/// The wait after the database failed.
const DATABASE_WAIT: Duration = Duration::from_secs(1);
/// When to ask again where the issuer does not say, and within which bounds it may say.
const REFRESH: Duration = Duration::from_hours(1);
const REFRESH_MIN: Duration = Duration::from_mins(5);
const REFRESH_MAX: Duration = Duration::from_hours(24);

/// Asks issuers whatever is to be asked, until it is cancelled.
pub async fn keep_fetching(store: &Store, http: &IdpHttp) {
    loop {
        match pass(store, http).await {
            Ok(true) => {}
            Ok(false) => wait_for_news(store).await,
            Err(error) => {
                tracing::warn!(%error, "what is known of issuers could not be read or written");
                tokio::time::sleep(DATABASE_WAIT).await;
            }
        }
    }
}

/// Asks those that are due. Answers whether there was any.
async fn pass(store: &Store, http: &IdpHttp) -> crate::store::Result<bool> {
    // Whoever else would ask meanwhile waits until this must have ended.
    let hold = milliseconds(http.operation_time() * 2);
    let due = store.take_due_issuers(AT_ONCE, hold).await?;
    if due.is_empty() {
        return Ok(false);
    }
    let mut asking = JoinSet::new();
    for due in due {
        let http = http.clone();
        asking.spawn(async move {
            let found = discovery::discover(&http.calls(), &due.issuer).await;
            (due, found.map_err(|error| error.to_string()))
        });
    }
    while let Some(asked) = asking.join_next().await {
        let Ok((due, found)) = asked else { continue };
        note(&due, &found);
        match found {
            Ok(found) => {
                let next_at = store.now().plus_millis(milliseconds(next(&found)));
                store.keep_issuer(&due.issuer, &found.metadata, &found.keys, next_at).await?;
            }
            Err(error) => {
                let failures = u32::try_from(due.failures).unwrap_or(u32::MAX);
                let next_at = store.now().plus_millis(backoff::wait_ms(failures));
                store.issuer_failed(&due.issuer, &error, next_at).await?;
            }
        }
    }
    Ok(true)
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

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

async fn wait_for_news(store: &Store) {
    let due = store.next_issuer_due().await.ok().flatten();
    let until_due = due.map(|due| due.0.saturating_sub(store.now().0).max(1));
    let wait = until_due.and_then(|wait| u64::try_from(wait).ok()).map_or(LOOK, Duration::from_millis);
    tokio::select! {
        () = store.issuer_news().notified() => {}
        () = tokio::time::sleep(wait.min(LOOK)) => {}
    }
}
