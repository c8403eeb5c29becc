//! Rules shared by the entities: lengths and shapes of texts. Reasons are worded as Kong words its schema errors, so
//! that every API can show them unchanged.

use super::secret::PlainSecret;

/// A member that breaks a rule. Names the member and the rule, never the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct Invalid {
    pub field: &'static str,
    pub reason: String,
}

impl Invalid {
    pub fn new(field: &'static str, reason: impl Into<String>) -> Self {
        Self { field, reason: reason.into() }
    }
}

/// Longest reason for a status, in bytes.
pub const REASON_MAX: usize = 1000;

/// Longest name, in bytes.
pub const NAME_MAX: usize = 255;
/// Longest description, in bytes.
pub const DESCRIPTION_MAX: usize = 4096;
/// Longest `meta`, in bytes of JSON.
pub const META_MAX: usize = 65_536;
/// Longest address with a name before it, in bytes.
pub const MAILBOX_MAX: usize = 512;
/// Longest URI, in bytes.
pub const URI_MAX: usize = 2048;
/// Most redirect URIs of a credential, roles of a developer and tags of anything.
pub const LIST_MAX: usize = 100;

/// At least one and at most `max` bytes, without control characters.
pub fn text(field: &'static str, value: &str, max: usize) -> Result<(), Invalid> {
    if value.is_empty() {
        return Err(Invalid::new(field, "length must be at least 1"));
    }
    if value.len() > max {
        return Err(Invalid::new(field, format!("length must be at most {max}")));
    }
    if value.chars().any(char::is_control) {
        return Err(Invalid::new(field, "must not contain control characters"));
    }
    Ok(())
}

/// [`text`] of a member that may be absent.
pub fn optional_text(field: &'static str, value: Option<&str>, max: usize) -> Result<(), Invalid> {
    value.map_or(Ok(()), |value| text(field, value, max))
}

/// A name that goes into an HTTP header towards the upstream.
pub fn header_text(field: &'static str, value: Option<&str>, max: usize) -> Result<(), Invalid> {
    optional_text(field, value, max)
}

/// The JSON text of an object, or any text the operator kept there; bounded.
pub fn meta(value: Option<&str>) -> Result<(), Invalid> {
    match value {
        Some(value) if value.len() > META_MAX => {
            Err(Invalid::new("meta", format!("length must be at most {META_MAX}")))
        }
        _ => Ok(()),
    }
}

/// An address that may have a name before it (RFC 5322 section 3.4).
pub fn mailbox(field: &'static str, value: &str) -> Result<(), Invalid> {
    text(field, value, MAILBOX_MAX)?;
    match value.parse::<lettre::message::Mailbox>() {
        Ok(_) => Ok(()),
        Err(_) => Err(Invalid::new(field, "expected an address like 'Portal <portal@example.com>'")),
    }
}

/// A bounded list of texts.
pub fn list(field: &'static str, values: &[String], max: usize) -> Result<(), Invalid> {
    if values.len() > LIST_MAX {
        return Err(Invalid::new(field, format!("expected at most {LIST_MAX} elements")));
    }
    values.iter().try_for_each(|value| text(field, value, max))
}

/// A key or client id: what a request carries in a header or query argument.
pub fn key(field: &'static str, value: &PlainSecret) -> Result<(), Invalid> {
    text(field, value.expose(), PlainSecret::MAX)
}

/// An absolute URI without a fragment (RFC 6749 section 3.1.2).
pub fn redirect_uri(field: &'static str, value: &str) -> Result<(), Invalid> {
    text(field, value, URI_MAX)?;
    match url::Url::parse(value) {
        Err(_) => Err(Invalid::new(field, format!("cannot parse '{value}'"))),
        Ok(uri) if uri.fragment().is_some() => {
            Err(Invalid::new(field, format!("fragment not allowed in '{value}'")))
        }
        Ok(_) => Ok(()),
    }
}
