//! Every action is a plain form: a browser that runs no scripts can do all of it.

use anyhow::{Result, ensure};
use app_auth_tests::portal::Status;

use crate::common::Console;

#[tokio::test]
async fn given_a_browser_without_scripts_when_a_person_decides_then_everything_works_as_with_them()
-> Result<()> {
    let console = Console::open().await?;
    let browser = &console.browser;
    let shop = console.cast("Ada Example", "Web shop", Status::Pending).await?;
    browser.allow_scripts(false).await?;
    console.goto("/console/applications").await?;
    browser.fill("#q", "web").await?;
    browser.press("form[role=search]", "Search").await?;
    browser.press("#results", "Web shop").await?;
    let row = format!("#connection-{}", shop.connection.id);
    for (decision, status, reason) in [("Approve", 200, ""), ("Revoke", 403, "revoked"), ("Approve", 200, "")]
    {
        browser.press(&row, "Actions").await?;
        browser.press(&row, decision).await?;
        browser.sees("The connection to echo is").await?;
        console.every_gateway_answers(&shop.key, status, reason).await?;
    }
    browser.fill("#key-name", "second").await?;
    browser.press("section[aria-labelledby=credentials]", "Create key").await?;
    let key = browser.find("#secret").await?.text().await?;
    console.every_gateway_answers(&key, 200, "").await?;
    browser.press("main", "I have copied it").await?;
    browser.press(&row, "Actions").await?;
    browser.press(&row, "Delete…").await?;
    browser.press("main", "Delete connection").await?;
    browser.sees("No connections").await?;
    console.every_gateway_answers(&key, 403, "no_connection").await?;
    browser.press(".who", "Sign out").await?;
    browser.find("#token").await?;
    console.goto("/console/applications").await?;
    ensure!(browser.place().await?.starts_with("/console/sign-in?next="));
    console.browser.close().await
}
