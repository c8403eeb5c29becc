//! The token endpoint refuses: every row of the contract, in its words.

use anyhow::Result;
use app_auth_tests::admin::{Admin, Database};
use serde_json::{Value, json};
use uuid::Uuid;

use super::stage::{FORM, SECRET, Stage, basic, form};

const REDIRECT: &str =
    "Invalid redirect_uri that does not match with any redirect_uri created with the application";
const CLIENT: &str = "Invalid client authentication";

#[tokio::test]
async fn given_a_request_that_breaks_a_rule_when_relayed_then_it_gets_the_status_error_and_words_for_it()
-> Result<()> {
    for database in Database::BOTH {
        println!("on {database:?}");
        let admin = Admin::start(database).await?;
        let stage = Stage::make(&admin, &json!({})).await?;
        let public = stage.client(json!({"client_id": "public", "client_type": "public"})).await?;
        let hashed = json!({"client_id": "hashed", "client_secret": SECRET, "hash_secret": true});
        stage.client(hashed).await?;
        let key = stage.client.post(
            &format!("{}/credentials/key-auth", stage.application.path()),
            &json!({"key": "an-api-key-and-no-client"}),
        );
        key.await?.expect(201)?;
        let long = "x".repeat(5000);
        let (cc, pw, rt) = (
            ("grant_type", "client_credentials"),
            ("grant_type", "password"),
            ("grant_type", "refresh_token"),
        );
        let provision = ("provision_key", super::stage::PROVISION_KEY);
        for (fields, error, description) in [
            (vec![], "unsupported_grant_type", "Invalid grant_type"),
            (vec![("grant_type", "magic")], "unsupported_grant_type", "Invalid grant_type"),
            (vec![cc, ("client_id", "unknown")], "invalid_client", CLIENT),
            (vec![("grant_type", "magic"), ("client_id", "unknown")], "invalid_client", CLIENT),
            (vec![cc, ("client_secret", "wrong")], "invalid_client", CLIENT),
            (vec![cc, ("client_id", "hashed"), ("client_secret", "wrong")], "invalid_client", CLIENT),
            (vec![cc, ("client_id", "an-api-key-and-no-client")], "invalid_client", CLIENT),
            (
                vec![cc, ("client_id", &public), ("client_secret", "any")],
                "invalid_request",
                "client_secret is disallowed for public clients",
            ),
            // Whoever knows its id would be this client.
            (vec![cc, ("client_id", &public), ("client_secret", "")], "invalid_client", CLIENT),
            (vec![pw, provision], "invalid_authenticated_userid", "Missing authenticated_userid parameter"),
            (
                vec![pw, provision, ("authenticated_userid", " ")],
                "invalid_authenticated_userid",
                "Missing authenticated_userid parameter",
            ),
            (
                vec![pw, provision, ("authenticated_userid", "a\nb")],
                "invalid_authenticated_userid",
                "Invalid authenticated_userid parameter",
            ),
            (
                vec![pw, provision, ("authenticated_userid", &long)],
                "invalid_authenticated_userid",
                "Invalid authenticated_userid parameter",
            ),
            (vec![pw], "invalid_provision_key", "Invalid provision_key"),
            (vec![pw, ("provision_key", "wrong")], "invalid_provision_key", "Invalid provision_key"),
            (vec![cc, ("authenticated_userid", "u")], "invalid_provision_key", "Invalid provision_key"),
            (vec![pw, provision, ("redirect_uri", "https://x.example")], "invalid_request", REDIRECT),
            (vec![("grant_type", "magic"), ("redirect_uri", "x")], "invalid_request", REDIRECT),
            (vec![("grant_type", "authorization_code"), ("code", "c")], "invalid_request", "Invalid code"),
            (vec![rt], "invalid_request", "Invalid refresh_token"),
            (vec![rt, ("refresh_token", "unknown")], "invalid_request", "Invalid refresh_token"),
            (vec![cc, ("scope", "email phone")], "invalid_scope", "\"phone\" is an invalid scope"),
            (vec![cc, ("scope", "email"), ("scope", "address")], "invalid_scope", "scope must be a string"),
        ] {
            let got = stage.ask(&fields).await?;
            let expected = (400, error.to_owned(), description.to_owned());
            assert_eq!(got.refusal(), expected, "{fields:?}");
            assert_eq!(got.header("www-authenticate"), "", "{fields:?}");
            assert_eq!((got.header("cache-control"), got.header("pragma")), ("no-store", "no-cache"));
            assert_eq!(got.header("content-type"), "application/json; charset=utf-8");
        }
        // Where it is mandatory, a scope that says nothing is none.
        stage.set(json!({"mandatory_scope": true})).await?;
        for fields in [vec![cc], vec![cc, ("scope", " ")]] {
            let expected = (400, "invalid_scope".into(), "You must specify a scope".into());
            assert_eq!(stage.ask(&fields).await?.refusal(), expected);
        }
        // A flow that is switched off is no grant type.
        stage.set(json!({"mandatory_scope": false, "enable_password_grant": false})).await?;
        let refused = stage.password(&[]).await?.refusal();
        assert_eq!(refused, (400, "unsupported_grant_type".into(), "Invalid grant_type".into()));
        assert_eq!(stage.records().await?, (vec![], 0));
    }
    Ok(())
}

#[tokio::test]
async fn given_credentials_wherever_they_may_stand_when_relayed_then_they_count_in_their_order() -> Result<()>
{
    let admin = Admin::start(Database::Sqlite).await?;
    let stage = Stage::make(&admin, &json!({})).await?;
    let good = basic(&stage.client_id, SECRET)?;
    let both = form(&[("client_id", &stage.client_id), ("client_secret", SECRET)]);
    let grant = "grant_type=client_credentials";
    let object = json!({"grant_type": "client_credentials", "client_id": stage.client_id,
        "client_secret": SECRET, "state": "a&b"});
    for request in [
        json!({"query": format!("{grant}&{both}")}),
        json!({"query": "grant_type=magic", "content_type": FORM, "body": format!("{grant}&{both}")}),
        json!({"query": both, "content_type": FORM, "body": grant}),
        json!({"content_type": "application/json", "body": object.to_string()}),
        json!({"query": grant, "authorization": good}),
        json!({"query": grant, "authorization": good.replace("Basic", "basic")}),
        json!({"query": grant, "authorization": good.trim_end_matches('=')}),
        // An id alone is less than what the header says.
        json!({"query": format!("{grant}&client_id=unknown"), "authorization": good}),
        // Both are more.
        json!({"query": format!("{grant}&{both}"), "authorization": basic("unknown", "x")?}),
    ] {
        assert_eq!(stage.relay(&request).await?.status, 200, "{request}");
    }
    for authorization in [
        basic(&stage.client_id, "wrong")?,
        basic("unknown", SECRET)?,
        good.replace("Basic", "Bearer"),
        "Basic ????".into(),
        "Basic".into(),
    ] {
        let got = stage.relay(&json!({"query": grant, "authorization": authorization})).await?;
        assert_eq!(got.refusal(), (401, "invalid_client".into(), CLIENT.into()), "{authorization}");
        assert_eq!(got.header("www-authenticate"), "Basic realm=\"OAuth2.0\"");
    }
    // Nothing but forms and objects has parameters, and no secret is no secret.
    for request in [
        json!({"query": grant, "content_type": "text/plain", "body": both}),
        json!({"query": grant, "content_type": "application/json", "body": "{"}),
        json!({"query": format!("{grant}&client_id={}", stage.client_id)}),
        json!({"content_type": "application/json", "body": json!({"grant_type": "client_credentials",
            "client_id": [stage.client_id], "client_secret": SECRET}).to_string()}),
    ] {
        assert_eq!(stage.relay(&request).await?.refusal(), (400, "invalid_client".into(), CLIENT.into()));
    }
    Ok(())
}

#[tokio::test]
async fn given_a_connection_or_method_that_will_not_do_when_relayed_then_nothing_else_is_looked_at()
-> Result<()> {
    let admin = Admin::start(Database::Sqlite).await?;
    let stage = Stage::make(&admin, &json!({})).await?;
    let body = form(&[
        ("grant_type", "client_credentials"),
        ("client_id", &stage.client_id),
        ("client_secret", SECRET),
        ("state", "xyz"),
    ]);
    let relay = async |members: Value| {
        let mut request = json!({"content_type": FORM, "body": body});
        for (name, value) in members.as_object().into_iter().flatten() {
            request[name] = value.clone();
        }
        stage.relay(&request).await
    };
    let (https, one) = ("You must use HTTPS", "Only one X-Forwarded-Proto header allowed");
    let plain = |proto: Value| json!({"https": false, "forwarded_proto": proto});
    for (terminated, request, description) in [
        (false, plain(json!([])), Some(https)),
        (false, plain(json!(["https"])), Some(https)),
        (true, plain(json!([])), Some(https)),
        (true, plain(json!(["http"])), Some(https)),
        (true, plain(json!(["https, http"])), Some(https)),
        (true, plain(json!(["https", "https"])), Some(one)),
        (true, plain(json!(["HTTPS"])), None),
        (true, json!({"https": true, "forwarded_proto": ["http"]}), None),
    ] {
        stage.set(json!({"accept_http_if_already_terminated": terminated})).await?;
        let got = relay(request.clone()).await?;
        assert_eq!(got.body["state"], "xyz");
        match description {
            Some(description) => {
                assert_eq!(got.refusal(), (400, "access_denied".into(), description.into()), "{request}");
            }
            None => assert_eq!(got.status, 200, "{request}"),
        }
    }
    stage.set(json!({"realm": "ours"})).await?;
    for (method, realm) in [("GET", "ours"), ("OPTIONS", "ours")] {
        let got = relay(json!({"method": method, "https": false})).await?;
        let description = format!("The HTTP method {method} is invalid for the token endpoint");
        assert_eq!(got.refusal(), (405, "invalid_method".into(), description.clone()));
        assert_eq!(
            got.header("www-authenticate"),
            format!("Bearer realm=\"{realm}\" error=\"invalid_method\" error_description=\"{description}\"")
        );
    }
    Ok(())
}

#[tokio::test]
async fn given_a_gateway_that_asks_amiss_when_it_does_then_it_is_told_so_and_nothing_is_quoted() -> Result<()>
{
    let admin = Admin::start(Database::Sqlite).await?;
    let stage = Stage::make(&admin, &json!({})).await?;
    let path = "/gateway/v1/oauth2/token";
    let gateway = admin.gateway_client();
    let request = |service: Uuid| json!({"service": service, "method": "POST", "https": true});
    for client in [gateway.with_token(None), admin.client().clone()] {
        assert_eq!(client.post(path, &request(stage.service)).await?.status, 401);
    }
    gateway.post(path, &request(Uuid::new_v4())).await?.expect(404)?;
    let mut long = request(stage.service);
    long["body"] = json!("x".repeat(70_000));
    gateway.post(path, &long).await?.expect(400)?;
    let amiss = json!({"service": "hush_hush", "method": ["hush_hush"]});
    let refused = gateway.post(path, &amiss).await?.expect(400)?;
    assert!(!refused.text().contains("hush_hush"));
    stage.client.post("/services", &json!({"name": "keys"})).await?.expect(201)?;
    let keys = stage.client.get("/services/keys").await?.field("id")?.parse()?;
    gateway.post(path, &request(keys)).await?.expect(404)?;
    Ok(())
}
