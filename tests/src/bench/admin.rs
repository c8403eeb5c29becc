//! What the admin API does in a second with a full store, on both databases, and what a page of a list costs at its
//! beginning and at its end.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

use super::report::{AdminReport, Latency};
use super::seed::{Shape, Store};
use super::{Plan, progress};
use crate::admin::Database;
use crate::client::http;

/// Requests at a time.
const CALLERS: usize = 8;
/// Pages that are timed at each end of a list.
const PAGES: usize = 50;

/// How full the store is.
const fn shape(plan: Plan) -> Shape {
    let developers = if plan.quick { 1000 } else { 100_000 };
    Shape { applications: developers, keys_per_application: 10, applications_per_developer: 1 }
}

/// Measures one database.
pub async fn measure(plan: Plan, database: Database, folder: &Path) -> Result<AdminReport> {
    let shape = shape(plan);
    let began = Instant::now();
    progress(&format!(
        "{database:?}: making {} developers and {} credentials",
        shape.applications,
        shape.credentials()
    ));
    let store = Store::fill(shape, database, folder).await?;
    let seeded = began.elapsed().as_secs_f64();
    let calls = Calls { http: http(), base: store.admin.url(), token: store.admin.admin_token().to_owned() };

    let creates = calls.rate(plan.sample, move |calls, number| {
        let body = json!({"email": format!("new-{number}@example.com"), "meta": {"full_name": "New"}});
        calls.request(Method::POST, "/developers").json(&body)
    });
    let creates = creates.await?;
    let developers = u64::from(shape.applications);
    let gets = calls.rate(plan.sample, move |calls, number| {
        // Spread over the whole store by a step that has no common divisor with its size.
        calls.request(Method::GET, &format!("/developers/seed-{}@example.com", number * 7919 % developers))
    });
    let gets = gets.await?;
    let lists =
        calls.rate(plan.sample, |calls, _| calls.request(Method::GET, "/developers?size=100")).await?;
    progress(&format!(
        "{database:?}: {creates:.0} created, {gets:.0} read, {lists:.0} pages listed a second"
    ));

    let last = calls.last_page().await?;
    Ok(AdminReport {
        database: format!("{database:?}"),
        developers,
        credentials: shape.credentials(),
        seed_seconds: seeded,
        creates_per_second: creates,
        gets_per_second: gets,
        lists_per_second: lists,
        first_page: calls.latency("/developers?size=100").await?,
        last_page: calls.latency(&last).await?,
    })
}

#[derive(Clone)]
struct Calls {
    http: Client,
    base: String,
    token: String,
}

impl Calls {
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token)
    }

    /// Successful requests per second, with several callers for a while.
    async fn rate(
        &self,
        duration: Duration,
        request: impl Fn(&Self, u64) -> RequestBuilder + Clone + Send + Sync + 'static,
    ) -> Result<f64> {
        let next = Arc::new(AtomicU64::new(0));
        let began = Instant::now();
        let mut callers = tokio::task::JoinSet::new();
        for _ in 0..CALLERS {
            let (calls, request, next) = (self.clone(), request.clone(), Arc::clone(&next));
            callers.spawn(async move {
                while began.elapsed() < duration {
                    let answer = request(&calls, next.fetch_add(1, Ordering::Relaxed)).send().await?;
                    let status = answer.status();
                    let body = answer.bytes().await?;
                    ensure!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&body));
                }
                Ok(())
            });
        }
        while let Some(caller) = callers.join_next().await {
            caller??;
        }
        #[expect(clippy::cast_precision_loss, reason = "a number of requests")]
        Ok(next.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64())
    }

    async fn get(&self, path: &str) -> Result<Value> {
        Ok(self.request(Method::GET, path).send().await?.error_for_status()?.json().await?)
    }

    /// The path of the last full page of 100 developers.
    async fn last_page(&self) -> Result<String> {
        let mut path = "/developers?size=1000".to_owned();
        loop {
            let page = self.get(&path).await?;
            let Some(next) = page["next"].as_str() else { break };
            next.clone_into(&mut path);
        }
        // Of the last thousand, the last hundred that fill a page.
        let mut path = path.replace("size=1000", "size=100");
        loop {
            let page = self.get(&path).await?;
            let Some(next) = page["next"].as_str() else { break };
            if self.get(next).await?["data"].as_array().is_none_or(|data| data.len() < 100) {
                break;
            }
            next.clone_into(&mut path);
        }
        ensure!(path.contains("offset="), "the list has one page only");
        Ok(path)
    }

    /// How long one page takes, asked for alone.
    async fn latency(&self, path: &str) -> Result<Latency> {
        let mut milliseconds = Vec::with_capacity(PAGES);
        for _ in 0..PAGES {
            let began = Instant::now();
            let page = self.get(path).await?;
            milliseconds.push(began.elapsed().as_secs_f64() * 1e3);
            page["total"].as_u64().context("no list")?;
        }
        Ok(Latency::of(milliseconds))
    }
}
