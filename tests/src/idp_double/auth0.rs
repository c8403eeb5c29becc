//! Auth0's token endpoint and Management API: clients, client grants, resource servers.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{CLIENT_ID, Call, Client, Reply, SECRET, Vendor, random, text, texts};

#[derive(Default)]
pub struct Auth0 {
    pub clients: BTreeMap<String, Value>,
    pub grants: BTreeMap<String, Value>,
    tokens: Vec<String>,
}

/// The API of its own, and those it gives tokens for: identifier and scopes.
pub const ORDERS: (&str, [&str; 2]) = ("https://orders.example.com", ["orders:read", "orders:write"]);

fn error(status: u16, what: &str, message: &str, code: &str) -> Reply {
    Reply::new(status, json!({"statusCode": status, "error": what, "message": message, "errorCode": code}))
}

impl Auth0 {
    fn page(call: &Call, all: Vec<Value>) -> Reply {
        let number =
            |name: &str, default| call.argument(name).and_then(|value| value.parse().ok()).unwrap_or(default);
        let (page, size) = (number("page", 0_usize), number("per_page", 50_usize));
        Reply::new(200, json!(all.into_iter().skip(page * size).take(size).collect::<Vec<_>>()))
    }
}

impl Vendor for Auth0 {
    fn handle(&mut self, call: &Call, base: &str) -> Reply {
        if (call.method.as_str(), call.path.as_str()) == ("POST", "/oauth/token") {
            let expected = json!({"client_id": CLIENT_ID, "client_secret": SECRET,
                "audience": format!("{base}/api/v2/"), "grant_type": "client_credentials"});
            if call.body != expected {
                let body = json!({"error": "access_denied", "error_description": "Unauthorized"});
                return Reply::new(401, body);
            }
            self.tokens.push(random());
            return Reply::new(
                200,
                json!({"access_token": self.tokens.last(), "expires_in": 86400, "token_type": "Bearer",
                    "scope": "create:clients"}),
            );
        }
        if !self.tokens.iter().any(|token| call.authorization == format!("Bearer {token}")) {
            return error(401, "Unauthorized", "Invalid token", "invalid_token");
        }
        let rest = call.path.strip_prefix("/api/v2/").unwrap_or_default();
        let parts: Vec<_> = rest.split('/').collect();
        let missing = |code| error(404, "Not Found", "It does not exist", code);
        match (call.method.as_str(), parts.as_slice()) {
            ("GET", ["clients"]) => Self::page(call, self.clients.values().cloned().collect()),
            ("POST", ["clients"]) => {
                if text(&call.body["name"]).is_empty() || text(&call.body["name"]).contains(['<', '>']) {
                    return error(400, "Bad Request", "Payload validation error: 'name'", "invalid_body");
                }
                let id = random();
                let mut client = call.body.clone();
                client["client_id"] = json!(id);
                client["client_secret"] = json!(random());
                self.clients.insert(id, client.clone());
                Reply::new(201, client)
            }
            ("PATCH", ["clients", id]) => match (self.clients.get_mut(*id), call.body.as_object()) {
                (Some(Value::Object(client)), Some(changes)) => {
                    client.extend(changes.clone());
                    Reply::new(200, json!(client))
                }
                _ => missing("inexistent_client"),
            },
            ("DELETE", ["clients", id]) => match self.clients.remove(*id) {
                Some(_) => {
                    self.grants.retain(|_, grant| grant["client_id"] != json!(id));
                    Reply::new(204, Value::Null)
                }
                None => missing("inexistent_client"),
            },
            ("POST", ["clients", id, "rotate-secret"]) => match self.clients.get_mut(*id) {
                Some(client) => {
                    client["client_secret"] = json!(random());
                    Reply::new(200, client.clone())
                }
                None => missing("inexistent_client"),
            },
            ("GET", ["resource-servers"]) => {
                let scopes: Vec<_> = ORDERS.1.iter().map(|scope| json!({"value": scope})).collect();
                let own = json!({"identifier": format!("{base}/api/v2/"), "is_system": true,
                    "scopes": [{"value": "create:clients"}]});
                Self::page(call, vec![own, json!({"identifier": ORDERS.0, "scopes": scopes})])
            }
            ("GET", ["client-grants"]) => {
                let of = call.argument("client_id");
                let grants = self.grants.values().filter(|grant| grant["client_id"].as_str() == of);
                Self::page(call, grants.cloned().collect())
            }
            ("POST", ["client-grants"]) => {
                let same = |grant: &Value| {
                    (&grant["client_id"], &grant["audience"])
                        == (&call.body["client_id"], &call.body["audience"])
                };
                if self.grants.values().any(same) {
                    let message = "A resource with the same identifier already exists.";
                    return error(409, "Conflict", message, "existing_resource");
                }
                let mut grant = call.body.clone();
                let id = format!("cgr_{}", random());
                grant["id"] = json!(id);
                self.grants.insert(id, grant.clone());
                Reply::new(201, grant)
            }
            ("PATCH", ["client-grants", id]) => match self.grants.get_mut(*id) {
                Some(grant) => {
                    grant["scope"] = call.body["scope"].clone();
                    Reply::new(200, grant.clone())
                }
                None => missing("inexistent_client_grant"),
            },
            ("DELETE", ["client-grants", id]) => {
                self.grants.remove(*id);
                Reply::new(204, Value::Null)
            }
            _ => missing("not_found"),
        }
    }

    fn refusal(status: u16) -> Reply {
        match status {
            429 => {
                let mut reply =
                    error(429, "Too Many Requests", "Global limit has been reached", "too_many_requests");
                reply.2 = vec![("x-ratelimit-remaining", "0".into()), ("retry-after", "1".into())];
                reply
            }
            403 => error(
                403,
                "Forbidden",
                "Insufficient scope, expected any of: create:clients",
                "insufficient_scope",
            ),
            _ => error(status, "Internal Server Error", "An internal server error occurred", "internal"),
        }
    }

    fn clients(&self) -> Vec<Client> {
        let client = |client: &Value| Client {
            client_id: text(&client["client_id"]),
            name: text(&client["name"]),
            redirect_uris: texts(&client["callbacks"]),
            secrets: vec![text(&client["client_secret"])],
        };
        self.clients.values().map(client).collect()
    }

    fn provider(base: &str) -> Value {
        json!({"name": "auth0", "provider_type": "auth0", "issuer": base,
            "dcr_config": {"initial_client_id": CLIENT_ID, "initial_client_secret": SECRET,
                "use_developer_managed_scopes": true}})
    }

    fn making() -> (&'static str, &'static str) {
        ("POST", "/api/v2/clients")
    }

    fn deleting() -> (&'static str, &'static str) {
        ("DELETE", "/api/v2/clients")
    }
}
