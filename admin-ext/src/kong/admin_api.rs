//! Calls of Kong's Admin API, and what their answers mean: done, refused by Kong, or no Kong there. Knows nothing of
//! developers, and never logs an address or a token.

use std::error::Error as _;
use std::time::Instant;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Map, Value};
use url::Url;

use super::{KongConfig, Presence};

const ADMIN_TOKEN: HeaderName = HeaderName::from_static("kong-admin-token");
/// Largest answer, in bytes.
const ANSWER_MAX: usize = 1024 * 1024;
/// Longest part of an answer that an error quotes, in characters.
const QUOTED_MAX: usize = 300;

/// Kong's own word that it does not want something.
#[derive(Clone, PartialEq, Debug)]
pub struct Refusal {
    /// 4xx.
    pub status: u16,
    pub body: Map<String, Value>,
}

impl Refusal {
    /// What Kong says is wrong.
    pub fn message(&self) -> String {
        match self.body.get("message").and_then(Value::as_str) {
            Some(message) => message.chars().take(QUOTED_MAX).collect(),
            None => format!("refused with {}", self.status),
        }
    }

    /// Kong's code for the kind of error.
    pub fn code(&self) -> Option<i64> {
        self.body.get("code").and_then(Value::as_i64)
    }
}

/// Why a call did not do what it was to do.
#[derive(Clone, PartialEq, Debug)]
pub enum CallError {
    /// No Kong there that could be told anything now.
    Away(String),
    /// Kong knows nothing of that name.
    Unknown,
    Refused(Refusal),
}

pub struct AdminApi {
    http: reqwest::Client,
    base: Url,
}

impl AdminApi {
    pub fn new(config: &KongConfig) -> anyhow::Result<Self> {
        crate::tls::install();
        let mut headers = HeaderMap::new();
        if let Some(token) = &config.token {
            let mut value = HeaderValue::from_str(token.expose())
                .map_err(|_| anyhow::anyhow!("kong_admin_token: expected printable ASCII characters"))?;
            value.set_sensitive(true);
            headers.insert(ADMIN_TOKEN, value);
        }
        let http = reqwest::Client::builder()
            .timeout(config.timeout)
            .redirect(reqwest::redirect::Policy::none())
            .default_headers(headers)
            .build()?;
        let mut base = config.admin_url.clone();
        base.set_query(None);
        base.set_fragment(None);
        Ok(Self { http, base })
    }

    /// Makes an entity what the body says, or makes it; answers what it is then.
    pub async fn put(
        &self,
        presence: &Presence,
        path: &[&str],
        body: &Value,
    ) -> Result<Map<String, Value>, CallError> {
        let answer = self.call(presence, Method::PUT, path, Some(body)).await?;
        // Whatever answers is a Kong only if it speaks of the entity.
        if answer.get("id").and_then(Value::as_str) == path.last().copied() {
            Ok(answer)
        } else {
            Err(CallError::Away("what answers there is no Kong Admin API: it answers something else".into()))
        }
    }

    pub async fn get(&self, presence: &Presence, path: &[&str]) -> Result<Value, CallError> {
        self.call(presence, Method::GET, path, None).await.map(Value::Object)
    }

    /// Changes an entity.
    pub async fn patch(
        &self,
        presence: &Presence,
        path: &[&str],
        body: &Value,
    ) -> Result<Map<String, Value>, CallError> {
        self.call(presence, Method::PATCH, path, Some(body)).await
    }

    /// As [`AdminApi::get`], with arguments.
    pub async fn get_with(
        &self,
        presence: &Presence,
        path: &[&str],
        arguments: &[(&str, &str)],
    ) -> Result<Map<String, Value>, CallError> {
        self.send(presence, Method::GET, path, (arguments, None)).await
    }

    /// Sees to it that an entity is gone.
    pub async fn delete(&self, presence: &Presence, path: &[&str]) -> Result<(), CallError> {
        self.call(presence, Method::DELETE, path, None).await.map(drop)
    }

    async fn call(
        &self,
        presence: &Presence,
        method: Method,
        path: &[&str],
        body: Option<&Value>,
    ) -> Result<Map<String, Value>, CallError> {
        self.send(presence, method, path, (&[], body)).await
    }

    async fn send(
        &self,
        presence: &Presence,
        method: Method,
        path: &[&str],
        (arguments, body): (&[(&str, &str)], Option<&Value>),
    ) -> Result<Map<String, Value>, CallError> {
        let began = Instant::now();
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        if !arguments.is_empty() {
            url.query_pairs_mut().extend_pairs(arguments);
        }
        let mut request = self.http.request(method.clone(), url);
        if let Some(body) = body {
            request = request.json(body);
        }
        let result = match request.send().await {
            Ok(response) => read(&method, response).await,
            Err(error) => Err(CallError::Away(reason(&error))),
        };
        let outcome = match &result {
            Ok(_) => "applied",
            Err(CallError::Refused(_) | CallError::Unknown) => "refused",
            Err(CallError::Away(_)) => "away",
        };
        metrics::counter!("app_auth_admin_kong_calls_total", "outcome" => outcome).increment(1);
        if let Err(CallError::Away(error)) = &result {
            presence.failed(error, began.elapsed());
        }
        result
    }
}

async fn read(method: &Method, response: Response) -> Result<Map<String, Value>, CallError> {
    let status = response.status();
    if status == StatusCode::NO_CONTENT && method == Method::DELETE {
        return Ok(Map::new());
    }
    let bytes = body(response).await?;
    let body = serde_json::from_slice::<Map<String, Value>>(&bytes);
    let Ok(body) = body else {
        let what = format!("what answers there is no Kong Admin API: {status}, and no JSON object");
        return Err(CallError::Away(what));
    };
    let message = body.get("message").and_then(Value::as_str).unwrap_or_default();
    let said: String = message.chars().take(QUOTED_MAX).collect();
    let away = |what: &str| Err(CallError::Away(format!("{what}: {status} {said}")));
    match status.as_u16() {
        200..=299 => Ok(body),
        404 if message.starts_with("no Route matched") => {
            away("what answers there is Kong's proxy and not its Admin API")
        }
        404 if method == Method::DELETE => Ok(Map::new()),
        404 if method == Method::GET || method == Method::PATCH => Err(CallError::Unknown),
        400 | 409 | 413 | 422 => Err(CallError::Refused(Refusal { status: status.as_u16(), body })),
        401 | 403 => away("Kong does not accept kong_admin_token"),
        405 => away("Kong takes no changes"),
        429 | 500..=599 => away("Kong cannot answer now"),
        _ => away("Kong answered what an Admin API does not answer"),
    }
}

/// The body of an answer, up to a limit.
async fn body(mut response: Response) -> Result<Vec<u8>, CallError> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(None) => return Ok(body),
            Ok(Some(chunk)) if body.len() + chunk.len() <= ANSWER_MAX => body.extend_from_slice(&chunk),
            Ok(Some(_)) => return Err(CallError::Away(format!("an answer of more than {ANSWER_MAX} bytes"))),
            Err(error) => return Err(CallError::Away(reason(&error))),
        }
    }
}

/// The innermost cause says what happened; the outer ones name the address, which may hold a password.
fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".into();
    }
    let mut cause = error.source();
    while let Some(inner) = cause.and_then(std::error::Error::source) {
        cause = Some(inner);
    }
    cause.map_or_else(
        || "the call failed".to_owned(),
        |cause| cause.to_string().chars().take(QUOTED_MAX).collect(),
    )
}
