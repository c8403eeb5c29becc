//! What a change in progress means for Kong: collected while it is made, written as markers when it is committed. It
//! can be made again with the same ids, so that Kong can be asked before it is committed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use app_auth_core::ids::{ConsumerId, ServiceId};
use uuid::Uuid;

use super::{Claim, Target, Want, consumer, desired};
use crate::model::{Application, Consumer, Developer, Plugin, PluginAnswer, PluginId, Timestamp};
use crate::store::sql::Columns as _;
use crate::store::{Result, Writer};

/// What a change in progress means for Kong.
#[derive(Clone, Default)]
pub(in crate::store) struct Marks {
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

impl Writer {
    /// An id for something new: random, or the one this change made up when it was tried before.
    pub(in crate::store) fn new_id(&mut self) -> Result<Uuid> {
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

    pub(in crate::store) fn take_answer(&mut self, plugin: &mut Plugin) {
        if let Some(answer) = self.kong.answers.remove(&plugin.id) {
            plugin.take(answer);
        }
    }

    /// A developer has changed, come or gone.
    pub(in crate::store) fn mark_developer(&mut self, before: Option<&Developer>, after: Option<&Developer>) {
        self.mark_consumer(before.map(Consumer::from), after.map(Consumer::from));
    }

    /// An application has changed, come or gone.
    pub(in crate::store) fn mark_application(
        &mut self,
        before: Option<&Application>,
        after: Option<&Application>,
    ) {
        self.mark_consumer(before.map(Consumer::from), after.map(Consumer::from));
    }

    fn mark_consumer(&mut self, before: Option<Consumer>, after: Option<Consumer>) {
        if before != after
            && let Some(consumer) = after.or(before)
        {
            self.mark_target(Target::Consumer(consumer.id), consumer.id);
        }
    }

    /// A plugin of this consumer has changed, come or gone.
    pub(in crate::store) fn mark_plugin(&mut self, plugin: PluginId, consumer: ConsumerId) {
        self.mark_target(Target::Plugin(plugin), consumer);
    }

    /// The filter is to come to a service, or to go.
    pub(in crate::store) fn mark_filter(&mut self, service: ServiceId) {
        if self.store.0.attaches_filter {
            self.mark_target(Target::Filter(service), ConsumerId(service.0));
        }
    }

    fn mark_target(&mut self, target: Target, consumer: ConsumerId) {
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

    /// At the end of a change: a marker for everything Kong does not know yet. Answers whether there is any.
    pub(in crate::store) async fn write_marks(&mut self) -> Result<bool> {
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

    pub(super) async fn write_marker(
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
}
