//! What is counted of requests, from the decision to the admin extension: all of it and once, whatever fails on the way.

mod support;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::collections::{BTreeMap, BTreeSet};

use app_auth_core::ids::ServiceId;
use app_auth_core::memory::Memory;
use app_auth_core::record::{ConnectionStatus, CredentialRecord, KeyAuthConfig};
use app_auth_core::request::Body;
use app_auth_core::state::keys::SharedKey;
use app_auth_core::sync::Event;
use app_auth_core::traffic::report::Report;
use app_auth_core::traffic::slot::{self, Slot};
use app_auth_core::traffic::tally::Tally;
use app_auth_core::traffic::{Key, Outcome};
use support::{Admin, ENVOY, Worker, config, connection, credential, decide_and_count, service, uuid};

const START: u64 = 1_700_000_000_000;

fn key(application: u128, outcome: Outcome) -> Key {
    Key { application: uuid(application).into(), service: service(1), outcome }
}

/// What the admin extension makes of reports: a batch counts if its number is above the last of its reporter.
#[derive(Default)]
struct Ledger {
    taken: BTreeMap<String, u64>,
    counts: BTreeMap<Key, u64>,
}

impl Ledger {
    fn take(&mut self, body: &[u8]) {
        let report: Report = serde_json::from_slice(body).unwrap();
        for batch in report.batches {
            let last = self.taken.entry(batch.reporter).or_default();
            if *last < batch.seq {
                *last = batch.seq;
                for row in batch.rows {
                    let key =
                        Key { application: row.application, service: row.service, outcome: row.outcome };
                    *self.counts.entry(key).or_default() += row.count;
                }
            }
        }
    }

    fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Requests in shared data that are not counted here.
    fn outstanding(&self, memory: &Memory) -> u64 {
        let open = |slot: Slot| {
            let batch = slot.batch();
            let taken = self.taken.get(&batch.reporter).is_some_and(|taken| *taken >= batch.seq);
            let sealed: u64 = batch.rows.iter().map(|row| row.count).sum();
            slot.requests() - if taken { sealed } else { 0 }
        };
        (0..slot::COUNT).filter_map(|number| slot::get(memory, number).ok()).map(open).sum()
    }
}

/// A worker that counts, and may lead.
struct Counting {
    worker: Worker,
    tally: Tally,
    awake: bool,
}

impl Counting {
    fn new(me: u128) -> Self {
        let mut worker = Worker::new(me);
        worker.syncer.report_traffic(true);
        Self { worker, tally: Tally::new(me), awake: true }
    }

    /// A tick, and the feed's answers to it. Reports stay on the line.
    fn tick(&mut self, now: u64, memory: &Memory, admin: &Admin) {
        self.worker.step(now, memory, admin);
        self.tally.tick(now, memory);
    }

    /// Ticks for so many milliseconds, reports answered at once.
    fn run(
        &mut self,
        now: &mut u64,
        milliseconds: u64,
        memory: &Memory,
        ledger: &mut Ledger,
        status: Option<u16>,
    ) {
        let admin = Admin::default();
        for _ in 0..milliseconds / 25 {
            *now += 25;
            self.tick(*now, memory, &admin);
            for (token, _, body) in std::mem::take(&mut self.worker.line.posts) {
                if status == Some(200) {
                    ledger.take(&body);
                }
                self.worker.syncer.answer(*now, token, status, b"{}", memory);
            }
        }
    }

    fn count(&mut self, key: Key, times: u64) {
        for _ in 0..times {
            self.tally.count(key);
        }
    }
}

fn both_hosts() -> [Memory; 2] {
    [Memory::default(), Memory::strict()]
}

fn slot_sizes(memory: &Memory) -> Vec<usize> {
    use app_auth_core::host::SharedData as _;
    (0..slot::COUNT)
        .filter_map(|number| memory.get(SharedKey::traffic(number)).unwrap().value)
        .map(|value| value.len())
        .collect()
}

#[test]
fn a_request_counts_as_what_its_application_was_told_and_not_at_all_where_none_was_recognised() {
    let with = |n: u128, change: &dyn Fn(&mut CredentialRecord)| {
        let mut record = credential(vec![connection(service(1), ConnectionStatus::Approved)]);
        record.application = uuid(n).into();
        change(&mut record);
        record
    };
    let status = |status| move |record: &mut CredentialRecord| record.connections[0].status = status;
    let cases: [(&str, CredentialRecord, Outcome); 8] = [
        ("approved", with(1, &|_| {}), Outcome::Allowed),
        ("pending", with(2, &status(ConnectionStatus::Pending)), Outcome::Pending),
        ("rejected", with(3, &status(ConnectionStatus::Rejected)), Outcome::Rejected),
        ("revoked", with(4, &status(ConnectionStatus::Revoked)), Outcome::Revoked),
        ("suspended", with(5, &|it| it.connections[0].suspended = true), Outcome::Suspended),
        ("stranger", with(6, &|it| it.connections.clear()), Outcome::NoConnection),
        ("blocked", with(7, &|it| it.developer_approved = false), Outcome::DeveloperNotApproved),
        ("ended", with(8, &|it| it.expires_at = Some(1)), Outcome::Expired),
    ];
    let (memory, mut admin, mut worker, mut now) =
        (Memory::default(), Admin::default(), Worker::new(1), START);
    admin.put_service(service(1), KeyAuthConfig::default());
    for (key, record, _) in &cases {
        admin.put_key(key, record.clone());
    }
    worker.settle(&mut now, &memory, &admin);
    let ask = |headers: &[(&str, &str)]| {
        let headers: Vec<_> = [(":method", "GET"), (":path", "/")].iter().chain(headers).copied().collect();
        let (config, remembered) = (config("{}"), &worker.remembered);
        let now = Some(now);
        let it =
            decide_and_count(&memory, remembered, &config, service(1), &headers, Body::Absent, ENVOY, now);
        it.counts_as
    };
    for (apikey, record, outcome) in cases {
        let expected = Key { application: record.application, service: service(1), outcome };
        // Decided from shared data, and from memory.
        for _ in 0..2 {
            assert_eq!(ask(&[("apikey", apikey)]), Some(expected), "{apikey}");
        }
    }
    for headers in [&[][..], &[("apikey", "unknown")], &[("apikey", "approved"), ("apikey", "pending")]] {
        assert_eq!(ask(headers), None, "{headers:?}");
    }
}

#[test]
fn what_is_counted_arrives_within_seconds_and_each_under_its_own() {
    for memory in both_hosts() {
        let (mut one, mut ledger, mut now) = (Counting::new(1), Ledger::default(), START);
        one.run(&mut now, 1_000, &memory, &mut ledger, Some(200));
        one.count(key(1, Outcome::Allowed), 1_000);
        one.count(key(1, Outcome::Revoked), 3);
        one.count(key(2, Outcome::Allowed), 1);
        one.run(&mut now, 2_000, &memory, &mut ledger, Some(200));
        let expected = BTreeMap::from([
            (key(1, Outcome::Allowed), 1_000),
            (key(1, Outcome::Revoked), 3),
            (key(2, Outcome::Allowed), 1),
        ]);
        assert_eq!(ledger.counts, expected);
        one.count(key(1, Outcome::Allowed), 5);
        one.run(&mut now, 6_500, &memory, &mut ledger, Some(200));
        assert_eq!((ledger.total(), ledger.outstanding(&memory), one.tally.len()), (1_009, 0, 0));
        assert_eq!(one.worker.syncer.counters.errors, 0);
    }
}

#[test]
fn many_more_applications_than_a_slot_holds_are_all_told_apart() {
    for memory in both_hosts() {
        let (mut one, mut ledger, mut now) = (Counting::new(9), Ledger::default(), START);
        one.run(&mut now, 1_000, &memory, &mut ledger, Some(200));
        let many = 20_000;
        assert!(many > usize::from(slot::COUNT) * slot::ROWS);
        for n in 0..many {
            one.count(key(n as u128, Outcome::Allowed), 1 + (n as u64) % 3);
        }
        one.run(&mut now, 20_000, &memory, &mut ledger, Some(200));
        assert_eq!(ledger.counts.len(), many);
        assert!(
            ledger
                .counts
                .iter()
                .all(|(key, count)| u128::from(*count) == 1 + key.application.0.as_u128() % 3)
        );
        assert_eq!(slot_sizes(&memory), [slot::BYTES; slot::COUNT as usize]);
    }
}

#[test]
fn a_tally_without_room_counts_on_and_gives_up_applications_first_and_services_last() {
    let mut tally = Tally::with_room(1, 10);
    let at = |application: u128, to: u128| Key {
        application: uuid(application).into(),
        service: ServiceId(uuid(to)),
        outcome: Outcome::Allowed,
    };
    (1..=10).for_each(|n| tally.count(at(n, 1)));
    assert!(!tally.take_overflowed());
    for n in 1..=20_000 {
        tally.count(at(n, n));
    }
    assert!(tally.take_overflowed());
    assert_eq!(tally.requests(), 20_010);
    assert!(tally.len() <= 10 + 256 + Outcome::ALL.len(), "{}", tally.len());

    let (memory, mut ledger, mut now) = (Memory::default(), Ledger::default(), START);
    let mut one = Counting::new(1);
    one.tally = tally;
    one.run(&mut now, 10_000, &memory, &mut ledger, Some(200));
    assert_eq!(ledger.total(), 20_010);
    assert_eq!(ledger.counts[&at(3, 1)], 1, "what had a place keeps it");
    assert!(ledger.counts[&at(0, 0)] > 19_000, "the rest");
}

#[test]
fn a_slot_that_cannot_be_read_is_made_anew_and_counts_go_on() {
    for memory in both_hosts() {
        let (mut one, mut ledger, mut now) = (Counting::new(1), Ledger::default(), START);
        one.run(&mut now, 1_000, &memory, &mut ledger, Some(200));
        (0..slot::COUNT).for_each(|n| memory.tamper(SharedKey::traffic(n), |value| value[40] ^= 1));
        one.count(key(1, Outcome::Allowed), 7);
        one.run(&mut now, 500, &memory, &mut ledger, Some(200));
        assert_eq!(one.tally.requests(), 7, "nothing leaves a worker for a slot that is broken");
        one.run(&mut now, 20_000, &memory, &mut ledger, Some(200));
        assert_eq!(ledger.total(), 7);
        let lost = one.worker.syncer.take_events().into_iter().filter(|event| *event == Event::TrafficLost);
        assert_eq!(lost.count(), usize::from(slot::COUNT));
    }
}

#[test]
fn a_host_without_any_room_left_is_no_trouble_once_the_slots_are_there_and_before_it_is_told_once() {
    for memory in both_hosts() {
        let (mut one, mut ledger, mut now) = (Counting::new(1), Ledger::default(), START);
        memory.capacity.set(Some(100_000));
        one.count(key(1, Outcome::Allowed), 5);
        one.run(&mut now, 60_000, &memory, &mut ledger, Some(200));
        // There is room for one, and one suffices.
        assert_eq!(ledger.total(), 5);
        let no_room =
            one.worker.syncer.take_events().into_iter().filter(|event| *event == Event::NoRoomForTraffic);
        assert_eq!(no_room.count(), 1);

        memory.capacity.set(None);
        one.run(&mut now, 30_000, &memory, &mut ledger, Some(200));
        assert_eq!(slot_sizes(&memory).len(), usize::from(slot::COUNT));
        memory.capacity.set(Some(memory.bytes()));
        for n in 0..3_000 {
            one.count(key(n, Outcome::Pending), 1);
        }
        one.run(&mut now, 10_000, &memory, &mut ledger, Some(200));
        assert_eq!(ledger.total(), 3_005);
    }
}

#[test]
fn an_admin_extension_that_knows_no_reports_is_asked_again_seldom_and_one_that_is_away_soon() {
    for (status, most) in [(Some(404), 2), (Some(503), 20), (None, 20)] {
        let (memory, mut one, mut now) = (Memory::default(), Counting::new(1), START);
        let (mut ledger, mut told, admin) = (Ledger::default(), 0, Admin::default());
        one.count(key(1, Outcome::Allowed), 5);
        for _ in 0..(400_000 / 25) {
            now += 25;
            one.tick(now, &memory, &admin);
            for (token, ..) in std::mem::take(&mut one.worker.line.posts) {
                told += 1;
                one.worker.syncer.answer(now, token, status, b"", &memory);
            }
        }
        assert!((2..=most).contains(&told), "{status:?}: {told} reports");
        let events = one.worker.syncer.take_events();
        let about = |event: &&Event| matches!(event, Event::TrafficLate(_) | Event::TrafficNotTaken);
        assert_eq!(events.iter().filter(about).count(), 1, "{events:?}");
        assert!(!events.iter().any(|event| matches!(event, Event::Away(_))), "the feed is well");
        // All of it is still there.
        one.run(&mut now, 400_000, &memory, &mut ledger, Some(200));
        assert_eq!(ledger.total(), 5);
    }
}

#[test]
fn a_report_that_is_refused_for_good_is_dropped_with_a_word_and_the_next_one_counts() {
    let (memory, mut one, mut now) = (Memory::default(), Counting::new(1), START);
    let mut ledger = Ledger::default();
    one.count(key(1, Outcome::Allowed), 5);
    one.run(&mut now, 10_000, &memory, &mut ledger, Some(400));
    one.count(key(1, Outcome::Allowed), 6);
    one.run(&mut now, 10_000, &memory, &mut ledger, Some(200));
    assert_eq!(ledger.total(), 6);
    assert!(one.worker.syncer.take_events().contains(&Event::TrafficRefused { status: 400, requests: 5 }));
}

#[test]
fn a_slot_comes_back_as_it_was_written_and_any_changed_bit_of_it_is_seen() {
    let mut slot = Slot::new(7);
    assert_eq!(slot.add((0..9).map(|n| (key(n, Outcome::Expired), 1))).len(), 9);
    assert!(slot.seal() && !slot.can_be_sealed());
    slot.add((5..12).map(|n| (key(n, Outcome::Other), u64::MAX)));
    let value = slot.encode();
    assert_eq!((value.len(), Slot::decode(&value)), (slot::BYTES, Ok(slot)));
    let used = value.iter().rposition(|byte| *byte != 0).unwrap();
    for at in 0..=used {
        let mut changed = value.clone();
        changed[at] ^= 1 << (at % 8);
        assert!(Slot::decode(&changed).is_err(), "byte {at}");
    }
    let zeros = vec![0; slot::BYTES];
    for wrong in [&value[..used], &value[1..], b"", &zeros] {
        assert!(Slot::decode(wrong).is_err());
    }
    let keys: BTreeSet<_> = (0..slot::COUNT).map(SharedKey::traffic).collect();
    assert_eq!(keys.len(), usize::from(slot::COUNT));
    assert!(!keys.contains(&SharedKey::META) && !keys.contains(&SharedKey::LEASE));
}

#[cfg(not(target_family = "wasm"))]
mod chance {
    use proptest::prelude::*;

    use super::*;

    /// Something that happens to a node with three workers.
    #[derive(Clone, Debug)]
    enum Happens {
        Requests {
            worker: usize,
            application: u128,
            times: u64,
        },
        /// So many ticks of 250 ms of all workers that are awake.
        TimePasses(u16),
        /// A worker hangs, so that its lease may run out, or goes on with what it had in hand.
        Sleep {
            worker: usize,
            awake: bool,
        },
        /// A report arrives, and perhaps its answer does not; or it comes once more, much later.
        Arrives {
            report: usize,
            answered: bool,
            kept: bool,
        },
        Fails {
            report: usize,
        },
        /// A worker ends with all it had in memory.
        Killed(usize),
    }

    fn happens() -> impl Strategy<Value = Happens> {
        let worker = || 0..3_usize;
        prop_oneof![
            6 => (worker(), 0..30_u128, 1..50_u64)
                .prop_map(|(worker, application, times)| Happens::Requests { worker, application, times }),
            6 => (1..30_u16).prop_map(Happens::TimePasses),
            2 => (worker(), any::<bool>()).prop_map(|(worker, awake)| Happens::Sleep { worker, awake }),
            4 => (0..8_usize, any::<bool>(), any::<bool>())
                .prop_map(|(report, answered, kept)| Happens::Arrives { report, answered, kept }),
            1 => (0..8_usize).prop_map(|report| Happens::Fails { report }),
            1 => worker().prop_map(Happens::Killed),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

        #[test]
        fn nothing_is_lost_and_nothing_counts_twice(
            strict in any::<bool>(),
            story in prop::collection::vec(happens(), 1..60),
        ) {
            let memory = if strict { Memory::strict() } else { Memory::default() };
            let (admin, mut ledger, mut now) = (Admin::default(), Ledger::default(), START);
            let mut workers: Vec<_> = (1..=3).map(|n| Counting::new(n * 77)).collect();
            let mut reports: Vec<(usize, u32, Vec<u8>)> = Vec::new();
            let (mut counted, mut lost, mut born) = (BTreeMap::<Key, u64>::new(), 0_u64, 4_u128);
            // In the end everybody is awake, and every report arrives.
            let ending = (0..3).map(|worker| Happens::Sleep { worker, awake: true });
            let rounds = (0..40).flat_map(|_| [
                Happens::TimePasses(30),
                Happens::Arrives { report: 0, answered: true, kept: false },
            ]);
            for happens in story.into_iter().chain(ending).chain(rounds) {
                match happens {
                    Happens::Requests { worker, application, times } => {
                        let key = key(application, Outcome::ALL[application as usize % 12]);
                        workers[worker].count(key, times);
                        *counted.entry(key).or_default() += times;
                    }
                    Happens::TimePasses(ticks) => for _ in 0..ticks {
                        now += 250;
                        for (at, it) in workers.iter_mut().enumerate().filter(|(_, it)| it.awake) {
                            it.tick(now, &memory, &admin);
                            let told = std::mem::take(&mut it.worker.line.posts);
                            reports.extend(told.into_iter().map(|(token, _, body)| (at, token, body)));
                        }
                    },
                    Happens::Sleep { worker, awake } => workers[worker].awake = awake,
                    Happens::Arrives { report, answered, kept } if !reports.is_empty() => {
                        let (worker, token, body) = reports[report % reports.len()].clone();
                        if !kept {
                            reports.remove(report % reports.len());
                        }
                        ledger.take(&body);
                        let status = answered.then_some(200);
                        workers[worker].worker.syncer.answer(now, token, status, b"{}", &memory);
                    }
                    Happens::Fails { report } if !reports.is_empty() => {
                        let (worker, token, _) = reports.remove(report % reports.len());
                        workers[worker].worker.syncer.answer(now, token, Some(503), b"", &memory);
                    }
                    Happens::Arrives { .. } | Happens::Fails { .. } => {}
                    Happens::Killed(worker) => {
                        lost += workers[worker].tally.requests();
                        // What it sent may arrive still; nobody is there for the answer.
                        workers[worker] = Counting::new(born * 77);
                        born += 1;
                    }
                }
                let waiting: u64 = workers.iter().map(|it| it.tally.requests()).sum();
                let everything = ledger.total() + ledger.outstanding(&memory) + waiting + lost;
                prop_assert_eq!(everything, counted.values().sum::<u64>());
            }
            prop_assert_eq!(ledger.total() + lost, counted.values().sum::<u64>());
            prop_assert!(ledger.counts.iter().all(|(key, count)| count <= &counted[key]));
            if lost == 0 {
                prop_assert_eq!(ledger.counts, counted);
            }
            prop_assert!(slot_sizes(&memory).iter().all(|size| *size == slot::BYTES));
        }
    }
}
