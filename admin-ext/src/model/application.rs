//! Applications: what a developer registers and what holds credentials and connections.

use app_auth_core::ids::{ApplicationId, ConsumerId, DeveloperId, StrategyId};
use app_auth_core::record::CredentialRecord;

use super::ambient::Timestamp;
use super::dcr_provider::DcrProviderId;
use super::labels::LabelChanges;
use super::rules::{self, Invalid};
use super::{Labels, Update};

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Application {
    pub id: ApplicationId,
    pub developer: DeveloperId,
    /// The application's identity at the gateway.
    pub consumer: ConsumerId,
    /// Unique among the developer's applications.
    pub name: String,
    /// Empty where the application has none.
    pub redirect_uri: String,
    pub description: Option<String>,
    /// The JSON text of an object.
    pub meta: Option<String>,
    /// The application's own name for itself, unique among all applications.
    pub custom_id: Option<String>,
    /// How it proves who it is, for as long as it lives. Absent: by the keys of services that stand by themselves.
    pub strategy: Option<StrategyId>,
    /// What the issuer of its strategy calls it; unique under the strategy.
    pub client_id: Option<String>,
    /// Where its client was registered for it.
    pub dcr: Option<DcrClient>,
    pub labels: Labels,
    /// What it asked for.
    pub scopes: Vec<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Application {
    /// The strategy under which its keys are known.
    pub fn key_scope(&self) -> StrategyId {
        self.strategy.unwrap_or(StrategyId::KEY_AUTH)
    }

    /// The name its client has at an identity provider: it holds the application's id, so that the client can be found by
    /// it.
    pub fn client_name(&self) -> String {
        client_name(&self.name, self.id)
    }

    pub(crate) fn check(&self) -> Result<(), Invalid> {
        rules::text("name", &self.name, rules::NAME_MAX)?;
        if !self.redirect_uri.is_empty() {
            rules::redirect_uri("redirect_uri", &self.redirect_uri)?;
        }
        rules::optional_text("client_id", self.client_id.as_deref(), rules::NAME_MAX)?;
        rules::list("scopes", &self.scopes, rules::NAME_MAX)?;
        if self.description.as_ref().is_some_and(|text| text.len() > rules::DESCRIPTION_MAX) {
            return Err(Invalid::new(
                "description",
                format!("length must be at most {}", rules::DESCRIPTION_MAX),
            ));
        }
        rules::meta(self.meta.as_deref())?;
        rules::header_text("custom_id", self.custom_id.as_deref(), CredentialRecord::CUSTOM_ID_MAX)
    }
}

/// See [`Application::client_name`]. Providers allow names of at least 256 characters.
pub fn client_name(name: &str, id: ApplicationId) -> String {
    let name: String = name.chars().take(200).collect();
    format!("{name} ({id})")
}

/// An application with what other entities say about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ApplicationDetail {
    pub application: Application,
    pub developer: super::Developer,
    pub strategy: Option<super::AuthStrategyDetail>,
    /// Of any status.
    pub registrations: u64,
}

/// A client that was registered for an application.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DcrClient {
    pub provider: DcrProviderId,
    /// What the provider calls the client where it does not go by its client id.
    pub handle: Option<String>,
}

/// An application to be made.
#[derive(Clone, Debug, Default)]
pub struct NewApplication {
    /// Absent: a random one.
    pub id: Option<ApplicationId>,
    pub name: String,
    pub redirect_uri: String,
    pub description: Option<String>,
    pub meta: Option<String>,
    pub custom_id: Option<String>,
    /// Absent: the default of the developer's portal, if it has one.
    pub strategy: Option<StrategyId>,
    pub client_id: Option<String>,
    pub dcr: Option<DcrClient>,
    pub labels: Labels,
    pub scopes: Vec<String>,
}

/// A change to an application; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct ApplicationPatch {
    pub name: Option<String>,
    pub redirect_uri: Option<String>,
    pub description: Update<String>,
    pub meta: Update<String>,
    pub custom_id: Update<String>,
    pub client_id: Update<String>,
    pub labels: LabelChanges,
    pub scopes: Option<Vec<String>>,
}
