//! Credentials of developers themselves, one family for each of Kong's authentication plugins. A family is described by
//! which of its members identifies the credential, which are secret, and which are made up where none is given; the
//! shapes of the members are the API's business.

use std::collections::BTreeMap;

use app_auth_core::ids::{CredentialId, DeveloperId};
use serde_json::{Map, Value};

use super::Update;
use super::ambient::{Entropy, NoEntropy, Timestamp};
use super::secret::PlainSecret;

/// Which plugin the credential is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum PluginKind {
    BasicAuth,
    OAuth2,
    HmacAuth,
    Jwt,
    KeyAuth,
    OpenidConnect,
}

impl PluginKind {
    pub const ALL: [Self; 6] =
        [Self::BasicAuth, Self::OAuth2, Self::HmacAuth, Self::Jwt, Self::KeyAuth, Self::OpenidConnect];

    /// As paths and the database have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BasicAuth => "basic-auth",
            Self::OAuth2 => "oauth2",
            Self::HmacAuth => "hmac-auth",
            Self::Jwt => "jwt",
            Self::KeyAuth => "key-auth",
            Self::OpenidConnect => "openid-connect",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// The member that tells this credential from every other of its family. An `OpenID` subject is unique at its issuer.
    pub const fn identifier(self) -> &'static str {
        match self {
            Self::BasicAuth | Self::HmacAuth => "username",
            Self::OAuth2 => "client_id",
            Self::Jwt | Self::KeyAuth => "key",
            Self::OpenidConnect => "subject",
        }
    }

    /// The members that are kept sealed.
    pub const fn secrets(self) -> &'static [&'static str] {
        match self {
            Self::BasicAuth => &["password"],
            // A client id is an API key on services with key authentication.
            Self::OAuth2 => &["client_id", "client_secret"],
            Self::HmacAuth | Self::Jwt => &["secret"],
            Self::KeyAuth => &["key"],
            Self::OpenidConnect => &[],
        }
    }

    /// The members that are made up where none is given.
    const fn generated(self) -> &'static [&'static str] {
        match self {
            Self::BasicAuth | Self::OpenidConnect => &[],
            Self::OAuth2 => &["client_id", "client_secret"],
            Self::HmacAuth => &["secret"],
            Self::Jwt => &["key", "secret"],
            Self::KeyAuth => &["key"],
        }
    }

    /// Whether the identifier is what an API key is: then no application may have the same.
    pub const fn is_api_key(self) -> bool {
        matches!(self, Self::OAuth2 | Self::KeyAuth)
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeveloperCredential {
    pub id: CredentialId,
    pub developer: DeveloperId,
    pub kind: PluginKind,
    pub members: Members,
    /// The last four characters of the identifier; empty if it is too short to show them.
    pub last_four: String,
    /// Absent: never.
    pub expires_at: Option<Timestamp>,
    pub tags: Vec<String>,
    pub created_at: Timestamp,
}

/// The members that are particular to a family. Secrets are absent where the store shows them once only
/// (`reveal = "once"`) and this is not the answer to their creation.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Members {
    pub open: Map<String, Value>,
    pub secret: BTreeMap<String, PlainSecret>,
}

impl Members {
    /// Tells the secrets from the rest. A member without a value is absent.
    pub fn new(kind: PluginKind, members: Map<String, Value>) -> Self {
        let mut sorted = Self::default();
        for (name, value) in members {
            match value {
                Value::Null => {}
                Value::String(text) if kind.secrets().contains(&name.as_str()) => {
                    sorted.secret.insert(name, PlainSecret::new(text));
                }
                value => {
                    sorted.open.insert(name, value);
                }
            }
        }
        sorted
    }

    /// Makes up what is missing.
    pub fn complete(&mut self, kind: PluginKind, entropy: &dyn Entropy) -> Result<(), NoEntropy> {
        for name in kind.generated() {
            if self.text(name).is_some() {
                continue;
            }
            let secret = PlainSecret::generate(entropy)?;
            if kind.secrets().contains(name) {
                self.secret.insert((*name).to_owned(), secret);
            } else {
                self.open.insert((*name).to_owned(), Value::from(secret.expose()));
            }
        }
        Ok(())
    }

    /// A member that is text, secret or not.
    pub fn text(&self, name: &str) -> Option<&str> {
        let open = || self.open.get(name).and_then(Value::as_str);
        self.secret.get(name).map(PlainSecret::expose).or_else(open)
    }

    pub fn truth(&self, name: &str) -> bool {
        self.open.get(name).and_then(Value::as_bool).unwrap_or_default()
    }

    /// Everything in one, each secret in full.
    pub fn exposed(&self) -> Map<String, Value> {
        let mut all = self.open.clone();
        all.extend(self.secret.iter().map(|(name, secret)| (name.clone(), Value::from(secret.expose()))));
        all
    }
}

/// A credential to be made; see [`Store::ready_developer_credential`](crate::store::Store::ready_developer_credential).
#[derive(Clone, Debug)]
pub struct NewDeveloperCredential {
    /// Absent: a random one.
    pub id: Option<CredentialId>,
    pub kind: PluginKind,
    pub members: Members,
    pub expires_at: Option<Timestamp>,
    pub tags: Vec<String>,
}

impl NewDeveloperCredential {
    /// Without expiry and tags.
    pub const fn new(kind: PluginKind, members: Members) -> Self {
        Self { id: None, kind, members, expires_at: None, tags: Vec::new() }
    }
}

/// A change to a developer's credential; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct DeveloperCredentialPatch {
    /// The members that change; null unsets.
    pub members: Map<String, Value>,
    pub expires_at: Update<Timestamp>,
    pub tags: Option<Vec<String>>,
}
