//! Developers and applications of portals, and the credentials of applications.

use anyhow::Result;
use app_auth_tests::products::{DEFAULT_PORTAL, Products, fresh};
use serde_json::{Value, json};

use super::common::{on_both, one, wrong};

fn developers(portal: &str) -> String {
    format!("/v2/portals/{portal}/developers")
}

fn applications(portal: &str) -> String {
    format!("/v2/portals/{portal}/applications")
}

#[tokio::test]
async fn given_a_developer_when_made_read_changed_and_deleted_then_both_apis_show_the_same() -> Result<()> {
    on_both(async |client| {
        let products = Products::new(client);
        let portal = products.portal(json!({})).await?;
        let body =
            json!({"email": "Ada@example.com", "full_name": "Ada Lovelace", "send_invitation_email": false});
        let made = client.post(&developers(&portal), &body).await?.expect(201)?.json();
        assert_eq!(
            (&made["email"], &made["full_name"], &made["status"], &made["application_count"]),
            (&json!("ada@example.com"), &json!("Ada Lovelace"), &json!("pending"), &json!(0))
        );
        let id = made["id"].as_str().unwrap_or_default();
        let path = format!("{}/{id}", developers(&portal));
        let taken = client.post(&developers(DEFAULT_PORTAL), &body).await?.expect(409)?.json();
        assert_eq!(taken["detail"], "Developer with the given email already exists");
        assert_eq!(client.get(&format!("{}/{id}", developers(DEFAULT_PORTAL))).await?.status, 404);

        let change = json!({"status": "rejected", "reason": "Unknown company"});
        let rejected = client.patch(&path, &change).await?.expect(200)?.json();
        assert_eq!(
            (&rejected["status"], &rejected["reason"]),
            (&json!("rejected"), &json!("Unknown company"))
        );
        let legacy = client.get("/developers/ada@example.com").await?.expect(200)?.json();
        assert_eq!((&legacy["status"], &legacy["reason"]), (&json!(2), &json!("Unknown company")));
        assert_eq!(legacy["meta"], "{\"full_name\":\"Ada Lovelace\"}");
        let revoke = json!({"status": 3, "reason": "Left"});
        client.patch("/developers/ada@example.com", &revoke).await?.expect(200)?;
        let revoked = client.get(&path).await?.expect(200)?.json();
        assert_eq!((&revoked["status"], &revoked["reason"]), (&json!("revoked"), &json!("Left")));

        client.delete(&path).await?.expect(204)?;
        assert_eq!(client.get("/developers/ada@example.com").await?.status, 404);
        client.post(&developers(&portal), &body).await?.expect(201)?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_portals_that_approve_by_themselves_when_developers_come_then_they_are_approved() -> Result<()>
{
    on_both(async |client| {
        let products = Products::new(client);
        let portal = products.portal(json!({"auto_approve_developers": true})).await?;
        let body = json!({"email": "a@example.com", "full_name": "A"});
        let made = client.post(&developers(&portal), &body).await?.expect(201)?.json();
        assert_eq!(made["status"], "approved");
        client
            .patch(&format!("/v2/portals/{DEFAULT_PORTAL}"), &json!({"auto_approve_developers": true}))
            .await?;
        let legacy = json!({"email": "c@example.com", "meta": {"full_name": "C"}});
        assert_eq!(client.post("/developers", &legacy).await?.expect(200)?.json()["status"], 0);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_developers_when_listed_then_each_filter_and_order_holds_and_other_portals_are_left_out()
-> Result<()> {
    on_both(async |client| {
        let products = Products::new(client);
        let portal = products.portal(json!({})).await?;
        for (email, name, status) in [
            ("c@example.com", "Ada", "approved"),
            ("b@example.com", "Bob", "revoked"),
            ("a@example.com", "Cy_", "pending"),
        ] {
            let body = json!({"email": email, "full_name": name, "status": status});
            client.post(&developers(&portal), &body).await?.expect(201)?;
        }
        products.developer(DEFAULT_PORTAL).await?;
        for (query, names) in [
            ("sort=name", vec!["Ada", "Bob", "Cy_"]),
            ("sort=email", vec!["Cy_", "Bob", "Ada"]),
            ("sort=created_at desc", vec!["Cy_", "Bob", "Ada"]),
            ("sort=updated_at", vec!["Ada", "Bob", "Cy_"]),
            ("sort=status", vec!["Ada", "Cy_", "Bob"]),
            ("filter[name]=Bob", vec!["Bob"]),
            ("filter[name][contains]=_", vec!["Cy_"]),
            ("filter[name][oeq]=Ada,Bob", vec!["Ada", "Bob"]),
            ("filter[email]=a@example.com", vec!["Cy_"]),
            ("filter[status]=revoked", vec!["Bob"]),
            ("filter[status][neq]=revoked&sort=name", vec!["Ada", "Cy_"]),
            ("filter[status][oeq]=approved,pending&sort=name", vec!["Ada", "Cy_"]),
        ] {
            let found = products.texts(&format!("{}?{query}", developers(&portal)), "full_name").await?;
            assert_eq!(found, names, "{query}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_an_application_when_made_read_changed_and_deleted_then_every_member_is_as_it_was_set()
-> Result<()> {
    on_both(async |client| {
        let products = Products::new(client);
        let (keys, tokens) = (products.strategy(&["x"]).await?, products.openid_connect(json!({})).await?);
        let portal = products.portal(json!({"default_application_auth_strategy_id": keys})).await?;
        let developer = products.developer(&portal).await?;
        let owner = json!({"type": "developer", "id": developer});
        let made = client.post(&applications(&portal), &json!({"name": "a", "owner": owner})).await?.expect(201)?.json();
        assert_eq!(made["auth_strategy"]["id"], json!(keys), "the portal's default");
        assert_eq!(
            (&made["reference_id"], &made["description"], &made["redirect_uri"], &made["dcr_provider"]),
            (&json!(""), &Value::Null, &Value::Null, &Value::Null)
        );
        assert_eq!((&made["portal"]["id"], &made["developer"]["id"]), (&json!(portal), &json!(developer)));

        let body = json!({"name": "b", "developer_id": developer, "auth_strategy_id": tokens, "reference_id": "client-1",
            "description": "B", "redirect_uri": "com.example.app:/callback", "labels": {"a": "b"}, "scopes": ["read"]});
        let made = client.post(&applications(&portal), &body).await?.expect(201)?.json();
        let path = format!("{}/{}", applications(&portal), made["id"].as_str().unwrap_or_default());
        for member in ["name", "reference_id", "description", "redirect_uri", "labels", "scopes"] {
            assert_eq!(made[member], body[member], "{member}");
        }
        assert_eq!(made["credentials"], Value::Null);
        let client_item = client.get(&format!("{path}/credentials")).await?.expect(200)?.json();
        assert_eq!(client_item["data"][0]["type"], "client_secret");
        assert_eq!(client_item["data"][0]["client_id"], "client-1");

        let change = json!({"name": "c", "client_id": "client-2", "description": null, "redirect_uri": null,
            "labels": {"a": null, "c": "d"}, "scopes": []});
        let changed = client.patch(&path, &change).await?.expect(200)?.json();
        assert_eq!(
            (&changed["name"], &changed["reference_id"], &changed["labels"]),
            (&json!("c"), &json!("client-2"), &json!({"c": "d"}))
        );
        assert_eq!((&changed["description"], &changed["redirect_uri"]), (&Value::Null, &Value::Null));
        assert_eq!(client.get(&path).await?.expect(200)?.json(), changed);
        let any = format!("/v2/applications/{}", changed["id"].as_str().unwrap_or_default());
        assert_eq!(client.get(&any).await?.expect(200)?.json(), changed);
        let elsewhere = path.replace(&portal, DEFAULT_PORTAL);
        assert_eq!(client.get(&elsewhere).await?.status, 404);
        assert_eq!(client.delete(&elsewhere).await?.status, 404);
        client.post(&format!("{path}/refresh-token"), &json!({})).await?.expect(409)?;
        client.post(&format!("{path}/credentials"), &json!({})).await?.expect(409)?;
        client.delete(&path).await?.expect(204)?;
        assert_eq!(client.get(&any).await?.status, 404);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_names_and_clients_that_are_taken_when_an_application_is_made_then_409() -> Result<()> {
    on_both(async |client| {
        let products = Products::new(client);
        let tokens = products.openid_connect(json!({})).await?;
        let developer = products.developer(DEFAULT_PORTAL).await?;
        let list = applications(DEFAULT_PORTAL);
        let body =
            json!({"name": "a", "developer_id": developer, "auth_strategy_id": tokens, "client_id": "one"});
        client.post(&list, &body).await?.expect(201)?;
        let same_name = json!({"name": "a", "developer_id": developer});
        client.post(&list, &same_name).await?.expect(409)?;
        let same_client =
            json!({"name": "b", "developer_id": developer, "auth_strategy_id": tokens, "client_id": "one"});
        client.post(&list, &same_client).await?.expect(409)?;
        let other = products.openid_connect(json!({})).await?;
        let elsewhere =
            json!({"name": "b", "developer_id": developer, "auth_strategy_id": other, "client_id": "one"});
        client.post(&list, &elsewhere).await?.expect(201)?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_many_applications_and_keys_when_one_more_is_asked_for_then_403_names_the_limit() -> Result<()>
{
    let few = [("APP_AUTH_APPLICATIONS_PER_DEVELOPER", "2")];
    app_auth_tests::admin::on_both_with(&few, async |client| {
        let products = Products::new(client);
        let strategy = products.strategy(&["x"]).await?;
        let developer = products.developer(DEFAULT_PORTAL).await?;
        let members = json!({"auth_strategy_id": strategy});
        let application = products.application_of(DEFAULT_PORTAL, &developer, members.clone()).await?;
        products.application_of(DEFAULT_PORTAL, &developer, members).await?;
        let body = json!({"name": "one more", "developer_id": developer});
        let answer = client.post(&applications(DEFAULT_PORTAL), &body).await?.expect(403)?.json();
        assert_eq!(answer["detail"], "Maximum number of Applications exceeded. Max Allowed: 2");

        for _ in 0..20 {
            products.key(&application).await?;
        }
        let keys = format!("{}/credentials", application.path());
        let answer = client.post(&keys, &json!({"display_name": "one more"})).await?.expect(403)?.json();
        assert_eq!(answer["detail"], "Maximum number of Credentials exceeded. Max Allowed: 20");
        assert_eq!(answer["title"], "Forbidden");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_key_when_made_listed_renamed_and_deleted_then_it_is_shown_once() -> Result<()> {
    on_both(async |client| {
        let products = Products::new(client);
        let strategy = products.strategy(&["x"]).await?;
        let application = products.application(DEFAULT_PORTAL, json!({"auth_strategy_id": strategy})).await?;
        let keys = format!("{}/credentials", application.path());
        assert_eq!(products.texts(&keys, "id").await?.len(), 0, "an application comes without keys");

        let answer = client.post(&keys, &json!({"display_name": "production"})).await?.expect(201)?;
        assert_eq!(answer.header("cache-control"), "no-store");
        let made = answer.json();
        assert_eq!((&made["type"], &made["status"]), (&json!("api_key"), &json!("active")));
        assert_eq!(made["credential"].as_str().map(str::len), Some(32));
        assert_eq!(made["expires_at"], Value::Null);
        let own = json!({"key": "a-key-of-my-own", "expires_at": "2999-01-01T00:00:00Z"});
        let own = client.post(&keys, &own).await?.expect(201)?.json();
        assert_eq!((&own["credential"], &own["display_name"]), (&json!("a-key-of-my-own"), &json!("")));
        assert_eq!(own["expires_at"], "2999-01-01T00:00:00.000Z");
        client.post(&keys, &json!({"key": "a-key-of-my-own"})).await?.expect(409)?;
        let past = client.post(&keys, &json!({"expires_at": "1999-01-01T00:00:00Z"})).await?;
        assert_eq!(wrong(&past), [one("expires_at", "invalid", "body")]);

        let list = client.get(&format!("{keys}?sort=created_at")).await?.expect(200)?;
        assert!(
            !list.text().contains("a-key-of-my-own") && !list.text().contains("\"credential\""),
            "{}",
            list.text()
        );
        let id = made["id"].as_str().unwrap_or_default();
        client.put(&format!("{keys}/{id}"), &json!({"display_name": "staging"})).await?.expect(200)?;
        assert_eq!(
            products.texts(&format!("{keys}?sort=created_at"), "display_name").await?,
            ["staging", ""]
        );
        client.delete(&format!("{keys}/{id}")).await?.expect(204)?;
        client.delete(&format!("{keys}/{id}")).await?.expect(404)?;
        assert_eq!(products.texts(&keys, "id").await?.len(), 1);
        client.post(&format!("{}/refresh-token", application.path()), &json!({})).await?.expect(409)?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_applications_of_several_portals_when_listed_then_each_filter_and_order_holds() -> Result<()> {
    on_both(async |client| {
        let products = Products::new(client);
        let portal = products.portal(json!({"name": fresh("p")})).await?;
        let mut ids = Vec::new();
        for (email, full_name, name) in [("a@example.com", "Ada", "one"), ("b@example.com", "Bob", "two")] {
            let body = json!({"email": email, "full_name": full_name});
            let developer = client.post(&developers(&portal), &body).await?.expect(201)?.field("id")?;
            products.application_of(&portal, &developer, json!({"name": name})).await?;
            ids.push(developer);
        }
        products.application(DEFAULT_PORTAL, json!({})).await?;
        for (query, names) in [
            ("sort=name".to_owned(), vec!["one", "two"]),
            ("sort=created_at desc".to_owned(), vec!["two", "one"]),
            ("sort=updated_at".to_owned(), vec!["one", "two"]),
            ("filter[name][contains]=W".to_owned(), vec!["two"]),
            ("filter[developer_name]=Ada".to_owned(), vec!["one"]),
            ("filter[developer_email][contains]=b@".to_owned(), vec!["two"]),
            (format!("filter[developer_id]={}", ids[0]), vec!["one"]),
            (format!("filter[developer_id][neq]={}", ids[0]), vec!["two"]),
            (format!("filter[developer_id][oeq]={},{}&sort=name", ids[0], ids[1]), vec!["one", "two"]),
        ] {
            let found = products.texts(&format!("{}?{query}", applications(&portal)), "name").await?;
            assert_eq!(found, names, "{query}");
        }
        assert_eq!(
            products.texts(&format!("{}?sort=developer_id", applications(&portal)), "name").await?.len(),
            2
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_invitations_switched_off_when_a_developer_is_to_be_invited_then_refused() -> Result<()> {
    let off = [("APP_AUTH_PORTAL_INVITE_EMAIL", "false")];
    app_auth_tests::admin::on_both_with(&off, async |client| {
        let body = json!({"email": "b@example.com", "full_name": "B", "send_invitation_email": true});
        let refused = client.post(&developers(DEFAULT_PORTAL), &body).await?;
        assert_eq!(wrong(&refused), [one("send_invitation_email", "invalid", "body")]);
        Ok(())
    })
    .await
}
