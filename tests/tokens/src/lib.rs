//! Tokens for tests: any header and payload, signed as an issuer would, and a host's verification of them by a library
//! that is not the filter's. Knows nothing of the filter.

pub mod fuzz;
#[cfg(not(target_family = "wasm"))]
pub mod native;
mod random;

use std::sync::OnceLock;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use p256::ecdsa::signature::Signer as _;
use rsa::{BoxedUint, Pkcs1v15Sign, Pss, RsaPrivateKey, traits::PublicKeyParts as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

/// Every algorithm that the filter verifies.
pub const ALGORITHMS: [&str; 11] =
    ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"];

pub fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The public key that goes with an algorithm, as an issuer publishes it; without `alg`.
pub fn jwk(algorithm: &str, kid: &str) -> Value {
    let rsa = || rsa_key().to_public_key();
    let mut jwk = match algorithm {
        "ES256" => point("P-256", es256().verifying_key().to_sec1_point(false).as_bytes()),
        "ES384" => point("P-384", es384().verifying_key().to_sec1_point(false).as_bytes()),
        "ES512" => point("P-521", es512().verifying_key().to_sec1_point(false).as_bytes()),
        "EdDSA" | "Ed25519" => {
            json!({ "kty": "OKP", "crv": "Ed25519", "x": base64url(ed25519().verifying_key().as_bytes()) })
        }
        _ => json!({
            "kty": "RSA",
            "n": base64url(rsa().n().to_be_bytes_trimmed_vartime()),
            "e": base64url(rsa().e().to_be_bytes_trimmed_vartime()),
        }),
    };
    jwk["kid"] = kid.into();
    jwk
}

fn point(curve: &str, sec1: &[u8]) -> Value {
    let (x, y) = sec1[1..].split_at(sec1.len() / 2);
    json!({ "kty": "EC", "crv": curve, "x": base64url(x), "y": base64url(y) })
}

/// A token with this header, which names its algorithm, and these claims.
pub fn token(header: &Value, claims: &Value) -> String {
    let algorithm = header["alg"].as_str().expect("a header with alg");
    raw(algorithm, header.to_string().as_bytes(), claims.to_string().as_bytes())
}

/// A token of any bytes whatever.
pub fn raw(algorithm: &str, header: &[u8], payload: &[u8]) -> String {
    let message = format!("{}.{}", base64url(header), base64url(payload));
    let signature = base64url(sign(algorithm, message.as_bytes()));
    format!("{message}.{signature}")
}

/// A signature in the form of RFC 7518; an empty one for an algorithm that is none of [`ALGORITHMS`].
pub fn sign(algorithm: &str, message: &[u8]) -> Vec<u8> {
    let rng = &mut random::Predictable::default();
    let signed = match algorithm {
        "RS256" => rsa_key().sign(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(message)),
        "RS384" => rsa_key().sign(Pkcs1v15Sign::new::<Sha384>(), &Sha384::digest(message)),
        "RS512" => rsa_key().sign(Pkcs1v15Sign::new::<Sha512>(), &Sha512::digest(message)),
        "PS256" => rsa_key().sign_with_rng(rng, Pss::<Sha256>::new(), &Sha256::digest(message)),
        "PS384" => rsa_key().sign_with_rng(rng, Pss::<Sha384>::new(), &Sha384::digest(message)),
        "PS512" => rsa_key().sign_with_rng(rng, Pss::<Sha512>::new(), &Sha512::digest(message)),
        "ES256" => {
            let signature: p256::ecdsa::Signature = es256().sign(message);
            Ok(signature.to_bytes().to_vec())
        }
        "ES384" => {
            let signature: p384::ecdsa::Signature = es384().sign(message);
            Ok(signature.to_bytes().to_vec())
        }
        "ES512" => {
            let signature: p521::ecdsa::Signature = es512().sign(message);
            Ok(signature.to_bytes().to_vec())
        }
        "EdDSA" | "Ed25519" => Ok(ed25519().sign(message).to_bytes().to_vec()),
        _ => Ok(Vec::new()),
    };
    signed.expect("a key that signs")
}

fn es256() -> p256::ecdsa::SigningKey {
    p256::ecdsa::SigningKey::from_slice(&[7; 32]).expect("a number below the order of the curve")
}

fn es384() -> p384::ecdsa::SigningKey {
    p384::ecdsa::SigningKey::from_slice(&[7; 48]).expect("a number below the order of the curve")
}

fn es512() -> p521::ecdsa::SigningKey {
    let mut number = [7; 66];
    number[0] = 0;
    p521::ecdsa::SigningKey::from_slice(&number).expect("a number below the order of the curve")
}

fn ed25519() -> ed25519_dalek::SigningKey {
    ed25519_dalek::SigningKey::from_bytes(&[7; 32])
}

/// The key of RFC 7515, appendix A.2.
fn rsa_key() -> &'static RsaPrivateKey {
    static KEY: OnceLock<RsaPrivateKey> = OnceLock::new();
    KEY.get_or_init(|| {
        let number = |text: &str| {
            BoxedUint::from_be_slice_vartime(&URL_SAFE_NO_PAD.decode(text).expect("base64url"))
        };
        RsaPrivateKey::from_components(
            number("ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"),
            number("AQAB"),
            number("Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol2NXOoAJe46sui395IW_GO-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M_V51gfpRLI9JYanrC4D4qAdGcopV_0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl_x_jTj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR_RQyGWSeWjnczT0QU91p1DhOVRuOopznQ"),
            Vec::new(),
        )
        .expect("the key of the standard")
    })
}
