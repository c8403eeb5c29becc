//! `/v2/portals/{portalId}/developers`: the people of a portal. They are the developers of the legacy API, by portal.

use app_auth_core::ids::DeveloperId;
use axum::extract::Extension;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::conventions::{
    Collection, Filter, Filters, Ids, IfMatch, Input, Member, Object, PageBody, Parameter, Problem, Query,
    Rule, Source, arguments, bodies, reply,
};
use super::portals;
use crate::api::Seen;
use crate::kong;
use crate::model::{
    DeveloperDetail, DeveloperPatch, DeveloperStatus, Email, NewDeveloper, Portal, PortalConfig, PortalId,
    Update, rules,
};
use crate::store::{Actor, Entity, StoreError};

const NAME: Rule = Rule::Text { min: 1, max: 255 };
/// Why something has the status it has.
pub const REASON: Rule = Rule::Text { min: 1, max: rules::REASON_MAX as u64 };

/// What stands for a status in the API and in the database.
pub const STATUSES: &[(&str, i64)] = &[("approved", 0), ("pending", 1), ("rejected", 2), ("revoked", 3)];
/// The statuses of developers and registrations.
pub const STATUS: Rule = Rule::Choice(&["approved", "pending", "rejected", "revoked"]);

const CREATE: Object = Object::closed(&[
    Member::new("email", Rule::Email { max: Email::MAX as u64 }, "Unique over all portals").required(),
    Member::new("full_name", NAME, "").required(),
    Member::new("status", STATUS, "Absent: approved where the portal approves by itself, else pending"),
    Member::new("send_invitation_email", Rule::Boolean, "Mail an invitation to the address"),
]);

const UPDATE: Object = Object::closed(&[
    Member::new("status", STATUS, ""),
    Member::new("reason", REASON, "Goes with the status").nullable(),
]);

const LIST: Collection = Collection::new(
    &["created_at", "updated_at", "email", "name", "status"],
    Filters::Deep,
    &[("name", Filter::Text), ("status", Filter::Code(STATUSES)), ("email", Filter::Text)],
);

/// A developer to be made.
#[derive(Deserialize)]
pub struct PortalDeveloperInput {
    email: String,
    full_name: String,
    status: Option<String>,
    #[serde(default)]
    send_invitation_email: bool,
}

/// Changes to a developer.
#[derive(Deserialize)]
pub struct PortalDeveloperChanges {
    status: Option<String>,
    #[serde(default)]
    reason: Update<String>,
}

bodies!(PortalDeveloperInput: CREATE, PortalDeveloperChanges: UPDATE);
arguments!(
    /// The arguments of the list.
    DeveloperArguments: LIST
);

/// A developer of a portal.
#[derive(Serialize, ToSchema)]
pub struct PortalDeveloperBody {
    id: Uuid,
    email: String,
    full_name: String,
    #[schema(pattern = "^(approved|pending|rejected|revoked)$")]
    status: &'static str,
    /// Why they have the status, in the words of whoever decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<String>,
    application_count: u64,
    created_at: String,
    updated_at: String,
}

impl From<DeveloperDetail> for PortalDeveloperBody {
    fn from(detail: DeveloperDetail) -> Self {
        let DeveloperDetail { developer, applications } = detail;
        Self {
            id: developer.id.0,
            full_name: developer.full_name(),
            email: developer.email.to_string(),
            status: word(developer.status),
            reason: developer.reason,
            application_count: applications,
            created_at: reply::time(developer.created_at),
            updated_at: reply::time(developer.updated_at),
        }
    }
}

/// As the API writes a status.
pub const fn word(status: DeveloperStatus) -> &'static str {
    match status {
        DeveloperStatus::Approved => "approved",
        DeveloperStatus::Pending => "pending",
        DeveloperStatus::Rejected => "rejected",
        DeveloperStatus::Revoked => "revoked",
    }
}

/// As [`STATUS`] lets it through.
fn status(text: &str) -> DeveloperStatus {
    let known = DeveloperStatus::ALL.into_iter().find(|status| word(*status) == text);
    known.unwrap_or(DeveloperStatus::Pending)
}

/// List the developers of a portal
#[utoipa::path(
    get, path = "/portals/{portalId}/developers", tag = "portal developers", operation_id = "list_portal_developers",
    params(("portalId" = Uuid, Path), DeveloperArguments),
    responses((status = 200, description = "A page of the list", body = PageBody<PortalDeveloperBody>)),
)]
pub async fn list(Seen(app): Seen, ids: Ids<1>, query: Query) -> Result<Response, Problem> {
    let [portal] = ids.0;
    let request = LIST.read(&query)?;
    let portal = portals::named(&app.store, portal).await?.portal;
    let developers = app.store.developers_in(portal.id, &request).await?;
    Ok(reply::ok(&PageBody::new(&request, developers, PortalDeveloperBody::from)))
}

/// Create a developer of a portal
#[utoipa::path(
    post, path = "/portals/{portalId}/developers", tag = "portal developers",
    operation_id = "create_portal_developer",
    params(("portalId" = Uuid, Path)),
    request_body(content = PortalDeveloperInput, example = json!({
        "email": "wally@example.com", "full_name": "Wally", "status": "approved"
    })),
    responses(
        (status = 201, description = "As it is now", body = PortalDeveloperBody),
        (status = 409, description = "The address is taken"),
    ),
)]
pub async fn create(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    ids: Ids<1>,
    input: Input,
) -> Result<Response, Problem> {
    let [portal] = ids.0;
    let input: PortalDeveloperInput = input.read(&CREATE, |_, _| {})?;
    let portal = portals::named(&app.store, portal).await?.portal;
    let config = app.store.portal().await?;
    let invites = input.send_invitation_email;
    let new = new(&portal, &config, &input)?;
    let portal = portal.id;
    let created = kong::change(&app.store, app.kong.as_ref(), &actor, new, move |writer, new| {
        Box::pin(async move {
            // Nobody can make it public any more, or delete it.
            has_developers(&writer.portal_by_id(portal).await?)?;
            let developer = writer.create_developer(new).await.map_err(taken)?;
            if invites {
                writer.invite_developer(&developer).await?;
            }
            Ok::<_, Problem>(writer.developer_in(portal, developer.id).await?)
        })
    });
    let created = created.await?;
    let updated_at = created.value.developer.updated_at;
    let body = PortalDeveloperBody::from(created.value);
    Ok(reply::written(StatusCode::CREATED, &body, updated_at, created.revision))
}

fn new(
    portal: &Portal,
    config: &PortalConfig,
    input: &PortalDeveloperInput,
) -> Result<NewDeveloper, Problem> {
    has_developers(portal)?;
    if input.send_invitation_email && !config.mails.invite {
        let reason = "invitations are switched off (portal_invite_email)";
        return Err(Problem::parameter(Parameter::body("send_invitation_email", "invalid", reason)));
    }
    let email = Email::parse(&input.email).map_err(StoreError::from)?;
    Ok(NewDeveloper {
        status: input.status.as_deref().map_or_else(|| portal.first_status(config), status),
        meta: Some(json!({"full_name": input.full_name}).to_string()),
        portal: portal.id,
        ..NewDeveloper::new(email)
    })
}

/// A public portal has no developers.
fn has_developers(portal: &Portal) -> Result<(), Problem> {
    if portal.is_public {
        let reason = "the portal is public: it has no developers";
        return Err(Problem::parameter(Parameter::new(Source::Path, "portalId", "invalid", reason)));
    }
    Ok(())
}

fn taken(error: StoreError) -> Problem {
    match error {
        StoreError::Unique { entity: Entity::Developer, field: "email", .. } => {
            Problem::conflict("Developer with the given email already exists")
        }
        other => other.into(),
    }
}

/// Read a developer of a portal
#[utoipa::path(
    get, path = "/portals/{portalId}/developers/{developerId}", tag = "portal developers",
    operation_id = "get_portal_developer",
    params(("portalId" = Uuid, Path), ("developerId" = Uuid, Path)),
    responses((status = 200, description = "As it is now", body = PortalDeveloperBody)),
)]
pub async fn get(Seen(app): Seen, ids: Ids<2>) -> Result<Response, Problem> {
    let [portal, id] = ids.0;
    let found = app.store.developer_in(PortalId(portal), DeveloperId(id)).await?;
    let developer = found.ok_or_else(Problem::not_found)?;
    let updated_at = developer.developer.updated_at;
    Ok(reply::resource(&PortalDeveloperBody::from(developer), updated_at))
}

/// Approve, reject or revoke a developer of a portal
///
/// None but the applications of an approved developer get through; those of a revoked one do where
/// `revoke_developer_blocks_traffic` is off.
#[utoipa::path(
    patch, path = "/portals/{portalId}/developers/{developerId}", tag = "portal developers",
    operation_id = "update_portal_developer",
    params(("portalId" = Uuid, Path), ("developerId" = Uuid, Path)),
    request_body(content = PortalDeveloperChanges, example = json!({"status": "approved"})),
    responses((status = 200, description = "As it is now", body = PortalDeveloperBody)),
)]
pub async fn update(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    ids: Ids<2>,
    unless_changed: IfMatch,
    input: Input,
) -> Result<Response, Problem> {
    let [portal, id] = ids.0;
    let (portal, id) = (PortalId(portal), DeveloperId(id));
    let changes: PortalDeveloperChanges = input.read(&UPDATE, |_, _| {})?;
    let patch = DeveloperPatch {
        status: changes.status.as_deref().map(status),
        reason: changes.reason,
        ..DeveloperPatch::default()
    };
    let change = (patch, unless_changed);
    let updated = kong::change(&app.store, app.kong.as_ref(), &actor, change, move |writer, change| {
        Box::pin(async move {
            let (patch, unless_changed) = change;
            let before = writer.developer_in(portal, id).await?;
            unless_changed.check(before.developer.updated_at)?;
            let developer = writer.update_developer(id, patch).await?;
            Ok::<_, Problem>(DeveloperDetail { developer, ..before })
        })
    });
    let updated = updated.await?;
    let updated_at = updated.value.developer.updated_at;
    let body = PortalDeveloperBody::from(updated.value);
    Ok(reply::written(StatusCode::OK, &body, updated_at, updated.revision))
}

/// Delete a developer of a portal with everything that is theirs
#[utoipa::path(
    delete, path = "/portals/{portalId}/developers/{developerId}", tag = "portal developers",
    operation_id = "delete_portal_developer",
    params(("portalId" = Uuid, Path), ("developerId" = Uuid, Path)),
    responses((status = 204, description = "Deleted")),
)]
pub async fn delete(
    Seen(app): Seen,
    Extension(actor): Extension<Actor>,
    ids: Ids<2>,
    unless_changed: IfMatch,
) -> Result<Response, Problem> {
    let [portal, id] = ids.0;
    let (portal, id) = (PortalId(portal), DeveloperId(id));
    let deleted =
        kong::change(&app.store, app.kong.as_ref(), &actor, unless_changed, move |writer, unless_changed| {
            Box::pin(async move {
                let before = writer.developer_in(portal, id).await?;
                unless_changed.check(before.developer.updated_at)?;
                Ok::<_, Problem>(writer.delete_developer(id).await?)
            })
        });
    Ok(reply::done(deleted.await?.revision))
}
