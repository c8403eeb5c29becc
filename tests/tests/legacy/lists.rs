//! Paging, in both formats.

use anyhow::Result;
use serde_json::{Value, json};

use super::common::{application, on_both};

#[tokio::test]
async fn given_five_developers_when_paged_by_two_then_each_is_seen_once_and_the_total_stays() -> Result<()> {
    on_both(async |client| {
        for number in 0..5 {
            let body = json!({"email": format!("d{number}@example.com"), "meta": {"full_name": "D"}});
            client.post("/developers", &body).await?.expect(200)?;
        }

        let (mut path, mut seen) = (String::from("/developers?size=2"), Vec::new());
        loop {
            let page = client.get(&path).await?.expect(200)?.json();
            assert_eq!(page["total"], 5);
            let emails =
                page["data"].as_array().into_iter().flatten().map(|developer| developer["email"].clone());
            seen.extend(emails);
            match &page["next"] {
                Value::String(next) => {
                    assert!(next.starts_with("/developers?offset=") && next.contains("size=2"), "{next}");
                    path.clone_from(next);
                }
                end => {
                    assert_eq!(end, &Value::Null);
                    break;
                }
            }
        }

        seen.sort_by_key(ToString::to_string);
        let all: Vec<_> = (0..5).map(|number| json!(format!("d{number}@example.com"))).collect();
        assert_eq!(seen, all);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_services_when_listed_then_offset_is_there_only_while_there_is_more() -> Result<()> {
    on_both(async |client| {
        for name in ["a", "b", "c"] {
            client.post("/services", &json!({"name": name})).await?.expect(201)?;
        }

        let first = client.get("/services?size=2").await?.expect(200)?.json();
        let offset = first["offset"].as_str().unwrap_or_default();
        assert_eq!(first["next"], format!("/services?offset={offset}&size=2"));
        assert_eq!(first["data"].as_array().map(Vec::len), Some(2));
        assert_eq!(first.get("total"), None);

        let last = client.get(&format!("/services?size=2&offset={offset}")).await?.expect(200)?.json();
        assert_eq!((last["data"].as_array().map(Vec::len), last.get("offset")), (Some(1), None));
        assert_eq!(last["next"], Value::Null);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_a_size_or_offset_that_is_none_when_listed_then_it_is_refused() -> Result<()> {
    on_both(async |client| {
        let size = json!({"code": 9, "name": "invalid size", "message": "size must be an integer between 1 and 1000"});
        for list in ["/developers", "/services"] {
            for bad in ["0", "1001", "-1", "x", "1.5", ""] {
                let refused = client.get(&format!("{list}?size={bad}")).await?;
                assert_eq!((refused.status, refused.json()), (400, size.clone()), "{list} {bad}");
            }
            let refused = client.get(&format!("{list}?offset=nonsense")).await?;
            let offset = json!({"code": 7, "name": "invalid offset", "message": "'nonsense' is not a valid offset"});
            assert_eq!((refused.status, refused.json()), (400, offset), "{list}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_developers_of_each_status_when_filtered_then_only_that_status_is_listed() -> Result<()> {
    on_both(async |client| {
        for status in 0..4 {
            let body = json!({"email": format!("{status}@example.com"), "status": status, "meta": {"full_name": "D"}});
            client.post("/developers", &body).await?.expect(200)?;
        }

        for status in 0..4 {
            let page = client.get(&format!("/developers?status={status}")).await?.expect(200)?.json();
            assert_eq!((&page["total"], &page["data"][0]["status"]), (&json!(1), &json!(status)));
        }
        for (bad, problem) in [("4", "value should be between 0 and 3"), ("approved", "expected an integer")] {
            let refused = client.get(&format!("/developers?status={bad}")).await?;
            assert_eq!((refused.status, &refused.json()["code"]), (400, &json!(11)));
            assert_eq!(refused.json()["fields"], json!({"status": problem}));
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_tagged_credentials_when_filtered_by_tags_then_all_or_any_of_them_is_asked_for() -> Result<()> {
    on_both(async |client| {
        let application = application(client).await?;
        let of_developer = application.path().rsplit_once("/applications/").unwrap_or_default().0.to_owned();
        for path in [
            format!("{}/credentials/key-auth", application.path()),
            format!("{of_developer}/credentials/jwt"),
            format!("{of_developer}/plugins"),
        ] {
            for (name, tags) in [
                ("rate-limiting", json!(["a"])),
                ("proxy-cache", json!(["a", "b\"", "größe"])),
                ("request-size-limiting", json!(["B"])),
            ] {
                let body = if path.ends_with("plugins") {
                    json!({"name": name, "tags": tags})
                } else {
                    json!({"tags": tags})
                };
                client.post(&path, &body).await?.expect(201)?;
            }
            for (filter, expected) in [
                ("a", 2),
                ("a,b%22", 1),
                ("a/B", 3),
                ("b", 0),
                ("gr%C3%B6%C3%9Fe", 1),
                ("a,B", 0),
                ("%22a%22", 0),
            ] {
                let list = client.get(&format!("{path}?tags={filter}")).await?.expect(200)?.json();
                assert_eq!(list["total"], expected, "{path} {filter}");
                assert_eq!(list["data"].as_array().map(Vec::len), Some(expected), "{path} {filter}");
            }
            let page = client.get(&format!("{path}?tags=a&size=1")).await?.expect(200)?.json();
            let next = page["next"].as_str().unwrap_or_default().to_owned();
            assert!(next.contains("tags=a"), "{next}");
            assert_eq!(client.get(&next).await?.json()["data"].as_array().map(Vec::len), Some(1));
            for bad in ["a,b/c", "a,", ""] {
                let refused = client.get(&format!("{path}?tags={bad}")).await?;
                assert_eq!(
                    refused.json()["message"],
                    "invalid option (tags: invalid filter syntax)",
                    "{bad}"
                );
            }
        }
        Ok(())
    })
    .await
}
