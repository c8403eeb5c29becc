//! The examples of the standards, and what is and is not a token.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use app_auth_core::host::NoNativeSignatures;
use app_auth_core::token::{KeySet, TokenFault, is_jws, verify};
use serde_json::{Value, json};

/// RFC 7515, appendices A.2 and A.3.
const CLAIMS: &str =
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

struct Example {
    key: Value,
    token: String,
}

fn rfc7515_a2() -> Example {
    let key = json!({
        "kty": "RSA",
        "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
        "e": "AQAB",
    });
    let signature = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    Example { key, token: format!("eyJhbGciOiJSUzI1NiJ9.{CLAIMS}.{signature}") }
}

fn rfc7515_a3() -> Example {
    let key = json!({
        "kty": "EC",
        "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    });
    let signature = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    Example { key, token: format!("eyJhbGciOiJFUzI1NiJ9.{CLAIMS}.{signature}") }
}

fn rfc7515_a4() -> Example {
    let key = json!({
        "kty": "EC",
        "crv": "P-521",
        "x": "AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk",
        "y": "ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2",
    });
    let signature = "AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn";
    Example { key, token: format!("eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.{signature}") }
}

fn rfc8037_a4() -> Example {
    let key = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
    let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    Example { key, token: format!("eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.{signature}") }
}

impl Example {
    /// What becomes of the token, or of it with one bit of the signature changed.
    fn verdict(&self, spoilt: bool) -> Result<String, TokenFault> {
        let mut token = self.token.clone().into_bytes();
        if spoilt {
            let middle = token.len() - 40;
            token[middle] = if token[middle] == b'A' { b'B' } else { b'A' };
        }
        let keys = KeySet::new(std::slice::from_ref(&self.key), &[]);
        let verified = verify(&token, &keys, &NoNativeSignatures, |_| true)?;
        assert!(keys.contains(&verified.key));
        Ok(verified.claims.text(&["iss".into()]).unwrap().into_owned())
    }
}

#[test]
fn given_the_examples_of_rfc_7515_that_carry_claims_when_they_are_verified_then_their_claims_are_known() {
    for example in [rfc7515_a2(), rfc7515_a3()] {
        assert_eq!(example.verdict(false), Ok("joe".into()));
        assert_eq!(example.verdict(true), Err(TokenFault::BadSignature));
    }
}

#[test]
fn given_the_examples_that_carry_text_when_they_are_verified_then_only_their_payload_is_wrong() {
    for example in [rfc7515_a4(), rfc8037_a4()] {
        // The payload is looked at after the signature, so this fault means that the signature is good.
        assert_eq!(example.verdict(false), Err(TokenFault::Malformed));
        assert_eq!(example.verdict(true), Err(TokenFault::BadSignature));
    }
}

#[test]
fn given_tokens_of_all_shapes_when_one_asks_whether_they_are_signed_then_only_the_compact_form_is() {
    let signed = rfc7515_a2().token;
    assert!(is_jws(signed.as_bytes()));
    assert!(is_jws(b"eyJhbGciOiJub25lIn0.e30."), "an empty signature is a signature, if a bad one");
    let opaque: [&[u8]; 8] = [
        b"",
        b"..",
        b"2YotnFZFEjr1zCsicMWpAA",
        b"a.b.c",
        b"e30.e30",
        b"eyJhbGciOiJSU0EtT0FFUCJ9.e30.e30.e30.e30",
        b"WzFd.e30.e30",
        b"eyJhbGciOiJub25lIn0.e3 0.e30",
    ];
    for token in opaque {
        assert!(!is_jws(token), "{}", String::from_utf8_lossy(token));
    }
    assert!(!is_jws(&[signed.as_bytes(), &b"A".repeat(16 << 10)].concat()), "too long to be looked at");
}
