//! The credentials of an application: masked, and the three things that can be done with them. A new secret is shown in the
//! answer to its creation and never again.

use app_auth_core::ids::{ApplicationId, CredentialId};
use axum::response::{IntoResponse as _, Response};
use minijinja::context;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::application::{named, path};
use super::extract::{Form, Path};
use super::failure::Failure;
use super::force;
use super::frame::{Answer, Frame, failed, outcome};
use super::when::When;
use crate::model::{
    AccessRole, ApplicationDetail, CollectionRequest, Credential, CredentialSecret, NewCredential, NewSecret,
    PlainSecret, StrategyType, Timestamp,
};

const DAY: i64 = 86_400_000;

/// What the page shows of an application's credentials.
#[derive(Serialize)]
pub struct Credentials {
    keys: Vec<KeyLine>,
    more: bool,
    /// Keys prove who the application is; otherwise its identity provider does.
    by_keys: bool,
    /// The application's client can be given a new secret from here.
    renewable: bool,
}

#[derive(Serialize)]
struct KeyLine {
    id: String,
    name: String,
    kind: &'static str,
    masked: String,
    expired: bool,
    expires: Option<When>,
    created: When,
}

/// What the form of a new key says.
#[derive(Deserialize)]
pub struct NewKey {
    #[serde(default)]
    name: String,
    /// Days until it expires; empty: as the strategy has it.
    #[serde(default)]
    days: String,
}

/// What the form of an expiry says.
#[derive(Deserialize)]
pub struct Expiry {
    /// Days from now; 0: now.
    #[serde(default)]
    days: String,
}

pub async fn of(frame: &Frame, detail: &ApplicationDetail) -> Result<Credentials, Failure> {
    let by_keys = knows_keys(detail);
    let request = CollectionRequest { size: CollectionRequest::SIZE_MAX, ..CollectionRequest::default() };
    let listed = frame.app.store.credentials_of(detail.application.id, &request).await?;
    Ok(Credentials {
        more: listed.total > listed.items.len() as u64,
        keys: listed.items.iter().map(|credential| line(frame, credential)).collect(),
        by_keys,
        renewable: detail.application.dcr.is_some(),
    })
}

fn line(frame: &Frame, credential: &Credential) -> KeyLine {
    let now = frame.app.store.now();
    let kind = match credential.secret {
        CredentialSecret::OAuth2 { .. } => "OAuth 2.0 client",
        CredentialSecret::KeyAuth { .. } => "API key",
    };
    KeyLine {
        id: credential.id.to_string(),
        name: name(credential),
        kind,
        masked: masked(credential),
        expired: credential.expires_at.is_some_and(|end| end <= now),
        expires: frame.when_if(credential.expires_at),
        created: frame.when(credential.created_at),
    }
}

fn masked(credential: &Credential) -> String {
    format!("••••••••{}", credential.last_four)
}

fn name(credential: &Credential) -> String {
    let fallback = match &credential.secret {
        CredentialSecret::OAuth2 { name, .. } => name.as_str(),
        CredentialSecret::KeyAuth { .. } => "Without a name",
    };
    credential.display_name.as_deref().filter(|name| !name.is_empty()).unwrap_or(fallback).to_owned()
}

/// Whether keys prove which application it is.
fn knows_keys(detail: &ApplicationDetail) -> bool {
    detail.strategy.as_ref().is_none_or(|it| it.strategy.strategy_type == StrategyType::KeyAuth)
}

/// A number of days, as forms offer it.
fn days(text: &str) -> Result<Option<i64>, Failure> {
    if text.is_empty() {
        return Ok(None);
    }
    let days = text.parse().ok().filter(|days| (0..=3650).contains(days));
    days.map(Some).ok_or_else(|| Failure::refused("Expires: choose 0 to 3650 days."))
}

fn ends(now: Timestamp, days: i64) -> Timestamp {
    now.plus_millis(days.saturating_mul(DAY))
}

/// Makes a key, and shows it this one time.
pub async fn create(frame: Frame, Path(id): Path<Uuid>, Form(form): Form<NewKey>) -> Response {
    let made = async {
        frame.visitor.require(AccessRole::Admin)?;
        let detail = named(&frame, id).await?;
        if !knows_keys(&detail) {
            return Err(Failure::refused(
                "The credentials of this application are kept by its identity provider.",
            ));
        }
        let expires_at = match days(&form.days)? {
            Some(0) => return Err(Failure::refused("Expires: choose at least 1 day.")),
            days => days.map(|days| ends(frame.app.store.now(), days)),
        };
        let name = form.name.trim();
        let new = NewCredential {
            display_name: (!name.is_empty()).then(|| name.to_owned()),
            expires_at,
            ..NewCredential::new(NewSecret::KeyAuth { key: None })
        };
        let mut writer = frame.app.store.write(frame.actor()).await?;
        let made = writer.create_credential(detail.application.id, new).await?;
        let revision = writer.commit().await?;
        let key = match made.secret {
            CredentialSecret::KeyAuth { key } => key,
            CredentialSecret::OAuth2 { .. } => None,
        };
        let said = force::told(&frame, revision).await;
        show_secret(&frame, &detail, "API key", None, key.as_ref(), &said).await
    };
    match made.await {
        Ok(response) => response,
        Err(failure) => failed(&path(ApplicationId(id)), failure),
    }
}

/// Has the identity provider give the application's client a new secret, and shows it this one time.
pub async fn renew(frame: Frame, Path(id): Path<Uuid>) -> Response {
    let renewed = async {
        frame.visitor.require(AccessRole::Admin)?;
        let detail = named(&frame, id).await?;
        let made = frame.app.clients.refresh_secret::<Failure>(frame.actor(), &detail.application).await?;
        let said = "The old secret no longer counts.";
        show_secret(&frame, &detail, "client secret", Some(&made.client_id), Some(&made.client_secret), said)
            .await
    };
    match renewed.await {
        Ok(response) => response,
        Err(failure) => failed(&path(ApplicationId(id)), failure),
    }
}

async fn show_secret(
    frame: &Frame,
    detail: &ApplicationDetail,
    what: &str,
    client_id: Option<&str>,
    secret: Option<&PlainSecret>,
    said: &str,
) -> Answer {
    let shown = context! {
        application => context! {
            id => detail.application.id.to_string(),
            name => detail.application.name.as_str(),
        },
        what, client_id, said,
        secret => secret.map(PlainSecret::expose),
    };
    frame.page("credential-created.html", shown).await
}

/// Lets a credential expire now or later.
pub async fn expire(
    frame: Frame,
    Path((application, credential)): Path<(Uuid, Uuid)>,
    Form(form): Form<Expiry>,
) -> Response {
    let expired = async {
        frame.visitor.require(AccessRole::Admin)?;
        let days = days(&form.days)?.unwrap_or(0);
        let at = ends(frame.app.store.now(), days);
        let mut writer = frame.app.store.write(frame.actor()).await?;
        let before = writer.credential_of(ApplicationId(application), CredentialId(credential)).await?;
        writer.expire_credential(&before, at).await?;
        let revision = writer.commit().await?;
        let what = name(&before);
        let when =
            if days == 0 { "has expired".into() } else { format!("expires {}", frame.when(at).relative) };
        Ok(format!("“{what}” {when}. {}", force::told(&frame, revision).await))
    };
    outcome(&path(ApplicationId(application)), expired.await)
}

/// Asks whether to delete it, and says what that means.
pub async fn ask_delete(frame: Frame, Path((application, id)): Path<(Uuid, Uuid)>) -> Answer {
    frame.visitor.require(AccessRole::Admin)?;
    let detail = named(&frame, application).await?;
    let credential = frame.app.store.any_credential(ApplicationId(application), CredentialId(id)).await?;
    let shown = context! {
        application => context! { id => application.to_string(), name => detail.application.name.as_str() },
        id => id.to_string(),
        name => name(&credential),
        masked => masked(&credential),
    };
    frame.page("credential-delete.html", shown).await
}

pub async fn delete(frame: Frame, Path((application, id)): Path<(Uuid, Uuid)>) -> Response {
    let deleted = async {
        frame.visitor.require(AccessRole::Admin)?;
        let application = ApplicationId(application);
        let mut writer = frame.app.store.write(frame.actor()).await?;
        let before = writer.credential_of(application, CredentialId(id)).await?;
        writer.delete_credential(application, before.kind(), before.id).await?;
        let revision = writer.commit().await?;
        Ok(format!("Deleted “{}”. {}", name(&before), force::told(&frame, revision).await))
    };
    outcome(&path(ApplicationId(application)), deleted.await).into_response()
}
