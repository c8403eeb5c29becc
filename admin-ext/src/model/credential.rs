//! Credentials of applications. An `oauth2` credential's client id and a `key-auth` credential's key are both API keys
//! of the application, so no two of either kind may be the same.

use app_auth_core::ids::{ApplicationId, CredentialId};

use super::Update;
use super::ambient::Timestamp;
use super::rules::{self, Invalid};
use super::secret::PlainSecret;

/// Which of the application's two families a credential is in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum CredentialKind {
    OAuth2,
    KeyAuth,
}

impl CredentialKind {
    /// As paths and the database have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OAuth2 => "oauth2",
            Self::KeyAuth => "key-auth",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "oauth2" => Some(Self::OAuth2),
            "key-auth" => Some(Self::KeyAuth),
            _ => None,
        }
    }
}

/// RFC 6749 section 2.1.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ClientType {
    #[default]
    Confidential,
    Public,
}

impl ClientType {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Confidential => "confidential",
            Self::Public => "public",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "confidential" => Some(Self::Confidential),
            "public" => Some(Self::Public),
            _ => None,
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Credential {
    pub id: CredentialId,
    pub application: ApplicationId,
    pub secret: CredentialSecret,
    /// The last four characters of the key or client id; empty if it is too short to show them.
    pub last_four: String,
    /// From this instant on the credential is unknown to the gateways. Absent: never.
    pub expires_at: Option<Timestamp>,
    /// What a person calls it.
    pub display_name: Option<String>,
    pub tags: Vec<String>,
    pub created_at: Timestamp,
}

impl Credential {
    pub const fn kind(&self) -> CredentialKind {
        match self.secret {
            CredentialSecret::OAuth2 { .. } => CredentialKind::OAuth2,
            CredentialSecret::KeyAuth { .. } => CredentialKind::KeyAuth,
        }
    }
}

/// What a credential is made of. Secrets are absent where the store shows them once only (`reveal = "once"`) and this
/// is not the answer to their creation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CredentialSecret {
    OAuth2 {
        name: String,
        client_id: Option<PlainSecret>,
        /// The secret itself, or its hash if `hash_secret`.
        client_secret: Option<PlainSecret>,
        client_type: ClientType,
        redirect_uris: Vec<String>,
        hash_secret: bool,
    },
    KeyAuth {
        key: Option<PlainSecret>,
    },
}

/// A credential to be made.
#[derive(Clone, Debug)]
pub struct NewCredential {
    /// Absent: a random one.
    pub id: Option<CredentialId>,
    pub secret: NewSecret,
    /// Absent: as the application's strategy has it for new keys.
    pub expires_at: Option<Timestamp>,
    pub display_name: Option<String>,
    pub tags: Vec<String>,
}

impl NewCredential {
    /// Without expiry and tags.
    pub const fn new(secret: NewSecret) -> Self {
        Self { id: None, secret, expires_at: None, display_name: None, tags: Vec::new() }
    }
}

/// What is known of a new credential; what is absent is made up.
#[derive(Clone, Debug)]
pub enum NewSecret {
    OAuth2 {
        /// Absent: the application's name.
        name: Option<String>,
        client_id: Option<PlainSecret>,
        client_secret: Option<PlainSecret>,
        client_type: ClientType,
        /// Absent: the application's redirect URI.
        redirect_uris: Option<Vec<String>>,
        /// Keep only a hash of the client secret.
        hash_secret: bool,
        /// The hash, where it was computed before the change begins: hashing takes a while, and writers queue.
        secret_hash: Option<PlainSecret>,
    },
    KeyAuth {
        key: Option<PlainSecret>,
    },
}

impl NewSecret {
    /// An OAuth 2 client with everything made up or taken from the application.
    pub const fn oauth2() -> Self {
        Self::OAuth2 {
            name: None,
            client_id: None,
            client_secret: None,
            client_type: ClientType::Confidential,
            redirect_uris: None,
            hash_secret: false,
            secret_hash: None,
        }
    }

    pub const fn kind(&self) -> CredentialKind {
        match self {
            Self::OAuth2 { .. } => CredentialKind::OAuth2,
            Self::KeyAuth { .. } => CredentialKind::KeyAuth,
        }
    }

    pub(crate) fn check(&self) -> Result<(), Invalid> {
        match self {
            Self::OAuth2 { name, client_id, client_secret, redirect_uris, .. } => {
                rules::optional_text("name", name.as_deref(), rules::NAME_MAX)?;
                client_id.iter().try_for_each(|id| rules::key("client_id", id))?;
                client_secret.iter().try_for_each(|secret| rules::key("client_secret", secret))?;
                let uris = redirect_uris.as_deref().unwrap_or_default();
                rules::list("redirect_uris", uris, rules::URI_MAX)?;
                uris.iter().try_for_each(|uri| rules::redirect_uri("redirect_uris", uri))
            }
            Self::KeyAuth { key } => key.iter().try_for_each(|key| rules::key("key", key)),
        }
    }
}

/// A change to a `key-auth` credential; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct CredentialPatch {
    pub key: Option<PlainSecret>,
    pub expires_at: Update<Timestamp>,
    pub display_name: Update<String>,
    pub tags: Option<Vec<String>>,
}
