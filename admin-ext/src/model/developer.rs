//! Developers: the people whose applications call the services.

use std::fmt;

use app_auth_core::ids::{ConsumerId, DeveloperId};
use serde_json::Value;

use super::ambient::Timestamp;
use super::portal::PortalId;
use super::rules::{self, Invalid};
use super::secret::PlainSecret;
use super::{StatusCode, Update};

/// Where a developer stands. Only the applications of an approved developer get through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeveloperStatus {
    Approved,
    Pending,
    Rejected,
    Revoked,
}

impl StatusCode for DeveloperStatus {
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

impl DeveloperStatus {
    /// Whether the developer's applications get through. `blocks`: revoking a developer keeps them out, too, and not
    /// only the developer.
    pub const fn lets_in(self, blocks: bool) -> bool {
        match self {
            Self::Approved => true,
            Self::Revoked => !blocks,
            Self::Pending | Self::Rejected => false,
        }
    }

    pub const ALL: [Self; 4] = [Self::Approved, Self::Pending, Self::Rejected, Self::Revoked];

    /// As tables of developers have it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Approved => "APPROVED",
            Self::Pending => "PENDING",
            Self::Rejected => "REJECTED",
            Self::Revoked => "REVOKED",
        }
    }
}

/// An e-mail address in lower case, so that addresses are unique whatever their case.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Email(String);

impl Email {
    /// Longest address (RFC 5321 section 4.5.3.1.3).
    pub const MAX: usize = 254;

    /// Accepts `local@domain`: one address, no spaces, no display name.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let invalid = || Invalid::new("email", "expected a valid e-mail address");
        rules::text("email", text, Self::MAX)?;
        let (local, domain) = text.rsplit_once('@').ok_or_else(invalid)?;
        let unfit =
            |c: char| c.is_whitespace() || matches!(c, '@' | '<' | '>' | ',' | ';' | '"' | '/' | '\\');
        if local.is_empty() || domain.is_empty() || local.contains(unfit) || domain.contains(unfit) {
            return Err(invalid());
        }
        Ok(Self(text.to_lowercase()))
    }

    /// As the database holds it, where it was parsed before it went in.
    pub(crate) const fn stored(text: String) -> Self {
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a path names a developer: by id or by e-mail.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DeveloperRef {
    Id(DeveloperId),
    /// In lower case.
    Email(String),
}

impl DeveloperRef {
    /// A UUID is an id, anything else an e-mail.
    pub fn parse(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Email(text.to_lowercase()), Self::Id)
    }
}

impl From<DeveloperId> for DeveloperRef {
    fn from(id: DeveloperId) -> Self {
        Self::Id(id)
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Developer {
    pub id: DeveloperId,
    pub email: Email,
    pub status: DeveloperStatus,
    /// The JSON text of an object with what the developer told about themselves.
    pub meta: Option<String>,
    pub custom_id: Option<String>,
    /// The developer's own consumer, hidden from other lists.
    pub consumer: ConsumerId,
    /// Argon2id in PHC format; no API shows it.
    pub password_hash: Option<PlainSecret>,
    /// Names of roles, sorted.
    pub roles: Vec<String>,
    pub portal: PortalId,
    /// Why the developer has the status, in the words of whoever decided.
    pub reason: Option<String>,
    /// Of the first approval; absent: never.
    pub approved_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Developer {
    /// The name in `meta`, or else the address.
    pub fn full_name(&self) -> String {
        let meta = self.meta.as_deref().and_then(|meta| serde_json::from_str::<Value>(meta).ok());
        let name = meta.as_ref().and_then(|meta| meta.get("full_name")).and_then(Value::as_str);
        name.unwrap_or(self.email.as_str()).to_owned()
    }

    pub(crate) fn check(&self) -> Result<(), Invalid> {
        rules::meta(self.meta.as_deref())?;
        rules::optional_text("custom_id", self.custom_id.as_deref(), rules::NAME_MAX)?;
        rules::optional_text("reason", self.reason.as_deref(), rules::REASON_MAX)?;
        rules::list("roles", &self.roles, rules::NAME_MAX)
    }
}

/// A developer with what other entities say about them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeveloperDetail {
    pub developer: Developer,
    pub applications: u64,
}

/// A developer to be made.
#[derive(Clone, Debug)]
pub struct NewDeveloper {
    /// Absent: a random one.
    pub id: Option<DeveloperId>,
    pub email: Email,
    pub status: DeveloperStatus,
    pub meta: Option<String>,
    pub custom_id: Option<String>,
    /// Hashed before the change begins: hashing takes long, and writers queue.
    pub password_hash: Option<PlainSecret>,
    pub roles: Vec<String>,
    pub portal: PortalId,
    /// Goes with the status.
    pub reason: Option<String>,
}

impl NewDeveloper {
    /// With everything else as the API has it by default: pending.
    pub const fn new(email: Email) -> Self {
        Self {
            id: None,
            email,
            status: DeveloperStatus::Pending,
            meta: None,
            custom_id: None,
            password_hash: None,
            roles: Vec::new(),
            portal: PortalId::DEFAULT,
            reason: None,
        }
    }
}

/// A change to a developer; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct DeveloperPatch {
    pub email: Option<Email>,
    pub status: Option<DeveloperStatus>,
    pub meta: Update<String>,
    pub custom_id: Update<String>,
    /// Hashed before the change begins: hashing takes long, and writers queue.
    pub password_hash: Option<PlainSecret>,
    pub roles: Option<Vec<String>>,
    /// Goes with the status: a new status without a reason has none.
    pub reason: Update<String>,
}
