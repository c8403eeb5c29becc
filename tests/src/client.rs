//! A small HTTP client: a base URL, a token, and answers that are easy to assert on.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use crate::contract::{self, Exchange};

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    /// The first value of a header, or "".
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; null if it is not.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The answer itself, if it has this status.
    ///
    /// # Errors
    /// Another status; the error quotes the body.
    pub fn expect(self, status: u16) -> Result<Self> {
        ensure!(self.status == status, "expected {status}, got {}: {}", self.status, self.text());
        Ok(self)
    }

    /// A text member of a JSON body.
    pub fn field(&self, name: &str) -> Result<String> {
        let json = self.json();
        let value = json[name].as_str().with_context(|| format!("no text `{name}` in {}", self.text()))?;
        Ok(value.to_owned())
    }
}

/// Sends a prepared request and reads the whole answer. One of the admin extension must be as its OpenAPI document
/// says.
pub async fn send(request: RequestBuilder) -> Result<Answer> {
    let (client, request) = request.build_split();
    let request = request?;
    let (method, url) = (request.method().clone(), request.url().clone());
    let is_json =
        request.headers().get("content-type").is_some_and(|value| value.as_bytes() == b"application/json");
    let sent =
        request.body().filter(|_| is_json).and_then(|body| serde_json::from_slice(body.as_bytes()?).ok());
    let response = client.execute(request).await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let answer = Answer { status, headers, body: response.bytes().await?.to_vec() };
    if answer.header("server").starts_with("app-auth-admin") {
        contract::check(&Exchange {
            method: &method,
            path: url.path(),
            arguments: &url.query_pairs().map(|(name, _)| name.into_owned()).collect::<Vec<_>>(),
            sent,
            status,
            content_type: answer.header("content-type"),
            body: &answer.body,
        })?;
    }
    Ok(answer)
}

/// A client of one server with one bearer token.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

impl Client {
    pub fn new(base: &str, token: Option<&str>) -> Self {
        Self { http: http(), base: base.into(), token: token.map(Into::into) }
    }

    /// The same server with another token, or with none.
    #[must_use]
    pub fn with_token(&self, token: Option<&str>) -> Self {
        Self { token: token.map(Into::into), ..self.clone() }
    }

    pub fn base(&self) -> &str {
        &self.base
    }

    /// A request to change before it is sent: headers, body of another type.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub async fn get(&self, path: &str) -> Result<Answer> {
        send(self.request(Method::GET, path)).await
    }

    pub async fn delete(&self, path: &str) -> Result<Answer> {
        send(self.request(Method::DELETE, path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        send(self.request(Method::POST, path).json(body)).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Result<Answer> {
        send(self.request(Method::PUT, path).json(body)).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Result<Answer> {
        send(self.request(Method::PATCH, path).json(body)).await
    }

    /// A form body (`application/x-www-form-urlencoded`).
    pub async fn send_form(&self, method: Method, path: &str, fields: &[(&str, &str)]) -> Result<Answer> {
        send(self.request(method, path).form(fields)).await
    }
}

/// A client that follows no redirects and uses no proxy of the environment.
pub fn http() -> reqwest::Client {
    app_auth_admin::tls::install();
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        // Everything is called over plain HTTP, and reading the system's certificates takes longer than most calls.
        .tls_certs_only([])
        // Shorter than any server here keeps a connection: one that is just being closed is not used again.
        .pool_idle_timeout(Duration::from_millis(500))
        .build()
        .unwrap_or_else(|error| panic!("an HTTP client without TLS always builds: {error}"))
}
