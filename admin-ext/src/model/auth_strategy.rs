//! Auth strategies: how callers of a product version prove which application they are.

use app_auth_core::ids::StrategyId;
use app_auth_core::record::{KeyAuthConfig, OpenIdConnectConfig};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Labels;
use super::ambient::Timestamp;
use super::dcr_provider::{DcrProviderId, ProviderType};
use super::labels::LabelChanges;

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
    /// What stands in `configs` under [`StrategyType::config_key`], as it was given.
    pub config: Map<String, Value>,
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

impl AuthStrategy {
    fn members<T: serde::de::DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_value(Value::Object(self.config.clone())).ok()
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
        (self.strategy_type == StrategyType::OpenIdConnect).then(|| self.members()).flatten()
    }

    /// The issuer of the tokens, as it was given.
    pub fn issuer(&self) -> Option<&str> {
        match self.strategy_type {
            StrategyType::OpenIdConnect => self.config.get("issuer").and_then(Value::as_str),
            StrategyType::KeyAuth => None,
        }
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
    pub config: Map<String, Value>,
    pub dcr_provider: Option<DcrProviderId>,
    pub labels: Labels,
}

/// A change to a strategy; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct AuthStrategyPatch {
    pub name: Option<String>,
    pub display_name: Option<String>,
    /// The whole of the new configuration.
    pub config: Option<Map<String, Value>>,
    pub dcr_provider: super::Update<DcrProviderId>,
    pub labels: LabelChanges,
}
