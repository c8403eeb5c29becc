//! The few WASI calls a Rust library without files and threads imports. Real gateways have little more.

use wasmtime::{Caller, Linker, Result};

use crate::guest::{read_text, trap, write, write_u32};
use crate::state::State;

const MODULE: &str = "wasi_snapshot_preview1";
const SUCCESS: u32 = 0;
const BAD_FILE: u32 = 8;
const BAD_ARGUMENT: u32 = 28;

/// Names of what [`link`] defines: together with the host calls, all a module may import.
pub const WASI_CALLS: [&str; 6] =
    ["fd_write", "random_get", "clock_time_get", "environ_get", "environ_sizes_get", "proc_exit"];

pub(crate) fn link(linker: &mut Linker<State>) -> Result<()> {
    linker.func_wrap(MODULE, "fd_write", fd_write)?;
    linker.func_wrap(MODULE, "random_get", random_get)?;
    linker.func_wrap(MODULE, "clock_time_get", clock_time_get)?;
    linker.func_wrap(MODULE, "environ_get", |_: u32, _: u32| SUCCESS)?;
    linker.func_wrap(MODULE, "environ_sizes_get", environ_sizes_get)?;
    linker
        .func_wrap(MODULE, "proc_exit", |code: u32| -> Result<()> { Err(trap(format!("exit({code})"))) })?;
    Ok(())
}

/// Standard output and error become log lines: a panic's message arrives here.
fn fd_write(mut caller: Caller<'_, State>, fd: u32, vectors: u32, count: u32, written: u32) -> Result<u32> {
    if fd != 1 && fd != 2 {
        return Ok(BAD_FILE);
    }
    let mut text = String::new();
    for index in 0..count.min(1024) {
        let word = |caller: &mut Caller<'_, State>, at: u32| -> Result<u32> {
            let bytes = crate::guest::read(caller, at, 4)?;
            Ok(u32::from_le_bytes(bytes.try_into().map_err(|_| trap("short read"))?))
        };
        let pointer = word(&mut caller, vectors + index * 8)?;
        let length = word(&mut caller, vectors + index * 8 + 4)?;
        text.push_str(&read_text(&mut caller, pointer, length)?);
    }
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    caller.data().log(if fd == 1 { 2 } else { 4 }, text);
    write_u32(&mut caller, written, length)?;
    Ok(SUCCESS)
}

/// A fixed sequence: tests repeat, and no gateway promises that these bytes are unpredictable.
fn random_get(mut caller: Caller<'_, State>, pointer: u32, length: u32) -> Result<u32> {
    let mut bytes = Vec::with_capacity(length as usize);
    while bytes.len() < length as usize {
        let state = caller.data_mut();
        state.random ^= state.random << 13;
        state.random ^= state.random >> 7;
        state.random ^= state.random << 17;
        bytes.extend(state.random.to_le_bytes());
    }
    bytes.truncate(length as usize);
    write(&mut caller, pointer, &bytes)?;
    Ok(SUCCESS)
}

fn clock_time_get(mut caller: Caller<'_, State>, clock: u32, _: u64, pointer: u32) -> Result<u32> {
    if clock > 1 {
        return Ok(BAD_ARGUMENT);
    }
    let shared = &caller.data().shared;
    let now = if clock == 0 { shared.now.get() } else { shared.uptime.get() };
    write(&mut caller, pointer, &now.to_le_bytes())?;
    Ok(SUCCESS)
}

fn environ_sizes_get(mut caller: Caller<'_, State>, count: u32, size: u32) -> Result<u32> {
    write_u32(&mut caller, count, 0)?;
    write_u32(&mut caller, size, 0)?;
    Ok(SUCCESS)
}
