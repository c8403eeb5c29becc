//! API products and their versions: what portals offer, and which gateway service serves it.

use app_auth_core::ids::ServiceId;
use uuid::Uuid;

use super::ambient::Timestamp;
use super::labels::LabelChanges;
use super::{Labels, Update};

app_auth_core::uuid_id! {
    /// An API product.
    ProductId,
    /// A version of an API product.
    VersionId,
}

/// Whether developers can see something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PublishStatus {
    Published,
    Unpublished,
}

impl PublishStatus {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Unpublished => "unpublished",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "published" => Some(Self::Published),
            "unpublished" => Some(Self::Unpublished),
            _ => None,
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Product {
    pub id: ProductId,
    pub name: String,
    pub description: Option<String>,
    pub labels: Labels,
    /// Those that developers may see.
    pub public_labels: Labels,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A product with what other entities say about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProductDetail {
    pub product: Product,
    /// The portals that show it, and their names.
    pub portals: Vec<(super::portal::PortalId, String)>,
    pub versions: u64,
}

/// A product to be made.
#[derive(Clone, Debug)]
pub struct NewProduct {
    pub name: String,
    pub description: Option<String>,
    pub labels: Labels,
    pub public_labels: Labels,
    /// The portals that show it.
    pub portals: Vec<super::portal::PortalId>,
}

/// A change to a product; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct ProductPatch {
    pub name: Option<String>,
    pub description: Update<String>,
    pub labels: LabelChanges,
    pub public_labels: LabelChanges,
    /// All the portals that show it.
    pub portals: Option<Vec<super::portal::PortalId>>,
}

/// A gateway service that serves a version.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GatewayService {
    pub id: ServiceId,
    /// What its caller named with it; nothing here depends on it.
    pub control_plane: Option<Uuid>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProductVersion {
    pub id: VersionId,
    pub product: ProductId,
    /// Unique in the product.
    pub name: String,
    pub publish_status: PublishStatus,
    pub deprecated: bool,
    /// Serves this version and no other.
    pub service: Option<GatewayService>,
    /// Somebody took the last strategy away: the service is open to everybody.
    pub opened: bool,
    pub labels: Labels,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A version to be made.
#[derive(Clone, Debug)]
pub struct NewProductVersion {
    pub name: String,
    pub publish_status: PublishStatus,
    pub deprecated: bool,
    pub service: Option<GatewayService>,
    pub labels: Labels,
}

/// A change to a version; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct ProductVersionPatch {
    pub name: Option<String>,
    pub publish_status: Option<PublishStatus>,
    pub deprecated: Option<bool>,
    pub service: Update<GatewayService>,
    pub labels: LabelChanges,
    /// Mail the developers of connected applications if a published version becomes deprecated.
    pub notify: bool,
}

/// A version with what portals make of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProductVersionDetail {
    pub version: ProductVersion,
    /// In the order of the portals' names.
    pub portals: Vec<VersionOffer>,
}

/// How one portal offers a version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VersionOffer {
    pub portal_name: String,
    pub offered: super::portal::PortalVersion,
    /// What the strategy shows of itself to developers, if there is one.
    pub strategy_name: Option<String>,
}

impl ProductVersionDetail {
    /// Published in a portal; where no portal has it, as the version itself says.
    pub fn publish_status(&self) -> PublishStatus {
        let published = |offer: &VersionOffer| offer.offered.publish_status == PublishStatus::Published;
        match self.portals.as_slice() {
            [] => self.version.publish_status,
            offers if offers.iter().any(published) => PublishStatus::Published,
            _ => PublishStatus::Unpublished,
        }
    }

    /// Deprecated in a portal; where no portal has it, as the version itself says.
    pub fn deprecated(&self) -> bool {
        match self.portals.as_slice() {
            [] => self.version.deprecated,
            offers => offers.iter().any(|offer| offer.offered.deprecated),
        }
    }
}
