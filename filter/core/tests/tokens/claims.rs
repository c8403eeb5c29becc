//! Claims by path, as text, as words and as times.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use app_auth_core::token::{CLAIMS_MAX, Claims, Malformed};
use serde_json::{Value, json};

fn claims(value: &Value) -> Claims {
    Claims::from_json(value.to_string().as_bytes()).expect("claims")
}

fn path(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn given_a_path_when_it_leads_into_objects_then_its_end_is_found_and_nothing_else() {
    let claims = claims(&json!({ "realm": { "client": { "id": "c" }, "list": ["a"] }, "realm.client": 1 }));
    assert_eq!(claims.at(&path(&["realm", "client", "id"])), Some(&json!("c")));
    assert_eq!(claims.at(&path(&["realm.client"])), Some(&json!(1)));
    for nothing in
        [&[][..], &["client"], &["realm", "id"], &["realm", "list", "0"], &["realm", "client", "id", "x"]]
    {
        assert_eq!(claims.at(&path(nothing)), None, "{nothing:?}");
    }
}

#[test]
fn given_claims_that_name_something_when_they_are_read_as_text_then_integers_are_text_too() {
    let claims = claims(
        &json!({ "s": "x", "i": 42, "n": -1, "u": u64::MAX, "f": 1.5, "e": "", "b": true, "z": null, "l": ["x"] }),
    );
    let text = |name: &str| claims.text(&path(&[name])).map(std::borrow::Cow::into_owned);
    assert_eq!(text("s").as_deref(), Some("x"));
    assert_eq!(text("i").as_deref(), Some("42"));
    assert_eq!(text("n").as_deref(), Some("-1"));
    assert_eq!(text("u").as_deref(), Some("18446744073709551615"));
    for none in ["f", "e", "b", "z", "l", "absent"] {
        assert_eq!(text(none), None, "{none}");
    }
}

#[test]
fn given_claims_that_list_words_when_they_are_read_then_a_string_is_split_and_an_array_is_not() {
    let claims = claims(
        &json!({ "s": " read  write ", "l": ["read write", 7, "", null, "x"], "e": "", "n": 7, "tab": "a\tb" }),
    );
    assert_eq!(claims.words(&path(&["s"])), ["read", "write"]);
    assert_eq!(claims.words(&path(&["l"])), ["read write", "", "x"]);
    assert_eq!(claims.words(&path(&["tab"])), ["a\tb"]);
    for none in ["e", "n", "absent"] {
        assert!(claims.words(&path(&[none])).is_empty(), "{none}");
    }
}

#[test]
fn given_times_when_they_are_read_then_they_are_milliseconds_or_malformed() {
    let claims = claims(&json!({
        "exp": 1_700_000_000, "nbf": 1_700_000_000.25, "old": -5, "neg": -0.5, "text": "1700000000", "null": null, "list": [1],
    }));
    assert_eq!(claims.time("exp"), Ok(Some(1_700_000_000_000)));
    assert_eq!(claims.time("nbf"), Ok(Some(1_700_000_000_250)));
    assert_eq!(claims.time("old"), Ok(Some(-5_000)));
    assert_eq!(claims.time("neg"), Ok(Some(-500)));
    assert_eq!(claims.time("absent"), Ok(None));
    for malformed in ["text", "null", "list"] {
        assert_eq!(claims.time(malformed), Err(Malformed), "{malformed}");
    }
}

#[test]
fn given_an_answer_that_is_no_json_object_or_too_long_when_it_is_read_then_it_is_malformed() {
    for answer in ["", "true", "[]", "{\"active\":true,\"active\":false}", "{\"active\":true}x"] {
        assert_eq!(Claims::from_json(answer.as_bytes()), Err(Malformed), "{answer}");
    }
    let of_size = |size: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(size - 8));
    assert!(Claims::from_json(of_size(CLAIMS_MAX).as_bytes()).is_ok());
    assert_eq!(Claims::from_json(of_size(CLAIMS_MAX + 1).as_bytes()), Err(Malformed));
}
