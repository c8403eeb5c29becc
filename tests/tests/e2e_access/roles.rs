//! What tokens of each role may ask of the admin APIs: every operation of the OpenAPI document is tried, so that one that is
//! new cannot be forgotten.

use anyhow::{Context as _, Result};
use app_auth_tests::admin::{Admin, Database};
use app_auth_tests::audit::lines;
use app_auth_tests::client::{Client, send};
use app_auth_tests::contract;
use app_auth_tests::portal::{Portal, Status};
use app_auth_tests::products::{DEFAULT_PORTAL, Products};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::visit::Visit;

/// Besides reading, all that an approver may do.
const DECISIONS: [(&str, &str); 6] = [
    ("PATCH", "/developers/{developer}"),
    ("PATCH", "/developers/{developer}/applications/{application}/application_instances/{instance}"),
    ("DELETE", "/developers/{developer}/applications/{application}/application_instances/{instance}"),
    ("PATCH", "/v2/portals/{portalId}/developers/{developerId}"),
    ("PATCH", "/v2/portals/{portalId}/applications/{applicationId}/registrations/{registrationId}"),
    ("DELETE", "/v2/portals/{portalId}/applications/{applicationId}/registrations/{registrationId}"),
];

/// A client whose token has a role.
pub fn with_role(admin: &Admin, role: &str) -> Result<Client> {
    let token = admin.run(&["token", "create", "--kind", "admin", "--role", role, "--name", role])?;
    Ok(admin.client().with_token(Some(token.trim())))
}

/// The path with something in the place of every variable that there never was.
fn filled(template: &str) -> String {
    let segments = template.split('/').map(|segment| match segment {
        "{plugin}" => "key-auth".to_owned(),
        "{target}" => "developer".to_owned(),
        "{workspace}" => "default".to_owned(),
        segment if segment.starts_with('{') => Uuid::new_v4().to_string(),
        segment => segment.to_owned(),
    });
    segments.collect::<Vec<_>>().join("/")
}

/// Asks for an operation as no caller would who means it: none can succeed.
async fn try_operation(client: &Client, method: &str, path: &str) -> Result<u16> {
    let method = Method::from_bytes(method.as_bytes())?;
    Ok(send(client.request(method, path).json(&json!({"status": []}))).await?.status)
}

#[tokio::test]
async fn given_each_operation_that_changes_something_when_tried_with_a_role_then_only_some_are_allowed()
-> Result<()> {
    let admin = Admin::start(Database::Sqlite).await?;
    let (viewer, approver) = (with_role(&admin, "viewer")?, with_role(&admin, "approver")?);
    let before = lines(admin.client(), "").await?.len();
    let (mut refused, mut decided) = (0, 0);
    for (method, template) in contract::operations() {
        if method == "GET" || template.starts_with("/gateway/") {
            continue;
        }
        let prefixes: &[&str] = if template.starts_with("/v2/") { &[""] } else { &["", "/default"] };
        for prefix in prefixes {
            let path = format!("{prefix}{}", filled(&template));
            let what = format!("{method} {path}");
            assert_eq!(try_operation(&viewer, &method, &path).await?, 403, "viewer: {what}");
            let decision = DECISIONS.contains(&(&*method, &*template));
            let answer = try_operation(&approver, &method, &path).await?;
            assert_eq!(answer != 403, decision, "approver: {what}: {answer}");
            assert_ne!(try_operation(admin.client(), &method, &path).await?, 403, "admin: {what}");
            refused += usize::from(!decision);
            decided += usize::from(decision);
        }
    }
    assert!(refused > 40 && decided > DECISIONS.len(), "{refused} {decided}");
    let after = lines(admin.client(), "").await?;
    assert_eq!(after.len(), before, "nothing has changed: {after:?}");
    Ok(())
}

#[tokio::test]
async fn given_an_approver_when_deciding_then_that_is_done_and_whatever_else_comes_with_it_is_refused()
-> Result<()> {
    for database in Database::BOTH {
        println!("on {database:?}");
        let admin = Admin::start(database).await?;
        let approver = with_role(&admin, "approver")?;
        let portal = Portal::new(admin.client());
        let service = Uuid::new_v4();
        portal.service(service, "orders", json!({})).await?;
        let developer = portal.developer(Status::Pending).await?;
        let application = portal.application(&developer).await?;
        let connection = portal.connection(&application, service).await?.path();
        let developer = format!("/developers/{developer}");

        for path in [&developer, &connection] {
            for status in [0, 3, 0, 2] {
                let body = json!({"status": status, "reason": "because"});
                approver.patch(path, &body).await?.expect(200)?;
                let decided = admin.client().get(path).await?.json();
                assert_eq!(
                    (&decided["status"], &decided["reason"]),
                    (&json!(status), &json!("because")),
                    "{path}"
                );
            }
            let state = admin.client().get(path).await?.json();
            for more in [
                json!({"status": 0, "email": "other@example.com"}),
                json!({"status": 0, "custom_id": "x"}),
                json!({"status": 0, "password": "a password"}),
                json!({"status": 0, "meta": "{\"full_name\": \"Other\"}"}),
                json!({"suspended": true}),
            ] {
                let answer = approver.patch(path, &more).await?;
                // What the one has, the other may not know.
                assert!(matches!(answer.status, 400 | 403), "{path} {more}: {}", answer.text());
                assert_eq!(admin.client().get(path).await?.json(), state, "{path} {more}");
            }
        }
        let refused =
            approver.patch(&developer, &json!({"status": 0, "custom_id": "x"})).await?.expect(403)?;
        assert_eq!(refused.json(), json!({"message": "the role approver does not allow this"}));
        approver.delete(&connection).await?.expect(204)?;
        approver.delete(&developer).await?.expect(403)?;

        let by_approver = lines(admin.client(), "actor=approver").await?;
        assert_eq!(by_approver.len(), 9, "{by_approver:?}");
    }
    Ok(())
}

#[tokio::test]
async fn given_an_approver_when_deciding_in_a_portal_then_that_is_done_and_nothing_else() -> Result<()> {
    let admin = Admin::start(Database::Sqlite).await?;
    let approver = with_role(&admin, "approver")?;
    let products = Products::new(admin.client());
    let strategy = products.strategy(&["apikey"]).await?;
    let version = products.version("orders", None).await?;
    products.offer(DEFAULT_PORTAL, &version, Some(&strategy), json!({})).await?;
    let developer = products.developer(DEFAULT_PORTAL).await?;
    let members = json!({"auth_strategy_id": strategy});
    let application = products.application_of(DEFAULT_PORTAL, &developer, members).await?;
    let registration = products.register(&application, &version, None).await?;
    let developer = format!("/v2/portals/{DEFAULT_PORTAL}/developers/{developer}");

    for path in [&registration, &developer] {
        for status in ["approved", "revoked", "approved", "rejected"] {
            let decided = approver.patch(path, &json!({"status": status})).await?.expect(200)?.json();
            assert_eq!(decided["status"], status, "{path}");
        }
    }
    let refused = approver.delete(&developer).await?.expect(403)?;
    assert_eq!(refused.header("content-type"), "application/problem+json");
    assert_eq!(refused.json()["detail"], "the role approver does not allow this");
    assert_eq!(admin.client().get(&developer).await?.json()["status"], "rejected");
    approver.delete(&registration).await?.expect(204)?;
    Ok(())
}

#[tokio::test]
async fn given_each_role_at_the_console_when_it_sends_a_form_then_only_what_it_may_is_done() -> Result<()> {
    let admin = Admin::start(Database::Sqlite).await?;
    let portal = Portal::new(admin.client());
    let service = Uuid::new_v4();
    portal.service(service, "orders", json!({})).await?;
    let application = portal.application(&portal.developer(Status::Approved).await?).await?;
    let connection = portal.connection(&application, service).await?;
    let page = format!("/console/applications/{}", application.id);
    let decide = |decision: &str| format!("{page}/connections/{}/{decision}", connection.id);
    let status = async || -> Result<Value> {
        Ok(admin.client().get(&connection.path()).await?.json()["status"].clone())
    };

    for (role, may_decide, may_change) in
        [("viewer", false, false), ("approver", true, false), ("admin", true, true)]
    {
        let token = admin.run(&["token", "create", "--kind", "admin", "--role", role, "--name", role])?;
        let mut visit = Visit::new(&admin.url());
        visit.sign_in(token.trim()).await?;
        let csrf = visit.csrf(&page).await?;
        let before = status().await?;
        let (decision, after) = if before == json!(0) { ("revoke", 3) } else { ("approve", 0) };
        let decided = visit.post(&decide(decision), &[("csrf", &csrf)]).await?;
        assert_eq!(decided.status, if may_decide { 303 } else { 403 }, "{role}");
        assert_eq!(status().await?, if may_decide { json!(after) } else { before }, "{role}");
        let changed = visit.post(&format!("{page}/delete"), &[("csrf", &csrf)]).await?;
        assert_eq!(changed.status, if may_change { 303 } else { 403 }, "{role}");
        let there = admin.client().get(&application.path()).await?.status;
        assert_eq!(there, if may_change { 404 } else { 200 }, "{role}");
    }
    Ok(())
}

#[tokio::test]
async fn given_tokens_of_each_role_when_listed_then_each_shows_its_role() -> Result<()> {
    let admin = Admin::start(Database::Sqlite).await?;
    for role in ["viewer", "approver", "admin"] {
        with_role(&admin, role)?;
    }
    let listed = admin.run(&["token", "list"])?;
    let role_of = |name: &str| {
        let line = listed.lines().find(|line| line.ends_with(name));
        Some(line?.split_whitespace().nth(2)?.to_owned())
    };
    for role in ["viewer", "approver", "admin"] {
        assert_eq!(role_of(role).as_deref(), Some(role), "{listed}");
    }
    assert!(listed.lines().any(|line| line.contains("  gateway  -  ")), "{listed}");
    let mixed = ["token", "create", "--kind", "gateway", "--role", "viewer", "--name", "x"];
    let refused = admin.run(&mixed).err().context("a gateway token has no role")?;
    assert!(refused.to_string().contains("only admin tokens have roles"), "{refused}");
    let kinds: Vec<Value> = lines(admin.client(), "entity=token").await?;
    assert!(kinds.iter().any(|line| line["after"]["role"] == "viewer"), "{kinds:?}");
    Ok(())
}
