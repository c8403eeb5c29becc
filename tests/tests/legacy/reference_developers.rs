//! The examples of the API's reference page about developers and roles, one test for each, named after its section.

use anyhow::Result;
use app_auth_tests::client::Client;
use reqwest::Method;
use serde_json::{Value, json};

use super::common::on_both;
use super::reference::curl;

const ID: &str = "62d17e63-0628-43a3-b936-97b8dcbd366f";

/// The example of "Create a developer account".
async fn wally(client: &Client) -> Result<Value> {
    let data = "email=example@example.com&meta={\"full_name\":\"Wally\"}&password=mypass\
        &id=62d17e63-0628-43a3-b936-97b8dcbd366f";
    Ok(curl(client, Method::POST, "/developers", data).await?.expect(200)?.json())
}

async fn role(client: &Client, data: &str) -> Result<Value> {
    Ok(curl(client, Method::POST, "/developers/roles", data).await?.expect(201)?.json())
}

/// The names of an object's members, sorted.
fn members(value: &Value) -> Vec<&str> {
    value.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect()
}

#[tokio::test]
async fn given_the_reference_when_list_all_developers_is_run_then_it_answers_as_written() -> Result<()> {
    on_both(async |client| {
        role(client, "name=application developer").await?;
        for (email, name) in [("some-email@example.com", "Barry"), ("some-other-email@example.com", "Diana")]
        {
            let data = format!(
                "email={email}&meta={{\"full_name\":\"{name}\"}}&status=0&roles[]=application developer"
            );
            curl(client, Method::POST, "/developers", &data).await?.expect(200)?;
        }

        let list = client.get("/developers").await?.expect(200)?.json();
        assert_eq!((&list["next"], &list["total"]), (&Value::Null, &json!(2)));
        let barry = &list["data"][0];
        let expected = ["consumer", "created_at", "email", "id", "meta", "roles", "status", "updated_at"];
        assert_eq!(members(barry), expected);
        assert_eq!(members(&barry["consumer"]), ["id"]);
        assert_eq!(
            (&barry["email"], &barry["meta"], &barry["roles"], &barry["status"]),
            (
                &json!("some-email@example.com"),
                &json!("{\"full_name\":\"Barry\"}"),
                &json!(["application developer"]),
                &json!(0)
            )
        );
        assert_eq!(list["data"][1]["email"], "some-other-email@example.com");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_the_reference_when_create_a_developer_account_is_run_then_it_answers_as_written() -> Result<()>
{
    on_both(async |client| {
        let created = wally(client).await?;
        let expected = ["consumer", "created_at", "email", "id", "meta", "status", "updated_at"];
        assert_eq!(members(&created), expected);
        assert_eq!(
            (&created["email"], &created["meta"], &created["id"]),
            (&json!("example@example.com"), &json!("{\"full_name\":\"Wally\"}"), &json!(ID))
        );
        // As the page's table has it: who is not approved when created waits for approval.
        assert_eq!(created["status"], 1);
        for status in 0..4 {
            let data = format!("email={status}@example.com&meta={{\"full_name\":\"W\"}}&status={status}");
            let created = curl(client, Method::POST, "/developers", &data).await?.expect(200)?.json();
            assert_eq!(created["status"], status);
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_the_reference_when_inspect_a_developer_is_run_then_it_answers_as_written() -> Result<()> {
    on_both(async |client| {
        wally(client).await?;
        role(client, "name=QA").await?;
        curl(client, Method::PATCH, "/developers/example@example.com", "status=0&roles[]=QA")
            .await?
            .expect(200)?;
        for name in ["example@example.com", ID] {
            let developer = client.get(&format!("/developers/{name}")).await?.expect(200)?.json();
            assert_eq!((&developer["roles"], &developer["status"]), (&json!(["QA"]), &json!(0)), "{name}");
            assert_eq!(developer["id"], ID);
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_the_reference_when_update_a_developer_is_run_then_it_answers_as_written() -> Result<()> {
    on_both(async |client| {
        let created = wally(client).await?;
        let path = "/developers/example@example.com";
        let data = "meta={\"full_name\":\"Walter\"}&email=walter@example.com&status=0";
        let changed = curl(client, Method::PATCH, path, data).await?.expect(200)?.json();
        assert_eq!(members(&changed), ["developer"]);
        let developer = &changed["developer"];
        assert_eq!(
            (&developer["meta"], &developer["email"], &developer["status"]),
            (&json!("{\"full_name\":\"Walter\"}"), &json!("walter@example.com"), &json!(0))
        );
        for same in ["id", "consumer", "created_at"] {
            assert_eq!(developer[same], created[same], "{same}");
        }
        for status in 0..4 {
            let data = format!("status={status}");
            let path = format!("/developers/{ID}");
            let changed = curl(client, Method::PATCH, &path, &data).await?.expect(200)?.json();
            assert_eq!(changed["developer"]["status"], status);
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_the_reference_when_delete_a_developer_is_run_then_it_answers_as_written() -> Result<()> {
    on_both(async |client| {
        wally(client).await?;
        assert_eq!(client.delete(&format!("/developers/{ID}")).await?.expect(204)?.text(), "");
        assert_eq!(client.get(&format!("/developers/{ID}")).await?.status, 404);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_the_reference_when_export_developer_metadata_is_run_then_it_answers_as_written() -> Result<()>
{
    on_both(async |client| {
        for (email, status) in [("test", 0), ("test1", 1), ("test2", 3), ("test3", 2)] {
            let data = format!("email={email}@example.com&meta={{\"full_name\":\"T\"}}&status={status}");
            curl(client, Method::POST, "/developers", &data).await?.expect(200)?;
        }
        let table = client.get("/developers/export").await?.expect(200)?.text();
        let written = [
            "Email, Status",
            "test@example.com,APPROVED",
            "test1@example.com,PENDING",
            "test2@example.com,REVOKED",
            "test3@example.com,REJECTED",
        ];
        assert_eq!(table.lines().collect::<Vec<_>>(), written);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_the_reference_when_list_all_dev_portal_roles_is_run_then_it_answers_as_written() -> Result<()>
{
    on_both(async |client| {
        let none = client.get("/developers/roles").await?.expect(200)?.json();
        assert_eq!(none, json!({"data": [], "next": null, "total": 0}));
        for name in ["Application Developer", "QA"] {
            role(client, &format!("name={name}")).await?;
        }

        let list = client.get("/developers/roles").await?.expect(200)?.json();
        assert_eq!((&list["next"], &list["total"]), (&Value::Null, &json!(2)));
        for (place, name) in ["Application Developer", "QA"].into_iter().enumerate() {
            assert_eq!(members(&list["data"][place]), ["created_at", "id", "name"]);
            assert_eq!(list["data"][place]["name"], name);
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_the_reference_when_create_a_dev_portal_role_is_run_then_it_answers_as_written() -> Result<()> {
    on_both(async |client| {
        let billing = role(client, "name=Billing&comment=Billing services team").await?;
        assert_eq!(members(&billing), ["comment", "created_at", "id", "name", "permissions"]);
        assert_eq!(
            (&billing["comment"], &billing["name"], &billing["permissions"]),
            (&json!("Billing services team"), &json!("Billing"), &json!({}))
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_the_reference_when_inspect_a_role_is_run_then_it_answers_as_written() -> Result<()> {
    on_both(async |client| {
        let billing = role(client, "name=Billing&comment=Billing services team").await?;
        let id = billing["id"].as_str().unwrap_or_default();
        for name in ["Billing", id] {
            assert_eq!(client.get(&format!("/developers/roles/{name}")).await?.expect(200)?.json(), billing);
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_the_reference_when_update_a_role_is_run_then_it_answers_as_written() -> Result<()> {
    on_both(async |client| {
        let mut billing = role(client, "name=Invoices").await?;
        let data = "name=Billing&comment=Billing services team";
        let changed =
            curl(client, Method::PATCH, "/developers/roles/Invoices", data).await?.expect(200)?.json();
        billing["name"] = json!("Billing");
        billing["comment"] = json!("Billing services team");
        assert_eq!(changed, billing);
        let path = format!("/developers/roles/{}", changed["id"].as_str().unwrap_or_default());
        let again = curl(client, Method::PATCH, &path, "comment=Invoices").await?.expect(200)?.json();
        assert_eq!((&again["name"], &again["comment"]), (&json!("Billing"), &json!("Invoices")));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_the_reference_when_delete_a_role_is_run_then_it_answers_as_written() -> Result<()> {
    on_both(async |client| {
        for name in ["Billing", "QA"] {
            let made = role(client, &format!("name={name}")).await?;
            let named = if name == "QA" { name } else { made["id"].as_str().unwrap_or_default() };
            assert_eq!(client.delete(&format!("/developers/roles/{named}")).await?.expect(204)?.text(), "");
            assert_eq!(client.get(&format!("/developers/roles/{name}")).await?.status, 404);
        }
        Ok(())
    })
    .await
}
