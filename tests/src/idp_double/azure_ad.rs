//! Azure's token endpoint and its Graph: applications, passwords, service principals. Something that was made a moment
//! ago is not found yet by the next call about it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use uuid::Uuid;

use super::{CLIENT_ID, Call, Client, Reply, SECRET, Vendor, random, text, texts};

pub const TENANT: &str = "5f1a3f4e-0000-4000-8000-000000000001";

#[derive(Default)]
pub struct AzureAd {
    /// By object id.
    pub applications: BTreeMap<String, Value>,
    /// By the client ids they are of.
    pub principals: BTreeSet<String>,
    tokens: Vec<String>,
    /// Applications that the next call does not find.
    hidden: BTreeSet<String>,
}

fn error(status: u16, code: &str, message: &str) -> Reply {
    let inner = json!({"date": "2026-01-01T00:00:00", "request-id": random(), "client-request-id": random()});
    Reply::new(status, json!({"error": {"code": code, "message": message, "innerError": inner}}))
}

fn missing() -> Reply {
    error(
        404,
        "Request_ResourceNotFound",
        "Resource does not exist or one of its queried reference-property objects are not present.",
    )
}

impl AzureAd {
    fn shown(application: &Value) -> Value {
        let mut shown = application.clone();
        for password in shown["passwordCredentials"].as_array_mut().into_iter().flatten() {
            password["secretText"] = Value::Null;
        }
        shown
    }
}

impl Vendor for AzureAd {
    fn handle(&mut self, call: &Call, base: &str) -> Reply {
        if call.path == format!("/{TENANT}/oauth2/v2.0/token") {
            let expected = json!({"client_id": CLIENT_ID, "client_secret": SECRET,
                "grant_type": "client_credentials", "scope": format!("{base}/.default")});
            if call.body != expected {
                return Reply::new(
                    401,
                    json!({"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided.",
                        "error_codes": [7_000_215]}),
                );
            }
            self.tokens.push(random());
            return Reply::new(
                200,
                json!({"token_type": "Bearer", "expires_in": 3599, "access_token": self.tokens.last()}),
            );
        }
        if !self.tokens.iter().any(|token| call.authorization == format!("Bearer {token}")) {
            return error(401, "InvalidAuthenticationToken", "Access token is empty.");
        }
        let rest = call.path.strip_prefix("/v1.0/").unwrap_or_default();
        let parts: Vec<_> = rest.split('/').collect();
        if let [_, id, "addPassword"] = parts.as_slice()
            && self.hidden.remove(*id)
        {
            return missing();
        }
        match (call.method.as_str(), parts.as_slice()) {
            ("GET", ["applications"]) => {
                let filter = call.argument("$filter").unwrap_or_default();
                let name = filter.strip_prefix("displayName eq '").and_then(|name| name.strip_suffix('\''));
                let name = name.unwrap_or_default().replace("''", "'");
                let found = self.applications.values().filter(|one| text(&one["displayName"]) == name);
                Reply::new(200, json!({"value": found.map(Self::shown).collect::<Vec<_>>()}))
            }
            ("POST", ["applications"]) => {
                if call.body.get("passwordCredentials").is_some()
                    || text(&call.body["displayName"]).is_empty()
                {
                    return error(400, "Request_BadRequest", "Property displayName is required.");
                }
                let id = Uuid::new_v4().to_string();
                let mut application = call.body.clone();
                application["id"] = json!(id);
                application["appId"] = json!(Uuid::new_v4());
                application["passwordCredentials"] = json!([]);
                self.hidden.insert(id.clone());
                self.applications.insert(id, application.clone());
                Reply::new(201, application)
            }
            ("GET", ["applications", id]) => {
                self.applications.get(*id).map_or_else(missing, |one| Reply::new(200, Self::shown(one)))
            }
            ("PATCH", ["applications", id]) => {
                match (self.applications.get_mut(*id), call.body.as_object()) {
                    (Some(Value::Object(application)), Some(changes)) => {
                        application.extend(changes.clone());
                        Reply::new(204, Value::Null)
                    }
                    _ => missing(),
                }
            }
            ("DELETE", ["applications", id]) => match self.applications.remove(*id) {
                Some(application) => {
                    self.principals.remove(&text(&application["appId"]));
                    Reply::new(204, Value::Null)
                }
                None => missing(),
            },
            ("POST", ["applications", id, "addPassword"]) => match self.applications.get_mut(*id) {
                Some(application) => {
                    let password = json!({"keyId": Uuid::new_v4(), "secretText": random(), "hint": "abc",
                        "startDateTime": "2026-01-01T00:00:00Z", "endDateTime": "2028-01-01T00:00:00Z",
                        "displayName": call.body["passwordCredential"]["displayName"]});
                    if let Some(all) = application["passwordCredentials"].as_array_mut() {
                        all.push(password.clone());
                    }
                    Reply::new(200, password)
                }
                None => missing(),
            },
            ("POST", ["applications", id, "removePassword"]) => match self.applications.get_mut(*id) {
                Some(application) => {
                    if let Some(all) = application["passwordCredentials"].as_array_mut() {
                        all.retain(|password| password["keyId"] != call.body["keyId"]);
                    }
                    Reply::new(204, Value::Null)
                }
                None => missing(),
            },
            ("POST", ["servicePrincipals"]) => {
                self.principals.insert(text(&call.body["appId"]));
                Reply::new(201, json!({"id": Uuid::new_v4(), "appId": call.body["appId"]}))
            }
            _ => error(400, "BadRequest", "Resource not found for the segment."),
        }
    }

    fn refusal(status: u16) -> Reply {
        match status {
            429 => {
                let mut reply = error(429, "TooManyRequests", "Too many requests.");
                reply.2 = vec![("retry-after", "1".into())];
                reply
            }
            403 => error(
                403,
                "Authorization_RequestDenied",
                "Insufficient privileges to complete the operation.",
            ),
            _ => error(status, "InternalServerError", "Something failed."),
        }
    }

    fn clients(&self) -> Vec<Client> {
        let client = |client: &Value| Client {
            client_id: text(&client["appId"]),
            name: text(&client["displayName"]),
            redirect_uris: texts(&client["web"]["redirectUris"]),
            secrets: client["passwordCredentials"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|password| text(&password["secretText"]))
                .collect(),
        };
        self.applications.values().map(client).collect()
    }

    fn provider(_: &str) -> Value {
        json!({"name": "azure", "provider_type": "azureAd", "issuer": format!("https://sts.windows.net/{TENANT}"),
            "dcr_config": {"initial_client_id": CLIENT_ID, "initial_client_secret": SECRET}})
    }

    fn making() -> (&'static str, &'static str) {
        ("POST", "/v1.0/applications")
    }

    fn deleting() -> (&'static str, &'static str) {
        ("DELETE", "/v1.0/applications")
    }
}
