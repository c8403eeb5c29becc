//! Every combination of developer status, connection status, suspension, state of the key and place of the key, on a
//! real gateway: each is answered exactly as the table says, and nothing that is refused reaches the upstream.

use anyhow::{Context as _, Result};
use app_auth_tests::admin::Database;
use app_auth_tests::client::send;
use app_auth_tests::portal::{Application, Portal, Status};
use app_auth_tests::scene::{Location, Outcome, Scene};
use app_auth_tests::wait;
use serde_json::json;
use uuid::Uuid;

/// How an application stands to the service.
#[derive(Debug, Clone, Copy)]
struct Standing {
    developer: Status,
    /// None: no connection.
    connection: Option<Status>,
    suspended: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyState {
    Live,
    SecondLive,
    Expired,
    Deleted,
    Unknown,
    Missing,
    Duplicate,
}

impl KeyState {
    const ALL: [Self; 7] = [
        Self::Live,
        Self::SecondLive,
        Self::Expired,
        Self::Deleted,
        Self::Unknown,
        Self::Missing,
        Self::Duplicate,
    ];
}

/// An application in some standing, with its keys.
struct Cast {
    standing: Standing,
    live: String,
    second: String,
    expired: String,
    deleted: String,
}

impl Cast {
    fn keys(&self, state: KeyState) -> Vec<&str> {
        match state {
            KeyState::Live => vec![&self.live],
            KeyState::SecondLive => vec![&self.second],
            KeyState::Expired => vec![&self.expired],
            KeyState::Deleted => vec![&self.deleted],
            KeyState::Unknown => vec!["a-key-that-nobody-has"],
            KeyState::Missing => vec![],
            KeyState::Duplicate => vec![&self.live, &self.second],
        }
    }
}

fn standings() -> Vec<Standing> {
    let mut all = Vec::new();
    for developer in Status::ALL {
        all.push(Standing { developer, connection: None, suspended: false });
        for status in Status::ALL {
            for suspended in [false, true] {
                all.push(Standing { developer, connection: Some(status), suspended });
            }
        }
    }
    all
}

/// The table.
fn expected(standing: Standing, key: KeyState) -> Outcome {
    match key {
        KeyState::Missing => return Outcome::unauthorized("No API key found in request"),
        KeyState::Duplicate => return Outcome::unauthorized("Duplicate API key found"),
        KeyState::Expired | KeyState::Deleted | KeyState::Unknown => {
            return Outcome::unauthorized("Unauthorized");
        }
        KeyState::Live | KeyState::SecondLive => {}
    }
    if standing.developer != Status::Approved {
        return Outcome::forbidden("developer_not_approved");
    }
    match standing.connection {
        None => Outcome::forbidden("no_connection"),
        Some(Status::Pending) => Outcome::forbidden("pending"),
        Some(Status::Rejected) => Outcome::forbidden("rejected"),
        Some(Status::Revoked) => Outcome::forbidden("revoked"),
        Some(Status::Approved) if standing.suspended => Outcome::forbidden("suspended"),
        Some(Status::Approved) => Outcome::allowed(),
    }
}

/// Brings an application into a standing, one change after the other, as an operator would.
async fn cast(portal: &Portal, service: Uuid, standing: Standing) -> Result<Cast> {
    let developer = portal.developer(Status::Approved).await?;
    let application: Application = portal.application(&developer).await?;
    let live = portal.key(&application).await?.key;
    let second = portal.key(&application).await?.key;
    let expired = portal.key_with(&application, json!({"ttl": 1})).await?.key;
    let deleted = portal.key(&application).await?;
    portal.delete(&deleted.path()).await?.expect(204)?;
    if let Some(status) = standing.connection {
        let connection = portal.connection(&application, service).await?;
        portal.set_connection(&connection, status).await?;
        if standing.suspended {
            portal.set_suspended(&connection, true).await?;
        }
    }
    if standing.developer != Status::Approved {
        portal.set_developer(&developer, standing.developer).await?;
    }
    Ok(Cast { standing, live, second, expired, deleted: deleted.key })
}

#[tokio::test]
async fn given_every_standing_and_key_when_called_in_every_place_then_the_table_holds() -> Result<()> {
    let settings = json!({"key_in_body": true});
    let scene = Scene::with_services(Database::Sqlite, &[("echo", "/", settings)]).await?;
    let portal = scene.portal();
    let mut casts = Vec::new();
    for standing in standings() {
        casts.push(cast(&portal, scene.service(), standing).await?);
    }
    // One confirmed change after all others: from here on the gateway knows everything.
    let (last, _) = scene.confirmed().approved_key(scene.service()).await?;
    scene.wait_for(&last.key, Outcome::allowed()).await?;
    for cast in &casts {
        wait::until("the short-lived key to expire", async || {
            Ok(scene.call("/", &cast.expired).await?.status == 401)
        })
        .await?;
    }

    let client = scene.client();
    for cast in &casts {
        for state in KeyState::ALL {
            for location in Location::ALL {
                let before = scene.upstream.received();
                let request = location.request(&client, "/anything", "apikey", &cast.keys(state));
                let outcome = Outcome::of(&send(request).await?);

                let case = format!("{:?}, {state:?} key in {location:?}", cast.standing);
                assert_eq!(outcome, expected(cast.standing, state), "{case}");
                let reached = scene.upstream.received() - before;
                assert_eq!(
                    reached,
                    u64::from(outcome.status == 200),
                    "requests that reached the upstream: {case}"
                );
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn given_two_services_when_connected_to_one_then_the_other_stays_closed() -> Result<()> {
    let services = [("one", "/one", json!({})), ("other", "/other", json!({}))];
    let scene = Scene::with_services(Database::Sqlite, &services).await?;
    let (key, _) = scene.confirmed().approved_key(scene.service_named("one")?).await?;

    let (one, other) = (scene.call("/one", &key.key).await?, scene.call("/other", &key.key).await?);

    assert_eq!(Outcome::of(&one), Outcome::allowed());
    assert_eq!(Outcome::of(&other), Outcome::forbidden("no_connection"));
    Ok(())
}

#[tokio::test]
async fn given_an_oauth2_credential_when_its_client_id_is_the_key_then_it_counts_as_one() -> Result<()> {
    let scene = Scene::start(Database::Sqlite).await?;
    let portal = scene.confirmed();
    let (key, _) = portal.approved_key(scene.service()).await?;
    let path = format!("{}/credentials/oauth2", key.application.path());
    let credential = portal.post(&path, &json!({})).await?.expect(201)?;
    let client_id = credential.field("client_id").context("the new credential shows its client id")?;

    let answer = scene.call("/", &client_id).await?;

    assert_eq!(Outcome::of(&answer), Outcome::allowed());
    Ok(())
}
