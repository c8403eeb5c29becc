//! What gateways count of applications' requests, as the admin API shows it: every request once and under its own, whatever
//! dies meanwhile and whatever is told twice.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use app_auth_tests::admin::Database;
use app_auth_tests::bench::seed::{Shape, Store};
use app_auth_tests::client::{Client, send};
use app_auth_tests::gateway::{Gateway, Service};
use app_auth_tests::portal::{Application, Status};
use app_auth_tests::products::DEFAULT_PORTAL;
use app_auth_tests::scene::Scene;
use app_auth_tests::upstream::Upstream;
use app_auth_tests::wait;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

/// Requests by service and outcome.
type Counts = BTreeMap<(String, String), u64>;

async fn traffic(client: &Client, application: &str, period: &str) -> Result<Value> {
    let path = format!("/v2/portals/{DEFAULT_PORTAL}/applications/{application}/traffic?period={period}");
    Ok(client.get(&path).await?.expect(200)?.json())
}

/// What is shown of an application. All that is shown must add up to the same.
async fn counts(client: &Client, application: &str, period: &str) -> Result<Counts> {
    let shown = traffic(client, application, period).await?;
    let mut counts = Counts::new();
    for service in shown["by_service"].as_array().context("services")? {
        let name = service["name"].as_str().unwrap_or("-").to_owned();
        for outcome in service["by_outcome"].as_array().context("outcomes")? {
            let outcome_name = outcome["outcome"].as_str().context("an outcome")?.to_owned();
            let count = outcome["count"].as_u64().context("a count")?;
            counts.insert((name.clone(), outcome_name), count);
        }
    }
    Ok(counts)
}

/// Waits until exactly this is shown, in every period.
async fn shows(client: &Client, application: &Application, expected: &[(&str, &str, u64)]) -> Result<()> {
    let expected: Counts = expected
        .iter()
        .map(|(service, outcome, count)| (((*service).to_owned(), (*outcome).to_owned()), *count))
        .collect();
    let mut last = Counts::new();
    let waited = wait::until("the traffic to be reported", async || {
        last = counts(client, &application.id, "hour").await?;
        for (key, count) in &last {
            let most = expected.get(key).copied().unwrap_or_default();
            ensure!(*count <= most, "{key:?}: {count}, more than the {most} there were");
        }
        Ok(last == expected)
    });
    waited.await.with_context(|| format!("{expected:?}, not {last:?}"))?;
    for period in ["hour", "day", "week"] {
        assert_eq!(counts(client, &application.id, period).await?, expected, "{period}");
        let shown = traffic(client, &application.id, period).await?;
        let sum = |list: &str, member: &str| -> u64 {
            shown[list].as_array().into_iter().flatten().filter_map(|it| it[member].as_u64()).sum()
        };
        let total: u64 = expected.values().sum();
        assert_eq!(shown["allowed"].as_u64().zip(shown["refused"].as_u64()).map(|(a, r)| a + r), Some(total));
        assert_eq!(sum("points", "allowed") + sum("points", "refused"), total, "{period}");
        assert_eq!(sum("by_outcome", "count"), total, "{period}");
    }
    Ok(())
}

/// Sends as many requests, several at a time, over new connections now and then so that both workers get some.
async fn request(scene: &Scene, path: &str, key: &str, count: u64, status: u16) -> Result<()> {
    let clients: Vec<_> = (0..8).map(|_| scene.client()).collect();
    let requests = (0..count).zip(clients.iter().cycle()).map(|(_, client)| async move {
        let answer = send(client.request(Method::GET, path).header("apikey", key)).await?;
        ensure!(answer.status == status, "{path}: {}, not {status}", answer.status);
        Ok(())
    });
    stream::iter(requests).buffer_unordered(8).try_collect().await
}

#[tokio::test(flavor = "multi_thread")]
async fn given_every_kind_of_outcome_when_requests_are_sent_then_each_is_shown_once_under_its_application_and_service()
-> Result<()> {
    for database in Database::BOTH {
        let services = [("one", "/one", json!({})), ("other", "/other", json!({}))];
        let mut scene = Scene::with_services(database, &services).await?;
        let (portal, admin) = (scene.confirmed(), scene.admin.client().clone());
        let (good, _) = portal.approved_key(scene.service_named("one")?).await?;
        let (changing, connection) = portal.approved_key(scene.service_named("one")?).await?;
        let developer = portal.developer(Status::Approved).await?;
        let waiting = portal.key(&portal.application(&developer).await?).await?;
        portal.connection(&waiting.application, scene.service_named("other")?).await?;

        request(&scene, "/one", &good.key, 40, 200).await?;
        request(&scene, "/other", &good.key, 3, 403).await?;
        request(&scene, "/one", &changing.key, 7, 200).await?;
        portal.set_connection(&connection, Status::Revoked).await?;
        request(&scene, "/one", &changing.key, 5, 403).await?;
        request(&scene, "/other", &waiting.key, 4, 403).await?;
        request(&scene, "/one", "nobody's", 9, 401).await?;

        let good_so_far = [("one", "allowed", 40), ("other", "no_connection", 3)];
        shows(&admin, &good.application, &good_so_far).await?;
        shows(&admin, &changing.application, &[("one", "allowed", 7), ("one", "revoked", 5)]).await?;
        shows(&admin, &waiting.application, &[("other", "pending", 4)]).await?;
        let used = traffic(&admin, &waiting.application.id, "day").await?["last_used_at"].clone();
        assert!(used.is_string(), "{used}");

        // It dies with whatever it is about to say, and so do requests nobody is there to hear of.
        request(&scene, "/one", &good.key, 10, 200).await?;
        scene.admin.kill();
        request(&scene, "/one", &good.key, 20, 200).await?;
        request(&scene, "/one", &changing.key, 6, 403).await?;
        scene.admin.restart().await?;
        request(&scene, "/one", &good.key, 30, 200).await?;
        let admin = scene.admin.client().clone();
        shows(&admin, &good.application, &[("one", "allowed", 100), ("other", "no_connection", 3)]).await?;
        shows(&admin, &changing.application, &[("one", "allowed", 7), ("one", "revoked", 11)]).await?;
        scene.gateway.check_alive()?;
    }
    Ok(())
}

#[tokio::test]
async fn given_a_report_when_it_is_told_twice_or_makes_no_sense_then_it_counts_once_or_not_at_all()
-> Result<()> {
    let scene = Scene::start(Database::Sqlite).await?;
    let portal = scene.portal();
    let developer = portal.developer(Status::Approved).await?;
    let application = portal.application(&developer).await?;
    let (gateway, admin) = (scene.admin.gateway_client(), scene.admin.client());
    let report = |seq: u64, outcome: &str, count: u64| {
        let row = json!({"application": application.id, "service": scene.service(), "outcome": outcome, "count": count});
        let batch = json!({"reporter": "7d2a1f0c9be14c5a8f3e6d7b2a1c0e9f", "seq": seq, "rows": [row]});
        json!({"node": "by-hand", "version": "0.1.0", "batches": [batch]})
    };
    let tell = async |body: &Value| Ok::<_, anyhow::Error>(gateway.post("/gateway/v1/traffic", body).await?);

    let first = tell(&report(1, "allowed", 5)).await?.expect(200)?.json();
    assert_eq!(first, json!({"batches": 1, "repeated": 0, "requests": 5}));
    let again = tell(&report(1, "allowed", 5)).await?.expect(200)?.json();
    assert_eq!(again, json!({"batches": 0, "repeated": 1, "requests": 0}));
    // A newer gateway may know more outcomes.
    tell(&report(2, "throttled", 2)).await?.expect(200)?;
    shows(admin, &application, &[("echo", "allowed", 5), ("echo", "other", 2)]).await?;

    let with = |path: &str, value: Value| {
        let mut body = report(3, "allowed", 1);
        *body.pointer_mut(path).expect("a member") = value;
        body
    };
    let many = |count: usize| Value::from(vec![report(3, "allowed", 1)["batches"][0].clone(); count]);
    for (path, wrong, names) in [
        ("/node", json!("a b"), "node"),
        ("/version", json!(""), "version"),
        ("/batches", many(65), "batches"),
        ("/batches/0/reporter", json!("7d2a"), "reporter"),
        ("/batches/0/reporter", json!("+d2a1f0c9be14c5a8f3e6d7b2a1c0e9f"), "reporter"),
        ("/batches/0/seq", json!(0), "seq"),
        ("/batches/0/seq", json!(-1), "integer"),
        ("/batches/0/rows/0/count", json!(0), "count"),
        ("/batches/0/rows/0/count", json!(1_000_000_000_001_u64), "count"),
        ("/batches/0/rows/0/application", json!("x"), "UUID"),
    ] {
        let answer = tell(&with(path, wrong)).await?.expect(400)?;
        let detail = answer.field("detail")?;
        assert!(detail.contains(names), "{path}: {detail}");
    }
    assert_eq!(admin.post("/gateway/v1/traffic", &report(3, "allowed", 1)).await?.status, 401);
    shows(admin, &application, &[("echo", "allowed", 5), ("echo", "other", 2)]).await?;

    let path = format!("/v2/portals/{DEFAULT_PORTAL}/applications/{}/traffic", application.id);
    let refused = admin.get(&format!("{path}?period=month")).await?.expect(400)?.json();
    assert_eq!(refused["invalid_parameters"][0]["field"], "period");
    let nobody = format!("/v2/portals/{DEFAULT_PORTAL}/applications/{}/traffic", Uuid::new_v4());
    admin.get(&nobody).await?.expect(404)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn given_three_thousand_applications_when_each_sends_a_request_then_each_is_shown_its_own() -> Result<()>
{
    const APPLICATIONS: u32 = 3_000;
    let folder = tempfile::tempdir()?;
    let shape =
        Shape { applications: APPLICATIONS, keys_per_application: 1, applications_per_developer: 500 };
    let store = Store::fill(shape, Database::Sqlite, folder.path()).await?;
    let upstream = Upstream::start(0)?;
    let service = Service::new("bench", store.service, "/");
    let mut gateway = Gateway::start(&store.admin, upstream.address(), vec![service]).await?;
    gateway.wait_until_synced().await?;

    let (client, keys) = (gateway.client(), store.some_keys(APPLICATIONS as usize)?);
    let requests = keys.iter().map(|key| {
        let client = &client;
        async move { send(client.request(Method::GET, "/").header("apikey", key)).await?.expect(200) }
    });
    let answers: Vec<_> = stream::iter(requests).buffer_unordered(16).try_collect().await?;
    assert_eq!(answers.len(), APPLICATIONS as usize);

    let admin = store.admin.client();
    let mut counted = String::new();
    let waited = wait::until("all of them to be reported", async || {
        let metrics = admin.get("/metrics").await?.text();
        let line = metrics.lines().find(|line| line.starts_with("app_auth_admin_traffic_requests_total"));
        counted = line.and_then(|line| line.rsplit(' ').next()).unwrap_or_default().to_owned();
        Ok(counted == APPLICATIONS.to_string())
    });
    waited.await.with_context(|| format!("{counted} counted"))?;
    let mut shown = 0;
    for page in 1..=APPLICATIONS / 100 {
        let path = format!("/v2/portals/{DEFAULT_PORTAL}/applications?page[size]=100&page[number]={page}");
        let list = admin.get(&path).await?.expect(200)?.json();
        let ids = list["data"].as_array().into_iter().flatten().filter_map(|it| it["id"].as_str());
        let one = Counts::from([(("bench".to_owned(), "allowed".to_owned()), 1)]);
        // Of each page some: asking for all of them would take longer than all the rest.
        for id in ids.step_by(9) {
            assert_eq!(counts(admin, id, "hour").await?, one, "{id}");
            shown += 1;
        }
    }
    assert!(shown >= APPLICATIONS / 10, "{shown}");
    Ok(())
}
