//! The filter on services, as the declarative configuration of a Kong without a database has it. Strings are written as
//! JSON, which YAML reads as what they are.

use std::fmt::Write as _;

use app_auth_core::ids::ServiceId;
use serde_json::Value;

use super::AttachAs;
use crate::model::PlainSecret;

/// Stands where no token is known.
const NO_TOKEN: &str = "REPLACE_WITH_A_GATEWAY_TOKEN";

/// What to add to a declarative configuration whose services carry these ids.
pub fn fragment(
    services: &[(ServiceId, String)],
    admin_address: &str,
    token: Option<&PlainSecret>,
    attach_as: AttachAs,
) -> String {
    let mut text = String::from("_format_version: \"3.0\"\n");
    if token.is_none() {
        text.push_str("# A token: app-auth-admin token create --kind gateway --name kong\n");
    }
    let token = token.map_or(NO_TOKEN, PlainSecret::expose);
    let as_plugins = attach_as == AttachAs::Plugin;
    let collection = if as_plugins { "plugins" } else { "filter_chains" };
    let _ = writeln!(text, "{collection}:{}", if services.is_empty() { " []" } else { "" });
    for (id, name) in services {
        let config = [("admin_address", admin_address), ("gateway_token", token)];
        // A comment ends with its line.
        let name: String = name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let indent = if as_plugins {
            let _ = writeln!(text, "  # {name}\n  - name: app_auth\n    service: {id}\n    config:");
            "      "
        } else {
            let _ = writeln!(
                text,
                "  # {name}\n  - service: {id}\n    filters:\n      - name: app_auth\n        config:"
            );
            "          "
        };
        for (member, value) in config {
            let _ = writeln!(text, "{indent}{member}: {}", Value::from(value));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_service_is_named_by_its_id_and_carries_the_filter_and_its_configuration() {
        let id = "8d7d5b7c-9b7a-4d4f-9d3e-2f5f0a6c1e11".parse().unwrap();
        let token = PlainSecret::new("a\"b");
        let services = [(id, "orders\n- name: evil".to_owned())];
        assert_eq!(
            fragment(&services, "admin:8005", Some(&token), AttachAs::FilterChain),
            "_format_version: \"3.0\"\nfilter_chains:\n  # orders - name: evil\n  - service: \
             8d7d5b7c-9b7a-4d4f-9d3e-2f5f0a6c1e11\n    filters:\n      - name: app_auth\n        config:\n          \
             admin_address: \"admin:8005\"\n          gateway_token: \"a\\\"b\"\n"
        );
        let plugins = fragment(&services, "admin:8005", None, AttachAs::Plugin);
        assert!(
            plugins.contains("plugins:\n") && plugins.contains("  - name: app_auth\n    service: 8d7d5b7c")
        );
        assert!(plugins.contains(NO_TOKEN));
        assert_eq!(
            fragment(&[], "a:1", Some(&token), AttachAs::Plugin),
            "_format_version: \"3.0\"\nplugins: []\n"
        );
    }
}
