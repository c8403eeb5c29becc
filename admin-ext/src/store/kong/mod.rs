//! What a Kong has still to be told: markers, written in the transaction of the change they are about. A marker says
//! that something is to be told, not what: that is read from the entities when it is told, so the newest always wins.
//!
//! Whoever tells Kong claims all markers of a consumer first, so that one consumer's affairs are told by one at a time,
//! across replicas too. This module makes no calls.

mod claims;
mod filter;
mod marks;

use std::collections::BTreeSet;

use app_auth_core::ids::{ConsumerId, ServiceId};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe};
use tokio::sync::Notify;
use uuid::Uuid;

pub(super) use self::marks::Marks;
pub use self::marks::NewIds;
use super::sql::{Columns as _, List};
use super::{Actor, Result, Store, StoreError, Writer, applications, developers, plugins, product_versions};
use crate::model::{Consumer, Listed, Offset, PageRequest, Plugin, PluginAnswer, PluginId, Timestamp};

/// What a marker is about. Consumers sort first: plugins need theirs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Target {
    Consumer(ConsumerId),
    Plugin(PluginId),
    /// The filter on a service.
    Filter(ServiceId),
}

impl Target {
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Consumer(_) => "consumer",
            Self::Plugin(_) => "plugin",
            Self::Filter(_) => "filter",
        }
    }

    pub const fn id(self) -> Uuid {
        match self {
            Self::Consumer(id) => id.0,
            Self::Plugin(id) => id.0,
            Self::Filter(id) => id.0,
        }
    }

    pub fn parse(kind: &str, id: Uuid) -> Option<Self> {
        match kind {
            "consumer" => Some(Self::Consumer(ConsumerId(id))),
            "plugin" => Some(Self::Plugin(PluginId(id))),
            "filter" => Some(Self::Filter(ServiceId(id))),
            _ => None,
        }
    }
}

/// What is to be in Kong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Desired {
    Gone,
    /// Gone, and its consumer as well.
    GoneWithConsumer,
    Consumer(Consumer),
    Plugin(Box<(Plugin, Consumer)>),
    /// The filter stands on the service.
    Filter(ServiceId),
}

/// Something Kong is to be told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Want {
    pub target: Target,
    /// The consumer it is about or belongs to; of a filter, the service stands for one.
    pub consumer: ConsumerId,
    pub desired: Desired,
}

/// Something that is claimed, with the marker's state when it was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claimed {
    pub want: Want,
    pub attempts: u32,
    version: i64,
    /// There was no marker before.
    fresh: bool,
}

/// Markers nobody else works on for now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claim {
    pub until: Timestamp,
    /// Of one consumer after the other, the consumer itself first.
    pub claimed: Vec<Claimed>,
}

/// What came of telling Kong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Told {
    Applied(Option<PluginAnswer>),
    /// To be tried again.
    Failed {
        error: String,
        next_at: Timestamp,
    },
    /// Kong understood and does not want it.
    Refused {
        error: String,
    },
    /// Not tried.
    Untouched,
}

/// A marker, for those who look.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Marker {
    pub target: Target,
    pub consumer: ConsumerId,
    pub refused: bool,
    pub attempts: u32,
    pub next_at: Timestamp,
    pub error: Option<String>,
    /// Since when Kong is behind.
    pub created_at: Timestamp,
}

/// Number of markers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MarkerCounts {
    pub pending: u64,
    pub refused: u64,
}

const MARKER: &str =
    "k.target, k.id, k.consumer, k.version, k.attempts, k.next_at, k.refused, k.error, k.created_at";

fn read(row: &AnyRow) -> Result<Marker> {
    Ok(Marker {
        target: Target::parse(&row.text("target")?, row.uuid("id")?)
            .ok_or(StoreError::Corrupt("kong_sync.target"))?,
        consumer: ConsumerId(row.uuid("consumer")?),
        refused: row.truth("refused")?,
        attempts: u32::try_from(row.int("attempts")?).unwrap_or(u32::MAX),
        next_at: row.time("next_at")?,
        error: row.optional_text("error")?,
        created_at: row.time("created_at")?,
    })
}

/// The developer or application that has this consumer, as Kong is to see it.
async fn consumer(conn: &mut AnyConnection, id: ConsumerId) -> Result<Option<Consumer>> {
    let sql = format!("SELECT {} FROM developers d WHERE d.consumer = $1", developers::COLUMNS);
    let developer = sqlx::query(AssertSqlSafe(sql)).bind(id.as_bytes().as_slice()).fetch_optional(&mut *conn);
    if let Some(row) = developer.await? {
        return Ok(Some(Consumer::from(&developers::read(&row)?)));
    }
    let sql = format!("SELECT {} FROM applications a WHERE a.consumer = $1", applications::COLUMNS);
    let application = sqlx::query(AssertSqlSafe(sql)).bind(id.as_bytes().as_slice()).fetch_optional(conn);
    let Some(row) = application.await? else { return Ok(None) };
    Ok(Some(Consumer::from(&applications::read(&row)?)))
}

async fn desired(conn: &mut AnyConnection, target: Target, owner: Option<&Consumer>) -> Result<Desired> {
    Ok(match (target, owner) {
        (Target::Filter(service), _) => match product_versions::version_of_service(conn, service).await? {
            Some(_) => Desired::Filter(service),
            None => Desired::Gone,
        },
        (Target::Consumer(_), None) => Desired::Gone,
        (Target::Plugin(_), None) => Desired::GoneWithConsumer,
        (Target::Consumer(_), Some(owner)) => Desired::Consumer(owner.clone()),
        (Target::Plugin(id), Some(owner)) => match plugins::by_id(conn, id).await? {
            Some(plugin) => Desired::Plugin(Box::new((plugin, owner.clone()))),
            None => Desired::Gone,
        },
    })
}

/// What the markers of a consumer stand for, the consumer itself first.
async fn claimed(conn: &mut AnyConnection, id: ConsumerId, rows: &[AnyRow]) -> Result<Vec<Claimed>> {
    let owner = consumer(conn, id).await?;
    let mut claimed = Vec::with_capacity(rows.len());
    for row in rows {
        let marker = read(row)?;
        let desired = desired(conn, marker.target, owner.as_ref()).await?;
        let want = Want { target: marker.target, consumer: id, desired };
        let version = row.int("version")?;
        claimed.push(Claimed { want, attempts: marker.attempts, version, fresh: false });
    }
    claimed.sort_by_key(|claimed| claimed.want.target);
    Ok(claimed)
}

impl Store {
    /// Who keeps the markers, where no request does.
    fn keeper() -> Actor {
        Actor::internal("kong sync")
    }

    /// Rings when a change was committed that Kong has still to be told of.
    pub fn kong_news(&self) -> &Notify {
        &self.0.kong_news
    }

    /// What waits for its next try is due now.
    pub async fn hurry_markers(&self) -> Result<()> {
        let mut writer = self.write(&Self::keeper()).await?;
        let now = writer.now;
        sqlx::query("UPDATE kong_sync SET next_at = $1 WHERE refused = 0 AND next_at > $1")
            .bind(now.0)
            .execute(writer.conn())
            .await?;
        writer.commit().await.map(drop)
    }

    /// When the next marker is due that nobody works on; `None` if there is none.
    pub async fn next_marker_due(&self) -> Result<Option<Timestamp>> {
        let row = sqlx::query(
            "SELECT MIN(CASE WHEN claimed_until > next_at THEN claimed_until ELSE next_at END) AS due \
             FROM kong_sync WHERE refused = 0",
        )
        .fetch_one(&mut *self.reader().await?)
        .await?;
        Ok(row.optional_int("due")?.map(Timestamp))
    }

    /// Marks everything, as for a Kong that knows nothing. Answers the number of markers.
    pub async fn mark_everything(&self) -> Result<u64> {
        let mut writer = self.write(&Self::keeper()).await?;
        let count = writer.mark_everything().await?;
        writer.commit().await?;
        Ok(count)
    }

    /// Marks everything if this Kong is not the one that was followed so far.
    pub async fn follow_kong(&self, url: &str) -> Result<bool> {
        let mut writer = self.write(&Self::keeper()).await?;
        let row =
            sqlx::query("SELECT url FROM kong_followed WHERE id = 1").fetch_optional(writer.conn()).await?;
        if row.map(|row| row.text("url")).transpose()?.is_some_and(|known| known == url) {
            return Ok(false);
        }
        writer.mark_everything().await?;
        sqlx::query(
            "INSERT INTO kong_followed (id, url) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET url = excluded.url",
        )
        .bind(url.to_owned())
        .execute(writer.conn())
        .await?;
        writer.commit().await?;
        Ok(true)
    }

    /// Marks one thing for a try at once. `None`: Kong knows it already.
    pub async fn retry_marker(&self, target: Target) -> Result<Option<Marker>> {
        let mut writer = self.write(&Self::keeper()).await?;
        let now = writer.now;
        let sql = format!(
            "UPDATE kong_sync SET refused = 0, attempts = 0, next_at = $3 WHERE target = $1 AND id = $2 RETURNING {}",
            MARKER.replace("k.", "")
        );
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(target.kind())
            .bind(target.id().as_bytes().as_slice())
            .bind(now.0)
            .fetch_optional(writer.conn())
            .await?;
        let marker = row.as_ref().map(read).transpose()?;
        writer.commit().await?;
        Ok(marker)
    }

    /// What Kong has still to be told; `refused`: only what it refused, or only the rest.
    pub async fn markers(&self, refused: Option<bool>, page: PageRequest) -> Result<Listed<Marker>> {
        let from =
            if refused.is_some() { "kong_sync k WHERE k.refused = $1" } else { "kong_sync k WHERE 1 = 1" };
        List { columns: MARKER, from, bound: usize::from(refused.is_some()), alias: "k" }
            .page(
                &mut *self.reader().await?,
                page,
                |query| match refused {
                    Some(refused) => query.bind(i64::from(refused)),
                    None => query,
                },
                read,
                |marker| Offset { created_at: marker.created_at, id: marker.target.id() },
            )
            .await
    }

    /// Whether Kong knows everything about these consumers.
    pub async fn unmarked(&self, consumers: &BTreeSet<ConsumerId>) -> Result<bool> {
        let mut reader = self.reader().await?;
        for consumer in consumers {
            let row = sqlx::query("SELECT 1 AS n FROM kong_sync WHERE consumer = $1 LIMIT 1")
                .bind(consumer.as_bytes().as_slice())
                .fetch_optional(&mut *reader)
                .await?;
            if row.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub async fn marker_counts(&self) -> Result<MarkerCounts> {
        let rows = sqlx::query("SELECT refused, COUNT(*) AS n FROM kong_sync GROUP BY refused")
            .fetch_all(&mut *self.reader().await?)
            .await?;
        let mut counts = MarkerCounts::default();
        for row in &rows {
            let count = row.count("n")?;
            if row.truth("refused")? { counts.refused = count } else { counts.pending = count }
        }
        Ok(counts)
    }
}

impl Writer {
    async fn mark_everything(&mut self) -> Result<u64> {
        const FILTERS: &str = "SELECT 'filter', v.service, v.service, $1, 0, $1, 0, 0, NULL, $1 \
            FROM product_versions v WHERE v.service IS NOT NULL";
        const ALL: [&str; 3] = [
            "SELECT 'consumer', d.consumer, d.consumer, $1, 0, $1, 0, 0, NULL, $1 FROM developers d WHERE 1 = 1",
            "SELECT 'consumer', a.consumer, a.consumer, $1, 0, $1, 0, 0, NULL, $1 FROM applications a WHERE 1 = 1",
            "SELECT 'plugin', p.id, d.consumer, $1, 0, $1, 0, 0, NULL, $1 FROM developer_plugins p \
             JOIN developers d ON d.id = p.developer WHERE 1 = 1",
        ];
        let now = self.now;
        let filters = self.store.0.attaches_filter.then_some(FILTERS);
        for select in ALL.into_iter().chain(filters) {
            let sql = format!(
                "INSERT INTO kong_sync (target, id, consumer, version, attempts, next_at, claimed_until, refused, \
                 error, created_at) {select} ON CONFLICT (target, id) DO NOTHING"
            );
            sqlx::query(AssertSqlSafe(sql)).bind(now.0).execute(self.conn()).await?;
        }
        sqlx::query("UPDATE kong_sync SET version = version + 1, attempts = 0, next_at = $1, refused = 0, error = NULL")
            .bind(now.0)
            .execute(self.conn())
            .await?;
        let row = sqlx::query("SELECT COUNT(*) AS n FROM kong_sync").fetch_one(self.conn()).await?;
        row.count("n")
    }
}
