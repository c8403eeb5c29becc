//! What the core needs of a gateway. Implemented by the filter's `host.rs` and, for tests, by [`crate::memory`].

use crate::state::keys::SharedKey;

/// Memory that all workers of a gateway node share: keys to byte strings, each with a compare-and-set token.
///
/// Written to be right on both known kinds of host: one treats token 0 as "only if absent", the other as "overwrite",
/// and tokens are no versions (they may restart). So every write is get, then set with the token just read.
pub trait SharedData {
    /// The value and its token. A key that was never written has neither; a deleted one may keep a token.
    fn get(&self, key: SharedKey) -> Result<Stored, HostFailure>;

    /// Writes a value if the token still holds. An empty value deletes.
    fn set(&self, key: SharedKey, value: &[u8], cas: u32) -> Result<(), SetFailure>;
}

/// What [`SharedData::get`] found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// `None` where there is nothing, or only the empty value that stands for "deleted".
    pub value: Option<Vec<u8>>,
    pub cas: u32,
}

/// A host call failed with a status of the proxy-wasm ABI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostFailure(pub u32);

/// Why [`SharedData::set`] wrote nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetFailure {
    /// Someone wrote in between: read again.
    CasMismatch,
    Host(HostFailure),
}

/// Signatures verified by the host itself, which is many times faster than doing it in Wasm.
///
/// Modelled on Envoy's foreign function `verify_signature`: RSA with PKCS #1 v1.5 padding and ECDSA, nothing else.
pub trait NativeSignatures {
    /// `public_key` is a DER `SubjectPublicKeyInfo`; an ECDSA signature is DER too. `None`: the host cannot, and the core
    /// verifies by itself.
    fn verify(&self, hash: HashFunction, public_key: &[u8], signature: &[u8], message: &[u8])
    -> Option<bool>;
}

/// What a message is hashed with before it is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashFunction {
    Sha256,
    Sha384,
    Sha512,
}

impl HashFunction {
    /// As Envoy names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }
}

/// A host that verifies nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoNativeSignatures;

impl NativeSignatures for NoNativeSignatures {
    fn verify(&self, _: HashFunction, _: &[u8], _: &[u8], _: &[u8]) -> Option<bool> {
        None
    }
}
