//! Shared data in memory, for tests of this crate: behaves like either known kind of host.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use crate::host::{HostFailure, SetFailure, SharedData, Stored};
use crate::state::keys::SharedKey;

/// The double.
#[derive(Default)]
pub struct Memory {
    values: RefCell<BTreeMap<SharedKey, (Vec<u8>, u32)>>,
    strict_absent: bool,
    /// Bytes after which the host has no room; `None`: no limit. A full host fails the call.
    pub capacity: Cell<Option<usize>>,
}

impl Memory {
    /// A host that takes token 0 as "only if absent".
    pub fn strict() -> Self {
        Self { strict_absent: true, ..Self::default() }
    }

    pub fn clear(&self) {
        self.values.borrow_mut().clear();
    }

    /// All keys that hold something.
    pub fn keys(&self) -> Vec<SharedKey> {
        self.values.borrow().iter().filter(|(_, (value, _))| !value.is_empty()).map(|(key, _)| *key).collect()
    }

    /// Changes a value behind the writer's back.
    pub fn tamper(&self, key: SharedKey, change: impl FnOnce(&mut Vec<u8>)) {
        if let Some((value, _)) = self.values.borrow_mut().get_mut(&key) {
            change(value);
        }
    }

    pub fn bytes(&self) -> usize {
        self.values.borrow().values().map(|(value, _)| value.len()).sum()
    }
}

impl SharedData for Memory {
    fn get(&self, key: SharedKey) -> Result<Stored, HostFailure> {
        let values = self.values.borrow();
        Ok(values.get(&key).map_or_else(Stored::default, |(value, cas)| Stored {
            value: (!value.is_empty()).then(|| value.clone()),
            cas: *cas,
        }))
    }

    fn set(&self, key: SharedKey, value: &[u8], cas: u32) -> Result<(), SetFailure> {
        let room = self.capacity.get().is_none_or(|capacity| {
            let old = self.values.borrow().get(&key).map_or(0, |(old, _)| old.len());
            value.len() <= old || self.bytes() - old + value.len() <= capacity
        });
        let mut values = self.values.borrow_mut();
        let current = values.get(&key).map(|(_, cas)| *cas);
        let holds = match current {
            Some(current) => cas == current || (cas == 0 && !self.strict_absent),
            None => true,
        };
        if !holds {
            return Err(SetFailure::CasMismatch);
        }
        if !room {
            return Err(SetFailure::Host(HostFailure(10)));
        }
        values.insert(key, (value.to_vec(), current.unwrap_or(0) + 1));
        Ok(())
    }
}
