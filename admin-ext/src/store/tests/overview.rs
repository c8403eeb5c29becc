//! What the console lists: everything there is, each once, whatever the page, on either database.

use app_auth_core::record::ConnectionStatus;
use serde_json::json;

use crate::model::{
    ConnectionPatch, DeveloperPatch, DeveloperStatus, Email, Labels, NewAuthStrategy, NewConnection,
    NewDcrProvider, NewDeveloper, Offset, PageRequest, PlainSecret, ProviderType, StrategyType,
};
use crate::store::{ApplicationSearch, DeveloperSearch, Request, RequestFilter};
use crate::testing::{TestStore, World, new_application};

const fn page(size: u16, offset: Option<Offset>) -> PageRequest {
    PageRequest { size, offset, tags: None }
}

async fn waiting(test: &TestStore, filter: RequestFilter, size: u16) -> Vec<String> {
    let (mut names, mut offset) = (Vec::new(), None);
    loop {
        let (requests, next) = test.store.requests(filter, page(size, offset)).await.unwrap();
        assert!(requests.len() <= usize::from(size));
        names.extend(requests.into_iter().map(|request| match request {
            Request::Connection(detail) => detail.application.name.clone(),
            Request::Developer(developer) => developer.email.to_string(),
        }));
        if next.is_none() {
            return names;
        }
        offset = next;
    }
}

#[tokio::test]
async fn what_waits_is_listed_oldest_first_however_it_is_paged() {
    let test = TestStore::open().await;
    let world = World::make(&test).await;
    for number in 0..3 {
        test.clock.advance(1);
        let mut writer = test.write().await;
        let email = Email::parse(&format!("dev-{number}@example.com")).unwrap();
        writer.create_developer(NewDeveloper::new(email)).await.unwrap();
        writer.commit().await.unwrap();
        test.clock.advance(1);
        let mut writer = test.write().await;
        let name = format!("app-{number}");
        let made = writer.create_application(world.developer.id, new_application(&name)).await.unwrap();
        let connection =
            writer.create_connection(made.id, NewConnection::new(world.service.id)).await.unwrap();
        if number == 1 {
            let status = Some(ConnectionStatus::Rejected);
            let patch = ConnectionPatch { status, ..ConnectionPatch::default() };
            writer.update_connection(made.id, connection.connection.id, patch).await.unwrap();
        }
        writer.commit().await.unwrap();
    }
    let all = ["dev-0@example.com", "app-0", "dev-1@example.com", "dev-2@example.com", "app-2"];
    for size in 1..6 {
        assert_eq!(waiting(&test, RequestFilter::All, size).await, all, "{size}");
        assert_eq!(waiting(&test, RequestFilter::Connections, size).await, ["app-0", "app-2"]);
        assert_eq!(waiting(&test, RequestFilter::Developers, size).await.len(), 3);
    }
}

#[tokio::test]
async fn developers_are_found_by_name_address_and_status_newest_first() {
    let test = TestStore::open().await;
    let world = World::make(&test).await;
    for (email, name) in [("a@example.com", "Ada 100%"), ("b_c@example.com", "Grace")] {
        test.clock.advance(1);
        let mut writer = test.write().await;
        let meta = Some(json!({ "full_name": name }).to_string());
        let new = NewDeveloper { meta, ..NewDeveloper::new(Email::parse(email).unwrap()) };
        writer.create_developer(new).await.unwrap();
        writer.commit().await.unwrap();
    }
    let find = async |text: &str, status| {
        let search = DeveloperSearch { text: text.into(), status };
        let (found, _) = test.store.find_developers(&search, page(10, None)).await.unwrap();
        found.into_iter().map(|it| (it.developer.email.to_string(), it.applications)).collect::<Vec<_>>()
    };
    let (ada, grace) = (("a@example.com".to_owned(), 0), ("b_c@example.com".to_owned(), 0));
    let dev = ("dev@example.com".to_owned(), 1);
    assert_eq!(find("", None).await, [grace.clone(), ada.clone(), dev.clone()]);
    assert_eq!(find("", Some(DeveloperStatus::Approved)).await, std::slice::from_ref(&dev));
    assert_eq!(find("gRaCe", Some(DeveloperStatus::Pending)).await, std::slice::from_ref(&grace));
    assert_eq!(find("grace", Some(DeveloperStatus::Revoked)).await, []);
    assert_eq!(find("100%", None).await, std::slice::from_ref(&ada));
    assert_eq!(find("b_c@", None).await, std::slice::from_ref(&grace));
    assert_eq!(find("a_", None).await, []);
    let search = DeveloperSearch::default();
    let (first, next) = test.store.find_developers(&search, page(2, None)).await.unwrap();
    let (rest, end) = test.store.find_developers(&search, page(2, next)).await.unwrap();
    assert_eq!((first.len(), rest.len(), end), (2, 1, None));

    let search = ApplicationSearch { developer: Some(world.developer.id), ..ApplicationSearch::default() };
    let (found, _) = test.store.find_applications(&search, page(10, None)).await.unwrap();
    assert_eq!(found.len(), 1);
    let nobody = ApplicationSearch { text: "nobody".into(), ..search };
    assert_eq!(test.store.find_applications(&nobody, page(10, None)).await.unwrap().0.len(), 0);
}

#[tokio::test]
async fn what_holds_for_a_developer_and_who_decided_it_is_known() {
    let test = TestStore::open().await;
    let world = World::make(&test).await;
    let id = world.developer.id;
    let before = test.store.revision_of_developer(id).await.unwrap();
    let mut writer = test.write().await;
    let status = Some(DeveloperStatus::Revoked);
    writer.update_developer(id, DeveloperPatch { status, ..DeveloperPatch::default() }).await.unwrap();
    let revision = writer.commit().await.unwrap();
    test.clock.advance(1);
    let mut writer = test.write().await;
    let meta = crate::model::Update::Set("{}".to_owned());
    writer.update_developer(id, DeveloperPatch { meta, ..DeveloperPatch::default() }).await.unwrap();
    writer.commit().await.unwrap();
    assert!(revision > before);
    assert_eq!(test.store.revision_of_developer(id).await.unwrap(), revision);
    let decision = test.store.last_decision(id.0).await.unwrap().unwrap();
    assert!(decision.after.unwrap().contains(r#""status":3"#));
    assert!(decision.at < test.store.now());
}

#[tokio::test]
async fn strategies_and_providers_are_listed_with_who_uses_them() {
    let test = TestStore::open().await;
    let mut writer = test.write().await;
    let new = NewDcrProvider {
        name: "okta".into(),
        display_name: None,
        provider_type: ProviderType::Okta,
        issuer: "https://issuer.example.com".into(),
        config: serde_json::Map::new(),
        secret: PlainSecret::new("secret"),
        labels: Labels::default(),
    };
    let provider = writer.create_dcr_provider(new).await.unwrap().provider.id;
    let config = json!({"issuer": "https://issuer.example.com"});
    let mut strategies = Vec::new();
    for (name, dcr_provider) in [("one", Some(provider)), ("two", None)] {
        let new = NewAuthStrategy {
            name: name.into(),
            display_name: name.into(),
            strategy_type: StrategyType::OpenIdConnect,
            config: config.as_object().cloned().unwrap(),
            dcr_provider,
            labels: Labels::default(),
        };
        strategies.push(writer.create_auth_strategy(None, new).await.unwrap().strategy.id);
    }
    writer.commit().await.unwrap();
    let lines = async |provider| {
        let (lines, next) = test.store.strategy_lines(provider, page(10, None)).await.unwrap();
        assert_eq!(next, None);
        let told = |line: crate::store::StrategyLine| {
            (line.detail.strategy.name, line.detail.dcr_provider.is_some(), line.versions, line.applications)
        };
        lines.into_iter().map(told).collect::<Vec<_>>()
    };
    let mut all = lines(None).await;
    all.sort();
    assert_eq!(all, [("one".to_owned(), true, 0, 0), ("two".to_owned(), false, 0, 0)]);
    assert_eq!(lines(Some(provider)).await, [("one".to_owned(), true, 0, 0)]);
    assert_eq!(test.store.uses_of(strategies[0], 10).await.unwrap(), []);
    let (providers, _) = test.store.provider_lines(page(10, None)).await.unwrap();
    assert_eq!(providers.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["okta"]);
    assert_eq!(test.store.jobs_of_provider(provider, 10).await.unwrap(), []);
    let issuer = test.store.issuer_state("https://issuer.example.com").await.unwrap().unwrap();
    assert_eq!((issuer.known, issuer.keys, issuer.failures, issuer.error), (false, 0, 0, None));
    assert_eq!(test.store.issuer_state("https://other.example.com").await.unwrap(), None);
}
