//! Where workers put their counts together, in shared data: some values of a fixed size, each a batch that is being
//! reported and one that is still open.
//!
//! A slot never grows, because on one host a value that grows in a full zone ends the worker's instance. So its frame ends
//! before its value does, and only the leader makes slots, guarded (see [`crate::sync`]). Everybody else writes only where
//! a slot of that size is.

use std::collections::HashMap;

use rustc_hash::FxBuildHasher;
use zerocopy::little_endian::{U32, U64, U128};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::report::Batch;
use super::{Key, Outcome, report};
use crate::host::{HostFailure, SetFailure, SharedData};
use crate::ids::{ApplicationId, Revision, ServiceId};
use crate::state::envelope::{self, Broken, ValueKind};
use crate::state::keys::SharedKey;

/// Slots of a node.
pub const COUNT: u8 = 8;

/// Size of a slot's value: with its key and the host's own administration just below sixteen pages.
pub const BYTES: usize = 65_408;

/// Rows of a slot, both batches taken together.
pub const ROWS: usize = (BYTES - envelope::HEADER - size_of::<Head>()) / size_of::<RowLayout>();

/// How often a slot that does not hold together is read again, and how often a write is tried again.
const READS: usize = 8;
const WRITES: usize = 8;

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Head {
    generation: U128,
    seq: U64,
    sealed: U32,
    open: U32,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RowLayout {
    application: [u8; 16],
    service: [u8; 16],
    count: U64,
    outcome: u8,
}

/// A slot, taken apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Slot {
    /// Random, made with the slot: the reporter's name towards the admin extension.
    pub generation: u128,
    /// Of the batch that is sealed, or was last.
    pub seq: u64,
    /// Being reported: must not change before that is confirmed.
    sealed: Vec<(Key, u64)>,
    /// What workers add to.
    open: Vec<(Key, u64)>,
}

impl Slot {
    pub const fn new(generation: u128) -> Self {
        Self { generation, seq: 0, sealed: Vec::new(), open: Vec::new() }
    }

    /// Always [`BYTES`] long.
    pub fn encode(&self) -> Vec<u8> {
        let number = |rows: &[_]| U32::new(u32::try_from(rows.len()).unwrap_or(u32::MAX));
        let head = Head {
            generation: U128::new(self.generation),
            seq: U64::new(self.seq),
            sealed: number(&self.sealed),
            open: number(&self.open),
        };
        let rows = self.sealed.len() + self.open.len();
        let mut body = Vec::with_capacity(size_of::<Head>() + rows * size_of::<RowLayout>());
        body.extend_from_slice(head.as_bytes());
        for (key, count) in self.sealed.iter().chain(&self.open) {
            let row = RowLayout {
                application: *key.application.as_bytes(),
                service: *key.service.as_bytes(),
                count: U64::new(*count),
                outcome: key.outcome.code(),
            };
            body.extend_from_slice(row.as_bytes());
        }
        let mut value = envelope::seal(ValueKind::Traffic, 0, Revision(0), &body);
        value.resize(BYTES, 0);
        value
    }

    pub fn decode(value: &[u8]) -> Result<Self, Broken> {
        if value.len() != BYTES {
            return Err(Broken::Torn);
        }
        let opened = envelope::open_padded(ValueKind::Traffic, value)?;
        let (head, rows) = Head::ref_from_prefix(opened.body).map_err(|_| Broken::Torn)?;
        let rows = <[RowLayout]>::ref_from_bytes(rows).map_err(|_| Broken::Torn)?;
        let sealed = head.sealed.get() as usize;
        if sealed.checked_add(head.open.get() as usize) != Some(rows.len()) {
            return Err(Broken::Torn);
        }
        let (sealed, open) = rows.split_at_checked(sealed).ok_or(Broken::Torn)?;
        let rows = |rows: &[RowLayout]| rows.iter().map(RowLayout::read).collect();
        Ok(Self {
            generation: head.generation.get(),
            seq: head.seq.get(),
            sealed: rows(sealed),
            open: rows(open),
        })
    }

    /// Adds counts to the open batch as long as there is room. Answers which it took.
    pub fn add(&mut self, counts: impl Iterator<Item = (Key, u64)>) -> Vec<Key> {
        let mut places: HashMap<Key, usize, FxBuildHasher> =
            self.open.iter().enumerate().map(|(at, (key, _))| (*key, at)).collect();
        let mut taken = Vec::new();
        for (key, count) in counts {
            if let Some((_, sum)) = places.get(&key).and_then(|at| self.open.get_mut(*at)) {
                *sum = sum.saturating_add(count);
            } else if self.rows() < ROWS {
                places.insert(key, self.open.len());
                self.open.push((key, count));
            } else {
                continue;
            }
            taken.push(key);
        }
        taken
    }

    fn rows(&self) -> usize {
        self.sealed.len() + self.open.len()
    }

    /// Whether it had better be reported before it is full.
    pub fn is_crowded(&self) -> bool {
        self.rows() > ROWS / 2
    }

    /// Whether there is something to be reported, again.
    pub fn is_sealed(&self) -> bool {
        !self.sealed.is_empty()
    }

    /// Whether there is something to seal, and nothing sealed.
    pub fn can_be_sealed(&self) -> bool {
        self.sealed.is_empty() && !self.open.is_empty()
    }

    /// Makes the open batch the sealed one, if it can be.
    pub fn seal(&mut self) -> bool {
        let can = self.can_be_sealed();
        if can {
            self.seq = self.seq.saturating_add(1);
            self.sealed = std::mem::take(&mut self.open);
        }
        can
    }

    /// Drops the sealed batch, if it is this one.
    pub fn confirm(&mut self, generation: u128, seq: u64) -> bool {
        let is_it = self.is_sealed() && (self.generation, self.seq) == (generation, seq);
        if is_it {
            self.sealed.clear();
        }
        is_it
    }

    /// The sealed batch as it is told.
    pub fn batch(&self) -> Batch {
        let row = |(key, count): &(Key, u64)| report::Row {
            application: key.application,
            service: key.service,
            outcome: key.outcome,
            count: *count,
        };
        let rows = self.sealed.iter().map(row).collect();
        Batch { reporter: format!("{:032x}", self.generation), seq: self.seq, rows }
    }

    /// Requests in it.
    pub fn requests(&self) -> u64 {
        self.sealed.iter().chain(&self.open).map(|(_, count)| count).sum()
    }
}

impl RowLayout {
    fn read(&self) -> (Key, u64) {
        let key = Key {
            application: ApplicationId::from_bytes(self.application),
            service: ServiceId::from_bytes(self.service),
            outcome: Outcome::from_code(self.outcome),
        };
        (key, self.count.get())
    }
}

/// Why a slot could not be used. What was to be written stays where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotFault {
    /// There is none.
    Missing,
    /// It stays broken however often it is read, or another version of the filter wrote it.
    Unusable,
    /// Other workers kept writing in between.
    Contended,
    Host(HostFailure),
}

/// A slot and the token to write it with.
fn read<S: SharedData>(shared: &S, key: SharedKey) -> Result<(Slot, u32), SlotFault> {
    for _ in 0..READS {
        let stored = shared.get(key).map_err(SlotFault::Host)?;
        let value = stored.value.ok_or(SlotFault::Missing)?;
        if let Ok(slot) = Slot::decode(&value) {
            return Ok((slot, stored.cas));
        }
    }
    Err(SlotFault::Unusable)
}

/// What a slot holds.
pub fn get<S: SharedData>(shared: &S, number: u8) -> Result<Slot, SlotFault> {
    read(shared, SharedKey::traffic(number)).map(|(slot, _)| slot)
}

/// Changes a slot that is there; again while others write in between. The closure says whether there is something to
/// write, and so does the answer.
pub fn update<S: SharedData>(
    shared: &S,
    number: u8,
    mut change: impl FnMut(&mut Slot) -> bool,
) -> Result<bool, SlotFault> {
    let key = SharedKey::traffic(number);
    for _ in 0..WRITES {
        let (mut slot, cas) = read(shared, key)?;
        if !change(&mut slot) {
            return Ok(false);
        }
        match shared.set(key, &slot.encode(), cas) {
            Ok(()) => return Ok(true),
            Err(SetFailure::CasMismatch) => {}
            Err(SetFailure::Host(failure)) => return Err(SlotFault::Host(failure)),
        }
    }
    Err(SlotFault::Contended)
}

/// Makes a slot where there is none that can be used. May need memory: for the leader only.
pub fn make<S: SharedData>(shared: &S, number: u8, generation: u128) -> Result<(), SlotFault> {
    let key = SharedKey::traffic(number);
    for _ in 0..WRITES {
        match read(shared, key) {
            Err(SlotFault::Missing | SlotFault::Unusable) => {}
            Ok(_) => return Ok(()),
            Err(fault) => return Err(fault),
        }
        let cas = shared.get(key).map_err(SlotFault::Host)?.cas;
        match shared.set(key, &Slot::new(generation).encode(), cas) {
            Ok(()) => return Ok(()),
            Err(SetFailure::CasMismatch) => {}
            Err(SetFailure::Host(failure)) => return Err(SlotFault::Host(failure)),
        }
    }
    Err(SlotFault::Contended)
}
