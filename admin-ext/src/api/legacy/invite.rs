//! `/developers/invite`: mails that ask people to join. They are sent while the caller waits, so that each address has its
//! outcome in the answer.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use axum::extract::Extension;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::bodies::{Message, Violation};
use super::conventions::{Error, Field, Input, Kind, Schema, members, reply, texts};
use crate::api::Seen;
use crate::mail::{Failure, Letter, Mailer};
use crate::model::{Email, MailContext, MailTemplate, OsEntropy, PortalConfig, ambient};
use crate::store::{Actor, StoreError};

/// Most addresses of one request.
const EMAILS_MAX: usize = 1000;
/// Longest time the mails may take: a request may take a minute, and its body some of that.
const SENDING: Duration = Duration::from_secs(40);

pub const SCHEMA: Schema = Schema {
    fields: &[Field::new(
        "emails",
        Kind::List { of: &Kind::checked_text(Email::MAX, texts::mailable), min: 1, max: EMAILS_MAX },
    )
    .required()],
};

/// Whom to invite.
#[derive(Deserialize, ToSchema)]
pub struct InviteInput {
    #[schema(value_type = Emails)]
    emails: Vec<String>,
}

/// At most 1000 addresses.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "described here, read by `separate`")]
enum Emails {
    OneByOne(Vec<String>),
    /// Separated by commas.
    Text(String),
}

/// What became of each invitation.
#[derive(Serialize, ToSchema)]
pub struct Invited {
    error: Failed,
    sent: Sent,
    /// True where mails are only logged.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    smtp_mock: bool,
}

/// Addresses no mail was sent to.
#[derive(Serialize, ToSchema, Default)]
pub struct Failed {
    count: usize,
    /// Why, by address.
    emails: BTreeMap<String, String>,
}

/// Addresses a mail was sent to.
#[derive(Serialize, ToSchema, Default)]
pub struct Sent {
    count: usize,
    /// True, by address.
    emails: BTreeMap<String, bool>,
}

/// Invite people by e-mail
#[utoipa::path(
    post, path = "/developers/invite", tag = "developers", operation_id = "invite_developers",
    request_body(
        content((InviteInput = "application/json"), (InviteInput = "application/x-www-form-urlencoded")),
        example = json!({"emails": ["example@example.com", "example2@example.com"]})
    ),
    responses(
        (status = 200, description = "What became of each", body = Invited, example = json!(example())),
        (status = 400, description = "Refused; no mail was sent", body = Violation),
        (status = 501, description = "Invitations are switched off", body = Message),
    ),
)]
pub async fn invite(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    mut input: Input,
) -> Result<Response, Error> {
    let portal = app.store.portal().await?;
    if !portal.mails.invite {
        return Ok(reply::message(StatusCode::NOT_IMPLEMENTED, "portal_invite_email is switched off"));
    }
    separate(&mut input);
    let input: InviteInput = members::typed(SCHEMA.insert(input)?)?;
    let emails = distinct(&input.emails)?;

    // Before the first mail leaves: it must not be that people were invited and nobody knows by whom.
    let mut writer = app.store.write(&actor).await?;
    writer.invite(&emails).await?;
    writer.commit().await?;

    let mailer = app.mailer.clone();
    // Goes on if the caller goes away.
    let sending = tokio::spawn(async move {
        let letters = emails
            .into_iter()
            .map(|email| {
                let id = ambient::random_id(&OsEntropy)?;
                Ok((email.clone(), letter(&mailer, &portal, &email, id)))
            })
            .collect::<Result<Vec<_>, StoreError>>()?;
        Ok::<_, StoreError>(send(&mailer, letters).await)
    });
    let invited = sending.await.map_err(|_| StoreError::Interrupted)??;
    Ok(reply::ok(&invited))
}

/// One text with commas is a list of texts.
fn separate(input: &mut Input) {
    if let Some(emails) = input.members.get_mut("emails")
        && let Value::String(text) = emails
    {
        *emails = text.split(',').take(EMAILS_MAX + 1).map(|one| Value::from(one.trim())).collect();
    }
}

/// Each address once, whatever its case.
fn distinct(emails: &[String]) -> Result<Vec<Email>, Error> {
    let mut seen = HashSet::new();
    let mut distinct = Vec::with_capacity(emails.len());
    for email in emails {
        let email = Email::parse(email).map_err(|invalid| Error::violation("emails", invalid.reason))?;
        if seen.insert(email.clone()) {
            distinct.push(email);
        }
    }
    Ok(distinct)
}

fn letter(mailer: &Mailer, portal: &PortalConfig, email: &Email, id: Uuid) -> Result<Letter, Failure> {
    let about = MailContext::about(email.as_str(), None, &portal.meta_fields);
    mailer.write(portal, MailTemplate::Invite, &about, email.as_str(), id)
}

async fn send(mailer: &Mailer, letters: Vec<(Email, Result<Letter, Failure>)>) -> Invited {
    let mut invited =
        Invited { error: Failed::default(), sent: Sent::default(), smtp_mock: mailer.is_mock() };
    let mut written = Vec::with_capacity(letters.len());
    let mut emails = Vec::with_capacity(letters.len());
    for (email, letter) in letters {
        match letter {
            Ok(letter) => {
                written.push(letter);
                emails.push(email);
            }
            Err(failure) => {
                invited.error.emails.insert(email.to_string(), failure.to_string());
            }
        }
    }
    for (email, outcome) in emails.iter().zip(mailer.send(written, SENDING).await) {
        match outcome {
            Ok(()) => drop(invited.sent.emails.insert(email.to_string(), true)),
            Err(failure) => drop(invited.error.emails.insert(email.to_string(), failure.to_string())),
        }
    }
    invited.error.count = invited.error.emails.len();
    invited.sent.count = invited.sent.emails.len();
    invited
}

fn example() -> Value {
    json!({
        "error": {"count": 0, "emails": {}},
        "sent": {"count": 2, "emails": {"example@example.com": true, "example2@example.com": true}},
        "smtp_mock": true
    })
}
