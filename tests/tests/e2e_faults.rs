//! Faults: the admin extension dies under load, the gateway restarts, a configuration cannot be used, two replicas share
//! a database. No wrong answer, no lost write, never open.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::{Context as _, Result};
use app_auth_tests::admin::{Admin, Database};
use app_auth_tests::client::{Client, send};
use app_auth_tests::gateway::{Gateway, Service};
use app_auth_tests::portal::{Portal, Status};
use app_auth_tests::scene::{Outcome, Scene};
use app_auth_tests::upstream::Upstream;
use app_auth_tests::wait;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

/// How often the admin extension is killed.
const KILLS: usize = 4;

/// Requests that went on while something else happened.
struct Load {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<Result<()>>,
}

impl Load {
    /// Calls over and over with a key whose answer must stay the same.
    fn start(client: Client, key: &str, outcome: Outcome) -> Self {
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, counter, key) = (Arc::clone(&stop), Arc::clone(&sent), key.to_owned());
        let task = tokio::spawn(async move {
            while !stopped.load(Ordering::Relaxed) {
                let answer = send(client.request(Method::GET, "/").header("apikey", &key)).await?;
                assert_eq!(Outcome::of(&answer), outcome, "request {}", counter.load(Ordering::Relaxed));
                counter.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        });
        Self { stop, sent, task }
    }

    async fn finish(self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await??;
        Ok(self.sent.load(Ordering::Relaxed))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn given_load_and_writes_when_the_admin_extension_is_killed_again_and_again_then_no_answer_is_wrong_and_no_acknowledged_write_lost()
-> Result<()> {
    for database in Database::BOTH {
        let mut scene = Scene::start(database).await?;
        let confirmed = scene.confirmed();
        let (good, _) = confirmed.approved_key(scene.service()).await?;
        let (bad, connection) = confirmed.approved_key(scene.service()).await?;
        confirmed.set_connection(&connection, Status::Revoked).await?;
        let loads = [
            Load::start(scene.client(), &good.key, Outcome::allowed()),
            Load::start(scene.client(), &bad.key, Outcome::forbidden("revoked")),
            Load::start(scene.client(), "nobody's", Outcome::unauthorized("Unauthorized")),
        ];

        let mut acknowledged: Vec<(String, Outcome)> = Vec::new();
        for _ in 0..KILLS {
            let writes = tokio::spawn(write_until_cut_off(scene.portal(), scene.service()));
            // Somewhere in the middle of the writes.
            let before = loads[0].sent.load(Ordering::Relaxed);
            wait::until("some load", async || Ok(loads[0].sent.load(Ordering::Relaxed) > before + 200))
                .await?;
            scene.admin.kill();
            acknowledged.extend(writes.await?);
            let while_dead = loads[0].sent.load(Ordering::Relaxed);
            wait::until("load without it", async || {
                Ok(loads[0].sent.load(Ordering::Relaxed) > while_dead + 50)
            })
            .await?;
            scene.admin.restart().await?;
        }

        assert!(
            acknowledged.len() > KILLS,
            "{database:?}: only {} writes were acknowledged",
            acknowledged.len()
        );
        for (key, outcome) in &acknowledged {
            scene.wait_for(key, outcome.clone()).await.with_context(|| format!("{database:?}"))?;
        }
        for load in loads {
            assert!(load.finish().await? > 0);
        }
    }
    Ok(())
}

/// Makes keys, approves, and revokes every other one, until a call fails. Answers the keys whose last change was
/// acknowledged, with what the gateway must say to them; a change without an answer may have happened or not.
async fn write_until_cut_off(portal: Portal, service: Uuid) -> Vec<(String, Outcome)> {
    let mut acknowledged = Vec::new();
    for number in 0.. {
        let Ok((key, connection)) = portal.approved_key(service).await else { break };
        if number % 2 == 0 {
            acknowledged.push((key.key, Outcome::allowed()));
            continue;
        }
        match portal.set_connection(&connection, Status::Revoked).await {
            Ok(_) => acknowledged.push((key.key, Outcome::forbidden("revoked"))),
            Err(_) => break,
        }
    }
    acknowledged
}

#[tokio::test]
async fn given_a_restarted_gateway_when_called_then_503_until_it_is_synced_and_right_afterwards() -> Result<()>
{
    let mut scene = Scene::start(Database::Sqlite).await?;
    let portal = scene.confirmed();
    let (good, _) = portal.approved_key(scene.service()).await?;
    let (bad, connection) = portal.approved_key(scene.service()).await?;
    portal.set_connection(&connection, Status::Revoked).await?;

    // Without the admin extension it cannot sync, so its first state can be looked at in peace.
    scene.admin.kill();
    scene.gateway.restart().await?;
    for key in [good.key.as_str(), bad.key.as_str(), "nobody's"] {
        let answer = scene.call("/", key).await?;
        assert_eq!(answer.status, 503, "no state yet: neither open nor a refusal that looks final");
        assert!(!answer.header("retry-after").is_empty());
    }
    assert_eq!(scene.client().get("/").await?.status, 503);
    let before = scene.upstream.received();

    scene.admin.restart().await?;
    // From the first answer that is not 503 on, every answer is right.
    let first = wait::for_some("the gateway to sync", async || {
        let answer = scene.call("/", &bad.key).await?;
        Ok((answer.status != 503).then_some(answer))
    });
    assert_eq!(Outcome::of(&first.await?), Outcome::forbidden("revoked"));
    assert_eq!(scene.upstream.received(), before);
    assert_eq!(Outcome::of(&scene.call("/", &good.key).await?), Outcome::allowed());
    Ok(())
}

#[tokio::test]
async fn given_a_gateway_without_its_admin_extension_when_called_then_it_serves_what_it_has() -> Result<()> {
    let mut scene = Scene::start(Database::Sqlite).await?;
    let (key, _) = scene.confirmed().approved_key(scene.service()).await?;

    scene.admin.kill();

    for _ in 0..50 {
        assert_eq!(Outcome::of(&scene.call("/", &key.key).await?), Outcome::allowed());
    }
    Ok(())
}

#[tokio::test]
async fn given_a_limit_on_staleness_when_the_admin_extension_stays_away_then_503_until_it_is_back()
-> Result<()> {
    let mut admin = Admin::start(Database::Sqlite).await?;
    let upstream = Upstream::start(0)?;
    let service = Service::new("echo", Uuid::new_v4(), "/").configured("max_stale_seconds", json!(3));
    let portal = Portal::new(admin.client());
    portal.service(service.id, "echo", json!({})).await?;
    let mut gateway = Gateway::start(&admin, upstream.address(), vec![service.clone()]).await?;
    gateway.wait_until_synced().await?;
    let (key, _) = portal.waiting(30).approved_key(service.id).await?;
    let client = gateway.client();
    let status = async || -> Result<u16> {
        let request = client.request(Method::GET, "/").header("apikey", &key.key);
        Ok(send(request).await?.status)
    };
    assert_eq!(status().await?, 200);

    admin.kill();
    wait::until("the gateway to call its state stale", async || Ok(status().await? == 503)).await?;

    admin.restart().await?;
    wait::until("the gateway to trust its state again", async || Ok(status().await? == 200)).await
}

#[tokio::test]
async fn given_a_configuration_that_cannot_be_used_when_called_then_503_there_and_the_other_services_work()
-> Result<()> {
    let admin = Admin::start(Database::Sqlite).await?;
    let upstream = Upstream::start(0)?;
    let portal = Portal::new(admin.client());
    let good = Service::new("good", Uuid::new_v4(), "/good");
    portal.service(good.id, "good", json!({})).await?;
    let broken = |name: &str, member: &str, value: Value| {
        Service::new(name, Uuid::new_v4(), &format!("/{name}")).configured(member, value)
    };
    let bad = [
        broken("unknown", "no_such_member", json!(1)),
        broken("tick", "tick_milliseconds", json!("soon")),
        broken("service", "service_id", json!("not a UUID")),
        broken("token", "gateway_token", Value::Null),
    ];
    let services = bad.iter().cloned().chain([good.clone()]).collect();
    let gateway = Gateway::start(&admin, upstream.address(), services).await?;
    let client = gateway.client();
    wait::until("the good service to be synced", async || Ok(client.get("/good").await?.status == 401))
        .await?;

    for service in &bad {
        let answer = client.get(&service.prefix).await?;
        assert_eq!(answer.status, 503, "{}", service.name);
        let member = service.configuration.keys().next().cloned().unwrap_or_default();
        assert!(gateway.log().contains(&member), "the log names {member}: {}", gateway.log());
    }
    assert_eq!(upstream.received(), 0);
    assert!(!gateway.log().contains(admin.gateway_token()), "no token in the log");
    Ok(())
}

#[tokio::test]
async fn given_a_service_the_admin_extension_does_not_know_when_called_then_it_is_closed() -> Result<()> {
    let admin = Admin::start(Database::Sqlite).await?;
    let upstream = Upstream::start(0)?;
    let known = Service::new("known", Uuid::new_v4(), "/known");
    let portal = Portal::new(admin.client());
    portal.service(known.id, "known", json!({})).await?;
    let unknown = Service::new("unknown", Uuid::new_v4(), "/unknown");
    let gateway = Gateway::start(&admin, upstream.address(), vec![known, unknown]).await?;
    let client = gateway.client();
    wait::until("the known service to be synced", async || Ok(client.get("/known").await?.status == 401))
        .await?;

    let answer = send(client.request(Method::GET, "/unknown").header("apikey", "any")).await?;

    assert!(answer.status >= 400, "{}", answer.status);
    assert_eq!(upstream.received(), 0);
    Ok(())
}

#[tokio::test]
async fn given_a_wrong_gateway_token_when_called_then_the_gateway_stays_closed() -> Result<()> {
    let admin = Admin::start(Database::Sqlite).await?;
    let upstream = Upstream::start(0)?;
    let service =
        Service::new("echo", Uuid::new_v4(), "/").configured("gateway_token", json!("not-the-token"));
    Portal::new(admin.client()).service(service.id, "echo", json!({})).await?;
    let gateway = Gateway::start(&admin, upstream.address(), vec![service]).await?;
    let client = gateway.client();

    wait::until("the failure to be noticed", async || {
        assert_eq!(client.get("/").await?.status, 503);
        Ok(gateway.log().contains("does not accept gateway_token"))
    })
    .await?;

    assert_eq!(client.get("/").await?.status, 503);
    assert!(!gateway.log().contains("not-the-token"), "no token in the log");
    Ok(())
}

#[tokio::test]
async fn given_two_replicas_on_one_database_when_one_is_written_then_the_gateway_of_the_other_knows()
-> Result<()> {
    let scene = Scene::start(Database::Postgres).await?;
    let replica = scene.admin.replica().await?;
    let elsewhere = Portal::new(replica.client());

    // A token and a service made on one replica hold on the other; so does a change.
    let (key, connection) = elsewhere.approved_key(scene.service()).await?;
    scene.wait_for(&key.key, Outcome::allowed()).await?;
    elsewhere.set_connection(&connection, Status::Revoked).await?;
    scene.wait_for(&key.key, Outcome::forbidden("revoked")).await?;

    // And a confirmed change is confirmed by a gateway that the answering replica does not serve.
    let answer = elsewhere.waiting(30).set_connection(&connection, Status::Approved).await?;
    assert_eq!(answer.header("preference-applied"), "wait");
    assert_eq!(Outcome::of(&scene.call("/", &key.key).await?), Outcome::allowed());
    Ok(())
}

#[tokio::test]
async fn given_another_store_at_the_same_address_when_called_then_nothing_of_the_old_one_holds() -> Result<()>
{
    let mut scene = Scene::start(Database::Sqlite).await?;
    let (old, _) = scene.confirmed().approved_key(scene.service()).await?;
    assert_eq!(scene.call("/", &old.key).await?.status, 200);

    scene.admin.restart_with_another_store().await?;
    scene.portal().service(scene.service(), "echo", json!({})).await?;
    let (new, _) = scene.portal().approved_key(scene.service()).await?;

    scene.wait_for(&new.key, Outcome::allowed()).await?;
    assert_eq!(Outcome::of(&scene.call("/", &old.key).await?), Outcome::unauthorized("Unauthorized"));
    Ok(())
}

#[tokio::test]
async fn given_reasons_switched_off_when_refused_then_the_answer_gives_none() -> Result<()> {
    let admin = Admin::start(Database::Sqlite).await?;
    let upstream = Upstream::start(0)?;
    let service = Service::new("echo", Uuid::new_v4(), "/").configured("deny_reason_header", json!(false));
    let portal = Portal::new(admin.client());
    portal.service(service.id, "echo", json!({})).await?;
    let mut gateway = Gateway::start(&admin, upstream.address(), vec![service.clone()]).await?;
    gateway.wait_until_synced().await?;
    let confirmed = portal.waiting(30);
    let (key, connection) = confirmed.approved_key(service.id).await?;
    confirmed.set_connection(&connection, Status::Revoked).await?;

    let answer = send(gateway.client().request(Method::GET, "/").header("apikey", &key.key)).await?;

    assert_eq!(Outcome::of(&answer), Outcome::forbidden(""));
    Ok(())
}
