//! Mails through a real mail server: invitations and notices, encrypted and not, and what happens when the server refuses,
//! is away or says nothing.

use std::fs;

use anyhow::Result;
use app_auth_tests::admin::{Admin, Database};
use app_auth_tests::client::{Answer, send};
use app_auth_tests::portal::{Portal, Status};
use app_auth_tests::smtp::{Manners, Smtp};
use app_auth_tests::wait;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

/// Settings beside the usual ones.
type Further<'a> = &'a [(&'a str, &'a str)];

const PASSWORD: &str = "correct horse battery staple";
const ACCOUNT: &str = "portal:correct horse battery staple";

/// Settings of an admin extension that mails through a server; `further` come after ours.
fn settings<'a>(smtp: &Smtp, further: &[(&'a str, &'a str)]) -> Vec<(&'a str, String)> {
    let mut settings = vec![
        ("APP_AUTH_SMTP_MOCK", "off".to_owned()),
        ("APP_AUTH_SMTP_PORT", smtp.port().to_string()),
        ("APP_AUTH_SMTP_CA_FILE", smtp.authority().display().to_string()),
        ("APP_AUTH_SMTP_DOMAIN", "admin.example.com".to_owned()),
        ("APP_AUTH_SMTP_TIMEOUT_CONNECT", "3000".to_owned()),
        ("APP_AUTH_SMTP_TIMEOUT_SEND", "3000".to_owned()),
        ("APP_AUTH_SMTP_TIMEOUT_READ", "3000".to_owned()),
        ("APP_AUTH_SMTP_ADMIN_EMAILS", "admin@example.com".to_owned()),
        ("APP_AUTH_PORTAL_EMAILS_FROM", "Pörtal <portal@example.com>".to_owned()),
        ("APP_AUTH_PORTAL_GUI_URL", "https://portal.example.com".to_owned()),
        ("APP_AUTH_ADMIN_GUI_URL", "https://admin.example.com".to_owned()),
    ];
    settings.extend(further.iter().map(|(name, value)| (*name, (*value).to_owned())));
    settings
}

async fn admin(smtp: &Smtp, further: &[(&str, &str)]) -> Result<Admin> {
    let settings = settings(smtp, further);
    let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Admin::start_with(Database::Sqlite, &settings).await
}

async fn invite(admin: &Admin, emails: &[&str]) -> Result<Answer> {
    admin.client().post("/developers/invite", &json!({"emails": emails})).await?.expect(200)
}

fn counts(answer: &Answer) -> (Value, Value) {
    let body = answer.json();
    (body["sent"]["count"].clone(), body["error"]["count"].clone())
}

fn why(answer: &Answer, email: &str) -> String {
    answer.json()["error"]["emails"][email].as_str().unwrap_or_default().to_owned()
}

const STARTTLS: (&str, &str) = ("APP_AUTH_SMTP_STARTTLS", "true");
const TLS: (&str, &str) = ("APP_AUTH_SMTP_SSL", "true");
const USER: (&str, &str) = ("APP_AUTH_SMTP_USERNAME", "portal");
const SECRET: (&str, &str) = ("APP_AUTH_SMTP_PASSWORD", PASSWORD);

#[tokio::test]
async fn given_each_way_to_talk_to_a_mail_server_when_invited_then_the_mail_arrives_that_way() -> Result<()> {
    let login =
        |mechanism| Manners { account: Some(ACCOUNT), mechanism: Some(mechanism), ..Manners::default() };
    let mode = |mode| Manners { mode: Some(mode), ..Manners::default() };
    let cases: [(Manners<'_>, Further<'_>, bool, Option<&str>); 6] = [
        (Manners::default(), &[], false, None),
        (mode("starttls"), &[STARTTLS], true, None),
        (mode("tls"), &[TLS], true, None),
        (login("PLAIN"), &[USER, SECRET, ("APP_AUTH_SMTP_AUTH_TYPE", "plain")], false, Some("PLAIN portal")),
        (login("LOGIN"), &[USER, SECRET, ("APP_AUTH_SMTP_AUTH_TYPE", "login")], false, Some("LOGIN portal")),
        // Without a type, whatever is offered; both at once.
        (
            Manners { mode: Some("starttls"), ..login("LOGIN") },
            &[STARTTLS, USER, SECRET],
            true,
            Some("LOGIN portal"),
        ),
    ];
    for (manners, further, tls, login) in cases {
        let smtp = Smtp::start(manners).await?;
        let admin = admin(&smtp, further).await?;

        let answer = invite(&admin, &["a@example.com", "B@example.com", "b@example.com"]).await?;

        assert_eq!(
            answer.json(),
            json!({
                "error": {"count": 0, "emails": {}},
                "sent": {"count": 2, "emails": {"a@example.com": true, "b@example.com": true}}
            }),
            "{manners:?} {}",
            admin.log()
        );
        assert_eq!(smtp.recipients()?, ["a@example.com", "b@example.com"], "{manners:?}");
        for mail in smtp.mails()? {
            assert_eq!((mail.tls, mail.login.as_deref()), (tls, login), "{manners:?}");
            assert_eq!(
                (mail.from.as_str(), mail.hello.as_str()),
                ("portal@example.com", "admin.example.com")
            );
        }
        assert!(!admin.log().contains(PASSWORD));
    }
    Ok(())
}

#[tokio::test]
async fn given_a_server_that_cannot_be_trusted_or_does_not_trust_us_when_invited_then_nothing_is_sent_and_it_is_said_why()
-> Result<()> {
    let mode = |mode| Manners { mode: Some(mode), ..Manners::default() };
    let account = Manners { account: Some(ACCOUNT), ..Manners::default() };
    let stranger = Smtp::away()?;
    let stranger = stranger.authority().display().to_string();
    let other_authority = ("APP_AUTH_SMTP_CA_FILE", stranger.as_str());
    let cases: [(Manners<'_>, Further<'_>, &str); 7] = [
        (
            account,
            &[USER, ("APP_AUTH_SMTP_PASSWORD", "wrong horse")],
            "the mail server refuses the account: 535",
        ),
        (account, &[], "530"),
        (
            mode("tls"),
            &[TLS, other_authority],
            "no trusted connection to the mail server: invalid peer certificate",
        ),
        (
            mode("starttls"),
            &[STARTTLS, other_authority],
            "no trusted connection to the mail server: invalid peer certificate",
        ),
        // The certificate is for localhost.
        (mode("tls"), &[TLS, ("APP_AUTH_SMTP_HOST", "127.0.0.1")], "invalid peer certificate"),
        (Manners::default(), &[STARTTLS], "the mail server does not offer STARTTLS"),
        (mode("starttls"), &[], "530"),
    ];
    for (manners, further, reason) in cases {
        let smtp = Smtp::start(manners).await?;
        let admin = admin(&smtp, further).await?;

        let answer = invite(&admin, &["a@example.com", "b@example.com"]).await?;

        assert_eq!(counts(&answer), (json!(0), json!(2)), "{further:?}");
        for email in ["a@example.com", "b@example.com"] {
            let told = why(&answer, email);
            assert!(told.contains(reason), "{further:?}: {told}");
            assert!(!told.contains("horse") && told.len() <= 200, "{told}");
        }
        assert_eq!(smtp.recipients()?, Vec::<String>::new(), "{further:?}");
        assert!(!admin.log().contains("horse"));
    }
    Ok(())
}

#[tokio::test]
async fn given_a_refused_recipient_among_good_ones_when_invited_then_the_others_are_sent() -> Result<()> {
    let smtp = Smtp::start(Manners { refuse: Some("gone.example.com"), ..Manners::default() }).await?;
    let admin = admin(&smtp, &[]).await?;
    let good: Vec<_> = (0..30).map(|number| format!("dev-{number:02}@example.com")).collect();
    let mut emails: Vec<_> = good.iter().map(String::as_str).collect();
    for place in [0, 7, 20] {
        emails.insert(place, "nobody@gone.example.com");
    }

    let answer = invite(&admin, &emails).await?;

    assert_eq!(counts(&answer), (json!(30), json!(1)), "{}", answer.text());
    assert_eq!(why(&answer, "nobody@gone.example.com"), "550 5.1.1 No such mailbox");
    assert_eq!(smtp.recipients()?, good);
    Ok(())
}

#[tokio::test]
async fn given_a_server_that_is_away_or_silent_when_many_are_invited_then_the_answer_says_so_after_one_timeout()
-> Result<()> {
    let emails: Vec<_> = (0..200).map(|number| format!("dev-{number}@example.com")).collect();
    let emails: Vec<_> = emails.iter().map(String::as_str).collect();
    let short = [
        ("APP_AUTH_SMTP_TIMEOUT_CONNECT", "700"),
        ("APP_AUTH_SMTP_TIMEOUT_SEND", "700"),
        ("APP_AUTH_SMTP_TIMEOUT_READ", "700"),
    ];
    let silent = Smtp::start(Manners { greeting: Some("never"), ..Manners::default() }).await?;
    for (smtp, reason) in
        [(Smtp::away()?, "the mail server cannot be reached"), (silent, "the mail server does not answer")]
    {
        let admin = admin(&smtp, &short).await?;

        // One time-out for each would take minutes, and the request would be cut off instead.
        let answer = invite(&admin, &emails).await?;

        assert_eq!(counts(&answer), (json!(0), json!(200)));
        assert_eq!(why(&answer, "dev-199@example.com"), reason);
    }
    // Late is not silent.
    let late = Smtp::start(Manners { greeting: Some("0.5"), ..Manners::default() }).await?;
    let admin = admin(&late, &[]).await?;
    assert_eq!(counts(&invite(&admin, &["a@example.com"]).await?), (json!(1), json!(0)));
    Ok(())
}

#[tokio::test]
async fn given_a_name_with_markup_when_mailed_then_both_parts_show_it_as_it_is() -> Result<()> {
    let smtp = Smtp::start(Manners::default()).await?;
    let admin = admin(&smtp, &[("APP_AUTH_PORTAL_EMAILS_REPLY_TO", "help@example.com")]).await?;
    let body = json!({"email": "dev@example.com", "meta": {"full_name": "<b> & ü\r\nBcc: x@example.com"}});

    admin.client().post("/developers", &body).await?.expect(200)?;

    let mails = smtp.wait_for(1).await?;
    assert_eq!(mails[0].to, ["admin@example.com"]);
    let seen = mails[0].read()?;
    assert!(seen.subject.starts_with("<b> & ü Bcc: x@example.com asks for access"), "{}", seen.subject);
    assert_eq!(seen.from, "Pörtal <portal@example.com>");
    assert_eq!(seen.reply_to.as_deref(), Some("help@example.com"));
    assert!(seen.message_id.ends_with("@admin.example.com>"), "{}", seen.message_id);
    assert_eq!(seen.auto_submitted.as_deref(), Some("auto-generated"));
    assert_eq!(seen.types, ["multipart/alternative", "text/plain", "text/html"]);
    assert!(seen.text.contains("<b> & ü  Bcc: x@example.com (dev@example.com)"), "{}", seen.text);
    assert!(seen.html.contains("&lt;b&gt; &amp; ü  Bcc"), "{}", seen.html);
    let link = "https://admin.example.com/developers/requested";
    assert!(seen.text.contains(link) && seen.html.contains(&format!("href=\"{link}\"")));
    Ok(())
}

#[tokio::test]
async fn given_templates_of_the_operator_when_mailed_then_they_speak_and_a_broken_one_stops_the_start()
-> Result<()> {
    let smtp = Smtp::start(Manners::default()).await?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().display().to_string();
    fs::write(folder.path().join("invite.subject"), "Welcome,\n{{ email.developer_email }}!")?;
    fs::write(
        folder.path().join("invite.txt"),
        "{{ portal.gui_url }}/register {{email.developer_meta.full_name}}|{{email.developer_meta.shoe_size}}",
    )?;
    let further = [("APP_AUTH_MAIL_TEMPLATES", path.as_str())];
    let admin = admin(&smtp, &further).await?;

    invite(&admin, &["a@example.com"]).await?;

    let seen = smtp.wait_for(1).await?[0].read()?;
    assert_eq!(seen.subject, "Welcome, a@example.com!");
    assert_eq!(seen.text.trim(), "https://portal.example.com/register |{{email.developer_meta.shoe_size}}");
    assert!(seen.html.contains("https://portal.example.com/register"), "ours, as no file replaces it");

    fs::write(folder.path().join("invite.html"), "<p>\n{% if %}")?;
    let refused =
        self::admin(&smtp, &further).await.err().map(|error| format!("{error:#}")).unwrap_or_default();
    assert!(refused.contains("mail_templates: invite.html line 2"), "{refused}");
    Ok(())
}

#[tokio::test]
async fn given_settings_that_no_mail_can_be_sent_with_when_started_then_one_line_names_the_setting()
-> Result<()> {
    let smtp = Smtp::away()?;
    let no_pem = smtp.authority().with_file_name("server.key").display().to_string();
    let cases: [&[(&str, &str)]; 4] = [
        &[TLS, ("APP_AUTH_SMTP_CA_FILE", "/no/such/file")],
        &[TLS, ("APP_AUTH_SMTP_CA_FILE", &no_pem)],
        &[("APP_AUTH_PORTAL_EMAILS_FROM", ""), ("APP_AUTH_SMTP_ADMIN_EMAILS", "")],
        &[("APP_AUTH_SMTP_DOMAIN", "two words")],
    ];
    let names = ["smtp_ca_file: ", "smtp_ca_file: ", "portal_emails_from: ", "smtp_domain: "];
    for (further, name) in cases.iter().zip(names) {
        let error = admin(&smtp, further).await.err().map(|error| format!("{error:#}")).unwrap_or_default();
        assert!(error.contains(&format!("app-auth-admin: {name}")), "{further:?}: {error}");
    }
    Ok(())
}

#[tokio::test]
async fn given_approvals_and_requests_when_made_then_each_is_mailed_once_to_whom_it_concerns() -> Result<()> {
    let smtp = Smtp::start(Manners::default()).await?;
    let switches = [
        ("APP_AUTH_PORTAL_APPLICATION_STATUS_EMAIL", "on"),
        ("APP_AUTH_PORTAL_APPLICATION_REQUEST_EMAIL", "on"),
    ];
    let admin = admin(&smtp, &switches).await?;
    let portal = Portal::new(admin.client());
    let service = Uuid::new_v4();
    portal.service(service, "orders", json!({})).await?;
    let body = json!({"email": "dev@example.com", "meta": {"full_name": "Dev"}});
    let developer = portal.post("/developers", &body).await?.expect(200)?.field("id")?;
    smtp.wait_for(1).await?;

    for status in [Status::Approved, Status::Revoked, Status::Approved, Status::Approved] {
        portal.set_developer(&developer, status).await?;
    }
    smtp.wait_for(2).await?;
    let application = portal.application(&developer).await?;
    let connection = portal.connection(&application, service).await?;
    smtp.wait_for(3).await?;
    portal.set_connection(&connection, Status::Approved).await?;
    portal.set_connection(&connection, Status::Approved).await?;

    // The last change mailed means that nothing before it is still to come.
    let mut subjects = Vec::new();
    for mail in smtp.wait_for(4).await? {
        let seen = mail.read()?;
        if seen.subject.contains("asks for access to a service") {
            let link = format!("https://admin.example.com/default/applications/{}#requested", application.id);
            assert!(seen.text.contains(&link) && seen.text.contains("Service: orders"), "{}", seen.text);
        }
        subjects.push((mail.to.join(","), seen.subject));
    }
    subjects.sort();
    let expected = [
        ("admin@example.com", "Dev asks for access to the developer portal (default)"),
        ("admin@example.com", "dev@example.com asks for access to a service (https://portal.example.com)"),
        ("dev@example.com", "Your access to the developer portal is approved"),
        ("dev@example.com", "Your application's request is approved (https://portal.example.com)"),
    ];
    assert_eq!(subjects, expected.map(|(to, subject)| (to.to_owned(), subject.to_owned())));
    none_waits(&admin).await?;
    assert_eq!(smtp.mails()?.len(), 4);

    let metrics = admin.client().get("/metrics").await?.text();
    assert!(metrics.contains("app_auth_admin_mails_sent_total 4"), "{metrics}");
    assert!(metrics.contains("app_auth_admin_mails_waiting 0"), "{metrics}");
    Ok(())
}

async fn none_waits(admin: &Admin) -> Result<()> {
    wait::until("no mail to wait", async || Ok(admin.client().get("/mails").await?.json()["total"] == 0))
        .await
}

#[tokio::test]
async fn given_switches_off_when_something_happens_then_nobody_is_mailed() -> Result<()> {
    let smtp = Smtp::start(Manners::default()).await?;
    let switches = [
        ("APP_AUTH_PORTAL_INVITE_EMAIL", "off"),
        ("APP_AUTH_PORTAL_ACCESS_REQUEST_EMAIL", "off"),
        ("APP_AUTH_PORTAL_APPROVED_EMAIL", "off"),
    ];
    let admin = admin(&smtp, &switches).await?;
    let portal = Portal::new(admin.client());
    let service = Uuid::new_v4();
    portal.service(service, "orders", json!({})).await?;

    let developer = portal.developer(Status::Pending).await?;
    portal.set_developer(&developer, Status::Approved).await?;
    let application = portal.application(&developer).await?;
    let connection = portal.connection(&application, service).await?;
    portal.set_connection(&connection, Status::Approved).await?;
    let invited = admin.client().post("/developers/invite", &json!({"emails": ["a@example.com"]})).await?;

    assert_eq!(invited.status, 501);
    assert!(invited.field("message")?.contains("portal_invite_email"));
    assert_eq!(admin.client().get("/mails").await?.json()["total"], 0);
    assert_eq!(smtp.recipients()?, Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn given_mails_that_could_not_be_sent_when_the_program_is_killed_and_the_server_comes_back_then_each_arrives_once()
-> Result<()> {
    for database in Database::BOTH {
        println!("on {database:?}");
        let mut smtp = Smtp::away()?;
        let settings = settings(&smtp, &[]);
        let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut admin = Admin::start_with(database, &settings).await?;
        let portal = Portal::new(admin.client());
        let body = json!({"email": "dev@example.com", "meta": {"full_name": "Dev"}, "status": 0});
        portal.post("/developers", &body).await?.expect(200)?;
        let failed = wait::for_some("an attempt to fail", async || {
            let mail = admin.client().get("/mails").await?.json()["data"][0].clone();
            Ok(Some(mail).filter(|mail| mail["error"].is_string()))
        });
        let failed = failed.await?;
        assert_eq!((&failed["recipient"], &failed["attempts"]), (&json!("dev@example.com"), &json!(1)));
        assert_eq!(failed["error"], "the mail server cannot be reached");
        // And one that is killed with its change.
        portal.developer(Status::Pending).await?;
        admin.kill();

        smtp.begin(Manners::default()).await?;
        admin.restart().await?;

        smtp.wait_for(2).await?;
        none_waits(&admin).await?;
        assert_eq!(smtp.recipients()?, ["admin@example.com", "dev@example.com"]);
    }
    Ok(())
}

#[tokio::test]
async fn given_two_replicas_when_much_changes_then_every_mail_arrives_once() -> Result<()> {
    let smtp = Smtp::start(Manners::default()).await?;
    let settings = settings(&smtp, &[]);
    let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let admin = Admin::start_with(Database::Postgres, &settings).await?;
    let replica = admin.replica().await?;

    let (here, there) = (Portal::new(admin.client()), Portal::new(replica.client()));
    for _ in 0..15 {
        let (one, other) = tokio::join!(here.developer(Status::Pending), there.developer(Status::Pending));
        one.and(other)?;
    }

    smtp.wait_for(30).await?;
    none_waits(&admin).await?;
    assert_eq!(smtp.mails()?.len(), 30);
    Ok(())
}

#[tokio::test]
async fn given_a_waiting_mail_when_deleted_then_it_is_never_sent() -> Result<()> {
    let smtp = Smtp::away()?;
    let admin = admin(&smtp, &[]).await?;
    let portal = Portal::new(admin.client());
    for _ in 0..3 {
        portal.developer(Status::Pending).await?;
    }
    let page = admin.client().get("/mails?size=2").await?.expect(200)?.json();
    assert_eq!((page["data"].as_array().map(Vec::len), &page["total"]), (Some(2), &json!(3)));
    assert_eq!(page["data"][0]["template"], "request-access");
    let next = admin.client().get(page["next"].as_str().unwrap_or_default()).await?.expect(200)?.json();
    assert_eq!((next["data"].as_array().map(Vec::len), &next["next"]), (Some(1), &Value::Null));

    let id = next["data"][0]["id"].as_str().unwrap_or_default();
    for path in [format!("/mails/{id}"), format!("/mails/{id}"), "/mails/none".to_owned()] {
        admin.client().delete(&path).await?.expect(204)?;
    }
    assert_eq!(admin.client().get("/mails").await?.json()["total"], 2);
    Ok(())
}

#[tokio::test]
async fn given_developers_who_are_imported_when_they_are_there_then_nobody_is_mailed() -> Result<()> {
    let smtp = Smtp::away()?;
    let admin = admin(&smtp, &[]).await?;
    let table = "email,status,meta.full_name\na@example.com,APPROVED,A\nb@example.com,PENDING,B\n";

    let request =
        admin.client().request(Method::POST, "/developers/import").header("Content-Type", "text/csv");
    let imported = send(request.body(table)).await?.expect(200)?;

    assert_eq!(imported.json()["created"], 2);
    assert_eq!(admin.client().get("/mails").await?.json()["total"], 0);
    Ok(())
}
