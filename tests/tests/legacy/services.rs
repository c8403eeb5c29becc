//! `/services`.

use anyhow::Result;
use serde_json::{Value, json};

use super::common::{on_both, shape, violations};

const ID: &str = "212a758a-810b-4226-9175-b1b44eecebec";

#[tokio::test]
async fn given_a_service_when_registered_then_it_is_read_by_name_and_by_id() -> Result<()> {
    on_both(async |client| {
        let created = client.post("/services", &json!({"id": ID, "name": "orders"})).await?;

        insta::assert_json_snapshot!("service_created", shape(&created));
        for name in [ID, "orders"] {
            assert_eq!(client.get(&format!("/services/{name}")).await?.json(), created.json(), "{name}");
        }
        insta::assert_json_snapshot!("service_list", shape(&client.get("/services").await?));
        let taken = client.post("/services", &json!({"name": "orders"})).await?;
        assert_eq!((taken.status, taken.json()["fields"].clone()), (409, json!({"name": "orders"})));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_settings_when_put_then_the_service_is_made_or_replaced_as_a_whole() -> Result<()> {
    on_both(async |client| {
        let settings = json!({"auto_approve": true, "key_auth": {"realm": "r", "key_names": ["k"]}});
        let made = client.put("/services/orders", &settings).await?.expect(200)?.json();
        assert_eq!((&made["name"], &made["key_auth"]["realm"]), (&json!("orders"), &json!("r")));

        let replaced = client.put("/services/orders", &json!({})).await?.expect(200)?.json();
        assert_eq!((&replaced["id"], &replaced["auto_approve"]), (&made["id"], &json!(false)));
        assert_eq!(replaced["key_auth"]["key_names"], json!(["apikey"]));
        assert_eq!(replaced["key_auth"].get("realm"), None);

        let made =
            client.put(&format!("/services/{ID}"), &json!({"name": "billing"})).await?.expect(200)?.json();
        assert_eq!((&made["id"], &made["name"]), (&json!(ID), &json!("billing")));
        let renamed =
            client.put(&format!("/services/{ID}"), &json!({"name": "bills"})).await?.expect(200)?.json();
        assert_eq!((&renamed["id"], &renamed["name"]), (&json!(ID), &json!("bills")));

        for (path, body, fields) in [
            (format!("/services/{ID}"), json!({}), json!({"name": "required field missing"})),
            (
                format!("/services/{ID}"),
                json!({"id": "x", "name": "n"}),
                json!({"id": "must be what the path says"}),
            ),
            ("/services/a".into(), json!({"name": "b"}), json!({"name": "must be what the path says"})),
        ] {
            assert_eq!(violations(&client.put(&path, &body).await?), fields, "{path} {body}");
        }
        let taken = client.put(&format!("/services/{ID}"), &json!({"name": "orders"})).await?;
        assert_eq!(taken.status, 409);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_key_auth_settings_when_some_change_then_the_others_stay() -> Result<()> {
    on_both(async |client| {
        let settings =
            json!({"key_names": ["k", "x-key"], "hide_credentials": true, "realm": "r", "key_in_body": true});
        client.post("/services", &json!({"name": "s", "key_auth": settings})).await?.expect(201)?;

        let form = [("key_auth.realm", ""), ("key_auth.key_in_query", "false"), ("auto_approve", "true")];
        let changed =
            client.send_form(reqwest::Method::PATCH, "/services/s", &form).await?.expect(200)?.json();

        let expected = json!({"key_names": ["k", "x-key"], "hide_credentials": true, "key_in_body": true,
            "key_in_header": true, "key_in_query": false, "run_on_preflight": true});
        assert_eq!((&changed["key_auth"], &changed["auto_approve"]), (&expected, &json!(true)));
        assert_eq!(client.get("/services/s").await?.json(), changed);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_settings_a_gateway_could_not_use_when_sent_then_they_are_refused() -> Result<()> {
    on_both(async |client| {
        let eleven: Vec<_> = (0..11).map(|n| format!("k{n}")).collect();
        let name = "bad header name 'a b', allowed characters are A-Z, a-z, 0-9, '_', and '-'";
        for (settings, fields) in [
            (json!({"key_names": []}), json!({"key_names": "length must be at least 1"})),
            (json!({"key_names": eleven}), json!({"key_names": "length must be at most 10"})),
            (json!({"key_names": ["a b"]}), json!({"key_names": [name]})),
            (json!({"key_names": "k"}), json!({"key_names": "expected an array"})),
            (json!({"key_in_body": "true"}), json!({"key_in_body": "expected a boolean"})),
            (json!({"anonymous": "x"}), json!({"anonymous": "unknown field"})),
            (
                json!({"realm": "a\"b"}),
                json!({"realm": "only printable ASCII characters without '\"' and '\\' may be used"}),
            ),
        ] {
            let refused = client.post("/services", &json!({"name": "s", "key_auth": settings})).await?;
            assert_eq!(violations(&refused), json!({"key_auth": fields}), "{settings}");
        }
        assert_eq!(
            violations(&client.post("/services", &json!({"name": ID})).await?),
            json!({"name": "must not be a UUID"})
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_service_when_deleted_by_name_or_id_then_it_is_gone_and_it_can_be_repeated() -> Result<()> {
    on_both(async |client| {
        for name in ["s", ID] {
            client.post("/services", &json!({"id": ID, "name": "s"})).await?.expect(201)?;
            for _ in 0..2 {
                client.delete(&format!("/services/{name}")).await?.expect(204)?;
            }
            assert_eq!(client.get("/services").await?.json(), json!({"data": [], "next": null}));
            assert_eq!(client.get(&format!("/services/{name}/application_instances")).await?.status, 404);
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_many_writers_when_each_changes_one_setting_then_no_change_is_lost() -> Result<()> {
    on_both(async |client| {
        client.post("/services", &json!({"name": "s"})).await?.expect(201)?;
        let change = async |settings: Value| client.patch("/services/s", &json!({"key_auth": settings})).await?.expect(200);

        tokio::try_join!(
            change(json!({"realm": "r"})),
            change(json!({"key_in_body": true})),
            change(json!({"key_in_query": false})),
            change(json!({"hide_credentials": true})),
            change(json!({"key_names": ["k"]})),
        )?;

        let expected = json!({"realm": "r", "key_in_body": true, "key_in_query": false, "hide_credentials": true,
            "key_names": ["k"], "key_in_header": true, "run_on_preflight": true});
        assert_eq!(client.get("/services/s").await?.json()["key_auth"], expected);
        Ok(())
    })
    .await
}
