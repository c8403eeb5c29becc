//! The host itself: each quirk does what its switch says. The modules here are a few lines of text format.

use std::time::Duration;

use app_auth_wasm_host::{
    Answer, Backend, HttpCall, Module, NobodyThere, Node, Quirks, Request, Tear, WhenFull, Zone, ZoneError,
};

const SECOND: Duration = Duration::from_secs(1);

/// A module with all imports the tests below use, 256 bytes of text at 1024, and the given functions.
fn module(text: &str, functions: &str) -> Module {
    let source = format!(
        r#"(module
        (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
        (import "env" "proxy_set_tick_period_milliseconds" (func $tick (param i32) (result i32)))
        (import "env" "proxy_remove_header_map_value" (func $remove (param i32 i32 i32) (result i32)))
        (import "env" "proxy_replace_header_map_value" (func $replace (param i32 i32 i32 i32 i32) (result i32)))
        (import "env" "proxy_get_header_map_pairs" (func $pairs (param i32 i32 i32) (result i32)))
        (import "env" "proxy_get_property" (func $property (param i32 i32 i32 i32) (result i32)))
        (import "env" "proxy_http_call"
            (func $call (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
        (import "env" "proxy_send_local_response"
            (func $respond (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 4)
        (global $next (mut i32) (i32.const 65536))
        (data (i32.const 1024) "{text}")
        (func (export "proxy_on_memory_allocate") (param i32) (result i32)
            (global.get $next) (global.set $next (i32.add (global.get $next) (local.get 0))))
        {functions})"#
    );
    let wasm = wat::parse_str(&source).expect("valid text");
    Module::new(&wasm).expect("a module the host accepts")
}

fn node(module: &Module, quirks: Quirks) -> Node {
    Node::start(module, quirks, 1, &["{}"])
}

#[test]
fn a_crc32_zone_confuses_colliding_keys_and_an_honest_one_does_not() {
    let (first, second) = (b"plumless".as_slice(), b"buckeroo".as_slice());
    assert_eq!(crc32fast::hash(first), crc32fast::hash(second));
    for (quirks, expected) in [(Quirks::kong(), b"B"), (Quirks::envoy(), b"A")] {
        let mut zone = Zone::new(&quirks);
        zone.set(first, Some(b"A"), 0).expect("a new key");
        let cas = zone.get(second).expect("a zone").map_or(0, |(_, cas)| cas);
        zone.set(second, Some(b"B"), cas).expect("the right cas");
        assert_eq!(zone.peek(first), Some(expected.as_slice()));
    }
}

#[test]
fn cas_zero_writes_only_absent_keys_in_kong_and_overwrites_in_envoy() {
    let mut kong = Zone::new(&Quirks::kong());
    assert_eq!(kong.set(b"k", Some(b"1"), 7), Err(ZoneError::CasMismatch));
    assert_eq!(kong.set(b"k", Some(b"1"), 0), Ok(()));
    assert_eq!(kong.set(b"k", Some(b"2"), 0), Err(ZoneError::CasMismatch));
    let mut envoy = Zone::new(&Quirks::envoy());
    assert_eq!(envoy.set(b"k", Some(b"1"), 7), Ok(()));
    assert_eq!(envoy.set(b"k", Some(b"2"), 0), Ok(()));
    assert_eq!(envoy.set(b"k", Some(b"3"), 7), Err(ZoneError::CasMismatch));
}

#[test]
fn a_cas_restarts_after_delete_in_kong_and_never_comes_again_in_envoy() {
    for (quirks, same) in [(Quirks::kong(), true), (Quirks::envoy(), false)] {
        let mut zone = Zone::new(&quirks);
        let mut cas_of_new_key = || {
            zone.clear();
            zone.set(b"k", Some(b"v"), 0).expect("a new key");
            zone.get(b"k").expect("a zone").map(|(_, cas)| cas)
        };
        assert_eq!(cas_of_new_key() == cas_of_new_key(), same);
    }
}

#[test]
fn a_torn_read_is_half_new_half_old_and_only_as_often_as_planned() {
    let mut zone = Zone::new(&Quirks::kong());
    zone.set(b"k", Some(b"oldold"), 0).expect("a new key");
    zone.set(b"k", Some(b"newnew"), 1).expect("the right cas");
    zone.tear_next_reads(&Tear::HalfOld, 1);
    let mut read = || zone.get(b"k").expect("a zone").expect("a value").0;
    assert_eq!((read(), read()), (b"newold".to_vec(), b"newnew".to_vec()));
}

#[test]
fn a_full_zone_refuses_growth_but_not_a_write_of_the_same_size_or_forgets_the_oldest() {
    let mut zone = Zone::new(&Quirks::kong());
    zone.set(b"a", Some(&[1; 100]), 0).expect("room");
    zone.leave_room(0);
    assert_eq!(zone.set(b"b", Some(b"x"), 0), Err(ZoneError::Full));
    assert_eq!(zone.set(b"a", Some(&[2; 100]), 1), Ok(()));
    assert_eq!(zone.refused(), 1);

    let mut zone = Zone::new(&Quirks { when_full: WhenFull::Evict, ..Quirks::kong() });
    zone.set(b"a", Some(&[1; 100]), 0).expect("room");
    zone.set(b"b", Some(&[1; 100]), 0).expect("room");
    zone.leave_room(0);
    zone.set(b"c", Some(&[1; 100]), 0).expect("the oldest goes");
    assert_eq!(zone.keys(), [b"b".to_vec(), b"c".to_vec()]);
}

#[test]
fn a_filter_that_refuses_its_configuration_opens_kong_and_closes_envoy() {
    let refusing =
        module("", r#"(func (export "proxy_on_configure") (param i32 i32) (result i32) i32.const 0)"#);
    let mut kong = node(&refusing, Quirks::kong());
    assert_eq!(kong.start_failures(), ["on_vm_start or on_configure returned false"]);
    assert!(kong.request(0, &Request::get("/")).allowed());
    assert_eq!(node(&refusing, Quirks::envoy()).request(0, &Request::get("/")).status(), 503);
}

#[test]
fn a_trap_costs_kong_one_500_then_a_configured_instance_with_twice_the_ticks() {
    let fragile = module(
        "vm configure tick",
        r#"
        (func (export "proxy_on_vm_start") (param i32 i32) (result i32)
            (call $log (i32.const 2) (i32.const 1024) (i32.const 2)) (drop) i32.const 1)
        (func (export "proxy_on_configure") (param i32 i32) (result i32)
            (call $log (i32.const 2) (i32.const 1027) (i32.const 9)) (drop)
            (call $tick (i32.const 100)) (drop) i32.const 1)
        (func (export "proxy_on_tick") (param i32)
            (call $log (i32.const 2) (i32.const 1037) (i32.const 4)) (drop))
        (global $requests (mut i32) (i32.const 0))
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (global.set $requests (i32.add (global.get $requests) (i32.const 1)))
            (if (i32.eq (global.get $requests) (i32.const 2)) (then unreachable))
            i32.const 0)"#,
    );
    let mut node = node(&fragile, Quirks::kong());
    let count = |node: &Node, text: &str| node.logs().iter().filter(|line| line.text == text).count();
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(node.request(0, &Request::get("/")).status());
    }
    assert_eq!(statuses, [200, 500, 200]);
    assert_eq!((count(&node, "vm"), count(&node, "configure")), (1, 2));
    node.run(SECOND, &mut NobodyThere);
    assert_eq!(count(&node, "tick"), 20);
}

#[test]
fn removing_a_header_hides_it_from_the_filter_and_not_from_the_upstream_of_kong() {
    let removing = module(
        "x-secret",
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (call $remove (i32.const 0) (i32.const 1024) (i32.const 8)) (drop) i32.const 0)"#,
    );
    let request = Request::get("/").header("X-Secret", "s").header("x-secret", "t");
    let upstream = |quirks| node(&removing, quirks).request(0, &request).upstream().headers.all("x-secret");
    assert_eq!(upstream(Quirks::kong()), ["s", "t"]);
    assert!(upstream(Quirks::envoy()).is_empty());
}

#[test]
fn setting_a_header_replaces_one_copy_in_kong_and_all_in_envoy() {
    let setting = module(
        "x-user",
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (call $replace (i32.const 0) (i32.const 1024) (i32.const 6) (i32.const 1024) (i32.const 1))
            (drop) i32.const 0)"#,
    );
    let request = Request::get("/").header("X-User", "1").header("Accept", "*/*").header("x-user", "2");
    let upstream = |quirks| node(&setting, quirks).request(0, &request).upstream().headers.all("x-user");
    assert_eq!(upstream(Quirks::kong()), ["x", "2"]);
    assert_eq!(upstream(Quirks::envoy()), ["x"]);
}

#[test]
fn a_local_response_of_kong_gains_a_line_feed_and_keeps_the_last_of_equal_headers() {
    let answering = module(
        r"no\02\00\00\00\01\00\00\00\01\00\00\00\01\00\00\00\01\00\00\00a\001\00A\002\00",
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (call $respond (i32.const 403) (i32.const 0) (i32.const 0) (i32.const 1024) (i32.const 2)
                (i32.const 1026) (i32.const 28) (i32.const -1)) (drop) i32.const 1)"#,
    );
    let answer = |quirks| node(&answering, quirks).request(0, &Request::get("/")).local().clone();
    let (kong, envoy) = (answer(Quirks::kong()), answer(Quirks::envoy()));
    assert_eq!((kong.text().as_str(), kong.headers.all("a")), ("no\n", vec!["2".to_owned()]));
    assert_eq!((envoy.text().as_str(), envoy.headers.all("a").len()), ("no", 2));
}

#[test]
#[should_panic(expected = "the request hangs")]
fn a_pause_that_nothing_ends_fails_the_test() {
    let pausing = module(
        "",
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) i32.const 1)"#,
    );
    node(&pausing, Quirks::kong()).request(0, &Request::get("/"));
}

#[test]
#[should_panic(expected = "a worker would be blocked")]
fn a_callback_that_never_ends_fails_the_test() {
    let looping = module(
        "",
        r#"(func (export "proxy_on_tick") (param i32) (loop $l (br $l)))
        (func (export "proxy_on_configure") (param i32 i32) (result i32)
            (call $tick (i32.const 100)) (drop) i32.const 1)"#,
    );
    node(&looping, Quirks::kong()).run(SECOND, &mut NobodyThere);
}

#[test]
#[should_panic(expected = "first read of kong.service_id in Log")]
fn a_late_read_of_a_kong_property_fails_the_test() {
    let late = module(
        r"kong\00service_id",
        r#"(func (export "proxy_on_log") (param i32)
            (call $property (i32.const 1024) (i32.const 15) (i32.const 8) (i32.const 12)) (drop))"#,
    );
    node(&late, Quirks::kong()).request(0, &Request::get("/"));
}

/// `:method: GET`, `:path: /`, `:authority: a` in the ABI's form, for an upstream named `a`.
const CALL: &str = r"a\03\00\00\00\07\00\00\00\03\00\00\00\05\00\00\00\01\00\00\00\0a\00\00\00\01\00\00\00:method\00GET\00:path\00/\00:authority\00a\00";
const DISPATCH: &str =
    "(call $call (i32.const 1024) (i32.const 1) (i32.const 1025) (i32.const 61) (i32.const 0)
    (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1000) (i32.const 8)) (drop)";

/// Answers everything and remembers what it was asked.
#[derive(Default)]
struct Recorder(Vec<HttpCall>);

impl Backend for Recorder {
    fn answer(&mut self, _: Duration, call: &HttpCall) -> Option<Answer> {
        self.0.push(call.clone());
        Some(Answer::json(200, "{}"))
    }
}

#[test]
fn a_call_made_on_a_tick_reaches_the_backend_and_its_answer_the_filter() {
    let calling = module(
        CALL,
        &format!(
            r#"(func (export "proxy_on_configure") (param i32 i32) (result i32)
                (call $tick (i32.const 600)) (drop) i32.const 1)
            (func (export "proxy_on_tick") (param i32) {DISPATCH})
            (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32)
                (call $log (i32.const 2) (i32.const 1024) (local.get 3)) (drop))"#
        ),
    );
    let mut backend = Recorder::default();
    let mut node = node(&calling, Quirks::kong());
    node.run(SECOND, &mut backend);
    assert_eq!(backend.0.len(), 1);
    assert_eq!((backend.0[0].upstream.as_str(), backend.0[0].path().as_str()), ("a", "/"));
    assert_eq!(node.logs().last().map(|line| line.text.len()), Some(2));
}

#[test]
#[should_panic(expected = "the worker crashes: a dispatch in CallResponse")]
fn a_dispatch_from_the_answer_of_a_root_context_fails_the_test() {
    let chaining = module(
        CALL,
        &format!(
            r#"(func (export "proxy_on_configure") (param i32 i32) (result i32)
                (call $tick (i32.const 600)) (drop) i32.const 1)
            (func (export "proxy_on_tick") (param i32) {DISPATCH})
            (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32) {DISPATCH})"#
        ),
    );
    node(&chaining, Quirks::kong()).run(SECOND, &mut NobodyThere);
}

#[test]
#[should_panic(expected = "a dispatch in Configure")]
fn a_dispatch_while_being_configured_fails_the_test() {
    let eager = module(
        CALL,
        &format!(
            r#"(func (export "proxy_on_configure") (param i32 i32) (result i32) {DISPATCH} i32.const 1)"#
        ),
    );
    node(&eager, Quirks::kong());
}

#[test]
fn the_header_map_of_kong_ends_after_a_hundred_headers() {
    let mapping = module(
        "",
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (call $pairs (i32.const 0) (i32.const 8) (i32.const 12)) (drop)
            (call $log (i32.const 2) (i32.const 1024) (i32.load (i32.load (i32.const 8)))) (drop) i32.const 0)"#,
    );
    let mut request = Request::get("/");
    for index in 0..150 {
        request = request.header(&format!("x-{index}"), "v");
    }
    let seen = |quirks| {
        let mut node = node(&mapping, quirks);
        node.request(0, &request).logs.first().map(String::len)
    };
    assert_eq!(seen(Quirks::kong()), Some(100));
    assert_eq!(seen(Quirks::envoy()), Some(154));
}
