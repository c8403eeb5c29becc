//! Why a page cannot be shown or a form did nothing, in plain words.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::{Forbidden, plain};
use crate::idp::ClientError;
use crate::kong::Refusal;
use crate::store::{Entity, StoreError};

/// Nothing has changed when one of these is answered.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{0}")]
    NotFound(&'static str),
    #[error("Your role does not allow this. Ask an administrator.")]
    Forbidden,
    /// What was sent makes no sense.
    #[error("{0}")]
    Unreadable(&'static str),
    /// What was entered, or what others did meanwhile, stands against it.
    #[error("{0}")]
    Refused(String),
    #[error("The database is busy. Try again in a moment.")]
    Busy,
    /// The cause is in the log.
    #[error("Something went wrong, and nothing was changed. The log of the admin extension says more.")]
    Broken,
}

impl Failure {
    pub fn refused(text: impl Into<String>) -> Self {
        Self::Refused(text.into())
    }

    /// Whether there is no page to go back to.
    pub const fn ends(&self) -> bool {
        matches!(self, Self::NotFound(_) | Self::Forbidden | Self::Unreadable(_))
    }

    const fn status(&self) -> StatusCode {
        match self {
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::Unreadable(_) => StatusCode::BAD_REQUEST,
            Self::Refused(_) => StatusCode::CONFLICT,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Broken => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    const fn heading(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "Not found",
            Self::Forbidden => "Not allowed",
            Self::Refused(_) | Self::Unreadable(_) => "Not done",
            Self::Busy => "Busy",
            Self::Broken => "Something went wrong",
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound(entity) => Self::NotFound(gone(entity)),
            StoreError::Forbidden(_) => Self::Forbidden,
            StoreError::Busy => Self::Busy,
            StoreError::Invalid(invalid) => Self::Refused(format!("{}: {}.", invalid.field, invalid.reason)),
            StoreError::Unique { entity, field, .. } => {
                Self::Refused(format!("Another {} has this {field} already.", spoken(entity)))
            }
            StoreError::ForeignKey { entity, .. } => {
                Self::Refused(format!("There is no such {}.", spoken(entity)))
            }
            StoreError::InUse { entity, reason } => {
                Self::Refused(format!("This {} is in use: {reason}.", spoken(entity)))
            }
            StoreError::Limit { entity, limit } => {
                Self::Refused(format!("There may be at most {limit} of these: {}.", spoken(entity)))
            }
            error => {
                tracing::error!(%error, "a page of the console failed");
                Self::Broken
            }
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Refused(format!("{error}. Nothing was changed."))
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let message =
            refusal.body.get("message").and_then(serde_json::Value::as_str).unwrap_or("no reason given");
        Self::Refused(format!("Kong refused: {message}. Nothing was changed."))
    }
}

impl From<minijinja::Error> for Failure {
    fn from(error: minijinja::Error) -> Self {
        tracing::error!(%error, "a page of the console failed");
        Self::Broken
    }
}

impl From<Forbidden> for Failure {
    fn from(_: Forbidden) -> Self {
        Self::Forbidden
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let link = ("Go to the applications", "/console/applications");
        plain::notice(self.status(), self.heading(), &self.to_string(), link)
    }
}

/// What people call an entity.
const fn spoken(entity: Entity) -> &'static str {
    match entity {
        Entity::AuthStrategy => "auth strategy",
        Entity::DcrProvider => "DCR provider",
        Entity::Product => "API product",
        Entity::ProductVersion => "product version",
        Entity::PortalVersion => "product version of the portal",
        Entity::DcrJob => "pending call of an identity provider",
        other => other.noun(),
    }
}

const fn gone(entity: Entity) -> &'static str {
    match entity {
        Entity::Application => "There is no such application. It may have been deleted.",
        Entity::Connection => "There is no such connection. It may have been deleted.",
        Entity::Developer => "There is no such developer. It may have been deleted.",
        Entity::Credential => "There is no such credential. It may have been deleted.",
        _ => "There is nothing of this name. It may have been deleted.",
    }
}
