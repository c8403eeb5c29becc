//! The entities and their rules. This module knows no HTTP and no SQL; time and randomness are passed in.

pub mod access;
pub mod ambient;
pub mod application;
pub mod auth_strategy;
pub mod collection;
pub mod connection;
pub mod consumer;
pub mod credential;
pub mod dcr_provider;
pub mod developer;
pub mod developer_credential;
pub mod labels;
pub mod mail;
pub mod oauth2;
pub mod page;
pub mod plugin;
pub mod portal;
pub mod portal_config;
pub mod product;
pub mod role;
pub mod rules;
pub mod secret;
pub mod service;
pub mod traffic;

pub use access::AccessRole;
pub use ambient::{Clock, Entropy, OsEntropy, SystemClock, Timestamp};
pub use application::{Application, ApplicationDetail, ApplicationPatch, DcrClient, NewApplication};
pub use auth_strategy::{
    AuthMethod, AuthStrategy, AuthStrategyDetail, AuthStrategyPatch, Introspection, KeyTtl, NewAuthStrategy,
    ProviderSummary, StrategyType,
};
pub use collection::{Collected, CollectionRequest, Condition, Operand, Order, Test};
pub use connection::{
    Connection, ConnectionDetail, ConnectionPatch, ConnectionTarget, Decision, NewConnection, VersionSummary,
};
pub use consumer::Consumer;
pub use credential::{
    ClientType, Credential, CredentialKind, CredentialPatch, CredentialSecret, NewCredential, NewSecret,
};
pub use dcr_provider::{
    DcrProvider, DcrProviderDetail, DcrProviderId, DcrProviderPatch, NewDcrProvider, ProviderType,
};
pub use developer::{
    Developer, DeveloperDetail, DeveloperPatch, DeveloperRef, DeveloperStatus, Email, NewDeveloper,
};
pub use developer_credential::{
    DeveloperCredential, DeveloperCredentialPatch, Members, NewDeveloperCredential, PluginKind,
};
pub use labels::{LabelChanges, Labels};
pub use mail::{MailContext, MailFate, MailTemplate, WaitingMail};
pub use oauth2::{OAuth2Settings, Pkce};
pub use page::{Listed, Offset, PageRequest, TagFilter};
pub use plugin::{NewPlugin, Plugin, PluginAnswer, PluginId, PluginPatch};
pub use portal::{
    NewPortal, NewPortalVersion, Portal, PortalDetail, PortalId, PortalPatch, PortalVersion,
    PortalVersionDetail, PortalVersionId, PortalVersionPatch,
};
pub use portal_config::{MailSwitches, MetaField, MetaKind, PortalAuth, PortalConfig, PortalSettings};
pub use product::{
    GatewayService, NewProduct, NewProductVersion, Product, ProductDetail, ProductId, ProductPatch,
    ProductVersion, ProductVersionDetail, ProductVersionPatch, PublishStatus, VersionId, VersionOffer,
};
pub use role::{NewRole, Role, RolePatch, RoleRef};
pub use rules::Invalid;
pub use secret::PlainSecret;
pub use service::{NewService, Service, ServicePatch, ServiceRef, is_key_name};

use serde::{Deserialize, Deserializer};

pub use app_auth_core::record::{ConnectionStatus, KeyAuthConfig};

/// What a change does to a member that may be absent.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Update<T> {
    #[default]
    Keep,
    Clear,
    Set(T),
}

/// Null clears; absent is [`Update::Keep`] by the field's default.
impl<'de, T: Deserialize<'de>> Deserialize<'de> for Update<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(|value| value.map_or(Self::Clear, Self::Set))
    }
}

impl<T> Update<T> {
    /// Writes the change into the member.
    pub fn apply(self, member: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Clear => *member = None,
            Self::Set(value) => *member = Some(value),
        }
    }

    /// What the member is to be, where nothing is as good as the type's default; `None` if it stays.
    pub fn or_empty(self) -> Option<T>
    where
        T: Default,
    {
        match self {
            Self::Keep => None,
            Self::Clear => Some(T::default()),
            Self::Set(value) => Some(value),
        }
    }

    /// The same change, its value made another.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Update<U> {
        match self {
            Self::Keep => Update::Keep,
            Self::Clear => Update::Clear,
            Self::Set(value) => Update::Set(make(value)),
        }
    }

    /// The value that is to be set, if one is.
    pub const fn set(&self) -> Option<&T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Keep | Self::Clear => None,
        }
    }
}

/// A status that the legacy API writes as a number: 0 approved, 1 pending, 2 rejected, 3 revoked.
pub trait StatusCode: Sized + Copy {
    /// The number, 0 to 3.
    fn code(self) -> u8;

    /// The status a number stands for.
    fn from_code(code: i64) -> Option<Self>;
}

impl StatusCode for ConnectionStatus {
    fn code(self) -> u8 {
        match self {
            Self::Approved => 0,
            Self::Pending => 1,
            Self::Rejected => 2,
            Self::Revoked => 3,
        }
    }

    fn from_code(code: i64) -> Option<Self> {
        match code {
            0 => Some(Self::Approved),
            1 => Some(Self::Pending),
            2 => Some(Self::Rejected),
            3 => Some(Self::Revoked),
            _ => None,
        }
    }
}
