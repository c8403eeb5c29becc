//! What operators can count: decisions, revision, age, faults. Bounded in number, free of secrets, told apart by reason.

use app_auth_core::record::{ConnectionStatus, KeyAuthConfig};
use app_auth_wasm_host::{Mood, Tear};

use crate::support::{KEY, SECOND, World, caller_with, get, with_key};

#[test]
fn decisions_are_counted_by_outcome_and_reason_on_all_workers() {
    for mut world in World::each(&KeyAuthConfig::default()) {
        world.admin.credential("pending", caller_with(2, ConnectionStatus::Pending));
        world.follow();
        for worker in 0..2 {
            for _ in 0..3 {
                world.send_to(worker, &with_key(KEY));
            }
            world.send_to(worker, &with_key("pending"));
            world.send_to(worker, &with_key("unknown"));
            world.send_to(worker, &get("/"));
        }
        world.run(SECOND * 3);
        let count = |outcome: &str, reason: &str| {
            world.node.metric(&format!("app_auth_decisions_outcome={outcome}_reason={reason}"))
        };
        assert_eq!(count("allow", "connected"), 6);
        assert_eq!(
            (count("deny", "pending"), count("deny", "unknown_key"), count("deny", "no_key")),
            (2, 2, 2)
        );
    }
}

#[test]
fn revision_age_and_errors_tell_an_outage() {
    let mut world = World::kong();
    assert_eq!(world.node.metric("app_auth_ready"), 1);
    assert_eq!(world.node.metric("app_auth_applied_revision"), world.admin.revision().0);
    let errors = world.node.metric("app_auth_sync_errors");
    world.admin.mood = Mood::Away;
    world.run(SECOND * 120);
    let age = world.node.metric("app_auth_seconds_since_contact");
    assert!((100..=150).contains(&age), "{age} seconds");
    assert!(world.node.metric("app_auth_sync_errors") > errors);
}

#[test]
fn torn_reads_and_lost_state_are_visible() {
    let mut world = World::kong();
    world.node.zone().tear_next_reads(&Tear::Cut(5), 3);
    world.send(&with_key(KEY));
    world.run(SECOND * 3);
    assert_eq!(world.node.metric("app_auth_torn_reads"), 3);
    world.admin.mood = Mood::Away;
    world.node.zone().clear();
    world.send(&with_key(KEY));
    world.run(SECOND * 3);
    assert_eq!(world.node.metric("app_auth_ready"), 0);
    assert_eq!(world.node.metric("app_auth_decisions_outcome=error_reason=no_state"), 1);
}

#[test]
fn the_number_of_metrics_does_not_depend_on_what_callers_send() {
    let mut world = World::kong();
    for number in 0..200 {
        world.send(&with_key(&format!("made-up-{number}")).header("x-consumer-id", number.to_string()));
        world.send(&get(&format!("/{number}?apikey={number}")));
    }
    world.run(SECOND * 3);
    let names: Vec<_> = world.node.metrics().into_iter().map(|(name, _)| name).collect();
    assert!(names.len() < 20, "{names:?}");
    assert!(names.iter().all(|name| name.len() < 128 && !name.contains('-')), "{names:?}");
}
