//! Mails to developers and administrators.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

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
