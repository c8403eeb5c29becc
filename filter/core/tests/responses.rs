//! What a refused caller reads.

mod support;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use app_auth_core::config::Config;
use app_auth_core::refusal::{
    Ambiguous, Reason, Refusal, Unauthenticated, Unavailable, printable_request_id,
};
use app_auth_core::strategy::key_auth;

fn no_key(realm: Option<&str>) -> Refusal {
    Refusal::Unauthenticated { cause: Unauthenticated::NoKey, challenge: key_auth::challenge(realm) }
}

#[test]
fn each_refusal_has_its_status_message_and_headers() {
    let unauthenticated = |cause| Refusal::Unauthenticated { cause, challenge: "Key".into() };
    let cases = [
        (no_key(None), 401, "No API key found in request", Some(("WWW-Authenticate", "Key"))),
        (
            no_key(Some("apis")),
            401,
            "No API key found in request",
            Some(("WWW-Authenticate", "Key realm=\"apis\"")),
        ),
        (
            unauthenticated(Unauthenticated::DuplicateKey),
            401,
            "Duplicate API key found",
            Some(("WWW-Authenticate", "Key")),
        ),
        (
            unauthenticated(Unauthenticated::UnknownKey),
            401,
            "Unauthorized",
            Some(("WWW-Authenticate", "Key")),
        ),
        (
            Refusal::Forbidden(Reason::Revoked),
            403,
            "You cannot consume this service",
            Some(("X-App-Auth-Reason", "revoked")),
        ),
        (
            Refusal::Forbidden(Reason::NoConnection),
            403,
            "You cannot consume this service",
            Some(("X-App-Auth-Reason", "no_connection")),
        ),
        (Unavailable::NoState.into(), 503, "Access control has no state yet", Some(("Retry-After", "1"))),
        (
            Unavailable::Misconfigured.into(),
            503,
            "Access control is not configured correctly",
            Some(("Retry-After", "1")),
        ),
        (Refusal::Ambiguous(Ambiguous::TooManyHeaders), 400, "Too many request headers", None),
    ];
    for (refusal, status, message, header) in cases {
        let response = refusal.response(None, None, "id-1", true);
        assert_eq!(response.status, status);
        assert_eq!(response.body, format!("{{\n  \"message\":\"{message}\",\n  \"request_id\":\"id-1\"\n}}"));
        let mut expected: Vec<_> =
            header.into_iter().map(|(name, value)| (name.into(), value.to_owned())).collect();
        expected.push(("Content-Type".into(), "application/json; charset=utf-8".to_owned()));
        assert_eq!(response.headers, expected, "{refusal:?}");
    }
    let silent = Refusal::Forbidden(Reason::Revoked).response(None, None, "", false);
    assert!(!silent.headers.iter().any(|(name, _)| *name == "X-App-Auth-Reason"));
}

#[test]
fn the_body_takes_the_form_that_accept_likes_best() {
    for (accept, expected) in [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("text/html", "text/html"),
        ("TEXT/HTML", "text/html"),
        ("application/xml", "application/xml"),
        ("text/plain", "text/plain"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"),
        ("text/html;q=0.5, text/plain;q=0.75", "text/plain"),
        ("text/html;q=0", "application/json"),
        ("image/png", "application/json"),
        ("application/xml;q=0.3,application/json;q=0.3", "application/xml"),
        ("text/html;q=7", "text/html"),
    ] {
        let response = no_key(None).response(Some(accept.as_bytes()), None, "id", true);
        let (_, content_type) = response.headers.iter().find(|(name, _)| *name == "Content-Type").unwrap();
        assert_eq!(*content_type, format!("{expected}; charset=utf-8"), "{accept}");
        assert!(response.body.contains("No API key found in request"));
        assert!(response.body.contains("id"));
    }
}

#[test]
fn grpc_callers_get_a_status_and_no_body() {
    for (refusal, code) in [
        (no_key(None), "16"),
        (Refusal::Forbidden(Reason::Pending), "7"),
        (Unavailable::NoState.into(), "14"),
        (Refusal::Ambiguous(Ambiguous::RepeatedIdentity), "3"),
    ] {
        let response = refusal.response(Some(b"text/html"), Some(b"application/grpc+proto"), "id", true);
        assert_eq!(response.body, "");
        assert_eq!(response.grpc_status.map(|code| code.to_string()).as_deref(), Some(code));
        assert!(response.headers.contains(&("grpc-status".into(), code.to_owned())));
    }
}

#[test]
fn a_request_id_cannot_break_out_of_the_body() {
    assert_eq!(printable_request_id(b"ab-12\"\n<script>"), "ab-12script");
    assert_eq!(printable_request_id(&[b'a'; 500]).len(), 128);
}

#[test]
fn a_bad_configuration_names_its_member_and_quotes_no_value() {
    let required = r#""admin_address":"a:1","gateway_token":"s3cret""#;
    for (json, expected) in [
        (String::new(), "no configuration"),
        ("{}".into(), "missing field `admin_address`"),
        (r#"{"admin_address":"a:1"}"#.into(), "missing field `gateway_token`"),
        (format!("{{{required},\"nod\":1}}"), "unknown field `nod`"),
        (format!("{{{required},\"service_id\":\"x\"}}"), "service_id: expected a UUID"),
        (format!("{{{required},\"tick_milliseconds\":1}}"), "tick_milliseconds: expected 10 to 1000"),
        (format!("{{{required},\"wait_seconds\":0}}"), "wait_seconds: expected 1 to 60"),
        (format!("{{{required},\"max_stale_seconds\":1}}"), "max_stale_seconds: 0 (no limit), or at least 3"),
        (format!("{{{required},\"node\":\"a b\"}}"), "node: expected 1 to 64"),
        (format!("{{{required},\"wait_seconds\":\"s3cret\"}}"), "not a valid configuration at line 1"),
        (format!("{{{required}"), "not a valid configuration at line 1"),
        (r#"{"admin_address":"","gateway_token":"s3cret"}"#.into(), "admin_address: expected 1 to 255"),
        (r#"{"admin_address":"a:1","gateway_token":"s3 cret"}"#.into(), "gateway_token: expected 1 to 1024"),
    ] {
        let error = Config::parse(json.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(expected), "{json}: {error}");
        assert!(!error.contains("cret"), "{error}");
    }
    let config = Config::parse(format!("{{{required}}}").as_bytes()).unwrap();
    assert!(!format!("{config:?}").contains("s3cret"));
}
