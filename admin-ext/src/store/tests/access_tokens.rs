//! Access tokens that were given out: how long they last, how many there are, and what ends them.

use app_auth_core::digest::{KeyDigest, Masked};
use app_auth_core::feed::Operation;
use app_auth_core::ids::{Revision, ServiceId};
use app_auth_core::record::{Kind, Record, TokenRecord};

use crate::model::{
    CredentialKind, CredentialSecret, NewCredential, NewSecret, OAuth2Settings, PlainSecret, Service,
    ServicePatch, Update,
};
use crate::store::{
    GivenToken, KeptSecret, NewAccessToken, OAuth2Client, Refresh, Reveal, Store, StoreOptions, TOKENS_MAX,
};
use crate::testing::{TestStore, World, changes, new_service};

/// A service that gives out tokens, and a client that gets them.
struct Stage {
    test: TestStore,
    world: World,
    service: Service,
    client: OAuth2Client,
    client_id: PlainSecret,
}

fn settings() -> OAuth2Settings {
    OAuth2Settings { enable_client_credentials: true, ..OAuth2Settings::default() }
}

impl Stage {
    async fn make() -> Self {
        Self::make_with(|_| {}).await
    }

    async fn make_with(change: impl FnOnce(&mut StoreOptions)) -> Self {
        let test = TestStore::open_with(change).await;
        let world = World::make(&test).await;
        let mut writer = test.write().await;
        let mut new = new_service("tokens");
        new.oauth2 = Some(settings());
        let service = writer.create_service(new).await.unwrap();
        let made = NewCredential::new(NewSecret::oauth2());
        let made = writer.create_credential(world.application.id, made).await.unwrap();
        writer.commit().await.unwrap();
        let CredentialSecret::OAuth2 { client_id: Some(client_id), .. } = made.secret else { panic!() };
        let client = test.store.oauth2_client(&client_id).await.unwrap().unwrap();
        Self { test, world, service, client, client_id }
    }

    fn wanted(&self) -> NewAccessToken {
        NewAccessToken {
            service: self.service.id,
            global: false,
            client: self.client.id,
            client_digest: self.client.digest,
            client_id: self.client_id.clone(),
            scope: Some("email".into()),
            granted: Some("email address".into()),
            authenticated_userid: Some("id123".into()),
            expires_in: Some(10),
            refresh: Refresh::New(Some(100)),
            replaces: None,
        }
    }

    async fn give(&self, new: NewAccessToken) -> Option<GivenToken> {
        self.test.store.give_token(new).await.unwrap()
    }

    async fn change_service(&self, patch: ServicePatch) {
        let mut writer = self.test.write().await;
        writer.update_service(self.service.id, patch).await.unwrap();
        writer.commit().await.unwrap();
    }

    async fn record(&self, token: &GivenToken) -> Option<TokenRecord> {
        match self.operation(token).await? {
            Operation::Put(Record::Token(record)) => Some(record),
            Operation::Delete(Kind::Token) => None,
            other => panic!("{other:?}"),
        }
    }

    async fn operation(&self, token: &GivenToken) -> Option<Operation> {
        let key = KeyDigest::of_access_token(&self.test.store.id(), token.access_token.expose().as_bytes());
        let mut after = Revision(0);
        loop {
            let page = changes(&self.test.store, after).await;
            if let Some(change) = page.changes.iter().find(|change| change.key == key) {
                return Some(change.change.clone());
            }
            after = page.changes.last()?.revision;
        }
    }

    /// What is counted agrees with what is there.
    async fn assert_counted(&self) {
        let head = self.test.store.feed_head().await.unwrap();
        let counted = sqlx::query("SELECT COUNT(*) AS n FROM records WHERE body IS NOT NULL");
        let mut writer = self.test.write().await;
        let row = counted.fetch_one(writer.conn()).await.unwrap();
        assert_eq!(sqlx::Row::get::<i64, _>(&row, "n").unsigned_abs(), head.records);
    }
}

#[tokio::test]
async fn a_token_has_a_record_until_it_expires_and_can_be_refreshed_until_that_is_over_too() {
    let stage = Stage::make().await;
    let store: &Store = &stage.test.store;
    let given = stage.give(stage.wanted()).await.unwrap();
    let refresh = given.refresh_token.clone().unwrap();

    let record = stage.record(&given).await.unwrap();
    assert_eq!(record.credential, stage.client.digest);
    let (token, client_id) = (given.access_token.expose(), stage.client_id.expose());
    let masked = Masked::new(&store.id(), token.as_bytes(), client_id.as_bytes());
    assert_eq!((record.service, record.client_id), (Some(stage.service.id), masked));
    assert_eq!(record.expires_at, Some(store.now().plus_millis(10_000).0.unsigned_abs()));
    assert_eq!(record.scope.as_deref(), Some("email"));
    assert_eq!(record.authenticated_userid.as_deref(), Some("id123"));
    assert_eq!(store.sweep_tokens().await.unwrap(), 0);

    stage.test.clock.advance(10_000);
    assert_eq!(store.sweep_tokens().await.unwrap(), 1);
    assert_eq!(stage.operation(&given).await, Some(Operation::Delete(Kind::Token)));
    assert_eq!(store.sweep_tokens().await.unwrap(), 0);
    let known = store.refreshable(&refresh).await.unwrap().unwrap();
    assert_eq!((known.client, known.service), (stage.client.id, Some(stage.service.id)));
    assert_eq!(known.scope.as_deref(), Some("email address"));
    assert!(store.refreshable(&given.access_token).await.unwrap().is_none(), "it is no refresh token");

    // It replaces the other once, and no more.
    let replacing = || NewAccessToken { replaces: Some(known.id), ..stage.wanted() };
    assert!(stage.give(replacing()).await.is_some());
    assert!(stage.give(replacing()).await.is_none());
    assert!(store.refreshable(&refresh).await.unwrap().is_none());

    stage.test.clock.advance(100_000);
    assert_eq!(store.sweep_tokens().await.unwrap(), 1);
    assert_eq!(store.sweep_tokens().await.unwrap(), 0);
    stage.assert_counted().await;
}

#[tokio::test]
async fn of_too_many_tokens_of_a_client_the_oldest_ends() {
    let stage = Stage::make().await;
    let oldest = stage.give(stage.wanted()).await.unwrap();
    stage.test.clock.advance(1);
    let next = stage.give(stage.wanted()).await.unwrap();
    // The others are there without their records, because that is quicker.
    let mut writer = stage.test.write().await;
    for number in 2..TOKENS_MAX {
        let mut id = [1; 16];
        id[..8].copy_from_slice(&number.to_be_bytes());
        sqlx::query(
            "INSERT INTO oauth2_tokens (id, credential, service, created_at) VALUES ($1, $2, $3, $4)",
        )
        .bind(id.to_vec())
        .bind(stage.client.id.as_bytes().to_vec())
        .bind(stage.service.id.as_bytes().to_vec())
        .bind(writer.now.0)
        .execute(writer.conn())
        .await
        .unwrap();
    }
    writer.commit().await.unwrap();

    stage.test.clock.advance(1);
    let newest = stage.give(stage.wanted()).await.unwrap();

    assert_eq!(stage.operation(&oldest).await, Some(Operation::Delete(Kind::Token)));
    assert!(stage.record(&next).await.is_some());
    assert!(stage.record(&newest).await.is_some());
    stage.assert_counted().await;
}

#[tokio::test]
async fn what_a_token_rests_on_takes_it_along_and_nothing_else() {
    for ending in ["oauth2", "service", "credential", "application", "developer"] {
        let stage = Stage::make().await;
        let here = stage.give(stage.wanted()).await.unwrap();
        let everywhere = stage.give(NewAccessToken { global: true, ..stage.wanted() }).await.unwrap();
        assert_eq!(stage.record(&everywhere).await.unwrap().service, None);

        let (developer, application) = (stage.world.developer.id, stage.world.application.id);
        let mut writer = stage.test.write().await;
        match ending {
            "oauth2" => {
                let patch = ServicePatch { oauth2: Update::Clear, ..ServicePatch::default() };
                writer.update_service(stage.service.id, patch).await.map(drop)
            }
            "service" => writer.delete_service(stage.service.id).await,
            "credential" => {
                writer.delete_credential(application, CredentialKind::OAuth2, stage.client.id).await
            }
            "application" => writer.delete_application(developer, application).await,
            _ => writer.delete_developer(developer).await,
        }
        .unwrap();
        writer.commit().await.unwrap();

        assert_eq!(stage.operation(&here).await, Some(Operation::Delete(Kind::Token)), "{ending}");
        let stays = matches!(ending, "oauth2" | "service");
        assert_eq!(stage.record(&everywhere).await.is_some(), stays, "{ending}");
        assert!(store_gives_nothing(&stage).await, "{ending}");
        stage.assert_counted().await;
    }
}

/// What was read before the change counts no more.
async fn store_gives_nothing(stage: &Stage) -> bool {
    stage.give(stage.wanted()).await.is_none()
}

#[tokio::test]
async fn a_provision_key_is_made_up_sealed_and_shown_as_often_as_secrets_are() {
    for reveal in [Reveal::Always, Reveal::Once] {
        let stage = Stage::make_with(|options| options.reveal = reveal).await;
        let made = stage.service.oauth2.clone().and_then(|oauth2| oauth2.provision_key).unwrap();
        assert_eq!(made.expose().len(), 32);
        let shown = async |id: ServiceId| {
            let service = stage.test.store.service(&id.into()).await.unwrap().unwrap();
            service.oauth2.unwrap().provision_key
        };
        let known = async |id| stage.test.store.oauth2_settings(id).await.unwrap().unwrap().provision_key;
        let id = stage.service.id;
        assert_eq!(shown(id).await, (reveal == Reveal::Always).then(|| made.clone()));
        assert_eq!(known(id).await, Some(made.clone()));

        let other = PlainSecret::new("another provision key");
        let changed = OAuth2Settings { provision_key: Some(other.clone()), ..settings() };
        stage.change_service(ServicePatch { oauth2: Update::Set(changed), ..ServicePatch::default() }).await;
        assert_eq!(known(id).await, Some(other.clone()));
        let lines = crate::testing::audit_log(&stage.test.store, 1).await;
        assert!(lines[0].after.as_ref().unwrap().contains(r#""provision_key":"(changed)""#));
        assert!(!format!("{lines:?}").contains("another provision key"));
    }
}

#[tokio::test]
async fn a_secret_that_is_still_kept_is_hashed_when_it_is_used_once_only_hashes_are_kept() {
    let stage = Stage::make().await;
    let KeptSecret::Plain { secret, to_be_hashed: false } = &stage.client.secret else { panic!() };

    let strict = StoreOptions { reveal: Reveal::Once, ..stage.test.options.clone() };
    let store = Store::open(strict).await.unwrap();
    let client = store.oauth2_client(&stage.client_id).await.unwrap().unwrap();
    assert!(matches!(client.secret, KeptSecret::Plain { to_be_hashed: true, .. }));
    store.hash_kept_secret(client.id, &PlainSecret::new("another")).await.unwrap();
    store.hash_kept_secret(client.id, secret).await.unwrap();

    let client = store.oauth2_client(&stage.client_id).await.unwrap().unwrap();
    let KeptSecret::Hash(hash) = &client.secret else { panic!() };
    assert!(crate::secrets::verify_client_secret(secret, Some(hash)).await);
    let application = stage.world.application.id;
    let shown = store.credential(application, CredentialKind::OAuth2, client.id).await.unwrap().unwrap();
    let CredentialSecret::OAuth2 { client_id, client_secret, .. } = shown.secret else { panic!() };
    assert_eq!((client_id.as_ref(), client_secret), (Some(&stage.client_id), None));
}
