//! `/developers`.

use anyhow::Result;
use app_auth_tests::client::Client;
use serde_json::{Value, json};

use super::common::{on_both, shape, violations};

const ID: &str = "62d17e63-0628-43a3-b936-97b8dcbd366f";

async fn wally(client: &Client) -> Result<Value> {
    let body = json!({"id": ID, "email": "Wally@Example.com", "meta": {"full_name": "Wally"}, "password": "my pass"});
    Ok(client.post("/developers", &body).await?.expect(200)?.json())
}

#[tokio::test]
async fn given_a_developer_when_read_by_id_or_email_in_any_case_then_it_is_the_same() -> Result<()> {
    on_both(async |client| {
        let created = wally(client).await?;
        assert_eq!((&created["id"], &created["email"]), (&json!(ID), &json!("wally@example.com")));
        assert_eq!(created["status"], 1);

        for name in [ID, "wally@example.com", "WALLY@example.COM", "wally%40example.com"] {
            let read = client.get(&format!("/developers/{name}")).await?.expect(200)?;
            assert_eq!(read.json(), created, "{name}");
            assert!(!read.text().contains("pass"), "{}", read.text());
        }
        insta::assert_json_snapshot!("developer_list", shape(&client.get("/developers").await?));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_developer_when_changed_then_the_answer_is_wrapped_and_the_rest_stays() -> Result<()> {
    on_both(async |client| {
        wally(client).await?;
        let path = "/developers/wally@example.com";

        let changed = client.patch(path, &json!({"status": 0, "custom_id": "w-1"})).await?;
        insta::assert_json_snapshot!("developer_changed", shape(&changed));

        let unset = client.patch(path, &json!({"custom_id": null})).await?.expect(200)?.json();
        assert_eq!(unset["developer"].get("custom_id"), None);

        let renamed = client.patch(path, &json!({"email": "Other@example.com"})).await?.expect(200)?.json();
        assert_eq!(renamed["developer"]["email"], "other@example.com");
        assert_eq!(client.get(path).await?.status, 404);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_what_was_read_when_sent_back_then_nothing_changes_but_a_changed_id_is_refused() -> Result<()> {
    on_both(async |client| {
        let created = wally(client).await?;
        let path = format!("/developers/{ID}");

        let same = client.patch(&path, &created).await?.expect(200)?.json();
        assert_eq!(same["developer"]["email"], created["email"]);

        let other =
            json!({"id": "a2d17e63-0628-43a3-b936-97b8dcbd366f", "created_at": 1, "consumer": {"id": ID}});
        let immutable = "immutable field cannot be updated";
        assert_eq!(
            violations(&client.patch(&path, &other).await?),
            json!({"id": immutable, "created_at": immutable, "consumer": immutable})
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_taken_email_or_id_when_used_again_then_it_is_refused() -> Result<()> {
    on_both(async |client| {
        wally(client).await?;
        let meta = json!({"full_name": "Other"});

        let body = json!({"email": "WALLY@example.com", "meta": meta});
        let taken = client.post("/developers", &body).await?;
        insta::assert_json_snapshot!("email_taken", shape(&taken));

        let body = json!({"email": "other@example.com", "meta": meta, "id": ID});
        let taken = client.post("/developers", &body).await?;
        assert_eq!((taken.status, &taken.json()["code"]), (400, &json!(3)));
        assert_eq!(taken.json()["fields"], json!({"id": ID}));

        let body = json!({"email": "other@example.com", "meta": meta});
        let other = client.post("/developers", &body).await?.expect(200)?.field("id")?;
        let taken =
            client.patch(&format!("/developers/{other}"), &json!({"email": "wally@example.com"})).await?;
        assert_eq!((taken.status, &taken.json()["code"]), (409, &json!(5)));
        assert_eq!(client.get("/developers").await?.json()["total"], 2);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_meta_without_a_full_name_when_sent_then_it_is_refused() -> Result<()> {
    on_both(async |client| {
        let missing = json!({"meta": {"full_name": "required field missing"}});
        for meta in
            [json!({}), json!("{}"), json!({"full_name": ""}), json!({"full_name": null}), Value::Null]
        {
            let body = json!({"email": "a@example.com", "meta": meta});
            assert_eq!(violations(&client.post("/developers", &body).await?), missing, "{meta}");
        }
        let body = json!({"email": "a@example.com"});
        assert_eq!(violations(&client.post("/developers", &body).await?), missing);
        let body = json!({"email": "a@example.com", "meta": {"full_name": 7}});
        assert_eq!(
            violations(&client.post("/developers", &body).await?),
            json!({"meta": {"full_name": "expected a string"}})
        );

        wally(client).await?;
        let changed = client.patch(&format!("/developers/{ID}"), &json!({"meta": {"nick": "w"}})).await?;
        assert_eq!(violations(&changed), missing);
        let text = r#"{"full_name":"W", "nick":"w"}"#;
        let changed =
            client.patch(&format!("/developers/{ID}"), &json!({"meta": text})).await?.expect(200)?;
        assert_eq!(changed.json()["developer"]["meta"], text);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_member_that_has_no_place_here_when_sent_then_it_is_unknown() -> Result<()> {
    on_both(async |client| {
        let body = json!({"email": "a@example.com", "meta": {"full_name": "A"}, "role": "x", "consumer": {}});
        let unknown = json!({"role": "unknown field", "consumer": "read-only field cannot be set"});
        assert_eq!(violations(&client.post("/developers", &body).await?), unknown);

        wally(client).await?;
        let key = client.patch(&format!("/developers/{ID}"), &json!({"key": "another key"})).await?;
        assert_eq!(violations(&key), json!({"key": "immutable field cannot be updated"}));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_developer_when_deleted_by_id_or_email_then_they_are_gone_and_it_can_be_repeated()
-> Result<()> {
    on_both(async |client| {
        for name in [ID, "wally@example.com"] {
            wally(client).await?;
            for _ in 0..2 {
                let deleted = client.delete(&format!("/developers/{name}")).await?.expect(204)?;
                assert_eq!(deleted.text(), "");
            }
            assert_eq!(client.get(&format!("/developers/{name}")).await?.status, 404);
        }
        Ok(())
    })
    .await
}
