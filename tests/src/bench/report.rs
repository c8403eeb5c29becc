//! The bench's results: a table to read and JSON to compare with.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;

use super::load::Sample;
use crate::binaries;

/// Everything one run measured.
#[derive(Debug, Serialize)]
pub struct Report {
    pub quick: bool,
    pub gateway: Option<GatewayReport>,
    pub tokens: Option<TokensReport>,
    pub counting: Option<CountingReport>,
    pub admin: Vec<AdminReport>,
}

/// The gateways.
#[derive(Debug, Serialize)]
pub struct GatewayReport {
    /// Whether the gateway had a processor of its own.
    pub pinned: bool,
    pub rounds: usize,
    pub seconds_per_sample: u64,
    pub rows: Vec<RowReport>,
    pub revocation: Latency,
    pub snapshot: SnapshotReport,
}

/// Gateways that check tokens. Ratios are to `jwt_authn` of the same algorithm, without its cache.
#[derive(Debug, Serialize)]
pub struct TokensReport {
    pub pinned: bool,
    pub rounds: usize,
    pub seconds_per_sample: u64,
    pub rows: Vec<RowReport>,
}

/// What counting traffic costs. Medians of the ratios, round by round, of the filter that counts to the one that does not.
#[derive(Debug, Serialize)]
pub struct CountingReport {
    pub pinned: bool,
    pub rounds: usize,
    pub seconds_per_sample: u64,
    /// Requests a second: less than 1 where counting costs something.
    pub throughput_ratio: f64,
    /// Processor time a request: more than 1 where counting costs something.
    pub cpu_ratio: f64,
    /// The one that counts, and the one that does not, which the ratios in the table are to.
    pub rows: Vec<RowReport>,
}

/// The admin API on one database.
#[derive(Debug, Serialize)]
pub struct AdminReport {
    pub database: String,
    pub developers: u64,
    pub credentials: u64,
    pub seed_seconds: f64,
    /// Developers, by callers at a time.
    pub creates_per_second: f64,
    pub gets_per_second: f64,
    /// Pages of a hundred.
    pub lists_per_second: f64,
    pub first_page: Latency,
    pub last_page: Latency,
}

/// Medians over the rounds.
#[derive(Debug, Serialize)]
pub struct RowReport {
    pub name: &'static str,
    pub requests_per_second: f64,
    /// Median of the ratios to the native filter, round by round.
    pub ratio_to_native: f64,
    /// Wall time of one worker per request.
    pub wall_microseconds: f64,
    pub cpu_microseconds: f64,
    pub p50_microseconds: f64,
    pub p99_microseconds: f64,
    pub samples: Vec<Sample>,
}

/// A distribution, in milliseconds.
#[derive(Debug, Clone, Serialize)]
pub struct Latency {
    pub count: usize,
    pub p50: f64,
    pub p99: f64,
    pub max: f64,
}

#[derive(Debug, Serialize)]
pub struct SnapshotReport {
    pub credentials: u32,
    /// From the gateway's start to its first decision.
    pub seconds: f64,
    /// Keys and values, buckets' frames included.
    pub shared_data_bytes_per_credential: f64,
    /// Growth of the gateway's resident memory.
    pub resident_bytes_per_credential: f64,
    /// Requests while the snapshot was taken.
    pub requests: Latency,
    /// The same requests before anything is synced: what the machine itself adds.
    pub baseline: Latency,
}

pub const NATIVE: &str = "Envoy api_key_auth";

impl RowReport {
    pub fn new(name: &'static str, samples: &[Sample], native: &[Sample]) -> Self {
        let of = |field: fn(&Sample) -> f64| median(samples.iter().map(field).collect());
        let ratios = samples
            .iter()
            .zip(native)
            .map(|(own, native)| own.requests_per_second / native.requests_per_second);
        let requests_per_second = of(|sample| sample.requests_per_second);
        Self {
            name,
            requests_per_second,
            ratio_to_native: median(ratios.collect()),
            wall_microseconds: 1e6 / requests_per_second,
            cpu_microseconds: of(|sample| sample.cpu_microseconds),
            p50_microseconds: of(|sample| sample.p50_microseconds),
            p99_microseconds: of(|sample| sample.p99_microseconds),
            samples: samples.to_vec(),
        }
    }
}

impl Latency {
    pub fn of(mut milliseconds: Vec<f64>) -> Self {
        milliseconds.sort_by(f64::total_cmp);
        let count = milliseconds.len();
        let at = |percent: usize| milliseconds.get((count * percent / 100).min(count.saturating_sub(1)));
        Self {
            count,
            p50: at(50).copied().unwrap_or_default(),
            p99: at(99).copied().unwrap_or_default(),
            max: at(100).copied().unwrap_or_default(),
        }
    }
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

impl Report {
    pub const fn new(quick: bool) -> Self {
        Self { quick, gateway: None, tokens: None, counting: None, admin: Vec::new() }
    }

    pub fn print(&self) {
        if let Some(gateway) = &self.gateway {
            gateway.print();
        }
        if let Some(tokens) = &self.tokens {
            print_rows(&tokens.rows, "× jwt_authn");
            println!(
                "medians of {} rounds of {} s, rows alternating",
                tokens.rounds, tokens.seconds_per_sample
            );
        }
        if let Some(counting) = &self.counting {
            print_rows(&counting.rows, "× not counting");
            println!(
                "counting traffic: {:.3} × the requests/s, {:.3} × the processor time; medians of {} rounds of {} s, \
                 rows alternating",
                counting.throughput_ratio, counting.cpu_ratio, counting.rounds, counting.seconds_per_sample
            );
        }
        if self.admin.is_empty() {
            return;
        }
        println!(
            "\n{:<10} {:>10} {:>11} {:>10} {:>10} {:>10} {:>15} {:>15}",
            "admin API",
            "developers",
            "credentials",
            "create/s",
            "get/s",
            "list/s",
            "first page p50",
            "last page p50"
        );
        for row in &self.admin {
            println!(
                "{:<10} {:>10} {:>11} {:>10.0} {:>10.0} {:>10.0} {:>12.1} ms {:>12.1} ms",
                row.database,
                row.developers,
                row.credentials,
                row.creates_per_second,
                row.gets_per_second,
                row.lists_per_second,
                row.first_page.p50,
                row.last_page.p50
            );
        }
    }

    /// Writes `target/bench/bench.json` (or `bench-quick.json`).
    pub fn write(&self) -> Result<PathBuf> {
        let folder = binaries::workspace().join("target/bench");
        fs::create_dir_all(&folder)?;
        let file = folder.join(if self.quick { "bench-quick.json" } else { "bench.json" });
        fs::write(&file, serde_json::to_vec_pretty(self)?)?;
        Ok(file)
    }
}

impl GatewayReport {
    fn print(&self) {
        print_rows(&self.rows, "× native");
        println!("medians of {} rounds of {} s, rows alternating", self.rounds, self.seconds_per_sample);
        let Self { revocation, snapshot, .. } = self;
        println!("\nrevoke → first 403 ({} times)      {}", revocation.count, milliseconds(revocation));
        println!("\nsnapshot of {} credentials   {:.1} s", snapshot.credentials, snapshot.seconds);
        println!(
            "shared data per credential           {:.0} bytes",
            snapshot.shared_data_bytes_per_credential
        );
        println!("resident memory per credential       {:.0} bytes", snapshot.resident_bytes_per_credential);
        println!(
            "requests meanwhile ({})          {}",
            snapshot.requests.count,
            milliseconds(&snapshot.requests)
        );
        println!(
            "requests without ({})            {}",
            snapshot.baseline.count,
            milliseconds(&snapshot.baseline)
        );
    }
}

fn print_rows(rows: &[RowReport], ratio: &str) {
    println!();
    println!(
        "{:<30} {:>9} {:>9} {:>9} {:>9} {:>9} {ratio:>12}",
        "one worker, real upstream", "req/s", "µs/req", "µs CPU", "p50 µs", "p99 µs"
    );
    for row in rows {
        println!(
            "{:<30} {:>9.0} {:>9.1} {:>9.1} {:>9.0} {:>9.0} {:>12.2}",
            row.name,
            row.requests_per_second,
            row.wall_microseconds,
            row.cpu_microseconds,
            row.p50_microseconds,
            row.p99_microseconds,
            row.ratio_to_native
        );
    }
}

fn milliseconds(latency: &Latency) -> String {
    format!("p50 {:.1} ms   p99 {:.1} ms   max {:.1} ms", latency.p50, latency.p99, latency.max)
}
