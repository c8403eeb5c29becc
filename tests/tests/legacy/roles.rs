//! `/developers/roles`.

use anyhow::Result;
use app_auth_tests::client::Client;
use reqwest::Method;
use serde_json::{Value, json};

use super::common::{on_both, violations};

const ID: &str = "b7794758-394e-46f1-a9a1-f495f2e97a68";

async fn billing(client: &Client) -> Result<Value> {
    let body = json!({"id": ID, "name": "Billing", "comment": "Billing services team"});
    Ok(client.post("/developers/roles", &body).await?.expect(201)?.json())
}

/// A developer who has these roles.
async fn developer(client: &Client, email: &str, roles: Value) -> Result<Value> {
    let body = json!({"email": email, "meta": {"full_name": "D"}, "roles": roles});
    Ok(client.post("/developers", &body).await?.expect(200)?.json())
}

#[tokio::test]
async fn given_a_role_when_read_by_name_or_id_then_it_has_permissions_but_not_in_the_list() -> Result<()> {
    on_both(async |client| {
        let empty = client.get("/developers/roles").await?.expect(200)?.json();
        assert_eq!(empty, json!({"data": [], "next": null, "total": 0}));

        let created = billing(client).await?;
        let time = &created["created_at"];
        let listed =
            json!({"comment": "Billing services team", "created_at": time, "id": ID, "name": "Billing"});
        let mut full = listed.clone();
        full["permissions"] = json!({});
        assert_eq!(created, full);
        for name in [ID, "Billing"] {
            assert_eq!(client.get(&format!("/developers/roles/{name}")).await?.expect(200)?.json(), full);
        }
        let list = client.get("/developers/roles").await?.expect(200)?.json();
        assert_eq!(list, json!({"data": [listed], "next": null, "total": 1}));
        for nobody in ["billing", "nobody", "62d17e63-0628-43a3-b936-97b8dcbd366f", "%00"] {
            assert_eq!(client.get(&format!("/developers/roles/{nobody}")).await?.status, 404, "{nobody}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_name_that_is_none_or_taken_when_used_then_it_is_refused_and_nothing_changes() -> Result<()> {
    on_both(async |client| {
        billing(client).await?;
        let roles = "/developers/roles";
        for (name, problem) in [
            (json!(null), "required field missing"),
            (json!(""), "length must be at least 1"),
            (json!(7), "expected a string"),
            (json!("*"), "must not be '*'"),
            (json!("a\nb"), "must not contain control characters"),
            (json!("62d17e63-0628-43a3-b936-97b8dcbd366f"), "must not be a UUID"),
            (json!("x".repeat(256)), "length must be at most 255"),
        ] {
            let expected = json!({"name": problem, "nope": "unknown field"});
            let body = json!({"name": name, "nope": 1});
            assert_eq!(violations(&client.post(roles, &body).await?), expected, "{name}");
            let refused = client.patch(&format!("{roles}/Billing"), &body).await?;
            assert_eq!(violations(&refused), expected, "{name}");
        }

        let taken = client.post(roles, &json!({"name": "Billing"})).await?;
        assert_eq!((taken.status, &taken.json()["code"]), (409, &json!(5)));
        assert_eq!(taken.json()["fields"], json!({"name": "Billing"}));
        let taken = client.post(roles, &json!({"name": "Other", "id": ID})).await?;
        assert_eq!((taken.status, &taken.json()["code"]), (400, &json!(3)));
        client.post(roles, &json!({"name": "QA"})).await?.expect(201)?;
        assert_eq!(client.patch(&format!("{roles}/QA"), &json!({"name": "Billing"})).await?.status, 409);
        assert_eq!(client.get(roles).await?.json()["total"], 2);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_developers_with_a_role_when_it_is_renamed_or_deleted_then_they_follow() -> Result<()> {
    on_both(async |client| {
        billing(client).await?;
        client.post("/developers/roles", &json!({"name": "QA"})).await?.expect(201)?;
        let created = developer(client, "a@example.com", json!(["QA", "Billing", "QA"])).await?;
        assert_eq!(created["roles"], json!(["Billing", "QA"]));
        developer(client, "b@example.com", json!(["Billing"])).await?;

        let body = json!({"name": "invoices", "comment": null});
        let renamed = client.patch("/developers/roles/Billing", &body).await?.expect(200)?.json();
        assert_eq!((&renamed["id"], &renamed["name"]), (&json!(ID), &json!("invoices")));
        assert_eq!((renamed.get("comment"), &renamed["permissions"]), (None, &json!({})));
        let read = client.get("/developers/a@example.com").await?.json();
        assert_eq!(read["roles"], json!(["QA", "invoices"]));
        assert_eq!(client.get("/developers/roles/Billing").await?.status, 404);

        for _ in 0..2 {
            assert_eq!(client.delete("/developers/roles/invoices").await?.expect(204)?.text(), "");
        }
        assert_eq!(client.get("/developers/a@example.com").await?.json()["roles"], json!(["QA"]));
        let list = client.get("/developers").await?.json();
        assert_eq!(list["data"][1].get("roles"), None);
        assert_eq!(client.get("/developers/roles").await?.json()["total"], 1);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_developer_when_roles_are_sent_then_only_a_list_of_roles_that_exist_is_taken() -> Result<()> {
    on_both(async |client| {
        billing(client).await?;
        client.post("/developers/roles", &json!({"name": "QA"})).await?.expect(201)?;
        let path = "/developers/a@example.com";
        let form =
            [("email", "a@example.com"), ("meta.full_name", "A"), ("roles[]", "QA"), ("roles[]", "Billing")];
        let created = client.send_form(Method::POST, "/developers", &form).await?.expect(200)?.json();
        assert_eq!(created["roles"], json!(["Billing", "QA"]));

        for (roles, problem) in [
            (json!("QA"), json!("expected a set")),
            (json!(null), json!("required field missing")),
            (json!(["QA", 7]), json!([null, "expected a string"])),
            (json!(["QA", "nobody"]), json!("no role is named 'nobody'")),
        ] {
            let refused = client.patch(path, &json!({"roles": roles, "status": 9})).await?;
            let expected = json!({"roles": problem, "status": "value should be between 0 and 3"});
            assert_eq!(violations(&refused), expected, "{roles}");
        }
        assert_eq!(client.get(path).await?.json()["roles"], json!(["Billing", "QA"]));

        let changed = client.patch(path, &json!({"roles": ["QA"]})).await?.expect(200)?.json();
        assert_eq!(changed["developer"]["roles"], json!(["QA"]));
        let form = client.send_form(Method::PATCH, path, &[("roles", "Billing")]).await?.expect(200)?.json();
        assert_eq!(form["developer"]["roles"], json!(["Billing"]));
        for (body, given) in [(json!({"status": 0}), json!(["Billing"])), (json!({"roles": []}), Value::Null)]
        {
            let changed = client.patch(path, &body).await?.expect(200)?.json();
            assert_eq!(changed["developer"]["roles"], given);
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_as_many_roles_as_there_may_be_when_one_more_is_made_then_it_is_refused() -> Result<()> {
    on_both(async |client| {
        for number in 0..1000 {
            let body = json!({"name": format!("role {number}")});
            client.post("/developers/roles", &body).await?.expect(201)?;
        }
        let refused = client.post("/developers/roles", &json!({"name": "one more"})).await?;
        assert_eq!(violations(&refused), json!({"@entity": ["at most 1000 roles are allowed"]}));
        client.delete("/developers/roles/role 7").await?.expect(204)?;
        client.post("/developers/roles", &json!({"name": "one more"})).await?.expect(201)?;
        Ok(())
    })
    .await
}
