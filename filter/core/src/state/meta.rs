//! One small value that every request reads first: whose data the node holds, how complete it is, and how fresh.

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::feed::{BITS_MAX, BITS_MIN};
use crate::ids::{Revision, StoreId};
use crate::state::envelope::{self, Broken, ValueKind};

/// A table of buckets. `epoch` counts loads: each snapshot writes its buckets under a new one, so that a bucket left
/// by an earlier load, or written by a worker that was overtaken, is recognised.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Table {
    pub bits: u8,
    pub epoch: u32,
}

/// State of a node's shared data.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Meta {
    pub store: StoreId,
    /// The table that decisions are made from; `None` until the first snapshot is complete.
    pub serving: Option<Table>,
    /// The table a snapshot is being written to; its buckets count as soon as they are there.
    pub loading: Option<Table>,
    /// All changes up to this one are applied to `serving`.
    pub revision: Revision,
    /// Moves when a service record changes; workers drop decoded policies then.
    pub policy_revision: Revision,
    /// When the admin extension last answered, in milliseconds since the Unix epoch.
    pub last_contact: u64,
    /// Records in `serving`, to see when the table has outgrown its depth.
    pub records: u64,
    /// Bit `n`: buckets of depth `n` may exist that no table uses.
    pub leftover_depths: u32,
    /// A worker found a bucket missing or unusable: take a new snapshot.
    pub damaged: bool,
    /// Records were left out because the host's memory is full.
    pub incomplete: bool,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Layout {
    store: [u8; 32],
    serving_bits: u8,
    loading_bits: u8,
    flags: u8,
    reserved: u8,
    loading_epoch: U32,
    policy_revision: U64,
    last_contact: U64,
    records: U64,
    leftover_depths: U32,
    reserved_2: [u8; 4],
}

const DAMAGED: u8 = 1;
const INCOMPLETE: u8 = 2;

impl Meta {
    pub fn encode(&self) -> Vec<u8> {
        let layout = Layout {
            store: self.store.0,
            serving_bits: self.serving.map_or(0, |table| table.bits),
            loading_bits: self.loading.map_or(0, |table| table.bits),
            flags: (u8::from(self.damaged) * DAMAGED) | (u8::from(self.incomplete) * INCOMPLETE),
            reserved: 0,
            loading_epoch: U32::new(self.loading.map_or(0, |table| table.epoch)),
            policy_revision: U64::new(self.policy_revision.0),
            last_contact: U64::new(self.last_contact),
            records: U64::new(self.records),
            leftover_depths: U32::new(self.leftover_depths),
            reserved_2: [0; 4],
        };
        let epoch = self.serving.map_or(0, |table| table.epoch);
        envelope::seal(ValueKind::Meta, epoch, self.revision, layout.as_bytes())
    }

    pub fn decode(value: &[u8]) -> Result<Self, Broken> {
        let opened = envelope::open(ValueKind::Meta, value)?;
        let layout = Layout::ref_from_bytes(opened.body).map_err(|_| Broken::Torn)?;
        Ok(Self {
            store: StoreId(layout.store),
            serving: table(layout.serving_bits, opened.epoch)?,
            loading: table(layout.loading_bits, layout.loading_epoch.get())?,
            revision: opened.revision,
            policy_revision: Revision(layout.policy_revision.get()),
            last_contact: layout.last_contact.get(),
            records: layout.records.get(),
            leftover_depths: layout.leftover_depths.get(),
            damaged: layout.flags & DAMAGED != 0,
            incomplete: layout.flags & INCOMPLETE != 0,
        })
    }
}

fn table(bits: u8, epoch: u32) -> Result<Option<Table>, Broken> {
    match bits {
        0 => Ok(None),
        BITS_MIN..=BITS_MAX => Ok(Some(Table { bits, epoch })),
        _ => Err(Broken::Torn),
    }
}
