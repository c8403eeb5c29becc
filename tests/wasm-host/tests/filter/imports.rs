//! What the module asks of its host: nothing that Kong's WebAssembly runtime lacks.

use app_auth_wasm_host::{HOST_CALLS, Module, WASI_CALLS};

#[test]
fn the_module_imports_nothing_but_what_every_gateway_has() {
    for (module, name) in Module::app_auth().imports() {
        let known = match module.as_str() {
            "env" => HOST_CALLS.contains(&name.as_str()),
            "wasi_snapshot_preview1" => WASI_CALLS.contains(&name.as_str()),
            _ => false,
        };
        assert!(known, "{module}.{name} is not on every gateway");
    }
}
