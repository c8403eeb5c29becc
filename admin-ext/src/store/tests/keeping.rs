//! What is kept and how: nothing readable on the disk, everything after a restart, everything in the audit log.

use crate::model::{
    AccessRole, CredentialKind, CredentialSecret, DeveloperRef, Email, NewCredential, NewDeveloper,
    NewSecret, PageRequest, PlainSecret,
};
use crate::store::{Reveal, Store, StoreError, TokenKind};
use crate::testing::{TestStore, World, actor, audit_log, key_auth};

/// Whether any file of the data folder holds the text.
fn on_disk(test: &TestStore, wanted: &str) -> bool {
    let files = std::fs::read_dir(test.folder.path()).unwrap();
    files.into_iter().any(|file| {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        bytes.windows(wanted.len()).any(|window| window == wanted.as_bytes())
    })
}

#[tokio::test]
async fn keys_can_be_read_again_but_not_from_the_disk() {
    let test = TestStore::open().await;
    let world = World::make(&test).await;

    let page = PageRequest::default();
    let listed = test.store.credentials(world.application.id, CredentialKind::KeyAuth, page).await.unwrap();

    assert_eq!(listed.items[0].secret, CredentialSecret::KeyAuth { key: Some(world.key.clone()) });
    assert_eq!(listed.items[0].last_four, "cdef");
    assert!(!on_disk(&test, world.key.expose()));
    if test.is_sqlite() {
        assert!(on_disk(&test, "dev@example.com"), "the search finds what is there");
    }
}

#[tokio::test]
async fn keys_that_are_shown_once_are_not_kept_at_all() {
    let test = TestStore::open_with(|options| options.reveal = Reveal::Once).await;
    let world = World::make(&test).await;

    let mut writer = test.write().await;
    let made = writer
        .create_credential(world.application.id, NewCredential::new(NewSecret::oauth2()))
        .await
        .unwrap();
    writer.commit().await.unwrap();
    let CredentialSecret::OAuth2 { client_id: Some(_), client_secret: Some(_), .. } = made.secret else {
        panic!("{made:?}")
    };

    let found =
        test.store.credential(world.application.id, CredentialKind::OAuth2, made.id).await.unwrap().unwrap();
    assert!(matches!(found.secret, CredentialSecret::OAuth2 { client_id: None, client_secret: None, .. }));
    assert_eq!(found.last_four, made.last_four);
}

#[tokio::test]
async fn a_hashed_client_secret_shows_its_hash_and_nothing_else() {
    let test = TestStore::open().await;
    let world = World::make(&test).await;
    let new = NewSecret::OAuth2 {
        name: Some("client".into()),
        client_id: None,
        client_secret: Some(PlainSecret::new("correct horse battery staple")),
        client_type: crate::model::ClientType::Confidential,
        redirect_uris: None,
        hash_secret: true,
        secret_hash: None,
    };

    let mut writer = test.write().await;
    let made = writer.create_credential(world.application.id, NewCredential::new(new)).await.unwrap();
    writer.commit().await.unwrap();
    let found =
        test.store.credential(world.application.id, CredentialKind::OAuth2, made.id).await.unwrap().unwrap();

    assert_eq!(found, made);
    let CredentialSecret::OAuth2 { client_secret: Some(shown), .. } = found.secret else { panic!() };
    assert!(shown.expose().starts_with("$pbkdf2-sha512$i=10000,l=32$"));
}

#[tokio::test]
async fn passwords_are_hashed_and_in_no_log() {
    let test = TestStore::open().await;
    let password = "open sesame 1234";
    let mut writer = test.write().await;
    let new = NewDeveloper {
        password_hash: Some(test.store.hash(&PlainSecret::new(password)).await.unwrap()),
        ..NewDeveloper::new(Email::parse("p@example.com").unwrap())
    };
    let made = writer.create_developer(new).await.unwrap();
    writer.commit().await.unwrap();

    let found = test.store.developer(&DeveloperRef::Id(made.id)).await.unwrap().unwrap();
    assert!(found.password_hash.as_ref().unwrap().expose().starts_with("$argon2id$"));
    assert!(!format!("{found:?}").contains("argon2id"));
    let log = audit_log(&test.store, 10).await;
    assert!(!format!("{log:?}").contains("argon2id"));
    assert!(!on_disk(&test, password));
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let test = TestStore::open().await;
    let world = World::make(&test).await;
    let id = test.store.id();
    test.store.close().await;

    let again = Store::open(test.options.clone()).await.unwrap();

    assert_eq!(again.id(), id);
    assert_eq!(*again.newest().borrow(), world.revision);
    assert!(
        again
            .credential_by_key(&world.application, CredentialKind::KeyAuth, &world.key)
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test]
async fn a_write_is_acknowledged_only_when_it_is_on_the_disk() {
    let test = TestStore::open().await;
    if !test.is_sqlite() {
        return;
    }
    // `synchronous` 2 is FULL: a commit in the write-ahead log is followed by a sync of it.
    for (pragma, value) in [("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", 10_000)] {
        for pool in [&test.store.0.writes, &test.store.0.reads] {
            let row =
                sqlx::query(sqlx::AssertSqlSafe(format!("PRAGMA {pragma}"))).fetch_one(pool).await.unwrap();
            assert_eq!(sqlx::Row::get::<i64, _>(&row, 0), value, "{pragma}");
        }
    }
    let row = sqlx::query("PRAGMA journal_mode").fetch_one(&test.store.0.reads).await.unwrap();
    assert_eq!(sqlx::Row::get::<String, _>(&row, 0), "wal");
}

#[tokio::test]
async fn a_foreign_key_file_is_refused_at_start() {
    let test = TestStore::open().await;
    test.store.close().await;
    std::fs::remove_file(test.folder.path().join("secrets.key")).unwrap();

    let again = Store::open(test.options.clone()).await;

    assert!(matches!(again, Err(StoreError::Sealed)));
}

#[tokio::test]
async fn the_audit_log_tells_who_did_what_without_secrets() {
    let test = TestStore::open().await;
    let world = World::make(&test).await;
    let mut writer = test.write().await;
    writer.create_credential(world.application.id, key_auth("another-key-0123456789")).await.unwrap();
    writer.delete_developer(world.developer.id).await.unwrap();
    writer.commit().await.unwrap();

    let log = audit_log(&test.store, 100).await;

    let newest = &log[0];
    assert_eq!((newest.actor.as_str(), newest.request.as_str()), ("test", "request-1"));
    assert_eq!((newest.action.as_str(), newest.entity.as_str()), ("delete", "developer"));
    assert_eq!(newest.entity_id, world.developer.id.to_string());
    assert!(newest.before.as_ref().unwrap().contains("dev@example.com"));
    let deleted = log.iter().filter(|entry| entry.action == "delete").count();
    assert_eq!(deleted, 5, "a developer, an application, a client, two keys");
    for secret in [world.key.expose(), "another-key-0123456789"] {
        assert!(!format!("{log:?}").contains(secret));
    }
}

#[tokio::test]
async fn a_token_opens_what_it_is_for_until_it_is_revoked() {
    let test = TestStore::open().await;
    let (token, secret) =
        test.store.create_token(&actor(), TokenKind::Admin, AccessRole::Admin, "ci").await.unwrap();
    assert!(secret.expose().starts_with("aat_"));
    assert!(!on_disk(&test, secret.expose()));

    assert!(test.store.authenticate(TokenKind::Admin, &secret).await.unwrap().is_some());
    assert!(test.store.authenticate(TokenKind::Gateway, &secret).await.unwrap().is_none());
    let other = PlainSecret::new("aat_something-else");
    assert!(test.store.authenticate(TokenKind::Admin, &other).await.unwrap().is_none());

    test.store.revoke_token(&actor(), token.id).await.unwrap();
    assert!(test.store.authenticate(TokenKind::Admin, &secret).await.unwrap().is_none());
    // The same token from the settings stays revoked at the next start.
    let again = test.store.adopt_token(&actor(), TokenKind::Admin, "x", &secret).await.unwrap();
    assert_eq!(again.id, token.id);
    assert!(again.revoked_at.is_some());
}

#[tokio::test]
async fn the_filters_on_kong_keep_their_token_until_it_is_revoked() {
    let test = TestStore::open().await;
    let first = test.store.kong_filter_token().await.unwrap();
    assert_eq!(test.store.kong_filter_token().await.unwrap(), first);
    let token = test.store.authenticate(TokenKind::Gateway, &first).await.unwrap().unwrap();
    test.store.revoke_token(&actor(), token.id).await.unwrap();
    let second = test.store.kong_filter_token().await.unwrap();
    assert_ne!(second, first);
    assert!(test.store.authenticate(TokenKind::Gateway, &second).await.unwrap().is_some());
    let config = |token: &PlainSecret| {
        [("gateway_token".to_owned(), token.expose().into())].into_iter().collect::<serde_json::Map<_, _>>()
    };
    assert!(test.store.follow_filter(&config(&first)).await.unwrap());
    assert!(!test.store.follow_filter(&config(&first)).await.unwrap());
    assert!(test.store.follow_filter(&config(&second)).await.unwrap());
}
