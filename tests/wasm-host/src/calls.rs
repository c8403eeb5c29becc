//! HTTP calls the filter dispatches: recorded here, answered by the test or by something it puts behind the node.

use std::time::Duration;

use crate::headers::Headers;

/// A call on its way out.
#[derive(Clone, Debug)]
pub struct HttpCall {
    pub(crate) worker: usize,
    pub(crate) generation: u32,
    pub(crate) context: u32,
    pub(crate) token: u32,
    /// When it was dispatched, as the node's uptime.
    pub since: Duration,
    pub timeout: Duration,
    /// The cluster or address it goes to.
    pub upstream: String,
    pub headers: Headers,
    pub body: Vec<u8>,
}

impl HttpCall {
    /// The worker that dispatched it.
    pub const fn worker(&self) -> usize {
        self.worker
    }

    pub fn header(&self, name: &str) -> String {
        self.headers.all(name).into_iter().next().unwrap_or_default()
    }

    pub fn path(&self) -> String {
        self.header(":path")
    }

    /// An argument of the query, as it is on the wire.
    pub fn argument(&self, name: &str) -> Option<String> {
        let path = self.path();
        let (_, query) = path.split_once('?')?;
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(n, _)| *n == name).map(|(_, value)| value.to_owned())
    }
}

/// What comes back.
#[derive(Clone, Default, Debug)]
pub struct Answer {
    pub headers: Headers,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn new(status: u16, content_type: &str, body: impl AsRef<[u8]>) -> Self {
        let status = status.to_string();
        let headers = [(":status", status.as_str()), ("content-type", content_type)];
        Self { headers: headers.into_iter().collect(), body: body.as_ref().to_vec() }
    }

    pub fn json(status: u16, body: impl AsRef<[u8]>) -> Self {
        Self::new(status, "application/json", body)
    }

    /// No connection, time-out, reset: hosts tell it by an answer without a single header.
    pub fn failure() -> Self {
        Self::default()
    }
}

/// Whatever answers a node's calls.
pub trait Backend {
    /// The answer, or `None` while the call is held open. Asked again after every tick. `now`: the node's uptime.
    fn answer(&mut self, now: Duration, call: &HttpCall) -> Option<Answer>;
}

/// Nobody there: every call fails at once.
pub struct NobodyThere;

impl Backend for NobodyThere {
    fn answer(&mut self, _: Duration, _: &HttpCall) -> Option<Answer> {
        Some(Answer::failure())
    }
}

/// Accepts calls and never answers; they end by their own time-out.
pub struct Silence;

impl Backend for Silence {
    fn answer(&mut self, _: Duration, _: &HttpCall) -> Option<Answer> {
        None
    }
}
