//! Who is signed in at the console. A session is found by the digest of the secret in the browser's cookie, and ends when it
//! was not used for a while, when its time is over, or with the token that opened it. Knows nothing of cookies.

use serde_json::{Value, json};
use sqlx::any::AnyRow;
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use super::audit::Audited;
use super::sql::{Columns as _, count, signed};
use super::{Actor, Entity, Result, Store, StoreError, Writer};
use crate::model::{AccessRole, PlainSecret, Timestamp};

/// Most sessions of one subject: of more, the oldest end.
const SESSIONS_MAX: u64 = 100;
/// How often the time of last use is written down; no session ends for idleness sooner than it can be noted.
const USE_NOTED_EVERY_MS: i64 = 60_000;
/// Most sessions that one transaction of [`Store::prune_sessions`] ends.
const PRUNED_AT_ONCE: i64 = 500;

/// How long sessions last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionLimits {
    /// A session not used for so many milliseconds has ended.
    pub idle_ms: i64,
    /// However much it is used, it ends after so many.
    pub lifetime_ms: i64,
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self { idle_ms: 30 * 60_000, lifetime_ms: 12 * 3_600_000 }
    }
}

/// What a session's role comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Opened {
    /// The token that was shown: its role, whatever that is by then, for as long as it is not revoked.
    ByToken(Uuid),
    /// An identity provider.
    ByProvider {
        role: AccessRole,
        /// Who it is there.
        identity: String,
        /// The digest of the sign-in, and until when that could be answered: it opens one session.
        sign_in: ([u8; 32], Timestamp),
    },
}

/// Somebody who is signed in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Session {
    pub id: Uuid,
    /// What the audit log calls them.
    pub subject: String,
    pub role: AccessRole,
    /// The token that opened it, if one did.
    pub token: Option<Uuid>,
    /// Who it is at the identity provider, if that is where they signed in.
    pub identity: Option<String>,
    pub created_at: Timestamp,
    pub seen_at: Timestamp,
    pub expires_at: Timestamp,
}

const COLUMNS: &str = "SELECT s.id, s.digest, s.subject, s.token, s.identity, COALESCE(s.role, t.role) AS role, \
    s.created_at, s.seen_at, s.expires_at FROM sessions s LEFT JOIN tokens t ON t.id = s.token";

/// Nothing else is hashed this way, so that no digest of another table stands for a session.
fn digest(secret: &PlainSecret) -> [u8; 32] {
    blake3::derive_key("app-auth console session", secret.expose().as_bytes())
}

fn read(row: &AnyRow) -> Result<Session> {
    Ok(Session {
        id: row.uuid("id")?,
        subject: row.text("subject")?,
        role: AccessRole::parse(&row.text("role")?).ok_or(StoreError::Corrupt("sessions.role"))?,
        token: row.optional_uuid("token")?,
        identity: row.optional_text("identity")?,
        created_at: row.time("created_at")?,
        seen_at: row.time("seen_at")?,
        expires_at: row.time("expires_at")?,
    })
}

impl Audited for Session {
    const ENTITY: Entity = Entity::Session;
    fn id(&self) -> Uuid {
        self.id
    }
    fn view(&self) -> Value {
        json!({
            "subject": self.subject,
            "role": self.role.as_str(),
            "token": self.token,
            "identity": self.identity,
            "expires_at": self.expires_at.0,
        })
    }
}

impl Store {
    /// Signs somebody in and answers the secret of the session: it cannot be shown again. A `request` names where it was
    /// asked for. `None` if the token has been revoked meanwhile, or the sign-in has opened a session already.
    pub async fn open_session(
        &self,
        request: &str,
        subject: &str,
        opened: Opened,
    ) -> Result<Option<(Session, PlainSecret)>> {
        let secret = self.generate_secret()?;
        // Whoever it is may sign in, whatever they may change.
        let actor = Actor { request: request.to_owned(), ..Actor::internal(subject) };
        let mut writer = self.write(&actor).await?;
        writer.make_room_for_session(subject).await?;
        let id = self.random_id()?;
        let (token, role, identity) = match opened {
            Opened::ByToken(token) => (Some(token), None, None),
            Opened::ByProvider { role, identity, sign_in } => {
                if !writer.use_sign_in(sign_in).await? {
                    return Ok(None);
                }
                (None, Some(role), Some(identity))
            }
        };
        sqlx::query(
            "INSERT INTO sessions (id, digest, subject, token, role, identity, created_at, seen_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(id.as_bytes().as_slice())
        .bind(digest(&secret).as_slice())
        .bind(subject.to_owned())
        .bind(token.map(|token| token.as_bytes().to_vec()))
        .bind(role.map(AccessRole::as_str))
        .bind(identity)
        .bind(writer.now.0)
        .bind(writer.now.0)
        .bind(writer.now.plus_millis(self.0.sessions.lifetime_ms).0)
        .execute(writer.conn())
        .await?;
        let condition = "WHERE s.id = $1 AND (s.token IS NULL OR t.revoked_at IS NULL)";
        let row = sqlx::query(sqlx::AssertSqlSafe(format!("{COLUMNS} {condition}")))
            .bind(id.as_bytes().as_slice())
            .fetch_optional(writer.conn())
            .await?;
        let Some(session) = row.as_ref().map(read).transpose()? else { return Ok(None) };
        writer.audit(Entity::Session, "sign_in", id, None, Some(session.view())).await?;
        writer.commit().await?;
        Ok(Some((session, secret)))
    }

    /// Writes down that somebody was not let in who signed in at an identity provider, and why.
    pub async fn note_refused_sign_in(&self, request: &str, who: &str, reason: &str) -> Result<()> {
        let actor = Actor { request: request.to_owned(), ..Actor::internal(who) };
        let mut writer = self.write(&actor).await?;
        let id = self.random_id()?;
        let view = json!({ "reason": reason });
        writer.audit(Entity::Session, "sign_in_refused", id, None, Some(view)).await?;
        writer.commit().await.map(drop)
    }

    /// The session of a secret, if it has not ended.
    pub async fn session(&self, secret: &PlainSecret) -> Result<Option<Session>> {
        let wanted = digest(secret);
        let now = self.now();
        let condition = "WHERE s.digest = $1 AND s.expires_at > $2 AND s.seen_at > $3 \
                         AND (s.token IS NULL OR t.revoked_at IS NULL)";
        let row = sqlx::query(sqlx::AssertSqlSafe(format!("{COLUMNS} {condition}")))
            .bind(wanted.as_slice())
            .bind(now.0)
            .bind(now.plus_millis(-self.0.sessions.idle_ms).0)
            .fetch_optional(&mut *self.reader().await?)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let stored: [u8; 32] = row.array("digest")?;
        if !bool::from(stored.ct_eq(&wanted)) {
            return Ok(None);
        }
        let session = read(&row)?;
        if session.seen_at.plus_millis(USE_NOTED_EVERY_MS) <= now {
            self.note_session_use(session.id, now);
        }
        Ok(Some(session))
    }

    /// Signs somebody out. Doing so twice is no error.
    pub async fn close_session(&self, request: &str, session: &Session) -> Result<()> {
        let actor = Actor { request: request.to_owned(), ..Actor::internal(&session.subject) };
        let mut writer = self.write(&actor).await?;
        if writer.end_session(session, "sign_out").await? {
            writer.commit().await?;
        }
        Ok(())
    }

    /// Removes some sessions that have ended. Answers how many; there may be more.
    pub async fn prune_sessions(&self) -> Result<u64> {
        let now = self.now();
        let sql = format!("{COLUMNS} WHERE s.expires_at <= $1 OR s.seen_at <= $2 ORDER BY s.id LIMIT $3");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(now.0)
            .bind(now.plus_millis(-self.0.sessions.idle_ms).0)
            .bind(PRUNED_AT_ONCE)
            .fetch_all(&mut *self.reader().await?)
            .await?;
        if rows.is_empty() {
            return Ok(0);
        }
        let mut writer = self.write(&Actor::internal("sessions")).await?;
        sqlx::query("DELETE FROM sign_ins WHERE ends_at <= $1").bind(now.0).execute(writer.conn()).await?;
        for row in &rows {
            writer.end_session(&read(row)?, "expire").await?;
        }
        writer.commit().await?;
        Ok(rows.len() as u64)
    }

    /// Writes the time of use down, aside: no request waits for it.
    fn note_session_use(&self, id: Uuid, now: Timestamp) {
        let store = self.clone();
        tokio::spawn(async move {
            let noted = sqlx::query("UPDATE sessions SET seen_at = $2 WHERE id = $1 AND seen_at < $2")
                .bind(id.as_bytes().as_slice())
                .bind(now.0)
                .execute(&store.0.writes)
                .await;
            if let Err(error) = noted {
                tracing::debug!(%error, "the time of a session's use was not noted");
            }
        });
    }
}

impl Writer {
    /// Whether the sign-in has not been used before.
    async fn use_sign_in(&mut self, (digest, ends_at): ([u8; 32], Timestamp)) -> Result<bool> {
        let used = sqlx::query(
            "INSERT INTO sign_ins (digest, ends_at) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING",
        )
        .bind(digest.to_vec())
        .bind(ends_at.0)
        .execute(self.conn())
        .await?;
        Ok(used.rows_affected() > 0)
    }

    /// Sessions that a token opened end with it.
    pub(super) async fn end_sessions_of(&mut self, token: Uuid) -> Result<()> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!("{COLUMNS} WHERE s.token = $1")))
            .bind(token.as_bytes().as_slice())
            .fetch_all(self.conn())
            .await?;
        for row in &rows {
            self.end_session(&read(row)?, "revoke").await?;
        }
        Ok(())
    }

    /// The subject's oldest sessions make way for one more.
    async fn make_room_for_session(&mut self, subject: &str) -> Result<()> {
        let sql = "SELECT COUNT(*) AS n FROM sessions WHERE subject = $1";
        let held = count(self.conn(), sql, |query| query.bind(subject.to_owned())).await?;
        let Some(most) = (held + 1).checked_sub(SESSIONS_MAX) else { return Ok(()) };
        let sql = format!("{COLUMNS} WHERE s.subject = $1 ORDER BY s.created_at, s.id LIMIT $2");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(subject.to_owned())
            .bind(signed(most))
            .fetch_all(self.conn())
            .await?;
        for row in &rows {
            self.end_session(&read(row)?, "expire").await?;
        }
        Ok(())
    }

    /// Whether it was still there.
    async fn end_session(&mut self, session: &Session, action: &'static str) -> Result<bool> {
        let ended = sqlx::query("DELETE FROM sessions WHERE id = $1")
            .bind(session.id.as_bytes().as_slice())
            .execute(self.conn())
            .await?
            .rows_affected()
            > 0;
        if ended {
            self.audit(Entity::Session, action, session.id, Some(session.view()), None).await?;
        }
        Ok(ended)
    }
}
