//! Records in shared data. A bucket is a list of entries: digest, kind, length, payload. A credential's payload has a
//! fixed layout that is read in place.

use zerocopy::little_endian::{U16, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::digest::{self, KeyDigest};
use crate::ids::{ApplicationId, ConnectionId, ConsumerId, CredentialId, DeveloperId, ServiceId, StoreId};
use crate::record::{ConnectionStatus, CredentialRecord, Kind, Record, TokenRecord};
use crate::state::policy;

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct EntryHeader {
    digest: [u8; 32],
    length: U16,
    kind: u8,
    reserved: u8,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct CredentialLayout {
    flags: u8,
    custom_id_length: u8,
    connections: U16,
    expires_at: U64,
    credential: [u8; 16],
    application: [u8; 16],
    developer: [u8; 16],
    consumer: [u8; 16],
}

const DEVELOPER_APPROVED: u8 = 1;

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct TokenLayout {
    flags: u8,
    reserved: u8,
    client_id_length: U16,
    scope_length: U16,
    user_length: U16,
    expires_at: U64,
    credential: [u8; 32],
    service: [u8; 16],
}

const OF_ONE_SERVICE: u8 = 1;
const HAS_SCOPE: u8 = 1 << 1;
const HAS_USER: u8 = 1 << 2;

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct ConnectionLayout {
    service: [u8; 16],
    connection: [u8; 16],
    status: u8,
}

const SUSPENDED: u8 = 0x80;

const fn kind_code(kind: Kind) -> u8 {
    match kind {
        Kind::Credential => 1,
        Kind::Service => 2,
        Kind::Issuer => 3,
        Kind::Token => 4,
    }
}

const fn status_code(status: ConnectionStatus) -> u8 {
    match status {
        ConnectionStatus::Approved => 0,
        ConnectionStatus::Pending => 1,
        ConnectionStatus::Rejected => 2,
        ConnectionStatus::Revoked => 3,
    }
}

/// A record does not fit its layout (the limits are in [`crate::record`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge;

/// A record as an entry of a bucket.
pub fn encode_entry(digest: &KeyDigest, record: &Record) -> Result<Vec<u8>, TooLarge> {
    let payload = match record {
        Record::Credential(credential) => encode_credential(credential)?,
        Record::Service(service) => policy::encode(service)?,
        Record::Issuer(issuer) => policy::encode_issuer(issuer)?,
        Record::Token(token) => encode_token(token)?,
    };
    let header = EntryHeader {
        digest: digest.0,
        length: U16::new(u16::try_from(payload.len()).map_err(|_| TooLarge)?),
        kind: kind_code(record.kind()),
        reserved: 0,
    };
    let mut entry = Vec::with_capacity(size_of::<EntryHeader>() + payload.len());
    entry.extend_from_slice(header.as_bytes());
    entry.extend_from_slice(&payload);
    Ok(entry)
}

fn encode_credential(record: &CredentialRecord) -> Result<Vec<u8>, TooLarge> {
    let custom_id = record.custom_id.as_deref().unwrap_or_default();
    if record.connections.len() > CredentialRecord::CONNECTIONS_MAX {
        return Err(TooLarge);
    }
    let layout = CredentialLayout {
        flags: u8::from(record.developer_approved) * DEVELOPER_APPROVED,
        custom_id_length: u8::try_from(custom_id.len()).map_err(|_| TooLarge)?,
        connections: U16::new(u16::try_from(record.connections.len()).map_err(|_| TooLarge)?),
        // 0 stands for "never"; a record that expired at the epoch itself has expired at its first millisecond too.
        expires_at: U64::new(record.expires_at.map_or(0, |at| at.max(1))),
        credential: *record.credential.as_bytes(),
        application: *record.application.as_bytes(),
        developer: *record.developer.as_bytes(),
        consumer: *record.consumer.as_bytes(),
    };
    let mut payload = layout.as_bytes().to_vec();
    payload.extend_from_slice(custom_id.as_bytes());
    for connection in &record.connections {
        let layout = ConnectionLayout {
            service: *connection.service.as_bytes(),
            connection: *connection.connection.as_bytes(),
            status: status_code(connection.status) | (u8::from(connection.suspended) * SUSPENDED),
        };
        payload.extend_from_slice(layout.as_bytes());
    }
    Ok(payload)
}

fn encode_token(record: &TokenRecord) -> Result<Vec<u8>, TooLarge> {
    let texts = [
        Some(record.client_id.as_bytes()),
        record.scope.as_deref().map(str::as_bytes),
        record.authenticated_userid.as_deref().map(str::as_bytes),
    ];
    let length = |text: Option<&[u8]>| {
        let length = text.unwrap_or_default().len();
        if length > TokenRecord::TEXT_MAX {
            Err(TooLarge)
        } else {
            u16::try_from(length).map_err(|_| TooLarge)
        }
    };
    let [client_id, scope, user] = texts;
    let flags = [
        (record.service.is_some(), OF_ONE_SERVICE),
        (scope.is_some(), HAS_SCOPE),
        (user.is_some(), HAS_USER),
    ];
    let layout = TokenLayout {
        flags: flags.iter().filter(|(on, _)| *on).fold(0, |flags, (_, bit)| flags | bit),
        reserved: 0,
        client_id_length: U16::new(length(client_id)?),
        scope_length: U16::new(length(scope)?),
        user_length: U16::new(length(user)?),
        expires_at: U64::new(record.expires_at.map_or(0, |at| at.max(1))),
        credential: record.credential.0,
        service: record.service.map_or([0; 16], |service| *service.as_bytes()),
    };
    let mut payload = layout.as_bytes().to_vec();
    texts.into_iter().flatten().for_each(|text| payload.extend_from_slice(text));
    Ok(payload)
}

/// One entry of a bucket, in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    pub digest: &'a [u8; 32],
    kind: u8,
    pub payload: &'a [u8],
    /// Header and payload.
    pub bytes: &'a [u8],
}

/// The entries of a bucket's body. Ends at the first that does not hold together, which a checked body has none of.
pub fn entries(mut body: &[u8]) -> impl Iterator<Item = Entry<'_>> {
    std::iter::from_fn(move || {
        let (header, rest) = EntryHeader::ref_from_prefix(body).ok()?;
        let (payload, after) = rest.split_at_checked(usize::from(header.length.get()))?;
        let bytes = body.get(..body.len() - after.len())?;
        body = after;
        Some(Entry { digest: &header.digest, kind: header.kind, payload, bytes })
    })
}

/// The payload stored under a digest, if it is of the kind asked for. All 32 bytes are compared, without an early exit.
pub fn find<'a>(body: &'a [u8], digest: &KeyDigest, kind: Kind) -> Option<&'a [u8]> {
    entries(body)
        .find(|entry| KeyDigest(*entry.digest).ct_eq(digest) && entry.kind == kind_code(kind))
        .map(|entry| entry.payload)
}

/// A credential record, read in place.
pub struct CredentialView<'a> {
    layout: &'a CredentialLayout,
    custom_id: &'a [u8],
    connections: &'a [ConnectionLayout],
}

impl<'a> CredentialView<'a> {
    /// `None` if the payload does not add up.
    pub fn parse(payload: &'a [u8]) -> Option<Self> {
        let (layout, rest) = CredentialLayout::ref_from_prefix(payload).ok()?;
        let (custom_id, rest) = rest.split_at_checked(usize::from(layout.custom_id_length))?;
        let connections =
            <[ConnectionLayout]>::ref_from_bytes_with_elems(rest, usize::from(layout.connections.get()))
                .ok()?;
        Some(Self { layout, custom_id, connections })
    }

    pub const fn credential(&self) -> CredentialId {
        CredentialId::from_bytes(self.layout.credential)
    }

    pub const fn application(&self) -> ApplicationId {
        ApplicationId::from_bytes(self.layout.application)
    }

    pub const fn developer(&self) -> DeveloperId {
        DeveloperId::from_bytes(self.layout.developer)
    }

    pub const fn consumer(&self) -> ConsumerId {
        ConsumerId::from_bytes(self.layout.consumer)
    }

    /// Empty where the application has none.
    pub const fn custom_id(&self) -> &'a [u8] {
        self.custom_id
    }

    pub const fn developer_approved(&self) -> bool {
        self.layout.flags & DEVELOPER_APPROVED != 0
    }

    /// Milliseconds since the Unix epoch.
    pub const fn expires_at(&self) -> Option<u64> {
        match self.layout.expires_at.get() {
            0 => None,
            at => Some(at),
        }
    }

    /// The connection to a service.
    pub fn connection(&self, service: ServiceId) -> Option<ConnectionView> {
        let found = self.connections.iter().find(|connection| connection.service == *service.as_bytes())?;
        Some(ConnectionView {
            connection: ConnectionId::from_bytes(found.connection),
            status: match found.status & !SUSPENDED {
                0 => Some(ConnectionStatus::Approved),
                1 => Some(ConnectionStatus::Pending),
                2 => Some(ConnectionStatus::Rejected),
                3 => Some(ConnectionStatus::Revoked),
                _ => None,
            },
            suspended: found.status & SUSPENDED != 0,
        })
    }
}

/// A connection as stored. A status this version does not know is `None`, and lets nothing through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionView {
    pub connection: ConnectionId,
    pub status: Option<ConnectionStatus>,
    pub suspended: bool,
}

/// A token's record, read in place.
pub struct TokenView<'a> {
    layout: &'a TokenLayout,
    client_id: &'a [u8],
    scope: &'a [u8],
    user: &'a [u8],
}

impl<'a> TokenView<'a> {
    /// `None` if the payload does not add up.
    pub fn parse(payload: &'a [u8]) -> Option<Self> {
        let (layout, rest) = TokenLayout::ref_from_prefix(payload).ok()?;
        let (client_id, rest) = rest.split_at_checked(usize::from(layout.client_id_length.get()))?;
        let (scope, rest) = rest.split_at_checked(usize::from(layout.scope_length.get()))?;
        let (user, rest) = rest.split_at_checked(usize::from(layout.user_length.get()))?;
        rest.is_empty().then_some(Self { layout, client_id, scope, user })
    }

    /// The client's id, which only the token makes readable.
    pub fn client_id(&self, store: &StoreId, token: &[u8]) -> Vec<u8> {
        digest::combine(store, token, self.client_id)
    }

    /// Where the client's record is kept.
    pub const fn credential(&self) -> KeyDigest {
        KeyDigest(self.layout.credential)
    }

    /// The service it was given out for.
    pub fn service(&self) -> Option<ServiceId> {
        (self.layout.flags & OF_ONE_SERVICE != 0).then(|| ServiceId::from_bytes(self.layout.service))
    }

    /// Milliseconds since the Unix epoch.
    pub const fn expires_at(&self) -> Option<u64> {
        match self.layout.expires_at.get() {
            0 => None,
            at => Some(at),
        }
    }

    pub fn scope(&self) -> Option<&'a [u8]> {
        (self.layout.flags & HAS_SCOPE != 0).then_some(self.scope)
    }

    pub fn authenticated_userid(&self) -> Option<&'a [u8]> {
        (self.layout.flags & HAS_USER != 0).then_some(self.user)
    }
}
