//! What a Kong has still to be told: markers, written in the transaction of the change they are about. A marker says
//! that something is to be told, not what: that is read from the entities when it is told, so the newest always wins.
//!
//! Whoever tells Kong claims all markers of a consumer first, so that one consumer's affairs are told by one at a time,
//! across replicas too. This module makes no calls.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use app_auth_core::ids::ConsumerId;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe};
use tokio::sync::Notify;
use uuid::Uuid;

use super::sql::{Columns as _, List};
use super::{Actor, Result, Store, StoreError, Writer, applications, developers, plugins};
use crate::model::{
    Application, Consumer, Developer, Listed, Offset, PageRequest, Plugin, PluginAnswer, PluginId, Timestamp,
};

/// What a marker is about. Consumers sort first: plugins need theirs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Target {
    Consumer(ConsumerId),
    Plugin(PluginId),
}

impl Target {
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Consumer(_) => "consumer",
            Self::Plugin(_) => "plugin",
        }
    }

    pub const fn id(self) -> Uuid {
        match self {
            Self::Consumer(id) => id.0,
            Self::Plugin(id) => id.0,
        }
    }

    pub fn parse(kind: &str, id: Uuid) -> Option<Self> {
        match kind {
            "consumer" => Some(Self::Consumer(ConsumerId(id))),
            "plugin" => Some(Self::Plugin(PluginId(id))),
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
}

/// Something Kong is to be told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Want {
    pub target: Target,
    /// The consumer it is about or belongs to.
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

/// What a change in progress means for Kong.
#[derive(Default)]
pub(super) struct Marks {
    marked: BTreeMap<Target, ConsumerId>,
    settled: BTreeSet<Target>,
    claim_until: Timestamp,
    failed: Option<(String, Timestamp)>,
    answers: BTreeMap<PluginId, PluginAnswer>,
    ids: NewIds,
}

/// The ids a change made up, so that the same change can be made again with the same ids.
#[derive(Clone, Default, Debug)]
pub struct NewIds {
    given: VecDeque<Uuid>,
    made: Vec<Uuid>,
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

impl Writer {
    /// An id for something new: random, or the one this change made up when it was tried before.
    pub(super) fn new_id(&mut self) -> Result<Uuid> {
        let id = match self.kong.ids.given.pop_front() {
            Some(id) => id,
            None => self.store.random_id()?,
        };
        self.kong.ids.made.push(id);
        Ok(id)
    }

    /// The ids this change made up.
    pub fn new_ids(&self) -> NewIds {
        NewIds { given: self.kong.ids.made.iter().copied().collect(), made: Vec::new() }
    }

    /// Makes the change with these ids and with what Kong answered to it.
    pub fn replay(&mut self, ids: NewIds, answers: BTreeMap<PluginId, PluginAnswer>) {
        self.kong.ids = ids;
        self.kong.answers = answers;
    }

    pub(super) fn take_answer(&mut self, plugin: &mut Plugin) {
        if let Some(answer) = self.kong.answers.remove(&plugin.id) {
            plugin.take(answer);
        }
    }

    /// A developer has changed, come or gone.
    pub(super) fn mark_developer(&mut self, before: Option<&Developer>, after: Option<&Developer>) {
        self.mark_consumer(before.map(Consumer::from), after.map(Consumer::from));
    }

    /// An application has changed, come or gone.
    pub(super) fn mark_application(&mut self, before: Option<&Application>, after: Option<&Application>) {
        self.mark_consumer(before.map(Consumer::from), after.map(Consumer::from));
    }

    fn mark_consumer(&mut self, before: Option<Consumer>, after: Option<Consumer>) {
        if before != after
            && let Some(consumer) = after.or(before)
        {
            self.mark(Target::Consumer(consumer.id), consumer.id);
        }
    }

    /// A plugin of this consumer has changed, come or gone.
    pub(super) fn mark_plugin(&mut self, plugin: PluginId, consumer: ConsumerId) {
        self.mark(Target::Plugin(plugin), consumer);
    }

    fn mark(&mut self, target: Target, consumer: ConsumerId) {
        if self.store.0.follows_kong {
            self.kong.marked.insert(target, consumer);
        }
    }

    /// What this change means for Kong, as of now.
    pub async fn wants(&mut self) -> Result<Vec<Want>> {
        let marked: Vec<_> = self.kong.marked.iter().map(|(target, id)| (*target, *id)).collect();
        let mut wants = Vec::with_capacity(marked.len());
        for (target, id) in marked {
            let owner = consumer(self.conn(), id).await?;
            let desired = desired(self.conn(), target, owner.as_ref()).await?;
            wants.push(Want { target, consumer: id, desired });
        }
        Ok(wants)
    }

    /// Kong knows of the claimed part of this change, unless somebody changed more since the claim. Answers whether
    /// that is all of the change.
    pub async fn settle(&mut self, claim: &Claim) -> Result<bool> {
        for claimed in &claim.claimed {
            let target = claimed.want.target;
            let row = sqlx::query("SELECT version FROM kong_sync WHERE target = $1 AND id = $2")
                .bind(target.kind())
                .bind(target.id().as_bytes().as_slice())
                .fetch_optional(self.conn())
                .await?;
            if let Some(row) = row
                && row.int("version")? == claimed.version
            {
                self.kong.settled.insert(target);
            }
        }
        let settled = |target| self.kong.settled.contains(target);
        Ok(self.kong.marked.keys().all(settled))
    }

    /// Kong could not be told of this change, and is to be told later.
    pub fn postpone(&mut self, error: String, next_at: Timestamp) {
        self.kong.failed = Some((error, next_at));
    }

    /// Claims this change, so that whoever makes it is the one to tell Kong, once it is committed. `None`: somebody is
    /// telling Kong of one of the consumers already.
    pub async fn claim_at_commit(&mut self, milliseconds: i64) -> Result<Option<Timestamp>> {
        let consumers: BTreeSet<_> = self.kong.marked.values().copied().collect();
        for consumer in consumers {
            if self.is_claimed(consumer).await? {
                return Ok(None);
            }
        }
        self.kong.claim_until = self.now.plus_millis(milliseconds);
        Ok(Some(self.kong.claim_until))
    }

    /// Gives up a claim.
    pub async fn release(&mut self, claim: &Claim) -> Result<()> {
        let consumers: BTreeSet<_> = claim.claimed.iter().map(|claimed| claimed.want.consumer).collect();
        for consumer in consumers {
            sqlx::query("UPDATE kong_sync SET claimed_until = 0 WHERE consumer = $1 AND claimed_until = $2")
                .bind(consumer.as_bytes().as_slice())
                .bind(claim.until.0)
                .execute(self.conn())
                .await?;
        }
        Ok(())
    }

    /// Gives up a claim whose first `asked` wants Kong was asked about and refused the last one of. What Kong never had
    /// to be told before is forgotten, for it has changed on neither side.
    pub async fn withdraw(&mut self, claim: &Claim, asked: usize) -> Result<()> {
        let done = asked.saturating_sub(1);
        for claimed in claim.claimed.iter().skip(done).filter(|claimed| claimed.fresh) {
            self.forget(claimed).await?;
        }
        self.release(claim).await
    }

    /// Deletes a marker whose entity has not changed since it was claimed. Answers whether that was so.
    async fn forget(&mut self, claimed: &Claimed) -> Result<bool> {
        let target = claimed.want.target;
        let deleted = sqlx::query("DELETE FROM kong_sync WHERE target = $1 AND id = $2 AND version = $3")
            .bind(target.kind())
            .bind(target.id().as_bytes().as_slice())
            .bind(claimed.version)
            .execute(self.conn())
            .await?;
        Ok(deleted.rows_affected() > 0)
    }

    /// At the end of a change: a marker for everything Kong does not know yet. Answers whether there is any.
    pub(super) async fn write_marks(&mut self) -> Result<bool> {
        let marks = std::mem::take(&mut self.kong);
        for target in &marks.settled {
            sqlx::query("DELETE FROM kong_sync WHERE target = $1 AND id = $2")
                .bind(target.kind())
                .bind(target.id().as_bytes().as_slice())
                .execute(self.conn())
                .await?;
        }
        let mut left = false;
        for (target, consumer) in marks.marked {
            if !marks.settled.contains(&target) {
                left = true;
                self.write_marker(target, consumer, marks.claim_until, marks.failed.as_ref()).await?;
            }
        }
        Ok(left)
    }

    async fn write_marker(
        &mut self,
        target: Target,
        consumer: ConsumerId,
        claimed_until: Timestamp,
        failed: Option<&(String, Timestamp)>,
    ) -> Result<()> {
        let now = self.now;
        sqlx::query(
            "INSERT INTO kong_sync (target, id, consumer, version, attempts, next_at, claimed_until, refused, error, \
             created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, $9) ON CONFLICT (target, id) DO UPDATE SET \
             version = CASE WHEN excluded.version > kong_sync.version THEN excluded.version \
             ELSE kong_sync.version + 1 END, attempts = excluded.attempts, next_at = excluded.next_at, \
             claimed_until = CASE WHEN excluded.claimed_until > 0 THEN excluded.claimed_until \
             ELSE kong_sync.claimed_until END, refused = 0, error = excluded.error",
        )
        .bind(target.kind())
        .bind(target.id().as_bytes().as_slice())
        .bind(consumer.as_bytes().as_slice())
        .bind(now.0)
        .bind(i64::from(failed.is_some()))
        .bind(failed.map_or(now, |(_, next_at)| *next_at).0)
        .bind(claimed_until.0)
        .bind(failed.map(|(error, _)| error.clone()))
        .bind(now.0)
        .execute(self.conn())
        .await?;
        if matches!(target, Target::Consumer(_)) {
            // Its plugins may have been refused because of it.
            sqlx::query("UPDATE kong_sync SET refused = 0, next_at = $2 WHERE consumer = $1 AND refused = 1")
                .bind(consumer.as_bytes().as_slice())
                .bind(now.0)
                .execute(self.conn())
                .await?;
        }
        Ok(())
    }

    /// Whether somebody is telling Kong of a consumer now.
    async fn is_claimed(&mut self, consumer: ConsumerId) -> Result<bool> {
        let now = self.now;
        let row =
            sqlx::query("SELECT 1 AS n FROM kong_sync WHERE consumer = $1 AND claimed_until > $2 LIMIT 1")
                .bind(consumer.as_bytes().as_slice())
                .bind(now.0)
                .fetch_optional(self.conn())
                .await?;
        Ok(row.is_some())
    }

    /// Claims what is due of a consumer.
    async fn claim_due(&mut self, id: ConsumerId, until: Timestamp) -> Result<Vec<Claimed>> {
        let now = self.now;
        let sql = format!(
            "UPDATE kong_sync AS k SET claimed_until = $3 WHERE k.consumer = $1 AND k.refused = 0 AND k.next_at <= $2 \
             RETURNING {}",
            MARKER.replace("k.", "")
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(id.as_bytes().as_slice())
            .bind(now.0)
            .bind(until.0)
            .fetch_all(self.conn())
            .await?;
        claimed(self.conn(), id, &rows).await
    }
}

impl Store {
    /// Who keeps the markers, where no request does.
    fn keeper() -> Actor {
        Actor { name: "kong sync".into(), request: String::new() }
    }

    /// Rings when a change was committed that Kong has still to be told of.
    pub fn kong_news(&self) -> &Notify {
        &self.0.kong_news
    }

    /// Claims what is due, of so many consumers at most.
    pub async fn claim_markers(&self, consumers: usize, milliseconds: i64) -> Result<Claim> {
        let mut writer = self.write(&Self::keeper()).await?;
        let now = writer.now;
        let rows = sqlx::query(
            "SELECT k.consumer FROM kong_sync k WHERE k.refused = 0 AND k.next_at <= $1 AND NOT EXISTS \
             (SELECT 1 FROM kong_sync c WHERE c.consumer = k.consumer AND c.claimed_until > $1) \
             ORDER BY k.next_at LIMIT 200",
        )
        .bind(now.0)
        .fetch_all(writer.conn())
        .await?;
        let mut due = Vec::new();
        for row in &rows {
            let consumer = ConsumerId(row.uuid("consumer")?);
            if !due.contains(&consumer) && due.len() < consumers {
                due.push(consumer);
            }
        }
        let mut claim = Claim { until: now.plus_millis(milliseconds), claimed: Vec::new() };
        for consumer in due {
            claim.claimed.extend(writer.claim_due(consumer, claim.until).await?);
        }
        writer.commit().await?;
        Ok(claim)
    }

    /// What was claimed of these consumers with [`Writer::claim_at_commit`].
    pub async fn claimed_at_commit(
        &self,
        consumers: &BTreeSet<ConsumerId>,
        until: Timestamp,
    ) -> Result<Claim> {
        let mut reader = self.reader().await?;
        let mut claim = Claim { until, claimed: Vec::new() };
        for id in consumers {
            let sql =
                format!("SELECT {MARKER} FROM kong_sync k WHERE k.consumer = $1 AND k.claimed_until = $2");
            let rows = sqlx::query(AssertSqlSafe(sql))
                .bind(id.as_bytes().as_slice())
                .bind(until.0)
                .fetch_all(&mut *reader)
                .await?;
            claim.claimed.extend(claimed(&mut reader, *id, &rows).await?);
        }
        Ok(claim)
    }

    /// Writes down what is going to be told, before it is told; should this program end in between, the markers are
    /// there. `None`: somebody is telling Kong of one of the consumers already.
    pub async fn intend(&self, wants: &[Want], milliseconds: i64) -> Result<Option<Claim>> {
        let mut writer = self.write(&Self::keeper()).await?;
        let until = writer.now.plus_millis(milliseconds);
        let consumers: BTreeSet<_> = wants.iter().map(|want| want.consumer).collect();
        for consumer in consumers {
            if writer.is_claimed(consumer).await? {
                return Ok(None);
            }
        }
        let mut claimed = Vec::with_capacity(wants.len());
        for want in wants {
            let key = |sql: &'static str| {
                sqlx::query(sql).bind(want.target.kind()).bind(want.target.id().as_bytes().to_vec())
            };
            let before = key("SELECT version FROM kong_sync WHERE target = $1 AND id = $2");
            let fresh = before.fetch_optional(writer.conn()).await?.is_none();
            writer.write_marker(want.target, want.consumer, until, None).await?;
            let after = key("SELECT version FROM kong_sync WHERE target = $1 AND id = $2");
            let version = after.fetch_one(writer.conn()).await?.int("version")?;
            claimed.push(Claimed { want: want.clone(), attempts: 0, version, fresh });
        }
        writer.commit().await?;
        Ok(Some(Claim { until, claimed }))
    }

    /// Writes down what came of a claim and gives it up.
    pub async fn finish_claim(&self, claim: &Claim, told: Vec<Told>) -> Result<()> {
        let mut writer = self.write(&Self::keeper()).await?;
        for (claimed, told) in claim.claimed.iter().zip(told) {
            let target = claimed.want.target;
            let (refused, error, next_at) = match told {
                Told::Untouched => continue,
                Told::Applied(answer) => {
                    if writer.forget(claimed).await?
                        && let (Target::Plugin(id), Some(answer)) = (target, answer)
                    {
                        plugins::keep_answer(writer.conn(), id, answer).await?;
                    }
                    continue;
                }
                Told::Failed { error, next_at } => (0, error, next_at),
                Told::Refused { error } => (1, error, writer.now),
            };
            sqlx::query(
                "UPDATE kong_sync SET refused = $4, error = $5, next_at = $6, attempts = attempts + 1 \
                 WHERE target = $1 AND id = $2 AND version = $3",
            )
            .bind(target.kind())
            .bind(target.id().as_bytes().as_slice())
            .bind(claimed.version)
            .bind(refused)
            .bind(error)
            .bind(next_at.0)
            .execute(writer.conn())
            .await?;
        }
        writer.release(claim).await?;
        writer.commit().await.map(drop)
    }

    /// Gives up a claim; what is claimed is due again.
    pub async fn release_claim(&self, claim: &Claim) -> Result<()> {
        let mut writer = self.write(&Self::keeper()).await?;
        writer.release(claim).await?;
        writer.commit().await.map(drop)
    }

    /// See [`Writer::withdraw`].
    pub async fn withdraw_claim(&self, claim: &Claim, asked: usize) -> Result<()> {
        let mut writer = self.write(&Self::keeper()).await?;
        writer.withdraw(claim, asked).await?;
        writer.commit().await.map(drop)
    }

    /// Gives up every claim: whoever held one has ended.
    pub async fn release_all_claims(&self) -> Result<()> {
        let mut writer = self.write(&Self::keeper()).await?;
        sqlx::query("UPDATE kong_sync SET claimed_until = 0 WHERE claimed_until > 0")
            .execute(writer.conn())
            .await?;
        writer.commit().await.map(drop)
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
        const ALL: [&str; 3] = [
            "SELECT 'consumer', d.consumer, d.consumer, $1, 0, $1, 0, 0, NULL, $1 FROM developers d WHERE 1 = 1",
            "SELECT 'consumer', a.consumer, a.consumer, $1, 0, $1, 0, 0, NULL, $1 FROM applications a WHERE 1 = 1",
            "SELECT 'plugin', p.id, d.consumer, $1, 0, $1, 0, 0, NULL, $1 FROM developer_plugins p \
             JOIN developers d ON d.id = p.developer WHERE 1 = 1",
        ];
        let now = self.now;
        for select in ALL {
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
