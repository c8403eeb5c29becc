//! What becomes of tokens that were given out: through a crash, at their end, and at rest.

use anyhow::Result;
use app_auth_tests::admin::{Admin, Database};
use app_auth_tests::at_rest::{at_rest, holds};
use app_auth_tests::wait;
use serde_json::json;

use super::stage::{PROVISION_KEY, SECRET, Stage};

#[tokio::test]
async fn given_tokens_when_the_program_is_killed_then_they_are_kept_but_can_be_read_nowhere() -> Result<()> {
    for database in Database::BOTH {
        println!("on {database:?}");
        let mut admin = Admin::start_with(database, &[("APP_AUTH_LOG", "debug")]).await?;
        let stage = Stage::make(&admin, &json!({})).await?;
        let hashed = json!({"client_id": "hashed", "client_secret": SECRET, "hash_secret": true});
        stage.client(hashed).await?;
        let (service, application, client_id) =
            (stage.service, stage.application.clone(), stage.client_id.clone());
        let got = stage.password(&[("client_id", "hashed")]).await?;
        let (token, refresh) = (got.token("access_token")?, got.token("refresh_token")?);
        stage.ask(&[("grant_type", "client_credentials"), ("client_secret", "hush_hush_wrong")]).await?;
        stage.password(&[("provision_key", "hush_hush_wrong")]).await?;
        let before = stage.records().await?;
        assert_eq!(before.0.len(), 1);

        admin.restart().await?;

        let again = Stage::again(&admin, service, application, client_id);
        assert_eq!(again.records().await?, before);
        let fields =
            [("client_id", "hashed"), ("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
        let got = again.ask(&fields).await?;
        let (kept, log) = (at_rest(&admin)?, admin.log());
        assert!(holds(&kept, "id123") && log.contains("/gateway/v1/oauth2/token"), "{log}");
        let given =
            [&token, &refresh, &got.token("access_token")?, &got.token("refresh_token")?].map(String::as_str);
        for secret in given.into_iter().chain([SECRET, PROVISION_KEY, "hush_hush"]) {
            assert!(!holds(&kept, secret), "{secret}");
            assert!(!log.contains(secret), "{secret}");
        }
        let audit = admin.client().get("/audit?size=1000").await?.text();
        assert!(!audit.contains("hush_hush") && !audit.contains("oauth2_token"), "{audit}");
    }
    Ok(())
}

#[tokio::test]
async fn given_tokens_when_their_time_is_over_then_gateways_forget_them_and_they_cannot_be_refreshed()
-> Result<()> {
    for database in Database::BOTH {
        println!("on {database:?}");
        let admin = Admin::start(database).await?;
        let stage = Stage::make(&admin, &json!({"token_expiration": 1, "refresh_token_ttl": 2})).await?;
        let refresh = stage.password(&[]).await?.token("refresh_token")?;
        stage.client_credentials().await?;
        wait::until("the tokens to be gone", async || Ok(stage.records().await? == (vec![], 2))).await?;
        wait::until("the refresh token to end", async || {
            // With a client of its own, so that it is not used up by asking.
            let refused = stage
                .ask(&[
                    ("grant_type", "refresh_token"),
                    ("refresh_token", &refresh),
                    ("scope", "not-granted"),
                ])
                .await?
                .refusal();
            Ok(refused.2 == "Invalid refresh_token")
        })
        .await?;
    }
    Ok(())
}
