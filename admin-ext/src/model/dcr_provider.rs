//! DCR providers: identity providers at which the clients of applications are registered (dynamic client registration).

use serde_json::{Map, Value};

use super::Labels;
use super::ambient::Timestamp;
use super::labels::LabelChanges;
use super::secret::PlainSecret;

app_auth_core::uuid_id! {
    /// A DCR provider.
    DcrProviderId,
}

/// Whose interface the provider speaks; it never changes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ProviderType {
    Auth0,
    AzureAd,
    Curity,
    Okta,
    /// Somebody's own bridge.
    Http,
}

impl ProviderType {
    pub const ALL: [Self; 5] = [Self::Auth0, Self::AzureAd, Self::Curity, Self::Okta, Self::Http];

    /// As `provider_type` and the database have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auth0 => "auth0",
            Self::AzureAd => "azureAd",
            Self::Curity => "curity",
            Self::Okta => "okta",
            Self::Http => "http",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// The one member of `dcr_config` that is written and never shown.
    pub const fn secret_member(self) -> &'static str {
        match self {
            Self::Auth0 | Self::AzureAd | Self::Curity => "initial_client_secret",
            Self::Okta => "dcr_token",
            Self::Http => "api_key",
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DcrProvider {
    pub id: DcrProviderId,
    pub name: String,
    /// What developers see.
    pub display_name: Option<String>,
    pub provider_type: ProviderType,
    pub issuer: String,
    /// `dcr_config` without its secret, as it was given.
    pub config: Map<String, Value>,
    /// The member [`ProviderType::secret_member`] of `dcr_config`.
    pub secret: PlainSecret,
    pub labels: Labels,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl DcrProvider {
    /// A text of the configuration that is no secret; empty texts count as absent.
    pub fn text(&self, member: &str) -> Option<&str> {
        self.config.get(member).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// A switch of the configuration; off where it is absent.
    pub fn switch(&self, member: &str) -> bool {
        self.config.get(member).and_then(Value::as_bool).unwrap_or(false)
    }
}

/// A provider with what other entities say about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DcrProviderDetail {
    pub provider: DcrProvider,
    /// An active strategy uses it.
    pub active: bool,
}

/// A provider to be made. Checked by the API that took it.
#[derive(Clone, Debug)]
pub struct NewDcrProvider {
    pub name: String,
    pub display_name: Option<String>,
    pub provider_type: ProviderType,
    pub issuer: String,
    pub config: Map<String, Value>,
    pub secret: PlainSecret,
    pub labels: Labels,
}

/// A change to a provider; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct DcrProviderPatch {
    pub name: Option<String>,
    pub display_name: Option<String>,
    pub issuer: Option<String>,
    /// Members of `dcr_config` that change, without the secret.
    pub config: Map<String, Value>,
    pub secret: Option<PlainSecret>,
    pub labels: LabelChanges,
}
