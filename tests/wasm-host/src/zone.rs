//! Shared data: what all workers of a node see. Knows the rules of the real stores and offers tests the faults that real
//! memory has: torn, foreign and cut reads, races between read and write, a full or emptied zone.

use std::collections::{HashMap, VecDeque};

use crate::quirks::{Quirks, WhenFull};

/// How the next read of a matching key goes wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Tear {
    /// First half of the newest value, second half of the one before it.
    HalfOld,
    /// The value before the newest one, whole.
    Old,
    /// Another key's bytes, or anything else.
    Foreign(Vec<u8>),
    /// The value's first bytes only.
    Cut(usize),
}

/// Why a call on the zone did not succeed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ZoneError {
    Missing,
    Full,
    CasMismatch,
}

#[derive(Debug)]
struct Entry {
    key: Vec<u8>,
    value: Vec<u8>,
    before: Vec<u8>,
    cas: u32,
    written: u64,
}

/// The zone of one node.
#[derive(Debug)]
pub struct Zone {
    quirks: Quirks,
    entries: HashMap<Vec<u8>, Entry>,
    used: usize,
    counter: u32,
    clock: u64,
    tears: VecDeque<Tear>,
    races: u32,
    refused: u64,
}

impl Zone {
    pub fn new(quirks: &Quirks) -> Self {
        Self {
            quirks: quirks.clone(),
            entries: HashMap::new(),
            used: 0,
            counter: 0,
            clock: 0,
            tears: VecDeque::new(),
            races: 0,
            refused: 0,
        }
    }

    /// The value and its cas, as the filter sees them; consumes one planned tear.
    pub fn get(&mut self, key: &[u8]) -> Result<Option<(Vec<u8>, u32)>, ZoneError> {
        if self.quirks.zone_missing {
            return Err(ZoneError::Missing);
        }
        let Some(entry) = self.entries.get(&self.slot(key)) else { return Ok(None) };
        let value = match self.tears.pop_front() {
            None => entry.value.clone(),
            Some(Tear::HalfOld) => {
                let half = entry.value.len() / 2;
                let old = entry.before.get(half..).unwrap_or_default();
                let mut torn: Vec<u8> = entry.value.iter().take(half).copied().collect();
                torn.extend(old.iter().take(entry.value.len() - half));
                torn.resize(entry.value.len(), 0);
                torn
            }
            Some(Tear::Old) => entry.before.clone(),
            Some(Tear::Foreign(bytes)) => bytes,
            Some(Tear::Cut(length)) => entry.value.iter().take(length).copied().collect(),
        };
        Ok(Some((value, entry.cas)))
    }

    /// Writes as the filter would. `None` is a null pointer.
    pub fn set(&mut self, key: &[u8], value: Option<&[u8]>, cas: u32) -> Result<(), ZoneError> {
        if self.quirks.zone_missing {
            return Err(ZoneError::Missing);
        }
        let slot = self.slot(key);
        if self.races > 0 && cas != 0 {
            self.races -= 1;
            let next = self.next_cas(&slot);
            if let Some(entry) = self.entries.get_mut(&slot) {
                entry.cas = next;
            }
        }
        let present = self.entries.get(&slot).map(|entry| entry.cas);
        let allowed = match present {
            Some(current) if self.quirks.cas_zero_means_absent => cas == current,
            Some(current) => cas == 0 || cas == current,
            None if self.quirks.cas_zero_means_absent => cas == 0,
            None => true,
        };
        if !allowed {
            return Err(ZoneError::CasMismatch);
        }
        if value.is_none() && self.quirks.null_deletes {
            self.forget(&slot);
            return Ok(());
        }
        self.store(slot, key, value.unwrap_or_default())
    }

    fn store(&mut self, slot: Vec<u8>, key: &[u8], value: &[u8]) -> Result<(), ZoneError> {
        let old_cost = self.entries.get(&slot).map_or(0, |entry| slab_cost(&entry.key, &entry.value));
        let new_cost = slab_cost(key, value);
        while let Some(capacity) = self.quirks.zone_bytes
            && new_cost > old_cost
            && self.used - old_cost + new_cost > capacity
        {
            let oldest =
                self.entries.iter().filter(|(s, _)| **s != slot).min_by_key(|(_, entry)| entry.written);
            if let (WhenFull::Evict, Some(victim)) = (self.quirks.when_full, oldest.map(|(s, _)| s.clone())) {
                self.forget(&victim);
            } else {
                self.refused += 1;
                return Err(ZoneError::Full);
            }
        }
        let cas = self.next_cas(&slot);
        self.clock += 1;
        self.used = self.used - old_cost + new_cost;
        let before = self.entries.remove(&slot).map(|entry| entry.value).unwrap_or_default();
        let entry = Entry { key: key.to_vec(), value: value.to_vec(), before, cas, written: self.clock };
        self.entries.insert(slot, entry);
        Ok(())
    }

    fn forget(&mut self, slot: &[u8]) {
        if let Some(entry) = self.entries.remove(slot) {
            self.used -= slab_cost(&entry.key, &entry.value);
        }
    }

    fn next_cas(&mut self, slot: &[u8]) -> u32 {
        if self.quirks.cas_restarts {
            return self.entries.get(slot).map_or(1, |entry| entry.cas.wrapping_add(1).max(1));
        }
        self.counter = self.counter.wrapping_add(1).max(1);
        self.counter
    }

    fn slot(&self, key: &[u8]) -> Vec<u8> {
        if self.quirks.crc32_keys { crc32fast::hash(key).to_be_bytes().to_vec() } else { key.to_vec() }
    }

    /// Empties the zone, as `kong reload` does.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.used = 0;
    }

    /// Makes one key vanish, as eviction does.
    pub fn evict(&mut self, key: &[u8]) {
        let slot = self.slot(key);
        self.forget(&slot);
    }

    /// Plans a fault for each of the next reads, in order.
    pub fn tear_next_reads(&mut self, tear: &Tear, reads: usize) {
        self.tears.extend(std::iter::repeat_n(tear.clone(), reads));
    }

    /// Forgets planned faults that no read has met yet.
    pub fn stop_tearing(&mut self) {
        self.tears.clear();
        self.races = 0;
    }

    /// Lets another worker win the race before each of the next writes that carry a cas.
    pub fn race_next_writes(&mut self, writes: u32) {
        self.races = writes;
    }

    /// Replaces a value behind the filter's back, whatever its cas.
    pub fn poke(&mut self, key: &[u8], value: &[u8]) {
        let slot = self.slot(key);
        let cas = self.next_cas(&slot);
        self.forget(&slot);
        self.used += slab_cost(key, value);
        let entry = Entry { key: key.to_vec(), value: value.to_vec(), before: Vec::new(), cas, written: 0 };
        self.entries.insert(slot, entry);
    }

    /// What is stored, without tears.
    pub fn peek(&self, key: &[u8]) -> Option<&[u8]> {
        self.entries.get(&self.slot(key)).map(|entry| entry.value.as_slice())
    }

    /// All keys, sorted.
    pub fn keys(&self) -> Vec<Vec<u8>> {
        let mut keys: Vec<_> = self.entries.values().map(|entry| entry.key.clone()).collect();
        keys.sort();
        keys
    }

    /// Bytes in use, slab rounding included.
    pub const fn used(&self) -> usize {
        self.used
    }

    /// How many writes found the zone full.
    pub const fn refused(&self) -> u64 {
        self.refused
    }

    /// Leaves room for so many more bytes.
    pub fn leave_room(&mut self, bytes: usize) {
        self.quirks.zone_bytes = Some(self.used + bytes);
    }

    /// Takes all limits away.
    pub fn enlarge(&mut self) {
        self.quirks.zone_bytes = None;
    }
}

/// What one entry takes from a zone: node and bytes, rounded up as nginx's slab allocator does.
fn slab_cost(key: &[u8], value: &[u8]) -> usize {
    const NODE: usize = 80;
    const PAGE: usize = 4096;
    let bytes = NODE + key.len() + value.len();
    if bytes <= PAGE / 2 { bytes.next_power_of_two() } else { bytes.next_multiple_of(PAGE) }
}
