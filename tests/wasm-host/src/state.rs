//! What the host knows while it runs one instance: which callback is on, for which context, and the request it is about.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use wasmtime::{StoreLimits, StoreLimitsBuilder};

use crate::calls::{Answer, HttpCall};
use crate::headers::Headers;
use crate::metrics::Metrics;
use crate::quirks::Quirks;
use crate::request::LocalResponse;
use crate::zone::Zone;

/// A line the filter (or its runtime, on standard error) wrote.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogLine {
    pub worker: usize,
    /// As in the ABI: 0 trace … 3 warn, 4 error, 5 critical.
    pub level: u32,
    pub text: String,
}

/// What all workers of a node share.
pub(crate) struct Shared {
    pub quirks: Quirks,
    pub zone: RefCell<Zone>,
    pub metrics: RefCell<Metrics>,
    pub logs: RefCell<Vec<LogLine>>,
    pub calls: RefCell<Vec<HttpCall>>,
    /// Wall clock, nanoseconds since the Unix epoch. Stands still inside callbacks; a test may set it back.
    pub now: Cell<u64>,
    /// Nanoseconds since the node was started: what timers and time-outs go by.
    pub uptime: Cell<u64>,
    pub next_token: Cell<u32>,
    /// Host calls, by name, that trap the next time they are made.
    pub planned_traps: RefCell<HashSet<&'static str>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    Create,
    VmStart,
    Configure,
    Tick,
    RequestHeaders,
    RequestBody,
    ResponseHeaders,
    ResponseBody,
    CallResponse,
    Log,
}

/// The request the filter is looking at.
#[derive(Default)]
pub(crate) struct Exchange {
    /// `:method` and its kin.
    pub pseudo: Headers,
    /// Request headers as the filter sees them, and as the upstream will.
    pub seen: Headers,
    pub upstream: Headers,
    pub upstream_uri: String,
    pub body: Vec<u8>,
    pub body_readable: bool,
    pub response: Headers,
    pub response_body: Vec<u8>,
    pub local: Option<LocalResponse>,
    /// The filter let a request go on that it had paused.
    pub resumed: bool,
    /// Calls that the request waited for.
    pub waited_for: Vec<HttpCall>,
    pub properties: BTreeMap<String, Vec<u8>>,
    pub properties_set: BTreeMap<String, Vec<u8>>,
    pub kong_properties_read: HashSet<String>,
    pub calls: BTreeMap<&'static str, u32>,
    pub instructions: u64,
}

pub(crate) struct State {
    pub shared: Rc<Shared>,
    pub worker: usize,
    pub generation: u32,
    pub phase: Phase,
    /// Whose turn it is: a root context or the request's.
    pub context: u32,
    pub configurations: HashMap<u32, Vec<u8>>,
    pub tick_periods: HashMap<u32, u32>,
    /// Timers asked for since the worker last looked.
    pub new_timers: Vec<(u32, u32)>,
    pub exchange: Option<Exchange>,
    pub answer: Option<Answer>,
    /// Whether this is an instance that a tick, not a request, brought back after a trap.
    pub dispatch_broken: bool,
    pub random: u64,
    pub limits: StoreLimits,
}

impl State {
    pub fn new(shared: Rc<Shared>, worker: usize, generation: u32) -> Self {
        const MEMORY_MAX: usize = 256 << 20;
        Self {
            shared,
            worker,
            generation,
            phase: Phase::Create,
            context: 0,
            configurations: HashMap::new(),
            tick_periods: HashMap::new(),
            new_timers: Vec::new(),
            exchange: None,
            answer: None,
            dispatch_broken: false,
            random: 0x9e37_79b9_7f4a_7c15 ^ (worker as u64) << 32 ^ u64::from(generation),
            limits: StoreLimitsBuilder::new().memory_size(MEMORY_MAX).trap_on_grow_failure(true).build(),
        }
    }

    pub fn log(&self, level: u32, text: String) {
        self.shared.logs.borrow_mut().push(LogLine { worker: self.worker, level, text });
    }

    pub fn is_root(&self) -> bool {
        self.configurations.contains_key(&self.context)
    }
}
