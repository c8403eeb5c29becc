//! Traffic counted by the filter as it is shipped: what arrives, what it costs, and that nothing about it gets in the way of a
//! request.

use std::collections::BTreeMap;

use app_auth_core::digest::KeyDigest;
use app_auth_core::feed::Operation;
use app_auth_core::ids::StrategyId;
use app_auth_core::record::{
    ConnectionStatus, CredentialRecord, IssuerRecord, KeyAuthConfig, OpenIdConnectConfig, Record, Strategy,
    StrategyConfig,
};
use app_auth_core::state::keys::SharedKey;
use app_auth_core::traffic::report::REPORT;
use app_auth_core::traffic::slot;
use app_auth_core::traffic::{Key, Outcome};
use app_auth_test_tokens::{jwk, token};
use app_auth_wasm_host::{Mood, Quirks};
use serde_json::json;
use uuid::Uuid;

use crate::support::{
    KEY, SECOND, SERVICE, World, caller, caller_with, configuration, envoy_configuration, get, with_key,
};

fn counted(of: &CredentialRecord, outcome: Outcome) -> Key {
    Key { application: of.application, service: SERVICE, outcome }
}

fn slot_sizes(world: &World) -> Vec<usize> {
    let zone = world.node.zone();
    (0..slot::COUNT)
        .filter_map(|number| zone.peek(SharedKey::traffic(number).as_bytes()))
        .map(<[u8]>::len)
        .collect()
}

#[test]
fn given_requests_on_both_workers_when_they_are_reported_then_each_counts_once_under_its_own() {
    for mut world in World::each(&KeyAuthConfig::default()) {
        let revoked = caller_with(2, ConnectionStatus::Revoked);
        let ended = CredentialRecord { expires_at: Some(1), ..caller(3) };
        world.admin.credential("revoked", revoked.clone());
        world.admin.credential("ended", ended.clone());
        world.follow();
        for (key, status, times) in
            [(KEY, 200, 7), ("revoked", 403, 3), ("ended", 401, 2), ("nobody's", 401, 5)]
        {
            for _ in 0..times {
                assert_eq!(world.status_of(key), status);
            }
        }
        let before = world.admin.asked_for("/gateway/v1/feed");
        world.run(SECOND * 10);
        // On two workers.
        let expected = BTreeMap::from([
            (counted(&caller(1), Outcome::Allowed), 14),
            (counted(&revoked, Outcome::Revoked), 6),
            (counted(&ended, Outcome::Expired), 4),
        ]);
        assert_eq!(world.admin.traffic, expected);
        assert_eq!(slot_sizes(&world), [slot::BYTES; slot::COUNT as usize]);
        assert!(world.admin.asked_for("/gateway/v1/feed") - before <= 2, "the feed goes its own way");
        let quiet = world.admin.asked_for(REPORT);
        world.run(SECOND * 60);
        assert_eq!(world.admin.asked_for(REPORT), quiet, "where nothing is counted nothing is told");
        assert!(world.node.traps().is_empty());
    }
}

#[test]
fn given_tokens_that_do_not_suffice_when_they_are_refused_then_they_count_for_whom_they_name() {
    let (issuer, client, strategy) = ("https://issuer.example", "someone", StrategyId(Uuid::from_u128(0x1d)));
    for quirks in [Quirks::kong(), Quirks::envoy()] {
        let mut world = World::without_contact(quirks);
        let config = OpenIdConnectConfig {
            issuer: issuer.into(),
            auth_methods: vec!["bearer".into()],
            scopes_required: vec!["write".into()],
            ..OpenIdConnectConfig::default()
        };
        let config = StrategyConfig::OpenIdConnect(Box::new(config));
        world.admin.strategies(SERVICE, vec![Strategy { id: strategy, config }], false);
        let record = IssuerRecord {
            configured: issuer.into(),
            issuer: issuer.into(),
            token_endpoint: None,
            introspection_endpoint: None,
            token_endpoint_auth_methods: Vec::new(),
            algorithms: Vec::new(),
            keys: vec![jwk("EdDSA", "EdDSA")],
        };
        let store = world.admin.store;
        world.admin.change(KeyDigest::of_issuer(&store, issuer), Operation::Put(Record::Issuer(record)));
        let digest = KeyDigest::of_client_id(&store, strategy, client.as_bytes());
        world.admin.change(digest, Operation::Put(Record::Credential(caller(1))));
        world.settle();

        let bearing = |client: &str, scope: &str, exp: u64| {
            let claims = json!({"iss": issuer, "sub": client, "scope": scope, "exp": exp});
            let token = token(&json!({"alg": "EdDSA", "kid": "EdDSA"}), &claims);
            get("/echo").header("authorization", format!("Bearer {token}"))
        };
        let later = 4_102_444_800;
        for (request, status) in [
            (bearing(client, "write", later), 200),
            (bearing(client, "read", later), 403),
            (bearing(client, "write", 1), 401),
            // Nobody we know, and nobody at all.
            (bearing("stranger", "read", later), 403),
            (get("/echo").header("authorization", "Bearer e30.e30.e30"), 401),
            (get("/echo"), 401),
        ] {
            for _ in 0..3 {
                assert_eq!(world.send(&request).status(), status);
            }
        }
        world.run(SECOND * 10);
        let of = |outcome| (counted(&caller(1), outcome), 3);
        let expected = [Outcome::Allowed, Outcome::InsufficientScope, Outcome::Expired].map(of);
        assert_eq!(world.admin.traffic, BTreeMap::from(expected));
    }
}

#[test]
fn given_a_full_zone_when_ever_more_applications_come_then_slots_do_not_grow_and_all_is_counted() {
    let mut world = World::kong();
    for number in 2..2_000 {
        world.admin.credential(format!("key-{number}"), caller(number));
    }
    world.settle();
    world.node.zone().leave_room(0);
    let used = world.node.zone().used();
    for round in 0..3 {
        for number in 2..2_000 {
            assert_eq!(world.send_to(number % 2, &with_key(&format!("key-{number}"))).status(), 200);
            if number % 500 == 0 {
                world.run(SECOND);
            }
        }
        assert_eq!(world.node.zone().used(), used, "round {round}");
    }
    world.run(SECOND * 20);
    assert!(world.admin.traffic.values().all(|count| *count == 3));
    assert_eq!(world.admin.traffic.len(), 1_998);
    assert!(world.node.traps().is_empty(), "{:?}", world.node.traps());
    assert_eq!(slot_sizes(&world), [slot::BYTES; slot::COUNT as usize]);
}

#[test]
fn given_no_room_for_slots_when_that_ends_workers_then_it_is_tried_no_more_and_requests_are_served() {
    let mut world = World::without_contact(Quirks { zone_bytes: Some(192 << 10), ..Quirks::kong() });
    world.admin.service(SERVICE, KeyAuthConfig::default());
    world.admin.credential(KEY, caller(1));
    for _ in 0..120 {
        world.run(SECOND);
        // A worker that ended is brought back by a request.
        for worker in 0..2 {
            let _ = world.node.request(worker, &with_key(KEY));
        }
    }
    let traps = world.node.traps().len();
    assert!((1..=2).contains(&traps), "{:?}", world.node.traps());
    assert_eq!(world.status(), 200);
    // The feed is not careful because of it.
    for number in 2..12 {
        world.admin.credential(format!("key-{number}"), caller(number));
    }
    world.run(SECOND * 2);
    assert_eq!((world.status_of("key-11"), world.node.traps().len()), (200, traps));
    let told = world.node.logs().iter().filter(|line| line.text.contains("no room to count")).count();
    assert!((1..=2).contains(&told), "{told} lines");
    // What slots there are take what there is.
    assert!(!slot_sizes(&world).is_empty());
    assert!(world.admin.traffic[&counted(&caller(1), Outcome::Allowed)] > 0);
}

#[test]
fn given_an_admin_extension_that_is_away_when_a_worker_dies_then_only_what_it_had_not_shared_is_lost() {
    for mut world in World::each(&KeyAuthConfig::default()) {
        world.admin.mood = Mood::Away;
        for _ in 0..50 {
            assert_eq!(world.send_to(0, &with_key(KEY)).status(), 200);
            assert_eq!(world.send_to(1, &with_key(KEY)).status(), 200);
        }
        world.run(SECOND * 3);
        // The next one is in the memory of a worker that dies.
        assert_eq!(world.send_to(0, &with_key(KEY)).status(), 200);
        world.node.respawn(0);
        world.node.respawn(1);
        world.run(SECOND * 30);
        world.admin.mood = Mood::Up;
        world.run(SECOND * 70);
        assert_eq!(world.admin.traffic, BTreeMap::from([(counted(&caller(1), Outcome::Allowed), 100)]));
    }
}

#[test]
fn given_slots_torn_as_they_are_read_when_counts_go_on_then_no_request_is_disturbed_and_none_lost() {
    for mut world in World::each(&KeyAuthConfig::default()) {
        let mut sent = 0;
        for round in 0..20 {
            world.node.zone().tear_next_reads(&app_auth_wasm_host::Tear::Cut(40), 1 + round);
            world.run(SECOND);
            world.node.zone().stop_tearing();
            assert_eq!(world.status(), 200);
            sent += 2;
        }
        world.run(SECOND * 20);
        assert_eq!(world.admin.traffic, BTreeMap::from([(counted(&caller(1), Outcome::Allowed), sent)]));
        assert!(world.node.traps().is_empty());
    }
}

/// A world that does not count.
fn without_counting(quirks: Quirks) -> World {
    let mut off = if quirks.kong_properties { configuration() } else { envoy_configuration() };
    off["count_traffic"] = false.into();
    let mut world = World::configured(quirks, 2, &[off]);
    world.admin.service(SERVICE, KeyAuthConfig::default());
    world.admin.credential(KEY, caller(1));
    world.settle();
    world
}

#[test]
fn given_counting_is_off_when_requests_come_then_nothing_is_kept_or_told() {
    for quirks in [Quirks::kong(), Quirks::envoy()] {
        let mut world = without_counting(quirks);
        assert_eq!(world.status(), 200);
        world.run(SECOND * 20);
        assert_eq!((slot_sizes(&world).len(), world.admin.asked_for(REPORT)), (0, 0));
    }
}

#[test]
fn given_counting_when_a_request_is_let_through_then_it_costs_no_host_call_and_next_to_nothing() {
    for quirks in [Quirks::kong(), Quirks::envoy()] {
        let mut on = World::with(quirks.clone(), KeyAuthConfig::default());
        let mut off = without_counting(quirks);
        let cost = |world: &mut World| {
            (0..3).for_each(|_| drop(world.send(&with_key(KEY))));
            let outcome = world.send(&with_key(KEY));
            (outcome.instructions, outcome.calls)
        };
        let ((counting, calls), (not_counting, as_many)) = (cost(&mut on), cost(&mut off));
        assert_eq!(calls, as_many);
        let more = counting.saturating_sub(not_counting);
        println!("{counting} instructions, {not_counting} without counting: {more} more");
        assert!(more * 50 <= not_counting, "{more} instructions on top of {not_counting}: more than 2 %");
    }
}

/// As of pages of the feed: well under 5 ms.
const FIVE_MILLISECONDS: u64 = 25_000_000;

#[test]
fn given_thousands_of_applications_when_they_are_reported_then_no_tick_keeps_a_worker_busy_for_5_ms() {
    let mut world = World::kong();
    for number in 2..4_000 {
        world.admin.credential(format!("key-{number}"), caller(number));
    }
    world.settle();
    let costliest = |world: &World| {
        let workers = world.node.workers.iter();
        workers.map(|worker| worker.costliest("proxy_on_tick")).max().unwrap_or_default()
    };
    for number in 2..4_000 {
        world.send(&with_key(&format!("key-{number}")));
    }
    world.run(SECOND * 20);
    assert_eq!(world.admin.traffic.len(), 3_998);
    let most = costliest(&world);
    println!("{most} instructions");
    assert!(most < FIVE_MILLISECONDS, "{most} instructions");
}
