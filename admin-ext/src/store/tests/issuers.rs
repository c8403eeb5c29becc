//! Fetches of issuers: counted, so that it never matters whose clock is right, and kept apart.

use serde_json::{Map, Value, json};

use crate::model::{Labels, NewAuthStrategy, StrategyType};
use crate::store::{DueIssuer, Store};
use crate::testing::TestStore;

const ISSUER: &str = "https://idp.example.com";
const APART: i64 = 2_000;
const HOLD: i64 = 40_000;

async fn with_issuer() -> TestStore {
    let test = TestStore::open().await;
    let config = json!({"issuer": ISSUER, "auth_methods": ["bearer"]});
    let new = NewAuthStrategy {
        name: "tokens".into(),
        display_name: "Token".into(),
        strategy_type: StrategyType::OpenIdConnect,
        config: config.as_object().cloned().unwrap(),
        dcr_provider: None,
        labels: Labels::default(),
    };
    let mut writer = test.write().await;
    writer.create_auth_strategy(None, new).await.unwrap();
    writer.commit().await.unwrap();
    test
}

/// The fetch that is due, if one is.
async fn take(store: &Store) -> Option<DueIssuer> {
    let mut due = store.take_due_issuers(8, HOLD).await.unwrap();
    assert!(due.len() <= 1, "{due:?}");
    due.pop()
}

async fn keep(store: &Store, due: &DueIssuer, kid: &str) {
    let metadata = Map::from_iter([("issuer".to_owned(), Value::from(ISSUER))]);
    let keys = [json!({"kty": "EC", "kid": kid})];
    let later = store.now().plus_millis(3_600_000);
    store.keep_issuer(due, &metadata, &keys, later, APART).await.unwrap();
}

async fn want(store: &Store) -> u64 {
    store.want_fetch(ISSUER, APART).await.unwrap().unwrap()
}

#[tokio::test]
async fn given_a_fetch_under_way_when_another_is_wanted_then_it_begins_after_that_and_not_too_soon() {
    let test = with_issuer().await;
    let store = &test.store;
    let first = take(store).await.unwrap();
    assert_eq!((first.fetch, first.known, first.has_keys), (1, false, false));
    test.clock.advance(500);
    assert_eq!((want(store).await, want(store).await), (2, 2));
    assert_eq!(take(store).await, None, "one at a time");

    keep(store, &first, "a").await;
    assert_eq!(take(store).await, None, "not so soon");
    test.clock.advance(APART - 501);
    assert_eq!(take(store).await, None, "not so soon");
    test.clock.advance(1);
    let second = take(store).await.unwrap();
    assert_eq!((second.fetch, second.known, second.has_keys), (2, true, true));
    keep(store, &second, "b").await;

    // Nobody wants one, so there is none until it is time; and then at once.
    test.clock.advance(APART);
    assert_eq!(take(store).await, None);
    assert_eq!(want(store).await, 3);
    assert_eq!(take(store).await.map(|due| due.fetch), Some(3));
    assert_eq!(store.want_fetch("https://nobody.example.com", APART).await.unwrap(), None);
}

#[tokio::test]
async fn given_a_fetch_that_ends_after_a_later_one_when_kept_then_it_changes_nothing() {
    let test = with_issuer().await;
    let store = &test.store;
    let first = take(store).await.unwrap();
    // Whoever had it is taken for dead.
    test.clock.advance(HOLD);
    let second = take(store).await.unwrap();
    assert_eq!(second.fetch, 2);
    keep(store, &second, "new").await;
    let before = (store.issuer_revision(ISSUER).await.unwrap(), store.fetch_progress(ISSUER).await.unwrap());

    keep(store, &first, "old").await;
    store.issuer_failed(&first, "late", store.now()).await.unwrap();

    let after = (store.issuer_revision(ISSUER).await.unwrap(), store.fetch_progress(ISSUER).await.unwrap());
    assert_eq!(after, before);
    assert!(before.0.is_some() && before.1.is_some_and(|progress| progress.failed_at.is_none()));
}

#[tokio::test]
async fn given_a_fetch_that_fails_when_somebody_waited_for_the_next_then_that_wish_is_over() {
    let test = with_issuer().await;
    let store = &test.store;
    let first = take(store).await.unwrap();
    want(store).await;
    let next_at = store.now().plus_millis(60_000);
    store.issuer_failed(&first, "away", next_at).await.unwrap();
    let progress = store.fetch_progress(ISSUER).await.unwrap().unwrap();
    assert_eq!((progress.wanted, progress.failed_at), (1, Some(store.now())));
    assert_eq!(store.next_issuer_due().await.unwrap(), Some(next_at));

    // Whoever asks later does not wait for the next try of its own.
    test.clock.advance(6_000);
    assert_eq!(want(store).await, 2);
    assert_eq!(take(store).await.map(|due| (due.fetch, due.failures)), Some((2, 1)));
}

#[tokio::test]
async fn given_the_same_keys_once_more_when_kept_then_gateways_are_told_nothing() {
    let test = with_issuer().await;
    let store = &test.store;
    let first = take(store).await.unwrap();
    keep(store, &first, "a").await;
    let before = store.feed_head().await.unwrap().revision;
    want(store).await;
    test.clock.advance(APART);
    keep(store, &take(store).await.unwrap(), "a").await;
    assert_eq!(store.feed_head().await.unwrap().revision, before);
    want(store).await;
    test.clock.advance(APART);
    keep(store, &take(store).await.unwrap(), "b").await;
    assert_eq!(store.issuer_revision(ISSUER).await.unwrap().map(|at| at.0), Some(before.0 + 1));
}
