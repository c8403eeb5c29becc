//! What shared memory does to the filter: keys told apart by CRC-32 alone, torn reads, a full zone, keys that vanish.

use std::collections::HashSet;

use app_auth_core::record::{ConnectionStatus, KeyAuthConfig};
use app_auth_wasm_host::{Quirks, Tear, WhenFull};

use crate::support::{KEY, SECOND, SERVICE, World, caller, caller_with, with_key};

/// A Kong node that holds some hundred callers.
fn crowded() -> World {
    let mut world = World::kong();
    for number in 2..600 {
        world.admin.credential(format!("key-{number}"), caller(number));
    }
    world.settle();
    world
}

#[test]
fn key_comparison_by_crc32_only_confuses_none_of_our_keys() {
    let world = crowded();
    let keys = world.node.zone().keys();
    let sums: HashSet<u32> = keys.iter().map(|key| crc32fast::hash(key)).collect();
    assert!(keys.len() > 200);
    assert_eq!(sums.len(), keys.len());
    assert!(keys.iter().all(|key| key.starts_with(b"app_auth/")), "served by a zone of that name");
}

#[test]
fn no_secret_and_no_raw_key_is_in_shared_data() {
    let world = crowded();
    let zone = world.node.zone();
    for key in zone.keys() {
        let value = String::from_utf8_lossy(zone.peek(&key).unwrap_or_default()).into_owned();
        assert!(!value.contains("key-5") && !value.contains(KEY) && !value.contains("token"), "{value}");
    }
}

#[test]
fn cas_zero_means_only_if_absent_and_a_lost_race_is_run_again() {
    for quirks in [Quirks::kong(), Quirks::envoy()] {
        let mut world = World::with(quirks, KeyAuthConfig::default());
        for round in 0..10_u32 {
            world.node.zone().race_next_writes(1 + round % 4);
            let status = if round % 2 == 0 { ConnectionStatus::Revoked } else { ConnectionStatus::Approved };
            world.admin.credential(KEY, caller_with(1, status));
            world.run(SECOND);
            world.node.zone().stop_tearing();
            assert_eq!(world.status(), if round % 2 == 0 { 403 } else { 200 }, "round {round}");
        }
    }
}

#[test]
fn writes_that_always_lose_the_race_are_given_up_and_made_good_later() {
    let mut world = World::kong();
    world.node.zone().race_next_writes(u32::MAX);
    world.admin.credential(KEY, caller_with(1, ConnectionStatus::Revoked));
    world.run(SECOND * 5);
    world.node.zone().stop_tearing();
    world.run(SECOND * 20);
    assert_eq!(world.status(), 403);
    assert!(world.node.traps().is_empty());
}

#[test]
fn a_read_torn_once_is_read_again_and_one_that_stays_torn_is_503() {
    for mut world in World::each(&KeyAuthConfig::default()) {
        // Every value gets a predecessor for the tears to show.
        world.admin.credential(KEY, caller_with(1, ConnectionStatus::Revoked));
        world.follow();
        let keys = world.node.zone().keys();
        let foreign = world.node.zone().peek(&keys[0]).map(<[u8]>::to_vec);
        let tears = [
            Tear::HalfOld,
            Tear::Foreign(foreign.unwrap_or_default()),
            Tear::Foreign(Vec::new()),
            Tear::Foreign(vec![0; 4096]),
            Tear::Cut(0),
            Tear::Cut(1),
            Tear::Cut(7),
            Tear::Cut(39),
            Tear::Cut(60),
        ];
        for tear in tears {
            for reads in [1, 2, 3] {
                world.node.zone().tear_next_reads(&tear, reads);
                let status = world.send(&with_key(KEY)).status();
                assert!(matches!(status, 403 | 503), "{tear:?} {reads}: {status}");
                world.node.zone().stop_tearing();
                assert_eq!(world.send(&with_key(KEY)).status(), 403);
            }
            world.node.zone().tear_next_reads(&tear, 1000);
            assert_eq!(world.send(&with_key(KEY)).status(), 503, "{tear:?}");
            world.node.zone().stop_tearing();
            world.run(SECOND * 10);
            assert_eq!(world.status(), 403, "{tear:?}");
        }
        assert!(world.node.metric("app_auth_torn_reads") > 0);
    }
}

#[test]
fn torn_reads_while_the_syncer_works_lead_to_no_wrong_state() {
    let mut world = World::kong();
    for round in 0..20_u32 {
        let revoked = round % 2 == 0;
        let status = if revoked { ConnectionStatus::Revoked } else { ConnectionStatus::Approved };
        world.admin.credential(KEY, caller_with(1, status));
        world.node.zone().tear_next_reads(&Tear::HalfOld, 1 + round as usize);
        world.run(SECOND * 12);
        world.node.zone().stop_tearing();
        assert_eq!(world.status(), if revoked { 403 } else { 200 }, "round {round}");
    }
    assert!(world.node.traps().is_empty());
}

#[test]
fn evicted_keys_vanish_silently_and_are_503_until_loaded_again() {
    let mut world = crowded();
    let keys = world.node.zone().keys();
    for key in keys {
        world.node.zone().evict(&key);
        for number in [2, 300] {
            let status = world.send(&with_key(&format!("key-{number}"))).status();
            assert!(matches!(status, 200 | 503), "{}: {status}", String::from_utf8_lossy(&key));
        }
        assert_ne!(world.send(&with_key("unknown")).status(), 200);
        world.run(SECOND / 4);
    }
    // What is gone is found by who asks for it; a worker does not ask for callers it remembers.
    for worker in [0, 1] {
        for key in [KEY, "key-300", "unknown"] {
            world.send_to(worker, &with_key(key));
        }
    }
    world.run(SECOND * 30);
    assert_eq!((world.status(), world.status_of("key-300"), world.status_of("unknown")), (200, 200, 401));
}

#[test]
fn a_deleted_credential_does_not_come_back_when_its_bucket_is_evicted() {
    let mut world = World::kong();
    world.admin.delete_credential(KEY);
    world.follow();
    let keys = world.node.zone().keys();
    for key in keys {
        world.node.zone().evict(&key);
        let status = world.send(&with_key(KEY)).status();
        assert!(matches!(status, 401 | 503), "{status}");
    }
}

#[test]
fn a_zone_that_forgets_its_oldest_keys_never_lets_anyone_in_by_that() {
    let mut world = World::with(
        Quirks { when_full: WhenFull::Evict, zone_bytes: Some(96 << 10), ..Quirks::kong() },
        KeyAuthConfig::default(),
    );
    for number in 2..1500 {
        world.admin.credential(format!("key-{number}"), caller(number));
        if number % 100 == 0 {
            world.run(SECOND);
            for sample in (2..number).step_by(37) {
                let status = world.send(&with_key(&format!("key-{sample}"))).status();
                assert!(matches!(status, 200 | 503), "key {sample}: {status}");
            }
            assert_ne!(world.send(&with_key("unknown")).status(), 200);
        }
    }
    assert!(world.node.traps().is_empty());
}

/// Lets traffic flow for a while, as real gateways have it: a trapped worker is only brought back by a request.
fn busy(world: &mut World, seconds: u32, mut check: impl FnMut(&mut World)) {
    for _ in 0..seconds {
        world.run(SECOND);
        for worker in 0..2 {
            // A request that meets a trapped worker gets 500 at worst.
            let _ = world.node.request(worker, &with_key("nobody"));
        }
        check(world);
    }
}

fn opens_within_an_hour(world: &mut World, key: &str) -> bool {
    (0..360).any(|_| {
        busy(world, 10, |_| ());
        (0..2).all(|worker| world.node.request(worker, &with_key(key)).status() == 200)
    })
}

#[test]
fn a_full_zone_traps_the_growing_write_yet_decisions_stay_right_and_revocations_get_in() {
    let mut world = crowded();
    world.node.zone().leave_room(0);
    for number in 1000..1400 {
        world.admin.credential(format!("key-{number}"), caller(number));
    }
    busy(&mut world, 60, |world| {
        let status = world.node.request(0, &with_key("key-300")).status();
        assert!(matches!(status, 200 | 500 | 503), "{status}");
    });
    world.admin.credential("key-300", caller_with(300, ConnectionStatus::Revoked));
    world.admin.credential("key-301", caller_with(301, ConnectionStatus::Revoked));
    world.admin.delete_credential("key-302");
    busy(&mut world, 30, |_| ());
    assert_eq!(world.status_of("key-300"), 403);
    assert_eq!(world.status_of("key-301"), 403);
    assert!(matches!(world.status_of("key-302"), 401 | 503));
    assert_eq!(world.status_of("key-303"), 200);
    let traps = world.node.traps().len();
    assert!(traps <= 12, "{traps} traps: {:?}", world.node.traps().last());

    let before = traps;
    busy(&mut world, 120, |_| ());
    let more = world.node.traps().len() - before;
    assert!(more <= 6, "{more} more traps in two minutes");
    let timers: usize = world.node.workers.iter().map(app_auth_wasm_host::Worker::timers).sum();
    assert!(timers <= 32, "{timers} timers");

    world.node.zone().enlarge();
    assert!(opens_within_an_hour(&mut world, "key-1399"));
    assert_eq!(world.status_of("key-300"), 403);
}

#[test]
fn a_zone_too_small_for_the_snapshot_stays_closed_and_does_not_trap_for_ever() {
    let quirks = Quirks { zone_bytes: Some(24 << 10), ..Quirks::kong() };
    let mut world = World::without_contact(quirks);
    world.admin.service(SERVICE, KeyAuthConfig::default());
    for number in 0..2000 {
        world.admin.credential(format!("key-{number}"), caller(number));
    }
    busy(&mut world, 300, |world| {
        let status = world.node.request(1, &with_key("key-5")).status();
        assert!(matches!(status, 500 | 503), "{status}");
    });
    let traps = world.node.traps().len();
    assert!(traps <= 30, "{traps} traps in five minutes: {:?}", world.node.traps().last());
    world.node.zone().enlarge();
    assert!(opens_within_an_hour(&mut world, "key-5"));
}

#[test]
fn a_missing_zone_traps_even_a_read_so_nobody_gets_in() {
    let mut world = World::without_contact(Quirks { zone_missing: true, ..Quirks::kong() });
    for _ in 0..20 {
        world.run(SECOND / 4);
        let outcome = world.node.request(0, &with_key(KEY));
        assert_eq!(outcome.status(), 500);
    }
}
