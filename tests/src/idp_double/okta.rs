//! Okta's `/oauth2/v1/clients`, with an API token.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Call, Client, Reply, SECRET, Vendor, random, text, texts};

const CLIENTS: &str = "/oauth2/v1/clients";

#[derive(Default)]
pub struct Okta {
    pub clients: BTreeMap<String, Value>,
}

fn error(status: u16, code: &str, summary: &str) -> Reply {
    let causes = if status == 400 { json!([{"errorSummary": summary}]) } else { json!([]) };
    Reply::new(
        status,
        json!({"errorCode": code, "errorSummary": summary, "errorLink": code, "errorId": random(), "errorCauses": causes}),
    )
}

impl Vendor for Okta {
    fn handle(&mut self, call: &Call, base: &str) -> Reply {
        if call.authorization != format!("SSWS {SECRET}") {
            return error(401, "E0000011", "Invalid token provided");
        }
        let rest = call.path.strip_prefix(CLIENTS).unwrap_or("?");
        let parts: Vec<_> = rest.split('/').skip(1).collect();
        let missing = || error(404, "E0000007", "Not found: Resource not found");
        match (call.method.as_str(), parts.as_slice()) {
            ("GET", []) if rest.is_empty() => {
                let prefix = call.argument("q").unwrap_or_default();
                let limit = call.argument("limit").and_then(|limit| limit.parse().ok()).unwrap_or(200_usize);
                let after = call.argument("after").unwrap_or_default();
                let mut found: Vec<_> = self
                    .clients
                    .values()
                    .filter(|client| text(&client["client_name"]).starts_with(prefix))
                    .filter(|client| text(&client["client_id"]).as_str() > after)
                    .cloned()
                    .collect();
                let more = found.len() > limit;
                found.truncate(limit);
                for client in &mut found {
                    client.as_object_mut().map(|client| client.remove("client_secret"));
                }
                let last = found.last().map(|client| text(&client["client_id"])).unwrap_or_default();
                let link = format!("<{base}{CLIENTS}?q={prefix}&limit={limit}&after={last}>; rel=\"next\"");
                let headers = if more { vec![("link", link)] } else { Vec::new() };
                Reply(200, json!(found), headers)
            }
            ("POST", []) if rest.is_empty() => {
                let name = text(&call.body["client_name"]);
                if name.is_empty() || call.body["application_type"] != "service" {
                    return error(400, "E0000001", "Api validation failed: client_name");
                }
                let id = format!("0oa{}", random());
                let mut client = call.body.clone();
                client["client_id"] = json!(id);
                client["client_secret"] = json!(random());
                client["client_id_issued_at"] = json!(1_700_000_000);
                client["client_secret_expires_at"] = json!(0);
                self.clients.insert(id, client.clone());
                Reply::new(201, client)
            }
            ("GET", [id]) => match self.clients.get(*id) {
                Some(client) => {
                    let mut shown = client.clone();
                    shown.as_object_mut().map(|shown| shown.remove("client_secret"));
                    Reply::new(200, shown)
                }
                None => missing(),
            },
            ("PUT", [id]) => match self.clients.get_mut(*id) {
                Some(client) if call.body["client_id"] == json!(id) => {
                    let secret = client["client_secret"].clone();
                    *client = call.body.clone();
                    client["client_secret"] = secret;
                    Reply::new(200, client.clone())
                }
                Some(_) => error(400, "E0000001", "Api validation failed: client_id"),
                None => missing(),
            },
            ("DELETE", [id]) => match self.clients.remove(*id) {
                Some(_) => Reply::new(204, Value::Null),
                None => missing(),
            },
            ("POST", [id, "lifecycle", "newSecret"]) => match self.clients.get_mut(*id) {
                Some(client) => {
                    client["client_secret"] = json!(random());
                    Reply::new(200, client.clone())
                }
                None => missing(),
            },
            _ => error(405, "E0000022", "The endpoint does not support the provided HTTP method"),
        }
    }

    fn refusal(status: u16) -> Reply {
        match status {
            429 => {
                let mut reply =
                    error(429, "E0000047", "API call exceeded rate limit due to too many requests.");
                reply.2 = vec![
                    ("x-rate-limit-limit", "20".into()),
                    ("x-rate-limit-remaining", "0".into()),
                    ("retry-after", "1".into()),
                ];
                reply
            }
            403 => error(403, "E0000006", "You do not have permission to perform the requested action"),
            _ => error(status, "E0000009", "Internal Server Error"),
        }
    }

    fn clients(&self) -> Vec<Client> {
        let client = |client: &Value| Client {
            client_id: text(&client["client_id"]),
            name: text(&client["client_name"]),
            redirect_uris: texts(&client["redirect_uris"]),
            secrets: vec![text(&client["client_secret"])],
        };
        self.clients.values().map(client).collect()
    }

    fn provider(base: &str) -> Value {
        json!({"name": "okta", "provider_type": "okta", "issuer": format!("{base}/oauth2/default"),
            "dcr_config": {"dcr_token": SECRET}})
    }

    fn making() -> (&'static str, &'static str) {
        ("POST", CLIENTS)
    }

    fn deleting() -> (&'static str, &'static str) {
        ("DELETE", CLIENTS)
    }
}
