//! Registrations, and what both APIs show of the connections they are.

use anyhow::Result;
use app_auth_tests::portal::{Application, Portal};
use app_auth_tests::products::{DEFAULT_PORTAL, Products};
use serde_json::{Value, json};
use uuid::Uuid;

use super::common::{on_both, one, wrong};

#[tokio::test]
async fn given_portals_and_versions_that_approve_when_an_application_is_registered_then_approved_else_pending()
-> Result<()> {
    on_both(async |client| {
        let products = Products::new(client);
        let strategy = products.strategy(&["x"]).await?;
        for (of_portal, of_version, expected) in [
            (false, false, "pending"),
            (true, false, "approved"),
            (false, true, "approved"),
            (true, true, "approved"),
        ] {
            let portal = products.portal(json!({"auto_approve_applications": of_portal})).await?;
            let version = products.version("Orders", None).await?;
            let members = json!({"auto_approve_registration": of_version});
            products.offer(&portal, &version, Some(&strategy), members).await?;
            let application = products.application(&portal, json!({"auth_strategy_id": strategy})).await?;
            let path = products.register(&application, &version, None).await?;
            let shown = client.get(&path).await?.expect(200)?.json();
            assert_eq!(shown["status"], expected, "{of_portal} {of_version}");
            if expected == "pending" {
                client
                    .patch(&format!("/v2/portals/{portal}"), &json!({"auto_approve_applications": true}))
                    .await?;
                let shown = client.get(&path).await?.expect(200)?.json();
                assert_eq!(shown["status"], "pending", "what waits is not approved by it");
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_an_application_when_registered_then_only_once_and_only_where_it_may() -> Result<()> {
    on_both(async |client| {
        let products = Products::new(client);
        let (mine, other) = (products.strategy(&["x"]).await?, products.strategy(&["y"]).await?);
        let version = products.version("Orders", None).await?;
        products.offer(DEFAULT_PORTAL, &version, Some(&mine), json!({})).await?;
        let application = products.application(DEFAULT_PORTAL, json!({"auth_strategy_id": mine})).await?;
        let list = format!("{}/registrations", application.path());
        let path = products.register(&application, &version, None).await?;
        let again = json!({"api_id": version.id});
        client.post(&list, &again).await?.expect(409)?;
        client.patch(&path, &json!({"status": "rejected", "reason": "No"})).await?.expect(200)?;
        client.post(&list, &again).await?.expect(409)?;
        client.delete(&path).await?.expect(204)?;
        client.post(&list, &again).await?.expect(201)?;

        let other_strategy = products.version("Bills", None).await?;
        products.offer(DEFAULT_PORTAL, &other_strategy, Some(&other), json!({})).await?;
        let elsewhere = products.version("Parcels", None).await?;
        let portal = products.portal(json!({})).await?;
        products.offer(&portal, &elsewhere, Some(&mine), json!({})).await?;
        let closed = products.version("Stock", None).await?;
        let members = json!({"application_registration_enabled": false});
        products.offer(DEFAULT_PORTAL, &closed, Some(&mine), members).await?;
        for id in [&other_strategy.id, &elsewhere.id, &closed.id, &DEFAULT_PORTAL.to_owned()] {
            for member in ["product_version_id", "api_id"] {
                let answer = client.post(&list, &json!({member: id})).await?;
                assert_eq!(wrong(&answer), [one(member, "invalid", "body")], "{id}");
            }
        }
        let bare = products.application(DEFAULT_PORTAL, json!({})).await?;
        let answer = client.post(&format!("{}/registrations", bare.path()), &again).await?;
        assert_eq!(wrong(&answer), [one("api_id", "invalid", "body")], "it has no strategy");
        assert_eq!(client.get(&path.replace(DEFAULT_PORTAL, &portal)).await?.status, 404);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_registrations_when_listed_then_each_filter_and_order_holds() -> Result<()> {
    on_both(async |client| {
        let products = Products::new(client);
        let strategy = products.strategy(&["x"]).await?;
        let portal = products.portal(json!({"default_application_auth_strategy_id": strategy})).await?;
        let version = products.version("Orders", None).await?;
        products.offer(&portal, &version, Some(&strategy), json!({})).await?;
        let mut developers = Vec::new();
        let mut last = None;
        for (email, full_name, name, status) in
            [("a@example.com", "Ada", "one", "approved"), ("b@example.com", "Bob", "two", "pending")]
        {
            let body = json!({"email": email, "full_name": full_name});
            let path = format!("/v2/portals/{portal}/developers");
            let developer = client.post(&path, &body).await?.expect(201)?.field("id")?;
            let application = products.application_of(&portal, &developer, json!({"name": name})).await?;
            products.register(&application, &version, Some(status)).await?;
            developers.push(developer);
            last = Some(application);
        }
        let all = format!("/v2/portals/{portal}/application-registrations");
        for (query, statuses) in [
            ("sort=created_at".to_owned(), vec!["approved", "pending"]),
            ("sort=-updated_at".to_owned(), vec!["pending", "approved"]),
            ("sort=status desc".to_owned(), vec!["pending", "approved"]),
            ("filter[status]=approved".to_owned(), vec!["approved"]),
            ("filter[status][neq]=approved".to_owned(), vec!["pending"]),
            ("filter[developer_name]=Bob".to_owned(), vec!["pending"]),
            ("filter[application_name][contains]=ON".to_owned(), vec!["approved"]),
            (format!("filter[developer_id]={}", developers[1]), vec!["pending"]),
        ] {
            assert_eq!(products.texts(&format!("{all}?{query}"), "status").await?, statuses, "{query}");
        }
        assert_eq!(products.texts(&format!("{all}?sort=developer_id"), "status").await?.len(), 2);
        let own = last.map(|application| format!("{}/registrations", application.path())).unwrap_or_default();
        for (query, count) in [
            ("sort=created_at", 1),
            ("sort=updated_at,status", 1),
            ("filter[status]=pending", 1),
            ("filter[status]=revoked", 0),
        ] {
            assert_eq!(products.texts(&format!("{own}?{query}"), "id").await?.len(), count, "{query}");
        }
        let elsewhere = format!("/v2/portals/{DEFAULT_PORTAL}/application-registrations");
        assert_eq!(products.texts(&elsewhere, "id").await?.len(), 0);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_change_by_either_api_when_read_by_the_other_then_it_is_there() -> Result<()> {
    on_both(async |client| {
        let products = Products::new(client);
        let strategy = products.strategy(&["x"]).await?;
        let service = Uuid::new_v4();
        let version = products.version("Orders", Some(service)).await?;
        products.offer(DEFAULT_PORTAL, &version, Some(&strategy), json!({})).await?;
        let developer = products.developer(DEFAULT_PORTAL).await?;
        let list = format!("/developers/{developer}/applications");

        // Made by the legacy API, shown and changed by the v2 API.
        let body = json!({"name": "old", "redirect_uri": "https://a.example", "auth_strategy_id": strategy});
        let made = client.post(&list, &body).await?.expect(201)?.json();
        assert_eq!(made["auth_strategy_id"], json!(strategy));
        let old =
            Application { developer: developer.clone(), id: made["id"].as_str().unwrap_or_default().into() };
        let v2 = format!("/v2/portals/{DEFAULT_PORTAL}/applications/{}", old.id);
        let shown = client.get(&v2).await?.expect(200)?.json();
        assert_eq!((&shown["name"], &shown["auth_strategy"]["id"]), (&json!("old"), &json!(strategy)));
        let connection = Portal::new(client).connection(&old, service).await?;
        let registration = format!("{v2}/registrations/{}", connection.id);
        let shown = client.get(&registration).await?.expect(200)?.json();
        assert_eq!(
            (&shown["product_version"]["id"], &shown["status"]),
            (&json!(version.id), &json!("pending"))
        );
        client
            .patch(&registration, &json!({"status": "revoked", "reason": "Too many"}))
            .await?
            .expect(200)?;
        let shown = client.get(&connection.path()).await?.expect(200)?.json();
        assert_eq!((&shown["status"], &shown["reason"]), (&json!(3), &json!("Too many")));
        let key = Portal::new(client).key(&old).await?;
        let keys = products.texts(&format!("{v2}/credentials"), "id").await?;
        assert!(
            keys.contains(&key.id) && keys.len() == 2,
            "the key and the client id that came first: {keys:?}"
        );

        // Made by the v2 API, shown and changed by the legacy API.
        let new = products
            .application_of(DEFAULT_PORTAL, &developer, json!({"auth_strategy_id": strategy}))
            .await?;
        let legacy = format!("{list}/{}", new.id);
        let shown = client.get(&legacy).await?.expect(200)?.json();
        assert_eq!((&shown["redirect_uri"], &shown["auth_strategy_id"]), (&Value::Null, &json!(strategy)));
        let renamed = client.patch(&legacy, &json!({"name": "renamed"})).await?.expect(200)?.json();
        assert_eq!(renamed["name"], "renamed");
        client.patch(&legacy, &renamed).await?.expect(200)?;
        assert_eq!(client.get(&new.path()).await?.expect(200)?.json()["name"], "renamed");
        let path = products.register(&new, &version, None).await?;
        let instances = client.get(&format!("{legacy}/application_instances")).await?.expect(200)?.json();
        let instance = instances["data"][0]["id"].as_str().unwrap_or_default().to_owned();
        assert_eq!(instances["data"][0]["service"]["id"], json!(service));
        let instance = format!("{legacy}/application_instances/{instance}");
        client.patch(&instance, &json!({"status": 2, "reason": "Not yet"})).await?.expect(200)?;
        let shown = client.get(&path).await?.expect(200)?.json();
        assert_eq!((&shown["status"], &shown["reason"]), (&json!("rejected"), &json!("Not yet")));

        // Without a service, the legacy API says so and can still decide.
        client.patch(&version.path(), &json!({"gateway_service": null})).await?.expect(200)?;
        let shown = client.get(&instance).await?.expect(200)?.json();
        assert_eq!(shown["service"], Value::Null);
        client.patch(&instance, &shown).await?.expect(200)?;
        client.patch(&instance, &json!({"status": 0})).await?.expect(200)?;
        assert_eq!(client.get(&path).await?.expect(200)?.json()["status"], "approved");

        let everywhere = products.texts(&format!("/v2/portals/{DEFAULT_PORTAL}/applications"), "id").await?;
        let legacy_list = client.get(&list).await?.expect(200)?.json();
        let of_legacy: Vec<_> =
            legacy_list["data"].as_array().into_iter().flatten().map(|it| it["id"].clone()).collect();
        assert_eq!(json!(everywhere), json!(of_legacy));
        client.delete(&legacy).await?.expect(204)?;
        assert_eq!(client.get(&new.path()).await?.status, 404);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_connection_to_a_service_that_stands_by_itself_when_listed_then_the_service_is_in_place_of_the_product()
-> Result<()> {
    on_both(async |client| {
        let products = Products::new(client);
        let portal = Portal::new(client);
        let service = Uuid::new_v4();
        portal.service(service, "orders", json!({})).await?;
        portal.approved_key(service).await?;
        let list = format!("/v2/portals/{DEFAULT_PORTAL}/application-registrations");
        let page = client.get(&list).await?.expect(200)?.json();
        let named = json!({"id": service, "name": "orders"});
        assert_eq!((&page["data"][0]["product"], &page["data"][0]["product_version"]), (&named, &named));
        assert_eq!(products.texts(&list, "status").await?, ["approved"]);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_registration_when_its_scopes_are_asked_for_then_keys_have_none() -> Result<()> {
    on_both(async |client| {
        let products = Products::new(client);
        let strategy = products.strategy(&["x"]).await?;
        let version = products.version("Orders", None).await?;
        products.offer(DEFAULT_PORTAL, &version, Some(&strategy), json!({})).await?;
        let application = products.application(DEFAULT_PORTAL, json!({"auth_strategy_id": strategy})).await?;
        let path = products.register(&application, &version, None).await?;
        let shown = client.get(&path).await?.expect(200)?.json();
        assert_eq!(shown["granted_scopes"], Value::Null);
        let scopes = client.get(&format!("{path}/granted-scopes")).await?.expect(200)?.json();
        assert_eq!(scopes, json!({"data": []}));
        Ok(())
    })
    .await
}
