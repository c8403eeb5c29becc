//! Metrics of a node: defined by name, addressed by number, shared by all workers.

use crate::quirks::Quirks;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MetricKind {
    Counter,
    Gauge,
    Histogram,
}

#[derive(Debug)]
struct Metric {
    name: String,
    kind: MetricKind,
    value: u64,
}

#[derive(Debug, Default)]
pub struct Metrics(Vec<Metric>);

/// What the gateway puts before each name; it counts towards the longest stored name.
const PREFIX: &str = "pw.app_auth.";
const NAME_MAX: usize = 256;
/// About what fits into the gateway's metrics zone.
const METRICS_MAX: usize = 20_000;

impl Metrics {
    /// The metric's number; an error is a trap.
    pub fn define(&mut self, kind: u32, name: &str, quirks: &Quirks) -> Result<u32, &'static str> {
        let kind = match kind {
            0 => MetricKind::Counter,
            1 => MetricKind::Gauge,
            2 => MetricKind::Histogram,
            _ => return Err("unknown kind of metric"),
        };
        if quirks.strict_metrics && PREFIX.len() + name.len() > NAME_MAX {
            return Err("metric name too long");
        }
        let index = match self.0.iter().position(|metric| metric.name == name) {
            Some(index) => index,
            None if self.0.len() >= METRICS_MAX => return Err("metrics zone is full"),
            None => {
                self.0.push(Metric { name: name.to_owned(), kind, value: 0 });
                self.0.len() - 1
            }
        };
        u32::try_from(index + 1).map_err(|_| "metrics zone is full")
    }

    pub fn add(&mut self, id: u32, offset: i64) -> bool {
        self.change(id, |metric| metric.value = metric.value.saturating_add_signed(offset))
    }

    pub fn record(&mut self, id: u32, value: u64) -> bool {
        self.change(id, |metric| metric.value = value)
    }

    fn change(&mut self, id: u32, change: impl FnOnce(&mut Metric)) -> bool {
        let metric = (id as usize).checked_sub(1).and_then(|index| self.0.get_mut(index));
        metric.map(change).is_some()
    }

    /// `Ok(None)` for an unknown number; an error is a trap.
    pub fn get(&self, id: u32, quirks: &Quirks) -> Result<Option<u64>, &'static str> {
        let metric = (id as usize).checked_sub(1).and_then(|index| self.0.get(index));
        match metric {
            Some(metric) if metric.kind == MetricKind::Histogram && quirks.strict_metrics => {
                Err("a histogram cannot be read")
            }
            found => Ok(found.map(|metric| metric.value)),
        }
    }

    /// All metrics by name.
    pub fn by_name(&self) -> Vec<(String, u64)> {
        self.0.iter().map(|metric| (metric.name.clone(), metric.value)).collect()
    }
}
