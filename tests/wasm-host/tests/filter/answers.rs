//! The form of refusals: by `Accept`, for gRPC, with the gateway's own habits around local responses.

use app_auth_core::record::{ConnectionStatus, KeyAuthConfig};
use app_auth_wasm_host::{LocalResponse, TOKEN};

use crate::support::{KEY, World, caller_with, get, with_key};

/// The refusal of a request without a key.
fn refusal(world: &mut World, accept: Option<&str>) -> LocalResponse {
    let request = accept.into_iter().fold(get("/"), |request, accept| request.header("Accept", accept));
    world.send(&request).local().clone()
}

#[test]
fn a_refusal_is_json_unless_accept_asks_for_html_xml_or_text() {
    let cases = [
        (None, "application/json"),
        (Some("*/*"), "application/json"),
        (Some("application/json"), "application/json"),
        (Some("image/png"), "application/json"),
        (Some(""), "application/json"),
        (Some(",;q=,=;;"), "application/json"),
        (Some("text/html"), "text/html"),
        (Some("text/plain"), "text/plain"),
        (Some("application/xml"), "application/xml"),
        (Some("text/html;q=0.1, application/xml;q=0.9"), "application/xml"),
        (Some("text/plain;q=0.5, application/json"), "application/json"),
        (Some("TEXT/HTML"), "text/html"),
    ];
    for mut world in World::each(&KeyAuthConfig::default()) {
        for (accept, expected) in cases {
            let answer = refusal(&mut world, accept);
            let content_type = answer.header("Content-Type").unwrap_or_default();
            assert!(content_type.starts_with(expected), "{accept:?}: {content_type}");
            assert!(answer.text().contains("No API key found in request"), "{accept:?}");
            assert!(answer.text().contains("0123456789abcdef"), "{accept:?}: no request id");
        }
    }
}

#[test]
fn kong_adds_a_line_feed_which_leaves_json_valid() {
    for mut world in World::each(&KeyAuthConfig::default()) {
        let answer = refusal(&mut world, None);
        let body: serde_json::Value = serde_json::from_str(&answer.text()).expect("valid JSON");
        assert_eq!(body["message"], "No API key found in request");
        assert_eq!(body["request_id"], "0123456789abcdef");
    }
}

#[test]
fn a_request_id_from_outside_cannot_break_the_body() {
    let mut world = World::kong();
    let hostile = get("/").property("ngx.kong_request_id", "\"}<script>\r\n\u{ff}");
    for accept in ["*/*", "text/html", "application/xml"] {
        let answer = world.send(&hostile.clone().header("Accept", accept)).local().clone();
        assert!(!answer.text().contains("<script>") && !answer.text().contains("\"}<"), "{}", answer.text());
    }
    assert!(serde_json::from_slice::<serde_json::Value>(&world.send(&hostile).local().body).is_ok());
}

#[test]
fn a_grpc_caller_gets_an_empty_body_and_a_grpc_status() {
    for mut world in World::each(&KeyAuthConfig::default()) {
        world.admin.credential("pending", caller_with(2, ConnectionStatus::Pending));
        world.follow();
        for (key, status) in [(None, "16"), (Some("pending"), "7")] {
            for content_type in ["application/grpc", "application/grpc+proto"] {
                let mut request = crate::support::request("POST", "/pkg.Service/Call");
                request = request.header("content-type", content_type).header("te", "trailers");
                if let Some(key) = key {
                    request = request.header("apikey", key);
                }
                let answer = world.send(&request).local().clone();
                assert!(answer.body.is_empty());
                assert_eq!(answer.header("grpc-status").as_deref(), Some(status));
            }
        }
    }
}

#[test]
fn the_last_duplicate_wins_in_local_responses_so_no_header_is_sent_twice() {
    for mut world in World::each(&KeyAuthConfig::default()) {
        world.admin.credential("pending", caller_with(2, ConnectionStatus::Pending));
        world.follow();
        for request in [get("/"), with_key("unknown"), with_key("pending")] {
            let answer = world.send(&request).local().clone();
            let mut names: Vec<_> =
                answer.headers.0.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
            names.sort();
            let count = names.len();
            names.dedup();
            assert_eq!(names.len(), count, "{answer}");
        }
    }
}

#[test]
fn no_secret_is_written_to_logs_metrics_or_answers() {
    for mut world in World::each(&KeyAuthConfig { key_in_body: true, ..KeyAuthConfig::default() }) {
        let secrets = [KEY, "unknown-key-of-nobody", TOKEN];
        let mut written = String::new();
        for key in [KEY, "unknown-key-of-nobody"] {
            let form = crate::support::request("POST", "/")
                .body("application/x-www-form-urlencoded", format!("apikey={key}"));
            for request in
                [with_key(key), get(&format!("/?apikey={key}")), form, with_key(key).header("apikey", key)]
            {
                let outcome = world.send(&request);
                if !outcome.allowed() {
                    written += &outcome.local().to_string();
                }
            }
        }
        world.run(crate::support::SECOND * 30);
        written.extend([format!("{:?}", world.node.logs()), format!("{:?}", world.node.metrics())]);
        for secret in secrets {
            assert!(!written.contains(secret), "{secret} in {written}");
        }
    }
}
