//! The decision, over every combination of what it depends on.

mod support;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use app_auth_core::decision::{Verdict, decide};
use app_auth_core::digest::KeyDigest;
use app_auth_core::ids::StrategyId;
use app_auth_core::record::{Connection, ConnectionStatus, Record};
use app_auth_core::refusal::Reason;
use app_auth_core::state::bucket::{CredentialView, encode_entry, entries};
use support::{STORE, connection, credential, service, uuid};

const NOW: u64 = 1_000_000;

#[test]
fn every_combination_of_expiry_developer_connection_status_and_suspension_has_its_verdict() {
    use ConnectionStatus::{Approved, Pending, Rejected, Revoked};
    let mut seen = 0;
    for expires_at in [None, Some(NOW + 1), Some(NOW), Some(1), Some(0)] {
        for developer_approved in [true, false] {
            for status in [None, Some(Approved), Some(Pending), Some(Rejected), Some(Revoked)] {
                for suspended in [false, true] {
                    let mut record = credential(vec![connection(service(9), Approved)]);
                    record.expires_at = expires_at;
                    record.developer_approved = developer_approved;
                    record.connections.extend(
                        status.map(|status| Connection { suspended, ..connection(service(1), status) }),
                    );
                    let expected = if expires_at.is_some_and(|at| at <= NOW) {
                        Err(None)
                    } else if !developer_approved {
                        Err(Some(Reason::DeveloperNotApproved))
                    } else {
                        match (status, suspended) {
                            (None, _) => Err(Some(Reason::NoConnection)),
                            (Some(Pending), _) => Err(Some(Reason::Pending)),
                            (Some(Rejected), _) => Err(Some(Reason::Rejected)),
                            (Some(Revoked), _) => Err(Some(Reason::Revoked)),
                            (Some(Approved), true) => Err(Some(Reason::Suspended)),
                            (Some(Approved), false) => Ok(()),
                        }
                    };
                    let key = KeyDigest::of_api_key(&STORE, StrategyId::KEY_AUTH, b"k");
                    let entry = encode_entry(&key, &Record::Credential(record)).unwrap();
                    let payload = entries(&entry).next().unwrap().payload;
                    let view = CredentialView::parse(payload).unwrap();
                    let verdict = match decide(&view, StrategyId::KEY_AUTH, service(1), || NOW) {
                        Verdict::Allow(_) => Ok(()),
                        Verdict::Expired(_) => Err(None),
                        Verdict::Deny(_, reason) => Err(Some(reason)),
                    };
                    assert_eq!(
                        verdict, expected,
                        "{expires_at:?} {developer_approved} {status:?} {suspended}"
                    );
                    seen += 1;
                }
            }
        }
    }
    assert_eq!(seen, 100);
}

#[test]
fn an_allowed_caller_is_named_in_full() {
    let mut record = credential(vec![connection(service(1), ConnectionStatus::Approved)]);
    record.custom_id = Some("billing".into());
    let key = KeyDigest::of_api_key(&STORE, StrategyId::KEY_AUTH, b"k");
    let entry = encode_entry(&key, &Record::Credential(record)).unwrap();
    let view = CredentialView::parse(entries(&entry).next().unwrap().payload).unwrap();
    let Verdict::Allow(identity) = decide(&view, StrategyId::KEY_AUTH, service(1), || NOW) else {
        panic!("refused")
    };
    let headers = identity.headers();
    let mut headers: Vec<_> = headers
        .iter()
        .map(|(header, value)| (header.name(), String::from_utf8(value.to_vec()).unwrap()))
        .collect();
    headers.sort();
    let expected = [
        ("X-Application-ID", uuid(2).to_string()),
        ("X-Auth-Strategy-ID", StrategyId::KEY_AUTH.to_string()),
        ("X-Connection-ID", uuid(5).to_string()),
        ("X-Consumer-Custom-ID", "billing".into()),
        ("X-Consumer-ID", uuid(4).to_string()),
        ("X-Credential-Identifier", uuid(1).to_string()),
        ("X-Developer-ID", uuid(3).to_string()),
    ];
    assert_eq!(headers, expected);
}
