//! Portals: where developers find API products. The developers of the legacy API are those of the default portal.

use app_auth_core::ids::StrategyId;
use uuid::Uuid;

use super::ambient::Timestamp;
use super::labels::LabelChanges;
use super::product::{PublishStatus, VersionId};
use super::rules::Invalid;
use super::{AuthStrategyDetail, DeveloperStatus, Labels, PortalConfig, Update};

app_auth_core::uuid_id! {
    /// A portal.
    PortalId,
    /// A product version in a portal.
    PortalVersionId,
}

impl PortalId {
    /// The portal that is always there: the only one the legacy API knows.
    pub const DEFAULT: Self = Self(Uuid::from_u128(0x706f_7274_616c_4000_8000_0000_0000_0001));

    /// The name a portal has where it was given none of its own. It never leads anywhere outside (RFC 6761).
    pub fn default_domain(self) -> String {
        format!("{self}.portal.localhost")
    }
}

#[expect(clippy::struct_excessive_bools, reason = "as the API has them")]
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Portal {
    pub id: PortalId,
    /// Unique.
    pub name: String,
    pub display_name: String,
    pub description: Option<String>,
    /// Shown without signing in; has neither developers nor applications.
    pub is_public: bool,
    pub rbac_enabled: bool,
    /// Connections are approved at once, whatever their version says.
    pub auto_approve_applications: bool,
    pub auto_approve_developers: bool,
    pub default_domain: String,
    pub custom_domain: Option<String>,
    /// Of whoever serves the portal's pages themselves; goes with a `custom_domain`.
    pub custom_client_domain: Option<String>,
    /// Of applications that are made without one.
    pub default_strategy: Option<StrategyId>,
    pub labels: Labels,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Portal {
    /// What a new developer is where nobody says otherwise. The settings speak for the portal of the legacy API, too.
    pub fn first_status(&self, settings: &PortalConfig) -> DeveloperStatus {
        match self.auto_approve_developers {
            true => DeveloperStatus::Approved,
            false if self.id == PortalId::DEFAULT => settings.first_status(),
            false => DeveloperStatus::Pending,
        }
    }

    pub(crate) fn check(&self) -> Result<(), Invalid> {
        if self.is_public && self.id == PortalId::DEFAULT {
            return Err(Invalid::new("is_public", "this is the portal of /developers, which has developers"));
        }
        if self.custom_client_domain.is_some() && self.custom_domain.is_none() {
            return Err(Invalid::new("custom_client_domain", "it needs a custom_domain"));
        }
        Ok(())
    }
}

/// A portal with what other entities say about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PortalDetail {
    pub portal: Portal,
    pub applications: u64,
    pub developers: u64,
    pub published_products: u64,
}

/// A portal to be made.
#[expect(clippy::struct_excessive_bools, reason = "as the API has them")]
#[derive(Clone, Debug)]
pub struct NewPortal {
    pub name: String,
    /// Absent: the name.
    pub display_name: Option<String>,
    pub description: Option<String>,
    pub is_public: bool,
    pub rbac_enabled: bool,
    pub auto_approve_applications: bool,
    pub auto_approve_developers: bool,
    pub custom_domain: Option<String>,
    pub custom_client_domain: Option<String>,
    pub default_strategy: Option<StrategyId>,
    pub labels: Labels,
}

/// A change to a portal; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct PortalPatch {
    pub name: Option<String>,
    pub display_name: Option<String>,
    pub description: Update<String>,
    pub is_public: Option<bool>,
    pub rbac_enabled: Option<bool>,
    pub auto_approve_applications: Option<bool>,
    pub auto_approve_developers: Option<bool>,
    pub custom_domain: Update<String>,
    pub custom_client_domain: Update<String>,
    pub default_strategy: Update<StrategyId>,
    pub labels: LabelChanges,
}

/// A product version in a portal, and how applications get to use it there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PortalVersion {
    pub id: PortalVersionId,
    pub portal: PortalId,
    pub version: VersionId,
    pub publish_status: PublishStatus,
    pub strategy: Option<StrategyId>,
    pub application_registration_enabled: bool,
    pub auto_approve_registration: bool,
    pub deprecated: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A product version in a portal, with its strategy in full.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PortalVersionDetail {
    pub version: PortalVersion,
    pub strategy: Option<AuthStrategyDetail>,
}

/// A product version to be put into a portal.
#[derive(Clone, Debug)]
pub struct NewPortalVersion {
    pub publish_status: PublishStatus,
    pub strategy: Option<StrategyId>,
    pub application_registration_enabled: bool,
    pub auto_approve_registration: bool,
    pub deprecated: bool,
}

/// A change to a product version in a portal; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct PortalVersionPatch {
    pub publish_status: Option<PublishStatus>,
    pub strategy: Update<StrategyId>,
    pub application_registration_enabled: Option<bool>,
    pub auto_approve_registration: Option<bool>,
    pub deprecated: Option<bool>,
    /// Mail the developers whose applications are connected to it.
    pub notify_developers: bool,
}
