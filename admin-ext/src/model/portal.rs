//! How the developer portal behaves: what developers must tell about themselves, who is approved at once, which mails go
//! out. An operator sets it in the configuration and can change it at run time.

use serde::{Deserialize, Serialize};

use super::rules::{self, Invalid};

/// How developers prove who they are, which decides what a new developer must bring.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PortalAuth {
    /// A password is required.
    BasicAuth,
    /// A key is required.
    KeyAuth,
    OpenidConnect,
}

impl PortalAuth {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BasicAuth => "basic-auth",
            Self::KeyAuth => "key-auth",
            Self::OpenidConnect => "openid-connect",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::BasicAuth, Self::KeyAuth, Self::OpenidConnect].into_iter().find(|auth| auth.as_str() == text)
    }
}

/// Everything about the portal that can be set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PortalConfig {
    /// Absent: developers need bring nothing.
    pub auth: Option<PortalAuth>,
    /// Whether new developers are approved at once.
    pub auto_approve: bool,
    pub meta_fields: Vec<MetaField>,
    pub mails: MailSwitches,
    /// Sender, like `Portal <portal@example.com>`. Absent: the first administrator.
    pub emails_from: Option<String>,
    /// Absent: the sender.
    pub emails_reply_to: Option<String>,
    /// Who is asked when somebody wants something.
    pub admin_emails: Vec<String>,
}

impl Default for PortalConfig {
    fn default() -> Self {
        Self {
            auth: None,
            auto_approve: false,
            meta_fields: vec![MetaField::full_name()],
            mails: MailSwitches::default(),
            emails_from: None,
            emails_reply_to: None,
            admin_emails: Vec::new(),
        }
    }
}

/// Which mails are sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "the settings it mirrors are switches")]
pub struct MailSwitches {
    pub invite: bool,
    /// To administrators: a developer asks for access.
    pub access_request: bool,
    /// To the developer, at the first approval.
    pub approved: bool,
    /// To the developer: a connection has another status.
    pub application_status: bool,
    /// To administrators: an application asks for a service.
    pub application_request: bool,
}

impl Default for MailSwitches {
    fn default() -> Self {
        Self {
            invite: true,
            access_request: true,
            approved: true,
            application_status: false,
            application_request: false,
        }
    }
}

/// One thing developers tell about themselves.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetaField {
    /// The member of `meta`.
    pub title: String,
    /// For people.
    #[serde(default)]
    pub label: String,
    /// Whether it holds an e-mail address.
    #[serde(default)]
    pub is_email: bool,
    pub validator: MetaValidator,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetaValidator {
    #[serde(rename = "type", default)]
    pub kind: MetaKind,
    #[serde(default)]
    pub required: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MetaKind {
    #[default]
    String,
    Number,
    Boolean,
}

impl MetaField {
    /// Most of them.
    pub const COUNT_MAX: usize = 50;

    /// What there is by default.
    pub fn full_name() -> Self {
        Self {
            title: "full_name".into(),
            label: "Full Name".into(),
            is_email: false,
            validator: MetaValidator { kind: MetaKind::String, required: true },
        }
    }

    /// From the text of a JSON array.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, Invalid> {
        const FIELD: &str = "portal_developer_meta_fields";
        let fields: Vec<Self> = serde_json::from_str(text)
            .map_err(|error| Invalid::new(FIELD, format!("expected a JSON array of fields: {error}")))?;
        if fields.len() > Self::COUNT_MAX {
            return Err(Invalid::new(FIELD, format!("expected at most {} fields", Self::COUNT_MAX)));
        }
        for (index, field) in fields.iter().enumerate() {
            rules::text(FIELD, &field.title, rules::NAME_MAX)?;
            rules::optional_text(
                FIELD,
                Some(&field.label).filter(|label| !label.is_empty()).map(String::as_str),
                rules::NAME_MAX,
            )?;
            if fields.iter().take(index).any(|earlier| earlier.title == field.title) {
                return Err(Invalid::new(FIELD, format!("'{}' is there twice", field.title)));
            }
        }
        Ok(fields)
    }
}
