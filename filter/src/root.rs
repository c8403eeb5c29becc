//! One configured chain of one worker: reads the configuration, ticks the syncer, hands its calls to the host.

use std::cell::Cell;
use std::hash::{BuildHasher as _, RandomState};
use std::rc::Rc;
use std::time::Duration;

use app_auth_core::config::{Config, SyncConfig};
use app_auth_core::sync::apply::update_meta;
use app_auth_core::sync::{Event, Outgoing, Syncer};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;

use crate::host::{self, Level, Zone};
use crate::http::HttpFilter;
use crate::metrics;
use crate::worker::Worker;

const VERSION: &str = env!("CARGO_PKG_VERSION");

pub struct Root {
    context_id: u32,
    /// `None`: unusable, every request is refused.
    config: Option<Rc<Config>>,
    syncer: Option<Syncer>,
    reported_errors: Cell<u64>,
}

impl Root {
    pub const fn new(context_id: u32) -> Self {
        Self { context_id, config: None, syncer: None, reported_errors: Cell::new(0) }
    }

    /// A number that no other worker or chain has. Not a secret.
    fn random(&self) -> u128 {
        let half = || u128::from(RandomState::new().hash_one((self.context_id, host::now())));
        (half() << 64) | half()
    }
}

impl Context for Root {
    fn on_http_call_response(&mut self, token: u32, _headers: usize, body_size: usize, _trailers: usize) {
        let (Some(syncer), Some(now)) = (&mut self.syncer, host::now()) else { return };
        // A call that failed has no headers at all.
        let status = host::call_response_header(":status")
            .and_then(|status| std::str::from_utf8(&status).ok().and_then(|status| status.parse().ok()));
        let body = host::call_response_body(body_size).unwrap_or_default();
        syncer.answer(now, token, status, &body, &Zone);
        self.report_events();
    }
}

impl RootContext for Root {
    /// Always true: at start-up one host drops every filter from every route if any chain says no.
    fn on_configure(&mut self, size: usize) -> bool {
        let json = host::plugin_configuration(size).unwrap_or_default();
        self.config = None;
        self.syncer = None;
        match Config::parse(&json) {
            Ok(config) => {
                self.syncer = Some(Syncer::new(config.sync.clone(), self.random(), VERSION));
                Worker::with(|worker| {
                    worker.start_ticks(config.sync.tick_milliseconds);
                    if config.count_traffic {
                        worker.count_traffic(self.random());
                    }
                });
                self.config = Some(Rc::new(config));
            }
            Err(error) => host::log(
                Level::Error,
                &format!("app_auth: configuration refused, every request of this chain gets 503: {error}"),
            ),
        }
        true
    }

    fn on_tick(&mut self) {
        let Some(now) = host::now() else { return };
        if let Some(syncer) = &mut self.syncer {
            // Whichever chain leads reports for all of them.
            syncer.report_traffic(Worker::with(Worker::counts_traffic));
            let config = self.config.as_deref().map(|config| &config.sync);
            if let Some(config) = config {
                syncer.tick(now, &Zone, &mut Calls { config });
            }
        }
        self.report_events();
        Worker::with(|worker| {
            if worker.damaged.take() {
                // If it cannot be noted now, the next request that meets the damage brings it up again.
                let _ = update_meta(&Zone, |meta| {
                    let mut meta = meta.filter(|meta| !meta.damaged)?;
                    meta.damaged = true;
                    Some(meta)
                });
            }
            worker.hand_over_traffic(now);
            metrics::report(worker, now);
        });
    }

    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(HttpFilter::new(self.config.clone())))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl Root {
    fn report_events(&mut self) {
        let Some(syncer) = &mut self.syncer else { return };
        let errors = syncer.counters.errors;
        let new = errors.saturating_sub(self.reported_errors.replace(errors));
        Worker::with(|worker| worker.sync_errors.set(worker.sync_errors.get() + new));
        for event in syncer.take_events() {
            let (level, message) = describe(&event);
            host::log(level, &format!("app_auth: {message}"));
        }
    }
}

fn describe(event: &Event) -> (Level, String) {
    match event {
        Event::Leading => {
            (Level::Info, "this worker keeps the node in step with the admin extension".to_owned())
        }
        Event::LostLead => (Level::Info, "another worker has taken over".to_owned()),
        Event::Loading(reason) => (Level::Info, format!("taking a snapshot: {reason}")),
        Event::Loaded { records, revision } => {
            (Level::Info, format!("snapshot complete: {records} records, revision {revision}"))
        }
        Event::Away(how) => (Level::Warn, format!("no contact with the admin extension: {how}")),
        Event::Back => (Level::Info, "contact with the admin extension is back".to_owned()),
        Event::TokenRefused => (Level::Error, "the admin extension does not accept gateway_token".to_owned()),
        Event::OutOfMemory { left_out: 0 } => {
            (Level::Critical, "the host's memory cannot hold the state: enlarge the zone".to_owned())
        }
        Event::OutOfMemory { left_out } => (
            Level::Critical,
            format!(
                "the host's memory is full, {left_out} records left out (their callers get 503): enlarge the zone"
            ),
        ),
        Event::Damaged => (Level::Warn, "a part of the state is gone".to_owned()),
        Event::TrafficLate(how) => {
            (Level::Warn, format!("traffic is not reported, and kept until it is: {how}"))
        }
        Event::TrafficNotTaken => {
            (Level::Warn, "the admin extension is too old to take reports of traffic".to_owned())
        }
        Event::TrafficRefused { status, requests } => (
            Level::Error,
            format!(
                "the admin extension refused a report of traffic ({status}): {requests} requests are lost to it"
            ),
        ),
        Event::TrafficLost => (Level::Error, "counts of traffic could not be read and are lost".to_owned()),
        Event::NoRoomForTraffic => {
            (Level::Error, "the host's memory has no room to count traffic: enlarge the zone".to_owned())
        }
    }
}

struct Calls<'a> {
    config: &'a SyncConfig,
}

impl Outgoing for Calls<'_> {
    fn get(&mut self, path: &str, timeout_milliseconds: u32) -> Option<u32> {
        self.send("GET", path, None, timeout_milliseconds)
    }

    fn post(&mut self, path: &str, body: &[u8], timeout_milliseconds: u32) -> Option<u32> {
        self.send("POST", path, Some(body), timeout_milliseconds)
    }
}

impl Calls<'_> {
    fn send(&self, method: &str, path: &str, body: Option<&[u8]>, timeout_milliseconds: u32) -> Option<u32> {
        let authorization = format!("Bearer {}", self.config.token);
        let mut headers = vec![
            (":method", method),
            (":scheme", self.config.scheme.as_str()),
            (":authority", &self.config.authority),
            (":path", path),
            ("accept", "application/json"),
            ("authorization", &authorization),
        ];
        // The hosts say themselves how long the body is.
        headers.extend(body.map(|_| ("content-type", "application/json")));
        let timeout = Duration::from_millis(u64::from(timeout_milliseconds));
        // Through the SDK, which routes the answer back to this context.
        proxy_wasm::hostcalls::dispatch_http_call(&self.config.address, headers, body, vec![], timeout).ok()
    }
}
