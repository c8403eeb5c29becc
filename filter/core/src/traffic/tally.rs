//! What one worker has counted and not yet put into shared data. Bounded: where there is no room for another row, a request
//! still counts, but no longer under its application.

use std::collections::HashMap;

use rustc_hash::FxBuildHasher;
use uuid::Uuid;

use super::Key;
use super::slot::{self, Slot};
use crate::host::SharedData;
use crate::ids::{ApplicationId, ServiceId};

/// Rows a worker keeps: about 6 MiB.
const ROWS: usize = 65_536;
/// Rows without an application that may come on top, and after these only [`super::Outcome::ALL`] without a service.
const NAMELESS_ROWS: usize = 256;

/// How often counts are put into shared data, in milliseconds, and how often while they did not fit. A worker that dies
/// takes no more with it than what it counted since.
const INTERVAL: u64 = 500;
const BACKLOG_INTERVAL: u64 = 250;

pub struct Tally {
    rows: HashMap<Key, u64, FxBuildHasher>,
    room: usize,
    /// Where counts go next. Workers begin at different places, so that they seldom meet.
    slot: u8,
    due_at: u64,
    looked_at: u64,
    overflowed: bool,
}

impl Tally {
    /// `me` is random.
    pub fn new(me: u128) -> Self {
        Self::with_room(me, ROWS)
    }

    /// For so many rows.
    pub fn with_room(me: u128, room: usize) -> Self {
        let [first, ..] = me.to_le_bytes();
        Self {
            rows: HashMap::default(),
            room,
            slot: first % slot::COUNT,
            due_at: 0,
            looked_at: 0,
            overflowed: false,
        }
    }

    /// Counts one request.
    pub fn count(&mut self, key: Key) {
        if let Some(count) = self.rows.get_mut(&key) {
            *count = count.saturating_add(1);
        } else {
            let key = self.with_a_place(key);
            let count = self.rows.entry(key).or_default();
            *count = count.saturating_add(1);
        }
    }

    /// The most telling key that there is room for.
    fn with_a_place(&mut self, key: Key) -> Key {
        if self.rows.len() < self.room {
            return key;
        }
        self.overflowed = true;
        let key = Key { application: ApplicationId(Uuid::nil()), ..key };
        if self.rows.len() < self.room + NAMELESS_ROWS || self.rows.contains_key(&key) {
            return key;
        }
        Key { service: ServiceId(Uuid::nil()), ..key }
    }

    /// Whether a request was counted without its application since the last call.
    pub fn take_overflowed(&mut self) -> bool {
        std::mem::take(&mut self.overflowed)
    }

    /// Puts what has been counted into shared data, where it is time to. Cheap, and harmless however often it is called.
    pub fn tick<S: SharedData>(&mut self, now: u64, shared: &S) {
        // A clock that was set back must not make counts wait for the old time to come again.
        let back = std::mem::replace(&mut self.looked_at, now) > now;
        if self.rows.is_empty() || (now < self.due_at && !back) {
            return;
        }
        self.hand_over(shared);
        self.due_at = now + if self.rows.is_empty() { INTERVAL } else { BACKLOG_INTERVAL };
    }

    /// Puts as much into one slot as it takes. What stays goes to the next one, next time.
    fn hand_over<S: SharedData>(&mut self, shared: &S) {
        let mut taken = Vec::new();
        let written = slot::update(shared, self.slot, |slot: &mut Slot| {
            taken = slot.add(self.rows.iter().map(|(key, count)| (*key, *count)));
            !taken.is_empty()
        });
        if written == Ok(true) {
            if taken.len() == self.rows.len() {
                // Not emptied: it may have been large once, and would stay so.
                self.rows = HashMap::default();
            } else {
                for key in &taken {
                    self.rows.remove(key);
                }
            }
        }
        if !self.rows.is_empty() {
            self.slot = (self.slot + 1) % slot::COUNT;
        }
    }

    /// Rows that wait.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Requests that wait.
    pub fn requests(&self) -> u64 {
        self.rows.values().sum()
    }
}
