//! The endpoints around the feed through their own door: tokens, holding, waiting, snapshots, health.

use std::sync::Arc;
use std::time::Duration;

use app_auth_core::feed::{FeedPage, SnapshotPage};
use app_auth_core::ids::Revision;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{Request, Response, StatusCode};
use futures_util::StreamExt as _;
use serde_json::Value;
use tokio::sync::watch;
use tower::ServiceExt as _;

use super::{ApiSettings, App};
use crate::idp::Clients;
use crate::model::{AccessRole, Email, NewDeveloper, PlainSecret};
use crate::nodes::Nodes;
use crate::store::TokenKind;
use crate::testing::{TestStore, World, actor, idp, mailer, new_service};

struct TestApi {
    test: TestStore,
    router: Router,
    admin: PlainSecret,
    gateway: PlainSecret,
    nodes: Nodes,
    stop: watch::Sender<bool>,
}

struct Answer {
    status: StatusCode,
    head: Response<()>,
    body: Vec<u8>,
}

impl Answer {
    fn json<T: serde::de::DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.headers().get(name).map(|value| value.to_str().unwrap())
    }
}

impl TestApi {
    async fn start(settings: ApiSettings) -> Self {
        let test = TestStore::open().await;
        let (_, admin) =
            test.store.create_token(&actor(), TokenKind::Admin, AccessRole::Admin, "test").await.unwrap();
        let (_, gateway) =
            test.store.create_token(&actor(), TokenKind::Gateway, AccessRole::Admin, "test").await.unwrap();
        let (stop, stopping) = watch::channel(false);
        let nodes = Nodes::load(test.store.clone()).await.unwrap();
        let app = App {
            store: test.store.clone(),
            nodes: nodes.clone(),
            mailer: mailer(),
            clients: Clients::new(test.store.clone(), None, idp()),
            idp: idp(),
            kong: None,
            settings: Arc::new(settings),
            stopping,
        };
        Self { test, router: super::router(app), admin, gateway, nodes, stop }
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
        Answer { status, head: Response::from_parts(parts, ()), body }
    }

    async fn get_as(&self, path: &str, token: &PlainSecret) -> Answer {
        let bearer = format!("Bearer {}", token.expose());
        self.send(Request::get(path).header("authorization", bearer).body(Body::empty()).unwrap()).await
    }

    async fn gateway(&self, path: &str) -> Answer {
        self.get_as(path, &self.gateway).await
    }

    /// Registers a service, which moves the feed by one revision.
    async fn write(&self, name: &str, prefer: Option<&str>) -> Answer {
        let mut request = Request::post("/services")
            .header("kong-admin-token", self.admin.expose())
            .header("content-type", "application/json");
        if let Some(prefer) = prefer {
            request = request.header("prefer", prefer);
        }
        self.send(request.body(Body::from(format!("{{\"name\":\"{name}\"}}"))).unwrap()).await
    }
}

#[tokio::test]
async fn only_the_right_token_opens_a_door() {
    let api = TestApi::start(ApiSettings::default()).await;
    let wrong = PlainSecret::new("aat_wrong");
    let doors = [
        ("/developers", true, false),
        ("/services", true, false),
        ("/no/such/path", true, false),
        ("/gateway/v1/feed", false, true),
        ("/gateway/v1/snapshot", false, true),
        ("/gateway/v1/issuers/refresh", false, true),
        ("/gateway/v1/introspect", false, true),
        ("/gateway/v1/oauth2/token", false, true),
        ("/gateway/v1/wait", false, true),
        ("/gateway/v1/traffic", false, true),
        ("/gateway/v1/nodes", true, true),
        ("/metrics", true, true),
    ];
    for (path, admin, gateway) in doors {
        let bare = api.send(Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!(bare.status, StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(bare.json::<Value>(), serde_json::json!({ "message": "Unauthorized" }), "{path}");
        assert_eq!(api.get_as(path, &wrong).await.status, StatusCode::UNAUTHORIZED, "{path}");
        for (token, opens) in [(&api.admin, admin), (&api.gateway, gateway)] {
            let answer = api.get_as(path, token).await;
            assert_eq!(answer.status != StatusCode::UNAUTHORIZED, opens, "{path}");
        }
    }
    for path in ["/healthz", "/readyz", "/openapi.json"] {
        let bare = api.send(Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!(bare.status, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn a_revoked_token_opens_nothing_any_more() {
    let api = TestApi::start(ApiSettings::default()).await;
    let tokens = api.test.store.tokens().await.unwrap();
    let admin = tokens.iter().find(|token| token.kind == TokenKind::Admin).unwrap();
    assert_eq!(api.get_as("/services", &api.admin).await.status, StatusCode::OK);

    api.test.store.revoke_token(&actor(), admin.id).await.unwrap();

    assert_eq!(api.get_as("/services", &api.admin).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn without_a_token_only_this_machine_gets_in_and_only_when_asked_for() {
    for (allowed, peer, host, status) in [
        (true, "127.0.0.1:9", "localhost:8005", StatusCode::OK),
        (true, "[::1]:9", "[::1]:8005", StatusCode::OK),
        (true, "127.0.0.1:9", "evil.example.com", StatusCode::UNAUTHORIZED),
        (true, "192.0.2.1:9", "localhost", StatusCode::UNAUTHORIZED),
        (false, "127.0.0.1:9", "localhost", StatusCode::UNAUTHORIZED),
    ] {
        let api =
            TestApi::start(ApiSettings { allow_loopback_without_token: allowed, ..ApiSettings::default() })
                .await;
        let mut request = Request::get("/services").header("host", host).body(Body::empty()).unwrap();
        request.extensions_mut().insert(ConnectInfo::<std::net::SocketAddr>(peer.parse().unwrap()));
        assert_eq!(api.send(request).await.status, status, "{allowed} {peer} {host}");
    }
}

#[tokio::test]
async fn a_held_feed_request_is_answered_by_the_next_write() {
    let api = TestApi::start(ApiSettings::default()).await;

    let (held, written) = tokio::join!(api.gateway("/gateway/v1/feed?after=0&wait=60&node=n1"), async {
        while api.nodes.held() == 0 {
            tokio::task::yield_now().await;
        }
        api.write("orders", None).await
    });

    assert_eq!(written.status, StatusCode::CREATED);
    let page: FeedPage = held.json();
    assert_eq!((page.changes.len(), page.revision), (1, Revision(1)));
    assert_eq!(page.store, api.test.store.id());
    assert_eq!(api.nodes.held(), 0);
}

#[tokio::test]
async fn a_held_feed_request_is_let_go_when_the_program_stops() {
    let api = TestApi::start(ApiSettings::default()).await;

    let (held, ()) = tokio::join!(api.gateway("/gateway/v1/feed?after=0&wait=60&node=n1"), async {
        while api.nodes.held() == 0 {
            tokio::task::yield_now().await;
        }
        api.stop.send_replace(true);
    });

    assert_eq!(held.status, StatusCode::OK);
    assert!(held.json::<FeedPage>().changes.is_empty());
}

#[tokio::test]
async fn who_cannot_follow_is_told_so_and_counts_as_having_nothing() {
    let api = TestApi::start(ApiSettings::default()).await;
    api.write("orders", None).await;
    let foreign = "A".repeat(43);

    for query in ["after=2&node=n1".to_owned(), format!("after=1&node=n1&store={foreign}")] {
        let answer = api.gateway(&format!("/gateway/v1/feed?{query}")).await;
        assert_eq!(answer.status, StatusCode::GONE);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert_eq!(api.nodes.list()[0].applied, Revision(0));
    }
    let ours = format!("/gateway/v1/feed?after=1&store={}", api.test.store.id());
    assert_eq!(api.gateway(&ours).await.status, StatusCode::OK);
}

#[tokio::test]
async fn parameters_out_of_range_are_refused_or_bounded() {
    let api = TestApi::start(ApiSettings::default()).await;
    for query in
        ["feed?after=x", "feed?node=", "feed?store=short", "snapshot?cursor=x", "snapshot?streams=-1"]
    {
        let answer = api.gateway(&format!("/gateway/v1/{query}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{query}");
    }
    for query in ["feed?limit=0", "feed?limit=100000", "snapshot?limit=0", "snapshot?streams=0"] {
        assert_eq!(api.gateway(&format!("/gateway/v1/{query}")).await.status, StatusCode::OK, "{query}");
    }
}

#[tokio::test]
async fn a_snapshot_can_be_taken_in_pages_and_in_streams() {
    let api = TestApi::start(ApiSettings::default()).await;
    for n in 0..30 {
        let mut writer = api.test.write().await;
        writer.create_service(new_service(&format!("service {n}"))).await.unwrap();
        writer.commit().await.unwrap();
    }

    for streams in [None, Some(1), Some(4), Some(99)] {
        let mut cursors = match streams {
            None => vec![None],
            Some(streams) => {
                let path = format!("/gateway/v1/snapshot?streams={streams}");
                let first: SnapshotPage = api.gateway(&path).await.json();
                assert!(first.records.is_empty());
                assert_eq!(first.cursors.len(), usize::min(streams, 16));
                first.cursors.into_iter().map(Some).collect()
            }
        };
        let mut keys = Vec::new();
        let mut buckets = 0;
        while let Some(cursor) = cursors.pop() {
            let cursor = cursor.map_or_else(String::new, |cursor| format!("&cursor={cursor}"));
            let path = format!("/gateway/v1/snapshot?limit=3{cursor}");
            let page: SnapshotPage = api.gateway(&path).await.json();
            assert_eq!((page.total, page.bits, page.revision), (30, 8, Revision(30)));
            buckets += page.buckets[1] - page.buckets[0];
            keys.extend(page.records.into_iter().map(|record| record.key));
            cursors.extend(page.next.map(Some));
        }
        keys.sort();
        keys.dedup();
        assert_eq!((keys.len(), buckets), (30, 256), "{streams:?}");
    }
}

#[tokio::test]
async fn a_write_waits_until_every_live_gateway_has_it() {
    let api = TestApi::start(ApiSettings::default()).await;
    for node in ["n1", "n2"] {
        drop(api.nodes.follows(node, "1", Revision(0)));
    }
    let (written, ()) = tokio::join!(api.write("orders", Some("wait=30")), async {
        for node in ["n1", "n2"] {
            let path = format!("/gateway/v1/feed?after=0&wait=30&node={node}");
            let page: FeedPage = api.gateway(&path).await.json();
            assert_eq!(page.revision, Revision(1));
            drop(api.nodes.follows(node, "1", page.revision));
        }
    });
    assert_eq!(written.status, StatusCode::CREATED);
    assert_eq!(written.header("x-gateways-applied"), Some("2/2"));
    assert_eq!(written.header("preference-applied"), Some("wait"));
}

#[tokio::test]
async fn a_write_says_how_many_gateways_have_it_when_the_wait_is_over() {
    let api = TestApi::start(ApiSettings::default()).await;
    let none = api.write("one", Some("wait=30")).await;
    assert_eq!(none.header("x-gateways-applied"), Some("0/0"));
    assert_eq!(none.header("preference-applied"), None);

    drop(api.nodes.follows("n1", "1", Revision(1)));
    let late = api.write("two", Some("wait=0")).await;
    assert_eq!(late.header("x-gateways-applied"), Some("0/1"));
    assert_eq!(late.header("preference-applied"), None);

    drop(api.nodes.follows("n1", "1", Revision(3)));
    let done = api.write("three", Some("wait=30")).await;
    assert_eq!(done.header("x-gateways-applied"), Some("1/1"));
    assert_eq!(done.header("preference-applied"), Some("wait"));

    let unasked = api.write("four", None).await;
    assert_eq!(unasked.header("x-gateways-applied"), None);

    api.test.clock.advance(60_000);
    let gone = api.write("five", Some("wait=30")).await;
    assert_eq!(gone.header("x-gateways-applied"), Some("0/0"), "a gateway not heard of is not waited for");
}

#[tokio::test]
async fn nodes_are_listed_with_their_lag_and_remembered() {
    let api = TestApi::start(ApiSettings::default()).await;
    let world = World::make(&api.test).await;
    drop(api.nodes.follows("n1", "1.2", Revision(1)));
    api.nodes.save().await;

    let list: Value = api.gateway("/gateway/v1/nodes").await.json();
    assert_eq!(list["revision"], world.revision.0);
    assert_eq!(list["data"][0]["node"], "n1");
    assert_eq!(list["data"][0]["version"], "1.2");
    assert_eq!(list["data"][0]["lag"], world.revision.0 - 1);
    assert_eq!(list["data"][0]["live"], true);

    let again = Nodes::load(api.test.store.clone()).await.unwrap();
    assert_eq!(again.list(), api.nodes.list());
}

#[tokio::test]
async fn a_revision_is_in_force_since_the_last_live_gateway_applied_it() {
    let api = TestApi::start(ApiSettings::default()).await;
    let (nodes, clock) = (&api.nodes, &api.test.clock);
    let start = api.test.store.now();
    let at = |millis| Some(start.plus_millis(millis));
    let force = |revision| {
        let force = nodes.in_force(Revision(revision));
        (force.progress.applied, force.progress.live, force.since)
    };
    assert_eq!(force(1), (0, 0, None));
    drop(nodes.follows("n1", "1", Revision(5)));
    clock.advance(1_000);
    drop(nodes.follows("n2", "1", Revision(3)));
    assert_eq!(force(3), (2, 2, at(1_000)));
    assert_eq!(force(4), (1, 2, None));
    clock.advance(1_000);
    drop(nodes.follows("n2", "1", Revision(9)));
    assert_eq!(force(4), (2, 2, at(2_000)));
    assert_eq!(force(3), (2, 2, at(1_000)), "an older change was in force before");
    assert_eq!(force(9), (1, 2, None));

    // One that is no longer heard of does not count, one that begins anew has what it says.
    clock.advance(10_000);
    drop(nodes.follows("n2", "1", Revision(9)));
    clock.advance(6_000);
    assert_eq!(force(9), (1, 1, at(2_000)));
    drop(nodes.follows("n2", "1", Revision(0)));
    assert_eq!(force(3), (0, 1, None));

    // What was before this program began is not known.
    drop(nodes.follows("n2", "1", Revision(9)));
    nodes.save().await;
    let again = Nodes::load(api.test.store.clone()).await.unwrap();
    assert_eq!(again.in_force(Revision(9)).since, None);
    assert_eq!(again.in_force(Revision(9)).progress.applied, 1);
}

#[tokio::test]
async fn on_several_replicas_a_write_at_one_waits_for_a_gateway_at_another() {
    let api = TestApi::start(ApiSettings::default()).await;
    if api.test.is_sqlite() {
        return;
    }
    let other = Nodes::load(api.test.replica().await).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for (store, nodes) in
        [(api.test.store.clone(), api.nodes.clone()), (api.test.replica().await, other.clone())]
    {
        let (sender, incoming) = tokio::sync::mpsc::channel(16);
        tasks.spawn(async move { store.listen(sender).await });
        tasks.spawn(async move { nodes.keep(incoming).await });
    }
    let held = other.follows("n1", "1", Revision(0));
    while api.nodes.list().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    let (written, _held) = tokio::join!(api.write("orders", Some("wait=30")), async {
        let mut newest = api.test.store.newest();
        newest.wait_for(|revision| *revision == Revision(1)).await.unwrap();
        drop(held);
        other.follows("n1", "1", Revision(1))
    });

    assert_eq!(written.header("x-gateways-applied"), Some("1/1"));
    assert_eq!(written.header("preference-applied"), Some("wait"));
}

#[tokio::test]
async fn measurements_are_there_and_hold_no_secret() {
    let api = TestApi::start(ApiSettings::default()).await;
    super::ops::recorder();
    api.write("orders", None).await;

    let text = String::from_utf8(api.get_as("/metrics", &api.admin).await.body).unwrap();

    for name in
        ["requests_total", "request_seconds", "write_seconds", "head_revision", "nodes_live", "feed_waiters"]
    {
        assert!(text.contains(&format!("app_auth_admin_{name}")), "{name}");
    }
    assert!(!text.contains(api.admin.expose()));
}

#[test]
fn the_committed_description_of_the_api_is_the_one_that_is_served() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    let served = super::openapi().to_pretty_json().unwrap() + "\n";
    if std::env::var_os("APP_AUTH_UPDATE_OPENAPI").is_some() {
        std::fs::write(path, &served).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap();
    assert!(committed == served, "run this test with APP_AUTH_UPDATE_OPENAPI=1 and commit openapi.json");
}

#[tokio::test]
async fn a_table_that_the_database_cannot_end_does_not_look_whole() {
    let api = TestApi::start(ApiSettings::default()).await;
    let mut writer = api.test.write().await;
    for number in 0..3500 {
        let email = Email::parse(&format!("d{number}@example.com")).unwrap();
        writer.create_developer(NewDeveloper::new(email)).await.unwrap();
    }
    writer.commit().await.unwrap();
    let export = || {
        let bearer = format!("Bearer {}", api.admin.expose());
        let request = Request::get("/developers/export").header("authorization", bearer);
        api.router.clone().oneshot(request.body(Body::empty()).unwrap())
    };

    let whole = to_bytes(export().await.unwrap().into_body(), usize::MAX).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&whole).lines().count(), 3501);

    let mut parts = export().await.unwrap().into_body().into_data_stream();
    let first = parts.next().await.unwrap().unwrap();
    assert!(first.starts_with(b"Email, Status\nd"));
    api.test.store.close().await;
    let mut ends = Vec::new();
    while let Some(part) = parts.next().await {
        ends.push(part.is_err());
    }
    assert_eq!(ends.last(), Some(&true), "{ends:?}");
}
