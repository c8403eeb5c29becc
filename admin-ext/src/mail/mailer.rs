//! Sends letters: a few connections at once, none longer than asked for, each letter with its own outcome. Knows neither
//! the database nor the API.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::letter::{self, Letter};
use super::session::{Server, Session};
use super::templates::Templates;
use super::{Failure, MailConfig, SetupError};
use crate::model::{MailContext, MailTemplate, PortalConfig};

/// Most connections to the mail server at once.
const SESSIONS: usize = 8;
/// A further connection is opened for as many letters.
const LETTERS_PER_SESSION: usize = 4;

/// Writes and sends mails; cheap to clone.
#[derive(Clone)]
pub struct Mailer(Arc<Inner>);

struct Inner {
    templates: Templates,
    domain: String,
    /// Absent: nothing is sent, the log tells what would have been.
    server: Option<Server>,
}

/// Why a letter was not sent; absent if it was.
pub type Outcome = Result<(), Failure>;

type Queue = Mutex<VecDeque<(usize, Letter)>>;

impl Mailer {
    /// Checks everything that can be checked without talking to the server.
    pub fn new(config: &MailConfig) -> Result<Self, SetupError> {
        let templates = Templates::load(config.templates.as_deref(), &config.portal_url, &config.admin_url)?;
        let server = if config.mock { None } else { Some(Server::new(config)?) };
        Ok(Self(Arc::new(Inner { templates, domain: config.domain.clone(), server })))
    }

    /// Whether nothing is sent.
    pub fn is_mock(&self) -> bool {
        self.0.server.is_none()
    }

    /// Whether mails would have a sender.
    pub fn check_sender(&self, portal: &PortalConfig) -> Result<(), SetupError> {
        if self.is_mock() || letter::sender(portal).is_some() {
            return Ok(());
        }
        Err(SetupError::new(
            "portal_emails_from",
            "required unless smtp_mock is on or smtp_admin_emails is set",
        ))
    }

    /// The longest that sending one letter takes.
    pub fn longest(&self) -> Duration {
        self.0.server.as_ref().map_or(Duration::ZERO, Server::longest)
    }

    pub fn write(
        &self,
        portal: &PortalConfig,
        template: MailTemplate,
        about: &MailContext,
        recipient: &str,
        id: Uuid,
    ) -> Result<Letter, Failure> {
        let words = self.0.templates.render(template, about).map_err(|error| {
            tracing::error!(%error, template = template.as_str(), "a mail template failed");
            Failure::of_mail("the mail's template failed")
        })?;
        // What is only logged needs none.
        let nobody = self.is_mock().then_some("nobody@localhost");
        let from = letter::sender(portal).or(nobody);
        let from = from.ok_or_else(|| Failure::of_mail("portal_emails_from is not set"))?;
        Letter::write(words, from, portal, recipient, id, &self.0.domain)
    }

    /// Sends the letters and answers each one's outcome, in their order; takes no longer than `within`. Where the server
    /// cannot be talked to, that is found out once and not once per letter.
    pub async fn send(&self, letters: Vec<Letter>, within: Duration) -> Vec<Outcome> {
        let mut outcomes: Vec<Outcome> = letters.iter().map(|_| Err(Failure::late())).collect();
        if self.is_mock() {
            for (letter, outcome) in letters.iter().zip(&mut outcomes) {
                tracing::info!(
                    recipient = letter.recipient,
                    subject = letter.subject,
                    "mail, not sent (smtp_mock)"
                );
                *outcome = Ok(());
            }
            return outcomes;
        }
        let deadline = Instant::now() + within;
        let sessions = letters.len().div_ceil(LETTERS_PER_SESSION).min(SESSIONS);
        let queue: Arc<Queue> = Arc::new(Mutex::new(letters.into_iter().enumerate().collect()));
        let mut workers = JoinSet::new();
        for _ in 0..sessions {
            workers.spawn(work(self.clone(), Arc::clone(&queue), deadline));
        }
        let mut trouble = None;
        while let Some(ended) = workers.join_next().await {
            let Ok(report) = ended else { continue };
            trouble = report.trouble.or(trouble);
            for (place, outcome) in report.outcomes {
                if let Some(slot) = outcomes.get_mut(place) {
                    *slot = outcome;
                }
            }
        }
        // What no worker took: all of them ended early, for the same reason.
        for (place, letter) in std::mem::take(&mut *lock(&queue)) {
            let failure = trouble.clone().unwrap_or_else(Failure::late);
            tracing::warn!(recipient = letter.recipient, %failure, "a mail was not sent");
            if let Some(slot) = outcomes.get_mut(place) {
                *slot = Err(failure);
            }
        }
        outcomes
    }
}

/// What one worker has done.
#[derive(Default)]
struct Report {
    outcomes: Vec<(usize, Outcome)>,
    /// Why it ended before the queue was empty.
    trouble: Option<Failure>,
}

/// Sends from the queue until it is empty, time is up, or the server cannot be talked to.
async fn work(mailer: Mailer, queue: Arc<Queue>, deadline: Instant) -> Report {
    let mut report = Report::default();
    let Some(server) = &mailer.0.server else { return report };
    let mut session: Option<Session> = None;
    loop {
        let Some((place, letter)) = lock(&queue).pop_front() else { break };
        let until = deadline.min(Instant::now() + server.longest());
        let opened = timeout_at(until, ready(server, session.take())).await;
        let mut open = match opened.unwrap_or_else(|_| Err(Failure::late())) {
            Ok(open) => open,
            Err(failure) => {
                // Another worker may fare better.
                lock(&queue).push_front((place, letter));
                report.trouble = Some(failure);
                return report;
            }
        };
        let sent = timeout_at(until, server.send(&mut open, &letter)).await;
        let outcome = sent.unwrap_or_else(|_| Err(Failure::late()));
        match &outcome {
            Ok(()) => {
                tracing::info!(recipient = letter.recipient, subject = letter.subject, "mail sent");
                session = Some(open);
            }
            Err(failure) => {
                tracing::warn!(recipient = letter.recipient, %failure, "a mail was not sent");
                report.trouble = Some(failure.clone()).filter(Failure::is_of_server);
            }
        }
        report.outcomes.push((place, outcome));
        if report.trouble.is_some() {
            return report;
        }
    }
    if let Some(session) = session {
        session.close().await;
    }
    report
}

/// The session if the server still listens to it, else a new one.
async fn ready(server: &Server, session: Option<Session>) -> Result<Session, Failure> {
    if let Some(mut session) = session
        && session.is_alive().await
    {
        return Ok(session);
    }
    server.open().await
}

/// A panic while the lock was held leaves nothing half done: every change is one call.
fn lock(queue: &Queue) -> std::sync::MutexGuard<'_, VecDeque<(usize, Letter)>> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}
