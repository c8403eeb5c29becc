//! The stream between the admin extension and the gateways, as it is on the wire: JSON over HTTP, bearer gateway token.
//!
//! * `GET /gateway/v1/feed?store=S&after=R&wait=25&limit=500&node=N&version=V` answers 200 with a [`FeedPage`], held open
//!   until there is a change after `R` or `wait` seconds have passed (then `changes` is empty). 410 if the gateway must
//!   take a snapshot: `R` is older than what the store can still tell, or newer than anything it said, or `S` is another store.
//! * `GET /gateway/v1/snapshot?limit=500&node=N&version=V` answers with the first [`SnapshotPage`]; `cursor=C` with the page a
//!   `next` or `cursors` named. `streams=K` on the first call answers no records but up to `K` cursors, which together
//!   cover everything and can be followed in parallel.
//!
//! The feed is *compacted*: it holds each record once, at the revision of its last change. Applying a page twice, or a
//! page that overlaps a snapshot, is therefore harmless, and a record never goes back to an older state.

use serde::{Deserialize, Serialize};

use crate::digest::KeyDigest;
use crate::ids::{Revision, StoreId};
use crate::record::{Kind, Record};

/// Largest `limit` a gateway may ask for. Applying a page of this size keeps a worker busy for less than 5 ms.
pub const PAGE_LIMIT: usize = 500;

/// Longest `wait`, in seconds.
pub const WAIT_MAX_SECONDS: u64 = 60;

/// Changes after a revision, in commit order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FeedPage {
    pub store: StoreId,
    /// Where to follow from: the last change's revision if the page is full, the store's newest otherwise.
    pub revision: Revision,
    pub changes: Vec<Change>,
}

/// One record that changed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Change {
    pub revision: Revision,
    pub key: KeyDigest,
    pub change: Operation,
}

impl Change {
    /// Whether workers must forget the policy they cached.
    pub const fn is_policy(&self) -> bool {
        let kind = match &self.change {
            Operation::Put(record) => record.kind(),
            Operation::Delete(kind) => *kind,
        };
        kind.is_policy()
    }
}

/// What became of a record. On the wire `{"put": {"credential": {…}}}` or `{"delete": "credential"}`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    Put(Record),
    Delete(Kind),
}

/// A stretch of all records, in the order of their keys.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SnapshotPage {
    pub store: StoreId,
    /// A revision that the page's records include. After the last page, follow the feed from the *smallest* of these.
    pub revision: Revision,
    /// Number of records in the store when the first page was made; the same on every page of one snapshot.
    pub total: u64,
    /// Bucket depth the pages are aligned to; [`bucket_bits`] of `total`.
    pub bits: u8,
    /// The page covers buckets `buckets[0]..buckets[1]` at depth `bits` completely: a key in one of them that is not
    /// among `records` does not exist.
    pub buckets: [u32; 2],
    pub records: Vec<SnapshotRecord>,
    /// Cursor of the next page of this stream; absent on its last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// With `streams`: one cursor for each stream. `buckets` is empty then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cursors: Vec<String>,
}

/// One record of a snapshot.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SnapshotRecord {
    pub key: KeyDigest,
    pub record: Record,
}

/// Smallest bucket depth: small stores need no resync before they hold thousands of records.
pub const BITS_MIN: u8 = 8;

/// Largest bucket depth. Bucket numbers of every depth fit 24 bits with room for reserved ones.
pub const BITS_MAX: u8 = 22;

/// The bucket depth for a store of `total` records: about four records a bucket.
pub const fn bucket_bits(total: u64) -> u8 {
    let mut bits = BITS_MIN;
    while bits < BITS_MAX && (4_u64 << bits) < total {
        bits += 1;
    }
    bits
}

/// The bucket a key belongs to at a depth: the digest's first `bits` bits, so that the order of keys is the order of
/// buckets.
pub fn bucket_of(key: &KeyDigest, bits: u8) -> u32 {
    let [a, b, c, d, ..] = key.0;
    let first = u32::from_be_bytes([a, b, c, d]);
    match bits {
        0 => 0,
        1..=31 => first >> (32 - u32::from(bits)),
        _ => first,
    }
}
