//! Access tokens of Kong's OAuth 2.0 in the database, and their records. Only digests of tokens are kept, so that none
//! can be read again. Whether a token is to be given out is not decided here.

use app_auth_core::digest::{KeyDigest, Masked};
use app_auth_core::ids::{ApplicationId, CredentialId, Revision, ServiceId};
use app_auth_core::record::{Record, TokenRecord};
use sqlx::AssertSqlSafe;
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use super::sql::{AnyQuery, Columns as _, count, signed};
use super::{Actor, Result, Store, Writer};
use crate::model::{PlainSecret, Timestamp};

/// Most tokens of one client: of more, the oldest end.
pub const TOKENS_MAX: u64 = 1000;

/// Most tokens that one transaction of [`Store::sweep_tokens`] ends.
const SWEPT_AT_ONCE: usize = 500;

/// A token to be given out.
pub struct NewAccessToken {
    /// Where it is asked for.
    pub service: ServiceId,
    /// It is to be good for every service with `global_credentials`.
    pub global: bool,
    pub client: CredentialId,
    /// Where the record of the client's credential is kept.
    pub client_digest: KeyDigest,
    pub client_id: PlainSecret,
    /// What the token is good for, and what refreshed ones may be.
    pub scope: Option<String>,
    pub granted: Option<String>,
    pub authenticated_userid: Option<String>,
    /// Seconds. Absent: never.
    pub expires_in: Option<u64>,
    pub refresh: Refresh,
    /// The token that was refreshed, which ends.
    pub replaces: Option<Uuid>,
}

/// What a token can be exchanged for.
pub enum Refresh {
    No,
    /// For so many seconds, if not for ever.
    New(Option<u64>),
    /// The same refresh token as before, for so many seconds.
    Again(PlainSecret, Option<u64>),
}

/// A token that was given out. Nobody can read it again.
pub struct GivenToken {
    pub access_token: PlainSecret,
    pub refresh_token: Option<PlainSecret>,
    /// From when on gateways know of it.
    pub revision: Revision,
}

/// What a refresh token stands for.
pub struct Refreshable {
    pub id: Uuid,
    pub client: CredentialId,
    /// Absent: it was given out for every service with `global_credentials`.
    pub service: Option<ServiceId>,
    pub scope: Option<String>,
    pub authenticated_userid: Option<String>,
}

/// Which tokens end.
pub(super) enum Ending {
    One(Uuid),
    OfCredential(CredentialId),
    OfApplication(ApplicationId),
    OfService(ServiceId),
}

/// Which rows `t` a statement is about, and what their condition binds as `$1`.
struct Which {
    condition: String,
    bound: Bound,
}

#[derive(Clone, Copy)]
enum Bound {
    Id([u8; 16]),
    Time(Timestamp),
}

impl Which {
    fn id(condition: &str, id: &[u8; 16]) -> Self {
        Self { condition: condition.to_owned(), bound: Bound::Id(*id) }
    }

    fn query<'q>(&self, sql: String) -> AnyQuery<'q> {
        let query = sqlx::query(AssertSqlSafe(sql));
        match self.bound {
            Bound::Id(id) => query.bind(id.to_vec()),
            Bound::Time(time) => query.bind(time.0),
        }
    }
}

impl From<Ending> for Which {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::One(id) => Self::id("t.id = $1", id.as_bytes()),
            Ending::OfCredential(id) => Self::id("t.credential = $1", id.as_bytes()),
            Ending::OfApplication(id) => {
                let condition = "t.credential IN (SELECT id FROM credentials WHERE application = $1)";
                Self::id(condition, id.as_bytes())
            }
            Ending::OfService(id) => Self::id("t.service = $1", id.as_bytes()),
        }
    }
}

/// Not the digest of an access token, so that neither can stand for the other.
fn refresh_digest(token: &PlainSecret) -> [u8; 32] {
    blake3::derive_key("app-auth OAuth 2.0 refresh token", token.expose().as_bytes())
}

impl Store {
    /// What a refresh token stands for; `None` if it is unknown or has ended.
    pub async fn refreshable(&self, token: &PlainSecret) -> Result<Option<Refreshable>> {
        let wanted = refresh_digest(token);
        let row = sqlx::query(
            "SELECT id, credential, service, refresh_digest, scope, authenticated_userid FROM oauth2_tokens \
             WHERE refresh_digest = $1 AND (ends_at IS NULL OR ends_at > $2)",
        )
        .bind(wanted.as_slice())
        .bind(self.now().0)
        .fetch_optional(&mut *self.reader().await?)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let stored: [u8; 32] = row.array("refresh_digest")?;
        if !bool::from(stored.ct_eq(&wanted)) {
            return Ok(None);
        }
        Ok(Some(Refreshable {
            id: row.uuid("id")?,
            client: CredentialId(row.uuid("credential")?),
            service: row.optional_uuid("service")?.map(ServiceId),
            scope: row.optional_text("scope")?,
            authenticated_userid: row.optional_text("authenticated_userid")?,
        }))
    }

    /// Gives a token out. `None` if what it rests on was taken away meanwhile: the service's OAuth 2.0, the client, or the
    /// token it was to replace.
    pub async fn give_token(&self, new: NewAccessToken) -> Result<Option<GivenToken>> {
        let access_token = PlainSecret::generate(&*self.0.entropy)?;
        let (refresh_token, refresh_ttl) = match new.refresh {
            Refresh::No => (None, None),
            Refresh::New(ttl) => (Some(PlainSecret::generate(&*self.0.entropy)?), ttl),
            Refresh::Again(ref token, ttl) => (Some(token.clone()), ttl),
        };
        // A line in the audit log for each token would bury everything else in it, so none is written.
        let actor = Actor::internal("gateway");
        let mut writer = self.write(&actor).await?;
        if !writer.still_there(&new).await? {
            return Ok(None);
        }
        if let Some(replaced) = new.replaces
            && writer.end_tokens(Ending::One(replaced)).await? == 0
        {
            return Ok(None);
        }
        writer.make_room(new.client).await?;
        let ends = |seconds: Option<u64>| {
            seconds.map(|seconds| writer.now.plus_millis(signed(seconds).saturating_mul(1000)))
        };
        let access_ends_at = ends(new.expires_in);
        let ends_at = if refresh_token.is_some() { ends(refresh_ttl) } else { access_ends_at };
        let id = self.random_id()?;
        let digest = KeyDigest::of_access_token(&self.id(), access_token.expose().as_bytes());
        let service = (!new.global).then_some(new.service);
        sqlx::query(
            "INSERT INTO oauth2_tokens (id, credential, service, access_digest, refresh_digest, scope, \
             authenticated_userid, created_at, access_ends_at, ends_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(id.as_bytes().as_slice())
        .bind(new.client.as_bytes().as_slice())
        .bind(service.map(|service| service.as_bytes().to_vec()))
        .bind(digest.0.as_slice())
        .bind(refresh_token.as_ref().map(|token| refresh_digest(token).to_vec()))
        .bind(new.granted)
        .bind(new.authenticated_userid.clone())
        .bind(writer.now.0)
        .bind(access_ends_at.map(|at| at.0))
        .bind(ends_at.map(|at| at.0))
        .execute(writer.conn())
        .await?;
        let record = Record::Token(TokenRecord {
            credential: new.client_digest,
            service,
            expires_at: access_ends_at.map(|at| u64::try_from(at.0).unwrap_or(0)),
            client_id: Masked::new(
                &self.id(),
                access_token.expose().as_bytes(),
                new.client_id.expose().as_bytes(),
            ),
            scope: new.scope,
            authenticated_userid: new.authenticated_userid,
        });
        writer.add_record(digest, id, &record).await?;
        let revision = writer.commit().await?;
        Ok(Some(GivenToken { access_token, refresh_token, revision }))
    }

    /// Ends some tokens whose time is over. Answers how many; there may be more.
    pub async fn sweep_tokens(&self) -> Result<u64> {
        let now = self.now();
        let mut reader = self.reader().await?;
        let due = count(
            &mut reader,
            "SELECT (SELECT COUNT(*) FROM (SELECT 1 FROM oauth2_tokens WHERE ends_at <= $1 LIMIT 1) AS a) + \
             (SELECT COUNT(*) FROM (SELECT 1 FROM oauth2_tokens WHERE access_ends_at <= $1 \
             AND access_digest IS NOT NULL LIMIT 1) AS b) AS n",
            |query| query.bind(now.0),
        )
        .await?;
        drop(reader);
        if due == 0 {
            return Ok(0);
        }
        let actor = Actor::internal("sweeping");
        let mut writer = self.write(&actor).await?;
        let some = |due: &str, column: &str| Which {
            condition: format!(
                "t.id IN (SELECT id FROM oauth2_tokens WHERE {due} ORDER BY {column}, id LIMIT {SWEPT_AT_ONCE})"
            ),
            bound: Bound::Time(now),
        };
        let ended = writer.end(&some("ends_at <= $1", "ends_at")).await?;
        // What is left can be refreshed, but no gateway needs to know of it any more.
        let expired = some("access_ends_at <= $1 AND access_digest IS NOT NULL", "access_ends_at");
        writer.end_records(&expired).await?;
        let condition = &expired.condition;
        let sql = format!("UPDATE oauth2_tokens AS t SET access_digest = NULL WHERE {condition}");
        let expired = expired.query(sql).execute(writer.conn()).await?.rows_affected();
        writer.commit().await?;
        Ok(ended + expired)
    }
}

impl Writer {
    /// Tokens end at once, with their refresh tokens. Answers how many.
    pub(super) async fn end_tokens(&mut self, ending: Ending) -> Result<u64> {
        self.end(&ending.into()).await
    }

    async fn end(&mut self, which: &Which) -> Result<u64> {
        self.end_records(which).await?;
        let sql = format!("DELETE FROM oauth2_tokens AS t WHERE {}", which.condition);
        Ok(which.query(sql).execute(self.conn()).await?.rows_affected())
    }

    /// The records of tokens become tombstones, all in one statement: a service may have given out very many.
    async fn end_records(&mut self, which: &Which) -> Result<()> {
        let sql = format!(
            "UPDATE records SET body = NULL, deleted_at = $2, revision = $3 + g.place FROM \
             (SELECT r.digest AS digest, ROW_NUMBER() OVER (ORDER BY r.digest) AS place FROM oauth2_tokens t \
             JOIN records r ON r.digest = t.access_digest WHERE {} AND r.body IS NOT NULL) AS g \
             WHERE records.digest = g.digest",
            which.condition
        );
        let (now, revision) = (self.now.0, signed(self.head.revision));
        let ended = which.query(sql).bind(now).bind(revision).execute(self.conn()).await?.rows_affected();
        self.head.revision += ended;
        self.head.records = self.head.records.saturating_sub(ended);
        Ok(())
    }

    /// What was read before this change began may have gone since.
    async fn still_there(&mut self, new: &NewAccessToken) -> Result<bool> {
        let sql = "SELECT COUNT(*) AS n FROM services s, credentials k \
                   WHERE s.id = $1 AND s.oauth2 IS NOT NULL AND k.id = $2 AND k.digest = $3";
        let found = count(self.conn(), sql, |query| {
            query
                .bind(new.service.as_bytes().to_vec())
                .bind(new.client.as_bytes().to_vec())
                .bind(new.client_digest.0.to_vec())
        });
        Ok(found.await? == 1)
    }

    /// The client's oldest tokens make way for one more.
    async fn make_room(&mut self, client: CredentialId) -> Result<()> {
        let sql = "SELECT COUNT(*) AS n FROM oauth2_tokens WHERE credential = $1";
        let held = count(self.conn(), sql, |query| query.bind(client.as_bytes().to_vec())).await?;
        if held < TOKENS_MAX {
            return Ok(());
        }
        let most = held - TOKENS_MAX + 1;
        let oldest = format!(
            "t.id IN (SELECT id FROM oauth2_tokens WHERE credential = $1 ORDER BY created_at, id LIMIT {most})"
        );
        self.end(&Which::id(&oldest, client.as_bytes())).await.map(drop)
    }
}
