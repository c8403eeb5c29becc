//! What counting traffic costs: the same filter twice on the same credentials, one of them told not to count, in turn.

use anyhow::Result;

use super::load::Wrk;
use super::report::{CountingReport, RowReport, median};
use super::rows::{self, Row};
use super::seed::{Shape, Store};
use super::{FEW, Plan, sample, wait_until_decides};
use crate::admin::Database;
use crate::upstream::Upstream;

pub async fn measure(plan: Plan, pinned: bool) -> Result<CountingReport> {
    let folder = tempfile::Builder::new().prefix("app-auth-bench-").tempdir()?;
    let wrk = Wrk::new(folder.path())?;
    let upstream = Upstream::start(0)?;
    let store = Store::fill(Shape::of_keys(FEW), Database::Sqlite, &folder.path().join("few")).await?;
    let (admin, service) = (&store.admin, store.service.to_string());
    let mut rows = Vec::new();
    for (name, counts) in [("app_auth, counting", true), ("app_auth, not counting", false)] {
        let checks = rows::app_auth(admin.address().parse()?, admin.gateway_token(), &service, counts)?;
        let row = Row::start(name, checks, upstream.address(), &store.keys).await?;
        wait_until_decides(&row).await?;
        rows.push(row);
    }
    let samples = sample(plan, &wrk, &rows)?;
    let [counting, not_counting] = &samples[..] else { anyhow::bail!("two rows") };
    let ratio = |field: fn(&super::load::Sample) -> f64| {
        median(counting.iter().zip(not_counting).map(|(one, other)| field(one) / field(other)).collect())
    };
    Ok(CountingReport {
        pinned,
        rounds: plan.rounds,
        seconds_per_sample: plan.sample.as_secs(),
        throughput_ratio: ratio(|sample| sample.requests_per_second),
        cpu_ratio: ratio(|sample| sample.cpu_microseconds),
        rows: rows
            .iter()
            .zip(&samples)
            .map(|(row, own)| RowReport::new(row.name, own, not_counting))
            .collect(),
    })
}
