//! What strategies, product versions and portals mean for the gateways' records.

use app_auth_core::digest::KeyDigest;
use app_auth_core::feed::Operation;
use app_auth_core::ids::{Revision, ServiceId, StrategyId};
use app_auth_core::record::{ConnectionStatus, CredentialRecord, Record, ServiceRecord, StrategyConfig};
use serde_json::json;

use crate::model::{
    Application, AuthStrategy, ConnectionTarget, DeveloperPatch, DeveloperStatus, GatewayService,
    NewApplication, NewAuthStrategy, NewConnection, NewPortalVersion, NewProduct, NewProductVersion, Portal,
    PortalId, PortalPatch, PortalVersionPatch, ProductVersion, ProductVersionPatch, PublishStatus,
    StrategyType, Update,
};
use crate::store::{Store, StoreError, Writer};
use crate::testing::{TestStore, World, changes, key_auth, new_application, record_of};

/// What the gateways are told of a service now.
async fn service_record(store: &Store, service: ServiceId) -> Option<ServiceRecord> {
    let digest = KeyDigest::of_service(&store.id(), service);
    match record(store, digest).await {
        Some(Record::Service(record)) => Some(record),
        _ => None,
    }
}

async fn record(store: &Store, digest: KeyDigest) -> Option<Record> {
    let change = changes(store, Revision(0)).await.changes.into_iter().find(|change| change.key == digest)?;
    match change.change {
        Operation::Put(record) => Some(record),
        Operation::Delete(_) => None,
    }
}

/// What the gateways are told of an application's key under a strategy.
async fn key_record(store: &Store, strategy: StrategyId, key: &str) -> Option<CredentialRecord> {
    match record(store, KeyDigest::of_api_key(&store.id(), strategy, key.as_bytes())).await {
        Some(Record::Credential(record)) => Some(record),
        _ => None,
    }
}

async fn strategy(writer: &mut Writer, name: &str, config: serde_json::Value) -> AuthStrategy {
    let strategy_type =
        if config.get("issuer").is_some() { StrategyType::OpenIdConnect } else { StrategyType::KeyAuth };
    let new = NewAuthStrategy {
        name: name.into(),
        display_name: name.into(),
        strategy_type,
        config: config.as_object().cloned().unwrap(),
        dcr_provider: None,
        labels: Default::default(),
    };
    writer.create_auth_strategy(None, new).await.unwrap().strategy
}

/// A version of a new product that this service serves.
async fn version(writer: &mut Writer, service: Option<ServiceId>) -> ProductVersion {
    let new = NewProduct {
        name: "Orders".into(),
        description: None,
        labels: Default::default(),
        public_labels: Default::default(),
        portals: Vec::new(),
    };
    let product = writer.create_product(new).await.unwrap().product;
    let new = NewProductVersion {
        name: "v1".into(),
        publish_status: PublishStatus::Published,
        deprecated: false,
        service: service.map(|id| GatewayService { id, control_plane: None }),
        labels: Default::default(),
    };
    writer.create_product_version(&product, new).await.unwrap().version
}

async fn offer(writer: &mut Writer, portal: &Portal, version: &ProductVersion, strategy: Option<StrategyId>) {
    let new = NewPortalVersion {
        publish_status: PublishStatus::Published,
        strategy,
        application_registration_enabled: true,
        auto_approve_registration: true,
        deprecated: false,
    };
    writer.create_portal_version(portal, version.id, new).await.unwrap();
}

async fn application(writer: &mut Writer, world: &World, strategy: StrategyId) -> Application {
    let new = NewApplication { strategy: Some(strategy), ..new_application("shop") };
    writer.create_bare_application(world.developer.id, new).await.unwrap()
}

async fn default_portal(writer: &mut Writer) -> Portal {
    writer.portal_by_id(PortalId::DEFAULT).await.unwrap()
}

#[tokio::test]
async fn a_strategy_is_in_force_from_its_link_to_its_removal_which_opens_the_service() {
    let test = TestStore::open().await;
    let world = World::make(&test).await;
    let service = world.service.id;

    let mut writer = test.write().await;
    let portal = default_portal(&mut writer).await;
    let keys = strategy(&mut writer, "keys", json!({"key_names": ["x-orders-key"]})).await;
    let version = version(&mut writer, Some(service)).await;
    writer.commit().await.unwrap();
    let record = service_record(&test.store, service).await.unwrap();
    assert_eq!(
        (record.strategies[0].id, record.open),
        (StrategyId::KEY_AUTH, false),
        "nobody said otherwise"
    );

    let mut writer = test.write().await;
    offer(&mut writer, &portal, &version, Some(keys.id)).await;
    writer.commit().await.unwrap();
    let record = service_record(&test.store, service).await.unwrap();
    assert_eq!((record.strategies.len(), record.strategies[0].id), (1, keys.id));
    let StrategyConfig::KeyAuth(config) = &record.strategies[0].config else { panic!("{record:?}") };
    assert_eq!(
        (config.key_names.as_slice(), config.key_in_query),
        (["x-orders-key".to_owned()].as_slice(), false)
    );

    let mut writer = test.write().await;
    let before = writer.portal_version(portal.id, version.id).await.unwrap();
    let patch = PortalVersionPatch { strategy: Update::Clear, ..PortalVersionPatch::default() };
    let changed = writer.update_portal_version(&before, patch).await.unwrap();
    assert_eq!(changed.opened.map(|opened| opened.id), Some(version.id));
    writer.commit().await.unwrap();
    let record = service_record(&test.store, service).await.unwrap();
    assert!(record.open && record.strategies.is_empty());

    let mut writer = test.write().await;
    let before = writer.portal_version(portal.id, version.id).await.unwrap();
    let patch = PortalVersionPatch { strategy: Update::Set(keys.id), ..PortalVersionPatch::default() };
    writer.update_portal_version(&before, patch).await.unwrap();
    writer.commit().await.unwrap();
    let record = service_record(&test.store, service).await.unwrap();
    assert_eq!((record.open, record.strategies[0].id), (false, keys.id));

    let mut writer = test.write().await;
    let before = writer.product_version(version.product, version.id).await.unwrap();
    writer.delete_product_version(&before).await.unwrap();
    writer.commit().await.unwrap();
    let record = service_record(&test.store, service).await.unwrap();
    assert_eq!((record.open, record.strategies[0].id), (false, StrategyId::KEY_AUTH));
}

#[tokio::test]
async fn a_changed_strategy_changes_every_service_it_is_in_force_on_and_no_other() {
    let test = TestStore::open().await;
    let world = World::make(&test).await;
    let mut writer = test.write().await;
    let portal = default_portal(&mut writer).await;
    let keys = strategy(&mut writer, "keys", json!({})).await;
    let version = version(&mut writer, Some(world.service.id)).await;
    offer(&mut writer, &portal, &version, Some(keys.id)).await;
    let before = writer.commit().await.unwrap();

    let mut writer = test.write().await;
    let stored = writer.auth_strategy(keys.id).await.unwrap().unwrap();
    let config = json!({"key_names": ["k"]}).as_object().cloned();
    let patch = crate::model::AuthStrategyPatch { config, ..Default::default() };
    writer.update_auth_strategy(&stored, patch).await.unwrap();
    writer.commit().await.unwrap();
    let page = changes(&test.store, before).await;
    assert_eq!(page.changes.len(), 1);
    assert_eq!(page.changes[0].key, KeyDigest::of_service(&test.store.id(), world.service.id));
}

#[tokio::test]
async fn keys_count_under_their_applications_strategy_and_connections_follow_the_versions_service() {
    let test = TestStore::open().await;
    let world = World::make(&test).await;
    let mut writer = test.write().await;
    let portal = default_portal(&mut writer).await;
    let keys = strategy(&mut writer, "keys", json!({"ttl": {"value": 2, "unit": "weeks"}})).await;
    let version = version(&mut writer, None).await;
    offer(&mut writer, &portal, &version, Some(keys.id)).await;
    let application = application(&mut writer, &world, keys.id).await;
    let credential = writer.create_credential(application.id, key_auth("shop-key-0123456789")).await.unwrap();
    let fortnight = test.store.now().plus_millis(14 * 86_400_000);
    assert_eq!(credential.expires_at, Some(fortnight));
    let to_version = |version: &ProductVersion| NewConnection {
        target: ConnectionTarget::Version(version.id),
        ..NewConnection::new(world.service.id)
    };
    let made = writer.create_connection(application.id, to_version(&version)).await.unwrap();
    assert_eq!((made.connection.service, made.connection.status), (None, ConnectionStatus::Approved));
    writer.commit().await.unwrap();

    let record = key_record(&test.store, keys.id, "shop-key-0123456789").await.unwrap();
    assert!(record.connections.is_empty(), "no service serves the version yet");
    assert_eq!(key_record(&test.store, StrategyId::KEY_AUTH, "shop-key-0123456789").await, None);

    for service in [Some(world.service.id), None] {
        let mut writer = test.write().await;
        let before = writer.product_version(version.product, version.id).await.unwrap();
        let link = service.map(|id| GatewayService { id, control_plane: None });
        let patch = ProductVersionPatch {
            service: link.map_or(Update::Clear, Update::Set),
            ..ProductVersionPatch::default()
        };
        writer.update_product_version(&before, patch).await.unwrap();
        writer.commit().await.unwrap();
        let record = key_record(&test.store, keys.id, "shop-key-0123456789").await.unwrap();
        let services: Vec<_> = record.connections.iter().map(|connection| connection.service).collect();
        assert_eq!(services, Vec::from_iter(service));
    }
}

#[tokio::test]
async fn what_a_service_had_by_itself_becomes_its_versions_and_stays_so() {
    let test = TestStore::open().await;
    let world = World::make(&test).await;
    let mut writer = test.write().await;
    let new =
        NewConnection { status: Some(ConnectionStatus::Approved), ..NewConnection::new(world.service.id) };
    let made = writer.create_connection(world.application.id, new).await.unwrap().connection;
    let version = version(&mut writer, Some(world.service.id)).await;
    writer.commit().await.unwrap();

    let found = test.store.connection(world.application.id, made.id).await.unwrap().unwrap();
    assert_eq!(found.connection.version, Some(version.id));
    assert!(found.connection.updated_at > made.updated_at, "whoever saw it before is told");
    assert_eq!(found.version.map(|version| version.product_name), Some("Orders".into()));
    let record = record_of(&test.store, &world.key).await.unwrap();
    assert_eq!(record.connections[0].service, world.service.id, "the key still counts");

    let mut writer = test.write().await;
    writer.delete_service(world.service.id).await.unwrap();
    writer.commit().await.unwrap();
    let found = test.store.connection(world.application.id, made.id).await.unwrap().unwrap();
    assert_eq!((found.connection.service, found.connection.version), (None, Some(version.id)));
    assert!(record_of(&test.store, &world.key).await.unwrap().connections.is_empty());
    assert_eq!(service_record(&test.store, world.service.id).await, None);
}

#[tokio::test]
async fn a_connection_needs_the_same_strategy_on_both_sides() {
    let test = TestStore::open().await;
    let world = World::make(&test).await;
    let mut writer = test.write().await;
    let portal = default_portal(&mut writer).await;
    let keys = strategy(&mut writer, "keys", json!({})).await;
    let others = strategy(&mut writer, "others", json!({})).await;
    let version = version(&mut writer, None).await;
    offer(&mut writer, &portal, &version, Some(keys.id)).await;
    let stranger = application(&mut writer, &world, others.id).await;
    let to_version = NewConnection {
        target: ConnectionTarget::Version(version.id),
        ..NewConnection::new(world.service.id)
    };
    for (application, new, field) in [
        (stranger.id, to_version.clone(), "product_version_id"),
        (world.application.id, to_version, "product_version_id"),
        (stranger.id, NewConnection::new(world.service.id), "service"),
    ] {
        let refused = writer.create_connection(application, new).await;
        let Err(StoreError::Invalid(invalid)) = refused else { panic!("{refused:?}") };
        assert_eq!(invalid.field, field);
    }
}

#[tokio::test]
async fn an_application_takes_its_portals_strategy_and_an_issuers_client_is_known_by_its_client_id() {
    let test = TestStore::open().await;
    let world = World::make(&test).await;
    let mut writer = test.write().await;
    let issuer = "https://idp.example.com";
    let tokens =
        strategy(&mut writer, "tokens", json!({"issuer": issuer, "credential_claim": ["azp"]})).await;
    let portal = default_portal(&mut writer).await;
    let patch = PortalPatch { default_strategy: Update::Set(tokens.id), ..PortalPatch::default() };
    writer.update_portal(&portal, patch).await.unwrap();
    let new = NewApplication { client_id: Some("client-1".into()), ..new_application("shop") };
    let made = writer.create_bare_application(world.developer.id, new).await.unwrap();
    assert_eq!(made.strategy, Some(tokens.id));
    writer.commit().await.unwrap();

    let digest = KeyDigest::of_client_id(&test.store.id(), tokens.id, b"client-1");
    let Some(Record::Credential(known)) = record(&test.store, digest).await else { panic!("unknown client") };
    assert_eq!(known.application, made.id);
    assert_eq!(key_record(&test.store, tokens.id, "client-1").await, None, "a client id is no key here");
    // Nothing is known of the issuer itself yet, so nothing is told of it.
    assert_eq!(record(&test.store, KeyDigest::of_issuer(&test.store.id(), issuer)).await, None);
}

#[tokio::test]
async fn revoking_a_developer_blocks_or_does_not_as_the_operator_has_it() {
    let mut test = TestStore::open_with(|options| options.revoke_developer_blocks = false).await;
    let world = World::make(&test).await;
    for (status, lets_in) in [
        (DeveloperStatus::Revoked, true),
        (DeveloperStatus::Pending, false),
        (DeveloperStatus::Rejected, false),
        (DeveloperStatus::Revoked, true),
    ] {
        let mut writer = test.write().await;
        let patch = DeveloperPatch { status: Some(status), ..DeveloperPatch::default() };
        writer.update_developer(world.developer.id, patch).await.unwrap();
        writer.commit().await.unwrap();
        let record = record_of(&test.store, &world.key).await.unwrap();
        assert_eq!(record.developer_approved, lets_in, "{status:?}");
    }
    // Another setting at the next start counts for those who are revoked already.
    for blocks in [true, false] {
        test.store.close().await;
        test.options.revoke_developer_blocks = blocks;
        test.store = test.replica().await;
        let record = record_of(&test.store, &world.key).await.unwrap();
        assert_eq!(record.developer_approved, !blocks);
    }
}
