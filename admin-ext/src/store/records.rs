//! Derives what the gateways are told from what is stored: the records of an application's credentials and of a
//! service. A record equal to the stored one is left alone; one that is derived no longer becomes a tombstone.

use std::collections::BTreeMap;

use app_auth_core::digest::KeyDigest;
use app_auth_core::ids::{
    ApplicationId, ConnectionId, ConsumerId, CredentialId, DeveloperId, Revision, ServiceId, StrategyId,
};
use app_auth_core::record::{
    Connection, ConnectionStatus, CredentialRecord, Kind, Record, ServiceRecord, Strategy, StrategyConfig,
};
use sqlx::AnyConnection;
use uuid::Uuid;

use super::sql::{Columns as _, signed};
use super::writer::Writer;
use super::{Actor, Result, Store, StoreError, auth_strategies, issuers, product_versions, services};
use crate::model::{AuthStrategy, DeveloperStatus, StatusCode as _, StrategyType, Timestamp, ambient};

/// A record as it is to be.
struct Derived {
    owner: Uuid,
    kind: Kind,
    body: String,
}

/// A record as it is stored, not a tombstone.
struct Stored {
    owner: Uuid,
    kind: Kind,
    body: String,
}

/// As the column has it.
pub(super) const fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Credential => "credential",
        Kind::Service => "service",
        Kind::Issuer => "issuer",
        Kind::Token => "token",
    }
}

pub(super) fn parse_kind(text: &str) -> Result<Kind> {
    match text {
        "credential" => Ok(Kind::Credential),
        "service" => Ok(Kind::Service),
        "issuer" => Ok(Kind::Issuer),
        "token" => Ok(Kind::Token),
        _ => Err(StoreError::Corrupt("records.kind")),
    }
}

/// How records are derived. Counts up when the same entities come to other records than before.
const DERIVATION: i64 = 1;

impl Writer {
    /// Has derived again what an earlier version of this program derived in its own way.
    pub(super) async fn follow_derivation(&mut self) -> Result<()> {
        let row = sqlx::query("SELECT derivation FROM head WHERE id = 1").fetch_one(self.conn()).await?;
        if row.int("derivation")? == DERIVATION {
            return Ok(());
        }
        sqlx::query("UPDATE head SET derivation = $1 WHERE id = 1")
            .bind(DERIVATION)
            .execute(self.conn())
            .await?;
        // 1: applications are found by their `custom_id`, strategies and issuers say more.
        let applications = "SELECT id FROM applications WHERE custom_id IS NOT NULL";
        for row in sqlx::query(applications).fetch_all(self.conn()).await? {
            self.touch_application(ApplicationId(row.uuid("id")?));
        }
        for row in sqlx::query("SELECT id FROM services").fetch_all(self.conn()).await? {
            self.touch_service(ServiceId(row.uuid("id")?));
        }
        for row in sqlx::query("SELECT issuer FROM issuers").fetch_all(self.conn()).await? {
            self.touch_issuer(&row.text("issuer")?);
        }
        Ok(())
    }

    /// Brings the records of everything that was touched up to date.
    pub(super) async fn derive_records(&mut self) -> Result<()> {
        let mut derived = BTreeMap::new();
        let mut stored = BTreeMap::new();
        for application in std::mem::take(&mut self.applications) {
            derive_application(self, application, &mut derived).await?;
            load_stored(&mut self.tx, application.0, &mut stored).await?;
        }
        for service in std::mem::take(&mut self.services) {
            let key = KeyDigest::of_service(&self.store.id(), service);
            derive_service(&mut self.tx, service, key, &mut derived).await?;
            load_stored(&mut self.tx, service.0, &mut stored).await?;
        }
        for issuer in std::mem::take(&mut self.issuers) {
            let key = KeyDigest::of_issuer(&self.store.id(), &issuer);
            derive_issuer(&mut self.tx, &issuer, key, &mut derived).await?;
            load_stored(&mut self.tx, issuer_owner(&issuer), &mut stored).await?;
        }
        for (key, gone) in stored.iter().filter(|(key, _)| !derived.contains_key(*key)) {
            self.put_record(*key, gone.owner, gone.kind, None).await?;
            self.head.records = self.head.records.saturating_sub(1);
        }
        for (key, record) in derived {
            match stored.get(&key) {
                Some(stored) if stored.body == record.body && stored.owner == record.owner => continue,
                Some(_) => {}
                None => self.head.records += 1,
            }
            self.put_record(key, record.owner, record.kind, Some(record.body)).await?;
        }
        Ok(())
    }

    /// Writes a record that there was not before.
    pub(super) async fn add_record(&mut self, key: KeyDigest, owner: Uuid, record: &Record) -> Result<()> {
        self.head.records += 1;
        self.put_record(key, owner, record.kind(), Some(to_body(record)?)).await
    }

    /// Writes a record, or its tombstone, at the next revision.
    async fn put_record(
        &mut self,
        key: KeyDigest,
        owner: Uuid,
        kind: Kind,
        body: Option<String>,
    ) -> Result<()> {
        self.head.revision += 1;
        let deleted_at = if body.is_none() { Some(self.now.0) } else { None };
        sqlx::query(
            "INSERT INTO records (digest, revision, kind, owner, body, deleted_at) \
             VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (digest) DO UPDATE SET revision = excluded.revision, kind = excluded.kind, \
             owner = excluded.owner, body = excluded.body, deleted_at = excluded.deleted_at",
        )
        .bind(key.0.as_slice())
        .bind(signed(self.head.revision))
        .bind(kind_name(kind))
        .bind(owner.as_bytes().as_slice())
        .bind(body)
        .bind(deleted_at)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }
}

async fn load_stored(
    conn: &mut AnyConnection,
    owner: Uuid,
    stored: &mut BTreeMap<KeyDigest, Stored>,
) -> Result<()> {
    let rows = sqlx::query("SELECT digest, kind, body FROM records WHERE owner = $1 AND body IS NOT NULL")
        .bind(owner.as_bytes().as_slice())
        .fetch_all(conn)
        .await?;
    for row in rows {
        let record = Stored { owner, kind: parse_kind(&row.text("kind")?)?, body: row.text("body")? };
        stored.insert(KeyDigest(row.array("digest")?), record);
    }
    Ok(())
}

/// The records of an application's credentials; none if there is no such application.
async fn derive_application(
    writer: &mut Writer,
    application: ApplicationId,
    derived: &mut BTreeMap<KeyDigest, Derived>,
) -> Result<()> {
    let (store, blocks) = (writer.store.id(), writer.store.0.revoke_developer_blocks);
    let conn = writer.conn();
    let id = application.as_bytes().as_slice();
    let owner = sqlx::query(
        "SELECT a.consumer, a.custom_id, a.developer, a.strategy, a.client_id, d.status \
         FROM applications a JOIN developers d ON d.id = a.developer WHERE a.id = $1",
    )
    .bind(id)
    .fetch_optional(&mut *conn)
    .await?;
    let Some(owner) = owner else { return Ok(()) };
    let connections = connections(conn, application).await?;
    let status =
        DeveloperStatus::from_code(owner.int("status")?).ok_or(StoreError::Corrupt("developers.status"))?;
    let record = CredentialRecord {
        // Of the application as its issuer knows it, which is no credential of ours.
        credential: CredentialId(application.0),
        application,
        developer: DeveloperId(owner.uuid("developer")?),
        consumer: ConsumerId(owner.uuid("consumer")?),
        custom_id: owner.optional_text("custom_id")?,
        expires_at: None,
        developer_approved: status.lets_in(blocks),
        connections,
    };
    if let (Some(strategy), Some(client_id)) =
        (owner.optional_uuid("strategy")?, owner.optional_text("client_id")?)
    {
        let key = KeyDigest::of_client_id(&store, StrategyId(strategy), client_id.as_bytes());
        let body = to_body(&Record::Credential(record.clone()))?;
        derived.insert(key, Derived { owner: application.0, kind: Kind::Credential, body });
    }
    // Tokens may name their application by it (`consumer_by`).
    if let Some(custom_id) = &record.custom_id {
        let key = KeyDigest::of_custom_id(&store, custom_id.as_bytes());
        let body = to_body(&Record::Credential(record.clone()))?;
        derived.insert(key, Derived { owner: application.0, kind: Kind::Credential, body });
    }
    let credentials = sqlx::query("SELECT id, digest, expires_at FROM credentials WHERE application = $1")
        .bind(id)
        .fetch_all(&mut *conn)
        .await?;
    for credential in credentials {
        let record = Record::Credential(CredentialRecord {
            credential: CredentialId(credential.uuid("id")?),
            expires_at: credential.optional_int("expires_at")?.map(|at| u64::try_from(at).unwrap_or(0)),
            ..record.clone()
        });
        let body = to_body(&record)?;
        let key = KeyDigest(credential.array("digest")?);
        derived.insert(key, Derived { owner: application.0, kind: Kind::Credential, body });
    }
    Ok(())
}

/// In the order of their services, so that the same connections always make the same record.
async fn connections(conn: &mut AnyConnection, application: ApplicationId) -> Result<Vec<Connection>> {
    let rows = sqlx::query(
        "SELECT id, service, status, suspended FROM connections WHERE application = $1 \
         AND service IS NOT NULL ORDER BY service",
    )
    .bind(application.as_bytes().as_slice())
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Connection {
                service: ServiceId(row.uuid("service")?),
                connection: ConnectionId(row.uuid("id")?),
                status: ConnectionStatus::from_code(row.int("status")?)
                    .ok_or(StoreError::Corrupt("connections.status"))?,
                suspended: row.truth("suspended")?,
            })
        })
        .collect()
}

/// The record of a service; none if there is no such service.
async fn derive_service(
    conn: &mut AnyConnection,
    service: ServiceId,
    key: KeyDigest,
    derived: &mut BTreeMap<KeyDigest, Derived>,
) -> Result<()> {
    let Some(found) = services::by_ref(conn, &service.into()).await? else { return Ok(()) };
    let by_itself = || {
        let key_auth = found.key_auth.clone().map(StrategyConfig::KeyAuth);
        let key_auth = key_auth.map(|config| Strategy { id: StrategyId::KEY_AUTH, config });
        let oauth2 = found.oauth2.as_ref().map(|oauth2| StrategyConfig::OAuth2(oauth2.in_force()));
        let oauth2 = oauth2.map(|config| Strategy { id: StrategyId::OAUTH2, config });
        (key_auth.into_iter().chain(oauth2).collect(), false)
    };
    let (strategies, open) = match product_versions::version_of_service(conn, service).await? {
        None => by_itself(),
        Some(version) => match auth_strategies::of_version(conn, version.id).await? {
            // A version nobody gave a strategy is no reason to let everybody in.
            none if none.is_empty() && !version.opened => by_itself(),
            strategies => (strategies.iter().filter_map(in_force).collect(), version.opened),
        },
    };
    let record = Record::Service(ServiceRecord { service, strategies, open });
    derived.insert(key, Derived { owner: service.0, kind: Kind::Service, body: to_body(&record)? });
    Ok(())
}

fn in_force(strategy: &AuthStrategy) -> Option<Strategy> {
    let config = match strategy.strategy_type {
        StrategyType::KeyAuth => strategy.key_auth().map(StrategyConfig::KeyAuth),
        StrategyType::OpenIdConnect => {
            strategy.openid_connect().map(|config| StrategyConfig::OpenIdConnect(Box::new(config)))
        }
    };
    if config.is_none() {
        // The API takes no such thing. Without a strategy in force nobody gets in.
        tracing::error!(strategy = %strategy.id, "a strategy's configuration cannot be used; it is not in force");
    }
    Some(Strategy { id: strategy.id, config: config? })
}

/// The record of an issuer; none as long as nothing is known of it, or no strategy names it.
async fn derive_issuer(
    conn: &mut AnyConnection,
    issuer: &str,
    key: KeyDigest,
    derived: &mut BTreeMap<KeyDigest, Derived>,
) -> Result<()> {
    if let Some(record) = issuers::record(conn, issuer).await? {
        let body = to_body(&Record::Issuer(record))?;
        derived.insert(key, Derived { owner: issuer_owner(issuer), kind: Kind::Issuer, body });
    }
    Ok(())
}

/// Issuers have no id of their own.
fn issuer_owner(issuer: &str) -> Uuid {
    ambient::derived_id("app-auth issuer", issuer.as_bytes())
}

/// A record as the feed shows it.
pub(super) fn to_body(record: &Record) -> Result<String> {
    serde_json::to_string(record).map_err(|_| StoreError::Corrupt("record"))
}

impl Store {
    /// Forgets tombstones that are older than an instant. Gateways that have not heard of them must take the snapshot.
    /// Answers how many were forgotten.
    pub async fn prune(&self, older_than: Timestamp) -> Result<u64> {
        let found = sqlx::query("SELECT COUNT(*) AS n FROM records WHERE deleted_at < $1")
            .bind(older_than.0)
            .fetch_one(&mut *self.reader().await?)
            .await?
            .count("n")?;
        if found == 0 {
            return Ok(0);
        }
        let actor = Actor::internal("pruning");
        let mut writer = self.write(&actor).await?;
        let newest = sqlx::query("SELECT COALESCE(MAX(revision), 0) AS n FROM records WHERE deleted_at < $1")
            .bind(older_than.0)
            .fetch_one(writer.conn())
            .await?
            .count("n")?;
        let gone = sqlx::query("DELETE FROM records WHERE deleted_at < $1")
            .bind(older_than.0)
            .execute(writer.conn())
            .await?
            .rows_affected();
        writer.head.oldest = writer.head.oldest.max(newest);
        let _: Revision = writer.commit().await?;
        Ok(gone)
    }
}
