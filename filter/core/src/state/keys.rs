//! Names of the shared-data keys.
//!
//! Every key is `app_auth/` and exactly four base64url characters of a 24-bit number. One host compares keys by their
//! CRC-32 alone, and CRC-32 tells apart any two strings that differ only within four bytes, so our keys never collide
//! with each other there.

const PREFIX: &[u8; 9] = b"app_auth/";
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Numbers below those of the smallest table's buckets are free for single values.
const FIRST_SLOT: u32 = 2;

/// Name of one value in shared data.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SharedKey([u8; 13]);

impl SharedKey {
    /// The node's [`crate::state::meta::Meta`].
    pub const META: Self = Self::numbered(0);
    /// The node's [`crate::state::lease::Lease`].
    pub const LEASE: Self = Self::numbered(1);

    /// The node's [`crate::traffic::slot`] with a number.
    pub const fn traffic(number: u8) -> Self {
        Self::numbered(FIRST_SLOT + number as u32)
    }

    /// Bucket `number` of the table with `1 << bits` buckets. Numbered like the nodes of a binary tree, so that tables of
    /// different depths can exist side by side while one replaces the other.
    pub const fn bucket(bits: u8, number: u32) -> Self {
        Self::numbered((1 << bits) | number)
    }

    #[expect(
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        reason = "const; masked to the array's size"
    )]
    const fn numbered(number: u32) -> Self {
        let mut key = [0; 13];
        let mut i = 0;
        while i < 9 {
            key[i] = PREFIX[i];
            i += 1;
        }
        while i < 13 {
            let shift = 6 * (12 - i as u32);
            key[i] = ALPHABET[((number >> shift) & 63) as usize];
            i += 1;
        }
        Self(key)
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}
