//! Developers: found by a few characters; and everything a person decides about one, with what the gateway makes of it.

use anyhow::{Result, ensure};
use app_auth_tests::portal::Status;

use crate::common::Console;

#[tokio::test]
async fn given_a_developer_when_revoked_approved_and_deleted_then_the_gateway_follows_each_click()
-> Result<()> {
    let console = Console::open().await?;
    let browser = &console.browser;
    console.goto("/console/developers").await?;
    browser.sees("No developers yet").await?;
    let shop = console.cast("Ada Example", "Web shop", Status::Approved).await?;
    let waiting = console.cast("Grace Example", "Warehouse", Status::Approved).await?;
    console.portal().set_developer(&waiting.application.developer, Status::Pending).await?;

    console.goto("/console/developers").await?;
    browser.sees("Grace Example").await?;
    console.inspect("developers").await?;
    browser.choose("#status", "pending").await?;
    browser.sees_no("Ada Example").await?;
    browser.choose("#status", "").await?;
    browser.fill("#q", "ADA.").await?;
    browser.sees_no("Grace Example").await?;
    ensure!(browser.place().await?.contains("q=ADA."), "the search can be bookmarked");
    browser.press("#results", "Ada Example").await?;
    browser.sees("Web shop").await?;
    browser.sees("1 of 1 gateway").await?;
    browser.sees("1 approved").await?;
    console.inspect("developer").await?;

    let standing = "section[aria-labelledby=standing]";
    browser.sees("Revoking refuses all applications of Ada Example at once").await?;
    browser.fill("#reason", "left the company").await?;
    browser.press(standing, "Revoke").await?;
    browser.sees("Ada Example is revoked. In force on the one gateway.").await?;
    browser.sees("left the company").await?;
    console.every_gateway_answers(&shop.key, 403, "developer_not_approved").await?;
    browser.press(".notice", "Undo").await?;
    browser.sees("Undone: Ada Example is approved.").await?;
    console.every_gateway_answers(&shop.key, 200, "").await?;
    browser.press(standing, "Revoke").await?;
    console.every_gateway_answers(&shop.key, 403, "developer_not_approved").await?;
    browser.press(standing, "Approve").await?;
    browser.sees("Ada Example is approved.").await?;
    console.every_gateway_answers(&shop.key, 200, "").await?;

    browser.press(".head", "Delete developer").await?;
    browser.sees("1 application is refused everywhere at once").await?;
    console.inspect("developer-delete").await?;
    browser.press("main form", "Delete developer").await?;
    browser.sees("Deleted Ada Example.").await?;
    console.every_gateway_answers(&shop.key, 401, "").await?;
    ensure!(browser.place().await? == "/console/developers");
    console.browser.close().await
}
