//! From the bytes of a bearer token to verified claims: JSON Web Signatures in compact form (RFC 7515) that carry a JSON
//! Web Token (RFC 7519), under the rules of RFC 8725.
//!
//! The key decides the algorithm; the token only has to agree. Knows no strategy, issuer or clock: whether a token is
//! current, and good for anything, is policy and decided on each request.

mod algorithm;
mod claims;
mod compact;
mod id_token;
mod json;
mod jwk;
mod keys;
mod provider;
mod signature;
#[cfg(test)]
mod vectors;

pub use claims::{CLAIMS_MAX, Claims, Malformed};
pub use compact::is_jws;
pub use id_token::IdToken;
pub use keys::{KEYS_MAX, KeyFingerprint, KeySet};

use crate::host::NativeSignatures;
use compact::Compact;

/// Longest token, in bytes. A longer one is malformed before anything of it is read.
pub const TOKEN_MAX: usize = 16 << 10;

/// A token whose signature is good.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified {
    pub claims: Claims,
    /// What it was verified with. Facts from the token hold no longer than its issuer has this key.
    pub key: KeyFingerprint,
}

/// Why a token is refused. Holds nothing of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenFault {
    Malformed,
    /// Its `iss` is not the one expected, so that its key is not looked for.
    OtherIssuer,
    /// Its `kid` names none of the keys: perhaps the issuer has a new one.
    UnknownKey,
    /// Signed for another purpose, such as an ID token.
    NotAnAccessToken,
    /// No key admits its algorithm, or none made its signature.
    BadSignature,
}

impl From<Malformed> for TokenFault {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// Verifies everything about a token that does not depend on time or policy. `is_issuer` knows who may have issued it.
pub fn verify(
    token: &[u8],
    keys: &KeySet,
    native: &(impl NativeSignatures + ?Sized),
    is_issuer: impl FnOnce(&str) -> bool,
) -> Result<Verified, TokenFault> {
    let parts = Compact::parse(token)?;
    if !parts.header.may_be_an_access_token() {
        return Err(TokenFault::NotAnAccessToken);
    }
    let claims = Claims::from_json(&parts.payload);
    // Believed no further than this: whose key to look for. A token of somebody else asks nobody for a new key.
    if claims.as_ref().is_ok_and(|claims| !claims.issuer().is_some_and(is_issuer)) {
        return Err(TokenFault::OtherIssuer);
    }
    let key = keys.find(&parts.header, parts.message, &parts.signature, native)?;
    let claims = claims?;
    if claims.say_another_purpose() {
        return Err(TokenFault::NotAnAccessToken);
    }
    Ok(Verified { claims, key })
}
