//! What the chains of one worker share: what it remembers of policies and tokens, counts, what kind of host this is. Never anything that a
//! restarted instance could not do without.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use app_auth_core::gate::HostTraits;
use app_auth_core::gate::memory::Memory;
use app_auth_core::traffic::Key;
use app_auth_core::traffic::tally::Tally;

use crate::host::{self, Level, Zone};
use crate::metrics::Metrics;

thread_local! {
    static WORKER: Worker = Worker::default();
}

#[derive(Default)]
pub struct Worker {
    pub memory: Memory,
    /// Requests let through since the last report.
    pub allowed: Cell<u64>,
    /// Requests for a token answered since the last report.
    pub answered: Cell<u64>,
    /// Requests refused since the last report, by code.
    pub refused: RefCell<BTreeMap<(u16, &'static str), u64>>,
    pub torn_reads: Cell<u64>,
    pub sync_errors: Cell<u64>,
    /// A request met a bucket that is gone.
    pub damaged: Cell<bool>,
    /// `None`: no chain counts traffic.
    traffic: RefCell<Option<Tally>>,
    /// The log says that not every request is counted under its application.
    overflow_told: Cell<bool>,
    tick_milliseconds: Cell<Option<u32>>,
    pub metrics: RefCell<Metrics>,
    traits: Cell<Option<HostTraits>>,
}

/// How many headers one host shows at most.
const HEADER_CAP: usize = 100;

impl Worker {
    pub fn with<R>(use_it: impl FnOnce(&Self) -> R) -> R {
        WORKER.with(use_it)
    }

    /// What the host can do. Found out on the first request, because not everything may be read before.
    pub fn host_traits(&self) -> HostTraits {
        if let Some(known) = self.traits.get() {
            return known;
        }
        let nginx = host::property(UPSTREAM_URI).is_some() || host::property(NGINX_VERSION).is_some();
        let traits = HostTraits { removes_headers: !nginx, header_cap: nginx.then_some(HEADER_CAP) };
        self.traits.set(Some(traits));
        traits
    }

    /// Starts the ticks of a chain. Every chain needs its own, but all of a worker get the period of the first: one host
    /// ends the worker if a second period differs.
    pub fn start_ticks(&self, milliseconds: u32) {
        let period = self.tick_milliseconds.get().unwrap_or(milliseconds);
        self.tick_milliseconds.set(Some(period));
        host::set_tick_period(period);
    }

    /// From now on traffic is counted. `me` is random.
    pub fn count_traffic(&self, me: u128) {
        self.traffic.borrow_mut().get_or_insert_with(|| Tally::new(me));
    }

    pub fn counts_traffic(&self) -> bool {
        self.traffic.borrow().is_some()
    }

    /// Counts one request of an application.
    pub fn count_request(&self, key: Key) {
        if let Some(traffic) = &mut *self.traffic.borrow_mut() {
            traffic.count(key);
        }
    }

    /// Puts what was counted into shared data, where it is time to.
    pub fn hand_over_traffic(&self, now: u64) {
        let traffic = &mut *self.traffic.borrow_mut();
        let Some(traffic) = traffic else { return };
        traffic.tick(now, &Zone);
        if traffic.take_overflowed() && !self.overflow_told.replace(true) {
            host::log(
                Level::Warn,
                "app_auth: more applications than there is room to count apart: some of their requests are counted \
                 without the application",
            );
        }
    }

    pub fn count(&self, status: u16, code: &'static str) {
        *self.refused.borrow_mut().entry((status, code)).or_default() += 1;
    }
}

/// A variable that every nginx has.
const NGINX_VERSION: &str = "ngx\0nginx_version";

/// What nginx will send upstream as the request target, where Kong has set it up.
pub const UPSTREAM_URI: &str = "ngx\0upstream_uri";
