//! One worker process of a gateway: an instance that serves all chains, the timers, and what happens after a trap.

use std::rc::Rc;
use std::time::Duration;

use crate::calls::{Answer, HttpCall};
use crate::exchange;
use crate::instance::{Instance, Trap};
use crate::module::Module;
use crate::request::{Outcome, Request};
use crate::state::{Phase, Shared};

/// Context numbers of requests start here; root contexts are numbered from 1.
const FIRST_REQUEST: u32 = 1000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Timer {
    root: u32,
    period: Duration,
    due: Duration,
}

enum Life {
    Running(Instance),
    /// The instance trapped and is gone; whatever comes next makes another.
    Trapped,
    /// The filter refused to start.
    Refused,
}

pub struct Worker {
    module: Module,
    shared: Rc<Shared>,
    number: usize,
    chains: Vec<Vec<u8>>,
    life: Life,
    generation: u32,
    timers: Vec<Timer>,
    first_root: u32,
    next_context: u32,
    traps: Vec<Trap>,
    start_failures: Vec<String>,
    /// A worker that hangs neither ticks nor receives answers, but nobody has noticed yet.
    pub hanging: bool,
}

impl Worker {
    pub(crate) fn start(module: &Module, shared: &Rc<Shared>, number: usize, chains: &[Vec<u8>]) -> Self {
        let mut worker = Self {
            module: module.clone(),
            shared: shared.clone(),
            number,
            chains: chains.to_vec(),
            life: Life::Trapped,
            generation: 0,
            timers: Vec::new(),
            first_root: 1,
            next_context: FIRST_REQUEST,
            traps: Vec::new(),
            start_failures: Vec::new(),
            hanging: false,
        };
        worker.restart();
        worker
    }

    /// Starts from nothing, as a new process does.
    pub(crate) fn restart(&mut self) {
        self.timers.clear();
        self.start_failures.clear();
        self.hanging = false;
        if let Err(failure) = self.build(true) {
            self.start_failures.push(failure);
            self.life = Life::Refused;
        }
    }

    /// A new instance with all root contexts, started or only configured.
    fn build(&mut self, started: bool) -> Result<(), Trap> {
        self.generation += 1;
        let mut instance = Instance::new(&self.module, self.shared.clone(), self.number, self.generation)?;
        for (index, configuration) in self.chains.iter().enumerate() {
            if !configure(&mut instance, self.root_number(index), configuration, started)? {
                return Err("on_vm_start or on_configure returned false".into());
            }
        }
        let timers = std::mem::take(&mut instance.state().new_timers);
        self.life = Life::Running(instance);
        self.add_timers(&timers);
        Ok(())
    }

    /// Replaces all chains in the running instance, as gateways do on a new configuration: the new root contexts come
    /// first, then the old ones go. Contexts keep their numbers for life.
    pub(crate) fn reconfigure(&mut self, chains: &[Vec<u8>]) {
        let old: Vec<u32> = (0..self.chains.len()).map(|index| self.root_number(index)).collect();
        self.first_root += u32::try_from(self.chains.len()).unwrap_or(u32::MAX);
        self.chains = chains.to_vec();
        let new: Vec<_> = chains
            .iter()
            .enumerate()
            .map(|(index, chain)| (self.root_number(index), chain.clone()))
            .collect();
        self.timers.retain(|timer| !old.contains(&timer.root));
        self.run(|instance| {
            for (root, configuration) in new {
                if !configure(instance, root, &configuration, true)? {
                    return Err("a new configuration was refused".into());
                }
            }
            for root in old {
                instance.call::<_, u32>("proxy_on_done", root, Phase::Log, root)?;
                instance.call::<_, ()>("proxy_on_delete", root, Phase::Log, root)?;
                instance.state().configurations.remove(&root);
                instance.state().tick_periods.remove(&root);
            }
            Ok(())
        });
    }

    fn root_number(&self, chain: usize) -> u32 {
        self.first_root + u32::try_from(chain).unwrap_or(u32::MAX)
    }

    fn add_timers(&mut self, timers: &[(u32, u32)]) {
        let now = Duration::from_nanos(self.shared.uptime.get());
        for (root, milliseconds) in timers {
            if *milliseconds == 0 {
                self.timers.retain(|timer| timer.root != *root);
                continue;
            }
            let period = Duration::from_millis((*milliseconds).into());
            self.timers.push(Timer { root: *root, period, due: now + period });
        }
    }

    fn trapped(&mut self, trap: Trap) {
        self.traps.push(trap);
        self.life = Life::Trapped;
        let worker = self.number;
        self.shared.calls.borrow_mut().retain(|call| call.worker != worker);
    }

    /// Runs one callback outside of requests; a trap ends the instance.
    fn run(&mut self, callback: impl FnOnce(&mut Instance) -> Result<(), Trap>) {
        let Life::Running(instance) = &mut self.life else { return };
        let result = callback(instance);
        let timers = std::mem::take(&mut instance.state().new_timers);
        self.add_timers(&timers);
        if let Err(trap) = result {
            self.trapped(trap);
        }
    }

    /// When the next timer is due.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        if self.hanging || matches!(self.life, Life::Refused) {
            return None;
        }
        self.timers.iter().map(|timer| timer.due).min()
    }

    /// Fires all timers that are due.
    pub(crate) fn tick_due(&mut self) {
        let now = Duration::from_nanos(self.shared.uptime.get());
        let mut due = Vec::new();
        for timer in &mut self.timers {
            if timer.due <= now {
                timer.due = now + timer.period;
                due.push(timer.root);
            }
        }
        for root in due {
            self.tick(root);
        }
    }

    fn tick(&mut self, root: u32) {
        if matches!(self.life, Life::Trapped) {
            let keeps_timers = self.shared.quirks.trap_keeps_timers;
            let timers = self.timers.clone();
            if !keeps_timers {
                self.timers.clear();
            }
            if let Err(trap) = self.build(!keeps_timers) {
                self.trapped(trap);
                return;
            }
            if keeps_timers {
                // Brought back by a timer, not by a request: it neither gets more timers nor can it dispatch.
                self.timers = timers;
                if let Life::Running(instance) = &mut self.life {
                    instance.state().dispatch_broken = true;
                    instance.state().tick_periods.clear();
                }
            }
        }
        self.run(|instance| instance.call::<_, ()>("proxy_on_tick", root, Phase::Tick, root).map(|_| ()));
    }

    /// Whether the call came from the instance that runs now: an answer finds no other.
    pub(crate) fn made(&self, call: &HttpCall) -> bool {
        call.generation == self.generation && matches!(self.life, Life::Running(_))
    }

    pub(crate) fn deliver(&mut self, call: &HttpCall, answer: Answer) {
        if !self.made(call) {
            return;
        }
        let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let parameters =
            (call.context, call.token, count(answer.headers.0.len()), count(answer.body.len()), 0_u32);
        let context = call.context;
        self.run(|instance| {
            instance.state().answer = Some(answer);
            let result = instance.call::<_, ()>(
                "proxy_on_http_call_response",
                parameters,
                Phase::CallResponse,
                context,
            );
            instance.state().answer = None;
            result.map(|_| ())
        });
    }

    pub(crate) fn request(&mut self, chain: usize, request: &Request) -> Outcome {
        if matches!(self.life, Life::Refused) {
            let open = self.shared.quirks.start_failure_opens;
            return exchange::without_filter(&self.shared, request, open);
        }
        let broken = match &mut self.life {
            Life::Running(instance) => std::mem::take(&mut instance.state().dispatch_broken),
            _ => true,
        };
        if broken {
            let keeps_timers = self.shared.quirks.trap_keeps_timers;
            if !keeps_timers {
                self.timers.clear();
            }
            if let Err(trap) = self.build(!keeps_timers) {
                self.trapped(trap);
                return exchange::without_filter(&self.shared, request, false);
            }
        }
        let (root, context) = (self.root_number(chain), self.next_context);
        self.next_context += 1;
        let Life::Running(instance) = &mut self.life else {
            return exchange::without_filter(&self.shared, request, false);
        };
        let outcome = exchange::run(&self.shared, instance, root, context, request);
        let timers = std::mem::take(&mut instance.state().new_timers);
        self.add_timers(&timers);
        if let Some(trap) = &outcome.trap {
            self.trapped(trap.clone());
        }
        outcome
    }

    /// Every trap so far.
    pub fn traps(&self) -> &[String] {
        &self.traps
    }

    /// Why the filter did not start, if so.
    pub fn start_failures(&self) -> &[String] {
        &self.start_failures
    }

    /// How many timers each tick period has by now: 1 for each chain unless traps doubled them.
    pub const fn timers(&self) -> usize {
        self.timers.len()
    }

    /// Most instructions that one call of a callback has taken in the instance that runs now.
    pub fn costliest(&self, callback: &str) -> u64 {
        match &self.life {
            Life::Running(instance) => instance.costliest.get(callback).copied().unwrap_or_default(),
            _ => 0,
        }
    }

    /// Bytes of WebAssembly memory the instance holds.
    pub fn memory_bytes(&mut self) -> usize {
        match &mut self.life {
            Life::Running(instance) => instance.memory_bytes(),
            _ => 0,
        }
    }
}

/// Makes a root context, starts it if told so, and configures it. False if it refused.
fn configure(instance: &mut Instance, root: u32, configuration: &[u8], started: bool) -> Result<bool, Trap> {
    instance.state().configurations.insert(root, configuration.to_vec());
    instance.call::<_, ()>("proxy_on_context_create", (root, 0), Phase::Create, root)?;
    if started && instance.call::<_, u32>("proxy_on_vm_start", (root, 0), Phase::VmStart, root)? == Some(0) {
        return Ok(false);
    }
    let length = u32::try_from(configuration.len()).unwrap_or(u32::MAX);
    let ok = instance.call::<_, u32>("proxy_on_configure", (root, length), Phase::Configure, root)?;
    Ok(ok != Some(0))
}
