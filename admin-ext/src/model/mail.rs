//! Mails to developers and administrators: which there are, and what each can tell. How they look and travel is not known
//! here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::ambient::Timestamp;
use super::portal_config::MetaField;

/// What a mail is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MailTemplate {
    /// To anybody: come and join.
    Invite,
    /// To administrators: a developer asks for access.
    RequestAccess,
    /// To a developer: access was given.
    ApprovedAccess,
    /// To a developer: a connection has another status.
    ApplicationStatus,
    /// To administrators: an application asks for a service.
    ApplicationRequest,
    /// To a developer: a product version that their applications use has changed.
    VersionChanged,
}

impl MailTemplate {
    pub const ALL: [Self; 6] = [
        Self::Invite,
        Self::RequestAccess,
        Self::ApprovedAccess,
        Self::ApplicationStatus,
        Self::ApplicationRequest,
        Self::VersionChanged,
    ];

    /// The name its files have.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invite => "invite",
            Self::RequestAccess => "request-access",
            Self::ApprovedAccess => "approved-access",
            Self::ApplicationStatus => "application-status",
            Self::ApplicationRequest => "application-request",
            Self::VersionChanged => "version-changed",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|template| template.as_str() == text)
    }
}

/// What a mail can tell, as it was when there was reason to send it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct MailContext {
    pub developer_email: String,
    /// The full name; where that is not known, the address.
    pub developer_name: String,
    /// Every field of the registration form and whatever else the developer told; blank where nothing was told.
    #[serde(default)]
    pub developer_meta: BTreeMap<String, String>,
    pub application: Option<String>,
    pub application_id: Option<Uuid>,
    pub service: Option<String>,
    pub status: Option<String>,
    /// Why it has the status, in the words of whoever decided.
    #[serde(default)]
    pub reason: Option<String>,
}

impl MailContext {
    /// About a developer, who is known by an address and perhaps by the JSON text of what they told.
    pub fn about(email: &str, meta: Option<&str>, fields: &[MetaField]) -> Self {
        let told: Map<String, Value> =
            meta.and_then(|meta| serde_json::from_str(meta).ok()).unwrap_or_default();
        let mut developer_meta: BTreeMap<_, _> =
            fields.iter().map(|field| (field.title.clone(), String::new())).collect();
        developer_meta.extend(told.iter().map(|(name, value)| (name.clone(), line(value))));
        let name = developer_meta.get("full_name").map(|name| name.trim()).filter(|name| !name.is_empty());
        Self {
            developer_email: email.to_owned(),
            developer_name: name.unwrap_or(email).to_owned(),
            developer_meta,
            ..Self::default()
        }
    }
}

/// A value as text on one line.
fn line(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A mail that waits to be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WaitingMail {
    pub id: Uuid,
    /// An address that may have a name before it.
    pub recipient: String,
    pub template: MailTemplate,
    pub context: MailContext,
    /// How often sending was begun.
    pub attempts: u64,
    /// When sending is begun again.
    pub next_at: Timestamp,
    /// Why it was not sent the last time.
    pub error: Option<String>,
    pub created_at: Timestamp,
}

/// What comes of a mail that was tried to be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MailFate {
    /// It was sent, or is given up.
    Over,
    Again {
        at: Timestamp,
        error: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_told_is_blank_and_the_name_falls_back_to_the_address() {
        let fields = [MetaField::full_name()];
        let context = MailContext::about("a@example.com", Some(r#"{"team":7,"full_name":null}"#), &fields);
        assert_eq!(context.developer_name, "a@example.com");
        assert_eq!(context.developer_meta["full_name"], "");
        assert_eq!(context.developer_meta["team"], "7");
        assert!(!context.developer_meta.contains_key("age"));
    }

    #[test]
    fn a_name_of_several_lines_becomes_one_line() {
        let context = MailContext::about("a@example.com", Some(r#"{"full_name":"A\r\nBcc: b"}"#), &[]);
        assert_eq!(context.developer_name, "A  Bcc: b");
    }
}
