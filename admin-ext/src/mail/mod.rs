//! Mails to developers and administrators: what they say (`templates`), the form they travel in (`letter`), the mail
//! server (`session`), sending many at once (`mailer`), and what waits in the database (`outbox`).

mod letter;
mod mailer;
pub mod outbox;
mod session;
mod templates;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

pub use self::letter::Letter;
pub use self::mailer::{Mailer, Outcome};
use crate::model::PlainSecret;

/// How mails are sent.
#[derive(Clone, Debug)]
pub struct MailConfig {
    /// Only log that a mail would have been sent.
    pub mock: bool,
    pub host: String,
    pub port: u16,
    pub encryption: Encryption,
    /// PEM; absent: the system's authorities.
    pub ca_file: Option<PathBuf>,
    pub account: Option<Account>,
    /// Absent: what the server offers.
    pub mechanism: Option<Mechanism>,
    /// The name in EHLO and message ids.
    pub domain: String,
    pub connect_timeout: Duration,
    pub send_timeout: Duration,
    pub read_timeout: Duration,
    /// Folder with templates that replace ours.
    pub templates: Option<PathBuf>,
    /// Where developers sign in.
    pub portal_url: Url,
    /// Where administrators approve.
    pub admin_url: Url,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encryption {
    None,
    /// RFC 3207; nothing is sent if the server does not offer it.
    StartTls,
    /// RFC 8314: from the first byte.
    Tls,
}

impl Encryption {
    /// The port that goes with it.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::None => 25,
            Self::StartTls => 587,
            Self::Tls => 465,
        }
    }
}

/// An account at the mail server.
#[derive(Clone, Debug)]
pub struct Account {
    pub username: String,
    pub password: PlainSecret,
}

/// How the account is proved (SASL).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mechanism {
    Plain,
    Login,
}

/// Without the account's password.
impl fmt::Display for MailConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.mock {
            return f.write_str("(mock)");
        }
        let scheme = if self.encryption == Encryption::Tls { "smtps" } else { "smtp" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

/// A setting that mails cannot be sent with, by its name.
#[derive(Debug, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct SetupError {
    key: &'static str,
    reason: String,
}

impl SetupError {
    fn new(key: &'static str, reason: impl Into<String>) -> Self {
        Self { key, reason: reason.into() }
    }
}

/// Why a mail was not sent, in words that may be shown to a caller of the API: short, on one line, without secrets.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{text}")]
pub struct Failure {
    text: String,
    of_server: bool,
}

impl Failure {
    /// Longest text, in characters; most of it may be the server's.
    const MAX: usize = 200;

    /// Other mails may fare better.
    fn of_mail(text: impl AsRef<str>) -> Self {
        Self { text: line(text.as_ref()), of_server: false }
    }

    /// Other mails will fare no better over this connection.
    fn of_server(text: impl AsRef<str>) -> Self {
        Self { text: line(text.as_ref()), of_server: true }
    }

    /// Time was up.
    fn late() -> Self {
        Self::of_server("not sent in time")
    }

    const fn is_of_server(&self) -> bool {
        self.of_server
    }
}

fn line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(Failure::MAX).collect()
}
