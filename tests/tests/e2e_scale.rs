//! Many credentials, many writers, and changes that are confirmed: the gateway ends up knowing all of it, in order.

use anyhow::{Context as _, Result, ensure};
use app_auth_tests::admin::Database;
use app_auth_tests::portal::{Connection, Key, Portal, Status};
use app_auth_tests::scene::{Outcome, Scene};
use serde_json::{Value, json};
use uuid::Uuid;

const CREDENTIALS: usize = 10_000;
/// As many as an application may have, so that ten thousand credentials need few other calls.
const KEYS_PER_APPLICATION: usize = 20;
const APPLICATIONS_PER_DEVELOPER: usize = 10;
const WRITERS: usize = 50;
const CHANGES_PER_WRITER: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn given_ten_thousand_credentials_when_the_gateway_takes_them_from_a_snapshot_then_each_is_known()
-> Result<()> {
    let mut scene = Scene::start(Database::Sqlite).await?;
    let developers = CREDENTIALS / KEYS_PER_APPLICATION / APPLICATIONS_PER_DEVELOPER;
    let mut writers = Vec::new();
    for number in 0..developers {
        writers.push(tokio::spawn(many_keys(scene.portal(), scene.service(), number % 2 == 0)));
    }
    let mut keys = Vec::new();
    for writer in writers {
        keys.extend(writer.await??);
    }
    assert_eq!(keys.len(), CREDENTIALS);

    // Those that follow the feed know them all …
    let (last, _) = scene.confirmed().approved_key(scene.service()).await?;
    scene.wait_for(&last.key, Outcome::allowed()).await?;
    check_all(&scene, &keys).await?;
    // … and so does one that starts afterwards.
    scene.gateway.restart().await?;
    scene.gateway.wait_until_synced().await?;
    check_all(&scene, &keys).await
}

/// A developer's applications with many keys, all approved or all pending; answers each key and what the gateway must
/// say to it.
async fn many_keys(portal: Portal, service: Uuid, approved: bool) -> Result<Vec<(String, Outcome)>> {
    let developer = portal.developer(Status::Approved).await?;
    let outcome = if approved { Outcome::allowed() } else { Outcome::forbidden("pending") };
    let mut keys = Vec::new();
    for _ in 0..APPLICATIONS_PER_DEVELOPER {
        let application = portal.application(&developer).await?;
        let connection = portal.connection(&application, service).await?;
        if approved {
            portal.set_connection(&connection, Status::Approved).await?;
        }
        for _ in 0..KEYS_PER_APPLICATION {
            keys.push((portal.key(&application).await?.key, outcome.clone()));
        }
    }
    Ok(keys)
}

async fn check_all(scene: &Scene, keys: &[(String, Outcome)]) -> Result<()> {
    for (key, outcome) in keys {
        let answer = scene.call("/", key).await?;
        ensure!(
            Outcome::of(&answer) == *outcome,
            "expected {outcome:?}, got {}: {}",
            answer.status,
            answer.text()
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn given_fifty_concurrent_writers_when_a_reader_follows_then_no_change_is_skipped() -> Result<()> {
    for database in Database::BOTH {
        let scene = Scene::start(database).await?;
        let follower = tokio::spawn(follow(scene.admin.gateway_client()));

        let mut writers = Vec::new();
        for number in 0..WRITERS {
            writers.push(tokio::spawn(write(scene.portal(), scene.service(), number)));
        }
        let mut ends = Vec::new();
        for writer in writers {
            ends.push(writer.await?.with_context(|| format!("{database:?}"))?);
        }
        // The follower stops at this one.
        let (marker, _) = scene.confirmed().approved_key(scene.service()).await?;
        let body = json!({"custom_id": STOP});
        scene.portal().patch(&marker.application.path(), &body).await?.expect(200)?;

        // A reader that was there all along ends with the very records a snapshot has now.
        let end_state = follower.await?.with_context(|| format!("{database:?}"))?;
        let snapshot = snapshot(&scene).await?;
        assert_eq!(end_state.len(), snapshot.len(), "{database:?}: number of records");
        for (key, record) in &snapshot {
            assert_eq!(end_state.get(key), Some(record), "{database:?}: record {key}");
        }
        // And the gateway, which is such a reader, decides by every writer's last change.
        for (key, outcome) in ends {
            scene.wait_for(&key.key, outcome).await.with_context(|| format!("{database:?}"))?;
        }
    }
    Ok(())
}

const STOP: &str = "stop";

/// A writer's own application, changed several times; the last state is revoked or approved by its number.
async fn write(portal: Portal, service: Uuid, number: usize) -> Result<(Key, Outcome)> {
    let (key, connection): (Key, Connection) = portal.approved_key(service).await?;
    for change in 0..CHANGES_PER_WRITER {
        let status = if (change + number).is_multiple_of(2) { Status::Revoked } else { Status::Approved };
        portal.set_connection(&connection, status).await?;
    }
    let approved = !(CHANGES_PER_WRITER - 1 + number).is_multiple_of(2);
    Ok((key, if approved { Outcome::allowed() } else { Outcome::forbidden("revoked") }))
}

type Records = std::collections::BTreeMap<String, Value>;

/// How the follower names itself, always the same: a confirmed write waits for every gateway it knows.
const FOLLOWER: &str = "node=follower&version=test";

/// Follows the feed from the very beginning as a gateway would, until the marker; answers the records it ends with.
async fn follow(client: app_auth_tests::client::Client) -> Result<Records> {
    let mut records = Records::new();
    let mut after = 0;
    let mut store = store_id(&client).await?;
    loop {
        let path = format!("/gateway/v1/feed?store={store}&after={after}&wait=5&limit=50&{FOLLOWER}");
        let page = client.get(&path).await?.expect(200)?.json();
        page["store"].as_str().context("a page names its store")?.clone_into(&mut store);
        let mut stop = false;
        for change in page["changes"].as_array().context("a page has changes")? {
            let revision = change["revision"].as_u64().context("a change has a revision")?;
            ensure!(revision > after, "revision {revision} after {after}");
            after = revision;
            let key = change["key"].as_str().context("a change has a key")?.to_owned();
            match change["change"].get("put") {
                Some(record) => {
                    stop |= record["credential"]["custom_id"] == STOP;
                    records.insert(key, record.clone());
                }
                None => {
                    records.remove(&key);
                }
            }
        }
        after = after.max(page["revision"].as_u64().context("a page has a revision")?);
        if stop {
            return Ok(records);
        }
    }
}

async fn store_id(client: &app_auth_tests::client::Client) -> Result<String> {
    client.get(&format!("/gateway/v1/snapshot?limit=1&{FOLLOWER}")).await?.expect(200)?.field("store")
}

/// Every record there is now.
async fn snapshot(scene: &Scene) -> Result<Records> {
    let client = scene.admin.gateway_client();
    let mut records = Records::new();
    let mut path = "/gateway/v1/snapshot?limit=500&node=reader&version=test".to_owned();
    loop {
        let page = client.get(&path).await?.expect(200)?.json();
        for entry in page["records"].as_array().context("a page has records")? {
            records
                .insert(entry["key"].as_str().context("a record has a key")?.into(), entry["record"].clone());
        }
        match page["next"].as_str() {
            Some(cursor) => path = format!("/gateway/v1/snapshot?cursor={cursor}&node=reader&version=test"),
            None => return Ok(records),
        }
    }
}

#[tokio::test]
async fn given_a_write_that_prefers_to_wait_when_answered_then_the_very_next_request_decides_by_it()
-> Result<()> {
    let scene = Scene::start(Database::Sqlite).await?;
    let portal = scene.confirmed();
    let (key, connection) = portal.approved_key(scene.service()).await?;

    for round in 0..50 {
        let (status, outcome) = match round % 2 {
            0 => (Status::Revoked, Outcome::forbidden("revoked")),
            _ => (Status::Approved, Outcome::allowed()),
        };
        let answer = portal.set_connection(&connection, status).await?;
        assert_eq!(answer.header("preference-applied"), "wait", "round {round}");
        assert_eq!(answer.header("x-gateways-applied"), "1/1", "round {round}");

        assert_eq!(Outcome::of(&scene.call("/", &key.key).await?), outcome, "round {round}");
    }
    portal.delete(&key.path()).await?.expect(204)?;
    assert_eq!(Outcome::of(&scene.call("/", &key.key).await?), Outcome::unauthorized("Unauthorized"));
    Ok(())
}

#[tokio::test]
async fn given_one_key_revoked_when_others_of_the_application_live_then_they_still_work() -> Result<()> {
    let scene = Scene::start(Database::Sqlite).await?;
    let portal = scene.confirmed();
    let (old, _) = portal.approved_key(scene.service()).await?;
    let new = portal.key(&old.application).await?;
    assert_eq!(scene.call("/", &old.key).await?.status, 200);
    assert_eq!(scene.call("/", &new.key).await?.status, 200, "both keys work while they overlap");

    portal.delete(&old.path()).await?.expect(204)?;

    assert_eq!(scene.call("/", &old.key).await?.status, 401);
    assert_eq!(scene.call("/", &new.key).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn given_a_deleted_developer_when_called_then_every_key_of_theirs_is_unknown() -> Result<()> {
    let scene = Scene::start(Database::Sqlite).await?;
    let portal = scene.confirmed();
    let (key, _) = portal.approved_key(scene.service()).await?;
    let (bystander, _) = portal.approved_key(scene.service()).await?;

    portal.delete(&format!("/developers/{}", key.application.developer)).await?.expect(204)?;

    assert_eq!(scene.call("/", &key.key).await?.status, 401);
    assert_eq!(scene.call("/", &bystander.key).await?.status, 200);
    Ok(())
}
