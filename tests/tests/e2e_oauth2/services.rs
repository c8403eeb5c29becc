//! The member `oauth2` of services: its settings, their rules, and which strategies gateways are told of.

use anyhow::Result;
use app_auth_tests::admin::{Admin, Database, on_both, on_both_with};
use app_auth_tests::audit::lines;
use app_auth_tests::client::Client;
use serde_json::{Value, json};

const FLOWS: &str = "at least one of these fields must be true: enable_authorization_code, enable_implicit_grant, \
                     enable_client_credentials, enable_password_grant";
const UNSUPPORTED: &str = "not supported; use enable_client_credentials and enable_password_grant";

async fn made(client: &Client, body: &Value) -> Result<Value> {
    Ok(client.post("/services", body).await?.expect(201)?.json())
}

#[tokio::test]
async fn given_a_flow_when_a_service_is_made_then_everything_else_is_as_in_kong_and_keys_open_nothing()
-> Result<()> {
    on_both(async |client| {
        let oauth2 = json!({"enable_client_credentials": true});
        let service = made(client, &json!({"name": "s", "oauth2": oauth2})).await?;
        let key = service["oauth2"]["provision_key"].as_str().unwrap_or_default();
        assert!(key.len() == 32 && key.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{key}");
        let expected = json!({
            "scopes": [], "mandatory_scope": false, "provision_key": key, "token_expiration": 7200,
            "enable_authorization_code": false, "enable_implicit_grant": false,
            "enable_client_credentials": true, "enable_password_grant": false, "hide_credentials": false,
            "accept_http_if_already_terminated": false, "global_credentials": false,
            "auth_header_name": "authorization", "refresh_token_ttl": 1_209_600, "reuse_refresh_token": false,
            "pkce": "lax",
        });
        assert_eq!((&service["oauth2"], &service["key_auth"]), (&expected, &Value::Null));
        assert_eq!(client.get("/services/s").await?.json(), service);

        let form = [("oauth2.scopes[]", "a"), ("oauth2.scopes[]", "b"), ("oauth2.token_expiration", "60")];
        let changed =
            client.send_form(reqwest::Method::PATCH, "/services/s", &form).await?.expect(200)?.json();
        assert_eq!(changed["oauth2"]["scopes"], json!(["a", "b"]));
        assert_eq!(
            (&changed["oauth2"]["token_expiration"], &changed["oauth2"]["provision_key"]),
            (&json!(60), &json!(key))
        );

        // Sending back what was read changes nothing; replaced as a whole, it has a new key.
        let mut same = client.patch("/services/s", &changed).await?.expect(200)?.json();
        same["updated_at"] = changed["updated_at"].clone();
        assert_eq!(same, changed);
        let replaced = client.put("/services/s", &json!({"oauth2": oauth2})).await?.expect(200)?.json();
        assert_ne!(replaced["oauth2"]["provision_key"], key);
        assert_eq!(replaced["oauth2"]["scopes"], json!([]));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_settings_that_break_a_rule_when_sent_then_they_are_refused_and_nothing_changes() -> Result<()>
{
    on_both(async |client| {
        let many: Vec<_> = (0..100).map(|number| format!("{number:0100}")).collect();
        let entity = |problem: &str| json!({"@entity": [problem]});
        let on = |members: Value| {
            let mut oauth2 = json!({"enable_client_credentials": true});
            for (name, value) in members.as_object().into_iter().flatten() {
                oauth2[name] = value.clone();
            }
            oauth2
        };
        let cases = [
            (json!({}), entity(FLOWS)),
            (json!({"enable_implicit_grant": true}), json!({"enable_implicit_grant": UNSUPPORTED})),
            (
                on(json!({"enable_authorization_code": true})),
                json!({"enable_authorization_code": UNSUPPORTED}),
            ),
            (on(json!({"mandatory_scope": true})), json!({"scopes": "required field missing"})),
            (
                json!({"mandatory_scope": true}),
                json!({"@entity": [FLOWS], "scopes": "required field missing"}),
            ),
            (on(json!({"scopes": "a"})), json!({"scopes": "expected an array"})),
            (
                on(json!({"scopes": ["a b"]})),
                json!({"scopes": ["only printable ASCII characters without ' ', '\"' and '\\' may be used"]}),
            ),
            (on(json!({"scopes": many})), json!({"scopes": "at most 4096 bytes in all"})),
            (
                on(json!({"token_expiration": -1, "refresh_token_ttl": 1.5})),
                json!({"token_expiration": "value should be between 0 and 100000000",
                    "refresh_token_ttl": "expected an integer"}),
            ),
            (on(json!({"pkce": "x"})), json!({"pkce": "expected one of: none, lax, strict"})),
            (on(json!({"provision_key": ""})), json!({"provision_key": "length must be at least 1"})),
            (on(json!({"anonymous": "x"})), json!({"anonymous": "unknown field"})),
        ];
        let service = made(client, &json!({"name": "s"})).await?;
        for (settings, fields) in cases {
            let body = json!({"name": "t", "oauth2": settings});
            for refused in [
                client.post("/services", &body).await?,
                client.put("/services/t", &body).await?,
                client.patch("/services/s", &json!({"oauth2": settings})).await?,
            ] {
                assert_eq!(refused.status, 400, "{settings}");
                assert_eq!(refused.json()["fields"], json!({"oauth2": fields}), "{settings}");
            }
        }
        let neither = json!({"key_auth": "required where there is no oauth2"});
        let unset = json!({"key_auth": null, "oauth2": null});
        for refused in [
            client.post("/services", &json!({"name": "t", "key_auth": null})).await?,
            client.put("/services/s", &unset).await?,
            client.patch("/services/s", &json!({"key_auth": null})).await?,
            client.patch("/services/s", &unset).await?,
        ] {
            assert_eq!((refused.status, &refused.json()["fields"]), (400, &neither));
        }
        assert_eq!(client.get("/services").await?.json(), json!({"data": [service], "next": null}));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_keys_and_tokens_when_switched_on_and_off_then_gateways_are_told_of_both_in_their_order()
-> Result<()> {
    for database in Database::BOTH {
        println!("on {database:?}");
        let admin = Admin::start(database).await?;
        let client = admin.client();
        let strategies = async || {
            let page = admin.gateway_client().get("/gateway/v1/feed?after=0").await?.expect(200)?.json();
            let changes = page["changes"].as_array().cloned().unwrap_or_default();
            let record =
                changes.iter().filter_map(|change| change.pointer("/change/put/service")).next_back();
            anyhow::Ok(record.map_or(Value::Null, |record| record["strategies"].clone()))
        };
        let named = async || {
            let strategies = strategies().await?;
            let configs = strategies.as_array().into_iter().flatten().map(|strategy| &strategy["config"]);
            let names = configs.filter_map(|config| config.as_object()?.keys().next().cloned());
            anyhow::Ok(names.collect::<Vec<_>>())
        };
        made(client, &json!({"name": "s"})).await?;
        assert_eq!(named().await?, ["key_auth"]);
        let settings = json!({"enable_password_grant": true, "realm": "r", "global_credentials": true,
            "provision_key": "hush_hush", "scopes": ["a"]});
        client.patch("/services/s", &json!({"oauth2": settings})).await?.expect(200)?;
        assert_eq!(named().await?, ["key_auth", "oauth2"]);
        let expected = json!({"id": "6f617574-6832-0000-8000-000000000001", "config": {"oauth2": {
            "auth_header_name": "authorization", "global_credentials": true, "hide_credentials": false,
            "realm": "r"}}});
        assert_eq!(strategies().await?[1], expected);
        client.patch("/services/s", &json!({"key_auth": null})).await?.expect(200)?;
        assert_eq!(named().await?, ["oauth2"]);
        client.patch("/services/s", &json!({"key_auth": {}, "oauth2": null})).await?.expect(200)?;
        assert_eq!(named().await?, ["key_auth"]);

        let told = json!(lines(client, "entity=service").await?).to_string();
        assert!(told.contains("enable_password_grant") && told.contains("(changed)"), "{told}");
        assert!(!told.contains("hush_hush"), "{told}");
    }
    Ok(())
}

#[tokio::test]
async fn given_secrets_that_are_shown_once_when_a_provision_key_is_set_then_only_that_answer_has_it()
-> Result<()> {
    on_both_with(&[("APP_AUTH_REVEAL", "once")], async |client| {
        let oauth2 = json!({"enable_client_credentials": true});
        let service = made(client, &json!({"name": "s", "oauth2": oauth2})).await?;
        assert!(service["oauth2"]["provision_key"].is_string());
        let shown = client.get("/services/s").await?.json();
        assert_eq!(shown["oauth2"].get("provision_key"), None);
        assert_eq!(client.get("/services").await?.json()["data"][0], shown);
        let changed =
            client.patch("/services/s", &json!({"oauth2": {"realm": "r"}})).await?.expect(200)?.json();
        assert_eq!(changed["oauth2"].get("provision_key"), None);
        let key = json!({"oauth2": {"provision_key": "mine"}});
        assert_eq!(
            client.patch("/services/s", &key).await?.expect(200)?.json()["oauth2"]["provision_key"],
            "mine"
        );
        Ok(())
    })
    .await
}
