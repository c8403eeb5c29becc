//! Somebody's bridge, as its contract has it: everything that is asked for must be there, and nothing else may be.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Call, Client, Reply, SECRET, Vendor, random, text, texts};

const CREATE: [&str; 11] = [
    "redirect_uris",
    "client_name",
    "grant_types",
    "scopes",
    "token_endpoint_auth_method",
    "application_description",
    "portal_id",
    "organization_id",
    "developer_id",
    "auth_strategy_id",
    "dcr_provider_id",
];
const EVENT: [&str; 10] = [
    "event_type",
    "client_id",
    "application_id",
    "application_name",
    "application_description",
    "portal_id",
    "organization_id",
    "developer_id",
    "auth_strategy_id",
    "dcr_provider_id",
];

#[derive(Default)]
pub struct Bridge {
    pub clients: BTreeMap<String, Value>,
    pub events: Vec<Value>,
}

/// Every name that is missing or not wanted.
fn wrong(body: &Value, wanted: &[&str], allowed: &[&str]) -> Option<Reply> {
    let members = body.as_object().cloned().unwrap_or_default();
    let mut wrong: Vec<_> = wanted
        .iter()
        .filter(|name| !members.contains_key(**name))
        .map(|name| format!("{name} should not be empty"))
        .collect();
    let unknown =
        members.keys().filter(|name| !wanted.contains(&name.as_str()) && !allowed.contains(&name.as_str()));
    wrong.extend(unknown.map(|name| format!("property {name} should not exist")));
    let uuids = members.iter().filter(|(name, value)| {
        name.ends_with("_id") && *name != "client_id" && uuid::Uuid::try_parse(&text(value)).is_err()
    });
    wrong.extend(uuids.map(|(name, _)| format!("{name} must be a UUID")));
    let body = json!({"error": "Bad Request", "error_description": wrong});
    (!wrong.is_empty()).then(|| Reply::new(400, body))
}

impl Vendor for Bridge {
    fn handle(&mut self, call: &Call, _: &str) -> Reply {
        if call.api_key != SECRET {
            let body = json!({"error": "Wrong API-Key", "error_description": "wrong x-api-key header"});
            return Reply::new(401, body);
        }
        let parts: Vec<_> = call.path.trim_start_matches("/dcr").trim_start_matches('/').split('/').collect();
        let missing =
            || Reply::new(404, json!({"error": "Not Found", "error_description": "no such client"}));
        match (call.method.as_str(), parts.as_slice()) {
            ("POST", [""]) => {
                if let Some(refusal) = wrong(&call.body, &CREATE, &[]) {
                    return refusal;
                }
                let id = random();
                let mut client = call.body.clone();
                client["client_secret"] = json!(random());
                self.clients.insert(id.clone(), client.clone());
                Reply::new(
                    201,
                    json!({"client_id": id, "client_secret": client["client_secret"],
                        "client_id_issued_at": 1_700_000_000, "client_secret_expires_at": 0}),
                )
            }
            ("DELETE", [id]) => match self.clients.remove(*id) {
                Some(_) => Reply::new(204, Value::Null),
                None => missing(),
            },
            ("POST", [id, "new-secret"]) => match self.clients.get_mut(*id) {
                Some(client) => {
                    client["client_secret"] = json!(random());
                    Reply::new(200, json!({"client_id": id, "client_secret": client["client_secret"]}))
                }
                None => missing(),
            },
            ("POST", [id, "event-hook"]) => {
                let more: &[&str] = match call.body["event_type"].as_str() {
                    Some("update_application") => &["redirect_uris"],
                    Some("add_registration" | "remove_registration") => {
                        &["api_product_version_id", "audience"]
                    }
                    _ => {
                        return Reply::new(
                            400,
                            json!({"error": "Bad Request", "error_description": ["event_type"]}),
                        );
                    }
                };
                if let Some(refusal) = wrong(&call.body, &EVENT, more) {
                    return refusal;
                }
                let Some(client) = self.clients.get_mut(*id) else { return missing() };
                if call.body["event_type"] == "update_application" {
                    client["redirect_uris"] = call.body["redirect_uris"].clone();
                }
                self.events.push(call.body.clone());
                Reply::new(200, Value::Null)
            }
            _ => missing(),
        }
    }

    fn refusal(status: u16) -> Reply {
        let headers = if status == 429 { vec![("retry-after", "1".to_owned())] } else { Vec::new() };
        Reply(status, json!({"error": "Refused", "error_description": "no"}), headers)
    }

    fn clients(&self) -> Vec<Client> {
        let client = |(id, client): (&String, &Value)| Client {
            client_id: id.clone(),
            name: text(&client["client_name"]),
            redirect_uris: texts(&client["redirect_uris"]),
            secrets: vec![text(&client["client_secret"])],
        };
        self.clients.iter().map(client).collect()
    }

    fn provider(base: &str) -> Value {
        json!({"name": "bridge", "provider_type": "http", "issuer": base,
            "dcr_config": {"dcr_base_url": format!("{base}/dcr"), "api_key": SECRET}})
    }

    fn making() -> (&'static str, &'static str) {
        ("POST", "/dcr/")
    }

    fn deleting() -> (&'static str, &'static str) {
        ("DELETE", "/dcr/")
    }
}
