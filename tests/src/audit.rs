//! The audit log as scenarios read it.

use anyhow::{Result, ensure};
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use crate::client::{Answer, Client, send};
use crate::contract;

/// In every secret that scenarios choose.
pub const MARK: &str = "hush-hush";

/// All lines that meet the filters, newest first, read page by page.
pub async fn lines(client: &Client, filters: &str) -> Result<Vec<Value>> {
    let (mut lines, mut next) = (Vec::new(), Some(format!("/audit?size=7&{filters}")));
    while let Some(path) = next {
        let page = client.get(&path).await?.expect(200)?.json();
        lines.extend(page["data"].as_array().into_iter().flatten().cloned());
        next = page["next"].as_str().map(str::to_owned);
        ensure!(next.is_some() || page["total"] == lines.len(), "{filters}: {} of {page}", lines.len());
    }
    Ok(lines)
}

/// Writes, and remembers what it wrote and which secrets it heard.
#[derive(Debug)]
pub struct Writes<'a> {
    pub client: &'a Client,
    /// Operations of the OpenAPI document.
    pub done: Vec<(String, String)>,
    pub secrets: Vec<String>,
}

impl<'a> Writes<'a> {
    pub fn new(client: &'a Client) -> Self {
        Self { client, done: Vec::new(), secrets: Vec::new() }
    }

    /// A write, which must leave a line of its own.
    pub async fn write(&mut self, method: Method, path: &str, body: Value) -> Result<Answer> {
        let request = self.client.request(method.clone(), path).json(&body);
        self.send(method, path, request).await
    }

    /// As [`Writes::write`], of a request that is ready.
    pub async fn send(&mut self, method: Method, path: &str, request: RequestBuilder) -> Result<Answer> {
        let answer = send(request).await?;
        ensure!(answer.status < 300, "{method} {path}: {} {}", answer.status, answer.text());
        let request = answer.header("x-request-id");
        let told = lines(self.client, &format!("request_id={request}")).await?;
        ensure!(!told.is_empty(), "{method} {path} left no line");
        self.done.extend(contract::operation(&method, path));
        self.hear(&answer.json());
        Ok(answer)
    }

    /// Makes something, and answers its path.
    pub async fn create(&mut self, list: &str, body: Value) -> Result<String> {
        let id = self.write(Method::POST, list, body).await?.field("id")?;
        Ok(format!("{list}/{id}"))
    }

    /// Remembers the secrets of an answer, hashed ones included.
    pub fn hear(&mut self, value: &Value) {
        match value {
            Value::Object(members) => {
                // The `key` of a credential for JWT is the public name of its issuer, and so is what an identity
                // provider calls an application.
                let secret = |name: &str| match name {
                    "client_secret" | "credential" | "password" | "secret" => true,
                    "client_id" => members.contains_key("client_secret"),
                    "key" => !members.contains_key("algorithm"),
                    _ => false,
                };
                for (name, value) in members {
                    match value {
                        Value::String(text) if secret(name) => self.secrets.push(text.clone()),
                        value => self.hear(value),
                    }
                }
            }
            Value::Array(elements) => elements.iter().for_each(|element| self.hear(element)),
            _ => {}
        }
    }
}
