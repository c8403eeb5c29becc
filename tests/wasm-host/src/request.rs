//! A request as a test writes it, and what became of it.

use std::collections::BTreeMap;
use std::fmt;

use crate::calls::{Answer, HttpCall};
use crate::headers::Headers;

/// A client's request on its way into the gateway.
#[derive(Clone, Debug)]
pub struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) upstream_uri: Option<String>,
    pub(crate) authority: String,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<Vec<u8>>,
    pub(crate) properties: BTreeMap<String, Vec<u8>>,
    pub(crate) answers: Vec<Answer>,
}

impl Request {
    pub fn new(method: &str, path: &str) -> Self {
        Self {
            method: method.into(),
            path: path.into(),
            upstream_uri: None,
            authority: "api.example.com".into(),
            headers: Headers::default(),
            body: Vec::new(),
            properties: BTreeMap::new(),
            answers: Vec::new(),
        }
    }

    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    /// Adds a header; twice the same name makes two copies.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push(name.as_bytes(), value.as_ref());
        self
    }

    /// Adds a header whose name may be any bytes.
    #[must_use]
    pub fn raw_header(mut self, name: &[u8], value: &[u8]) -> Self {
        self.headers.push(name, value);
        self
    }

    /// What a call that the request waits for gets; a call more than there are answers fails.
    #[must_use]
    pub fn answer(mut self, answer: Answer) -> Self {
        self.answers.push(answer);
        self
    }

    /// A body with its content type and length.
    #[must_use]
    pub fn body(self, content_type: &str, body: impl AsRef<[u8]>) -> Self {
        let length = body.as_ref().len().to_string();
        self.header("content-type", content_type).header("content-length", length).chunk(body)
    }

    /// A piece of the body, with no header that speaks of it.
    #[must_use]
    pub fn chunk(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.body.push(bytes.as_ref().to_vec());
        self
    }

    /// What the gateway will ask the upstream for, where its route changes the path.
    #[must_use]
    pub fn upstream_uri(mut self, uri: &str) -> Self {
        self.upstream_uri = Some(uri.into());
        self
    }

    /// A property of this request, such as `kong.service_id`.
    #[must_use]
    pub fn property(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.properties.insert(name.into(), value.as_ref().to_vec());
        self
    }
}

/// What the upstream received.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UpstreamRequest {
    pub method: String,
    pub path: String,
    pub headers: Headers,
    pub body: Vec<u8>,
}

/// What the gateway answered by itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LocalResponse {
    pub status: u32,
    pub headers: Headers,
    pub body: Vec<u8>,
    /// -1 where the filter gave none.
    pub grpc_status: i32,
}

impl LocalResponse {
    pub(crate) fn of_gateway(status: u32) -> Self {
        Self { status, headers: Headers::default(), body: Vec::new(), grpc_status: -1 }
    }

    /// The first value of a header, as text.
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers.all(name).into_iter().next()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    Upstream(UpstreamRequest),
    Local(LocalResponse),
}

/// What became of a request, and what it took.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub verdict: Verdict,
    /// Why the filter trapped, if it did.
    pub trap: Option<String>,
    /// Host calls by name, all phases.
    pub calls: BTreeMap<&'static str, u32>,
    /// WebAssembly instructions, all phases: a cost that does not depend on the machine.
    pub instructions: u64,
    /// Properties the filter set.
    pub properties: BTreeMap<String, Vec<u8>>,
    /// Calls that the request waited for.
    pub waited_for: Vec<HttpCall>,
    /// Log lines of this request.
    pub logs: Vec<String>,
    /// Headers the client received: the upstream's or the local response's, after the filter's changes.
    pub response_headers: Headers,
}

impl Outcome {
    /// The status the client sees; the imagined upstream answers 200.
    pub const fn status(&self) -> u32 {
        match &self.verdict {
            Verdict::Upstream(_) => 200,
            Verdict::Local(response) => response.status,
        }
    }

    pub const fn allowed(&self) -> bool {
        matches!(self.verdict, Verdict::Upstream(_))
    }

    /// What the upstream received; fails the test if the request was not let through.
    #[track_caller]
    pub fn upstream(&self) -> &UpstreamRequest {
        match &self.verdict {
            Verdict::Upstream(request) => request,
            Verdict::Local(response) => panic!("not let through, but answered {response}"),
        }
    }

    /// The gateway's own answer; fails the test if the request was let through.
    #[track_caller]
    pub fn local(&self) -> &LocalResponse {
        match &self.verdict {
            Verdict::Local(response) => response,
            Verdict::Upstream(request) => panic!("let through to {} {}", request.method, request.path),
        }
    }

    /// Number of host calls, all names.
    pub fn host_calls(&self) -> u32 {
        self.calls.values().sum()
    }
}

impl fmt::Display for LocalResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.status, self.text())?;
        for (name, value) in &self.headers.0 {
            write!(f, " {}: {};", String::from_utf8_lossy(name), String::from_utf8_lossy(value))?;
        }
        Ok(())
    }
}
