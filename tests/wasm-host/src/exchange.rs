//! Drives one request through an instance, from headers to log, as the gateway's phases do.

use crate::calls::Answer;
use crate::headers::Headers;
use crate::instance::{Instance, Trap};
use crate::quirks::Quirks;
use crate::request::{LocalResponse, Outcome, Request, UpstreamRequest, Verdict};
use crate::state::{Exchange, Phase, Shared};

const CONTINUE: u32 = 0;

/// How far a request got before its answer was settled.
enum Progress {
    /// The upstream has, or will get, these headers.
    Forwarded(UpstreamRequest),
    Answered(LocalResponse),
}

/// A request that no instance sees: let through where the gateway runs without its filters, 503 otherwise.
pub(crate) fn without_filter(shared: &Shared, request: &Request, open: bool) -> Outcome {
    let exchange = open_exchange(&shared.quirks, request);
    let verdict = if open {
        Verdict::Upstream(upstream_view(request, &exchange, request.body.concat()))
    } else {
        Verdict::Local(LocalResponse::of_gateway(503))
    };
    outcome(exchange, verdict, None, Vec::new())
}

pub(crate) fn run(
    shared: &Shared,
    instance: &mut Instance,
    root: u32,
    context: u32,
    request: &Request,
) -> Outcome {
    let first_log = shared.logs.borrow().len();
    instance.state().exchange = Some(open_exchange(&shared.quirks, request));
    let progress = request_phases(shared, instance, root, context, request);
    let (verdict, trap) = match progress {
        Ok(progress) => {
            let trap = response_phases(instance, context, &progress).err();
            let verdict = match progress {
                Progress::Forwarded(upstream) => Verdict::Upstream(upstream),
                Progress::Answered(local) => Verdict::Local(local),
            };
            (verdict, trap)
        }
        Err(trap) => (Verdict::Local(LocalResponse::of_gateway(500)), Some(trap)),
    };
    let exchange = instance.state().exchange.take().unwrap_or_default();
    let logs = shared.logs.borrow().iter().skip(first_log).map(|line| line.text.clone()).collect();
    outcome(exchange, verdict, trap, logs)
}

fn outcome(exchange: Exchange, verdict: Verdict, trap: Option<Trap>, logs: Vec<String>) -> Outcome {
    Outcome {
        verdict,
        trap,
        calls: exchange.calls,
        instructions: exchange.instructions,
        properties: exchange.properties_set,
        waited_for: exchange.waited_for,
        logs,
        response_headers: exchange.response,
    }
}

fn open_exchange(quirks: &Quirks, request: &Request) -> Exchange {
    let mut headers = Headers::default();
    if quirks.kong_properties {
        headers.push(b"Host", request.authority.as_bytes());
    }
    for (name, value) in &request.headers.0 {
        // No gateway takes a name that begins like a pseudo header from a client.
        let refused = name.starts_with(b":") || (name.contains(&b'_') && !quirks.underscores_accepted);
        if refused {
            continue;
        }
        let name = if quirks.keeps_header_case { name.clone() } else { name.to_ascii_lowercase() };
        headers.0.push((name, value.clone()));
    }
    let pseudo = [
        (":method", request.method.as_str()),
        (":path", &request.path),
        (":scheme", "http"),
        (":authority", &request.authority),
    ];
    Exchange {
        pseudo: pseudo.into_iter().collect(),
        seen: headers.clone(),
        upstream: headers,
        upstream_uri: request.upstream_uri.clone().unwrap_or_else(|| request.path.clone()),
        body_readable: true,
        properties: request.properties.clone(),
        ..Exchange::default()
    }
}

fn upstream_view(request: &Request, exchange: &Exchange, body: Vec<u8>) -> UpstreamRequest {
    UpstreamRequest {
        method: request.method.clone(),
        path: exchange.upstream_uri.clone(),
        headers: exchange.upstream.clone(),
        body,
    }
}

fn request_phases(
    shared: &Shared,
    instance: &mut Instance,
    root: u32,
    context: u32,
    request: &Request,
) -> Result<Progress, Trap> {
    let quirks = &shared.quirks;
    instance.call::<_, ()>("proxy_on_context_create", (context, root), Phase::Create, context)?;
    let headers = instance.state().exchange.as_ref().map_or(0, |e| e.pseudo.0.len() + e.seen.0.len());
    let told = match quirks.header_cap {
        Some(cap) if quirks.header_count_is_capped => headers.min(cap),
        _ => headers,
    };
    let told = u32::try_from(told).unwrap_or(u32::MAX);
    let last = request.body.is_empty() && !quirks.eof_never_in_headers;
    let phase = Phase::RequestHeaders;
    let action = instance.call::<_, u32>(
        "proxy_on_request_headers",
        (context, told, u32::from(last)),
        phase,
        context,
    )?;
    if let Some(local) = answered(instance) {
        return Ok(Progress::Answered(local));
    }
    let mut answers = request.answers.iter();
    let paused = action.unwrap_or(CONTINUE) != CONTINUE && !waits(shared, instance, context, &mut answers)?;
    if let Some(local) = answered(instance) {
        return Ok(Progress::Answered(local));
    }
    if quirks.body_in_one_call {
        refuse_to_hang(quirks, paused, "request headers");
        whole_body(shared, instance, context, request, &mut answers)
    } else {
        refuse_to_hang(quirks, paused && last, "request headers");
        body_in_chunks(shared, instance, context, request, &mut answers, paused)
    }
}

/// Lets a paused request have the answers to its calls. Whether it was let go on.
fn waits<'a>(
    shared: &Shared,
    instance: &mut Instance,
    context: u32,
    answers: &mut impl Iterator<Item = &'a Answer>,
) -> Result<bool, Trap> {
    loop {
        let mut calls = std::mem::take(&mut *shared.calls.borrow_mut());
        let own = calls.iter().position(|call| call.context == context).map(|index| calls.remove(index));
        *shared.calls.borrow_mut() = calls;
        let Some(call) = own else { return Ok(false) };
        let answer = answers.next().cloned().unwrap_or_else(Answer::failure);
        let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let parameters =
            (context, call.token, count(answer.headers.0.len()), count(answer.body.len()), 0_u32);
        instance.state().answer = Some(answer);
        let called =
            instance.call::<_, ()>("proxy_on_http_call_response", parameters, Phase::CallResponse, context);
        instance.state().answer = None;
        called?;
        let exchange = instance.state().exchange.as_mut();
        let done = exchange.is_some_and(|exchange| {
            exchange.waited_for.push(call);
            std::mem::take(&mut exchange.resumed) || exchange.local.is_some()
        });
        if done {
            return Ok(true);
        }
    }
}

fn refuse_to_hang(quirks: &Quirks, paused: bool, place: &str) {
    assert!(!(paused && quirks.pause_hangs), "the request hangs: Pause in {place} and nothing to wake it");
}

fn answered(instance: &mut Instance) -> Option<LocalResponse> {
    instance.state().exchange.as_ref().and_then(|exchange| exchange.local.clone())
}

fn forwarded(instance: &mut Instance, request: &Request, body: Vec<u8>) -> UpstreamRequest {
    let empty = Exchange::default();
    upstream_view(request, instance.state().exchange.as_ref().unwrap_or(&empty), body)
}

/// Kong: the body is read before anything is sent on, and shown once, if there is one.
fn whole_body<'a>(
    shared: &Shared,
    instance: &mut Instance,
    context: u32,
    request: &Request,
    answers: &mut impl Iterator<Item = &'a Answer>,
) -> Result<Progress, Trap> {
    let quirks = &shared.quirks;
    let body = request.body.concat();
    if body.is_empty() || quirks.body_callback_lost {
        return Ok(proxied(quirks, instance, request, body));
    }
    let readable = quirks.body_readable_max.is_none_or(|max| body.len() <= max);
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    if let Some(exchange) = &mut instance.state().exchange {
        exchange.body = body;
        exchange.body_readable = readable;
    }
    let phase = Phase::RequestBody;
    let action = instance.call::<_, u32>("proxy_on_request_body", (context, length, 1), phase, context)?;
    if let Some(local) = answered(instance) {
        return Ok(Progress::Answered(local));
    }
    let paused = action.unwrap_or(CONTINUE) != CONTINUE && !waits(shared, instance, context, answers)?;
    if let Some(local) = answered(instance) {
        return Ok(Progress::Answered(local));
    }
    refuse_to_hang(quirks, paused, "request body");
    let body = instance.state().exchange.as_mut().map(|e| std::mem::take(&mut e.body)).unwrap_or_default();
    Ok(proxied(quirks, instance, request, body))
}

/// nginx: a target that begins with a colon reads as a bad port, and is answered before anything is sent.
fn proxied(quirks: &Quirks, instance: &mut Instance, request: &Request, body: Vec<u8>) -> Progress {
    let upstream = forwarded(instance, request, body);
    let asked = request.upstream_uri.as_ref().unwrap_or(&request.path);
    if quirks.path_by_property && upstream.path.starts_with(':') && upstream.path != *asked {
        return Progress::Answered(LocalResponse::of_gateway(500));
    }
    Progress::Forwarded(upstream)
}

/// Envoy: headers go on as soon as the filter lets them; what it holds back is gathered.
fn body_in_chunks<'a>(
    shared: &Shared,
    instance: &mut Instance,
    context: u32,
    request: &Request,
    answers: &mut impl Iterator<Item = &'a Answer>,
    mut held: bool,
) -> Result<Progress, Trap> {
    let quirks = &shared.quirks;
    let mut sent = if held { None } else { Some(forwarded(instance, request, Vec::new())) };
    let mut body = Vec::new();
    let chunks = request.body.len();
    for (index, chunk) in request.body.iter().enumerate() {
        let last = index + 1 == chunks;
        let length = instance.state().exchange.as_mut().map_or(0, |exchange| {
            exchange.body.extend_from_slice(chunk);
            exchange.body.len()
        });
        let parameters = (context, u32::try_from(length).unwrap_or(u32::MAX), u32::from(last));
        let phase = Phase::RequestBody;
        let action = instance.call::<_, u32>("proxy_on_request_body", parameters, phase, context)?;
        held = action.unwrap_or(CONTINUE) != CONTINUE
            && (answered(instance).is_some() || !waits(shared, instance, context, answers)?);
        if let Some(local) = answered(instance)
            && sent.is_none()
        {
            return Ok(Progress::Answered(local));
        }
        refuse_to_hang(quirks, held && last, "request body");
        if !held {
            if sent.is_none() {
                sent = Some(forwarded(instance, request, Vec::new()));
            }
            if let Some(exchange) = &mut instance.state().exchange {
                body.append(&mut exchange.body);
            }
        }
    }
    let mut upstream = sent.unwrap_or_else(|| forwarded(instance, request, Vec::new()));
    upstream.body = body;
    Ok(Progress::Forwarded(upstream))
}

fn response_phases(instance: &mut Instance, context: u32, progress: &Progress) -> Result<(), Trap> {
    let headers = match progress {
        Progress::Forwarded(_) => [(":status", "200"), ("content-type", "text/plain")].into_iter().collect(),
        Progress::Answered(local) => local.headers.clone(),
    };
    let count = u32::try_from(headers.0.len()).unwrap_or(u32::MAX);
    if let Some(exchange) = &mut instance.state().exchange {
        exchange.response = headers;
        exchange.response_body = b"hello".to_vec();
    }
    let (at_headers, at_body) = (Phase::ResponseHeaders, Phase::ResponseBody);
    instance.call::<_, u32>("proxy_on_response_headers", (context, count, 0), at_headers, context)?;
    instance.call::<_, u32>("proxy_on_response_body", (context, 5, 1), at_body, context)?;
    instance.call::<_, ()>("proxy_on_log", context, Phase::Log, context)?;
    instance.call::<_, u32>("proxy_on_done", context, Phase::Log, context)?;
    instance.call::<_, ()>("proxy_on_delete", context, Phase::Log, context)?;
    Ok(())
}
