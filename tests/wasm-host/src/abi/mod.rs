//! The proxy-wasm host calls (ABI 0.2.1) that the Rust SDK can make, each as one closure of a linker.
//!
//! A host that crashes where this one says "crashes" takes its worker process along; here such a call panics, so that the
//! test that caused it fails and names it.

mod data;
mod foreign;
mod http;

use wasmtime::{Caller, Engine, Linker, Result};

use crate::guest::{read_text, trap, write};
use crate::state::State;

pub(crate) const OK: u32 = 0;
pub(crate) const NOT_FOUND: u32 = 1;
pub(crate) const BAD_ARGUMENT: u32 = 2;
pub(crate) const CAS_MISMATCH: u32 = 8;
pub(crate) const INTERNAL_FAILURE: u32 = 10;

/// Names of the host calls that the gateways' hosts have, of those the SDK can make.
pub const HOST_CALLS: [&str; 37] = [
    "proxy_add_header_map_value",
    "proxy_call_foreign_function",
    "proxy_close_stream",
    "proxy_continue_stream",
    "proxy_define_metric",
    "proxy_dequeue_shared_queue",
    "proxy_done",
    "proxy_enqueue_shared_queue",
    "proxy_get_buffer_bytes",
    "proxy_get_current_time_nanoseconds",
    "proxy_get_header_map_pairs",
    "proxy_get_header_map_value",
    "proxy_get_log_level",
    "proxy_get_metric",
    "proxy_get_property",
    "proxy_get_shared_data",
    "proxy_get_status",
    "proxy_grpc_call",
    "proxy_grpc_cancel",
    "proxy_grpc_close",
    "proxy_grpc_send",
    "proxy_grpc_stream",
    "proxy_http_call",
    "proxy_increment_metric",
    "proxy_log",
    "proxy_record_metric",
    "proxy_register_shared_queue",
    "proxy_remove_header_map_value",
    "proxy_replace_header_map_value",
    "proxy_resolve_shared_queue",
    "proxy_send_local_response",
    "proxy_set_buffer_bytes",
    "proxy_set_effective_context",
    "proxy_set_header_map_pairs",
    "proxy_set_property",
    "proxy_set_shared_data",
    "proxy_set_tick_period_milliseconds",
];

pub(crate) fn linker(engine: &Engine) -> Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    crate::wasi::link(&mut linker)?;
    data::link(&mut linker)?;
    http::link(&mut linker)?;
    linker.func_wrap("env", "proxy_log", log)?;
    linker.func_wrap("env", "proxy_get_log_level", get_log_level)?;
    linker.func_wrap("env", "proxy_get_current_time_nanoseconds", get_current_time)?;
    linker.func_wrap("env", "proxy_set_tick_period_milliseconds", set_tick_period)?;
    linker.func_wrap("env", "proxy_set_effective_context", set_effective_context)?;
    linker.func_wrap("env", "proxy_define_metric", define_metric)?;
    linker.func_wrap("env", "proxy_get_metric", get_metric)?;
    linker.func_wrap("env", "proxy_record_metric", record_metric)?;
    linker.func_wrap("env", "proxy_increment_metric", increment_metric)?;
    linker.func_wrap("env", "proxy_done", |_: Caller<'_, State>| OK)?;
    linker.func_wrap("env", "proxy_call_foreign_function", foreign::call)?;
    link_unused(&mut linker)?;
    Ok(linker)
}

/// What the SDK's traits import and the filter has no use for: a call fails.
fn link_unused(linker: &mut Linker<State>) -> Result<()> {
    let bad = BAD_ARGUMENT;
    linker.func_wrap("env", "proxy_grpc_cancel", move |_: u32| bad)?;
    linker.func_wrap("env", "proxy_grpc_close", move |_: u32| bad)?;
    linker.func_wrap("env", "proxy_grpc_send", move |_: u32, _: u32, _: u32, _: u32| bad)?;
    linker.func_wrap("env", "proxy_get_status", move |_: u32, _: u32, _: u32| bad)?;
    linker.func_wrap("env", "proxy_register_shared_queue", move |_: u32, _: u32, _: u32| bad)?;
    linker.func_wrap(
        "env",
        "proxy_resolve_shared_queue",
        move |_: u32, _: u32, _: u32, _: u32, _: u32| bad,
    )?;
    linker.func_wrap("env", "proxy_dequeue_shared_queue", move |_: u32, _: u32, _: u32| bad)?;
    linker.func_wrap("env", "proxy_enqueue_shared_queue", move |_: u32, _: u32, _: u32| bad)?;
    linker.func_wrap(
        "env",
        "proxy_grpc_call",
        move |_: u32,
              _: u32,
              _: u32,
              _: u32,
              _: u32,
              _: u32,
              _: u32,
              _: u32,
              _: u32,
              _: u32,
              _: u32,
              _: u32| bad,
    )?;
    linker.func_wrap(
        "env",
        "proxy_grpc_stream",
        move |_: u32, _: u32, _: u32, _: u32, _: u32, _: u32, _: u32, _: u32, _: u32| bad,
    )?;
    Ok(())
}

/// Counts the call, and traps where a test planned it.
pub(crate) fn enter(caller: &mut Caller<'_, State>, name: &'static str) -> Result<()> {
    let state = caller.data_mut();
    if let Some(exchange) = &mut state.exchange {
        *exchange.calls.entry(name).or_default() += 1;
    }
    if state.shared.planned_traps.borrow_mut().remove(name) {
        return Err(trap(format!("{name}: a trap the test planned")));
    }
    Ok(())
}

fn log(mut caller: Caller<'_, State>, level: u32, pointer: u32, length: u32) -> Result<u32> {
    enter(&mut caller, "proxy_log")?;
    let text = read_text(&mut caller, pointer, length)?;
    caller.data().log(level, text);
    Ok(OK)
}

fn get_log_level(mut caller: Caller<'_, State>, pointer: u32) -> Result<u32> {
    enter(&mut caller, "proxy_get_log_level")?;
    write(&mut caller, pointer, &0_u32.to_le_bytes())?;
    Ok(OK)
}

fn get_current_time(mut caller: Caller<'_, State>, pointer: u32) -> Result<u32> {
    enter(&mut caller, "proxy_get_current_time_nanoseconds")?;
    let now = caller.data().shared.now.get();
    write(&mut caller, pointer, &now.to_le_bytes())?;
    Ok(OK)
}

fn set_tick_period(mut caller: Caller<'_, State>, period: u32) -> Result<u32> {
    enter(&mut caller, "proxy_set_tick_period_milliseconds")?;
    let state = caller.data_mut();
    if !state.is_root() {
        return Err(trap("a tick period set outside a root context"));
    }
    let context = state.context;
    let differs = state.tick_periods.values().any(|known| *known != 0 && *known != period);
    if differs && period != 0 && state.shared.quirks.tick_period_only_once {
        return Err(trap("a second tick period"));
    }
    if state.tick_periods.insert(context, period) != Some(period) {
        state.new_timers.push((context, period));
    }
    Ok(OK)
}

fn set_effective_context(mut caller: Caller<'_, State>, context: u32) -> Result<u32> {
    enter(&mut caller, "proxy_set_effective_context")?;
    caller.data_mut().context = context;
    Ok(OK)
}

fn define_metric(
    mut caller: Caller<'_, State>,
    kind: u32,
    pointer: u32,
    length: u32,
    id_at: u32,
) -> Result<u32> {
    enter(&mut caller, "proxy_define_metric")?;
    let name = read_text(&mut caller, pointer, length)?;
    let shared = caller.data().shared.clone();
    let id = shared.metrics.borrow_mut().define(kind, &name, &shared.quirks).map_err(trap)?;
    write(&mut caller, id_at, &id.to_le_bytes())?;
    Ok(OK)
}

fn get_metric(mut caller: Caller<'_, State>, id: u32, value_at: u32) -> Result<u32> {
    enter(&mut caller, "proxy_get_metric")?;
    let shared = caller.data().shared.clone();
    let found = shared.metrics.borrow().get(id, &shared.quirks).map_err(trap)?;
    let Some(value) = found else { return Ok(NOT_FOUND) };
    write(&mut caller, value_at, &value.to_le_bytes())?;
    Ok(OK)
}

fn record_metric(mut caller: Caller<'_, State>, id: u32, value: u64) -> Result<u32> {
    enter(&mut caller, "proxy_record_metric")?;
    let known = caller.data().shared.metrics.borrow_mut().record(id, value);
    Ok(if known { OK } else { NOT_FOUND })
}

fn increment_metric(mut caller: Caller<'_, State>, id: u32, offset: i64) -> Result<u32> {
    enter(&mut caller, "proxy_increment_metric")?;
    let known = caller.data().shared.metrics.borrow_mut().add(id, offset);
    Ok(if known { OK } else { NOT_FOUND })
}
