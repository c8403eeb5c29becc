//! Signing in at the console by OpenID Connect, with a real provider: who is let in with which role, and what is not
//! believed.

use anyhow::{Context as _, Result};
use app_auth_tests::admin::{Admin, Database, Settings, new_token};
use app_auth_tests::audit::lines;
use app_auth_tests::oidc_provider::OidcProvider;
use app_auth_tests::ports;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::visit::Visit;

const CLIENT: &str = "console";
const SECRET: &str = "hush-hush_of/the console+client";
const PENDING: &str = "app_auth_pending";
const SESSION: &str = "app_auth_session";

/// A provider and an admin extension whose people sign in there.
struct Stage {
    provider: OidcProvider,
    admin: Admin,
    _folder: TempDir,
}

impl Stage {
    async fn start() -> Result<Self> {
        Self::start_with("client_secret_basic", &[]).await
    }

    async fn start_with(auth_method: &str, environment: &[(&str, &str)]) -> Result<Self> {
        let provider = OidcProvider::start().await?;
        let (folder, port) = (tempfile::tempdir()?, ports::free()?);
        let url = format!("http://127.0.0.1:{port}/console");
        let back = format!("{url}/sign-in/openid/callback");
        provider.add_sign_in(CLIENT, SECRET, auth_method, &back).await?;
        let mut settings: Vec<(String, String)> = [
            ("APP_AUTH_IDP_ALLOW_HTTP", "true"),
            ("APP_AUTH_CONSOLE_URL", &url),
            ("APP_AUTH_CONSOLE_OIDC_ISSUER", &provider.url()),
            ("APP_AUTH_CONSOLE_OIDC_CLIENT_ID", CLIENT),
            ("APP_AUTH_CONSOLE_OIDC_CLIENT_SECRET", SECRET),
            ("APP_AUTH_CONSOLE_OIDC_VIEWERS", "staff, guests"),
            ("APP_AUTH_CONSOLE_OIDC_APPROVERS", "portal"),
            ("APP_AUTH_CONSOLE_OIDC_ADMINS", "ops"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        settings.extend(environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let admin = Admin::start_from(Settings {
            port,
            data: folder.path().join("data"),
            database_url: None,
            admin_token: new_token(),
            gateway_token: new_token(),
            log: folder.path().join("admin.log"),
            environment: settings,
        });
        Ok(Self { provider, admin: admin.await?, _folder: folder })
    }

    fn visit(&self) -> Visit {
        Visit::new(&self.admin.url())
    }

    /// Goes to the provider and back; answers the address that it comes back to, before that is opened.
    async fn come_back(&self, visit: &mut Visit, next: &str) -> Result<String> {
        let begin = format!("/console/sign-in/openid?next={next}");
        visit.follow(&begin, &format!("{}/console/sign-in/openid/callback", self.admin.url())).await
    }

    /// Signs somebody in; answers the status of what they come to, and what it says.
    async fn sign_in(&self, visit: &mut Visit, person: &Value) -> Result<(u16, String)> {
        self.provider.set_person(Some(person)).await?;
        let back = self.come_back(visit, "/console/applications").await?;
        let answer = visit.get(&back).await?;
        Ok((answer.status, answer.text()))
    }

    async fn refusals(&self) -> Result<Vec<String>> {
        let lines = lines(self.admin.client(), "entity=session&action=sign_in_refused").await?;
        Ok(lines.iter().map(|line| line["after"]["reason"].as_str().unwrap_or_default().to_owned()).collect())
    }
}

fn person(sub: &str, roles: impl Into<Value>) -> Value {
    json!({"sub": sub, "preferred_username": format!("{sub}@home"), "roles": roles.into()})
}

/// The role that a page shows of whoever looks at it: what they are offered there.
async fn role(stage: &Stage) -> Result<Value> {
    let lines = lines(stage.admin.client(), "entity=session&action=sign_in").await?;
    Ok(lines.first().context("nobody has signed in")?["after"]["role"].clone())
}

#[tokio::test]
async fn given_people_of_every_role_when_they_sign_in_at_a_provider_then_each_has_the_highest_theirs_gives()
-> Result<()> {
    let stage = Stage::start().await?;
    let host = stage.provider.address().to_string();
    let page = stage.visit().get("/console/sign-in").await?.expect(200)?.text();
    assert!(page.contains(&format!("Sign in with {host}")), "{page}");
    for (roles, expected) in [
        (json!(["staff"]), "viewer"),
        (json!("guests"), "viewer"),
        (json!(["staff", "portal"]), "approver"),
        (json!(["else", "ops", "staff"]), "admin"),
    ] {
        let mut visit = stage.visit();
        stage.provider.set_person(Some(&person("alice", roles.clone()))).await?;
        let back = stage.come_back(&mut visit, "/console/applications%3Fq%3Da").await?;
        let answer = visit.get(&back).await?.expect(303)?;
        assert_eq!(answer.header("location"), "/console/applications?q=a");
        assert!(visit.is_in().await?, "{roles}");
        assert!(!visit.cookies.contains_key(PENDING));
        assert_eq!(role(&stage).await?, expected, "{roles}");
    }
    let line = &lines(stage.admin.client(), "entity=session&action=sign_in").await?[0];
    assert_eq!(line["actor"], format!("alice@home ({host})"));
    assert_eq!(line["after"]["identity"], format!("{}#alice", stage.provider.url()));
    for secret in [SECRET, "id_token", "code="] {
        assert!(!stage.admin.log().contains(secret), "{}", stage.admin.log());
    }
    Ok(())
}

#[tokio::test]
async fn given_somebody_without_a_role_or_whom_the_provider_refuses_when_they_come_back_then_they_are_told_so()
-> Result<()> {
    let stage = Stage::start().await?;
    for roles in [json!([]), json!(["OPS"]), json!(null), json!({"ops": true})] {
        let mut visit = stage.visit();
        let (status, text) = stage.sign_in(&mut visit, &person("bob", roles)).await?;
        assert!(status == 403 && text.contains("bob@home") && text.contains("no role"), "{status} {text}");
        assert!(!visit.cookies.contains_key(SESSION) && !visit.cookies.contains_key(PENDING));
    }
    assert_eq!(stage.refusals().await?, ["no role"; 4]);
    stage.provider.set_person(None).await?;
    let mut visit = stage.visit();
    let back = stage.come_back(&mut visit, "").await?;
    let refused = visit.get(&back).await?.expect(403)?;
    assert!(refused.text().contains("access_denied"), "{}", refused.text());
    assert_eq!(stage.refusals().await?[0], "the identity provider refused: access_denied");
    Ok(())
}

#[tokio::test]
async fn given_roles_that_only_userinfo_tells_or_deep_in_a_claim_when_signing_in_then_they_count()
-> Result<()> {
    let claim = ("APP_AUTH_CONSOLE_OIDC_ROLE_CLAIM", "realm_access.roles");
    let stage = Stage::start_with("client_secret_post", &[claim]).await?;
    stage.provider.set_elsewhere(&["realm_access", "preferred_username"]).await?;
    let carol = json!({"sub": "carol", "preferred_username": "carol", "realm_access": {"roles": ["portal"]}});
    let mut visit = stage.visit();
    let (status, text) = stage.sign_in(&mut visit, &carol).await?;
    assert_eq!(status, 303, "{text}");
    assert_eq!(role(&stage).await?, "approver");
    assert_eq!(stage.provider.calls(&Method::GET, "/me").await?, 1);
    stage.provider.set_elsewhere(&[]).await?;
    stage.sign_in(&mut stage.visit(), &carol).await?;
    assert_eq!(stage.provider.calls(&Method::GET, "/me").await?, 0, "the ID token tells it all");
    Ok(())
}

#[tokio::test]
async fn given_an_answer_that_does_not_belong_to_the_sign_in_when_it_comes_then_nobody_is_signed_in()
-> Result<()> {
    let stage = Stage::start().await?;
    stage.provider.set_person(Some(&person("alice", "ops"))).await?;
    let mut visit = stage.visit();
    let back = stage.come_back(&mut visit, "").await?;
    let pending = visit.cookies[PENDING].clone();
    let over = async |visit: &mut Visit, url: &str| -> Result<()> {
        let answer = visit.get(url).await?.expect(400)?;
        assert!(answer.text().contains("This sign-in is over"), "{}", answer.text());
        assert!(!visit.cookies.contains_key(SESSION));
        Ok(())
    };
    // Another browser, another state, none at all, and a cookie that we did not make.
    over(&mut stage.visit(), &back).await?;
    let (start, _) = back.split_once('?').context("nothing comes back")?;
    let mut other = stage.visit();
    stage.come_back(&mut other, "").await?;
    over(&mut other, &back).await?;
    over(&mut visit.clone(), start).await?;
    for made_up in ["e30", "x", &pending[..pending.len() - 1], &format!("{pending}A")] {
        let mut visit = visit.clone();
        visit.cookies.insert(PENDING.into(), made_up.to_owned());
        over(&mut visit, &back).await?;
    }
    // Of another issuer, or of none that is named.
    let (_, query) = back.split_once('?').context("nothing comes back")?;
    let others = query.split('&').filter(|pair| !pair.starts_with("iss=")).collect::<Vec<_>>().join("&");
    for query in [others.clone(), format!("{others}&iss=https%3A%2F%2Fevil.example")] {
        let mut visit = visit.clone();
        let answer = visit.get(&format!("{start}?{query}")).await?.expect(502)?;
        assert!(answer.text().contains("cannot be trusted"), "{}", answer.text());
        assert!(!visit.cookies.contains_key(SESSION));
    }
    assert_eq!(stage.provider.calls(&Method::POST, "/token").await?, 0, "nobody asked for a token");

    // The answer itself, once.
    visit.get(&back).await?.expect(303)?;
    assert!(visit.is_in().await?);
    let mut again = stage.visit();
    again.cookies.insert(PENDING.into(), pending);
    let answer = again.get(&back).await?;
    assert!(matches!(answer.status, 400 | 403) && !again.cookies.contains_key(SESSION), "{}", answer.text());
    Ok(())
}

#[tokio::test]
async fn given_an_id_token_of_another_sign_in_or_key_when_it_comes_then_it_is_not_believed() -> Result<()> {
    let stage = Stage::start().await?;
    let alice = person("alice", "ops");
    assert_eq!(stage.sign_in(&mut stage.visit(), &alice).await?.0, 303);

    stage.provider.set_replay(true).await?;
    let (status, text) = stage.sign_in(&mut stage.visit(), &alice).await?;
    assert!(status == 502 && text.contains("answers another sign-in"), "{status} {text}");
    stage.provider.set_replay(false).await?;

    // A new key is asked for at once, with whichever algorithm.
    for algorithm in ["ES256", "EdDSA", "PS256"] {
        stage.provider.rotate(algorithm, false).await?;
        let back = format!("{}/console/sign-in/openid/callback", stage.admin.url());
        // Clients keep the algorithm they were made with, and this one is made anew.
        stage.provider.add_sign_in(CLIENT, SECRET, "client_secret_basic", &back).await?;
        let (status, text) = stage.sign_in(&mut stage.visit(), &alice).await?;
        assert_eq!(status, 303, "{algorithm}: {text}");
    }
    // Its keys are not those it signs with.
    stage.provider.set_keys_answer(&json!({}), &json!({"keys": []})).await?;
    stage.provider.rotate("RS256", false).await?;
    let (status, text) = stage.sign_in(&mut stage.visit(), &alice).await?;
    assert!(status == 502 && text.contains("not signed with one of its keys"), "{status} {text}");
    Ok(())
}

#[tokio::test]
async fn given_a_provider_that_is_away_when_signing_in_then_the_page_says_so_and_tokens_still_open()
-> Result<()> {
    let mut stage = Stage::start().await?;
    stage.provider.stop();
    let mut visit = stage.visit();
    let answer = visit.get("/console/sign-in/openid").await?.expect(503)?;
    assert!(answer.text().contains("does not answer") && answer.text().contains("admin token"));
    visit.sign_in(stage.admin.admin_token()).await?;
    assert!(visit.is_in().await?);

    let without = Admin::start(Database::Sqlite).await?;
    let mut visit = Visit::new(&without.url());
    assert!(!visit.get("/console/sign-in").await?.text().contains("Sign in with"));
    visit.get("/console/sign-in/openid").await?.expect(404)?;
    visit.get("/console/sign-in/openid/callback?code=x&state=y").await?.expect(404)?;
    Ok(())
}

#[tokio::test]
async fn given_a_sign_in_that_has_begun_when_the_program_restarts_then_another_replica_can_end_it()
-> Result<()> {
    let mut stage = Stage::start().await?;
    stage.provider.set_person(Some(&person("alice", "ops"))).await?;
    let mut visit = stage.visit();
    let back = stage.come_back(&mut visit, "").await?;
    stage.admin.restart().await?;
    visit.get(&back).await?.expect(303)?;
    assert!(visit.is_in().await?);
    Ok(())
}
