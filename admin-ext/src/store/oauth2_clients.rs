//! OAuth 2 clients as the token endpoint needs them: by their client id, with what their secret is held against.

use app_auth_core::digest::KeyDigest;
use app_auth_core::ids::{CredentialId, StrategyId};
use serde_json::json;
use sqlx::any::AnyRow;

use super::credentials::{ClientSettings, Sealed};
use super::sql::Columns as _;
use super::{Actor, Entity, Result, Store, StoreError};
use crate::model::{ClientType, CredentialKind, PlainSecret};

/// An `oauth2` credential of an application.
pub struct OAuth2Client {
    pub id: CredentialId,
    /// Where the record of the credential is kept.
    pub digest: KeyDigest,
    pub client_type: ClientType,
    pub redirect_uris: Vec<String>,
    pub secret: KeptSecret,
}

/// What is kept of a client secret.
pub enum KeptSecret {
    /// The secret itself.
    Plain {
        secret: PlainSecret,
        /// Only its hash may be kept from now on.
        to_be_hashed: bool,
    },
    Hash(PlainSecret),
}

impl Store {
    /// The client with this id, if it is known and has not expired.
    pub async fn oauth2_client(&self, client_id: &PlainSecret) -> Result<Option<OAuth2Client>> {
        let digest = self.key_digest(StrategyId::KEY_AUTH, client_id);
        let row = sqlx::query(
            "SELECT id, sealed, settings FROM credentials WHERE digest = $1 AND kind = $2 \
             AND (expires_at IS NULL OR expires_at > $3)",
        )
        .bind(digest.0.as_slice())
        .bind(CredentialKind::OAuth2.as_str())
        .bind(self.now().0)
        .fetch_optional(&mut *self.reader().await?)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let (id, settings, sealed) = self.read_client(&row)?;
        let secret = match (settings.secret_hash, sealed.and_then(|sealed| sealed.client_secret.clone())) {
            (Some(hash), _) => KeptSecret::Hash(PlainSecret::new(hash)),
            (None, Some(secret)) => KeptSecret::Plain {
                secret: PlainSecret::new(secret),
                to_be_hashed: self.keeps_hash(settings.hash_secret),
            },
            (None, None) => return Err(StoreError::Corrupt("credentials.settings")),
        };
        Ok(Some(OAuth2Client {
            id,
            digest,
            client_type: ClientType::parse(&settings.client_type)
                .ok_or(StoreError::Corrupt("credentials.settings"))?,
            redirect_uris: settings.redirect_uris,
            secret,
        }))
    }

    /// Keeps the hash of a client secret instead of the secret, which was just used: it was made when secrets were still
    /// kept. The client id stays readable.
    pub async fn hash_kept_secret(&self, id: CredentialId, secret: &PlainSecret) -> Result<()> {
        let hash = self.hash_client_secret(secret).await?;
        let actor = Actor::internal("gateway");
        let mut writer = self.write(&actor).await?;
        let row = sqlx::query("SELECT id, sealed, settings FROM credentials WHERE id = $1")
            .bind(id.as_bytes().as_slice())
            .fetch_optional(writer.conn())
            .await?;
        let Some(row) = row else { return Ok(()) };
        let (_, mut settings, sealed) = self.read_client(&row)?;
        let Some(mut sealed) =
            sealed.filter(|sealed| sealed.client_secret.as_deref() == Some(secret.expose()))
        else {
            return Ok(());
        };
        sealed.client_secret = None;
        settings.secret_hash = Some(hash.expose().to_owned());
        let sealed = self.seal(id, &sealed)?;
        let settings =
            serde_json::to_string(&settings).map_err(|_| StoreError::Corrupt("credentials.settings"))?;
        sqlx::query("UPDATE credentials SET sealed = $2, settings = $3 WHERE id = $1")
            .bind(id.as_bytes().as_slice())
            .bind(sealed)
            .bind(settings)
            .execute(writer.conn())
            .await?;
        let view = json!({ "client_secret": "(hashed)" });
        writer.audit(Entity::Credential, "update", id.0, None, Some(view)).await?;
        writer.commit().await.map(drop)
    }

    fn read_client(&self, row: &AnyRow) -> Result<(CredentialId, ClientSettings, Option<Sealed>)> {
        let id = CredentialId(row.uuid("id")?);
        let settings = row.optional_json("settings")?.ok_or(StoreError::Corrupt("credentials.settings"))?;
        let sealed = row.optional_bytes("sealed")?;
        let sealed = sealed.map(|sealed| self.open_sealed(id, &sealed)).transpose()?;
        Ok((id, settings, sealed))
    }
}
