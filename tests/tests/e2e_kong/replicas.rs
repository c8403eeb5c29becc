//! Two replicas over one database, and changes that come at the same time.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use app_auth_tests::admin::Database;
use app_auth_tests::kong_double::Fault;
use app_auth_tests::wait;
use serde_json::json;

use super::common::{ADA, Pair, left, sync, wait_until_told};

#[tokio::test]
async fn given_two_replicas_when_kong_comes_back_then_it_is_told_everything_once() -> Result<()> {
    let mut pair = Pair::start(Database::Postgres).await?;
    let other = pair.admin.replica().await?;
    pair.kong.stop();
    for number in 0..20 {
        let client = if number % 2 == 0 { pair.client() } else { other.client() };
        let body = json!({"email": format!("d{number}@example.com"), "meta": {"full_name": "D"}});
        assert_eq!(sync(&client.post("/developers", &body).await?.expect(200)?), "pending");
    }
    assert_eq!(left(other.client()).await?.len(), 20);

    pair.kong.restart()?;

    wait_until_told(other.client()).await?;
    assert_eq!(pair.kong.consumers().len(), 20);
    let mut told: BTreeMap<String, u32> = BTreeMap::new();
    for call in pair.kong.take_calls() {
        *told.entry(call.path).or_default() += 1;
    }
    assert!(told.len() == 20 && told.values().all(|times| *times == 1), "{told:?}");
    Ok(())
}

#[tokio::test]
async fn given_a_replica_that_dies_with_something_to_tell_when_the_other_lives_then_kong_is_told()
-> Result<()> {
    let mut pair = Pair::start(Database::Postgres).await?;
    let other = pair.admin.replica().await?;
    pair.kong.stop();
    pair.developer("ada").await?.expect(200)?;
    pair.admin.kill();

    pair.kong.restart()?;

    wait::until("the consumer", async || Ok(pair.kong.consumers().len() == 1)).await?;
    wait_until_told(other.client()).await
}

#[tokio::test]
async fn given_changes_of_one_plugin_at_once_when_all_are_answered_then_kong_and_database_agree() -> Result<()>
{
    for database in Database::BOTH {
        let pair = Pair::start(database).await?;
        pair.developer("ada").await?.expect(200)?;
        let plugin = format!("{ADA}/plugins/{}", pair.cache(ADA).await?.expect(201)?.field("id")?);
        pair.kong.set_fault(Fault::Slow(Duration::from_millis(50)));

        let calls: Vec<_> = (1..=12)
            .map(|ttl| {
                let (client, plugin) = (pair.client().clone(), plugin.clone());
                tokio::spawn(
                    async move { client.patch(&plugin, &json!({"config": {"cache_ttl": ttl}})).await },
                )
            })
            .collect();
        for call in calls {
            call.await??.expect(200)?;
        }

        pair.wait_until_told().await?;
        let here = pair.client().get(&plugin).await?.json()["config"].clone();
        let there: Vec<_> =
            pair.kong.plugins().into_values().map(|plugin| plugin["config"].clone()).collect();
        assert_eq!(there, [here]);
    }
    Ok(())
}

#[tokio::test]
async fn given_a_developer_deleted_while_a_plugin_is_applied_when_all_is_told_then_nothing_is_left()
-> Result<()> {
    for database in Database::BOTH {
        let pair = Pair::start(database).await?;
        for round in 0..5 {
            pair.developer("ada").await?.expect(200)?;
            pair.kong.set_fault(Fault::Slow(Duration::from_millis(30 * round)));
            let (applied, deleted) = tokio::join!(pair.cache(ADA), pair.client().delete(ADA));
            assert!([201, 404].contains(&applied?.status));
            deleted?.expect(204)?;
            pair.kong.set_fault(Fault::None);
            pair.wait_until_told().await?;
            assert_eq!((pair.kong.consumers().len(), pair.kong.plugins().len()), (0, 0), "round {round}");
        }
    }
    Ok(())
}
