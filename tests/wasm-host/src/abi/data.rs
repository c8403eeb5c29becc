//! Shared data and calls out.

use std::time::Duration;

use wasmtime::{Caller, Linker, Result};

use super::{BAD_ARGUMENT, CAS_MISMATCH, INTERNAL_FAILURE, NOT_FOUND, OK, enter};
use crate::calls::HttpCall;
use crate::guest::{give, read, read_text, trap, write_u32};
use crate::headers::Headers;
use crate::state::{Phase, State};
use crate::zone::ZoneError;

pub(super) fn link(linker: &mut Linker<State>) -> Result<()> {
    linker.func_wrap("env", "proxy_get_shared_data", get_shared_data)?;
    linker.func_wrap("env", "proxy_set_shared_data", set_shared_data)?;
    linker.func_wrap("env", "proxy_http_call", http_call)?;
    Ok(())
}

fn get_shared_data(
    mut caller: Caller<'_, State>,
    key: u32,
    key_length: u32,
    value_at: u32,
    length_at: u32,
    cas_at: u32,
) -> Result<u32> {
    enter(&mut caller, "proxy_get_shared_data")?;
    let key = read(&mut caller, key, key_length)?;
    let found = caller.data().shared.zone.borrow_mut().get(&key);
    match found {
        Ok(Some((value, cas))) => {
            give(&mut caller, &value, value_at, length_at)?;
            write_u32(&mut caller, cas_at, cas)?;
            Ok(OK)
        }
        Ok(None) => Ok(NOT_FOUND),
        Err(error) => Err(trap(format!("shared data: {error:?}"))),
    }
}

fn set_shared_data(
    mut caller: Caller<'_, State>,
    key: u32,
    key_length: u32,
    value: u32,
    length: u32,
    cas: u32,
) -> Result<u32> {
    enter(&mut caller, "proxy_set_shared_data")?;
    let key = read(&mut caller, key, key_length)?;
    let bytes = if value == 0 { None } else { Some(read(&mut caller, value, length)?) };
    let result = caller.data().shared.zone.borrow_mut().set(&key, bytes.as_deref(), cas);
    match result {
        Ok(()) => Ok(OK),
        Err(ZoneError::CasMismatch) => Ok(CAS_MISMATCH),
        Err(error) => Err(trap(format!("shared data: {error:?}"))),
    }
}

#[expect(clippy::too_many_arguments, reason = "the ABI has them")]
fn http_call(
    mut caller: Caller<'_, State>,
    upstream: u32,
    upstream_length: u32,
    headers: u32,
    headers_length: u32,
    body: u32,
    body_length: u32,
    _trailers: u32,
    _trailers_length: u32,
    timeout: u32,
    token_at: u32,
) -> Result<u32> {
    enter(&mut caller, "proxy_http_call")?;
    refuse_wrong_phase(caller.data())?;
    let upstream = read_text(&mut caller, upstream, upstream_length)?;
    let wire = read(&mut caller, headers, headers_length)?;
    let body = read(&mut caller, body, body_length)?;
    let Some(headers) = Headers::from_wire(&wire) else { return Ok(BAD_ARGUMENT) };
    let complete = [":method", ":path", ":authority"]
        .iter()
        .all(|name| headers.first(name.as_bytes()).is_some_and(|value| !value.is_empty()));
    let state = caller.data();
    if !complete {
        if state.shared.quirks.dispatch_needs_pseudo_headers_or_traps {
            return Err(trap("a dispatch without :method, :path and :authority"));
        }
        return Ok(BAD_ARGUMENT);
    }
    if upstream.is_empty() {
        return Ok(INTERNAL_FAILURE);
    }
    let shared = state.shared.clone();
    let token = shared.next_token.get();
    shared.next_token.set(token + 1);
    let call = HttpCall {
        worker: state.worker,
        generation: state.generation,
        context: state.context,
        token,
        since: Duration::from_nanos(shared.uptime.get()),
        timeout: Duration::from_millis(timeout.into()),
        upstream,
        headers,
        body,
    };
    shared.calls.borrow_mut().push(call);
    write_u32(&mut caller, token_at, token)?;
    Ok(OK)
}

fn refuse_wrong_phase(state: &State) -> Result<()> {
    let quirks = &state.shared.quirks;
    let starting = matches!(state.phase, Phase::VmStart | Phase::Configure);
    assert!(
        !(quirks.dispatch_at_start_crashes && starting),
        "the worker crashes: a dispatch in {:?}",
        state.phase
    );
    let late =
        matches!(state.phase, Phase::Create | Phase::ResponseHeaders | Phase::ResponseBody | Phase::Log);
    let in_root_answer = state.phase == Phase::CallResponse && state.is_root();
    assert!(
        !(quirks.dispatch_in_root_answer_crashes && (in_root_answer || late)),
        "the worker crashes: a dispatch in {:?}",
        state.phase
    );
    if state.dispatch_broken {
        return Err(trap("a dispatch from a tick right after a trap"));
    }
    Ok(())
}
