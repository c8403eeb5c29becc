//! What is tried against verifiers of tokens (RFC 8725 and published advisories), one test each.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use app_auth_core::host::NoNativeSignatures;
use app_auth_core::token::{KeySet, TOKEN_MAX, TokenFault, verify};
use app_auth_test_tokens::{ALGORITHMS, base64url, jwk, raw, sign, token};
use serde_json::json;

use crate::support::{
    claims, fault, good, header, verdict, verdict_with, with_header, with_keys, with_members, with_payload,
};

use TokenFault::{BadSignature, Malformed, NotAnAccessToken, OtherIssuer, UnknownKey};

#[test]
fn given_every_algorithm_when_a_good_token_comes_then_it_is_verified() {
    for algorithm in ALGORITHMS {
        let verified = verdict(good(algorithm)).expect(algorithm);
        assert_eq!(verified.claims.text(&["sub".into()]).as_deref(), Some("someone"));
        assert!(with_keys(|keys| keys.contains(&verified.key)));
    }
}

#[test]
fn given_a_token_without_a_signature_when_it_says_so_in_any_spelling_then_it_is_refused() {
    for none in ["none", "None", "NONE", "nOnE", ""] {
        for kid in ["RS256", "ES256", "EdDSA"] {
            let header = json!({ "alg": none, "kid": kid });
            assert_eq!(fault(token(&header, &claims())), BadSignature, "{none}");
            let unsigned = format!("{}.{}.", base64url(header.to_string()), base64url(claims().to_string()));
            assert_eq!(fault(unsigned), BadSignature);
        }
        assert_eq!(fault(token(&json!({ "alg": none }), &claims())), BadSignature);
        // Not even the key's name is looked up, so nobody is asked for it.
        assert_eq!(fault(token(&json!({ "alg": none, "kid": "unheard of" }), &claims())), BadSignature);
    }
}

#[test]
fn given_a_good_header_when_the_signature_is_left_out_then_it_is_refused() {
    for algorithm in ALGORITHMS {
        let token = good(algorithm);
        let signed = &token[..=token.rfind('.').unwrap()];
        assert_eq!(fault(signed), BadSignature);
        assert_eq!(fault(&signed[..signed.len() - 1]), Malformed, "and so is the dot");
    }
}

#[test]
fn given_a_public_key_when_it_serves_as_the_secret_of_an_hmac_then_the_token_is_refused() {
    use sha2::{Digest as _, Sha256};
    // HMAC-SHA256 of RFC 2104, of the key in the forms in which attackers have it.
    let hmac = |key: &[u8], message: &[u8]| {
        let key = if key.len() > 64 { Sha256::digest(key).to_vec() } else { key.to_vec() };
        let pad = |with: u8| (0..64).map(|at| key.get(at).unwrap_or(&0) ^ with).collect::<Vec<_>>();
        let inner = Sha256::digest([&pad(0x36), message].concat());
        Sha256::digest([pad(0x5c).as_slice(), &inner].concat())
    };
    let key = jwk("RS256", "RS256");
    for secret in [key.to_string(), key["n"].as_str().unwrap().to_owned()] {
        for kid in [Some("RS256"), None] {
            let mut header = json!({ "alg": "HS256" });
            if let Some(kid) = kid {
                header["kid"] = kid.into();
            }
            let message = format!("{}.{}", base64url(header.to_string()), base64url(claims().to_string()));
            let mac = hmac(secret.as_bytes(), message.as_bytes());
            assert_eq!(fault(format!("{message}.{}", base64url(mac))), BadSignature);
        }
    }
}

#[test]
fn given_a_key_for_one_algorithm_when_the_token_names_any_other_then_it_is_refused() {
    for of_key in ALGORITHMS {
        for of_token in ALGORITHMS {
            if of_key != of_token {
                let header = json!({ "alg": of_token, "kid": of_key });
                assert_eq!(fault(token(&header, &claims())), BadSignature, "{of_key} {of_token}");
                // Signed as the key wants it, while the header says otherwise.
                let token = raw(of_key, header.to_string().as_bytes(), claims().to_string().as_bytes());
                assert_eq!(fault(token), BadSignature, "{of_key} {of_token}");
            }
        }
    }
}

#[test]
fn given_a_kid_that_is_a_path_a_query_or_a_url_when_it_names_no_key_then_it_is_merely_unknown() {
    for kid in
        ["", "../../../../dev/null", "' UNION SELECT 'key'--", "file:///etc/passwd", "RS256\0", "es256", "*"]
    {
        assert_eq!(fault(with_header("kid", json!(kid))), UnknownKey, "{kid}");
    }
    for kid in [json!(null), json!(["ES256"]), json!({ "ES256": 1 }), json!(256), json!(true)] {
        assert_eq!(fault(with_header("kid", kid)), Malformed);
    }
}

#[test]
fn given_a_token_that_brings_its_own_key_when_that_key_made_the_signature_then_it_is_refused() {
    let issuer = KeySet::new(&[jwk("RS256", "mine")], &[]);
    for kid in [Some("mine"), None] {
        for (name, value) in [
            ("jwk", jwk("ES256", "mine")),
            ("jku", json!("https://attacker.example/keys")),
            ("x5u", json!("https://attacker.example/certificate")),
            ("x5c", json!(["MIIB"])),
        ] {
            let mut header = json!({ "alg": "ES256", name: value });
            if let Some(kid) = kid {
                header["kid"] = kid.into();
            }
            assert_eq!(verdict_with(&issuer, token(&header, &claims()).as_bytes()), Err(BadSignature));
        }
    }
}

#[test]
fn given_a_good_token_when_it_also_brings_a_key_then_the_key_is_ignored() {
    for name in ["jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256", "cty", "zip", "epk"] {
        for value in [json!("https://attacker.example"), json!(null), json!({ "kty": "oct" }), json!([1])] {
            assert!(verdict(with_header(name, value)).is_ok(), "{name}");
        }
    }
}

#[test]
fn given_an_extension_that_must_be_understood_when_there_is_any_then_the_token_is_refused() {
    for crit in
        [json!(["exp"]), json!(["b64"]), json!([]), json!(null), json!("exp"), json!({}), json!(["alg"])]
    {
        assert_eq!(fault(with_header("crit", crit)), Malformed);
    }
}

#[test]
fn given_a_payload_that_is_not_encoded_when_the_header_says_so_then_the_token_is_refused() {
    for b64 in [json!(false), json!(true), json!(null)] {
        assert_eq!(fault(with_header("b64", b64)), Malformed);
    }
    let header =
        base64url(json!({ "alg": "ES256", "kid": "ES256", "b64": false, "crit": ["b64"] }).to_string());
    let message = format!("{header}.{{\"sub\":\"someone\"}}");
    let signature = base64url(sign("ES256", message.as_bytes()));
    assert_eq!(fault(format!("{message}.{signature}")), Malformed);
}

#[test]
fn given_a_member_twice_when_it_is_anywhere_in_the_token_then_the_token_is_refused() {
    let payload = claims().to_string();
    for header in [
        r#"{"alg":"ES256","kid":"ES256","alg":"ES256"}"#,
        r#"{"alg":"none","alg":"ES256","kid":"ES256"}"#,
        r#"{"alg":"ES256","kid":"ES256","kid":"RS256"}"#,
        // The same name, spelt with an escape.
        "{\"alg\":\"ES256\",\"kid\":\"ES256\",\"\\u0061lg\":\"ES256\"}",
        r#"{"alg":"ES256","kid":"ES256","x":{"y":1,"y":1}}"#,
    ] {
        assert_eq!(fault(raw("ES256", header.as_bytes(), payload.as_bytes())), Malformed, "{header}");
    }
    for payload in [
        r#"{"sub":"someone","sub":"admin"}"#,
        r#"{"sub":"someone","sub":"someone"}"#,
        "{\"sub\":\"someone\",\"s\\u0075b\":\"admin\"}",
        r#"{"sub":"someone","realm":{"roles":[],"roles":["admin"]}}"#,
        r#"{"list":[[{"a":1},{"a":1,"a":2}]]}"#,
    ] {
        assert_eq!(fault(with_payload(payload)), Malformed, "{payload}");
    }
    assert!(verdict(with_members(r#""list":[{"a":1},{"a":1}],"a":1"#)).is_ok(), "not twice in one object");
}

#[test]
fn given_base64_that_another_reader_may_understand_otherwise_when_it_is_in_a_token_then_it_is_refused() {
    let token = good("ES256");
    let [header, payload, signature] = token.split('.').collect::<Vec<_>>()[..] else {
        panic!("three parts")
    };
    let spoil = |change: &dyn Fn(&str) -> String| {
        [
            format!("{}.{payload}.{signature}", change(header)),
            format!("{header}.{}.{signature}", change(payload)),
            format!("{header}.{payload}.{}", change(signature)),
        ]
    };
    for character in ["=", "==", "A", " ", "\n", "\r\n", "\t", "+", "/", "%3D", "\0", "é", "~"] {
        for spoilt in spoil(&|part| format!("{part}{character}")) {
            assert_ne!(verdict(&spoilt).map(|_| ()), Ok(()), "{character:?} at the end");
        }
        for spoilt in spoil(&|part| format!("{character}{part}")) {
            assert_ne!(verdict(&spoilt).map(|_| ()), Ok(()), "{character:?} at the start");
        }
        if character != "A" {
            for spoilt in spoil(&|part| format!("{}{character}{}", &part[..8], &part[8..])) {
                assert_eq!(fault(&spoilt), Malformed, "{character:?} within");
            }
        }
    }
    // 64 bytes are 86 characters, of which the last holds four bits that say nothing.
    assert_eq!(signature.len(), 86);
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = alphabet.find(&signature[85..]).unwrap();
    for bits in 1..16 {
        let other = &alphabet[last + bits..=last + bits];
        assert_eq!(fault(format!("{header}.{payload}.{}{other}", &signature[..85])), Malformed);
    }
}

#[test]
fn given_nesting_of_any_depth_when_it_is_too_deep_then_the_token_is_refused() {
    let nested = |open: &str, close: &str, depth: usize| {
        format!("\"a\":{}0{}", open.repeat(depth), close.repeat(depth))
    };
    assert!(verdict(with_members(&nested("[", "]", 63))).is_ok());
    assert!(verdict(with_members(&nested("{\"a\":", "}", 63))).is_ok());
    for depth in [64, 127, 128, 129, 2000, 5000] {
        assert_eq!(fault(with_members(&nested("[", "]", depth))), Malformed, "{depth}");
        if depth <= 2000 {
            assert_eq!(fault(with_members(&nested("{\"a\":", "}", depth))), Malformed, "{depth}");
        }
    }
    assert_eq!(fault(with_payload("[".repeat(11_000))), Malformed);
    let header = format!(r#"{{"alg":"ES256","kid":"ES256","x":{}{}}}"#, "[".repeat(2000), "]".repeat(2000));
    assert_eq!(fault(raw("ES256", header.as_bytes(), b"{}")), Malformed);
}

#[test]
fn given_numbers_beyond_all_bounds_when_they_are_in_a_token_then_they_are_refused_or_bounded() {
    for number in ["1e400", "-1e400", "1e99999999999999999999"] {
        assert_eq!(fault(with_members(&format!(r#""exp":{number}"#))), Malformed, "{number}");
    }
    assert_eq!(fault(with_members(&format!(r#""exp":{}"#, "9".repeat(4000)))), Malformed);
    for number in ["NaN", "Infinity", "-Infinity", "0x10", "01", "1.", ".5", "+1", "1e"] {
        assert_eq!(fault(with_members(&format!(r#""exp":{number}"#))), Malformed, "{number}");
    }
    for (number, time) in [
        ("1e300", i64::MAX),
        ("-1e300", i64::MIN),
        ("18446744073709551615", i64::MAX),
        ("9223372036854775807", i64::MAX),
        ("-9223372036854775808", i64::MIN),
    ] {
        let verified = verdict(with_members(&format!(r#""exp":{number}"#))).expect("a token");
        assert_eq!(verified.claims.time("exp"), Ok(Some(time)), "{number}");
    }
}

#[test]
fn given_a_token_of_any_size_when_it_is_longer_than_the_limit_then_nothing_of_it_is_read() {
    // Three bytes make four characters; so the payload can be made to fit exactly.
    let of_size = |size: usize| {
        let empty = with_members(r#""a":"""#);
        let padding = (size - empty.len()) / 4 * 3;
        (0..8)
            .map(|more| with_members(&format!(r#""a":"{}""#, "x".repeat(padding + more))))
            .rfind(|token| token.len() <= size)
            .expect("one that fits")
    };
    let largest = of_size(TOKEN_MAX);
    assert!(largest.len() > TOKEN_MAX - 3 && verdict(&largest).is_ok(), "{}", largest.len());
    for size in [TOKEN_MAX + 8, TOKEN_MAX * 2, 1 << 20] {
        let larger = of_size(size);
        assert!(larger.len() > TOKEN_MAX);
        assert_eq!(fault(larger), Malformed);
        assert_eq!(fault("A".repeat(size)), Malformed);
        assert_eq!(fault(".".repeat(size)), Malformed);
    }
}

#[test]
fn given_an_ecdsa_signature_of_numbers_that_are_none_when_it_is_held_against_a_key_then_it_is_refused() {
    let orders = [
        ("ES256", "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"),
        (
            "ES384",
            "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
        ),
        (
            "ES512",
            "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
        ),
    ];
    for (algorithm, order) in orders {
        let order: Vec<u8> = (0..order.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&order[at..at + 2], 16).unwrap())
            .collect();
        let size = order.len();
        let zero = vec![0; size];
        let one = [vec![0; size - 1], vec![1]].concat();
        let most = vec![0xff; size];
        let token = good(algorithm);
        let signed = &token[..token.rfind('.').unwrap()];
        let genuine = sign(algorithm, signed.as_bytes());
        let (r, s) = (genuine[..size].to_vec(), genuine[size..].to_vec());
        let bad = [
            // The signature that a faulty Java accepted for everything.
            [zero.clone(), zero.clone()],
            [order.clone(), order.clone()],
            [zero.clone(), s.clone()],
            [r.clone(), zero.clone()],
            [order.clone(), s.clone()],
            [r.clone(), order.clone()],
            [most.clone(), most.clone()],
            [one.clone(), one.clone()],
            [one.clone(), zero],
            [s.clone(), r.clone()],
        ];
        for pair in bad {
            assert_eq!(fault(format!("{signed}.{}", base64url(pair.concat()))), BadSignature);
        }
        assert!(verdict(format!("{signed}.{}", base64url([r, s].concat()))).is_ok());
    }
}

#[test]
fn given_an_ecdsa_signature_in_der_when_tokens_want_two_numbers_then_it_is_refused() {
    let token = good("ES256");
    let signed = &token[..token.rfind('.').unwrap()];
    let genuine = p256::ecdsa::Signature::from_slice(&sign("ES256", signed.as_bytes())).unwrap();
    assert_eq!(fault(format!("{signed}.{}", base64url(genuine.to_der().as_bytes()))), BadSignature);
}

#[test]
fn given_a_signature_that_is_longer_or_shorter_when_it_is_otherwise_good_then_it_is_refused() {
    for algorithm in ALGORITHMS {
        let token = good(algorithm);
        let signed = &token[..token.rfind('.').unwrap()];
        let genuine = sign(algorithm, signed.as_bytes());
        let mut others =
            vec![genuine[1..].to_vec(), genuine[..genuine.len() - 1].to_vec(), genuine.repeat(2)];
        for byte in [0, 0xff] {
            others.push([&[byte], genuine.as_slice()].concat());
            others.push([genuine.as_slice(), &[byte]].concat());
        }
        for other in others {
            assert_eq!(fault(format!("{signed}.{}", base64url(other))), BadSignature, "{algorithm}");
        }
    }
}

#[test]
fn given_a_signature_of_other_claims_when_it_is_put_under_these_then_it_is_refused() {
    for algorithm in ALGORITHMS {
        let (one, other) =
            (good(algorithm), token(&header(algorithm), &json!({ "iss": "i", "sub": "admin" })));
        let claims = other.split('.').nth(1).unwrap();
        let mut parts: Vec<_> = one.split('.').collect();
        parts[1] = claims;
        assert_eq!(fault(parts.join(".")), BadSignature);
    }
}

#[test]
fn given_an_encrypted_token_or_another_form_of_one_when_it_comes_then_it_is_malformed() {
    let token = good("ES256");
    let [header, payload, signature] = token.split('.').collect::<Vec<_>>()[..] else {
        panic!("three parts")
    };
    let flat = json!({ "protected": header, "payload": payload, "signature": signature });
    let general =
        json!({ "payload": payload, "signatures": [{ "protected": header, "signature": signature }] });
    let encrypted = format!(
        "{}.{payload}.{payload}.{payload}.{signature}",
        base64url(r#"{"alg":"RSA-OAEP","enc":"A256GCM"}"#)
    );
    for token in [
        flat.to_string(),
        general.to_string(),
        encrypted,
        format!("{token}.{signature}"),
        format!(".{payload}.{signature}"),
        format!("{header}.{payload}"),
        format!("{header},{payload},{signature}"),
        format!("\"{token}\""),
        String::new(),
        "..".into(),
    ] {
        assert_eq!(fault(&token), Malformed, "{token}");
    }
}

#[test]
fn given_white_space_or_control_characters_around_a_token_when_it_comes_then_it_is_refused() {
    let token = good("ES256");
    for around in [" ", "\t", "\n", "\r\n", "\0", "\u{a0}", "\u{feff}", "\u{200b}"] {
        assert_eq!(fault(format!("{around}{token}")), Malformed);
        assert_eq!(fault(format!("{token}{around}")), Malformed);
    }
}

#[test]
fn given_json_that_is_not_strict_when_it_is_well_signed_then_it_is_refused() {
    for payload in [
        "",
        "{",
        "}",
        "null",
        "[]",
        "\"text\"",
        "7",
        "{}{}",
        "{} x",
        "{}\0",
        "{'a':1}",
        "{a:1}",
        "{\"a\":1,}",
        "{\"a\":1/**/}",
        "\u{feff}{}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\n\"}",
        "{\"a\" 1}",
    ] {
        assert_eq!(fault(with_payload(payload)), Malformed, "{payload:?}");
    }
    assert!(
        verdict(with_payload(" {\n\"iss\" : \"i\"} ")).is_ok(),
        "white space outside is no difference in meaning"
    );
}

#[test]
fn given_bytes_that_are_not_utf_8_when_they_are_in_a_token_then_it_is_refused() {
    for bytes in
        [b"{\"a\":\"\xff\"}".as_slice(), b"{\"a\":\"\xc0\xaf\"}", b"{\"\xed\xa0\x80\":1}", b"\xfe\xff\0{\0}"]
    {
        assert_eq!(fault(with_payload(bytes)), Malformed);
        assert_eq!(fault(raw("ES256", bytes, b"{}")), Malformed);
    }
    assert_eq!(fault(b"\xff.\xff.\xff"), Malformed);
}

#[test]
fn given_a_token_for_another_purpose_when_its_header_says_so_then_it_is_no_access_token() {
    for typ in [
        "logout+jwt",
        "dpop+jwt",
        "id+jwt",
        "refresh+jwt",
        "JOSE",
        "JWE",
        "secevent+jwt",
        "",
        "at+jwt ",
        "application/",
    ] {
        assert_eq!(fault(with_header("typ", json!(typ))), NotAnAccessToken, "{typ}");
    }
    for typ in ["JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt", "Application/JWT"] {
        assert!(verdict(with_header("typ", json!(typ))).is_ok(), "{typ}");
    }
    for typ in [json!(1), json!(null), json!(["JWT"])] {
        assert_eq!(fault(with_header("typ", typ)), Malformed);
    }
}

#[test]
fn given_an_id_token_when_it_is_well_signed_then_it_is_no_access_token() {
    let id = json!({ "sub": "s", "aud": "client", "nonce": "n" });
    let logout =
        json!({ "sub": "s", "events": { "http://schemas.openid.net/event/backchannel-logout": {} } });
    let refused = [
        id,
        json!({ "sub": "s", "scope": "openid", "at_hash": "x" }),
        json!({ "sub": "s", "scope": "openid", "c_hash": "x" }),
        json!({ "sub": "s", "scope": "openid", "s_hash": "x" }),
        json!({ "sub": "s", "typ": "ID" }),
        json!({ "sub": "s", "typ": "Refresh" }),
        json!({ "sub": "s", "typ": "Offline" }),
        json!({ "sub": "s", "typ": "Logout" }),
        logout,
    ];
    let of_issuer = |mut claims: serde_json::Value| {
        claims["iss"] = "i".into();
        token(&header("ES256"), &claims)
    };
    for claims in refused {
        assert_eq!(fault(of_issuer(claims.clone())), NotAnAccessToken, "{claims}");
    }
    for claims in [
        json!({ "sub": "s", "typ": "Bearer" }),
        json!({ "sub": "s", "nonce": "n", "scope": "read" }),
        json!({ "sub": "s", "nonce": "n", "scp": ["read"] }),
    ] {
        assert!(verdict(of_issuer(claims.clone())).is_ok(), "{claims}");
    }
}

#[test]
fn given_no_kid_when_many_keys_could_have_signed_then_only_so_many_are_tried() {
    let with = |strangers: usize| {
        let stranger = json!({ "kty": "EC", "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" });
        let mut keys = vec![stranger; strangers];
        // Keys of other kinds do not count.
        keys.insert(0, jwk("RS256", "other"));
        keys.push(jwk("ES256", "mine"));
        KeySet::new(&keys, &[])
    };
    let token = token(&json!({ "alg": "ES256" }), &claims());
    assert!(verdict_with(&with(7), token.as_bytes()).is_ok());
    assert_eq!(verdict_with(&with(8), token.as_bytes()), Err(BadSignature));
}

#[test]
fn given_a_fault_when_it_is_shown_then_nothing_of_the_token_is() {
    let secret = with_members(r#""sub":"hunter2""#);
    let verified = verdict(&secret).expect("a token");
    assert!(!format!("{verified:?}").contains("hunter2"));
}

#[test]
fn given_a_token_of_nobody_or_somebody_else_when_its_key_is_not_known_then_nobody_is_asked_for_it() {
    let header = json!({ "alg": "ES256", "kid": "unheard of" });
    let of = |iss: &str, header| verify_of("https://issuer.example", &token(header, &json!({ "iss": iss })));
    assert_eq!(of("https://issuer.example", &header), Err(UnknownKey));
    for (name, header) in [("unheard of", &header), ("known", &crate::support::header("ES256"))] {
        assert_eq!(of("https://issuer.example/", header), Err(OtherIssuer), "{name}");
        assert_eq!(of("", header), Err(OtherIssuer), "{name}");
        assert_eq!(
            verify_of("https://issuer.example", &token(header, &json!({}))),
            Err(OtherIssuer),
            "{name}"
        );
        let listed = token(header, &json!({ "iss": ["https://issuer.example"] }));
        assert_eq!(verify_of("https://issuer.example", &listed), Err(OtherIssuer), "{name}");
    }
}

fn verify_of(issuer: &str, token: &str) -> Result<(), TokenFault> {
    let verified =
        with_keys(|keys| verify(token.as_bytes(), keys, &NoNativeSignatures, |named| named == issuer));
    verified.map(|_| ())
}
