//! Somebody with a browser that runs no scripts: it keeps cookies, follows redirects where it is told to, and sends forms.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use app_auth_tests::client::{Answer, http, send};
use reqwest::Method;
use reqwest::Url;

/// Most redirects that are followed.
const REDIRECTS_MAX: usize = 20;

/// A browser. Its cookies are like those of browsers: of a host, whatever the port.
#[derive(Clone)]
pub struct Visit {
    http: reqwest::Client,
    base: String,
    pub cookies: BTreeMap<String, String>,
    /// Sent with every request.
    pub headers: BTreeMap<&'static str, String>,
}

impl Visit {
    pub fn new(base: &str) -> Self {
        Self { http: http(), base: base.to_owned(), cookies: BTreeMap::new(), headers: BTreeMap::new() }
    }

    async fn ask(&mut self, method: Method, url: &str, form: Option<&[(&str, &str)]>) -> Result<Answer> {
        let url = if url.starts_with('/') { format!("{}{url}", self.base) } else { url.to_owned() };
        let mut request = self.http.request(method, url);
        if !self.cookies.is_empty() {
            let cookies: Vec<_> =
                self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header("cookie", cookies.join("; "));
        }
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        if let Some(form) = form {
            request = request.form(form);
        }
        let answer = send(request).await?;
        for cookie in answer.headers.get_all("set-cookie") {
            let cookie = cookie.to_str()?;
            let (pair, attributes) = cookie.split_once(';').unwrap_or((cookie, ""));
            let (name, value) = pair.split_once('=').context("a cookie without a value")?;
            if attributes.contains("Max-Age=0") || attributes.contains("01 Jan 1970") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        Ok(answer)
    }

    pub async fn get(&mut self, url: &str) -> Result<Answer> {
        self.ask(Method::GET, url, None).await
    }

    /// Sends a form as it is.
    pub async fn post(&mut self, url: &str, form: &[(&str, &str)]) -> Result<Answer> {
        self.ask(Method::POST, url, Some(form)).await
    }

    /// Goes where it is sent, up to an address that begins like this: there it stops, and answers the address.
    pub async fn follow(&mut self, url: &str, until: &str) -> Result<String> {
        let mut at = url.to_owned();
        for _ in 0..REDIRECTS_MAX {
            let answer = self.get(&at).await?;
            ensure!((301..=308).contains(&answer.status), "{at}: {} {}", answer.status, answer.text());
            at = self.absolute(&at, answer.header("location"))?;
            if at.starts_with(until) {
                return Ok(at);
            }
        }
        anyhow::bail!("it goes round and round at {at}")
    }

    fn absolute(&self, at: &str, to: &str) -> Result<String> {
        let at = Url::parse(&self.base)?.join(at)?;
        Ok(at.join(to)?.to_string())
    }

    /// The token that a form of this page carries.
    pub async fn csrf(&mut self, page: &str) -> Result<String> {
        let page = self.get(page).await?.expect(200)?.text();
        let (_, rest) = page.split_once("name=\"csrf\" value=\"").context("a page without a form")?;
        Ok(rest.split('"').next().unwrap_or_default().to_owned())
    }

    /// Signs in with a token.
    pub async fn sign_in(&mut self, token: &str) -> Result<()> {
        let csrf = self.csrf("/console/sign-in").await?;
        let form = [("csrf", &*csrf), ("token", token)];
        self.post("/console/sign-in", &form).await?.expect(303).map(drop)
    }

    /// Whether it is let in.
    pub async fn is_in(&mut self) -> Result<bool> {
        let answer = self.get("/console/applications").await?;
        ensure!(matches!(answer.status, 200 | 303), "{} {}", answer.status, answer.text());
        Ok(answer.status == 200)
    }
}
