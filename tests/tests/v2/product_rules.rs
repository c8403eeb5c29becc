//! What the product side refuses, parameter by parameter, and that nothing has changed then; and that no update is lost.

use anyhow::{Context as _, Result};
use app_auth_tests::client::{Client, send};
use app_auth_tests::products::{DEFAULT_PORTAL, Products};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::common::{on_both, one, refused};

/// One of everything, and the paths to it.
struct World {
    developer: String,
    paths: Vec<String>,
    lists: Vec<String>,
}

async fn world(client: &Client) -> Result<World> {
    let products = Products::new(client);
    let strategy = products.strategy(&["x"]).await?;
    let portal = products.portal(json!({})).await?;
    let version = products.version("Orders", Some(Uuid::new_v4())).await?;
    products.offer(&portal, &version, Some(&strategy), json!({})).await?;
    let developer = products.developer(&portal).await?;
    let application =
        products.application_of(&portal, &developer, json!({"auth_strategy_id": strategy})).await?;
    let registration = products.register(&application, &version, None).await?;
    let at = format!("/v2/portals/{portal}");
    Ok(World {
        paths: vec![
            at.clone(),
            version.path(),
            version.path_in(&portal),
            format!("{at}/developers/{developer}"),
            application.path(),
            registration,
        ],
        lists: vec![
            "/v2/portals".into(),
            format!("/v2/api-products/{}/product-versions", version.product),
            format!("{at}/product-versions"),
            format!("{at}/developers"),
            format!("{at}/applications"),
            format!("{}/registrations", application.path()),
            format!("{}/credentials", application.path()),
            format!("{at}/products"),
            format!("{at}/application-registrations"),
        ],
        developer,
    })
}

#[tokio::test]
async fn given_bad_bodies_when_sent_then_each_parameter_is_named_with_its_rule_and_nothing_has_changed()
-> Result<()> {
    on_both(async |client| {
        let world = world(client).await?;
        let long = "x".repeat(256);
        let [portals, versions, offers, developers, applications, registrations, credentials, ..] =
            world.lists.as_slice()
        else {
            anyhow::bail!("fewer lists than there are");
        };
        let post = Method::POST;
        let developer = &world.developer;
        let cases = [
            (portals, json!({}), vec![one("name", "required", "body")]),
            (portals, json!({"name": ""}), vec![one("name", "min_length", "body")]),
            (portals, json!({"name": long, "x": 1}), vec![
                one("name", "max_length", "body"), one("x", "unknown_property", "body")]),
            (portals, json!({"name": "a", "is_public": "yes", "custom_domain": "not a host", "description": 1}), vec![
                one("custom_domain", "is_fqdn", "body"), one("description", "is_string", "body"),
                one("is_public", "is_boolean", "body")]),
            (portals, json!({"name": "a", "custom_client_domain": "a.example"}), vec![
                one("custom_client_domain", "invalid", "body")]),
            (portals, json!({"name": "a", "default_application_auth_strategy_id": "x"}), vec![
                one("default_application_auth_strategy_id", "is_uuid", "body")]),
            (portals, json!({"name": "a", "default_application_auth_strategy_id": DEFAULT_PORTAL}), vec![
                one("default_application_auth_strategy_id", "invalid", "body")]),
            (portals, json!({"name": "a", "labels": {"kong-x": "a"}}), vec![one("labels.kong-x", "is_label", "body")]),
            (versions, json!({}), vec![one("name", "required", "body")]),
            (versions, json!({"name": "v2", "publish_status": "x"}), vec![one("publish_status", "enum", "body")]),
            (versions, json!({"name": "v2", "gateway_service": {"id": DEFAULT_PORTAL}}), vec![
                one("gateway_service.control_plane_id", "required", "body")]),
            (versions, json!({"name": "v2", "gateway_service": {"control_plane_id": "x"}}), vec![
                one("gateway_service.control_plane_id", "is_uuid", "body"),
                one("gateway_service.id", "required", "body")]),
            (versions, json!({"name": "v2", "notify": true}), vec![one("notify", "unknown_property", "body")]),
            (offers, json!({}), ["application_registration_enabled", "auth_strategy_ids", "auto_approve_registration",
                "deprecated", "product_version_id", "publish_status"].map(|name| one(name, "required", "body")).to_vec()),
            (offers, json!({"product_version_id": DEFAULT_PORTAL, "publish_status": "published",
                "auth_strategy_ids": [DEFAULT_PORTAL, DEFAULT_PORTAL], "application_registration_enabled": true,
                "auto_approve_registration": false, "deprecated": false}), vec![
                one("auth_strategy_ids", "max_length", "body")]),
            (offers, json!({"product_version_id": DEFAULT_PORTAL, "publish_status": "published",
                "auth_strategy_ids": [], "application_registration_enabled": true,
                "auto_approve_registration": false, "deprecated": false}), vec![
                one("product_version_id", "invalid", "body")]),
            (developers, json!({"email": "x", "full_name": ""}), vec![
                one("email", "invalid", "body"), one("full_name", "min_length", "body")]),
            (developers, json!({"email": "z@example.com", "full_name": "Z", "status": "x"}), vec![
                one("status", "enum", "body")]),
            (applications, json!({"name": "a"}), vec![one("developer_id", "required", "body")]),
            (applications, json!({"name": "a", "developer_id": DEFAULT_PORTAL}), vec![
                one("developer_id", "invalid", "body")]),
            (applications, json!({"name": "a", "owner": {"type": "team", "id": developer}}), vec![
                one("owner.type", "enum", "body")]),
            (applications, json!({"name": "a", "developer_id": developer, "owner": {"type": "developer", "id": developer}}),
                vec![one("owner", "invalid", "body")]),
            (applications, json!({"name": "a", "developer_id": developer, "redirect_uri": "x"}), vec![
                one("redirect_uri", "invalid", "body")]),
            (applications, json!({"name": "a", "developer_id": developer, "auth_strategy_id": DEFAULT_PORTAL}), vec![
                one("auth_strategy_id", "invalid", "body")]),
            (applications, json!({"name": "a", "developer_id": developer, "reference_id": "x"}), vec![
                one("reference_id", "invalid", "body")]),
            (applications, json!({"name": "a", "developer_id": developer, "reference_id": "x", "client_id": "x"}), vec![
                one("client_id", "invalid", "body")]),
            (registrations, json!({}), vec![one("product_version_id", "required", "body")]),
            (registrations, json!({"product_version_id": "x", "status": "revoked"}), vec![
                one("product_version_id", "is_uuid", "body"), one("status", "enum", "body")]),
            (credentials, json!({"display_name": "", "expires_at": "soon", "ttl": 1}), vec![
                one("display_name", "min_length", "body"), one("expires_at", "is_date_time", "body"),
                one("ttl", "unknown_property", "body")]),
            (credentials, json!({"key": "a\nb"}), vec![one("key", "invalid", "body")]),
        ];
        for (path, body, expected) in cases {
            assert_eq!(refused(client, post.clone(), path, &body).await?, expected, "{path} {body}");
        }
        let [_, version, offer, developer, application, registration] = world.paths.as_slice() else {
            anyhow::bail!("fewer paths than there are");
        };
        for (path, body, expected) in [
            (version, json!({"gateway_service": {"id": "x", "runtime_group_id": DEFAULT_PORTAL}}), one("gateway_service.id", "is_uuid", "body")),
            (offer, json!({"product_version_id": DEFAULT_PORTAL}), one("product_version_id", "unknown_property", "body")),
            (developer, json!({"status": 0}), one("status", "is_string", "body")),
            (developer, json!({"email": "x@example.com"}), one("email", "unknown_property", "body")),
            (application, json!({"auth_strategy_id": DEFAULT_PORTAL}), one("auth_strategy_id", "unknown_property", "body")),
            (application, json!({"client_id": "x"}), one("client_id", "invalid", "body")),
            (registration, json!({"status": "gone"}), one("status", "enum", "body")),
            (registration, json!({"reason": "x".repeat(1001)}), one("reason", "max_length", "body")),
        ] {
            assert_eq!(refused(client, Method::PATCH, path, &body).await?, [expected], "{path} {body}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_ids_that_are_none_and_ids_of_nothing_when_called_then_400_by_the_name_in_the_path_and_404()
-> Result<()> {
    on_both(async |client| {
        let world = world(client).await?;
        for path in &world.paths {
            let (parent, id) = path.rsplit_once('/').context("a path has a slash")?;
            let none = client.get(&format!("{parent}/x")).await?;
            assert_eq!(none.status, 400, "{path}");
            let parameter = none.json()["invalid_parameters"][0].clone();
            assert_eq!(
                (&parameter["rule"], &parameter["source"]),
                (&json!("is_uuid"), &json!("path")),
                "{path}"
            );
            let nothing = Uuid::new_v4().to_string();
            for method in [Method::GET, Method::PATCH, Method::DELETE] {
                let request = client.request(method.clone(), &path.replace(id, &nothing));
                let request = if method == Method::PATCH { request.json(&json!({})) } else { request };
                assert_eq!(send(request).await?.status, 404, "{method} {path}");
            }
        }
        for list in world.lists.iter().skip(1) {
            let unknown = list.split('/').nth(3).context("a list has an id")?;
            let nowhere = list.replace(unknown, &Uuid::new_v4().to_string());
            assert_eq!(client.get(&nowhere).await?.status, 404, "{nowhere}");
        }
        for list in &world.lists {
            let answer =
                client.get(&format!("{list}?sort=nothing&filter[nothing]=1&page[size]=0&x=1")).await?;
            let fields: Vec<_> = answer.json()["invalid_parameters"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|item| item["field"].as_str().unwrap_or_default().to_owned())
                .collect();
            assert_eq!(fields, ["sort", "filter[nothing]", "page[size]", "x"], "{list}");
        }
        let [portal, ..] = world.paths.as_slice() else { anyhow::bail!("no portal") };
        for query in ["force=maybe", "x=1"] {
            assert_eq!(client.delete(&format!("{portal}?{query}")).await?.status, 400, "{query}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_an_old_state_when_a_change_names_it_then_412_and_nothing_has_changed() -> Result<()> {
    on_both(async |client| {
        let world = world(client).await?;
        let changes = [
            json!({"description": "x"}),
            json!({"labels": {"a": "b"}}),
            json!({"deprecated": true}),
            json!({"status": "revoked"}),
            json!({"description": "x"}),
            json!({"status": "revoked"}),
        ];
        // From the last to the first: each of the first holds what comes after.
        for (path, change) in world.paths.iter().zip(&changes).rev() {
            let change_if = async |method: Method, tag: &str, body: Option<&Value>| {
                let request = client.request(method, path).header("If-Match", tag);
                let request = match body {
                    Some(body) => request.json(body),
                    None => request,
                };
                anyhow::Ok(send(request).await?)
            };
            let seen = client.get(path).await?.expect(200)?;
            let tag = seen.header("etag").to_owned();
            assert!(!tag.is_empty(), "{path}");
            let answer = change_if(Method::PATCH, &tag, Some(change)).await?.expect(200)?;
            assert_ne!(answer.header("etag"), tag, "{path}");
            assert_eq!(change_if(Method::PATCH, &tag, Some(change)).await?.status, 412, "{path}");
            assert_eq!(change_if(Method::DELETE, &tag, None).await?.status, 412, "{path}");
            let now = client.get(path).await?.expect(200)?;
            assert_eq!(now.header("etag"), answer.header("etag"), "{path}");
        }
        for path in world.paths.iter().rev() {
            let tag = client.get(path).await?.expect(200)?.header("etag").to_owned();
            let request = client.request(Method::DELETE, path).header("If-Match", tag);
            send(request).await?.expect(204)?;
        }
        Ok(())
    })
    .await
}
