//! One key with one algorithm, ready to verify: through the host where it can, by the core itself where not. The rules
//! that come before either are the same, so both give one verdict.

use jsonwebtoken::DecodingKey;
use jsonwebtoken::crypto::JwtVerifier;
use p521::ecdsa::signature::Verifier as _;

use super::Malformed;
use super::algorithm::{Algorithm, NativeForm};
use super::jwk::Material;
use super::provider::PROVIDER;
use crate::host::NativeSignatures;

pub(super) struct Verifier {
    pub algorithm: Algorithm,
    own: Own,
    /// Of a signature, in bytes.
    length: usize,
}

enum Own {
    Provided(Box<dyn JwtVerifier>),
    /// What `jsonwebtoken` has no name for.
    Es512(Box<p521::ecdsa::VerifyingKey>),
}

impl Verifier {
    pub fn new(algorithm: Algorithm, material: &Material) -> Result<Self, Malformed> {
        let (key, length) = match material {
            Material::Rsa { modulus, exponent } => {
                (DecodingKey::from_rsa_raw_components(modulus, exponent), modulus.len())
            }
            // Two numbers, each as long as a coordinate of the point.
            Material::Ec { point } => (DecodingKey::from_ec_der(point), point.len() - 1),
            Material::Ed25519 { point } => (DecodingKey::from_ed_der(point), 64),
        };
        let own = match (algorithm.named(), material) {
            (Some(named), _) => {
                Own::Provided((PROVIDER.verifier_factory)(&named, &key).map_err(|_| Malformed)?)
            }
            (None, Material::Ec { point }) => {
                let key = p521::ecdsa::VerifyingKey::from_sec1_bytes(point).map_err(|_| Malformed)?;
                Own::Es512(Box::new(key))
            }
            (None, _) => return Err(Malformed),
        };
        Ok(Self { algorithm, own, length })
    }

    /// `der` is the key as the host wants it.
    pub fn verify(
        &self,
        message: &[u8],
        signature: &Vec<u8>,
        der: &[u8],
        native: &(impl NativeSignatures + ?Sized),
    ) -> bool {
        if signature.len() != self.length {
            return false;
        }
        if let Some((hash, form)) = self.algorithm.native() {
            let Some(signature) = form.of(signature) else { return false };
            if let Some(verdict) = native.verify(hash, der, &signature, message) {
                return verdict;
            }
        }
        match &self.own {
            Own::Provided(verifier) => verifier.verify(message, signature).is_ok(),
            Own::Es512(key) => p521::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
        }
    }
}

impl NativeForm {
    /// `None`: not a signature at all, such as one of zeros or of numbers that are not below the order of the curve.
    fn of(self, signature: &[u8]) -> Option<std::borrow::Cow<'_, [u8]>> {
        Some(match self {
            Self::AsIs => signature.into(),
            Self::DerP256 => der(p256::ecdsa::Signature::from_slice(signature).ok()?.to_der().as_bytes()),
            Self::DerP384 => der(p384::ecdsa::Signature::from_slice(signature).ok()?.to_der().as_bytes()),
            Self::DerP521 => der(p521::ecdsa::Signature::from_slice(signature).ok()?.to_der().as_bytes()),
        })
    }
}

fn der(bytes: &[u8]) -> std::borrow::Cow<'static, [u8]> {
    bytes.to_vec().into()
}
