//! `/developers/invite`, where mails are only logged.

use anyhow::Result;
use app_auth_tests::admin::{Admin, Database};
use app_auth_tests::client::send;
use reqwest::Method;
use serde_json::json;

use super::common::{on_both, violations};

const PATH: &str = "/developers/invite";

/// "Invite developers" of the reference.
#[tokio::test]
async fn given_the_command_of_invite_developers_when_run_then_it_answers_as_the_reference_says() -> Result<()>
{
    on_both(async |client| {
        let request = client.request(Method::POST, PATH);
        let request = request.header("Content-Type", "application/x-www-form-urlencoded");
        let body = "emails[]=example@example.com&emails[]=example2@example.com";

        let answer = send(request.body(body)).await?.expect(200)?;

        assert_eq!(
            answer.json(),
            json!({
                "error": {"count": 0, "emails": {}},
                "sent": {"count": 2, "emails": {"example@example.com": true, "example2@example.com": true}},
                "smtp_mock": true
            })
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_addresses_in_any_notation_and_case_when_invited_then_each_counts_once() -> Result<()> {
    on_both(async |client| {
        let expected = json!({"count": 2, "emails": {"a@example.com": true, "b@example.com": true}});
        for body in [
            json!({"emails": ["a@example.com", "B@Example.com", "A@example.com"]}),
            json!({"emails": "a@example.com, b@example.com,a@example.com"}),
        ] {
            assert_eq!(client.post(PATH, &body).await?.expect(200)?.json()["sent"], expected, "{body}");
        }
        for form in [
            &[("emails", "a@example.com,b@example.com")][..],
            &[("emails", "a@example.com"), ("emails", "b@example.com")],
            &[("emails[1]", "a@example.com"), ("emails[2]", "b@example.com")],
        ] {
            let answer = client.send_form(Method::POST, PATH, form).await?.expect(200)?;
            assert_eq!(answer.json()["sent"], expected, "{form:?}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_addresses_that_are_none_or_too_many_when_invited_then_their_places_are_named_and_nothing_is_sent()
-> Result<()> {
    for database in Database::BOTH {
        let admin = Admin::start(database).await?;
        let client = admin.client();
        let invalid = "expected a valid e-mail address";
        for (body, fields) in [
            (json!({}), json!("required field missing")),
            (json!({"emails": []}), json!("length must be at least 1")),
            (json!({"emails": 7}), json!("expected an array")),
            (json!({"emails": ["good@example.com", "bad"]}), json!([null, invalid])),
            (
                json!({"emails": "good@example.com,,a b@example.com"}),
                json!([null, "length must be at least 1", invalid]),
            ),
            (
                json!({"emails": ["good@example.com", "a@example.com\r\nBcc: b@example.com", 7]}),
                json!([null, "must not contain control characters", "expected a string"]),
            ),
            (json!({"emails": ["good@example.com", "a..b@example.com"]}), json!([null, invalid])),
            (json!({"emails": vec!["good@example.com"; 1001]}), json!("length must be at most 1000")),
            (json!({"emails": (["good@example.com"; 1001].join(","))}), json!("length must be at most 1000")),
        ] {
            let answer = client.post(PATH, &body).await?;
            assert_eq!(violations(&answer)["emails"], fields);
        }
        let named = client.post(PATH, &json!({"emails": ["good@example.com", "bad"]})).await?;
        assert_eq!(named.field("message")?, format!("schema violation (emails.2: {invalid})"));
        assert!(!admin.log().contains("good@example.com"), "{}", admin.log());
    }
    Ok(())
}

#[tokio::test]
async fn given_a_mock_when_invited_then_the_log_says_whom_and_about_what() -> Result<()> {
    let admin = Admin::start(Database::Sqlite).await?;
    let emails: Vec<_> = (0..1000).map(|number| format!("dev-{number}@example.com")).collect();

    let answer = admin.client().post(PATH, &json!({"emails": emails})).await?.expect(200)?;

    assert_eq!(answer.json()["sent"]["count"], 1000);
    let log = admin.log();
    let line = log.lines().find(|line| line.contains("dev-999@example.com")).unwrap_or_default();
    assert!(line.contains("INFO") && line.contains("You are invited"), "{line}");
    Ok(())
}
