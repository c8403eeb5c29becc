//! Developers' own credentials in the database: found by the digest of their identifier, secrets sealed or not kept.

use std::collections::BTreeMap;

use app_auth_core::digest::KeyDigest;
use app_auth_core::ids::{CredentialId, DeveloperId, StrategyId};
use serde_json::{Map, Value};
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;
use zeroize::Zeroizing;

use super::sql::{AnyQuery, Columns as _, List, count, json_texts, tagged};
use super::{Entity, Result, Reveal, Store, StoreError, Writer, developers};
use crate::model::{
    Developer, DeveloperCredential, DeveloperCredentialPatch, Invalid, Listed, Members,
    NewDeveloperCredential, Offset, PageRequest, PlainSecret, PluginKind, Timestamp, rules,
};
use crate::secrets;

const COLUMNS: &str = "k.id, k.developer, k.kind, k.last_four, k.sealed, k.settings, k.tags, k.expires_at, \
    k.created_at";

/// A credential whose secrets are made up and hashed, so that writing it takes no time.
pub struct ReadyCredential {
    credential: DeveloperCredential,
    digest: KeyDigest,
}

impl Store {
    /// The look-up digest of a credential. Keys and client ids share theirs with those of applications.
    fn developer_digest(&self, kind: PluginKind, members: &Members) -> Result<KeyDigest, Invalid> {
        let identifier = identifier(kind, members)?;
        Ok(match members.text("issuer") {
            // A subject is unique at its issuer only.
            Some(issuer) => self.text_digest(&format!("{issuer}\n{identifier}")),
            None => self.text_digest(identifier),
        })
    }

    fn text_digest(&self, text: &str) -> KeyDigest {
        KeyDigest::of_api_key(&self.id(), StrategyId::KEY_AUTH, text.as_bytes())
    }

    /// Makes up what is missing and hashes what is to be hashed, before the change begins.
    pub async fn ready_developer_credential(
        &self,
        developer: &Developer,
        mut new: NewDeveloperCredential,
    ) -> Result<ReadyCredential> {
        new.members.complete(new.kind, &*self.0.entropy)?;
        self.hash_members(developer, new.kind, &mut new.members).await?;
        let credential = DeveloperCredential {
            id: match new.id {
                Some(id) => id,
                None => CredentialId(self.random_id()?),
            },
            developer: developer.id,
            kind: new.kind,
            last_four: last_four(new.kind, &new.members)?,
            members: new.members,
            expires_at: new.expires_at,
            tags: new.tags,
            created_at: Timestamp::default(),
        };
        Ok(ReadyCredential { digest: self.developer_digest(new.kind, &credential.members)?, credential })
    }

    /// Puts hashes in the place of passwords and, if asked for, client secrets.
    async fn hash_members(
        &self,
        developer: &Developer,
        kind: PluginKind,
        members: &mut Members,
    ) -> Result<()> {
        let hashed = members.truth("hash_secret");
        match kind {
            PluginKind::BasicAuth => {
                if let Some(password) = members.secret.get_mut("password") {
                    *password = secrets::basic_auth_hash(password, developer.consumer.0);
                }
            }
            PluginKind::OAuth2 if hashed => {
                if let Some(secret) = members.secret.get_mut("client_secret") {
                    *secret = self.hash_client_secret(secret).await?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn read_developer_credential(&self, row: &AnyRow) -> Result<DeveloperCredential> {
        let id = CredentialId(row.uuid("id")?);
        let kind =
            PluginKind::parse(&row.text("kind")?).ok_or(StoreError::Corrupt("developer_credentials.kind"))?;
        let open: Map<String, Value> = serde_json::from_str(&row.text("settings")?)
            .map_err(|_| StoreError::Corrupt("developer_credentials.settings"))?;
        let secret = match row.optional_bytes("sealed")? {
            Some(sealed) if !self.hides_secrets() => self.open_members(id, &sealed)?,
            _ => BTreeMap::new(),
        };
        Ok(DeveloperCredential {
            id,
            developer: DeveloperId(row.uuid("developer")?),
            kind,
            members: Members { open, secret },
            last_four: row.text("last_four")?,
            expires_at: row.optional_int("expires_at")?.map(Timestamp),
            tags: row.texts("tags")?,
            created_at: row.time("created_at")?,
        })
    }

    fn open_members(&self, id: CredentialId, sealed: &[u8]) -> Result<BTreeMap<String, PlainSecret>> {
        let opened = self.0.sealer.open_sealed(id.as_bytes(), sealed).ok_or(StoreError::Sealed)?;
        let texts: BTreeMap<String, String> = serde_json::from_slice(&opened)
            .map_err(|_| StoreError::Corrupt("developer_credentials.sealed"))?;
        Ok(texts.into_iter().map(|(name, text)| (name, PlainSecret::new(text))).collect())
    }

    /// Nothing where secrets are shown once only.
    fn seal_members(&self, id: CredentialId, members: &Members) -> Result<Option<Vec<u8>>> {
        if self.0.reveal == Reveal::Once || members.secret.is_empty() {
            return Ok(None);
        }
        let texts: BTreeMap<_, _> =
            members.secret.iter().map(|(name, secret)| (name, secret.expose())).collect();
        let json = serde_json::to_vec(&texts)
            .map(Zeroizing::new)
            .map_err(|_| StoreError::Corrupt("developer_credentials.sealed"))?;
        Ok(Some(self.0.sealer.seal(&*self.0.entropy, id.as_bytes(), &json)?))
    }

    pub async fn developer_credentials(
        &self,
        developer: DeveloperId,
        kind: PluginKind,
        page: PageRequest,
    ) -> Result<Listed<DeveloperCredential>> {
        let from = "developer_credentials k WHERE k.developer = $1 AND k.kind = $2";
        let (from, tags) = tagged(from, 2, "k", page.tags.as_ref());
        List { columns: COLUMNS, from: &from, bound: 2 + tags.len(), alias: "k" }
            .page(
                &mut *self.reader().await?,
                page,
                |query| {
                    let query = query.bind(developer.as_bytes().to_vec()).bind(kind.as_str());
                    tags.iter().fold(query, |query, tag| query.bind(tag.clone()))
                },
                |row| self.read_developer_credential(row),
                |credential| Offset { created_at: credential.created_at, id: credential.id.0 },
            )
            .await
    }

    /// The developer's credential of that kind; any other is not found.
    pub async fn developer_credential(
        &self,
        developer: DeveloperId,
        kind: PluginKind,
        credential: CredentialId,
    ) -> Result<Option<DeveloperCredential>> {
        by_id(self, &mut *self.reader().await?, developer, kind, credential).await
    }

    /// The developer's credential of that kind with this key, client id or user name.
    pub async fn developer_credential_by_identifier(
        &self,
        developer: DeveloperId,
        kind: PluginKind,
        identifier: &PlainSecret,
    ) -> Result<Option<DeveloperCredential>> {
        let digest = self.text_digest(identifier.expose());
        let sql = format!(
            "SELECT {COLUMNS} FROM developer_credentials k WHERE k.kind = $1 AND k.digest = $2 AND k.developer = $3"
        );
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(kind.as_str())
            .bind(digest.0.as_slice())
            .bind(developer.as_bytes().as_slice())
            .fetch_optional(&mut *self.reader().await?)
            .await?;
        row.as_ref().map(|row| self.read_developer_credential(row)).transpose()
    }
}

fn identifier(kind: PluginKind, members: &Members) -> Result<&str, Invalid> {
    let name = kind.identifier();
    members.text(name).ok_or_else(|| Invalid::new(name, "required field missing"))
}

fn last_four(kind: PluginKind, members: &Members) -> Result<String, Invalid> {
    Ok(PlainSecret::new(identifier(kind, members)?).last_four())
}

async fn by_id(
    store: &Store,
    conn: &mut sqlx::AnyConnection,
    developer: DeveloperId,
    kind: PluginKind,
    id: CredentialId,
) -> Result<Option<DeveloperCredential>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM developer_credentials k WHERE k.id = $1 AND k.developer = $2 AND k.kind = $3"
    );
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(id.as_bytes().as_slice())
        .bind(developer.as_bytes().as_slice())
        .bind(kind.as_str())
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(|row| store.read_developer_credential(row)).transpose()
}

/// An API key names one caller only: refuses one that a developer's credential has.
pub(super) async fn refuse_key_of_developer(writer: &mut Writer, digest: KeyDigest) -> Result<()> {
    let sql = "SELECT COUNT(*) AS n FROM developer_credentials WHERE digest = $1 AND kind IN ('key-auth', 'oauth2')";
    refuse_taken(writer, sql, digest).await
}

/// Writers queue, so nobody can take the key between this and the write.
async fn refuse_taken(writer: &mut Writer, sql: &'static str, digest: KeyDigest) -> Result<()> {
    match count(writer.conn(), sql, |query| query.bind(digest.0.to_vec())).await? {
        0 => Ok(()),
        _ => Err(StoreError::Unique { entity: Entity::Credential, field: "key", value: String::new() }),
    }
}

/// One that is taken is named by the member it came in; if it is secret it is shown by its last characters only.
fn name_value(error: StoreError, credential: &DeveloperCredential) -> StoreError {
    let kind = credential.kind;
    let field = kind.identifier();
    let error = match error {
        StoreError::Unique { entity, field: "key", value } => StoreError::Unique { entity, field, value },
        other => other,
    };
    let shown = match credential.members.text(field) {
        Some(identifier) if !kind.secrets().contains(&field) => identifier.to_owned(),
        _ => format!("…{}", credential.last_four),
    };
    error.with_value("id", credential.id.to_string()).with_value(field, shown)
}

/// The members as the changes leave them, hashed where they are to be.
async fn merged(
    store: &Store,
    developer: &Developer,
    before: &DeveloperCredential,
    changes: Map<String, Value>,
) -> Result<Members> {
    let kind = before.kind;
    let mut after = before.members.clone();
    for name in changes.keys() {
        after.open.remove(name);
        after.secret.remove(name);
    }
    let mut fresh = Members::new(kind, changes);
    after.open.extend(fresh.open.clone());
    if kind == PluginKind::OAuth2 {
        let (was, is) = (before.members.truth("hash_secret"), after.truth("hash_secret"));
        let given = fresh.secret.contains_key("client_secret");
        if was && !is && !given {
            let reason = "cannot be unset without a new client_secret";
            return Err(Invalid::new("hash_secret", reason).into());
        }
        if is
            && !was
            && !given
            && let Some(readable) = after.secret.get("client_secret")
        {
            fresh.secret.insert("client_secret".to_owned(), readable.clone());
        }
    }
    // What is hashed already must not be hashed again, so only what is new is looked at.
    let mut hashed = Members { open: after.open.clone(), secret: fresh.secret };
    store.hash_members(developer, kind, &mut hashed).await?;
    after.secret.extend(hashed.secret);
    Ok(after)
}

impl Writer {
    /// The answer shows every secret in full, also where the store keeps none.
    pub async fn create_developer_credential(
        &mut self,
        ready: ReadyCredential,
    ) -> Result<DeveloperCredential> {
        let ReadyCredential { mut credential, digest } = ready;
        let (developer, kind) = (credential.developer, credential.kind);
        developers::existing(self.conn(), developer).await?;
        rules::list("tags", &credential.tags, rules::NAME_MAX)?;
        let limit = self.store.limits().credentials_per_kind;
        let sql = "SELECT COUNT(*) AS n FROM developer_credentials WHERE developer = $1 AND kind = $2";
        let bind = |query: AnyQuery<'static>| query.bind(developer.as_bytes().to_vec()).bind(kind.as_str());
        if count(self.conn(), sql, bind).await? >= limit {
            return Err(StoreError::Limit { entity: Entity::Credential, limit });
        }
        credential.created_at = self.now;
        self.refuse_key_of_application(&credential, digest).await?;
        let sealed = self.store.seal_members(credential.id, &credential.members)?;
        sqlx::query(
            "INSERT INTO developer_credentials (id, developer, kind, digest, last_four, sealed, settings, tags, \
             expires_at, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(credential.id.as_bytes().as_slice())
        .bind(developer.as_bytes().as_slice())
        .bind(kind.as_str())
        .bind(digest.0.as_slice())
        .bind(credential.last_four.clone())
        .bind(sealed)
        .bind(Value::Object(credential.members.open.clone()).to_string())
        .bind(json_texts(&credential.tags))
        .bind(credential.expires_at.map(|at| at.0))
        .bind(credential.created_at.0)
        .execute(self.conn())
        .await
        .map_err(|error| name_value(error.into(), &credential))?;
        self.audit_created(&credential).await?;
        Ok(credential)
    }

    /// [`Writer::create_developer_credential`] of what needs no time to be made ready, such as a key.
    pub async fn create_credential_of(
        &mut self,
        developer: &Developer,
        new: NewDeveloperCredential,
    ) -> Result<DeveloperCredential> {
        let ready = self.store.clone().ready_developer_credential(developer, new).await?;
        self.create_developer_credential(ready).await
    }

    async fn refuse_key_of_application(
        &mut self,
        credential: &DeveloperCredential,
        digest: KeyDigest,
    ) -> Result<()> {
        if !credential.kind.is_api_key() {
            return Ok(());
        }
        let sql = "SELECT COUNT(*) AS n FROM credentials WHERE digest = $1";
        refuse_taken(self, sql, digest).await.map_err(|error| name_value(error, credential))
    }

    /// New passwords and client secrets are hashed meanwhile: that takes milliseconds at most.
    pub async fn update_developer_credential(
        &mut self,
        developer: &Developer,
        kind: PluginKind,
        id: CredentialId,
        patch: DeveloperCredentialPatch,
    ) -> Result<DeveloperCredential> {
        let before = self.existing_credential(developer.id, kind, id).await?;
        let mut after = before.clone();
        patch.expires_at.apply(&mut after.expires_at);
        after.tags = patch.tags.unwrap_or(after.tags);
        rules::list("tags", &after.tags, rules::NAME_MAX)?;
        let found = sqlx::query("SELECT digest FROM developer_credentials WHERE id = $1")
            .bind(id.as_bytes().as_slice())
            .fetch_one(self.conn())
            .await?;
        let mut digest = KeyDigest(found.array("digest")?);
        let changed: Vec<_> = patch.members.keys().cloned().collect();
        after.members = merged(&self.store.clone(), developer, &before, patch.members).await?;
        if changed.iter().any(|name| name == kind.identifier() || name == "issuer") {
            digest = self.store.developer_digest(kind, &after.members)?;
            after.last_four = last_four(kind, &after.members)?;
            self.refuse_key_of_application(&after, digest).await?;
        }
        let sealed = self.store.seal_members(id, &after.members)?;
        sqlx::query(
            "UPDATE developer_credentials SET digest = $2, last_four = $3, sealed = $4, settings = $5, tags = $6, \
             expires_at = $7 WHERE id = $1",
        )
        .bind(id.as_bytes().as_slice())
        .bind(digest.0.as_slice())
        .bind(after.last_four.clone())
        .bind(sealed)
        .bind(Value::Object(after.members.open.clone()).to_string())
        .bind(json_texts(&after.tags))
        .bind(after.expires_at.map(|at| at.0))
        .execute(self.conn())
        .await
        .map_err(|error| name_value(error.into(), &after))?;
        self.audit_updated(&before, &after).await?;
        Ok(after)
    }

    async fn existing_credential(
        &mut self,
        developer: DeveloperId,
        kind: PluginKind,
        id: CredentialId,
    ) -> Result<DeveloperCredential> {
        let store = self.store.clone();
        let found = by_id(&store, self.conn(), developer, kind, id).await?;
        found.ok_or(StoreError::NotFound(Entity::Credential))
    }

    /// Every credential of a developer leaves its line in the audit log before they all go with the developer.
    pub(super) async fn audit_credentials_of(&mut self, developer: DeveloperId) -> Result<()> {
        let sql = format!("SELECT {COLUMNS} FROM developer_credentials k WHERE k.developer = $1");
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(developer.as_bytes().as_slice())
            .fetch_all(self.conn())
            .await?;
        for row in rows {
            let credential = self.store.read_developer_credential(&row)?;
            self.audit_deleted(&credential).await?;
        }
        Ok(())
    }

    pub async fn delete_developer_credential(
        &mut self,
        developer: DeveloperId,
        kind: PluginKind,
        id: CredentialId,
    ) -> Result<()> {
        let before = self.existing_credential(developer, kind, id).await?;
        sqlx::query("DELETE FROM developer_credentials WHERE id = $1")
            .bind(id.as_bytes().as_slice())
            .execute(self.conn())
            .await?;
        self.audit_deleted(&before).await
    }
}
