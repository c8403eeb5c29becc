//! A provider of cryptography for `jsonwebtoken`, with newer and faster libraries than its own. It verifies and does
//! nothing else; it is called directly and never installed for the process, which may have another for its own tokens.

use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error as JwtError, ErrorKind};
use jsonwebtoken::signature::{Error, Verifier};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind};
use p256::ecdsa::signature::Verifier as _;
use rsa::traits::SignatureScheme;
use rsa::{Pkcs1v15Sign, Pss, RsaPublicKey};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use super::jwk;

pub(super) static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(ErrorKind::UnsupportedAlgorithm.into()),
    verifier_factory: new_verifier,
    key_utils: KeyUtils::new_unimplemented(),
};

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the interface has it so")]
fn new_verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, JwtError> {
    if !key.family().algorithms().contains(algorithm) {
        return Err(ErrorKind::InvalidKeyFormat.into());
    }
    Ok(match key.family() {
        AlgorithmFamily::Rsa => Box::new(Rsa::new(*algorithm, key)?),
        AlgorithmFamily::Ec if *algorithm == Algorithm::ES256 => Box::new(Es256(point(key)?)),
        AlgorithmFamily::Ec => Box::new(Es384(point(key)?)),
        AlgorithmFamily::Ed => Box::new(Ed25519::new(key)?),
        AlgorithmFamily::Hmac => return Err(ErrorKind::UnsupportedAlgorithm.into()),
    })
}

fn point<K: for<'a> TryFrom<&'a [u8]>>(key: &DecodingKey) -> Result<K, JwtError> {
    K::try_from(key.try_get_as_bytes()?).map_err(|_| ErrorKind::InvalidEcdsaKey.into())
}

struct Rsa {
    algorithm: Algorithm,
    /// Holds what can be computed before there is a signature.
    key: RsaPublicKey,
}

impl Rsa {
    fn new(algorithm: Algorithm, key: &DecodingKey) -> Result<Self, JwtError> {
        let DecodingKeyKind::RsaModulusExponent { n, e } = key.kind() else {
            return Err(ErrorKind::InvalidKeyFormat.into());
        };
        let key = jwk::provider_key(n, e).map_err(|_| ErrorKind::InvalidKeyFormat)?;
        Ok(Self { algorithm, key })
    }

    fn check(&self, scheme: impl SignatureScheme, digest: &[u8], signature: &[u8]) -> Result<(), Error> {
        self.key.verify(scheme, digest, signature).map_err(|_| Error::new())
    }
}

impl Verifier<Vec<u8>> for Rsa {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), Error> {
        match self.algorithm {
            Algorithm::RS256 => {
                self.check(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(message), signature)
            }
            Algorithm::RS384 => {
                self.check(Pkcs1v15Sign::new::<Sha384>(), &Sha384::digest(message), signature)
            }
            Algorithm::RS512 => {
                self.check(Pkcs1v15Sign::new::<Sha512>(), &Sha512::digest(message), signature)
            }
            // The salt is as long as the hash (RFC 7518, section 3.5), which is what these make of it.
            Algorithm::PS256 => self.check(Pss::<Sha256>::new(), &Sha256::digest(message), signature),
            Algorithm::PS384 => self.check(Pss::<Sha384>::new(), &Sha384::digest(message), signature),
            Algorithm::PS512 => self.check(Pss::<Sha512>::new(), &Sha512::digest(message), signature),
            _ => Err(Error::new()),
        }
    }
}

impl JwtVerifier for Rsa {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

struct Es256(p256::ecdsa::VerifyingKey);

impl Verifier<Vec<u8>> for Es256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), Error> {
        let signature = p256::ecdsa::Signature::from_slice(signature).map_err(|_| Error::new())?;
        self.0.verify(message, &signature).map_err(|_| Error::new())
    }
}

impl JwtVerifier for Es256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::ES256
    }
}

struct Es384(p384::ecdsa::VerifyingKey);

impl Verifier<Vec<u8>> for Es384 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), Error> {
        let signature = p384::ecdsa::Signature::from_slice(signature).map_err(|_| Error::new())?;
        self.0.verify(message, &signature).map_err(|_| Error::new())
    }
}

impl JwtVerifier for Es384 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::ES384
    }
}

struct Ed25519(ed25519_dalek::VerifyingKey);

impl Ed25519 {
    fn new(key: &DecodingKey) -> Result<Self, JwtError> {
        let point = key.try_get_as_bytes()?.try_into().map_err(|_| ErrorKind::InvalidEddsaKey)?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(point).map_err(|_| ErrorKind::InvalidEddsaKey)?;
        Ok(Self(key))
    }
}

impl Verifier<Vec<u8>> for Ed25519 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), Error> {
        let signature = ed25519_dalek::Signature::from_slice(signature).map_err(|_| Error::new())?;
        self.0.verify_strict(message, &signature).map_err(|_| Error::new())
    }
}

impl JwtVerifier for Ed25519 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}
