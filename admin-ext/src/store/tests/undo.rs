//! Decisions that are undone: what was before is back, once, in time, for whoever decided, and nobody hears of it.

use app_auth_core::record::ConnectionStatus;

use crate::model::{
    AccessRole, Connection, ConnectionPatch, DeveloperPatch, DeveloperStatus, MailSwitches, MailTemplate,
    NewConnection, PageRequest, Update,
};
use crate::store::{Actor, UNDO_MS, Undoable, Undone};
use crate::testing::{TestStore, World, audit_log};

struct Scene {
    test: TestStore,
    world: World,
    connection: Connection,
}

fn approver(name: &str) -> Actor {
    Actor { role: AccessRole::Approver, ..Actor::internal(name) }
}

impl Scene {
    /// A developer and a connection that wait, and no mails.
    async fn start() -> Self {
        let test = TestStore::open_with(|options| {
            options.portal.mails = MailSwitches {
                invite: false,
                access_request: false,
                approved: true,
                application_status: true,
                application_request: false,
            };
        })
        .await;
        let world = World::make(&test).await;
        let mut writer = test.write().await;
        writer.without_mails();
        let new = NewConnection::new(world.service.id);
        let connection = writer.create_connection(world.application.id, new).await.unwrap().connection;
        writer.commit().await.unwrap();
        for mail in test.store.mails(PageRequest::default()).await.unwrap().items {
            test.store.settle_mails(&[(mail.id, crate::model::MailFate::Over)]).await.unwrap();
        }
        Self { test, world, connection }
    }

    async fn decide(&self, status: ConnectionStatus, reason: Option<&str>) -> Undoable {
        self.test.clock.advance(1);
        let mut writer = self.test.store.write(&approver("ada")).await.unwrap();
        writer.begin_undo();
        let reason = reason.map_or(Update::Keep, |reason| Update::Set(reason.to_owned()));
        let patch = ConnectionPatch { status: Some(status), reason, ..ConnectionPatch::default() };
        writer.update_connection(self.world.application.id, self.connection.id, patch).await.unwrap();
        let undoable = writer.keep_undo().await.unwrap().unwrap();
        writer.commit().await.unwrap();
        undoable
    }

    async fn take_back(&self, actor: &str, undoable: Undoable) -> Option<Undone> {
        // On another replica.
        let mut writer = self.test.replica().await.write(&approver(actor)).await.unwrap();
        let undone = writer.take_back(undoable.id).await.unwrap();
        writer.commit().await.unwrap();
        undone
    }

    async fn now(&self) -> (ConnectionStatus, Option<String>) {
        let found = self.test.store.connection(self.world.application.id, self.connection.id).await.unwrap();
        let connection = found.unwrap().connection;
        (connection.status, connection.reason)
    }

    /// What the mails that may be sent now tell.
    async fn sent(&self) -> Vec<String> {
        let until = self.test.store.now().plus_millis(1_000_000);
        let mails = self.test.store.claim_mails(10, until).await.unwrap();
        mails.into_iter().map(|mail| mail.context.status.unwrap_or_default()).collect()
    }
}

#[tokio::test]
async fn an_undo_puts_status_and_reason_back_once_and_is_in_the_audit_log() {
    let scene = Scene::start().await;
    scene.decide(ConnectionStatus::Rejected, Some("for now")).await;
    let revoked = scene.decide(ConnectionStatus::Revoked, None).await;
    assert_eq!(scene.now().await, (ConnectionStatus::Revoked, None));

    assert_eq!(scene.take_back("grace", revoked).await, None, "it is somebody else's");
    let undone = scene.take_back("ada", revoked).await.unwrap();
    assert_eq!((undone.connections.len(), undone.developers.len(), undone.left), (1, 0, 0));
    assert_eq!(scene.now().await, (ConnectionStatus::Rejected, Some("for now".into())));
    let entry = audit_log(&scene.test.store, 1).await.remove(0);
    assert_eq!((entry.action.as_str(), entry.actor.as_str()), ("update", "ada"));
    assert!(
        entry.before.unwrap().contains(r#""status":3"#) && entry.after.unwrap().contains(r#""status":2"#)
    );
    assert_eq!(scene.take_back("ada", revoked).await, None, "it was used");
}

#[tokio::test]
async fn nothing_is_undone_when_the_time_is_over_or_somebody_has_changed_it_since() {
    let scene = Scene::start().await;
    let approved = scene.decide(ConnectionStatus::Approved, None).await;
    scene.test.clock.advance(UNDO_MS);
    assert_eq!(scene.take_back("ada", approved).await, None);
    assert_eq!(scene.now().await.0, ConnectionStatus::Approved);

    let revoked = scene.decide(ConnectionStatus::Revoked, None).await;
    scene.test.clock.advance(UNDO_MS - 1);
    let mut writer = scene.test.write().await;
    let because = ConnectionPatch { reason: Update::Set("late".into()), ..ConnectionPatch::default() };
    writer.update_connection(scene.world.application.id, scene.connection.id, because).await.unwrap();
    writer.commit().await.unwrap();
    let undone = scene.take_back("ada", revoked).await.unwrap();
    assert_eq!((undone.connections.len(), undone.left), (0, 1));
    assert_eq!(scene.now().await, (ConnectionStatus::Revoked, Some("late".into())));

    let approved = scene.decide(ConnectionStatus::Approved, None).await;
    let mut writer = scene.test.write().await;
    writer.delete_connection(scene.world.application.id, scene.connection.id).await.unwrap();
    writer.commit().await.unwrap();
    assert_eq!(scene.take_back("ada", approved).await.unwrap().left, 1);

    scene.test.clock.advance(UNDO_MS);
    scene.test.store.prune_undos().await.unwrap();
}

#[tokio::test]
async fn mails_wait_as_long_as_their_decision_can_be_undone_and_go_with_it() {
    let scene = Scene::start().await;
    let approved = scene.decide(ConnectionStatus::Approved, None).await;
    scene.test.clock.advance(UNDO_MS - 1);
    assert!(scene.sent().await.is_empty());
    scene.take_back("ada", approved).await.unwrap();
    scene.test.clock.advance(1);
    assert!(scene.sent().await.is_empty());
    assert_eq!(scene.test.store.mails_count().await.unwrap(), 0);

    // What is not undone is told when the time is over; one that is on its way cannot be taken back.
    let rejected = scene.decide(ConnectionStatus::Rejected, None).await;
    assert_eq!(scene.test.store.next_mail().await.unwrap(), Some(rejected.until));
    scene.test.clock.advance(UNDO_MS);
    assert_eq!(scene.sent().await, ["rejected"]);

    // A later decision lets the mail of an earlier one go first.
    scene.decide(ConnectionStatus::Approved, None).await;
    let revoked = scene.decide(ConnectionStatus::Revoked, None).await;
    assert_eq!(scene.sent().await, ["approved"]);
    scene.take_back("ada", revoked).await.unwrap();
    scene.test.clock.advance(UNDO_MS);
    assert!(scene.sent().await.is_empty());
}

#[tokio::test]
async fn a_developer_whose_first_approval_is_undone_hears_of_the_next() {
    let scene = Scene::start().await;
    let id = scene.world.developer.id;
    let status = |status| DeveloperPatch { status: Some(status), ..DeveloperPatch::default() };
    let new = crate::model::NewDeveloper::new(crate::model::Email::parse("new@example.com").unwrap());
    let mut writer = scene.test.write().await;
    let waiting = writer.create_developer(new).await.unwrap().id;
    writer.commit().await.unwrap();

    let mut writer = scene.test.store.write(&approver("ada")).await.unwrap();
    writer.begin_undo();
    writer.update_developer(waiting, status(DeveloperStatus::Approved)).await.unwrap();
    writer.update_developer(id, status(DeveloperStatus::Revoked)).await.unwrap();
    let undoable = writer.keep_undo().await.unwrap().unwrap();
    writer.commit().await.unwrap();
    let undone = scene.take_back("ada", undoable).await.unwrap();
    let statuses: Vec<_> = undone.developers.iter().map(|it| (it.status, it.approved_at.is_some())).collect();
    assert_eq!(statuses, [(DeveloperStatus::Pending, false), (DeveloperStatus::Approved, true)]);
    scene.test.clock.advance(UNDO_MS);
    assert_eq!(scene.test.store.mails_count().await.unwrap(), 0);

    let mut writer = scene.test.write().await;
    writer.update_developer(waiting, status(DeveloperStatus::Approved)).await.unwrap();
    writer.commit().await.unwrap();
    let mails = scene.test.store.mails(PageRequest::default()).await.unwrap().items;
    let mails: Vec<_> = mails.into_iter().map(|mail| (mail.recipient, mail.template)).collect();
    assert_eq!(mails, [("new@example.com".to_owned(), MailTemplate::ApprovedAccess)]);
}
