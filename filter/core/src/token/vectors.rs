//! Project Wycheproof's signatures, each by the core's own verification and by a host's: one verdict, and the right one.
//!
//! They sign messages that are no tokens, so they are held against the step between the header and the payload. In Wasm the
//! arithmetic is another than elsewhere, so they are held there too, where there is no other library to be the host.

use std::cell::Cell;

use app_auth_test_tokens::base64url;
use serde_json::{Value, json};
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;
use wycheproof::{TestResult, ecdsa, eddsa, rsa_pkcs1_verify as pkcs1, rsa_pss_verify as pss};

use super::KeySet;
use super::compact::Header;
use crate::host::NoNativeSignatures;

/// A host that verifies, and counts how often it was asked.
#[derive(Default)]
struct Host {
    asked: Cell<usize>,
}

#[cfg(not(target_family = "wasm"))]
impl crate::host::NativeSignatures for Host {
    fn verify(
        &self,
        hash: crate::host::HashFunction,
        key: &[u8],
        signature: &[u8],
        message: &[u8],
    ) -> Option<bool> {
        self.asked.set(self.asked.get() + 1);
        Some(app_auth_test_tokens::native::verify_signature(hash.as_str(), key, signature, message))
    }
}

/// What came of a set of vectors.
#[derive(Default)]
struct Tally {
    good: usize,
    bad: usize,
    host: Host,
}

impl Tally {
    /// Whether both ways give the verdict that they must, and the same where either would do.
    fn hold(&mut self, algorithm: &str, keys: &KeySet, vector: &Vector<'_>) {
        assert!(!keys.is_empty(), "{algorithm} {}: the key is good", vector.id);
        let header = Header::parse(json!({ "alg": algorithm }).to_string().as_bytes()).unwrap();
        let signature = vector.signature.to_vec();
        let own = keys.find(&header, vector.message, &signature, &NoNativeSignatures).is_ok();
        #[cfg(not(target_family = "wasm"))]
        {
            let host = keys.find(&header, vector.message, &signature, &self.host).is_ok();
            assert_eq!(own, host, "{algorithm} {}: the two ways differ", vector.id);
        }
        match vector.expected {
            TestResult::Valid => assert!(own, "{algorithm} {}: refused", vector.id),
            TestResult::Invalid => assert!(!own, "{algorithm} {}: let through", vector.id),
            TestResult::Acceptable => {}
        }
        if own { self.good += 1 } else { self.bad += 1 }
    }

    /// Whether enough of them were of either kind, and came to the host. Those of a wrong form are refused before.
    fn check(&self, good: usize, bad: usize, asked: usize) {
        assert!(self.good >= good && self.bad >= bad, "{} {}", self.good, self.bad);
        let asked = if cfg!(target_family = "wasm") { 0 } else { asked };
        assert_eq!(self.host.asked.get() > asked, asked > 0, "{}", self.host.asked.get());
    }
}

struct Vector<'a> {
    id: usize,
    message: &'a [u8],
    signature: &'a [u8],
    expected: TestResult,
}

/// Holds every vector of a set; `$jwk` makes a public key of a group.
macro_rules! hold {
    ($tally:expr, $kind:ident, $name:ident, $algorithm:expr, $jwk:expr) => {
        for group in $kind::TestSet::load($kind::TestName::$name).unwrap().test_groups {
            let keys = KeySet::new(&[$jwk(&group.key)], &[]);
            for test in &group.tests {
                let (message, signature) = (&test.msg, &test.sig);
                let vector = Vector { id: test.tc_id, message, signature, expected: test.result };
                $tally.hold($algorithm, &keys, &vector);
            }
        }
    };
}

fn rsa(algorithm: &str, modulus: &[u8], exponent: &[u8]) -> Value {
    json!({ "kty": "RSA", "alg": algorithm, "n": base64url(modulus), "e": base64url(exponent) })
}

fn point(curve: &str, uncompressed: &[u8]) -> Value {
    let (x, y) = uncompressed[1..].split_at(uncompressed.len() / 2);
    json!({ "kty": "EC", "crv": curve, "x": base64url(x), "y": base64url(y) })
}

#[test]
fn given_rsa_signatures_with_pkcs_1_padding_when_either_verifies_then_both_are_right() {
    macro_rules! sets {
        ($($name:ident $algorithm:literal),+) => {
            $(let mut tally = Tally::default();
            hold!(tally, pkcs1, $name, $algorithm, |key: &wycheproof::RsaPublic| rsa($algorithm, &key.n, &key.e));
            tally.check(5, 200, 200);)+
        };
    }
    sets!(
        Rsa2048Sha256 "RS256", Rsa2048Sha384 "RS384", Rsa2048Sha512 "RS512",
        Rsa3072Sha256 "RS256", Rsa3072Sha384 "RS384", Rsa3072Sha512 "RS512",
        Rsa4096Sha256 "RS256", Rsa4096Sha384 "RS384", Rsa4096Sha512 "RS512"
    );
}

#[test]
fn given_rsa_signatures_with_pss_padding_when_they_are_verified_then_the_salt_is_as_long_as_the_hash() {
    macro_rules! sets {
        ($($name:ident $algorithm:literal $good:literal),+) => {
            $(let mut tally = Tally::default();
            for group in pss::TestSet::load(pss::TestName::$name).unwrap().test_groups {
                let keys = KeySet::new(&[rsa($algorithm, &group.key.n, &group.key.e)], &[]);
                let ours = group.salt_size * 8 == $algorithm[2..].parse::<usize>().unwrap();
                for test in &group.tests {
                    let expected = match test.result {
                        result if ours => result,
                        // What is good with another salt is not with ours, and the other way about.
                        TestResult::Valid => TestResult::Invalid,
                        _ => TestResult::Acceptable,
                    };
                    let vector = Vector { id: test.tc_id, message: &test.msg, signature: &test.sig, expected };
                    tally.hold($algorithm, &keys, &vector);
                }
            }
            assert!($good || tally.good < 20, "{}", tally.good);
            tally.check(if $good { 20 } else { 0 }, 20, 0);)+
        };
    }
    sets!(
        RsaPss2048Sha256Mgf1SaltLen32 "PS256" true, RsaPss2048Sha384Mgf1SaltLen48 "PS384" true,
        RsaPss3072Sha256Mgf1SaltLen32 "PS256" true, RsaPss4096Sha256Mgf1SaltLen32 "PS256" true,
        RsaPss4096Sha384Mgf1SaltLen48 "PS384" true, RsaPss4096Sha512Mgf1SaltLen64 "PS512" true,
        RsaPss2048Sha256Mgf1SaltLen0 "PS256" false, RsaPss4096Sha512Mgf1SaltLen32 "PS512" false
    );
}

#[test]
fn given_ecdsa_signatures_when_either_verifies_then_both_are_right() {
    macro_rules! sets {
        ($($name:ident $algorithm:literal $curve:literal),+) => {
            $(let mut tally = Tally::default();
            hold!(tally, ecdsa, $name, $algorithm, |key: &wycheproof::EcdsaPublic| point($curve, &key.key));
            tally.check(100, 50, 100);)+
        };
    }
    sets!(
        EcdsaSecp256r1Sha256P1363 "ES256" "P-256",
        EcdsaSecp384r1Sha384P1363 "ES384" "P-384",
        EcdsaSecp521r1Sha512P1363 "ES512" "P-521"
    );
}

#[test]
fn given_ed25519_signatures_when_they_are_verified_then_strictly() {
    let mut tally = Tally::default();
    hold!(tally, eddsa, Ed25519, "EdDSA", |key: &wycheproof::EddsaPublic| {
        json!({ "kty": "OKP", "crv": "Ed25519", "x": base64url(&key.pk) })
    });
    tally.check(50, 50, 0);
}
