//! What an operator does with the connections of applications, section by section of the guide to managing them: look for
//! applications, revoke a connection, approve it again, delete it.

use anyhow::Result;
use app_auth_tests::products::DEFAULT_PORTAL;
use app_auth_tests::scene::{Outcome, echo};
use serde_json::{Value, json};

use super::stage::Stage;

fn names(page: &Value) -> Vec<&str> {
    page["data"].as_array().into_iter().flatten().filter_map(|item| item["name"].as_str()).collect()
}

#[tokio::test]
async fn given_applications_when_an_operator_looks_for_one_then_it_is_found_by_name_developer_and_address_with_its_details()
-> Result<()> {
    let stage = Stage::start().await?;
    let products = &stage.products;
    let developers = format!("/v2/portals/{DEFAULT_PORTAL}/developers");
    let mut made = Vec::new();
    for (email, full_name, name) in
        [("ada@example.com", "Ada Lovelace", "engine"), ("grace@example.com", "Grace Hopper", "compiler")]
    {
        let body = json!({"email": email, "full_name": full_name, "status": "approved"});
        let developer = products.post(&developers, &body).await?.expect(201)?.field("id")?;
        let members = json!({"name": name, "description": "Counts", "auth_strategy_id": stage.strategy});
        let application = products.application_of(DEFAULT_PORTAL, &developer, members).await?;
        products.register(&application, &stage.version, Some("approved")).await?;
        made.push((developer, application));
    }

    let list = format!("/v2/portals/{DEFAULT_PORTAL}/applications");
    let (ada, engine) = &made[0];
    for filter in [
        "filter[name]=engine".to_owned(),
        "filter[name][contains]=ENG".to_owned(),
        "filter[developer_name][contains]=lovelace".to_owned(),
        "filter[developer_email]=ada@example.com".to_owned(),
        format!("filter[developer_id]={ada}"),
    ] {
        let page = products.client().get(&format!("{list}?{filter}")).await?.expect(200)?.json();
        assert_eq!(names(&page), ["engine"], "{filter}");
        assert_eq!(page["meta"]["page"]["total"], 1, "{filter}");
    }

    let details = products.client().get(&engine.path()).await?.expect(200)?.json();
    assert_eq!(details["name"], "engine");
    assert_eq!(details["description"], "Counts");
    assert_eq!(details["developer"], json!({"id": ada, "name": "Ada Lovelace", "email": "ada@example.com"}));
    assert_eq!(details["registration_count"], 1);
    assert_eq!(details["auth_strategy"]["key_names"], json!(["x-api-key"]));
    assert!(details["created_at"].as_str().is_some_and(|at| at.ends_with('Z')));
    let connections = format!("{}/registrations", engine.path());
    let connections = products.client().get(&connections).await?.expect(200)?.json();
    assert_eq!(connections["data"][0]["product"]["name"], "Orders");
    assert_eq!(connections["data"][0]["status"], "approved");
    Ok(())
}

#[tokio::test]
async fn given_an_approved_connection_when_revoked_with_a_reason_then_the_next_call_is_refused_and_says_revoked()
-> Result<()> {
    let stage = Stage::start().await?;
    let products = &stage.products;
    let members = json!({"auth_strategy_id": stage.strategy});
    let application = products.application(DEFAULT_PORTAL, members).await?;
    let key = products.key(&application).await?;
    let registration = products.register(&application, &stage.version, Some("approved")).await?;
    let seen = echo(&stage.call("/", "x-api-key", &key).await?)?;
    assert_eq!(seen.every_spelling("X-Application-ID"), [application.id.as_str()]);
    assert_eq!(seen.every_spelling("X-Auth-Strategy-ID"), [stage.strategy.as_str()]);

    let change = json!({"status": "revoked", "reason": "Too many calls"});
    let revoked = products.patch(&registration, &change).await?.expect(200)?;

    assert_eq!(revoked.header("preference-applied"), "wait", "the gateway has confirmed it");
    assert_eq!(revoked.header("x-gateways-applied"), "1/1");
    assert_eq!(revoked.json()["status"], "revoked");
    assert_eq!(revoked.json()["reason"], "Too many calls");
    assert_eq!(stage.outcome(&key).await?, Outcome::forbidden("revoked"));
    Ok(())
}

#[tokio::test]
async fn given_a_revoked_connection_when_approved_again_then_the_application_gets_through_again() -> Result<()>
{
    let stage = Stage::start().await?;
    let products = &stage.products;
    let application =
        products.application(DEFAULT_PORTAL, json!({"auth_strategy_id": stage.strategy})).await?;
    let key = products.key(&application).await?;
    let registration = products.register(&application, &stage.version, Some("approved")).await?;
    products.patch(&registration, &json!({"status": "revoked", "reason": "Mistaken"})).await?.expect(200)?;

    let approved = products.patch(&registration, &json!({"status": "approved"})).await?.expect(200)?.json();

    assert_eq!(approved["status"], "approved");
    assert_eq!(approved["reason"], Value::Null, "the reason went with the status");
    assert_eq!(stage.outcome(&key).await?, Outcome::allowed());
    Ok(())
}

#[tokio::test]
async fn given_a_connection_when_deleted_then_traffic_is_blocked_at_once_and_a_new_request_must_be_made()
-> Result<()> {
    let stage = Stage::start().await?;
    let products = &stage.products;
    let application =
        products.application(DEFAULT_PORTAL, json!({"auth_strategy_id": stage.strategy})).await?;
    let key = products.key(&application).await?;
    let registration = products.register(&application, &stage.version, Some("approved")).await?;
    assert_eq!(stage.outcome(&key).await?, Outcome::allowed());

    products.delete(&registration).await?.expect(204)?;

    assert_eq!(stage.outcome(&key).await?, Outcome::forbidden("no_connection"));
    let list = format!("{}/registrations", application.path());
    assert_eq!(products.texts(&list, "id").await?, Vec::<String>::new());
    products.register(&application, &stage.version, None).await?;
    assert_eq!(products.texts(&list, "status").await?, ["pending"]);
    assert_eq!(stage.outcome(&key).await?, Outcome::forbidden("pending"));
    Ok(())
}

#[tokio::test]
async fn given_each_status_when_called_then_only_what_is_approved_gets_through() -> Result<()> {
    let stage = Stage::start().await?;
    let products = &stage.products;
    let application =
        products.application(DEFAULT_PORTAL, json!({"auth_strategy_id": stage.strategy})).await?;
    let key = products.key(&application).await?;
    let registration = products.register(&application, &stage.version, None).await?;
    let statuses = ["pending", "approved", "rejected", "revoked"];

    for from in statuses {
        for to in statuses {
            products.patch(&registration, &json!({"status": from})).await?.expect(200)?;
            products.patch(&registration, &json!({"status": to})).await?.expect(200)?;
            let expected = if to == "approved" { Outcome::allowed() } else { Outcome::forbidden(to) };
            assert_eq!(stage.outcome(&key).await?, expected, "{from} to {to}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn given_a_revoked_developer_when_called_then_the_setting_says_whether_applications_get_through()
-> Result<()> {
    for (setting, expected) in
        [("true", Outcome::forbidden("developer_not_approved")), ("false", Outcome::allowed())]
    {
        let environment = [("APP_AUTH_REVOKE_DEVELOPER_BLOCKS_TRAFFIC", setting)];
        let stage = Stage::of(app_auth_tests::scene::Scene::start_with(&environment).await?).await?;
        let products = &stage.products;
        let developer = products.developer(DEFAULT_PORTAL).await?;
        let members = json!({"auth_strategy_id": stage.strategy});
        let application = products.application_of(DEFAULT_PORTAL, &developer, members).await?;
        let key = products.key(&application).await?;
        products.register(&application, &stage.version, Some("approved")).await?;

        let path = format!("/v2/portals/{DEFAULT_PORTAL}/developers/{developer}");
        products.patch(&path, &json!({"status": "revoked", "reason": "Left"})).await?.expect(200)?;

        assert_eq!(stage.outcome(&key).await?, expected, "{setting}");
        for status in ["pending", "rejected"] {
            products.patch(&path, &json!({"status": status})).await?.expect(200)?;
            let refused = Outcome::forbidden("developer_not_approved");
            assert_eq!(stage.outcome(&key).await?, refused, "{setting} {status}");
        }
        products.patch(&path, &json!({"status": "approved"})).await?.expect(200)?;
        assert_eq!(stage.outcome(&key).await?, Outcome::allowed(), "{setting}");
    }
    Ok(())
}
