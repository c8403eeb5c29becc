//! Auth strategies: how callers of a product version prove which application they are.

use std::collections::BTreeMap;
use std::time::Duration;

use app_auth_core::ids::StrategyId;
use app_auth_core::record::{KeyAuthConfig, OpenIdConnectConfig};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::Labels;
use super::ambient::Timestamp;
use super::dcr_provider::{DcrProviderId, ProviderType};
use super::labels::LabelChanges;
use super::secret::PlainSecret;

/// Longest configuration, in bytes of JSON: what a gateway keeps of a service must hold it.
pub const CONFIG_MAX: usize = 32_768;

/// Which of the strategies there are it is; it never changes while the strategy is in use.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum StrategyType {
    KeyAuth,
    OpenIdConnect,
}

impl StrategyType {
    pub const ALL: [Self; 2] = [Self::KeyAuth, Self::OpenIdConnect];

    /// As `strategy_type` and the database have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::KeyAuth => "key_auth",
            Self::OpenIdConnect => "openid_connect",
        }
    }

    /// The one member of `configs`.
    pub const fn config_key(self) -> &'static str {
        match self {
            Self::KeyAuth => "key-auth",
            Self::OpenIdConnect => "openid-connect",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuthStrategy {
    pub id: StrategyId,
    pub name: String,
    /// What developers see; may be empty.
    pub display_name: String,
    pub strategy_type: StrategyType,
    /// What stands in `configs` under [`StrategyType::config_key`], as it was given, without what is secret.
    pub config: Map<String, Value>,
    /// The secret members of the configuration, each as JSON. No gateway needs them.
    pub secret: BTreeMap<String, PlainSecret>,
    /// Registers the clients of applications; of `openid_connect` strategies only.
    pub dcr_provider: Option<DcrProviderId>,
    pub labels: Labels,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// The API key of a `key_auth` strategy is looked for in headers only.
#[derive(Deserialize)]
struct KeyAuthMembers {
    key_names: Option<Vec<String>>,
    ttl: Option<KeyTtl>,
}

/// How long keys hold that are made from now on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
pub struct KeyTtl {
    /// At least 1.
    pub value: i64,
    pub unit: TtlUnit,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TtlUnit {
    Days,
    Weeks,
    /// Of 365 days.
    Years,
}

impl KeyTtl {
    /// The end of a key that is made now.
    pub fn ends(self, now: Timestamp) -> Timestamp {
        let days = match self.unit {
            TtlUnit::Days => 1,
            TtlUnit::Weeks => 7,
            TtlUnit::Years => 365,
        };
        now.plus_millis(self.value.saturating_mul(days).saturating_mul(86_400_000))
    }
}

/// Whether a member of a configuration is a secret, by its name. Any member may be in one, passwords of the gateway's own
/// client among them.
fn is_secret(name: &str) -> bool {
    const SECRET: [&str; 6] = ["secret", "password", "private", "passphrase", "jwk", "_values"];
    // The gateway itself sends them, with a caller's own id and secret.
    if name == "token_post_args_values" {
        return false;
    }
    SECRET.iter().any(|word| name.to_ascii_lowercase().contains(word))
}

impl AuthStrategy {
    /// Takes the secret members out of a whole configuration. One without a value is no secret.
    pub fn split(config: Map<String, Value>) -> (Map<String, Value>, BTreeMap<String, PlainSecret>) {
        let (secret, open): (Map<_, _>, Map<_, _>) =
            config.into_iter().partition(|(name, value)| is_secret(name) && !value.is_null());
        let sealed = |(name, value): (String, Value)| (name, PlainSecret::new(value.to_string()));
        (open, secret.into_iter().map(sealed).collect())
    }

    /// The whole configuration, secrets included.
    pub fn whole_config(&self) -> Map<String, Value> {
        let read = |secret: &PlainSecret| serde_json::from_str(secret.expose()).unwrap_or_default();
        let secret = self.secret.iter().map(|(name, secret)| (name.clone(), read(secret)));
        self.config.clone().into_iter().chain(secret).collect()
    }

    /// The whole configuration after a change: members are set one by one, and null takes one away.
    pub fn changed_config(&self, changes: Map<String, Value>) -> Map<String, Value> {
        let mut config = self.whole_config();
        for (name, value) in changes {
            match value {
                Value::Null => config.remove(&name),
                value => config.insert(name, value),
            };
        }
        config
    }

    fn members<T: DeserializeOwned>(&self) -> Option<T> {
        members(&self.config)
    }

    /// How the gateway looks for the key; `None` for another type of strategy.
    pub fn key_auth(&self) -> Option<KeyAuthConfig> {
        let members: KeyAuthMembers =
            (self.strategy_type == StrategyType::KeyAuth).then(|| self.members()).flatten()?;
        let defaults = KeyAuthConfig { key_in_query: false, ..KeyAuthConfig::default() };
        Some(match members.key_names {
            Some(key_names) => KeyAuthConfig { key_names, ..defaults },
            None => defaults,
        })
    }

    /// How long new keys hold; `None`: for ever.
    pub fn key_ttl(&self) -> Option<KeyTtl> {
        (self.strategy_type == StrategyType::KeyAuth)
            .then(|| self.members::<KeyAuthMembers>())
            .flatten()
            .and_then(|members| members.ttl)
    }

    /// How the gateway checks tokens; `None` for another type of strategy.
    pub fn openid_connect(&self) -> Option<OpenIdConnectConfig> {
        // A member that was sealed when it still counted as a secret is none now.
        let open = || self.whole_config().into_iter().filter(|(name, _)| !is_secret(name)).collect();
        (self.strategy_type == StrategyType::OpenIdConnect).then(|| members(&open())).flatten()
    }

    /// What a gateway would make of a configuration of tokens; `None` if it can make nothing of it.
    pub fn reads_openid_connect(config: &Map<String, Value>) -> Option<OpenIdConnectConfig> {
        members(config)
    }

    /// How the issuer is asked about tokens; `None` if it is not to be. The secrets must have been opened.
    pub fn introspection(&self) -> Option<Introspection> {
        let config = self.openid_connect()?;
        if !config.auth_methods.iter().any(|method| method == "introspection") {
            return None;
        }
        let whole = self.whole_config();
        let list = |name: &str| texts(whole.get(name));
        let first = |name: &str| list(name).into_iter().next().filter(|text| !text.is_empty());
        let values = list("introspection_post_args_values").into_iter().map(PlainSecret::new);
        Some(Introspection {
            endpoint: first("introspection_endpoint"),
            client_id: first("client_id"),
            client_secret: first("client_secret").map(PlainSecret::new),
            auth_method: match first("introspection_endpoint_auth_method").as_deref() {
                Some("client_secret_post") => AuthMethod::Post,
                Some("none") => AuthMethod::None,
                _ => AuthMethod::Basic,
            },
            hint: first("introspection_hint").unwrap_or_else(|| "access_token".to_owned()),
            arguments: list("introspection_post_args_names").into_iter().zip(values).collect(),
            timeout: Duration::from_millis(config.timeout),
            registers_clients: self.dcr_provider.is_some(),
        })
    }

    /// The issuer of the tokens, as it was given.
    pub fn issuer(&self) -> Option<&str> {
        match self.strategy_type {
            StrategyType::OpenIdConnect => self.config.get("issuer").and_then(Value::as_str),
            StrategyType::KeyAuth => None,
        }
    }
}

/// A member that is null is as good as absent.
fn members<T: DeserializeOwned>(config: &Map<String, Value>) -> Option<T> {
    let given = config.iter().filter(|(_, value)| !value.is_null());
    let given = given.map(|(name, value)| (name.clone(), value.clone())).collect();
    serde_json::from_value(Value::Object(given)).ok()
}

/// How a client proves itself to an issuer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AuthMethod {
    /// `client_secret_basic`
    Basic,
    /// `client_secret_post`
    Post,
    /// Not at all.
    None,
}

/// How an issuer is asked about tokens (RFC 7662).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Introspection {
    /// Where, if not where the issuer says.
    pub endpoint: Option<String>,
    /// The gateway's own client.
    pub client_id: Option<String>,
    pub client_secret: Option<PlainSecret>,
    pub auth_method: AuthMethod,
    /// `token_type_hint`
    pub hint: String,
    /// Further arguments.
    pub arguments: Vec<(String, PlainSecret)>,
    pub timeout: Duration,
    /// A DCR provider makes the clients of applications.
    pub registers_clients: bool,
}

impl Introspection {
    /// What is missing without a client.
    pub const fn no_client(&self) -> &'static str {
        if self.registers_clients {
            "the strategy has no client_id: its DCR provider makes clients for applications, none for introspection"
        } else {
            "the strategy has no client_id"
        }
    }
}

/// A text, or the texts of a list.
fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// A strategy with what other entities say about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuthStrategyDetail {
    pub strategy: AuthStrategy,
    /// A published product version uses it.
    pub active: bool,
    pub dcr_provider: Option<ProviderSummary>,
}

/// What a strategy shows of its DCR provider.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProviderSummary {
    pub id: DcrProviderId,
    pub name: String,
    pub display_name: Option<String>,
    pub provider_type: ProviderType,
}

/// A strategy to be made, or the whole of what replaces one. Checked by the API that took it.
#[derive(Clone, Debug)]
pub struct NewAuthStrategy {
    pub name: String,
    pub display_name: String,
    pub strategy_type: StrategyType,
    /// The whole configuration, secrets included.
    pub config: Map<String, Value>,
    pub dcr_provider: Option<DcrProviderId>,
    pub labels: Labels,
}

/// A change to a strategy; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct AuthStrategyPatch {
    pub name: Option<String>,
    pub display_name: Option<String>,
    /// The whole of the new configuration, secrets included.
    pub config: Option<Map<String, Value>>,
    pub dcr_provider: super::Update<DcrProviderId>,
    pub labels: LabelChanges,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn strategy(config: Value) -> AuthStrategy {
        let Value::Object(config) = config else { panic!("{config}") };
        let (config, secret) = AuthStrategy::split(config);
        AuthStrategy {
            id: StrategyId::KEY_AUTH,
            name: "name".into(),
            display_name: String::new(),
            strategy_type: StrategyType::OpenIdConnect,
            config,
            secret,
            dcr_provider: None,
            labels: Labels::new(),
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
        }
    }

    #[test]
    fn secrets_of_a_configuration_are_kept_apart_and_come_back_with_the_whole() {
        let whole = json!({"issuer": "https://a.example", "client_secret": ["hush"], "Session_Secret": "hush",
            "token_headers_values": {"a": "hush"}, "password": null, "leeway": 3,
            "token_post_args_values": ["seen"]});
        let strategy = strategy(whole.clone());
        assert!(!format!("{strategy:?}").contains("hush"));
        assert_eq!(
            Value::Object(strategy.config.clone()),
            json!({"issuer": "https://a.example", "password": null, "leeway": 3,
                "token_post_args_values": ["seen"]})
        );
        assert_eq!(Value::Object(strategy.whole_config()), whole);
        assert_eq!(strategy.openid_connect().unwrap().leeway, 3);
    }

    #[test]
    fn a_change_sets_members_one_by_one_and_null_takes_one_away() {
        let strategy =
            strategy(json!({"issuer": "https://a.example", "client_secret": "a", "leeway": 3, "x": 1}));
        let Value::Object(changes) = json!({"leeway": null, "client_secret": "b", "y": [null]}) else {
            panic!()
        };
        let after = strategy.changed_config(changes);
        let expected = json!({"issuer": "https://a.example", "client_secret": "b", "x": 1, "y": [null]});
        assert_eq!(Value::Object(after), expected);
    }

    #[test]
    fn a_member_without_a_value_is_as_good_as_absent() {
        let strategy = strategy(json!({"issuer": "https://a.example", "leeway": null, "scopes_claim": null}));
        let read = strategy.openid_connect().unwrap();
        assert_eq!((read.leeway, read.scopes_claim), (0, vec!["scope".to_owned()]));
    }
}
