//! What counting traffic costs: the same filter twice on the same credentials, one of them told not to count, in turn. The
//! difference is small, so there are many short rounds, and each begins with the other one.

use std::time::Duration;

use anyhow::Result;

use super::load::{Sample, Wrk};
use super::report::{CountingReport, RowReport, median};
use super::rows::{self, Row};
use super::seed::{Shape, Store};
use super::{FEW, Plan, wait_until_decides};
use crate::admin::Database;
use crate::upstream::Upstream;

/// Rounds for each round of the other comparisons, and how long a row is loaded in each.
const ROUNDS: usize = 6;
const SAMPLE: Duration = Duration::from_secs(1);

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
    let rounds = plan.rounds * ROUNDS;
    let mut samples: [Vec<Sample>; 2] = Default::default();
    for round in 0..=rounds {
        let mut turns: Vec<_> = rows.iter().zip(&mut samples).collect();
        if round % 2 == 1 {
            turns.reverse();
        }
        for (row, samples) in turns {
            let sample = wrk.measure(row.pid(), row.port, &row.keys, SAMPLE)?;
            // The first round only warms up.
            if round > 0 {
                samples.push(sample);
            }
        }
    }
    let [counting, not_counting] = &samples;
    let ratio = |field: fn(&Sample) -> f64| {
        median(counting.iter().zip(not_counting).map(|(one, other)| field(one) / field(other)).collect())
    };
    Ok(CountingReport {
        pinned,
        rounds,
        seconds_per_sample: SAMPLE.as_secs(),
        throughput_ratio: ratio(|sample| sample.requests_per_second),
        cpu_ratio: ratio(|sample| sample.cpu_microseconds),
        rows: rows
            .iter()
            .zip(&samples)
            .map(|(row, own)| RowReport::new(row.name, own, not_counting))
            .collect(),
    })
}
