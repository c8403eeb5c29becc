//! The upstream service behind the gateway: answers with what it received, so that a test sees what the gateway let
//! through and how. `/fast…` answers a small constant instead, for benches. It runs on a thread of its own.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use anyhow::{Context as _, Result, anyhow};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// Largest body it echoes.
const BODY_MAX: usize = 1 << 20;

const FAST_ANSWER: &[u8] = b"{\"ok\":true}\n";

/// What the upstream received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Echo {
    pub method: String,
    pub path: String,
    pub query: String,
    /// Every header line, in lower case; copies of a name stand together, in the order in which they came.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Echo {
    /// All values of a header, whatever its spelling: `-` and `_` count as equal, as they do to many servers.
    pub fn every_spelling(&self, name: &str) -> Vec<&str> {
        let plain = |text: &str| text.to_ascii_lowercase().replace('_', "-");
        let wanted = plain(name);
        self.headers
            .iter()
            .filter(|(name, _)| plain(name) == wanted)
            .map(|(_, value)| value.as_str())
            .collect()
    }
}

/// A running upstream. Dropping it stops it.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    received: Arc<AtomicU64>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Upstream {
    /// Listens on a loopback port; 0 for any.
    pub fn start(port: u16) -> Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .with_context(|| format!("the upstream cannot listen on port {port}"))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let received = Arc::new(AtomicU64::new(0));
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let counter = Arc::clone(&received);
        let thread = thread::Builder::new().name("upstream".into()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serve(listener, counter) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { address, received, stop: Some(stop), thread: Some(thread) })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Number of requests that reached it.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::SeqCst)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(listener: std::net::TcpListener, received: Arc<AtomicU64>) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let received = Arc::clone(&received);
        tokio::spawn(async move {
            let service = service_fn(|request| {
                received.fetch_add(1, Ordering::SeqCst);
                answer(request)
            });
            let mut http = hyper::server::conn::http1::Builder::new();
            // More header lines than any gateway forwards, so that a test never mistakes the upstream's limit for one.
            http.timer(TokioTimer::new()).max_headers(1000);
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.uri().path().starts_with("/fast") {
        return Ok(json(StatusCode::OK, Bytes::from_static(FAST_ANSWER)));
    }
    Ok(match echo(request).await.and_then(|echo| Ok(serde_json::to_vec(&echo)?)) {
        Ok(body) => json(StatusCode::OK, body.into()),
        Err(error) => {
            json(StatusCode::BAD_REQUEST, format!("{{\"message\":{:?}}}", error.to_string()).into())
        }
    })
}

async fn echo(request: Request<Incoming>) -> Result<Echo> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, BODY_MAX).collect().await.map_err(|error| anyhow!("{error}"))?.to_bytes();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Echo {
        method: head.method.to_string(),
        path: head.uri.path().into(),
        query: head.uri.query().unwrap_or_default().into(),
        headers: head
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), text(value.as_bytes())))
            .collect(),
        body: text(&body),
    })
}

fn json(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
