//! Traffic as gateways report it: counted once whatever is told twice, kept as long as it is shown, added up for a period.

use app_auth_core::ids::{ApplicationId, ServiceId};
use app_auth_core::traffic::{Key, Outcome};
use uuid::Uuid;

use crate::model::traffic::{Period, Requests, Traffic};
use crate::store::{Store, TrafficBatch, TrafficTaken};
use crate::testing::{TestStore, World, audit_log};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

fn application(n: u128) -> ApplicationId {
    ApplicationId(Uuid::from_u128(n))
}

fn key(application: ApplicationId, service: ServiceId, outcome: Outcome) -> Key {
    Key { application, service, outcome }
}

fn batch(reporter: u8, seq: u64, rows: &[(Key, u64)]) -> TrafficBatch {
    TrafficBatch { reporter: [reporter; 16], seq, rows: rows.to_vec() }
}

async fn requests(store: &Store, application: ApplicationId, period: Period) -> Requests {
    store.traffic(application, period).await.unwrap().total
}

fn shape(traffic: &Traffic) -> Vec<(i64, u64, u64)> {
    let busy = traffic.points.iter().filter(|point| point.requests.total() > 0);
    busy.map(|point| (traffic.to.0 - point.at.0, point.requests.allowed, point.requests.refused)).collect()
}

#[tokio::test]
async fn given_a_batch_when_it_is_told_again_then_it_counts_once_and_a_later_one_counts_too() {
    let test = TestStore::open().await;
    let world = World::make(&test).await;
    let (app, service) = (world.application.id, world.service.id);
    let first =
        batch(1, 1, &[(key(app, service, Outcome::Allowed), 5), (key(app, service, Outcome::Revoked), 2)]);
    let taken = test.store.take_traffic(vec![first.clone()]).await.unwrap();
    assert_eq!(taken, TrafficTaken { batches: 1, repeated: 0, requests: 7 });

    let second = batch(1, 2, &[(key(app, service, Outcome::Allowed), 10)]);
    let other = batch(2, 1, &[(key(app, service, Outcome::Allowed), 100)]);
    let told = vec![second.clone(), first.clone(), other];
    let taken = test.store.take_traffic(told).await.unwrap();
    assert_eq!(taken, TrafficTaken { batches: 2, repeated: 1, requests: 110 });
    let taken = test.store.take_traffic(vec![first, second]).await.unwrap();
    assert_eq!(taken, TrafficTaken { batches: 0, repeated: 2, requests: 0 });

    for period in Period::ALL {
        let traffic = test.store.traffic(app, period).await.unwrap();
        assert_eq!(traffic.total, Requests { allowed: 115, refused: 2 }, "{period:?}");
        assert_eq!(traffic.by_outcome, [(Outcome::Allowed, 115), (Outcome::Revoked, 2)]);
        let [of] = &traffic.by_service[..] else { panic!("{:?}", traffic.by_service) };
        assert_eq!((of.service, of.name.as_deref()), (service, Some("orders")));
        assert_eq!(of.by_outcome, traffic.by_outcome);
        assert_eq!(shape(&traffic), [(traffic.step, 115, 2)]);
    }
    // It is no change: nothing for gateways to follow, no line in the audit log.
    assert_eq!(test.store.feed_head().await.unwrap().revision, world.revision);
    assert!(audit_log(&test.store, 50).await.iter().all(|line| line.actor != "traffic"));
}

#[tokio::test]
async fn given_a_batch_when_several_replicas_are_told_it_at_once_then_it_counts_once() {
    let test = TestStore::open().await;
    let (store, replica) = (test.store.clone(), test.replica().await);
    let rows: Vec<_> =
        (0..120).map(|n| (key(application(n), ServiceId(Uuid::nil()), Outcome::Allowed), 1)).collect();
    let tellings = (0..16).map(|n| {
        let store = if n % 2 == 0 { store.clone() } else { replica.clone() };
        // Others at the same time, with the same rows.
        let batches = vec![batch(1, 1, &rows), batch(10 + n, 1, &rows)];
        tokio::spawn(async move { store.take_traffic(batches).await })
    });
    let mut repeated = 0;
    for telling in tellings.collect::<Vec<_>>() {
        repeated += telling.await.unwrap().unwrap().repeated;
    }
    assert_eq!(repeated, 15);
    assert_eq!(requests(&store, application(7), Period::Hour).await.allowed, 17);
    replica.close().await;
}

#[tokio::test]
async fn given_requests_over_time_when_they_are_shown_then_each_is_at_its_time_and_what_is_too_old_is_gone() {
    let test = TestStore::open().await;
    let (app, service) = (application(1), ServiceId(Uuid::from_u128(2)));
    let mut seq = 0;
    let mut count = async |requests| {
        seq += 1;
        let rows = [(key(app, service, Outcome::Allowed), requests)];
        test.store.take_traffic(vec![batch(1, seq, &rows)]).await.unwrap();
    };
    count(1).await;
    test.clock.advance(3 * HOUR);
    count(10).await;
    test.clock.advance(2 * MINUTE);
    count(100).await;

    let hour = test.store.traffic(app, Period::Hour).await.unwrap();
    assert_eq!(shape(&hour), [(3 * MINUTE, 10, 0), (MINUTE, 100, 0)]);
    let day = test.store.traffic(app, Period::Day).await.unwrap();
    assert_eq!(shape(&day), [(4 * HOUR, 1, 0), (HOUR, 110, 0)]);
    // Nobody knows the application or the service: they may have gone since.
    assert_eq!(day.by_service[0].name, None);
    assert_eq!(requests(&test.store, application(3), Period::Day).await, Requests::default());

    // Pruning takes what no period shows, and nothing else.
    assert_eq!(test.store.prune_traffic().await.unwrap(), 1, "the first minute");
    assert_eq!(test.store.prune_traffic().await.unwrap(), 0);
    assert_eq!(requests(&test.store, app, Period::Hour).await.total(), 110);
    assert_eq!(requests(&test.store, app, Period::Week).await.total(), 111);
    test.clock.advance(9 * 24 * HOUR);
    while test.store.prune_traffic().await.unwrap() > 0 {}
    assert_eq!(requests(&test.store, app, Period::Week).await.total(), 0);
}

#[tokio::test]
async fn given_ten_thousand_rows_when_they_are_told_at_once_then_all_are_counted_under_their_own() {
    let test = TestStore::open().await;
    let service = ServiceId(Uuid::from_u128(2));
    let outcome = |n: u128| Outcome::ALL[usize::try_from(n).unwrap() % Outcome::ALL.len()];
    let rows: Vec<_> = (0..10_000_u128)
        .zip(1..)
        .map(|(n, count)| (key(application(n / 2), service, outcome(n)), count))
        .collect();
    let taken = test.store.take_traffic(vec![batch(1, 1, &rows)]).await.unwrap();
    assert_eq!(taken.requests, 10_000 * 10_001 / 2);
    for n in [0, 1, 24, 25, 26, 2_500, 4_999] {
        let traffic = test.store.traffic(application(n), Period::Day).await.unwrap();
        assert_eq!(u128::from(traffic.total.total()), 4 * n + 3, "application {n}");
        assert_eq!(traffic.by_outcome.len(), 2);
    }
}

#[tokio::test]
async fn given_requests_when_an_application_is_looked_at_then_its_last_use_is_told_refused_or_not() {
    let test = TestStore::open().await;
    let world = World::make(&test).await;
    let (app, service) = (world.application.id, world.service.id);
    assert_eq!(test.store.last_used(&[app]).await.unwrap(), []);
    let tell = async |reporter, of, outcome| {
        let rows = [(key(of, service, outcome), 1)];
        test.store.take_traffic(vec![batch(reporter, 1, &rows)]).await.unwrap();
    };
    tell(1, app, Outcome::Allowed).await;
    let allowed = test.store.now();
    assert_eq!(test.store.last_used(&[app, application(9)]).await.unwrap(), [(app, allowed)]);
    test.clock.advance(MINUTE);
    tell(2, app, Outcome::Rejected).await;
    tell(3, application(0), Outcome::Allowed).await;
    tell(4, application(9), Outcome::Allowed).await;
    let refused = test.store.now();
    assert_eq!(test.store.last_used(&[app, application(0)]).await.unwrap(), [(app, refused)]);

    // Of an application that is there it is kept for ever, of others no longer than their traffic, and a reporter is
    // forgotten long after nobody can tell one of its batches again.
    test.clock.advance(9 * 24 * HOUR);
    assert_eq!(test.store.forget_reporters().await.unwrap(), 1);
    assert_eq!(test.store.last_used(&[app, application(9)]).await.unwrap(), [(app, refused)]);
    test.clock.advance(22 * 24 * HOUR);
    assert_eq!(test.store.forget_reporters().await.unwrap(), 4);
}
