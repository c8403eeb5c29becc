//! How the developer portal behaves: what developers must tell about themselves, who is approved at once, which mails go
//! out. An operator sets it in the configuration and can change it at run time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

use super::developer::{DeveloperStatus, Email};
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

impl PortalConfig {
    /// The status of a new developer for whom nobody chose one.
    pub const fn first_status(&self) -> DeveloperStatus {
        if self.auto_approve { DeveloperStatus::Approved } else { DeveloperStatus::Pending }
    }

    /// What is wrong with what a developer tells about themselves, by member. `texts` where all of it came as text, so
    /// that a number is one that a text spells out. Members that no field defines are the developer's own business.
    pub fn meta_problems(&self, meta: &Map<String, Value>, texts: bool) -> BTreeMap<String, &'static str> {
        let problem = |field: &MetaField| {
            let problem = field.problem(meta.get(&field.title), texts)?;
            Some((field.title.clone(), problem))
        };
        self.meta_fields.iter().filter_map(problem).collect()
    }
}

/// What an operator set at run time, by Kong's names; what is absent is as configured.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PortalSettings {
    pub portal_auth: Option<PortalAuth>,
    pub portal_auto_approve: Option<bool>,
    /// The JSON text of an array of [`MetaField`].
    pub portal_developer_meta_fields: Option<String>,
    pub portal_invite_email: Option<bool>,
    pub portal_access_request_email: Option<bool>,
    pub portal_approved_email: Option<bool>,
    pub portal_application_status_email: Option<bool>,
    pub portal_application_request_email: Option<bool>,
    pub portal_emails_from: Option<String>,
    pub portal_emails_reply_to: Option<String>,
    pub portal_smtp_admin_emails: Option<Vec<String>>,
}

impl PortalSettings {
    /// How the portal behaves with these settings.
    pub fn over(self, configured: PortalConfig) -> Result<PortalConfig, Invalid> {
        let PortalConfig {
            auth,
            auto_approve,
            meta_fields,
            mails,
            emails_from,
            emails_reply_to,
            admin_emails,
        } = configured;
        Ok(PortalConfig {
            auth: self.portal_auth.or(auth),
            auto_approve: self.portal_auto_approve.unwrap_or(auto_approve),
            meta_fields: match self.portal_developer_meta_fields {
                Some(text) => MetaField::parse_list(&text)?,
                None => meta_fields,
            },
            mails: MailSwitches {
                invite: self.portal_invite_email.unwrap_or(mails.invite),
                access_request: self.portal_access_request_email.unwrap_or(mails.access_request),
                approved: self.portal_approved_email.unwrap_or(mails.approved),
                application_status: self.portal_application_status_email.unwrap_or(mails.application_status),
                application_request: self
                    .portal_application_request_email
                    .unwrap_or(mails.application_request),
            },
            emails_from: self.portal_emails_from.or(emails_from),
            emails_reply_to: self.portal_emails_reply_to.or(emails_reply_to),
            admin_emails: self.portal_smtp_admin_emails.unwrap_or(admin_emails),
        })
    }
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

    /// What is wrong with the value of the field, if anything is.
    fn problem(&self, value: Option<&Value>, texts: bool) -> Option<&'static str> {
        let Some(value) = value.filter(|value| !value.is_null() && *value != "") else {
            return self.validator.required.then_some("required field missing");
        };
        match (self.validator.kind, value) {
            (MetaKind::String, Value::String(text)) if self.is_email && Email::parse(text).is_err() => {
                Some("expected a valid e-mail address")
            }
            (MetaKind::String, Value::String(_))
            | (MetaKind::Number, Value::Number(_))
            | (MetaKind::Boolean, Value::Bool(_)) => None,
            (MetaKind::Number, Value::String(text)) if texts && text.parse::<Number>().is_ok() => None,
            (MetaKind::Boolean, Value::String(text))
                if texts && matches!(text.as_str(), "true" | "false") =>
            {
                None
            }
            (MetaKind::String, _) => Some("expected a string"),
            (MetaKind::Number, _) => Some("expected a number"),
            (MetaKind::Boolean, _) => Some("expected a boolean"),
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
            if field.is_email && field.validator.kind != MetaKind::String {
                return Err(Invalid::new(
                    FIELD,
                    format!("'{}' is an e-mail address but no string", field.title),
                ));
            }
            if fields.iter().take(index).any(|earlier| earlier.title == field.title) {
                return Err(Invalid::new(FIELD, format!("'{}' is there twice", field.title)));
            }
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn portal(fields: &Value) -> PortalConfig {
        PortalConfig {
            meta_fields: MetaField::parse_list(&fields.to_string()).unwrap(),
            ..PortalConfig::default()
        }
    }

    #[test]
    fn what_developers_tell_is_held_against_the_fields() {
        let portal = portal(&json!([
            {"title": "full_name", "validator": {"type": "string", "required": true}},
            {"title": "age", "validator": {"type": "number", "required": false}},
            {"title": "news", "validator": {"type": "boolean"}},
            {"title": "work_mail", "is_email": true, "validator": {}},
        ]));
        let found = |meta: Value, texts: bool| json!(portal.meta_problems(meta.as_object().unwrap(), texts));
        let fine = json!({"full_name": "A", "age": 7.5, "news": false, "work_mail": "a@b", "other": [1]});
        assert_eq!(found(fine, false), json!({}));
        assert_eq!(found(json!({"full_name": "A", "age": null, "work_mail": ""}), false), json!({}));
        let missing = json!({"full_name": "required field missing"});
        for meta in [json!({}), json!({"full_name": null}), json!({"full_name": ""})] {
            assert_eq!(found(meta, false), missing);
        }
        let text = json!({"full_name": "A", "age": "7", "news": "true", "work_mail": "nobody"});
        let no_address = json!({"work_mail": "expected a valid e-mail address"});
        assert_eq!(found(text.clone(), true), no_address);
        assert_eq!(
            found(text, false),
            json!({"age": "expected a number", "news": "expected a boolean",
                "work_mail": "expected a valid e-mail address"})
        );
        assert_eq!(
            found(json!({"full_name": 7, "age": "seven", "news": "yes", "work_mail": ["a@b"]}), true),
            json!({"full_name": "expected a string", "age": "expected a number",
                "news": "expected a boolean", "work_mail": "expected a string"})
        );
    }

    #[test]
    fn fields_that_make_no_sense_are_refused() {
        let field = |title: &str| json!({"title": title, "validator": {}});
        let many: Vec<_> = (0..=MetaField::COUNT_MAX).map(|n| field(&n.to_string())).collect();
        for bad in [
            json!({}),
            json!([{}]),
            json!([field("")]),
            json!([field("a"), field("a")]),
            json!([{"title": "a", "validator": {"type": "list"}}]),
            json!([{"title": "a", "validator": {}, "nope": 1}]),
            json!([{"title": "a", "is_email": true, "validator": {"type": "number"}}]),
            json!(many),
        ] {
            assert!(MetaField::parse_list(&bad.to_string()).is_err(), "{bad}");
        }
    }
}
