//! Keeps a node's shared data in step with the admin extension: lease, snapshot, feed. A state machine that is ticked and
//! given answers; it sends through [`Outgoing`] and reports through [`Event`]s. The request path does not touch it.

pub mod apply;
pub mod leadership;
mod load;
mod report;

use crate::config::SyncConfig;
use crate::feed::{Change, FeedPage, PAGE_LIMIT};
use crate::host::SharedData;
use crate::ids::Revision;
use crate::state::meta::{Meta, Table};
use crate::state::table::{Fault, Reader};

use apply::{Applied, SweepPosition};
use leadership::{Leadership, Shift};
use load::Load;
use report::Reporting;

/// Sends requests to the admin extension.
pub trait Outgoing {
    /// Sends a GET request and gives the token of its answer; `None` if the host refused.
    fn get(&mut self, path: &str, timeout_milliseconds: u32) -> Option<u32>;

    /// As [`Self::get`], a POST request with a body of JSON.
    fn post(&mut self, path: &str, body: &[u8], timeout_milliseconds: u32) -> Option<u32>;
}

/// Longest answer that is read, in bytes.
const ANSWER_MAX: usize = 16 << 20;

/// Waiting time after the first failure, in milliseconds; doubles up to [`BACK_OFF_MAX`].
const BACK_OFF: u64 = 100;
const BACK_OFF_MAX: u64 = 1_000;

/// Failures in a row after which another worker (and its configuration) gets a try, and for how long.
const FAILURES_BEFORE_YIELDING: u32 = 8;
const YIELD_FOR: u64 = 3_000;

/// Time allowed to the admin extension beyond the wait it was asked for, in milliseconds.
const PATIENCE: u32 = 5_000;
const SNAPSHOT_TIMEOUT: u32 = 30_000;

/// Least time between two snapshots that damage or growth ask for, in milliseconds.
const RELOAD_INTERVAL: u64 = 5_000;

/// How often the node's state is looked at while a feed request is held, in milliseconds: damage does not wait for it.
const LOOK_INTERVAL: u64 = 250;

/// Leftover buckets freed per tick.
const SWEEP: u32 = 256;

/// Something worth a line in the log. Each is reported when it begins, not while it lasts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Leading,
    LostLead,
    /// A snapshot begins, and why.
    Loading(&'static str),
    /// A snapshot is complete.
    Loaded {
        records: u64,
        revision: Revision,
    },
    /// The admin extension does not answer, or not as it should. The text says how.
    Away(String),
    Back,
    /// The admin extension does not accept the gateway token.
    TokenRefused,
    /// Records had to be left out.
    OutOfMemory {
        left_out: u64,
    },
    /// A bucket is gone or unreadable.
    Damaged,
    /// Reports of traffic do not arrive. The text says how.
    TrafficLate(String),
    /// The admin extension knows no reports of traffic.
    TrafficNotTaken,
    /// The admin extension refused a report for good, with this status: its requests are counted nowhere.
    TrafficRefused {
        status: u16,
        requests: u64,
    },
    /// What a slot held could not be read: what was counted in it is lost.
    TrafficLost,
    /// The host's memory has no room to count traffic.
    NoRoomForTraffic,
}

/// What the syncer counts, for metrics.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    pub errors: u64,
    pub pages: u64,
    pub snapshots: u64,
}

enum Task {
    Follow,
    Load(Load),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Feed { after: Revision, table: Table },
    OpenSnapshot,
    Snapshot { stream: usize },
}

struct Call {
    token: u32,
    purpose: Purpose,
    /// When it counts as lost, should the host never answer.
    deadline: u64,
}

/// One worker's syncer for one configuration.
pub struct Syncer {
    config: SyncConfig,
    version: &'static str,
    leadership: Leadership,
    task: Task,
    calls: Vec<Call>,
    failures: u32,
    /// The log says that the admin extension is away.
    away: bool,
    /// The next feed request is to be answered at once: there is contact to be shown.
    hurry: bool,
    ticked_at: u64,
    retry_at: u64,
    reloaded_at: u64,
    looked_at: u64,
    sweep: Option<SweepPosition>,
    reporting: Reporting,
    events: Vec<Event>,
    pub counters: Counters,
}

impl Syncer {
    /// `me` is random; `version` the filter's.
    pub fn new(config: SyncConfig, me: u128, version: &'static str) -> Self {
        Self {
            config,
            version,
            leadership: Leadership::new(me),
            task: Task::Follow,
            calls: Vec::new(),
            failures: 0,
            away: false,
            hurry: true,
            ticked_at: 0,
            retry_at: 0,
            reloaded_at: 0,
            looked_at: 0,
            sweep: Some(SweepPosition::default()),
            reporting: Reporting::default(),
            events: Vec::new(),
            counters: Counters::default(),
        }
    }

    pub fn leads(&self) -> bool {
        self.leadership.leads()
    }

    /// Whether traffic is counted on this node.
    pub const fn report_traffic(&mut self, wanted: bool) {
        self.reporting.wanted = wanted;
    }

    /// What happened since the last call.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Does what is due. Cheap, and harmless however often it is called. `now`: milliseconds since the Unix epoch.
    pub fn tick<S: SharedData>(&mut self, now: u64, shared: &S, out: &mut impl Outgoing) {
        self.keep_up_with_clock(now);
        match self.leadership.tick(now, shared) {
            Shift::None => {}
            Shift::Won => {
                self.events.push(Event::Leading);
                self.failures = 0;
                self.hurry = true;
                self.retry_at = now;
                self.task = Task::Follow;
                self.calls.clear();
            }
            Shift::Lost => self.stand_down(),
        }
        if !self.leadership.leads() {
            return;
        }
        self.report(now, shared, out);
        let before = self.calls.len();
        self.calls.retain(|call| now < call.deadline);
        if self.calls.len() < before {
            self.failed(now, shared, "no answer in time".to_owned());
        }
        if now < self.retry_at {
            return;
        }
        if matches!(self.task, Task::Follow)
            && (self.calls.is_empty() || now.abs_diff(self.looked_at) >= LOOK_INTERVAL)
        {
            self.looked_at = now;
            self.follow(now, shared, out);
        }
        if matches!(self.task, Task::Load(_)) {
            self.load(now, shared, out);
        }
    }

    /// Takes an answer; `status` is `None` where the call failed.
    pub fn answer<S: SharedData>(
        &mut self,
        now: u64,
        token: u32,
        status: Option<u16>,
        body: &[u8],
        shared: &S,
    ) {
        if self.reporting.awaits(token) {
            return self.reported(now, status, shared);
        }
        let Some(at) = self.calls.iter().position(|call| call.token == token) else { return };
        let purpose = self.calls.swap_remove(at).purpose;
        if !self.leadership.leads() {
            return;
        }
        match (status, purpose) {
            _ if body.len() > ANSWER_MAX => self.failed(now, shared, "an answer that is too long".to_owned()),
            (Some(200), Purpose::Feed { after, table }) => match serde_json::from_slice(body) {
                Ok(page) => self.feed_page(now, after, table, &page, shared),
                Err(error) => self.failed(now, shared, unreadable(&error)),
            },
            (Some(200), Purpose::OpenSnapshot | Purpose::Snapshot { .. }) => {
                match serde_json::from_slice(body) {
                    Ok(page) => self.snapshot_page(now, purpose, &page, shared),
                    Err(error) => self.failed(now, shared, unreadable(&error)),
                }
            }
            (Some(410), _) => self.start_load(now, "the admin extension asks for it"),
            (Some(401 | 403), _) => {
                self.counters.errors += 1;
                if !std::mem::replace(&mut self.away, true) {
                    self.events.push(Event::TokenRefused);
                }
                self.leadership.yield_until(shared, now + YIELD_FOR);
                self.calls.clear();
                self.task = Task::Follow;
            }
            (Some(status), _) => self.failed(now, shared, format!("status {status}")),
            (None, _) => self.failed(now, shared, "no connection".to_owned()),
        }
    }

    fn follow<S: SharedData>(&mut self, now: u64, shared: &S, out: &mut impl Outgoing) {
        let serving = Reader::new(shared).meta().is_ok_and(|meta| meta.serving.is_some());
        if let Some(until) = self.leadership.careful_until(now).filter(|_| !serving) {
            // Loading has ended workers before; it is tried again only once in a while.
            self.retry_at = until;
            self.events.push(Event::OutOfMemory { left_out: 0 });
            return;
        }
        let meta = match Reader::new(shared).meta() {
            Ok(meta) => meta,
            Err(Fault::NoState) => return self.start_load(now, "there is no state yet"),
            Err(_) => return self.start_load(now, "the state cannot be read"),
        };
        let Some(table) = meta.serving else {
            return self.start_load(now, "there is no state yet");
        };
        let may_reload =
            now.abs_diff(self.reloaded_at) >= RELOAD_INTERVAL && self.leadership.careful_until(now).is_none();
        if may_reload {
            let outgrown = meta.records >> table.bits > 16 && table.bits < crate::feed::BITS_MAX;
            let reason = if meta.loading.is_some() {
                Some("an earlier snapshot was cut short")
            } else if meta.damaged {
                self.events.push(Event::Damaged);
                Some("a part of the state was lost")
            } else if meta.incomplete {
                Some("records had been left out")
            } else if outgrown {
                Some("the table has outgrown its depth")
            } else {
                None
            };
            if let Some(reason) = reason {
                return self.start_load(now, reason);
            }
        }
        self.sweep(&meta, shared);
        if !self.calls.is_empty() {
            return;
        }
        let after = meta.revision;
        let wait = if self.hurry { 0 } else { self.config.wait_seconds };
        let path = format!(
            "/gateway/v1/feed?store={}&after={after}&wait={wait}&limit={PAGE_LIMIT}&{}",
            meta.store,
            self.identification()
        );
        let wait = u32::try_from(wait.saturating_mul(1000)).unwrap_or(u32::MAX);
        self.send(now, shared, out, &path, Purpose::Feed { after, table }, wait.saturating_add(PATIENCE));
    }

    fn sweep<S: SharedData>(&mut self, meta: &Meta, shared: &S) {
        let Some(position) = self.sweep else { return };
        self.sweep = apply::sweep(shared, meta, position, SWEEP);
        if self.sweep.is_none() && meta.leftover_depths != 0 {
            // A failure leaves the note in place, and the next leader sweeps again.
            let _ = apply::update_meta(shared, |now| {
                let mut now = now.filter(|now| (now.serving, now.loading) == (meta.serving, meta.loading))?;
                now.leftover_depths = 0;
                Some(now)
            });
        }
    }

    fn feed_page<S: SharedData>(
        &mut self,
        now: u64,
        after: Revision,
        table: Table,
        page: &FeedPage,
        shared: &S,
    ) {
        let same_store = Reader::new(shared).meta().is_ok_and(|meta| meta.store == page.store);
        if !same_store || page.revision < after {
            return self.start_load(now, "the store is another");
        }
        let mut applied = Applied::default();
        if !page.changes.is_empty() {
            if !self.leadership.begin_page(shared) {
                return self.stand_down();
            }
            applied =
                apply::changes(shared, table, &page.changes, self.leadership.careful_until(now).is_some());
        }
        let policy = page
            .changes
            .iter()
            .filter(|change| change.is_policy())
            .map(|change: &Change| change.revision)
            .max();
        let advanced = apply::advance(shared, table, page.revision, policy, &applied, now);
        if !page.changes.is_empty() {
            self.leadership.end_page(shared, applied.grew);
        }
        if advanced.is_err() {
            return self.failed(now, shared, "the host takes no state".to_owned());
        }
        if applied.left_out > 0 {
            self.events.push(Event::OutOfMemory { left_out: applied.left_out });
        }
        self.counters.pages += 1;
        self.succeeded();
    }

    fn send<S: SharedData>(
        &mut self,
        now: u64,
        shared: &S,
        out: &mut impl Outgoing,
        path: &str,
        purpose: Purpose,
        timeout: u32,
    ) -> bool {
        match out.get(path, timeout) {
            Some(token) => {
                let deadline = now + u64::from(timeout) + u64::from(PATIENCE);
                self.calls.push(Call { token, purpose, deadline });
                true
            }
            None => {
                self.failed(now, shared, "the host does not send: check admin_address".to_owned());
                false
            }
        }
    }

    fn identification(&self) -> String {
        format!("node={}&version={}", self.node(), self.version)
    }

    /// The node's name towards the admin extension.
    fn node(&self) -> String {
        self.config.node.clone().unwrap_or_else(|| format!("{:032x}", self.leadership.node()))
    }

    /// Moves all that was planned when the clock is set back, which would otherwise wait for the old time to come again.
    fn keep_up_with_clock(&mut self, now: u64) {
        let back = self.ticked_at.saturating_sub(now);
        self.ticked_at = now;
        if back > 0 {
            self.retry_at = self.retry_at.saturating_sub(back);
            self.reloaded_at = self.reloaded_at.saturating_sub(back);
            self.looked_at = self.looked_at.saturating_sub(back);
            self.calls.iter_mut().for_each(|call| call.deadline = call.deadline.saturating_sub(back));
            self.leadership.set_back(back);
            self.reporting.set_back(back);
        }
    }

    fn succeeded(&mut self) {
        self.hurry = false;
        if std::mem::replace(&mut self.away, false) {
            self.events.push(Event::Back);
        }
        self.failures = 0;
    }

    fn failed<S: SharedData>(&mut self, now: u64, shared: &S, how: String) {
        self.counters.errors += 1;
        self.hurry = true;
        if !std::mem::replace(&mut self.away, true) {
            self.events.push(Event::Away(how));
        }
        self.failures = self.failures.saturating_add(1);
        self.retry_at = now + (BACK_OFF << self.failures.min(8)).min(BACK_OFF_MAX);
        if self.failures.is_multiple_of(FAILURES_BEFORE_YIELDING) {
            self.leadership.yield_until(shared, now + YIELD_FOR);
            self.calls.clear();
            self.task = Task::Follow;
        }
    }

    fn stand_down(&mut self) {
        self.events.push(Event::LostLead);
        self.calls.clear();
        self.task = Task::Follow;
    }
}

fn unreadable(error: &serde_json::Error) -> String {
    // Only the place: the answer itself stays out of the log.
    format!("an answer that cannot be read, at line {} column {}", error.line(), error.column())
}
