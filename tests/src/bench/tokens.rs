//! What checking a token costs beside Envoy's own `jwt_authn`: the same token of the same issuer, verified anew on every
//! request and remembered. A strategy with `cache_ttl` 0 remembers nothing, as `jwt_authn` does without its cache.

use std::fs;
use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};
use uuid::Uuid;

use super::load::Wrk;
use super::report::{RowReport, TokensReport};
use super::rows::{self, Row};
use super::{Plan, sample};
use crate::admin::{Admin, Database};
use crate::client::{Client, send};
use crate::oidc_provider::OidcProvider;
use crate::portal::Portal;
use crate::products::{DEFAULT_PORTAL, Products};
use crate::upstream::Upstream;
use crate::wait;

const CLIENT: &str = "bench-client";
const SECRET: &str = "bench-secret-of-the-client";
const API: &str = "https://bench.example";

/// An algorithm and the names of its rows.
struct Alg {
    name: &'static str,
    native: &'static str,
    native_cached: &'static str,
    cold: &'static str,
    warm: &'static str,
}

const ALGS: [Alg; 3] = [
    Alg {
        name: "RS256",
        native: "RS256 jwt_authn",
        native_cached: "RS256 jwt_authn, cache",
        cold: "RS256 app_auth, cold",
        warm: "RS256 app_auth, warm",
    },
    Alg {
        name: "ES256",
        native: "ES256 jwt_authn",
        native_cached: "ES256 jwt_authn, cache",
        cold: "ES256 app_auth, cold",
        warm: "ES256 app_auth, warm",
    },
    Alg {
        name: "EdDSA",
        native: "EdDSA jwt_authn",
        native_cached: "EdDSA jwt_authn, cache",
        cold: "EdDSA app_auth, cold",
        warm: "EdDSA app_auth, warm",
    },
];

/// Services whose strategies remember tokens, and do not.
struct Services {
    warm: Uuid,
    cold: Uuid,
}

pub async fn measure(plan: Plan, pinned: bool) -> Result<TokensReport> {
    let folder = tempfile::Builder::new().prefix("app-auth-bench-").tempdir()?;
    let wrk = Wrk::for_header(folder.path(), "authorization")?;
    let upstream = Upstream::start(0)?;
    let provider = OidcProvider::start().await?;
    provider.add_client(CLIENT, SECRET).await?;
    provider.set_lifetime(24 * 3600).await?;
    // All tokens first, so that every row is given the same set of keys.
    for alg in &ALGS {
        provider.rotate(alg.name, true).await?;
        let token = provider.jwt(CLIENT, SECRET, "", API).await?;
        fs::write(folder.path().join(alg.name), format!("Bearer {token}\n"))?;
    }
    let jwks = Client::new(&provider.url(), None).get("/jwks").await?.expect(200)?.text();
    let admin = Admin::start_with(Database::Sqlite, &[("APP_AUTH_IDP_ALLOW_HTTP", "true")]).await?;
    let services = offer(&admin, &provider).await?;

    let mut rows = Vec::new();
    for alg in &ALGS {
        let file = folder.path().join(alg.name);
        for (name, size) in [(alg.native, 0), (alg.native_cached, 100)] {
            let checks = rows::jwt_authn(&provider.url(), &jwks, size);
            rows.push(start(name, checks, &upstream, &file).await?);
        }
        for (name, service) in [(alg.cold, services.cold), (alg.warm, services.warm)] {
            let checks =
                rows::app_auth(admin.address().parse()?, admin.gateway_token(), &service.to_string(), true)?;
            rows.push(start(name, checks, &upstream, &file).await?);
        }
    }
    let none = folder.path().join("RS256");
    rows.push(start("no filter", rows::Checks::default(), &upstream, &none).await?);

    let samples = sample(plan, &wrk, &rows)?;
    // Each beside the native filter of its own algorithm, the last beside the first.
    let native =
        |at: usize| samples.get(at / 4 * 4).or(samples.first()).map(Vec::as_slice).unwrap_or_default();
    let first = samples.first().map(Vec::as_slice).unwrap_or_default();
    let reports = rows.iter().zip(&samples).enumerate().map(|(at, (row, own))| {
        RowReport::new(row.name, own, if row.name == "no filter" { first } else { native(at) })
    });
    Ok(TokensReport {
        pinned,
        rounds: plan.rounds,
        seconds_per_sample: plan.sample.as_secs(),
        rows: reports.collect(),
    })
}

async fn start(name: &'static str, checks: rows::Checks, upstream: &Upstream, token: &Path) -> Result<Row> {
    let row = Row::start(name, checks, upstream.address(), token).await?;
    let authorization = fs::read_to_string(token)?;
    let client = Client::new(&row.url(), None);
    wait::until(&format!("{name} to let the token through"), async || {
        let request = client.request(reqwest::Method::GET, "/fast");
        Ok(send(request.header("authorization", authorization.trim())).await?.status == 200)
    })
    .await?;
    Ok(row)
}

/// Two services, each with a version of its own and a strategy of the provider; one application for both.
async fn offer(admin: &Admin, provider: &OidcProvider) -> Result<Services> {
    let (portal, products) = (Portal::new(admin.client()), Products::new(admin.client()));
    let mut services = Vec::new();
    for cache_ttl in [3600, 0] {
        let service = Uuid::new_v4();
        portal.service(service, &format!("bench-{cache_ttl}"), json!({})).await?;
        let config: Value = json!({"issuer": provider.url(), "credential_claim": ["client_id"], "scopes": ["openid"],
            "auth_methods": ["bearer"], "cache_ttl": cache_ttl});
        let strategy = products.openid_connect(json!({"configs": {"openid-connect": config}})).await?;
        let version = products.version(&format!("bench-{cache_ttl}"), Some(service)).await?;
        products.offer(DEFAULT_PORTAL, &version, Some(&strategy), json!({})).await?;
        let members = json!({"auth_strategy_id": strategy, "reference_id": CLIENT});
        let application = products.application(DEFAULT_PORTAL, members).await?;
        products.register(&application, &version, Some("approved")).await?;
        services.push(service);
    }
    let [warm, cold] = services[..] else { return Err(anyhow::anyhow!("two services")) };
    Ok(Services { warm, cold })
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    /// A comparison is worth something only if each row does the work it is named for.
    #[tokio::test]
    async fn given_envoys_own_check_when_tokens_come_then_good_ones_pass_and_others_do_not() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let provider = OidcProvider::start().await?;
        provider.add_client(CLIENT, SECRET).await?;
        let upstream = Upstream::start(0)?;
        for alg in &ALGS {
            provider.rotate(alg.name, true).await?;
            let jwks = Client::new(&provider.url(), None).get("/jwks").await?.expect(200)?.text();
            let token = provider.jwt(CLIENT, SECRET, "", API).await?;
            for size in [0, 100] {
                let checks = rows::jwt_authn(&provider.url(), &jwks, size);
                let row =
                    Row::start(alg.native, checks, upstream.address(), &folder.path().join("t")).await?;
                let client = Client::new(&row.url(), None);
                let ask =
                    |token: String| send(client.request(reqwest::Method::GET, "/fast").bearer_auth(token));
                for _ in 0..2 {
                    assert_eq!(ask(token.clone()).await?.status, 200, "{}", alg.name);
                }
                let (head, _) = token.rsplit_once('.').context("a token")?;
                assert_eq!(ask(format!("{head}.AAAA")).await?.status, 401);
            }
        }
        Ok(())
    }
}
