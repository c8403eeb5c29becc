//! What mails say: our texts, and an operator's in their place. A mail is three templates of one name: the subject, the text
//! and the HTML. Knows nothing of servers and addresses.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use minijinja::value::{Object, Value};
use minijinja::{Environment, context};
use url::Url;
use uuid::Uuid;

use super::SetupError;
use crate::model::{MailContext, MailTemplate};

/// Largest template of an operator, in bytes.
const FILE_MAX: u64 = 256 * 1024;
/// Longest subject, in characters.
const SUBJECT_MAX: usize = 200;
/// The name of the only workspace.
const WORKSPACE: &str = "default";
const SETTING: &str = "mail_templates";

macro_rules! embedded {
    ($($name:literal),* $(,)?) => { &[ $( ($name, include_str!(concat!("templates/", $name))) ),* ] };
}

/// Our own, by file name.
const EMBEDDED: &[(&str, &str)] = embedded![
    "layout.html",
    "invite.subject",
    "invite.txt",
    "invite.html",
    "request-access.subject",
    "request-access.txt",
    "request-access.html",
    "approved-access.subject",
    "approved-access.txt",
    "approved-access.html",
    "application-status.subject",
    "application-status.txt",
    "application-status.html",
    "application-request.subject",
    "application-request.txt",
    "application-request.html",
    "version-changed.subject",
    "version-changed.txt",
    "version-changed.html",
];

/// All templates, ready to be filled in.
pub(super) struct Templates {
    environment: Environment<'static>,
    portal_url: Url,
    admin_url: Url,
}

/// A mail's words.
#[derive(Debug)]
pub(super) struct Rendered {
    /// One line.
    pub subject: String,
    pub text: String,
    pub html: String,
}

impl Templates {
    /// Ours, and those of the folder where it has a file of the same name. Each is tried once.
    pub fn load(folder: Option<&Path>, portal_url: &Url, admin_url: &Url) -> Result<Self, SetupError> {
        let mut templates = Self {
            environment: Environment::new(),
            portal_url: portal_url.clone(),
            admin_url: admin_url.clone(),
        };
        for (name, source) in EMBEDDED {
            let source = match folder {
                Some(folder) => read(&folder.join(name))?.unwrap_or_else(|| (*source).to_owned()),
                None => (*source).to_owned(),
            };
            templates.environment.add_template_owned(*name, source).map_err(|error| place(&error))?;
        }
        if let Some(folder) = folder {
            warn_of_others(folder)?;
        }
        for template in MailTemplate::ALL {
            templates.render(template, &sample()).map_err(|error| place(&error))?;
        }
        Ok(templates)
    }

    pub fn render(&self, template: MailTemplate, about: &MailContext) -> Result<Rendered, minijinja::Error> {
        let render = |suffix: &str| {
            let template = self.environment.get_template(&format!("{}.{suffix}", template.as_str()))?;
            template.render(self.values(about, suffix == "html"))
        };
        Ok(Rendered { subject: one_line(&render("subject")?), text: render("txt")?, html: render("html")? })
    }

    fn values(&self, about: &MailContext, html: bool) -> Value {
        let portal = link(&self.portal_url, html);
        let meta = Meta(about.developer_meta.clone());
        context! {
            portal => context! { url => portal.clone(), gui_url => portal },
            email => context! {
                developer_email => about.developer_email.as_str(),
                developer_name => about.developer_name.as_str(),
                developer_meta => Value::from_object(meta),
                admin_url => link(&self.admin_url, html),
            },
            workspace => WORKSPACE,
            application => about.application.as_deref(),
            application_id => about.application_id.map(|id| id.to_string()),
            service => about.service.as_deref(),
            status => about.status.as_deref(),
            reason => about.reason.as_deref(),
        }
    }
}

/// What the developer told. A field that nobody knows of stays as the template has it, so that a slip is seen.
#[derive(Debug)]
struct Meta(BTreeMap<String, String>);

impl Object for Meta {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let key = key.as_str()?;
        let known = self.0.get(key).cloned();
        Some(Value::from(known.unwrap_or_else(|| format!("{{{{email.developer_meta.{key}}}}}"))))
    }
}

/// The URL as the beginning of a link. In HTML only what must be is escaped: slashes stay.
fn link(url: &Url, html: bool) -> Value {
    let text = url.as_str().trim_end_matches('/');
    if html {
        // A URL holds no quotes and angle brackets but this one.
        Value::from_safe_string(text.replace('&', "&amp;").replace('\'', "&#39;"))
    } else {
        Value::from(text)
    }
}

/// A subject that can be no further header, whatever went into it.
fn one_line(text: &str) -> String {
    let words: Vec<_> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect();
    words.join(" ").chars().take(SUBJECT_MAX).collect()
}

fn sample() -> MailContext {
    MailContext {
        developer_email: "developer@example.com".into(),
        developer_name: "Developer".into(),
        developer_meta: BTreeMap::new(),
        application: Some("application".into()),
        application_id: Some(Uuid::nil()),
        service: Some("service".into()),
        status: Some("approved".into()),
        reason: None,
    }
}

fn read(path: &Path) -> Result<Option<String>, SetupError> {
    let failed =
        |reason: &dyn std::fmt::Display| SetupError::new(SETTING, format!("{}: {reason}", path.display()));
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(&error)),
    };
    let mut text = String::new();
    let length = file.take(FILE_MAX + 1).read_to_string(&mut text).map_err(|error| failed(&error))?;
    if length as u64 > FILE_MAX {
        return Err(failed(&format!("longer than {FILE_MAX} bytes")));
    }
    Ok(Some(text))
}

/// A misspelt name would do nothing, and nobody would know.
fn warn_of_others(folder: &Path) -> Result<(), SetupError> {
    let entries = fs::read_dir(folder)
        .map_err(|error| SetupError::new(SETTING, format!("{}: {error}", folder.display())))?;
    for entry in entries.flatten() {
        let name = entry.file_name();
        if !EMBEDDED.iter().any(|(known, _)| *known == name) {
            tracing::warn!(file = %name.display(), "no mail uses this file of mail_templates");
        }
    }
    Ok(())
}

/// File, line and reason, on one line.
fn place(error: &minijinja::Error) -> SetupError {
    let file = error.name().unwrap_or("a template");
    let line = error.line().map(|line| format!(" line {line}")).unwrap_or_default();
    let reason = error.detail().map_or_else(|| error.kind().to_string(), one_line);
    SetupError::new(SETTING, format!("{file}{line}: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn load(files: &[(&str, &str)]) -> Result<Templates, SetupError> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let (portal, admin) = (url("https://portal.example.com/a?b=1&c"), url("https://admin.example.com/"));
        Templates::load(Some(folder.path()), &portal, &admin)
    }

    fn about(name: &str) -> MailContext {
        MailContext { developer_name: name.into(), ..sample() }
    }

    #[test]
    fn every_mail_links_to_where_its_reader_goes_on_in_text_and_html() {
        let (portal, admin) = (url("https://portal.example.com"), url("https://admin.example.com/console"));
        let templates = Templates::load(None, &portal, &admin).unwrap();
        let application = Uuid::nil();
        for (template, link) in [
            (MailTemplate::Invite, "https://portal.example.com/register".to_owned()),
            (
                MailTemplate::RequestAccess,
                "https://admin.example.com/console/developers/requested".to_owned(),
            ),
            (MailTemplate::ApprovedAccess, "https://portal.example.com/login".to_owned()),
            (MailTemplate::ApplicationStatus, "https://portal.example.com".to_owned()),
            (
                MailTemplate::ApplicationRequest,
                format!("https://admin.example.com/console/default/applications/{application}#requested"),
            ),
            (MailTemplate::VersionChanged, "https://portal.example.com".to_owned()),
        ] {
            let mail = templates.render(template, &sample()).unwrap();
            assert!(mail.text.contains(&link), "{template:?} {}", mail.text);
            assert!(mail.html.contains(&format!("href=\"{link}\"")), "{template:?} {}", mail.html);
            assert!(mail.html.contains("<html lang=\"en\">") && mail.html.contains("</h1>"), "{}", mail.html);
            assert_ne!(mail.subject, "");
        }
    }

    #[test]
    fn what_people_wrote_is_escaped_in_html_only() {
        let templates = load(&[]).unwrap();
        let mail = templates.render(MailTemplate::ApprovedAccess, &about("<b> & ü")).unwrap();
        assert!(mail.text.contains("Hello <b> & ü,"), "{}", mail.text);
        assert!(mail.html.contains("Hello &lt;b&gt; &amp; ü,"), "{}", mail.html);
        assert!(mail.html.contains("href=\"https://portal.example.com/a?b=1&amp;c/login\""), "{}", mail.html);
    }

    #[test]
    fn a_reason_is_told_where_there_is_one() {
        let templates = load(&[]).unwrap();
        for (reason, told) in [(Some("the contract <has> ended"), true), (None, false)] {
            let about = MailContext { reason: reason.map(str::to_owned), ..sample() };
            let mail = templates.render(MailTemplate::ApplicationStatus, &about).unwrap();
            assert_eq!(mail.text.contains("Reason: the contract <has> ended\n"), told, "{}", mail.text);
            assert_eq!(mail.html.contains("Reason: the contract &lt;has&gt; ended"), told, "{}", mail.html);
            assert_eq!(mail.text.contains("Reason"), told);
        }
    }

    #[test]
    fn a_subject_stays_one_line() {
        let templates = load(&[]).unwrap();
        let mail = templates.render(MailTemplate::RequestAccess, &about("A\r\nBcc: x@example.com")).unwrap();
        assert_eq!(mail.subject, "A Bcc: x@example.com asks for access to the developer portal (default)");
        let long = templates.render(MailTemplate::RequestAccess, &about(&"x".repeat(5000))).unwrap();
        assert_eq!(long.subject.chars().count(), SUBJECT_MAX);
    }

    #[test]
    fn unknown_meta_stays_as_written_and_blank_meta_is_empty() {
        let templates =
            load(&[("invite.txt", "[{{ email.developer_meta.team }}|{{email.developer_meta.age}}]")])
                .unwrap();
        let mut about = sample();
        about.developer_meta.insert("team".into(), String::new());
        let mail = templates.render(MailTemplate::Invite, &about).unwrap();
        assert_eq!(mail.text, "[|{{email.developer_meta.age}}]");
    }

    #[test]
    fn a_file_of_the_operator_replaces_ours_and_may_use_our_layout_or_theirs() {
        let templates = load(&[
            ("invite.html", "{% extends 'layout.html' %}{% block body %}come{% endblock %}"),
            ("layout.html", "<main>{% block body %}{% endblock %}</main>"),
        ])
        .unwrap();
        assert_eq!(templates.render(MailTemplate::Invite, &sample()).unwrap().html, "<main>come</main>");
    }

    #[test]
    fn a_template_that_cannot_be_used_is_refused_with_file_and_line() {
        for (name, text, expected) in [
            ("invite.txt", "a\n{{ b", "mail_templates: invite.txt line 2: "),
            ("approved-access.html", "\n\n{{ portal.url | nosuchfilter }}", "approved-access.html line 3: "),
            ("request-access.subject", "{% if %}", "request-access.subject line 1: "),
        ] {
            let error = load(&[(name, text)]).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains(expected) && !error.contains('\n'), "{error}");
        }
        let long = "x".repeat(usize::try_from(FILE_MAX).unwrap() + 1);
        assert!(load(&[("invite.txt", &long)]).is_err());
        let (portal, admin) = (url("https://a.example.com"), url("https://b.example.com"));
        assert!(Templates::load(Some(Path::new("/no/such/folder")), &portal, &admin).is_err());
    }
}
