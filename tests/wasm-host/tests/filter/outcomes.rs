//! Who gets in: developer, connection, suspension and key in all combinations, and what each is told.

use app_auth_core::ids::ServiceId;
use app_auth_core::record::{ConnectionStatus, CredentialRecord, KeyAuthConfig};
use app_auth_wasm_host::{Quirks, START};

use crate::support::{
    KEY, OTHER_SERVICE, SECOND, SERVICE, World, caller, caller_with, configuration, connection, get,
    identity, message, with_key,
};

const STATUSES: [Option<ConnectionStatus>; 5] = [
    None,
    Some(ConnectionStatus::Approved),
    Some(ConnectionStatus::Pending),
    Some(ConnectionStatus::Rejected),
    Some(ConnectionStatus::Revoked),
];

/// The rule, written down once more and differently: developer first, then connection, then suspension.
fn expected_reason(
    approved: bool,
    status: Option<ConnectionStatus>,
    suspended: bool,
) -> Option<&'static str> {
    match (approved, status, suspended) {
        (false, _, _) => Some("developer_not_approved"),
        (_, None, _) => Some("no_connection"),
        (_, Some(ConnectionStatus::Pending), _) => Some("pending"),
        (_, Some(ConnectionStatus::Rejected), _) => Some("rejected"),
        (_, Some(ConnectionStatus::Revoked), _) => Some("revoked"),
        (_, Some(ConnectionStatus::Approved), true) => Some("suspended"),
        (_, Some(ConnectionStatus::Approved), false) => None,
    }
}

#[test]
fn developer_connection_and_suspension_decide_and_the_reason_is_told() {
    for mut world in World::each(&KeyAuthConfig::default()) {
        for approved in [true, false] {
            for status in STATUSES {
                for suspended in [false, true] {
                    let mut connections: Vec<_> =
                        status.map(|status| connection(1, status)).into_iter().collect();
                    for connection in &mut connections {
                        connection.suspended = suspended;
                    }
                    let record = CredentialRecord { developer_approved: approved, connections, ..caller(1) };
                    world.admin.credential(KEY, record);
                    world.follow();
                    let outcome = world.send(&with_key(KEY));
                    match expected_reason(approved, status, suspended) {
                        None => assert!(outcome.allowed()),
                        Some(reason) => {
                            assert_eq!(outcome.status(), 403);
                            assert_eq!(message(&outcome), "You cannot consume this service");
                            assert_eq!(outcome.local().header("X-App-Auth-Reason").as_deref(), Some(reason));
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn an_unknown_expired_or_deleted_key_gets_the_same_401_and_no_reason() {
    for mut world in World::each(&KeyAuthConfig::default()) {
        let expired = u64::try_from(START.as_millis()).ok();
        world.admin.credential("expired", CredentialRecord { expires_at: expired, ..caller(2) });
        world.admin.credential("deleted", caller(3));
        world.follow();
        world.admin.delete_credential("deleted");
        world.follow();
        let answers = ["unknown", "expired", "deleted"].map(|key| world.send(&with_key(key)).local().clone());
        assert_eq!(answers[0].status, 401);
        assert_eq!(answers[0].header("WWW-Authenticate").as_deref(), Some("Key"));
        assert_eq!(answers[0].header("X-App-Auth-Reason"), None);
        assert!(answers.iter().all(|answer| *answer == answers[0]));
        assert_eq!(message(&world.send(&with_key("unknown"))), "Unauthorized");
    }
}

#[test]
fn a_key_works_until_the_millisecond_it_expires() {
    let mut world = World::kong();
    let last_moment = world.node.now() + SECOND * 60;
    let expires_at = last_moment + std::time::Duration::from_millis(1);
    let expires = u64::try_from(expires_at.as_millis()).ok();
    world.admin.credential(KEY, CredentialRecord { expires_at: expires, ..caller(1) });
    world.follow();
    world.node.set_clock(last_moment);
    assert_eq!(world.send(&with_key(KEY)).status(), 200);
    world.node.set_clock(expires_at);
    assert_eq!(world.send(&with_key(KEY)).status(), 401);
}

#[test]
fn no_key_and_an_empty_key_are_401_with_the_services_realm() {
    let config = KeyAuthConfig { realm: Some("partners".into()), ..KeyAuthConfig::default() };
    for mut world in World::each(&config) {
        for request in [get("/"), get("/?apikey="), get("/").header("apikey", "")] {
            let outcome = world.send(&request);
            assert_eq!((outcome.status(), message(&outcome).as_str()), (401, "No API key found in request"));
            let challenge = outcome.local().header("WWW-Authenticate");
            assert_eq!(challenge.as_deref(), Some("Key realm=\"partners\""));
        }
    }
}

#[test]
fn an_allowed_request_carries_exactly_the_identity_of_its_caller() {
    for mut world in World::each(&KeyAuthConfig::default()) {
        let nameless = CredentialRecord { custom_id: None, ..caller(2) };
        world.admin.credential("nameless", nameless.clone());
        world.follow();
        for (key, record) in [(KEY, caller(1)), ("nameless", nameless)] {
            let outcome = world.send(&with_key(key));
            let mut told = Vec::new();
            for name in crate::support::IDENTITY_HEADERS {
                told.extend(
                    outcome.upstream().headers.any_spelling(name).into_iter().map(|value| (name, value)),
                );
            }
            let mut expected = identity(&record);
            told.sort();
            expected.sort();
            assert_eq!(told, expected);
        }
    }
}

#[test]
fn a_connection_to_one_service_opens_no_other() {
    let mut world = World::kong();
    world.admin.service(OTHER_SERVICE, KeyAuthConfig::default());
    world.follow();
    let other = |key: &str| with_key(key).property("kong.service_id", OTHER_SERVICE.to_string());
    let outcome = world.send(&other(KEY));
    assert_eq!(outcome.local().header("X-App-Auth-Reason").as_deref(), Some("no_connection"));
    assert_eq!(world.status(), 200);
}

#[test]
fn an_application_with_a_thousand_connections_is_decided_by_the_right_one() {
    let mut world = World::kong();
    let mut record = caller(1);
    for number in 1000..1999_u128 {
        let mut other = connection(number, ConnectionStatus::Approved);
        other.service = ServiceId(uuid::Uuid::from_u128(number));
        record.connections.push(other);
    }
    record.connections[0].status = ConnectionStatus::Revoked;
    world.admin.credential(KEY, record.clone());
    world.follow();
    assert_eq!(world.status(), 403);
    record.connections[0].status = ConnectionStatus::Approved;
    world.admin.credential(KEY, record);
    world.follow();
    assert_eq!(world.status(), 200);
}

#[test]
fn the_reason_can_be_kept_from_the_caller() {
    let mut quiet = configuration();
    quiet["deny_reason_header"] = false.into();
    let mut world = World::configured(Quirks::kong(), 1, &[quiet]);
    world.admin.service(SERVICE, KeyAuthConfig::default());
    world.admin.credential(KEY, caller_with(1, ConnectionStatus::Pending));
    world.settle();
    let outcome = world.send(&with_key(KEY));
    assert_eq!((outcome.status(), outcome.local().header("X-App-Auth-Reason")), (403, None));
}

#[test]
fn a_service_the_admin_extension_does_not_know_lets_nobody_in() {
    let mut world = World::kong();
    world.admin.delete_service(SERVICE);
    world.follow();
    assert_eq!(world.status(), 503);
}

#[test]
fn preflight_requests_pass_untouched_only_where_the_service_says_so() {
    for (run_on_preflight, status) in [(true, 401), (false, 200)] {
        let config = KeyAuthConfig { run_on_preflight, ..KeyAuthConfig::default() };
        for mut world in World::each(&config) {
            let preflight =
                crate::support::request("OPTIONS", "/echo").header("Origin", "https://example.com");
            assert_eq!(world.send(&preflight).status(), status);
            assert_eq!(world.send(&get("/echo")).status(), 401);
            assert_eq!(world.send(&crate::support::request("options", "/echo")).status(), 401);
        }
    }
}
