//! Load from `wrk`, and what it cost the gateway in processor time.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::param::clock_ticks_per_second;
use serde::{Deserialize, Serialize};

use crate::binaries;

const SCRIPT: &str = include_str!("keys.lua");

/// Connections that wrk keeps open.
const CONNECTIONS: u32 = 16;

/// One measurement of one row.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Sample {
    pub requests_per_second: f64,
    /// Processor time of the gateway, user and system, per request.
    pub cpu_microseconds: f64,
    pub p50_microseconds: f64,
    pub p99_microseconds: f64,
}

#[derive(Deserialize)]
struct WrkResult {
    requests: u64,
    microseconds: u64,
    p50: u64,
    p99: u64,
    errors: u64,
}

/// The load generator, with its script in a folder of ours.
#[derive(Debug)]
pub struct Wrk {
    script: std::path::PathBuf,
    header: &'static str,
}

impl Wrk {
    /// Keys are in the header `apikey`.
    pub fn new(folder: &Path) -> Result<Self> {
        Self::for_header(folder, "apikey")
    }

    /// What the files hold is the whole value of this header.
    pub fn for_header(folder: &Path, header: &'static str) -> Result<Self> {
        binaries::on_path("wrk").context("wrk is missing: install Debian's package `wrk`")?;
        let script = folder.join("keys.lua");
        fs::write(&script, SCRIPT)?;
        Ok(Self { script, header })
    }

    /// Loads the gateway `pid` at `port` with random keys of a file. Every request must succeed.
    pub fn measure(&self, pid: u32, port: u16, keys: &Path, duration: Duration) -> Result<Sample> {
        let before = cpu_seconds(pid)?;
        let output = Command::new("wrk")
            .args([
                "-t1",
                &format!("-c{CONNECTIONS}"),
                &format!("-d{}s", duration.as_secs().max(1)),
                "--latency",
            ])
            .arg("-s")
            .arg(&self.script)
            .arg(format!("http://127.0.0.1:{port}/fast"))
            .arg("--")
            .arg(keys)
            .arg(self.header)
            .output()?;
        let cpu = cpu_seconds(pid)? - before;
        let text = String::from_utf8_lossy(&output.stdout);
        let line = text.lines().find_map(|line| line.strip_prefix("RESULT "));
        let line =
            line.with_context(|| format!("wrk failed: {}", String::from_utf8_lossy(&output.stderr).trim()))?;
        let result: WrkResult = serde_json::from_str(line)?;
        ensure!(result.errors == 0, "{} of {} requests did not succeed", result.errors, result.requests);
        ensure!(result.requests > 0, "no request was answered");
        #[expect(clippy::cast_precision_loss, reason = "counts of a few seconds are far below 2^52")]
        let [requests, microseconds, p50, p99] =
            [result.requests, result.microseconds, result.p50, result.p99].map(|number| number as f64);
        Ok(Sample {
            requests_per_second: requests / microseconds * 1e6,
            cpu_microseconds: cpu / requests * 1e6,
            p50_microseconds: p50,
            p99_microseconds: p99,
        })
    }
}

/// User and system time of all threads of a process so far.
fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("the gateway is gone")?;
    // The second field, the program's name, is in parentheses and may hold anything.
    let fields = stat.rsplit_once(") ").map(|(_, fields)| fields).context("unreadable /proc/PID/stat")?;
    let ticks: f64 = fields.split(' ').skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    #[expect(clippy::cast_precision_loss, reason = "a hundred or so")]
    let per_second = clock_ticks_per_second() as f64;
    Ok(ticks / per_second)
}

/// Resident memory of a process, in bytes.
pub fn resident_bytes(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kibibytes * 1024)
}
