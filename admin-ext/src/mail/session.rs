//! The conversation with the mail server (SMTP, RFC 5321): opened as the settings say, never weaker. One letter at a time;
//! what goes wrong is put into words that may be shown to a caller of the API.

use std::error::Error as _;
use std::fs;
use std::time::Duration;

use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, Mechanism as Sasl};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use tokio::time::timeout;

use super::letter::Letter;
use super::{Encryption, Failure, MailConfig, Mechanism, SetupError};

/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// A mail server and how to talk to it.
pub(super) struct Server {
    host: String,
    port: u16,
    encryption: Encryption,
    tls: Option<TlsParameters>,
    account: Option<(Credentials, Vec<Sasl>)>,
    hello: ClientId,
    connect: Duration,
    send: Duration,
    read: Duration,
}

/// An open connection, past greeting, encryption and login.
pub(super) struct Session(AsyncSmtpConnection);

impl Server {
    /// Checks what can be checked without talking to the server.
    pub fn new(config: &MailConfig) -> Result<Self, SetupError> {
        let well_formed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
        if config.domain.is_empty() || config.domain.len() > 253 || !config.domain.chars().all(well_formed) {
            return Err(SetupError::new("smtp_domain", "expected the name of a host"));
        }
        let tls = if config.encryption == Encryption::None { None } else { Some(tls(config)?) };
        if tls.is_none() && config.account.is_some() && config.host != "localhost" {
            tracing::warn!("smtp_password is sent unencrypted; set smtp_starttls or smtp_ssl");
        }
        let account = config.account.as_ref().map(|account| {
            let mechanisms = match config.mechanism {
                Some(Mechanism::Plain) => vec![Sasl::Plain],
                Some(Mechanism::Login) => vec![Sasl::Login],
                None => vec![Sasl::Plain, Sasl::Login],
            };
            let password = account.password.expose().to_owned();
            (Credentials::new(account.username.clone(), password), mechanisms)
        });
        Ok(Self {
            host: config.host.clone(),
            port: config.port,
            encryption: config.encryption,
            tls,
            account,
            hello: ClientId::Domain(config.domain.clone()),
            connect: config.connect_timeout,
            send: config.send_timeout,
            read: config.read_timeout,
        })
    }

    /// The longest that opening and sending one letter take together.
    pub fn longest(&self) -> Duration {
        self.connect + self.send + self.read
    }

    pub async fn open(&self) -> Result<Session, Failure> {
        let opened = timeout(self.connect + self.read, self.converse()).await;
        opened.unwrap_or_else(|_| Err(Failure::of_server("the mail server does not answer")))
    }

    async fn converse(&self) -> Result<Session, Failure> {
        let wrapped = self.tls.clone().filter(|_| self.encryption == Encryption::Tls);
        let address = (self.host.as_str(), self.port);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(address, Some(self.connect), &self.hello, wrapped, None)
                .await
                .map_err(|error| refusal_to_talk(&error))?;
        if self.encryption == Encryption::StartTls {
            if !connection.can_starttls() {
                return Err(Failure::of_server("the mail server does not offer STARTTLS"));
            }
            let tls = self.tls.clone().ok_or_else(|| Failure::of_server("TLS is not set up"))?;
            connection.starttls(tls, &self.hello).await.map_err(|error| refusal_to_talk(&error))?;
        }
        if self.encryption != Encryption::None && !connection.is_encrypted() {
            return Err(Failure::of_server("the connection to the mail server is not encrypted"));
        }
        if let Some((credentials, mechanisms)) = &self.account {
            connection.auth(mechanisms, credentials).await.map_err(|error| refused_account(&error))?;
        }
        Ok(Session(connection))
    }

    /// Sends a letter. After any failure the session is over.
    pub async fn send(&self, session: &mut Session, letter: &Letter) -> Result<(), Failure> {
        match timeout(self.send + self.read, session.0.send(&letter.envelope, &letter.bytes)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(refused_mail(&error)),
            Err(_) => Err(Failure::of_server("the mail server does not answer")),
        }
    }
}

impl Session {
    /// Whether the server is still there: it may hang up between two letters.
    pub async fn is_alive(&mut self) -> bool {
        self.0.test_connected().await
    }

    pub async fn close(mut self) {
        let _ = timeout(GOODBYE, self.0.quit()).await;
    }
}

/// Whom to trust: the authorities of the file, or the system's.
fn tls(config: &MailConfig) -> Result<TlsParameters, SetupError> {
    let mut builder = TlsParameters::builder(config.host.clone());
    if let Some(path) = &config.ca_file {
        let wrong = |reason: String| SetupError::new("smtp_ca_file", format!("{}: {reason}", path.display()));
        let pem = fs::read(path).map_err(|error| wrong(error.to_string()))?;
        // Without one, the connections would all fail later.
        if !pem.windows(27).any(|window| window == b"-----BEGIN CERTIFICATE-----") {
            return Err(wrong("no certificate in it".to_owned()));
        }
        let certificates =
            Certificate::from_pem(&pem).map_err(|_| wrong("unreadable certificates".to_owned()))?;
        builder = builder.certificate_store(CertificateStore::None).add_root_certificate(certificates);
        return builder.build().map_err(|_| wrong("unusable certificates".to_owned()));
    }
    builder.build().map_err(|_| SetupError::new("smtp_host", "TLS cannot be set up"))
}

/// Of a connection that could not be opened.
fn refusal_to_talk(error: &SmtpError) -> Failure {
    tracing::debug!(?error, "no session with the mail server");
    if let Some(answer) = answer(error) {
        return Failure::of_server(format!("the mail server refuses the connection: {answer}"));
    }
    match tls_problem(error) {
        Some(problem) => Failure::of_server(format!("no trusted connection to the mail server: {problem}")),
        None if error.is_timeout() => Failure::of_server("the mail server does not answer"),
        None => Failure::of_server("the mail server cannot be reached"),
    }
}

/// Without the server's words: they may repeat what was sent.
fn refused_account(error: &SmtpError) -> Failure {
    match error.status() {
        Some(code) => Failure::of_server(format!("the mail server refuses the account: {code}")),
        None if error.is_client() => Failure::of_server("the mail server offers no login that we know"),
        None => Failure::of_server("the mail server broke off the login"),
    }
}

fn refused_mail(error: &SmtpError) -> Failure {
    tracing::debug!(?error, "a mail was not taken");
    match answer(error) {
        Some(answer) => Failure::of_mail(answer),
        None if error.is_client() => {
            Failure::of_mail("the mail server takes no addresses with such characters")
        }
        None => Failure::of_server("the mail server broke off the connection"),
    }
}

/// The server's reply: code and text.
fn answer(error: &SmtpError) -> Option<String> {
    let code = error.status()?;
    let text = error.source().map(ToString::to_string).unwrap_or_default();
    Some(format!("{code} {text}").trim_end().to_owned())
}

fn tls_problem(error: &SmtpError) -> Option<String> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let problem = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>());
        if let Some(problem) = problem.or_else(|| error.downcast_ref::<rustls::Error>()) {
            return Some(problem.to_string());
        }
        cause = error.source();
    }
    None
}
