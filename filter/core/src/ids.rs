//! Identifiers, one type each, so that an application's id cannot be passed where a service's is meant.

use std::fmt;
use std::str::FromStr;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use uuid::Uuid;

/// Identifiers that are a UUID, a type for each. Whoever uses it needs `serde` and `uuid` in reach.
#[macro_export]
macro_rules! uuid_id {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub uuid::Uuid);

        impl $name {
            /// The sixteen bytes of the UUID, in network order (RFC 9562).
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// From the sixteen bytes of a UUID, in network order.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(uuid::Uuid::from_bytes(bytes))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&self.0, f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }

        impl From<uuid::Uuid> for $name {
            fn from(id: uuid::Uuid) -> Self {
                Self(id)
            }
        }
    )+};
}

uuid_id! {
    /// A gateway service: what an application connects to. In Kong, the service's UUID.
    ServiceId,
    /// An application: what a developer registers and what calls an API.
    ApplicationId,
    /// The person an application belongs to.
    DeveloperId,
    /// The gateway identity of an application; its hidden consumer in Kong's terms.
    ConsumerId,
    /// One credential of an application.
    CredentialId,
    /// A connection of one application to one service ("application instance", "registration").
    ConnectionId,
    /// An auth strategy.
    StrategyId,
}

impl StrategyId {
    /// The strategy of every service that is registered by itself (`/services`) and not through a product version.
    /// It is the scope of the keys that applications hold without naming a strategy.
    pub const KEY_AUTH: Self = Self(Uuid::from_u128(0x6b65_792d_6175_7468_8000_0000_0000_0001));

    /// The strategy of services that are registered by themselves with `oauth2`. Its clients are credentials of
    /// [`Self::KEY_AUTH`].
    pub const OAUTH2: Self = Self(Uuid::from_u128(0x6f61_7574_6832_0000_8000_0000_0000_0001));
}

/// Position in the feed. Revisions are assigned in commit order and never reused; 0 is "before everything".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Identity of a store (one admin extension's database): 256 random bits, made when the database is created. Not a
/// secret, but the key of every digest, so that one store's digests mean nothing in another.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct StoreId(pub [u8; 32]);

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not the 43 base64url characters of 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotBase64Of32Bytes;

impl fmt::Display for NotBase64Of32Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected 32 bytes in unpadded base64url (43 characters)")
    }
}

impl std::error::Error for NotBase64Of32Bytes {}

pub(crate) fn parse_32_bytes(text: &str) -> Result<[u8; 32], NotBase64Of32Bytes> {
    let mut bytes = [0; 32];
    match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
        Ok(32) => Ok(bytes),
        _ => Err(NotBase64Of32Bytes),
    }
}

impl FromStr for StoreId {
    type Err = NotBase64Of32Bytes;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_32_bytes(text).map(Self)
    }
}

impl Serialize for StoreId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StoreId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}
