//! The token endpoint gives: what an answer has, what the gateways hear of it, and how tokens are refreshed.

use anyhow::Result;
use app_auth_tests::admin::{Admin, Database};
use serde_json::{Value, json};
use uuid::Uuid;

use super::stage::{PROVISION_KEY, SECRET, Stage, oauth2};

/// The members of an object, in the order of their names.
fn members(body: &Value) -> Vec<&str> {
    body.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect()
}

#[tokio::test]
async fn given_each_grant_when_a_client_asks_then_it_gets_what_the_grant_has_and_gateways_hear_of_it()
-> Result<()> {
    for database in Database::BOTH {
        println!("on {database:?}");
        let admin = Admin::start(database).await?;
        let stage = Stage::make(&admin, &json!({})).await?;
        let hashed = json!({"client_id": "hashed", "client_secret": SECRET, "hash_secret": true});
        stage.client(hashed).await?;

        let got = stage.client_credentials().await?;
        assert_eq!(got.header("content-type"), "application/json; charset=utf-8");
        assert_eq!((got.header("cache-control"), got.header("pragma")), ("no-store", "no-cache"));
        let token = got.token("access_token")?;
        assert_eq!(got.body, json!({"access_token": token, "expires_in": 7200, "token_type": "bearer"}));
        assert!(token.len() == 32 && token.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{token}");
        let (records, _) = stage.records().await?;
        let [record] = records.as_slice() else { panic!("{records:?}") };
        // To be read with the token only: where keys are asked for, a client's id is one.
        assert_ne!(record["client_id"], stage.client_id);
        let expected = json!({"client_id": record["client_id"], "credential": record["credential"],
            "expires_at": record["expires_at"], "service": stage.service});
        assert_eq!(record, &expected);

        let fields = [("scope", "address email  address"), ("state", "s t"), ("client_id", "hashed")];
        let got = stage.password(&fields).await?;
        assert_eq!(
            members(&got.body),
            ["access_token", "expires_in", "refresh_token", "state", "token_type"]
        );
        assert_eq!(got.body["state"], "s t");
        let (records, _) = stage.records().await?;
        let record = &records[1];
        assert_eq!(record["scope"], "address email");
        assert_eq!(record["authenticated_userid"], "id123");

        let fields = [
            ("grant_type", "client_credentials"),
            ("authenticated_userid", "u"),
            ("provision_key", PROVISION_KEY),
        ];
        assert_eq!(members(&stage.ask(&fields).await?.body), ["access_token", "expires_in", "token_type"]);
        assert_eq!(stage.records().await?.0[2]["authenticated_userid"], "u");

        // A public client acts for the users of whoever holds the provision key.
        stage.client(json!({"client_id": "public", "client_type": "public"})).await?;
        let got = stage.password(&[("client_id", "public"), ("client_secret", "")]).await?;
        assert_eq!(got.status, 200);

        // For ever, there is nothing to expire and nothing to refresh.
        stage.set(json!({"token_expiration": 0, "global_credentials": true, "scopes": []})).await?;
        let got = stage.password(&[("scope", "anything")]).await?;
        assert_eq!(members(&got.body), ["access_token", "token_type"]);
        let record = stage.records().await?.0.pop().unwrap_or_default();
        for absent in ["expires_at", "service", "scope"] {
            assert_eq!(record.get(absent), None, "{record}");
        }
        let metrics = admin.gateway_client().get("/metrics").await?.text();
        assert!(metrics.contains("app_auth_admin_oauth2_requests_total{outcome=\"issued\"} 5"), "{metrics}");
    }
    Ok(())
}

#[tokio::test]
async fn given_a_refresh_token_when_it_is_used_then_it_works_once_and_the_token_before_is_gone() -> Result<()>
{
    for database in Database::BOTH {
        println!("on {database:?}");
        let admin = Admin::start(database).await?;
        let stage = Stage::make(&admin, &json!({})).await?;
        let first = stage.password(&[("scope", "email address")]).await?.token("refresh_token")?;
        let invalid = (400, "invalid_request".to_owned(), "Invalid refresh_token".to_owned());

        let ask = async |fields: &[(&str, &str)]| {
            let mut all = vec![("grant_type", "refresh_token"), ("refresh_token", first.as_str())];
            all.extend(fields);
            stage.ask(&all).await
        };
        // Nothing of this uses it up.
        let other = stage.client(json!({"client_secret": SECRET})).await?;
        let refused = ask(&[("client_id", &other)]).await?.refusal();
        assert_eq!(refused, (400, "invalid_client".into(), "Invalid client authentication".into()));
        let refused = ask(&[("scope", "email phone")]).await?.refusal();
        assert_eq!(refused, (400, "invalid_scope".into(), "Scope mismatch".into()));
        let elsewhere = json!({"name": "elsewhere", "oauth2": oauth2(&json!({"provision_key": "another"}))});
        let elsewhere: Uuid = stage.client.post("/services", &elsewhere).await?.field("id")?.parse()?;
        let fields = [
            ("grant_type", "refresh_token"),
            ("refresh_token", first.as_str()),
            ("client_id", stage.client_id.as_str()),
            ("client_secret", SECRET),
        ];
        let query = super::stage::form(&fields);
        let refused = stage.relay(&json!({"service": elsewhere, "query": query})).await?.refusal();
        assert_eq!(refused, invalid);

        let got = ask(&[("scope", "email"), ("state", "s")]).await?;
        assert_eq!(
            members(&got.body),
            ["access_token", "expires_in", "refresh_token", "state", "token_type"]
        );
        let (records, gone) = stage.records().await?;
        assert_eq!((records.len(), gone), (1, 1), "the token before is gone");
        assert_eq!(
            (&records[0]["scope"], &records[0]["authenticated_userid"]),
            (&json!("email"), &json!("id123"))
        );
        assert_eq!(ask(&[]).await?.refusal(), invalid, "it works once");

        // The next one is for all that was granted, as far as the service still has it.
        let second = got.token("refresh_token")?;
        assert_ne!(second, first);
        stage.set(json!({"scopes": ["address"]})).await?;
        let third = stage.refresh(&second).await?.token("refresh_token")?;
        assert_eq!(stage.records().await?.0[0]["scope"], "address");

        stage.set(json!({"reuse_refresh_token": true})).await?;
        for _ in 0..2 {
            assert_eq!(stage.refresh(&third).await?.token("refresh_token")?, third);
            assert_eq!(stage.records().await?.0.len(), 1);
        }

        // Of many at once, one gets it.
        stage.set(json!({"reuse_refresh_token": false})).await?;
        let once = || stage.refresh(&third);
        let (a, b, c, d) = tokio::try_join!(once(), once(), once(), once())?;
        let got = [a, b, c, d];
        assert_eq!(got.iter().filter(|got| got.status == 200).count(), 1, "{got:?}");
        assert_eq!(stage.records().await?.0.len(), 1);
    }
    Ok(())
}
