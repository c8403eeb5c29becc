//! Applications: what a developer registers and what holds credentials and connections.

use app_auth_core::ids::{ApplicationId, ConsumerId, DeveloperId};
use app_auth_core::record::CredentialRecord;

use super::Update;
use super::ambient::Timestamp;
use super::rules::{self, Invalid};

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Application {
    pub id: ApplicationId,
    pub developer: DeveloperId,
    /// The application's identity at the gateway.
    pub consumer: ConsumerId,
    /// Unique among the developer's applications.
    pub name: String,
    pub redirect_uri: String,
    pub description: Option<String>,
    /// The JSON text of an object.
    pub meta: Option<String>,
    /// The application's own name for itself, unique among all applications.
    pub custom_id: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Application {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        rules::text("name", &self.name, rules::NAME_MAX)?;
        rules::redirect_uri("redirect_uri", &self.redirect_uri)?;
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

/// An application to be made.
#[derive(Clone, Debug)]
pub struct NewApplication {
    /// Absent: a random one.
    pub id: Option<ApplicationId>,
    pub name: String,
    pub redirect_uri: String,
    pub description: Option<String>,
    pub meta: Option<String>,
    pub custom_id: Option<String>,
}

/// A change to an application; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct ApplicationPatch {
    pub name: Option<String>,
    pub redirect_uri: Option<String>,
    pub description: Update<String>,
    pub meta: Update<String>,
    pub custom_id: Update<String>,
}
