//! Who looks, and how: each role sees what it may do, and all of it can be done with keys alone.

use anyhow::{Context as _, Result, ensure};
use app_auth_tests::portal::Status;

use crate::common::Console;

/// The key that moves the focus on, and the others, as WebDriver writes them.
const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";
const ESCAPE: &str = "\u{e00c}";

#[tokio::test]
async fn given_each_role_when_a_page_is_opened_then_it_offers_what_the_role_may_do() -> Result<()> {
    let console = Console::open().await?;
    let browser = &console.browser;
    let shop = console.cast("Ada Example", "Web shop", Status::Approved).await?;
    let page = format!("/console/applications/{}", shop.application.id);
    for (role, decides, changes) in
        [("viewer", false, false), ("approver", true, false), ("admin", true, true)]
    {
        browser.press(".who", "Sign out").await?;
        browser.find("#token").await?;
        let token = console
            .scene
            .admin
            .run(&["token", "create", "--kind", "admin", "--role", role, "--name", role])?;
        let token =
            token.split_whitespace().find(|word| word.starts_with("aat_")).context("no token")?.to_owned();
        console.sign_in(&token).await?;
        console.goto(&page).await?;
        browser.sees("Web shop, as its users know it").await?;
        ensure!(browser.has("#connections ~ *").await?);
        ensure!(browser.has("section[aria-labelledby=connections] details.menu").await? == decides, "{role}");
        ensure!(browser.has("section[aria-labelledby=credentials] details.menu").await? == changes, "{role}");
        ensure!(browser.has("#key-name").await? == changes, "{role}");
        // What is not offered is not done either.
        for (path, allowed) in [
            (format!("{page}/connections/{}/delete", shop.connection.id), decides),
            (format!("{page}/delete"), changes),
        ] {
            console.goto(&path).await?;
            ensure!(browser.text().await?.contains("Not allowed") != allowed, "{role} {path}");
            browser.check_barriers().await?;
        }
        console.goto(&page).await?;
    }
    console.goto("/console/nowhere").await?;
    browser.sees("There is no such page.").await?;
    console.inspect("not-found").await?;
    console.goto("/console/applications").await?;
    browser.press(".who", "Sign out").await?;
    browser.find("#token").await?;
    console.inspect("sign-in").await?;
    browser.fill("#token", "aat_not-a-token-of-ours").await?;
    browser.click("main button").await?;
    browser.sees("This token opens nothing here.").await?;
    browser.check_barriers().await?;
    console.browser.close().await
}

#[tokio::test]
async fn given_a_keyboard_alone_when_a_connection_is_revoked_then_the_focus_leads_there_and_is_seen()
-> Result<()> {
    let console = Console::open().await?;
    let browser = &console.browser;
    let shop = console.cast("Ada Example", "Web shop", Status::Approved).await?;
    console.goto(&format!("/console/applications/{}", shop.application.id)).await?;
    // The first stop leads past the navigation.
    let focus = async |script: &str| browser.execute(&format!("return document.activeElement{script}")).await;
    browser.keys(TAB).await?;
    ensure!(focus(".className").await? == "skip");
    browser.focused_keys(ENTER).await?;
    let menu = format!("#connection-{} summary", shop.connection.id);
    for _ in 0..20 {
        browser.focused_keys(TAB).await?;
        if focus(&format!(".matches('{menu}')")).await? == true {
            break;
        }
    }
    ensure!(focus(&format!(".matches('{menu}')")).await? == true, "the menu is reached");
    let outlined = "return getComputedStyle(document.activeElement).outlineStyle";
    ensure!(browser.execute(outlined).await? != "none", "the focus is seen");
    browser.focused_keys(ENTER).await?;
    ensure!(browser.has(&format!("#connection-{} details[open]", shop.connection.id)).await?);
    browser.focused_keys(ESCAPE).await?;
    ensure!(!browser.has(&format!("#connection-{} details[open]", shop.connection.id)).await?);
    ensure!(focus(&format!(".matches('{menu}')")).await? == true, "the focus is back");
    browser.focused_keys(ENTER).await?;
    for _ in 0..3 {
        browser.focused_keys(TAB).await?;
        if focus(".textContent.trim()").await? == "Revoke" {
            break;
        }
    }
    ensure!(focus(".textContent.trim()").await? == "Revoke");
    browser.focused_keys(ENTER).await?;
    browser.sees("The connection to echo is revoked.").await?;
    console.every_gateway_answers(&shop.key, 403, "revoked").await?;
    console.browser.close().await
}
