//! What the upstream sees of the caller: exactly the identity the admin extension knows, whatever the client claims, and
//! no key where the service hides it. And what a refused client sees.

use anyhow::Result;
use app_auth_tests::admin::Database;
use app_auth_tests::client::send;
use app_auth_tests::raw;
use app_auth_tests::scene::{Location, Outcome, Scene, echo};
use reqwest::Method;
use serde_json::{Value, json};

const IDENTITY_HEADERS: [&str; 9] = [
    "X-Consumer-ID",
    "X-Consumer-Custom-ID",
    "X-Consumer-Username",
    "X-Credential-Identifier",
    "X-Anonymous-Consumer",
    "X-Application-ID",
    "X-Developer-ID",
    "X-Connection-ID",
    "X-Auth-Strategy-ID",
];

const FORGED: &str = "forged";

#[tokio::test]
async fn given_an_approved_application_when_called_then_the_upstream_sees_exactly_its_identity() -> Result<()>
{
    let scene = Scene::start(Database::Sqlite).await?;
    let portal = scene.confirmed();
    let (key, connection) = portal.approved_key(scene.service()).await?;
    let custom_id = "custom-42";
    portal.patch(&key.application.path(), &json!({"custom_id": custom_id})).await?.expect(200)?;
    let application = scene.admin.client().get(&key.application.path()).await?.expect(200)?.json();

    let seen = echo(&scene.call("/a/path?with=query", &key.key).await?)?;

    assert_eq!(
        (seen.method.as_str(), seen.path.as_str(), seen.query.as_str()),
        ("GET", "/a/path", "with=query")
    );
    let consumer = application["consumer"]["id"].as_str().unwrap_or_default();
    for (name, value) in [
        ("X-Consumer-ID", consumer),
        ("X-Consumer-Custom-ID", custom_id),
        ("X-Credential-Identifier", &key.id),
        ("X-Application-ID", &key.application.id),
        ("X-Developer-ID", &key.application.developer),
        ("X-Connection-ID", &connection.id),
    ] {
        assert_eq!(seen.every_spelling(name), [value], "{name}");
    }
    assert_eq!(seen.every_spelling("X-Auth-Strategy-ID").len(), 1);
    assert!(seen.every_spelling("X-Consumer-Username").is_empty());
    assert!(seen.every_spelling("X-Anonymous-Consumer").is_empty());
    Ok(())
}

#[tokio::test]
async fn given_forged_identity_headers_in_any_spelling_and_number_when_called_then_none_reaches_the_upstream()
-> Result<()> {
    let scene = Scene::start(Database::Sqlite).await?;
    let (key, _) = scene.confirmed().approved_key(scene.service()).await?;
    let key_line = format!("apikey: {}", key.key);
    let mut let_through = 0;

    for name in IDENTITY_HEADERS {
        for spelling in spellings(name) {
            for copies in [1, 2, 3] {
                let forged = format!("{spelling}: {FORGED}");
                let mut lines = vec![key_line.as_bytes()];
                lines.extend(std::iter::repeat_n(forged.as_bytes(), copies));
                check_not_forged(&scene, &lines, &mut let_through).await?;
            }
        }
        // Mixed spellings, empty and non-ASCII values between the forged ones.
        let mixed = spellings(name).map(|spelling| format!("{spelling}: {FORGED}"));
        let empty = format!("{name}:");
        let binary = [name.as_bytes(), b": \xff\xfe"].concat();
        let mut lines = vec![key_line.as_bytes(), empty.as_bytes(), &binary];
        lines.extend(mixed.iter().map(String::as_bytes));
        check_not_forged(&scene, &lines, &mut let_through).await?;
    }
    // A single forged header at least must be cleaned and not merely refused.
    assert!(let_through >= IDENTITY_HEADERS.len(), "only {let_through} requests were let through");
    Ok(())
}

/// Either refused (400), or let through without a trace of the forgery.
async fn check_not_forged(scene: &Scene, lines: &[&[u8]], let_through: &mut usize) -> Result<()> {
    let before = scene.upstream.received();
    let answer = raw::get(scene.gateway.port(), "/", lines).await?;
    let sent: Vec<_> = lines.iter().skip(1).map(|line| String::from_utf8_lossy(line)).collect();
    match answer.status {
        200 => {
            *let_through += 1;
            let seen: app_auth_tests::upstream::Echo = serde_json::from_slice(&answer.body)?;
            for name in IDENTITY_HEADERS {
                let values = seen.every_spelling(name);
                assert!(values.len() <= 1, "{name} is {values:?} after {sent:?}");
                assert!(
                    values.iter().all(|value| !value.contains(FORGED)),
                    "{name} is {values:?} after {sent:?}"
                );
            }
        }
        400 => {
            assert_eq!(scene.upstream.received(), before, "refused, but it reached the upstream: {sent:?}");
        }
        other => panic!("{other} for {sent:?}"),
    }
    Ok(())
}

fn spellings(name: &str) -> [String; 5] {
    let lower = name.to_ascii_lowercase();
    [
        name.to_owned(),
        lower.clone(),
        name.to_ascii_uppercase(),
        lower.replace('-', "_"),
        name.replacen('-', "_", 1),
    ]
}

#[tokio::test]
async fn given_a_service_that_hides_credentials_when_called_then_the_upstream_sees_all_but_the_key()
-> Result<()> {
    let settings = json!({"key_in_body": true, "hide_credentials": true});
    let scene = Scene::with_services(Database::Sqlite, &[("echo", "/", settings)]).await?;
    let (key, _) = scene.confirmed().approved_key(scene.service()).await?;
    let client = scene.client();

    for location in Location::ALL {
        let request = location.request(&client, "/path", "apikey", &[&key.key]);
        let answer = send(request).await?;

        assert_eq!(Outcome::of(&answer), Outcome::allowed(), "{location:?}");
        let seen = echo(&answer)?;
        assert!(!format!("{seen:?}").contains(&key.key), "{location:?}: {seen:?}");
        if matches!(location, Location::Json | Location::Multipart) {
            assert!(seen.body.contains("other"), "{location:?}: the rest of the body stays: {}", seen.body);
        }
    }
    let request = client.request(Method::GET, &format!("/path?a=1&apikey={}&b=%20x", key.key));
    assert_eq!(echo(&send(request).await?)?.query, "a=1&b=%20x", "the rest of the query stays as it was");
    Ok(())
}

#[tokio::test]
async fn given_a_service_that_does_not_hide_credentials_when_called_then_the_upstream_sees_the_key()
-> Result<()> {
    let scene = Scene::start(Database::Sqlite).await?;
    let (key, _) = scene.confirmed().approved_key(scene.service()).await?;

    let seen = echo(&scene.call("/", &key.key).await?)?;

    assert_eq!(seen.every_spelling("apikey"), [key.key.as_str()]);
    Ok(())
}

#[tokio::test]
async fn given_key_names_and_realm_when_called_then_only_those_names_count_and_the_challenge_names_the_realm()
-> Result<()> {
    let settings = json!({"key_names": ["x-key", "token"], "realm": "apis", "key_in_query": false});
    let scene = Scene::with_services(Database::Sqlite, &[("echo", "/", settings)]).await?;
    let (key, _) = scene.confirmed().approved_key(scene.service()).await?;
    let client = scene.client();
    let ask = async |name: &str| send(Location::Header.request(&client, "/", name, &[&key.key])).await;

    assert_eq!(ask("X-Key").await?.status, 200);
    assert_eq!(ask("token").await?.status, 200);
    let refused = ask("apikey").await?;
    assert_eq!(Outcome::of(&refused), Outcome::unauthorized("No API key found in request"));
    assert_eq!(refused.header("www-authenticate"), "Key realm=\"apis\"");
    let in_query = client.get(&format!("/?token={}", key.key)).await?;
    assert_eq!(in_query.status, 401, "this service does not look into the query");
    Ok(())
}

#[tokio::test]
async fn given_an_accept_header_when_refused_then_the_body_has_that_type() -> Result<()> {
    let scene = Scene::start(Database::Sqlite).await?;
    let client = scene.client();

    for (accept, content_type) in [
        ("application/json", "application/json; charset=utf-8"),
        ("text/html", "text/html; charset=utf-8"),
        ("application/xml", "application/xml; charset=utf-8"),
        ("text/plain", "text/plain; charset=utf-8"),
        ("*/*", "application/json; charset=utf-8"),
    ] {
        let answer = send(client.request(Method::GET, "/").header("Accept", accept)).await?;
        assert_eq!(answer.status, 401);
        assert_eq!(answer.header("content-type"), content_type, "for {accept}");
        assert_eq!(answer.header("www-authenticate"), "Key");
        assert!(answer.text().contains("No API key found in request"), "for {accept}: {}", answer.text());
    }
    let grpc = send(client.request(Method::POST, "/").header("Content-Type", "application/grpc")).await?;
    assert_eq!(grpc.body, b"", "a gRPC client gets no body");
    Ok(())
}

#[tokio::test]
async fn given_no_authentication_of_preflights_when_asked_with_options_then_it_passes_and_get_does_not()
-> Result<()> {
    let settings = json!({"run_on_preflight": false});
    let scene = Scene::with_services(Database::Sqlite, &[("echo", "/", settings)]).await?;
    let client = scene.client();

    let preflight = send(client.request(Method::OPTIONS, "/").header("X-Consumer-ID", FORGED)).await?;

    assert_eq!(preflight.status, 200);
    assert!(
        !format!("{:?}", echo(&preflight)?).contains(FORGED),
        "not even a preflight carries a forged identity"
    );
    assert_eq!(client.get("/").await?.status, 401);
    Ok(())
}

#[tokio::test]
async fn given_changed_settings_of_a_service_when_called_then_they_hold_without_a_restart() -> Result<()> {
    let scene = Scene::start(Database::Sqlite).await?;
    let portal = scene.confirmed();
    let (key, _) = portal.approved_key(scene.service()).await?;
    assert_eq!(scene.call("/", &key.key).await?.status, 200);

    let settings: Value = json!({"key_auth": {"key_names": ["x-other-key"]}});
    portal.patch("/services/echo", &settings).await?.expect(200)?;

    assert_eq!(scene.call("/", &key.key).await?.status, 401);
    let answer = send(Location::Header.request(&scene.client(), "/", "x-other-key", &[&key.key])).await?;
    assert_eq!(answer.status, 200);
    Ok(())
}
