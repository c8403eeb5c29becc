//! Arbitrary input: never a trap, never an answer that was not earned.

use std::cell::RefCell;

use app_auth_core::record::KeyAuthConfig;
use app_auth_wasm_host::{Answer, Quirks, Request, Tear, Verdict};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::{IDENTITY_HEADERS, KEY, SECOND, SERVICE, World, caller, get, identity};

/// Statuses the filter may answer with.
const REFUSALS: [u32; 4] = [400, 401, 403, 503];

fn bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>().prop_map(|byte| if matches!(byte, 0 | b'\r' | b'\n') { b'?' } else { byte }), 0..max)
}

/// Names that matter, their odd spellings, and names that do not.
fn name() -> impl Strategy<Value = Vec<u8>> {
    let known = [
        "apikey",
        "ApiKey",
        "accept",
        "content-type",
        "content-length",
        "Content_Length",
        "x-consumer-id",
        "X_Consumer_ID",
        "x-application-id",
        "x-anonymous-consumer",
        "authorization",
        "transfer-encoding",
        "host",
        "cookie",
        ":path",
        ":method",
    ];
    prop_oneof![
        4 => proptest::sample::select(known.to_vec()).prop_map(|name| name.as_bytes().to_vec()),
        1 => bytes(40).prop_filter("a name", |name| !name.is_empty()),
    ]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    let known = [
        KEY,
        "",
        "wrong",
        "application/json",
        "application/x-www-form-urlencoded",
        "application/grpc",
        "multipart/form-data; boundary=\"x;y\"",
        "multipart/form-data; boundary=",
        "text/html;q=0.7,*/*",
        "7",
        "0",
        "chunked",
        "-1",
        "99999999999999999999",
    ];
    prop_oneof![
        3 => proptest::sample::select(known.to_vec()).prop_map(|value| value.as_bytes().to_vec()),
        2 => bytes(200),
        1 => vec(Just(b'x'), 0..20_000),
    ]
}

fn path() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("/".to_owned()),
        Just(format!("/?apikey={KEY}")),
        "/[ -~]{0,60}",
        "/a\\?(apikey|%61pikey|x)(=[a-z%&+=]{0,20})?(&apikey=[a-z%]{0,8})?",
        "\\PC{0,40}",
    ]
}

fn body() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let piece = prop_oneof![
        Just(format!("apikey={KEY}").into_bytes()),
        Just(format!("{{\"apikey\":\"{KEY}\"}}").into_bytes()),
        Just(b"{\"apikey\":".to_vec()),
        Just(b"--x\r\nContent-Disposition: form-data; name=apikey\r\n\r\n".to_vec()),
        vec(any::<u8>(), 0..300),
        vec(Just(b'['), 0..12_000),
    ];
    vec(piece, 0..4)
}

fn a_request() -> impl Strategy<Value = Request> {
    let method =
        prop_oneof![Just("GET".to_owned()), Just("POST".to_owned()), Just("OPTIONS".to_owned()), "\\PC{0,8}"];
    (method, path(), vec((name(), value()), 0..12), body(), any::<bool>()).prop_map(
        |(method, path, headers, body, padded)| {
            let mut request = crate::support::request(&method, &path);
            for (name, value) in headers {
                request = request.raw_header(&name, &value);
            }
            for index in 0..if padded { 110 } else { 0 } {
                request = request.header(&format!("p{index}"), "");
            }
            body.into_iter().fold(request, Request::chunk)
        },
    )
}

/// Whether the request presents the one good key anywhere at all.
fn may_hold_key(request: &Request) -> bool {
    format!("{request:?}").contains(KEY) || {
        let debug = format!("{request:?}");
        // Bytes print as numbers in the debug form.
        let numbers = |text: &[u8]| text.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        debug.contains(&numbers(KEY.as_bytes()))
    }
}

fn check(world: &mut World, request: &Request, exempt: bool) -> Result<(), TestCaseError> {
    let outcome = world.node.request(0, request);
    prop_assert_eq!(&outcome.trap, &None);
    match &outcome.verdict {
        Verdict::Local(local) => {
            prop_assert!(REFUSALS.contains(&local.status) || local.header("grpc-status").is_some());
        }
        Verdict::Upstream(upstream) => {
            prop_assert!(exempt || may_hold_key(request), "let in without a key: {:?}", request);
            let genuine = identity(&caller(1));
            for name in IDENTITY_HEADERS {
                for told in upstream.headers.any_spelling(name) {
                    let true_value = genuine.iter().any(|(n, value)| *n == name && *value == told);
                    prop_assert!(true_value, "{}: {}", name, told);
                }
            }
        }
    }
    Ok(())
}

#[test]
fn no_request_whatever_traps_the_filter_or_gets_in_unearned() {
    for quirks in [Quirks::kong(), Quirks::envoy()] {
        for run_on_preflight in [true, false] {
            for (key_in_body, hide_credentials) in [(false, true), (true, true), (true, false)] {
                let config = KeyAuthConfig {
                    key_in_body,
                    hide_credentials,
                    run_on_preflight,
                    ..KeyAuthConfig::default()
                };
                let world = RefCell::new(World::with(quirks.clone(), config));
                let mut runner =
                    TestRunner::new(Config { cases: 300, failure_persistence: None, ..Config::default() });
                let result = runner
                    .run(&a_request(), |request| check(&mut world.borrow_mut(), &request, !run_on_preflight));
                assert!(result.is_ok(), "{result:?}");
            }
        }
    }
}

/// JSON that resembles a feed or snapshot page.
fn page() -> impl Strategy<Value = Vec<u8>> {
    let number = prop_oneof![
        Just("0".to_owned()),
        Just("-1".into()),
        Just("18446744073709551615".into()),
        "[0-9]{1,22}"
    ];
    let store = prop_oneof![
        Just(app_auth_core::ids::StoreId([7; 32]).to_string()),
        Just(app_auth_core::ids::StoreId([1; 32]).to_string()),
        "[A-Za-z0-9_-]{0,50}"
    ];
    let digest = "[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]";
    let change = prop_oneof![
        Just(r#"{"delete":"credential"}"#.to_owned()),
        Just(r#"{"delete":"service"}"#.to_owned()),
        Just(format!(r#"{{"put":{{"service":{{"service":"{SERVICE}","strategies":[]}}}}}}"#)),
        "\\{\"put\":\\{\"credential\":\\{\\}\\}\\}",
    ];
    let changes = vec((number.clone(), digest, change), 0..6);
    let numbers = (number.clone(), number.clone(), number.clone(), number);
    (store, numbers, changes, "[ -~]{0,30}").prop_map(
        |(store, (revision, bits, first, end), changes, cursor)| {
            let changes: Vec<_> = changes
                .iter()
                .map(|(revision, key, change)| {
                    format!(r#"{{"revision":{revision},"key":"{key}","change":{change}}}"#)
                })
                .collect();
            let cursor = serde_json::to_string(&cursor).unwrap_or_default();
            format!(
                r#"{{"store":"{store}","revision":{revision},"changes":[{}],"total":{end},"bits":{bits},
                "buckets":[{first},{end}],"records":[],"next":{cursor},"cursors":[{cursor}]}}"#,
                changes.join(",")
            )
            .into_bytes()
        },
    )
}

fn an_answer() -> impl Strategy<Value = Answer> {
    let status = prop_oneof![4 => Just(200_u16), 1 => Just(410_u16), 1 => any::<u16>()];
    let body = prop_oneof![3 => page(), 1 => vec(any::<u8>(), 0..400), 1 => vec(Just(b'{'), 0..5000)];
    prop_oneof![
        6 => (status, body).prop_map(|(status, body)| Answer::json(status, body)),
        1 => Just(Answer::failure()),
    ]
}

#[test]
fn no_answer_of_an_admin_extension_whatever_traps_the_filter_or_opens_the_service() {
    let mut runner = TestRunner::new(Config { cases: 150, failure_persistence: None, ..Config::default() });
    let result = runner.run(&vec(an_answer(), 1..12), |answers| {
        let mut world = World::without_contact(Quirks::kong());
        world.admin.service(SERVICE, KeyAuthConfig::default());
        world.admin.credential(KEY, caller(1));
        if answers.len() % 2 == 0 {
            world.settle();
        }
        world.admin.next_answers.extend(answers);
        for _ in 0..10 {
            world.admin.credential("nudge", caller(2));
            world.run(SECOND / 2);
            let status = world.node.request(0, &get("/").header("apikey", "unknown")).status();
            prop_assert!(REFUSALS.contains(&status), "{status}");
        }
        prop_assert!(world.node.traps().is_empty(), "{:?}", world.node.traps());
        Ok(())
    });
    assert!(result.is_ok(), "{result:?}");
}

#[test]
fn no_bytes_in_shared_data_whatever_trap_the_filter_or_let_an_unknown_key_in() {
    let world = RefCell::new(World::kong());
    let keys = world.borrow().node.zone().keys();
    let mut runner = TestRunner::new(Config { cases: 300, failure_persistence: None, ..Config::default() });
    let poke = prop_oneof![
        vec(any::<u8>(), 0..400).prop_map(Tear::Foreign),
        (0..200_usize).prop_map(Tear::Cut),
        Just(Tear::HalfOld),
        Just(Tear::Old),
    ];
    let result = runner.run(&(0..keys.len(), poke, 0..6_u8, any::<u8>()), |(index, tear, at, flip)| {
        let world = &mut *world.borrow_mut();
        let key = &keys[index];
        let mut value = world.node.zone().peek(key).unwrap_or_default().to_vec();
        match &tear {
            Tear::Foreign(bytes) => value.clone_from(bytes),
            Tear::Cut(length) => value.truncate(*length),
            _ => {
                let place = value.len() * usize::from(at) / 6;
                if let Some(byte) = value.get_mut(place) {
                    *byte ^= flip;
                }
            }
        }
        world.node.zone().poke(key, &value);
        for worker in 0..2 {
            let status = world.node.request(worker, &get("/").header("apikey", "unknown")).status();
            prop_assert!(REFUSALS.contains(&status), "{status}");
            let status = world.node.request(worker, &get("/").header("apikey", KEY)).status();
            prop_assert!(status == 200 || status == 503, "{status}");
        }
        world.run(SECOND);
        prop_assert!(world.node.traps().is_empty(), "{:?}", world.node.traps());
        Ok(())
    });
    assert!(result.is_ok(), "{result:?}");
    let world = &mut *world.borrow_mut();
    world.run(SECOND * 30);
    assert_eq!(world.status(), 200);
}
