//! `ETag` and `If-Match`: who has not seen the last change overwrites nothing.

use anyhow::Result;
use app_auth_tests::client::{Answer, Client, send};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::common::{PROVIDERS, STRATEGIES, everything, key_auth, on_both, provider};

async fn if_match(client: &Client, method: Method, path: &str, tag: &str, body: &Value) -> Result<Answer> {
    send(client.request(method, path).header("if-match", tag).json(body)).await
}

#[tokio::test]
async fn given_a_change_somebody_has_not_seen_when_they_write_then_it_is_not_lost() -> Result<()> {
    on_both(async |client| {
        for (list, body) in [(STRATEGIES, key_auth("a")), (PROVIDERS, provider("okta", "a"))] {
            let made = client.post(list, &body).await?.expect(201)?;
            let path = format!("{list}/{}", made.field("id")?);
            let seen = made.header("etag").to_owned();
            let changes = json!({"name": "b"});
            let after = if_match(client, Method::PATCH, &path, &seen, &changes).await?.expect(200)?;
            let newest = after.header("etag").to_owned();
            assert_ne!(newest, seen);

            let before = everything(client).await?;
            let mut writes = vec![(Method::PATCH, json!({"name": "c"})), (Method::DELETE, Value::Null)];
            if list == STRATEGIES {
                writes.push((Method::PUT, body.clone()));
            }
            for (method, body) in &writes {
                for stale in [seen.as_str(), "\"0\"", &format!("W/{newest}"), "x"] {
                    let lost = if_match(client, method.clone(), &path, stale, body).await?;
                    assert_eq!(lost.status, 412, "{method} {stale}: {}", lost.text());
                    assert_eq!(lost.json()["title"], "Precondition Failed");
                }
            }
            assert_eq!(everything(client).await?, before);

            let several = format!("{seen}, {newest}");
            let after = if_match(client, Method::PATCH, &path, &several, &changes).await?.expect(200)?;
            assert_ne!(after.header("etag"), newest, "two changes share no tag");
            if list == STRATEGIES {
                let tag = after.header("etag");
                if_match(client, Method::PUT, &path, tag, &body).await?.expect(201)?;
            }
            if_match(client, Method::DELETE, &path, "*", &Value::Null).await?.expect(204)?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_no_strategy_when_one_is_put_by_who_saw_one_then_it_is_not_made() -> Result<()> {
    on_both(async |client| {
        let path = format!("{STRATEGIES}/{}", Uuid::new_v4());
        for tag in ["*", "\"1\""] {
            let refused = if_match(client, Method::PUT, &path, tag, &key_auth("a")).await?;
            assert_eq!(refused.status, 412, "{tag}");
        }
        assert_eq!(client.get(&path).await?.status, 404);
        Ok(())
    })
    .await
}
