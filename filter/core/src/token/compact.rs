//! The compact form of a JSON Web Signature: three parts of strict base64url, and the rules for its header. Knows no
//! key and does not look into the payload.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::{Malformed, TOKEN_MAX, json};

/// Whether a token has the shape of a JSON Web Signature; if not, it is opaque, and only its issuer can say what it is
/// worth. One that is longer than [`TOKEN_MAX`] has no shape. Says nothing about whether the token is well-formed.
pub fn is_jws(token: &[u8]) -> bool {
    let Some((header, payload, signature)) = split(token) else { return false };
    let alphabet = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    payload.iter().chain(signature).all(alphabet)
        && decode(header).is_ok_and(|json| serde_json::from_slice::<Map<String, Value>>(&json).is_ok())
}

/// A token in its parts, decoded; only the header has been understood.
pub(super) struct Compact<'a> {
    pub header: Header,
    /// What is signed.
    pub message: &'a [u8],
    pub payload: Vec<u8>,
    pub signature: Vec<u8>,
}

impl<'a> Compact<'a> {
    pub fn parse(token: &'a [u8]) -> Result<Self, Malformed> {
        let (header, payload, signature) = split(token).ok_or(Malformed)?;
        let signed = header.len() + 1 + payload.len();
        Ok(Self {
            header: Header::parse(&decode(header)?)?,
            message: token.get(..signed).ok_or(Malformed)?,
            payload: decode(payload)?,
            signature: decode(signature)?,
        })
    }
}

/// Header, payload and signature as they stand.
fn split(token: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    if token.len() > TOKEN_MAX {
        return None;
    }
    let mut parts = token.split(|byte| *byte == b'.');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(header), Some(payload), Some(signature), None) => Some((header, payload, signature)),
        _ => None,
    }
}

/// Without padding, white space, or bits that say nothing (RFC 4648, sections 3.2, 3.3 and 3.5).
pub(super) fn decode(text: &[u8]) -> Result<Vec<u8>, Malformed> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Malformed)
}

/// What a header says. `jwk`, `jku`, `x5u`, `x5c` and whatever else it may hold are not even kept.
pub(super) struct Header {
    /// `None`: one that nobody here verifies.
    pub algorithm: Option<Algorithm>,
    pub kid: Option<String>,
    typ: Option<String>,
}

impl Header {
    pub(super) fn parse(json: &[u8]) -> Result<Self, Malformed> {
        let mut members = json::object(json)?;
        // Extensions that must be understood: none is. `b64` changes what is signed (RFC 7797).
        if members.contains_key("crit") || members.contains_key("b64") {
            return Err(Malformed);
        }
        let algorithm = text(&mut members, "alg")?.ok_or(Malformed)?;
        Ok(Self {
            algorithm: Algorithm::from_name(&algorithm),
            kid: text(&mut members, "kid")?,
            typ: text(&mut members, "typ")?,
        })
    }

    /// By its type (RFC 8725, section 3.11; RFC 9068, section 4). Many issuers give none, or `JWT`.
    pub fn may_be_an_access_token(&self) -> bool {
        let Some(typ) = &self.typ else { return true };
        let typ = typ.to_ascii_lowercase();
        matches!(typ.strip_prefix("application/").unwrap_or(&typ), "jwt" | "at+jwt")
    }

    /// By its type, which hardly any issuer gives.
    pub fn may_be_an_id_token(&self) -> bool {
        let Some(typ) = &self.typ else { return true };
        let typ = typ.to_ascii_lowercase();
        typ.strip_prefix("application/").unwrap_or(&typ) == "jwt"
    }
}

fn text(members: &mut Map<String, Value>, name: &str) -> Result<Option<String>, Malformed> {
    match members.remove(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Malformed),
    }
}
