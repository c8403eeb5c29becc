//! `/developers/{developer}/applications`.

use anyhow::Result;
use app_auth_tests::portal::{Portal, Status};
use serde_json::json;

use super::common::{application, on_both, shape, violations};

#[tokio::test]
async fn given_a_developer_when_an_application_is_made_then_it_has_a_consumer_and_a_first_client()
-> Result<()> {
    on_both(async |client| {
        let developer = Portal::new(client).developer(Status::Approved).await?;
        let path = format!("/developers/{developer}/applications");
        let body = json!({"name": "testapp", "redirect_uri": "https://example.com/cb", "custom_id": "billing",
            "description": "Bills", "meta": {"team": "core"}});

        let created = client.post(&path, &body).await?;
        insta::assert_json_snapshot!("application_created", shape(&created));
        insta::assert_json_snapshot!("application_list", shape(&client.get(&path).await?));

        let id = created.field("id")?;
        assert_eq!(client.get(&format!("{path}/{id}")).await?.json(), created.json());
        let clients = client.get(&format!("{path}/{id}/credentials/oauth2")).await?;
        insta::assert_json_snapshot!("first_client", shape(&clients));
        assert_eq!(clients.json()["data"][0]["consumer"], created.json()["consumer"]);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_an_application_when_changed_then_null_unsets_and_the_rest_stays() -> Result<()> {
    on_both(async |client| {
        let application = application(client).await?;
        let path = application.path();

        let changed = client.patch(&path, &json!({"custom_id": "c-1", "description": "x"})).await?.expect(200)?;
        assert_eq!(changed.json()["custom_id"], "c-1");
        let changed = client.patch(&path, &json!({"description": null, "name": "renamed"})).await?.expect(200)?;
        let body = changed.json();
        assert_eq!((&body["custom_id"], &body["name"]), (&json!("c-1"), &json!("renamed")));
        assert_eq!(body.get("description"), None);
        assert_eq!(client.get(&path).await?.json(), body);

        assert_eq!(
            violations(&client.patch(&path, &json!({"name": null, "redirect_uri": "x", "nope": 1})).await?),
            json!({"name": "required field missing", "redirect_uri": "cannot parse 'x'", "nope": "unknown field"})
        );
        assert_eq!(client.get(&path).await?.json(), body);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_redirect_uri_that_is_none_when_sent_then_it_is_refused_with_the_reason() -> Result<()> {
    on_both(async |client| {
        let developer = Portal::new(client).developer(Status::Approved).await?;
        let path = format!("/developers/{developer}/applications");
        for (uri, problem) in [
            ("example.com", "cannot parse 'example.com'"),
            ("https://example.com/#top", "fragment not allowed in 'https://example.com/#top'"),
            ("javascript://example.com/", "scheme not allowed in 'javascript://example.com/'"),
        ] {
            let refused = client.post(&path, &json!({"name": "a", "redirect_uri": uri})).await?;
            assert_eq!(violations(&refused), json!({"redirect_uri": problem}), "{uri}");
        }
        let refused = client.post(&path, &json!({})).await?;
        let missing = "required field missing";
        assert_eq!(violations(&refused), json!({"name": missing, "redirect_uri": missing}));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_taken_custom_id_when_used_again_then_it_is_refused() -> Result<()> {
    on_both(async |client| {
        let (one, other) = (application(client).await?, application(client).await?);
        client.patch(&one.path(), &json!({"custom_id": "billing"})).await?.expect(200)?;

        let taken = client.patch(&other.path(), &json!({"custom_id": "billing"})).await?;

        insta::assert_json_snapshot!("custom_id_taken", shape(&taken));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_another_developers_application_when_named_then_it_is_not_found() -> Result<()> {
    on_both(async |client| {
        let (one, other) = (application(client).await?, application(client).await?);
        let foreign = format!("/developers/{}/applications/{}", one.developer, other.id);

        for path in [foreign.clone(), format!("{foreign}/credentials/key-auth"), format!("{}x", one.path())] {
            assert_eq!(client.get(&path).await?.status, 404, "{path}");
        }
        assert_eq!(client.patch(&foreign, &json!({"name": "x"})).await?.status, 404);
        assert_eq!(client.delete(&foreign).await?.status, 404);
        assert_eq!(client.get(&other.path()).await?.status, 200);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_an_application_when_deleted_then_what_belongs_to_it_is_gone() -> Result<()> {
    on_both(async |client| {
        let application = application(client).await?;
        let key = Portal::new(client).key(&application).await?;

        client.delete(&application.path()).await?.expect(204)?;

        assert_eq!(client.get(&application.path()).await?.status, 404);
        assert_eq!(client.get(&key.path()).await?.status, 404);
        assert_eq!(client.delete(&application.path()).await?.status, 404);
        Ok(())
    })
    .await
}
