//! The headers that tell the upstream who is calling, and how to keep clients from forging them.

use uuid::fmt::Hyphenated;

use crate::ids::{ApplicationId, ConnectionId, ConsumerId, CredentialId, DeveloperId, StrategyId};
use crate::request::headers::{HeaderMap, same_name};

/// A header that only the gateway may set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IdentityHeader {
    ConsumerId,
    ConsumerCustomId,
    /// Applications' consumers have no user name: always cleared.
    ConsumerUsername,
    CredentialIdentifier,
    /// Nobody is let in anonymously: always cleared.
    AnonymousConsumer,
    ApplicationId,
    DeveloperId,
    ConnectionId,
    AuthStrategyId,
    /// Of tokens of Kong's OAuth 2.0, as the next.
    AuthenticatedScope,
    AuthenticatedUserid,
}

impl IdentityHeader {
    pub const ALL: [Self; 11] = [
        Self::ConsumerId,
        Self::ConsumerCustomId,
        Self::ConsumerUsername,
        Self::CredentialIdentifier,
        Self::AnonymousConsumer,
        Self::ApplicationId,
        Self::DeveloperId,
        Self::ConnectionId,
        Self::AuthStrategyId,
        Self::AuthenticatedScope,
        Self::AuthenticatedUserid,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::ConsumerId => "X-Consumer-ID",
            Self::ConsumerCustomId => "X-Consumer-Custom-ID",
            Self::ConsumerUsername => "X-Consumer-Username",
            Self::CredentialIdentifier => "X-Credential-Identifier",
            Self::AnonymousConsumer => "X-Anonymous-Consumer",
            Self::ApplicationId => "X-Application-ID",
            Self::DeveloperId => "X-Developer-ID",
            Self::ConnectionId => "X-Connection-ID",
            Self::AuthStrategyId => "X-Auth-Strategy-ID",
            Self::AuthenticatedScope => "X-Authenticated-Scope",
            Self::AuthenticatedUserid => "X-Authenticated-UserId",
        }
    }

    /// Which identity header a name stands for, in any spelling.
    pub fn of(name: &[u8]) -> Option<Self> {
        // Nearly every header of a request is ruled out by these two bytes.
        let [b'x' | b'X', b'-' | b'_', ..] = name else { return None };
        Self::ALL.into_iter().find(|header| same_name(name, header.name().as_bytes()))
    }
}

/// Identity headers that a request came with.
pub struct Forged<'a> {
    found: Vec<(IdentityHeader, &'a [u8])>,
}

impl<'a> Forged<'a> {
    /// Looks through the headers. Allocates only where there is something to find.
    pub fn scan(headers: &HeaderMap<'a>) -> Self {
        Self {
            found: headers.iter().filter_map(|(name, _)| Some((IdentityHeader::of(name)?, name))).collect(),
        }
    }

    pub const fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Whether one of them occurs more than once, in whatever spellings.
    pub fn repeated(&self) -> bool {
        self.found
            .iter()
            .enumerate()
            .any(|(at, (header, _))| self.found.iter().skip(at + 1).any(|(other, _)| other == header))
    }

    /// The names as the client spelled them.
    pub fn names(&self) -> impl Iterator<Item = &'a [u8]> {
        self.found.iter().map(|(_, name)| *name)
    }
}

/// Who is calling, through which connection: an authenticated caller that may pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub credential: CredentialIdentifier,
    pub application: ApplicationId,
    pub developer: DeveloperId,
    pub consumer: ConsumerId,
    /// Empty where the application has none.
    pub custom_id: Vec<u8>,
    pub connection: ConnectionId,
    pub strategy: StrategyId,
    /// What a token of Kong's OAuth 2.0 says besides.
    pub authenticated: Authenticated,
}

/// What the upstream knows the credential by: never anything that could be used as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialIdentifier {
    Id(CredentialId),
    /// A client id, without control characters.
    Client(Vec<u8>),
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Authenticated {
    pub scope: Option<Vec<u8>>,
    pub userid: Option<Vec<u8>>,
}

impl Identity {
    /// The headers to set, as text.
    pub fn headers(&self) -> IdentityHeaders<'_> {
        let text = |id: uuid::Uuid| {
            let mut text = [0; Hyphenated::LENGTH];
            id.hyphenated().encode_lower(&mut text);
            text
        };
        IdentityHeaders {
            ids: [
                (IdentityHeader::ConsumerId, text(self.consumer.0)),
                (IdentityHeader::ApplicationId, text(self.application.0)),
                (IdentityHeader::DeveloperId, text(self.developer.0)),
                (IdentityHeader::ConnectionId, text(self.connection.0)),
                (IdentityHeader::AuthStrategyId, text(self.strategy.0)),
            ],
            credential: match &self.credential {
                CredentialIdentifier::Id(id) => Err(text(id.0)),
                CredentialIdentifier::Client(name) => Ok(name.as_slice()),
            },
            others: [
                (IdentityHeader::ConsumerCustomId, self.custom_id.as_slice()),
                (IdentityHeader::AuthenticatedScope, self.authenticated.scope.as_deref().unwrap_or_default()),
                (
                    IdentityHeader::AuthenticatedUserid,
                    self.authenticated.userid.as_deref().unwrap_or_default(),
                ),
            ],
        }
    }
}

/// The headers of an [`Identity`].
pub struct IdentityHeaders<'a> {
    ids: [(IdentityHeader, [u8; Hyphenated::LENGTH]); 5],
    credential: Result<&'a [u8], [u8; Hyphenated::LENGTH]>,
    /// Left out where they are empty.
    others: [(IdentityHeader, &'a [u8]); 3],
}

impl IdentityHeaders<'_> {
    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (IdentityHeader, &[u8])> {
        let credential =
            self.credential.as_ref().map_or_else(<[u8; Hyphenated::LENGTH]>::as_slice, |name| *name);
        self.ids
            .iter()
            .map(|(header, text)| (*header, text.as_slice()))
            .chain([(IdentityHeader::CredentialIdentifier, credential)])
            .chain(self.others.iter().copied().filter(|(_, value)| !value.is_empty()))
    }
}
