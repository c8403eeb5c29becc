//! Lists of strategies and providers: pages, orders, and every operator of every filter.

use anyhow::Result;
use app_auth_tests::client::Client;
use serde_json::{Value, json};
use uuid::Uuid;

use super::common::{PROVIDERS, STRATEGIES, key_auth, on_both, one, openid_connect, provider, with, wrong};

/// The names of the items of one page, or of the largest one.
async fn names(client: &Client, list: &str, query: &str) -> Result<Vec<String>> {
    let size = if query.contains("page[size]") { "" } else { "&page[size]=100" };
    let page = client.get(&format!("{list}?{query}{size}")).await?.expect(200)?.json();
    let items = page["data"].as_array().into_iter().flatten();
    Ok(items.map(|item| item["name"].as_str().unwrap_or_default().to_owned()).collect())
}

async fn make(client: &Client, list: &str, bodies: Vec<Value>) -> Result<Vec<String>> {
    let mut ids = Vec::new();
    for body in bodies {
        ids.push(client.post(list, &body).await?.expect(201)?.field("id")?);
    }
    Ok(ids)
}

#[tokio::test]
async fn given_more_than_a_page_when_it_is_paged_then_each_is_there_once_and_the_total_is_true() -> Result<()>
{
    on_both(async |client| {
        make(client, STRATEGIES, (0..23).map(|n| key_auth(&format!("s{n:02}"))).collect()).await?;
        make(client, PROVIDERS, (0..23).map(|n| provider("okta", &format!("s{n:02}"))).collect()).await?;
        for list in [STRATEGIES, PROVIDERS] {
            for (query, number, size, first, count) in [
                ("", 1, 10, 0, 10),
                ("page[size]=&page[number]=", 1, 10, 0, 10),
                ("page[number]=3", 3, 10, 20, 3),
                ("page[number]=4", 4, 10, 23, 0),
                ("page[number]=9000000000000000000", 9_000_000_000_000_000_000_u64, 10, 23, 0),
                ("page[size]=1&page[number]=23", 23, 1, 22, 1),
                ("page[size]=23", 1, 23, 0, 23),
                ("page[size]=100", 1, 100, 0, 23),
                ("page%5Bsize%5D=7&page%5Bnumber%5D=2", 2, 7, 7, 7),
            ] {
                let page = client.get(&format!("{list}?{query}")).await?.expect(200)?.json();
                let expected = json!({"page": {"number": number, "size": size, "total": 23}});
                assert_eq!(page["meta"], expected, "{query}");
                let found: Vec<_> =
                    page["data"].as_array().into_iter().flatten().map(|it| it["name"].clone()).collect();
                let expected: Vec<_> = (first..first + count).map(|n| json!(format!("s{n:02}"))).collect();
                assert_eq!(found, expected, "{query}");
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_strategies_when_they_are_sorted_then_each_member_gives_its_order() -> Result<()> {
    on_both(async |client| {
        let second = with(provider("okta", "p2"), "/display_name", json!("x"));
        let providers = make(client, PROVIDERS, vec![second, provider("curity", "p1")]).await?;
        let of = |name: &str, display: &str, provider: Option<&str>| {
            let body = with(openid_connect(name), "/display_name", json!(display));
            with(body, "/dcr_provider_id", json!(provider))
        };
        let ids = make(
            client,
            STRATEGIES,
            vec![
                of("c", "1", Some(&providers[0])),
                of("a", "3", Some(&providers[1])),
                with(key_auth("b"), "/display_name", json!("2")),
            ],
        )
        .await?;
        client.patch(&format!("{STRATEGIES}/{}", ids[0]), &json!({})).await?.expect(200)?;
        let by_id = if providers[0] < providers[1] { ["c", "a", "b"] } else { ["a", "c", "b"] };
        for (member, order) in [
            ("created_at", ["c", "a", "b"]),
            ("updated_at", ["a", "b", "c"]),
            ("name", ["a", "b", "c"]),
            ("display_name", ["c", "b", "a"]),
            // One without a provider is last.
            ("dcr_provider_id", by_id),
            ("dcr_provider_name", ["a", "c", "b"]),
            ("dcr_provider_type", ["a", "c", "b"]),
            ("strategy_type,created_at", ["b", "c", "a"]),
        ] {
            assert_eq!(names(client, STRATEGIES, &format!("sort={member}")).await?, order, "{member}");
            let falling =
                member.split(',').map(|part| format!("{part}%20desc")).collect::<Vec<_>>().join(",");
            let back: Vec<_> = order.iter().rev().copied().collect();
            assert_eq!(names(client, STRATEGIES, &format!("sort={falling}")).await?, back, "{falling}");
        }
        // Equal ones stand in the order in which they were made.
        assert_eq!(names(client, STRATEGIES, "sort=strategy_type%20desc").await?, ["c", "a", "b"]);
        assert_eq!(names(client, STRATEGIES, "sort=name%20asc").await?, ["a", "b", "c"]);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_strategies_when_they_are_filtered_then_each_operator_finds_its_own() -> Result<()> {
    on_both(async |client| {
        let ids =
            make(client, PROVIDERS, vec![provider("okta", "first"), provider("http", "second")]).await?;
        let of = |name: &str, provider: &str| with(openid_connect(name), "/dcr_provider_id", json!(provider));
        make(
            client,
            STRATEGIES,
            vec![
                with(key_auth("alpha"), "/display_name", json!("100%_sure")),
                of("beta", &ids[0]),
                of("Gamma, or C", &ids[1]),
                with(openid_connect("Übung"), "/display_name", json!("back\\slash")),
            ],
        )
        .await?;
        let (first, second, nobody) = (&ids[0], &ids[1], Uuid::new_v4());
        let (a, b, c, u) = ("alpha", "beta", "Gamma, or C", "Übung");
        for (filter, found) in [
            ("[name]=alpha".to_owned(), vec![a]),
            ("[name]=Alpha".into(), vec![]),
            ("[name][eq]=beta".into(), vec![b]),
            ("[name][neq]=beta".into(), vec![a, c, u]),
            ("[name][oeq]=beta,alpha,nobody".into(), vec![a, b]),
            ("[name][oeq]=".into(), vec![]),
            ("[name][contains]=A".into(), vec![a, b, c]),
            ("[name][contains]=%C3%9Cb".into(), vec![u]),
            ("[name][contains]=,%20or".into(), vec![c]),
            ("[name][ocontains]=lph,gam".into(), vec![a, c]),
            ("[name][ocontains]=".into(), vec![]),
            ("[name]=".into(), vec![a, b, c, u]),
            ("[display_name]=100%25_sure".into(), vec![a]),
            ("[display_name][contains]=%25_".into(), vec![a]),
            ("[display_name][contains]=0_".into(), vec![]),
            ("[display_name][contains]=%5C".into(), vec![u]),
            ("[display_name][neq]=Token".into(), vec![a, u]),
            ("[display_name][oeq]=Token,x".into(), vec![b, c]),
            ("[display_name][ocontains]=slash,sure".into(), vec![a, u]),
            ("[display_name][eq]=".into(), vec![]),
            ("[strategy_type]=key_auth".into(), vec![a]),
            ("[strategy_type][eq]=openid_connect".into(), vec![b, c, u]),
            ("[strategy_type][neq]=openid_connect".into(), vec![a]),
            ("[strategy_type][oeq]=key_auth,openid_connect".into(), vec![a, b, c, u]),
            ("[strategy_type][contains]=KEY".into(), vec![a]),
            ("[strategy_type][ocontains]=key,x".into(), vec![a]),
            ("[strategy_type]=nothing".into(), vec![]),
            (format!("[dcr_provider_id]={first}"), vec![b]),
            (format!("[dcr_provider_id][eq]={second}"), vec![c]),
            (format!("[dcr_provider_id][oeq]={second},{nobody},{first}"), vec![b, c]),
            (format!("[dcr_provider_id][neq]={second}"), vec![a, b, u]),
            ("[dcr_provider_id]".into(), vec![b, c]),
            ("[dcr_provider_name]=first".into(), vec![b]),
            ("[dcr_provider_name][neq]=first".into(), vec![a, c, u]),
            ("[dcr_provider_name][contains]=SEC".into(), vec![c]),
            ("[dcr_provider_name][ocontains]=irs,eco".into(), vec![b, c]),
            ("[dcr_provider_name][oeq]=first,second".into(), vec![b, c]),
            ("[dcr_provider_type]=http".into(), vec![c]),
            ("[dcr_provider_type][oeq]=okta,http".into(), vec![b, c]),
            ("[dcr_provider_type][neq]=okta".into(), vec![a, c, u]),
            ("[dcr_provider_type][contains]=kt".into(), vec![b]),
            ("[dcr_provider_type][ocontains]=kt,tt".into(), vec![b, c]),
            ("[strategy_type]=openid_connect&filter[name][contains]=a".into(), vec![b, c]),
        ] {
            let query = format!("filter{filter}");
            assert_eq!(names(client, STRATEGIES, &query).await?, found, "{query}");
            let total = client.get(&format!("{STRATEGIES}?{query}&page[size]=1")).await?.expect(200)?.json();
            assert_eq!(total["meta"]["page"]["total"], found.len(), "{query}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_providers_when_they_are_filtered_and_sorted_then_each_argument_finds_its_own() -> Result<()> {
    on_both(async |client| {
        let mut auth0 = with(provider("auth0", "alpha"), "/issuer", json!("https://a.example.com"));
        auth0["dcr_config"]["initial_client_id"] = json!("Client-A");
        auth0["dcr_config"]["initial_client_audience"] = json!("https://api.example.com/");
        let mut curity = with(provider("curity", "beta"), "/issuer", json!("https://b.example.com"));
        curity["dcr_config"]["initial_client_id"] = json!("client-b");
        let bodies = vec![curity, provider("okta", "gamma"), auth0];
        let ids = make(client, PROVIDERS, bodies).await?;
        client.patch(&format!("{PROVIDERS}/{}", ids[1]), &json!({})).await?.expect(200)?;
        let part = &ids[0][..23];
        let (a, b, c) = ("alpha", "beta", "gamma");
        for (query, found) in [
            (format!("filter[id]={}", ids[0]), vec![b]),
            (format!("filter[id][eq]={}", ids[1]), vec![c]),
            (format!("filter[id][contains]={}", part.to_uppercase()), vec![b]),
            ("filter[name]=alpha".into(), vec![a]),
            ("filter[name][eq]=beta".into(), vec![b]),
            ("filter[name][contains]=A".into(), vec![b, c, a]),
            ("filter[issuer]=https://a.example.com".into(), vec![a]),
            ("filter[issuer][eq]=https://b.example.com".into(), vec![b]),
            ("filter[issuer][contains]=IDP".into(), vec![c]),
            ("filter[provider_type]=okta".into(), vec![c]),
            ("filter[provider_type][eq]=auth0".into(), vec![a]),
            ("filter[initial_client_id]=Client-A".into(), vec![a]),
            ("filter[initial_client_id][eq]=client-b".into(), vec![b]),
            ("filter[initial_client_id][contains]=client".into(), vec![b, a]),
            ("filter[initial_client_id]".into(), vec![b, a]),
            ("filter[initial_client_audience]=https://api.example.com/".into(), vec![a]),
            ("filter[initial_client_audience][eq]=x".into(), vec![]),
            ("filter[initial_client_audience][contains]=API".into(), vec![a]),
            ("filter[name][contains]=a&filter[name][eq]=beta".into(), vec![b]),
            ("sort=name".into(), vec![a, b, c]),
            ("sort=issuer%20desc".into(), vec![c, b, a]),
            ("sort=provider_type".into(), vec![a, b, c]),
            ("sort=created_at%20desc".into(), vec![a, c, b]),
            ("sort=updated_at".into(), vec![b, a, c]),
        ] {
            assert_eq!(names(client, PROVIDERS, &query).await?, found, "{query}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn given_arguments_a_list_does_not_have_when_it_is_read_then_each_is_named() -> Result<()> {
    on_both(async |client| {
        let many = "x,".repeat(101);
        let long = "x".repeat(1025);
        for (list, query, field, rule) in [
            (STRATEGIES, "page[size]=0", "page[size]", "invalid"),
            (STRATEGIES, "page[size]=-1", "page[size]", "invalid"),
            (STRATEGIES, "page[size]=101", "page[size]", "invalid"),
            (STRATEGIES, "page[size]=x", "page[size]", "is_number"),
            (STRATEGIES, "page[number]=0", "page[number]", "invalid"),
            (STRATEGIES, "page[number]=1.5", "page[number]", "is_number"),
            (STRATEGIES, "page[x]=1", "page[x]", "unknown_property"),
            (STRATEGIES, "sort=colour", "sort", "enum"),
            (STRATEGIES, "sort=name%20up", "sort", "enum"),
            (STRATEGIES, "sort=name,name", "sort", "enum"),
            (STRATEGIES, "filter[my_attribute]=1", "filter[my_attribute]", "unknown_property"),
            (STRATEGIES, "filter[name][like]=1", "filter[name][like]", "unknown_property"),
            (
                STRATEGIES,
                "filter[dcr_provider_id][contains]=1",
                "filter[dcr_provider_id][contains]",
                "unknown_property",
            ),
            (STRATEGIES, "filter[dcr_provider_id]=1", "filter[dcr_provider_id]", "is_uuid"),
            (STRATEGIES, "filter[name]=%00", "filter[name]", "invalid"),
            (STRATEGIES, "filter[name]=a&filter[name][eq]=b", "filter[name][eq]", "invalid"),
            (STRATEGIES, &format!("filter[name][oeq]={many}"), "filter[name][oeq]", "max_length"),
            (STRATEGIES, &format!("filter[name][contains]={long}"), "filter[name][contains]", "max_length"),
            (
                PROVIDERS,
                "filter[provider_type][contains]=a",
                "filter[provider_type][contains]",
                "unknown_property",
            ),
            (PROVIDERS, "filter[name][neq]=a", "filter[name][neq]", "unknown_property"),
            (PROVIDERS, "filter[id]=1", "filter[id]", "is_uuid"),
            (PROVIDERS, "sort=display_name", "sort", "enum"),
            (PROVIDERS, "size=1", "size", "unknown_property"),
        ] {
            let answer = client.get(&format!("{list}?{query}")).await?;
            assert_eq!(wrong(&answer), [one(field, rule, "query")], "{query}");
        }
        let answer =
            client.get(&format!("{STRATEGIES}?sort=x&page[size]=x&filter[x]=1&size=1&size=1")).await?;
        assert_eq!(wrong(&answer).len(), 5, "{}", answer.text());
        Ok(())
    })
    .await
}
