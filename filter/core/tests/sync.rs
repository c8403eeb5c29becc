//! A node kept in step with the admin extension through everything that goes wrong on the way.

mod support;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use app_auth_core::feed::bucket_bits;
use app_auth_core::gate::Outcome;
use app_auth_core::ids::{Revision, StoreId};
use app_auth_core::memory::Memory;
use app_auth_core::record::{ConnectionStatus, KeyAuthConfig};
use app_auth_core::refusal::{Reason, Refusal, Unauthenticated, Unavailable};
use app_auth_core::state::keys::SharedKey;
use app_auth_core::state::table::{Fault, Reader};
use app_auth_core::sync::Event;
use support::{Admin, Worker, connection, credential, service, uuid};

const START: u64 = 1_700_000_000_000;

fn admin_with_keys(count: u32) -> Admin {
    let mut admin = Admin::default();
    admin.put_service(service(1), KeyAuthConfig::default());
    for n in 0..count {
        admin.put_key(
            &format!("key-{n}"),
            credential(vec![connection(service(1), ConnectionStatus::Approved)]),
        );
    }
    admin
}

fn both_hosts() -> [Memory; 2] {
    [Memory::default(), Memory::strict()]
}

fn is_allowed(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Allow { .. })
}

fn refusal(outcome: Outcome) -> Refusal {
    match outcome {
        Outcome::Refuse(refusal) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

fn unknown() -> Refusal {
    Refusal::Unauthenticated { cause: Unauthenticated::UnknownKey, challenge: "Key".into() }
}

#[test]
fn a_new_node_refuses_until_its_snapshot_is_complete_and_follows_then() {
    for memory in both_hosts() {
        let mut admin = admin_with_keys(1000);
        let mut worker = Worker::new(1);
        let mut now = START;
        assert_eq!(refusal(worker.ask(now, &memory, service(1), "key-1")), Unavailable::NoState.into());
        for _ in 0..3 {
            now += 25;
            worker.step(now, &memory, &admin);
        }
        assert_eq!(refusal(worker.ask(now, &memory, service(1), "key-1")), Unavailable::NoState.into());

        worker.settle(&mut now, &memory, &admin);
        assert!((0..1000).all(|n| is_allowed(&worker.ask(now, &memory, service(1), &format!("key-{n}")))));
        assert_eq!(refusal(worker.ask(now, &memory, service(1), "another")), unknown());

        admin.put_key("key-1", credential(vec![connection(service(1), ConnectionStatus::Revoked)]));
        admin.put_key("new", credential(vec![connection(service(1), ConnectionStatus::Approved)]));
        admin.delete_key("key-2");
        worker.settle(&mut now, &memory, &admin);
        assert_eq!(
            refusal(worker.ask(now, &memory, service(1), "key-1")),
            Refusal::Forbidden(Reason::Revoked)
        );
        assert!(is_allowed(&worker.ask(now, &memory, service(1), "new")));
        assert_eq!(refusal(worker.ask(now, &memory, service(1), "key-2")), unknown());
        assert_eq!(Reader::new(&memory).meta().unwrap().records, 1001);
        assert_eq!(worker.syncer.counters.errors, 0);
    }
}

#[test]
fn an_empty_store_is_a_state_too() {
    let (memory, admin, mut worker, mut now) = (Memory::default(), Admin::default(), Worker::new(1), START);
    worker.settle(&mut now, &memory, &admin);
    assert_eq!(refusal(worker.ask(now, &memory, service(1), "k")), Unavailable::UnknownService.into());
}

#[test]
fn a_changed_service_is_in_force_with_the_next_request() {
    let (memory, mut admin, mut worker, mut now) =
        (Memory::default(), admin_with_keys(1), Worker::new(1), START);
    worker.settle(&mut now, &memory, &admin);
    assert!(is_allowed(&worker.ask(now, &memory, service(1), "key-0")));
    admin.put_service(
        service(1),
        KeyAuthConfig { key_names: vec!["other".into()], ..KeyAuthConfig::default() },
    );
    worker.settle(&mut now, &memory, &admin);
    let refused = refusal(worker.ask(now, &memory, service(1), "key-0"));
    assert_eq!(refused, Refusal::Unauthenticated { cause: Unauthenticated::NoKey, challenge: "Key".into() });
}

#[test]
fn another_worker_takes_over_when_the_leader_dies_and_only_then() {
    for memory in both_hosts() {
        let mut admin = admin_with_keys(3);
        let (mut first, mut second, mut now) = (Worker::new(1), Worker::new(2), START);
        for _ in 0..200 {
            now += 25;
            first.step(now, &memory, &admin);
            second.step(now + 1, &memory, &admin);
            assert!(!(first.syncer.leads() && second.syncer.leads()));
        }
        assert!(first.syncer.leads());
        admin.put_key("key-0", credential(vec![]));
        second.settle(&mut now, &memory, &admin);
        assert!(second.syncer.leads());
        assert_eq!(
            refusal(second.ask(now, &memory, service(1), "key-0")),
            Refusal::Forbidden(Reason::NoConnection)
        );
        // The first comes back, sees that it was overtaken, and does nothing.
        now += 300;
        first.step(now, &memory, &admin);
        assert!(!first.syncer.leads());
        assert!(first.syncer.take_events().contains(&Event::LostLead));
    }
}

#[test]
fn a_leader_that_was_overtaken_in_the_middle_of_a_page_changes_nothing() {
    for memory in both_hosts() {
        let (mut admin, mut slow, mut now) = (admin_with_keys(1), Worker::new(1), START);
        slow.settle(&mut now, &memory, &admin);
        // The slow leader asks, the answer approves, and it falls asleep with the answer in hand.
        admin.put_key("key-0", credential(vec![connection(service(1), ConnectionStatus::Approved)]));
        slow.syncer.tick(now + 25, &memory, &mut slow.line);
        let (token, path) = slow.line.calls.pop().unwrap();
        let (status, stale_page) = admin.answer(&path);
        admin.put_key("key-0", credential(vec![connection(service(1), ConnectionStatus::Revoked)]));
        let mut fast = Worker::new(2);
        now += 3000;
        fast.settle(&mut now, &memory, &admin);
        slow.syncer.answer(now, token, Some(status), stale_page.as_bytes(), &memory);
        assert_eq!(refusal(fast.ask(now, &memory, service(1), "key-0")), Refusal::Forbidden(Reason::Revoked));
        assert_eq!(Reader::new(&memory).meta().unwrap().revision, Revision(admin.head));
    }
}

#[test]
fn a_revision_that_is_too_old_is_answered_with_a_snapshot_while_the_old_state_serves() {
    let (memory, mut admin, mut worker, mut now) =
        (Memory::default(), admin_with_keys(5000), Worker::new(1), START);
    worker.settle(&mut now, &memory, &admin);
    admin.delete_key("key-1");
    admin.put_key("key-2", credential(vec![]));
    admin.records.retain(|_, (_, record)| record.is_ok());
    admin.floor = admin.head;
    let mut steps = 0;
    while Reader::new(&memory).meta().unwrap().revision.0 < admin.head {
        now += 25;
        worker.step(now, &memory, &admin);
        assert!(is_allowed(&worker.ask(now, &memory, service(1), "key-4999")));
        steps += 1;
        assert!(steps < 400);
    }
    assert_eq!(refusal(worker.ask(now, &memory, service(1), "key-1")), unknown());
    assert_eq!(
        refusal(worker.ask(now, &memory, service(1), "key-2")),
        Refusal::Forbidden(Reason::NoConnection)
    );
}

#[test]
fn another_store_ends_what_the_old_one_allowed_at_once() {
    let (memory, admin, mut worker, mut now) =
        (Memory::default(), admin_with_keys(10), Worker::new(1), START);
    worker.settle(&mut now, &memory, &admin);
    let mut other = Admin { store: StoreId([8; 32]), ..Admin::default() };
    other.put_service(service(1), KeyAuthConfig::default());
    other.put_key("theirs", credential(vec![connection(service(1), ConnectionStatus::Approved)]));
    worker.settle(&mut now, &memory, &other);
    assert!(is_allowed(&worker.ask(now, &memory, service(1), "theirs")));
    assert_eq!(refusal(worker.ask(now, &memory, service(1), "key-1")), unknown());
}

#[test]
fn a_store_set_back_to_an_older_revision_is_taken_as_it_is() {
    let (memory, mut admin, mut worker, mut now) =
        (Memory::default(), admin_with_keys(10), Worker::new(1), START);
    let backup = admin.records.clone();
    let head = admin.head;
    for _ in 0..5 {
        admin.put_key("key-1", credential(vec![]));
    }
    worker.settle(&mut now, &memory, &admin);
    (admin.records, admin.head) = (backup, head);
    now += 10_000;
    worker.settle(&mut now, &memory, &admin);
    assert!(is_allowed(&worker.ask(now, &memory, service(1), "key-1")));
}

#[test]
fn an_emptied_zone_is_refused_and_filled_again() {
    for memory in both_hosts() {
        let (admin, mut worker, mut now) = (admin_with_keys(10), Worker::new(1), START);
        worker.settle(&mut now, &memory, &admin);
        memory.clear();
        assert_eq!(refusal(worker.ask(now, &memory, service(1), "key-1")), Unavailable::NoState.into());
        worker.settle(&mut now, &memory, &admin);
        assert!(is_allowed(&worker.ask(now, &memory, service(1), "key-1")));
    }
}

#[test]
fn a_bucket_that_the_host_dropped_is_not_taken_for_an_unknown_key() {
    let (memory, admin, mut worker, mut now) =
        (Memory::default(), admin_with_keys(10), Worker::new(1), START);
    worker.settle(&mut now, &memory, &admin);
    for key in memory.keys().into_iter().filter(|key| ![SharedKey::META, SharedKey::LEASE].contains(key)) {
        memory.tamper(key, Vec::clear);
    }
    assert_eq!(refusal(worker.ask(now, &memory, service(1), "key-1")), Unavailable::Lost.into());
    app_auth_core::sync::apply::update_meta(&memory, |meta| {
        let mut meta = meta?;
        meta.damaged = true;
        Some(meta)
    })
    .unwrap();
    now += 10_000;
    for _ in 0..100 {
        now += 25;
        worker.step(now, &memory, &admin);
    }
    assert!(is_allowed(&worker.ask(now, &memory, service(1), "key-1")));
}

#[test]
fn damage_is_mended_while_a_feed_request_is_held() {
    let (memory, admin, mut worker, mut now) =
        (Memory::default(), admin_with_keys(10), Worker::new(1), START);
    worker.settle(&mut now, &memory, &admin);
    now += 10_000;
    worker.syncer.tick(now, &memory, &mut worker.line);
    let held = std::mem::take(&mut worker.line.calls);
    assert_eq!(held.len(), 1);
    memory.tamper(SharedKey::META, Vec::clear);
    assert_eq!(refusal(worker.ask(now, &memory, service(1), "key-1")), Unavailable::NoState.into());
    for _ in 0..30 {
        now += 25;
        worker.step(now, &memory, &admin);
    }
    assert!(is_allowed(&worker.ask(now, &memory, service(1), "key-1")));
}

#[test]
fn damaged_values_are_refused_whatever_is_wrong_with_them() {
    let (memory, admin, mut worker, mut now) =
        (Memory::default(), admin_with_keys(10), Worker::new(1), START);
    worker.settle(&mut now, &memory, &admin);
    for key in memory.keys().into_iter().filter(|key| *key != SharedKey::META) {
        memory.tamper(key, |value| value[20] ^= 1);
    }
    let fresh = Worker::new(2);
    assert_eq!(refusal(fresh.ask(now, &memory, service(1), "key-1")), Unavailable::Torn.into());
    memory.tamper(SharedKey::META, |value| value[33] ^= 1);
    assert_eq!(Reader::new(&memory).meta(), Err(Fault::Torn));
    assert_eq!(refusal(fresh.ask(now, &memory, service(1), "key-1")), Unavailable::Torn.into());
}

#[test]
fn a_table_that_has_outgrown_its_depth_is_loaded_deeper_and_the_old_one_freed() {
    for memory in both_hosts() {
        let (mut admin, mut worker, mut now) = (admin_with_keys(10), Worker::new(1), START);
        worker.settle(&mut now, &memory, &admin);
        for n in 0..6000 {
            admin.put_key(
                &format!("more-{n}"),
                credential(vec![connection(service(1), ConnectionStatus::Approved)]),
            );
        }
        worker.settle(&mut now, &memory, &admin);
        for _ in 0..800 {
            now += 25;
            worker.step(now, &memory, &admin);
            assert!(is_allowed(&worker.ask(now, &memory, service(1), "more-17")));
        }
        let meta = Reader::new(&memory).meta().unwrap();
        assert_eq!(meta.serving.unwrap().bits, bucket_bits(6011));
        assert!(meta.serving.unwrap().bits > 8);
        assert_eq!(memory.keys().len(), 2 + (1 << meta.serving.unwrap().bits));
        assert_eq!(meta.leftover_depths, 0);
    }
}

#[test]
fn a_load_that_was_cut_short_is_begun_again_by_the_next_leader() {
    let (memory, admin, mut first, mut now) =
        (Memory::default(), admin_with_keys(3000), Worker::new(1), START);
    for _ in 0..5 {
        now += 25;
        first.step(now, &memory, &admin);
    }
    assert!(Reader::new(&memory).meta().unwrap().loading.is_some());
    let mut second = Worker::new(2);
    now += 3000;
    second.settle(&mut now, &memory, &admin);
    assert!((0..3000).all(|n| is_allowed(&second.ask(now, &memory, service(1), &format!("key-{n}")))));
}

#[test]
fn a_full_host_leaves_records_out_but_never_keeps_an_outdated_one() {
    let (memory, mut admin, mut worker, mut now) =
        (Memory::default(), admin_with_keys(50), Worker::new(1), START);
    worker.settle(&mut now, &memory, &admin);
    memory.capacity.set(Some(memory.bytes()));
    // Revoked, and larger than before: it does not fit, and the approval must not stay.
    let connections = (0..40).map(|n| connection(service(n + 1), ConnectionStatus::Revoked)).collect();
    admin.put_key("key-1", credential(connections));
    admin.put_key("key-2", credential(vec![connection(service(1), ConnectionStatus::Revoked)]));
    admin.put_key("new", credential(vec![connection(service(1), ConnectionStatus::Approved)]));
    for _ in 0..8 {
        now += 25;
        worker.step(now, &memory, &admin);
    }
    assert!(!is_allowed(&worker.ask(now, &memory, service(1), "key-1")));
    assert_eq!(refusal(worker.ask(now, &memory, service(1), "key-2")), Refusal::Forbidden(Reason::Revoked));
    assert!(is_allowed(&worker.ask(now, &memory, service(1), "key-3")));
    // A key that may have been left out is not called unknown.
    assert_eq!(refusal(worker.ask(now, &memory, service(1), "elsewhere")), Unavailable::Incomplete.into());
    assert!(worker.syncer.take_events().iter().any(|event| matches!(event, Event::OutOfMemory { .. })));
    // With room again, the node recovers by itself.
    memory.capacity.set(None);
    now += 10_000;
    for _ in 0..200 {
        now += 25;
        worker.step(now, &memory, &admin);
    }
    assert!(is_allowed(&worker.ask(now, &memory, service(1), "new")));
    assert_eq!(refusal(worker.ask(now, &memory, service(1), "key-1")), Refusal::Forbidden(Reason::Revoked));
}

#[test]
fn an_admin_extension_that_is_away_is_reported_once_and_tried_again() {
    let (memory, mut admin, mut worker, mut now) =
        (Memory::default(), admin_with_keys(5), Worker::new(1), START);
    worker.settle(&mut now, &memory, &admin);
    worker.syncer.take_events();
    let mut calls = 0;
    for _ in 0..400 {
        now += 25;
        worker.syncer.tick(now, &memory, &mut worker.line);
        for (token, _) in std::mem::take(&mut worker.line.calls) {
            calls += 1;
            worker.syncer.answer(now, token, None, b"", &memory);
        }
        assert!(is_allowed(&worker.ask(now, &memory, service(1), "key-1")));
    }
    assert!((5..60).contains(&calls), "{calls}");
    assert!(worker.syncer.counters.errors >= 5);
    let away = |event: &Event| matches!(event, Event::Away(_));
    assert_eq!(worker.syncer.take_events().iter().filter(|event| away(event)).count(), 1);
    admin.put_key("key-1", credential(vec![]));
    worker.settle(&mut now, &memory, &admin);
    assert_eq!(
        refusal(worker.ask(now, &memory, service(1), "key-1")),
        Refusal::Forbidden(Reason::NoConnection)
    );
    assert!(worker.syncer.take_events().contains(&Event::Back));
}

#[test]
fn answers_that_are_no_feed_change_nothing() {
    let (memory, admin, mut worker, mut now) = (Memory::default(), admin_with_keys(5), Worker::new(1), START);
    worker.settle(&mut now, &memory, &admin);
    let before = Reader::new(&memory).meta().unwrap();
    let other = serde_json::json!({"store": StoreId([9; 32]), "revision": 1, "changes": []}).to_string();
    for (status, body) in
        [(200, ""), (200, "[]"), (200, "{\"store\":1}"), (500, "x"), (302, ""), (401, ""), (200, &other)]
    {
        now += 6000;
        for _ in 0..200 {
            now += 25;
            worker.syncer.tick(now, &memory, &mut worker.line);
            for (token, _) in std::mem::take(&mut worker.line.calls) {
                worker.syncer.answer(now, token, Some(status), body.as_bytes(), &memory);
            }
        }
        let after = Reader::new(&memory).meta().unwrap();
        assert_eq!((after.serving, after.revision), (before.serving, before.revision), "{status} {body}");
        assert!(is_allowed(&worker.ask(now, &memory, service(1), "key-1")));
    }
}

#[test]
fn a_stale_node_refuses_when_told_to() {
    let (memory, admin, mut worker, mut now) = (Memory::default(), admin_with_keys(1), Worker::new(1), START);
    worker.settle(&mut now, &memory, &admin);
    let contact = Reader::new(&memory).meta().unwrap().last_contact;
    let config = support::config(r#"{"max_stale_seconds":30}"#);
    let ask = |now: Option<u64>| {
        let headers = [(":method", "GET"), (":path", "/"), ("apikey", "key-0")];
        let body = app_auth_core::request::Body::Absent;
        support::decide(&memory, &worker.remembered, &config, service(1), &headers, body, support::ENVOY, now)
    };
    assert!(is_allowed(&ask(Some(contact + 30_000))));
    assert_eq!(refusal(ask(Some(contact + 30_001))), Unavailable::Stale.into());
    assert_eq!(refusal(ask(Some(contact - 60_001))), Unavailable::Stale.into());
    assert_eq!(refusal(ask(None)), Unavailable::Stale.into());
    assert_eq!(config.sync.wait_seconds, 10);
}

#[test]
fn an_expiring_key_ends_at_its_instant() {
    let (memory, mut admin, mut worker, mut now) =
        (Memory::default(), admin_with_keys(0), Worker::new(1), START);
    let mut record = credential(vec![connection(service(1), ConnectionStatus::Approved)]);
    record.expires_at = Some(START + 100_000);
    record.custom_id = Some(uuid(77).to_string());
    admin.put_key("short", record);
    worker.settle(&mut now, &memory, &admin);
    assert!(is_allowed(&worker.ask(START + 99_999, &memory, service(1), "short")));
    assert_eq!(refusal(worker.ask(START + 100_000, &memory, service(1), "short")), unknown());
}
