//! A real mail server on a free loopback port, with an authority and a certificate of its own, that keeps every mail it
//! takes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde::Deserialize;
use tempfile::TempDir;

use crate::process::Process;
use crate::{binaries, ports, wait};

/// How a server differs from one that takes everything unencrypted. A field that is absent is no such demand.
#[derive(Debug, Clone, Copy, Default)]
pub struct Manners<'a> {
    /// `starttls` (required) or `tls` (from the first byte).
    pub mode: Option<&'a str>,
    /// `user:password`; nothing is taken without it.
    pub account: Option<&'a str>,
    /// `PLAIN` or `LOGIN`, the only one offered.
    pub mechanism: Option<&'a str>,
    /// The domain whose recipients are refused.
    pub refuse: Option<&'a str>,
    /// `never`, or seconds to wait.
    pub greeting: Option<&'a str>,
}

/// A mail as the server took it.
#[derive(Debug, Clone, Deserialize)]
pub struct Mail {
    pub from: String,
    pub to: Vec<String>,
    /// Mechanism and user.
    pub login: Option<String>,
    /// What the client called itself.
    pub hello: String,
    pub tls: bool,
    /// Headers and body, in base64.
    content: String,
}

/// A running mail server, or the place of one that does not run (yet). Dropping it kills it.
#[derive(Debug)]
pub struct Smtp {
    process: Option<Process>,
    port: u16,
    folder: TempDir,
}

impl Smtp {
    /// Starts one and waits until it listens.
    pub async fn start(manners: Manners<'_>) -> Result<Self> {
        let mut smtp = Self::away()?;
        smtp.begin(manners).await?;
        Ok(smtp)
    }

    /// One that does not run.
    pub fn away() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("app-auth-smtp-").tempdir()?;
        fs::create_dir(folder.path().join("mails"))?;
        certify(folder.path())?;
        Ok(Self { process: None, port: ports::free()?, folder })
    }

    /// Starts it, on the port it always had.
    pub async fn begin(&mut self, manners: Manners<'_>) -> Result<()> {
        let folder = self.folder.path();
        let mut command = Command::new(binaries::python()?);
        command.arg(binaries::workspace().join("tests/smtp/server.py"));
        command.args(["--port", &self.port.to_string()]);
        command.arg("--folder").arg(folder.join("mails"));
        command.arg("--certificate").arg(folder.join("server.pem"));
        command.arg("--key").arg(folder.join("server.key"));
        for (option, value) in [
            ("--mode", manners.mode),
            ("--account", manners.account),
            ("--mechanism", manners.mechanism),
            ("--refuse", manners.refuse),
            ("--greeting", manners.greeting),
        ] {
            if let Some(value) = value {
                command.args([option, value]);
            }
        }
        let mut process = Process::start("the mail server", command, &folder.join("smtp.log"))?;
        wait::until("the mail server to listen", async || {
            process.check_alive()?;
            Ok(process.log().contains("ready"))
        })
        .await?;
        self.process = Some(process);
        Ok(())
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The PEM file of the authority that signed its certificate, which is for `localhost`.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// Every mail it took, by recipient.
    pub fn mails(&self) -> Result<Vec<Mail>> {
        let mut mails = Vec::new();
        for entry in fs::read_dir(self.folder.path().join("mails"))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let mail: Mail = serde_json::from_slice(&fs::read(&path)?)?;
                mails.push(mail);
            }
        }
        mails.sort_by(|a, b| a.to.cmp(&b.to));
        Ok(mails)
    }

    /// The recipients of every mail it took.
    pub fn recipients(&self) -> Result<Vec<String>> {
        Ok(self.mails()?.into_iter().flat_map(|mail| mail.to).collect())
    }

    /// Waits until it has taken so many mails, and answers them.
    pub async fn wait_for(&self, count: usize) -> Result<Vec<Mail>> {
        wait::for_some(&format!("{count} mails"), async || {
            Ok(Some(self.mails()?).filter(|mails| mails.len() >= count))
        })
        .await
    }
}

/// Writes an authority and a certificate for `localhost` that it signed.
fn certify(folder: &Path) -> Result<()> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let server = CertificateParams::new(vec!["localhost".to_owned()])?.signed_by(&key, &authority)?;
    fs::write(folder.join("authority.pem"), authority.pem())?;
    fs::write(folder.join("server.pem"), server.pem())?;
    fs::write(folder.join("server.key"), key.serialize_pem())?;
    Ok(())
}

/// What a reader of a mail sees of it: its headers, and its parts decoded by Python's own parser, which is not ours.
#[derive(Debug, Clone, Deserialize)]
pub struct Seen {
    pub subject: String,
    pub from: String,
    pub reply_to: Option<String>,
    pub message_id: String,
    pub auto_submitted: Option<String>,
    /// Content types in order.
    pub types: Vec<String>,
    pub text: String,
    pub html: String,
}

const READER: &str = "
import base64, email, email.policy, json, sys
mail = email.message_from_bytes(base64.b64decode(sys.stdin.read()), policy=email.policy.default)
parts = [part for part in mail.walk() if not part.is_multipart()]
print(json.dumps({
    'subject': mail['subject'], 'from': mail['from'], 'reply_to': mail['reply-to'],
    'message_id': mail['message-id'], 'auto_submitted': mail['auto-submitted'],
    'types': [part.get_content_type() for part in mail.walk()],
    'text': mail.get_body(('plain',)).get_content(), 'html': mail.get_body(('html',)).get_content(),
}))
";

impl Mail {
    pub fn read(&self) -> Result<Seen> {
        use std::io::Write as _;
        use std::process::Stdio;

        let mut python = Command::new(binaries::python()?)
            .args(["-c", READER])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        python.stdin.take().context("no standard input")?.write_all(self.content.as_bytes())?;
        Ok(serde_json::from_slice(&python.wait_with_output()?.stdout)?)
    }
}
