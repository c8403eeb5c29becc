//! Header lists: ordered, with duplicates, values as bytes, and the ABI's wire form of them.

use crate::quirks::Quirks;

/// An ordered list of headers.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Headers(pub Vec<(Vec<u8>, Vec<u8>)>);

impl Headers {
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        self.0.push((name.to_vec(), value.to_vec()));
    }

    /// The first value of a name, letter case aside.
    pub fn first(&self, name: &[u8]) -> Option<&[u8]> {
        self.0.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_slice())
    }

    /// All values of a name, letter case aside, as text.
    pub fn all(&self, name: &str) -> Vec<String> {
        let matching = self.0.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes()));
        matching.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect()
    }

    /// All values of all spellings of a name that an upstream may take for it: any case, `_` for `-`. Empty values are
    /// left out: a header without a value names nobody.
    pub fn any_spelling(&self, name: &str) -> Vec<String> {
        let fold = |text: &[u8]| -> Vec<u8> {
            text.iter().map(|byte| if *byte == b'_' { b'-' } else { byte.to_ascii_lowercase() }).collect()
        };
        let wanted = fold(name.as_bytes());
        let matching = self.0.iter().filter(|(n, value)| fold(n) == wanted && !value.is_empty());
        matching.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect()
    }

    pub(crate) fn remove(&mut self, name: &[u8]) {
        self.0.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
    }

    pub(crate) fn replace(&mut self, name: &[u8], value: &[u8], quirks: &Quirks) {
        let Some(first) = self.0.iter().position(|(n, _)| n.eq_ignore_ascii_case(name)) else {
            self.push(name, value);
            return;
        };
        self.0[first].1 = value.to_vec();
        if !quirks.replace_first_copy_only {
            let mut index = 0;
            self.0.retain(|(n, _)| {
                index += 1;
                index - 1 <= first || !n.eq_ignore_ascii_case(name)
            });
        }
    }

    /// The ABI's form: count, lengths, then names and values, each ended by a zero byte.
    pub(crate) fn to_wire(&self) -> Vec<u8> {
        let word = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes();
        let mut wire = word(self.0.len()).to_vec();
        for (name, value) in &self.0 {
            wire.extend(word(name.len()));
            wire.extend(word(value.len()));
        }
        for (name, value) in &self.0 {
            wire.extend_from_slice(name);
            wire.push(0);
            wire.extend_from_slice(value);
            wire.push(0);
        }
        wire
    }

    /// `None` for bytes that are not such a form.
    pub(crate) fn from_wire(wire: &[u8]) -> Option<Self> {
        if wire.is_empty() {
            return Some(Self::default());
        }
        let word = |at: usize| -> Option<usize> {
            let bytes = wire.get(at..at + 4)?;
            usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok()
        };
        let count = word(0)?;
        let mut at = 4_usize.checked_add(count.checked_mul(8)?)?;
        let mut take = |length: usize| -> Option<Vec<u8>> {
            let bytes = wire.get(at..at.checked_add(length)?)?.to_vec();
            (wire.get(at + length) == Some(&0)).then_some(())?;
            at += length + 1;
            Some(bytes)
        };
        let mut headers = Self::default();
        for index in 0..count {
            let name = take(word(4 + index * 8)?)?;
            let value = take(word(8 + index * 8)?)?;
            headers.0.push((name, value));
        }
        Some(headers)
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(n, v)| (n.as_ref().to_vec(), v.as_ref().to_vec())).collect())
    }
}
