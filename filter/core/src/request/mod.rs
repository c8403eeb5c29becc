//! A request as the filter sees it: header pairs in the host's own encoding, the query, and where asked for the body.

pub mod body;
pub mod headers;
pub mod query;

use std::borrow::Cow;

/// The body, as far as it is known.
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// There may be one; it has not been read.
    Unread,
    /// There is none, or it cannot be had.
    Absent,
    Read(&'a [u8]),
}

/// What was found under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<'a> {
    Nothing,
    One(Cow<'a, [u8]>),
    /// Present, but not as a string: a query argument without `=`, a number in JSON.
    NotText,
    /// More than once, or as a list.
    Many,
}

impl<'a> Found<'a> {
    /// Takes up another value of the same name.
    #[must_use]
    pub fn and(self, value: Option<Cow<'a, [u8]>>) -> Self {
        match (self, value) {
            (Self::Nothing, Some(text)) => Self::One(text),
            (Self::Nothing, None) => Self::NotText,
            _ => Self::Many,
        }
    }
}
