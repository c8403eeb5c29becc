//! ID tokens (OpenID Connect Core 1.0), which tell a client who somebody is and open nothing. The same rules as for access
//! tokens up to the signature; what the claims must be is the client's to check.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use super::claims::Claims;
use super::compact::Compact;
use super::{KeySet, TokenFault};
use crate::host::{HashFunction, NoNativeSignatures};

/// An ID token whose signature is good.
#[derive(Debug, Clone, PartialEq)]
pub struct IdToken {
    pub claims: Claims,
    hash: HashFunction,
}

impl IdToken {
    /// Verifies everything that does not depend on time or on who asks.
    pub fn verify(token: &[u8], keys: &KeySet) -> Result<Self, TokenFault> {
        let parts = Compact::parse(token)?;
        if !parts.header.may_be_an_id_token() {
            return Err(TokenFault::Malformed);
        }
        keys.find(&parts.header, parts.message, &parts.signature, &NoNativeSignatures)?;
        let hash = parts.header.algorithm.ok_or(TokenFault::BadSignature)?.hash();
        Ok(Self { claims: Claims::from_json(&parts.payload)?, hash })
    }

    /// What `at_hash` must be beside this access token (section 3.1.3.6): the left half of its hash, by the algorithm that
    /// the ID token is signed with.
    pub fn access_token_hash(&self, access_token: &[u8]) -> String {
        let whole = match self.hash {
            HashFunction::Sha256 => Sha256::digest(access_token).to_vec(),
            HashFunction::Sha384 => Sha384::digest(access_token).to_vec(),
            HashFunction::Sha512 => Sha512::digest(access_token).to_vec(),
        };
        URL_SAFE_NO_PAD.encode(whole.get(..whole.len() / 2).unwrap_or_default())
    }
}
