//! `/v2/portals`, and the products that portals show.

use anyhow::Result;
use app_auth_tests::products::{DEFAULT_PORTAL, Products, fresh};
use serde_json::{Value, json};

use super::common::{on_both, one, wrong};

const PORTALS: &str = "/v2/portals";

#[tokio::test]
async fn given_a_portal_when_made_read_changed_and_deleted_then_every_member_is_as_it_was_set() -> Result<()>
{
    on_both(async |client| {
        let strategy = Products::new(client).strategy(&["x"]).await?;
        let bare = client.post(PORTALS, &json!({"name": "bare"})).await?.expect(201)?.json();
        let id = bare["id"].as_str().unwrap_or_default().to_owned();
        assert_eq!(
            (&bare["display_name"], &bare["description"], &bare["is_public"], &bare["labels"]),
            (&json!("bare"), &Value::Null, &json!(false), &json!({}))
        );
        assert_eq!(bare["default_domain"], format!("{id}.portal.localhost"));
        assert_eq!(
            (&bare["application_count"], &bare["developer_count"], &bare["published_product_count"]),
            (&json!(0), &json!(0), &json!(0))
        );

        let whole = json!({"name": "partners", "display_name": "Partners", "description": "For partners",
            "rbac_enabled": true, "auto_approve_applications": true, "auto_approve_developers": true,
            "custom_domain": "portal.example.com", "custom_client_domain": "developers.example.com",
            "default_application_auth_strategy_id": strategy, "labels": {"team": "a", "env": "prod"}});
        let path = format!("{PORTALS}/{id}");
        let changed = client.patch(&path, &whole).await?.expect(200)?.json();
        for (member, value) in whole.as_object().into_iter().flatten() {
            assert_eq!(&changed[member], value, "{member}");
        }
        assert_eq!(client.get(&path).await?.expect(200)?.json(), changed);

        let nothing = json!({"description": null, "custom_client_domain": null, "custom_domain": null,
            "default_application_auth_strategy_id": null, "labels": {"env": null}});
        let emptied = client.patch(&path, &nothing).await?.expect(200)?.json();
        assert_eq!(emptied["labels"], json!({"team": "a"}));
        for member in
            ["description", "custom_domain", "custom_client_domain", "default_application_auth_strategy_id"]
        {
            assert_eq!(emptied[member], Value::Null, "{member}");
        }
        client.delete(&path).await?.expect(204)?;
        assert_eq!(client.get(&path).await?.status, 404);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_portals_when_listed_then_each_filter_and_order_holds() -> Result<()> {
    on_both(async |client| {
        let products = Products::new(client);
        let domain = json!({"custom_domain": "a.example.com", "custom_client_domain": "c.example.com"});
        let a = json!({"name": "alpha", "description": "one", "rbac_enabled": true, "auto_approve_developers": true});
        let mut a = a;
        a.as_object_mut().into_iter().for_each(|a| a.extend(domain.as_object().cloned().unwrap_or_default()));
        let alpha = products.portal(a).await?;
        products.portal(json!({"name": "beta", "description": "two", "is_public": true,
            "auto_approve_applications": true})).await?;
        for (filter, names) in [
            ("filter[name]=alpha".to_owned(), vec!["alpha"]),
            ("filter[name][oeq]=alpha,beta".to_owned(), vec!["alpha", "beta"]),
            ("filter[name][neq]=alpha".to_owned(), vec!["beta", "default"]),
            ("filter[name][contains]=ET".to_owned(), vec!["beta"]),
            (format!("filter[id]={alpha}"), vec!["alpha"]),
            ("filter[description]=one".to_owned(), vec!["alpha"]),
            ("filter[is_public]=true".to_owned(), vec!["beta"]),
            ("filter[rbac_enabled]=true".to_owned(), vec!["alpha"]),
            ("filter[auto_approve_developers]=true".to_owned(), vec!["alpha"]),
            ("filter[auto_approve_applications]=true".to_owned(), vec!["beta"]),
            (format!("filter[default_domain][contains]={alpha}"), vec!["alpha"]),
            ("filter[custom_domain]=a.example.com".to_owned(), vec!["alpha"]),
            ("filter[custom_client_domain][contains]=c.ex".to_owned(), vec!["alpha"]),
        ] {
            let found = products.texts(&format!("{PORTALS}?{filter}&sort=name"), "name").await?;
            assert_eq!(found, names, "{filter}");
        }
        for (sort, first) in [
            ("name desc", "default"),
            ("description,name", ""),
            ("is_public desc", "beta"),
            ("rbac_enabled desc", "alpha"),
            ("auto_approve_applications desc", "beta"),
            ("auto_approve_developers desc", "alpha"),
            ("created_at", "default"),
            ("updated_at", "default"),
        ] {
            let found = products.texts(&format!("{PORTALS}?sort={sort}"), "name").await?;
            assert_eq!(found.len(), 3, "{sort}");
            assert!(first.is_empty() || found[0] == first, "{sort}: {found:?}");
        }
        for sort in ["default_domain", "custom_domain", "custom_client_domain"] {
            assert_eq!(products.texts(&format!("{PORTALS}?sort={sort}"), "name").await?.len(), 3, "{sort}");
        }
        let page = client.get(&format!("{PORTALS}?page[size]=2&page[number]=2")).await?.expect(200)?.json();
        assert_eq!(page["meta"]["page"], json!({"number": 2, "size": 2, "total": 3}));
        assert_eq!(page["data"].as_array().map(Vec::len), Some(1));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_taken_name_when_a_portal_is_made_or_renamed_then_409() -> Result<()> {
    on_both(async |client| {
        client.post(PORTALS, &json!({"name": "taken"})).await?.expect(201)?;
        client.post(PORTALS, &json!({"name": "taken"})).await?.expect(409)?;
        client.patch(&format!("{PORTALS}/{DEFAULT_PORTAL}"), &json!({"name": "taken"})).await?.expect(409)?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_portal_with_developers_or_registrations_when_deleted_then_only_by_force_and_all_of_it_goes()
-> Result<()> {
    on_both(async |client| {
        let products = Products::new(client);
        let portal = products.portal(json!({})).await?;
        let path = format!("{PORTALS}/{portal}");
        let version = products.version("Orders", None).await?;
        let strategy = products.strategy(&["x"]).await?;
        products.offer(&portal, &version, Some(&strategy), json!({})).await?;
        let expected = [one("force", "invalid", "query")];
        assert_eq!(wrong(&client.delete(&path).await?), expected, "it takes registrations");
        let off = json!({"application_registration_enabled": false});
        products.patch(&version.path_in(&portal), &off).await?.expect(200)?;
        let application = products.application(&portal, json!({"auth_strategy_id": strategy})).await?;
        assert_eq!(
            wrong(&client.delete(&format!("{path}?force=false")).await?),
            expected,
            "it has developers"
        );
        products.patch(&version.path_in(&portal), &json!({"application_registration_enabled": true})).await?;
        products.register(&application, &version, Some("approved")).await?;
        let developer = client.get(&application.path()).await?.expect(200)?.json()["developer"]["id"].clone();
        let developer = developer.as_str().unwrap_or_default();

        client.delete(&format!("{path}?force=true")).await?.expect(204)?;

        assert_eq!(client.get(&path).await?.status, 404);
        assert_eq!(client.get(&format!("/v2/applications/{}", application.id)).await?.status, 404);
        assert_eq!(client.get(&format!("/developers/{developer}")).await?.status, 404);
        let version = client.get(&version.path()).await?.expect(200)?.json();
        assert_eq!(version["portals"], json!([]));
        for (entity, count) in [
            ("portal", 1),
            ("portal_product_version", 1),
            ("developer", 1),
            ("application", 1),
            ("connection", 1),
        ] {
            let lines =
                client.get(&format!("/audit?action=delete&entity={entity}")).await?.expect(200)?.json();
            assert_eq!(lines["total"], count, "{entity}: {lines}");
            assert_eq!(lines["data"][0]["actor"], "admin token");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_the_portal_of_the_legacy_api_when_deleted_then_409_and_it_cannot_be_public() -> Result<()> {
    on_both(async |client| {
        let path = format!("{PORTALS}/{DEFAULT_PORTAL}");
        client.delete(&path).await?.expect(409)?;
        client.delete(&format!("{path}?force=true")).await?.expect(409)?;
        let public = client.patch(&path, &json!({"is_public": true})).await?;
        assert_eq!(wrong(&public), [one("is_public", "invalid", "body")]);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_public_portal_when_a_developer_is_made_then_refused_and_one_with_developers_stays_private()
-> Result<()> {
    on_both(async |client| {
        let products = Products::new(client);
        let public = products.portal(json!({"is_public": true})).await?;
        let body = json!({"email": "a@example.com", "full_name": "A"});
        let answer = client.post(&format!("{PORTALS}/{public}/developers"), &body).await?;
        assert_eq!(wrong(&answer), [one("portalId", "invalid", "path")]);
        let private = products.portal(json!({})).await?;
        products.developer(&private).await?;
        let answer = client.patch(&format!("{PORTALS}/{private}"), &json!({"is_public": true})).await?;
        assert_eq!(wrong(&answer), [one("is_public", "invalid", "body")]);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_products_when_published_in_a_portal_then_it_lists_them_and_their_published_versions()
-> Result<()> {
    on_both(async |client| {
        let products = Products::new(client);
        let portal = products.portal(json!({"name": fresh("shop")})).await?;
        let (orders, bills) = (products.version("Orders", None).await?, products.product("Bills").await?);
        products.offer(&portal, &orders, None, json!({})).await?;
        let publish = format!("{PORTALS}/{portal}/publish");
        let list = format!("{PORTALS}/{portal}/products");
        let mut body = json!({"api_products": {}});
        body["api_products"][&orders.product] = json!({"publish_status": "published"});
        body["api_products"][&bills] = json!({"publish_status": "published"});

        client.post(&publish, &body).await?.expect(204)?;
        client.post(&publish, &body).await?.expect(204)?;

        assert_eq!(products.texts(&format!("{list}?sort=name"), "name").await?, ["Bills", "Orders"]);
        assert_eq!(products.texts(&format!("{list}?sort=-name"), "name").await?, ["Orders", "Bills"]);
        assert_eq!(products.texts(&format!("{list}?filter[name][contains]=ord"), "name").await?, ["Orders"]);
        assert_eq!(products.texts(&format!("{list}?filter[id]={bills}"), "name").await?, ["Bills"]);
        assert_eq!(products.texts(&format!("{list}?filter[description]=x"), "name").await?.len(), 0);
        let page = client.get(&format!("{list}?sort=name")).await?.expect(200)?.json();
        assert_eq!(
            (&page["data"][0]["version_count"], &page["data"][1]["version_count"]),
            (&json!(0), &json!(1))
        );
        assert_eq!(page["data"][0]["portal_ids"], json!([portal]));
        let shown = client.get(&format!("{PORTALS}/{portal}")).await?.expect(200)?.json();
        assert_eq!(shown["published_product_count"], 2);

        let mut hide = json!({"api_products": {}});
        hide["api_products"][&orders.product] = json!({"publish_status": "unpublished"});
        hide["api_products"][&bills] = Value::Null;
        client.post(&publish, &hide).await?.expect(204)?;
        assert_eq!(products.texts(&list, "name").await?.len(), 0);

        for (body, expected) in [
            (json!({}), one("api_products", "required", "body")),
            (json!({"api_products": []}), one("api_products", "is_object", "body")),
            (json!({"api_products": {"x": null}}), one("api_products.x", "is_uuid", "body")),
            (json!({"api_products": {DEFAULT_PORTAL: null}}), one("api_products", "invalid", "body")),
        ] {
            assert_eq!(wrong(&client.post(&publish, &body).await?), [expected], "{body}");
        }
        Ok(())
    })
    .await
}
