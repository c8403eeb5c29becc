//! How long credentials hold: a number of seconds in a request (`ttl`), an instant in the store.

use crate::model::{Timestamp, Update};

/// Longest life of a credential, in seconds; a little over three years.
pub const TTL_MAX: i64 = 100_000_000;

/// The instant `ttl` seconds from now; 0 stands for never.
pub fn after(now: Timestamp, ttl: i64) -> Option<Timestamp> {
    (ttl > 0).then(|| now.plus_millis(ttl.saturating_mul(1000)))
}

/// A change of `ttl` as a change of the instant.
pub fn update(now: Timestamp, ttl: &Update<i64>) -> Update<Timestamp> {
    match ttl {
        Update::Keep => Update::Keep,
        Update::Clear => Update::Clear,
        Update::Set(ttl) => after(now, *ttl).map_or(Update::Clear, Update::Set),
    }
}

/// Whole seconds left, none below zero.
pub fn left(now: Timestamp, expiry: Timestamp) -> i64 {
    expiry.seconds().saturating_sub(now.seconds()).max(0)
}
