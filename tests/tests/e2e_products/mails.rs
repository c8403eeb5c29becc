//! Mails of the product side through a real mail server: invitations, and what the users of a version are told.

use anyhow::Result;
use app_auth_tests::admin::{Admin, Database};
use app_auth_tests::products::{DEFAULT_PORTAL, Products};
use app_auth_tests::smtp::{Manners, Smtp};
use app_auth_tests::wait;
use serde_json::json;

#[tokio::test]
async fn given_developers_when_invited_or_told_of_a_version_then_each_gets_one_mail_and_others_none()
-> Result<()> {
    let smtp = Smtp::start(Manners::default()).await?;
    let port = smtp.port().to_string();
    let settings = [
        ("APP_AUTH_SMTP_MOCK", "off"),
        ("APP_AUTH_SMTP_PORT", port.as_str()),
        ("APP_AUTH_PORTAL_EMAILS_FROM", "portal@example.com"),
        ("APP_AUTH_PORTAL_APPROVED_EMAIL", "false"),
        ("APP_AUTH_PORTAL_ACCESS_REQUEST_EMAIL", "false"),
    ];
    let admin = Admin::start_with(Database::Sqlite, &settings).await?;
    let products = Products::new(admin.client());
    let developers = format!("/v2/portals/{DEFAULT_PORTAL}/developers");
    let strategy = products.strategy(&["x"]).await?;
    let version = products.version("Orders", None).await?;
    products.offer(DEFAULT_PORTAL, &version, Some(&strategy), json!({})).await?;
    for (email, status) in [("user@example.com", Some("approved")), ("asks@example.com", None)] {
        let body = json!({"email": email, "full_name": "A", "status": "approved",
            "send_invitation_email": email.starts_with("asks")});
        let developer = products.post(&developers, &body).await?.expect(201)?.field("id")?;
        for name in ["one", "two"] {
            let members = json!({"name": name, "auth_strategy_id": strategy});
            let application = products.application_of(DEFAULT_PORTAL, &developer, members).await?;
            products.register(&application, &version, status).await?;
        }
    }
    let arrived = async |count: usize| {
        wait::until("the mails", async || Ok(smtp.recipients()?.len() >= count)).await?;
        smtp.recipients()
    };
    assert_eq!(arrived(1).await?, ["asks@example.com"], "the invitation");

    let in_portal = version.path_in(DEFAULT_PORTAL);
    let quiet = json!({"auto_approve_registration": true, "notify_developers": true});
    products.patch(&in_portal, &quiet).await?.expect(200)?;
    products.patch(&in_portal, &json!({"deprecated": true})).await?.expect(200)?;
    products
        .patch(&in_portal, &json!({"deprecated": false, "notify_developers": true}))
        .await?
        .expect(200)?;
    products.patch(&version.path(), &json!({"deprecated": true, "notify": true})).await?.expect(200)?;

    assert_eq!(arrived(3).await?, ["asks@example.com", "user@example.com", "user@example.com"]);
    Ok(())
}
