//! Signing in at the console with a token, and what forms have to carry.

use anyhow::Result;
use app_auth_tests::admin::{Admin, Database, new_token};
use app_auth_tests::audit::lines;
use serde_json::{Value, json};

use crate::visit::Visit;

const SESSION: &str = "app_auth_session";
const VISIT: &str = "app_auth_visit";

async fn signed_in(admin: &Admin) -> Result<Visit> {
    let mut visit = Visit::new(&admin.url());
    visit.sign_in(admin.admin_token()).await?;
    Ok(visit)
}

#[tokio::test]
async fn given_nobody_when_any_page_is_opened_then_it_leads_to_the_sign_in_page_and_from_there_back()
-> Result<()> {
    let admin = Admin::start(Database::Sqlite).await?;
    let mut visit = Visit::new(&admin.url());
    for (page, sign_in) in [
        ("/console", "/console/sign-in"),
        ("/console/applications?q=a%20b", "/console/sign-in?next=%2Fconsole%2Fapplications%3Fq%3Da%2520b"),
        ("/console/nothing/of/this/name", "/console/sign-in?next=%2Fconsole%2Fnothing%2Fof%2Fthis%2Fname"),
    ] {
        let answer = visit.get(page).await?.expect(303)?;
        assert_eq!(answer.header("location"), sign_in);
    }
    assert_eq!(
        visit.post("/console/sign-out", &[]).await?.expect(303)?.header("location"),
        "/console/sign-in"
    );
    visit.headers.insert("hx-request", "true".into());
    visit.headers.insert("hx-current-url", format!("{}/console/applications?q=a", admin.url()));
    let answer = visit.get("/console/applications?q=ab").await?.expect(401)?;
    assert_eq!(answer.header("hx-redirect"), "/console/sign-in?next=%2Fconsole%2Fapplications%3Fq%3Da");

    let mut visit = Visit::new(&admin.url());
    let csrf = visit.csrf("/console/sign-in").await?;
    for (next, page) in [
        ("/console/applications?q=a", "/console/applications?q=a"),
        ("//evil.example", "/console"),
        ("https://evil.example/console", "/console"),
        ("/\\evil.example", "/console"),
        ("/console/../developers", "/console"),
        ("", "/console"),
    ] {
        let mut visit = visit.clone();
        let form = [("csrf", &*csrf), ("token", admin.admin_token()), ("next", next)];
        let answer = visit.post("/console/sign-in", &form).await?.expect(303)?;
        assert_eq!(answer.header("location"), page, "{next}");
    }
    Ok(())
}

#[tokio::test]
async fn given_a_token_when_signing_in_then_only_an_admin_token_opens_a_session_and_each_is_new() -> Result<()>
{
    let admin = Admin::start(Database::Sqlite).await?;
    let mut visit = Visit::new(&admin.url());
    let csrf = visit.csrf("/console/sign-in").await?;
    let far_too_long = "x".repeat(10_000);
    for token in ["", "nonsense", &new_token(), admin.gateway_token(), &far_too_long] {
        let form = [("csrf", &*csrf), ("token", token)];
        let answer = visit.post("/console/sign-in", &form).await?.expect(401)?;
        assert!(answer.text().contains("This token opens nothing here"), "{}", answer.text());
        assert!(token.is_empty() || !answer.text().contains(token), "a token is not shown again");
        assert!(!visit.cookies.contains_key(SESSION));
    }
    // A session that somebody else chose is none, and does not become one.
    visit.cookies.insert(SESSION.into(), "chosen_by_somebody_else_01234567".into());
    assert!(!visit.is_in().await?);
    visit.sign_in(admin.admin_token()).await?;
    let first = visit.cookies[SESSION].clone();
    assert!(first.len() == 32 && first != "chosen_by_somebody_else_01234567", "{first}");
    assert!(!visit.cookies.contains_key(VISIT), "what it had before is over");
    assert!(visit.is_in().await?);

    // Who signs in once more has another session, and the one before is over.
    let csrf = visit.csrf("/console/applications").await?;
    let form = [("csrf", &*csrf), ("token", admin.admin_token())];
    visit.post("/console/sign-in", &form).await?.expect(303)?;
    assert_ne!(visit.cookies[SESSION], first);
    let mut before = Visit::new(&admin.url());
    before.cookies.insert(SESSION.into(), first);
    assert!(!before.is_in().await? && visit.is_in().await?);

    let told = lines(admin.client(), "entity=session").await?;
    let told: Vec<&Value> = told.iter().map(|line| &line["action"]).collect();
    assert_eq!(told, ["sign_out", "sign_in", "sign_in"]);
    assert!(!admin.log().contains(admin.admin_token()) && !admin.log().contains(&visit.cookies[SESSION]));
    Ok(())
}

#[tokio::test]
async fn given_a_session_when_signing_out_or_its_token_is_revoked_then_it_is_over() -> Result<()> {
    for database in Database::BOTH {
        println!("on {database:?}");
        let mut admin = Admin::start(database).await?;
        let mut visit = signed_in(&admin).await?;
        let old = visit.clone();
        let csrf = visit.csrf("/console/applications").await?;
        let answer = visit.post("/console/sign-out", &[("csrf", &csrf)]).await?.expect(303)?;
        assert_eq!(answer.header("location"), "/console/sign-in");
        assert!(!visit.cookies.contains_key(SESSION));
        assert!(!old.clone().is_in().await?, "the cookie opens nothing any more");

        let token =
            admin.run(&["token", "create", "--kind", "admin", "--role", "viewer", "--name", "vera"])?;
        let mut viewer = Visit::new(&admin.url());
        viewer.sign_in(token.trim()).await?;
        assert!(viewer.is_in().await?);
        let replica = admin.replica().await?;
        let mut elsewhere = Visit::new(&replica.url());
        elsewhere.cookies = viewer.cookies.clone();
        assert!(elsewhere.is_in().await?, "a replica knows the session");
        admin.restart().await?;
        assert!(viewer.is_in().await?, "a restart ends no session");
        let listed = admin.run(&["token", "list"])?;
        let line = listed.lines().find(|line| line.ends_with("vera")).unwrap_or_default();
        admin.run(&["token", "revoke", line.split_whitespace().next().unwrap_or_default()])?;
        assert!(!viewer.is_in().await? && !elsewhere.is_in().await?);
        let told = lines(admin.client(), "entity=session&actor=vera").await?;
        assert_eq!(told.len(), 1, "{told:?}");
        let ended = lines(admin.client(), "entity=session&action=revoke").await?;
        assert_eq!(ended[0]["before"]["role"], json!("viewer"), "{ended:?}");
    }
    Ok(())
}

#[tokio::test]
async fn given_a_form_that_is_not_our_own_when_sent_then_it_is_refused_and_does_nothing() -> Result<()> {
    let admin = Admin::start(Database::Sqlite).await?;
    let mut visit = signed_in(&admin).await?;
    let csrf = visit.csrf("/console/applications").await?;
    let of_another_session = signed_in(&admin).await?.csrf("/console/applications").await?;
    let of_nobody = Visit::new(&admin.url()).csrf("/console/sign-in").await?;
    let shorter = &csrf[1..];
    for form in [
        &[][..],
        &[("csrf", "")],
        &[("csrf", &of_another_session)],
        &[("csrf", &of_nobody)],
        &[("csrf", shorter)],
        &[("csrf", &csrf), ("csrf", &csrf)],
    ] {
        let answer = visit.post("/console/sign-out", form).await?.expect(403)?;
        assert!(answer.text().contains("open the page again"), "{}", answer.text());
    }
    let own = admin.url();
    for (header, value, status) in [
        ("origin", "https://evil.example", 403),
        ("origin", "null", 403),
        ("sec-fetch-site", "cross-site", 403),
        ("sec-fetch-site", "same-site", 403),
        ("x-csrf-token", &*of_another_session, 403),
        ("host", "evil.example", 303),
    ] {
        let mut visit = visit.clone();
        visit.headers.insert(header, value.to_owned());
        if header == "host" {
            // A name of another site that leads here: our own pages do not come from there.
            visit.headers.insert("origin", own.clone());
        }
        let expected = if header == "host" { 403 } else { status };
        let answer = visit.post("/console/sign-out", &[("csrf", &csrf)]).await?;
        assert_eq!(answer.status, expected, "{header}: {value}");
    }
    let large = "x".repeat(300_000);
    visit.post("/console/sign-out", &[("csrf", &csrf), ("more", &large)]).await?.expect(413)?;
    assert!(visit.is_in().await?);
    visit.headers.insert("origin", own);
    visit.headers.insert("sec-fetch-site", "same-origin".into());
    visit.headers.insert("x-csrf-token", csrf);
    visit.post("/console/sign-out", &[]).await?.expect(303)?;
    assert!(!visit.is_in().await?);

    // Nobody is signed in by another site, either: neither without a cookie of ours nor with a token of somebody else's.
    let mut visit = Visit::new(&admin.url());
    let token = admin.admin_token();
    visit.post("/console/sign-in", &[("token", token)]).await?.expect(403)?;
    visit.csrf("/console/sign-in").await?;
    visit.post("/console/sign-in", &[("token", token), ("csrf", &of_nobody)]).await?.expect(403)?;
    assert!(!visit.cookies.contains_key(SESSION));
    Ok(())
}

#[tokio::test]
async fn given_any_answer_of_the_console_then_browsers_are_told_to_let_nobody_else_in() -> Result<()> {
    let admin = Admin::start(Database::Sqlite).await?;
    let mut visit = signed_in(&admin).await?;
    for page in ["/console/applications", "/console/sign-in", "/console/nothing", "/console/sign-out"] {
        let answer = visit.get(page).await?;
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{page}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{page}: {policy}");
        for (header, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "same-origin"),
            ("cache-control", "no-store"),
            ("vary", "Cookie, HX-Request"),
        ] {
            assert_eq!(answer.header(header), value, "{page}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn given_the_consoles_address_when_called_by_another_name_then_it_answers_nothing() -> Result<()> {
    let url = ("APP_AUTH_CONSOLE_URL", "https://admin.example.com");
    let admin = Admin::start_with(Database::Sqlite, &[url]).await?;
    let mut visit = Visit::new(&admin.url());
    for host in ["127.0.0.1", "evil.example", "admin.example.com:8443", "admin.example.com.evil.example"] {
        visit.headers.insert("host", host.into());
        let answer = visit.get("/console/sign-in").await?.expect(421)?;
        assert!(answer.text().contains("https:&#x2f;&#x2f;admin.example.com"), "{}", answer.text());
    }
    visit.headers.insert("host", "admin.example.com".into());
    let answer = visit.get("/console/sign-in").await?.expect(200)?;
    let cookie = answer.header("set-cookie");
    assert!(cookie.starts_with("__Host-app_auth_visit=") && cookie.contains("; Secure"), "{cookie}");
    assert!(
        cookie.contains("; HttpOnly") && cookie.contains("; SameSite=Lax") && cookie.contains("; Path=/")
    );

    let loopback = ("APP_AUTH_ALLOW_LOOPBACK_WITHOUT_TOKEN", "true");
    let admin = Admin::start_with(Database::Sqlite, &[loopback]).await?;
    let mut visit = Visit::new(&admin.url());
    assert!(!visit.is_in().await?, "the console asks who it is, all the same");
    visit.headers.insert("host", "evil.example".into());
    visit.get("/console/sign-in").await?.expect(421)?;
    Ok(())
}
