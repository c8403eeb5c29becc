//! Sends the mails that changes left in the database: at once after the change, again with growing pauses where that fails,
//! until a day has passed. A mail is claimed before it is sent, so that of several replicas one sends it.

use std::time::Duration;

use tokio::sync::watch;
use uuid::Uuid;

use super::{Mailer, Outcome};
use crate::model::{MailFate, Timestamp, WaitingMail};
use crate::store::{Store, StoreError};

/// Mails that are claimed at once.
const BATCH: u16 = 64;
/// How long a change waits for others whose mails then go out with its own.
const GATHERING: Duration = Duration::from_millis(50);
/// How long a claim outlasts the sending it is made for: the time to write down what came of it.
const CLAIM_MARGIN: Duration = Duration::from_secs(15);
/// The pause after the first failure; it doubles with each one more.
const PAUSE_MS: i64 = 10_000;
const PAUSE_MAX_MS: i64 = 3_600_000;
/// A mail that could not be sent for so long is given up.
const GIVEN_UP_AFTER_MS: i64 = 24 * 3_600_000;
/// How often the database is looked at for mails of replicas that ended before they sent them.
const LOOK: Duration = Duration::from_secs(30);

/// How often what came of mails is tried to be written down: what is forgotten is sent once more.
const SETTLING: u8 = 5;

/// Sends what waits, until the program is to stop; then the mails in progress are still sent.
pub async fn run(store: Store, mailer: Mailer, mut stopping: watch::Receiver<bool>) {
    loop {
        let pause = match round(&store, &mailer).await {
            Ok(pause) => pause,
            Err(error) => {
                tracing::warn!(%error, "the waiting mails cannot be read; trying again");
                LOOK
            }
        };
        tokio::select! {
            // A sender that is gone is as good as a word to stop.
            _ = stopping.wait_for(|stopping| *stopping) => return,
            () = woken(&store) => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn woken(store: &Store) {
    store.mails_waiting().await;
    tokio::time::sleep(GATHERING).await;
}

/// Sends what is due. Answers how long nothing more will be.
async fn round(store: &Store, mailer: &Mailer) -> Result<Duration, StoreError> {
    let within = mailer.longest();
    let mails = store.claim_mails(BATCH, store.now().plus_millis(millis(within + CLAIM_MARGIN))).await?;
    if mails.is_empty() {
        let next = store.next_mail().await?;
        let pause = next.map_or(LOOK, |next| Duration::from_millis(until(store.now(), next)));
        return Ok(pause.min(LOOK));
    }
    let portal = store.portal().await?;
    let mut fates = Vec::with_capacity(mails.len());
    let mut written = Vec::with_capacity(mails.len());
    for mail in mails {
        match mailer.write(&portal, mail.template, &mail.context, &mail.recipient, mail.id) {
            Ok(letter) => written.push((mail, letter)),
            Err(failure) => fates.push((mail.id, fate(&mail, &Err(failure), store.now()))),
        }
    }
    let (mails, letters): (Vec<_>, Vec<_>) = written.into_iter().unzip();
    let outcomes = mailer.send(letters, within).await;
    let now = store.now();
    fates.extend(mails.iter().zip(&outcomes).map(|(mail, outcome)| (mail.id, fate(mail, outcome, now))));
    settle(store, &fates).await;
    Ok(Duration::ZERO)
}

/// What comes of a mail.
fn fate(mail: &WaitingMail, outcome: &Outcome, now: Timestamp) -> MailFate {
    let Err(failure) = outcome else {
        metrics::counter!("app_auth_admin_mails_sent_total").increment(1);
        return MailFate::Over;
    };
    metrics::counter!("app_auth_admin_mails_failed_total").increment(1);
    if mail.created_at.plus_millis(GIVEN_UP_AFTER_MS) <= now {
        let (recipient, template) = (&mail.recipient, mail.template.as_str());
        tracing::error!(id = %mail.id, recipient, template, attempts = mail.attempts, %failure, "mail given up");
        return MailFate::Over;
    }
    MailFate::Again { at: now.plus_millis(pause(mail.attempts)), error: failure.to_string() }
}

async fn settle(store: &Store, fates: &[(Uuid, MailFate)]) {
    for _ in 0..SETTLING {
        match store.settle_mails(fates).await {
            Ok(()) => return,
            Err(error) => tracing::warn!(%error, "what came of mails was not written down; trying again"),
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// After so many attempts.
fn pause(attempts: u64) -> i64 {
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX).min(20);
    PAUSE_MS.saturating_mul(1 << doublings).min(PAUSE_MAX_MS)
}

fn until(now: Timestamp, then: Timestamp) -> u64 {
    u64::try_from(then.0.saturating_sub(now.0)).unwrap_or_default()
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_is_tried_again_for_a_day_and_then_given_up() {
        let mail = WaitingMail {
            id: Uuid::nil(),
            recipient: "a@example.com".into(),
            template: crate::model::MailTemplate::Invite,
            context: crate::model::MailContext::default(),
            attempts: 3,
            next_at: Timestamp(0),
            error: None,
            created_at: Timestamp(0),
        };
        let failed = || Err(super::super::Failure::late());
        let almost = Timestamp(GIVEN_UP_AFTER_MS - 1);
        let again = MailFate::Again { at: almost.plus_millis(40_000), error: "not sent in time".into() };
        assert_eq!(fate(&mail, &failed(), almost), again);
        assert_eq!(fate(&mail, &failed(), Timestamp(GIVEN_UP_AFTER_MS)), MailFate::Over);
        assert_eq!(fate(&mail, &Ok(()), Timestamp(0)), MailFate::Over);
    }

    #[test]
    fn pauses_double_up_to_an_hour() {
        let pauses = [1, 2, 3, 9, 10, 1000].map(pause);
        assert_eq!(pauses, [10_000, 20_000, 40_000, 2_560_000, 3_600_000, 3_600_000]);
    }
}
