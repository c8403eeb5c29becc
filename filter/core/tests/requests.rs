//! Where a key is found, and what makes a request ambiguous: the rules of `key-auth`, case by case.

mod support;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use app_auth_core::gate::{Hide, HostTraits, Outcome};
use app_auth_core::identity::Forged;
use app_auth_core::memory::Memory;
use app_auth_core::record::{ConnectionStatus, KeyAuthConfig};
use app_auth_core::refusal::{Ambiguous, Refusal, Unauthenticated};
use app_auth_core::request::Body;
use app_auth_core::request::headers::{self, HeaderMap};
use app_auth_core::request::{body, query};
use app_auth_core::strategy::is_exempt;
use app_auth_core::strategy::key_auth::{Presented, present};
use support::{Admin, ENVOY, KONG, Worker, connection, credential, service};

fn find(config: &KeyAuthConfig, path: &str, extra: &[(&str, &str)], body: Body<'_>) -> String {
    let mut pairs = vec![(":path", path), (":method", "POST")];
    pairs.extend_from_slice(extra);
    let block = headers::serialize(pairs.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())));
    match present(config, &HeaderMap::parse(&block).unwrap(), body) {
        Presented::Key { key, name } => format!("{name}={}", String::from_utf8_lossy(&key)),
        Presented::Nothing => "nothing".into(),
        Presented::Duplicate => "duplicate".into(),
        Presented::NeedsBody => "needs body".into(),
    }
}

fn names(names: &[&str]) -> KeyAuthConfig {
    KeyAuthConfig {
        key_names: names.iter().map(|name| (*name).to_owned()).collect(),
        ..KeyAuthConfig::default()
    }
}

/// Configuration, path, headers, and what is found.
type Case<'a> = (&'a KeyAuthConfig, &'a str, &'a [(&'a str, &'a str)], &'a str);

#[test]
fn keys_in_headers_and_queries() {
    let one = names(&["apikey"]);
    let two = names(&["first", "second"]);
    let cases: &[Case<'_>] = &[
        (&one, "/", &[], "nothing"),
        (&one, "/", &[("apikey", "k")], "apikey=k"),
        (&one, "/", &[("ApiKey", "k")], "apikey=k"),
        (&one, "/", &[("apikey", "")], "nothing"),
        (&one, "/", &[("apikey", "a"), ("apikey", "b")], "duplicate"),
        (&one, "/", &[("apikey", "a"), ("APIKEY", "a")], "duplicate"),
        (&one, "/?apikey=k", &[], "apikey=k"),
        (&one, "/?APIKEY=k", &[], "nothing"),
        (&one, "/?a=1&apikey=k&b=2", &[], "apikey=k"),
        (&one, "/?apikey=a&apikey=b", &[], "duplicate"),
        (&one, "/?apikey=a&apikey", &[], "duplicate"),
        (&one, "/?apikey", &[], "nothing"),
        (&one, "/?apikey=", &[], "nothing"),
        (&one, "/?api%6bey=a%20b+c%2", &[], "apikey=a b c%2"),
        (&one, "/?apikey=%zz%41", &[], "apikey=%zzA"),
        (&one, "/apikey=k", &[], "nothing"),
        (&one, "/?xapikey=k", &[], "nothing"),
        // The header comes before the query, and one name before the next.
        (&one, "/?apikey=query", &[("apikey", "header")], "apikey=header"),
        (&two, "/?first=query", &[("second", "header")], "first=query"),
        (&two, "/", &[("second", "k")], "second=k"),
        (&two, "/?first", &[("second", "k")], "second=k"),
        (&two, "/", &[("first", ""), ("second", "k")], "nothing"),
    ];
    for (config, path, extra, expected) in cases {
        assert_eq!(find(config, path, extra, Body::Absent), *expected, "{path} {extra:?}");
    }
    let no_header = KeyAuthConfig { key_in_header: false, ..names(&["apikey"]) };
    assert_eq!(find(&no_header, "/?apikey=q", &[("apikey", "h")], Body::Absent), "apikey=q");
    let no_query = KeyAuthConfig { key_in_query: false, ..names(&["apikey"]) };
    assert_eq!(find(&no_query, "/?apikey=q", &[], Body::Absent), "nothing");
    let dashed = names(&["x-api-key"]);
    assert_eq!(find(&dashed, "/", &[("x-api-key", "a"), ("X_Api_Key", "b")], Body::Absent), "duplicate");
}

const MULTIPART: &str = "--xx\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--xx\r\nContent-Disposition: form-data; name=\"apikey\"\r\n\r\nk\r\n--xx--\r\n";

#[test]
fn keys_in_bodies() {
    let config = KeyAuthConfig { key_in_body: true, ..names(&["apikey"]) };
    let form = "application/x-www-form-urlencoded";
    let cases: &[(&str, &str, &str)] = &[
        (form, "apikey=k", "apikey=k"),
        ("Application/X-WWW-Form-Urlencoded; charset=utf-8", "a=1&apikey=k%2B", "apikey=k+"),
        (form, "apikey=a&apikey=b", "duplicate"),
        ("application/json", r#"{"apikey":"k"}"#, "apikey=k"),
        ("application/json", r#"{"a":{"apikey":"x"},"apikey":"\u006b"}"#, "apikey=k"),
        ("application/json", r#"{"a":{"apikey":"x"}}"#, "nothing"),
        ("application/json", r#"{"apikey":["a","b"]}"#, "duplicate"),
        ("application/json", r#"{"apikey":"a","apikey":"b"}"#, "duplicate"),
        ("application/json", r#"{"apikey":7}"#, "nothing"),
        ("application/json", r#"{"apikey":"k""#, "nothing"),
        ("application/json", "[1]", "nothing"),
        ("application/json", "", "nothing"),
        ("text/plain", "apikey=k", "nothing"),
        ("multipart/form-data; boundary=xx", MULTIPART, "apikey=k"),
        ("multipart/form-data; boundary=\"xx\"", MULTIPART, "apikey=k"),
        ("multipart/form-data; boundary=yy", MULTIPART, "nothing"),
        ("multipart/form-data", MULTIPART, "nothing"),
    ];
    for (content_type, body, expected) in cases {
        let found = find(&config, "/", &[("content-type", content_type)], Body::Read(body.as_bytes()));
        assert_eq!(found, *expected, "{content_type} {body}");
    }
    let twice = format!("{}{MULTIPART}", MULTIPART.trim_end_matches("--xx--\r\n"));
    let multipart = [("content-type", "multipart/form-data; boundary=xx")];
    assert_eq!(find(&config, "/", &multipart, Body::Read(twice.as_bytes())), "duplicate");
    assert_eq!(find(&config, "/", &[("content-type", form)], Body::Unread), "needs body");
    assert_eq!(find(&config, "/?apikey=q", &[("content-type", form)], Body::Unread), "apikey=q");
    assert_eq!(find(&config, "/", &[("content-type", "image/png")], Body::Unread), "nothing");
    assert_eq!(find(&config, "/", &[], Body::Unread), "nothing");
    assert_eq!(find(&names(&["apikey"]), "/", &[("content-type", form)], Body::Unread), "nothing");
}

#[test]
fn hiding_takes_out_the_key_and_nothing_else() {
    let target = |target: &str| {
        query::target_without(target.as_bytes(), "apikey").map(|t| String::from_utf8(t).unwrap())
    };
    assert_eq!(target("/p?apikey=k"), Some("/p".into()));
    assert_eq!(target("/p?a=%20&apikey=k&b"), Some("/p?a=%20&b".into()));
    assert_eq!(target("/p?api%6Bey=k&apikey&c=+"), Some("/p?c=+".into()));
    assert_eq!(target("/p?a=apikey"), None);
    assert_eq!(target("/p"), None);
    let json = body::Kind::Json
        .without(br#"{"n":1.50,"apikey":"k","big":12345678901234567890,"s":"\u00e9"}"#, "apikey");
    assert_eq!(json.unwrap(), br#"{"n":1.50,"big":12345678901234567890,"s":"\u00e9"}"#);
    let multipart = body::Kind::of(b"multipart/form-data; boundary=xx").unwrap();
    let rest = String::from_utf8(multipart.without(MULTIPART.as_bytes(), "apikey").unwrap()).unwrap();
    assert_eq!(rest, "--xx\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--xx--\r\n");
    assert_eq!(body::Kind::Form.without(b"a=1&apikey=k", "apikey").unwrap(), b"a=1");
}

#[test]
fn identity_headers_are_recognised_in_every_spelling() {
    let scan = |names: &[&str]| {
        let block = headers::serialize(names.iter().map(|name| (name.as_bytes(), &b"v"[..])));
        let headers = HeaderMap::parse(&block).unwrap();
        let forged = Forged::scan(&headers);
        (forged.names().count(), forged.repeated())
    };
    assert_eq!(scan(&["host", "x-request-id", "x-consumer", "x-consumer-idx"]), (0, false));
    assert_eq!(scan(&["x-consumer-id"]), (1, false));
    assert_eq!(scan(&["X_CONSUMER_ID", "x-consumer_username", "X-Anonymous_consumer"]), (3, false));
    assert_eq!(scan(&["X_CONSUMER_ID", "x-consumer-id"]), (2, true));
    assert_eq!(
        scan(&["x-connection-id", "x-application-id", "x-developer-id", "x-auth-strategy-id"]),
        (4, false)
    );
    assert_eq!(
        scan(&["x-credential-identifier", "x-consumer-custom-id", "X-Credential-Identifier"]),
        (3, true)
    );
}

#[test]
fn preflight_requests_are_exempt_only_when_the_service_says_so() {
    let options = headers::serialize([(&b":method"[..], &b"OPTIONS"[..])]);
    let get = headers::serialize([(&b":method"[..], &b"GET"[..])]);
    let exempt = KeyAuthConfig { run_on_preflight: false, ..KeyAuthConfig::default() };
    assert!(is_exempt(exempt.run_on_preflight, &HeaderMap::parse(&options).unwrap()));
    assert!(!is_exempt(exempt.run_on_preflight, &HeaderMap::parse(&get).unwrap()));
    assert!(!is_exempt(KeyAuthConfig::default().run_on_preflight, &HeaderMap::parse(&options).unwrap()));
}

struct Node {
    memory: Memory,
    worker: Worker,
    now: u64,
}

fn node(config: KeyAuthConfig) -> Node {
    let mut admin = Admin::default();
    admin.put_service(service(1), config);
    admin.put_key("good", credential(vec![connection(service(1), ConnectionStatus::Approved)]));
    let mut node = Node { memory: Memory::default(), worker: Worker::new(1), now: 1_700_000_000_000 };
    node.worker.settle(&mut node.now, &node.memory, &admin);
    node
}

impl Node {
    fn ask(&self, headers: &[(&str, &str)], body: Body<'_>, host: HostTraits) -> Outcome {
        let config = support::config("{}");
        let (memory, policies) = (&self.memory, &self.worker.remembered);
        support::decide(memory, policies, &config, service(1), headers, body, host, Some(self.now))
    }
}

#[test]
fn a_host_that_shows_a_part_of_the_headers_is_not_trusted_with_more() {
    let node = node(KeyAuthConfig::default());
    let with = |count: usize| {
        let mut headers = vec![("apikey", "good")];
        headers.extend(std::iter::repeat_n(("x", "y"), count - 1));
        headers
    };
    assert!(matches!(node.ask(&with(99), Body::Absent, KONG), Outcome::Allow { .. }));
    let refused = Outcome::Refuse(Refusal::Ambiguous(Ambiguous::TooManyHeaders));
    assert_eq!(node.ask(&with(100), Body::Absent, KONG), refused);
    assert!(matches!(node.ask(&with(100), Body::Absent, ENVOY), Outcome::Allow { .. }));
}

#[test]
fn a_repeated_identity_header_is_refused_where_it_cannot_be_removed() {
    let node = node(KeyAuthConfig::default());
    let headers = [("apikey", "good"), ("x-consumer-id", "a"), ("X_Consumer_ID", "b")];
    let refused = Outcome::Refuse(Refusal::Ambiguous(Ambiguous::RepeatedIdentity));
    assert_eq!(node.ask(&headers, Body::Absent, KONG), refused);
    assert!(matches!(node.ask(&headers, Body::Absent, ENVOY), Outcome::Allow { .. }));
    assert!(matches!(node.ask(&headers[..2], Body::Absent, KONG), Outcome::Allow { .. }));
}

#[test]
fn a_key_that_must_be_hidden_is_looked_for_in_the_body_too() {
    let node = node(KeyAuthConfig { hide_credentials: true, key_in_body: true, ..KeyAuthConfig::default() });
    let headers = [("apikey", "good"), ("content-type", "application/json")];
    assert_eq!(node.ask(&headers, Body::Unread, ENVOY), Outcome::NeedsBody);
    let Outcome::Allow { hide, .. } = node.ask(&headers, Body::Read(b"{}"), ENVOY) else { panic!("refused") };
    assert_eq!(
        hide,
        Some(Hide { header: Some("apikey".into()), arguments: vec!["apikey".into()], in_body: true })
    );
}

#[test]
fn an_endless_key_is_an_unknown_key() {
    let node = node(KeyAuthConfig { realm: Some("apis".into()), ..KeyAuthConfig::default() });
    let long = "k".repeat(5000);
    let unknown = Refusal::Unauthenticated {
        cause: Unauthenticated::UnknownKey,
        challenge: "Key realm=\"apis\"".into(),
    };
    assert_eq!(node.ask(&[("apikey", &long)], Body::Absent, ENVOY), Outcome::Refuse(unknown));
}
