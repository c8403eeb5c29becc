//! What can go wrong in the store, and the one place where the database's constraint errors get their meaning.

use app_auth_core::ids::Revision;

use crate::model::ambient::NoEntropy;
use crate::model::{AccessRole, Invalid};

/// The kinds of things the store keeps, by the names the legacy API has for them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entity {
    Developer,
    Application,
    Connection,
    Credential,
    Service,
    Token,
    Role,
    Plugin,
    Setting,
    Mail,
    AuthStrategy,
    DcrProvider,
    Portal,
    Product,
    ProductVersion,
    PortalVersion,
    DcrJob,
    Session,
}

impl Entity {
    pub const ALL: [Self; 18] = [
        Self::Developer,
        Self::Application,
        Self::Connection,
        Self::Credential,
        Self::Service,
        Self::Token,
        Self::Role,
        Self::Plugin,
        Self::Setting,
        Self::Mail,
        Self::AuthStrategy,
        Self::DcrProvider,
        Self::Portal,
        Self::Product,
        Self::ProductVersion,
        Self::PortalVersion,
        Self::DcrJob,
        Self::Session,
    ];

    /// The plural that error messages use.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Developer => "developers",
            Self::Application => "applications",
            Self::Connection => "application_instances",
            Self::Credential => "credentials",
            Self::Service => "services",
            Self::Token => "tokens",
            Self::Role => "roles",
            Self::Plugin => "plugins",
            Self::Setting => "settings",
            Self::Mail => "mails",
            Self::AuthStrategy => "auth_strategies",
            Self::DcrProvider => "dcr_providers",
            Self::Portal => "portals",
            Self::Product => "api_products",
            Self::ProductVersion => "product_versions",
            Self::PortalVersion => "portal_product_versions",
            Self::DcrJob => "dcr_jobs",
            Self::Session => "sessions",
        }
    }

    /// The noun of the audit log.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Developer => "developer",
            Self::Application => "application",
            Self::Connection => "connection",
            Self::Credential => "credential",
            Self::Service => "service",
            Self::Token => "token",
            Self::Role => "role",
            Self::Plugin => "plugin",
            Self::Setting => "setting",
            Self::Mail => "mail",
            Self::AuthStrategy => "auth_strategy",
            Self::DcrProvider => "dcr_provider",
            Self::Portal => "portal",
            Self::Product => "api_product",
            Self::ProductVersion => "product_version",
            Self::PortalVersion => "portal_product_version",
            Self::DcrJob => "dcr_job",
            Self::Session => "session",
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another entity of the kind has the value already. The value of a key is shown by its last characters only.
    #[error("UNIQUE violation on {field} of {}", entity.plural())]
    Unique { entity: Entity, field: &'static str, value: String },
    /// The entity named by the value does not exist.
    #[error("{field} names no existing entity of {}", entity.plural())]
    ForeignKey { entity: Entity, field: &'static str, id: String },
    /// The entity that was to be changed does not exist (or belongs to another parent).
    #[error("no such entity of {}", .0.plural())]
    NotFound(Entity),
    /// Something else still needs the entity, or the change would leave something else without what it needs.
    #[error("{entity} is in use: {reason}", entity = entity.noun())]
    InUse { entity: Entity, reason: String },
    /// The parent holds as many as it may.
    #[error("at most {limit} {}", entity.plural())]
    Limit { entity: Entity, limit: u64 },
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// Whoever wants the change has a role that may not make it.
    #[error("the role {} does not allow this", .0.as_str())]
    Forbidden(AccessRole),
    /// Every connection to the database is taken; try again.
    #[error("the database is busy")]
    Busy,
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
    /// A stored secret that does not open with the key file.
    #[error("a stored secret does not open with the key file")]
    Sealed,
    /// A stored value this version cannot read.
    #[error("unreadable {0} in the database")]
    Corrupt(&'static str),
    /// The task that was to commit ended early; the change may or may not have been made.
    #[error("the outcome of the change is unknown")]
    Interrupted,
    /// The data folder or the key file cannot be used.
    #[error("data folder: {0}")]
    Folder(String),
    #[error("database: {0}")]
    Database(#[source] sqlx::Error),
}

/// Why a gateway cannot follow the feed from where it is.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// The gateway must take the snapshot.
    #[error("cannot follow from {after}: {reason}")]
    Gone { after: Revision, reason: &'static str },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Every unique constraint: PostgreSQL's name, SQLite's name, and what it means.
const UNIQUE: [(&str, &str, Entity, &str); 26] = [
    ("developers_pkey", "developers.id", Entity::Developer, "id"),
    ("developers_email", "developers.email", Entity::Developer, "email"),
    ("developers_custom_id", "developers.custom_id", Entity::Developer, "custom_id"),
    ("applications_pkey", "applications.id", Entity::Application, "id"),
    ("applications_name", "applications.developer, applications.name", Entity::Application, "name"),
    ("applications_custom_id", "applications.custom_id", Entity::Application, "custom_id"),
    ("connections_pkey", "connections.id", Entity::Connection, "id"),
    (
        "connections_composite",
        "connections.application, connections.service",
        Entity::Connection,
        "composite_id",
    ),
    (
        "applications_client_id",
        "applications.strategy, applications.client_id",
        Entity::Application,
        "client_id",
    ),
    (
        "connections_version",
        "connections.application, connections.version",
        Entity::Connection,
        "composite_id",
    ),
    ("portals_name", "portals.name", Entity::Portal, "name"),
    (
        "product_versions_name",
        "product_versions.product, product_versions.name",
        Entity::ProductVersion,
        "name",
    ),
    ("product_versions_service", "product_versions.service", Entity::ProductVersion, "gateway_service"),
    (
        "portal_versions_version",
        "portal_versions.portal, portal_versions.version",
        Entity::PortalVersion,
        "product_version_id",
    ),
    ("credentials_pkey", "credentials.id", Entity::Credential, "id"),
    ("credentials_digest", "credentials.digest", Entity::Credential, "key"),
    ("services_pkey", "services.id", Entity::Service, "id"),
    ("services_name", "services.name", Entity::Service, "name"),
    ("tokens_digest", "tokens.digest", Entity::Token, "token"),
    ("roles_pkey", "roles.id", Entity::Role, "id"),
    ("roles_name", "roles.name", Entity::Role, "name"),
    ("developer_credentials_pkey", "developer_credentials.id", Entity::Credential, "id"),
    (
        "developer_credentials_digest",
        "developer_credentials.kind, developer_credentials.digest",
        Entity::Credential,
        "key",
    ),
    ("developer_plugins_pkey", "developer_plugins.id", Entity::Plugin, "id"),
    ("developer_plugins_name", "developer_plugins.developer, developer_plugins.name", Entity::Plugin, "name"),
    ("developer_plugins_instance_name", "developer_plugins.instance_name", Entity::Plugin, "instance_name"),
];

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::PoolTimedOut => Self::Busy,
            sqlx::Error::Database(reported) if reported.is_unique_violation() => {
                let broken = UNIQUE.iter().find(|(postgres, sqlite, ..)| match reported.constraint() {
                    Some(name) => name == *postgres,
                    None => reported.message().ends_with(&format!(": {sqlite}")),
                });
                match broken {
                    Some((_, _, entity, field)) => {
                        Self::Unique { entity: *entity, field, value: String::new() }
                    }
                    None => Self::Database(error),
                }
            }
            // SQLITE_BUSY and its kin: another process holds the file for longer than the busy timeout.
            sqlx::Error::Database(reported)
                if reported.code().as_deref().is_some_and(|code| matches!(code, "5" | "261" | "517")) =>
            {
                Self::Busy
            }
            _ => Self::Database(error),
        }
    }
}

impl StoreError {
    /// Says which value was taken: the database tells the constraint, the caller knows what it wrote.
    #[must_use]
    pub(super) fn with_value(self, field: &str, value: impl AsRef<str>) -> Self {
        match self {
            Self::Unique { entity, field: broken, value: known } if known.is_empty() && broken == field => {
                Self::Unique { entity, field: broken, value: value.as_ref().to_owned() }
            }
            other => other,
        }
    }
}
