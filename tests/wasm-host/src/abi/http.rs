//! Headers, buffers, properties and local responses.

use wasmtime::{Caller, Linker, Result};

use super::{BAD_ARGUMENT, NOT_FOUND, OK, enter};
use crate::guest::{give, read, read_text, trap};
use crate::headers::Headers;
use crate::request::LocalResponse;
use crate::state::{Exchange, Phase, State};

const REQUEST_HEADERS: u32 = 0;
const RESPONSE_HEADERS: u32 = 2;
const CALL_RESPONSE_HEADERS: u32 = 6;

const REQUEST_BODY: u32 = 0;
const RESPONSE_BODY: u32 = 1;
const CALL_RESPONSE_BODY: u32 = 4;
const VM_CONFIGURATION: u32 = 6;
const PLUGIN_CONFIGURATION: u32 = 7;

pub(super) fn link(linker: &mut Linker<State>) -> Result<()> {
    linker.func_wrap("env", "proxy_get_header_map_pairs", get_pairs)?;
    linker.func_wrap("env", "proxy_get_header_map_value", get_value)?;
    linker.func_wrap("env", "proxy_remove_header_map_value", remove_value)?;
    linker.func_wrap("env", "proxy_replace_header_map_value", replace_value)?;
    linker.func_wrap("env", "proxy_add_header_map_value", add_value)?;
    linker.func_wrap("env", "proxy_set_header_map_pairs", set_map)?;
    linker.func_wrap("env", "proxy_get_buffer_bytes", get_buffer)?;
    linker.func_wrap("env", "proxy_set_buffer_bytes", set_buffer)?;
    linker.func_wrap("env", "proxy_get_property", get_property)?;
    linker.func_wrap("env", "proxy_set_property", set_property)?;
    linker.func_wrap("env", "proxy_send_local_response", send_local_response)?;
    linker.func_wrap("env", "proxy_continue_stream", continue_stream)?;
    linker.func_wrap("env", "proxy_close_stream", |_: u32| OK)?;
    Ok(())
}

fn continue_stream(mut caller: Caller<'_, State>, stream: u32) -> Result<u32> {
    const REQUEST: u32 = 0;
    enter(&mut caller, "proxy_continue_stream")?;
    if stream == REQUEST {
        exchange(&mut caller)?.resumed = true;
    }
    Ok(OK)
}

/// The request of the context whose turn it is. A root context has none.
fn exchange<'a>(caller: &'a mut Caller<'_, State>) -> Result<&'a mut Exchange> {
    let state = caller.data_mut();
    if state.is_root() {
        return Err(trap("a root context has no request"));
    }
    state.exchange.as_mut().ok_or_else(|| trap("there is no request"))
}

/// The map as the filter sees it, pseudo headers first.
fn map(caller: &mut Caller<'_, State>, kind: u32) -> Result<Headers> {
    match kind {
        REQUEST_HEADERS => {
            let exchange = exchange(caller)?;
            let mut all = exchange.pseudo.clone();
            all.0.extend(exchange.seen.0.iter().cloned());
            Ok(all)
        }
        RESPONSE_HEADERS => Ok(exchange(caller)?.response.clone()),
        CALL_RESPONSE_HEADERS => {
            Ok(caller.data().answer.as_ref().map(|answer| answer.headers.clone()).unwrap_or_default())
        }
        _ => Ok(Headers::default()),
    }
}

fn get_pairs(mut caller: Caller<'_, State>, kind: u32, pointer_at: u32, length_at: u32) -> Result<u32> {
    enter(&mut caller, "proxy_get_header_map_pairs")?;
    let mut headers = map(&mut caller, kind)?;
    if caller.data().shared.quirks.map_without_pseudo_headers {
        headers.0.retain(|(name, _)| !name.starts_with(b":"));
    }
    if let Some(cap) = caller.data().shared.quirks.header_cap {
        headers.0.truncate(cap);
    }
    give(&mut caller, &headers.to_wire(), pointer_at, length_at)?;
    Ok(OK)
}

fn get_value(
    mut caller: Caller<'_, State>,
    kind: u32,
    name: u32,
    name_length: u32,
    pointer_at: u32,
    length_at: u32,
) -> Result<u32> {
    enter(&mut caller, "proxy_get_header_map_value")?;
    let name = read(&mut caller, name, name_length)?;
    let headers = map(&mut caller, kind)?;
    let Some(value) = headers.first(&name) else { return Ok(NOT_FOUND) };
    give(&mut caller, value, pointer_at, length_at)?;
    Ok(OK)
}

fn remove_value(mut caller: Caller<'_, State>, kind: u32, name: u32, name_length: u32) -> Result<u32> {
    enter(&mut caller, "proxy_remove_header_map_value")?;
    let name = read(&mut caller, name, name_length)?;
    let stays = caller.data().shared.quirks.removal_stays_upstream;
    let exchange = exchange(&mut caller)?;
    match kind {
        REQUEST_HEADERS => {
            exchange.seen.remove(&name);
            if !stays {
                exchange.upstream.remove(&name);
            }
        }
        RESPONSE_HEADERS => exchange.response.remove(&name),
        _ => return Ok(BAD_ARGUMENT),
    }
    Ok(OK)
}

fn replace_value(
    mut caller: Caller<'_, State>,
    kind: u32,
    name: u32,
    name_length: u32,
    value: u32,
    value_length: u32,
) -> Result<u32> {
    enter(&mut caller, "proxy_replace_header_map_value")?;
    let name = read(&mut caller, name, name_length)?;
    let value = read(&mut caller, value, value_length)?;
    check_header(&name, &value);
    let quirks = caller.data().shared.quirks.clone();
    let exchange = exchange(&mut caller)?;
    match kind {
        REQUEST_HEADERS if name.starts_with(b":") => {
            if name == b":path" && !quirks.path_by_property {
                exchange.upstream_uri = String::from_utf8_lossy(&value).into_owned();
            }
            exchange.pseudo.replace(&name, &value, &quirks);
        }
        REQUEST_HEADERS => {
            exchange.seen.replace(&name, &value, &quirks);
            exchange.upstream.replace(&name, &value, &quirks);
        }
        RESPONSE_HEADERS => exchange.response.replace(&name, &value, &quirks),
        _ => return Ok(BAD_ARGUMENT),
    }
    Ok(OK)
}

/// Replaces the whole map. Not known of the host on which removing does not reach the upstream, so a failure there.
fn set_map(mut caller: Caller<'_, State>, kind: u32, data: u32, length: u32) -> Result<u32> {
    enter(&mut caller, "proxy_set_header_map_pairs")?;
    let wire = read(&mut caller, data, length)?;
    let headers = Headers::from_wire(&wire).ok_or_else(|| trap("not a header map"))?;
    if kind != REQUEST_HEADERS || caller.data().shared.quirks.removal_stays_upstream {
        return Ok(BAD_ARGUMENT);
    }
    let exchange = exchange(&mut caller)?;
    let mut real = Headers::default();
    exchange.pseudo = Headers::default();
    for (name, value) in &headers.0 {
        check_header(name, value);
        let name = name.to_ascii_lowercase();
        if name == b":path" {
            exchange.upstream_uri = String::from_utf8_lossy(value).into_owned();
        }
        if name.starts_with(b":") { exchange.pseudo.push(&name, value) } else { real.push(&name, value) }
    }
    for name in [":method", ":path", ":authority"] {
        assert_eq!(exchange.pseudo.all(name).len(), 1, "a request needs exactly one {name}");
    }
    exchange.seen = real.clone();
    exchange.upstream = real;
    Ok(OK)
}

fn add_value(
    mut caller: Caller<'_, State>,
    kind: u32,
    name: u32,
    name_length: u32,
    value: u32,
    value_length: u32,
) -> Result<u32> {
    enter(&mut caller, "proxy_add_header_map_value")?;
    let name = read(&mut caller, name, name_length)?;
    let value = read(&mut caller, value, value_length)?;
    check_header(&name, &value);
    let exchange = exchange(&mut caller)?;
    match kind {
        REQUEST_HEADERS => {
            exchange.seen.push(&name, &value);
            exchange.upstream.push(&name, &value);
        }
        RESPONSE_HEADERS => exchange.response.push(&name, &value),
        _ => return Ok(BAD_ARGUMENT),
    }
    Ok(OK)
}

/// A line break in a header is request or response splitting: no test may pass over it.
fn check_header(name: &[u8], value: &[u8]) {
    let broken = |bytes: &[u8]| bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0));
    assert!(!name.is_empty() && !broken(name), "header name {:?}", String::from_utf8_lossy(name));
    assert!(!broken(value), "header value {:?}", String::from_utf8_lossy(value));
}

fn get_buffer(
    mut caller: Caller<'_, State>,
    kind: u32,
    start: u32,
    length: u32,
    pointer_at: u32,
    length_at: u32,
) -> Result<u32> {
    enter(&mut caller, "proxy_get_buffer_bytes")?;
    let bytes = match kind {
        REQUEST_BODY => {
            let exchange = exchange(&mut caller)?;
            if !exchange.body_readable {
                return Ok(NOT_FOUND);
            }
            exchange.body.clone()
        }
        RESPONSE_BODY => exchange(&mut caller)?.response_body.clone(),
        CALL_RESPONSE_BODY => match &caller.data().answer {
            Some(answer) => answer.body.clone(),
            None => return Ok(NOT_FOUND),
        },
        VM_CONFIGURATION => Vec::new(),
        PLUGIN_CONFIGURATION => {
            let state = caller.data();
            state.configurations.get(&state.context).cloned().unwrap_or_default()
        }
        _ => return Ok(NOT_FOUND),
    };
    let start = (start as usize).min(bytes.len());
    let end = start.saturating_add(length as usize).min(bytes.len());
    give(&mut caller, &bytes[start..end], pointer_at, length_at)?;
    Ok(OK)
}

fn set_buffer(
    mut caller: Caller<'_, State>,
    kind: u32,
    start: u32,
    length: u32,
    data: u32,
    data_length: u32,
) -> Result<u32> {
    enter(&mut caller, "proxy_set_buffer_bytes")?;
    let data = read(&mut caller, data, data_length)?;
    let exchange = exchange(&mut caller)?;
    let buffer = match kind {
        REQUEST_BODY => &mut exchange.body,
        RESPONSE_BODY => &mut exchange.response_body,
        _ => return Ok(BAD_ARGUMENT),
    };
    let start = (start as usize).min(buffer.len());
    let end = start.saturating_add(length as usize).min(buffer.len());
    buffer.splice(start..end, data);
    Ok(OK)
}

/// Kong takes dots for separators, Envoy does not.
fn property_name(path: &str, dots: bool) -> String {
    if dots { path.replace('\0', ".") } else { path.replace('.', "\u{fffd}").replace('\0', ".") }
}

fn get_property(
    mut caller: Caller<'_, State>,
    path: u32,
    path_length: u32,
    pointer_at: u32,
    length_at: u32,
) -> Result<u32> {
    enter(&mut caller, "proxy_get_property")?;
    let path = read_text(&mut caller, path, path_length)?;
    let state = caller.data_mut();
    let quirks = &state.shared.quirks;
    let name = property_name(&path, quirks.kong_properties);
    if name.starts_with("kong.") && quirks.late_kong_property_crashes && state.phase != Phase::RequestHeaders
    {
        let read_before =
            state.exchange.as_ref().is_some_and(|exchange| exchange.kong_properties_read.contains(&name));
        assert!(read_before, "the worker crashes: first read of {name} in {:?}", state.phase);
    }
    let found = if state.is_root() {
        (name == "plugin_root_id").then(|| b"app_auth".to_vec())
    } else {
        let Some(exchange) = state.exchange.as_mut() else { return Ok(NOT_FOUND) };
        exchange.kong_properties_read.insert(name.clone());
        match name.as_str() {
            "ngx.upstream_uri" if state.shared.quirks.path_by_property => {
                Some(exchange.upstream_uri.clone().into_bytes())
            }
            _ => exchange.properties.get(&name).cloned(),
        }
    };
    let Some(value) = found else { return Ok(NOT_FOUND) };
    give(&mut caller, &value, pointer_at, length_at)?;
    Ok(OK)
}

fn set_property(
    mut caller: Caller<'_, State>,
    path: u32,
    path_length: u32,
    value: u32,
    value_length: u32,
) -> Result<u32> {
    const KONG_SETTABLE: [&str; 3] =
        ["kong.ctx.shared.", "kong.service.target", "kong.service.request.scheme"];
    enter(&mut caller, "proxy_set_property")?;
    let path = read_text(&mut caller, path, path_length)?;
    let value = read(&mut caller, value, value_length)?;
    let quirks = caller.data().shared.quirks.clone();
    let name = property_name(&path, quirks.kong_properties);
    if name.starts_with("kong.")
        && quirks.unknown_kong_property_traps
        && !KONG_SETTABLE.iter().any(|known| name.starts_with(known))
    {
        return Err(trap(format!("{name} cannot be set")));
    }
    if name.starts_with("ngx.") && quirks.kong_properties && name != "ngx.upstream_uri" {
        return Ok(NOT_FOUND);
    }
    let exchange = exchange(&mut caller)?;
    if name == "ngx.upstream_uri" && quirks.path_by_property {
        exchange.upstream_uri = String::from_utf8_lossy(&value).into_owned();
    }
    exchange.properties_set.insert(name, value);
    Ok(OK)
}

#[expect(clippy::too_many_arguments, reason = "the ABI has them")]
fn send_local_response(
    mut caller: Caller<'_, State>,
    status: u32,
    _details: u32,
    _details_length: u32,
    body: u32,
    body_length: u32,
    headers: u32,
    headers_length: u32,
    grpc_status: i32,
) -> Result<u32> {
    enter(&mut caller, "proxy_send_local_response")?;
    let mut body = read(&mut caller, body, body_length)?;
    let wire = read(&mut caller, headers, headers_length)?;
    let Some(mut headers) = Headers::from_wire(&wire) else { return Ok(BAD_ARGUMENT) };
    headers.0.iter().for_each(|(name, value)| check_header(name, value));
    let phase = caller.data().phase;
    if !matches!(phase, Phase::RequestHeaders | Phase::RequestBody | Phase::CallResponse) {
        return Err(trap(format!("a local response in {phase:?}")));
    }
    let quirks = caller.data().shared.quirks.clone();
    if quirks.local_body_newline && !body.is_empty() {
        body.push(b'\n');
    }
    if quirks.local_last_header_wins {
        let all = std::mem::take(&mut headers.0);
        for (index, (name, value)) in all.iter().enumerate() {
            if !all[index + 1..].iter().any(|(later, _)| later.eq_ignore_ascii_case(name)) {
                headers.push(name, value);
            }
        }
    }
    let exchange = exchange(&mut caller)?;
    if exchange.local.is_some() {
        return Err(trap("a second local response"));
    }
    let response = LocalResponse { status, headers, body, grpc_status };
    let is_grpc =
        exchange.seen.first(b"content-type").is_some_and(|kind| kind.starts_with(b"application/grpc"));
    let by_host = is_grpc && !quirks.grpc_answers_are_plain;
    exchange.local = Some(if by_host { grpc_answer(response) } else { response });
    Ok(OK)
}

/// What Envoy makes of a local response to a gRPC request: status 200, the code and the body as headers.
fn grpc_answer(mut response: LocalResponse) -> LocalResponse {
    let code = match (response.grpc_status, response.status) {
        (code @ 0.., _) => code,
        (_, 400) => 13,
        (_, 401) => 16,
        (_, 403) => 7,
        (_, 404) => 12,
        (_, 429 | 502..=504) => 14,
        _ => 2,
    };
    let message = std::mem::take(&mut response.body);
    response.headers.remove(b"content-type");
    response.headers.push(b"content-type", b"application/grpc");
    response.headers.push(b"grpc-status", code.to_string().as_bytes());
    response.headers.push(b"grpc-message", &message);
    response.status = 200;
    response
}
