//! Tokens at Envoy: got at the route of the service itself, and good on every gateway for as long as the client may use the
//! service.

use anyhow::Result;
use app_auth_tests::admin::{Admin, Database};
use app_auth_tests::client::{Answer, Client, send};
use app_auth_tests::gateway::{Gateway, Service};
use app_auth_tests::portal::{Application, Connection, Portal, Status};
use app_auth_tests::scene::{Outcome, echo};
use app_auth_tests::upstream::Upstream;
use app_auth_tests::wait;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::stage::{PROVISION_KEY, SECRET, oauth2};

/// Two gateways before one upstream, and a client whose application is connected to the first service.
struct Scene {
    // In the order in which they stop.
    gateways: [Gateway; 2],
    admin: Admin,
    _upstream: Upstream,
    application: Application,
    connection: Connection,
    client_id: String,
}

impl Scene {
    /// Services by path and, as `POST /services` has them, members.
    async fn start(services: &[(&str, Value)]) -> Result<Self> {
        let admin = Admin::start(Database::Sqlite).await?;
        let client = admin.client().clone();
        let upstream = Upstream::start(0)?;
        let mut placed = Vec::new();
        for (number, (prefix, members)) in services.iter().enumerate() {
            let name = format!("service-{number}");
            let mut body = json!({"id": Uuid::new_v4(), "name": name});
            for (member, value) in members.as_object().into_iter().flatten() {
                body[member] = value.clone();
            }
            let id: Uuid = client.post("/services", &body).await?.expect(201)?.field("id")?.parse()?;
            placed.push(Service::new(&name, id, prefix));
        }
        let portal = Portal::new(&client);
        let developer = portal.developer(Status::Approved).await?;
        let application = portal.application(&developer).await?;
        let path = format!("{}/credentials/oauth2", application.path());
        let made = portal.post(&path, &json!({"client_secret": SECRET})).await?.expect(201)?;
        let first = placed.first().map(|service| service.id).unwrap_or_default();
        let connection = portal.connection(&application, first).await?;
        portal.set_connection(&connection, Status::Approved).await?;
        let mut gateways = [
            Gateway::start(&admin, upstream.address(), placed.clone()).await?,
            Gateway::start(&admin, upstream.address(), placed).await?,
        ];
        for gateway in &mut gateways {
            gateway.wait_until_synced().await?;
        }
        let client_id = made.field("client_id")?;
        Ok(Self { gateways, admin, _upstream: upstream, application, connection, client_id })
    }

    /// Answered when the gateways have applied what was written.
    fn confirmed(&self) -> Portal {
        Portal::new(self.admin.client()).waiting(30)
    }

    /// Asks for a token at the first gateway.
    async fn ask(&self, path: &str, fields: &[(&str, &str)]) -> Result<Answer> {
        let mut form = vec![("client_id", self.client_id.as_str()), ("client_secret", SECRET)];
        form.extend(fields);
        let request = self.gateways[0].client().request(Method::POST, path).form(&form);
        send(request.header("X-Forwarded-Proto", "https")).await
    }

    async fn token(&self, path: &str) -> Result<String> {
        self.ask(path, &[("grant_type", "client_credentials")]).await?.expect(200)?.field("access_token")
    }

    /// What each gateway says of a request with a token.
    async fn outcomes(&self, path: &str, token: &str) -> Result<[Outcome; 2]> {
        let [a, b] = &self.gateways;
        Ok([
            Outcome::of(&call(&a.client(), path, token).await?),
            Outcome::of(&call(&b.client(), path, token).await?),
        ])
    }
}

async fn call(gateway: &Client, path: &str, token: &str) -> Result<Answer> {
    send(gateway.request(Method::GET, path).bearer_auth(token)).await
}

fn settings(members: &Value) -> Value {
    let mut settings = oauth2(&json!({"accept_http_if_already_terminated": true}));
    for (name, value) in members.as_object().into_iter().flatten() {
        settings[name] = value.clone();
    }
    settings
}

fn both(outcome: Outcome) -> [Outcome; 2] {
    [outcome.clone(), outcome]
}

/// What is said of a token that is none, or none any more.
fn assert_invalid(answer: &Answer, description: &str) {
    assert_eq!(answer.status, 401, "{}", answer.text());
    assert_eq!(answer.json(), json!({"error": "invalid_token", "error_description": description}));
    let challenge = format!("Bearer error=\"invalid_token\" error_description=\"{description}\"");
    assert_eq!(answer.header("www-authenticate"), challenge);
}

const INVALID: &str = "The access token is invalid or has expired";

#[tokio::test]
async fn given_a_token_when_used_at_any_gateway_then_it_is_good_until_the_connection_is_revoked() -> Result<()>
{
    let mut scene = Scene::start(&[("/", json!({"oauth2": settings(&json!({}))}))]).await?;
    let fields = [
        ("grant_type", "password"),
        ("provision_key", PROVISION_KEY),
        ("authenticated_userid", "id123"),
        ("scope", "email address"),
        ("state", "s"),
    ];
    let got = scene.ask("/any/path/oauth2/token", &fields).await?.expect(200)?;
    assert_eq!((got.header("cache-control"), got.header("pragma")), ("no-store", "no-cache"));
    assert_eq!(got.json()["state"], "s");
    let token = got.field("access_token")?;

    for gateway in &scene.gateways {
        let seen = echo(&call(&gateway.client(), "/orders", &token).await?.expect(200)?)?;
        for (name, value) in [
            ("X-Application-ID", scene.application.id.as_str()),
            ("X-Credential-Identifier", &scene.client_id),
            ("X-Authenticated-Scope", "email address"),
            ("X-Authenticated-UserId", "id123"),
        ] {
            assert_eq!(seen.every_spelling(name), [value], "{name}");
        }
    }
    // A token refused for what it wants says so in the words of the admin extension.
    let refused = scene.ask("/oauth2/token", &[("grant_type", "magic")]).await?;
    assert_eq!((refused.status, &refused.json()["error"]), (400, &json!("unsupported_grant_type")));
    let refused = send(scene.gateways[0].client().request(Method::GET, "/oauth2/token/")).await?;
    assert_eq!((refused.status, &refused.json()["error"]), (405, &json!("invalid_method")));

    scene.admin.restart().await?;
    scene.gateways[1].restart().await?;
    scene.gateways[1].wait_until_synced().await?;
    assert_eq!(scene.outcomes("/", &token).await?, both(Outcome::allowed()));

    scene.confirmed().set_connection(&scene.connection, Status::Revoked).await?;
    assert_eq!(scene.outcomes("/", &token).await?, both(Outcome::forbidden("revoked")));
    // Who may not use the service may still get tokens, as with Kong: they say who it is, and nothing more.
    let other = scene.token("/oauth2/token").await?;
    assert_eq!(scene.outcomes("/", &other).await?, both(Outcome::forbidden("revoked")));

    let path = format!("{}/credentials/oauth2/{}", scene.application.path(), scene.client_id);
    scene.confirmed().delete(&path).await?.expect(204)?;
    for gateway in &scene.gateways {
        assert_invalid(&call(&gateway.client(), "/", &token).await?, INVALID);
    }
    for log in [scene.gateways[0].log(), scene.gateways[1].log(), scene.admin.log()] {
        assert!(!log.contains(&token) && !log.contains("hush_hush"), "{log}");
    }
    Ok(())
}

#[tokio::test]
async fn given_a_token_when_it_is_for_another_service_or_over_then_it_is_invalid() -> Result<()> {
    let other = settings(&json!({"provision_key": "other", "token_expiration": 1}));
    let scene = Scene::start(&[
        ("/here", json!({"oauth2": settings(&json!({}))})),
        ("/there", json!({"oauth2": other})),
    ])
    .await?;
    let gateway = scene.gateways[1].client();
    let token = scene.token("/here/oauth2/token").await?;
    assert_eq!(scene.outcomes("/here", &token).await?, both(Outcome::allowed()));
    for not_good in [token.as_str(), "unknown"] {
        assert_invalid(&call(&gateway, "/there", not_good).await?, INVALID);
    }
    let missing = gateway.get("/there").await?;
    let expected = json!({"error": "invalid_request", "error_description": "The access token is missing"});
    assert_eq!((missing.status, missing.json()), (401, expected));
    assert_eq!(missing.header("www-authenticate"), "Bearer");

    // It is known for what it is, as long as it lasts.
    let token = scene.token("/there/oauth2/token").await?;
    wait::until("the token to expire", async || Ok(call(&gateway, "/there", &token).await?.status == 401))
        .await?;
    assert_invalid(&call(&gateway, "/there", &token).await?, INVALID);

    // Tokens for every service are for those that take them.
    let id = scene.confirmed().client().get("/services/service-0").await?.field("id")?;
    let global = async |name: &str, on: bool| {
        let body = json!({"oauth2": {"global_credentials": on, "token_expiration": 60}});
        scene.confirmed().patch(&format!("/services/{name}"), &body).await?.expect(200)
    };
    global(&id, true).await?;
    let token = scene.token("/here/oauth2/token").await?;
    let message =
        "The access token is global, but the current plugin is configured without 'global_credentials'";
    assert_invalid(&call(&gateway, "/there", &token).await?, message);
    global("service-1", true).await?;
    assert_eq!(scene.outcomes("/there", &token).await?, both(Outcome::forbidden("no_connection")));
    assert_eq!(scene.outcomes("/here", &token).await?, both(Outcome::allowed()));
    Ok(())
}

#[tokio::test]
async fn given_keys_and_tokens_on_one_service_when_called_then_either_opens_it_and_both_are_named()
-> Result<()> {
    let oauth2 = settings(&json!({"realm": "ours", "hide_credentials": true}));
    let scene = Scene::start(&[
        ("/both", json!({"key_auth": {}, "oauth2": oauth2})),
        ("/tokens", json!({"oauth2": settings(&json!({"provision_key": "other"}))})),
    ])
    .await?;
    let gateway = scene.gateways[0].client();
    let key = scene.confirmed().key(&scene.application).await?;
    let with_key =
        async |path: &str, key: &str| send(gateway.request(Method::GET, path).header("apikey", key)).await;

    let nothing = gateway.get("/both").await?;
    let challenges: Vec<_> = nothing.headers.get_all("www-authenticate").iter().collect();
    assert_eq!(nothing.status, 401);
    let challenges = challenges.iter().filter_map(|value| value.to_str().ok()).collect::<Vec<_>>().join(", ");
    assert!(challenges.contains("Key") && challenges.contains("Bearer realm=\"ours\""), "{challenges}");
    for key in [&key.key, &scene.client_id] {
        assert_eq!(with_key("/both", key).await?.status, 200);
        // Where tokens are asked for, a client id opens nothing.
        assert_eq!(with_key("/tokens", key).await?.status, 401);
    }
    let token = scene.token("/both/oauth2/token").await?;
    let seen = echo(&call(&gateway, "/both", &token).await?.expect(200)?)?;
    assert!(seen.every_spelling("authorization").iter().all(|value| value.is_empty()), "{seen:?}");
    Ok(())
}

#[tokio::test]
async fn given_a_caller_that_only_says_it_came_by_https_when_nobody_vouches_for_it_then_it_gets_no_token()
-> Result<()> {
    let settings = settings(&json!({"accept_http_if_already_terminated": false}));
    let scene = Scene::start(&[("/", json!({"oauth2": settings}))]).await?;
    let refused = scene.ask("/oauth2/token", &[("grant_type", "client_credentials")]).await?;
    assert_eq!((refused.status, &refused.json()["error_description"]), (400, &json!("You must use HTTPS")));
    Ok(())
}
