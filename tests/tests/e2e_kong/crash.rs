//! The admin extension is killed between Kong's doing and its own: Kong is made to be as the database says.

use anyhow::Result;
use app_auth_tests::admin::Database;
use app_auth_tests::client::Client;
use app_auth_tests::kong_double::Fault;
use app_auth_tests::wait;
use reqwest::Method;
use serde_json::{Value, json};

use super::common::{ADA, Pair, left};

/// Sends a change that Kong makes and never answers, and kills the admin extension once Kong has made it.
async fn kill_in_the_middle(
    pair: &mut Pair,
    method: Method,
    path: &str,
    body: Value,
    made: impl Fn(&Pair) -> bool,
) -> Result<()> {
    pair.kong.set_fault(Fault::ApplyAndHang);
    let client: Client = pair.client().clone();
    let path = path.to_owned();
    let call = tokio::spawn(async move { client.request(method, &path).json(&body).send().await.is_err() });
    wait::until("Kong to have done it", async || Ok(made(pair))).await?;
    pair.admin.kill();
    assert!(call.await?, "the change was not acknowledged");
    pair.kong.set_fault(Fault::None);
    pair.admin.restart().await
}

#[tokio::test]
async fn given_a_kill_after_kong_made_something_when_restarted_then_no_orphan_is_left() -> Result<()> {
    for database in Database::BOTH {
        let mut pair = Pair::start(database).await?;
        let eva = json!({"email": "eva@example.com", "meta": {"full_name": "Eva"}});
        let made = |pair: &Pair| pair.kong.consumers().len() == 1;
        kill_in_the_middle(&mut pair, Method::POST, "/developers", eva, made).await?;
        assert_eq!(pair.client().get("/developers").await?.json()["total"], 0);
        wait::until("the orphan to go", async || Ok(pair.kong.consumers().is_empty())).await?;

        pair.developer("ada").await?.expect(200)?;
        let cache = json!({"name": "proxy-cache", "config": {"strategy": "memory"}});
        let made = |pair: &Pair| pair.kong.plugins().len() == 1;
        kill_in_the_middle(&mut pair, Method::POST, &format!("{ADA}/plugins"), cache, made).await?;
        assert_eq!(pair.client().get(&format!("{ADA}/plugins")).await?.json()["total"], 0);
        wait::until("the orphan to go", async || Ok(pair.kong.plugins().is_empty())).await?;
        pair.wait_until_told().await?;
        assert_eq!(pair.kong.usernames(), ["developer:ada@example.com"]);
    }
    Ok(())
}

#[tokio::test]
async fn given_a_kill_after_kong_changed_something_when_restarted_then_it_is_as_the_database_says()
-> Result<()> {
    for database in Database::BOTH {
        let mut pair = Pair::start(database).await?;
        pair.developer("ada").await?.expect(200)?;
        let plugin = format!("{ADA}/plugins/{}", pair.cache(ADA).await?.expect(201)?.field("id")?);
        let ttl = |pair: &Pair| -> Vec<Value> {
            pair.kong.plugins().values().map(|plugin| plugin["config"]["cache_ttl"].clone()).collect()
        };

        let body = json!({"config": {"cache_ttl": 7}});
        kill_in_the_middle(&mut pair, Method::PATCH, &plugin, body, |pair| ttl(pair) == [json!(7)]).await?;

        assert_eq!(pair.client().get(&plugin).await?.json()["config"]["cache_ttl"], 300);
        wait::until("Kong to be as before", async || Ok(ttl(&pair) == [json!(300)])).await?;
        pair.wait_until_told().await?;
    }
    Ok(())
}

#[tokio::test]
async fn given_a_caller_that_goes_away_when_kong_has_made_something_then_no_orphan_is_left() -> Result<()> {
    let pair = Pair::start(Database::Sqlite).await?;
    pair.developer("ada").await?.expect(200)?;
    pair.kong.set_fault(Fault::ApplyAndHang);
    let client = pair.client().clone();
    let body = json!({"name": "proxy-cache", "config": {"strategy": "memory"}});
    let call = tokio::spawn(async move { client.post(&format!("{ADA}/plugins"), &body).await });
    wait::until("Kong to have done it", async || Ok(pair.kong.plugins().len() == 1)).await?;

    call.abort();
    pair.kong.set_fault(Fault::None);

    wait::until("both to be of one mind", async || {
        let here = pair.client().get(&format!("{ADA}/plugins")).await?.json()["total"].as_u64();
        Ok(left(pair.client()).await?.is_empty() && here == Some(pair.kong.plugins().len() as u64))
    })
    .await
}
