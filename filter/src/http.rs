//! One request: gives the core what it asks for, carries out what it decides, and waits where the core wants it to.

use std::rc::Rc;
use std::time::Duration;

use app_auth_core::config::Config;
use app_auth_core::gate::call::{Answer, Call, CallKey, Destination, Progress};
use app_auth_core::gate::{Decision, Gate, HostTraits, Outcome, Request};
use app_auth_core::ids::ServiceId;
use app_auth_core::refusal::{Refusal, Response, Unavailable, printable_request_id};
use app_auth_core::request::headers::{self, HeaderMap};
use app_auth_core::request::{Body, body};
use app_auth_core::state::table::Reader;
use app_auth_core::strategy::oauth2::is_token_endpoint;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use crate::host::{self, Level, Zone};
use crate::native::Native;
use crate::rewrite::{self, Change};
use crate::worker::{UPSTREAM_URI, Worker};

pub struct HttpFilter {
    config: Option<Rc<Config>>,
    waiting: Waiting,
    /// The request's real target on the host that cannot be told to pause; see [`HttpFilter::hold`].
    held_target: Option<Vec<u8>>,
    /// What was needed of the request before it began to wait, as the next: where it goes on, not everything may be read.
    seen: Option<Box<Seen>>,
    request_id: Option<String>,
}

/// What a request waits for.
enum Waiting {
    Nothing,
    Body,
    Call { token: u32, key: CallKey },
}

/// A request that has to wait, as it was.
struct Seen {
    headers: Vec<u8>,
    service: Option<ServiceId>,
    /// `None`: there is none, or it was not needed.
    body: Option<Vec<u8>>,
    progress: Progress,
}

/// A target that nginx cannot proxy to: it answers 500 before it connects.
const NOWHERE: &[u8] = b":undecided";

/// Longest body that nginx keeps in memory by default, in bytes. A longer one sits in a file, where it cannot be read.
const NGINX_BODY_MAX: u64 = 8 << 10;

/// Longest answer to a call that is read, in bytes.
const ANSWER_MAX: usize = 256 << 10;

impl Context for HttpFilter {
    fn on_http_call_response(&mut self, token: u32, _headers: usize, body_size: usize, _trailers: usize) {
        let Waiting::Call { token: expected, key } = self.waiting else { return };
        if token != expected {
            return;
        }
        self.waiting = Waiting::Nothing;
        Worker::with(|worker| worker.memory.call_ended(&key));
        // A call that failed has no headers at all.
        let status = host::call_response_header(":status")
            .and_then(|status| std::str::from_utf8(&status).ok().and_then(|status| status.parse().ok()));
        let body = (body_size <= ANSWER_MAX).then(|| host::call_response_body(body_size)).flatten();
        let answer = match (status, body) {
            (Some(status), Some(body)) => Answer { status: Some(status), body },
            _ => Answer::NONE,
        };
        if let Some(seen) = &mut self.seen {
            seen.progress.answered(key, answer);
        }
        if matches!(self.go_on(), Next::Proceed) {
            // An error would mean that there is nothing to go on with.
            let _ = proxy_wasm::hostcalls::resume_http_request();
        }
    }
}

impl HttpContext for HttpFilter {
    fn on_http_request_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        let traits = Worker::with(Worker::host_traits);
        let block = host::request_headers().map(with_target).unwrap_or_default();
        let service = self.config.as_deref().and_then(|config| config.service).or_else(routed_service);
        let Some(headers) = HeaderMap::parse(&block).filter(|headers| !headers.is_empty()) else {
            self.refuse(&Unavailable::Host.into(), None, traits);
            return Action::Pause;
        };
        // One host never says that a request ends with its headers, and calls back only where there is a body.
        let may_follow =
            if traits.removes_headers { !end_of_stream } else { announces_readable_body(&headers) };
        let body = if may_follow { Body::Unread } else { Body::Absent };
        match self.decide(headers, service, body, &Progress::default(), traits) {
            Next::Proceed => Action::Continue,
            Next::Answered => Action::Pause,
            Next::AwaitBody => {
                self.waiting = Waiting::Body;
                self.see(block, service);
                if traits.removes_headers { Action::Pause } else { self.hold() }
            }
            Next::Call(call) => {
                self.see(block, service);
                self.send(call).action()
            }
        }
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        match self.waiting {
            Waiting::Nothing => return Action::Continue,
            Waiting::Call { .. } => return Action::Pause,
            Waiting::Body => {}
        }
        let traits = Worker::with(Worker::host_traits);
        if traits.removes_headers && !end_of_stream && size <= body::MAX {
            return Action::Pause;
        }
        self.waiting = Waiting::Nothing;
        if let Some(target) = self.held_target.take()
            && host::set_property(UPSTREAM_URI, &target).is_err()
        {
            self.refuse(&Unavailable::Host.into(), None, traits);
            return Action::Pause;
        }
        if let Some(seen) = &mut self.seen {
            seen.body = if size <= body::MAX { host::request_body(size) } else { None };
        }
        self.go_on().action()
    }
}

impl Drop for HttpFilter {
    /// The caller may leave while its request waits.
    fn drop(&mut self) {
        if let Waiting::Call { key, .. } = self.waiting {
            Worker::with(|worker| worker.memory.call_ended(&key));
        }
    }
}

/// What happens to the request now.
enum Next {
    Proceed,
    Answered,
    AwaitBody,
    Call(Call),
}

impl Next {
    /// What the host is told, of a request whose body is not awaited.
    const fn action(&self) -> Action {
        match self {
            Self::Proceed => Action::Continue,
            Self::Answered | Self::AwaitBody | Self::Call(_) => Action::Pause,
        }
    }
}

impl HttpFilter {
    pub const fn new(config: Option<Rc<Config>>) -> Self {
        Self { config, waiting: Waiting::Nothing, held_target: None, seen: None, request_id: None }
    }

    /// Keeps what is needed to decide the request later.
    fn see(&mut self, headers: Vec<u8>, service: Option<ServiceId>) {
        self.request_id = Some(request_id(Worker::with(Worker::host_traits)));
        let progress = Progress::default();
        self.seen = Some(Box::new(Seen { headers, service, body: None, progress }));
    }

    /// Decides a request that has waited.
    fn go_on(&mut self) -> Next {
        let traits = Worker::with(Worker::host_traits);
        let Some(seen) = self.seen.take() else {
            return self.refuse(&Unavailable::Host.into(), None, traits);
        };
        let next = match HeaderMap::parse(&seen.headers) {
            Some(headers) => {
                let body = seen.body.as_deref().map_or(Body::Absent, Body::Read);
                self.decide(headers, seen.service, body, &seen.progress, traits)
            }
            None => self.refuse(&Unavailable::Host.into(), None, traits),
        };
        self.seen = Some(seen);
        match next {
            Next::Call(call) => self.send(call),
            next => next,
        }
    }

    /// Sends a call, and where the host does not, decides without its answer.
    fn send(&mut self, call: Call) -> Next {
        let key = call.key;
        match self.dispatch(&call) {
            Some(token) => {
                Worker::with(|worker| worker.memory.call_began());
                self.waiting = Waiting::Call { token, key };
                Next::Call(call)
            }
            None => {
                Worker::with(|worker| {
                    worker.memory.call_began();
                    worker.memory.call_ended(&key);
                });
                if let Some(seen) = &mut self.seen {
                    seen.progress.answered(key, Answer::NONE);
                }
                // Bounded: a request makes only so many calls.
                self.go_on()
            }
        }
    }

    fn dispatch(&self, call: &Call) -> Option<u32> {
        let admin = &self.config.as_deref()?.sync;
        let token;
        let (address, authority, scheme, authorization) = match &call.to {
            Destination::AdminExtension => {
                token = format!("Bearer {}", admin.token);
                (&admin.address, &admin.authority, admin.scheme.as_str(), Some(token.as_str()))
            }
            Destination::Origin(origin) => {
                let scheme = if origin.https { "https" } else { "http" };
                (&origin.address, &origin.authority, scheme, call.authorization.as_deref())
            }
        };
        // The hosts say themselves how long the body is.
        let mut headers = vec![
            (":method", "POST"),
            (":scheme", scheme),
            (":authority", authority),
            (":path", &call.path),
            ("accept", "application/json"),
            ("content-type", call.content_type),
        ];
        headers.extend(authorization.map(|value| ("authorization", value)));
        let timeout = Duration::from_millis(u64::from(call.timeout_milliseconds));
        let body = Some(call.body.as_slice()).filter(|body| !body.is_empty());
        // Through the SDK, which routes the answer back to this context.
        proxy_wasm::hostcalls::dispatch_http_call(address, headers, body, vec![], timeout).ok()
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

    fn decide(
        &self,
        headers: HeaderMap<'_>,
        service: Option<ServiceId>,
        body: Body<'_>,
        progress: &Progress,
        traits: HostTraits,
    ) -> Next {
        let Some(config) = self.config.as_deref() else {
            return self.refuse(&Unavailable::Misconfigured.into(), Some(&headers), traits);
        };
        let encrypted = is_token_endpoint(&headers) && is_encrypted(&headers, traits);
        let request = Request { headers, service, body, encrypted, host: traits, progress };
        let Decision { outcome, counts_as } = Worker::with(|worker| {
            let native = Native { available: traits.removes_headers };
            let reader = Reader::new(&Zone);
            let gate = Gate { reader, config, memory: &worker.memory, native: &native, now: host::now };
            let decision = gate.decide(&request);
            worker.torn_reads.set(worker.torn_reads.get() + gate.reader.torn_reads());
            decision
        });
        let changed = match &outcome {
            // Nothing forged gets further, whatever the host makes of the body.
            Outcome::NeedsBody => rewrite::request(&headers, &Change::NOTHING, Body::Absent, traits),
            Outcome::Exempt => rewrite::request(&headers, &Change::NOTHING, body, traits),
            Outcome::Allow { identity, hide, authorization } => {
                let change = Change {
                    identity: Some(identity),
                    hide: hide.as_ref(),
                    authorization: authorization.as_deref(),
                };
                rewrite::request(&headers, &change, body, traits)
            }
            Outcome::Call(_) | Outcome::Answer(_) | Outcome::Refuse(_) => Ok(()),
        };
        if changed.is_err() {
            // What could not be hidden or set must not reach the upstream.
            return self.refuse(&Unavailable::Host.into(), Some(&headers), traits);
        }
        if let Some(key) = counts_as.filter(|_| config.count_traffic) {
            Worker::with(|worker| worker.count_request(key));
        }
        match outcome {
            Outcome::NeedsBody if matches!(body, Body::Unread) => Next::AwaitBody,
            Outcome::NeedsBody => self.refuse(&Unavailable::Host.into(), Some(&headers), traits),
            Outcome::Call(call) => Next::Call(call),
            Outcome::Refuse(refusal) => self.refuse(&refusal, Some(&headers), traits),
            Outcome::Answer(response) => {
                Worker::with(|worker| worker.answered.set(worker.answered.get() + 1));
                respond(&response, "token_endpoint", traits)
            }
            Outcome::Exempt | Outcome::Allow { .. } => {
                Worker::with(|worker| worker.allowed.set(worker.allowed.get() + 1));
                Next::Proceed
            }
        }
    }

    fn refuse(&self, refusal: &Refusal, headers: Option<&HeaderMap<'_>>, traits: HostTraits) -> Next {
        let header = |name| headers.and_then(|headers| headers.first(name));
        let id = self.request_id.clone().unwrap_or_else(|| request_id(traits));
        let reason_header = self.config.as_ref().is_some_and(|config| config.deny_reason_header);
        let mut response = refusal.response(header("accept"), header("content-type"), &id, reason_header);
        if response.grpc_status.is_some() && traits.removes_headers {
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
        respond(&response, refusal.code(), traits)
    }
}

/// Answers the request here.
fn respond(response: &Response, code: &str, traits: HostTraits) -> Next {
    // nginx would take the details for the reason phrase of the status line.
    let details = if traits.removes_headers { code } else { "" };
    if host::respond(response, details).is_err() {
        host::log(Level::Critical, "app_auth: the host does not send an answer");
    }
    Next::Answered
}

fn request_id(traits: HostTraits) -> String {
    let name = if traits.removes_headers { "request\0id" } else { "ngx\0kong_request_id" };
    printable_request_id(&host::property(name).unwrap_or_default())
}

/// The headers with method and target among them, wherever the host leaves them out of the list.
fn with_target(block: Vec<u8>) -> Vec<u8> {
    let Some(headers) = HeaderMap::parse(&block).filter(|headers| headers.first(":path").is_none()) else {
        return block;
    };
    let target: Vec<_> = [":method", ":path", ":scheme"]
        .into_iter()
        .filter_map(|name| Some((name, host::request_header(name)?)))
        .collect();
    let target = target.iter().map(|(name, value)| (name.as_bytes(), value.as_slice()));
    headers::serialize(target.chain(headers.iter()))
}

/// Whether the caller's own connection is encrypted. One host takes the scheme from `X-Forwarded-Proto`, which anybody can
/// send.
fn is_encrypted(headers: &HeaderMap<'_>, traits: HostTraits) -> bool {
    if traits.removes_headers {
        host::property("connection\0tls_version").is_some_and(|version| !version.is_empty())
    } else {
        headers.first(":scheme") == Some(b"https")
    }
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
