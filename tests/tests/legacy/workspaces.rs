//! `/workspaces`: how the portal behaves, set at run time.

use anyhow::Result;
use app_auth_tests::admin::{Admin, Database};
use app_auth_tests::client::Client;
use reqwest::Method;
use serde_json::{Value, json};

use super::common::{on_both, on_both_with, violations};

const PATH: &str = "/workspaces/default";

async fn set(client: &Client, config: Value) -> Result<Value> {
    let changed = client.patch(PATH, &json!({"config": config})).await?.expect(200)?.json();
    assert_eq!(client.get(PATH).await?.json(), changed);
    Ok(changed["config"].clone())
}

/// The status of a new developer.
async fn status(client: &Client, email: &str) -> Result<Value> {
    let body = json!({"email": email, "meta": {"full_name": "A"}});
    Ok(client.post("/developers", &body).await?.expect(200)?.json()["status"].clone())
}

#[tokio::test]
async fn given_the_workspace_when_read_then_it_shows_every_setting_as_configured() -> Result<()> {
    let environment = [
        ("APP_AUTH_PORTAL_AUTH", "key-auth"),
        ("APP_AUTH_PORTAL_EMAILS_FROM", "Portal <portal@example.com>"),
        ("APP_AUTH_SMTP_ADMIN_EMAILS", "a@example.com, B <b@example.com>"),
    ];
    on_both_with(&environment, async |client| {
        let workspace = client.get(PATH).await?.expect(200)?.json();
        let fields = json!([{"title": "full_name", "label": "Full Name", "is_email": false,
            "validator": {"type": "string", "required": true}}]);
        let text = workspace["config"]["portal_developer_meta_fields"].as_str().unwrap_or_default();
        assert_eq!(serde_json::from_str::<Value>(text)?, fields);
        assert_eq!(
            workspace,
            json!({
                "config": {
                    "portal_auth": "key-auth", "portal_auto_approve": false, "portal_developer_meta_fields": text,
                    "portal_invite_email": true, "portal_access_request_email": true,
                    "portal_approved_email": true, "portal_application_status_email": false,
                    "portal_application_request_email": false, "portal_emails_reply_to": null,
                    "portal_emails_from": "Portal <portal@example.com>",
                    "portal_smtp_admin_emails": ["a@example.com", "B <b@example.com>"]
                },
                "created_at": workspace["created_at"], "id": workspace["id"], "meta": {}, "name": "default"
            })
        );
        assert!(workspace["created_at"].as_i64() > Some(1_700_000_000), "{workspace}");

        let id = workspace["id"].as_str().unwrap_or_default();
        assert_eq!(client.get(&format!("/workspaces/{id}")).await?.json(), workspace);
        let list = client.get("/workspaces").await?.expect(200)?.json();
        assert_eq!(list, json!({"data": [workspace], "next": null}));
        for nobody in ["/workspaces/other", "/workspaces/62d17e63-0628-43a3-b936-97b8dcbd366f"] {
            assert_eq!(client.get(nobody).await?.status, 404, "{nobody}");
            assert_eq!(client.patch(nobody, &json!({})).await?.status, 404, "{nobody}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_settings_when_set_then_they_hold_at_once_until_they_are_put_back() -> Result<()> {
    on_both_with(&[("APP_AUTH_PORTAL_AUTO_APPROVE", "true")], async |client| {
        assert_eq!(status(client, "a@example.com").await?, 0);
        let form = [("config.portal_auto_approve", "false")];
        let changed = client.send_form(Method::PATCH, PATH, &form).await?.expect(200)?.json();
        assert_eq!(changed["config"]["portal_auto_approve"], false);
        assert_eq!(status(client, "b@example.com").await?, 1);
        set(client, json!({"portal_auto_approve": null})).await?;
        assert_eq!(status(client, "c@example.com").await?, 0);

        set(client, json!({"portal_auth": "basic-auth"})).await?;
        let body = json!({"email": "d@example.com", "meta": {"full_name": "A"}});
        let refused = client.post("/developers", &body).await?;
        assert_eq!(violations(&refused), json!({"password": "password is required"}));
        set(client, json!({"portal_auth": null})).await?;
        client.post("/developers", &body).await?.expect(200)?;

        let config =
            set(client, json!({"portal_smtp_admin_emails": "a@example.com, B <b@example.com>"})).await?;
        assert_eq!(config["portal_smtp_admin_emails"], json!(["a@example.com", "B <b@example.com>"]));
        let config = set(client, json!({"portal_smtp_admin_emails": []})).await?;
        assert_eq!(config["portal_smtp_admin_emails"], json!([]));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_fields_of_meta_when_set_then_only_meta_that_is_sent_again_is_held_against_them() -> Result<()>
{
    on_both(async |client| {
        status(client, "a@example.com").await?;
        let team = json!([{"title": "team", "validator": {"type": "string", "required": true}}]);
        for fields in [team.clone(), json!(team.to_string())] {
            let config = set(client, json!({"portal_developer_meta_fields": fields})).await?;
            let text = config["portal_developer_meta_fields"].as_str().unwrap_or_default();
            assert_eq!(serde_json::from_str::<Value>(text)?[0]["title"], "team");
            set(client, json!({"portal_developer_meta_fields": null})).await?;
        }

        set(client, json!({"portal_developer_meta_fields": team})).await?;
        let path = "/developers/a@example.com";
        let read = client.get(path).await?.json();
        client.patch(path, &json!({"status": 0})).await?.expect(200)?;
        client.patch(path, &json!({"meta": read["meta"]})).await?.expect(200)?;
        let missing = json!({"meta": {"team": "required field missing"}});
        let changed = client.patch(path, &json!({"meta": {"full_name": "B"}})).await?;
        assert_eq!(violations(&changed), missing);
        let body = json!({"email": "b@example.com", "meta": {"full_name": "B"}});
        assert_eq!(violations(&client.post("/developers", &body).await?), missing);

        set(client, json!({"portal_developer_meta_fields": []})).await?;
        client.post("/developers", &json!({"email": "b@example.com"})).await?.expect(200)?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_settings_that_are_none_when_sent_then_each_is_named_and_nothing_changes() -> Result<()> {
    on_both(async |client| {
        let before = client.get(PATH).await?.json();
        let body = json!({
            "name": "other", "nope": 1,
            "config": {
                "portal_auth": "ldap", "portal_auto_approve": "on", "portal_invite_email": false, "nope": 1,
                "portal_developer_meta_fields": [{}], "portal_emails_from": "nobody",
                "portal_smtp_admin_emails": ["a@example.com", "nobody"]
            }
        });
        let refused = client.patch(PATH, &body).await?;
        let mailbox = "expected an address like 'Portal <portal@example.com>'";
        let mut fields = violations(&refused);
        let reason = fields["config"]["portal_developer_meta_fields"].take();
        assert!(reason.as_str().is_some_and(|reason| reason.starts_with("expected a JSON array of fields")));
        assert_eq!(
            fields,
            json!({
                "name": "immutable field cannot be updated", "nope": "unknown field",
                "config": {
                    "portal_auth": "expected one of: basic-auth, key-auth, openid-connect",
                    "portal_auto_approve": "expected a boolean", "nope": "unknown field",
                    "portal_developer_meta_fields": null, "portal_emails_from": mailbox,
                    "portal_smtp_admin_emails": [null, mailbox]
                }
            })
        );
        let refused = client.patch(PATH, &json!({"config": null})).await?;
        assert_eq!(violations(&refused), json!({"config": "required field missing"}));
        assert_eq!(client.get(PATH).await?.json(), before);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_what_was_read_when_sent_back_then_it_stays_as_configured() -> Result<()> {
    for database in Database::BOTH {
        let admin = Admin::start_with(database, &[("APP_AUTH_PORTAL_AUTO_APPROVE", "true")]).await?;
        let read = admin.client().get(PATH).await?.json();
        admin.client().patch(PATH, &read).await?.expect(200)?;
        assert_eq!(admin.client().get(PATH).await?.json(), read, "{database:?}");
        let log = admin.client().get("/audit?entity=setting").await?.json();
        assert_eq!(log["total"], 0, "{database:?}");
    }
    Ok(())
}

#[tokio::test]
async fn given_two_replicas_when_one_is_told_a_setting_then_the_other_follows_it_at_once() -> Result<()> {
    for database in Database::BOTH {
        let admin = Admin::start(database).await?;
        let replica = admin.replica().await?;
        let before = replica.client().get(PATH).await?.expect(200)?.json();
        assert_eq!(admin.client().get(PATH).await?.json(), before, "{database:?}");

        let config = set(admin.client(), json!({"portal_auto_approve": true})).await?;
        assert_eq!(replica.client().get(PATH).await?.json()["config"], config, "{database:?}");
        assert_eq!(status(replica.client(), "a@example.com").await?, 0, "{database:?}");
    }
    Ok(())
}
