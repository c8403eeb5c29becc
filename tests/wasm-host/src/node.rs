//! A gateway node: workers over one shared zone, a clock the test moves, and calls out that something answers.

use std::cell::{Cell, Ref, RefCell, RefMut};
use std::collections::HashSet;
use std::rc::Rc;
use std::time::Duration;

use crate::calls::{Answer, Backend, HttpCall};
use crate::metrics::Metrics;
use crate::module::Module;
use crate::quirks::Quirks;
use crate::request::{Outcome, Request};
use crate::state::{LogLine, Shared};
use crate::worker::Worker;
use crate::zone::Zone;

/// 2026-01-01T00:00:00Z: when every node's clock starts.
pub const START: Duration = Duration::from_hours(490_896);

pub struct Node {
    shared: Rc<Shared>,
    pub workers: Vec<Worker>,
}

impl Node {
    /// Starts `workers` workers with one filter chain for each configuration.
    pub fn start<C: AsRef<[u8]>>(module: &Module, quirks: Quirks, workers: usize, chains: &[C]) -> Self {
        let shared = Rc::new(Shared {
            zone: RefCell::new(Zone::new(&quirks)),
            quirks,
            metrics: RefCell::new(Metrics::default()),
            logs: RefCell::default(),
            calls: RefCell::default(),
            now: Cell::new(nanoseconds(START)),
            uptime: Cell::new(0),
            next_token: Cell::new(1),
            planned_traps: RefCell::new(HashSet::new()),
        });
        let chains: Vec<_> = chains.iter().map(|chain| chain.as_ref().to_vec()).collect();
        let workers = (0..workers).map(|number| Worker::start(module, &shared, number, &chains)).collect();
        Self { shared, workers }
    }

    /// Sends a request to a worker's first chain.
    pub fn request(&mut self, worker: usize, request: &Request) -> Outcome {
        self.request_on(worker, 0, request)
    }

    pub fn request_on(&mut self, worker: usize, chain: usize, request: &Request) -> Outcome {
        self.workers[worker].request(chain, request)
    }

    /// Virtual time since the Unix epoch.
    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.shared.now.get())
    }

    /// Lets time pass: timers fire when due, and calls are answered as `backend` says or fail by their time-out.
    pub fn run(&mut self, time: Duration, backend: &mut dyn Backend) {
        let end = self.uptime() + time;
        self.answer_calls(backend);
        while let Some(due) = self.workers.iter().filter_map(Worker::next_due).min()
            && due <= end
        {
            self.pass(due.saturating_sub(self.uptime()));
            for worker in &mut self.workers {
                if !worker.hanging {
                    worker.tick_due();
                }
            }
            self.answer_calls(backend);
        }
        self.pass(end.saturating_sub(self.uptime()));
    }

    fn pass(&mut self, time: Duration) {
        self.shared.now.set(nanoseconds(self.now() + time));
        self.shared.uptime.set(nanoseconds(self.uptime() + time));
    }

    /// Time since the node was started: what the times of calls are given in.
    pub fn uptime(&self) -> Duration {
        Duration::from_nanos(self.shared.uptime.get())
    }

    /// Moves the wall clock without running anything: what a suspended machine sees.
    pub fn skip(&mut self, time: Duration) {
        self.shared.now.set(nanoseconds(self.now() + time));
    }

    /// Sets the clock back, as an operator or a time server may.
    pub fn set_back(&mut self, time: Duration) {
        self.shared.now.set(nanoseconds(self.now().saturating_sub(time)));
    }

    /// Sets the clock.
    pub fn set_clock(&mut self, time: Duration) {
        self.shared.now.set(nanoseconds(time));
    }

    fn answer_calls(&mut self, backend: &mut dyn Backend) {
        let now = self.uptime();
        let calls = std::mem::take(&mut *self.shared.calls.borrow_mut());
        let mut open = Vec::new();
        for call in calls {
            if self.workers[call.worker].hanging {
                open.push(call);
            } else if let Some(answer) = backend.answer(now, &call) {
                self.workers[call.worker].deliver(&call, answer);
            } else if now >= call.since + call.timeout {
                self.workers[call.worker].deliver(&call, Answer::failure());
            } else {
                open.push(call);
            }
        }
        // A trap during delivery ends its worker's other calls; what was dispatched meanwhile comes last.
        let mut calls = self.shared.calls.borrow_mut();
        open.append(&mut calls);
        open.retain(|call| self.workers[call.worker].made(call));
        *calls = open;
    }

    /// Calls that wait for an answer.
    pub fn calls(&self) -> Vec<HttpCall> {
        self.shared.calls.borrow().clone()
    }

    /// Answers one call by hand.
    pub fn deliver(&mut self, call: &HttpCall, answer: Answer) {
        self.shared.calls.borrow_mut().retain(|open| open.token != call.token);
        self.workers[call.worker].deliver(call, answer);
    }

    pub fn zone(&self) -> RefMut<'_, Zone> {
        self.shared.zone.borrow_mut()
    }

    /// Empties shared data and starts all workers anew, as `kong reload` does.
    pub fn reload(&mut self) {
        self.zone().clear();
        self.shared.calls.borrow_mut().clear();
        self.workers.iter_mut().for_each(Worker::restart);
    }

    /// Kills a worker and starts it anew; shared data stays.
    pub fn respawn(&mut self, worker: usize) {
        self.shared.calls.borrow_mut().retain(|call| call.worker != worker);
        self.workers[worker].restart();
    }

    /// Gives all workers other chains while they run.
    pub fn reconfigure<C: AsRef<[u8]>>(&mut self, chains: &[C]) {
        let chains: Vec<_> = chains.iter().map(|chain| chain.as_ref().to_vec()).collect();
        self.workers.iter_mut().for_each(|worker| worker.reconfigure(&chains));
    }

    /// The next host call of that name traps.
    pub fn trap_next(&mut self, name: &'static str) {
        self.shared.planned_traps.borrow_mut().insert(name);
    }

    /// A metric's value; 0 for one that does not exist.
    pub fn metric(&self, name: &str) -> u64 {
        let all = self.metrics();
        all.iter().find(|(metric, _)| metric == name).map_or(0, |(_, value)| *value)
    }

    pub fn metrics(&self) -> Vec<(String, u64)> {
        self.shared.metrics.borrow().by_name()
    }

    pub fn logs(&self) -> Ref<'_, Vec<LogLine>> {
        self.shared.logs.borrow()
    }

    /// Every trap of every worker.
    pub fn traps(&self) -> Vec<String> {
        self.workers.iter().flat_map(|worker| worker.traps().to_vec()).collect()
    }

    /// Why the filter did not start on some worker. Must be empty, whatever the configuration.
    pub fn start_failures(&self) -> Vec<String> {
        self.workers.iter().flat_map(|worker| worker.start_failures().to_vec()).collect()
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
