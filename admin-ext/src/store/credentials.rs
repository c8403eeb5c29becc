//! Credentials in the database: looked up by digest, readable secrets sealed or not kept at all.

use app_auth_core::digest::KeyDigest;
use app_auth_core::ids::{ApplicationId, CredentialId, StrategyId};
use serde::{Deserialize, Serialize};
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;
use zeroize::Zeroize;

use super::access_tokens::Ending;
use super::collection::{Collection, Member, Value};
use super::sql::{Columns as _, List, count, json_texts, tagged};
use super::{
    Entity, Result, Reveal, Store, StoreError, Writer, applications, auth_strategies, developer_credentials,
};
use crate::model::{
    Application, ClientType, Collected, CollectionRequest, Credential, CredentialKind, CredentialPatch,
    CredentialSecret, Invalid, Listed, NewCredential, NewSecret, Offset, PageRequest, PlainSecret, Timestamp,
    rules,
};

const COLUMNS: &str = "k.id, k.application, k.kind, k.last_four, k.sealed, k.settings, k.tags, k.expires_at, \
    k.display_name, k.created_at";

/// What is sealed of a credential, as JSON.
#[derive(Serialize, Deserialize, Default)]
pub(super) struct Sealed {
    /// The key or the client id.
    pub key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
}

impl Drop for Sealed {
    fn drop(&mut self) {
        self.key.zeroize();
        self.client_secret.zeroize();
    }
}

/// What an `oauth2` credential has that is no readable secret, as JSON.
#[derive(Serialize, Deserialize)]
pub(super) struct ClientSettings {
    pub name: String,
    pub client_type: String,
    pub redirect_uris: Vec<String>,
    /// The operator asked for the hash; else the hash is there because secrets are shown once only.
    pub hash_secret: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_hash: Option<String>,
}

impl Store {
    /// The look-up digest of a key or client id under a strategy.
    pub(super) fn key_digest(&self, scope: StrategyId, key: &PlainSecret) -> KeyDigest {
        KeyDigest::of_api_key(&self.id(), scope, key.expose().as_bytes())
    }

    fn read_credential(&self, row: &AnyRow) -> Result<Credential> {
        let id = CredentialId(row.uuid("id")?);
        let sealed = match row.optional_bytes("sealed")? {
            Some(sealed) if !self.hides_secrets() => Some(self.open_sealed(id, &sealed)?),
            _ => None,
        };
        let key = sealed.as_ref().map(|sealed| PlainSecret::new(sealed.key.as_str()));
        let secret = match CredentialKind::parse(&row.text("kind")?) {
            Some(CredentialKind::KeyAuth) => CredentialSecret::KeyAuth { key },
            Some(CredentialKind::OAuth2) => {
                let settings = row.optional_text("settings")?.unwrap_or_default();
                let settings: ClientSettings = serde_json::from_str(&settings)
                    .map_err(|_| StoreError::Corrupt("credentials.settings"))?;
                let readable = sealed.as_ref().and_then(|sealed| sealed.client_secret.as_deref());
                let hash = settings.secret_hash.as_deref().filter(|_| !self.hides_secrets());
                let shown = if settings.hash_secret { hash } else { readable };
                CredentialSecret::OAuth2 {
                    client_id: key,
                    client_secret: shown.map(PlainSecret::new),
                    client_type: ClientType::parse(&settings.client_type)
                        .ok_or(StoreError::Corrupt("credentials.settings"))?,
                    name: settings.name,
                    redirect_uris: settings.redirect_uris,
                    hash_secret: settings.hash_secret,
                }
            }
            None => return Err(StoreError::Corrupt("credentials.kind")),
        };
        Ok(Credential {
            id,
            application: ApplicationId(row.uuid("application")?),
            secret,
            last_four: row.text("last_four")?,
            expires_at: row.optional_int("expires_at")?.map(Timestamp),
            display_name: row.optional_text("display_name")?,
            tags: row.texts("tags")?,
            created_at: row.time("created_at")?,
        })
    }

    pub(super) fn open_sealed(&self, id: CredentialId, sealed: &[u8]) -> Result<Sealed> {
        let opened = self.0.sealer.open_sealed(id.as_bytes(), sealed).ok_or(StoreError::Sealed)?;
        serde_json::from_slice(&opened).map_err(|_| StoreError::Corrupt("credentials.sealed"))
    }

    /// Whether of a client secret only its hash is kept.
    pub(super) fn keeps_hash(&self, hash_secret: bool) -> bool {
        hash_secret || self.0.reveal == Reveal::Once
    }

    /// Computes the hash of a client secret if that is what will be kept, so that no writer waits for it.
    pub async fn ready_secret(&self, mut secret: NewSecret) -> Result<NewSecret> {
        if let NewSecret::OAuth2 { client_secret, hash_secret, secret_hash, .. } = &mut secret
            && self.keeps_hash(*hash_secret)
        {
            let plain = match client_secret.take() {
                Some(plain) => plain,
                None => PlainSecret::generate(&*self.0.entropy)?,
            };
            *secret_hash = Some(self.hash_client_secret(&plain).await?);
            *client_secret = Some(plain);
        }
        Ok(secret)
    }

    /// Seals what may be read again; nothing where secrets are shown once only.
    pub(super) fn seal_key(
        &self,
        id: CredentialId,
        key: &PlainSecret,
        client_secret: Option<&PlainSecret>,
    ) -> Result<Option<Vec<u8>>> {
        if self.0.reveal == Reveal::Once {
            return Ok(None);
        }
        let sealed = Sealed {
            key: key.expose().to_owned(),
            client_secret: client_secret.map(|secret| secret.expose().to_owned()),
        };
        self.seal(id, &sealed).map(Some)
    }

    pub(super) fn seal(&self, id: CredentialId, sealed: &Sealed) -> Result<Vec<u8>> {
        let json = zeroize::Zeroizing::new(
            serde_json::to_vec(sealed).map_err(|_| StoreError::Corrupt("credentials.sealed"))?,
        );
        Ok(self.0.sealer.seal(&*self.0.entropy, id.as_bytes(), &json)?)
    }

    pub async fn credentials(
        &self,
        application: ApplicationId,
        kind: CredentialKind,
        page: PageRequest,
    ) -> Result<Listed<Credential>> {
        let from = "credentials k WHERE k.application = $1 AND k.kind = $2";
        let (from, tags) = tagged(from, 2, "k", page.tags.as_ref());
        List { columns: COLUMNS, from: &from, bound: 2 + tags.len(), alias: "k" }
            .page(
                &mut *self.reader().await?,
                page,
                |query| {
                    let query = query.bind(application.as_bytes().to_vec()).bind(kind.as_str());
                    tags.iter().fold(query, |query, tag| query.bind(tag.clone()))
                },
                |row| self.read_credential(row),
                |credential| Offset { created_at: credential.created_at, id: credential.id.0 },
            )
            .await
    }

    /// An application's credentials of every kind.
    pub async fn credentials_of(
        &self,
        application: ApplicationId,
        request: &CollectionRequest,
    ) -> Result<Collected<Credential>> {
        Collection {
            columns: COLUMNS,
            from: "credentials k WHERE k.application = $1",
            bound: &[*application.as_bytes()],
            members: &[
                Member { name: "display_name", value: Value::Column("k.display_name") },
                Member { name: "created_at", value: Value::Column("k.created_at") },
            ],
            last: "k.created_at, k.id",
        }
        .page(&mut *self.reader().await?, self.0.backend, request, |row| self.read_credential(row))
        .await
    }

    /// The application's credential of that kind; any other is not found.
    pub async fn credential(
        &self,
        application: ApplicationId,
        kind: CredentialKind,
        credential: CredentialId,
    ) -> Result<Option<Credential>> {
        by_id(self, &mut *self.reader().await?, application, kind, credential).await
    }

    /// The application's credential, whatever its kind.
    pub async fn any_credential(&self, application: ApplicationId, id: CredentialId) -> Result<Credential> {
        for kind in [CredentialKind::KeyAuth, CredentialKind::OAuth2] {
            if let Some(found) = self.credential(application, kind, id).await? {
                return Ok(found);
            }
        }
        Err(StoreError::NotFound(Entity::Credential))
    }

    /// The application's credential of that kind with this key or client id.
    pub async fn credential_by_key(
        &self,
        application: &Application,
        kind: CredentialKind,
        key: &PlainSecret,
    ) -> Result<Option<Credential>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM credentials k WHERE k.digest = $1 AND k.application = $2 AND k.kind = $3"
        );
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(self.key_digest(application.key_scope(), key).0.as_slice())
            .bind(application.id.as_bytes().as_slice())
            .bind(kind.as_str())
            .fetch_optional(&mut *self.reader().await?)
            .await?;
        row.as_ref().map(|row| self.read_credential(row)).transpose()
    }
}

async fn by_id(
    store: &Store,
    conn: &mut sqlx::AnyConnection,
    application: ApplicationId,
    kind: CredentialKind,
    id: CredentialId,
) -> Result<Option<Credential>> {
    let sql =
        format!("SELECT {COLUMNS} FROM credentials k WHERE k.id = $1 AND k.application = $2 AND k.kind = $3");
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(id.as_bytes().as_slice())
        .bind(application.as_bytes().as_slice())
        .bind(kind.as_str())
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(|row| store.read_credential(row)).transpose()
}

/// The credential a change is about.
async fn existing(
    writer: &mut Writer,
    application: ApplicationId,
    kind: CredentialKind,
    id: CredentialId,
) -> Result<Credential> {
    let store = writer.store.clone();
    let found = by_id(&store, writer.conn(), application, kind, id).await?;
    found.ok_or(StoreError::NotFound(Entity::Credential))
}

/// Every credential of an application, for what is done to all of them.
pub(super) async fn all_of_application(
    writer: &mut Writer,
    application: ApplicationId,
) -> Result<Vec<Credential>> {
    let sql = format!("SELECT {COLUMNS} FROM credentials k WHERE k.application = $1");
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(application.as_bytes().as_slice())
        .fetch_all(writer.conn())
        .await?;
    rows.iter().map(|row| writer.store.read_credential(row)).collect()
}

/// A credential as it goes into its row.
struct Prepared {
    /// As the answer shows it, every secret in full.
    credential: Credential,
    key: PlainSecret,
    sealed: Option<Vec<u8>>,
    settings: Option<String>,
}

/// Makes up what is missing, hashes what is to be hashed, seals what is to be readable.
async fn prepare(
    store: &Store,
    now: Timestamp,
    application: &Application,
    new: NewCredential,
) -> Result<Prepared> {
    new.secret.check()?;
    rules::list("tags", &new.tags, rules::NAME_MAX)?;
    rules::optional_text("display_name", new.display_name.as_deref(), rules::NAME_MAX)?;
    let entropy = &*store.0.entropy;
    let id = match new.id {
        Some(id) => id,
        None => CredentialId(store.random_id()?),
    };
    let or_generated = |secret: Option<PlainSecret>| match secret {
        Some(secret) => Ok(secret),
        None => PlainSecret::generate(entropy),
    };
    let (secret, key, sealed, settings) = match new.secret {
        NewSecret::KeyAuth { key } => {
            let key = or_generated(key)?;
            let sealed = store.seal_key(id, &key, None)?;
            (CredentialSecret::KeyAuth { key: Some(key.clone()) }, key, sealed, None)
        }
        NewSecret::OAuth2 {
            name,
            client_id,
            client_secret,
            client_type,
            redirect_uris,
            hash_secret,
            secret_hash,
        } => {
            let key = or_generated(client_id)?;
            let client_secret = or_generated(client_secret)?;
            let hash = match secret_hash {
                None if store.keeps_hash(hash_secret) => {
                    Some(store.hash_client_secret(&client_secret).await?)
                }
                ready => ready,
            };
            let readable = if hash.is_some() { None } else { Some(&client_secret) };
            let sealed = store.seal_key(id, &key, readable)?;
            let settings = ClientSettings {
                name: name.unwrap_or_else(|| application.name.clone()),
                client_type: client_type.as_str().to_owned(),
                redirect_uris: redirect_uris.unwrap_or_else(|| vec![application.redirect_uri.clone()]),
                hash_secret,
                secret_hash: hash.as_ref().map(|hash| hash.expose().to_owned()),
            };
            let json =
                serde_json::to_string(&settings).map_err(|_| StoreError::Corrupt("credentials.settings"))?;
            let shown = match hash {
                Some(hash) if hash_secret => hash,
                _ => client_secret,
            };
            let secret = CredentialSecret::OAuth2 {
                name: settings.name,
                client_id: Some(key.clone()),
                client_secret: Some(shown),
                client_type,
                redirect_uris: settings.redirect_uris,
                hash_secret,
            };
            (secret, key, sealed, Some(json))
        }
    };
    let credential = Credential {
        id,
        application: application.id,
        secret,
        last_four: key.last_four(),
        expires_at: new.expires_at,
        display_name: new.display_name,
        tags: new.tags,
        created_at: now,
    };
    Ok(Prepared { credential, key, sealed, settings })
}

/// Makes a credential of an application that exists.
pub(super) async fn create(
    writer: &mut Writer,
    application: &Application,
    mut new: NewCredential,
) -> Result<Credential> {
    let kind = new.secret.kind();
    if !writer.knows_keys(application).await? {
        return Err(Invalid::new("application", "its identity provider keeps its credentials").into());
    }
    if let (None, CredentialKind::KeyAuth, Some(strategy)) = (new.expires_at, kind, application.strategy) {
        let strategy = auth_strategies::by_id(writer.conn(), strategy).await?;
        let ttl = strategy.and_then(|strategy| strategy.key_ttl());
        new.expires_at = ttl.map(|ttl| ttl.ends(writer.now));
    }
    let limit = writer.store.limits().credentials_per_kind;
    let sql = "SELECT COUNT(*) AS n FROM credentials WHERE application = $1 AND kind = $2";
    let held =
        count(writer.conn(), sql, |query| query.bind(application.id.as_bytes().to_vec()).bind(kind.as_str()));
    if held.await? >= limit {
        return Err(StoreError::Limit { entity: Entity::Credential, limit });
    }
    let Prepared { credential, key, sealed, settings } =
        prepare(&writer.store, writer.now, application, new).await?;
    let digest = writer.store.key_digest(application.key_scope(), &key);
    developer_credentials::refuse_key_of_developer(writer, digest)
        .await
        .map_err(|error| name_taken(error, &credential))?;
    sqlx::query(
        "INSERT INTO credentials (id, application, kind, digest, last_four, sealed, settings, tags, expires_at, \
         display_name, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(credential.id.as_bytes().as_slice())
    .bind(application.id.as_bytes().as_slice())
    .bind(kind.as_str())
    .bind(digest.0.as_slice())
    .bind(credential.last_four.clone())
    .bind(sealed)
    .bind(settings)
    .bind(json_texts(&credential.tags))
    .bind(credential.expires_at.map(|at| at.0))
    .bind(credential.display_name.clone())
    .bind(credential.created_at.0)
    .execute(writer.conn())
    .await
    .map_err(|error| name_value(error, &credential))?;
    writer.touch_application(application.id);
    writer.audit_created(&credential).await?;
    Ok(credential)
}

impl Writer {
    /// The answer shows every secret in full, also where the store keeps none.
    pub async fn create_credential(
        &mut self,
        application: ApplicationId,
        new: NewCredential,
    ) -> Result<Credential> {
        let application = applications::existing(self.conn(), application).await?;
        create(self, &application, new).await
    }

    /// A `key-auth` credential; `oauth2` ones do not change.
    pub async fn update_credential(
        &mut self,
        application: ApplicationId,
        id: CredentialId,
        patch: CredentialPatch,
    ) -> Result<Credential> {
        let before = existing(self, application, CredentialKind::KeyAuth, id).await?;
        let mut after = before.clone();
        patch.expires_at.apply(&mut after.expires_at);
        patch.display_name.apply(&mut after.display_name);
        rules::optional_text("display_name", after.display_name.as_deref(), rules::NAME_MAX)?;
        after.tags = patch.tags.unwrap_or(after.tags);
        rules::list("tags", &after.tags, rules::NAME_MAX)?;
        if let Some(key) = patch.key {
            rules::key("key", &key)?;
            after.last_four = key.last_four();
            let sealed = self.store.seal_key(id, &key, None)?;
            let scope = applications::existing(self.conn(), application).await?.key_scope();
            let digest = self.store.key_digest(scope, &key);
            developer_credentials::refuse_key_of_developer(self, digest)
                .await
                .map_err(|error| name_taken(error, &after))?;
            after.secret = CredentialSecret::KeyAuth { key: Some(key) };
            sqlx::query("UPDATE credentials SET digest = $2, last_four = $3, sealed = $4 WHERE id = $1")
                .bind(id.as_bytes().as_slice())
                .bind(digest.0.as_slice())
                .bind(after.last_four.clone())
                .bind(sealed)
                .execute(self.conn())
                .await
                .map_err(|error| name_value(error, &after))?;
        }
        sqlx::query("UPDATE credentials SET expires_at = $2, tags = $3, display_name = $4 WHERE id = $1")
            .bind(id.as_bytes().as_slice())
            .bind(after.expires_at.map(|at| at.0))
            .bind(json_texts(&after.tags))
            .bind(after.display_name.clone())
            .execute(self.conn())
            .await?;
        self.touch_application(application);
        self.audit_updated(&before, &after).await?;
        Ok(after)
    }

    /// The application's credential, whatever its kind, as it is until this change ends.
    pub async fn credential_of(
        &mut self,
        application: ApplicationId,
        id: CredentialId,
    ) -> Result<Credential> {
        match existing(self, application, CredentialKind::KeyAuth, id).await {
            Err(StoreError::NotFound(_)) => existing(self, application, CredentialKind::OAuth2, id).await,
            found => found,
        }
    }

    /// Calls a credential something else. `before` is what [`Writer::credential_of`] answered.
    pub async fn rename_credential(&mut self, before: &Credential, display_name: String) -> Result<()> {
        let after = Credential { display_name: Some(display_name), ..before.clone() };
        rules::optional_text("display_name", after.display_name.as_deref(), rules::NAME_MAX)?;
        sqlx::query("UPDATE credentials SET display_name = $2 WHERE id = $1")
            .bind(after.id.as_bytes().as_slice())
            .bind(after.display_name.clone())
            .execute(self.conn())
            .await?;
        self.audit_updated(before, &after).await
    }

    /// Lets a credential of whatever kind end at an instant, past or to come. `before` is what [`Writer::credential_of`]
    /// answered.
    pub async fn expire_credential(&mut self, before: &Credential, at: Timestamp) -> Result<()> {
        let after = Credential { expires_at: Some(at), ..before.clone() };
        sqlx::query("UPDATE credentials SET expires_at = $2 WHERE id = $1")
            .bind(after.id.as_bytes().as_slice())
            .bind(at.0)
            .execute(self.conn())
            .await?;
        self.touch_application(after.application);
        self.audit_updated(before, &after).await
    }

    pub async fn delete_credential(
        &mut self,
        application: ApplicationId,
        kind: CredentialKind,
        id: CredentialId,
    ) -> Result<()> {
        let before = existing(self, application, kind, id).await?;
        self.end_tokens(Ending::OfCredential(id)).await?;
        sqlx::query("DELETE FROM credentials WHERE id = $1")
            .bind(id.as_bytes().as_slice())
            .execute(self.conn())
            .await?;
        self.touch_application(application);
        self.audit_deleted(&before).await
    }
}

/// A key that is taken is named by the member it came in, and shown by its last characters only.
fn name_value(error: sqlx::Error, credential: &Credential) -> StoreError {
    name_taken(error.into(), credential)
}

fn name_taken(error: StoreError, credential: &Credential) -> StoreError {
    let error = match error {
        StoreError::Unique { entity, field: "key", value } if credential.kind() == CredentialKind::OAuth2 => {
            StoreError::Unique { entity, field: "client_id", value }
        }
        other => other,
    };
    let masked = format!("…{}", credential.last_four);
    error
        .with_value("id", credential.id.to_string())
        .with_value("key", &masked)
        .with_value("client_id", &masked)
}
