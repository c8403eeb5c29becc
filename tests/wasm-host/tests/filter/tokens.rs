//! Bearer tokens at the filter's door: every algorithm, what is tried against verifiers, and chance; on a host that verifies
//! signatures and on hosts that do not, with one verdict.

use app_auth_core::digest::KeyDigest;
use app_auth_core::feed::Operation;
use app_auth_core::ids::StrategyId;
use app_auth_core::record::{IssuerRecord, OpenIdConnectConfig, Record, Strategy, StrategyConfig};
use app_auth_test_tokens::{ALGORITHMS, base64url, fuzz, jwk, raw, sign, token};
use app_auth_wasm_host::{Answer, Outcome, Quirks, Request};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{SERVICE, World, caller, get};

const ISSUER: &str = "https://issuer.example";
const STRATEGY: StrategyId = StrategyId(Uuid::from_u128(0x1d));
/// What the application is called by the issuer.
const CLIENT: &str = "someone";

/// Kong, Envoy, and an Envoy that leaves signatures to the filter.
fn quirks() -> [Quirks; 3] {
    [Quirks::kong(), Quirks::envoy(), Quirks { verifies_signatures: false, ..Quirks::envoy() }]
}

fn hosts() -> [World; 3] {
    quirks().map(world)
}

/// A service that takes tokens of an issuer with every kind of key, and [`caller`] 1, whom the issuer calls [`CLIENT`].
fn world(quirks: Quirks) -> World {
    let mut world = World::without_contact(quirks);
    let config = OpenIdConnectConfig {
        issuer: ISSUER.into(),
        auth_methods: vec!["bearer".into()],
        ..OpenIdConnectConfig::default()
    };
    let strategy = Strategy { id: STRATEGY, config: StrategyConfig::OpenIdConnect(Box::new(config)) };
    world.admin.strategies(SERVICE, vec![strategy], false);
    let named = |algorithm: &&str| {
        let mut key = jwk(algorithm, algorithm);
        key["alg"] = (*algorithm).into();
        key
    };
    let issuer = IssuerRecord {
        configured: ISSUER.into(),
        issuer: ISSUER.into(),
        token_endpoint: None,
        introspection_endpoint: None,
        token_endpoint_auth_methods: Vec::new(),
        algorithms: Vec::new(),
        keys: ALGORITHMS.iter().map(named).collect(),
    };
    let store = world.admin.store;
    world.admin.change(KeyDigest::of_issuer(&store, ISSUER), Operation::Put(Record::Issuer(issuer)));
    let client = KeyDigest::of_client_id(&store, STRATEGY, CLIENT.as_bytes());
    world.admin.change(client, Operation::Put(Record::Credential(caller(1))));
    world.settle();
    world
}

fn claims() -> Value {
    json!({ "iss": ISSUER, "sub": CLIENT, "scope": "read", "exp": 4_102_444_800_u64 })
}

fn header(algorithm: &str) -> Value {
    json!({ "alg": algorithm, "kid": algorithm })
}

fn good(algorithm: &str) -> String {
    token(&header(algorithm), &claims())
}

fn with_header(name: &str, value: Value) -> String {
    let mut header = header("ES256");
    header[name] = value;
    token(&header, &claims())
}

fn with_payload(payload: &str) -> String {
    raw("ES256", header("ES256").to_string().as_bytes(), payload.as_bytes())
}

/// The good claims and one more member, as text.
fn and(member: &str) -> String {
    let claims = claims().to_string();
    format!("{},{member}}}", &claims[..claims.len() - 1])
}

fn bearing(token: &[u8]) -> Request {
    get("/echo").header("authorization", [b"Bearer ", token].concat())
}

/// The admin extension knows of no key that the filter does not know.
fn send(world: &mut World, token: &[u8]) -> Outcome {
    world.send(&bearing(token).answer(Answer::json(404, "{}")))
}

/// Nothing of a token that is long enough to be one is in a log line or an answer.
fn kept_quiet(world: &World, outcome: &Outcome, token: &[u8]) -> bool {
    let start = |piece: &[u8]| std::str::from_utf8(piece.get(..16)?).ok().map(str::to_owned);
    let pieces: Vec<_> = token.split(|byte| *byte == b'.').filter_map(start).collect();
    let told = |line: &str| pieces.iter().any(|piece| line.contains(piece.as_str()));
    let answered = format!("{:?}", outcome.response_headers);
    !world.node.logs().iter().any(|line| told(&line.text)) && !told(&answered)
}

#[test]
fn given_every_algorithm_when_a_good_token_comes_then_its_application_gets_in_on_every_host() {
    let costs = quirks().map(|quirks| {
        let kong = quirks.kong_properties;
        let mut world = world(quirks);
        // The first token finds the issuer's keys not read yet.
        send(&mut world, token(&header("EdDSA"), &json!({ "iss": ISSUER })).as_bytes());
        ALGORITHMS.map(|algorithm| {
            let outcome = send(&mut world, good(algorithm).as_bytes());
            let id = outcome.upstream().headers.all("X-Application-ID");
            assert_eq!(id, [caller(1).application.to_string()], "{algorithm}");
            let asked = outcome.calls.get("proxy_call_foreign_function").copied().unwrap_or_default();
            // A host that may have the function is asked, even if it turns out to have none.
            assert_eq!(asked, u32::from(!kong && hosts_can(algorithm)), "{algorithm}");
            // What the worker has seen before is not verified again.
            let again = send(&mut world, good(algorithm).as_bytes());
            assert!(again.allowed() && !again.calls.contains_key("proxy_call_foreign_function"));
            (outcome.instructions, again.instructions)
        })
    });
    let [_, envoy, alone] = costs;
    for (index, algorithm) in ALGORITHMS.into_iter().enumerate() {
        let ((own, seen), (native, _)) = (alone[index], envoy[index]);
        assert!(own > seen * 5, "{algorithm}: seen before costs {seen}, verified {own}");
        assert_eq!(own > native * 5, hosts_can(algorithm), "{algorithm}: by the host {native}, alone {own}");
    }
}

/// What Envoy's function verifies.
fn hosts_can(algorithm: &str) -> bool {
    algorithm.starts_with("RS") || algorithm.starts_with("ES")
}

/// Tokens of which every single one must be refused.
fn hostile() -> Vec<(&'static str, String)> {
    let es256 = good("ES256");
    let [head, payload, signature] = es256.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    let signed = format!("{head}.{payload}");
    let unsigned = |header: Value| format!("{}.{payload}.", base64url(header.to_string()));
    let other_claims = base64url(json!({ "iss": ISSUER, "sub": CLIENT, "admin": true }).to_string());
    let deep = |depth| and(&format!("\"x\":{}{}", "[".repeat(depth), "]".repeat(depth)));
    let own_key = json!({ "alg": "ES256", "kid": "RS256", "jwk": jwk("ES256", "RS256") });
    vec![
        ("no algorithm", unsigned(json!({ "alg": "none", "kid": "ES256" }))),
        ("no algorithm, no key", unsigned(json!({ "alg": "nOnE" }))),
        ("no signature", format!("{signed}.")),
        ("an HMAC", token(&json!({ "alg": "HS256", "kid": "RS256" }), &claims())),
        ("another algorithm of the key's kind", token(&json!({ "alg": "PS256", "kid": "RS256" }), &claims())),
        ("another kind of key", token(&json!({ "alg": "ES256", "kid": "RS256" }), &claims())),
        ("its own key", token(&own_key, &claims())),
        (
            "an address of keys",
            token(&json!({ "alg": "ES256", "kid": "x", "jku": "https://a.example" }), &claims()),
        ),
        ("a path for a key", with_header("kid", json!("../../dev/null"))),
        ("a statement for a key", with_header("kid", json!("' OR 1=1 --"))),
        ("a list for a key", with_header("kid", json!(["ES256"]))),
        ("an extension", with_header("crit", json!(["exp"]))),
        ("an empty extension", with_header("crit", json!([]))),
        ("a payload that is not encoded", with_header("b64", json!(false))),
        ("an ID token by its type", with_header("typ", json!("id+jwt"))),
        ("a logout token", with_header("typ", json!("logout+jwt"))),
        ("an ID token by its hash", with_payload(&and("\"at_hash\":\"x\""))),
        ("a refresh token", with_payload(&and("\"typ\":\"Refresh\""))),
        ("a claim twice", with_payload(&and("\"sub\":\"other\""))),
        ("a claim twice, spelt otherwise", with_payload(&and("\"s\\u0075b\":\"other\""))),
        ("nested too deep", with_payload(&deep(64))),
        ("nested far too deep", with_payload(&deep(5000))),
        ("a number beyond bounds", with_payload(&and("\"x\":1e400"))),
        ("a number without end", with_payload(&and(&format!("\"x\":{}", "9".repeat(9000))))),
        ("text after the payload", with_payload(&format!("{} x", claims()))),
        ("half a character", with_payload(&and("\"x\":\"\\ud800\""))),
        ("a list", with_payload("[]")),
        ("padding", format!("{signed}.{signature}==")),
        ("bits that say nothing", format!("{signed}.{}", bump(signature))),
        ("other claims", format!("{head}.{other_claims}.{signature}")),
        ("zeros for a signature", format!("{signed}.{}", base64url([0; 64]))),
        (
            "a signature in another form",
            format!("{signed}.{}", base64url(der(&sign("ES256", signed.as_bytes())))),
        ),
        (
            "a longer signature",
            format!("{signed}.{}", base64url([sign("ES256", signed.as_bytes()), vec![0]].concat())),
        ),
        ("four parts", format!("{es256}.{signature}")),
        ("two parts", signed.clone()),
        (
            "JSON",
            format!("{{\"payload\":\"{payload}\",\"protected\":\"{head}\",\"signature\":\"{signature}\"}}"),
        ),
        (
            "encrypted",
            format!(
                "{}.{payload}.{payload}.{payload}.{signature}",
                base64url(r#"{"alg":"RSA-OAEP","enc":"A128GCM"}"#)
            ),
        ),
        ("no claims of its issuer", token(&header("ES256"), &json!({ "sub": CLIENT }))),
        (
            "another issuer",
            token(&header("ES256"), &json!({ "iss": "https://issuer.example/", "sub": CLIENT })),
        ),
        ("long ago", token(&header("ES256"), &json!({ "iss": ISSUER, "sub": CLIENT, "exp": 1 }))),
        (
            "not yet",
            token(&header("ES256"), &json!({ "iss": ISSUER, "sub": CLIENT, "nbf": 4_102_444_800_u64 })),
        ),
        (
            "no number for a time",
            token(&header("ES256"), &json!({ "iss": ISSUER, "sub": CLIENT, "exp": "never" })),
        ),
        ("too long", with_payload(&and(&format!("\"x\":\"{}\"", "x".repeat(16 << 10))))),
        ("very long", format!("{signed}.{}", "A".repeat(60_000))),
        ("dots", ".".repeat(16 << 10)),
        ("nothing", "..".into()),
    ]
}

/// The last character with one of the bits set that say nothing.
fn bump(text: &str) -> String {
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = text.len() - 1;
    let at = alphabet.find(&text[last..]).expect("base64url");
    format!("{}{}", &text[..last], &alphabet[at + 1..at + 2])
}

/// Two numbers as an ASN.1 sequence.
fn der(raw: &[u8]) -> Vec<u8> {
    let integer = |number: &[u8]| {
        let sign = if number[0] >= 0x80 { vec![0] } else { Vec::new() };
        let content = [sign, number.to_vec()].concat();
        [vec![2, u8::try_from(content.len()).expect("short")], content].concat()
    };
    let content = [integer(&raw[..32]), integer(&raw[32..])].concat();
    [vec![0x30, u8::try_from(content.len()).expect("short")], content].concat()
}

#[test]
fn given_any_attack_on_tokens_when_it_comes_to_any_host_then_it_gets_401_soon_and_nothing_is_told() {
    let hostile = hostile();
    for mut world in hosts() {
        let dearest = ALGORITHMS.map(|algorithm| send(&mut world, good(algorithm).as_bytes()).instructions);
        let bound = dearest.into_iter().max().unwrap_or_default() * 2;
        for (what, token) in &hostile {
            let outcome = send(&mut world, token.as_bytes());
            assert_eq!(outcome.status(), 401, "{what}");
            let challenge = outcome.local().header("www-authenticate").unwrap_or_default();
            assert!(
                challenge.contains("Bearer") && challenge.contains("error=\"invalid_"),
                "{what}: {challenge}"
            );
            assert!(kept_quiet(&world, &outcome, token.as_bytes()), "{what}: told");
            assert!(outcome.instructions < bound, "{what}: {} of {bound}", outcome.instructions);
        }
        assert_eq!(send(&mut world, good("ES256").as_bytes()).status(), 200, "and the good get in as before");
    }
}

#[test]
fn given_any_bytes_as_a_token_when_they_come_to_any_host_then_only_what_a_key_signed_gets_in() {
    let mut hosts = hosts();
    let mut let_in = 0;
    fuzz::each(1500, |seed| {
        let case = fuzz::case(seed);
        // What no gateway takes for a header becomes what no token has.
        let sendable = |byte: u8| if matches!(byte, 0 | b'\r' | b'\n') { b'?' } else { byte };
        let token: Vec<_> = case.token.iter().copied().map(sendable).collect();
        let statuses = hosts.each_mut().map(|world| {
            let outcome = send(world, &token);
            assert!(kept_quiet(world, &outcome, &token), "told");
            outcome.status()
        });
        assert!(statuses.iter().all(|status| *status == statuses[0]), "hosts differ: {statuses:?}");
        match statuses[0] {
            200 => {
                assert!(case.signed, "let in");
                let_in += 1;
            }
            401 | 403 => {}
            status => panic!("{status}"),
        }
    });
    let known = std::env::var_os("APP_AUTH_FUZZ_COUNT").is_some();
    assert!(known || let_in > 5, "hardly any was good: {let_in}");
}
