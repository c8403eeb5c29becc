//! More than one worker may believe to lead, and answers may come late: nothing old may overwrite anything new.

use std::time::Duration;

use app_auth_core::feed::SnapshotPage;
use app_auth_core::record::{ConnectionStatus, KeyAuthConfig};
use app_auth_core::state::keys::SharedKey;
use app_auth_wasm_host::{Answer, HttpCall, Mood, Quirks};

use crate::support::{KEY, SECOND, SERVICE, World, caller, caller_with, with_key};

/// The held feed request, its worker stopped, and what the admin extension answers it at this moment.
fn held_answer(world: &mut World) -> (HttpCall, Answer) {
    let call = world.node.calls()[0].clone();
    world.node.workers[call.worker()].hanging = true;
    let answer = world.admin.answer_now(world.node.uptime(), &call);
    (call, answer)
}

#[test]
fn a_page_that_arrives_after_another_worker_took_over_does_not_undo_a_revocation() {
    for mut world in World::each(&KeyAuthConfig::default()) {
        world.admin.credential(KEY, caller_with(1, ConnectionStatus::Pending));
        world.follow();
        world.admin.credential(KEY, caller(1));
        let (call, approval) = held_answer(&mut world);
        world.admin.credential(KEY, caller_with(1, ConnectionStatus::Revoked));
        world.run(SECOND * 6);
        assert_eq!(world.status(), 403);
        world.node.workers[call.worker()].hanging = false;
        world.node.deliver(&call, approval);
        assert_eq!(world.status(), 403, "right after the late page");
        world.run(SECOND * 6);
        assert_eq!(world.status(), 403);
    }
}

#[test]
fn two_workers_that_both_hold_the_lease_cannot_put_an_old_change_over_a_newer_one() {
    for mut world in World::each(&KeyAuthConfig::default()) {
        world.admin.credential(KEY, caller_with(1, ConnectionStatus::Pending));
        world.follow();
        world.admin.credential(KEY, caller(1));
        let (call, approval) = held_answer(&mut world);
        let lease = SharedKey::LEASE.as_bytes();
        let first = world.node.zone().peek(lease).map(<[u8]>::to_vec).expect("a lease");
        world.admin.credential(KEY, caller_with(1, ConnectionStatus::Revoked));
        world.run(SECOND * 6);
        // The first holder looks at the lease and finds it still its own, as it can in the middle of a page.
        world.node.zone().poke(lease, &first);
        world.node.workers[call.worker()].hanging = false;
        world.node.deliver(&call, approval);
        assert_eq!(world.status(), 403);
        world.run(SECOND * 6);
        assert_eq!(world.status(), 403);
    }
}

#[test]
fn what_a_snapshot_leaves_out_is_503_and_not_the_state_of_before() {
    let mut world = World::kong();
    world.admin.compact();
    let leader = world.node.calls()[0].worker();
    world.node.respawn(leader);
    world.node.zone().evict(SharedKey::META.as_bytes());
    world.admin.latency = Duration::from_millis(10);
    let open =
        |world: &World| world.node.calls().iter().filter(|call| call.path().contains("cursor=")).count();
    while open(&world) == 0 {
        world.run(Duration::from_millis(1));
    }
    world.admin.latency = Duration::ZERO;
    let store = world.admin.store;
    let head = world.admin.revision();
    // Three streams that end at once, having covered nothing.
    for call in world.node.calls() {
        let nothing = SnapshotPage {
            store,
            revision: head,
            total: 2,
            bits: 8,
            buckets: [0, 0],
            records: Vec::new(),
            next: None,
            cursors: Vec::new(),
        };
        world.node.deliver(&call, Answer::json(200, serde_json::to_vec(&nothing).expect("a page")));
    }
    assert_eq!(world.status(), 503);
    world.settle();
    assert_eq!(world.status(), 200);
}

#[test]
fn a_late_page_does_not_bring_back_a_deleted_credential() {
    for mut world in World::each(&KeyAuthConfig::default()) {
        world.admin.credential("short-lived", caller(2));
        let (call, creation) = held_answer(&mut world);
        world.admin.delete_credential("short-lived");
        world.run(SECOND * 6);
        world.node.workers[call.worker()].hanging = false;
        world.node.deliver(&call, creation);
        assert_eq!(world.status_of("short-lived"), 401);
        world.run(SECOND * 6);
        assert_eq!(world.status_of("short-lived"), 401);
    }
}

#[test]
fn snapshot_pages_of_a_worker_that_was_overtaken_change_nothing() {
    for quirks in [Quirks::kong(), Quirks::envoy()] {
        let mut world = World::without_contact(quirks);
        world.admin.service(SERVICE, KeyAuthConfig::default());
        world.admin.credential(KEY, caller(1));
        world.admin.credential("deleted-later", caller(2));
        // Someone asks for the pages of a snapshot, and stops with the answers on their way.
        let asks = |world: &World| world.node.calls().iter().any(|call| call.path().contains("cursor="));
        world.admin.latency = Duration::from_millis(30);
        while !asks(&world) {
            world.run(Duration::from_millis(1));
        }
        let calls = world.node.calls();
        let loader = calls[0].worker();
        world.admin.latency = Duration::ZERO;
        let late: Vec<_> =
            calls.iter().map(|call| world.admin.answer_now(world.node.uptime(), call)).collect();
        let lease = SharedKey::LEASE.as_bytes();
        let first = world.node.zone().peek(lease).map(<[u8]>::to_vec).expect("a lease");
        world.node.workers[loader].hanging = true;
        world.admin.delete_credential("deleted-later");
        world.admin.credential(KEY, caller_with(1, ConnectionStatus::Revoked));
        world.run(SECOND * 15);
        assert_eq!((world.status(), world.status_of("deleted-later")), (403, 401));
        world.node.workers[loader].hanging = false;
        for (call, answer) in calls.iter().zip(late) {
            // It finds the lease still its own, as it can in the middle of a page.
            world.node.zone().poke(lease, &first);
            world.node.deliver(call, answer);
            assert_eq!((world.status(), world.status_of("deleted-later")), (403, 401));
        }
        world.run(SECOND * 15);
        assert_eq!((world.status(), world.status_of("deleted-later")), (403, 401));
    }
}

#[test]
fn a_zone_emptied_at_any_moment_of_a_snapshot_is_filled_in_the_end() {
    for moment in 1..14 {
        let mut world = World::without_contact(Quirks::kong());
        world.admin.service(SERVICE, KeyAuthConfig::default());
        for number in 0..1500 {
            world.admin.credential(format!("key-{number}"), caller(number));
        }
        world.admin.latency = Duration::from_millis(20);
        world.run(Duration::from_millis(250 + 25 * moment));
        world.node.zone().clear();
        for _ in 0..40 {
            world.run(SECOND / 2);
            let statuses = ["key-7", "unknown"].map(|key| world.send(&with_key(key)).status());
            assert!(matches!(statuses, [200 | 503, 401 | 503]), "{statuses:?}");
        }
        for number in 0..1500 {
            assert_eq!(world.send(&with_key(&format!("key-{number}"))).status(), 200, "{moment}");
        }
    }
}

#[test]
fn workers_that_all_die_at_any_moment_of_a_snapshot_leave_nothing_that_misleads_their_successors() {
    for moment in 1..14 {
        let mut world = World::without_contact(Quirks::kong());
        world.admin.service(SERVICE, KeyAuthConfig::default());
        for number in 0..1500 {
            world.admin.credential(format!("key-{number}"), caller(number));
        }
        world.admin.latency = Duration::from_millis(20);
        world.run(Duration::from_millis(250 + 25 * moment));
        world.node.respawn(0);
        world.node.respawn(1);
        for number in (0..1500).step_by(2) {
            world.admin.delete_credential(format!("key-{number}"));
        }
        world.run(SECOND * 20);
        for number in 0..1500 {
            let expected = if number % 2 == 0 { 401 } else { 200 };
            let outcome = world.send(&with_key(&format!("key-{number}")));
            assert_eq!(outcome.status(), expected, "{moment}: key {number}");
        }
    }
}

#[test]
fn an_admin_extension_that_dies_at_any_moment_of_a_snapshot_leaves_the_old_state_in_service() {
    for moment in 0..10 {
        let mut world = World::kong();
        for number in 2..3000 {
            world.admin.credential(format!("key-{number}"), caller(number));
        }
        world.admin.compact();
        world.admin.latency = Duration::from_millis(20);
        world.run(Duration::from_millis(40 + 25 * moment));
        world.admin.mood = Mood::Away;
        for _ in 0..20 {
            world.run(SECOND);
            assert_eq!(world.status(), 200, "{moment}");
        }
        world.admin.mood = Mood::Up;
        world.run(SECOND * 40);
        assert_eq!(world.status_of("key-2999"), 200, "{moment}");
    }
}
