//! A double of Kong's Admin API (3.9, with a database): consumers and plugins, its conventions, its errors, and faults
//! on demand. What it was told outlives its stops, as a database does. It knows nothing of who calls it.

mod entities;
mod filters;
mod schema;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, Response, StatusCode, header};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use uuid::Uuid;

use self::entities::Entities;
use crate::ports;

/// How it misbehaves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Fault {
    #[default]
    None,
    /// Answers this status and does nothing.
    Status(u16),
    /// Does nothing and never answers.
    Hang,
    /// Does what it is told, and never says so.
    ApplyAndHang,
    /// Does what it is told, and the connection breaks while it says so.
    ApplyAndCut,
    /// Does what it is told, later.
    Slow(Duration),
    /// Is some other web server.
    Html,
    /// Is Kong's proxy and not its Admin API.
    Proxy,
}

/// One call, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub method: String,
    pub path: String,
    /// What was answered, or would have been.
    pub status: u16,
}

#[derive(Default)]
struct Kong {
    entities: Entities,
    fault: Fault,
    token: Option<String>,
    /// Before every path, as behind a reverse proxy.
    prefix: String,
    calls: Vec<Call>,
}

/// A running double. Dropping it stops it.
pub struct KongDouble {
    kong: Arc<Mutex<Kong>>,
    port: u16,
    server: Option<Server>,
}

struct Server {
    stop: oneshot::Sender<()>,
    thread: thread::JoinHandle<()>,
}

impl KongDouble {
    pub fn start() -> Result<Self> {
        let mut double = Self { kong: Arc::default(), port: ports::free()?, server: None };
        double.restart()?;
        Ok(double)
    }

    /// Answers under a path, and only to this token.
    pub fn start_behind(prefix: &str, token: &str) -> Result<Self> {
        let double = Self::start()?;
        let mut kong = double.lock();
        kong.prefix = prefix.into();
        kong.token = Some(token.into());
        drop(kong);
        Ok(double)
    }

    /// Nothing answers on its port any more.
    pub fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            let _ = server.stop.send(());
            let _ = server.thread.join();
        }
    }

    /// Answers again, with all it knew.
    pub fn restart(&mut self) -> Result<()> {
        self.stop();
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, self.port))
            .with_context(|| format!("the double of Kong cannot listen on port {}", self.port))?;
        listener.set_nonblocking(true)?;
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let kong = Arc::clone(&self.kong);
        // Its own runtime: when that ends, so does every connection.
        let thread = thread::Builder::new().name("kong".into()).spawn(move || {
            runtime.block_on(async move {
                let router = Router::new().fallback(answer).with_state(kong);
                let Ok(listener) = TcpListener::from_std(listener) else { return };
                tokio::select! {
                    _ = axum::serve(listener, router) => {}
                    _ = stopped => {}
                }
            });
        })?;
        self.server = Some(Server { stop, thread });
        Ok(())
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}{}", self.port, self.lock().prefix)
    }

    pub fn set_fault(&self, fault: Fault) {
        self.lock().fault = fault;
    }

    /// Forgets all it was told.
    pub fn forget(&self) {
        let mut kong = self.lock();
        kong.entities = Entities::default();
        kong.calls.clear();
    }

    /// What was called since the last time this was asked.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.lock().calls)
    }

    pub fn consumers(&self) -> BTreeMap<Uuid, Value> {
        self.lock().entities.consumers.clone()
    }

    pub fn plugins(&self) -> BTreeMap<Uuid, Value> {
        self.lock().entities.plugins.clone()
    }

    /// Its filter chains.
    pub fn filter_chains(&self) -> BTreeMap<Uuid, Value> {
        self.lock().entities.filters.chains.clone()
    }

    /// Is of another version from now on.
    pub fn set_version(&self, version: &str) {
        self.lock().entities.version = version.into();
    }

    /// The user names of its consumers, sorted.
    pub fn usernames(&self) -> Vec<String> {
        let consumers = self.consumers();
        let names = consumers.values().filter_map(|consumer| consumer["username"].as_str());
        let mut names: Vec<_> = names.map(str::to_owned).collect();
        names.sort();
        names
    }

    /// What its operator does there by themselves.
    pub fn put(&self, path: &str, body: &Value) -> Result<()> {
        let (status, answer) = self.lock().entities.handle(&Method::PUT, path, "", Some(body));
        anyhow::ensure!(status == 200, "{status}: {answer}");
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Kong> {
        self.kong.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for KongDouble {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn answer(State(kong): State<Arc<Mutex<Kong>>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap_or_default();
    let lock = || kong.lock().unwrap_or_else(PoisonError::into_inner);
    let fault = lock().fault.clone();
    match fault {
        Fault::Hang => {
            note(&mut lock(), &parts, 0);
            return std::future::pending().await;
        }
        Fault::Slow(time) => tokio::time::sleep(time).await,
        Fault::Status(status) => {
            note(&mut lock(), &parts, status);
            return reply(status, &json!({"message": "An unexpected error occurred"}));
        }
        Fault::Proxy => {
            note(&mut lock(), &parts, 404);
            let id = Uuid::new_v4().simple().to_string();
            return reply(404, &json!({"message": "no Route matched with those values", "request_id": id}));
        }
        Fault::Html => {
            note(&mut lock(), &parts, 200);
            let html = [(header::CONTENT_TYPE, "text/html")];
            return axum::response::IntoResponse::into_response((html, "<html><h1>It works!</h1></html>"));
        }
        _ => {}
    }
    let (status, answer) = handle(&mut lock(), &parts, &body);
    match fault {
        Fault::ApplyAndHang => std::future::pending().await,
        Fault::ApplyAndCut => cut(),
        _ => reply(status, &answer),
    }
}

fn handle(kong: &mut Kong, parts: &axum::http::request::Parts, body: &Bytes) -> (u16, Value) {
    let token = parts.headers.get("kong-admin-token").and_then(|value| value.to_str().ok());
    let (status, answer) = if kong.token.is_some() && token != kong.token.as_deref() {
        (401, json!({"message": "Invalid RBAC credentials"}))
    } else {
        match (parts.uri.path().strip_prefix(&kong.prefix), read(parts, body)) {
            (None, _) => (404, json!({"message": "Not found"})),
            (_, Err(refusal)) => refusal,
            (Some(path), Ok(body)) => {
                let query = parts.uri.query().unwrap_or_default();
                kong.entities.handle(&parts.method, path, query, body.as_ref())
            }
        }
    };
    note(kong, parts, status);
    (status, answer)
}

fn read(parts: &axum::http::request::Parts, body: &Bytes) -> Result<Option<Value>, (u16, Value)> {
    if body.is_empty() {
        return Ok(None);
    }
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if !kind.is_some_and(|kind| kind.starts_with("application/json")) {
        return Err((415, Value::Null));
    }
    serde_json::from_slice(body).map(Some).map_err(|_| (400, json!({"message": "Cannot parse JSON body"})))
}

fn note(kong: &mut Kong, parts: &axum::http::request::Parts, status: u16) {
    let call = Call { method: parts.method.to_string(), path: parts.uri.path().into(), status };
    kong.calls.push(call);
}

fn reply(status: u16, body: &Value) -> Response<Body> {
    let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let json = header::HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response.headers_mut().insert("server", header::HeaderValue::from_static("kong/3.9.3"));
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
