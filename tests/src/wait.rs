//! Waiting for a condition: polls often, gives up late. A slow machine makes a test slow, not red.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How long anything may take before a test gives up.
pub const GENEROUS: Duration = Duration::from_mins(1);

const POLL: Duration = Duration::from_millis(10);

/// Calls `probe` until it answers something.
///
/// # Errors
/// The probe's own error, at once; or that `what` did not happen in time.
pub async fn for_some<T>(what: &str, probe: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    for_some_within(GENEROUS, what, probe).await
}

/// As [`for_some`], with a limit of its own.
pub async fn for_some_within<T>(
    limit: Duration,
    what: &str,
    mut probe: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = probe().await? {
            return Ok(value);
        }
        if Instant::now() >= deadline {
            bail!("still waiting for {what} after {} s", limit.as_secs());
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Calls `probe` until it answers true.
///
/// # Errors
/// As [`for_some`].
pub async fn until(what: &str, mut probe: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    for_some(what, async || Ok(probe().await?.then_some(()))).await
}
