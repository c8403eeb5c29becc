//! What Envoy's foreign function `verify_signature` does, by a library that the filter does not use (but for P-521, which
//! that library lacks).

use p521::ecdsa::signature::Verifier as _;
use p521::pkcs8::DecodePublicKey as _;
use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use rsa::pkcs8::{ObjectIdentifier, SubjectPublicKeyInfoRef, der::Decode as _};

const RSA: &str = "1.2.840.113549.1.1.1";
const EC: &str = "1.2.840.10045.2.1";
const P256: &str = "1.2.840.10045.3.1.7";
const P384: &str = "1.3.132.0.34";
const P521: &str = "1.3.132.0.35";

/// Whether `signature` (PKCS #1 v1.5, or ECDSA in DER) is that of `message` by the key, a DER `SubjectPublicKeyInfo`. A key
/// or hash function that it does not know verifies nothing.
pub fn verify_signature(hash_function: &str, public_key: &[u8], signature: &[u8], message: &[u8]) -> bool {
    let Ok(info) = SubjectPublicKeyInfoRef::from_der(public_key) else { return false };
    let curve = info.algorithm.parameters.and_then(|any| any.decode_as::<ObjectIdentifier>().ok());
    let curve = curve.map(|oid| oid.to_string()).unwrap_or_default();
    let kind = info.algorithm.oid.to_string();
    let algorithm: &dyn VerificationAlgorithm = match (kind.as_str(), curve.as_str(), hash_function) {
        (RSA, _, "sha256") => &signature::RSA_PKCS1_2048_8192_SHA256,
        (RSA, _, "sha384") => &signature::RSA_PKCS1_2048_8192_SHA384,
        (RSA, _, "sha512") => &signature::RSA_PKCS1_2048_8192_SHA512,
        (EC, P256, "sha256") => &signature::ECDSA_P256_SHA256_ASN1,
        (EC, P384, "sha384") => &signature::ECDSA_P384_SHA384_ASN1,
        (EC, P521, "sha512") => return p521(public_key, signature, message),
        _ => return false,
    };
    let Some(key) = info.subject_public_key.as_bytes() else { return false };
    UnparsedPublicKey::new(algorithm, key).verify(message, signature).is_ok()
}

fn p521(public_key: &[u8], signature: &[u8], message: &[u8]) -> bool {
    let Ok(key) = p521::ecdsa::VerifyingKey::from_public_key_der(public_key) else { return false };
    p521::ecdsa::Signature::from_der(signature).is_ok_and(|signature| key.verify(message, &signature).is_ok())
}
