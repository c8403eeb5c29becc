//! One request: gives the core what it asks for and carries out what it decides.

use std::rc::Rc;

use app_auth_core::config::Config;
use app_auth_core::gate::{Gate, Hide, HostTraits, Outcome, Request};
use app_auth_core::identity::{Forged, Identity, IdentityHeader};
use app_auth_core::ids::ServiceId;
use app_auth_core::refusal::{Refusal, Unavailable, printable_request_id};
use app_auth_core::request::headers::{self, HeaderMap, same_name};
use app_auth_core::request::{body, query};
use app_auth_core::state::table::Reader;
use app_auth_core::strategy::key_auth::Body;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use crate::host::{self, Level, Refused, Zone};
use crate::worker::{UPSTREAM_URI, Worker};

pub struct HttpFilter {
    config: Option<Rc<Config>>,
    waits_for_body: bool,
}

impl Context for HttpFilter {}

impl HttpContext for HttpFilter {
    fn on_http_request_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        let traits = Worker::with(Worker::host_traits);
        match self.decide(traits, |headers| {
            // One host never says that a request ends with its headers, and calls back only where there is a body.
            let may_follow = if traits.removes_headers { !end_of_stream } else { announces_body(headers) };
            if may_follow { Body::Unread } else { Body::Absent }
        }) {
            Next::Proceed => Action::Continue,
            Next::Answered => Action::Pause,
            Next::AwaitBody => {
                self.waits_for_body = true;
                // One host reads the body before it goes on anyway, and would wait for ever if told to pause.
                if traits.removes_headers { Action::Pause } else { Action::Continue }
            }
        }
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        if !self.waits_for_body {
            return Action::Continue;
        }
        let traits = Worker::with(Worker::host_traits);
        if traits.removes_headers && !end_of_stream && size <= body::MAX {
            return Action::Pause;
        }
        self.waits_for_body = false;
        let bytes = if size <= body::MAX { host::request_body(size) } else { None };
        match self.decide(traits, |_| bytes.as_deref().map_or(Body::Absent, Body::Read)) {
            Next::Proceed => Action::Continue,
            Next::Answered | Next::AwaitBody => Action::Pause,
        }
    }

    fn on_http_response_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        if self.waits_for_body {
            host::log(
                Level::Critical,
                "app_auth: the host skipped the body of a request that was not decided yet",
            );
            Worker::with(|worker| worker.count(503, "undecided"));
        }
        Action::Continue
    }
}

/// What happens to the request now.
enum Next {
    Proceed,
    Answered,
    AwaitBody,
}

impl HttpFilter {
    pub const fn new(config: Option<Rc<Config>>) -> Self {
        Self { config, waits_for_body: false }
    }

    fn decide<'b>(&self, traits: HostTraits, body: impl FnOnce(&HeaderMap<'_>) -> Body<'b>) -> Next {
        let block = host::request_headers().map(with_target);
        let headers = block.as_deref().and_then(HeaderMap::parse);
        let (Some(headers), Some(config)) = (headers, self.config.as_deref()) else {
            let cause = if headers.is_none() { Unavailable::Host } else { Unavailable::Misconfigured };
            return self.refuse(&cause.into(), headers.as_ref(), traits);
        };
        let request = Request {
            body: body(&headers),
            service: config.service.or_else(routed_service),
            headers,
            host: traits,
        };
        let outcome = Worker::with(|worker| {
            let gate =
                Gate { reader: Reader::new(&Zone), config, policies: &worker.policies, now: host::now };
            let outcome = gate.decide(&request);
            worker.torn_reads.set(worker.torn_reads.get() + gate.reader.torn_reads());
            outcome
        });
        let done = match &outcome {
            Outcome::NeedsBody => {
                // Nothing forged gets further, whatever the host makes of the body.
                return match set_identity(&headers, None, traits) {
                    Ok(()) => Next::AwaitBody,
                    Err(Refused) => self.refuse(&Unavailable::Host.into(), Some(&headers), traits),
                };
            }
            Outcome::Refuse(refusal) => return self.refuse(refusal, Some(&headers), traits),
            Outcome::Exempt => set_identity(&headers, None, traits),
            Outcome::Allow { identity, hide } => {
                let hidden =
                    hide.as_ref().map_or(Ok(()), |hide| hide_key(&headers, hide, request.body, traits));
                hidden.and_then(|()| set_identity(&headers, Some(identity), traits))
            }
        };
        match done {
            Ok(()) => {
                Worker::with(|worker| worker.allowed.set(worker.allowed.get() + 1));
                Next::Proceed
            }
            // What could not be hidden or set must not reach the upstream.
            Err(Refused) => self.refuse(&Unavailable::Host.into(), Some(&headers), traits),
        }
    }

    fn refuse(&self, refusal: &Refusal, headers: Option<&HeaderMap<'_>>, traits: HostTraits) -> Next {
        let header = |name| headers.and_then(|headers| headers.first(name));
        let nginx = !traits.removes_headers;
        let id = if nginx { host::property("ngx\0kong_request_id") } else { host::property("request\0id") };
        let id = printable_request_id(&id.unwrap_or_default());
        let reason_header = self.config.as_ref().is_some_and(|config| config.deny_reason_header);
        let mut response = refusal.response(header("accept"), header("content-type"), &id, reason_header);
        if response.grpc_status.is_some() && !nginx {
            // Envoy makes the gRPC answer itself, from the status code and the body.
            refusal.message().clone_into(&mut response.body);
            response.headers.retain(|(name, _)| !name.starts_with("grpc-"));
        }
        Worker::with(|worker| {
            worker.count(refusal.status(), refusal.code());
            if matches!(refusal, Refusal::Unavailable(Unavailable::Lost | Unavailable::Torn)) {
                worker.damaged.set(true);
            }
        });
        // nginx would take the details for the reason phrase of the status line.
        let details = if nginx { "" } else { refusal.code() };
        if host::respond(&response, details).is_err() {
            host::log(Level::Critical, "app_auth: the host does not send an answer");
        }
        Next::Answered
    }
}

/// The headers with method and target among them, wherever the host leaves them out of the list.
fn with_target(block: Vec<u8>) -> Vec<u8> {
    let Some(headers) = HeaderMap::parse(&block).filter(|headers| headers.first(":path").is_none()) else {
        return block;
    };
    let target: Vec<_> = [":method", ":path"]
        .into_iter()
        .filter_map(|name| Some((name, host::request_header(name)?)))
        .collect();
    let target = target.iter().map(|(name, value)| (name.as_bytes(), value.as_slice()));
    headers::serialize(target.chain(headers.iter()))
}

/// The service that Kong routed to. Read in the request phases only: elsewhere a first read ends Kong's worker.
fn routed_service() -> Option<ServiceId> {
    let id = host::property("kong\0service_id")?;
    std::str::from_utf8(&id).ok()?.parse().ok()
}

/// Whether the headers announce a body of known length.
fn announces_body(headers: &HeaderMap<'_>) -> bool {
    headers
        .first("content-length")
        .and_then(|length| std::str::from_utf8(length).ok())
        .and_then(|length| length.trim().parse::<u64>().ok())
        .is_some_and(|length| length > 0)
}

/// Replaces whatever identity the client claimed.
fn set_identity(
    headers: &HeaderMap<'_>,
    identity: Option<&Identity>,
    traits: HostTraits,
) -> Result<(), Refused> {
    let forged = Forged::scan(headers);
    for name in forged.names() {
        clear_header(name, traits)?;
    }
    let mut result = Ok(());
    if let Some(identity) = identity {
        identity.for_each_header(|header: IdentityHeader, value| {
            let name = header.name().as_bytes();
            // Adding is cheaper, but right only where no copy is left.
            let set = if traits.removes_headers { host::add_header } else { host::set_header };
            result = result.and_then(|()| set(name, value));
        });
    }
    result
}

/// Keeps a header from the upstream; where removing would not reach it, by leaving it empty.
fn clear_header(name: &[u8], traits: HostTraits) -> Result<(), Refused> {
    if traits.removes_headers { host::remove_header(name) } else { host::set_header(name, b"") }
}

/// Takes the key out of the request, wherever a key of that name may stand.
fn hide_key(headers: &HeaderMap<'_>, hide: &Hide, body: Body<'_>, traits: HostTraits) -> Result<(), Refused> {
    for (name, _) in headers.iter().filter(|(name, _)| same_name(name, hide.name.as_bytes())) {
        clear_header(name, traits)?;
    }
    if traits.removes_headers {
        if let Some(path) = headers.first(":path").and_then(|path| query::target_without(path, &hide.name)) {
            host::set_header(b":path", &path)?;
        }
    } else if let Some(uri) =
        host::property(UPSTREAM_URI).and_then(|uri| query::target_without(&uri, &hide.name))
    {
        host::set_property(UPSTREAM_URI, &uri)?;
    }
    let Body::Read(bytes) = body else { return Ok(()) };
    let kind = headers.first("content-type").and_then(body::Kind::of).filter(|_| hide.in_body);
    if let Some(rest) = kind.and_then(|kind| kind.without(bytes, &hide.name)) {
        host::replace_request_body(bytes.len(), &rest)?;
        if traits.removes_headers && headers.first("content-length").is_some() {
            host::set_header(b"content-length", rest.len().to_string().as_bytes())?;
        }
    }
    Ok(())
}
