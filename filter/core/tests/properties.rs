//! Properties of the shared-data format: nothing is lost in a round trip, nothing damaged is believed.
#![cfg(not(target_family = "wasm"))]

mod support;

use app_auth_core::digest::KeyDigest;
use app_auth_core::feed::{BITS_MAX, BITS_MIN, bucket_of};
use app_auth_core::ids::{Revision, StoreId, StrategyId};
use app_auth_core::record::{
    Connection, ConnectionStatus, CredentialRecord, KeyAuthConfig, Record, ServiceRecord,
    Strategy as AuthStrategy, StrategyConfig,
};
use app_auth_core::request::headers::HeaderMap;
use app_auth_core::request::{body, query};
use app_auth_core::state::bucket::{CredentialView, encode_entry, entries};
use app_auth_core::state::envelope::{self, ValueKind};
use app_auth_core::state::keys::SharedKey;
use app_auth_core::state::lease::Lease;
use app_auth_core::state::meta::{Meta, Table};
use app_auth_core::state::policy;
use proptest::prelude::*;
use uuid::Uuid;

fn ids() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

fn statuses() -> impl Strategy<Value = ConnectionStatus> {
    use ConnectionStatus::{Approved, Pending, Rejected, Revoked};
    prop::sample::select(vec![Approved, Pending, Rejected, Revoked])
}

fn connections() -> impl Strategy<Value = Connection> {
    (ids(), ids(), statuses(), any::<bool>()).prop_map(|(service, connection, status, suspended)| {
        Connection { service: service.into(), connection: connection.into(), status, suspended }
    })
}

prop_compose! {
    fn credentials()(
        ids in prop::array::uniform4(ids()),
        custom_id in prop::option::of("[a-zA-Z0-9é-]{1,60}"),
        expires_at in prop::option::of(1..u64::MAX),
        developer_approved in any::<bool>(),
        connections in prop::collection::vec(connections(), 0..8),
    ) -> CredentialRecord {
        let [credential, application, developer, consumer] = ids;
        CredentialRecord {
            credential: credential.into(),
            application: application.into(),
            developer: developer.into(),
            consumer: consumer.into(),
            custom_id,
            expires_at,
            developer_approved,
            connections,
        }
    }
}

prop_compose! {
    fn services()(
        service in ids(),
        strategies in prop::collection::vec((ids(), prop::collection::vec("[a-zA-Z0-9_-]{1,20}", 1..10),
            prop::array::uniform5(any::<bool>()), prop::option::of("[ -~]{0,40}")), 0..4),
    ) -> ServiceRecord {
        let strategies = strategies.into_iter().map(|(id, key_names, switches, realm)| AuthStrategy {
            id: id.into(),
            config: StrategyConfig::KeyAuth(KeyAuthConfig {
                key_names,
                key_in_header: switches[0],
                key_in_query: switches[1],
                key_in_body: switches[2],
                hide_credentials: switches[3],
                run_on_preflight: switches[4],
                realm,
            }),
        });
        ServiceRecord { service: service.into(), strategies: strategies.collect(), open: false }
    }
}

prop_compose! {
    fn tables()(bits in BITS_MIN..=BITS_MAX, epoch in any::<u32>()) -> Table {
        Table { bits, epoch }
    }
}

prop_compose! {
    fn metas()(
        store in any::<[u8; 32]>(),
        serving in prop::option::of(tables()),
        loading in prop::option::of(tables()),
        numbers in prop::array::uniform4(any::<u64>()),
        leftover_depths in any::<u32>(),
        flags in any::<(bool, bool)>(),
    ) -> Meta {
        Meta {
            store: StoreId(store), serving, loading, leftover_depths,
            revision: Revision(numbers[0]), policy_revision: Revision(numbers[1]),
            last_contact: numbers[2], records: numbers[3],
            damaged: flags.0, incomplete: flags.1,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_credential_survives_the_round_trip(record in credentials(), key in any::<[u8; 32]>()) {
        let entry = encode_entry(&KeyDigest(key), &Record::Credential(record.clone())).unwrap();
        let mut all = entries(&entry);
        let view = CredentialView::parse(all.next().unwrap().payload).unwrap();
        prop_assert!(all.next().is_none());
        prop_assert_eq!(view.credential(), record.credential);
        prop_assert_eq!(view.application(), record.application);
        prop_assert_eq!(view.developer(), record.developer);
        prop_assert_eq!(view.consumer(), record.consumer);
        prop_assert_eq!(view.custom_id(), record.custom_id.as_deref().unwrap_or("").as_bytes());
        prop_assert_eq!(view.expires_at(), record.expires_at);
        prop_assert_eq!(view.developer_approved(), record.developer_approved);
        for connection in &record.connections {
            let first = record.connections.iter().find(|other| other.service == connection.service).unwrap();
            let found = view.connection(connection.service).unwrap();
            prop_assert_eq!((found.connection, found.status, found.suspended),
                (first.connection, Some(first.status), first.suspended));
        }
    }

    #[test]
    fn a_service_survives_the_round_trip(record in services(), key in any::<[u8; 32]>()) {
        let entry = encode_entry(&KeyDigest(key), &Record::Service(record.clone())).unwrap();
        let payload = entries(&entry).next().unwrap().payload.to_vec();
        prop_assert_eq!(policy::decode(&payload), Some(record));
        for end in 0..payload.len() {
            prop_assert_eq!(policy::decode(&payload[..end]), None);
        }
    }

    #[test]
    fn records_survive_the_wire(credential in credentials(), service in services()) {
        for record in [Record::Credential(credential), Record::Service(service)] {
            let json = serde_json::to_string(&record).unwrap();
            prop_assert_eq!(serde_json::from_str::<Record>(&json).unwrap(), record);
        }
    }

    #[test]
    fn meta_and_lease_survive_the_round_trip(mut meta in metas(), lease in any::<(u128, u128, u64, bool, u8, u64)>()) {
        // Without a table there is no epoch to keep.
        meta.serving = meta.serving.filter(|table| table.bits > 0);
        prop_assert_eq!(Meta::decode(&meta.encode()), Ok(meta));
        let (holder, node, expires_at, applying, strikes, careful_until) = lease;
        let (making_slots, slot_strikes) = (!applying, strikes / 2);
        let lease =
            Lease { holder, node, expires_at, applying, strikes, careful_until, making_slots, slot_strikes };
        prop_assert_eq!(Lease::decode(&lease.encode()), Ok(lease));
    }

    #[test]
    fn any_truncation_is_refused(body in prop::collection::vec(any::<u8>(), 0..600), epoch in any::<u32>()) {
        let value = envelope::seal(ValueKind::Bucket, epoch, Revision(9), &body);
        prop_assert_eq!(envelope::open(ValueKind::Bucket, &value).unwrap().body, &body[..]);
        for end in 0..value.len() {
            prop_assert!(envelope::open(ValueKind::Bucket, &value[..end]).is_err());
        }
        let mut longer = value;
        longer.push(0);
        prop_assert!(envelope::open(ValueKind::Bucket, &longer).is_err());
    }

    #[test]
    fn any_bit_flip_is_refused(body in prop::collection::vec(any::<u8>(), 0..200), epoch in any::<u32>()) {
        let value = envelope::seal(ValueKind::Meta, epoch, Revision(9), &body);
        for bit in 0..value.len() * 8 {
            let mut flipped = value.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(envelope::open(ValueKind::Meta, &flipped).is_err(), "bit {}", bit);
        }
    }

    #[test]
    fn a_tear_between_two_values_is_refused(
        old in prop::collection::vec(any::<u8>(), 0..300), new in prop::collection::vec(any::<u8>(), 0..300),
        at in any::<prop::sample::Index>(),
    ) {
        let old = envelope::seal(ValueKind::Bucket, 1, Revision(1), &old);
        let new = envelope::seal(ValueKind::Bucket, 1, Revision(2), &new);
        let cut = at.index(new.len().min(old.len()) + 1);
        let torn: Vec<u8> = new[..cut].iter().chain(&old[cut..]).copied().collect();
        if torn != old && torn != new {
            prop_assert!(envelope::open(ValueKind::Bucket, &torn).is_err());
        }
    }

    #[test]
    fn keys_follow_the_order_of_buckets(a in any::<[u8; 32]>(), b in any::<[u8; 32]>(), bits in BITS_MIN..=BITS_MAX) {
        let (a, b) = (KeyDigest(a.min(b)), KeyDigest(a.max(b)));
        prop_assert!(bucket_of(&a, bits) <= bucket_of(&b, bits));
        prop_assert!(bucket_of(&b, bits) < 1 << bits);
        prop_assert_eq!(bucket_of(&a, bits), bucket_of(&a, bits + 1) >> 1);
    }

    #[test]
    fn parsers_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), name in "[a-z%+]{0,6}") {
        if let Some(headers) = HeaderMap::parse(&bytes) {
            prop_assert_eq!(headers.iter().count(), headers.len());
        }
        let _ = query::find(&bytes, &name);
        let _ = query::target_without(&bytes, &name);
        let _ = CredentialView::parse(&bytes);
        let _ = policy::decode(&bytes);
        let _ = entries(&bytes).count();
        for content_type in ["application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=a"] {
            let kind = body::Kind::of(content_type.as_bytes()).unwrap();
            let _ = kind.find(&bytes, &name);
            let _ = kind.without(&bytes, &name);
        }
        let _ = body::Kind::of(&bytes);
    }

    #[test]
    fn digests_depend_on_all_they_are_made_of(
        store in any::<[u8; 32]>(), scope in any::<u128>(), key in prop::collection::vec(any::<u8>(), 0..100)
    ) {
        let strategy = StrategyId::from(Uuid::from_u128(scope));
        let digest = |store, strategy, key: &[u8]| KeyDigest::of_api_key(&StoreId(store), strategy, key);
        let this = digest(store, strategy, &key);
        let mut other_store = store;
        other_store[0] ^= 1;
        let mut longer = key.clone();
        longer.push(0);
        prop_assert_ne!(this, digest(other_store, strategy, &key));
        prop_assert_ne!(this, digest(store, Uuid::from_u128(scope ^ 1).into(), &key));
        prop_assert_ne!(this, digest(store, strategy, &longer));
        // One-shot and streamed hashing meet at the block's edge.
        let mut whole = vec![b'k'];
        whole.extend_from_slice(strategy.as_bytes());
        whole.extend_from_slice(&key);
        prop_assert_eq!(this.0, *blake3::keyed_hash(&store, &whole).as_bytes());
    }
}

#[test]
fn all_shared_data_keys_are_distinct_under_crc_32() {
    // Every bucket of the deepest table, all shallower ones, meta and lease: 2^23 keys.
    let mut seen = vec![0_u64; 1 << 26];
    let mut check = |key: SharedKey| {
        let crc = crc32fast::hash(key.as_bytes()) as usize;
        assert_eq!(seen[crc / 64] >> (crc % 64) & 1, 0, "{key:?}");
        seen[crc / 64] |= 1 << (crc % 64);
    };
    check(SharedKey::META);
    check(SharedKey::LEASE);
    for bits in BITS_MIN..=BITS_MAX {
        for number in 0..1_u32 << bits {
            check(SharedKey::bucket(bits, number));
        }
    }
}
