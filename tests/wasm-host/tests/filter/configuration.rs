//! Configurations, good and bad. Kong enforces no filter at all once one refuses its configuration at start, so that a bad
//! one must be accepted and then answer 503.

use app_auth_wasm_host::{Module, NobodyThere, Node, Quirks, TOKEN};
use serde_json::{Value, json};

use crate::support::{OTHER_SERVICE, SECOND, SERVICE, World, configuration, get, message, with_key};

fn changed(member: &str, value: Value) -> String {
    let mut configuration = configuration();
    configuration[member] = value;
    configuration.to_string()
}

fn bad_configurations() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = [
        "",
        " ",
        "{}",
        "[]",
        "null",
        "7",
        "\"text\"",
        "{",
        "{\"admin_address\":",
        "\u{feff}{}",
        "{\"a\":{}}",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec();
    all.push(vec![0xff, 0xfe, 0, 0]);
    all.push("[".repeat(10_000).into_bytes());
    all.push(format!("{{\"a\":{}1{}}}", "[".repeat(5_000), "]".repeat(5_000)).into_bytes());
    let members = [
        ("admin_address", vec![json!(null), json!(7), json!(""), json!("a b:1"), json!("x".repeat(9999))]),
        ("admin_authority", vec![json!(7), json!(""), json!("a\r\nb")]),
        ("gateway_token", vec![json!(null), json!([]), json!(""), json!("two words"), json!("t\nt")]),
        ("service_id", vec![json!("not-a-uuid"), json!(7), json!("")]),
        ("node", vec![json!("a/b"), json!(""), json!("n".repeat(999)), json!("a&b=c")]),
        ("max_stale_seconds", vec![json!(-1), json!(1.5), json!("60"), json!(u64::MAX)]),
        ("deny_reason_header", vec![json!("yes"), json!(1)]),
        ("count_traffic", vec![json!("no"), json!(0)]),
        ("tick_milliseconds", vec![json!(0), json!(-25), json!(1e30), json!("25")]),
        ("wait_seconds", vec![json!(0), json!(86_400), json!(null)]),
        ("unknown_member", vec![json!(true)]),
    ];
    for (member, values) in members {
        all.extend(values.into_iter().map(|value| changed(member, value).into_bytes()));
    }
    all
}

#[test]
fn start_failure_opens_kong_so_no_bad_configuration_is_refused_and_every_request_gets_503() {
    for configuration in bad_configurations() {
        let shown = String::from_utf8_lossy(&configuration[..configuration.len().min(80)]).into_owned();
        for quirks in [Quirks::kong(), Quirks::envoy()] {
            let mut node = Node::start(&Module::app_auth(), quirks, 1, &[&configuration]);
            assert!(node.start_failures().is_empty(), "{shown}: {:?}", node.start_failures());
            node.run(SECOND, &mut NobodyThere);
            for request in [with_key("key"), get("/"), get("/").header("Accept", "text/html")] {
                let outcome = node.request(0, &request);
                assert_eq!(outcome.status(), 503, "{shown}");
                assert!(outcome.local().header("Retry-After").is_some(), "{shown}");
            }
            assert!(node.traps().is_empty(), "{shown}: {:?}", node.traps());
            assert!(node.logs().iter().any(|line| line.level >= 4), "{shown}: no log line");
        }
    }
}

#[test]
fn a_bad_configuration_is_explained_by_the_name_of_its_member_and_never_by_the_token() {
    for (member, value) in [
        ("service_id", json!("not-a-uuid")),
        ("tick_milliseconds", json!(0)),
        ("wait_seconds", json!(86_400)),
        ("node", json!("a/b")),
        ("unknown_member", json!(true)),
    ] {
        let configuration = changed(member, value);
        let node = Node::start(&Module::app_auth(), Quirks::kong(), 1, &[configuration]);
        assert!(node.logs().iter().any(|line| line.text.contains(member)), "{member}: {:?}", node.logs());
        assert!(!node.logs().iter().any(|line| line.text.contains(TOKEN)));
    }
    let node =
        Node::start(&Module::app_auth(), Quirks::kong(), 1, &[changed("gateway_token", json!(["s3cret"]))]);
    assert!(!node.logs().iter().any(|line| line.text.contains("s3cret")));
}

#[test]
fn a_bad_chain_closes_itself_and_leaves_its_neighbour_alone() {
    let chains = [json!({ "admin_address": 7 }), configuration()];
    let mut world = World::configured(Quirks::kong(), 2, &chains);
    world.admin.service(SERVICE, app_auth_core::record::KeyAuthConfig::default());
    world.admin.credential("k", crate::support::caller(1));
    world.settle();
    assert_eq!(world.node.request_on(0, 0, &with_key("k")).status(), 503);
    assert_eq!(world.node.request_on(0, 1, &with_key("k")).status(), 200);
}

#[test]
fn many_chains_share_one_state_and_ask_the_admin_extension_once() {
    let chains = vec![configuration(); 20];
    let mut world = World::configured(Quirks::kong(), 2, &chains);
    world.admin.service(SERVICE, app_auth_core::record::KeyAuthConfig::default());
    world.admin.credential("k", crate::support::caller(1));
    world.settle();
    for chain in 0..20 {
        assert_eq!(world.node.request_on(chain % 2, chain, &with_key("k")).status(), 200, "chain {chain}");
    }
    let following = world.node.calls().len();
    assert!(following <= 1, "{following} calls are open");
}

#[test]
fn a_chain_configured_with_a_service_does_not_ask_the_gateway_for_it() {
    let mut configuration = configuration();
    configuration["service_id"] = json!(OTHER_SERVICE);
    let mut world = World::configured(Quirks::kong(), 1, &[configuration]);
    world.admin.service(SERVICE, app_auth_core::record::KeyAuthConfig::default());
    world.admin.service(OTHER_SERVICE, app_auth_core::record::KeyAuthConfig::default());
    world.admin.credential("k", crate::support::caller(1));
    world.settle();
    let outcome = world.send(&with_key("k"));
    assert_eq!(outcome.status(), 403, "connected to the gateway's service, not to the configured one");
    assert_eq!(message(&outcome), "You cannot consume this service");
}

#[test]
fn a_request_whose_service_the_gateway_does_not_name_is_refused() {
    let mut world = World::kong();
    for service in [None, Some(""), Some("not-a-uuid"), Some("00000000-0000-0000-0000-0000000000ff")] {
        let mut request = app_auth_wasm_host::Request::get("/").header("apikey", crate::support::KEY);
        if let Some(service) = service {
            request = request.property("kong.service_id", service);
        }
        assert_eq!(world.send(&request).status(), 503, "{service:?}");
    }
}
