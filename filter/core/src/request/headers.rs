//! Header pairs in the proxy-wasm serialisation, read in place: `u32` count, then for each pair two `u32` lengths, then
//! the names and values, each followed by a zero byte (little-endian).

use super::Found;

/// All headers of a request, as the host wrote them into our memory.
#[derive(Clone, Copy)]
pub struct HeaderMap<'a> {
    lengths: &'a [[u8; 8]],
    data: &'a [u8],
}

impl<'a> HeaderMap<'a> {
    /// `None` if the block does not add up.
    pub fn parse(block: &'a [u8]) -> Option<Self> {
        if block.is_empty() {
            return Some(Self { lengths: &[], data: &[] });
        }
        let (count, rest) = block.split_first_chunk::<4>()?;
        let (lengths, _) = rest.as_chunks::<8>();
        let lengths = lengths.get(..usize::try_from(u32::from_le_bytes(*count)).ok()?)?;
        let data = rest.get(lengths.len() * 8..)?;
        let map = Self { lengths, data };
        (map.iter().count() == lengths.len()).then_some(map)
    }

    /// Number of pairs.
    pub const fn len(&self) -> usize {
        self.lengths.len()
    }

    pub const fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// Names and values in the order of the request.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let mut data = self.data;
        self.lengths.iter().map_while(move |[a, b, c, d, e, f, g, h]| {
            let name = take(&mut data, u32::from_le_bytes([*a, *b, *c, *d]))?;
            let value = take(&mut data, u32::from_le_bytes([*e, *f, *g, *h]))?;
            Some((name, value))
        })
    }

    /// The first value of a header that means something to the host. Exact but for case: `content_length` is not one.
    pub fn first(&self, name: &str) -> Option<&'a [u8]> {
        self.iter().find(|(found, _)| found.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    /// All there is under a name, in any spelling; see [`same_name`].
    pub fn find(&self, name: &str) -> Found<'a> {
        self.iter()
            .filter(|(found, _)| same_name(found, name.as_bytes()))
            .fold(Found::Nothing, |found, (_, value)| found.and(Some(value.into())))
    }
}

fn take<'a>(data: &mut &'a [u8], length: u32) -> Option<&'a [u8]> {
    let (text, rest) = data.split_at_checked(usize::try_from(length).ok()?)?;
    let (zero, rest) = rest.split_first()?;
    *data = rest;
    (*zero == 0).then_some(text)
}

/// Whether two header names are the same to some upstream: without regard to case, and `_` like `-`, because one host
/// passes underscores on and CGI-like upstreams turn both into the same variable.
pub fn same_name(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| fold(*a) == fold(*b))
}

const fn fold(byte: u8) -> u8 {
    match byte {
        b'_' => b'-',
        other => other.to_ascii_lowercase(),
    }
}

/// Writes pairs in the host's encoding.
pub fn serialize<'a>(pairs: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Vec<u8> {
    let pairs: Vec<_> = pairs.into_iter().collect();
    let length = |text: &[u8]| u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes();
    let size = pairs.iter().fold(4, |size, (name, value)| size + 10 + name.len() + value.len());
    let mut block = Vec::with_capacity(size);
    block.extend(u32::try_from(pairs.len()).unwrap_or(u32::MAX).to_le_bytes());
    for (name, value) in &pairs {
        block.extend(length(name));
        block.extend(length(value));
    }
    for (name, value) in &pairs {
        block.extend_from_slice(name);
        block.push(0);
        block.extend_from_slice(value);
        block.push(0);
    }
    block
}
