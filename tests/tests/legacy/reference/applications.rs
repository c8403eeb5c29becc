//! Applications and their instances.

use anyhow::Result;
use app_auth_tests::client::Client;
use reqwest::Method;
use serde_json::{Value, json};

use super::{curl, members};
use crate::common::on_both;

const SERVICE: &str = "212a758a-810b-4226-9175-b1b44eecebec";
const APPLICATIONS: &str = "/developers/example@example.com/applications";

/// The developer of the examples, approved.
async fn developer(client: &Client) -> Result<Value> {
    let data = "email=example@example.com&meta={\"full_name\":\"Wally\"}&status=0";
    Ok(curl(client, Method::POST, "/developers", data).await?.expect(200)?.json())
}

/// The example of "Create an application", for a developer who is there.
async fn testapp(client: &Client) -> Result<Value> {
    let data = "name=testapp&redirect_uri=https://httpbin.konghq.com&custom_id=billing-app";
    Ok(curl(client, Method::POST, APPLICATIONS, data).await?.expect(201)?.json())
}

fn path_of(application: &Value) -> String {
    format!("{APPLICATIONS}/{}", application["id"].as_str().unwrap_or_default())
}

/// The example of "Create an application instance", with all that it needs. Answers the list's path and the instance.
async fn instance(client: &Client) -> Result<(String, Value)> {
    developer(client).await?;
    curl(client, Method::POST, "/services", &format!("name=example&id={SERVICE}")).await?.expect(201)?;
    let list = format!("{}/application_instances", path_of(&testapp(client).await?));
    let made = curl(client, Method::POST, &list, &format!("service.id={SERVICE}")).await?.expect(201)?.json();
    Ok((list, made))
}

fn one_of(list: &str, instance: &Value) -> String {
    format!("{list}/{}", instance["id"].as_str().unwrap_or_default())
}

const MEMBERS: [&str; 7] =
    ["consumer", "created_at", "developer", "id", "name", "redirect_uri", "updated_at"];
const INSTANCE_MEMBERS: [&str; 8] =
    ["application", "composite_id", "created_at", "id", "service", "status", "suspended", "updated_at"];

#[tokio::test]
async fn given_the_reference_when_list_all_applications_for_a_developer_is_run_then_it_answers_as_written()
-> Result<()> {
    on_both(async |client| {
        let developer = developer(client).await?;
        for name in ["example_app", "example_app2"] {
            let data = format!("name={name}&redirect_uri=https://httpbin.konghq.com");
            curl(client, Method::POST, APPLICATIONS, &data).await?.expect(201)?;
        }
        for path in [
            APPLICATIONS.to_owned(),
            format!("/developers/{}/applications", developer["id"].as_str().unwrap_or_default()),
        ] {
            let list = client.get(&path).await?.expect(200)?.json();
            assert_eq!((&list["next"], &list["total"]), (&Value::Null, &json!(2)));
            let first = &list["data"][0];
            assert_eq!(members(first), MEMBERS);
            assert_eq!(
                (&first["name"], &first["developer"]),
                (&json!("example_app"), &json!({"id": developer["id"]}))
            );
            assert_eq!(list["data"][1]["name"], "example_app2");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_the_reference_when_inspect_an_application_is_run_then_it_answers_as_written() -> Result<()> {
    on_both(async |client| {
        developer(client).await?;
        let made = testapp(client).await?;
        assert_eq!(client.get(&path_of(&made)).await?.expect(200)?.json(), made);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_the_reference_when_create_an_application_is_run_then_it_answers_as_written() -> Result<()> {
    on_both(async |client| {
        let developer = developer(client).await?;
        let made = testapp(client).await?;
        let mut expected = MEMBERS.to_vec();
        expected.insert(2, "custom_id");
        assert_eq!(members(&made), expected);
        assert_eq!((&made["custom_id"], &made["name"]), (&json!("billing-app"), &json!("testapp")));
        assert_eq!(made["developer"], json!({"id": developer["id"]}));
        assert_ne!(made["consumer"]["id"], developer["consumer"]["id"]);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_the_reference_when_update_an_application_is_run_then_it_answers_as_written() -> Result<()> {
    on_both(async |client| {
        developer(client).await?;
        let made = testapp(client).await?;
        let changed =
            curl(client, Method::PATCH, &path_of(&made), "name=ExampleApp").await?.expect(200)?.json();
        assert_eq!(changed["name"], "ExampleApp");
        for same in ["id", "consumer", "custom_id", "redirect_uri", "created_at"] {
            assert_eq!(changed[same], made[same], "{same}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_the_reference_when_delete_an_application_is_run_then_it_answers_as_written() -> Result<()> {
    on_both(async |client| {
        developer(client).await?;
        let path = path_of(&testapp(client).await?);
        assert_eq!(client.delete(&path).await?.expect(204)?.text(), "");
        assert_eq!(client.get(&path).await?.status, 404);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_the_reference_when_view_all_instances_of_an_application_is_run_then_it_answers_as_written()
-> Result<()> {
    on_both(async |client| {
        let (list, made) = instance(client).await?;
        curl(client, Method::PATCH, &one_of(&list, &made), "status=0").await?.expect(200)?;
        let answer = client.get(&list).await?.expect(200)?.json();
        assert_eq!((&answer["next"], &answer["total"]), (&Value::Null, &json!(1)));
        let shown = &answer["data"][0];
        assert_eq!(members(shown), INSTANCE_MEMBERS);
        assert_eq!((&shown["status"], &shown["suspended"]), (&json!(0), &json!(false)));
        let application = &shown["application"];
        assert_eq!(
            (&application["name"], &application["developer"]["email"]),
            (&json!("testapp"), &json!("example@example.com"))
        );
        assert_eq!(application["developer"]["meta"], "{\"full_name\":\"Wally\"}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_the_reference_when_create_an_application_instance_is_run_then_it_answers_as_written()
-> Result<()> {
    on_both(async |client| {
        let (_, made) = instance(client).await?;
        assert_eq!(members(&made), INSTANCE_MEMBERS);
        assert_eq!(members(&made["application"]), ["id"]);
        let composite = format!("{}_{SERVICE}", made["application"]["id"].as_str().unwrap_or_default());
        assert_eq!((&made["composite_id"], &made["service"]), (&json!(composite), &json!({"id": SERVICE})));
        assert_eq!((&made["status"], &made["suspended"]), (&json!(1), &json!(false)));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_the_reference_when_inspect_an_application_instance_is_run_then_it_answers_as_written()
-> Result<()> {
    on_both(async |client| {
        let (list, made) = instance(client).await?;
        assert_eq!(client.get(&one_of(&list, &made)).await?.expect(200)?.json(), made);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_the_reference_when_update_an_application_instance_is_run_then_it_answers_as_written()
-> Result<()> {
    on_both(async |client| {
        let (list, made) = instance(client).await?;
        let other = "a12a758a-810b-4226-9175-b1b44eecebec";
        curl(client, Method::POST, "/services", &format!("name=other&id={other}")).await?.expect(201)?;
        let moved =
            curl(client, Method::PATCH, &one_of(&list, &made), &format!("service.id={other}")).await?;
        let moved = moved.expect(200)?.json();
        assert_eq!((&moved["service"]["id"], &moved["id"]), (&json!(other), &made["id"]));
        assert_eq!(
            moved["composite_id"],
            json!(format!("{}_{other}", made["application"]["id"].as_str().unwrap_or_default()))
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_the_reference_when_delete_an_application_instance_is_run_then_it_answers_as_written()
-> Result<()> {
    on_both(async |client| {
        let (list, made) = instance(client).await?;
        client.delete(&one_of(&list, &made)).await?.expect(204)?;
        assert_eq!(client.get(&list).await?.json()["total"], 0);
        Ok(())
    })
    .await
}
