//! Keys and tokens that are good, and the verdict on others.

use app_auth_core::host::NoNativeSignatures;
use app_auth_core::token::{KeySet, TokenFault, Verified, verify};
use app_auth_test_tokens::{ALGORITHMS, jwk, raw, token};
use serde_json::{Value, json};

thread_local! {
    static KEYS: KeySet = keys();
}

/// An issuer with every kind of key. The key of an algorithm is known by the algorithm's name.
pub fn with_keys<T>(read: impl FnOnce(&KeySet) -> T) -> T {
    KEYS.with(read)
}

fn keys() -> KeySet {
    let keys: Vec<_> = ALGORITHMS
        .iter()
        .map(|algorithm| {
            let mut key = jwk(algorithm, algorithm);
            key["alg"] = (*algorithm).into();
            key
        })
        .collect();
    KeySet::new(&keys, &[])
}

/// The verdict, which is the same whether the host verifies or the core.
pub fn verdict_with(keys: &KeySet, token: &[u8]) -> Result<Verified, TokenFault> {
    let verdict = verify(token, keys, &NoNativeSignatures, |_| true);
    #[cfg(not(target_family = "wasm"))]
    assert_eq!(verdict, verify(token, keys, &host::Envoy, |_| true), "the host's verdict differs");
    verdict
}

pub fn verdict(token: impl AsRef<[u8]>) -> Result<Verified, TokenFault> {
    with_keys(|keys| verdict_with(keys, token.as_ref()))
}

pub fn fault(token: impl AsRef<[u8]>) -> TokenFault {
    verdict(token).expect_err("a fault")
}

pub fn header(algorithm: &str) -> Value {
    json!({ "alg": algorithm, "kid": algorithm })
}

/// A good token with one more header parameter, or another value of one.
pub fn with_header(name: &str, value: Value) -> String {
    let mut header = header("ES256");
    header[name] = value;
    token(&header, &claims())
}

/// A token that is signed well, whatever its payload.
pub fn with_payload(payload: impl AsRef<[u8]>) -> String {
    raw("ES256", header("ES256").to_string().as_bytes(), payload.as_ref())
}

/// A token of an issuer with these members besides, as text.
pub fn with_members(members: &str) -> String {
    with_payload(format!(r#"{{"iss":"https://issuer.example",{members}}}"#))
}

pub fn claims() -> Value {
    json!({ "iss": "https://issuer.example", "sub": "someone", "scope": "read" })
}

pub fn good(algorithm: &str) -> String {
    token(&header(algorithm), &claims())
}

#[cfg(not(target_family = "wasm"))]
pub mod host {
    use app_auth_core::host::{HashFunction, NativeSignatures};

    /// A host that verifies as Envoy does.
    pub struct Envoy;

    impl NativeSignatures for Envoy {
        fn verify(&self, hash: HashFunction, key: &[u8], signature: &[u8], message: &[u8]) -> Option<bool> {
            Some(app_auth_test_tokens::native::verify_signature(hash.as_str(), key, signature, message))
        }
    }
}
