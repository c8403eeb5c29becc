//! Connections, as the legacy API has them: `application_instances`.

use anyhow::Result;
use app_auth_tests::client::Client;
use app_auth_tests::portal::{Portal, Status};
use serde_json::{Value, json};
use uuid::Uuid;

use super::common::{application, on_both, shape, violations};

async fn service(client: &Client, name: &str, auto_approve: bool) -> Result<Uuid> {
    let id = Uuid::new_v4();
    let body = json!({"id": id, "name": name, "auto_approve": auto_approve});
    client.post("/services", &body).await?.expect(201)?;
    Ok(id)
}

#[tokio::test]
async fn given_a_service_when_an_application_connects_then_it_is_listed_in_full_on_both_sides() -> Result<()>
{
    on_both(async |client| {
        let portal = Portal::new(client);
        let developer = portal.developer(Status::Approved).await?;
        client
            .patch(&format!("/developers/{developer}"), &json!({"email": "a@example.com"}))
            .await?
            .expect(200)?;
        let application = portal.application_with(&developer, json!({"name": "testapp"})).await?;
        let service = service(client, "orders", false).await?;
        let path = format!("{}/application_instances", application.path());

        let created = client.post(&path, &json!({"service": {"id": service}})).await?;

        insta::assert_json_snapshot!("instance_created", shape(&created));
        assert_eq!(created.json()["composite_id"], format!("{}_{service}", application.id));
        let instance = format!("{path}/{}", created.field("id")?);
        assert_eq!(client.get(&instance).await?.json(), created.json());
        let listed = client.get(&path).await?;
        insta::assert_json_snapshot!("instance_list", shape(&listed));
        for by in [service.to_string(), "orders".into()] {
            let of_service = client.get(&format!("/services/{by}/application_instances")).await?;
            assert_eq!(of_service.json(), listed.json(), "{by}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_service_that_approves_by_itself_when_connected_by_name_then_the_status_is_0() -> Result<()> {
    on_both(async |client| {
        let application = application(client).await?;
        let service = service(client, "open", true).await?;
        let path = format!("{}/application_instances", application.path());

        let created =
            client.send_form(reqwest::Method::POST, &path, &[("service.name", "open")]).await?.expect(201)?;

        assert_eq!(
            (&created.json()["status"], &created.json()["service"]["id"]),
            (&json!(0), &json!(service))
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_connection_when_its_status_and_flag_change_then_the_answer_says_so() -> Result<()> {
    on_both(async |client| {
        let portal = Portal::new(client);
        let application = application(client).await?;
        let connection = portal.connection(&application, service(client, "s", false).await?).await?;
        let path = connection.path();

        for status in Status::ALL {
            let changed = client.patch(&path, &json!({"status": status.number()})).await?.expect(200)?.json();
            assert_eq!((&changed["status"], &changed["suspended"]), (&json!(status.number()), &json!(false)));
        }
        let changed =
            client.send_form(reqwest::Method::PATCH, &path, &[("suspended", "true")]).await?.expect(200)?;
        assert_eq!(changed.json()["suspended"], true);
        let changed = client.patch(&path, &json!({"suspended": false})).await?.expect(200)?;
        assert_eq!(changed.json()["suspended"], false);

        let moved = service(client, "other", false).await?;
        let changed = client.patch(&path, &json!({"service": {"name": "other"}})).await?.expect(200)?.json();
        assert_eq!(changed["service"]["id"], json!(moved));
        assert_eq!(client.get(&path).await?.json(), changed);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_developer_who_is_not_approved_when_read_then_their_connections_are_suspended() -> Result<()>
{
    on_both(async |client| {
        let portal = Portal::new(client);
        let application = application(client).await?;
        let connection = portal.connection(&application, service(client, "s", true).await?).await?;

        for status in Status::ALL {
            portal.set_developer(&application.developer, status).await?;
            let read = client.get(&connection.path()).await?.json();
            assert_eq!(
                (&read["status"], &read["suspended"]),
                (&json!(0), &json!(status != Status::Approved))
            );
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_service_that_is_none_when_connected_then_it_is_refused_and_nothing_changes() -> Result<()> {
    on_both(async |client| {
        let application = application(client).await?;
        let path = format!("{}/application_instances", application.path());

        let id = "212a758a-810b-4226-9175-b1b44eecebec";
        let unknown = client.post(&path, &json!({"service": {"id": id}})).await?;
        assert_eq!(unknown.status, 400);
        assert_eq!(
            unknown.json(),
            json!({"code": 4, "name": "foreign key violation",
                "message": format!("the foreign key '{{id=\"{id}\"}}' does not reference an existing 'services' entity."),
                "fields": {"service": {"id": id}}})
        );
        let unknown = client.post(&path, &json!({"service": {"name": "nope"}})).await?;
        assert_eq!((unknown.status, &unknown.json()["code"]), (400, &json!(13)));
        for (body, fields) in [
            (json!({}), json!({"service": "required field missing"})),
            (json!({"service": {}}), json!({"service": {"id": "required field missing"}})),
            (json!({"service": "x"}), json!({"service": "expected a record"})),
            (json!({"service": {"id": "x"}}), json!({"service": {"id": "expected a valid UUID"}})),
        ] {
            assert_eq!(violations(&client.post(&path, &body).await?), fields, "{body}");
        }
        assert_eq!(client.get(&path).await?.json(), json!({"data": [], "next": null, "total": 0}));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_connection_when_made_again_then_it_is_409_with_the_composite_id() -> Result<()> {
    on_both(async |client| {
        let application = application(client).await?;
        let service = service(client, "s", false).await?;
        let path = format!("{}/application_instances", application.path());
        client.post(&path, &json!({"service": {"id": service}})).await?.expect(201)?;

        let again = client.post(&path, &json!({"service": {"id": service}})).await?;

        let composite = format!("{}_{service}", application.id);
        assert_eq!((again.status, &again.json()["code"]), (409, &json!(5)));
        assert_eq!(again.json()["fields"], json!({"composite_id": composite}));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_connection_when_deleted_then_it_is_gone_and_can_be_made_again() -> Result<()> {
    on_both(async |client| {
        let portal = Portal::new(client);
        let application = application(client).await?;
        let service = service(client, "s", true).await?;
        let connection = portal.connection(&application, service).await?;

        client.delete(&connection.path()).await?.expect(204)?;

        assert_eq!(client.get(&connection.path()).await?.status, 404);
        assert_eq!(client.delete(&connection.path()).await?.status, 404);
        let again = portal.connection(&application, service).await?;
        client.delete(&format!("/services/{service}")).await?.expect(204)?;
        assert_eq!(client.get(&again.path()).await?.json(), json!({"message": "Not found"}));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_bad_changes_when_sent_then_each_is_named_and_the_connection_stays() -> Result<()> {
    on_both(async |client| {
        let portal = Portal::new(client);
        let application = application(client).await?;
        let connection = portal.connection(&application, service(client, "s", false).await?).await?;
        let before: Value = client.get(&connection.path()).await?.json();

        let body = json!({"status": null, "suspended": "yes", "composite_id": "x", "nope": 1});
        assert_eq!(
            violations(&client.patch(&connection.path(), &body).await?),
            json!({"status": "required field missing", "suspended": "expected a boolean",
                "composite_id": "immutable field cannot be updated", "nope": "unknown field"})
        );
        for status in [json!(4), json!(-1)] {
            let refused = client.patch(&connection.path(), &json!({"status": status})).await?;
            assert_eq!(violations(&refused), json!({"status": "value should be between 0 and 3"}));
        }
        assert_eq!(client.get(&connection.path()).await?.json(), before);
        Ok(())
    })
    .await
}
