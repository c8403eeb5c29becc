//! Which of an issuer's keys are used: those that are sound and meant for it, whatever stands beside them.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use app_auth_core::token::{KEYS_MAX, KeySet, TokenFault};
use app_auth_test_tokens::{ALGORITHMS, base64url, jwk, token};
use serde_json::{Value, json};

use crate::support::{claims, verdict_with};

const CURVES: [(&str, &str); 3] = [("ES256", "P-256"), ("ES384", "P-384"), ("ES512", "P-521")];

fn usable(jwk: &Value) -> bool {
    !KeySet::new(std::slice::from_ref(jwk), &[]).is_empty()
}

fn with(algorithm: &str, name: &str, value: Value) -> Value {
    let mut key = jwk(algorithm, "k");
    key[name] = value;
    key
}

fn number(jwk: &Value, name: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap()
}

/// What a key without `alg` admits, for an issuer that lists these algorithms.
fn admitted(kind: &str, listed: &[&str]) -> Vec<&'static str> {
    let listed: Vec<_> = listed.iter().map(|name| (*name).to_owned()).collect();
    let keys = KeySet::new(&[jwk(kind, "k")], &listed);
    let admits = |algorithm: &&str| {
        let token = token(&json!({ "alg": algorithm, "kid": "k" }), &claims());
        verdict_with(&keys, token.as_bytes()).is_ok()
    };
    ALGORITHMS.into_iter().filter(admits).collect()
}

#[test]
fn given_keys_without_alg_when_the_issuer_lists_algorithms_then_only_rsa_keys_heed_the_list() {
    assert_eq!(admitted("RS256", &[]), ["RS256"]);
    assert_eq!(admitted("RS256", &["RS512", "PS256", "ES256", "HS256", "none"]), ["RS512", "PS256"]);
    assert_eq!(admitted("RS256", &["ES256"]), [""; 0]);
    for listed in [&[][..], &["RS256"]] {
        assert_eq!(admitted("ES256", listed), ["ES256"]);
        assert_eq!(admitted("ES384", listed), ["ES384"]);
        assert_eq!(admitted("ES512", listed), ["ES512"]);
        assert_eq!(admitted("EdDSA", listed), ["EdDSA", "Ed25519"]);
    }
}

#[test]
fn given_a_key_for_something_else_when_it_is_published_then_it_verifies_nothing() {
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        assert!(usable(&jwk(algorithm, "k")), "{algorithm}");
        for (name, value) in [
            ("use", json!("enc")),
            ("use", json!("")),
            ("use", json!(["sig"])),
            ("key_ops", json!(["encrypt", "wrapKey"])),
            ("key_ops", json!(["sign"])),
            ("key_ops", json!([])),
            ("key_ops", json!("verify")),
            ("alg", json!("RSA-OAEP")),
            ("alg", json!("HS256")),
            ("alg", json!("none")),
            ("alg", json!(null)),
            ("kid", json!(7)),
            ("kty", json!("oct")),
            ("kty", json!("rsa")),
            ("kty", json!(null)),
            ("d", json!("AQAB")),
            ("k", json!("AQAB")),
            ("p", json!(null)),
            ("oth", json!([])),
        ] {
            assert!(!usable(&with(algorithm, name, value.clone())), "{algorithm} {name} {value}");
        }
        assert!(usable(&with(algorithm, "use", json!("sig"))));
        assert!(usable(&with(algorithm, "key_ops", json!(["verify"]))));
    }
    assert!(!usable(&with("RS256", "alg", json!("ES256"))), "an algorithm of another kind of key");
    assert!(!usable(&with("ES256", "alg", json!("ES384"))));
    assert!(!usable(&with("EdDSA", "alg", json!("ES256"))));
    for other in [json!(null), json!([]), json!("key"), json!({}), json!({ "kty": "RSA" })] {
        assert!(!usable(&other));
    }
}

#[test]
fn given_a_weak_rsa_key_when_it_is_published_then_it_verifies_nothing() {
    let of_bits = |bits: usize, last: u8| {
        let mut modulus = vec![0xa5; bits.div_ceil(8)];
        modulus[0] = 0x80_u8 >> ((8 - bits % 8) % 8);
        *modulus.last_mut().unwrap() = last;
        with("RS256", "n", json!(base64url(modulus)))
    };
    for bits in [2048, 2049, 2056, 3072, 4095, 4096] {
        assert!(usable(&of_bits(bits, 0xa5)), "{bits}");
        assert!(!usable(&of_bits(bits, 0xa4)), "{bits}, but even");
    }
    for bits in [8, 512, 768, 1024, 1536, 2040, 2047, 4097, 4104, 8192, 65_536] {
        assert!(!usable(&of_bits(bits, 0xa5)), "{bits}");
    }
    for exponent in [&[][..], &[0], &[1], &[2], &[1, 0, 0], &[0xff; 8], &[4, 0, 0, 0, 1], &[0xff; 256]] {
        assert!(!usable(&with("RS256", "e", json!(base64url(exponent)))), "{exponent:?}");
    }
    for exponent in [&[3][..], &[17], &[1, 0, 1], &[0, 1, 0, 1], &[0xff, 0xff, 0xff, 0xff]] {
        assert!(usable(&with("RS256", "e", json!(base64url(exponent)))), "{exponent:?}");
    }
    assert!(!usable(&with("RS256", "n", json!(""))));
}

#[test]
fn given_a_number_with_a_zero_before_it_when_a_publisher_keeps_the_sign_then_the_key_is_the_same() {
    let key = jwk("RS256", "k");
    let padded = with("RS256", "n", json!(base64url([vec![0], number(&key, "n")].concat())));
    let token = token(&json!({ "alg": "RS256" }), &claims());
    let verified = verdict_with(&KeySet::new(&[key], &[]), token.as_bytes()).expect("a token");
    assert!(KeySet::new(&[padded], &[]).contains(&verified.key));
}

#[test]
fn given_a_point_that_is_not_of_its_curve_when_it_is_published_then_it_verifies_nothing() {
    for (algorithm, curve) in CURVES {
        let key = jwk(algorithm, "k");
        let (x, y) = (number(&key, "x"), number(&key, "y"));
        let mut off = y.clone();
        *off.last_mut().unwrap() ^= 1;
        let size = x.len();
        for (x, y) in [
            (x.clone(), off),
            (y.clone(), x.clone()),
            (vec![0; size], vec![0; size]),
            (vec![0xff; size], vec![0xff; size]),
            (x[1..].to_vec(), y.clone()),
            ([&[0], x.as_slice()].concat(), [&[0], y.as_slice()].concat()),
            (Vec::new(), Vec::new()),
        ] {
            let jwk = json!({ "kty": "EC", "crv": curve, "x": base64url(x), "y": base64url(y) });
            assert!(!usable(&jwk), "{jwk}");
        }
        for curve in CURVES.iter().map(|(_, curve)| *curve).filter(|other| *other != curve) {
            assert!(!usable(&with(algorithm, "crv", json!(curve))));
        }
        for curve in ["P256", "secp256k1", "p-256", ""] {
            assert!(!usable(&with(algorithm, "crv", json!(curve))));
        }
    }
}

#[test]
fn given_an_edwards_key_that_anybody_could_sign_for_when_it_is_published_then_it_verifies_nothing() {
    // The points of small order, in their canonical forms and in others.
    let small = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];
    for point in small {
        let bytes: Vec<_> =
            (0..64).step_by(2).map(|at| u8::from_str_radix(&point[at..at + 2], 16).unwrap()).collect();
        assert!(!usable(&with("EdDSA", "x", json!(base64url(bytes)))), "{point}");
    }
    for size in [0, 31, 33, 57] {
        assert!(!usable(&with("EdDSA", "x", json!(base64url(vec![9; size])))));
    }
    for curve in ["Ed448", "X25519", "ed25519", ""] {
        assert!(!usable(&with("EdDSA", "crv", json!(curve))));
    }
}

#[test]
fn given_numbers_in_loose_base64_when_a_key_has_them_then_it_verifies_nothing() {
    for (algorithm, name) in [("RS256", "n"), ("RS256", "e"), ("ES256", "x"), ("ES256", "y"), ("EdDSA", "x")]
    {
        let text = jwk(algorithm, "k")[name].as_str().unwrap().to_owned();
        for loose in [
            format!("{text}="),
            format!(" {text}"),
            format!("{text}\n"),
            format!("{text}+"),
            format!("{text}A"),
        ] {
            assert!(!usable(&with(algorithm, name, json!(loose))), "{algorithm} {name}");
        }
        for other in [json!(65537), json!(null), json!([text])] {
            assert!(!usable(&with(algorithm, name, other)), "{algorithm} {name}");
        }
    }
}

#[test]
fn given_bad_keys_beside_a_good_one_when_a_token_comes_then_the_good_one_verifies_it() {
    let bad =
        [json!(null), json!({ "kty": "oct", "k": "AQAB", "kid": "k" }), with("ES256", "use", json!("enc"))];
    let keys = KeySet::new(&[&bad[..], &[jwk("ES256", "k")], &bad[..]].concat(), &[]);
    let token = token(&json!({ "alg": "ES256", "kid": "k" }), &claims());
    assert!(verdict_with(&keys, token.as_bytes()).is_ok());
    assert_eq!(verdict_with(&KeySet::new(&bad, &[]), token.as_bytes()), Err(TokenFault::UnknownKey));
}

#[test]
fn given_two_keys_of_one_name_when_either_signed_then_the_token_is_verified() {
    let keys = KeySet::new(&[jwk("RS256", "k"), jwk("ES256", "k"), jwk("EdDSA", "k")], &[]);
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        let token = token(&json!({ "alg": algorithm, "kid": "k" }), &claims());
        assert!(verdict_with(&keys, token.as_bytes()).is_ok(), "{algorithm}");
    }
}

#[test]
fn given_a_key_that_is_withdrawn_or_narrowed_when_one_asks_then_its_fingerprint_is_gone() {
    let listed = ["RS256".to_owned(), "PS256".to_owned()];
    let both = KeySet::new(&[jwk("RS256", "one"), jwk("ES256", "two")], &listed);
    let token = token(&json!({ "alg": "RS256" }), &claims());
    let key = verdict_with(&both, token.as_bytes()).expect("a token").key;
    assert!(both.contains(&key));
    assert!(KeySet::new(&[jwk("RS256", "renamed")], &listed).contains(&key), "a name is not the key");
    assert!(!KeySet::new(&[jwk("ES256", "two")], &listed).contains(&key), "withdrawn");
    assert!(!KeySet::new(&[jwk("RS256", "one")], &listed[..1]).contains(&key), "admits less");
    assert!(!KeySet::default().contains(&key));
}

#[test]
fn given_more_keys_than_an_issuer_should_have_when_they_are_read_then_only_so_many_are() {
    let mut keys = vec![json!({}); KEYS_MAX - 1];
    keys.push(jwk("ES256", "last"));
    assert!(!KeySet::new(&keys, &[]).is_empty());
    keys.insert(0, json!({}));
    assert!(KeySet::new(&keys, &[]).is_empty());
}
