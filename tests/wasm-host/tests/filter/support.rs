//! A gateway node with the filter, an admin extension behind it, and a caller or two.

use std::time::Duration;

use app_auth_core::ids::{
    ApplicationId, ConnectionId, ConsumerId, CredentialId, DeveloperId, ServiceId, StrategyId,
};
use app_auth_core::record::{Connection, ConnectionStatus, CredentialRecord, KeyAuthConfig};
use app_auth_wasm_host::{Admin, Module, Node, Outcome, Quirks, Request, TOKEN};
use serde_json::{Value, json};
use uuid::Uuid;

pub const SERVICE: ServiceId = ServiceId(Uuid::from_u128(0x5e));
pub const OTHER_SERVICE: ServiceId = ServiceId(Uuid::from_u128(0x07));
/// The key of [`caller`] 1, which every new world knows.
pub const KEY: &str = "key-of-the-first-application";
pub const SECOND: Duration = Duration::from_secs(1);

/// The names by which upstreams learn who is calling.
pub const IDENTITY_HEADERS: [&str; 11] = [
    "X-Consumer-ID",
    "X-Consumer-Custom-ID",
    "X-Consumer-Username",
    "X-Credential-Identifier",
    "X-Anonymous-Consumer",
    "X-Application-ID",
    "X-Developer-ID",
    "X-Connection-ID",
    "X-Auth-Strategy-ID",
    "X-Authenticated-Scope",
    "X-Authenticated-UserId",
];

/// What Kong needs of a configuration: the service comes from the gateway.
pub fn configuration() -> Value {
    json!({ "admin_address": "127.0.0.1:8005", "gateway_token": TOKEN })
}

/// On Envoy the configuration names the service.
pub fn envoy_configuration() -> Value {
    json!({ "admin_address": "admin", "gateway_token": TOKEN, "service_id": SERVICE })
}

/// The credential of an application with an approved connection to [`SERVICE`].
pub fn caller(number: u128) -> CredentialRecord {
    let id = |kind: u128| Uuid::from_u128(kind << 64 | number);
    CredentialRecord {
        credential: CredentialId(id(1)),
        application: ApplicationId(id(2)),
        developer: DeveloperId(id(3)),
        consumer: ConsumerId(id(4)),
        custom_id: Some(format!("custom-{number}")),
        expires_at: None,
        developer_approved: true,
        connections: vec![connection(number, ConnectionStatus::Approved)],
    }
}

pub fn connection(number: u128, status: ConnectionStatus) -> Connection {
    let connection = ConnectionId(Uuid::from_u128(5 << 64 | number));
    Connection { service: SERVICE, connection, status, suspended: false }
}

/// A caller whose connection has another status.
pub fn caller_with(number: u128, status: ConnectionStatus) -> CredentialRecord {
    CredentialRecord { connections: vec![connection(number, status)], ..caller(number) }
}

/// Header and value of everything the upstream must learn about a caller.
pub fn identity(caller: &CredentialRecord) -> Vec<(&'static str, String)> {
    let mut headers = vec![
        ("X-Consumer-ID", caller.consumer.to_string()),
        ("X-Credential-Identifier", caller.credential.to_string()),
        ("X-Application-ID", caller.application.to_string()),
        ("X-Developer-ID", caller.developer.to_string()),
        ("X-Connection-ID", caller.connections[0].connection.to_string()),
        ("X-Auth-Strategy-ID", StrategyId::KEY_AUTH.to_string()),
    ];
    headers.extend(caller.custom_id.clone().map(|custom_id| ("X-Consumer-Custom-ID", custom_id)));
    headers
}

/// A gateway node and the admin extension it follows.
pub struct World {
    pub node: Node,
    pub admin: Admin,
}

impl World {
    /// Kong with two workers, in step with an admin extension that knows [`SERVICE`] and [`caller`] 1.
    pub fn kong() -> Self {
        Self::with(Quirks::kong(), KeyAuthConfig::default())
    }

    pub fn envoy() -> Self {
        Self::with(Quirks::envoy(), KeyAuthConfig::default())
    }

    /// Both kinds of host, for what must hold on either.
    pub fn each(config: &KeyAuthConfig) -> [Self; 2] {
        [Quirks::kong(), Quirks::envoy()].map(|quirks| Self::with(quirks, config.clone()))
    }

    pub fn with(quirks: Quirks, config: KeyAuthConfig) -> Self {
        let mut world = Self::without_contact(quirks);
        world.admin.service(SERVICE, config);
        world.admin.credential(KEY, caller(1));
        world.settle();
        world
    }

    /// A node that has just started, before any time has passed, over an empty store.
    pub fn without_contact(quirks: Quirks) -> Self {
        let configuration = if quirks.kong_properties { configuration() } else { envoy_configuration() };
        Self::configured(quirks, 2, &[configuration])
    }

    pub fn configured(quirks: Quirks, workers: usize, chains: &[Value]) -> Self {
        let chains: Vec<_> = chains.iter().map(ToString::to_string).collect();
        let node = Node::start(&Module::app_auth(), quirks, workers, &chains);
        assert!(node.start_failures().is_empty(), "{:?}", node.start_failures());
        Self { node, admin: Admin::new(7) }
    }

    /// Lets time pass.
    pub fn run(&mut self, time: Duration) {
        self.node.run(time, &mut self.admin);
    }

    /// Long enough for a lease to change hands, a snapshot to be taken and the feed to be followed.
    pub fn settle(&mut self) {
        self.run(SECOND * 8);
    }

    /// Long enough for a change to arrive at a node that is following the feed.
    pub fn follow(&mut self) {
        self.run(SECOND / 5);
    }

    pub fn send(&mut self, request: &Request) -> Outcome {
        self.send_to(0, request)
    }

    pub fn send_to(&mut self, worker: usize, request: &Request) -> Outcome {
        let outcome = self.node.request(worker, request);
        assert_eq!(outcome.trap, None);
        outcome
    }

    /// Status of a request with [`KEY`], the same on all workers.
    #[track_caller]
    pub fn status(&mut self) -> u32 {
        self.status_of(KEY)
    }

    /// Status of a request with a key, the same on all workers.
    #[track_caller]
    pub fn status_of(&mut self, key: &str) -> u32 {
        let request = with_key(key);
        let alive: Vec<_> =
            (0..self.node.workers.len()).filter(|worker| !self.node.workers[*worker].hanging).collect();
        let statuses: Vec<_> =
            alive.into_iter().map(|worker| self.send_to(worker, &request).status()).collect();
        assert!(statuses.windows(2).all(|pair| pair[0] == pair[1]), "workers differ: {statuses:?}");
        statuses[0]
    }
}

/// A request to [`SERVICE`] as the gateway hands it to the filter.
pub fn request(method: &str, path: &str) -> Request {
    Request::new(method, path)
        .property("kong.service_id", SERVICE.to_string())
        .property("ngx.kong_request_id", "0123456789abcdef")
        .property("request.id", "0123456789abcdef")
}

pub fn get(path: &str) -> Request {
    request("GET", path)
}

pub fn with_key(key: &str) -> Request {
    get("/echo").header("apikey", key)
}

/// The `message` of a JSON error body.
pub fn message(outcome: &Outcome) -> String {
    let body: Value = serde_json::from_str(&outcome.local().text()).unwrap_or_default();
    body["message"].as_str().unwrap_or_default().to_owned()
}
