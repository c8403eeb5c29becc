//! The key of a record: a 256-bit digest, so that no secret and no raw key ever enters shared data.
//!
//! A digest is BLAKE3, keyed with the store's id, over one byte of kind, sixteen bytes of scope and the subject. Kind
//! and scope have fixed lengths, so no two inputs share an encoding.

use std::fmt;
use std::str::FromStr;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::ids::{NotBase64Of32Bytes, ServiceId, StoreId, StrategyId, parse_32_bytes};

/// Digest of a record's key: what identifies the record in the feed and in shared data.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyDigest(pub [u8; 32]);

impl KeyDigest {
    /// Of an API key (or of a `client_id` that serves as one) under a strategy.
    pub fn of_api_key(store: &StoreId, strategy: StrategyId, key: &[u8]) -> Self {
        Self::compute(store, b'k', strategy.as_bytes(), key)
    }

    /// Of an application under a strategy that knows it by what the strategy's issuer calls it. Never the digest of an
    /// API key: a client id is no secret.
    pub fn of_client_id(store: &StoreId, strategy: StrategyId, client_id: &[u8]) -> Self {
        Self::compute(store, b'c', strategy.as_bytes(), client_id)
    }

    /// Of an application by the name it was given for the gateways (`custom_id`), whatever the strategy. No secret
    /// either.
    pub fn of_custom_id(store: &StoreId, custom_id: &[u8]) -> Self {
        Self::compute(store, b'u', &[0; 16], custom_id)
    }

    /// Of an access token that the admin extension gave out.
    pub fn of_access_token(store: &StoreId, token: &[u8]) -> Self {
        Self::compute(store, b't', &[0; 16], token)
    }

    /// Of the record of an issuer of tokens, by the name strategies have for it.
    pub fn of_issuer(store: &StoreId, configured: &str) -> Self {
        Self::compute(store, b'i', &[0; 16], configured.as_bytes())
    }

    /// Of a service's policy record.
    pub fn of_service(store: &StoreId, service: ServiceId) -> Self {
        Self::compute(store, b's', service.as_bytes(), &[])
    }

    fn compute(store: &StoreId, kind: u8, scope: &[u8; 16], subject: &[u8]) -> Self {
        // One buffer for the usual key keeps it to a single BLAKE3 block and a single call.
        let mut block = [0_u8; 64];
        block[0] = kind;
        block[1..17].copy_from_slice(scope);
        if let Some(slot) = block.get_mut(17..17 + subject.len()) {
            slot.copy_from_slice(subject);
            let end = 17 + subject.len();
            return Self(*blake3::keyed_hash(&store.0, block.get(..end).unwrap_or_default()).as_bytes());
        }
        let mut hasher = blake3::Hasher::new_keyed(&store.0);
        hasher.update(&[kind]).update(scope).update(subject);
        Self(*hasher.finalize().as_bytes())
    }

    /// Whether two digests are equal, in time that does not depend on where they differ.
    pub fn ct_eq(&self, other: &Self) -> bool {
        let mut difference = 0_u8;
        for (a, b) in self.0.iter().zip(other.0.iter()) {
            difference |= a ^ b;
        }
        std::hint::black_box(difference) == 0
    }
}

/// A text that only whoever has the token can read: it is combined with a stream that the token gives, which nothing else
/// is ever combined with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Masked(Vec<u8>);

impl Masked {
    pub fn new(store: &StoreId, token: &[u8], text: &[u8]) -> Self {
        Self(combine(store, token, text))
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Masks a text, or reads a masked one.
pub(crate) fn combine(store: &StoreId, token: &[u8], text: &[u8]) -> Vec<u8> {
    let mut stream = vec![0; text.len()];
    let mut hasher = blake3::Hasher::new_keyed(&store.0);
    hasher.update(b"m").update(token).finalize_xof().fill(&mut stream);
    stream.iter().zip(text).map(|(a, b)| a ^ b).collect()
}

impl Serialize for Masked {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Masked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        URL_SAFE_NO_PAD.decode(text.as_bytes()).map(Self).map_err(D::Error::custom)
    }
}

impl fmt::Display for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for KeyDigest {
    type Err = NotBase64Of32Bytes;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_32_bytes(text).map(Self)
    }
}

impl Serialize for KeyDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KeyDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}
