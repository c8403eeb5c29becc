//! The commands of the API's reference page, with their bodies as curl and httpie send them.

use anyhow::Result;
use app_auth_tests::client::{Answer, Client, send};
use reqwest::Method;
use serde_json::json;

use super::common::on_both;

/// `curl --data`: a form whose values are sent as they are written.
pub async fn curl(client: &Client, method: Method, path: &str, data: &str) -> Result<Answer> {
    let request = client.request(method, path).header("Content-Type", "application/x-www-form-urlencoded");
    send(request.body(data.to_owned())).await
}

#[tokio::test]
async fn given_the_commands_of_the_reference_when_run_in_order_then_each_answers_as_it_says() -> Result<()> {
    on_both(async |client| {
        let data = "email=example@example.com&meta={\"full_name\":\"Wally\"}&password=mypass\
            &id=62d17e63-0628-43a3-b936-97b8dcbd366f";
        let developer = curl(client, Method::POST, "/developers", data).await?.expect(200)?.json();
        assert_eq!(developer["id"], "62d17e63-0628-43a3-b936-97b8dcbd366f");
        assert_eq!(developer["meta"], "{\"full_name\":\"Wally\"}");
        assert_eq!(
            client.get("/developers").await?.json(),
            json!({"data": [developer], "next": null, "total": 1})
        );
        assert_eq!(client.get("/developers/example@example.com").await?.json(), developer);
        let changed =
            curl(client, Method::PATCH, "/developers/example@example.com", "status=0").await?.expect(200)?;
        assert_eq!(changed.json()["developer"]["status"], 0);

        let applications = "/developers/example@example.com/applications";
        let data = "name=testapp&redirect_uri=https://httpbin.konghq.com&custom_id=billing-app";
        let application = curl(client, Method::POST, applications, data).await?.expect(201)?;
        assert_eq!(application.json()["custom_id"], "billing-app");
        assert_eq!(application.json()["developer"]["id"], developer["id"]);
        let application = format!("{applications}/{}", application.field("id")?);
        let renamed = curl(client, Method::PATCH, &application, "name=ExampleApp").await?.expect(200)?;
        assert_eq!(renamed.json()["name"], "ExampleApp");

        let service = "212a758a-810b-4226-9175-b1b44eecebec";
        curl(client, Method::POST, "/services", &format!("name=example&id={service}")).await?.expect(201)?;
        let instances = format!("{application}/application_instances");
        let data = format!("service.id={service}");
        let instance = curl(client, Method::POST, &instances, &data).await?.expect(201)?;
        assert_eq!(instance.json()["status"], 1);
        let instance = format!("{instances}/{}", instance.field("id")?);
        let same = curl(client, Method::PATCH, &instance, &data).await?.expect(200)?;
        assert_eq!(same.json()["service"]["id"], service);
        let approved = curl(client, Method::PATCH, &instance, "status=0").await?.expect(200)?;
        assert_eq!(approved.json(), client.get(&instance).await?.json());

        let clients = format!("{application}/credentials/oauth2");
        let data = "client_id=myclient&client_secret=mysecret";
        let credential = curl(client, Method::POST, &clients, data).await?.expect(201)?;
        assert_eq!(
            (credential.field("client_id")?, credential.field("client_secret")?),
            ("myclient".into(), "mysecret".into())
        );
        let credential = format!("{clients}/{}", credential.field("id")?);
        client.get(&credential).await?.expect(200)?;
        client.delete(&credential).await?.expect(204)?;

        // A POST without any body, and a JSON body as httpie writes it.
        let keys = format!("{application}/credentials/key-auth");
        let key = send(client.request(Method::POST, &keys)).await?.expect(201)?;
        assert_eq!(key.field("key")?.len(), 32);
        let key = format!("{keys}/{}", key.field("id")?);
        let changed = client.patch(&key, &json!({"key": "apikey"})).await?.expect(200)?;
        assert_eq!(changed.field("key")?, "apikey");
        client.delete(&key).await?.expect(204)?;

        client.delete(&instance).await?.expect(204)?;
        client.delete(&application).await?.expect(204)?;
        client.delete("/developers/62d17e63-0628-43a3-b936-97b8dcbd366f").await?.expect(204)?;
        assert_eq!(client.get("/developers").await?.json()["total"], 0);
        Ok(())
    })
    .await
}
