//! Tells Kong what it has still to be told, for as long as the program runs; and at once what a deletion left.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use app_auth_core::ids::ConsumerId;
use tokio::task::JoinSet;

use super::admin_api::CallError;
use super::{Kong, backoff};
use crate::model::Timestamp;
use crate::store::Store;
use crate::store::kong::{Claim, Claimed, Told};

/// Consumers whose affairs are claimed together.
const CONSUMERS: usize = 32;
/// Consumers of whom Kong is told at the same time.
const AT_ONCE: usize = 8;
/// How often to look for what other replicas left.
const LOOK: Duration = Duration::from_secs(5);
/// The wait after the database failed.
const DATABASE_WAIT: Duration = Duration::from_secs(1);
/// How often a conflict with something that Kong has still to be told of is tried again.
const CONFLICTS: u32 = 3;

impl Kong {
    /// Tells Kong whatever it has to be told, until it is cancelled.
    pub async fn keep_telling(&self, store: &Store) {
        while let Err(error) = self.begin(store).await {
            tracing::warn!(%error, "what Kong has to be told could not be read; trying again");
            tokio::time::sleep(DATABASE_WAIT).await;
        }
        let mut failures = 0;
        loop {
            match self.pass(store).await {
                Ok(Pass::Nothing) => self.wait_for_news(store).await,
                Ok(Pass::Progress) => {
                    if failures > 0 {
                        self.hurry(store).await;
                    }
                    failures = 0;
                }
                Ok(Pass::NoProgress) => {
                    let woken = tokio::time::timeout(backoff::wait(failures), self.0.awake.notified()).await;
                    failures += 1;
                    if woken.is_ok() {
                        self.hurry(store).await;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "what Kong has to be told could not be read or written");
                    tokio::time::sleep(DATABASE_WAIT).await;
                }
            }
        }
    }

    async fn begin(&self, store: &Store) -> crate::store::Result<()> {
        if !store.has_replicas() {
            // Only this program has the database, so whoever held a claim has ended.
            store.release_all_claims().await?;
        }
        if let Some(filter) = &self.0.filter
            && store.follow_filter(&filter.config).await?
        {
            tracing::info!("the filters on Kong's services are given their configuration");
        }
        if store.follow_kong(&self.0.url).await? {
            tracing::info!("a Kong is followed that was not followed before; it is told of everything");
        }
        Ok(())
    }

    async fn pass(&self, store: &Store) -> crate::store::Result<Pass> {
        // Where nobody answers, one call is enough to find out.
        let consumers = if self.0.presence.is_away() { 1 } else { CONSUMERS };
        let claim = store.claim_markers(consumers, self.claim_ms()).await?;
        if claim.claimed.is_empty() {
            return Ok(Pass::Nothing);
        }
        let told = self.tell_all(store, &claim).await;
        let progress = told.iter().any(|told| matches!(told, Told::Applied(_) | Told::Refused { .. }));
        store.finish_claim(&claim, told).await?;
        Ok(if progress { Pass::Progress } else { Pass::NoProgress })
    }

    /// Kong is there again: what waits for its next try need not wait longer.
    async fn hurry(&self, store: &Store) {
        if let Err(error) = store.hurry_markers().await {
            tracing::warn!(%error, "what Kong has to be told waits longer than it had to");
        }
    }

    async fn wait_for_news(&self, store: &Store) {
        let due = store.next_marker_due().await.ok().flatten();
        let until_due = due.map(|due| due.0.saturating_sub(store.now().0).max(1));
        let wait = until_due.and_then(|wait| u64::try_from(wait).ok()).map_or(LOOK, Duration::from_millis);
        tokio::select! {
            () = store.kong_news().notified() => {}
            () = self.0.awake.notified() => self.hurry(store).await,
            () = tokio::time::sleep(wait.min(LOOK)) => {}
        }
    }

    /// Tells Kong at once what was committed, and claimed, about these consumers. Answers whether Kong knows all about
    /// them now.
    pub(super) async fn settle(
        &self,
        store: &Store,
        consumers: &BTreeSet<ConsumerId>,
        until: Timestamp,
    ) -> crate::store::Result<bool> {
        let claim = store.claimed_at_commit(consumers, until).await?;
        let told = self.tell_all(store, &claim).await;
        store.finish_claim(&claim, told).await?;
        let all = store.unmarked(consumers).await?;
        if !all {
            store.kong_news().notify_one();
        }
        Ok(all)
    }

    /// Tells Kong what is claimed: of one consumer one thing after the other, of several at the same time.
    async fn tell_all(&self, store: &Store, claim: &Claim) -> Vec<Told> {
        let stop_at = Instant::now() + self.telling_time();
        let mut groups: Vec<(usize, Vec<Claimed>)> = Vec::new();
        for (place, claimed) in claim.claimed.iter().enumerate() {
            match groups.last_mut() {
                Some((_, group))
                    if group.last().is_some_and(|last| last.want.consumer == claimed.want.consumer) =>
                {
                    group.push(claimed.clone());
                }
                _ => groups.push((place, vec![claimed.clone()])),
            }
        }
        let mut told = vec![Told::Untouched; claim.claimed.len()];
        let mut telling = JoinSet::new();
        for (place, group) in groups {
            while telling.len() >= AT_ONCE {
                take(&mut told, telling.join_next().await);
            }
            let (kong, store) = (self.clone(), store.clone());
            telling.spawn(async move { (place, kong.tell_group(&store, &group, stop_at).await) });
        }
        while !telling.is_empty() {
            take(&mut told, telling.join_next().await);
        }
        told
    }

    async fn tell_group(&self, store: &Store, group: &[Claimed], stop_at: Instant) -> Vec<Told> {
        let was_away = self.0.presence.is_away();
        let mut told = Vec::with_capacity(group.len());
        for claimed in group {
            // It went away meanwhile, as another call found out.
            let lost = !was_away && self.0.presence.is_away();
            if lost || Instant::now() > stop_at {
                break;
            }
            let failed = |error| Told::Failed {
                error,
                next_at: store.now().plus_millis(backoff::wait_ms(claimed.attempts)),
            };
            told.push(match self.tell(&claimed.want).await {
                Ok(answer) => Told::Applied(answer),
                Err(CallError::Refused(refusal)) => {
                    let passing = refusal.status == 409
                        && claimed.attempts < CONFLICTS
                        && store.marker_counts().await.is_ok_and(|counts| counts.pending > 1);
                    if passing {
                        failed(refusal.message())
                    } else {
                        Told::Refused { error: refusal.message() }
                    }
                }
                Err(CallError::Unknown) => failed("Kong does not know what it is told of".into()),
                Err(CallError::Away(error)) => {
                    told.push(failed(error));
                    break;
                }
            });
        }
        told
    }
}

/// What a look at the markers came to.
enum Pass {
    Nothing,
    Progress,
    NoProgress,
}

type Group = (usize, Vec<Told>);

/// Puts what came of a group in its place. A task that ended early has told nothing.
fn take(told: &mut [Told], ended: Option<Result<Group, tokio::task::JoinError>>) {
    if let Some(Ok((place, group))) = ended {
        for (place, outcome) in told.iter_mut().skip(place).zip(group) {
            *place = outcome;
        }
    }
}
