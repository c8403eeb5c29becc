//! One instance of the module: calls its callbacks by name, with a bound on how long each may run.

use std::collections::BTreeMap;
use std::rc::Rc;

use wasmtime::{Instance as Running, Store, WasmParams, WasmResults};

use crate::module::Module;
use crate::state::{Phase, Shared, State};

/// Instructions one callback may take; a worker that runs longer serves nobody. About a second.
const FUEL: u64 = 1_000_000_000;

pub(crate) struct Instance {
    store: Store<State>,
    running: Running,
    /// Most instructions that one call of each callback took.
    pub costliest: BTreeMap<String, u64>,
}

/// Why a callback did not return.
pub(crate) type Trap = String;

impl Instance {
    pub fn new(module: &Module, shared: Rc<Shared>, worker: usize, generation: u32) -> Result<Self, Trap> {
        let linked = module.linked()?;
        let mut store = Store::new(linked.module().engine(), State::new(shared, worker, generation));
        store.limiter(|state| &mut state.limits);
        store.set_fuel(FUEL).map_err(|error| format!("{error:#}"))?;
        let running = linked.instantiate(&mut store).map_err(|error| format!("{error:#}"))?;
        let mut instance = Self { store, running, costliest: BTreeMap::new() };
        instance.call::<(), ()>("_initialize", (), Phase::Create, 0)?;
        Ok(instance)
    }

    pub fn state(&mut self) -> &mut State {
        self.store.data_mut()
    }

    /// Bytes of the module's memory.
    pub fn memory_bytes(&mut self) -> usize {
        self.running.get_memory(&mut self.store, "memory").map_or(0, |memory| memory.data_size(&self.store))
    }

    /// Calls an export; `Ok(None)` if the module has none of that name.
    pub fn call<P: WasmParams, R: WasmResults>(
        &mut self,
        name: &str,
        parameters: P,
        phase: Phase,
        context: u32,
    ) -> Result<Option<R>, Trap> {
        let Ok(function) = self.running.get_typed_func::<P, R>(&mut self.store, name) else {
            return Ok(None);
        };
        let state = self.store.data_mut();
        state.phase = phase;
        state.context = context;
        self.store.set_fuel(FUEL).map_err(|error| format!("{error:#}"))?;
        let result = function.call(&mut self.store, parameters);
        let left = self.store.get_fuel().unwrap_or_default();
        assert!(result.is_ok() || left > 0, "{name} ran for {FUEL} instructions: a worker would be blocked");
        let most = self.costliest.entry(name.to_owned()).or_default();
        *most = (*most).max(FUEL - left);
        if let Some(exchange) = &mut self.store.data_mut().exchange {
            exchange.instructions += FUEL - left;
        }
        result.map(Some).map_err(|error| {
            let text = format!("{name}: {error:#}");
            self.store.data().log(5, text.clone());
            text
        })
    }
}
