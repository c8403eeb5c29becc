//! A mail in the form it travels in: addresses, headers, a text and an HTML part (RFC 5322, 2046).

use lettre::Message;
use lettre::address::Envelope;
use lettre::message::header::{Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use uuid::Uuid;

use super::Failure;
use super::templates::Rendered;
use crate::model::PortalConfig;

/// A mail ready to be sent.
pub struct Letter {
    pub(super) envelope: Envelope,
    pub(super) bytes: Vec<u8>,
    /// For the log.
    pub(super) recipient: String,
    pub(super) subject: String,
}

/// Tells other programs not to answer by themselves (RFC 3834 section 5).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// Who mails come from: as set, else the first administrator.
pub(super) fn sender(portal: &PortalConfig) -> Option<&str> {
    portal.emails_from.as_deref().or_else(|| portal.admin_emails.first().map(String::as_str))
}

impl Letter {
    /// `id` and `domain` make the message id: a mail that is sent once more by accident is recognised by it.
    pub(super) fn write(
        words: Rendered,
        from: &str,
        portal: &PortalConfig,
        recipient: &str,
        id: Uuid,
        domain: &str,
    ) -> Result<Self, Failure> {
        let from: Mailbox =
            from.parse().map_err(|_| Failure::of_mail("the sender is not an e-mail address"))?;
        let to: Mailbox =
            recipient.parse().map_err(|_| Failure::of_mail("mail cannot be sent to such an address"))?;
        let mut message = Message::builder()
            .from(from)
            .to(to)
            .subject(words.subject.clone())
            .message_id(Some(format!("<{id}@{domain}>")))
            .header(AutoSubmitted);
        if let Some(reply_to) = &portal.emails_reply_to {
            let reply_to = reply_to
                .parse()
                .map_err(|_| Failure::of_mail("the reply address is not an e-mail address"))?;
            message = message.reply_to(reply_to);
        }
        let message = message
            .multipart(MultiPart::alternative_plain_html(words.text, words.html))
            .map_err(|_| Failure::of_mail("the mail cannot be written"))?;
        Ok(Self {
            envelope: message.envelope().clone(),
            bytes: message.formatted(),
            recipient: recipient.to_owned(),
            subject: words.subject,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(portal: &PortalConfig, recipient: &str) -> Result<String, Failure> {
        let words = Rendered { subject: "Grüße".into(), text: "tëxt".into(), html: "<p>ü</p>".into() };
        let letter = Letter::write(
            words,
            "Ä Admin <admin@example.com>",
            portal,
            recipient,
            Uuid::nil(),
            "mail.example.com",
        )?;
        Ok(String::from_utf8(letter.bytes).unwrap())
    }

    fn portal() -> PortalConfig {
        PortalConfig {
            admin_emails: vec!["Ä Admin <admin@example.com>".into(), "b@example.com".into()],
            emails_reply_to: Some("reply@example.com".into()),
            ..PortalConfig::default()
        }
    }

    #[test]
    fn a_letter_has_both_parts_its_own_id_and_nothing_beyond_ascii() {
        let text = write(&portal(), "dev@example.com").unwrap();
        assert!(text.is_ascii());
        for part in [
            "To: dev@example.com\r\n",
            "Reply-To: reply@example.com\r\n",
            "Message-ID: <00000000-0000-0000-0000-000000000000@mail.example.com>\r\n",
            "Auto-Submitted: auto-generated\r\n",
            "Content-Type: multipart/alternative;",
            "Content-Type: text/plain; charset=utf-8\r\n",
            "Content-Type: text/html; charset=utf-8\r\n",
            "<admin@example.com>\r\n",
            "Date: ",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn the_sender_is_the_set_one_else_the_first_administrator_else_nobody() {
        let set = PortalConfig { emails_from: Some("Portal <p@example.com>".into()), ..portal() };
        assert_eq!(sender(&set), Some("Portal <p@example.com>"));
        assert_eq!(sender(&portal()), Some("Ä Admin <admin@example.com>"));
        assert_eq!(sender(&PortalConfig::default()), None);
    }

    #[test]
    fn an_address_that_would_be_more_than_one_recipient_is_refused() {
        for recipient in ["a@example.com, b@example.com", "a@example.com\r\nBcc: b@example.com", "nobody", ""]
        {
            assert!(write(&portal(), recipient).is_err(), "{recipient:?}");
        }
    }
}
