//! What the core's tests share: records with recognisable ids, a double of the admin extension, a request builder.
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::BTreeMap;

use app_auth_core::config::Config;
use app_auth_core::digest::KeyDigest;
use app_auth_core::feed::{
    Change, FeedPage, Operation, SnapshotPage, SnapshotRecord, bucket_bits, bucket_of,
};
use app_auth_core::gate::call::Progress;
use app_auth_core::gate::memory::Memory as Remembered;
use app_auth_core::gate::{Decision, Gate, HostTraits, Outcome, Request};
use app_auth_core::host::{NoNativeSignatures, SharedData};
use app_auth_core::ids::{Revision, ServiceId, StoreId, StrategyId};
use app_auth_core::memory::Memory;
use app_auth_core::record::{
    Connection, ConnectionStatus, CredentialRecord, KeyAuthConfig, Kind, Record, ServiceRecord, Strategy,
    StrategyConfig,
};
use app_auth_core::request::Body;
use app_auth_core::request::headers::{self, HeaderMap};
use app_auth_core::state::table::Reader;
use app_auth_core::sync::{Outgoing, Syncer};
use uuid::Uuid;

pub const STORE: StoreId = StoreId([7; 32]);
pub const ENVOY: HostTraits = HostTraits { removes_headers: true, header_cap: None };
pub const KONG: HostTraits = HostTraits { removes_headers: false, header_cap: Some(100) };

pub fn uuid(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

pub fn service(n: u128) -> ServiceId {
    ServiceId(uuid(0x5e00 + n))
}

pub fn credential(connections: Vec<Connection>) -> CredentialRecord {
    CredentialRecord {
        credential: uuid(1).into(),
        application: uuid(2).into(),
        developer: uuid(3).into(),
        consumer: uuid(4).into(),
        custom_id: None,
        expires_at: None,
        developer_approved: true,
        connections,
    }
}

pub fn connection(to: ServiceId, status: ConnectionStatus) -> Connection {
    Connection { service: to, connection: uuid(5).into(), status, suspended: false }
}

pub fn key_service(id: ServiceId, config: KeyAuthConfig) -> Record {
    let strategies = vec![Strategy { id: StrategyId::KEY_AUTH, config: StrategyConfig::KeyAuth(config) }];
    Record::Service(ServiceRecord { service: id, strategies, open: false })
}

/// A double of the admin extension's feed: what `feed.rs` documents, over a map.
pub struct Admin {
    pub store: StoreId,
    pub head: u64,
    pub floor: u64,
    pub records: BTreeMap<KeyDigest, (Revision, Result<Record, Kind>)>,
    pub page: usize,
}

impl Default for Admin {
    fn default() -> Self {
        Self { store: STORE, head: 0, floor: 0, records: BTreeMap::new(), page: 500 }
    }
}

impl Admin {
    pub fn put_key(&mut self, key: &str, record: CredentialRecord) {
        let digest = KeyDigest::of_api_key(&self.store, StrategyId::KEY_AUTH, key.as_bytes());
        self.write(digest, Ok(Record::Credential(record)));
    }

    pub fn delete_key(&mut self, key: &str) {
        let digest = KeyDigest::of_api_key(&self.store, StrategyId::KEY_AUTH, key.as_bytes());
        self.write(digest, Err(Kind::Credential));
    }

    pub fn put_service(&mut self, id: ServiceId, config: KeyAuthConfig) {
        self.write(KeyDigest::of_service(&self.store, id), Ok(key_service(id, config)));
    }

    pub fn write(&mut self, digest: KeyDigest, record: Result<Record, Kind>) {
        self.head += 1;
        self.records.insert(digest, (Revision(self.head), record));
    }

    fn live(&self) -> impl Iterator<Item = (&KeyDigest, &Record)> {
        self.records.iter().filter_map(|(key, (_, record))| Some((key, record.as_ref().ok()?)))
    }

    pub fn answer(&self, path: &str) -> (u16, String) {
        let (path, query) = path.split_once('?').unwrap();
        let query: BTreeMap<_, _> = query.split('&').map(|pair| pair.split_once('=').unwrap()).collect();
        match path {
            "/gateway/v1/feed" => {
                let after: u64 = query["after"].parse().unwrap();
                if query["store"] != self.store.to_string() || after > self.head || after < self.floor {
                    return (410, "{}".into());
                }
                let mut changes: Vec<_> = self
                    .records
                    .iter()
                    .filter(|(_, (revision, _))| revision.0 > after)
                    .map(|(key, (revision, record))| Change {
                        revision: *revision,
                        key: *key,
                        change: record.clone().map_or_else(Operation::Delete, Operation::Put),
                    })
                    .collect();
                changes.sort_by_key(|change| change.revision);
                changes.truncate(self.page);
                let full = changes.len() == self.page;
                let revision =
                    changes.last().filter(|_| full).map_or(Revision(self.head), |last| last.revision);
                let page = FeedPage { store: self.store, revision, changes };
                (200, serde_json::to_string(&page).unwrap())
            }
            "/gateway/v1/snapshot" => {
                let total = self.live().count() as u64;
                let mut page = SnapshotPage {
                    store: self.store,
                    revision: Revision(self.head),
                    total,
                    bits: bucket_bits(total),
                    buckets: [0, 0],
                    records: vec![],
                    next: None,
                    cursors: vec![],
                };
                if let Some(streams) = query.get("streams") {
                    let streams: u32 = streams.parse().unwrap();
                    let width = (1_u32 << page.bits).div_ceil(streams);
                    let edges = (0..streams).map(|i| (i * width, ((i + 1) * width).min(1 << page.bits)));
                    page.cursors = edges.map(|(from, to)| format!("{}.{from}.{to}", page.bits)).collect();
                } else {
                    let mut parts = query["cursor"].split('.').map(|part| part.parse::<u32>().unwrap());
                    let (bits, from, to) =
                        (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
                    page.bits = u8::try_from(bits).unwrap();
                    let end = (from + 64).min(to);
                    page.buckets = [from, end];
                    page.records = self
                        .live()
                        .filter(|(key, _)| (from..end).contains(&bucket_of(key, page.bits)))
                        .map(|(key, record)| SnapshotRecord { key: *key, record: record.clone() })
                        .collect();
                    page.next = (end < to).then(|| format!("{bits}.{end}.{to}"));
                }
                (200, serde_json::to_string(&page).unwrap())
            }
            _ => (404, String::new()),
        }
    }
}

/// Calls a syncer made, to be answered by the test.
#[derive(Default)]
pub struct Line {
    pub calls: Vec<(u32, String)>,
    /// With their bodies.
    pub posts: Vec<(u32, String, Vec<u8>)>,
    next: u32,
    pub dead: bool,
}

impl Outgoing for Line {
    fn get(&mut self, path: &str, _timeout: u32) -> Option<u32> {
        if self.dead {
            return None;
        }
        self.next += 1;
        self.calls.push((self.next, path.to_owned()));
        Some(self.next)
    }

    fn post(&mut self, path: &str, body: &[u8], _timeout: u32) -> Option<u32> {
        if self.dead {
            return None;
        }
        self.next += 1;
        self.posts.push((self.next, path.to_owned(), body.to_vec()));
        Some(self.next)
    }
}

/// One worker of a node: its syncer, its line, its policies.
pub struct Worker {
    pub syncer: Syncer,
    pub line: Line,
    pub remembered: Remembered,
}

impl Worker {
    pub fn new(me: u128) -> Self {
        let config = config("{}");
        Self {
            syncer: Syncer::new(config.sync, me, "test"),
            line: Line::default(),
            remembered: Remembered::default(),
        }
    }

    /// One tick, and the admin extension's answers to all it sent.
    pub fn step(&mut self, now: u64, memory: &Memory, admin: &Admin) {
        self.syncer.tick(now, memory, &mut self.line);
        for (token, path) in std::mem::take(&mut self.line.calls) {
            let (status, body) = admin.answer(&path);
            self.syncer.answer(now, token, Some(status), body.as_bytes(), memory);
        }
    }

    /// Ticks every 25 ms from `now` until the node has all of the admin extension, or for ten seconds.
    pub fn settle(&mut self, now: &mut u64, memory: &Memory, admin: &Admin) {
        for _ in 0..400 {
            *now += 25;
            self.step(*now, memory, admin);
            let meta = Reader::new(memory).meta();
            if meta.is_ok_and(|meta| {
                meta.serving.is_some() && meta.store == admin.store && meta.revision.0 == admin.head
            }) {
                return;
            }
        }
    }

    /// What the node says to a request with a key.
    pub fn ask(&self, now: u64, memory: &Memory, to: ServiceId, key: &str) -> Outcome {
        let headers = [(":method", "GET"), (":path", "/"), ("apikey", key)];
        decide(memory, &self.remembered, &config("{}"), to, &headers, Body::Absent, ENVOY, Some(now))
    }
}

/// A configuration with the required members and those given.
pub fn config(more: &str) -> Config {
    let more = more.trim_start_matches('{');
    let comma = if more == "}" { "" } else { "," };
    Config::parse(format!(r#"{{"admin_address":"admin:1","gateway_token":"t"{comma}{more}"#).as_bytes())
        .unwrap()
}

#[expect(clippy::too_many_arguments, reason = "a request has that many sides")]
pub fn decide<S: SharedData>(
    shared: &S,
    remembered: &Remembered,
    config: &Config,
    to: ServiceId,
    headers: &[(&str, &str)],
    body: Body<'_>,
    host: HostTraits,
    now: Option<u64>,
) -> Outcome {
    decide_and_count(shared, remembered, config, to, headers, body, host, now).outcome
}

/// As [`decide`], with what the request counts as.
#[expect(clippy::too_many_arguments, reason = "as above")]
pub fn decide_and_count<S: SharedData>(
    shared: &S,
    remembered: &Remembered,
    config: &Config,
    to: ServiceId,
    headers: &[(&str, &str)],
    body: Body<'_>,
    host: HostTraits,
    now: Option<u64>,
) -> Decision {
    let block = headers::serialize(headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())));
    let headers = HeaderMap::parse(&block).unwrap();
    let native = &NoNativeSignatures;
    let gate = Gate { reader: Reader::new(shared), config, memory: remembered, native, now: || now };
    let (service, progress) = (Some(to), &Progress::default());
    gate.decide(&Request { headers, service, body, encrypted: false, host, progress })
}
