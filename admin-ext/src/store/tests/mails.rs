//! Mails that changes leave behind: who gets which, each once, and each for one sender only.

use std::collections::BTreeSet;

use app_auth_core::record::ConnectionStatus;

use crate::model::{
    ConnectionPatch, DeveloperPatch, DeveloperStatus, Email, MailFate, MailSwitches, MailTemplate,
    NewConnection, NewDeveloper, PageRequest, WaitingMail,
};
use crate::store::seed::{self, SeedPlan};
use crate::store::{Entity, StoreError};
use crate::testing::{TestStore, World, audit_log, new_application};

const ALL: MailSwitches = MailSwitches {
    invite: true,
    access_request: true,
    approved: true,
    application_status: true,
    application_request: true,
};
const NONE: MailSwitches = MailSwitches {
    invite: false,
    access_request: false,
    approved: false,
    application_status: false,
    application_request: false,
};

async fn open(mails: MailSwitches) -> TestStore {
    TestStore::open_with(|options| {
        options.portal.mails = mails;
        options.portal.admin_emails = vec!["one@example.com".into(), "Two <two@example.com>".into()];
    })
    .await
}

/// Recipient and template of each mail that waits; then none waits any more.
async fn taken(test: &TestStore) -> Vec<(String, MailTemplate)> {
    let mut mails = test.store.mails(PageRequest::default()).await.unwrap().items;
    let fates: Vec<_> = mails.iter().map(|mail| (mail.id, MailFate::Over)).collect();
    test.store.settle_mails(&fates).await.unwrap();
    mails.sort_by_key(|mail| (mail.created_at, mail.recipient.clone()));
    mails.into_iter().map(|mail| (mail.recipient, mail.template)).collect()
}

fn to(recipient: &str, template: MailTemplate) -> (String, MailTemplate) {
    (recipient.to_owned(), template)
}

fn pending() -> NewDeveloper {
    NewDeveloper {
        meta: Some(r#"{"full_name":"Dev"}"#.into()),
        ..NewDeveloper::new(Email::parse("dev@example.com").unwrap())
    }
}

#[tokio::test]
async fn administrators_hear_of_requests_and_developers_of_their_first_approval_only() {
    let test = open(ALL).await;
    let mut writer = test.write().await;
    let developer = writer.create_developer(pending()).await.unwrap().id;
    writer.commit().await.unwrap();
    assert_eq!(
        taken(&test).await,
        [
            to("Two <two@example.com>", MailTemplate::RequestAccess),
            to("one@example.com", MailTemplate::RequestAccess)
        ]
    );

    let (approved, revoked) = (DeveloperStatus::Approved, DeveloperStatus::Revoked);
    for (status, mails) in [
        (revoked, 0),
        (approved, 1),
        (approved, 0),
        (revoked, 0),
        (DeveloperStatus::Pending, 0),
        (approved, 0),
    ] {
        let mut writer = test.write().await;
        let patch = DeveloperPatch { status: Some(status), ..DeveloperPatch::default() };
        writer.update_developer(developer, patch).await.unwrap();
        writer.commit().await.unwrap();
        let expected = vec![to("dev@example.com", MailTemplate::ApprovedAccess); mails];
        assert_eq!(taken(&test).await, expected, "{status:?}");
    }
}

#[tokio::test]
async fn a_developer_approved_from_the_start_hears_of_it_and_nobody_is_asked() {
    let test = open(ALL).await;
    World::make(&test).await;
    assert_eq!(taken(&test).await, [to("dev@example.com", MailTemplate::ApprovedAccess)]);
}

#[tokio::test]
async fn connections_tell_administrators_when_asked_for_and_developers_when_they_change() {
    let test = open(ALL).await;
    let world = World::make(&test).await;
    taken(&test).await;

    let mut writer = test.write().await;
    let new = NewConnection::new(world.service.id);
    let made = writer.create_connection(world.application.id, new).await.unwrap().connection;
    writer.commit().await.unwrap();
    let waiting = test.store.mails(PageRequest::default()).await.unwrap().items;
    let about = waiting[0].context.clone();
    assert_eq!((about.application.as_deref(), about.service.as_deref()), (Some("app"), Some("orders")));
    assert_eq!(about.application_id, Some(world.application.id.0));
    let templates: Vec<_> = taken(&test).await.into_iter().map(|(_, template)| template).collect();
    assert_eq!(templates, [MailTemplate::ApplicationRequest; 2]);

    let suspended = ConnectionPatch { suspended: Some(true), ..ConnectionPatch::default() };
    let status = |status| ConnectionPatch { status: Some(status), ..ConnectionPatch::default() };
    let because = |status| ConnectionPatch {
        status: Some(status),
        reason: crate::model::Update::Set("because".into()),
        ..ConnectionPatch::default()
    };
    for (patch, word) in [
        (suspended, None),
        (status(ConnectionStatus::Approved), Some("approved")),
        (status(ConnectionStatus::Approved), None),
        (status(ConnectionStatus::Revoked), Some("revoked")),
        (because(ConnectionStatus::Rejected), Some("rejected")),
        (status(ConnectionStatus::Pending), Some("requested")),
    ] {
        let mut writer = test.write().await;
        writer.update_connection(world.application.id, made.id, patch).await.unwrap();
        writer.commit().await.unwrap();
        let mails = test.store.mails(PageRequest::default()).await.unwrap().items;
        assert_eq!(mails.first().and_then(|mail| mail.context.status.as_deref()), word);
        let reason = mails.first().and_then(|mail| mail.context.reason.as_deref());
        assert_eq!(reason, (word == Some("rejected")).then_some("because"));
        assert_eq!(taken(&test).await.len(), usize::from(word.is_some()));
    }
}

#[tokio::test]
async fn what_is_switched_off_not_committed_or_loaded_in_bulk_mails_nobody() {
    let off = open(NONE).await;
    let world = World::make(&off).await;
    let mut writer = off.write().await;
    let other = NewDeveloper::new(Email::parse("other@example.com").unwrap());
    writer.create_developer(other).await.unwrap();
    let new = NewConnection::new(world.service.id);
    let made = writer.create_connection(world.application.id, new).await.unwrap().connection;
    let patch = ConnectionPatch { status: Some(ConnectionStatus::Approved), ..ConnectionPatch::default() };
    writer.update_connection(world.application.id, made.id, patch).await.unwrap();
    writer.commit().await.unwrap();
    assert_eq!(off.store.mails_count().await.unwrap(), 0);

    let on = open(ALL).await;
    let mut writer = on.write().await;
    writer.create_developer(pending()).await.unwrap();
    drop(writer);
    let plan =
        SeedPlan { applications: 2, applications_per_developer: 2, keys_per_application: 1, service: None };
    seed::seed(&on.store, &plan, seed::key, |_| {}).await.unwrap();
    assert_eq!(on.store.mails_count().await.unwrap(), 0);
}

#[tokio::test]
async fn a_change_that_leaves_mails_wakes_the_sender_and_others_do_not() {
    let test = open(ALL).await;
    let mut writer = test.write().await;
    writer.create_developer(pending()).await.unwrap();
    writer.commit().await.unwrap();
    test.store.mails_waiting().await;

    let mut writer = test.write().await;
    let developer = NewDeveloper {
        status: DeveloperStatus::Rejected,
        ..NewDeveloper::new(Email::parse("other@example.com").unwrap())
    };
    let developer = writer.create_developer(developer).await.unwrap().id;
    writer.create_application(developer, new_application("app")).await.unwrap();
    writer.commit().await.unwrap();
    let woken = tokio::time::timeout(std::time::Duration::ZERO, test.store.mails_waiting()).await;
    assert!(woken.is_err());
}

#[tokio::test]
async fn of_two_senders_each_mail_is_taken_by_one_and_again_when_its_claim_has_run_out() {
    let test = open(ALL).await;
    let other = test.replica().await;
    let mut writer = test.write().await;
    for number in 0..20 {
        let email = Email::parse(&format!("dev-{number}@example.com")).unwrap();
        writer.create_developer(NewDeveloper::new(email)).await.unwrap();
    }
    writer.commit().await.unwrap();

    let until = test.store.now().plus_millis(1000);
    let claim = async |store: &crate::store::Store, until| -> Vec<WaitingMail> {
        let mut all = Vec::new();
        loop {
            let some = store.claim_mails(3, until).await.unwrap();
            if some.is_empty() {
                return all;
            }
            all.extend(some);
        }
    };
    let (here, there) = tokio::join!(claim(&test.store, until), claim(&other, until));
    let ids: BTreeSet<_> = here.iter().chain(&there).map(|mail| mail.id).collect();
    assert_eq!((ids.len(), here.len() + there.len()), (40, 40));
    assert!(here.iter().all(|mail| mail.attempts == 1));

    let first = here.iter().chain(&there).next().unwrap().id;
    let again = MailFate::Again { at: until.plus_millis(1), error: "later".into() };
    test.store.settle_mails(&[(first, again)]).await.unwrap();
    test.clock.advance(1000);
    let again = claim(&test.store, until.plus_millis(1000)).await;
    assert_eq!(again.len(), 39);
    assert_eq!(other.next_mail().await.unwrap(), Some(until.plus_millis(1)));
}

#[tokio::test]
async fn a_mail_that_is_given_up_is_in_the_audit_log_and_gone() {
    let test = open(ALL).await;
    World::make(&test).await;
    let id = test.store.mails(PageRequest::default()).await.unwrap().items[0].id;

    let mut writer = test.write().await;
    writer.delete_mail(id).await.unwrap();
    writer.commit().await.unwrap();

    assert_eq!(test.store.mails_count().await.unwrap(), 0);
    let entry = audit_log(&test.store, 1).await.remove(0);
    assert_eq!((entry.entity.as_str(), entry.action.as_str()), ("mail", "delete"));
    assert!(entry.before.unwrap().contains("dev@example.com"));
    let gone = test.write().await.delete_mail(id).await;
    assert!(matches!(gone, Err(StoreError::NotFound(Entity::Mail))));
}
