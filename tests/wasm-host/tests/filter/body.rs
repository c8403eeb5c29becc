//! Keys in bodies. Kong calls back only where there is a body, shows it in one piece, and none beyond 8 KiB; Envoy sends it
//! in pieces, and lets headers go on unless told otherwise.

use app_auth_core::record::KeyAuthConfig;
use app_auth_wasm_host::{Quirks, Request};

use crate::support::{KEY, World, get, message, request};

fn in_body() -> KeyAuthConfig {
    KeyAuthConfig { key_in_body: true, ..KeyAuthConfig::default() }
}

fn hiding() -> KeyAuthConfig {
    KeyAuthConfig { hide_credentials: true, ..in_body() }
}

const FORM: &str = "application/x-www-form-urlencoded";

fn bodies() -> [(&'static str, String, String); 4] {
    let part = |name: &str, value: &str| {
        format!("--XyZ\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    [
        (FORM, format!("a=1&apikey={KEY}&b=%20"), "a=1&b=%20".into()),
        ("application/json", format!(r#"{{"a":1.50,"apikey":"{KEY}"}}"#), r#"{"a":1.50}"#.into()),
        (
            "application/json; charset=utf-8",
            format!(r#" {{ "apikey" : "{KEY}" , "b" : [1] }} "#),
            r#"{"b":[1]}"#.into(),
        ),
        (
            "multipart/form-data; boundary=XyZ",
            format!("{}{}--XyZ--\r\n", part("a", "1"), part("apikey", KEY)),
            format!("{}--XyZ--\r\n", part("a", "1")),
        ),
    ]
}

fn post(content_type: &str, body: impl AsRef<[u8]>) -> Request {
    request("POST", "/echo").body(content_type, body)
}

#[test]
fn a_key_is_found_in_form_json_and_multipart_bodies_and_the_body_reaches_the_upstream_whole() {
    for mut world in World::each(&in_body()) {
        for (content_type, body, _) in bodies() {
            let outcome = world.send(&post(content_type, &body));
            assert_eq!(String::from_utf8_lossy(&outcome.upstream().body), body);
            let wrong = body.replace(KEY, "wrong");
            assert_eq!(world.send(&post(content_type, wrong)).status(), 401, "{content_type}");
        }
    }
}

#[test]
fn a_hidden_key_is_taken_out_of_the_body_and_the_rest_stays() {
    for mut world in World::each(&hiding()) {
        for (content_type, body, rest) in bodies() {
            let outcome = world.send(&post(content_type, &body));
            let upstream = outcome.upstream();
            assert_eq!(String::from_utf8_lossy(&upstream.body), rest, "{content_type}");
        }
    }
}

#[test]
fn on_envoy_the_length_is_corrected_with_the_body() {
    let mut world = World::with(Quirks::envoy(), hiding());
    for (content_type, body, rest) in bodies() {
        let outcome = world.send(&post(content_type, &body));
        let lengths = outcome.upstream().headers.all("content-length");
        assert!(lengths.is_empty() || lengths == [rest.len().to_string()], "{lengths:?}");
    }
}

#[test]
fn a_key_in_the_header_is_hidden_from_the_body_as_well() {
    for mut world in World::each(&hiding()) {
        for (content_type, body, rest) in bodies() {
            let outcome = world.send(&post(content_type, &body).header("apikey", KEY));
            assert_eq!(String::from_utf8_lossy(&outcome.upstream().body), rest, "{content_type}");
        }
    }
}

#[test]
fn a_body_in_pieces_is_gathered_before_anything_is_decided() {
    let mut world = World::with(Quirks::envoy(), in_body());
    for (content_type, body, _) in bodies() {
        for key in [KEY, "wrong"] {
            let body = body.replace(KEY, key);
            let mut request = request("POST", "/").header("content-type", content_type);
            for piece in body.as_bytes().chunks(7) {
                request = request.chunk(piece);
            }
            assert_eq!(world.send(&request).allowed(), key == KEY, "{content_type}");
        }
    }
}

/// Requests that speak of a body in every way and have none.
fn without_bytes() -> Vec<Request> {
    let base = request("POST", "/").header("content-type", FORM);
    let json = request("POST", "/").header("content-type", "application/json");
    let mut all = vec![base.clone(), json.clone(), get("/").header("content-type", FORM)];
    for (name, value) in [
        ("content-length", "0"),
        ("content-length", "00"),
        ("content-length", ""),
        ("content-length", "abc"),
        ("content-length", "-1"),
        ("content_length", "5"),
        ("Content_Length", "5"),
        ("transfer-encoding", "chunked"),
        ("transfer_encoding", "chunked"),
        ("expect", "100-continue"),
    ] {
        all.push(base.clone().header(name, value));
        all.push(json.clone().header(name, value));
        all.push(base.clone().header("content-length", "0").header(name, value));
        all.push(base.clone().header(name, value).header("content-length", "0"));
    }
    all
}

#[test]
fn no_body_callback_without_a_body_and_still_nobody_gets_in_without_a_key() {
    for config in [in_body(), hiding()] {
        for mut world in World::each(&config) {
            for request in without_bytes() {
                let outcome = world.send(&request.clone().header("x-consumer-id", "forged"));
                assert_eq!(outcome.status(), 401, "{request:?}");
                // On the other host's way the end comes as an empty last piece.
                assert_eq!(world.send(&request.chunk("")).status(), 401);
            }
        }
    }
}

#[test]
fn a_body_over_8_kib_reads_as_none_on_kong_and_is_401_there() {
    let large = format!("padding={}&apikey={KEY}", "x".repeat(9 << 10));
    let mut kong = World::with(Quirks::kong(), in_body());
    assert_eq!(kong.send(&post(FORM, &large)).status(), 401);
    let mut envoy = World::with(Quirks::envoy(), in_body());
    assert_eq!(envoy.send(&post(FORM, &large)).status(), 200);
}

#[test]
fn a_request_whose_body_is_never_shown_leads_nowhere() {
    let mut kong = World::with(Quirks { body_callback_lost: true, ..Quirks::kong() }, in_body());
    let form = format!("apikey={KEY}");
    assert_eq!(kong.send(&post(FORM, &form)).status(), 500);
    assert_eq!(kong.send(&post(FORM, "a=1").header("x-consumer-id", "forged")).status(), 500);
    // With a key in the header nothing is waited for.
    assert_eq!(kong.send(&post(FORM, &form).header("apikey", KEY)).status(), 200);
}

#[test]
fn a_body_that_cannot_be_read_does_not_stand_in_the_way_of_a_key_in_the_header() {
    let mut kong = World::with(Quirks::kong(), hiding());
    let large = "x".repeat(9 << 10);
    let outcome = kong.send(&post(FORM, &large).header("apikey", KEY));
    assert_eq!(outcome.upstream().body, large.as_bytes());
    assert!(outcome.upstream().headers.any_spelling("apikey").is_empty());
}

#[test]
fn a_body_beyond_all_bounds_is_neither_gathered_for_ever_nor_let_in() {
    let mut world = World::with(Quirks::envoy(), in_body());
    let mut request = request("POST", "/").header("content-type", FORM);
    for _ in 0..80 {
        request = request.chunk(vec![b'x'; 64 << 10]);
    }
    let before = world.node.workers[0].memory_bytes();
    assert_eq!(world.send(&request).status(), 401);
    let grown = world.node.workers[0].memory_bytes() - before;
    assert!(grown <= 16 << 20, "{grown} bytes of memory");
}

#[test]
fn a_key_given_twice_in_a_body_or_as_a_list_is_refused() {
    let cases = [
        (FORM, format!("apikey={KEY}&apikey={KEY}")),
        ("application/json", format!(r#"{{"apikey":"{KEY}","apikey":"{KEY}"}}"#)),
        ("application/json", format!(r#"{{"apikey":["{KEY}"]}}"#)),
    ];
    for mut world in World::each(&in_body()) {
        for (content_type, body) in &cases {
            let outcome = world.send(&post(content_type, body));
            assert_eq!(
                (outcome.status(), message(&outcome).as_str()),
                (401, "Duplicate API key found"),
                "{body}"
            );
        }
    }
}

#[test]
fn bodies_that_are_no_key_bodies_are_passed_on_or_refused_but_never_trusted() {
    let odd = [
        "",
        "{",
        "[]",
        "null",
        "\"apikey\"",
        "{\"apikey\":7}",
        "{\"apikey\":null}",
        "{\"apikey\":\"\\ud800\"}",
        "{\"apikey\":{\"a\":1}}",
        "=&=&&%",
        "apikey",
        "apikey=",
        "--XyZ\r\n",
        "--XyZ--",
        "\u{0}\u{1}",
    ];
    for mut world in World::each(&in_body()) {
        for content_type in
            [FORM, "application/json", "multipart/form-data; boundary=XyZ", "multipart/form-data"]
        {
            for body in odd {
                assert_eq!(world.send(&post(content_type, body)).status(), 401, "{content_type}: {body}");
                let outcome = world.send(&post(content_type, body).header("apikey", KEY));
                assert_eq!(outcome.upstream().body, body.as_bytes());
            }
            let deep = "[".repeat(8000);
            assert_eq!(world.send(&post(content_type, &deep)).status(), 401);
        }
    }
}

#[test]
fn a_body_is_not_looked_at_where_the_service_does_not_say_so() {
    for mut world in World::each(&KeyAuthConfig::default()) {
        for (content_type, body, _) in bodies() {
            assert_eq!(world.send(&post(content_type, &body)).status(), 401);
            let outcome = world.send(&post(content_type, &body).header("apikey", KEY));
            assert_eq!(outcome.upstream().body, body.as_bytes());
            assert!(!outcome.calls.contains_key("proxy_get_buffer_bytes"));
        }
    }
}

#[test]
fn a_late_first_read_of_a_kong_property_crashes_so_the_service_is_read_with_the_headers() {
    let mut world = World::with(Quirks::kong(), hiding());
    for (content_type, body, _) in bodies() {
        let outcome = world.send(&post(content_type, body));
        assert!(outcome.allowed());
        assert!(outcome.calls.contains_key("proxy_get_property"));
    }
}
