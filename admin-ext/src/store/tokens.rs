//! Tokens of operators and gateways: random, named, revocable; only their digests are stored.

use app_auth_core::ids::Revision;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;
use sqlx::any::AnyRow;
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use super::sql::Columns as _;
use super::{Actor, Entity, Result, Store, StoreError};
use crate::model::{AccessRole, PlainSecret, Timestamp, rules};

/// What a token opens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TokenKind {
    /// The admin APIs.
    Admin,
    /// The feed.
    Gateway,
}

impl TokenKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Gateway => "gateway",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text {
            "admin" => Some(Self::Admin),
            "gateway" => Some(Self::Gateway),
            _ => None,
        }
    }

    /// Lets people and secret scanners tell what a token is.
    const fn prefix(self) -> &'static str {
        match self {
            Self::Admin => "aat_",
            Self::Gateway => "agt_",
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Token {
    pub id: Uuid,
    pub kind: TokenKind,
    /// What an admin token is good for; a gateway token opens the feed whatever this is.
    pub role: AccessRole,
    pub name: String,
    pub created_at: Timestamp,
    /// To about a minute.
    pub last_used_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
}

/// Shortest token an operator may choose. Digests of tokens are not salted, so tokens must not be guessable.
pub const TOKEN_MIN: usize = 16;

/// How often the time of last use is written down.
const USE_NOTED_EVERY_MS: i64 = 60_000;

const COLUMNS: &str = "SELECT id, kind, role, name, digest, created_at, last_used_at, revoked_at FROM tokens";

fn digest(token: &PlainSecret) -> [u8; 32] {
    *blake3::hash(token.expose().as_bytes()).as_bytes()
}

fn read(row: &AnyRow) -> Result<Token> {
    Ok(Token {
        id: row.uuid("id")?,
        kind: TokenKind::parse(&row.text("kind")?).ok_or(StoreError::Corrupt("tokens.kind"))?,
        role: AccessRole::parse(&row.text("role")?).ok_or(StoreError::Corrupt("tokens.role"))?,
        name: row.text("name")?,
        created_at: row.time("created_at")?,
        last_used_at: row.optional_int("last_used_at")?.map(Timestamp),
        revoked_at: row.optional_int("revoked_at")?.map(Timestamp),
    })
}

impl Store {
    /// Makes a token and answers it: it cannot be shown again.
    pub async fn create_token(
        &self,
        actor: &Actor,
        kind: TokenKind,
        role: AccessRole,
        name: &str,
    ) -> Result<(Token, PlainSecret)> {
        let mut bytes = zeroize::Zeroizing::new([0_u8; 32]);
        self.0.entropy.fill(bytes.as_mut())?;
        let secret = PlainSecret::new(format!("{}{}", kind.prefix(), URL_SAFE_NO_PAD.encode(*bytes)));
        let token = self.add_token(actor, kind, role, name, &secret).await?;
        Ok((token, secret))
    }

    /// Adds a token the operator chose. One that is there already stays as it is, revoked or not.
    pub async fn adopt_token(
        &self,
        actor: &Actor,
        kind: TokenKind,
        name: &str,
        secret: &PlainSecret,
    ) -> Result<Token> {
        match self.find_token(secret).await? {
            Some(token) if token.kind == kind => Ok(token),
            Some(_) => {
                Err(StoreError::Unique { entity: Entity::Token, field: "token", value: String::new() })
            }
            None => self.add_token(actor, kind, AccessRole::Admin, name, secret).await,
        }
    }

    async fn add_token(
        &self,
        actor: &Actor,
        kind: TokenKind,
        role: AccessRole,
        name: &str,
        secret: &PlainSecret,
    ) -> Result<Token> {
        rules::text("name", name, rules::NAME_MAX)?;
        let mut writer = self.write(actor).await?;
        let token = Token {
            id: self.random_id()?,
            kind,
            role,
            name: name.to_owned(),
            created_at: writer.now,
            last_used_at: None,
            revoked_at: None,
        };
        sqlx::query(
            "INSERT INTO tokens (id, kind, role, name, digest, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(token.id.as_bytes().as_slice())
        .bind(kind.as_str())
        .bind(role.as_str())
        .bind(name.to_owned())
        .bind(digest(secret).as_slice())
        .bind(token.created_at.0)
        .execute(writer.conn())
        .await?;
        let view = json!({ "kind": kind.as_str(), "role": role.as_str(), "name": name });
        writer.audit(Entity::Token, "create", token.id, None, Some(view)).await?;
        writer.commit().await?;
        Ok(token)
    }

    /// Every token, oldest first.
    pub async fn tokens(&self) -> Result<Vec<Token>> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!("{COLUMNS} ORDER BY created_at, id")))
            .fetch_all(&mut *self.reader().await?)
            .await?;
        rows.iter().map(read).collect()
    }

    /// From now on the token opens nothing, and what it opened is closed. Revoking twice is no error.
    pub async fn revoke_token(&self, actor: &Actor, id: Uuid) -> Result<Revision> {
        let mut writer = self.write(actor).await?;
        let revoked = sqlx::query("UPDATE tokens SET revoked_at = COALESCE(revoked_at, $2) WHERE id = $1")
            .bind(id.as_bytes().as_slice())
            .bind(writer.now.0)
            .execute(writer.conn())
            .await?
            .rows_affected();
        if revoked == 0 {
            return Err(StoreError::NotFound(Entity::Token));
        }
        writer.audit(Entity::Token, "revoke", id, None, None).await?;
        writer.end_sessions_of(id).await?;
        writer.commit().await
    }

    /// The token a request came with, if it opens this and is not revoked.
    pub async fn authenticate(&self, kind: TokenKind, secret: &PlainSecret) -> Result<Option<Token>> {
        let found = self.find_token(secret).await?;
        let Some(token) = found.filter(|token| token.kind == kind && token.revoked_at.is_none()) else {
            return Ok(None);
        };
        let now = self.now();
        if token.last_used_at.is_none_or(|at| at.plus_millis(USE_NOTED_EVERY_MS) <= now) {
            self.note_use(token.id, now);
        }
        Ok(Some(token))
    }

    /// Looks a token up by its digest, and compares digests in constant time.
    async fn find_token(&self, secret: &PlainSecret) -> Result<Option<Token>> {
        let wanted = digest(secret);
        let row = sqlx::query(sqlx::AssertSqlSafe(format!("{COLUMNS} WHERE digest = $1")))
            .bind(wanted.as_slice())
            .fetch_optional(&mut *self.reader().await?)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let stored: [u8; 32] = row.array("digest")?;
        if bool::from(stored.ct_eq(&wanted)) { read(&row).map(Some) } else { Ok(None) }
    }

    /// Writes the time of use down, aside: no request waits for it.
    fn note_use(&self, id: Uuid, now: Timestamp) {
        let store = self.clone();
        tokio::spawn(async move {
            let noted = sqlx::query("UPDATE tokens SET last_used_at = $2 WHERE id = $1")
                .bind(id.as_bytes().as_slice())
                .bind(now.0)
                .execute(&store.0.writes)
                .await;
            if let Err(error) = noted {
                tracing::debug!(%error, "the time of a token's use was not noted");
            }
        });
    }
}
