//! Bulk load: a million credentials in less than a minute, for measurements and for moving in from elsewhere.
//!
//! It takes the same head lock as every write and leaves the same rows behind, but writes many of them with one
//! statement, checks no limits per application, and leaves one line per batch in the audit log.

use app_auth_core::digest::KeyDigest;
use app_auth_core::ids::{
    ApplicationId, ConsumerId, CredentialId, DeveloperId, Revision, ServiceId, StrategyId,
};
use app_auth_core::record::{Connection, ConnectionStatus, CredentialRecord, Kind, Record};
use serde_json::json;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::records::{kind_name, to_body};
use super::sql::{insert, signed};
use super::{Actor, Entity, Result, Store, Writer};
use crate::model::{
    CredentialKind, DeveloperStatus, Email, NewApplication, NewConnection, NewDeveloper, PlainSecret,
};

/// What to load.
#[derive(Clone, Debug)]
pub struct SeedPlan {
    /// Number of applications.
    pub applications: u32,
    /// Number of applications of each approved developer `seed-N@example.com`.
    pub applications_per_developer: u32,
    /// Number of `key-auth` credentials of each application.
    pub keys_per_application: u32,
    /// A service every application gets an approved connection to. It must exist.
    pub service: Option<ServiceId>,
}

impl SeedPlan {
    /// Number of credentials.
    pub fn credentials(&self) -> u64 {
        u64::from(self.applications) * u64::from(self.keys_per_application)
    }
}

/// Applications of one transaction.
const APPLICATIONS: u32 = 100;
/// Rows of one statement. More cost more: SQLite finds the name of each parameter by counting from the first.
const ROWS: usize = 50;
/// Credentials of one transaction.
const BATCH: usize = 100_000;

/// An application that the plan made.
struct Seeded {
    application: ApplicationId,
    developer: DeveloperId,
    consumer: ConsumerId,
    connections: Vec<Connection>,
}

/// A credential that is still to be written.
struct Planned {
    digest: KeyDigest,
    number: u64,
}

/// The key with a number: 32 characters, as generated keys have.
pub fn key(number: u64) -> String {
    format!("seed{number:028}")
}

/// Loads what the plan says. `key` makes the key with a number from 0 on, the same each time; `progress` hears how many
/// credentials are written. Answers the newest revision.
pub async fn seed(
    store: &Store,
    plan: &SeedPlan,
    key: impl Fn(u64) -> String,
    progress: impl Fn(u64),
) -> Result<Revision> {
    let actor = Actor::internal("bulk load");
    let applications = applications(store, &actor, plan).await?;
    let mut planned: Vec<_> = (0..plan.credentials())
        .map(|number| Planned {
            digest: store.key_digest(StrategyId::KEY_AUTH, &PlainSecret::new(key(number))),
            number,
        })
        .collect();
    // In the order of digests, so that the indexes grow at their end.
    planned.sort_unstable_by_key(|planned| planned.digest);

    let run = store.random_id()?;
    let mut written = 0;
    let mut revision = store.feed_head().await?.revision;
    for batch in planned.chunks(BATCH) {
        let mut writer = store.write(&actor).await?;
        for rows in batch.chunks(ROWS) {
            let rows = rows
                .iter()
                .zip(written..)
                .filter_map(|(planned, place)| {
                    let owner = planned.number / u64::from(plan.keys_per_application);
                    let owner = applications.get(usize::try_from(owner).ok()?)?;
                    let id = CredentialId(sequential(run, place));
                    Some(row(store, owner, id, planned, &PlainSecret::new(key(planned.number))))
                })
                .collect::<Result<Vec<_>>>()?;
            written += rows.len() as u64;
            insert_credentials(&mut writer, &rows).await?;
            insert_records(&mut writer, &rows).await?;
            progress(written);
        }
        let view = json!({ "credentials": batch.len() });
        writer.audit(Entity::Credential, "load", run, None, Some(view)).await?;
        revision = writer.commit().await?;
    }
    Ok(revision)
}

/// Makes the developers, applications and connections, some hundred in one transaction.
async fn applications(store: &Store, actor: &Actor, plan: &SeedPlan) -> Result<Vec<Seeded>> {
    let mut seeded = Vec::new();
    let of_each = plan.applications_per_developer.max(1);
    let mut developer = None;
    let mut number = 0;
    while number < plan.applications {
        let mut writer = store.write(actor).await?;
        writer.without_mails();
        for _ in 0..APPLICATIONS.min(plan.applications - number) {
            let owner = match developer {
                Some(owner) if !number.is_multiple_of(of_each) => owner,
                _ => self::developer(&mut writer, number / of_each).await?,
            };
            developer = Some(owner);
            seeded.push(application(&mut writer, owner, number, plan.service).await?);
            number += 1;
        }
        writer.commit().await?;
    }
    Ok(seeded)
}

async fn developer(writer: &mut Writer, number: u32) -> Result<DeveloperId> {
    let email = Email::parse(&format!("seed-{number}@example.com"))?;
    let new = NewDeveloper { status: DeveloperStatus::Approved, ..NewDeveloper::new(email) };
    Ok(writer.create_developer(new).await?.id)
}

async fn application(
    writer: &mut Writer,
    developer: DeveloperId,
    number: u32,
    service: Option<ServiceId>,
) -> Result<Seeded> {
    let new = NewApplication {
        id: None,
        name: format!("application {number}"),
        redirect_uri: "https://example.com/callback".into(),
        description: None,
        meta: None,
        custom_id: None,
        strategy: None,
        ..NewApplication::default()
    };
    let application = writer.create_bare_application(developer, new).await?;
    let mut connections = Vec::new();
    if let Some(service) = service {
        let new = NewConnection { status: Some(ConnectionStatus::Approved), ..NewConnection::new(service) };
        let made = writer.create_connection(application.id, new).await?.connection;
        connections.push(Connection {
            service,
            connection: made.id,
            status: made.status,
            suspended: made.suspended,
        });
    }
    Ok(Seeded { application: application.id, developer, consumer: application.consumer, connections })
}

/// Ids that grow with the place in the load, so that the index on them grows at its end (UUID version 8).
fn sequential(run: Uuid, place: u64) -> Uuid {
    let mut bytes = *run.as_bytes();
    // 48 bits of place, as the version sits right after them.
    for (byte, place) in bytes.iter_mut().zip(place.to_be_bytes().into_iter().skip(2)).take(6) {
        *byte = place;
    }
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// A credential and its record, as they are written.
struct Row {
    id: CredentialId,
    application: ApplicationId,
    digest: KeyDigest,
    last_four: String,
    sealed: Option<Vec<u8>>,
    body: String,
}

fn row(store: &Store, owner: &Seeded, id: CredentialId, planned: &Planned, key: &PlainSecret) -> Result<Row> {
    let record = Record::Credential(CredentialRecord {
        credential: id,
        application: owner.application,
        developer: owner.developer,
        consumer: owner.consumer,
        custom_id: None,
        expires_at: None,
        developer_approved: true,
        connections: owner.connections.clone(),
    });
    Ok(Row {
        id,
        application: owner.application,
        digest: planned.digest,
        last_four: key.last_four(),
        sealed: store.seal_key(id, key, None)?,
        body: to_body(&record)?,
    })
}

async fn insert_credentials(writer: &mut Writer, rows: &[Row]) -> Result<()> {
    let columns = "credentials (id, application, kind, digest, last_four, sealed, tags, created_at)";
    let now = writer.now.0;
    let sql = insert(columns, 8, rows.len());
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for row in rows {
        query = query
            .bind(row.id.as_bytes().as_slice())
            .bind(row.application.as_bytes().as_slice())
            .bind(CredentialKind::KeyAuth.as_str())
            .bind(row.digest.0.as_slice())
            .bind(row.last_four.as_str())
            .bind(row.sealed.clone())
            .bind("[]")
            .bind(now);
    }
    query.execute(writer.conn()).await?;
    Ok(())
}

async fn insert_records(writer: &mut Writer, rows: &[Row]) -> Result<()> {
    let sql = insert("records (digest, revision, kind, owner, body)", 5, rows.len());
    let mut revision = writer.head.revision;
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for row in rows {
        revision += 1;
        query = query
            .bind(row.digest.0.as_slice())
            .bind(signed(revision))
            .bind(kind_name(Kind::Credential))
            .bind(row.application.as_bytes().as_slice())
            .bind(row.body.as_str());
    }
    query.execute(writer.conn()).await?;
    writer.head.revision = revision;
    writer.head.records += rows.len() as u64;
    Ok(())
}
