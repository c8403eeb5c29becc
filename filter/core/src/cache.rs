//! A map of bounded weight that forgets what was not asked for lately.
//!
//! Two generations: what is new or asked for is in the young one. Once that is full it becomes the old one, and what the
//! old one held until then is forgotten. Every operation takes constant time; weight is bounded by twice a generation's.

use std::collections::HashMap;
use std::hash::Hash;

pub struct Cache<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    /// Of the young generation.
    weight: usize,
    /// Of one generation.
    capacity: usize,
    weigh: fn(&V) -> usize,
}

impl<K: Eq + Hash + Clone, V> Cache<K, V> {
    /// `capacity` in the unit of `weigh`.
    pub fn new(capacity: usize, weigh: fn(&V) -> usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), weight: 0, capacity, weigh }
    }

    pub fn get(&mut self, key: &K) -> Option<&V> {
        if !self.young.contains_key(key) {
            let value = self.old.remove(key)?;
            self.put(key.clone(), value);
        }
        self.young.get(key)
    }

    /// What is heavier than a whole generation is not kept.
    pub fn put(&mut self, key: K, value: V) {
        let weight = (self.weigh)(&value);
        if weight > self.capacity {
            self.remove(&key);
            return;
        }
        if self.weight + weight > self.capacity {
            self.old = std::mem::take(&mut self.young);
            self.weight = 0;
        }
        self.old.remove(&key);
        self.weight += weight;
        if let Some(replaced) = self.young.insert(key, value) {
            self.weight = self.weight.saturating_sub((self.weigh)(&replaced));
        }
    }

    pub fn remove(&mut self, key: &K) -> Option<V> {
        if let Some(removed) = self.young.remove(key) {
            self.weight = self.weight.saturating_sub((self.weigh)(&removed));
            return Some(removed);
        }
        self.old.remove(key)
    }

    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers() -> Cache<u32, usize> {
        Cache::new(10, |weight| *weight)
    }

    #[test]
    fn what_is_asked_for_stays_and_what_is_not_goes() {
        let mut cache = numbers();
        cache.put(0, 1);
        for key in 1..1000 {
            cache.put(key, 3);
            assert_eq!(cache.get(&0), Some(&1), "after {key}");
        }
        assert_eq!(cache.get(&1), None);
        assert!(cache.len() <= 8);
    }

    #[test]
    fn nothing_heavier_than_a_generation_is_kept_nor_what_it_replaces() {
        let mut cache = numbers();
        cache.put(1, 2);
        cache.put(1, 11);
        assert_eq!(cache.get(&1), None);
        assert!(cache.is_empty());
    }

    #[test]
    fn replacing_and_removing_give_their_weight_back() {
        let mut cache = numbers();
        for _ in 0..100 {
            cache.put(1, 9);
        }
        cache.put(2, 1);
        assert_eq!([1, 2].map(|key| cache.get(&key).copied()), [Some(9), Some(1)]);
        assert_eq!(cache.remove(&1), Some(9));
        cache.put(3, 9);
        assert_eq!([2, 3].map(|key| cache.get(&key).copied()), [Some(1), Some(9)]);
    }
}
