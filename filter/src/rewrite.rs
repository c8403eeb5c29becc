//! Makes a request what the upstream may see: no identity but ours, no credential that is to be hidden.

use app_auth_core::gate::{Hide, HostTraits};
use app_auth_core::identity::{Forged, Identity, IdentityHeader, IdentityHeaders};
use app_auth_core::request::headers::{self, HeaderMap, same_name};
use app_auth_core::request::{Body, body, query};

use crate::host::{self, Refused};
use crate::worker::UPSTREAM_URI;

const AUTHORIZATION: &[u8] = b"authorization";

/// What is to change.
pub struct Change<'a> {
    pub identity: Option<&'a Identity>,
    pub hide: Option<&'a Hide>,
    /// What is to stand in `Authorization` instead of what does.
    pub authorization: Option<&'a [u8]>,
}

impl Change<'_> {
    /// Only what is forged goes.
    pub const NOTHING: Self = Self { identity: None, hide: None, authorization: None };

    fn drops(&self, name: &[u8]) -> bool {
        let hidden = |header: &String| same_name(name, header.as_bytes());
        IdentityHeader::of(name).is_some()
            || self.hide.and_then(|hide| hide.header.as_ref()).is_some_and(hidden)
            || (self.authorization.is_some() && same_name(name, AUTHORIZATION))
    }

    /// The target without the arguments that are to be hidden; `None`: it has none.
    fn target(&self, target: &[u8]) -> Option<Vec<u8>> {
        without_all(target, self.hide?, query::target_without)
    }
}

/// Takes every argument away that is to be hidden; `None`: there was none.
fn without_all(
    text: &[u8],
    hide: &Hide,
    without: impl Fn(&[u8], &str) -> Option<Vec<u8>>,
) -> Option<Vec<u8>> {
    hide.arguments.iter().fold(None, |rest: Option<Vec<u8>>, name| {
        let shorter = without(rest.as_deref().unwrap_or(text), name);
        shorter.or(rest)
    })
}

pub fn request(
    headers: &HeaderMap<'_>,
    change: &Change<'_>,
    body: Body<'_>,
    traits: HostTraits,
) -> Result<(), Refused> {
    let body_size = match change.hide.and_then(|hide| body_without(headers, hide, body)) {
        Some((old_size, rest)) => {
            host::replace_request_body(old_size, &rest)?;
            Some(rest.len().to_string())
        }
        None => None,
    };
    let identity = change.identity.map(Identity::headers);
    if traits.removes_headers {
        at_once(headers, change, identity.as_ref(), body_size.as_deref())
    } else {
        one_by_one(headers, change, identity.as_ref())
    }
}

/// All headers in one call, which costs less than a call for each, and leaves no copy and no spelling behind.
fn at_once(
    headers: &HeaderMap<'_>,
    change: &Change<'_>,
    identity: Option<&IdentityHeaders<'_>>,
    body_size: Option<&str>,
) -> Result<(), Refused> {
    if identity.is_none() && Forged::scan(headers).is_empty() {
        return Ok(());
    }
    let target = headers.first(":path").and_then(|target| change.target(target));
    let kept = headers.iter().filter(|(name, _)| !change.drops(name)).map(|(name, value)| {
        match (name, &target, body_size) {
            (b":path", Some(target), _) => (name, target.as_slice()),
            (b"content-length", _, Some(size)) => (name, size.as_bytes()),
            _ => (name, value),
        }
    });
    let ours = identity.into_iter().flat_map(IdentityHeaders::iter);
    let ours = ours.map(|(header, value)| (header.name().as_bytes(), value));
    let authorization = change.authorization.map(|value| (AUTHORIZATION, value));
    host::set_headers(&headers::serialize(kept.chain(ours).chain(authorization)))
}

/// For the host on which removing does not reach the upstream, so that what must not be seen is set empty.
fn one_by_one(
    headers: &HeaderMap<'_>,
    change: &Change<'_>,
    identity: Option<&IdentityHeaders<'_>>,
) -> Result<(), Refused> {
    for (name, _) in headers.iter().filter(|(name, _)| change.drops(name)) {
        host::set_header(name, b"")?;
    }
    for (header, value) in identity.into_iter().flat_map(IdentityHeaders::iter) {
        host::set_header(header.name().as_bytes(), value)?;
    }
    if let Some(value) = change.authorization {
        host::set_header(AUTHORIZATION, value)?;
    }
    if change.hide.is_none() {
        return Ok(());
    }
    let uri = host::property(UPSTREAM_URI).and_then(|uri| change.target(&uri));
    uri.map_or(Ok(()), |uri| host::set_property(UPSTREAM_URI, &uri))
}

/// The size of the body and what it is without the credentials that are in it.
fn body_without(headers: &HeaderMap<'_>, hide: &Hide, body: Body<'_>) -> Option<(usize, Vec<u8>)> {
    let Body::Read(bytes) = body else { return None };
    let kind = headers.first("content-type").and_then(body::Kind::of).filter(|_| hide.in_body)?;
    Some((bytes.len(), without_all(bytes, hide, |bytes, name| kind.without(bytes, name))?))
}
