//! What portals, applications and registrations show of an auth strategy: what developers need to know of it.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::model::{AuthStrategyDetail, StrategyType};

/// An auth strategy, as developers see it.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum StrategySummary {
    Keys(KeyStrategy),
    Clients(ClientStrategy),
}

/// Applications prove who they are by API keys.
#[derive(Serialize, ToSchema)]
pub struct KeyStrategy {
    id: Uuid,
    /// The strategy's display name.
    name: String,
    #[schema(pattern = "^key_auth$")]
    credential_type: &'static str,
    /// The headers in which the gateway looks for the key.
    key_names: Vec<String>,
    /// How long new keys hold; absent: for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    ttl: Option<Value>,
}

/// Applications prove who they are by what an identity provider gives them.
#[derive(Serialize, ToSchema)]
pub struct ClientStrategy {
    id: Uuid,
    /// The strategy's display name.
    name: String,
    /// `client_credentials` where clients are registered for applications, else `self_managed_client_credentials`.
    #[schema(pattern = "^(self_managed_)?client_credentials$")]
    credential_type: &'static str,
    auth_methods: Vec<String>,
    /// Those an application may ask for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    available_scopes: Option<Vec<String>>,
}

impl From<AuthStrategyDetail> for StrategySummary {
    fn from(detail: AuthStrategyDetail) -> Self {
        let strategy = detail.strategy;
        let texts = |member: &str| {
            let texts = strategy.config.get(member).and_then(Value::as_array);
            texts.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        match strategy.strategy_type {
            StrategyType::KeyAuth => Self::Keys(KeyStrategy {
                id: strategy.id.0,
                credential_type: "key_auth",
                key_names: strategy.key_auth().map(|config| config.key_names).unwrap_or_default(),
                ttl: strategy.config.get("ttl").cloned(),
                name: strategy.display_name,
            }),
            StrategyType::OpenIdConnect => {
                let registers = strategy.dcr_provider.is_some();
                Self::Clients(ClientStrategy {
                    id: strategy.id.0,
                    credential_type: if registers {
                        "client_credentials"
                    } else {
                        "self_managed_client_credentials"
                    },
                    auth_methods: texts("auth_methods"),
                    available_scopes: registers.then(|| texts("scopes")),
                    name: strategy.display_name,
                })
            }
        }
    }
}
