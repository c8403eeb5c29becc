//! `/developers/{developer}/credentials/{plugin}`.

use anyhow::Result;
use app_auth_tests::admin::{Admin, Database};
use app_auth_tests::client::{Answer, Client};
use serde_json::{Value, json};

use super::common::{application, on_both, violations};

const FAMILIES: [&str; 6] = ["basic-auth", "oauth2", "hmac-auth", "jwt", "key-auth", "openid-connect"];
const RSA: &str = include_str!("keys/rsa.pem");
const P256: &str = include_str!("keys/p256.pem");
const ED25519: &str = include_str!("keys/ed25519.pem");

/// Makes a developer; answers the path of their credentials and the id of their consumer.
async fn developer(client: &Client, email: &str) -> Result<(String, Value)> {
    let body = json!({"email": email, "meta": {"full_name": "D"}, "status": 0});
    let developer = client.post("/developers", &body).await?.expect(200)?.json();
    Ok((format!("/developers/{email}/credentials"), developer["consumer"]["id"].clone()))
}

/// The least that makes a credential of a family.
fn least(family: &str) -> Value {
    match family {
        "basic-auth" => json!({"username": "wally", "password": "my pass"}),
        "oauth2" => json!({"name": "app"}),
        "hmac-auth" => json!({"username": "wally"}),
        "openid-connect" => json!({"issuer": "https://issuer.example.com", "subject": "wally"}),
        _ => json!({}),
    }
}

fn is_generated(value: &Value) -> bool {
    value
        .as_str()
        .is_some_and(|text| text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

fn taken(answer: &Answer) -> (u16, Value, Value) {
    (answer.status, answer.json()["code"].clone(), answer.json()["fields"].clone())
}

#[tokio::test]
async fn given_the_least_a_family_needs_when_a_credential_is_made_then_the_rest_has_kongs_defaults()
-> Result<()> {
    on_both(async |client| {
        let (path, consumer) = developer(client, "d@example.com").await?;
        for family in FAMILIES {
            let list = format!("{path}/{family}");
            let made = client.post(&list, &least(family)).await?.expect(201)?.json();
            assert_eq!(made["consumer"]["id"], consumer, "{family}");
            assert!(made["created_at"].is_i64() && made["id"].is_string(), "{made}");
            match family {
                "basic-auth" => {
                    assert_eq!(made["username"], "wally");
                    let hash = made["password"].as_str().unwrap_or_default();
                    assert!(hash.len() == 40 && hash.bytes().all(|b| b.is_ascii_hexdigit()), "{made}");
                }
                "oauth2" => {
                    assert!(
                        is_generated(&made["client_id"]) && is_generated(&made["client_secret"]),
                        "{made}"
                    );
                    assert_eq!(
                        (&made["client_type"], &made["hash_secret"]),
                        (&json!("confidential"), &json!(false))
                    );
                }
                "hmac-auth" => assert!(is_generated(&made["secret"]), "{made}"),
                "jwt" => {
                    assert!(is_generated(&made["key"]) && is_generated(&made["secret"]), "{made}");
                    assert_eq!(made["algorithm"], "HS256");
                }
                "key-auth" => assert!(is_generated(&made["key"]), "{made}"),
                _ => assert_eq!(made["subject"], "wally"),
            }
            let one = format!("{list}/{}", made["id"].as_str().unwrap_or_default());
            assert_eq!(client.get(&one).await?.expect(200)?.json(), made);
            assert_eq!(client.get(&list).await?.json(), json!({"data": [made], "next": null, "total": 1}));
            client.delete(&one).await?.expect(204)?;
            assert_eq!(client.get(&one).await?.status, 404);
            assert_eq!(client.delete(&one).await?.status, 404);
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_several_credentials_of_a_family_when_listed_then_each_is_there_and_others_see_none()
-> Result<()> {
    on_both(async |client| {
        let (path, _) = developer(client, "d@example.com").await?;
        let (other, _) = developer(client, "other@example.com").await?;
        for key in ["first", "second", "third"] {
            client.post(&format!("{path}/key-auth"), &json!({"key": key})).await?.expect(201)?;
        }

        let page = client.get(&format!("{path}/key-auth?size=2")).await?.json();
        assert_eq!((&page["total"], &page["data"][1]["key"]), (&json!(3), &json!("second")));
        let next = page["next"].as_str().unwrap_or_default().to_owned();
        assert_eq!(client.get(&next).await?.json()["data"][0]["key"], "third");
        assert_eq!(client.get(&format!("{other}/key-auth")).await?.json()["total"], 0);
        assert_eq!(client.get(&format!("{other}/key-auth/first")).await?.status, 404);
        assert_eq!(client.get(&format!("{path}/jwt/first")).await?.status, 404);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_credential_when_named_by_what_identifies_it_then_it_is_found() -> Result<()> {
    on_both(async |client| {
        let (path, _) = developer(client, "d@example.com").await?;
        for (family, body, name) in [
            ("basic-auth", json!({"username": "a", "password": "x"}), "a"),
            ("hmac-auth", json!({"username": "a"}), "a"),
            ("key-auth", json!({"key": "a"}), "a"),
            ("jwt", json!({"key": "a"}), "a"),
            ("oauth2", json!({"name": "n", "client_id": "b"}), "b"),
        ] {
            let made = client.post(&format!("{path}/{family}"), &body).await?.expect(201)?.json();
            assert_eq!(client.get(&format!("{path}/{family}/{name}")).await?.expect(200)?.json(), made);
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_an_identifier_in_use_when_used_again_then_it_is_409_and_a_secret_one_is_not_repeated()
-> Result<()> {
    on_both(async |client| {
        let (path, _) = developer(client, "d@example.com").await?;
        let (other, _) = developer(client, "other@example.com").await?;
        for (family, body, fields) in [
            ("basic-auth", json!({"username": "wally", "password": "x"}), json!({"username": "wally"})),
            ("hmac-auth", json!({"username": "wally"}), json!({"username": "wally"})),
            ("jwt", json!({"key": "the issuer"}), json!({"key": "the issuer"})),
            ("key-auth", json!({"key": "a-shared-secret-key"}), json!({"key": "…-key"})),
            (
                "oauth2",
                json!({"name": "n", "client_id": "another-secret-key"}),
                json!({"client_id": "…-key"}),
            ),
        ] {
            client.post(&format!("{path}/{family}"), &body).await?.expect(201)?;
            let refused = client.post(&format!("{other}/{family}"), &body).await?;
            assert_eq!(taken(&refused), (409, json!(5), fields), "{family}");
        }
        // The same subject at another issuer is somebody else.
        let subject = |issuer: &str| json!({"issuer": issuer, "subject": "wally"});
        let openid = format!("{path}/openid-connect");
        client.post(&openid, &subject("https://a.example.com")).await?.expect(201)?;
        client.post(&openid, &subject("https://b.example.com")).await?.expect(201)?;
        let refused = client.post(&openid, &subject("https://a.example.com")).await?;
        assert_eq!(taken(&refused), (409, json!(5), json!({"subject": "wally"})));

        let body = json!({"id": client.get(&openid).await?.json()["data"][0]["id"], "key": "fresh"});
        let refused = client.post(&format!("{path}/key-auth"), &body).await?;
        assert_eq!((refused.status, &refused.json()["code"]), (400, &json!(3)), "{}", refused.text());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_key_of_an_application_when_a_developer_wants_it_then_it_is_taken_and_the_other_way_round()
-> Result<()> {
    on_both(async |client| {
        let (path, _) = developer(client, "d@example.com").await?;
        let keys = format!("{}/credentials/key-auth", application(client).await?.path());
        let clients = format!("{path}/oauth2");

        client.post(&keys, &json!({"key": "of the application"})).await?.expect(201)?;
        let refused = client.post(&clients, &json!({"name": "n", "client_id": "of the application"})).await?;
        assert_eq!(taken(&refused), (409, json!(5), json!({"client_id": "…tion"})));
        client.post(&clients, &json!({"name": "n", "client_id": "of the developer"})).await?.expect(201)?;
        let refused = client.post(&keys, &json!({"key": "of the developer"})).await?;
        assert_eq!(taken(&refused), (409, json!(5), json!({"key": "…oper"})));
        // A user name is no key.
        client
            .post(&format!("{path}/hmac-auth"), &json!({"username": "of the application"}))
            .await?
            .expect(201)?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_credential_when_changed_then_the_rest_stays() -> Result<()> {
    on_both(async |client| {
        let (path, _) = developer(client, "d@example.com").await?;

        let list = format!("{path}/basic-auth");
        let made = client.post(&list, &json!({"username": "a", "password": "x"})).await?.expect(201)?.json();
        let one = format!("{list}/{}", made["id"].as_str().unwrap_or_default());
        let renamed = client.patch(&one, &json!({"username": "b", "tags": ["t"]})).await?.expect(200)?.json();
        assert_eq!((&renamed["username"], &renamed["password"]), (&json!("b"), &made["password"]));
        let changed = client.patch(&one, &json!({"password": "y"})).await?.expect(200)?.json();
        assert_ne!(changed["password"], made["password"]);
        assert_eq!(changed["tags"], json!(["t"]));

        let list = format!("{path}/jwt");
        let made = client.post(&list, &json!({"ttl": 1000})).await?.expect(201)?.json();
        let one = format!("{list}/{}", made["id"].as_str().unwrap_or_default());
        let body = json!({"algorithm": "RS256", "rsa_public_key": RSA, "ttl": null});
        let changed = client.patch(&one, &body).await?.expect(200)?.json();
        assert_eq!((&changed["secret"], changed.get("ttl")), (&made["secret"], None));
        assert!(made["ttl"].is_i64() && made["expires_at"].is_i64(), "{made}");
        // The key cannot go while the algorithm needs it, and nothing changes.
        let refused =
            violations(&client.patch(&one, &json!({"rsa_public_key": null, "key": "other"})).await?);
        assert_eq!(refused["rsa_public_key"], "required field missing");
        assert_eq!(client.get(&one).await?.json(), changed);
        let unset = client.patch(&one, &json!({"algorithm": "HS512", "rsa_public_key": null})).await?;
        assert_eq!(unset.expect(200)?.json().get("rsa_public_key"), None);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_client_when_its_secret_is_to_be_hashed_then_the_hash_is_kongs_and_there_is_no_way_back()
-> Result<()> {
    on_both(async |client| {
        let (path, _) = developer(client, "d@example.com").await?;
        let list = format!("{path}/oauth2");
        let body = json!({"name": "n", "client_secret": "mysecret", "hash_secret": true});
        let hashed = client.post(&list, &body).await?.expect(201)?.field("client_secret")?;
        assert!(hashed.starts_with("$pbkdf2-sha512$i=10000,l=32$"), "{hashed}");

        let made =
            client.post(&list, &json!({"name": "n", "client_secret": "mysecret"})).await?.expect(201)?;
        let one = format!("{list}/{}", made.field("id")?);
        let hashed = client.patch(&one, &json!({"hash_secret": true})).await?.expect(200)?;
        let hash = hashed.field("client_secret")?;
        assert!(hash.starts_with("$pbkdf2-sha512$"), "{hash}");
        let same = client.patch(&one, &json!({"name": "m"})).await?.expect(200)?.field("client_secret")?;
        assert_eq!(same, hash);
        let back = json!({"hash_secret": "cannot be unset without a new client_secret"});
        assert_eq!(violations(&client.patch(&one, &json!({"hash_secret": false})).await?), back);
        let body = json!({"hash_secret": false, "client_secret": "another"});
        assert_eq!(client.patch(&one, &body).await?.expect(200)?.field("client_secret")?, "another");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_bad_members_when_a_credential_is_made_then_each_is_named_and_none_is_made() -> Result<()> {
    on_both(async |client| {
        let (path, _) = developer(client, "d@example.com").await?;
        let missing = "required field missing";
        let condition = "failed conditional validation given value of field 'algorithm'";
        for (family, body, fields) in [
            ("basic-auth", json!({}), json!({"username": missing, "password": missing})),
            ("hmac-auth", json!({"secret": ""}), json!({"username": missing, "secret": "length must be at least 1"})),
            ("key-auth", json!({"key": 7}), json!({"key": "expected a string"})),
            ("key-auth", json!({"username": "x"}), json!({"username": "unknown field"})),
            ("key-auth", json!({"ttl": -1}), json!({"ttl": "value should be between 0 and 100000000"})),
            ("key-auth", json!({"tags": ["a,b"]}), json!({"tags": ["invalid tag 'a,b': no control characters, commas or slashes"]})),
            ("oauth2", json!({}), json!({"name": missing})),
            ("oauth2", json!({"name": "n", "redirect_uris": ["x"]}), json!({"redirect_uris": ["cannot parse 'x'"]})),
            ("jwt", json!({"algorithm": "none"}), json!({"algorithm": "expected one of: HS256, HS384, HS512, RS256, RS384, RS512, ES256, ES384, ES512, PS256, PS384, PS512, EdDSA"})),
            ("jwt", json!({"algorithm": "RS256"}), json!({"@entity": [condition], "rsa_public_key": missing})),
            ("jwt", json!({"algorithm": "PS512"}), json!({"@entity": [condition], "rsa_public_key": missing})),
            ("jwt", json!({"algorithm": "EdDSA"}), json!({"@entity": [condition], "rsa_public_key": missing})),
            ("jwt", json!({"algorithm": "RS256", "rsa_public_key": "nonsense"}), json!({"rsa_public_key": "invalid key"})),
            ("jwt", json!({"algorithm": "RS256", "rsa_public_key": P256}), json!({"rsa_public_key": "invalid key"})),
            ("openid-connect", json!({"issuer": "example.com", "subject": "s"}), json!({"issuer": "expected a URL like https://host/path"})),
        ] {
            let list = format!("{path}/{family}");
            assert_eq!(violations(&client.post(&list, &body).await?), fields, "{family} {body}");
            assert_eq!(client.get(&list).await?.json()["total"], 0, "{family} {body}");
        }
        for (algorithm, key) in [("RS256", Some(RSA)), ("PS256", Some(RSA)), ("ES256", Some(P256)), ("ES256", None), ("EdDSA", Some(ED25519))] {
            let body = json!({"algorithm": algorithm, "rsa_public_key": key});
            client.post(&format!("{path}/jwt"), &body).await?.expect(201)?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_what_does_not_exist_when_asked_for_its_credentials_then_it_is_404() -> Result<()> {
    on_both(async |client| {
        let (path, _) = developer(client, "d@example.com").await?;
        for path in [
            format!("{path}/ldap-auth"),
            "/developers/nobody@example.com/credentials/key-auth".to_owned(),
            format!("{path}/key-auth/62d17e63-0628-43a3-b936-97b8dcbd366f"),
        ] {
            let answer = client.get(&path).await?;
            assert_eq!((answer.status, answer.json()), (404, json!({"message": "Not found"})), "{path}");
        }
        assert_eq!(client.post(&format!("{path}/ldap-auth"), &json!({})).await?.status, 404);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_as_many_credentials_as_are_allowed_when_one_more_is_made_then_the_limit_is_named() -> Result<()>
{
    let admin = Admin::start_with(Database::Sqlite, &[("APP_AUTH_CREDENTIALS_PER_KIND", "2")]).await?;
    let client = admin.client();
    let (path, _) = developer(client, "d@example.com").await?;
    let list = format!("{path}/key-auth");
    for _ in 0..2 {
        client.post(&list, &json!({})).await?.expect(201)?;
    }
    let refused = violations(&client.post(&list, &json!({})).await?);
    assert_eq!(refused, json!({"@entity": ["at most 2 credentials are allowed"]}));
    client.post(&format!("{path}/jwt"), &json!({})).await?.expect(201)?;
    Ok(())
}

#[tokio::test]
async fn given_secrets_that_are_shown_once_when_read_again_then_only_what_is_no_secret_is_there() -> Result<()>
{
    let admin = Admin::start_with(Database::Sqlite, &[("APP_AUTH_REVEAL", "once")]).await?;
    let client = admin.client();
    let (path, _) = developer(client, "d@example.com").await?;
    for family in FAMILIES {
        let list = format!("{path}/{family}");
        let made = client.post(&list, &least(family)).await?.expect(201)?.json();
        let read =
            client.get(&format!("{list}/{}", made["id"].as_str().unwrap_or_default())).await?.expect(200)?;
        for secret in ["password", "client_id", "client_secret", "secret"] {
            assert_eq!(read.json().get(secret), None, "{family}");
        }
        if family == "key-auth" {
            let end = read.field("last_four")?;
            assert!(made["key"].as_str().is_some_and(|key| key.ends_with(&end)) && end.len() == 4);
        }
    }
    Ok(())
}
