//! How a node comes by its state, keeps it, and loses it: first contact, following, leases, restarts, outages.

use std::time::Duration;

use app_auth_core::ids::Revision;
use app_auth_core::record::{ConnectionStatus, KeyAuthConfig};
use app_auth_wasm_host::{Admin, Answer, Mood, Quirks, TOKEN};
use serde_json::json;

use crate::support::{
    KEY, SECOND, SERVICE, World, caller, caller_with, configuration, envoy_configuration, with_key,
};

fn limited(quirks: Quirks, max_stale_seconds: u64) -> World {
    let mut configuration = if quirks.kong_properties { configuration() } else { envoy_configuration() };
    configuration["max_stale_seconds"] = max_stale_seconds.into();
    let mut world = World::configured(quirks, 2, &[configuration]);
    world.admin.service(SERVICE, KeyAuthConfig::default());
    world.admin.credential(KEY, caller(1));
    world.settle();
    world
}

#[test]
fn without_state_every_request_gets_503_and_retry_after_then_the_snapshot_opens_the_service() {
    for quirks in [Quirks::kong(), Quirks::envoy()] {
        let mut world = World::without_contact(quirks);
        for request in [with_key(KEY), crate::support::get("/"), crate::support::request("OPTIONS", "/")] {
            let outcome = world.send(&request);
            assert_eq!(outcome.status(), 503);
            assert!(outcome.local().header("Retry-After").is_some());
        }
        world.admin.service(SERVICE, KeyAuthConfig::default());
        world.admin.credential(KEY, caller(1));
        world.settle();
        assert_eq!(world.status(), 200);
        assert_eq!(world.node.metric("app_auth_applied_revision"), world.admin.revision().0);
    }
}

#[test]
fn a_dispatch_from_a_call_response_crashes_kong_so_the_next_call_waits_for_a_tick() {
    let mut world = World::kong();
    let call = world.node.calls()[0].clone();
    world.admin.credential("new", caller(2));
    let page = world.admin.answer_now(world.node.uptime(), &call);
    world.node.deliver(&call, page);
    assert!(world.node.calls().is_empty());
    assert_eq!(world.status_of("new"), 200);
    world.run(Duration::from_millis(50));
    assert_eq!(world.node.calls().len(), 1);
}

#[test]
fn each_change_arrives_in_the_order_it_was_made() {
    for mut world in World::each(&KeyAuthConfig::default()) {
        for _ in 0..5 {
            world.admin.credential(KEY, caller_with(1, ConnectionStatus::Revoked));
            world.follow();
            assert_eq!(world.status(), 403);
            world.admin.credential(KEY, caller(1));
            world.follow();
            assert_eq!(world.status(), 200);
        }
        world.admin.delete_credential(KEY);
        world.follow();
        assert_eq!(world.status(), 401);
    }
}

#[test]
fn a_change_to_the_services_policy_reaches_workers_that_have_cached_it() {
    for mut world in World::each(&KeyAuthConfig::default()) {
        assert_eq!(world.status(), 200);
        let renamed = KeyAuthConfig { key_names: vec!["other-name".into()], ..KeyAuthConfig::default() };
        world.admin.service(SERVICE, renamed);
        world.follow();
        assert_eq!(world.status(), 401);
        world.admin.service(SERVICE, KeyAuthConfig::default());
        world.follow();
        assert_eq!(world.status(), 200);
    }
}

#[test]
fn thousands_of_credentials_come_by_snapshot_and_by_feed() {
    let mut world = World::without_contact(Quirks::kong());
    world.admin.service(SERVICE, KeyAuthConfig::default());
    for number in 0..3000 {
        world.admin.credential(format!("key-{number}"), caller(number));
    }
    world.run(SECOND * 20);
    for number in 3000..5000 {
        world.admin.credential(format!("key-{number}"), caller(number));
    }
    for number in (0..3000).step_by(3) {
        world.admin.credential(format!("key-{number}"), caller_with(number, ConnectionStatus::Revoked));
    }
    world.settle();
    for number in 0..5000 {
        let expected = if number < 3000 && number % 3 == 0 { 403 } else { 200 };
        let outcome = world.send_to(number % 2, &with_key(&format!("key-{number}")));
        assert_eq!(outcome.status(), expected, "key {number}");
    }
}

#[test]
fn a_table_that_outgrows_its_depth_is_rebuilt_without_a_wrong_answer() {
    let mut world = World::kong();
    let mut number = 2_u128;
    for _ in 0..30 {
        for _ in 0..300 {
            world.admin.credential(format!("key-{number}"), caller(number));
            number += 1;
        }
        world.run(SECOND / 2);
        assert_eq!(world.status(), 200);
        assert_eq!(world.status_of("unknown"), 401);
    }
    world.run(SECOND * 30);
    for known in (2..number).step_by(17) {
        assert_eq!(world.status_of(&format!("key-{known}")), 200, "key {known}");
    }
    assert!(world.node.traps().is_empty());
}

#[test]
fn one_worker_of_the_node_talks_and_the_other_takes_over_when_it_stops_ticking() {
    for mut world in World::each(&KeyAuthConfig::default()) {
        assert_eq!(world.node.calls().len(), 1, "one held feed request");
        let leader = world.node.calls()[0].worker();
        world.node.workers[leader].hanging = true;
        world.admin.credential(KEY, caller_with(1, ConnectionStatus::Revoked));
        world.run(SECOND * 5);
        let other = 1 - leader;
        assert_eq!(world.send_to(other, &with_key(KEY)).status(), 403);
        world.node.workers[leader].hanging = false;
        world.run(SECOND * 5);
        assert_eq!(world.status(), 403);
        world.admin.credential(KEY, caller(1));
        world.run(SECOND * 2);
        assert_eq!(world.status(), 200);
    }
}

#[test]
fn a_worker_that_dies_and_comes_back_finds_the_state_of_the_node() {
    for mut world in World::each(&KeyAuthConfig::default()) {
        let leader = world.node.calls()[0].worker();
        world.node.respawn(leader);
        assert_eq!(world.status(), 200, "before anything was synced again");
        world.admin.credential(KEY, caller_with(1, ConnectionStatus::Revoked));
        world.run(SECOND * 5);
        assert_eq!(world.status(), 403);
    }
}

#[test]
fn a_reconfigured_gateway_keeps_following() {
    for mut world in World::each(&KeyAuthConfig::default()) {
        for round in 0..3_u64 {
            let mut chain = if round % 2 == 0 { configuration() } else { envoy_configuration() };
            chain["service_id"] = json!(SERVICE);
            chain["tick_milliseconds"] = json!(25 + round);
            world.node.reconfigure(&[chain.to_string()]);
            assert_eq!(world.status(), 200, "round {round}");
            let status = if round % 2 == 0 { ConnectionStatus::Revoked } else { ConnectionStatus::Approved };
            world.admin.credential(KEY, caller_with(1, status));
            world.settle();
            assert_eq!(world.status(), if round % 2 == 0 { 403 } else { 200 }, "round {round}");
            world.admin.credential(KEY, caller(1));
            world.settle();
        }
        assert!(world.node.traps().is_empty(), "{:?}", world.node.traps());
    }
}

#[test]
fn chains_that_want_different_ticks_do_not_trap_where_a_second_period_would() {
    let mut slow = configuration();
    slow["tick_milliseconds"] = json!(500);
    let mut world = World::configured(Quirks::kong(), 2, &[configuration(), slow]);
    world.admin.service(SERVICE, KeyAuthConfig::default());
    world.admin.credential(KEY, caller(1));
    world.settle();
    assert_eq!(world.status(), 200);
}

#[test]
fn a_chain_with_a_wrong_token_does_not_keep_its_neighbour_from_the_truth() {
    let mut wrong = configuration();
    wrong["gateway_token"] = json!("not-a-token");
    for chains in [[wrong.clone(), configuration()], [configuration(), wrong.clone()]] {
        let mut world = World::configured(Quirks::kong(), 2, &chains);
        world.admin.service(SERVICE, KeyAuthConfig::default());
        world.admin.credential(KEY, caller(1));
        world.run(SECOND * 60);
        assert_eq!(world.status(), 200);
        assert!(!world.node.logs().iter().any(|line| line.text.contains(TOKEN)));
    }
}

#[test]
fn when_the_admin_extension_is_away_the_node_serves_what_it_has() {
    for mut world in World::each(&KeyAuthConfig::default()) {
        for mood in [Mood::Away, Mood::Silent] {
            world.admin.mood = mood.clone();
            world.run(SECOND * 600);
            assert_eq!(world.status(), 200, "{mood:?}");
            assert_eq!(world.status_of("unknown"), 401);
            world.admin.mood = Mood::Up;
            world.admin.credential(KEY, caller_with(1, ConnectionStatus::Pending));
            world.run(SECOND * 40);
            assert_eq!(world.status(), 403, "{mood:?}");
            world.admin.credential(KEY, caller(1));
            world.run(SECOND);
            assert_eq!(world.status(), 200);
        }
        let warnings = world.node.logs().iter().filter(|line| line.level >= 3).count();
        assert!(warnings < 40, "{warnings} lines for two outages");
    }
}

#[test]
fn an_outage_does_not_become_a_storm_of_calls() {
    let mut world = World::kong();
    world.admin.mood = Mood::Away;
    world.admin.asked.clear();
    world.run(SECOND * 60);
    assert!(world.admin.asked.len() <= 180, "{} calls in a minute", world.admin.asked.len());
}

#[test]
fn max_stale_seconds_closes_the_node_and_contact_opens_it() {
    for quirks in [Quirks::kong(), Quirks::envoy()] {
        let mut world = limited(quirks, 60);
        world.run(SECOND * 300);
        assert_eq!(world.status(), 200, "a quiet day is no outage");
        world.admin.mood = Mood::Away;
        world.run(SECOND * 30);
        assert_eq!(world.status(), 200);
        world.run(SECOND * 45);
        let outcome = world.send(&with_key(KEY));
        assert_eq!(outcome.status(), 503);
        assert!(outcome.local().header("Retry-After").is_some());
        world.admin.mood = Mood::Up;
        world.run(SECOND * 10);
        assert_eq!(world.status(), 200);
    }
}

#[test]
fn a_machine_that_slept_is_stale_until_it_has_asked() {
    let mut world = limited(Quirks::kong(), 60);
    world.node.skip(SECOND * 3600);
    assert_eq!(world.status(), 503);
    world.run(SECOND * 10);
    assert_eq!(world.status(), 200);
}

#[test]
fn a_clock_that_is_set_back_stops_neither_the_feed_nor_the_service() {
    for max_stale in [0, 60] {
        let mut world = limited(Quirks::kong(), max_stale);
        world.node.set_back(SECOND * 3600);
        world.run(SECOND * 60);
        assert_eq!(world.status(), 200, "max_stale_seconds {max_stale}");
        world.admin.credential(KEY, caller_with(1, ConnectionStatus::Revoked));
        world.run(SECOND * 10);
        assert_eq!(world.status(), 403);
    }
}

#[test]
fn a_clock_set_back_during_an_outage_does_not_prolong_it() {
    let mut world = limited(Quirks::kong(), 0);
    world.admin.mood = Mood::Away;
    world.run(SECOND * 20);
    world.node.set_back(SECOND * 3600);
    world.admin.mood = Mood::Up;
    world.admin.credential(KEY, caller_with(1, ConnectionStatus::Revoked));
    world.run(SECOND * 60);
    assert_eq!(world.status(), 403);
}

#[test]
fn a_gateway_that_is_too_far_behind_takes_a_snapshot() {
    for mut world in World::each(&KeyAuthConfig::default()) {
        world.admin.mood = Mood::Away;
        world.run(SECOND * 5);
        world.admin.delete_credential(KEY);
        world.admin.credential("new", caller(2));
        world.admin.compact();
        world.admin.mood = Mood::Up;
        world.run(SECOND * 40);
        assert_eq!((world.status(), world.status_of("new")), (401, 200));
    }
}

#[test]
fn an_admin_extension_restored_from_a_backup_is_followed_back() {
    for mut world in World::each(&KeyAuthConfig::default()) {
        let backup = world.admin.revision();
        for number in 2..50 {
            world.admin.credential(format!("key-{number}"), caller(number));
        }
        world.follow();
        assert_eq!(world.status_of("key-40"), 200);
        world.admin.mood = Mood::Away;
        world.run(SECOND * 2);
        world.admin.restore(backup);
        world.admin.mood = Mood::Up;
        world.run(SECOND * 40);
        assert_eq!((world.status_of("key-40"), world.status()), (401, 200));
        world.admin.credential(KEY, caller_with(1, ConnectionStatus::Revoked));
        world.follow();
        assert_eq!(world.status(), 403, "a revision that was used before");
    }
}

#[test]
fn another_store_replaces_everything_and_its_digests_mean_nothing_to_the_first() {
    for mut world in World::each(&KeyAuthConfig::default()) {
        let mut other = Admin::new(9);
        other.service(SERVICE, KeyAuthConfig::default());
        other.credential("key-of-the-other-store", caller(5));
        world.admin = other;
        world.run(SECOND * 40);
        assert_eq!((world.status(), world.status_of("key-of-the-other-store")), (401, 200));
    }
}

#[test]
fn an_emptied_zone_is_503_until_the_snapshot_has_been_taken_again() {
    let mut world = World::kong();
    world.node.reload();
    assert_eq!(world.status(), 503);
    world.settle();
    assert_eq!(world.status(), 200);
    world.node.zone().clear();
    assert_eq!(world.status(), 503);
    world.settle();
    assert_eq!(world.status(), 200);
}

#[test]
fn a_restarted_admin_extension_is_followed_without_a_snapshot() {
    let mut world = World::kong();
    world.admin.mood = Mood::Away;
    world.run(SECOND * 10);
    world.admin.mood = Mood::Up;
    world.admin.asked.clear();
    world.admin.credential(KEY, caller_with(1, ConnectionStatus::Revoked));
    world.run(SECOND * 10);
    assert_eq!(world.status(), 403);
    assert_eq!(world.admin.asked_for("/gateway/v1/snapshot"), 0);
}

#[test]
fn answers_that_make_no_sense_change_nothing_and_are_survived() {
    let mut world = World::kong();
    let store = world.admin.store;
    let odd = [
        Answer::json(200, ""),
        Answer::json(200, "{}"),
        Answer::json(200, "[".repeat(100_000)),
        Answer::json(200, json!({ "store": store, "revision": -1, "changes": [] }).to_string()),
        Answer::json(200, json!({ "store": store, "revision": 1, "changes": [{}] }).to_string()),
        Answer::json(204, ""),
        Answer::json(301, ""),
        Answer::json(401, "{}"),
        Answer::json(403, "{}"),
        Answer::json(429, "{}"),
        Answer::json(500, "oops"),
        Answer::json(0, ""),
        Answer::json(65535, ""),
        Answer::failure(),
        Answer { headers: [(":status", "abc")].into_iter().collect(), body: vec![0xff; 10] },
        Answer { headers: [(":status", "")].into_iter().collect(), body: Vec::new() },
        Answer { headers: [("no-status", "200")].into_iter().collect(), body: b"{}".to_vec() },
    ];
    for answer in odd {
        let shown = format!("{answer:?}").chars().take(100).collect::<String>();
        world.admin.next_answers.extend(std::iter::repeat_n(answer, 3));
        world.admin.credential("nudge", caller(9));
        world.run(SECOND * 2);
        assert_eq!(world.status(), 200, "{shown}");
        world.run(SECOND * 20);
        assert!(world.admin.next_answers.is_empty(), "{shown}");
        world.admin.credential(KEY, caller_with(1, ConnectionStatus::Revoked));
        world.run(SECOND * 20);
        assert_eq!(world.status(), 403, "{shown}");
        world.admin.credential(KEY, caller(1));
        world.run(SECOND * 20);
        assert_eq!(world.status(), 200, "{shown}");
    }
    assert!(world.node.traps().is_empty(), "{:?}", world.node.traps());
}

#[test]
fn a_slow_admin_extension_is_waited_for() {
    let mut world = World::without_contact(Quirks::kong());
    world.admin.service(SERVICE, KeyAuthConfig::default());
    world.admin.credential(KEY, caller(1));
    world.admin.latency = Duration::from_secs(4);
    world.run(SECOND * 40);
    assert_eq!(world.status(), 200);
}

#[test]
fn a_store_that_changes_while_the_snapshot_is_taken_ends_up_right() {
    let mut world = World::without_contact(Quirks::kong());
    world.admin.service(SERVICE, KeyAuthConfig::default());
    for number in 0..4000 {
        world.admin.credential(format!("key-{number}"), caller(number));
    }
    world.admin.latency = Duration::from_millis(60);
    for number in 0..200_u128 {
        let key = format!("key-{}", number * 20);
        if number % 2 == 0 {
            world.admin.delete_credential(&key);
        } else {
            world.admin.credential(&key, caller_with(number * 20, ConnectionStatus::Revoked));
        }
        world.run(Duration::from_millis(25));
    }
    world.run(SECOND * 20);
    for number in 0..200_u128 {
        let expected = if number % 2 == 0 { 401 } else { 403 };
        assert_eq!(world.status_of(&format!("key-{}", number * 20)), expected);
    }
    assert_eq!(world.status_of("key-1"), 200);
}

#[test]
fn every_call_names_node_version_and_store_and_asks_for_no_more_than_allowed() {
    let mut world = World::kong();
    world.run(SECOND * 60);
    for call in &world.admin.asked {
        assert_eq!((call.header(":method"), call.upstream.as_str()), ("GET".into(), "127.0.0.1:8005"));
        assert_eq!(call.header("authorization"), format!("Bearer {TOKEN}"));
        assert!(!call.path().contains(TOKEN));
        assert!(call.argument("node").is_some() && call.argument("version").is_some());
        assert_eq!(call.argument("limit").as_deref(), Some("500"));
        if call.path().starts_with("/gateway/v1/feed") {
            assert_eq!(call.argument("store"), Some(world.admin.store.to_string()));
            assert!(call.timeout > Duration::from_secs(25), "{:?}", call.timeout);
        }
    }
    let mut nodes: Vec<_> = world.admin.asked.iter().filter_map(|call| call.argument("node")).collect();
    nodes.dedup();
    assert_eq!(nodes.len(), 1, "one node, one name: {nodes:?}");
    let last = world.admin.asked.last().and_then(|call| call.argument("after"));
    assert_eq!(last, Some(Revision(world.admin.revision().0).to_string()));
}
