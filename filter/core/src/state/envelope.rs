//! The frame around every value in shared data, so that a torn, cut, foreign or newer value is recognised and never
//! trusted.
//!
//! Layout (little-endian): magic, format, kind, length of the whole value, epoch, revision, checksum, body.

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::ids::Revision;

const MAGIC: [u8; 4] = *b"AAg8";

/// Version of the layout of everything in shared data. A filter that finds another refuses to decide.
const FORMAT: u8 = 2;

/// What a value is; a bucket read where meta is expected is as wrong as noise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum ValueKind {
    Meta = 1,
    Lease = 2,
    Bucket = 3,
    Traffic = 4,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Header {
    magic: [u8; 4],
    format: u8,
    kind: u8,
    reserved: [u8; 2],
    length: U32,
    epoch: U32,
    revision: U64,
    checksum: U64,
}

pub const HEADER: usize = size_of::<Header>();
const CHECKED_HEADER: usize = HEADER - size_of::<u64>();

/// A value whose frame holds.
#[derive(Debug, PartialEq, Eq)]
pub struct Opened<'a> {
    /// Which load of the table wrote it; see [`crate::state::meta`].
    pub epoch: u32,
    pub revision: Revision,
    pub body: &'a [u8],
}

/// Why a value is not usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// Not whole, or not ours: read again, then refuse.
    Torn,
    /// Written by another version of the filter.
    UnknownFormat,
}

/// Frames a body.
pub fn seal(kind: ValueKind, epoch: u32, revision: Revision, body: &[u8]) -> Vec<u8> {
    let length = HEADER + body.len();
    let mut header = Header {
        magic: MAGIC,
        format: FORMAT,
        kind: kind as u8,
        reserved: [0; 2],
        length: U32::new(u32::try_from(length).unwrap_or(u32::MAX)),
        epoch: U32::new(epoch),
        revision: U64::new(revision.0),
        checksum: U64::ZERO,
    };
    header.checksum = U64::new(checksum(&header, body));
    let mut value = Vec::with_capacity(length);
    value.extend_from_slice(header.as_bytes());
    value.extend_from_slice(body);
    value
}

/// Checks the frame and gives the body.
pub fn open(kind: ValueKind, value: &[u8]) -> Result<Opened<'_>, Broken> {
    let (header, body) = Header::ref_from_prefix(value).map_err(|_| Broken::Torn)?;
    if header.magic != MAGIC
        || header.length.get() as usize != value.len()
        || header.checksum.get() != checksum(header, body)
        || header.kind != kind as u8
    {
        return Err(Broken::Torn);
    }
    if header.format != FORMAT {
        return Err(Broken::UnknownFormat);
    }
    Ok(Opened { epoch: header.epoch.get(), revision: Revision(header.revision.get()), body })
}

/// As [`open`], for a frame that may end before its value does. What follows it is not looked at.
pub fn open_padded(kind: ValueKind, value: &[u8]) -> Result<Opened<'_>, Broken> {
    let (header, _) = Header::ref_from_prefix(value).map_err(|_| Broken::Torn)?;
    open(kind, value.get(..header.length.get() as usize).ok_or(Broken::Torn)?)
}

/// A 64-bit checksum over header and body, eight bytes a step. Each step is a bijection of the running state and of the
/// word, so a change within one aligned word is always seen, and any other with all but 2^-64. It guards against
/// accidents of concurrency, not against an adversary: whoever can write shared data owns the gateway.
fn checksum(header: &Header, body: &[u8]) -> u64 {
    let state = 0x9e37_79b9_7f4a_7c15;
    let checked = header.as_bytes().get(..CHECKED_HEADER).unwrap_or_default();
    finish(absorb(absorb(state, checked), body))
}

fn absorb(mut state: u64, bytes: &[u8]) -> u64 {
    let (words, tail) = bytes.as_chunks::<8>();
    for word in words {
        state = step(state, u64::from_le_bytes(*word));
    }
    if !tail.is_empty() {
        // Zero padding is unambiguous because the length is part of the header.
        let mut word = [0; 8];
        for (to, from) in word.iter_mut().zip(tail) {
            *to = *from;
        }
        state = step(state, u64::from_le_bytes(word));
    }
    state
}

const fn step(state: u64, word: u64) -> u64 {
    (state.rotate_left(23) ^ word).wrapping_mul(0xd6e8_feb8_6659_fd93)
}

const fn finish(state: u64) -> u64 {
    let state = (state ^ (state >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    state ^ (state >> 29)
}

/// The body of a value that [`open`] accepted.
pub fn body(value: &[u8]) -> &[u8] {
    value.get(HEADER..).unwrap_or_default()
}

/// The epoch of a value that [`open`] accepted; 0 for anything shorter than a frame.
pub fn epoch(value: &[u8]) -> u32 {
    Header::ref_from_prefix(value).map_or(0, |(header, _)| header.epoch.get())
}
