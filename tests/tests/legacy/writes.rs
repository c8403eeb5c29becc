//! Every write can be waited for.

use anyhow::Result;
use app_auth_tests::client::{Answer, Client, send};
use reqwest::Method;
use serde_json::{Value, json};

use super::common::on_both;

async fn write(client: &Client, method: Method, path: &str, body: Value) -> Result<Answer> {
    let answer = send(client.request(method.clone(), path).header("Prefer", "wait=5").json(&body)).await?;
    assert!(answer.status < 300, "{method} {path}: {}", answer.text());
    assert_eq!(answer.header("x-gateways-applied"), "0/0", "{method} {path}");
    Ok(answer)
}

#[tokio::test]
async fn given_prefer_wait_when_anything_is_written_then_the_answer_tells_how_many_gateways_know()
-> Result<()> {
    on_both(async |client| {
        let service = "/services/orders";
        write(client, Method::PUT, service, json!({})).await?;
        write(client, Method::PATCH, service, json!({"auto_approve": true})).await?;
        write(client, Method::POST, "/services", json!({"name": "billing"})).await?;

        let role = "/developers/roles/QA";
        write(client, Method::POST, "/developers/roles", json!({"name": "QA"})).await?;
        write(client, Method::PATCH, role, json!({"comment": "x"})).await?;
        let changes = json!({"config": {"portal_auto_approve": true}});
        write(client, Method::PATCH, "/workspaces/default", changes).await?;

        let developer = "/developers/a@example.com";
        let body = json!({"email": "a@example.com", "meta": {"full_name": "A"}});
        write(client, Method::POST, "/developers", body).await?;
        write(client, Method::PATCH, developer, json!({"status": 0})).await?;

        let applications = format!("{developer}/applications");
        let body = json!({"name": "a", "redirect_uri": "https://example.com/"});
        let application = write(client, Method::POST, &applications, body).await?.field("id")?;
        let application = format!("{applications}/{application}");
        write(client, Method::PATCH, &application, json!({"custom_id": "c"})).await?;

        for (kind, body, change) in [
            ("credentials/key-auth", json!({}), Some(json!({"ttl": 60}))),
            ("credentials/oauth2", json!({}), None),
            ("application_instances", json!({"service": {"name": "orders"}}), Some(json!({"status": 3}))),
        ] {
            let list = format!("{application}/{kind}");
            let one = format!("{list}/{}", write(client, Method::POST, &list, body).await?.field("id")?);
            if let Some(change) = change {
                write(client, Method::PATCH, &one, change).await?;
            }
            write(client, Method::DELETE, &one, json!({})).await?;
        }

        for path in [application.as_str(), developer, developer, role, role, service, service] {
            write(client, Method::DELETE, path, json!({})).await?;
        }
        Ok(())
    })
    .await
}
