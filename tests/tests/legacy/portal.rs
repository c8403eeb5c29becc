//! What the portal asks of new developers: a password or a key, what they tell about themselves, an approval.

use anyhow::Result;
use reqwest::Method;
use serde_json::{Value, json};

use super::common::{on_both_with, violations};

const META_FIELDS: &str = r#"[
    {"title": "team", "label": "Team", "validator": {"type": "string", "required": true}},
    {"title": "age", "validator": {"type": "number"}},
    {"title": "news", "validator": {"type": "boolean"}},
    {"title": "boss", "is_email": true, "validator": {"type": "string"}}
]"#;

#[tokio::test]
async fn given_basic_auth_when_a_developer_has_no_password_then_that_is_told_with_what_else_is_wrong()
-> Result<()> {
    on_both_with(&[("APP_AUTH_PORTAL_AUTH", "basic-auth")], async |client| {
        let body = json!({"email": "a@example.com", "meta": {"full_name": "A"}});
        let refused = client.post("/developers", &body).await?;
        assert_eq!(violations(&refused), json!({"password": "password is required"}));

        let body = json!({"email": "nobody", "roles": ["x"], "key": "k "});
        let expected = json!({
            "email": "expected a valid e-mail address", "password": "password is required",
            "meta": {"full_name": "required field missing"}, "roles": "no role is named 'x'",
            "key": "must not begin or end with a blank"
        });
        let refused = client.post("/developers", &body).await?;
        assert_eq!(violations(&refused), expected);
        let message = refused.json()["message"].as_str().unwrap_or_default().to_owned();
        assert!(
            message.starts_with("5 schema violations (") && message.contains("meta.full_name: "),
            "{message}"
        );

        let body = json!({"email": "a@example.com", "meta": {"full_name": "A"}, "password": ""});
        let refused = client.post("/developers", &body).await?;
        assert_eq!(violations(&refused), json!({"password": "length must be at least 1"}));
        let body = json!({"email": "a@example.com", "meta": {"full_name": "A"}, "password": "open sesame"});
        client.post("/developers", &body).await?.expect(200)?;
        client.patch("/developers/a@example.com", &json!({"status": 0})).await?.expect(200)?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_key_auth_when_a_developer_has_no_key_then_it_is_refused() -> Result<()> {
    on_both_with(&[("APP_AUTH_PORTAL_AUTH", "key-auth")], async |client| {
        let mut body =
            json!({"email": "a@example.com", "meta": {"full_name": "A"}, "password": "open sesame"});
        let refused = client.post("/developers", &body).await?;
        assert_eq!(violations(&refused), json!({"key": "key is required"}));
        assert_eq!(client.get("/developers").await?.json()["total"], 0);

        body["key"] = json!("my own key");
        let created = client.post("/developers", &body).await?.expect(200)?;
        assert!(!created.text().contains("my own key"), "{}", created.text());
        let keys = client.get("/developers/a@example.com/credentials/key-auth").await?.expect(200)?.json();
        assert_eq!((&keys["total"], &keys["data"][0]["key"]), (&json!(1), &json!("my own key")));

        body["email"] = json!("b@example.com");
        let taken = client.post("/developers", &body).await?;
        assert_eq!((taken.status, &taken.json()["code"]), (409, &json!(5)));
        assert!(!taken.text().contains("my own key"), "{}", taken.text());
        assert_eq!(client.get("/developers").await?.json()["total"], 1);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_automatic_approval_when_no_status_is_sent_then_the_developer_is_approved() -> Result<()> {
    on_both_with(&[("APP_AUTH_PORTAL_AUTO_APPROVE", "on")], async |client| {
        for (number, (status, expected)) in [
            (json!({}), 0),
            (json!({"status": null}), 0),
            (json!({"status": 1}), 1),
            (json!({"status": 3}), 3),
        ]
        .into_iter()
        .enumerate()
        {
            let mut body = json!({"email": format!("{number}@example.com"), "meta": {"full_name": "A"}});
            if let Some(status) = status.get("status") {
                body["status"] = status.clone();
            }
            let created = client.post("/developers", &body).await?.expect(200)?.json();
            assert_eq!(created["status"], expected, "{status}");
        }
        let refused = client.patch("/developers/0@example.com", &json!({"status": null})).await?;
        assert_eq!(violations(&refused), json!({"status": "required field missing"}));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_fields_of_meta_when_it_is_sent_then_it_is_held_against_them() -> Result<()> {
    on_both_with(&[("APP_AUTH_PORTAL_DEVELOPER_META_FIELDS", META_FIELDS)], async |client| {
        let missing = json!({"meta": {"team": "required field missing"}});
        for meta in [json!({}), json!({"full_name": "A"}), json!({"team": ""}), json!("{\"team\":null}"), Value::Null] {
            let body = json!({"email": "a@example.com", "meta": meta});
            assert_eq!(violations(&client.post("/developers", &body).await?), missing, "{meta}");
        }
        let body = json!({"email": "a@example.com", "status": 9,
            "meta": {"team": 1, "age": "7", "news": "true", "boss": "nobody"}});
        assert_eq!(
            violations(&client.post("/developers", &body).await?),
            json!({
                "status": "value should be between 0 and 3",
                "meta": {"team": "expected a string", "age": "expected a number", "news": "expected a boolean",
                    "boss": "expected a valid e-mail address"}
            })
        );

        let text = r#"{"team":"red", "age":7.5, "news":false, "boss":"b@example.com", "other":[1]}"#;
        let body = json!({"email": "a@example.com", "meta": text});
        let created = client.post("/developers", &body).await?.expect(200)?.json();
        assert_eq!(created["meta"], text);
        let form = [("email", "b@example.com"), ("meta.team", "red"), ("meta.age", "7"), ("meta.news", "true")];
        let created = client.send_form(Method::POST, "/developers", &form).await?.expect(200)?.json();
        assert_eq!(created["meta"], r#"{"age":"7","news":"true","team":"red"}"#);
        Ok(())
    })
    .await
}
