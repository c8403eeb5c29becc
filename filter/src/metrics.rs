//! Counts and gauges, reported on ticks so that requests do not pay for them. Names carry their labels as
//! `_label=value`; the host's configuration splits them (`kong/app_auth.meta.json`, `kong/envoy.yaml`).

use std::collections::BTreeMap;

use app_auth_core::state::meta::Meta;
use app_auth_core::state::table::Reader;

use crate::host::{self, MetricKind, Zone};
use crate::worker::Worker;

/// Time between two reports, in milliseconds.
const INTERVAL: u64 = 1_000;

#[derive(Default)]
pub struct Metrics {
    ids: BTreeMap<String, Option<u32>>,
    reported_at: u64,
}

impl Metrics {
    fn id(&mut self, kind: MetricKind, name: &str) -> Option<u32> {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        let id = host::define_metric(kind, name);
        self.ids.insert(name.to_owned(), id);
        id
    }

    fn add(&mut self, name: &str, by: u64) {
        if by > 0
            && let Some(id) = self.id(MetricKind::Counter, name)
        {
            host::increment_metric(id, by);
        }
    }

    fn set(&mut self, name: &str, value: u64) {
        if let Some(id) = self.id(MetricKind::Gauge, name) {
            host::record_metric(id, value);
        }
    }
}

/// Reports what has been counted, where it is time to.
pub fn report(worker: &Worker, now: u64) {
    let metrics = &mut *worker.metrics.borrow_mut();
    if now.abs_diff(metrics.reported_at) < INTERVAL {
        return;
    }
    metrics.reported_at = now;
    metrics.add("app_auth_decisions_outcome=allow_reason=connected", worker.allowed.take());
    metrics.add("app_auth_decisions_outcome=answer_reason=token_endpoint", worker.answered.take());
    metrics.add("app_auth_tokens_verified", worker.memory.verified.take());
    metrics.add("app_auth_tokens_recalled", worker.memory.recalled.take());
    for ((status, code), count) in worker.refused.take() {
        let outcome = if status >= 500 { "error" } else { "deny" };
        metrics.add(&format!("app_auth_decisions_outcome={outcome}_reason={code}"), count);
    }
    metrics.add("app_auth_torn_reads", worker.torn_reads.take());
    metrics.add("app_auth_sync_errors", worker.sync_errors.take());
    match Reader::new(&Zone).meta() {
        Ok(meta) => state(metrics, &meta, now),
        Err(_) => metrics.set("app_auth_ready", 0),
    }
}

fn state(metrics: &mut Metrics, meta: &Meta, now: u64) {
    metrics.set("app_auth_ready", u64::from(meta.serving.is_some()));
    metrics.set("app_auth_applied_revision", meta.revision.0);
    metrics.set("app_auth_records", meta.records);
    metrics.set("app_auth_incomplete", u64::from(meta.incomplete));
    if meta.last_contact > 0 {
        metrics.set("app_auth_seconds_since_contact", now.saturating_sub(meta.last_contact) / 1000);
    }
}
