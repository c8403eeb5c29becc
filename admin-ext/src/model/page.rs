//! Paging of every list: a size and an opaque offset that names the last item seen, so that a list that grows or
//! shrinks meanwhile neither repeats nor skips an item that was there all along.

use std::fmt;
use std::str::FromStr;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;

use super::ambient::Timestamp;

/// One page of a list, in the order of creation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PageRequest {
    /// Most items of the page, 1 to [`PageRequest::SIZE_MAX`].
    pub size: u16,
    /// Begin after this item; absent: at the first.
    pub offset: Option<Offset>,
    /// Only what is tagged so, in lists whose items have tags.
    pub tags: Option<TagFilter>,
}

/// Which tags an item must have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TagFilter {
    All(Vec<String>),
    Any(Vec<String>),
}

impl PageRequest {
    pub const SIZE_MAX: u16 = 1000;
    pub const SIZE_DEFAULT: u16 = 100;
}

impl Default for PageRequest {
    fn default() -> Self {
        Self { size: Self::SIZE_DEFAULT, offset: None, tags: None }
    }
}

/// A page and what lies around it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed<T> {
    pub items: Vec<T>,
    /// Where the next page begins; absent on the last page.
    pub next: Option<Offset>,
    /// Number of items of the whole list.
    pub total: u64,
}

/// The place of an item in a list. Clients pass it back unchanged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Offset {
    pub(crate) created_at: Timestamp,
    pub(crate) id: Uuid,
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [0_u8; 24];
        bytes[..8].copy_from_slice(&self.created_at.0.to_be_bytes());
        bytes[8..].copy_from_slice(self.id.as_bytes());
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

/// A text that no list gave out as an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an offset that a list gave out")]
pub struct InvalidOffset;

impl FromStr for Offset {
    type Err = InvalidOffset;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidOffset)?;
        let (created_at, id) = bytes.split_first_chunk::<8>().ok_or(InvalidOffset)?;
        let id = <[u8; 16]>::try_from(id).map_err(|_| InvalidOffset)?;
        Ok(Self { created_at: Timestamp(i64::from_be_bytes(*created_at)), id: Uuid::from_bytes(id) })
    }
}
