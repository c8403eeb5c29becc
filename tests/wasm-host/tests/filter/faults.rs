//! Traps and what they leave behind: Kong answers 500 once, builds a new instance, keeps the old timers.

use app_auth_core::record::{ConnectionStatus, KeyAuthConfig};

use crate::support::{KEY, SECOND, World, caller, caller_with, with_key};

#[test]
fn a_trap_costs_one_500_and_the_next_request_is_decided_from_the_nodes_state() {
    for call in ["proxy_get_shared_data", "proxy_get_header_map_pairs", "proxy_get_property"] {
        for mut world in World::each(&KeyAuthConfig::default()) {
            world.node.trap_next(call);
            assert_eq!(world.node.request(0, &with_key(KEY)).status(), 500);
            assert_eq!(world.status(), 200, "{call}");
            assert_eq!(world.status_of("unknown"), 401);
        }
    }
}

#[test]
fn the_old_timer_stays_after_a_trap_and_doubled_ticks_change_nothing() {
    let mut world = World::kong();
    for _ in 0..5 {
        for worker in 0..2 {
            world.node.trap_next("proxy_get_header_map_pairs");
            assert_eq!(world.node.request(worker, &with_key(KEY)).status(), 500);
            assert_eq!(world.send_to(worker, &with_key(KEY)).status(), 200);
        }
    }
    assert!(world.node.workers.iter().all(|worker| worker.timers() > 1), "this host doubles timers");
    world.admin.asked.clear();
    world.run(SECOND * 60);
    assert!(world.node.calls().len() <= 1, "{} calls are open", world.node.calls().len());
    assert!(world.admin.asked.len() <= 10, "{} calls in a quiet minute", world.admin.asked.len());
    world.admin.credential(KEY, caller_with(1, ConnectionStatus::Revoked));
    world.follow();
    assert_eq!(world.status(), 403);
}

#[test]
fn a_trap_on_a_tick_stops_the_worker_until_a_request_comes_and_the_node_follows_on() {
    for call in ["proxy_http_call", "proxy_get_shared_data", "proxy_set_shared_data", "proxy_record_metric"] {
        let mut world = World::kong();
        world.node.trap_next(call);
        world.run(SECOND * 30);
        assert!(!world.node.traps().is_empty(), "{call}");
        world.admin.credential(KEY, caller_with(1, ConnectionStatus::Revoked));
        for worker in 0..2 {
            let _ = world.node.request(worker, &with_key(KEY));
        }
        world.run(SECOND * 10);
        assert_eq!(world.status(), 403, "{call}");
    }
}

#[test]
fn a_trap_in_the_middle_of_a_page_loses_nothing() {
    let mut world = World::kong();
    for round in 0..12_u128 {
        for number in 0..40 {
            let number = round * 40 + number + 2;
            world.admin.credential(format!("key-{number}"), caller(number));
        }
        world.admin.credential(KEY, caller_with(1, ConnectionStatus::Revoked));
        world.run(SECOND / 50);
        world.node.trap_next("proxy_set_shared_data");
        world.run(SECOND);
        for worker in 0..2 {
            let _ = world.node.request(worker, &with_key(KEY));
        }
        world.run(SECOND * 45);
        assert_eq!(world.status(), 403, "round {round}");
        assert_eq!(world.status_of(&format!("key-{}", round * 40 + 41)), 200, "round {round}");
        world.admin.credential(KEY, caller(1));
        world.run(SECOND * 5);
        assert_eq!(world.status(), 200, "round {round}");
    }
}

#[test]
fn ten_thousand_requests_leave_the_instance_no_larger() {
    let mut world = World::kong();
    let requests = [with_key(KEY), with_key("unknown"), crate::support::get("/?apikey=x")];
    let round = |world: &mut World, count: usize| {
        for index in 0..count {
            world.send_to(0, &requests[index % 3]);
        }
    };
    round(&mut world, 1000);
    let before = world.node.workers[0].memory_bytes();
    round(&mut world, 9000);
    assert_eq!(world.node.workers[0].memory_bytes(), before);
}

#[test]
fn an_hour_of_ticks_and_changes_leaves_the_instance_no_larger() {
    let mut world = World::kong();
    let cycle = |world: &mut World, seconds: u32| {
        for index in 0..seconds {
            let status = if index % 2 == 0 { ConnectionStatus::Pending } else { ConnectionStatus::Approved };
            world.admin.credential(KEY, caller_with(1, status));
            world.run(SECOND);
        }
    };
    cycle(&mut world, 100);
    let before: Vec<_> =
        world.node.workers.iter_mut().map(app_auth_wasm_host::Worker::memory_bytes).collect();
    cycle(&mut world, 1000);
    let after: Vec<_> = world.node.workers.iter_mut().map(app_auth_wasm_host::Worker::memory_bytes).collect();
    assert_eq!(after, before);
}
