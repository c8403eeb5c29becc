//! How often applications used services, and what came of it: counted by every worker for itself ([`tally`]), put together
//! in shared data ([`slot`]), told the admin extension by the worker that leads ([`report`]). Knows neither requests nor
//! how a report travels.
//!
//! Nothing is counted twice and nothing is left out, whatever fails on the way: what a worker has counted leaves its memory
//! only with the write that puts it into shared data, and leaves shared data only once the admin extension has confirmed
//! the report it was in. A report that may have arrived is told again under the same number, by whoever leads then.

pub mod report;
pub mod slot;
pub mod tally;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ids::{ApplicationId, ServiceId};
use crate::refusal::{Lacking, Reason};

/// What came of a request whose application was recognised.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Outcome {
    Allowed = 0,
    DeveloperNotApproved = 1,
    NoConnection = 2,
    Pending = 3,
    Rejected = 4,
    Revoked = 5,
    Suspended = 6,
    WrongAudience = 7,
    InsufficientScope = 8,
    MissingGroup = 9,
    MissingRole = 10,
    /// The credential or the token has ended. The caller is not told.
    Expired = 11,
    /// Something that only a newer version knows.
    Other = 12,
}

impl Outcome {
    pub const ALL: [Self; 13] = [
        Self::Allowed,
        Self::DeveloperNotApproved,
        Self::NoConnection,
        Self::Pending,
        Self::Rejected,
        Self::Revoked,
        Self::Suspended,
        Self::WrongAudience,
        Self::InsufficientScope,
        Self::MissingGroup,
        Self::MissingRole,
        Self::Expired,
        Self::Other,
    ];

    /// Its name in reports and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::DeveloperNotApproved => Reason::DeveloperNotApproved.as_str(),
            Self::NoConnection => Reason::NoConnection.as_str(),
            Self::Pending => Reason::Pending.as_str(),
            Self::Rejected => Reason::Rejected.as_str(),
            Self::Revoked => Reason::Revoked.as_str(),
            Self::Suspended => Reason::Suspended.as_str(),
            Self::WrongAudience => Lacking::Audience.as_str(),
            Self::InsufficientScope => Lacking::Scope.as_str(),
            Self::MissingGroup => Lacking::Group.as_str(),
            Self::MissingRole => Lacking::Role.as_str(),
            Self::Expired => "expired",
            Self::Other => "other",
        }
    }

    /// By its name. What has no name here is [`Self::Other`]: the gateway may be newer.
    pub fn named(name: &str) -> Self {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == name).unwrap_or(Self::Other)
    }

    /// Its number in shared data and in databases.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// By its number. What has no number here is [`Self::Other`].
    pub fn from_code(code: u8) -> Self {
        Self::ALL.into_iter().find(|outcome| outcome.code() == code).unwrap_or(Self::Other)
    }
}

impl From<Reason> for Outcome {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::DeveloperNotApproved => Self::DeveloperNotApproved,
            Reason::NoConnection => Self::NoConnection,
            Reason::Pending => Self::Pending,
            Reason::Rejected => Self::Rejected,
            Reason::Revoked => Self::Revoked,
            Reason::Suspended => Self::Suspended,
        }
    }
}

impl From<Lacking> for Outcome {
    fn from(lacking: Lacking) -> Self {
        match lacking {
            Lacking::Audience => Self::WrongAudience,
            Lacking::Scope => Self::InsufficientScope,
            Lacking::Group => Self::MissingGroup,
            Lacking::Role => Self::MissingRole,
        }
    }
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Outcome {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Ok(Self::named(&name))
    }
}

/// What requests are counted by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Key {
    /// Nil: one of those there was no room for.
    pub application: ApplicationId,
    /// Nil, as above.
    pub service: ServiceId,
    pub outcome: Outcome,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_comes_back_from_its_name_and_from_its_number() {
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::named(outcome.as_str()), outcome);
            assert_eq!(Outcome::from_code(outcome.code()), outcome);
        }
        assert_eq!((Outcome::named("throttled"), Outcome::from_code(200)), (Outcome::Other, Outcome::Other));
    }
}
