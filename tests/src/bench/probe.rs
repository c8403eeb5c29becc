//! Latencies seen by single requests: how soon a revocation bites, and how long requests take while the gateway is busy
//! with something else.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use reqwest::Method;

use super::report::Latency;
use crate::client::{Client, send};
use crate::portal::{Connection, Key, Portal, Status};

/// Time between two requests of the probe.
const PROBE_INTERVAL: Duration = Duration::from_millis(2);

/// Status of one request with a key.
async fn status(gateway: &Client, key: &str) -> Result<u16> {
    Ok(send(gateway.request(Method::GET, "/fast").header("apikey", key)).await?.status)
}

/// Requests until one has this status; answers when it came.
async fn first(gateway: &Client, key: &str, wanted: u16) -> Result<Instant> {
    let started = Instant::now();
    while status(gateway, key).await? != wanted {
        ensure!(started.elapsed() < crate::wait::GENEROUS, "the gateway never answered {wanted}");
    }
    Ok(Instant::now())
}

/// From sending a revocation to the first request that is refused, many times over.
pub async fn revocations(
    portal: &Portal,
    gateway: &Client,
    key: &Key,
    connection: &Connection,
    times: usize,
) -> Result<Latency> {
    let mut latencies = Vec::with_capacity(times);
    for _ in 0..times {
        portal.set_connection(connection, Status::Approved).await?;
        first(gateway, &key.key, 200).await?;
        let started = Instant::now();
        let (revoked, refused) =
            tokio::join!(portal.set_connection(connection, Status::Revoked), first(gateway, &key.key, 403));
        revoked?;
        latencies.push(refused?.duration_since(started).as_secs_f64() * 1000.0);
    }
    Ok(Latency::of(latencies))
}

/// A request every two milliseconds, at fixed times, until `stop`: a slow answer is charged to those it delays, too.
pub async fn steady(gateway: &Client, stop: &AtomicBool) -> Result<Latency> {
    let mut latencies = Vec::new();
    let mut due = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep_until(due.into()).await;
        // The timer's own lateness (up to a millisecond) is not the gateway's.
        let started = Instant::now().min(due + Duration::from_millis(1));
        status(gateway, "probe").await?;
        latencies.push(started.elapsed().as_secs_f64() * 1000.0);
        due += PROBE_INTERVAL;
    }
    Ok(Latency::of(latencies))
}
