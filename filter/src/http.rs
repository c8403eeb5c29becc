//! One request: gives the core what it asks for and carries out what it decides.

use std::rc::Rc;

use app_auth_core::config::Config;
use app_auth_core::gate::{Gate, Hide, HostTraits, Outcome, Request};
use app_auth_core::identity::{Forged, Identity, IdentityHeader, IdentityHeaders};
use app_auth_core::ids::ServiceId;
use app_auth_core::refusal::{Refusal, Unavailable, printable_request_id};
use app_auth_core::request::headers::{self, HeaderMap, same_name};
use app_auth_core::request::{body, query};
use app_auth_core::state::table::Reader;
use app_auth_core::request::Body;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use crate::host::{self, Level, Refused, Zone};
use crate::worker::{UPSTREAM_URI, Worker};

pub struct HttpFilter {
    config: Option<Rc<Config>>,
    waits_for_body: bool,
    /// The request's real target on the host that cannot be told to pause; see [`HttpFilter::hold`].
    held_target: Option<Vec<u8>>,
}

/// A target that nginx cannot proxy to: it answers 500 before it connects.
const NOWHERE: &[u8] = b":undecided";

/// Longest body that nginx keeps in memory by default, in bytes. A longer one sits in a file, where it cannot be read.
const NGINX_BODY_MAX: u64 = 8 << 10;

impl Context for HttpFilter {}

impl HttpContext for HttpFilter {
    fn on_http_request_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        let traits = Worker::with(Worker::host_traits);
        match self.decide(traits, |headers| {
            // One host never says that a request ends with its headers, and calls back only where there is a body.
            let may_follow =
                if traits.removes_headers { !end_of_stream } else { announces_readable_body(headers) };
            if may_follow { Body::Unread } else { Body::Absent }
        }) {
            Next::Proceed => Action::Continue,
            Next::Answered => Action::Pause,
            Next::AwaitBody => {
                self.waits_for_body = true;
                if traits.removes_headers { Action::Pause } else { self.hold() }
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
        if let Some(target) = self.held_target.take()
            && host::set_property(UPSTREAM_URI, &target).is_err()
        {
            self.refuse(&Unavailable::Host.into(), None, traits);
            return Action::Pause;
        }
        let bytes = if size <= body::MAX { host::request_body(size) } else { None };
        match self.decide(traits, |_| bytes.as_deref().map_or(Body::Absent, Body::Read)) {
            Next::Proceed => Action::Continue,
            Next::Answered | Next::AwaitBody => Action::Pause,
        }
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
        Self { config, waits_for_body: false, held_target: None }
    }

    /// Waits for the body on the host that reads it before it goes on anyway, and that would wait for ever if told to
    /// pause. Should it skip the body's callback, the request must not have been let through: until it is decided it
    /// leads nowhere.
    fn hold(&mut self) -> Action {
        let target = host::property(UPSTREAM_URI);
        if target.is_some() && host::set_property(UPSTREAM_URI, NOWHERE).is_ok() {
            self.held_target = target;
            return Action::Continue;
        }
        self.refuse(&Unavailable::Host.into(), None, Worker::with(Worker::host_traits));
        Action::Pause
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
                return match rewrite(&headers, None, None, Body::Absent, traits) {
                    Ok(()) => Next::AwaitBody,
                    Err(Refused) => self.refuse(&Unavailable::Host.into(), Some(&headers), traits),
                };
            }
            Outcome::Refuse(refusal) => return self.refuse(refusal, Some(&headers), traits),
            Outcome::Exempt => rewrite(&headers, None, None, request.body, traits),
            Outcome::Allow { identity, hide } => {
                rewrite(&headers, Some(identity), hide.as_ref(), request.body, traits)
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

/// Whether the headers announce a body that nginx will show.
fn announces_readable_body(headers: &HeaderMap<'_>) -> bool {
    headers
        .first("content-length")
        .and_then(|length| std::str::from_utf8(length).ok())
        .and_then(|length| length.trim().parse::<u64>().ok())
        .is_some_and(|length| (1..=NGINX_BODY_MAX).contains(&length))
}

/// Makes the request what the upstream may see: no identity but ours, no key that is to be hidden.
fn rewrite(
    headers: &HeaderMap<'_>,
    identity: Option<&Identity>,
    hide: Option<&Hide>,
    body: Body<'_>,
    traits: HostTraits,
) -> Result<(), Refused> {
    let body_size = match hide.and_then(|hide| body_without(headers, hide, body)) {
        Some((old_size, rest)) => {
            host::replace_request_body(old_size, &rest)?;
            Some(rest.len().to_string())
        }
        None => None,
    };
    let identity = identity.map(Identity::headers);
    if traits.removes_headers {
        rewrite_at_once(headers, identity.as_ref(), hide, body_size.as_deref())
    } else {
        rewrite_one_by_one(headers, identity.as_ref(), hide)
    }
}

fn is_hidden(name: &[u8], hide: Option<&Hide>) -> bool {
    hide.is_some_and(|hide| same_name(name, hide.name.as_bytes()))
}

/// All headers in one call, which costs less than a call for each, and leaves no copy and no spelling behind.
fn rewrite_at_once(
    headers: &HeaderMap<'_>,
    identity: Option<&IdentityHeaders<'_>>,
    hide: Option<&Hide>,
    body_size: Option<&str>,
) -> Result<(), Refused> {
    if identity.is_none() && Forged::scan(headers).is_empty() {
        return Ok(());
    }
    let target = hide.and_then(|hide| query::target_without(headers.first(":path")?, &hide.name));
    let kept = headers
        .iter()
        .filter(|(name, _)| IdentityHeader::of(name).is_none() && !is_hidden(name, hide))
        .map(|(name, value)| match (name, &target, body_size) {
            (b":path", Some(target), _) => (name, target.as_slice()),
            (b"content-length", _, Some(size)) => (name, size.as_bytes()),
            _ => (name, value),
        });
    let ours = identity.into_iter().flat_map(IdentityHeaders::iter);
    host::set_headers(&headers::serialize(
        kept.chain(ours.map(|(header, value)| (header.name().as_bytes(), value))),
    ))
}

/// For the host on which removing does not reach the upstream, so that what must not be seen is set empty.
fn rewrite_one_by_one(
    headers: &HeaderMap<'_>,
    identity: Option<&IdentityHeaders<'_>>,
    hide: Option<&Hide>,
) -> Result<(), Refused> {
    for (name, _) in
        headers.iter().filter(|(name, _)| IdentityHeader::of(name).is_some() || is_hidden(name, hide))
    {
        host::set_header(name, b"")?;
    }
    for (header, value) in identity.into_iter().flat_map(IdentityHeaders::iter) {
        host::set_header(header.name().as_bytes(), value)?;
    }
    let uri = hide.and_then(|hide| query::target_without(&host::property(UPSTREAM_URI)?, &hide.name));
    uri.map_or(Ok(()), |uri| host::set_property(UPSTREAM_URI, &uri))
}

/// The size of the body and what it is without the key, if the key is in it.
fn body_without(headers: &HeaderMap<'_>, hide: &Hide, body: Body<'_>) -> Option<(usize, Vec<u8>)> {
    let Body::Read(bytes) = body else { return None };
    let kind = headers.first("content-type").and_then(body::Kind::of).filter(|_| hide.in_body)?;
    Some((bytes.len(), kind.without(bytes, &hide.name)?))
}
