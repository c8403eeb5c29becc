//! New keys, keys that go, and a provider that is away: nobody is refused who should not be, nobody stays in who should.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use app_auth_tests::wait;
use serde_json::json;

use super::stage::{Stage, verdict};

#[tokio::test]
async fn given_requests_without_pause_when_the_provider_rotates_its_key_then_none_is_refused() -> Result<()> {
    let stage = Stage::start(json!({})).await?;
    let done = AtomicBool::new(false);
    let callers = futures_util::future::try_join_all((0..8).map(|_| async {
        let mut let_in = 0_u32;
        while !done.load(Ordering::Relaxed) {
            // Every request is the first of its token.
            let token = stage.token("").await?;
            let answer = stage.call(&token).await?;
            assert_eq!(answer.status, 200, "after {let_in}: {}", answer.text());
            let_in += 1;
        }
        Ok::<_, anyhow::Error>(let_in)
    }));
    let rotations = async {
        for alg in ["RS256", "ES256", "EdDSA"] {
            stage.provider.rotate(alg, true).await?;
            // Until it has been used.
            let token = stage.token("").await?;
            wait::until("the new key to be known", async || Ok(stage.call(&token).await?.status == 200))
                .await?;
        }
        done.store(true, Ordering::Relaxed);
        Ok(())
    };
    let (let_in, ()) = futures_util::future::try_join(callers, rotations).await?;
    assert!(let_in.iter().all(|let_in| *let_in > 0), "{let_in:?}");
    Ok(())
}

#[tokio::test]
async fn given_a_key_that_is_gone_when_the_gateway_has_heard_then_what_it_signed_is_worth_nothing()
-> Result<()> {
    let stage = Stage::start(json!({})).await?;
    let old = stage.token("").await?;
    assert_eq!(stage.call(&old).await?.status, 200);
    stage.provider.rotate("ES256", false).await?;
    let new = stage.token("").await?;
    // The new key brings the news.
    assert_eq!(stage.call(&new).await?.status, 200);
    // Remembered or not.
    for _ in 0..4 {
        assert_eq!(verdict(&stage.call(&old).await?).0, 401);
    }
    Ok(())
}

#[tokio::test]
async fn given_a_provider_that_is_away_when_known_keys_sign_then_its_tokens_are_as_good_as_ever() -> Result<()>
{
    let mut stage = Stage::start(json!({})).await?;
    let (known, unknown) = {
        let known = stage.token("").await?;
        stage.provider.rotate("EdDSA", true).await?;
        (known, stage.token("").await?)
    };
    stage.provider.stop();
    assert_eq!(stage.call(&known).await?.status, 200);
    // It could not be asked for the new key, and by the keys that are known this token is none.
    assert_eq!(stage.call(&unknown).await?.status, 401);
    stage.scene.admin.kill();
    assert_eq!(stage.call(&known).await?.status, 200);
    Ok(())
}
