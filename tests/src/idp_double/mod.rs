//! Doubles of identity providers that cannot be installed, written from their vendors' documented contracts: what they
//! answer, how they refuse, how they limit rates, and faults on demand. One file per vendor; this one is the server.

mod auth0;
mod azure_ad;
mod bridge;
mod okta;

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode, header};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use uuid::Uuid;

pub use self::auth0::Auth0;
pub use self::azure_ad::AzureAd;
pub use self::bridge::Bridge;
pub use self::okta::Okta;
use crate::ports;

/// The secret of ours at every double.
pub const SECRET: &str = "hush_hush_provider_secret";
/// The id of our own client at those that want one.
pub const CLIENT_ID: &str = "us";

/// How it misbehaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Answers this status and does nothing.
    Status(u16),
    /// Refuses so many calls because there were too many, and says when to come again.
    TooMany(u32),
    /// Does nothing and never answers.
    Hang,
    /// Does what it is told, and never says so.
    ApplyAndHang,
    /// Does what it is told, and the connection breaks while it says so.
    ApplyAndCut,
    /// Sends whoever calls somewhere else.
    Redirect(String),
    /// Answers so many bytes.
    Huge(usize),
}

/// One call, as it came.
#[derive(Debug, Clone)]
pub struct Call {
    pub method: String,
    pub path: String,
    pub query: Vec<(String, String)>,
    pub authorization: String,
    pub api_key: String,
    /// JSON, or the fields of a form.
    pub body: Value,
}

impl Call {
    fn argument(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// What is answered: a status, a body, and further headers.
pub struct Reply(pub u16, pub Value, pub Vec<(&'static str, String)>);

impl Reply {
    fn new(status: u16, body: Value) -> Self {
        Self(status, body, Vec::new())
    }
}

/// A client that a double has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    pub client_id: String,
    pub name: String,
    pub redirect_uris: Vec<String>,
    /// Those that count.
    pub secrets: Vec<String>,
}

/// What a vendor's interface does.
pub trait Vendor: Default + Send + 'static {
    fn handle(&mut self, call: &Call, base: &str) -> Reply;
    /// Its words for an error of the whole server, or for too many calls.
    fn refusal(status: u16) -> Reply;
    fn clients(&self) -> Vec<Client>;
    /// The body that makes a DCR provider of it.
    fn provider(base: &str) -> Value;
    /// The calls that make and delete clients: method, and what the path begins with.
    fn making() -> (&'static str, &'static str);
    fn deleting() -> (&'static str, &'static str);
}

struct Double<V> {
    vendor: V,
    base: String,
    fault: Option<(Fault, String, String)>,
    calls: Vec<Call>,
}

/// A running double. Dropping it stops it.
pub struct IdpDouble<V> {
    double: Arc<Mutex<Double<V>>>,
    port: u16,
    server: Option<(oneshot::Sender<()>, thread::JoinHandle<()>)>,
}

impl<V: Vendor> IdpDouble<V> {
    pub fn start() -> Result<Self> {
        let port = ports::free()?;
        let base = format!("http://127.0.0.1:{port}");
        let double = Double { vendor: V::default(), base, fault: None, calls: Vec::new() };
        let mut started = Self { double: Arc::new(Mutex::new(double)), port, server: None };
        started.restart()?;
        Ok(started)
    }

    /// Nothing answers on its port any more.
    pub fn stop(&mut self) {
        if let Some((stop, thread)) = self.server.take() {
            let _ = stop.send(());
            let _ = thread.join();
        }
    }

    /// Answers again, with all it knew.
    pub fn restart(&mut self) -> Result<()> {
        self.stop();
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, self.port))
            .with_context(|| format!("a double cannot listen on port {}", self.port))?;
        listener.set_nonblocking(true)?;
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let double = Arc::clone(&self.double);
        // Its own runtime: when that ends, so does every connection.
        let thread = thread::Builder::new().name("idp".into()).spawn(move || {
            runtime.block_on(async move {
                let router = Router::new().fallback(answer::<V>).with_state(double);
                let Ok(listener) = TcpListener::from_std(listener) else { return };
                tokio::select! {
                    _ = axum::serve(listener, router) => {}
                    _ = stopped => {}
                }
            });
        })?;
        self.server = Some((stop, thread));
        Ok(())
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn provider(&self) -> Value {
        V::provider(&self.url())
    }

    /// Calls of a method whose path begins so come to this.
    pub fn set_fault(&self, fault: Fault, (method, path): (&str, &str)) {
        self.lock().fault = Some((fault, method.to_owned(), path.to_owned()));
    }

    pub fn behave(&self) {
        self.lock().fault = None;
    }

    /// What was called since the last time this was asked.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.lock().calls)
    }

    pub fn clients(&self) -> Vec<Client> {
        self.lock().vendor.clients()
    }

    /// Something about what it keeps.
    pub fn with<T>(&self, look: impl FnOnce(&mut V) -> T) -> T {
        look(&mut self.lock().vendor)
    }

    fn lock(&self) -> MutexGuard<'_, Double<V>> {
        self.double.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V> Drop for IdpDouble<V> {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.server.take() {
            let _ = stop.send(());
            let _ = thread.join();
        }
    }
}

async fn answer<V: Vendor>(State(double): State<Arc<Mutex<Double<V>>>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap_or_default();
    let text = |name: &str| {
        parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let call = Call {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: reqwest::Url::parse(&format!("http://x{}", parts.uri))
            .map(|url| url.query_pairs().into_owned().collect())
            .unwrap_or_default(),
        authorization: text("authorization"),
        api_key: text("x-api-key"),
        body: read(&text("content-type"), &body),
    };
    let fault = {
        let mut double = double.lock().unwrap_or_else(PoisonError::into_inner);
        double.calls.push(call.clone());
        match &mut double.fault {
            Some((Fault::TooMany(0), ..)) => None,
            Some((fault, method, path)) if *method == call.method && call.path.starts_with(path.as_str()) => {
                let now = fault.clone();
                if let Fault::TooMany(left) = fault {
                    *left -= 1;
                }
                Some(now)
            }
            _ => None,
        }
    };
    match &fault {
        Some(Fault::Hang) => return std::future::pending().await,
        Some(Fault::Status(status)) => return reply(V::refusal(*status)),
        Some(Fault::TooMany(_)) => return reply(V::refusal(429)),
        Some(Fault::Redirect(to)) => {
            return reply(Reply(302, Value::Null, vec![("location", to.clone())]));
        }
        Some(Fault::Huge(size)) => {
            return reply(Reply::new(200, json!({"padding": "x".repeat(*size)})));
        }
        _ => {}
    }
    let answer = {
        let mut double = double.lock().unwrap_or_else(PoisonError::into_inner);
        let base = double.base.clone();
        double.vendor.handle(&call, &base)
    };
    match fault {
        Some(Fault::ApplyAndHang) => std::future::pending().await,
        Some(Fault::ApplyAndCut) => cut(),
        _ => reply(answer),
    }
}

fn read(kind: &str, body: &Bytes) -> Value {
    if kind.starts_with("application/x-www-form-urlencoded") {
        let query = String::from_utf8_lossy(body);
        let url = reqwest::Url::parse(&format!("http://x/?{query}"));
        let pairs = url.map(|url| url.query_pairs().into_owned().collect::<Vec<_>>()).unwrap_or_default();
        return pairs.into_iter().map(|(name, value)| (name, Value::String(value))).collect();
    }
    serde_json::from_slice(body).unwrap_or_default()
}

fn reply(Reply(status, body, headers): Reply) -> Response<Body> {
    let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let json = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    for (name, value) in headers {
        if let Ok(value) = header::HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// An answer that breaks off after its head.
fn cut() -> Response<Body> {
    struct Broken;
    impl hyper::body::Body for Broken {
        type Data = Bytes;
        type Error = std::io::Error;
        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<std::io::Result<hyper::body::Frame<Bytes>>>> {
            std::task::Poll::Ready(Some(Err(std::io::ErrorKind::ConnectionReset.into())))
        }
    }
    Response::new(Body::new(Broken))
}

/// A secret or an id that nobody can guess.
fn random() -> String {
    Uuid::new_v4().simple().to_string()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
