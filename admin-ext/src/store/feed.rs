//! Reading what the gateways are told: changes after a revision, and everything in the order of digests.
//!
//! Bodies of records are served as they are stored, without being parsed.

use app_auth_core::digest::KeyDigest;
use app_auth_core::feed::bucket_of;
use app_auth_core::ids::{Revision, StoreId};
use app_auth_core::record::Kind;
use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::any::AnyRow;

use super::records::parse_kind;
use super::sql::{Columns as _, signed};
use super::{FeedError, Result, Store, StoreError};

/// A [`FeedPage`](app_auth_core::feed::FeedPage) whose records are still text.
#[derive(Serialize, Debug)]
pub struct RawFeedPage {
    pub store: StoreId,
    pub revision: Revision,
    pub changes: Vec<RawChange>,
}

#[derive(Serialize, Debug)]
pub struct RawChange {
    pub revision: Revision,
    pub key: KeyDigest,
    pub change: RawOperation,
}

#[derive(Serialize, Debug)]
#[serde(rename_all = "snake_case")]
pub enum RawOperation {
    Put(Box<RawValue>),
    Delete(Kind),
}

/// A [`SnapshotRecord`](app_auth_core::feed::SnapshotRecord) that is still text.
#[derive(Serialize, Debug)]
pub struct RawRecord {
    pub key: KeyDigest,
    pub record: Box<RawValue>,
}

/// A stretch of buckets and what is in it.
#[derive(Debug)]
pub struct Stretch {
    /// A revision the records include.
    pub revision: Revision,
    /// The stretch ends before this bucket.
    pub until: u32,
    pub records: Vec<RawRecord>,
}

/// The counters that a feed and a snapshot begin with.
#[derive(Clone, Copy, Debug)]
pub struct FeedHead {
    pub revision: Revision,
    /// Oldest revision from which the feed can be followed.
    pub oldest: Revision,
    /// Number of records.
    pub records: u64,
}

const TOO_OLD: &str = "older than the oldest revision the feed can tell";

fn body(row: &AnyRow) -> Result<Option<Box<RawValue>>> {
    row.optional_text("body")?
        .map(|text| RawValue::from_string(text).map_err(|_| StoreError::Corrupt("records.body")))
        .transpose()
}

impl Store {
    pub async fn feed_head(&self) -> Result<FeedHead> {
        let row = sqlx::query("SELECT revision, oldest, records FROM head WHERE id = 1")
            .fetch_one(&mut *self.reader().await?)
            .await?;
        Ok(FeedHead {
            revision: Revision(row.count("revision")?),
            oldest: Revision(row.count("oldest")?),
            records: row.count("records")?,
        })
    }

    /// The changes after a revision, at most `limit`; none if there are none.
    pub async fn changes(&self, after: Revision, limit: usize) -> Result<RawFeedPage, FeedError> {
        // The head comes first: whatever it counts is in the rows that are read after it.
        let head = self.feed_head().await?;
        if after < head.oldest {
            return Err(FeedError::Gone { after, reason: TOO_OLD });
        }
        if after > head.revision {
            return Err(FeedError::Gone { after, reason: "newer than anything this store said" });
        }
        if after == head.revision {
            return Ok(RawFeedPage { store: self.id(), revision: after, changes: Vec::new() });
        }
        let rows = sqlx::query(
            "SELECT revision, digest, kind, body FROM records WHERE revision > $1 ORDER BY revision LIMIT $2",
        )
        .bind(signed(after.0))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&mut *self.reader().await?)
        .await
        .map_err(StoreError::from)?;
        let changes = rows.iter().map(read_change).collect::<Result<Vec<_>>>()?;
        // Pruning may have come between the two reads and taken a tombstone away that the gateway must hear of.
        if after < self.feed_head().await?.oldest {
            return Err(FeedError::Gone { after, reason: TOO_OLD });
        }
        let last = changes.last().map_or(after, |change| change.revision);
        let revision = if changes.len() < limit { last.max(head.revision) } else { last };
        Ok(RawFeedPage { store: self.id(), revision, changes })
    }

    /// The records of whole buckets from `from` on, before `until`, at depth `bits`: as many buckets as hold at most
    /// `limit` records, but at least one.
    pub async fn stretch(&self, bits: u8, from: u32, until: u32, limit: usize) -> Result<Stretch> {
        let revision = self.feed_head().await?.revision;
        let rows = self.records_between(bits, from, until, Some(limit + 1)).await?;
        if rows.len() <= limit {
            return Ok(Stretch { revision, until, records: rows });
        }
        // The last bucket may not be whole, so the page ends before it.
        let broken = rows.last().map_or(until, |record| bucket_of(&record.key, bits));
        if broken > from {
            let records =
                rows.into_iter().take_while(|record| bucket_of(&record.key, bits) < broken).collect();
            return Ok(Stretch { revision, until: broken, records });
        }
        // A single bucket holds more than a page: it goes out whole, as pages are made of whole buckets.
        let records = self.records_between(bits, from, from.saturating_add(1), None).await?;
        Ok(Stretch { revision, until: from.saturating_add(1), records })
    }

    async fn records_between(
        &self,
        bits: u8,
        from: u32,
        until: u32,
        limit: Option<usize>,
    ) -> Result<Vec<RawRecord>> {
        // The end of the last bucket has no digest; 33 bytes of 0xff are greater than any.
        let end = bucket_start(bits, until).map_or_else(|| vec![0xff; 33], |start| start.to_vec());
        let start = bucket_start(bits, from).map_or_else(|| vec![0xff; 33], |start| start.to_vec());
        let rows = sqlx::query(
            "SELECT digest, body FROM records WHERE digest >= $1 AND digest < $2 AND body IS NOT NULL \
             ORDER BY digest LIMIT $3",
        )
        .bind(start)
        .bind(end)
        .bind(limit.and_then(|limit| i64::try_from(limit).ok()).unwrap_or(i64::MAX))
        .fetch_all(&mut *self.reader().await?)
        .await?;
        rows.iter()
            .map(|row| {
                let record = body(row)?.ok_or(StoreError::Corrupt("records.body"))?;
                Ok(RawRecord { key: KeyDigest(row.array("digest")?), record })
            })
            .collect()
    }
}

fn read_change(row: &AnyRow) -> Result<RawChange> {
    let change = match body(row)? {
        Some(body) => RawOperation::Put(body),
        None => RawOperation::Delete(parse_kind(&row.text("kind")?)?),
    };
    Ok(RawChange { revision: Revision(row.count("revision")?), key: KeyDigest(row.array("digest")?), change })
}

/// The smallest digest of a bucket; `None` past the last bucket.
fn bucket_start(bits: u8, bucket: u32) -> Option<[u8; 32]> {
    let shifted = u64::from(bucket) << (32 - u32::from(bits.min(32)));
    let first = u32::try_from(shifted).ok()?;
    let mut digest = [0; 32];
    digest.get_mut(..4)?.copy_from_slice(&first.to_be_bytes());
    Some(digest)
}
