//! Plugins of a developer, where no Kong follows: what the examples show of a plugin's own defaults is Kong's to add.

use anyhow::Result;
use app_auth_tests::client::Client;
use reqwest::Method;
use serde_json::{Value, json};

use super::{curl, members};
use crate::common::on_both;

const PLUGINS: &str = "/developers/example@example.com/plugins";
const MEMBERS: [&str; 7] = ["config", "consumer", "created_at", "enabled", "id", "name", "protocols"];

/// The example of "Apply a plugin", with its developer.
async fn applied(client: &Client) -> Result<Value> {
    let data = "email=example@example.com&meta={\"full_name\":\"Wally\"}";
    curl(client, Method::POST, "/developers", data).await?.expect(200)?;
    let data = "name=proxy-cache&config.strategy=memory";
    Ok(curl(client, Method::POST, PLUGINS, data).await?.expect(201)?.json())
}

fn path_of(plugin: &Value) -> String {
    format!("{PLUGINS}/{}", plugin["id"].as_str().unwrap_or_default())
}

fn assert_as_written(plugin: &Value) {
    let shown = members(plugin);
    assert!(MEMBERS.iter().all(|member| shown.contains(member)), "{shown:?}");
    assert_eq!((&plugin["name"], &plugin["enabled"]), (&json!("proxy-cache"), &json!(true)));
    assert_eq!(plugin["config"]["strategy"], "memory");
    assert_eq!(plugin["protocols"], json!(["grpc", "grpcs", "http", "https"]));
}

#[tokio::test]
async fn given_the_reference_when_list_all_plugins_is_run_then_it_answers_as_written() -> Result<()> {
    on_both(async |client| {
        let made = applied(client).await?;
        assert_eq!(
            client.get(PLUGINS).await?.expect(200)?.json(),
            json!({"data": [made], "next": null, "total": 1})
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_the_reference_when_apply_a_plugin_is_run_then_it_answers_as_written() -> Result<()> {
    on_both(async |client| {
        assert_as_written(&applied(client).await?);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_the_reference_when_inspect_a_developer_plugin_is_run_then_it_answers_as_written() -> Result<()>
{
    on_both(async |client| {
        let made = applied(client).await?;
        assert_eq!(client.get(&path_of(&made)).await?.expect(200)?.json(), made);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_the_reference_when_update_a_developer_plugin_is_run_then_it_answers_as_written() -> Result<()>
{
    on_both(async |client| {
        let made = applied(client).await?;
        // As httpie sends `config.response_code:='[200, 301, 400, 404]'`.
        let codes = json!({"config.response_code": [200, 301, 400, 404]});
        let changed = client.patch(&path_of(&made), &codes).await?.expect(200)?.json();
        assert_as_written(&changed);
        assert_eq!(changed["config"]["response_code"], json!([200, 301, 400, 404]));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_the_reference_when_delete_a_developer_plugin_is_run_then_it_answers_as_written() -> Result<()>
{
    on_both(async |client| {
        let path = path_of(&applied(client).await?);
        client.delete(&path).await?.expect(204)?;
        assert_eq!(client.get(&path).await?.status, 404);
        Ok(())
    })
    .await
}
