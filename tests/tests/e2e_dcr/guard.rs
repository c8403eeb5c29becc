//! What an operator enters as a provider's address makes the admin extension call nobody it should not.

use anyhow::Result;
use app_auth_tests::admin::{Admin, Database};
use app_auth_tests::idp_double::{Bridge, Fault, IdpDouble, Vendor as _};
use serde_json::{Value, json};

async fn verified(admin: &Admin, provider: &Value) -> Result<Value> {
    let made = admin.client().post("/v2/dcr-providers", provider).await?.expect(201)?;
    let path = format!("/v2/dcr-providers/{}/verify", made.field("id")?);
    Ok(admin.client().post(&path, &json!({})).await?.expect(200)?.json())
}

fn bridge(base: &str) -> Value {
    Bridge::provider(base)
}

#[tokio::test]
async fn given_no_setting_when_a_provider_speaks_plain_http_or_is_this_machine_then_it_is_not_called()
-> Result<()> {
    let admin = Admin::start(Database::Sqlite).await?;
    let double = IdpDouble::<Bridge>::start()?;
    for base in [
        double.url(),
        double.url().replace("127.0.0.1", "localhost"),
        double.url().replace("http:", "https:"),
    ] {
        let answer = verified(&admin, &bridge(&base)).await?;
        assert_eq!(answer["status"], "failed", "{base}: {answer}");
    }
    assert_eq!(double.take_calls().len(), 0);
    Ok(())
}

#[tokio::test]
async fn given_addresses_of_metadata_services_when_verified_then_they_are_refused_at_once() -> Result<()> {
    let admin = Admin::start_with(Database::Sqlite, &[("APP_AUTH_IDP_ALLOW_HTTP", "true")]).await?;
    for base in [
        "http://169.254.169.254",
        "http://[fe80::1]",
        "http://[::ffff:169.254.169.254]",
        "http://0.0.0.0",
        "http://100.100.100.200",
    ] {
        let answer = verified(&admin, &bridge(base)).await?;
        let why = answer["errors"][1].as_str().unwrap_or_default();
        assert!(why.contains("none of an identity provider"), "{base}: {answer}");
    }
    Ok(())
}

#[tokio::test]
async fn given_redirects_floods_and_silence_when_verified_then_none_is_followed_swallowed_or_waited_for()
-> Result<()> {
    let settings = [("APP_AUTH_IDP_ALLOW_HTTP", "true"), ("APP_AUTH_IDP_TIMEOUT", "1000")];
    let admin = Admin::start_with(Database::Sqlite, &settings).await?;
    let elsewhere = IdpDouble::<Bridge>::start()?;
    let double = IdpDouble::<Bridge>::start()?;
    let provider = bridge(&double.url());
    for (fault, why) in [
        (Fault::Redirect(format!("{}/dcr/", elsewhere.url())), "redirect"),
        (Fault::Huge(2 << 20), "1048576 bytes"),
        (Fault::Hang, "no answer in time"),
    ] {
        double.set_fault(fault.clone(), Bridge::making());
        let answer = verified(&admin, &provider).await?;
        assert!(answer["errors"][1].as_str().is_some_and(|error| error.contains(why)), "{fault:?}: {answer}");
    }
    assert_eq!(elsewhere.take_calls().len(), 0);
    Ok(())
}
