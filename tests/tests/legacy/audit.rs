//! `/audit`.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use app_auth_tests::admin::{Admin, Database};
use app_auth_tests::audit::{MARK, Writes, lines};
use app_auth_tests::binaries;
use app_auth_tests::client::send;
use app_auth_tests::{contract, ports};
use reqwest::Method;
use serde_json::{Value, json};

use super::common::on_both;

fn texts<'a>(lines: &'a [Value], member: &str) -> Vec<&'a str> {
    lines.iter().map(|line| line[member].as_str().unwrap_or_default()).collect()
}

#[tokio::test]
async fn given_changes_when_the_log_is_read_then_it_tells_who_changed_what_from_what_to_what() -> Result<()> {
    on_both(async |client| {
        let role = client.post("/developers/roles", &json!({"name": "QA"})).await?.expect(201)?;
        let id = role.field("id")?;
        let changed =
            client.patch("/developers/roles/QA", &json!({"comment": "Tests"})).await?.expect(200)?;
        client.delete("/developers/roles/QA").await?.expect(204)?;

        let (bare, commented) =
            (json!({"name": "QA", "comment": null}), json!({"name": "QA", "comment": "Tests"}));
        let found = lines(client, &format!("entity_id={id}")).await?;
        let told: Vec<_> = found
            .iter()
            .map(|line| (line["action"].clone(), line["before"].clone(), line["after"].clone()))
            .collect();
        let expected = [
            (json!("delete"), commented.clone(), Value::Null),
            (json!("update"), bare.clone(), commented),
            (json!("create"), Value::Null, bare),
        ];
        assert_eq!(told, expected);

        let update = &found[1];
        assert_eq!((&update["entity"], &update["entity_id"]), (&json!("role"), &json!(id)));
        assert_eq!(update["actor"], "admin token");
        assert_eq!(update["request_id"], changed.header("x-request-id"));
        assert!(update["at"].as_i64() > Some(1_700_000_000), "{update}");
        let read = client.get(&format!("/audit/{}", update["seq"])).await?.expect(200)?.json();
        assert_eq!(&read, update);
        for nobody in ["0", "999999", "-1", "x", "99999999999999999999"] {
            assert_eq!(client.get(&format!("/audit/{nobody}")).await?.status, 404, "{nobody}");
        }
        for method in [Method::POST, Method::PATCH, Method::DELETE] {
            assert_eq!(send(client.request(method, "/audit")).await?.status, 405);
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_many_changes_when_filtered_and_paged_then_each_that_meets_is_there_once_newest_first()
-> Result<()> {
    on_both(async |client| {
        for number in 0..20 {
            let path = format!("/developers/roles/role {number}");
            client
                .post("/developers/roles", &json!({"name": format!("role {number}")}))
                .await?
                .expect(201)?;
            if number % 2 == 0 {
                client.patch(&path, &json!({"comment": "x"})).await?.expect(200)?;
            }
            if number % 5 == 0 {
                client.delete(&path).await?.expect(204)?;
            }
        }
        let all = lines(client, "").await?;
        let numbers: Vec<_> = all.iter().map(|line| line["seq"].as_u64().unwrap_or_default()).collect();
        let expected: Vec<_> = (1..=numbers.len() as u64).rev().collect();
        assert_eq!(numbers, expected);

        let newest = all[0].clone();
        let (at, request) = (&newest["at"], newest["request_id"].as_str().unwrap_or_default());
        for (filters, count) in [
            ("entity=role", 34),
            ("entity=role&action=create", 20),
            ("entity=role&action=update", 10),
            ("action=delete", 4),
            ("entity=token", 2),
            ("actor=start", 2),
            ("actor=nobody", 0),
            ("actor=admin+token", 34),
            ("since=1970-01-01T00:00:00Z&entity=role", 34),
            ("until=1970-01-01T00:00:00Z", 0),
            ("since=4000000000", 0),
            (format!("until={at}").as_str(), all.len()),
            (format!("request_id={request}").as_str(), 1),
            (format!("request_id={request}&action=create").as_str(), 1),
            (format!("request_id={request}&action=delete").as_str(), 0),
        ] {
            let found = lines(client, filters).await?;
            assert_eq!(found.len(), count, "{filters}");
            let meets = |line: &&Value| found.contains(line);
            assert!(all.iter().filter(meets).eq(&found), "{filters}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_an_argument_that_is_none_when_the_log_is_read_then_it_is_named() -> Result<()> {
    on_both(async |client| {
        for (name, bad) in [
            ("entity", "nobody"),
            ("entity_id", "7"),
            ("since", "yesterday"),
            ("until", "1.5"),
            ("actor", "%00"),
            ("action", &"x".repeat(256)),
            ("request_id", "%00"),
        ] {
            let refused = client.get(&format!("/audit?{name}={bad}")).await?;
            assert_eq!((refused.status, &refused.json()["code"]), (400, &json!(11)), "{name}");
            assert!(refused.json()["fields"][name].is_string(), "{}", refused.text());
        }
        assert_eq!(client.get("/audit?size=0").await?.json()["code"], 9);
        assert_eq!(client.get("/audit?offset=x").await?.json()["code"], 7);
        Ok(())
    })
    .await
}

async fn people(writes: &mut Writes<'_>) -> Result<()> {
    let developer = "/developers/a@example.com";
    let body = json!({"email": "a@example.com", "meta": {"full_name": "A"}, "status": 0,
        "password": format!("{MARK} password"), "key": format!("{MARK} key")});
    writes.write(Method::POST, "/developers", body).await?;
    writes.write(Method::PATCH, developer, json!({"password": format!("{MARK} again")})).await?;
    writes.write(Method::POST, "/developers/roles", json!({"name": "QA"})).await?;
    writes.write(Method::PATCH, developer, json!({"roles": ["QA"]})).await?;
    writes.write(Method::PATCH, "/developers/roles/QA", json!({"comment": "x"})).await?;
    writes.write(Method::DELETE, "/developers/roles/QA", json!({})).await?;
    let import = "/developers/import";
    let line = json!({"email": "i@example.com", "meta": {"full_name": "I"}, "password": format!("{MARK} i"),
        "applications": [{"name": "i", "redirect_uri": "https://example.com/",
            "key_auth": [{"key": format!("{MARK} imported")}]}]});
    let request = writes.client.request(Method::POST, import).header("Content-Type", "application/x-ndjson");
    writes.send(Method::POST, import, request.body(line.to_string())).await?;
    let changes = json!({"config": {"portal_auto_approve": true}});
    writes.write(Method::PATCH, "/workspaces/default", changes).await?;

    let secret = |what: &str| format!("{MARK} {what}");
    let config = |password: &str| json!({"minute": 5, "redis": {"password": secret(password)}});
    let body = json!({"name": "rate-limiting", "config": config("redis")});
    let plugin = writes.create(&format!("{developer}/plugins"), body).await?;
    writes.write(Method::PATCH, &plugin, json!({"config": config("other redis")})).await?;
    writes.write(Method::DELETE, &plugin, json!({})).await?;
    for (family, body, changes) in [
        ("basic-auth", json!({"username": "a", "password": secret("b")}), json!({"password": secret("c")})),
        (
            "oauth2",
            json!({"name": "a", "client_id": secret("d"), "client_secret": secret("e")}),
            json!({"client_secret": secret("f"), "hash_secret": true}),
        ),
        ("hmac-auth", json!({"username": "a", "secret": secret("g")}), json!({"secret": secret("h")})),
        ("jwt", json!({"secret": secret("i")}), json!({"secret": secret("j")})),
        ("key-auth", json!({"key": secret("k")}), json!({"key": secret("l")})),
        ("openid-connect", json!({"issuer": "https://example.com", "subject": "a"}), json!({"tags": ["x"]})),
    ] {
        let list = format!("{developer}/credentials/{family}");
        let one = writes.create(&list, body).await?;
        writes.write(Method::PATCH, &one, changes).await?;
        writes.write(Method::DELETE, &one, json!({})).await?;
    }
    // With everything made up.
    for family in ["jwt", "key-auth"] {
        writes.create(&format!("{developer}/credentials/{family}"), json!({})).await?;
    }
    Ok(())
}

async fn mails(writes: &mut Writes<'_>) -> Result<()> {
    writes.write(Method::POST, "/developers/invite", json!({"emails": ["z@example.com"]})).await?;
    writes
        .write(
            Method::POST,
            "/developers",
            json!({"email": "p@example.com", "status": 1, "meta": {"full_name": "P"}}),
        )
        .await?;
    let waiting = writes.client.get("/mails").await?.expect(200)?.json();
    let id = waiting["data"][0]["id"].as_str().context("no mail waits")?.to_owned();
    writes.write(Method::DELETE, &format!("/mails/{id}"), json!({})).await?;
    Ok(())
}

async fn applications(writes: &mut Writes<'_>) -> Result<()> {
    let service = "/services/orders";
    writes.write(Method::POST, "/services", json!({"name": "billing"})).await?;
    writes.write(Method::PUT, service, json!({})).await?;
    writes.write(Method::PATCH, service, json!({"auto_approve": true})).await?;

    let developer = "/developers/a@example.com";
    let body = json!({"name": "a", "redirect_uri": "https://example.com/"});
    let application = writes.create(&format!("{developer}/applications"), body).await?;
    let first = writes.client.get(&format!("{application}/credentials/oauth2")).await?.expect(200)?.json();
    ensure!(first["total"] == 1, "{first}");
    writes.hear(&first);
    writes.write(Method::PATCH, &application, json!({"custom_id": "c"})).await?;

    let instances = format!("{application}/application_instances");
    let instance = writes.create(&instances, json!({"service": {"name": "orders"}})).await?;
    writes.write(Method::PATCH, &instance, json!({"status": 3})).await?;
    writes.write(Method::DELETE, &instance, json!({})).await?;

    let keys = format!("{application}/credentials/key-auth");
    let key = writes.create(&keys, json!({})).await?;
    writes.write(Method::PATCH, &key, json!({"key": format!("{MARK} application's key")})).await?;
    writes.write(Method::DELETE, &key, json!({})).await?;
    let clients = format!("{application}/credentials/oauth2");
    let body =
        json!({"client_id": format!("{MARK} client"), "client_secret": format!("{MARK} client's secret")});
    let one = writes.create(&clients, body).await?;
    writes.write(Method::DELETE, &one, json!({})).await?;
    let body = json!({"client_secret": format!("{MARK} hashed"), "hash_secret": true});
    writes.create(&clients, body).await?;

    for path in [&application, service, developer] {
        writes.write(Method::DELETE, path, json!({})).await?;
    }
    Ok(())
}

/// Runs the program with the data of a running admin extension and answers what it prints.
fn command_line(admin: &Admin, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(binaries::admin()?);
    command.args(arguments).env("APP_AUTH_DATA", admin.data());
    if let Some(postgres) = admin.postgres() {
        command.env("APP_AUTH_DATABASE_URL", postgres.url());
    }
    let output = command.output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[tokio::test]
async fn given_one_of_each_write_when_the_log_is_read_then_each_left_a_line_and_no_secret_is_in_any()
-> Result<()> {
    for database in Database::BOTH {
        // A mail server that is away, so that there are mails to be given up.
        let nowhere = ports::free()?.to_string();
        let settings = [
            ("APP_AUTH_SMTP_MOCK", "false"),
            ("APP_AUTH_SMTP_HOST", "127.0.0.1"),
            ("APP_AUTH_SMTP_PORT", nowhere.as_str()),
            ("APP_AUTH_SMTP_ADMIN_EMAILS", "admin@example.com"),
        ];
        let admin = Admin::start_with(database, &settings).await?;
        let client = admin.client();
        let mut writes = Writes::new(client);
        people(&mut writes).await?;
        applications(&mut writes).await?;
        mails(&mut writes).await?;
        let token = command_line(&admin, &["token", "create", "--kind", "admin", "--name", "ci"])?;
        let made = lines(client, "entity=token&actor=command+line").await?;
        let id = made[0]["entity_id"].as_str().context("no token was made")?;
        command_line(&admin, &["token", "revoke", id])?;
        assert_eq!(texts(&lines(client, &format!("entity_id={id}")).await?, "action"), ["revoke", "create"]);

        for operation in contract::operations() {
            // Asking for another try of what Kong has to be told changes nothing here, and what gateways ask nothing that
            // is logged; `/v2` has scenarios of its own.
            let asks = ["/kong/sync", "/gateway/"].iter().any(|door| operation.1.starts_with(door));
            let read = operation.0 == "GET" || asks;
            let elsewhere = operation.1.starts_with("/v2/");
            assert!(read || elsewhere || writes.done.contains(&operation), "{operation:?} is not tried");
        }

        let mut log = lines(client, "").await?;
        for line in &log {
            // Whatever has a line can be asked for.
            let path = format!("/audit?entity={}&size=1", line["entity"].as_str().unwrap_or_default());
            client.get(&path).await?.expect(200)?;
        }
        for line in &mut log {
            line["request_id"] = Value::Null;
        }
        let told = json!(log).to_string();
        writes.secrets.extend([token, admin.admin_token().to_owned(), admin.gateway_token().to_owned()]);
        assert!(writes.secrets.len() >= 25, "{}", writes.secrets.len());
        for secret in writes.secrets.iter().chain([&MARK.to_owned()]) {
            assert!(!told.contains(secret.as_str()), "{database:?}: {secret} is in the log");
        }
        // That a secret changed is told all the same.
        let developers = lines(client, "entity=developer&action=update").await?;
        assert!(developers.iter().any(|line| line["after"]["password"] == "(changed)"), "{developers:?}");
        assert!(log.iter().any(|line| line["after"]["key"] == "(changed)"), "{told}");
    }
    Ok(())
}
