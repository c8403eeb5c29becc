//! Reading and writing the node's shared data, values checked and races settled.

use std::cell::Cell;

use crate::digest::KeyDigest;
use crate::feed::bucket_of;
use crate::host::{HostFailure, SetFailure, SharedData, Stored};
use crate::ids::Revision;
use crate::record::Kind;
use crate::state::bucket;
use crate::state::envelope::{self, Broken, Opened, ValueKind};
use crate::state::keys::SharedKey;
use crate::state::meta::{Meta, Table};

/// How often a value that does not hold together is read again before it counts as broken. A tear lasts as long as the
/// writer's copy, which is shorter than one read.
const READS: usize = 8;

/// How often a write is tried again when another worker wrote in between.
const WRITES: usize = 16;

/// Why no decision can be made from shared data. Every one of these is a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No snapshot is complete yet.
    NoState,
    /// A value stays broken however often it is read.
    Torn,
    /// A value was written by another version of the filter.
    UnknownFormat,
    /// A bucket that must exist is gone or belongs to another load: the host dropped it, or the zone was emptied.
    Lost,
    /// The host refused the call.
    Host(HostFailure),
}

impl From<HostFailure> for Fault {
    fn from(failure: HostFailure) -> Self {
        Self::Host(failure)
    }
}

/// A checked bucket.
#[derive(Debug)]
pub struct Bucket(Vec<u8>);

impl Bucket {
    /// The payload stored under a digest.
    pub fn find(&self, digest: &KeyDigest, kind: Kind) -> Option<&[u8]> {
        bucket::find(envelope::body(&self.0), digest, kind)
    }
}

/// Reads shared data for decisions, and counts the reads that had to be repeated.
pub struct Reader<'a, S> {
    shared: &'a S,
    torn_reads: Cell<u64>,
}

impl<'a, S: SharedData> Reader<'a, S> {
    pub const fn new(shared: &'a S) -> Self {
        Self { shared, torn_reads: Cell::new(0) }
    }

    /// Reads that found a value that did not hold together.
    pub const fn torn_reads(&self) -> u64 {
        self.torn_reads.get()
    }

    /// The node's state.
    pub fn meta(&self) -> Result<Meta, Fault> {
        let value = self.read(SharedKey::META, ValueKind::Meta)?.ok_or(Fault::NoState)?;
        Meta::decode(&value).map_err(Fault::from)
    }

    /// The bucket a digest belongs to. `meta` is read again, and replaced, where a load began or ended in between.
    pub fn bucket(&self, meta: &mut Meta, digest: &KeyDigest) -> Result<Bucket, Fault> {
        match self.try_bucket(meta, digest) {
            Err(Fault::Lost) => {
                let now = self.meta()?;
                if (now.serving, now.loading, now.store) == (meta.serving, meta.loading, meta.store) {
                    return Err(Fault::Lost);
                }
                if now.store != meta.store {
                    // The digest was made for another store.
                    return Err(Fault::NoState);
                }
                *meta = now;
                self.try_bucket(meta, digest)
            }
            result => result,
        }
    }

    fn try_bucket(&self, meta: &Meta, digest: &KeyDigest) -> Result<Bucket, Fault> {
        let serving = meta.serving.ok_or(Fault::NoState)?;
        if let Some(loading) = meta.loading
            && loading.bits != serving.bits
            && let Some(found) = self.bucket_of_table(meta, loading, digest)?
        {
            return Ok(found);
        }
        self.bucket_of_table(meta, serving, digest)?.ok_or(Fault::Lost)
    }

    fn bucket_of_table(
        &self,
        meta: &Meta,
        table: Table,
        digest: &KeyDigest,
    ) -> Result<Option<Bucket>, Fault> {
        let key = SharedKey::bucket(table.bits, bucket_of(digest, table.bits));
        let value = self.read(key, ValueKind::Bucket)?;
        Ok(value.filter(|value| belongs(meta, envelope::epoch(value))).map(Bucket))
    }

    fn read(&self, key: SharedKey, kind: ValueKind) -> Result<Option<Vec<u8>>, Fault> {
        for _ in 0..READS {
            let Some(value) = self.shared.get(key)?.value else { return Ok(None) };
            match envelope::open(kind, &value) {
                Ok(_) => return Ok(Some(value)),
                Err(Broken::UnknownFormat) => return Err(Fault::UnknownFormat),
                Err(Broken::Torn) => self.torn_reads.set(self.torn_reads.get() + 1),
            }
        }
        Err(Fault::Torn)
    }
}

/// Whether a bucket of this epoch may be decided from: written by the load that is served, or by a later one of the same
/// store (a load in progress, or one that was cut short).
fn belongs(meta: &Meta, epoch: u32) -> bool {
    let Some(serving) = meta.serving else { return false };
    let newest = meta.loading.map_or(serving.epoch, |loading| loading.epoch);
    (serving.epoch..=newest).contains(&epoch)
}

impl From<Broken> for Fault {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Torn => Self::Torn,
            Broken::UnknownFormat => Self::UnknownFormat,
        }
    }
}

/// What [`update`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    Yes,
    /// The closure wanted nothing written.
    Unchanged,
}

/// Why [`update`] wrote nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteFault {
    /// Other workers kept writing in between.
    Contended,
    Host(HostFailure),
}

/// Get, change, set with the token that was read; again while others write in between. The closure sees the present
/// value and returns the new one, or `None` to leave it.
pub fn update<S: SharedData>(
    shared: &S,
    key: SharedKey,
    mut change: impl FnMut(Option<&[u8]>) -> Option<Vec<u8>>,
) -> Result<Written, WriteFault> {
    for _ in 0..WRITES {
        let Stored { value, cas } = shared.get(key).map_err(WriteFault::Host)?;
        let Some(new) = change(value.as_deref()) else { return Ok(Written::Unchanged) };
        match shared.set(key, &new, cas) {
            Ok(()) => return Ok(Written::Yes),
            Err(SetFailure::CasMismatch) => {}
            Err(SetFailure::Host(failure)) => return Err(WriteFault::Host(failure)),
        }
    }
    Err(WriteFault::Contended)
}

/// The entries of a bucket for rewriting: epoch, revision and body, if the value is a sound bucket.
pub fn open_bucket(value: &[u8]) -> Option<Opened<'_>> {
    envelope::open(ValueKind::Bucket, value).ok()
}

/// A bucket's value.
pub fn seal_bucket(epoch: u32, revision: Revision, body: &[u8]) -> Vec<u8> {
    envelope::seal(ValueKind::Bucket, epoch, revision, body)
}
