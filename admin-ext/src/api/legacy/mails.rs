//! `/mails`: what is still to be sent, and giving one of them up.

use axum::extract::Extension;
use axum::response::Response;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::bodies::Violation;
use super::conventions::query::Page;
use super::conventions::{Error, Query, Segments, reply};
use super::parameters::PageArguments;
use crate::api::Seen;
use crate::model::WaitingMail;
use crate::store::{Actor, StoreError};

/// A mail that waits to be sent.
#[derive(Serialize, ToSchema)]
#[schema(as = Mail)]
pub struct MailBody {
    /// How often sending was begun.
    attempts: u64,
    /// Seconds since the Unix epoch.
    created_at: i64,
    /// Why it was not sent the last time.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    id: Uuid,
    /// When sending is begun again, in seconds since the Unix epoch.
    next_at: i64,
    recipient: String,
    template: &'static str,
}

impl From<WaitingMail> for MailBody {
    fn from(mail: WaitingMail) -> Self {
        Self {
            attempts: mail.attempts,
            created_at: mail.created_at.seconds(),
            error: mail.error,
            id: mail.id,
            next_at: mail.next_at.seconds(),
            recipient: mail.recipient,
            template: mail.template.as_str(),
        }
    }
}

/// List the mails that wait to be sent
#[utoipa::path(
    get, path = "/mails", tag = "mails", operation_id = "list_mails",
    params(PageArguments),
    responses(
        (status = 200, description = "A page of the list", body = Page<MailBody>,
            example = json!({"data": [example()], "next": null, "total": 1})),
        (status = 400, description = "Refused; nothing has changed", body = Violation),
    ),
)]
pub async fn list(Seen(app): Seen, query: Query) -> Result<Response, Error> {
    Ok(query.list(app.store.mails(query.page()?).await?, MailBody::from))
}

/// Give a mail up
#[utoipa::path(
    delete, path = "/mails/{mail}", tag = "mails", operation_id = "delete_mail",
    params(("mail" = Uuid, Path)),
    responses((status = 204, description = "It does not wait any more; if it is just being sent, it still goes out")),
)]
pub async fn delete(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    Segments(mail): Segments<String>,
) -> Result<Response, Error> {
    let mut writer = app.store.write(&actor).await?;
    if let Ok(id) = mail.parse() {
        match writer.delete_mail(id).await {
            Ok(()) | Err(StoreError::NotFound(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(reply::deleted(writer.commit().await?))
}

fn example() -> Value {
    json!({
        "attempts": 2, "created_at": 1_644_617_754, "error": "the mail server cannot be reached",
        "id": "0c2e1d5a-6b3f-4c58-9a4e-7d1b2f3c4a5b", "next_at": 1_644_617_784,
        "recipient": "wally@example.com", "template": "approved-access"
    })
}
