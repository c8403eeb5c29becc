//! A double of the admin extension's gateway interface: keeps records in memory and answers feed and snapshot as
//! `app_auth_core::feed` lays down. Can be away, slow, silent, of another store, or say whatever a test wants.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use app_auth_core::digest::KeyDigest;
use app_auth_core::feed::{
    Change, FeedPage, Operation, PAGE_LIMIT, SnapshotPage, SnapshotRecord, bucket_bits, bucket_of,
};
use app_auth_core::ids::{Revision, ServiceId, StoreId, StrategyId};
use app_auth_core::record::{
    CredentialRecord, KeyAuthConfig, Kind, Record, ServiceRecord, Strategy, StrategyConfig,
};
use app_auth_core::traffic::Key;
use app_auth_core::traffic::report::{REPORT, Report};
use serde_json::json;

use crate::calls::{Answer, Backend, HttpCall};

/// The gateway token the double accepts.
pub const TOKEN: &str = "gateway-token-of-the-tests";

/// How the double treats calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mood {
    Up,
    /// No connection.
    Away,
    /// Takes calls and never answers.
    Silent,
}

pub struct Admin {
    pub store: StoreId,
    pub mood: Mood,
    /// How long each answer takes.
    pub latency: Duration,
    /// Answers to give first, whatever was asked.
    pub next_answers: VecDeque<Answer>,
    /// Every call that came in, once.
    pub asked: Vec<HttpCall>,
    revision: Revision,
    floor: Revision,
    records: BTreeMap<KeyDigest, (Revision, Operation)>,
    /// Requests that were reported.
    pub traffic: BTreeMap<Key, u64>,
    /// The last batch that was taken of each reporter.
    reporters: BTreeMap<String, u64>,
}

impl Admin {
    /// A store of its own for each number.
    pub fn new(store: u8) -> Self {
        Self {
            store: StoreId([store; 32]),
            mood: Mood::Up,
            latency: Duration::ZERO,
            next_answers: VecDeque::new(),
            asked: Vec::new(),
            revision: Revision(0),
            floor: Revision(0),
            records: BTreeMap::new(),
            traffic: BTreeMap::new(),
            reporters: BTreeMap::new(),
        }
    }

    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// Commits one change.
    pub fn change(&mut self, key: KeyDigest, operation: Operation) {
        self.revision = Revision(self.revision.0 + 1);
        self.records.insert(key, (self.revision, operation));
    }

    /// Enforces key authentication on a service.
    pub fn service(&mut self, service: ServiceId, config: KeyAuthConfig) {
        let strategies = vec![Strategy { id: StrategyId::KEY_AUTH, config: StrategyConfig::KeyAuth(config) }];
        self.strategies(service, strategies, false);
    }

    /// Enforces any strategies on a service, or opens it where there are none.
    pub fn strategies(&mut self, service: ServiceId, strategies: Vec<Strategy>, open: bool) {
        let record = Record::Service(ServiceRecord { service, strategies, open });
        self.change(KeyDigest::of_service(&self.store, service), Operation::Put(record));
    }

    pub fn delete_service(&mut self, service: ServiceId) {
        self.change(KeyDigest::of_service(&self.store, service), Operation::Delete(Kind::Service));
    }

    pub fn credential(&mut self, api_key: impl AsRef<[u8]>, record: CredentialRecord) {
        let key = self.digest(api_key);
        self.change(key, Operation::Put(Record::Credential(record)));
    }

    pub fn delete_credential(&mut self, api_key: impl AsRef<[u8]>) {
        let key = self.digest(api_key);
        self.change(key, Operation::Delete(Kind::Credential));
    }

    /// The digest of an API key of the services made here.
    pub fn digest(&self, api_key: impl AsRef<[u8]>) -> KeyDigest {
        KeyDigest::of_api_key(&self.store, StrategyId::KEY_AUTH, api_key.as_ref())
    }

    /// Forgets tombstones: whoever follows from before now must take a snapshot.
    pub fn compact(&mut self) {
        self.floor = self.revision;
        self.records.retain(|_, (_, operation)| matches!(operation, Operation::Put(_)));
    }

    /// The store as it was at an older state, as after restoring a backup: revisions go back.
    pub fn restore(&mut self, revision: Revision) {
        self.revision = revision;
        self.records.retain(|_, (at, _)| *at <= revision);
    }

    /// Calls whose path begins so.
    pub fn asked_for(&self, path: &str) -> usize {
        self.asked.iter().filter(|call| call.path().starts_with(path)).count()
    }

    /// What the double would answer now, for a test that delivers it by hand and perhaps late.
    pub fn answer_now(&mut self, now: Duration, call: &HttpCall) -> Answer {
        self.answer(now, call).unwrap_or_default()
    }

    /// All records from a bucket on, in the order of their keys.
    fn live_from(&self, bucket: u32, bits: u8) -> impl Iterator<Item = (&KeyDigest, &Record)> {
        let mut first = [0; 32];
        first[..4].copy_from_slice(&(bucket << (32 - u32::from(bits))).to_be_bytes());
        self.records.range(KeyDigest(first)..).filter_map(|(key, (_, operation))| match operation {
            Operation::Put(record) => Some((key, record)),
            Operation::Delete(_) => None,
        })
    }

    fn feed(&self, now: Duration, call: &HttpCall) -> Option<Answer> {
        let number = |name: &str| call.argument(name).and_then(|text| text.parse::<u64>().ok());
        let (Some(after), Some(wait)) = (number("after"), number("wait")) else {
            return Some(problem(400));
        };
        let foreign = call.argument("store") != Some(self.store.to_string());
        if foreign || after < self.floor.0 || after > self.revision.0 {
            return Some(problem(410));
        }
        let limit = limit(call);
        if after == self.revision.0 && now < call.since + Duration::from_secs(wait) {
            return None;
        }
        let mut changes: Vec<_> = self
            .records
            .iter()
            .filter(|(_, (revision, _))| revision.0 > after)
            .map(|(key, (revision, change))| Change {
                revision: *revision,
                key: *key,
                change: change.clone(),
            })
            .collect();
        changes.sort_by_key(|change| change.revision);
        changes.truncate(limit);
        let full = changes.len() == limit;
        let revision = changes.last().filter(|_| full).map_or(self.revision, |change| change.revision);
        Some(page(&FeedPage { store: self.store, revision, changes }))
    }

    /// Takes each batch once.
    fn report(&mut self, call: &HttpCall) -> Answer {
        let Ok(report) = serde_json::from_slice::<Report>(&call.body) else { return problem(400) };
        for batch in report.batches {
            let last = self.reporters.entry(batch.reporter).or_default();
            if *last < batch.seq {
                *last = batch.seq;
                for row in batch.rows {
                    let key =
                        Key { application: row.application, service: row.service, outcome: row.outcome };
                    *self.traffic.entry(key).or_default() += row.count;
                }
            }
        }
        Answer::json(200, "{}")
    }

    fn snapshot(&self, call: &HttpCall) -> Answer {
        let total = u64::try_from(self.live_from(0, 8).count()).unwrap_or(u64::MAX);
        let mut answer = SnapshotPage {
            store: self.store,
            revision: self.revision,
            total,
            bits: bucket_bits(total),
            buckets: [0, 0],
            records: Vec::new(),
            next: None,
            cursors: Vec::new(),
        };
        let all = 1_u32 << answer.bits;
        if let Some(streams) = call.argument("streams").and_then(|text| text.parse::<u32>().ok()) {
            let bound = |index: u32| all / streams.max(1) * index;
            answer.cursors = (0..streams)
                .map(|index| {
                    let end = if index + 1 == streams { all } else { bound(index + 1) };
                    cursor(answer.bits, bound(index), end, total)
                })
                .collect();
            return page(&answer);
        }
        let mut range = (0, all);
        if let Some(text) = call.argument("cursor") {
            let parts: Vec<u64> = text.split('.').filter_map(|part| part.parse().ok()).collect();
            let [bits, start, end, first_total] = parts[..] else { return problem(400) };
            answer.bits = u8::try_from(bits).unwrap_or_default();
            answer.total = first_total;
            range = (u32::try_from(start).unwrap_or(0), u32::try_from(end).unwrap_or(0));
        }
        let bucket = |key: &KeyDigest| bucket_of(key, answer.bits);
        let mut end = range.1;
        for (key, record) in self.live_from(range.0, answer.bits).take_while(|(key, _)| bucket(key) < range.1)
        {
            let last = answer.records.last().map(|last: &SnapshotRecord| bucket(&last.key));
            if answer.records.len() >= limit(call) && last != Some(bucket(key)) {
                end = bucket(key);
                break;
            }
            answer.records.push(SnapshotRecord { key: *key, record: record.clone() });
        }
        answer.buckets = [range.0, end];
        answer.next = (end < range.1).then(|| cursor(answer.bits, end, range.1, answer.total));
        page(&answer)
    }
}

fn limit(call: &HttpCall) -> usize {
    call.argument("limit").and_then(|text| text.parse().ok()).unwrap_or(PAGE_LIMIT).clamp(1, PAGE_LIMIT)
}

fn cursor(bits: u8, start: u32, end: u32, total: u64) -> String {
    format!("{bits}.{start}.{end}.{total}")
}

fn page(page: &impl serde::Serialize) -> Answer {
    Answer::json(200, serde_json::to_vec(page).unwrap_or_default())
}

fn problem(status: u16) -> Answer {
    Answer::new(status, "application/problem+json", json!({ "status": status }).to_string())
}

impl Backend for Admin {
    fn answer(&mut self, now: Duration, call: &HttpCall) -> Option<Answer> {
        if !self.asked.iter().rev().any(|known| known.token == call.token && known.since == call.since) {
            self.asked.push(call.clone());
        }
        match self.mood {
            Mood::Away => return Some(Answer::failure()),
            Mood::Silent => return None,
            Mood::Up if now < call.since + self.latency => return None,
            Mood::Up => {}
        }
        if let Some(answer) = self.next_answers.pop_front() {
            return Some(answer);
        }
        if call.header("authorization") != format!("Bearer {TOKEN}") {
            return Some(problem(401));
        }
        match call.path().split('?').next() {
            Some("/gateway/v1/feed") => self.feed(now, call),
            Some("/gateway/v1/snapshot") => Some(self.snapshot(call)),
            Some(REPORT) => Some(self.report(call)),
            _ => Some(problem(404)),
        }
    }
}
