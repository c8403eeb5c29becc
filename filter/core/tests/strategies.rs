//! Several strategies on one service, none of them, and what tells one issuer's clients from keys.

mod support;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use app_auth_core::digest::KeyDigest;
use app_auth_core::gate::Outcome;
use app_auth_core::ids::StrategyId;
use app_auth_core::memory::Memory;
use app_auth_core::record::{
    ConnectionStatus, IssuerRecord, KeyAuthConfig, Kind, OpenIdConnectConfig, Record, ServiceRecord,
    Strategy, StrategyConfig,
};
use app_auth_core::refusal::{Reason, Refusal, Unauthenticated, Unavailable};
use app_auth_core::request::Body;
use app_auth_core::state::bucket::{encode_entry, entries};
use app_auth_core::state::policy;
use support::{Admin, ENVOY, STORE, Worker, config, connection, credential, decide, service, uuid};

const NOW: u64 = 1_000_000;

fn first() -> StrategyId {
    StrategyId(uuid(0xa1))
}

fn second() -> StrategyId {
    StrategyId(uuid(0xa2))
}

fn key_auth(id: StrategyId, name: &str) -> Strategy {
    let config = KeyAuthConfig {
        key_names: vec![name.into()],
        key_in_query: false,
        realm: (name == "second").then(|| "two".into()),
        ..KeyAuthConfig::default()
    };
    Strategy { id, config: StrategyConfig::KeyAuth(config) }
}

fn openid_connect(id: StrategyId) -> Strategy {
    let config = serde_json::from_str(r#"{"issuer": "https://idp.example.com", "auth_methods": ["bearer"]}"#);
    Strategy { id, config: StrategyConfig::OpenIdConnect(config.unwrap()) }
}

/// A node whose service has these strategies; a key of each strategy, connected, and one that is not.
struct Node {
    worker: Worker,
    memory: Memory,
    now: u64,
}

impl Node {
    fn new(strategies: Vec<Strategy>, open: bool) -> Self {
        let mut admin = Admin::default();
        let service = service(1);
        let record = Record::Service(ServiceRecord { service, strategies, open });
        admin.write(KeyDigest::of_service(&STORE, service), Ok(record));
        let approved = || credential(vec![connection(service, ConnectionStatus::Approved)]);
        for (strategy, key, record) in [
            (first(), "key-1", approved()),
            (second(), "key-2", approved()),
            (second(), "stranger", credential(vec![])),
        ] {
            let digest = KeyDigest::of_api_key(&STORE, strategy, key.as_bytes());
            admin.write(digest, Ok(Record::Credential(record)));
        }
        let client = KeyDigest::of_client_id(&STORE, first(), b"client");
        admin.write(client, Ok(Record::Credential(approved())));
        let mut node = Self { worker: Worker::new(1), memory: Memory::default(), now: NOW };
        node.worker.settle(&mut node.now, &node.memory, &admin);
        node
    }

    fn ask(&self, headers: &[(&str, &str)]) -> Result<Option<StrategyId>, Refusal> {
        let headers: Vec<_> = [(":method", "GET"), (":path", "/")].iter().chain(headers).copied().collect();
        let (policies, config) = (&self.worker.remembered, config("{}"));
        let outcome = decide(
            &self.memory,
            policies,
            &config,
            service(1),
            &headers,
            Body::Absent,
            ENVOY,
            Some(self.now),
        );
        match outcome {
            Outcome::Allow { identity, .. } => Ok(Some(identity.strategy)),
            Outcome::Exempt => Ok(None),
            Outcome::Refuse(refusal) => Err(refusal),
            other => panic!("no strategy here looks into bodies or asks anybody: {other:?}"),
        }
    }
}

fn unauthenticated(cause: Unauthenticated, challenge: &str) -> Refusal {
    Refusal::Unauthenticated { cause, challenge: challenge.into() }
}

#[test]
fn each_strategy_knows_its_own_keys_under_its_own_names_and_no_others() {
    let node = Node::new(vec![key_auth(first(), "first"), key_auth(second(), "second")], false);
    let challenge = "Key, Key realm=\"two\"";
    assert_eq!(node.ask(&[("first", "key-1")]), Ok(Some(first())));
    assert_eq!(node.ask(&[("second", "key-2")]), Ok(Some(second())));
    // A key under another strategy's name is no key of that strategy.
    for headers in [[("first", "key-2")], [("second", "key-1")], [("first", "client")]] {
        let refused = unauthenticated(Unauthenticated::UnknownKey, challenge);
        assert_eq!(node.ask(&headers), Err(refused), "{headers:?}");
    }
    // What the first does not know, the second may.
    assert_eq!(node.ask(&[("first", "nonsense"), ("second", "key-2")]), Ok(Some(second())));
    assert_eq!(node.ask(&[]), Err(unauthenticated(Unauthenticated::NoKey, challenge)));
    let twice = [("second", "key-2"), ("second", "key-2")];
    assert_eq!(node.ask(&twice), Err(unauthenticated(Unauthenticated::DuplicateKey, challenge)));
    assert_eq!(node.ask(&[("second", "stranger")]), Err(Refusal::Forbidden(Reason::NoConnection)));
}

#[test]
fn the_same_names_serve_two_strategies() {
    let node = Node::new(vec![key_auth(first(), "apikey"), key_auth(second(), "apikey")], false);
    assert_eq!(node.ask(&[("apikey", "key-1")]), Ok(Some(first())));
    assert_eq!(node.ask(&[("apikey", "key-2")]), Ok(Some(second())));
    let refused = unauthenticated(Unauthenticated::UnknownKey, "Key");
    assert_eq!(node.ask(&[("apikey", "nonsense")]), Err(refused));
}

#[test]
fn a_strategy_whose_issuer_is_not_known_yet_lets_nobody_in_and_says_that_it_cannot_tell() {
    let alone = Node::new(vec![openid_connect(first())], false);
    let bearer = "Bearer realm=\"idp.example.com\"";
    let token = [("authorization", "Bearer e30.e30.")];
    for headers in [&[][..], &[("apikey", "client")]] {
        assert_eq!(alone.ask(headers), Err(unauthenticated(Unauthenticated::NoToken, bearer)));
    }
    assert_eq!(alone.ask(&token), Err(Refusal::Unavailable(Unavailable::UnknownIssuer)));
    let beside = Node::new(vec![openid_connect(first()), key_auth(second(), "apikey")], false);
    assert_eq!(beside.ask(&[("apikey", "key-2")]), Ok(Some(second())));
    assert_eq!(beside.ask(&[token[0], ("apikey", "key-2")]), Ok(Some(second())));
    let both = format!("{bearer}, Key");
    assert_eq!(beside.ask(&[]), Err(unauthenticated(Unauthenticated::NoKey, &both)));
}

#[test]
fn a_service_is_open_only_where_it_is_said_and_no_strategy_stands() {
    assert_eq!(Node::new(vec![], true).ask(&[]), Ok(None));
    assert_eq!(Node::new(vec![], true).ask(&[("apikey", "nonsense")]), Ok(None));
    let closed = Refusal::Unavailable(Unavailable::UnknownService);
    assert_eq!(Node::new(vec![], false).ask(&[("apikey", "key-1")]), Err(closed));
    let contradictory = Node::new(vec![key_auth(first(), "apikey")], true);
    assert_eq!(contradictory.ask(&[]), Err(unauthenticated(Unauthenticated::NoKey, "Key")));
    assert_eq!(contradictory.ask(&[("apikey", "key-1")]), Ok(Some(first())));
}

#[test]
fn openid_connect_strategies_and_issuers_survive_the_wire_and_the_bucket() {
    let strategies = vec![openid_connect(first()), key_auth(second(), "apikey")];
    let record = ServiceRecord { service: service(1), strategies, open: true };
    let entry = encode_entry(&KeyDigest([1; 32]), &Record::Service(record.clone())).unwrap();
    let payload = entries(&entry).next().unwrap().payload.to_vec();
    assert_eq!(policy::decode(&payload), Some(record.clone()));
    for end in 0..payload.len() {
        assert_eq!(policy::decode(&payload[..end]), None, "cut at {end}");
    }
    let issuer = IssuerRecord {
        configured: "https://idp.example.com".into(),
        issuer: "https://idp.example.com/".into(),
        token_endpoint: Some("https://idp.example.com/token".into()),
        introspection_endpoint: None,
        token_endpoint_auth_methods: vec![],
        algorithms: vec![],
        keys: vec![serde_json::json!({"kty": "OKP", "crv": "Ed25519", "x": "AA"})],
    };
    let record_of_issuer = Record::Issuer(issuer.clone());
    let entry = encode_entry(&KeyDigest([2; 32]), &record_of_issuer).unwrap();
    let payload = entries(&entry).next().unwrap().payload;
    assert_eq!(policy::decode_issuer(payload), Some(issuer));
    assert_eq!(policy::decode_issuer(&payload[1..]), None);
    for record in [Record::Service(record), record_of_issuer] {
        let json = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<Record>(&json).unwrap(), record);
    }
    assert!(Kind::Issuer.is_policy() && Kind::Service.is_policy() && !Kind::Credential.is_policy());
}

#[test]
fn an_openid_connect_configuration_has_the_plugins_defaults() {
    let config: OpenIdConnectConfig = serde_json::from_str(r#"{"issuer": "i", "unknown": [1]}"#).unwrap();
    let claims =
        [&config.credential_claim, &config.scopes_claim, &config.audience_claim, &config.groups_claim];
    assert_eq!(
        claims,
        [&["sub".to_owned()], &["scope".to_owned()], &["aud".to_owned()], &["groups".to_owned()]]
    );
    assert_eq!((config.leeway, config.maximum_age, config.hide_credentials), (0, None, false));
}
