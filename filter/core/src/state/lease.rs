//! Which worker of the node talks to the admin extension. Any worker can take over when the lease has run out.

use zerocopy::little_endian::{U64, U128};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::ids::Revision;
use crate::state::envelope::{self, Broken, ValueKind};

/// The lease. Its holder renews it several times before it runs out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lease {
    /// Random, one for each worker and configuration.
    pub holder: u128,
    /// The node's name towards the admin extension, made by the first holder.
    pub node: u128,
    /// Milliseconds since the Unix epoch.
    pub expires_at: u64,
    /// The holder is writing a page. A lease that runs out in this state means that the holder died of it: on one host, a
    /// full memory zone ends the worker's instance.
    pub applying: bool,
    /// How often in a row a holder died while writing.
    pub strikes: u8,
    /// While strikes stand: when growing values may be tried again, in milliseconds since the Unix epoch.
    pub careful_until: u64,
    /// The holder is making slots for traffic, and how often holders died of that. Apart from the above: that there is no
    /// room for these says nothing about the room for records.
    pub making_slots: bool,
    pub slot_strikes: u8,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Layout {
    holder: U128,
    node: U128,
    expires_at: U64,
    careful_until: U64,
    applying: u8,
    strikes: u8,
    making_slots: u8,
    slot_strikes: u8,
    reserved: [u8; 4],
}

impl Lease {
    pub fn encode(&self) -> Vec<u8> {
        let layout = Layout {
            holder: U128::new(self.holder),
            node: U128::new(self.node),
            expires_at: U64::new(self.expires_at),
            careful_until: U64::new(self.careful_until),
            applying: u8::from(self.applying),
            strikes: self.strikes,
            making_slots: u8::from(self.making_slots),
            slot_strikes: self.slot_strikes,
            reserved: [0; 4],
        };
        envelope::seal(ValueKind::Lease, 0, Revision(0), layout.as_bytes())
    }

    pub fn decode(value: &[u8]) -> Result<Self, Broken> {
        let opened = envelope::open(ValueKind::Lease, value)?;
        let layout = Layout::ref_from_bytes(opened.body).map_err(|_| Broken::Torn)?;
        Ok(Self {
            holder: layout.holder.get(),
            node: layout.node.get(),
            expires_at: layout.expires_at.get(),
            applying: layout.applying != 0,
            strikes: layout.strikes,
            careful_until: layout.careful_until.get(),
            making_slots: layout.making_slots != 0,
            slot_strikes: layout.slot_strikes,
        })
    }
}
