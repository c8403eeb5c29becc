//! Writing feed and snapshot pages into shared data, so that readers never see a wrong answer on the way.
//!
//! Two workers may believe for a moment that they lead. Nothing here relies on being alone: every bucket carries the load
//! (epoch) and the revision it stands for, and a writer never puts an older state over a newer one.

use crate::digest::KeyDigest;
use crate::feed::{BITS_MIN, Change, Operation, SnapshotPage, SnapshotRecord, bucket_of};
use crate::host::SharedData;
use crate::ids::Revision;
use crate::record::Record;
use crate::state::bucket::{encode_entry, entries};
use crate::state::keys::SharedKey;
use crate::state::meta::{Meta, Table};
use crate::state::table::{WriteFault, open_bucket, seal_bucket, update};

/// What a page did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Applied {
    pub added: u64,
    pub removed: u64,
    /// Records that could not be stored: no room, or larger than the layout allows. Each is absent, not outdated.
    pub left_out: u64,
    /// A bucket is gone or foreign: the table has to be loaded again.
    pub damaged: bool,
    /// A bucket grew, so there is room.
    pub grew: bool,
}

/// Applies changes to the serving table. With `careful` no value may grow: on one host a write that finds no room ends the
/// worker's instance, and what cannot be stored is taken out instead, because the record it replaces may permit more.
pub fn changes<S: SharedData>(shared: &S, table: Table, changes: &[Change], careful: bool) -> Applied {
    let mut applied = Applied::default();
    for change in changes {
        apply(shared, table, change, careful, &mut applied);
    }
    applied
}

fn apply<S: SharedData>(shared: &S, table: Table, change: &Change, careful: bool, applied: &mut Applied) {
    let entry = match &change.change {
        Operation::Delete(_) => None,
        Operation::Put(record) => match encode_entry(&change.key, record) {
            Ok(entry) => Some(entry),
            Err(_) => {
                applied.left_out += 1;
                None
            }
        },
    };
    let result = match rewrite(shared, table, change, entry.as_deref(), careful, applied) {
        // The host refused the write: there may be room for less.
        Err(WriteFault::Host(_)) if entry.is_some() => {
            applied.left_out += 1;
            rewrite(shared, table, change, None, careful, applied)
        }
        result => result,
    };
    applied.damaged |= result.is_err();
}

fn rewrite<S: SharedData>(
    shared: &S,
    table: Table,
    change: &Change,
    entry: Option<&[u8]>,
    careful: bool,
    applied: &mut Applied,
) -> Result<(), WriteFault> {
    let key = SharedKey::bucket(table.bits, bucket_of(&change.key, table.bits));
    let mut outcome = Applied::default();
    update(shared, key, |old| {
        outcome = Applied::default();
        let Some(old) = old else {
            outcome.damaged = true;
            return None;
        };
        let Some(opened) = open_bucket(old).filter(|opened| opened.epoch >= table.epoch) else {
            outcome.damaged = true;
            return None;
        };
        if opened.revision >= change.revision {
            return None;
        }
        let (mut body, had) = without(opened.body, &change.key);
        if let Some(entry) = entry {
            if careful && body.len() + entry.len() > opened.body.len() {
                outcome.left_out = 1;
                outcome.removed = u64::from(had);
            } else {
                body.extend_from_slice(entry);
                outcome.added = u64::from(!had);
            }
        } else {
            outcome.removed = u64::from(had);
        }
        outcome.grew = body.len() > opened.body.len();
        Some(seal_bucket(opened.epoch, change.revision, &body))
    })?;
    applied.added += outcome.added;
    applied.removed += outcome.removed;
    applied.left_out += outcome.left_out;
    applied.damaged |= outcome.damaged;
    applied.grew |= outcome.grew;
    Ok(())
}

fn without(body: &[u8], key: &KeyDigest) -> (Vec<u8>, bool) {
    let mut kept = Vec::with_capacity(body.len() + 256);
    let mut had = false;
    for entry in entries(body) {
        if *entry.digest == key.0 {
            had = true;
        } else {
            kept.extend_from_slice(entry.bytes);
        }
    }
    (kept, had)
}

/// Writes the buckets a snapshot page covers, and frees the buckets of a serving table of another depth that they replace.
pub fn snapshot_page<S: SharedData>(
    shared: &S,
    table: Table,
    serving: Option<Table>,
    page: &SnapshotPage,
) -> Result<Applied, WriteFault> {
    let mut applied = Applied::default();
    let [first, end] = page.buckets;
    let mut records = page.records.as_slice();
    for number in first..end {
        let here = records.iter().take_while(|record| bucket_of(&record.key, table.bits) == number).count();
        let (bucket, rest) = records.split_at_checked(here).unwrap_or_default();
        records = rest;
        let mut body = Vec::with_capacity(bucket.len() * 160);
        for SnapshotRecord { key, record } in bucket {
            append(&mut body, key, record, &mut applied);
        }
        let value = seal_bucket(table.epoch, page.revision, &body);
        update(shared, SharedKey::bucket(table.bits, number), |old| {
            let overtaken = old.and_then(open_bucket).is_some_and(|old| old.epoch > table.epoch);
            (!overtaken).then(|| value.clone())
        })?;
    }
    if let Some(serving) = serving.filter(|serving| serving.bits != table.bits) {
        for number in covered(first..end, table.bits, serving.bits) {
            free(shared, serving.bits, number)?;
        }
    }
    Ok(applied)
}

fn append(body: &mut Vec<u8>, key: &KeyDigest, record: &Record, applied: &mut Applied) {
    match encode_entry(key, record) {
        Ok(entry) => {
            body.extend_from_slice(&entry);
            applied.added += 1;
        }
        Err(_) => applied.left_out += 1,
    }
}

/// The buckets of depth `to` that lie completely within buckets of depth `from`.
fn covered(buckets: std::ops::Range<u32>, from: u8, to: u8) -> std::ops::Range<u32> {
    if to >= from {
        let shift = to - from;
        buckets.start << shift..buckets.end << shift
    } else {
        let width = 1_u32 << (from - to);
        buckets.start.div_ceil(width)..buckets.end / width
    }
}

/// Deletes a bucket.
fn free<S: SharedData>(shared: &S, bits: u8, number: u32) -> Result<(), WriteFault> {
    update(shared, SharedKey::bucket(bits, number), |old| old.map(|_| Vec::new())).map(|_| ())
}

/// Deletes some buckets of depths that no table uses any more. Returns where to go on, `None` when nothing is left.
pub fn sweep<S: SharedData>(
    shared: &S,
    meta: &Meta,
    from: SweepPosition,
    count: u32,
) -> Option<SweepPosition> {
    let in_use = |bits: u8| [meta.serving, meta.loading].iter().flatten().any(|table| table.bits == bits);
    let bits =
        (from.bits.max(BITS_MIN)..32).find(|bits| meta.leftover_depths >> bits & 1 == 1 && !in_use(*bits))?;
    let start = if bits == from.bits { from.number } else { 0 };
    let end = start.saturating_add(count).min(1 << bits);
    for number in start..end {
        // A bucket that cannot be freed now is found by the next sweep.
        let _ = free(shared, bits, number);
    }
    Some(if end == 1 << bits {
        SweepPosition { bits: bits + 1, number: 0 }
    } else {
        SweepPosition { bits, number: end }
    })
}

/// How far a sweep has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SweepPosition {
    bits: u8,
    number: u32,
}

/// Changes meta if it can be read and the closure wants to.
pub fn update_meta<S: SharedData>(
    shared: &S,
    mut change: impl FnMut(Option<Meta>) -> Option<Meta>,
) -> Result<(), WriteFault> {
    update(shared, SharedKey::META, |old| {
        change(old.and_then(|old| Meta::decode(old).ok())).map(|meta| meta.encode())
    })
    .map(|_| ())
}

/// Notes that all changes up to a revision are applied and that the admin extension answered.
pub fn advance<S: SharedData>(
    shared: &S,
    table: Table,
    revision: Revision,
    policy: Option<Revision>,
    applied: &Applied,
    now: u64,
) -> Result<(), WriteFault> {
    update_meta(shared, |meta| {
        let mut meta = meta.filter(|meta| meta.serving == Some(table))?;
        meta.revision = meta.revision.max(revision);
        meta.policy_revision = meta.policy_revision.max(policy.unwrap_or_default());
        // Not the later of the two: a clock that was set back must not leave a contact in the future.
        meta.last_contact = now;
        meta.records = (meta.records + applied.added).saturating_sub(applied.removed);
        meta.damaged |= applied.damaged;
        meta.incomplete |= applied.left_out > 0;
        Some(meta)
    })
}
