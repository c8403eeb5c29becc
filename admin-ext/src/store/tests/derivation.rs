//! What changes in the store reaches the gateways' records, and only that.

use app_auth_core::feed::Operation;
use app_auth_core::record::{ConnectionStatus, Kind, Record, StrategyConfig};

use crate::model::{
    ApplicationPatch, ConnectionPatch, CredentialKind, CredentialPatch, DeveloperPatch, DeveloperStatus,
    NewConnection, PageRequest, ServicePatch, Timestamp, Update,
};
use crate::testing::{TestStore, World, changes, key_auth, new_service, record_of};

#[tokio::test]
async fn a_credential_is_known_with_its_owner_and_no_connections_at_first() {
    let test = TestStore::open().await;
    let world = World::make(&test).await;

    let record = record_of(&test.store, &world.key).await.unwrap();

    assert_eq!(record.application, world.application.id);
    assert_eq!(record.developer, world.developer.id);
    assert_eq!(record.consumer, world.application.consumer);
    assert!(record.developer_approved);
    assert!(record.connections.is_empty());
    // The key, the client id that came with the application, and the service.
    assert_eq!(changes(&test.store, app_auth_core::ids::Revision(0)).await.changes.len(), 3);
}

#[tokio::test]
async fn every_step_of_a_connection_reaches_every_credential_of_the_application() {
    let test = TestStore::open().await;
    let world = World::make(&test).await;
    let application = world.application.id;

    let mut writer = test.write().await;
    let made = writer.create_connection(application, NewConnection::new(world.service.id)).await.unwrap();
    let mut before = writer.commit().await.unwrap();
    let record = record_of(&test.store, &world.key).await.unwrap();
    assert_eq!(record.connections[0].status, ConnectionStatus::Pending);

    for status in [ConnectionStatus::Approved, ConnectionStatus::Rejected, ConnectionStatus::Revoked] {
        let mut writer = test.write().await;
        let patch = ConnectionPatch { status: Some(status), ..ConnectionPatch::default() };
        writer.update_connection(application, made.connection.id, patch).await.unwrap();
        let after = writer.commit().await.unwrap();

        let page = changes(&test.store, before).await;
        assert_eq!(page.revision, after);
        assert_eq!(page.changes.len(), 2, "the key and the client id");
        for change in page.changes {
            let Operation::Put(Record::Credential(record)) = change.change else { panic!("{change:?}") };
            assert_eq!(record.connections.len(), 1);
            assert_eq!(record.connections[0].status, status);
            assert_eq!(record.connections[0].connection, made.connection.id);
        }
        before = after;
    }

    let mut writer = test.write().await;
    writer.delete_connection(application, made.connection.id).await.unwrap();
    writer.commit().await.unwrap();
    assert!(record_of(&test.store, &world.key).await.unwrap().connections.is_empty());
}

#[tokio::test]
async fn a_service_that_approves_by_itself_connects_at_once() {
    let test = TestStore::open().await;
    let world = World::make(&test).await;

    let mut writer = test.write().await;
    let patch = ServicePatch { auto_approve: Some(true), ..ServicePatch::default() };
    writer.update_service(world.service.id, patch).await.unwrap();
    let made =
        writer.create_connection(world.application.id, NewConnection::new(world.service.id)).await.unwrap();
    writer.commit().await.unwrap();

    assert_eq!(made.connection.status, ConnectionStatus::Approved);
}

#[tokio::test]
async fn a_revoked_developer_blocks_every_credential_and_suspends_every_connection() {
    let test = TestStore::open().await;
    let world = World::make(&test).await;
    let mut writer = test.write().await;
    let made =
        writer.create_connection(world.application.id, NewConnection::new(world.service.id)).await.unwrap();
    writer.commit().await.unwrap();

    for (status, approved) in [(DeveloperStatus::Revoked, false), (DeveloperStatus::Approved, true)] {
        let mut writer = test.write().await;
        let patch = DeveloperPatch { status: Some(status), ..DeveloperPatch::default() };
        writer.update_developer(world.developer.id, patch).await.unwrap();
        writer.commit().await.unwrap();

        let record = record_of(&test.store, &world.key).await.unwrap();
        assert_eq!(record.developer_approved, approved);
        let detail = test.store.connection(world.application.id, made.connection.id).await.unwrap().unwrap();
        assert_eq!(detail.suspended, !approved);
        assert!(!detail.connection.suspended, "the connection's own flag stays");
    }
}

#[tokio::test]
async fn what_gateways_need_not_know_moves_no_revision() {
    let test = TestStore::open().await;
    let world = World::make(&test).await;

    let mut writer = test.write().await;
    let patch = ApplicationPatch { name: Some("renamed".into()), ..ApplicationPatch::default() };
    writer.update_application(world.developer.id, world.application.id, patch).await.unwrap();
    let patch = ServicePatch { name: Some("renamed".into()), ..ServicePatch::default() };
    writer.update_service(world.service.id, patch).await.unwrap();
    let patch =
        DeveloperPatch { meta: Update::Set("{\"full_name\":\"D\"}".into()), ..DeveloperPatch::default() };
    writer.update_developer(world.developer.id, patch).await.unwrap();

    assert_eq!(writer.commit().await.unwrap(), world.revision);
}

#[tokio::test]
async fn custom_ids_expiry_and_new_keys_reach_the_record() {
    let test = TestStore::open().await;
    let world = World::make(&test).await;
    let page = PageRequest::default();
    let listed = test.store.credentials(world.application.id, CredentialKind::KeyAuth, page).await.unwrap();
    let other = crate::model::PlainSecret::new("another-key-0123456789");

    let mut writer = test.write().await;
    let patch = ApplicationPatch { custom_id: Update::Set("erp".into()), ..ApplicationPatch::default() };
    writer.update_application(world.developer.id, world.application.id, patch).await.unwrap();
    let patch = CredentialPatch {
        key: Some(other.clone()),
        expires_at: Update::Set(Timestamp(1_900_000_000_000)),
        ..CredentialPatch::default()
    };
    writer.update_credential(world.application.id, listed.items[0].id, patch).await.unwrap();
    writer.commit().await.unwrap();

    let record = record_of(&test.store, &other).await.unwrap();
    assert_eq!(record.custom_id.as_deref(), Some("erp"));
    assert_eq!(record.expires_at, Some(1_900_000_000_000));
    assert_eq!(record.credential, listed.items[0].id);
    assert!(record_of(&test.store, &world.key).await.is_none(), "the old key is gone");
}

#[tokio::test]
async fn a_deleted_credential_leaves_a_tombstone_and_its_key_can_come_back() {
    let test = TestStore::open().await;
    let world = World::make(&test).await;
    let page = PageRequest::default();
    let listed = test.store.credentials(world.application.id, CredentialKind::KeyAuth, page).await.unwrap();

    let mut writer = test.write().await;
    writer
        .delete_credential(world.application.id, CredentialKind::KeyAuth, listed.items[0].id)
        .await
        .unwrap();
    writer.commit().await.unwrap();
    let page = changes(&test.store, world.revision).await;
    assert_eq!(page.changes.len(), 1);
    assert_eq!(page.changes[0].change, Operation::Delete(Kind::Credential));

    let mut writer = test.write().await;
    writer.create_credential(world.application.id, key_auth(world.key.expose())).await.unwrap();
    writer.commit().await.unwrap();
    assert!(record_of(&test.store, &world.key).await.is_some());
}

#[tokio::test]
async fn a_deleted_developer_takes_everything_along() {
    let test = TestStore::open().await;
    let world = World::make(&test).await;

    let mut writer = test.write().await;
    writer.delete_developer(world.developer.id).await.unwrap();
    writer.commit().await.unwrap();

    let page = changes(&test.store, world.revision).await;
    assert_eq!(page.changes.len(), 2);
    assert!(page.changes.iter().all(|change| change.change == Operation::Delete(Kind::Credential)));
    assert_eq!(test.store.feed_head().await.unwrap().records, 1, "the service");
}

#[tokio::test]
async fn a_deleted_service_takes_its_connections_along() {
    let test = TestStore::open().await;
    let world = World::make(&test).await;
    let mut writer = test.write().await;
    writer.create_connection(world.application.id, NewConnection::new(world.service.id)).await.unwrap();
    let other = writer.create_service(new_service("billing")).await.unwrap();
    writer.create_connection(world.application.id, NewConnection::new(other.id)).await.unwrap();
    let before = writer.commit().await.unwrap();

    let mut writer = test.write().await;
    writer.delete_service(world.service.id).await.unwrap();
    writer.commit().await.unwrap();

    let record = record_of(&test.store, &world.key).await.unwrap();
    assert_eq!(record.connections.len(), 1);
    assert_eq!(record.connections[0].service, other.id);
    let page = changes(&test.store, before).await;
    assert!(page.changes.iter().any(|change| change.change == Operation::Delete(Kind::Service)));
}

#[tokio::test]
async fn the_settings_of_a_service_reach_its_record() {
    let test = TestStore::open().await;
    let world = World::make(&test).await;
    let mut key_auth = world.service.key_auth.clone().unwrap();
    key_auth.key_names = vec!["x-key".into()];

    let mut writer = test.write().await;
    let patch = ServicePatch { key_auth: Update::Set(key_auth.clone()), ..ServicePatch::default() };
    writer.update_service(world.service.id, patch).await.unwrap();
    writer.commit().await.unwrap();

    let page = changes(&test.store, world.revision).await;
    assert_eq!(page.changes.len(), 1);
    assert!(page.changes[0].is_policy());
    let Operation::Put(Record::Service(record)) = &page.changes[0].change else { panic!("{page:?}") };
    assert_eq!(record.strategies[0].config, StrategyConfig::KeyAuth(key_auth));
}
