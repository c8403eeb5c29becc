//! `application/x-www-form-urlencoded`, in a query or a body, as nginx and Kong read it.

use std::borrow::Cow;

use super::Found;

/// All there is under a name in `a=1&b=2&flag`.
pub fn find<'a>(encoded: &'a [u8], name: &str) -> Found<'a> {
    arguments(encoded)
        .filter(|(found, _)| names(found, name))
        .fold(Found::Nothing, |found, (_, value)| found.and(value.map(decode)))
}

/// The text without any argument of that name; all else stays byte for byte. `None` if there was none.
pub fn without(encoded: &[u8], name: &str) -> Option<Vec<u8>> {
    let mut kept = Vec::with_capacity(encoded.len());
    let mut removed = false;
    for argument in encoded.split(|byte| *byte == b'&') {
        if names(split(argument).0, name) {
            removed = true;
            continue;
        }
        if !kept.is_empty() {
            kept.push(b'&');
        }
        kept.extend_from_slice(argument);
    }
    removed.then_some(kept)
}

/// Path and query of a request target.
pub fn split_target(target: &[u8]) -> (&[u8], Option<&[u8]>) {
    match target.iter().position(|byte| *byte == b'?') {
        Some(at) => (target.get(..at).unwrap_or_default(), target.get(at + 1..)),
        None => (target, None),
    }
}

/// A request target without any argument of that name in its query. `None` if there was none.
pub fn target_without(target: &[u8], name: &str) -> Option<Vec<u8>> {
    let (path, query) = split_target(target);
    let query = without(query?, name)?;
    let mut target = path.to_vec();
    if !query.is_empty() {
        target.push(b'?');
        target.extend_from_slice(&query);
    }
    Some(target)
}

fn arguments(encoded: &[u8]) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
    encoded.split(|byte| *byte == b'&').filter(|argument| !argument.is_empty()).map(split)
}

fn split(argument: &[u8]) -> (&[u8], Option<&[u8]>) {
    match argument.iter().position(|byte| *byte == b'=') {
        Some(at) => (argument.get(..at).unwrap_or_default(), argument.get(at + 1..)),
        None => (argument, None),
    }
}

fn names(encoded: &[u8], name: &str) -> bool {
    encoded.len() >= name.len() && *decode(encoded) == *name.as_bytes()
}

/// Percent-decoding with `+` as space. A `%` without two hexadecimal digits stands for itself.
fn decode(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return text.into();
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        let (plain, after) = match (byte, escape(after)) {
            (b'%', Some(escaped)) => escaped,
            (b'+', _) => (b' ', after),
            (other, _) => (*other, after),
        };
        decoded.push(plain);
        rest = after;
    }
    decoded.into()
}

/// Two hexadecimal digits at the start, and what follows them.
fn escape(text: &[u8]) -> Option<(u8, &[u8])> {
    let ([high, low], after) = text.split_first_chunk::<2>()?;
    Some(((hex(*high)? << 4) | hex(*low)?, after))
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}
