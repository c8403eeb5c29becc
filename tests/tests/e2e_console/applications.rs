//! Applications: found by a few characters; and everything a person does about one, with what the gateways make of it.

use anyhow::{Result, ensure};
use app_auth_tests::portal::Status;
use serde_json::json;
use uuid::Uuid;

use crate::common::Console;

fn actions(connection: &str) -> String {
    format!("#connection-{connection}")
}

#[tokio::test]
async fn given_an_application_when_its_connection_is_revoked_approved_and_deleted_then_every_gateway_follows_each_click()
-> Result<()> {
    let console = Console::open_with(3).await?;
    let browser = &console.browser;
    let shop = console.cast("Ada Example", "Web shop", Status::Approved).await?;
    console.cast("Grace Example", "Warehouse", Status::Pending).await?;
    console.every_gateway_answers(&shop.key, 200, "").await?;

    // Found, and opened.
    console.goto("/console/applications").await?;
    browser.fill("#q", "ada.ex").await?;
    browser.sees_no("Warehouse").await?;
    ensure!(browser.place().await?.contains("q=ada.ex"), "the search can be bookmarked");
    browser.press("#results", "Web shop").await?;
    browser.sees("Web shop, as its users know it").await?;
    for shown in ["Ada Example", "ada.example@example.com", "just now", "echo", "Approved"] {
        browser.sees(shown).await?;
    }
    browser.sees("3 of 3 gateways").await?;

    // Any number of times.
    let row = actions(&shop.connection.id);
    for round in 0..2 {
        browser.press(&row, "Actions").await?;
        ensure!(browser.texts(&format!("{row} .items :is(button, a)")).await? == ["Revoke", "Delete…"]);
        browser.fill(&format!("{row} input[name=reason]"), &format!("Round {round}")).await?;
        browser.press(&row, "Revoke").await?;
        browser.sees("The connection to echo is revoked. In force on all 3 gateways.").await?;
        browser.sees(&format!("Round {round}")).await?;
        console.every_gateway_answers(&shop.key, 403, "revoked").await?;
        ensure!(browser.texts(&format!("{row} .badge")).await? == ["Revoked"]);

        browser.press(&row, "Actions").await?;
        ensure!(browser.texts(&format!("{row} .items :is(button, a)")).await? == ["Approve", "Delete…"]);
        browser.press(&row, "Approve").await?;
        browser.sees("The connection to echo is approved. In force on all 3 gateways.").await?;
        console.every_gateway_answers(&shop.key, 200, "").await?;
        ensure!(browser.texts(&format!("{row} .badge")).await? == ["Approved"]);
    }
    browser.sees("by admin token").await?;

    // Deleting asks first.
    browser.press(&row, "Actions").await?;
    browser.press(&row, "Delete…").await?;
    browser.sees("has to ask for it anew").await?;
    console.inspect("connection-delete").await?;
    browser.press("main", "Keep it").await?;
    browser.find(&row).await?;
    console.every_gateway_answers(&shop.key, 200, "").await?;
    browser.press(&row, "Actions").await?;
    browser.press(&row, "Delete…").await?;
    browser.press("main", "Delete connection").await?;
    browser.sees("Deleted the connection to echo.").await?;
    ensure!(!browser.has(&row).await?);
    browser.sees("No connections").await?;
    console.every_gateway_answers(&shop.key, 403, "no_connection").await?;

    // The developer asks anew: a request, which can be rejected, and then only be deleted.
    let again = console.portal().connection(&shop.application, console.scene.service()).await?;
    browser.reload().await?;
    let row = actions(&again.id);
    browser.press(&row, "Actions").await?;
    ensure!(
        browser.texts(&format!("{row} .items :is(button, a)")).await? == ["Approve", "Reject", "Delete…"]
    );
    console.every_gateway_answers(&shop.key, 403, "pending").await?;
    browser.press(&row, "Reject").await?;
    browser.sees("The connection to echo is rejected.").await?;
    console.every_gateway_answers(&shop.key, 403, "rejected").await?;
    browser.press(&row, "Actions").await?;
    ensure!(browser.texts(&format!("{row} .items :is(button, a)")).await? == ["Delete…"]);
    console.browser.close().await
}

#[tokio::test]
async fn given_requests_at_the_gateway_when_the_application_is_looked_at_then_its_page_shows_each_of_them()
-> Result<()> {
    let console = Console::open().await?;
    let browser = &console.browser;
    let shop = console.cast("Ada Example", "Web shop", Status::Approved).await?;
    let page = format!("/console/applications/{}", shop.application.id);
    console.goto(&page).await?;
    browser.sees("No request of this application in this time.").await?;
    for _ in 0..40 {
        console.scene.call("/", &shop.key).await?.expect(200)?;
    }
    console.scene.confirmed().set_connection(&shop.connection, Status::Revoked).await?;
    for _ in 0..9 {
        console.scene.call("/", &shop.key).await?.expect(403)?;
    }
    let shown = async || {
        browser.reload().await?;
        Ok(browser.text().await?.contains("9 refused"))
    };
    app_auth_tests::wait::until("the gateway's report", shown).await?;
    browser.sees("40 let through").await?;
    ensure!(browser.texts("#traffic tbody th").await?.iter().any(|reason| reason == "Revoked"));
    ensure!(browser.has("svg.chart rect.allowed").await? && browser.has("svg.chart rect.refused").await?);
    for (tab, query) in
        [("Last hour", "period=hour"), ("Last week", "period=week"), ("Last day", "period=day")]
    {
        browser.press("#traffic", tab).await?;
        browser.find("#traffic .tabs a[aria-current]").await?;
        let current =
            async || Ok(browser.texts("#traffic .tabs a[aria-current]").await.is_ok_and(|it| it == [tab]));
        app_auth_tests::wait::until("the other period", current).await?;
        ensure!(browser.place().await?.contains(query));
        browser.sees("40 let through").await?;
    }
    for (name, status) in [("orders", Status::Approved), ("payments", Status::Pending)] {
        let service = Uuid::new_v4();
        console.portal().service(service, name, json!({})).await?;
        let connection = console.portal().connection(&shop.application, service).await?;
        console.portal().set_connection(&connection, status).await?;
    }
    browser.reload().await?;
    browser.sees("payments").await?;
    console.inspect("application").await?;
    console.cast("Grace Example", "Warehouse", Status::Pending).await?;
    console.cast("Katherine Example", "Partner portal", Status::Approved).await?;
    console.cast("Dorothy Example", "Mobile app", Status::Rejected).await?;
    console.goto("/console/applications").await?;
    ensure!(
        browser.texts("td[data-label='Last used']").await?.iter().filter(|it| it.contains("never")).count()
            == 3
    );
    console.inspect("applications").await?;
    console.browser.close().await
}

#[tokio::test]
async fn given_an_application_when_keys_are_made_expired_and_deleted_then_the_gateway_knows_and_pages_are_masked()
-> Result<()> {
    let console = Console::open().await?;
    let browser = &console.browser;
    let shop = console.cast("Ada Example", "Web shop", Status::Approved).await?;
    let page = format!("/console/applications/{}", shop.application.id);
    console.goto(&page).await?;
    let masked = format!("••••••••{}", &shop.key[shop.key.len() - 4..]);
    browser.sees(&masked).await?;
    ensure!(!browser.text().await?.contains(&shop.key));

    browser.fill("#key-name", "production").await?;
    browser.choose("#key-days", "30").await?;
    browser.press("section[aria-labelledby=credentials]", "Create key").await?;
    browser.sees("it is shown this one time").await?;
    let key = browser.find("#secret").await?.text().await?;
    ensure!(key.len() == 32, "{key}");
    console.every_gateway_answers(&key, 200, "").await?;
    console.browser.check_barriers().await?;
    browser.press("main", "I have copied it").await?;
    browser.sees("production").await?;
    browser.sees("in 29 days").await?;
    ensure!(!browser.text().await?.contains(&key));

    let menu = "section[aria-labelledby=credentials] tbody tr:nth-child(3)";
    ensure!(browser.find(menu).await?.text().await?.contains("production"));
    browser.press(menu, "Actions").await?;
    browser.press(menu, "Expire now").await?;
    browser.sees("“production” has expired.").await?;
    console.every_gateway_answers(&key, 401, "").await?;
    browser.press(menu, "Actions").await?;
    browser.press(menu, "Expire in 7 days").await?;
    console.every_gateway_answers(&key, 200, "").await?;
    browser.press(menu, "Actions").await?;
    browser.press(menu, "Delete…").await?;
    console.inspect("credential-delete").await?;
    browser.press("main", "Delete credential").await?;
    browser.sees("Deleted “production”.").await?;
    console.every_gateway_answers(&key, 401, "").await?;
    console.every_gateway_answers(&shop.key, 200, "").await?;

    browser.press("main", "Delete application").await?;
    browser.sees("This cannot be undone.").await?;
    console.inspect("application-delete").await?;
    browser.press("main form", "Delete application").await?;
    browser.sees("Deleted Web shop.").await?;
    console.every_gateway_answers(&shop.key, 401, "").await?;
    browser.sees("No applications yet").await?;
    console.browser.close().await
}

#[tokio::test]
async fn given_many_applications_when_they_are_looked_through_then_search_filter_and_pages_find_each()
-> Result<()> {
    let console = Console::open().await?;
    let browser = &console.browser;
    browser.sees("No applications yet").await?;
    console.inspect("applications-empty").await?;
    let portal = console.portal();
    let developer = portal.developer(Status::Approved).await?;
    for number in 0..53 {
        let members = json!({ "name": format!("Application {number:02}") });
        portal.application_with(&developer, members).await?;
    }
    console.cast("Ada Example", "Web shop", Status::Approved).await?;
    let warehouse = console.cast("Grace Example", "Warehouse", Status::Revoked).await?;
    console.cast("Grace Hopperson", "Night % batch_", Status::Pending).await?;
    console.goto("/console/applications").await?;
    ensure!(browser.texts("#results tbody th").await?.len() == 50);
    ensure!(browser.texts("#results tbody th").await?.first().is_some_and(|name| name == "Night % batch_"));
    browser.press(".pager", "Next page").await?;
    browser.sees("Application 05").await?;
    ensure!(browser.texts("#results tbody th").await?.len() == 6);
    browser.press(".pager", "First page").await?;
    browser.sees("Web shop").await?;

    // The slash goes to the search; what is typed is found by name, developer, e-mail and client id.
    browser.keys("/").await?;
    let focused = browser.execute("return document.activeElement.id").await?;
    ensure!(focused == "q", "{focused}");
    let names = async || browser.texts("#results tbody th").await;
    for (typed, found) in [
        ("WEB SH", &["Web shop"][..]),
        ("grace", &["Night % batch_", "Warehouse"]),
        ("hopperson@example", &["Night % batch_"]),
        ("% b", &["Night % batch_"]),
        ("h_", &["Night % batch_"]),
        ("Application 07", &["Application 07"]),
    ] {
        browser.fill("#q", typed).await?;
        app_auth_tests::wait::until("the search to be done", async || {
            Ok(names().await.is_ok_and(|it| it == found))
        })
        .await
        .map_err(|error| error.context(typed.to_owned()))?;
    }
    let path = format!("{}/credentials/oauth2", warehouse.application.path());
    let listed = portal.client().get(&path).await?.expect(200)?.json();
    let client_id = listed["data"][0]["client_id"].as_str().unwrap_or_default().to_owned();
    browser.fill("#q", &client_id).await?;
    app_auth_tests::wait::until("the client id to be found", async || {
        Ok(names().await.is_ok_and(|it| it == ["Warehouse"]))
    })
    .await?;
    browser.fill("#q", "nothing like it").await?;
    browser.sees("Nothing found").await?;
    console.inspect("applications-none").await?;

    console.goto("/console/applications?status=revoked").await?;
    ensure!(names().await? == ["Warehouse"]);
    ensure!(browser.texts("#results .badge").await? == ["1 revoked"]);
    console.browser.close().await
}
