//! `make bench`: what the filter costs beside Envoy's own ways to check a key, how soon a revocation bites, and what a
//! million credentials take. Everything is measured in one run; nothing here asserts a number.

mod admin;
mod affinity;
mod counting;
mod footprint;
mod load;
mod probe;
mod report;
mod rows;
pub mod seed;
mod tokens;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;

use self::load::{Sample, Wrk};
use self::report::{AdminReport, GatewayReport, Latency, NATIVE, Report, RowReport, SnapshotReport};
use self::rows::Row;
use self::seed::{Shape, Store};
use crate::admin::Database;
use crate::client::Client;
use crate::portal::{Portal, Status};
use crate::upstream::Upstream;
use crate::wait;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    All,
    /// The filter beside Envoy's own ways to check a key.
    Gateway,
    /// The filter beside Envoy's own way to check a token.
    Tokens,
    /// The filter counting traffic beside the same filter that does not.
    Counting,
    /// The admin API on a full store.
    Admin,
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Plan {
    quick: bool,
    many: u32,
    many_name: &'static str,
    rounds: usize,
    sample: Duration,
    revocations: usize,
    probe: Duration,
}

const FEW: u32 = 1000;

/// When a snapshot counts as stuck.
const SNAPSHOT_MAX: Duration = Duration::from_mins(10);

impl Plan {
    const FULL: Self = Self {
        quick: false,
        many: 1_000_000,
        many_name: "app_auth, 1 million",
        rounds: 5,
        sample: Duration::from_secs(5),
        revocations: 200,
        probe: Duration::from_secs(10),
    };

    /// Everything once, to see that it works.
    const QUICK: Self = Self {
        quick: true,
        many: 20_000,
        many_name: "app_auth, 20 thousand",
        rounds: 1,
        sample: Duration::from_secs(1),
        revocations: 20,
        probe: Duration::from_secs(2),
    };
}

/// Runs the bench. Call it from the main thread before any other is started.
pub fn bench(quick: bool, part: Part) -> Result<()> {
    let plan = if quick { Plan::QUICK } else { Plan::FULL };
    let mut report = Report::new(plan.quick);
    // First, while this process may still run everywhere.
    if matches!(part, Part::All | Part::Admin) {
        let runtime = tokio::runtime::Runtime::new()?;
        report.admin = runtime.block_on(measure_admin(plan))?;
    }
    if part != Part::Admin {
        let pinned = affinity::leave_gateway_core()?;
        let runtime = tokio::runtime::Runtime::new()?;
        if matches!(part, Part::All | Part::Gateway) {
            report.gateway = Some(runtime.block_on(measure(plan, pinned))?);
        }
        if matches!(part, Part::All | Part::Counting) {
            report.counting = Some(runtime.block_on(counting::measure(plan, pinned))?);
        }
        if matches!(part, Part::All | Part::Tokens) {
            report.tokens = Some(runtime.block_on(tokens::measure(plan, pinned))?);
        }
    }
    report.print();
    println!("\nalso in {}", report.write()?.display());
    Ok(())
}

async fn measure_admin(plan: Plan) -> Result<Vec<AdminReport>> {
    let folder = tempfile::Builder::new().prefix("app-auth-bench-").tempdir()?;
    let mut reports = Vec::new();
    for database in Database::BOTH {
        let folder = folder.path().join(format!("{database:?}"));
        reports.push(admin::measure(plan, database, &folder).await?);
    }
    Ok(reports)
}

async fn measure(plan: Plan, pinned: bool) -> Result<GatewayReport> {
    let folder = tempfile::Builder::new().prefix("app-auth-bench-").tempdir()?;
    let wrk = Wrk::new(folder.path())?;
    let upstream = Upstream::start(0)?;
    let authorization = Upstream::start(0)?;

    progress(&format!("making {FEW} and {} credentials", plan.many));
    let few = Store::fill(Shape::of_keys(FEW), Database::Sqlite, &folder.path().join("few")).await?;
    let many = Store::fill(Shape::of_keys(plan.many), Database::Sqlite, &folder.path().join("many")).await?;

    let keys = few.some_keys(FEW as usize)?;
    let at = upstream.address();
    let mut rows = vec![
        Row::start("no filter", rows::Checks::default(), at, &few.keys).await?,
        Row::start(NATIVE, rows::native(&keys), at, &few.keys).await?,
        Row::start("api_key_auth + six headers", rows::native_with_identity(&keys), at, &few.keys).await?,
        Row::start("Envoy Lua, table", rows::lua(&keys), at, &few.keys).await?,
        Row::start("Envoy ext_authz, local HTTP", rows::ext_authz(authorization.address()), at, &few.keys)
            .await?,
    ];
    let filter_few = rows.len();
    rows.push(start_filter("app_auth, 1 thousand", &few, &upstream).await?);
    wait_until_decides(&rows[filter_few]).await?;
    progress(&format!("snapshot of {} credentials", plan.many));
    let (filter_many, snapshot) = measure_snapshot(plan, &many, &upstream).await?;
    rows.push(filter_many);

    let samples = sample(plan, &wrk, &rows)?;

    progress(&format!("{} revocations", plan.revocations));
    let revocation = measure_revocation(plan, &few, &rows[filter_few]).await?;

    let native = rows.iter().position(|row| row.name == NATIVE).unwrap_or_default();
    let reports =
        rows.iter().zip(&samples).map(|(row, own)| RowReport::new(row.name, own, &samples[native])).collect();
    Ok(GatewayReport {
        pinned,
        rounds: plan.rounds,
        seconds_per_sample: plan.sample.as_secs(),
        rows: reports,
        revocation,
        snapshot,
    })
}

/// Loads each row in turn, once to warm it up and then round by round.
fn sample(plan: Plan, wrk: &Wrk, rows: &[Row]) -> Result<Vec<Vec<Sample>>> {
    let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); rows.len()];
    for row in rows {
        wrk.measure(row.pid(), row.port, &row.keys, Duration::from_secs(1))?;
    }
    for round in 1..=plan.rounds {
        for (row, samples) in rows.iter().zip(&mut samples) {
            let sample = wrk.measure(row.pid(), row.port, &row.keys, plan.sample)?;
            let rate = sample.requests_per_second;
            progress(&format!("round {round}/{}  {:<30} {rate:>8.0} req/s", plan.rounds, row.name));
            samples.push(sample);
        }
    }
    Ok(samples)
}

async fn start_filter(name: &'static str, store: &Store, upstream: &Upstream) -> Result<Row> {
    let admin = &store.admin;
    let service = store.service.to_string();
    let checks = rows::app_auth(admin.address().parse()?, admin.gateway_token(), &service, true)?;
    Row::start(name, checks, upstream.address(), &store.keys).await
}

/// Waits until the filter refuses a request for what it is, not for want of records.
async fn wait_until_decides(row: &Row) -> Result<()> {
    let client = Client::new(&row.url(), None);
    let decided = async || Ok((client.get("/fast").await?.status == 401).then_some(()));
    wait::for_some_within(SNAPSHOT_MAX, "the filter to have its records", decided).await
}

/// Starts a gateway that has to fetch everything, and sends it requests meanwhile.
async fn measure_snapshot(plan: Plan, store: &Store, upstream: &Upstream) -> Result<(Row, SnapshotReport)> {
    let started = Instant::now();
    let row = start_filter(plan.many_name, store, upstream).await?;
    let before = load::resident_bytes(row.pid())?;
    let client = Client::new(&row.url(), None);
    let requests = {
        let probe = spawn_probe(client.clone());
        wait_until_decides(&row).await?;
        probe
    };
    let seconds = started.elapsed().as_secs_f64();
    let requests = requests.finish().await?;
    let after = load::resident_bytes(row.pid())?;
    let baseline = spawn_probe(client);
    tokio::time::sleep(plan.probe).await;
    let baseline = baseline.finish().await?;
    #[expect(clippy::cast_precision_loss, reason = "bytes of one process")]
    let report = SnapshotReport {
        credentials: plan.many,
        seconds,
        shared_data_bytes_per_credential: footprint::bytes_per_record(&store.admin.gateway_client()).await?,
        resident_bytes_per_credential: after.saturating_sub(before) as f64 / f64::from(plan.many),
        requests,
        baseline,
    };
    Ok((row, report))
}

struct Probe {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<Result<Latency>>,
}

fn spawn_probe(client: Client) -> Probe {
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    Probe { stop, task: tokio::spawn(async move { probe::steady(&client, &stopped).await }) }
}

impl Probe {
    async fn finish(self) -> Result<Latency> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await?
    }
}

async fn measure_revocation(plan: Plan, store: &Store, row: &Row) -> Result<Latency> {
    let portal = Portal::new(store.admin.client());
    let developer = portal.developer(Status::Approved).await?;
    let application = portal.application_with(&developer, json!({})).await?;
    let key = portal.key(&application).await?;
    let connection = portal.connection(&application, store.service).await?;
    let gateway = Client::new(&row.url(), None);
    probe::revocations(&portal, &gateway, &key, &connection, plan.revocations).await
}

fn progress(line: &str) {
    println!("· {line}");
}

/// Reads a file of keys, one a line.
fn read_keys(file: &Path) -> Result<Vec<String>> {
    Ok(std::fs::read_to_string(file)?.lines().map(Into::into).collect())
}
