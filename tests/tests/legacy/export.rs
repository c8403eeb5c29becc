//! `/developers/export`.

use anyhow::Result;
use app_auth_tests::client::{Client, send};
use reqwest::Method;
use serde_json::json;

use super::common::on_both;

async fn developer(client: &Client, email: &str, status: u8) -> Result<()> {
    let body = json!({"email": email, "status": status, "meta": {"full_name": "D"}});
    client.post("/developers", &body).await?.expect(200)?;
    Ok(())
}

#[tokio::test]
async fn given_developers_of_each_status_when_exported_then_the_table_has_a_line_for_each() -> Result<()> {
    on_both(async |client| {
        assert_eq!(client.get("/developers/export").await?.expect(200)?.text(), "Email, Status\n");
        for status in 0..4 {
            developer(client, &format!("{status}@example.com"), status).await?;
        }

        let table = client.get("/developers/export").await?.expect(200)?;
        assert_eq!(
            table.text(),
            "Email, Status\n0@example.com,APPROVED\n1@example.com,PENDING\n2@example.com,REJECTED\n\
             3@example.com,REVOKED\n"
        );
        assert_eq!(table.header("content-type"), "text/csv; charset=utf-8");
        assert_eq!(table.header("content-disposition"), "attachment; filename=\"developers.csv\"");
        let revoked = client.get("/developers/export?status=3").await?.expect(200)?;
        assert_eq!(revoked.text(), "Email, Status\n3@example.com,REVOKED\n");
        let refused = client.get("/developers/export?status=4").await?;
        assert_eq!((refused.status, &refused.json()["code"]), (400, &json!(11)));

        let head = send(client.request(Method::HEAD, "/developers/export")).await?;
        assert_eq!((head.status, head.body.len()), (200, 0));
        assert_eq!(head.header("content-type"), table.header("content-type"));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_addresses_that_begin_like_formulas_when_exported_then_they_are_made_text() -> Result<()> {
    on_both(async |client| {
        for email in ["=cmd@example.com", "+a@example.com", "-b@example.com", "c+d=e@example.com"] {
            developer(client, email, 1).await?;
        }
        let table = client.get("/developers/export").await?.expect(200)?.text();
        let expected = "Email, Status\n'=cmd@example.com,PENDING\n'+a@example.com,PENDING\n\
            '-b@example.com,PENDING\nc+d=e@example.com,PENDING\n";
        assert_eq!(table, expected);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_more_developers_than_fit_one_page_when_exported_then_each_is_there_once() -> Result<()> {
    on_both(async |client| {
        let emails: Vec<_> = (0..2500).map(|number| format!("d{number}@example.com")).collect();
        let line = |email: &String| json!({"email": email, "meta": {"full_name": "D"}}).to_string();
        let file = emails.iter().map(line).collect::<Vec<_>>().join("\n");
        let import = client.request(Method::POST, "/developers/import");
        let report =
            send(import.header("Content-Type", "application/x-ndjson").body(file)).await?.expect(200)?;
        assert_eq!(report.json()["created"], 2500);

        let table = client.get("/developers/export").await?.expect(200)?.text();
        let mut found: Vec<_> =
            table.lines().skip(1).filter_map(|line| line.strip_suffix(",PENDING")).collect();
        found.sort_unstable();
        let mut expected = emails;
        expected.sort_unstable();
        assert_eq!(found, expected);
        Ok(())
    })
    .await
}
