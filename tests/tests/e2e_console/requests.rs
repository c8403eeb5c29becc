//! Requests: decided one by one or many at once, taken back, and left alone where somebody else was faster.

use anyhow::{Result, ensure};
use app_auth_tests::portal::Status;
use serde_json::json;

use crate::common::Console;

fn tick(item: &str) -> String {
    format!("input[name=item][value='{item}']")
}

#[tokio::test]
async fn given_many_requests_when_they_are_approved_at_once_then_the_gateway_follows_and_an_undo_takes_it_back()
-> Result<()> {
    let console = Console::open().await?;
    let (browser, portal) = (&console.browser, console.portal());
    console.goto("/console/requests").await?;
    browser.sees("Nobody waits").await?;
    console.inspect("requests-empty").await?;

    let shop = console.cast("Ada Example", "Web shop", Status::Pending).await?;
    let stock = console.cast("Grace Example", "Warehouse", Status::Pending).await?;
    let body = json!({"email": "new@example.com", "meta": {"full_name": "Newcomer"}, "status": 1});
    let newcomer = portal.post("/developers", &body).await?.expect(200)?.field("id")?;
    portal.set_developer(&stock.application.developer, Status::Pending).await?;
    let item =
        |cast: &crate::common::Cast| format!("connection:{}:{}", cast.application.id, cast.connection.id);
    let all = [item(&shop), item(&stock), format!("developer:{}", stock.application.developer)];
    console.every_gateway_answers(&shop.key, 403, "pending").await?;

    console.goto("/console/requests").await?;
    ensure!(browser.texts("nav[aria-label=Sections] .count").await?[0].starts_with('4'));
    browser.sees("Its developer is pending: as long as that is so, an approval lets nobody through.").await?;
    console.inspect("requests").await?;
    browser.press("nav[aria-label='Which requests']", "Developers").await?;
    browser.sees_no("Web shop").await?;
    browser.press("nav[aria-label='Which requests']", "All").await?;
    browser.sees("Web shop").await?;

    // Somebody else decides about one of them meanwhile.
    browser.click("input[data-all]").await?;
    portal.set_developer(&newcomer, Status::Rejected).await?;
    browser.fill("#reason", "welcome").await?;
    browser.press("#queue", "Approve ticked").await?;
    browser.sees("3 requests are approved.").await?;
    browser.sees("Skipped: Newcomer (rejected now; somebody may have been faster).").await?;
    for key in [&shop.key, &stock.key] {
        console.every_gateway_answers(key, 200, "").await?;
    }
    browser.press(".notice", "Undo").await?;
    browser.sees("Undone: 3 decisions are taken back.").await?;
    console.every_gateway_answers(&shop.key, 403, "pending").await?;
    console.every_gateway_answers(&stock.key, 403, "developer_not_approved").await?;
    for waiting in &all {
        ensure!(browser.has(&tick(waiting)).await?, "{waiting} waits again");
    }

    // One by its own button; and some that are ticked.
    browser.press(&format!("[id='{}']", all[0]), "Approve").await?;
    browser.sees("The connection to echo is approved.").await?;
    console.every_gateway_answers(&shop.key, 200, "").await?;
    browser.press("#queue", "Reject ticked").await?;
    browser.sees("Nothing was ticked.").await?;
    browser.click(&tick(&all[1])).await?;
    browser.fill("#reason", "no capacity").await?;
    browser.press("#queue", "Reject ticked").await?;
    browser.sees("The connection to echo is rejected.").await?;
    console.inspect("requests-undo").await?;
    console.goto(&format!("/console/applications/{}", stock.application.id)).await?;
    browser.sees("no capacity").await?;
    console.browser.close().await
}

#[tokio::test]
async fn given_a_browser_without_scripts_when_a_decision_is_taken_back_then_it_is_and_only_once() -> Result<()>
{
    let console = Console::open().await?;
    let browser = &console.browser;
    let shop = console.cast("Ada Example", "Web shop", Status::Approved).await?;
    browser.allow_scripts(false).await?;
    console.goto(&format!("/console/applications/{}", shop.application.id)).await?;
    let row = format!("#connection-{}", shop.connection.id);
    browser.press(&row, "Actions").await?;
    browser.press(&row, "Revoke").await?;
    browser.sees("The connection to echo is revoked.").await?;
    console.every_gateway_answers(&shop.key, 403, "revoked").await?;
    let used = browser.find(".notice input[name=id]").await?.attr("value").await?.unwrap_or_default();
    browser.press(".notice", "Undo").await?;
    browser.sees("Undone: The connection to echo is approved.").await?;
    console.every_gateway_answers(&shop.key, 200, "").await?;
    ensure!(browser.place().await? == format!("/console/applications/{}", shop.application.id));

    browser.allow_scripts(true).await?;
    browser.reload().await?;
    browser.find(&row).await?;
    // Again, with the same id: in vain.
    let script = format!(
        "const form = document.querySelector('.who form'); form.action = '/console/undo'; form.innerHTML += \
         '<input name=\"id\" value=\"{used}\">'; HTMLFormElement.prototype.submit.call(form)"
    );
    browser.execute(&script).await?;
    browser.sees("It can no longer be undone").await?;
    console.every_gateway_answers(&shop.key, 200, "").await?;
    console.browser.close().await
}
