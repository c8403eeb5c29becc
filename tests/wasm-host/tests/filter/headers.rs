//! Header quirks: identity that clients try to bring along, keys given twice, more headers than the host shows.

use app_auth_core::record::KeyAuthConfig;
use app_auth_wasm_host::{Outcome, Quirks, Request};

use crate::support::{
    IDENTITY_HEADERS, KEY, SERVICE, World, caller, get, identity, message, request, with_key,
};

const FORGED: &str = "forged-by-the-client";

/// Spellings of a header name that some upstream takes for it.
fn spellings(name: &str) -> Vec<String> {
    let underscored = name.replace('-', "_");
    let mixed = name.replacen('-', "_", 1);
    vec![
        name.into(),
        name.to_lowercase(),
        name.to_uppercase(),
        underscored.to_lowercase(),
        underscored.to_uppercase(),
        underscored,
        mixed,
    ]
}

/// No identity but the caller's own reached the upstream.
#[track_caller]
fn assert_genuine(outcome: &Outcome, context: &str) {
    let genuine = identity(&caller(1));
    for name in IDENTITY_HEADERS {
        let expected: Vec<_> =
            genuine.iter().filter(|(n, _)| *n == name).map(|(_, value)| value.clone()).collect();
        assert_eq!(outcome.upstream().headers.any_spelling(name), expected, "{name}, {context}");
    }
}

#[test]
fn set_replaces_the_first_copy_only_yet_no_spelling_of_a_forged_header_gets_through() {
    for mut world in World::each(&KeyAuthConfig::default()) {
        for name in IDENTITY_HEADERS {
            for spelling in spellings(name) {
                let outcome = world.send(&with_key(KEY).header(&spelling, FORGED));
                assert_genuine(&outcome, &spelling);
            }
        }
    }
}

#[test]
fn all_identity_headers_forged_at_once_are_replaced_at_once() {
    for mut world in World::each(&KeyAuthConfig::default()) {
        for variant in 0..7 {
            let mut request = with_key(KEY);
            for name in IDENTITY_HEADERS {
                request = request.header(&spellings(name)[variant], FORGED);
            }
            let outcome = world.send(&request);
            assert_genuine(&outcome, "all");
        }
    }
}

#[test]
fn repeated_identity_headers_are_refused_on_kong_and_removed_on_envoy() {
    let mut kong = World::kong();
    let mut envoy = World::envoy();
    for name in IDENTITY_HEADERS {
        for second in spellings(name) {
            let request = with_key(KEY).header(name, FORGED).header("accept", "*/*").header(&second, FORGED);
            let outcome = kong.send(&request);
            assert_eq!(outcome.status(), 400, "{name} and {second}");
            assert_genuine(&envoy.send(&request), &second);
        }
    }
}

#[test]
fn removal_does_not_reach_the_upstream_so_a_preflight_carries_no_forged_identity_either() {
    let config = KeyAuthConfig { run_on_preflight: false, ..KeyAuthConfig::default() };
    for mut world in World::each(&config) {
        for name in IDENTITY_HEADERS {
            for spelling in spellings(name) {
                let outcome = world.send(&request("OPTIONS", "/").header(&spelling, FORGED));
                assert!(outcome.upstream().headers.any_spelling(name).is_empty(), "{spelling}");
            }
            let twice = request("OPTIONS", "/").header(name, FORGED).header(name, FORGED);
            let outcome = world.send(&twice);
            let forged = outcome.allowed() && !outcome.upstream().headers.any_spelling(name).is_empty();
            assert!(!forged, "{name} twice");
        }
    }
}

#[test]
fn a_service_that_is_open_lets_everybody_in_with_no_identity_and_no_forged_one() {
    for mut world in World::each(&KeyAuthConfig::default()) {
        assert_eq!(world.send(&request("GET", "/")).status(), 401);
        world.admin.strategies(SERVICE, vec![], true);
        world.follow();
        for name in IDENTITY_HEADERS {
            let outcome = world.send(&with_key("nonsense").header(name, FORGED));
            assert!(outcome.allowed(), "{name}");
            assert!(outcome.upstream().headers.any_spelling(name).is_empty(), "{name}");
        }
        world.admin.strategies(SERVICE, vec![], false);
        world.follow();
        assert_eq!(world.send(&with_key(KEY)).status(), 503, "no strategy, and not open");
    }
}

fn padded(headers: usize) -> Request {
    (0..headers).fold(with_key(KEY), |request, index| request.header(&format!("x-padding-{index}"), "p"))
}

#[test]
fn the_map_is_cut_at_100_headers_so_a_request_that_reaches_the_cap_is_refused() {
    for header_count_is_capped in [true, false] {
        let quirks = Quirks { header_count_is_capped, ..Quirks::kong() };
        let mut world = World::with(quirks, KeyAuthConfig::default());
        for padding in 60..140 {
            let forged = padded(padding).header("X-Consumer-ID", FORGED).header("X-Consumer-ID", FORGED);
            assert_eq!(world.send(&forged).status(), 400, "{padding}");
            let one = world.send(&padded(padding).header("X-Consumer-ID", FORGED));
            if one.allowed() {
                assert_genuine(&one, "padded");
            }
            let two_keys = world.send(&padded(padding).header("apikey", "another"));
            assert!(!two_keys.allowed(), "{padding}");
        }
        assert_eq!(world.send(&padded(120)).status(), 400);
        assert_eq!(message(&world.send(&padded(120))), "Too many request headers");
        assert_eq!(world.send(&padded(60)).status(), 200);
    }
}

#[test]
fn envoy_shows_all_headers_so_many_are_no_reason_to_refuse() {
    let mut world = World::envoy();
    let outcome = world.send(&padded(120).header("X-Consumer-ID", FORGED));
    assert_genuine(&outcome, "padded");
}

#[test]
fn a_key_given_twice_is_refused_however_it_is_spelled() {
    for mut world in World::each(&KeyAuthConfig::default()) {
        for second in ["apikey", "APIKEY", "ApiKey"] {
            for value in [KEY, "another", ""] {
                let outcome = world.send(&with_key(KEY).header(second, value));
                assert_eq!(outcome.status(), 401, "{second}: {value}");
                assert_eq!(message(&outcome), "Duplicate API key found");
            }
        }
        let outcome = world.send(&get("/?apikey=a&apikey=b"));
        assert_eq!(message(&outcome), "Duplicate API key found");
        let outcome = world.send(&get("/?apikey=a&%61pikey=b"));
        assert_eq!(message(&outcome), "Duplicate API key found");
    }
}

#[test]
fn header_comes_before_query_and_key_names_come_in_order() {
    let config =
        KeyAuthConfig { key_names: vec!["first".into(), "second".into()], ..KeyAuthConfig::default() };
    for mut world in World::each(&config) {
        let allowed = |world: &mut World, request: &Request| world.send(request).allowed();
        assert!(allowed(&mut world, &get("/?first=wrong").header("first", KEY)));
        assert!(allowed(&mut world, &get("/?second=wrong").header("first", KEY)));
        assert!(allowed(&mut world, &get(&format!("/?first={KEY}")).header("second", "wrong")));
        assert!(!allowed(&mut world, &get(&format!("/?second={KEY}")).header("first", "wrong")));
        assert!(allowed(&mut world, &get("/").header("second", KEY)));
        assert!(!allowed(&mut world, &get("/").header("apikey", KEY)));
    }
}

#[test]
fn a_key_location_that_is_switched_off_is_not_looked_at() {
    let no_header = KeyAuthConfig { key_in_header: false, ..KeyAuthConfig::default() };
    let no_query = KeyAuthConfig { key_in_query: false, ..KeyAuthConfig::default() };
    for mut world in World::each(&no_header) {
        assert_eq!(world.send(&with_key(KEY)).status(), 401);
        assert_eq!(world.send(&get(&format!("/?apikey={KEY}"))).status(), 200);
    }
    for mut world in World::each(&no_query) {
        assert_eq!(world.send(&with_key(KEY)).status(), 200);
        assert_eq!(world.send(&get(&format!("/?apikey={KEY}"))).status(), 401);
    }
}

#[test]
fn a_hidden_key_header_is_empty_on_kong_and_gone_on_envoy() {
    let config = KeyAuthConfig {
        hide_credentials: true,
        key_names: vec!["api-key".into()],
        ..KeyAuthConfig::default()
    };
    for mut world in World::each(&config) {
        for spelling in spellings("Api-Key") {
            let outcome = world.send(&get("/").header(&spelling, KEY));
            if outcome.allowed() {
                let left = outcome.upstream().headers.any_spelling("api-key");
                assert!(left.is_empty(), "{spelling}: {left:?}");
                let hidden = outcome.upstream().headers.0.iter().all(|(_, value)| value != KEY.as_bytes());
                assert!(hidden, "{spelling}");
            }
        }
        assert!(world.send(&get("/").header("API-Key", KEY)).allowed());
    }
}

#[test]
fn a_key_that_is_not_hidden_reaches_the_upstream_as_it_came() {
    for mut world in World::each(&KeyAuthConfig::default()) {
        let outcome = world.send(&with_key(KEY));
        assert_eq!(outcome.upstream().headers.any_spelling("apikey"), [KEY]);
    }
}

#[test]
fn bytes_beyond_ascii_in_any_header_do_no_harm() {
    for mut world in World::each(&KeyAuthConfig::default()) {
        for bytes in [&[0x80][..], &[0xff; 300], b"\xc3\x28", b"\xf0\x9f\x94\x91"] {
            let noisy = get("/").raw_header(b"accept", bytes).raw_header(b"x-noise", bytes);
            assert_eq!(world.send(&noisy.clone().header("apikey", KEY)).status(), 200);
            assert_eq!(world.send(&noisy.raw_header(b"apikey", bytes)).status(), 401);
            let named = with_key(KEY).raw_header(bytes, b"v");
            assert_eq!(world.send(&named).status(), 200);
        }
    }
}

#[test]
fn a_host_that_drops_underscored_names_changes_nothing() {
    let quirks = Quirks { underscores_accepted: false, ..Quirks::kong() };
    let mut world = World::with(quirks, KeyAuthConfig::default());
    assert_genuine(&world.send(&with_key(KEY).header("x_consumer_id", FORGED)), "dropped");
}
