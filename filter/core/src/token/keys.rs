//! The public keys of one issuer, ready to verify. A key that cannot be used is left out and stands in nobody's way.

use std::fmt;

use serde_json::Value;

use super::compact::Header;
use super::jwk::PublicKey;
use super::signature::Verifier;
use super::{Malformed, TokenFault};
use crate::host::NativeSignatures;

/// Most keys of one issuer that are looked at.
pub const KEYS_MAX: usize = 64;
/// Most keys that one token is held against: a bound on work.
const TRIES_MAX: usize = 8;

/// Names a key by what it is and what it admits. Two keys that differ in either have different fingerprints.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyFingerprint([u8; 32]);

impl fmt::Debug for KeyFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

/// An issuer's usable keys.
#[derive(Default)]
pub struct KeySet(Vec<Key>);

struct Key {
    kid: Option<String>,
    der: Vec<u8>,
    verifiers: Vec<Verifier>,
    fingerprint: KeyFingerprint,
}

impl KeySet {
    /// From the JSON Web Keys of an issuer. `algorithms` is what its metadata says that it signs with; it counts for RSA
    /// keys without `alg`, which admit what is listed, and RS256 alone where nothing is.
    pub fn new(keys: &[Value], algorithms: &[String]) -> Self {
        Self(keys.iter().take(KEYS_MAX).filter_map(|jwk| Key::new(jwk, algorithms).ok()).collect())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the issuer still has a key.
    pub fn contains(&self, fingerprint: &KeyFingerprint) -> bool {
        self.0.iter().any(|key| key.fingerprint == *fingerprint)
    }

    /// The key that made the signature.
    pub(super) fn find(
        &self,
        header: &Header,
        message: &[u8],
        signature: &Vec<u8>,
        native: &(impl NativeSignatures + ?Sized),
    ) -> Result<KeyFingerprint, TokenFault> {
        // First, so that a token which no key can have signed asks nobody for a new one.
        let algorithm = header.algorithm.ok_or(TokenFault::BadSignature)?;
        let named = |key: &&Key| header.kid.is_none() || key.kid == header.kid;
        if header.kid.is_some() && !self.0.iter().any(|key| named(&key)) {
            return Err(TokenFault::UnknownKey);
        }
        let admitting =
            |key: &'_ Key| key.verifiers.iter().position(|verifier| verifier.algorithm == algorithm);
        self.0
            .iter()
            .filter(named)
            .filter_map(|key| Some((key, key.verifiers.get(admitting(key)?)?)))
            .take(TRIES_MAX)
            .find(|(key, verifier)| verifier.verify(message, signature, &key.der, native))
            .map(|(key, _)| key.fingerprint)
            .ok_or(TokenFault::BadSignature)
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| key.fingerprint)).finish()
    }
}

impl Key {
    fn new(jwk: &Value, listed: &[String]) -> Result<Self, Malformed> {
        let PublicKey { kid, material, der, algorithms } = PublicKey::from_jwk(jwk, listed)?;
        let mut hasher = blake3::Hasher::new();
        for algorithm in &algorithms {
            hasher.update(&[*algorithm as u8]);
        }
        // No algorithm has this number, so the list ends here.
        let fingerprint = KeyFingerprint(*hasher.update(&[u8::MAX]).update(&der).finalize().as_bytes());
        let verifiers: Result<_, _> =
            algorithms.iter().map(|algorithm| Verifier::new(*algorithm, &material)).collect();
        Ok(Self { kid, der, verifiers: verifiers?, fingerprint })
    }
}
