//! Credentials of developers and of applications.

use anyhow::Result;
use app_auth_tests::client::{Client, send};
use reqwest::Method;
use serde_json::{Value, json};

use super::{curl, members};
use crate::common::on_both;

const ID: &str = "91a1fb59-d90f-4f07-b609-4c2a1e3d847e";
const MEMBERS: [&str; 4] = ["consumer", "created_at", "id", "key"];
const CLIENT_MEMBERS: [&str; 9] = [
    "client_id",
    "client_secret",
    "client_type",
    "consumer",
    "created_at",
    "hash_secret",
    "id",
    "name",
    "redirect_uris",
];

/// Makes the developer of the examples; answers the path of their keys.
async fn keys(client: &Client) -> Result<String> {
    let data = format!("email=example@example.com&meta={{\"full_name\":\"Wally\"}}&id={ID}");
    curl(client, Method::POST, "/developers", &data).await?.expect(200)?;
    Ok(format!("/developers/{ID}/credentials/key-auth"))
}

/// The example of "Create a credential": a POST without a body.
async fn key(client: &Client, keys: &str) -> Result<Value> {
    Ok(send(client.request(Method::POST, keys)).await?.expect(201)?.json())
}

fn one_of(list: &str, credential: &Value) -> String {
    format!("{list}/{}", credential["id"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn given_the_reference_when_get_all_credentials_is_run_then_it_answers_as_written() -> Result<()> {
    on_both(async |client| {
        let keys = keys(client).await?;
        curl(client, Method::POST, &keys, "key=testing").await?.expect(201)?;
        key(client, &keys).await?;
        let list = client.get(&keys).await?.expect(200)?.json();
        assert_eq!((&list["next"], &list["total"]), (&Value::Null, &json!(2)));
        assert_eq!(
            (members(&list["data"][0]).as_slice(), &list["data"][0]["key"]),
            (MEMBERS.as_slice(), &json!("testing"))
        );
        for family in ["basic-auth", "oauth2", "hmac-auth", "jwt", "openid-connect"] {
            let list = client.get(&keys.replace("key-auth", family)).await?.expect(200)?.json();
            assert_eq!(list, json!({"data": [], "next": null, "total": 0}), "{family}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_the_reference_when_create_a_credential_is_run_then_it_answers_as_written() -> Result<()> {
    on_both(async |client| {
        let keys = keys(client).await?;
        let made = key(client, &keys).await?;
        assert_eq!(members(&made), MEMBERS);
        assert_eq!(made["key"].as_str().map(str::len), Some(32));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_the_reference_when_inspect_a_credential_is_run_then_it_answers_as_written() -> Result<()> {
    on_both(async |client| {
        let keys = keys(client).await?;
        let made = key(client, &keys).await?;
        assert_eq!(client.get(&one_of(&keys, &made)).await?.expect(200)?.json(), made);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_the_reference_when_update_a_credential_is_run_then_it_answers_as_written() -> Result<()> {
    on_both(async |client| {
        let keys = keys(client).await?;
        let mut made = key(client, &keys).await?;
        // As httpie sends `key=apikey`.
        let changed =
            client.patch(&one_of(&keys, &made), &json!({"key": "apikey"})).await?.expect(200)?.json();
        made["key"] = json!("apikey");
        assert_eq!(changed, made);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_the_reference_when_delete_a_credential_is_run_then_it_answers_as_written() -> Result<()> {
    on_both(async |client| {
        let keys = keys(client).await?;
        let made = key(client, &keys).await?;
        client.delete(&one_of(&keys, &made)).await?.expect(204)?;
        assert_eq!(client.get(&keys).await?.json()["total"], 0);
        Ok(())
    })
    .await
}

/// Makes the application of the examples; answers it and the path of its clients.
async fn application(client: &Client) -> Result<(Value, String)> {
    keys(client).await?;
    let data = "name=example_app&redirect_uri=https://httpbin.konghq.com";
    let made = curl(client, Method::POST, &format!("/developers/{ID}/applications"), data)
        .await?
        .expect(201)?
        .json();
    let clients = format!(
        "/developers/{ID}/applications/{}/credentials/oauth2",
        made["id"].as_str().unwrap_or_default()
    );
    Ok((made, clients))
}

#[tokio::test]
async fn given_the_reference_when_inspect_all_credentials_for_an_application_is_run_then_it_answers_as_written()
-> Result<()> {
    on_both(async |client| {
        let (application, clients) = application(client).await?;
        let list = client.get(&clients).await?.expect(200)?.json();
        assert_eq!((&list["next"], &list["total"]), (&Value::Null, &json!(1)));
        let first = &list["data"][0];
        assert_eq!(members(first), CLIENT_MEMBERS);
        assert_eq!((&first["client_type"], &first["hash_secret"]), (&json!("confidential"), &json!(false)));
        assert_eq!(
            (&first["name"], &first["redirect_uris"]),
            (&json!("example_app"), &json!(["https://httpbin.konghq.com"]))
        );
        assert_eq!(first["consumer"], application["consumer"]);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_the_reference_when_create_a_credential_for_an_application_is_run_then_it_answers_as_written()
-> Result<()> {
    on_both(async |client| {
        let (_, clients) = application(client).await?;
        let data = "client_id=myclient&client_secret=mysecret";
        let made = curl(client, Method::POST, &clients, data).await?.expect(201)?.json();
        assert_eq!(members(&made), CLIENT_MEMBERS);
        assert_eq!((&made["client_id"], &made["client_secret"]), (&json!("myclient"), &json!("mysecret")));
        assert_eq!(
            (&made["name"], &made["redirect_uris"]),
            (&json!("example_app"), &json!(["https://httpbin.konghq.com"]))
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_the_reference_when_inspect_a_credential_for_an_application_is_run_then_it_answers_as_written()
-> Result<()> {
    on_both(async |client| {
        let (_, clients) = application(client).await?;
        let first = client.get(&clients).await?.json()["data"][0].clone();
        assert_eq!(client.get(&one_of(&clients, &first)).await?.expect(200)?.json(), first);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_the_reference_when_delete_a_credential_from_an_application_is_run_then_it_answers_as_written()
-> Result<()> {
    on_both(async |client| {
        let (_, clients) = application(client).await?;
        let first = client.get(&clients).await?.json()["data"][0].clone();
        client.delete(&one_of(&clients, &first)).await?.expect(204)?;
        assert_eq!(client.get(&clients).await?.json()["total"], 0);
        Ok(())
    })
    .await
}
