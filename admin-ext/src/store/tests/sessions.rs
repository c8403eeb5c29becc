//! Sessions of the console: how long they last, what they may do, and what ends them.

use crate::model::{AccessRole, PlainSecret, Timestamp};
use crate::store::{Opened, Session, TokenKind};
use crate::testing::{TestStore, actor, audit_log};

const MINUTE: i64 = 60_000;

fn provider(role: AccessRole, sign_in: u8) -> Opened {
    let ends_at = Timestamp(i64::MAX);
    Opened::ByProvider {
        role,
        identity: "https://idp.example.com#1".into(),
        sign_in: ([sign_in; 32], ends_at),
    }
}

async fn signed_in(test: &TestStore, opened: Opened) -> PlainSecret {
    test.store.open_session("request-2", "alice", opened).await.unwrap().unwrap().1
}

async fn session(test: &TestStore, secret: &PlainSecret) -> Option<Session> {
    test.store.session(secret).await.unwrap()
}

/// As [`session`], once the use it makes is written down.
async fn used(test: &TestStore, secret: &PlainSecret) -> bool {
    let Some(found) = session(test, secret).await else { return false };
    let now = test.store.now();
    while session(test, secret).await.is_some_and(|session| session.seen_at < now) {
        tokio::task::yield_now().await;
    }
    found.seen_at <= now
}

#[tokio::test]
async fn a_session_ends_when_it_is_not_used_and_when_its_time_is_over() {
    let test = TestStore::open().await;
    let secret = signed_in(&test, provider(AccessRole::Viewer, 1)).await;
    test.clock.advance(29 * MINUTE);
    assert!(used(&test, &secret).await);
    test.clock.advance(30 * MINUTE - 1);
    assert!(used(&test, &secret).await);
    test.clock.advance(30 * MINUTE);
    assert!(!used(&test, &secret).await);

    let secret = signed_in(&test, provider(AccessRole::Viewer, 2)).await;
    for _ in 0..12 * 3 {
        assert!(used(&test, &secret).await);
        test.clock.advance(20 * MINUTE);
    }
    assert!(!used(&test, &secret).await);
}

#[tokio::test]
async fn what_has_ended_is_removed_and_written_down() {
    let test = TestStore::open().await;
    let secret = signed_in(&test, provider(AccessRole::Approver, 1)).await;
    assert_eq!(test.store.prune_sessions().await.unwrap(), 0);
    test.clock.advance(30 * MINUTE);
    assert_eq!(test.store.prune_sessions().await.unwrap(), 1);
    assert_eq!(test.store.prune_sessions().await.unwrap(), 0);

    let lines = audit_log(&test.store, 2).await;
    let told: Vec<_> = lines.iter().map(|line| (&*line.actor, &*line.action, &*line.entity)).collect();
    assert_eq!(told, [("sessions", "expire", "session"), ("alice", "sign_in", "session")]);
    assert!(lines.iter().all(|line| !format!("{line:?}").contains(secret.expose())));
}

#[tokio::test]
async fn a_token_gives_its_sessions_the_role_it_has_and_takes_them_along() {
    let test = TestStore::open().await;
    let (token, _) =
        test.store.create_token(&actor(), TokenKind::Admin, AccessRole::Approver, "ci").await.unwrap();
    let secret = signed_in(&test, Opened::ByToken(token.id)).await;
    assert_eq!(session(&test, &secret).await.unwrap().role, AccessRole::Approver);

    test.store.revoke_token(&actor(), token.id).await.unwrap();
    assert_eq!(session(&test, &secret).await, None);
    assert_eq!(audit_log(&test.store, 1).await[0].action, "revoke");
    let late = test.store.open_session("", "alice", Opened::ByToken(token.id)).await.unwrap();
    assert!(late.is_none(), "the token was revoked between its check and the sign-in");
}

#[tokio::test]
async fn a_subject_has_a_bounded_number_of_sessions_and_signing_out_ends_one() {
    let test = TestStore::open().await;
    let first = signed_in(&test, provider(AccessRole::Admin, 200)).await;
    let mut others = Vec::new();
    for number in 0..100 {
        test.clock.advance(1);
        others.push(signed_in(&test, provider(AccessRole::Admin, number)).await);
    }
    assert_eq!(session(&test, &first).await, None);
    let (last, rest) = others.split_last().unwrap();
    let found = session(&test, last).await.unwrap();
    test.store.close_session("request-3", &found).await.unwrap();
    test.store.close_session("request-3", &found).await.unwrap();
    assert_eq!(session(&test, last).await, None);
    assert!(session(&test, &rest[0]).await.is_some());
}

#[tokio::test]
async fn a_sign_in_at_a_provider_opens_one_session() {
    let test = TestStore::open().await;
    let secret = signed_in(&test, provider(AccessRole::Admin, 1)).await;
    let again = test.store.open_session("", "alice", provider(AccessRole::Admin, 1)).await.unwrap();
    assert!(again.is_none());
    let found = session(&test, &secret).await.unwrap();
    assert_eq!(found.identity.as_deref(), Some("https://idp.example.com#1"));
    test.store.close_session("", &found).await.unwrap();
    let late = test.store.open_session("", "alice", provider(AccessRole::Admin, 1)).await.unwrap();
    assert!(late.is_none(), "not even when its session is over");
}

#[tokio::test]
async fn a_token_whose_role_is_another_now_gives_its_sessions_that_one() {
    let test = TestStore::open().await;
    let (token, _) =
        test.store.create_token(&actor(), TokenKind::Admin, AccessRole::Admin, "ci").await.unwrap();
    let secret = signed_in(&test, Opened::ByToken(token.id)).await;
    sqlx::query("UPDATE tokens SET role = 'viewer'").execute(&test.store.0.writes).await.unwrap();
    assert_eq!(session(&test, &secret).await.unwrap().role, AccessRole::Viewer);
}
