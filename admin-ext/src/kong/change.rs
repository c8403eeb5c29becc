//! A change that a request makes, and Kong's part in it. One way for every endpoint: [`change()`].
//!
//! What Kong might refuse is told before it is committed, and a marker is written before it is told: wherever the
//! program ends in between, Kong is made to be as the database says. What is gone is committed first and told then.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::time::{Duration, Instant};

use app_auth_core::ids::{ConsumerId, Revision};

use super::admin_api::{CallError, Refusal};
use super::{Kong, backoff};
use crate::model::{PluginAnswer, PluginId};
use crate::store::kong::{Claim, Desired, Target, Want};
use crate::store::{Actor, Result as StoreResult, Store, StoreError, Writer};

/// Most things that Kong is told of while the caller waits; more are told afterwards.
const WAITED_FOR: usize = 8;
/// How often to look whether somebody else has done with a consumer.
const POLL: Duration = Duration::from_millis(20);

/// Whether Kong knows of a change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sync {
    Applied,
    /// It will be told as soon as possible.
    Pending,
}

/// A change that was made.
#[derive(Debug)]
pub struct Changed<T> {
    pub value: T,
    pub revision: Revision,
    /// Absent where it is none of Kong's business.
    pub sync: Option<Sync>,
}

/// A change being made.
pub type Making<'a, T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'a>>;

/// Makes a change, here and in Kong. `apply` may run twice, with the same input; only what it did the last time remains.
pub async fn change<I, T, E, F>(
    store: &Store,
    kong: Option<&Kong>,
    actor: &Actor,
    input: I,
    apply: F,
) -> Result<Changed<T>, E>
where
    E: From<StoreError> + From<Refusal>,
    I: Clone,
    F: for<'a> Fn(&'a mut Writer, I) -> Making<'a, T, E>,
{
    // Kong is told everything, whoever asked for the change.
    let store = &store.with_secrets();
    let mut writer = store.write(actor).await?;
    let value = apply(&mut writer, input.clone()).await?;
    let wants = match kong {
        Some(_) => writer.wants().await?,
        None => Vec::new(),
    };
    let (Some(kong), false) = (kong, wants.is_empty()) else {
        return Ok(Changed { value, revision: writer.commit().await?, sync: None });
    };
    let gone = |want: &Want| matches!(want.desired, Desired::Gone | Desired::GoneWithConsumer);
    if wants.len() > WAITED_FOR || wants.iter().all(gone) || kong.0.presence.is_hopeless() {
        let (revision, sync) = tell_after(store, kong, writer, &wants).await?;
        return Ok(Changed { value, revision, sync: Some(sync) });
    }
    let ids = writer.new_ids();
    drop(writer);

    let Some(claim) = claim(store, kong, &wants).await? else {
        let mut writer = store.write(actor).await?;
        let value = apply(&mut writer, input.clone()).await?;
        return Ok(Changed { value, revision: writer.commit().await?, sync: Some(Sync::Pending) });
    };
    match ask(store, kong, &claim).await {
        Answered::Yes(answers) => {
            let made = async {
                let mut writer = store.write(actor).await?;
                writer.replay(ids, answers);
                let value = apply(&mut writer, input.clone()).await?;
                let settled = writer.settle(&claim).await?;
                writer.release(&claim).await?;
                let sync = Some(if settled { Sync::Applied } else { Sync::Pending });
                Ok(Changed { value, revision: writer.commit().await?, sync })
            };
            given_up(store, &claim, made.await).await
        }
        Answered::Later { error } => {
            let made = async {
                let mut writer = store.write(actor).await?;
                writer.replay(ids, BTreeMap::new());
                let value = apply(&mut writer, input.clone()).await?;
                writer.postpone(error, store.now().plus_millis(backoff::wait_ms(0)));
                writer.release(&claim).await?;
                let revision = writer.commit().await?;
                Ok(Changed { value, revision, sync: Some(Sync::Pending) })
            };
            given_up(store, &claim, made.await).await
        }
        Answered::No { refusal, asked } => {
            store.withdraw_claim(&claim, asked).await?;
            store.kong_news().notify_one();
            Err(refusal.into())
        }
    }
}

/// A change that could not be made after all leaves Kong to be told what is the case instead.
async fn given_up<T, E>(store: &Store, claim: &Claim, made: Result<T, E>) -> Result<T, E> {
    if made.is_err() {
        if let Err(error) = store.release_claim(claim).await {
            tracing::warn!(%error, "a claim was not given up; it ends by itself");
        }
        store.kong_news().notify_one();
    }
    made
}

/// Claims what is to be told, waiting for whoever is at it, but not for long. `None`: they are still at it.
async fn claim(store: &Store, kong: &Kong, wants: &[Want]) -> StoreResult<Option<Claim>> {
    let deadline = Instant::now() + kong.telling_time();
    loop {
        let claim = store.intend(wants, kong.claim_ms()).await?;
        if claim.is_some() || Instant::now() > deadline {
            return Ok(claim);
        }
        tokio::time::sleep(POLL).await;
    }
}

enum Answered {
    Yes(BTreeMap<PluginId, PluginAnswer>),
    /// Kong cannot say now.
    Later {
        error: String,
    },
    /// To the last of so many that were asked.
    No {
        refusal: Refusal,
        asked: usize,
    },
}

async fn ask(store: &Store, kong: &Kong, claim: &Claim) -> Answered {
    let mut answers = BTreeMap::new();
    let stop_at = Instant::now() + kong.telling_time();
    for (place, claimed) in claim.claimed.iter().enumerate() {
        if Instant::now() > stop_at {
            return Answered::Later { error: "no answer in time".into() };
        }
        match kong.tell(&claimed.want).await {
            Ok(answer) => {
                if let (Target::Plugin(id), Some(answer)) = (claimed.want.target, answer) {
                    answers.insert(id, answer);
                }
            }
            Err(CallError::Refused(refusal)) => {
                // It may conflict with something that Kong has still to be told is gone or has another name now.
                let pending = if refusal.status == 409 { store.marker_counts().await.ok() } else { None };
                if pending.is_some_and(|counts| counts.pending > claim.claimed.len() as u64) {
                    return Answered::Later { error: refusal.message() };
                }
                return Answered::No { refusal, asked: place + 1 };
            }
            Err(CallError::Unknown) => return Answered::Later { error: "Kong does not know it".into() },
            Err(CallError::Away(error)) => return Answered::Later { error },
        }
    }
    Answered::Yes(answers)
}

/// Commits, and tells Kong then.
async fn tell_after(
    store: &Store,
    kong: &Kong,
    mut writer: Writer,
    wants: &[Want],
) -> StoreResult<(Revision, Sync)> {
    let consumers: BTreeSet<ConsumerId> = wants.iter().map(|want| want.consumer).collect();
    let claim = if consumers.len() > WAITED_FOR || kong.0.presence.is_hopeless() {
        None
    } else {
        writer.claim_at_commit(kong.claim_ms()).await?
    };
    let revision = writer.commit().await?;
    let Some(until) = claim else { return Ok((revision, Sync::Pending)) };
    let sync = match kong.settle(store, &consumers, until).await {
        Ok(true) => Sync::Applied,
        Ok(false) => Sync::Pending,
        Err(error) => {
            tracing::warn!(%error, "Kong is told of a change later");
            Sync::Pending
        }
    };
    Ok((revision, sync))
}
