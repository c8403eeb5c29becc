//! What every endpoint does with bodies, methods and paths.

use anyhow::Result;
use app_auth_tests::client::{Answer, Client, send};
use reqwest::Method;
use serde_json::json;

use super::common::{on_both, shape};

async fn post(client: &Client, content_type: Option<&str>, body: &str) -> Result<Answer> {
    let mut request = client.request(Method::POST, "/developers").body(body.to_owned());
    if let Some(content_type) = content_type {
        request = request.header("Content-Type", content_type);
    }
    send(request).await
}

#[tokio::test]
async fn given_one_developer_in_three_body_types_when_created_then_the_answers_are_alike() -> Result<()> {
    on_both(async |client| {
        let json = r#"{"email":"a@example.com","status":0,"meta":{"full_name":"A"},"custom_id":"7"}"#;
        let form = "email=a%40example.com&status=0&meta.full_name=A&custom_id=7";
        let part = |name: &str, value: &str| {
            format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        let multipart = [
            part("email", "a@example.com"),
            part("status", "0"),
            part("meta", r#"{"full_name":"A"}"#),
            part("custom_id", "7"),
            "--x--\r\n".into(),
        ]
        .concat();

        for (content_type, body) in [
            ("application/json", json),
            ("application/x-www-form-urlencoded", form),
            ("multipart/form-data; boundary=x", multipart.as_str()),
        ] {
            let created = post(client, Some(content_type), body).await?;
            insta::assert_json_snapshot!("developer_created", shape(&created));
            client.delete("/developers/a@example.com").await?.expect(204)?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_body_that_cannot_be_read_when_sent_then_it_is_refused_and_nothing_changes() -> Result<()> {
    on_both(async |client| {
        let message = |text: &str| json!({"message": text}).to_string();
        for (content_type, body, status, answer) in [
            (Some("text/plain"), "email=a@b", 415, String::new()),
            (Some("application/xml"), "<a/>", 415, String::new()),
            (None, "email=a@b", 415, String::new()),
            (Some("application/json"), "{", 400, message("Cannot parse JSON body")),
            (Some("application/json"), "[]", 400, message("JSON body must be an object")),
            (
                Some("application/x-www-form-urlencoded"),
                "a=1&a.b=2",
                400,
                message("Cannot parse form body: field 'a.b' contradicts another field of the form"),
            ),
        ] {
            let refused = post(client, content_type, body).await?;
            assert_eq!((refused.status, refused.text()), (status, answer), "{content_type:?} {body}");
        }
        let large = format!("email={}", "x".repeat(1024 * 1024));
        assert_eq!(post(client, Some("application/x-www-form-urlencoded"), &large).await?.status, 413);
        assert_eq!(client.get("/developers").await?.json()["total"], 0);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_several_mistakes_when_sent_then_all_are_named_at_once_and_nothing_changes() -> Result<()> {
    on_both(async |client| {
        let body = json!({"email": 7, "status": "0", "meta": "[]", "nope": true, "id": "x", "password": ""});
        let refused = client.post("/developers", &body).await?;
        insta::assert_json_snapshot!("several_violations", shape(&refused));

        let body =
            json!({"name": "a/b", "auto_approve": "yes", "key_auth": {"key_names": ["a", "b c"], "nope": 1}});
        let refused = client.post("/services", &body).await?;
        insta::assert_json_snapshot!("nested_violations", shape(&refused));

        assert_eq!(client.get("/developers").await?.json()["total"], 0);
        assert_eq!(client.get("/services").await?.json()["data"], json!([]));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_path_or_method_that_is_none_when_called_then_it_is_404_or_405_with_allow() -> Result<()> {
    on_both(async |client| {
        for path in ["/nope", "/developers/a@b/nope", "/developers/a@b", "/developers/%00", "/services/%ff"] {
            let answer = client.get(path).await?;
            assert_eq!((answer.status, answer.json()), (404, json!({"message": "Not found"})), "{path}");
        }
        for (method, path, allow) in [
            (Method::PUT, "/developers", "GET,HEAD,OPTIONS,POST"),
            (Method::POST, "/developers/a@b", "DELETE,GET,HEAD,OPTIONS,PATCH"),
            (Method::PATCH, "/developers/a@b/applications/x/credentials/oauth2/y", "DELETE,GET,HEAD,OPTIONS"),
        ] {
            let refused = send(client.request(method.clone(), path)).await?;
            let body = json!({"message": "Method not allowed"});
            assert_eq!((refused.status, refused.json()), (405, body), "{method} {path}");
            assert_eq!(methods(&refused), allow, "{method} {path}");

            let options = send(client.request(Method::OPTIONS, path)).await?;
            assert_eq!((options.status, options.text().as_str()), (204, ""), "{path}");
            assert_eq!(methods(&options), allow, "{path}");
        }
        Ok(())
    })
    .await
}

fn methods(answer: &Answer) -> String {
    let mut methods: Vec<_> = answer.header("allow").split(',').map(str::trim).collect();
    methods.sort_unstable();
    methods.join(",")
}

#[tokio::test]
async fn given_any_answer_when_read_then_its_headers_name_the_type_and_the_server() -> Result<()> {
    on_both(async |client| {
        for path in ["/developers", "/services", "/developers/a@b"] {
            let get = client.get(path).await?;
            assert_eq!(get.header("content-type"), "application/json; charset=utf-8", "{path}");
            assert!(get.header("server").starts_with("app-auth-admin/"), "{path}");

            let head = send(client.request(Method::HEAD, path)).await?;
            assert_eq!((head.status, head.body.len()), (get.status, 0), "{path}");
            assert_eq!(head.header("content-length"), get.header("content-length"), "{path}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_the_default_workspace_in_the_path_when_called_then_it_is_the_same_place() -> Result<()> {
    on_both(async |client| {
        let body = json!({"name": "orders"});
        let created = client.post("/default/services", &body).await?.expect(201)?;
        assert_eq!(client.get("/services/orders").await?.json(), created.json());
        assert_eq!(client.get("/default/services/orders").await?.json(), created.json());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_nul_character_where_a_name_is_expected_when_sent_then_it_names_nothing_and_is_no_fault()
-> Result<()> {
    on_both(async |client| {
        let body = json!({"email": "a@example.com", "meta": {"full_name": "A"}});
        client.post("/developers", &body).await?.expect(200)?;
        for path in [
            "/developers/roles/%00",
            "/workspaces/%00",
            "/developers/a@example.com/plugins/%00",
            "/developers/a@example.com/credentials/key-auth/%00",
            "/developers/a@example.com/credentials/%00",
            "/mails/%00",
        ] {
            let answer = client.request(Method::GET, path);
            assert!(matches!(send(answer).await?.status, 404 | 405), "{path}");
        }
        for path in [
            "/audit?actor=%00",
            "/audit?entity_id=%00",
            "/audit?action=%00",
            "/audit?request_id=%00",
            "/developers/a@example.com/plugins?tags=%00",
        ] {
            assert_eq!(client.get(path).await?.status, 400, "{path}");
        }
        for (query, line) in
            [("", "a\\u0000b"), ("?on_conflict=skip", "a\\u0000b"), ("?on_conflict=skip", "\\u0000")]
        {
            let request = client.request(Method::POST, &format!("/developers/import{query}"));
            let line = format!("{{\"email\": \"{line}\", \"roles\": [\"\\u0000\"]}}");
            let answer =
                send(request.header("Content-Type", "application/x-ndjson").body(line)).await?.expect(200)?;
            assert_eq!(answer.json()["refused"], 1, "{}", answer.text());
        }
        Ok(())
    })
    .await
}
