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

#[cfg(test)]
mod tests {
    use app_auth_test_tokens::{jwk, token};
    use serde_json::json;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    /// The example of OpenID Connect Core 1.0, appendix A.3.
    #[test]
    fn the_hash_of_an_access_token_is_that_of_the_specification() {
        let token = IdToken { claims: Claims::from_json(b"{}").unwrap(), hash: HashFunction::Sha256 };
        let hash = token.access_token_hash(b"jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y");
        assert_eq!(hash, "77QmUPtjPfzWtF2AnpK9RQ");
    }

    #[test]
    fn only_what_may_be_an_id_token_and_is_signed_is_one() {
        let keys = KeySet::new(&[jwk("ES256", "1")], &[]);
        let verify = |token: &str| IdToken::verify(token.as_bytes(), &keys).map(|_| ());
        let claims = json!({"sub": "1", "nonce": "n", "at_hash": "h"});
        let with = |header| token(&header, &claims);
        for header in [
            json!({"alg": "ES256"}),
            json!({"alg": "ES256", "kid": "1", "typ": "JWT"}),
            json!({"alg": "ES256", "typ": "application/jwt"}),
        ] {
            assert_eq!(verify(&with(header.clone())), Ok(()), "{header}");
        }
        for header in [
            json!({"alg": "ES256", "typ": "at+jwt"}),
            json!({"alg": "ES256", "typ": "logout+jwt"}),
            json!({"alg": "ES256", "crit": ["x"], "x": 1}),
            json!({"alg": "ES256", "kid": "2"}),
            json!({"alg": "RS256"}),
        ] {
            assert!(verify(&with(header.clone())).is_err(), "{header}");
        }
        let signed = with(json!({"alg": "ES256"}));
        let (message, _) = signed.rsplit_once('.').unwrap();
        let other = token(&json!({"alg": "ES256"}), &json!({"sub": "2"}));
        let (_, signature) = other.rsplit_once('.').unwrap();
        assert_eq!(verify(&format!("{message}.{signature}")), Err(TokenFault::BadSignature));
        assert!(verify(&format!("{message}.")).is_err());
    }
}
