//! Versions of API products: by themselves, and in portals.

use anyhow::Result;
use app_auth_tests::products::{DEFAULT_PORTAL, Products, gateway_service};
use serde_json::{Value, json};
use uuid::Uuid;

use super::common::{on_both, one, wrong};

#[tokio::test]
async fn given_a_version_when_made_changed_and_deleted_then_its_service_is_known_to_the_legacy_api()
-> Result<()> {
    on_both(async |client| {
        let products = Products::new(client);
        let product = products.product("Orders").await?;
        let list = format!("/v2/api-products/{product}/product-versions");
        let service = Uuid::new_v4();
        let body = json!({"name": "v1", "labels": {"a": "b"}, "gateway_service": gateway_service(service)});

        let made = client.post(&list, &body).await?.expect(201)?.json();

        let control_plane = &body["gateway_service"]["control_plane_id"];
        assert_eq!(
            made["gateway_service"],
            json!({"id": service, "control_plane_id": control_plane, "runtime_group_id": control_plane})
        );
        assert_eq!((&made["publish_status"], &made["deprecated"]), (&json!("unpublished"), &json!(false)));
        assert_eq!((&made["portals"], &made["auth_strategy_sync_errors"]), (&json!([]), &Value::Null));
        let registered = client.get(&format!("/services/{service}")).await?.expect(200)?.json();
        assert_eq!(registered["name"], json!(service));

        let path = format!("{list}/{}", made["id"].as_str().unwrap_or_default());
        assert_eq!(client.get(&path).await?.expect(200)?.json(), made);
        let legacy = json!({"gateway_service": {"id": service, "runtime_group_id": DEFAULT_PORTAL}});
        let changed = client.patch(&path, &legacy).await?.expect(200)?.json();
        assert_eq!(changed["gateway_service"]["control_plane_id"], DEFAULT_PORTAL);
        let change = json!({"name": "v2", "labels": {"a": null}, "gateway_service": null,
            "publish_status": "published", "deprecated": true, "notify": true});
        let changed = client.patch(&path, &change).await?.expect(200)?.json();
        assert_eq!(
            (&changed["name"], &changed["labels"], &changed["gateway_service"]),
            (&json!("v2"), &json!({}), &Value::Null)
        );
        assert_eq!((&changed["publish_status"], &changed["deprecated"]), (&json!("published"), &json!(true)));

        let other = products.product("Bills").await?;
        let elsewhere = path.replace(&product, &other);
        assert_eq!(client.get(&elsewhere).await?.status, 404, "it is another product's");
        assert_eq!(client.delete(&elsewhere).await?.status, 404);
        client.delete(&path).await?.expect(204)?;
        assert_eq!(client.get(&path).await?.status, 404);
        client.get(&format!("/services/{service}")).await?.expect(200)?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_service_that_serves_a_version_when_another_wants_it_then_409_names_the_version() -> Result<()>
{
    on_both(async |client| {
        let products = Products::new(client);
        let service = Uuid::new_v4();
        let first = products.version("Orders", Some(service)).await?;
        let second = products.version("Bills", None).await?;

        let link = json!({"gateway_service": gateway_service(service)});
        let answer = client.patch(&second.path(), &link).await?.expect(409)?;
        assert!(answer.text().contains(&first.id), "{}", answer.text());
        let list = format!("/v2/api-products/{}/product-versions", second.product);
        let body = json!({"name": "v2", "gateway_service": gateway_service(service)});
        let answer = client.post(&list, &body).await?.expect(409)?;
        assert!(answer.text().contains(&first.id), "{}", answer.text());
        client.post(&list, &json!({"name": "v1"})).await?.expect(409)?;

        client.patch(&first.path(), &json!({"gateway_service": null})).await?.expect(200)?;
        client.patch(&second.path(), &link).await?.expect(200)?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_versions_when_listed_then_each_filter_and_order_holds() -> Result<()> {
    on_both(async |client| {
        let products = Products::new(client);
        let service = Uuid::new_v4();
        let first = products.version("Orders", Some(service)).await?;
        let list = format!("/v2/api-products/{}/product-versions", first.product);
        client.post(&list, &json!({"name": "v2", "publish_status": "published"})).await?.expect(201)?;
        products.version("Bills", None).await?;
        for (query, names) in [
            ("sort=name".to_owned(), vec!["v1", "v2"]),
            ("sort=-name".to_owned(), vec!["v2", "v1"]),
            ("sort=created_at".to_owned(), vec!["v1", "v2"]),
            ("filter[name]=v1".to_owned(), vec!["v1"]),
            ("filter[name][ocontains]=2,3".to_owned(), vec!["v2"]),
            ("filter[publish_status]=published".to_owned(), vec!["v2"]),
            ("filter[publish_status][neq]=published".to_owned(), vec!["v1"]),
            (format!("filter[gateway_service_id]={service}"), vec!["v1"]),
            (format!("filter[gateway_service_id][neq]={service}"), vec!["v2"]),
        ] {
            assert_eq!(products.texts(&format!("{list}?{query}"), "name").await?, names, "{query}");
        }
        products.offer(DEFAULT_PORTAL, &first, None, json!({})).await?;
        let published = format!("{list}?filter[publish_status]=published&sort=name");
        assert_eq!(products.texts(&published, "name").await?, ["v1", "v2"]);
        assert_eq!(client.get(&list.replace(&first.product, DEFAULT_PORTAL)).await?.status, 404);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_version_in_portals_when_changed_in_one_or_for_all_then_each_shows_what_holds_there()
-> Result<()> {
    on_both(async |client| {
        let products = Products::new(client);
        let version = products.version("Orders", None).await?;
        let (keys, tokens) = (products.strategy(&["x"]).await?, products.openid_connect(json!({})).await?);
        let partners = products.portal(json!({"name": "partners"})).await?;

        let made = products.offer(DEFAULT_PORTAL, &version, Some(&keys), json!({"deprecated": true})).await?.json();
        let summary = json!({"id": keys, "name": "Keys", "credential_type": "key_auth", "key_names": ["x"]});
        assert_eq!(made["auth_strategies"], json!([summary]));
        assert_eq!((&made["product_version_id"], &made["deprecated"]), (&json!(version.id), &json!(true)));
        let theirs = products.offer(&partners, &version, Some(&tokens), json!({})).await?.json();
        let summary = json!({"id": tokens, "name": "Tokens", "auth_methods": ["bearer"],
            "credential_type": "self_managed_client_credentials"});
        assert_eq!(theirs["auth_strategies"], json!([summary]));
        let again = json!({"product_version_id": version.id, "publish_status": "published", "auth_strategy_ids": [],
            "application_registration_enabled": true, "auto_approve_registration": false, "deprecated": false});
        client.post(&format!("/v2/portals/{partners}/product-versions"), &again).await?.expect(409)?;

        let shown = client.get(&version.path()).await?.expect(200)?.json();
        assert_eq!((&shown["publish_status"], &shown["deprecated"]), (&json!("published"), &json!(true)));
        assert_eq!(shown["portals"][0]["portal_name"], "default");
        assert_eq!(shown["portals"][1]["auth_strategies"], json!([{"id": tokens, "name": "Tokens"}]));
        assert_eq!(shown["portals"][1]["portal_product_version_id"], theirs["id"]);

        let all = json!({"publish_status": "unpublished", "deprecated": false});
        client.patch(&version.path(), &all).await?.expect(200)?;
        for portal in [DEFAULT_PORTAL, &partners] {
            let there = client.get(&version.path_in(portal)).await?.expect(200)?.json();
            assert_eq!((&there["publish_status"], &there["deprecated"]), (&json!("unpublished"), &json!(false)));
        }
        let whole = json!({"publish_status": "published", "auth_strategy_ids": [],
            "application_registration_enabled": false, "auto_approve_registration": true, "deprecated": false,
            "notify_developers": true});
        let replaced = client.put(&version.path_in(&partners), &whole).await?.expect(200)?.json();
        assert_eq!(replaced["auth_strategies"], json!([]));
        assert_eq!(replaced["auto_approve_registration"], true);
        client.delete(&version.path_in(&partners)).await?.expect(204)?;
        assert_eq!(client.get(&version.path_in(&partners)).await?.status, 404);
        client.get(&version.path_in(DEFAULT_PORTAL)).await?.expect(200)?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_versions_in_a_portal_when_listed_then_each_filter_and_order_holds() -> Result<()> {
    on_both(async |client| {
        let products = Products::new(client);
        let strategy = products.strategy(&["x"]).await?;
        let (a, b) = (products.version("A", None).await?, products.version("B", None).await?);
        let offered =
            products.offer(DEFAULT_PORTAL, &a, Some(&strategy), json!({"deprecated": true})).await?.json();
        let members = json!({"publish_status": "unpublished", "application_registration_enabled": false,
            "auto_approve_registration": true});
        products.offer(DEFAULT_PORTAL, &b, None, members).await?;
        let list = format!("/v2/portals/{DEFAULT_PORTAL}/product-versions");
        let (id, at) =
            (offered["id"].as_str().unwrap_or_default(), offered["created_at"].as_str().unwrap_or_default());
        let of = |names: &[&str]| {
            names
                .iter()
                .map(|name| if *name == "a" { a.id.clone() } else { b.id.clone() })
                .collect::<Vec<_>>()
        };
        for (query, names) in [
            (format!("filter[id]={id}"), of(&["a"])),
            ("filter[publish_status]=published".to_owned(), of(&["a"])),
            (
                "filter[publish_status][oeq]=published,unpublished&sort=publish_status".to_owned(),
                of(&["a", "b"]),
            ),
            (format!("filter[product_version_id][neq]={}", a.id), of(&["b"])),
            (format!("filter[auth_strategy_ids]={strategy}"), of(&["a"])),
            ("filter[application_registration_enabled]=false".to_owned(), of(&["b"])),
            ("filter[auto_approve_registration]=true".to_owned(), of(&["b"])),
            ("filter[deprecated]=true".to_owned(), of(&["a"])),
            (format!("filter[created_at][gt]={at}"), of(&["b"])),
            (format!("filter[created_at][lte]={at}"), of(&["a"])),
            (format!("filter[updated_at]={at}"), of(&["a"])),
            ("sort=-created_at".to_owned(), of(&["b", "a"])),
            ("sort=deprecated".to_owned(), of(&["b", "a"])),
            ("sort=application_registration_enabled".to_owned(), of(&["b", "a"])),
            ("sort=auto_approve_registration".to_owned(), of(&["a", "b"])),
            ("sort=updated_at".to_owned(), of(&["a", "b"])),
        ] {
            assert_eq!(
                products.texts(&format!("{list}?{query}"), "product_version_id").await?,
                names,
                "{query}"
            );
        }
        for sort in ["product_version_id", "auth_strategy_ids"] {
            assert_eq!(products.texts(&format!("{list}?sort={sort}"), "id").await?.len(), 2, "{sort}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_product_when_deleted_then_everything_below_it_goes_and_leaves_its_lines() -> Result<()> {
    on_both(async |client| {
        let products = Products::new(client);
        let strategy = products.strategy(&["x"]).await?;
        let version = products.version("Orders", Some(Uuid::new_v4())).await?;
        products.offer(DEFAULT_PORTAL, &version, Some(&strategy), json!({})).await?;
        let application = products.application(DEFAULT_PORTAL, json!({"auth_strategy_id": strategy})).await?;
        let registration = products.register(&application, &version, None).await?;

        client.delete(&format!("/v2/api-products/{}", version.product)).await?.expect(204)?;

        for gone in [version.path(), version.path_in(DEFAULT_PORTAL), registration] {
            assert_eq!(client.get(&gone).await?.status, 404, "{gone}");
        }
        let shown = client.get(&application.path()).await?.expect(200)?.json();
        assert_eq!(shown["registration_count"], 0);
        for entity in ["api_product", "product_version", "portal_product_version", "connection"] {
            let lines =
                client.get(&format!("/audit?action=delete&entity={entity}")).await?.expect(200)?.json();
            assert_eq!(lines["total"], 1, "{entity}: {lines}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_strategy_when_a_version_portal_or_application_uses_it_then_it_cannot_be_deleted()
-> Result<()> {
    on_both(async |client| {
        let products = Products::new(client);
        let strategy = products.strategy(&["x"]).await?;
        let path = format!("/v2/application-auth-strategies/{strategy}");
        let version = products.version("Orders", None).await?;
        products
            .offer(DEFAULT_PORTAL, &version, Some(&strategy), json!({"publish_status": "unpublished"}))
            .await?;
        client.delete(&path).await?.expect(409)?;
        assert_eq!(client.get(&path).await?.expect(200)?.json()["active"], false);
        client
            .patch(&version.path_in(DEFAULT_PORTAL), &json!({"publish_status": "published"}))
            .await?
            .expect(200)?;
        assert_eq!(client.get(&path).await?.expect(200)?.json()["active"], true);
        client
            .patch(&version.path_in(DEFAULT_PORTAL), &json!({"auth_strategy_ids": []}))
            .await?
            .expect(200)?;
        let application = products.application(DEFAULT_PORTAL, json!({"auth_strategy_id": strategy})).await?;
        client.delete(&path).await?.expect(409)?;
        client.delete(&application.path()).await?.expect(204)?;
        client.delete(&path).await?.expect(204)?;
        let unknown =
            client.patch(&version.path_in(DEFAULT_PORTAL), &json!({"auth_strategy_ids": [strategy]})).await?;
        assert_eq!(wrong(&unknown), [one("auth_strategy_ids", "invalid", "body")]);
        Ok(())
    })
    .await
}
