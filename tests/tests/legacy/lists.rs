//! Paging, in both formats.

use anyhow::Result;
use serde_json::{Value, json};

use super::common::on_both;

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
