//! Cursors of a snapshot. Gateways pass them back unchanged; they hold all that a page needs, so that a snapshot is no
//! state here and goes on after a restart.

use std::fmt;
use std::str::FromStr;

use app_auth_core::feed::{BITS_MAX, BITS_MIN};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// Where a stream of a snapshot goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cursor {
    /// Bucket depth of the snapshot.
    pub bits: u8,
    /// First bucket of the next page.
    pub from: u32,
    /// The stream ends before this bucket.
    pub until: u32,
    /// Number of records when the snapshot began.
    pub total: u64,
}

const FORMAT: u8 = 1;
const LENGTH: usize = 18;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::with_capacity(LENGTH);
        bytes.extend_from_slice(&[FORMAT, self.bits]);
        bytes.extend_from_slice(&self.from.to_be_bytes());
        bytes.extend_from_slice(&self.until.to_be_bytes());
        bytes.extend_from_slice(&self.total.to_be_bytes());
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

/// A text that no page gave out as a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cursor: not one that a page of this API gave out")]
pub struct InvalidCursor;

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidCursor)?;
        let bytes = <[u8; LENGTH]>::try_from(bytes).map_err(|_| InvalidCursor)?;
        let [format, bits, f0, f1, f2, f3, u0, u1, u2, u3, total @ ..] = bytes;
        let cursor = Self {
            bits,
            from: u32::from_be_bytes([f0, f1, f2, f3]),
            until: u32::from_be_bytes([u0, u1, u2, u3]),
            total: u64::from_be_bytes(total),
        };
        let depth = (BITS_MIN..=BITS_MAX).contains(&bits);
        if format == FORMAT && depth && cursor.from < cursor.until && cursor.until <= 1 << bits {
            Ok(cursor)
        } else {
            Err(InvalidCursor)
        }
    }
}

impl Cursor {
    /// The whole of a snapshot, cut into streams of about the same length.
    pub fn streams(bits: u8, total: u64, streams: u32) -> Vec<Self> {
        let buckets = 1_u32 << bits;
        let streams = streams.clamp(1, buckets);
        let start = |stream: u32| {
            let start = u64::from(buckets) * u64::from(stream) / u64::from(streams);
            u32::try_from(start).unwrap_or(buckets)
        };
        (0..streams).map(|n| Self { bits, from: start(n), until: start(n + 1), total }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_went_out() {
        let cursor = Cursor { bits: 9, from: 3, until: 512, total: 1_000_000 };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
    }

    #[test]
    fn what_no_page_gave_out_is_refused() {
        let bad = [
            Cursor { bits: 7, from: 0, until: 1, total: 0 },
            Cursor { bits: 23, from: 0, until: 1, total: 0 },
            Cursor { bits: 8, from: 1, until: 1, total: 0 },
            Cursor { bits: 8, from: 0, until: 257, total: 0 },
        ];
        for cursor in bad {
            assert_eq!(cursor.to_string().parse::<Cursor>(), Err(InvalidCursor));
        }
        for text in ["", "x", "AQ", "%%%"] {
            assert_eq!(text.parse::<Cursor>(), Err(InvalidCursor));
        }
    }

    #[test]
    fn streams_cover_every_bucket_once() {
        for (bits, streams) in [(8, 1), (8, 3), (8, 16), (22, 7)] {
            let cursors = Cursor::streams(bits, 9, streams);
            assert_eq!(cursors.first().map(|cursor| cursor.from), Some(0));
            assert_eq!(cursors.last().map(|cursor| cursor.until), Some(1 << bits));
            for pair in cursors.windows(2) {
                assert_eq!(pair[0].until, pair[1].from);
            }
        }
    }
}
