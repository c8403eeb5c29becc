//! Gateways, and the audit log: who enforces, and who has changed what.

use anyhow::{Result, ensure};
use app_auth_tests::portal::Status;

use crate::common::Console;

#[tokio::test]
async fn given_two_gateways_when_something_changes_then_both_are_listed_and_catch_up_by_themselves()
-> Result<()> {
    let console = Console::open_with(2).await?;
    let browser = &console.browser;
    console.goto("/console/gateways").await?;
    browser.sees("2 of 2 live").await?;
    ensure!(browser.texts("tbody tr .badge").await? == ["Up to date", "Up to date"]);
    console.inspect("gateways").await?;
    // The table looks again by itself.
    let newest = browser.find("#nodes header .hint").await?.text().await?;
    console.cast("Ada Example", "Web shop", Status::Approved).await?;
    browser.sees_no(&newest).await?;
    browser.click("tbody th a").await?;
    browser.sees("It enforces everything as you see it here.").await?;
    console.inspect("gateway").await?;
    console.browser.close().await
}

#[tokio::test]
async fn given_changes_when_the_audit_log_is_read_then_each_shows_what_differs() -> Result<()> {
    let console = Console::open().await?;
    let browser = &console.browser;
    let shop = console.cast("Ada Example", "Web shop", Status::Approved).await?;
    console.goto("/console/audit").await?;
    browser.sees("admin token").await?;
    console.inspect("audit").await?;
    browser.choose("#action", "update").await?;
    browser.choose("#entity", "connection").await?;
    browser.press("form[role=search]", "Show").await?;
    browser.sees_no("Credential").await?;
    ensure!(browser.texts("tbody tr").await?.len() == 1);
    browser.press("tbody", "Update").await?;
    browser.sees("Before and after").await?;
    let changed = browser.texts("tr.changed").await?;
    ensure!(changed.len() == 1, "{changed:?}");
    for part in ["status", "Changed", "pending", "approved"] {
        ensure!(changed[0].contains(part), "{changed:?}");
    }
    console.inspect("audit-entry").await?;
    browser.press("section[aria-labelledby=about]", "Connection").await?;
    browser.find(&format!("#connection-{}", shop.connection.id)).await?;

    console.goto("/console/audit?entity_id=nonsense").await?;
    browser.sees("it is a UUID").await?;
    browser.check_barriers().await?;
    console.goto("/console/audit?actor=nobody").await?;
    browser.sees("Nothing found").await?;
    console.browser.close().await
}
