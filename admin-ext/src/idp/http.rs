//! The one way to call an identity provider: guarded, bounded in time and size, tried again where that does no harm. It
//! knows nothing of what is called, and its errors name no address, no secret and no token.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use serde_json::Value;
use tokio::time::Instant;
use url::{Url, form_urlencoded};

use super::guard::Guard;
use super::relying_party::SignInConfig;
use crate::kong::backoff;
use crate::model::PlainSecret;

/// Largest answer, in bytes. How deep it may nest, the JSON parser bounds by itself.
const ANSWER_MAX: usize = 1024 * 1024;
/// Longest part of an answer that an error quotes, in characters.
const QUOTED_MAX: usize = 300;
/// A word of an error that is so long may be a token.
const WORD_MAX: usize = 40;
/// How often one call is tried.
const TRIES: u32 = 3;
/// Longest time that a provider may ask us to wait before the next try.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// How identity providers are called.
#[derive(Clone, Debug)]
pub struct IdpConfig {
    pub allow_http: bool,
    /// Of one call.
    pub timeout: Duration,
    /// Between the beginnings of two fetches of one issuer's keys, at least.
    pub issuer_interval: Duration,
    /// Trusted besides the system's authorities.
    pub ca_file: Option<PathBuf>,
    /// Where Azure gives tokens, and its Graph: national clouds have their own.
    pub azure_login: Url,
    pub azure_graph: Url,
    /// Where people sign in at the console, besides with a token.
    pub sign_in: Option<SignInConfig>,
}

/// Why a call did not do what it was to do.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CallError {
    /// It understood, and did nothing.
    #[error("{status}: {said}")]
    Refused { status: u16, said: String },
    /// It was not told: not reached, or too busy to listen.
    #[error("{0}")]
    Untold(String),
    /// It says that it failed.
    #[error("{0}")]
    Failed(String),
    /// It was told, and whether it has done it is unknown.
    #[error("{0}")]
    Lost(String),
}

impl CallError {
    /// Of a call that only prepared for the one that matters: nothing has happened.
    #[must_use]
    pub fn before(self) -> Self {
        match self {
            Self::Failed(error) | Self::Lost(error) => Self::Untold(error),
            other => other,
        }
    }

    /// Whether the provider has certainly done nothing.
    pub const fn nothing_done(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Untold(_))
    }

    pub const fn is_unknown(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }
}

/// An answer of success.
#[derive(Debug)]
pub struct Answer {
    /// Null where there is none, or none that is JSON.
    pub body: Value,
    pub headers: HeaderMap,
}

impl Answer {
    /// A text that the answer must have.
    pub fn text(&self, member: &str) -> Result<String, CallError> {
        text(&self.body, member).ok_or_else(|| CallError::Lost(format!("an answer without {member}")))
    }

    /// A secret that the answer must have.
    pub fn secret(&self, member: &str) -> Result<PlainSecret, CallError> {
        self.text(member).map(PlainSecret::new)
    }
}

/// A text member that is not empty.
pub fn text(body: &Value, member: &str) -> Option<String> {
    body.get(member).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// A call to be made.
#[derive(Clone)]
pub struct Call {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Body,
}

#[derive(Clone)]
enum Body {
    None,
    Json(Value),
    Form(Vec<(Cow<'static, str>, PlainSecret)>),
}

impl Call {
    pub fn new(method: Method, url: Url) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        Self { method, url, headers, body: Body::None }
    }

    pub fn get(url: Url) -> Self {
        Self::new(Method::GET, url)
    }

    pub fn post(url: Url) -> Self {
        Self::new(Method::POST, url)
    }

    /// With a header whose value nobody is to see.
    #[must_use]
    pub fn secret(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(mut value) = HeaderValue::from_str(value) {
            value.set_sensitive(true);
            self.headers.insert(name, value);
        }
        self
    }

    /// As a client with an id and a secret (RFC 6749, 2.3.1: both form-encoded first).
    #[must_use]
    pub fn basic(self, id: &str, secret: &PlainSecret) -> Self {
        let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let both = PlainSecret::new(format!("{}:{}", encoded(id), encoded(secret.expose())));
        let both = PlainSecret::new(STANDARD.encode(both.expose()));
        self.secret("authorization", &format!("Basic {}", both.expose()))
    }

    #[must_use]
    pub fn bearer(self, token: &PlainSecret) -> Self {
        self.secret("authorization", &format!("Bearer {}", token.expose()))
    }

    #[must_use]
    pub fn json(mut self, body: Value) -> Self {
        self.body = Body::Json(body);
        self
    }

    #[must_use]
    pub fn form<N: Into<Cow<'static, str>>>(mut self, fields: Vec<(N, PlainSecret)>) -> Self {
        self.body = Body::Form(fields.into_iter().map(|(name, value)| (name.into(), value)).collect());
        self
    }
}

/// What calls identity providers; cheap to clone.
#[derive(Clone)]
pub struct IdpHttp(Arc<Inner>);

struct Inner {
    client: reqwest::Client,
    guard: Guard,
    timeout: Duration,
}

impl IdpHttp {
    pub fn new(config: &IdpConfig) -> anyhow::Result<Self> {
        crate::tls::install();
        let guard = Guard { allow_http: config.allow_http };
        let mut client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            // Through a proxy, somebody else would resolve the name that was checked.
            .no_proxy()
            .dns_resolver(Arc::new(guard))
            .timeout(config.timeout)
            // Shorter than the whole, so that whoever is not there is told from whoever does not answer.
            .connect_timeout(config.timeout * 3 / 4)
            // A kept connection that ended meanwhile looks like a call whose outcome is unknown.
            .pool_max_idle_per_host(0);
        if let Some(path) = &config.ca_file {
            let pem = std::fs::read(path).with_context(|| format!("idp_ca_file: {}", path.display()))?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem)
                .with_context(|| format!("idp_ca_file: {}: no certificates in PEM", path.display()))?;
            client = client.tls_certs_merge(certificates);
        }
        Ok(Self(Arc::new(Inner { client: client.build()?, guard, timeout: config.timeout })))
    }

    /// How long everything may take that one change has to tell a provider.
    pub fn operation_time(&self) -> Duration {
        self.0.timeout * 2
    }

    /// Whether an address may be called, as far as its text tells.
    pub fn may_call(&self, url: &Url) -> Result<(), &'static str> {
        self.0.guard.check(url)
    }

    /// The calls of one operation.
    pub fn calls(&self) -> Calls {
        Calls { http: self.clone(), until: Instant::now() + self.operation_time(), hidden: None }
    }
}

/// The calls of one operation, which end at its deadline.
pub struct Calls {
    http: IdpHttp,
    until: Instant,
    hidden: Option<PlainSecret>,
}

impl Calls {
    /// Never quotes this, should a provider repeat it.
    #[must_use]
    pub fn hiding(mut self, secret: &PlainSecret) -> Self {
        self.hidden = Some(secret.clone());
        self
    }

    /// Ends within this time at the latest.
    #[must_use]
    pub fn within(mut self, time: Duration) -> Self {
        self.until = self.until.min(Instant::now() + time);
        self
    }

    /// Makes a call, again where it does no harm and may help.
    pub async fn send(&self, call: Call) -> Result<Answer, CallError> {
        self.http.0.guard.check(&call.url).map_err(|reason| CallError::Untold(reason.into()))?;
        let idempotent = matches!(call.method, Method::GET | Method::PUT | Method::DELETE);
        let mut tries = 0;
        let result = loop {
            let outcome = self.try_once(&call).await;
            let Err((error, wait)) = outcome else { break outcome.map_err(|(error, _)| error) };
            let again = match &error {
                CallError::Untold(_) => true,
                CallError::Failed(_) | CallError::Lost(_) => idempotent,
                CallError::Refused { .. } => false,
            };
            let wait = wait.unwrap_or_else(|| backoff::wait(tries) / 2);
            tries += 1;
            if !again || tries == TRIES || wait > WAIT_MAX || Instant::now() + wait >= self.until {
                break Err(error);
            }
            tokio::time::sleep(wait).await;
        };
        let outcome = match &result {
            Ok(_) => "done",
            Err(CallError::Refused { .. }) => "refused",
            Err(CallError::Failed(_)) => "failed",
            Err(CallError::Untold(_) | CallError::Lost(_)) => "away",
        };
        metrics::counter!("app_auth_admin_idp_calls_total", "outcome" => outcome).increment(1);
        result
    }

    /// One try; what went wrong, and how long the provider asks us to wait.
    async fn try_once(&self, call: &Call) -> Result<Answer, (CallError, Option<Duration>)> {
        let mut request =
            self.http.0.client.request(call.method.clone(), call.url.clone()).headers(call.headers.clone());
        let left = self.until.saturating_duration_since(Instant::now());
        request = request.timeout(left.min(self.http.0.timeout));
        request = match &call.body {
            Body::None => request,
            Body::Json(body) => request.json(body),
            Body::Form(fields) => {
                let fields: Vec<_> = fields.iter().map(|(name, value)| (&**name, value.expose())).collect();
                request.form(&fields)
            }
        };
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) if error.is_connect() || error.is_builder() => {
                return Err((CallError::Untold(self.shown(&reason(&error))), None));
            }
            Err(error) => return Err((CallError::Lost(self.shown(&reason(&error))), None)),
        };
        let (status, headers) = (response.status(), response.headers().clone());
        let body = body(response).await;
        if status.is_success() {
            let body = body.map_err(|error| (CallError::Lost(error), None))?;
            return Ok(Answer { body, headers });
        }
        let said = self.shown(&said(&body.unwrap_or_default()));
        let wait = headers
            .get(header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse().ok())
            .map(Duration::from_secs);
        let quoted = format!("{} {said}", status.as_u16()).trim_end().to_owned();
        Err(match status {
            StatusCode::TOO_MANY_REQUESTS => (CallError::Untold(quoted), wait),
            StatusCode::SERVICE_UNAVAILABLE => (CallError::Failed(quoted), wait),
            // Of somebody in between, who does not know.
            StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => (CallError::Lost(quoted), None),
            _ if status.is_client_error() => (CallError::Refused { status: status.as_u16(), said }, None),
            _ if status.is_redirection() => {
                let said = "it answers with a redirect, and none is followed".into();
                (CallError::Refused { status: status.as_u16(), said }, None)
            }
            _ => (CallError::Failed(quoted), None),
        })
    }

    /// What can be shown of a provider's words.
    fn shown(&self, words: &str) -> String {
        let words = match &self.hidden {
            Some(secret) if !secret.expose().is_empty() => words.replace(secret.expose(), "(secret)"),
            _ => words.to_owned(),
        };
        let short =
            |word: &str| if word.chars().count() >= WORD_MAX { "…".into() } else { word.to_owned() };
        let words: Vec<_> = words.split_whitespace().map(short).collect();
        words.join(" ").chars().take(QUOTED_MAX).collect()
    }
}

/// The JSON body of an answer, up to a limit; null where it is none.
async fn body(mut response: Response) -> Result<Value, String> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(None) => return Ok(serde_json::from_slice(&body).unwrap_or_default()),
            Ok(Some(chunk)) if body.len() + chunk.len() <= ANSWER_MAX => body.extend_from_slice(&chunk),
            Ok(Some(_)) => return Err(format!("an answer of more than {ANSWER_MAX} bytes")),
            Err(error) => return Err(reason(&error)),
        }
    }
}

/// What an error's body says is wrong, in whichever of the common forms: RFC 6749 and 7591, Okta's, Auth0's, Graph's.
fn said(body: &Value) -> String {
    let error = body.get("error");
    let inner = error.filter(|error| error.is_object()).unwrap_or(body);
    let mut parts = Vec::new();
    for member in ["errorCode", "code", "error", "errorSummary", "message", "error_description"] {
        match inner.get(member) {
            Some(Value::String(part)) if !parts.contains(part) => parts.push(part.clone()),
            Some(Value::Array(several)) => {
                parts.extend(several.iter().filter_map(Value::as_str).map(str::to_owned));
            }
            _ => {}
        }
    }
    if let Some(causes) = inner.get("errorCauses").and_then(Value::as_array) {
        parts.extend(causes.iter().filter_map(|cause| text(cause, "errorSummary")));
    }
    parts.join(": ")
}

/// The innermost cause says what happened; the outer ones name the address.
fn reason(error: &reqwest::Error) -> String {
    use std::error::Error as _;

    if error.is_timeout() {
        return "no answer in time".into();
    }
    let mut cause = error.source();
    while let Some(inner) = cause.and_then(std::error::Error::source) {
        cause = Some(inner);
    }
    cause.map_or_else(|| "the call failed".to_owned(), ToString::to_string)
}

/// A URL below another one.
pub fn below(base: &Url, path: &[&str]) -> Url {
    let mut url = base.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    url
}
