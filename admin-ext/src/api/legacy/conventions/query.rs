//! Query arguments of a request and the two list formats: `{data, next, total}` of the developer family and
//! `{data, next[, offset]}` of core entities.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, OriginalUri};
use axum::http::request::Parts;
use axum::response::Response;
use serde::Serialize;
use url::form_urlencoded;
use utoipa::ToSchema;
use uuid::Uuid;

use super::error::Error;
use super::{reply, texts};
use crate::model::{Listed, Offset, PageRequest, TagFilter, Timestamp, rules};

/// The arguments of a request, and its path as the caller wrote it.
pub struct Query {
    path: String,
    arguments: Vec<(String, String)>,
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |OriginalUri(uri)| uri);
        let arguments =
            form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
        Ok(Self { path: uri.path().to_owned(), arguments })
    }
}

impl Query {
    /// The first argument of that name.
    pub fn argument(&self, name: &str) -> Option<&str> {
        self.arguments.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// An integer argument within inclusive bounds.
    pub fn integer(&self, name: &'static str, min: i64, max: i64) -> Result<Option<i64>, Error> {
        let Some(text) = self.argument(name) else {
            return Ok(None);
        };
        let refuse = |problem: String| Err(Error::InvalidOption { name, problem });
        match text.parse() {
            Ok(value) if (min..=max).contains(&value) => Ok(Some(value)),
            Ok(_) => refuse(format!("value should be between {min} and {max}")),
            Err(_) => refuse("expected an integer".into()),
        }
    }

    /// A text argument of at most `max` bytes.
    pub fn text(&self, name: &'static str, max: usize) -> Result<Option<&str>, Error> {
        let Some(text) = self.argument(name) else {
            return Ok(None);
        };
        let length = if text.len() > max { Err(format!("length must be at most {max}")) } else { Ok(()) };
        match length.and_then(|()| texts::storable(text)) {
            Ok(()) => Ok(Some(text)),
            Err(problem) => Err(Error::InvalidOption { name, problem }),
        }
    }

    /// An argument that says which of a few things is meant.
    pub fn one_of<T: Copy>(
        &self,
        name: &'static str,
        choices: impl Iterator<Item = (&'static str, T)>,
    ) -> Result<Option<T>, Error> {
        let Some(text) = self.argument(name) else {
            return Ok(None);
        };
        let choices: Vec<_> = choices.collect();
        if let Some((_, chosen)) = choices.iter().find(|(word, _)| *word == text) {
            return Ok(Some(*chosen));
        }
        let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
        Err(Error::InvalidOption { name, problem: format!("expected one of: {}", words.join(", ")) })
    }

    /// An id.
    pub fn uuid(&self, name: &'static str) -> Result<Option<Uuid>, Error> {
        let parse = |text: &str| match Uuid::try_parse(text) {
            Ok(id) => Ok(id),
            Err(_) => Err(Error::InvalidOption { name, problem: "expected a valid UUID".into() }),
        };
        self.argument(name).map(parse).transpose()
    }

    /// An instant: seconds since the Unix epoch, or an RFC 3339 time.
    pub fn time(&self, name: &'static str) -> Result<Option<Timestamp>, Error> {
        let parse = |text: &str| {
            let seconds = text.parse().ok().and_then(Timestamp::from_seconds);
            let rfc_3339 = || text.parse::<jiff::Timestamp>().ok();
            let at = seconds.or_else(|| rfc_3339().map(|at| Timestamp(at.as_millisecond())));
            let problem = "expected seconds since the Unix epoch or an RFC 3339 time".to_owned();
            at.ok_or(Error::InvalidOption { name, problem })
        };
        self.argument(name).map(parse).transpose()
    }

    /// Most items of a page.
    pub fn size(&self) -> Result<u16, Error> {
        let Some(size) = self.argument("size") else { return Ok(PageRequest::SIZE_DEFAULT) };
        let size = size.parse().ok().filter(|size| (1..=PageRequest::SIZE_MAX).contains(size));
        size.ok_or(Error::InvalidSize)
    }

    /// The page that `size` and `offset` ask for.
    pub fn page(&self) -> Result<PageRequest, Error> {
        let mut page = PageRequest { size: self.size()?, ..PageRequest::default() };
        if let Some(offset) = self.argument("offset") {
            let offset = offset.parse::<Offset>().map_err(|_| Error::InvalidOffset(offset.to_owned()))?;
            page.offset = Some(offset);
        }
        page.tags = self.argument("tags").map(tag_filter).transpose()?;
        Ok(page)
    }

    /// The path of the page that begins at `offset`, with the arguments of this request.
    fn next(&self, offset: &Offset) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("offset", &offset.to_string());
        query.extend_pairs(self.arguments.iter().filter(|(name, _)| name != "offset"));
        format!("{}?{}", self.path, query.finish())
    }

    /// A list of the developer family.
    pub fn list<T, B: Serialize>(&self, listed: Listed<T>, body: impl FnMut(T) -> B) -> Response {
        reply::ok(&Page {
            next: listed.next.as_ref().map(|offset| self.next(offset)),
            total: listed.total,
            data: listed.items.into_iter().map(body).collect::<Vec<_>>(),
        })
    }

    /// A list of core entities.
    pub fn core_list<T, B: Serialize>(&self, listed: Listed<T>, body: impl FnMut(T) -> B) -> Response {
        reply::ok(&CorePage {
            next: listed.next.as_ref().map(|offset| self.next(offset)),
            offset: listed.next.map(|offset| offset.to_string()),
            data: listed.items.into_iter().map(body).collect::<Vec<_>>(),
        })
    }
}

/// `a,b` asks for both tags, `a/b` for either.
fn tag_filter(text: &str) -> Result<TagFilter, Error> {
    let refuse = || Error::InvalidOption { name: "tags", problem: "invalid filter syntax".into() };
    let tags = |separator| text.split(separator).map(str::to_owned).collect::<Vec<_>>();
    let filter = match (text.contains(','), text.contains('/')) {
        (true, true) => return Err(refuse()),
        (false, true) => TagFilter::Any(tags('/')),
        _ => TagFilter::All(tags(',')),
    };
    let (TagFilter::All(tags) | TagFilter::Any(tags)) = &filter;
    let fits = |tag: &String| !tag.is_empty() && texts::storable(tag).is_ok();
    if tags.len() > rules::LIST_MAX || !tags.iter().all(fits) {
        return Err(refuse());
    }
    Ok(filter)
}

/// A page of a list of the developer family.
#[derive(Serialize, ToSchema)]
pub struct Page<T> {
    pub data: Vec<T>,
    /// Path of the next page; null on the last.
    pub next: Option<String>,
    /// Number of entities on all pages.
    pub total: u64,
}

/// A page of a list of core entities.
#[derive(Serialize, ToSchema)]
pub struct CorePage<T> {
    pub data: Vec<T>,
    /// Path of the next page; null on the last.
    pub next: Option<String>,
    /// `offset` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(uri: &str) -> Query {
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        Query {
            path: path.to_owned(),
            arguments: form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
        }
    }

    #[test]
    fn size_is_an_integer_between_1_and_1000() {
        for (uri, size) in [("/d", 100), ("/d?size=1", 1), ("/d?size=1000", 1000)] {
            assert_eq!(query(uri).page().map(|page| page.size).ok(), Some(size), "{uri}");
        }
        for size in ["0", "1001", "-1", "1.5", "x", "", "99999999999"] {
            assert!(matches!(query(&format!("/d?size={size}")).page(), Err(Error::InvalidSize)), "{size}");
        }
    }

    #[test]
    fn an_offset_that_no_list_gave_out_is_refused() {
        for offset in ["x", "", "AAAA", "%00", "a/b"] {
            assert!(
                matches!(query(&format!("/d?offset={offset}")).page(), Err(Error::InvalidOffset(_))),
                "{offset}"
            );
        }
    }

    #[test]
    fn an_instant_is_written_as_seconds_or_as_rfc_3339() {
        for (text, at) in [
            ("0", 0),
            ("1644620475", 1_644_620_475_000),
            ("2022-02-11T23:01:15Z", 1_644_620_475_000),
            ("2022-02-12T01:01:15.250%2B02:00", 1_644_620_475_250),
        ] {
            let found = query(&format!("/audit?since={text}")).time("since").ok();
            assert_eq!(found, Some(Some(Timestamp(at))), "{text}");
        }
        for text in ["", "now", "1.5", "2022-02-11", "2022-02-11T23:01:15", "9223372036854775807"] {
            let found = query(&format!("/audit?since={text}")).time("since");
            assert!(matches!(found, Err(Error::InvalidOption { name: "since", .. })), "{text}");
        }
    }

    #[test]
    fn the_next_page_keeps_the_arguments_and_names_where_to_go_on() {
        let offset: Offset = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".parse().unwrap();
        assert_eq!(
            query("/developers?status=0&size=2&offset=x").next(&offset),
            format!("/developers?offset={offset}&status=0&size=2")
        );
        assert_eq!(query("/developers").next(&offset), format!("/developers?offset={offset}"));
    }
}
