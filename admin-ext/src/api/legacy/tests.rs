//! What holds for every resource of this API.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::conventions::{Input, Schema, members};
use super::*;

fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    paths
        .iter()
        .flat_map(|(path, item)| {
            item.as_object()
                .unwrap()
                .iter()
                .map(move |(method, operation)| (format!("{method} {path}"), operation))
        })
        .collect()
}

#[test]
fn every_operation_is_described_with_a_name_of_its_own_and_an_example() {
    let document = json!(openapi());
    let operations = operations(&document);
    assert_eq!(operations.len(), 60);

    let names: BTreeSet<_> =
        operations.iter().map(|(_, operation)| operation["operationId"].to_string()).collect();
    assert_eq!(names.len(), operations.len());
    for (name, operation) in operations {
        assert!(operation["summary"].is_string(), "{name}");
        let success = ["200", "201", "202", "204"].map(|status| &operation["responses"][status]);
        let answer = success.into_iter().find(|answer| !answer.is_null()).unwrap();
        for (status, response) in operation["responses"].as_object().unwrap() {
            assert_ne!(response["description"].as_str().unwrap_or_default(), "", "{name} {status}");
        }
        let content = answer["content"].as_object().into_iter().flatten();
        let shown =
            content.clone().count() > 0 && content.into_iter().all(|(_, body)| !body["example"].is_null());
        assert_eq!(shown, !name.starts_with("delete "), "{name}");
        // A file of lines is no body of members, and what Kong is told again its path says.
        let bodiless = name == "post /developers/import" || name.starts_with("post /kong/sync");
        if !bodiless && (name.starts_with("post ") || name.starts_with("put ") || name.starts_with("patch "))
        {
            for body in ["application/json", "application/x-www-form-urlencoded"] {
                assert!(operation["requestBody"]["content"][body].is_object(), "{name} {body}");
            }
        }
    }
}

/// Values that are right for some member of some resource, and wrong for the others.
fn value() -> impl Strategy<Value = Value> {
    let texts = [
        "",
        "a",
        "3",
        "true",
        "public",
        "a@example.com",
        "https://example.com/",
        "212a758a-810b-4226-9175-b1b44eecebec",
        "{\"full_name\":\"A\"}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2_i64..6).prop_map(Value::from),
        (-2.0..6.0).prop_map(Value::from),
        prop::sample::select(texts.to_vec()).prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 12, 4, |inner| {
        let names = ["id", "name", "full_name", "key_names", "realm", "key_in_body"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(prop::sample::select(names.to_vec()), inner, 0..4).prop_map(
                |members| { members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect() }
            ),
        ]
    })
}

/// Whatever a schema accepts must fit the struct it is read into; otherwise bad input would be a fault of ours.
fn assert_accepted_fits<New: DeserializeOwned, Changes: DeserializeOwned>(
    schema: &Schema,
    given: &[(prop::sample::Index, Value)],
    coerce: bool,
) {
    let names = schema.names();
    let given: Map<_, _> =
        given.iter().map(|(index, value)| (index.get(&names).to_string(), value.clone())).collect();
    let input = || Input { members: given.clone(), coerce };
    if let Ok(accepted) = schema.insert(input()) {
        assert!(members::typed::<New>(accepted).is_ok(), "{given:?}");
    }
    if let Ok(accepted) = schema.update(input(), &json!({})) {
        assert!(members::typed::<Changes>(accepted).is_ok(), "{given:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_a_schema_accepts_fits_the_resource(
        given in prop::collection::vec((any::<prop::sample::Index>(), value()), 0..8),
        coerce in any::<bool>(),
    ) {
        use super::{
            application_instances as instances, applications, developer_credentials, developers, invite, key_auth,
            oauth2, plugins, roles, services,
        };

        assert_accepted_fits::<developers::DeveloperInput, developers::DeveloperChanges>(
            &developers::SCHEMA, &given, coerce,
        );
        assert_accepted_fits::<applications::ApplicationInput, applications::ApplicationChanges>(
            &applications::SCHEMA, &given, coerce,
        );
        assert_accepted_fits::<instances::InstanceInput, instances::InstanceChanges>(
            &instances::SCHEMA, &given, coerce,
        );
        assert_accepted_fits::<key_auth::KeyAuthInput, key_auth::KeyAuthChanges>(&key_auth::SCHEMA, &given, coerce);
        assert_accepted_fits::<roles::RoleInput, roles::RoleChanges>(&roles::SCHEMA, &given, coerce);
        assert_accepted_fits::<services::ServiceInput, services::ServiceChanges>(&services::SCHEMA, &given, coerce);
        assert_accepted_fits::<invite::InviteInput, Value>(&invite::SCHEMA, &given, coerce);
        assert_accepted_fits::<plugins::PluginInput, plugins::PluginChanges>(&plugins::SCHEMA, &given, coerce);
        for kind in crate::model::PluginKind::ALL {
            assert_accepted_fits::<developer_credentials::CredentialInput, developer_credentials::CredentialChanges>(
                developer_credentials::families::schema(kind), &given, coerce,
            );
        }
        // A client does not change once it is made.
        assert_accepted_fits::<oauth2::OAuth2Input, Value>(&oauth2::SCHEMA, &given, coerce);
    }
}
