//! Gateways that follow: nothing is skipped, whatever the concurrency; nothing is invented; what is too old is refused.

use std::collections::BTreeMap;
use std::time::Duration;

use app_auth_core::digest::KeyDigest;
use app_auth_core::feed::{Operation, bucket_of};
use app_auth_core::ids::Revision;
use app_auth_core::ids::StrategyId;
use app_auth_core::record::{ConnectionStatus, Record};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::model::{ConnectionPatch, NewConnection, PlainSecret};
use crate::store::seed::{self, SeedPlan};
use crate::store::{FeedError, Store};
use crate::testing::{
    TestStore, World, actor, audit_log, changes, key_auth, new_application, new_service, record_of,
};

/// Records as a gateway holds them.
type Mirror = BTreeMap<KeyDigest, Record>;

/// Follows until a revision, and checks on the way that revisions only grow.
async fn follow(store: &Store, until: impl Fn(Revision) -> bool, mirror: &mut Mirror) -> Vec<Revision> {
    let mut newest = store.newest();
    let mut at = Revision(0);
    let mut seen = Vec::new();
    while !until(at) {
        newest.mark_unchanged();
        let page = changes(store, at).await;
        if page.changes.is_empty() {
            tokio::time::timeout(Duration::from_mins(1), newest.changed()).await.unwrap().unwrap();
        }
        for change in page.changes {
            assert!(change.revision > at, "{} after {at}", change.revision);
            at = change.revision;
            seen.push(at);
            match change.change {
                Operation::Put(record) => mirror.insert(change.key, record),
                Operation::Delete(_) => mirror.remove(&change.key),
            };
        }
        assert!(page.revision >= at);
        at = page.revision;
    }
    seen
}

/// Everything, by snapshot pages of a size.
async fn snapshot(store: &Store, bits: u8, limit: usize) -> Mirror {
    let (mut from, until) = (0, 1 << bits);
    let mut mirror = Mirror::new();
    while from < until {
        let stretch = store.stretch(bits, from, until, limit).await.unwrap();
        assert!(stretch.until > from && stretch.until <= until);
        for raw in stretch.records {
            let bucket = bucket_of(&raw.key, bits);
            assert!((from..stretch.until).contains(&bucket));
            let fresh = mirror.insert(raw.key, serde_json::from_str(raw.record.get()).unwrap());
            assert!(fresh.is_none(), "{} came twice", raw.key);
        }
        from = stretch.until;
    }
    mirror
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_writers_at_once_and_a_follower_that_skips_nothing() {
    const WRITERS: usize = 50;
    const CHANGES: usize = 6;
    let test = TestStore::open().await;
    let world = World::make(&test).await;
    // On PostgreSQL the follower is at another replica and hears of changes by LISTEN.
    let replica = test.replica().await;
    let other = if test.is_sqlite() { test.store.clone() } else { replica.clone() };
    let listening = other.clone();
    let (nodes, _unheard) = mpsc::channel(1);
    let listener = tokio::spawn(async move { listening.listen(nodes).await });

    let mut writers = JoinSet::new();
    for n in 0..WRITERS {
        // Half of the writers work at the one replica, half at the other.
        let store = if n % 2 == 0 { test.store.clone() } else { other.clone() };
        let developer = world.developer.id;
        let service = world.service.id;
        writers.spawn(async move {
            let mut revisions = Vec::new();
            let mut writer = store.write(&actor()).await.unwrap();
            let new = new_application(&format!("app {n}"));
            let application = writer.create_application(developer, new).await.unwrap().id;
            let made = writer.create_connection(application, NewConnection::new(service)).await.unwrap();
            revisions.push(writer.commit().await.unwrap());
            for step in 0..CHANGES {
                let status =
                    if step % 2 == 0 { ConnectionStatus::Approved } else { ConnectionStatus::Revoked };
                let mut writer = store.write(&actor()).await.unwrap();
                let patch = ConnectionPatch { status: Some(status), ..ConnectionPatch::default() };
                writer.update_connection(application, made.connection.id, patch).await.unwrap();
                revisions.push(writer.commit().await.unwrap());
            }
            revisions
        });
    }
    let last = Revision(world.revision.0 + (WRITERS * (1 + CHANGES)) as u64);
    let mut mirror = Mirror::new();
    let following = follow(&other, |at| at >= last, &mut mirror);
    let (mut acknowledged, seen) = tokio::join!(writers.join_all(), following);

    let mut acknowledged: Vec<_> = acknowledged.drain(..).flatten().collect();
    acknowledged.sort();
    acknowledged.dedup();
    assert_eq!(acknowledged.len(), WRITERS * (1 + CHANGES), "every write has a revision of its own");
    assert_eq!(acknowledged.last(), Some(&last));
    assert!(seen.is_sorted());
    assert_eq!(mirror, snapshot(&other, 8, 7).await, "the follower holds what the store holds");
    assert_eq!(mirror.len(), 3 + WRITERS);
    let revoked = mirror.values().filter(|record| match record {
        Record::Credential(record) => {
            record.connections.iter().any(|connection| connection.status == ConnectionStatus::Revoked)
        }
        Record::Service(_) | Record::Issuer(_) | Record::Token(_) => false,
    });
    assert_eq!(revoked.count(), WRITERS, "each at the state of its last change");
    listener.abort();
}

#[tokio::test]
async fn a_writer_that_is_dropped_changes_nothing() {
    let test = TestStore::open().await;
    let world = World::make(&test).await;

    let mut writer = test.write().await;
    writer.create_service(new_service("billing")).await.unwrap();
    writer.delete_developer(world.developer.id).await.unwrap();
    drop(writer);

    // The next writer works, and nothing of the dropped one is there.
    assert_eq!(test.write().await.commit().await.unwrap(), world.revision);
    assert!(record_of(&test.store, &world.key).await.is_some());
    assert_eq!(audit_log(&test.store, 1).await[0].entity, "credential");
}

#[tokio::test]
async fn a_page_that_is_full_says_where_to_go_on() {
    let test = TestStore::open().await;
    let world = World::make(&test).await;

    let first = test.store.changes(Revision(0), 2).await.unwrap();
    assert_eq!(first.changes.len(), 2);
    assert_eq!(first.revision, first.changes[1].revision);
    let second = test.store.changes(first.revision, 2).await.unwrap();
    assert_eq!(second.changes.len(), 1);
    assert_eq!(second.revision, world.revision);
    assert!(test.store.changes(second.revision, 2).await.unwrap().changes.is_empty());
}

#[tokio::test]
async fn who_is_too_far_back_or_ahead_is_told_to_take_the_snapshot() {
    let test = TestStore::open().await;
    let world = World::make(&test).await;
    let ahead = Revision(world.revision.0 + 1);
    assert!(matches!(test.store.changes(ahead, 9).await, Err(FeedError::Gone { .. })));

    let mut writer = test.write().await;
    writer.delete_application(world.developer.id, world.application.id).await.unwrap();
    let deleted = writer.commit().await.unwrap();
    test.clock.advance(1000);
    assert_eq!(test.store.prune(test.store.now()).await.unwrap(), 2);

    assert!(matches!(test.store.changes(Revision(0), 9).await, Err(FeedError::Gone { .. })));
    assert!(matches!(test.store.changes(world.revision, 9).await, Err(FeedError::Gone { .. })));
    assert!(test.store.changes(deleted, 9).await.unwrap().changes.is_empty());
    assert_eq!(test.store.prune(test.store.now()).await.unwrap(), 0);
}

#[tokio::test]
async fn a_snapshot_holds_every_record_once_whatever_the_page_size() {
    let test = TestStore::open().await;
    let world = World::make(&test).await;
    let mut writer = test.write().await;
    for n in 0..17 {
        writer.create_credential(world.application.id, key_auth(&format!("key-{n:020}"))).await.unwrap();
    }
    writer.commit().await.unwrap();

    let whole = snapshot(&test.store, 8, 500).await;
    assert_eq!(whole.len(), 20);
    for (bits, limit) in [(8, 1), (8, 3), (1, 2), (22, 500)] {
        assert_eq!(snapshot(&test.store, bits, limit).await, whole, "{bits} bits, pages of {limit}");
    }
}

#[tokio::test]
async fn a_bulk_load_leaves_what_single_writes_would_leave() {
    let test = TestStore::open().await;
    let world = World::make(&test).await;
    let plan = SeedPlan {
        applications: 3,
        applications_per_developer: 2,
        keys_per_application: 400,
        service: Some(world.service.id),
    };

    let revision = seed::seed(&test.store, &plan, seed::key, |_| {}).await.unwrap();

    let head = test.store.feed_head().await.unwrap();
    assert_eq!(head.revision, revision);
    // Keys of the load; two credentials and a service of the world.
    assert_eq!(head.records, 1200 + 3);
    assert_eq!(snapshot(&test.store, 9, 100).await.len(), 1203);
    let key = PlainSecret::new(seed::key(1199));
    let digest = test.store.key_digest(StrategyId::KEY_AUTH, &key);
    let Record::Credential(loaded) = snapshot(&test.store, 9, 100).await[&digest].clone() else { panic!() };
    assert_eq!(loaded.connections[0].status, ConnectionStatus::Approved);

    // What the next write derives is what the load wrote: only the changed connection moves.
    let mut writer = test.write().await;
    let patch = ConnectionPatch { status: Some(ConnectionStatus::Approved), ..ConnectionPatch::default() };
    writer.update_connection(loaded.application, loaded.connections[0].connection, patch).await.unwrap();
    assert_eq!(writer.commit().await.unwrap(), revision);
}
