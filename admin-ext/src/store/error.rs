//! What can go wrong in the store, and the one place where the database's constraint errors get their meaning.

use app_auth_core::ids::Revision;

use crate::model::Invalid;
use crate::model::ambient::NoEntropy;

/// The kinds of things the store keeps, by the names the legacy API has for them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entity {
    Developer,
    Application,
    Connection,
    Credential,
    Service,
    Token,
}

impl Entity {
    /// The plural that error messages use.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Developer => "developers",
            Self::Application => "applications",
            Self::Connection => "application_instances",
            Self::Credential => "credentials",
            Self::Service => "services",
            Self::Token => "tokens",
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
    /// The parent holds as many as it may.
    #[error("at most {limit} {}", entity.plural())]
    Limit { entity: Entity, limit: u64 },
    #[error(transparent)]
    Invalid(#[from] Invalid),
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
