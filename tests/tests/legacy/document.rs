//! The OpenAPI document against the API, where the other scenarios do not look: every operation that reads, and every
//! example. All of them hold what they send and get against the document too (see `contract`).

use anyhow::{Context as _, Result};
use app_auth_tests::contract;
use app_auth_tests::portal::Portal;
use serde_json::json;
use uuid::Uuid;

use super::common::{application, on_both};

#[tokio::test]
async fn given_one_of_everything_when_each_operation_that_reads_is_called_then_it_answers_as_described()
-> Result<()> {
    on_both(async |client| {
        let application = application(client).await?;
        let portal = Portal::new(client);
        let service = Uuid::new_v4();
        portal.service(service, "orders", json!({})).await?;
        portal.connection(&application, service).await?;
        let key = portal.key(&application).await?;
        let developer = application.path().split('/').nth(2).context("no developer")?.to_owned();
        let of_developer = format!("/developers/{developer}");
        let made = async |path: &str, body| client.post(path, &body).await?.expect(201)?.field("id");
        let credential = made(&format!("{of_developer}/credentials/jwt"), json!({})).await?;
        let plugin = made(&format!("{of_developer}/plugins"), json!({"name": "proxy-cache"})).await?;
        let role = made("/developers/roles", json!({"name": "QA"})).await?;
        let first = |list: String| async move {
            let list = client.get(&list).await?.expect(200)?.json();
            Ok::<_, anyhow::Error>(list["data"][0]["id"].as_str().unwrap_or_default().to_owned())
        };
        let instance = first(format!("{}/application_instances", application.path())).await?;
        let oauth2 = first(format!("{}/credentials/oauth2", application.path())).await?;

        for (method, template) in contract::operations() {
            // Others have scenarios of their own.
            let elsewhere = ["/gateway/", "/kong/", "/v2/"].iter().any(|begin| template.starts_with(begin));
            if method != "GET" || elsewhere {
                continue;
            }
            let credential = match template.as_str() {
                path if path.contains("/oauth2/") => &oauth2,
                path if path.contains("/key-auth/") => &key.id,
                _ => &credential,
            };
            let id = application.path().rsplit('/').next().unwrap_or_default().to_owned();
            let (credential, service) = (credential.clone(), service.to_string());
            let path = template
                .replace("{plugin}/{credential}", &format!("jwt/{credential}"))
                .replace("credentials/{plugin}", "credentials/jwt")
                .replace("{developer}", &developer)
                .replace("{application}", &id)
                .replace("{credential}", &credential)
                .replace("{instance}", &instance)
                .replace("{plugin}", &plugin)
                .replace("{role}", &role)
                .replace("{service}", &service)
                .replace("{workspace}", "default")
                .replace("{seq}", "1");
            let answer = client.get(&path).await.with_context(|| path.clone())?;
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        }
        Ok(())
    })
    .await
}

#[test]
fn every_example_is_as_its_schema_says() -> Result<()> {
    contract::check_examples()
}
