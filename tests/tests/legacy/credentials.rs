//! Credentials of applications: `oauth2` and `key-auth`.

use anyhow::Result;
use app_auth_tests::admin::{Admin, Database};
use app_auth_tests::portal::Portal;
use serde_json::{Value, json};

use super::common::{application, on_both, shape, violations};

#[tokio::test]
async fn given_no_body_when_a_client_is_made_then_everything_is_made_up() -> Result<()> {
    on_both(async |client| {
        let application = application(client).await?;
        client.patch(&application.path(), &json!({"name": "testapp"})).await?.expect(200)?;
        let path = format!("{}/credentials/oauth2", application.path());

        let created = client.send_form(reqwest::Method::POST, &path, &[]).await?;

        insta::assert_json_snapshot!("oauth2_created", shape(&created));
        let credential = created.json();
        for name in ["id", "client_id"] {
            let read = client.get(&format!("{path}/{}", created.field(name)?)).await?.expect(200)?;
            assert_eq!(read.json(), credential, "{name}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_ones_own_client_when_made_then_it_is_kept_and_its_hash_is_shown_if_asked_for() -> Result<()> {
    on_both(async |client| {
        let application = application(client).await?;
        let path = format!("{}/credentials/oauth2", application.path());
        let form = [
            ("client_id", "myclient"),
            ("client_secret", "mysecret"),
            ("redirect_uris", "https://example.com/a"),
            ("hash_secret", "false"),
            ("tags[]", "a"),
            ("tags[]", "b"),
        ];

        let created = client.send_form(reqwest::Method::POST, &path, &form).await?.expect(201)?.json();
        assert_eq!(
            (&created["client_id"], &created["client_secret"]),
            (&json!("myclient"), &json!("mysecret"))
        );
        assert_eq!(created["redirect_uris"], json!(["https://example.com/a"]));
        assert_eq!(created["tags"], json!(["a", "b"]));

        let body = json!({"client_secret": "mysecret", "hash_secret": true});
        let hashed = client.post(&path, &body).await?.expect(201)?;
        assert_eq!(hashed.json()["hash_secret"], true);
        assert!(hashed.field("client_secret")?.starts_with('$'), "{}", hashed.text());
        assert!(!client.get(&path).await?.text().contains("\"mysecret\",\"hash\""));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_key_or_client_id_in_use_when_used_again_then_it_is_409_and_not_repeated_in_full()
-> Result<()> {
    on_both(async |client| {
        let (one, other) = (application(client).await?, application(client).await?);
        let portal = Portal::new(client);
        portal.key_with(&one, json!({"key": "a-shared-secret-key"})).await?;

        for (path, member) in [("key-auth", "key"), ("oauth2", "client_id")] {
            let path = format!("{}/credentials/{path}", other.path());
            let taken = client.post(&path, &json!({member: "a-shared-secret-key"})).await?;
            assert_eq!((taken.status, &taken.json()["code"]), (409, &json!(5)), "{}", taken.text());
            assert!(taken.json()["fields"][member].is_string(), "{}", taken.text());
            assert!(!taken.text().contains("shared"), "{}", taken.text());
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_client_when_patched_then_it_is_405_and_when_deleted_it_is_gone() -> Result<()> {
    on_both(async |client| {
        let application = application(client).await?;
        let path = format!("{}/credentials/oauth2", application.path());
        let id = client.post(&path, &json!({})).await?.expect(201)?.field("id")?;
        let one = format!("{path}/{id}");

        assert_eq!(client.patch(&one, &json!({"client_id": "x"})).await?.status, 405);
        client.delete(&one).await?.expect(204)?;
        assert_eq!(client.get(&one).await?.status, 404);
        assert_eq!(client.delete(&one).await?.status, 404);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_several_keys_when_listed_then_each_shows_its_own_expiry() -> Result<()> {
    on_both(async |client| {
        let application = application(client).await?;
        let path = format!("{}/credentials/key-auth", application.path());

        let lasting = client.send_form(reqwest::Method::POST, &path, &[]).await?;
        insta::assert_json_snapshot!("key_created", shape(&lasting));
        let body = json!({"key": "my own key", "ttl": 1000, "tags": ["b", "a", "b"]});
        let passing = client.post(&path, &body).await?.expect(201)?.json();
        assert_eq!((&passing["key"], &passing["tags"]), (&json!("my own key"), &json!(["b", "a"])));
        assert_expires_within(&passing, 1000);

        let listed = client.get(&path).await?.json();
        assert_eq!((&listed["total"], &listed["next"]), (&json!(2), &Value::Null));
        assert_eq!(listed["data"][0], lasting.json());
        assert_eq!(listed["data"][1]["expires_at"], passing["expires_at"]);
        Ok(())
    })
    .await
}

/// The key ends no sooner than was asked for, and what is left of it is no more than that.
fn assert_expires_within(credential: &Value, asked: i64) {
    assert!(credential["ttl"].as_i64().is_some_and(|ttl| (0..=asked).contains(&ttl)), "{credential}");
    let life = credential["expires_at"].as_i64().zip(credential["created_at"].as_i64());
    assert!(life.is_some_and(|(end, start)| end - start >= asked), "{credential}");
}

#[tokio::test]
async fn given_a_key_when_key_ttl_or_tags_change_then_the_rest_stays() -> Result<()> {
    on_both(async |client| {
        let application = application(client).await?;
        let key = Portal::new(client).key_with(&application, json!({"key": "first"})).await?;
        let path = key.path();

        let changed = client.patch(&path, &json!({"ttl": 500, "tags": ["a"]})).await?.expect(200)?.json();
        assert_eq!((&changed["key"], &changed["tags"]), (&json!("first"), &json!(["a"])));
        assert_expires_within(&changed, 500);

        let by_key = format!("{}/credentials/key-auth/first", application.path());
        let changed = client.patch(&by_key, &json!({"key": "second"})).await?.expect(200)?.json();
        assert_eq!((&changed["key"], &changed["id"]), (&json!("second"), &json!(key.id)));
        assert!(changed["expires_at"].is_i64(), "{changed}");
        assert_eq!(client.get(&by_key).await?.status, 404);

        for never in [json!(null), json!(0)] {
            client.patch(&path, &json!({"ttl": 500})).await?.expect(200)?;
            let changed =
                client.patch(&path, &json!({"ttl": never, "tags": null})).await?.expect(200)?.json();
            assert_eq!(
                (changed.get("ttl"), changed.get("expires_at"), changed.get("tags")),
                (None, None, None)
            );
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_bad_members_when_a_credential_is_made_then_each_is_named() -> Result<()> {
    on_both(async |client| {
        let application = application(client).await?;
        let keys = format!("{}/credentials/key-auth", application.path());
        let clients = format!("{}/credentials/oauth2", application.path());
        let ttl = "value should be between 0 and 100000000";
        for (path, body, fields) in [
            (&keys, json!({"key": ""}), json!({"key": "length must be at least 1"})),
            (&keys, json!({"key": "x".repeat(513)}), json!({"key": "length must be at most 512"})),
            (&keys, json!({"key": "a\nb"}), json!({"key": "must not contain control characters"})),
            (&keys, json!({"ttl": -1}), json!({"ttl": ttl})),
            (&keys, json!({"ttl": "60"}), json!({"ttl": "expected an integer"})),
            (&keys, json!({"expires_at": 1}), json!({"expires_at": "read-only field cannot be set"})),
            (&clients, json!({"redirect_uris": "https://a"}), json!({"redirect_uris": "expected an array"})),
            (
                &clients,
                json!({"redirect_uris": ["https://a", "x"]}),
                json!({"redirect_uris": [null, "cannot parse 'x'"]}),
            ),
            (
                &clients,
                json!({"client_type": "x"}),
                json!({"client_type": "expected one of: confidential, public"}),
            ),
            (&clients, json!({"hash_secret": 1}), json!({"hash_secret": "expected a boolean"})),
        ] {
            assert_eq!(violations(&client.post(path, &body).await?), fields, "{path} {body}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_secrets_that_are_shown_once_when_read_again_then_only_their_end_is_there() -> Result<()> {
    let admin = Admin::start_with(Database::Sqlite, &[("APP_AUTH_REVEAL", "once")]).await?;
    let client = admin.client();
    let application = application(client).await?;
    let key = Portal::new(client).key(&application).await?;

    let read = client.get(&key.path()).await?.expect(200)?;

    assert!(!read.text().contains(&key.key));
    assert_eq!(read.json().get("key"), None);
    assert!(key.key.ends_with(&read.field("last_four")?) && read.field("last_four")?.len() == 4);
    let clients =
        client.get(&format!("{}/credentials/oauth2", application.path())).await?.expect(200)?.json();
    assert_eq!((clients["data"][0].get("client_id"), clients["data"][0].get("client_secret")), (None, None));
    Ok(())
}
