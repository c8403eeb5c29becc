//! `POST /developers/import` and `app-auth-admin import`.

use std::fmt::Write as _;
use std::fs;
use std::process::{Command, Output};

use anyhow::Result;
use app_auth_tests::admin::{Admin, Database};
use app_auth_tests::binaries;
use app_auth_tests::client::{Answer, Client, send};
use reqwest::Method;
use serde_json::{Value, json};

use super::common::on_both;

const CSV: &str = "text/csv";
const LINES: &str = "application/x-ndjson";

async fn import(client: &Client, query: &str, media: &str, file: &str) -> Result<Answer> {
    let request = client.request(Method::POST, &format!("/developers/import{query}"));
    send(request.header("Content-Type", media).body(file.to_owned())).await
}

fn counts(answer: &Answer) -> [u64; 4] {
    let body = answer.json();
    ["lines", "created", "skipped", "refused"].map(|name| body[name].as_u64().unwrap_or(u64::MAX))
}

#[tokio::test]
async fn given_a_table_when_imported_then_its_rows_are_developers_and_bad_rows_are_reported() -> Result<()> {
    on_both(async |client| {
        client.post("/developers/roles", &json!({"name": "QA"})).await?.expect(201)?;
        let file = "email,status,roles,custom_id,key,meta.full_name\n\
            A@example.com,APPROVED,QA,c-1,the-key-of-a,Ann\n\
            b@example.com,1,,,,\"B, \"\"B\"\"\"\n\
            not an address,0,,,,C\n\
            a@example.com,0,,,,Again\n\
            d@example.com,9,nobody,,,\n\
            too,few\n\
            e@example.com,0,,,the-key-of-a,E\n";

        let answer = import(client, "", CSV, file).await?.expect(200)?;

        assert_eq!(counts(&answer), [7, 2, 0, 5], "{}", answer.text());
        let errors = answer.json()["errors"].clone();
        let told = |place: usize| (errors[place]["line"].clone(), errors[place]["error"]["fields"].clone());
        assert_eq!(told(0), (json!(4), json!({"email": "expected a valid e-mail address"})));
        assert_eq!(told(1).0, json!(6));
        let all = json!({"meta": {"full_name": "required field missing"}, "roles": "no role is named 'nobody'",
            "status": "value should be between 0 and 3"});
        assert_eq!(told(1).1, all);
        assert_eq!(errors[2]["error"]["message"], "expected 6 columns, found 2");
        assert_eq!(told(3), (json!(5), json!({"email": "a@example.com"})));
        assert_eq!(told(4), (json!(8), json!({"key": "…of-a"})));

        let a = client.get("/developers/a@example.com").await?.expect(200)?.json();
        assert_eq!((&a["status"], &a["roles"], &a["custom_id"]), (&json!(0), &json!(["QA"]), &json!("c-1")));
        let keys = client.get("/developers/a@example.com/credentials/key-auth").await?.json();
        assert_eq!((&keys["total"], &keys["data"][0]["key"]), (&json!(1), &json!("the-key-of-a")));
        assert_eq!(client.get("/developers").await?.json()["total"], 2);
        assert_eq!(client.get("/developers/e@example.com").await?.status, 404);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_lines_with_applications_when_imported_then_everything_of_a_line_is_there_or_nothing()
-> Result<()> {
    on_both(async |client| {
        client.post("/services", &json!({"name": "orders"})).await?.expect(201)?;
        let developer = |email: &str, application: Value| {
            json!({"email": email, "meta": {"full_name": "D"}, "status": 0, "applications": [application]}).to_string()
        };
        let application = |name: &str, key: &str, service: &str| {
            json!({"name": name, "redirect_uri": "https://app.example.com/", "oauth2": [{"client_id": format!("client-of-{name}")}],
                "key_auth": [{"key": key}], "application_instances": [{"service": {"name": service}, "status": 0}]})
        };
        let plain = json!({"name": "plain", "redirect_uri": "https://app.example.com/"});
        let file = [
            developer("a@example.com", application("one", "key-number-one", "orders")),
            developer("b@example.com", application("two", "key-number-one", "orders")),
            developer("c@example.com", application("three", "key-number-three", "nothing")),
            developer("d@example.com", json!({"name": "four", "redirect_uri": "x"})),
            developer("e@example.com", plain),
            "{\"email\":".to_owned(),
        ]
        .join("\n");

        let answer = import(client, "", LINES, &file).await?.expect(200)?;

        assert_eq!(counts(&answer), [6, 2, 0, 4], "{}", answer.text());
        let errors = answer.json()["errors"].clone();
        let fields: Vec<_> = (0..4).map(|place| errors[place]["error"]["fields"].clone()).collect();
        assert_eq!(fields[0]["applications"], json!([{"redirect_uri": "cannot parse 'x'"}]), "{errors}");
        assert!(fields[2]["applications"][0]["key_auth"][0].as_str().is_some_and(|text| text.contains("UNIQUE")), "{errors}");
        assert!(fields[3]["applications"][0]["application_instances"].is_array(), "{errors}");

        assert_eq!(client.get("/developers").await?.json()["total"], 2);
        let applications = client.get("/developers/a@example.com/applications").await?.json();
        let path = format!("/developers/a@example.com/applications/{}", applications["data"][0]["id"].as_str().unwrap_or_default());
        for (list, member, value) in [
            ("credentials/oauth2", "client_id", json!("client-of-one")),
            ("credentials/key-auth", "key", json!("key-number-one")),
            ("application_instances", "status", json!(0)),
        ] {
            let found = client.get(&format!("{path}/{list}")).await?.json();
            assert_eq!((&found["total"], &found["data"][0][member]), (&json!(1), &value), "{list}");
        }
        let applications = client.get("/developers/e@example.com/applications").await?.json();
        let path = format!("/developers/e@example.com/applications/{}", applications["data"][0]["id"].as_str().unwrap_or_default());
        assert_eq!(client.get(&format!("{path}/credentials/oauth2")).await?.json()["total"], 1);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_developers_that_exist_when_imported_then_they_are_refused_or_skipped_as_asked() -> Result<()> {
    on_both(async |client| {
        let file = "email,meta.full_name\na@example.com,A\nb@example.com,B\n";
        assert_eq!(counts(&import(client, "?dry_run=true", CSV, file).await?.expect(200)?), [2, 2, 0, 0]);
        assert_eq!(client.get("/developers").await?.json()["total"], 0);
        assert_eq!(counts(&import(client, "", CSV, file).await?.expect(200)?), [2, 2, 0, 0]);
        assert_eq!(counts(&import(client, "", CSV, file).await?.expect(200)?), [2, 0, 0, 2]);
        let more = format!("{file}c@example.com,C\n");
        assert_eq!(
            counts(&import(client, "?on_conflict=skip", CSV, &more).await?.expect(200)?),
            [3, 1, 2, 0]
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_what_cannot_be_read_at_all_when_imported_then_it_is_refused() -> Result<()> {
    on_both(async |client| {
        for (query, media, file, status) in [
            ("", "application/json", "{}", 415),
            ("", "text/plain", "x", 415),
            ("", CSV, "", 400),
            ("", CSV, "email,email\n", 400),
            ("?on_conflict=replace", CSV, "email\n", 400),
            ("?dry_run=1", CSV, "email\n", 400),
        ] {
            assert_eq!(import(client, query, media, file).await?.status, status, "{query} {media} {file}");
        }
        let answer = import(client, "", LINES, "").await?.expect(200)?;
        assert_eq!(counts(&answer), [0, 0, 0, 0]);
        assert_eq!(client.get("/developers/import").await?.status, 405);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_what_was_exported_when_imported_elsewhere_then_statuses_are_kept() -> Result<()> {
    let settings = [("APP_AUTH_PORTAL_DEVELOPER_META_FIELDS", "[]")];
    let admin = Admin::start_with(Database::Sqlite, &settings).await?;
    let file = "Email, Status\na@example.com,APPROVED\nb@example.com,REVOKED\n";
    let answer = import(admin.client(), "", CSV, file).await?.expect(200)?;
    assert_eq!(counts(&answer), [2, 2, 0, 0], "{}", answer.text());
    assert_eq!(admin.client().get("/developers/b@example.com").await?.json()["status"], 3);
    Ok(())
}

fn command(admin: &Admin, file: &std::path::Path, more: &[&str]) -> Result<Output> {
    let mut command = Command::new(binaries::admin()?);
    command.arg("import").arg(file).args(["--url", &admin.url(), "--lines-per-request", "10"]).args(more);
    Ok(command.env("APP_AUTH_ADMIN_TOKEN", admin.admin_token()).env("APP_AUTH_LOG", "warn").output()?)
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn given_a_file_when_the_command_imports_it_then_the_refused_lines_can_be_mended_and_imported()
-> Result<()> {
    let admin = Admin::start(Database::Sqlite).await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("developers.csv");
    let mut text = "email,meta.full_name\n".to_owned();
    for number in 0..95 {
        let name = if number % 30 == 7 { "" } else { "\"A\nB\"" };
        writeln!(text, "d{number}@example.com,{name}")?;
    }
    fs::write(&file, &text)?;

    let output = command(&admin, &file, &["--dry-run"])?;
    assert!(
        !output.status.success() && told(&output).contains("92 would be created, 0 skipped, 3 refused"),
        "{}",
        told(&output)
    );
    assert_eq!(admin.client().get("/developers").await?.json()["total"], 0);

    let output = command(&admin, &file, &[])?;
    assert!(!output.status.success() && told(&output).contains("3 lines were refused"), "{}", told(&output));
    assert_eq!(admin.client().get("/developers").await?.json()["total"], 92);
    let refused = folder.path().join("developers.csv.refused.csv");
    let lines = fs::read_to_string(&refused)?;
    assert_eq!(lines, "email,meta.full_name\nd7@example.com,\nd37@example.com,\nd67@example.com,\n");
    let reasons = fs::read_to_string(folder.path().join("developers.csv.reasons.jsonl"))?;
    let first: Value = serde_json::from_str(reasons.lines().next().unwrap_or_default())?;
    assert_eq!(
        (&first["line"], &first["error"]["fields"]),
        (&json!(16), &json!({"meta": {"full_name": "required field missing"}}))
    );
    assert!(!folder.path().join("developers.csv.progress.json").exists());

    let mended = folder.path().join("mended.csv");
    fs::write(&mended, lines.replace(".com,", ".com,M"))?;
    let output = command(&admin, &mended, &[])?;
    assert!(
        output.status.success() && told(&output).contains("3 created, 0 skipped, 0 refused"),
        "{}",
        told(&output)
    );
    Ok(())
}

#[tokio::test]
async fn given_an_admin_extension_that_goes_away_when_the_command_runs_again_then_it_goes_on() -> Result<()> {
    let mut admin = Admin::start(Database::Sqlite).await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("developers.jsonl");
    let line = |number: u32| {
        json!({"email": format!("d{number}@example.com"), "meta": {"full_name": "D"}}).to_string() + "\n"
    };
    // The line too long for any request stops the first run after those before it.
    let text: String = (0..25).map(line).collect();
    fs::write(&file, text.clone() + &"x".repeat(9 << 20))?;
    let output = command(&admin, &file, &[])?;
    assert!(told(&output).contains("line 26 is longer than"), "{}", told(&output));
    let progress = folder.path().join("developers.jsonl.progress.json");
    assert!(progress.exists());

    // Another content is not taken for the rest of this one.
    fs::write(&file, &text)?;
    assert!(told(&command(&admin, &file, &[])?).contains("of another run"));

    // A run that stopped after 10 lines, of which 20 had reached the database.
    admin.restart().await?;
    let mut state: Value = serde_json::from_str(&fs::read_to_string(&progress)?)?;
    let offset: usize = text.lines().take(10).map(|line| line.len() + 1).sum();
    state["digest"] = json!(app_auth_admin::import::digest(&file)?);
    state["offset"] = json!(offset);
    state["line"] = json!(10);
    state["created"] = json!(10);
    fs::write(&progress, state.to_string())?;
    let output = command(&admin, &file, &[])?;
    assert!(
        output.status.success() && told(&output).contains("15 created, 10 skipped, 0 refused"),
        "{}",
        told(&output)
    );
    assert_eq!(admin.client().get("/developers").await?.json()["total"], 25);
    Ok(())
}
