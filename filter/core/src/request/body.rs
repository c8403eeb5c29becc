//! A field of a request body: form, JSON or multipart (RFC 7578). Only read where a strategy says so.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Found, query};

/// Longest body that is searched, in bytes; a longer one reads as one without fields.
pub const MAX: usize = 1 << 20;

/// The kinds of body that have fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind<'a> {
    Form,
    Json,
    Multipart { boundary: Cow<'a, [u8]> },
}

impl<'a> Kind<'a> {
    /// By `Content-Type`; `None` for one that has no fields.
    pub fn of(content_type: &'a [u8]) -> Option<Self> {
        let end = content_type.iter().position(|byte| *byte == b';').unwrap_or(content_type.len());
        let (essence, parameters) = content_type.split_at_checked(end)?;
        let essence = essence.trim_ascii();
        if essence.eq_ignore_ascii_case(b"application/x-www-form-urlencoded") {
            Some(Self::Form)
        } else if essence.eq_ignore_ascii_case(b"application/json") {
            Some(Self::Json)
        } else if essence.eq_ignore_ascii_case(b"multipart/form-data") {
            let boundary = parameter(parameters, b"boundary")?;
            (1..=70).contains(&boundary.len()).then_some(Self::Multipart { boundary })
        } else {
            None
        }
    }

    /// All there is under a name.
    pub fn find<'b>(&self, body: &'b [u8], name: &str) -> Found<'b> {
        match self {
            Self::Form => query::find(body, name),
            Self::Json => json_find(body, name),
            Self::Multipart { boundary } => parts(body, boundary)
                .filter(|part| part.name.as_deref() == Some(name.as_bytes()))
                .fold(Found::Nothing, |found, part| found.and(Some(part.content.into()))),
        }
    }

    /// The body without any field of that name. `None` if there was none.
    pub fn without(&self, body: &[u8], name: &str) -> Option<Vec<u8>> {
        match self {
            Self::Form => query::without(body, name),
            Self::Json => json_without(body, name),
            Self::Multipart { boundary } => {
                let mut kept = body.to_vec();
                let mut removed = false;
                // From the back, so that the places of the parts before stay right.
                let found: Vec<_> = parts(body, boundary).collect();
                for part in found.iter().rev().filter(|part| part.name.as_deref() == Some(name.as_bytes())) {
                    if part.start <= part.end && part.end <= kept.len() {
                        kept.drain(part.start..part.end);
                        removed = true;
                    }
                }
                removed.then_some(kept)
            }
        }
    }
}

fn json_find<'b>(body: &'b [u8], name: &str) -> Found<'b> {
    struct Field<'n>(&'n str);
    impl<'de> Visitor<'de> for Field<'_> {
        type Value = Found<'de>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut found = Found::Nothing;
            while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                if key == self.0 {
                    found = match json_text(map.next_value::<&'de RawValue>()?.get()) {
                        // A list or an object under the name is as ambiguous as two values.
                        Err(()) => Found::Many,
                        Ok(value) => found.and(value),
                    };
                } else {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            Ok(found)
        }
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    deserializer.deserialize_map(Field(name)).unwrap_or(Found::Nothing)
}

/// A string's text, `None` for another scalar, an error for a list or an object.
fn json_text(raw: &str) -> Result<Option<Cow<'_, [u8]>>, ()> {
    match raw.as_bytes().first() {
        Some(b'"') => match serde_json::from_str::<String>(raw) {
            Ok(text) => Ok(Some(text.into_bytes().into())),
            Err(_) => Ok(None),
        },
        Some(b'[' | b'{') => Err(()),
        _ => Ok(None),
    }
}

/// Rewrites the object from its members' own text, so that numbers and escapes stay as the client wrote them.
fn json_without(body: &[u8], name: &str) -> Option<Vec<u8>> {
    struct Others<'n>(&'n str);
    impl<'de> Visitor<'de> for Others<'_> {
        type Value = Option<Vec<u8>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut kept = vec![b'{'];
            let mut removed = false;
            while let Some(key) = map.next_key::<String>()? {
                let value = map.next_value::<&'de RawValue>()?;
                if key == self.0 {
                    removed = true;
                    continue;
                }
                if kept.len() > 1 {
                    kept.push(b',');
                }
                kept.extend(serde_json::to_vec(&key).map_err(serde::de::Error::custom)?);
                kept.push(b':');
                kept.extend_from_slice(value.get().as_bytes());
            }
            kept.push(b'}');
            Ok(removed.then_some(kept))
        }
    }
    serde_json::Deserializer::from_slice(body).deserialize_map(Others(name)).ok().flatten()
}

struct Part<'b> {
    name: Option<Cow<'b, [u8]>>,
    content: &'b [u8],
    /// From the part's own delimiter line to the next one.
    start: usize,
    end: usize,
}

/// The parts between delimiter lines. Delimiters are looked for at line starts only, which keeps it linear.
fn parts<'b>(body: &'b [u8], boundary: &[u8]) -> impl Iterator<Item = Part<'b>> {
    let mut delimiters = Vec::new();
    let mut at = 0;
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        if line.strip_prefix(b"--").and_then(|line| line.strip_prefix(boundary)).is_some_and(ends_delimiter) {
            delimiters.push((at, at + line.len()));
        }
        at += line.len();
    }
    let ends = delimiters.iter().skip(1).map(|(start, _)| *start).collect::<Vec<_>>();
    delimiters.into_iter().zip(ends).filter_map(move |((start, after_delimiter), end)| {
        let part = body.get(after_delimiter..end)?;
        let (head, content) = split_head(part)?;
        let content = content.strip_suffix(b"\n").unwrap_or(content);
        let content = content.strip_suffix(b"\r").unwrap_or(content);
        Some(Part { name: disposition_name(head), content, start, end })
    })
}

/// Whether what follows the boundary on its line leaves it a delimiter: nothing, `--`, or padding.
fn ends_delimiter(rest: &[u8]) -> bool {
    let rest = rest.trim_ascii_end();
    rest.is_empty() || rest == b"--"
}

fn split_head(part: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut at = 0;
    for line in part.split_inclusive(|byte| *byte == b'\n') {
        at += line.len();
        if line.trim_ascii().is_empty() {
            return Some((part.get(..at)?, part.get(at..)?));
        }
    }
    None
}

fn disposition_name(head: &[u8]) -> Option<Cow<'_, [u8]>> {
    const NAME: &[u8] = b"content-disposition:";
    head.split(|byte| *byte == b'\n').find_map(|line| {
        let (name, value) = line.split_at_checked(NAME.len())?;
        name.eq_ignore_ascii_case(NAME).then(|| parameter(value, b"name")).flatten()
    })
}

/// A parameter of a header value: `; name=token` or `; name="quoted"`.
fn parameter<'a>(parameters: &'a [u8], name: &[u8]) -> Option<Cow<'a, [u8]>> {
    let mut rest = parameters;
    loop {
        let at = rest.iter().position(|byte| *byte == b';')?;
        rest = rest.get(at + 1..)?.trim_ascii_start();
        let end = rest.iter().position(|byte| matches!(byte, b'=' | b';'))?;
        let (found, after) = rest.split_at_checked(end)?;
        let Some(value) = after.strip_prefix(b"=") else { continue };
        let (value, after) = parameter_value(value.trim_ascii_start());
        if found.trim_ascii().eq_ignore_ascii_case(name) {
            return Some(value);
        }
        rest = after;
    }
}

/// A token or a quoted string at the start, unquoted, and what follows it.
fn parameter_value(text: &[u8]) -> (Cow<'_, [u8]>, &[u8]) {
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let end = text.iter().position(|byte| matches!(byte, b';' | b'\r' | b'\n')).unwrap_or(text.len());
        let (token, rest) = text.split_at_checked(end).unwrap_or((text, b""));
        return (token.trim_ascii().into(), rest);
    };
    let mut unquoted = Vec::new();
    let mut bytes = quoted.iter().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return (unquoted.into(), quoted.get(at + 1..).unwrap_or_default()),
            b'\\' => unquoted.extend(bytes.next().map(|(_, escaped)| *escaped)),
            other => unquoted.push(*other),
        }
    }
    (unquoted.into(), b"")
}
