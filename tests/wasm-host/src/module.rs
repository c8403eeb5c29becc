//! Compiled modules: the filter as it is shipped, or a few lines of text format for the host's own tests.

use std::path::PathBuf;
use std::sync::OnceLock;

use wasmtime::{Config, Engine, InstancePre, Module as Compiled};

use crate::abi;
use crate::state::State;

/// A compiled module.
#[derive(Clone)]
pub struct Module {
    /// Linked to the host calls, unless it asks for one that is not there.
    linked: Result<InstancePre<State>, String>,
    imports: Vec<(String, String)>,
}

impl Module {
    /// From the bytes of a module.
    pub fn new(wasm: &[u8]) -> Result<Self, String> {
        let mut config = Config::new();
        config.consume_fuel(true);
        let engine = Engine::new(&config).map_err(|error| format!("{error:#}"))?;
        let compiled = Compiled::new(&engine, wasm).map_err(|error| format!("{error:#}"))?;
        let imports =
            compiled.imports().map(|import| (import.module().to_owned(), import.name().to_owned())).collect();
        let host = abi::linker(&engine).map_err(|error| format!("{error:#}"))?;
        let linked = host.instantiate_pre(&compiled).map_err(|error| format!("{error:#}"));
        Ok(Self { linked, imports })
    }

    pub(crate) fn linked(&self) -> Result<&InstancePre<State>, String> {
        self.linked.as_ref().map_err(Clone::clone)
    }

    /// The filter: `APP_AUTH_WASM`, or what `make build` left in `target/gateway`. Compiled once for all tests.
    pub fn app_auth() -> Self {
        static COMPILED: OnceLock<Module> = OnceLock::new();
        let compile = || {
            let path = std::env::var_os("APP_AUTH_WASM").map_or_else(
                || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/gateway/app_auth.wasm")),
                PathBuf::from,
            );
            let wasm = std::fs::read(&path)
                .unwrap_or_else(|_| panic!("{} is missing: run `make build` first", path.display()));
            Self::new(&wasm).unwrap_or_else(|error| panic!("app_auth.wasm: {error}"))
        };
        COMPILED.get_or_init(compile).clone()
    }

    /// Module and name of each import.
    pub fn imports(&self) -> &[(String, String)] {
        &self.imports
    }
}
