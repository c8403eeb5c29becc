//! Rules that the store keeps whatever its callers do: uniqueness, parents, limits, paging.

use app_auth_core::ids::{CredentialId, ServiceId};
use uuid::Uuid;

use crate::model::{
    ApplicationPatch, CredentialKind, CredentialSecret, DeveloperRef, DeveloperStatus, Email, KeyAuthConfig,
    NewConnection, NewCredential, NewDeveloper, NewSecret, PageRequest, PlainSecret, ServiceRef, Update,
};
use crate::store::{Entity, Limits, StoreError};
use crate::testing::{TestStore, World, key_auth, new_application, new_service};

fn developer(email: &str) -> NewDeveloper {
    NewDeveloper::new(Email::parse(email).unwrap())
}

/// The field and value of a uniqueness error.
fn taken<T>(result: Result<T, StoreError>) -> (Entity, &'static str, String) {
    match result.map(drop) {
        Err(StoreError::Unique { entity, field, value }) => (entity, field, value),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_must_be_unique_is_named_when_it_is_not() {
    let test = TestStore::open().await;
    let world = World::make(&test).await;
    let mut writer = test.write().await;
    let application = world.application.id;
    let patch = ApplicationPatch { custom_id: Update::Set("erp".into()), ..ApplicationPatch::default() };
    writer.update_application(world.developer.id, application, patch).await.unwrap();
    writer.create_connection(application, NewConnection::new(world.service.id)).await.unwrap();
    writer.commit().await.unwrap();

    let result = test.write().await.create_developer(developer("dEV@example.com")).await;
    assert_eq!(taken(result), (Entity::Developer, "email", "dev@example.com".into()));
    let same_id = NewDeveloper { id: Some(world.developer.id), ..developer("other@example.com") };
    let result = test.write().await.create_developer(same_id).await;
    assert_eq!(taken(result), (Entity::Developer, "id", world.developer.id.to_string()));
    let result = test.write().await.create_application(world.developer.id, new_application("app")).await;
    assert_eq!(taken(result), (Entity::Application, "name", "app".into()));
    let mut custom = new_application("other");
    custom.custom_id = Some("erp".into());
    let result = test.write().await.create_application(world.developer.id, custom).await;
    assert_eq!(taken(result), (Entity::Application, "custom_id", "erp".into()));
    let result = test.write().await.create_service(new_service("orders")).await;
    assert_eq!(taken(result), (Entity::Service, "name", "orders".into()));
    let result =
        test.write().await.create_connection(application, NewConnection::new(world.service.id)).await;
    let composite = format!("{application}_{}", world.service.id);
    assert_eq!(taken(result), (Entity::Connection, "composite_id", composite));
}

#[tokio::test]
async fn a_key_is_unique_across_both_kinds_and_never_shown_in_the_error() {
    let test = TestStore::open().await;
    let world = World::make(&test).await;

    let result =
        test.write().await.create_credential(world.application.id, key_auth(world.key.expose())).await;
    assert_eq!(taken(result), (Entity::Credential, "key", "…cdef".into()));
    let mut client = NewSecret::oauth2();
    if let NewSecret::OAuth2 { client_id, .. } = &mut client {
        *client_id = Some(world.key.clone());
    }
    let result = test.write().await.create_credential(world.application.id, NewCredential::new(client)).await;
    assert_eq!(taken(result), (Entity::Credential, "client_id", "…cdef".into()));
}

#[tokio::test]
async fn an_application_comes_with_a_client_named_like_it() {
    let test = TestStore::open().await;
    let world = World::make(&test).await;
    let page = PageRequest::default();

    let listed = test.store.credentials(world.application.id, CredentialKind::OAuth2, page).await.unwrap();

    assert_eq!(listed.total, 1);
    let CredentialSecret::OAuth2 { name, client_id, client_secret, redirect_uris, hash_secret, .. } =
        &listed.items[0].secret
    else {
        panic!("{listed:?}")
    };
    assert_eq!(name, "app");
    assert_eq!(*redirect_uris, [world.application.redirect_uri.as_str()]);
    assert!(!hash_secret);
    for secret in [client_id, client_secret] {
        let secret = secret.as_ref().unwrap().expose();
        assert_eq!(secret.len(), 32);
        assert!(secret.chars().all(|c| c.is_ascii_alphanumeric()), "{secret}");
    }
}

#[tokio::test]
async fn what_belongs_to_another_parent_is_not_found() {
    let test = TestStore::open().await;
    let world = World::make(&test).await;
    let mut writer = test.write().await;
    let other = writer.create_developer(developer("other@example.com")).await.unwrap();
    writer.commit().await.unwrap();

    assert!(test.store.application(other.id, world.application.id).await.unwrap().is_none());
    let result = test.write().await.delete_application(other.id, world.application.id).await;
    assert!(matches!(result, Err(StoreError::NotFound(Entity::Application))), "{result:?}");
    let unknown = CredentialId(Uuid::from_u128(1));
    let result =
        test.write().await.delete_credential(world.application.id, CredentialKind::OAuth2, unknown).await;
    assert!(matches!(result, Err(StoreError::NotFound(Entity::Credential))), "{result:?}");
    let unknown = NewConnection::new(ServiceId(Uuid::from_u128(1)));
    let result = test.write().await.create_connection(world.application.id, unknown).await;
    assert!(matches!(result, Err(StoreError::ForeignKey { field: "service", .. })), "{result:?}");
}

#[tokio::test]
async fn limits_hold() {
    let limits =
        Limits { applications_per_developer: 1, credentials_per_kind: 2, connections_per_application: 1 };
    let test = TestStore::open_with(|options| options.limits = limits).await;
    let world = World::make(&test).await;
    let application = world.application.id;

    let result = test.write().await.create_application(world.developer.id, new_application("two")).await;
    assert!(matches!(result, Err(StoreError::Limit { entity: Entity::Application, limit: 1 })), "{result:?}");
    let mut writer = test.write().await;
    writer.create_credential(application, key_auth("second-key-0123456789")).await.unwrap();
    let result = writer.create_credential(application, key_auth("third-key-0123456789")).await;
    assert!(matches!(result, Err(StoreError::Limit { entity: Entity::Credential, limit: 2 })), "{result:?}");
    writer.create_connection(application, NewConnection::new(world.service.id)).await.unwrap();
    let other = writer.create_service(new_service("billing")).await.unwrap();
    let result = writer.create_connection(application, NewConnection::new(other.id)).await;
    assert!(matches!(result, Err(StoreError::Limit { entity: Entity::Connection, limit: 1 })), "{result:?}");
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repetition() {
    let test = TestStore::open().await;
    let mut writer = test.write().await;
    for n in 0..25 {
        let status = if n % 5 == 0 { DeveloperStatus::Approved } else { DeveloperStatus::Pending };
        let new = NewDeveloper { status, ..developer(&format!("d{n}@example.com")) };
        writer.create_developer(new).await.unwrap();
    }
    writer.commit().await.unwrap();

    let mut seen = Vec::new();
    let mut page = PageRequest { size: 10, ..PageRequest::default() };
    loop {
        let listed = test.store.developers(None, page.clone()).await.unwrap();
        assert_eq!(listed.total, 25);
        seen.extend(listed.items.into_iter().map(|developer| developer.email.as_str().to_owned()));
        let Some(next) = listed.next else { break };
        page.offset = Some(next.to_string().parse().unwrap());
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 25);

    let approved =
        test.store.developers(Some(DeveloperStatus::Approved), PageRequest::default()).await.unwrap();
    assert_eq!((approved.total, approved.items.len(), approved.next), (5, 5, None));
}

#[tokio::test]
async fn developers_and_services_are_found_by_either_name() {
    let test = TestStore::open().await;
    let world = World::make(&test).await;

    for name in ["DEV@example.com".to_owned(), world.developer.id.to_string()] {
        let found = test.store.developer(&DeveloperRef::parse(&name)).await.unwrap();
        assert_eq!(found.unwrap().id, world.developer.id);
    }
    for name in ["orders".to_owned(), world.service.id.to_string()] {
        let found = test.store.service(&ServiceRef::parse(&name)).await.unwrap();
        assert_eq!(found.unwrap().id, world.service.id);
    }
    let by_key = test.store.credential_by_key(&world.application, CredentialKind::KeyAuth, &world.key).await;
    assert!(by_key.unwrap().is_some());
    let wrong = PlainSecret::new("no such key");
    let by_key = test.store.credential_by_key(&world.application, CredentialKind::KeyAuth, &wrong).await;
    assert!(by_key.unwrap().is_none());
}

#[tokio::test]
async fn values_that_break_a_rule_change_nothing() {
    let test = TestStore::open().await;
    let world = World::make(&test).await;

    let mut writer = test.write().await;
    let mut bad = new_application("");
    assert!(matches!(
        writer.create_application(world.developer.id, bad.clone()).await,
        Err(StoreError::Invalid(invalid)) if invalid.field == "name"
    ));
    bad.name = "ok".into();
    bad.redirect_uri = "not a uri".into();
    assert!(matches!(
        writer.create_application(world.developer.id, bad).await,
        Err(StoreError::Invalid(invalid)) if invalid.field == "redirect_uri"
    ));
    let mut service = new_service("bad");
    service.key_auth =
        Some(KeyAuthConfig { key_names: vec!["white space".into()], ..KeyAuthConfig::default() });
    assert!(matches!(
        writer.create_service(service).await,
        Err(StoreError::Invalid(invalid)) if invalid.field == "key_auth.key_names"
    ));
    let long = "k".repeat(PlainSecret::MAX + 1);
    assert!(matches!(
        writer.create_credential(world.application.id, key_auth(&long)).await,
        Err(StoreError::Invalid(invalid)) if invalid.field == "key"
    ));
    assert_eq!(writer.commit().await.unwrap(), world.revision);
}
