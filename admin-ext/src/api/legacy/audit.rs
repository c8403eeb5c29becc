//! `/audit`: who changed what, when, from what to what. Read only.

use axum::response::Response;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::bodies::{Message, Violation};
use super::conventions::query::Page;
use super::conventions::{Error, Query, Segments, path, reply};
use super::parameters::PageArguments;
use crate::api::Seen;
use crate::model::rules;
use crate::store::{AuditEntry, AuditFilter, Entity};

/// A change.
#[derive(Serialize, ToSchema)]
pub struct AuditBody {
    /// What was done, like `create`, `update` or `delete`.
    action: String,
    /// The name of the token, or what stands for one.
    actor: String,
    /// The entity as it became; null where it is gone.
    #[schema(value_type = Option<Object>)]
    after: Option<Value>,
    /// Seconds since the Unix epoch.
    at: i64,
    /// The entity as it was; null where it is new. Secrets are left out.
    #[schema(value_type = Option<Object>)]
    before: Option<Value>,
    entity: String,
    entity_id: String,
    /// `X-Request-Id` of the answer to the request that made the change; empty where it came in none.
    request_id: String,
    /// Grows by one with every change.
    seq: u64,
}

impl From<AuditEntry> for AuditBody {
    fn from(entry: AuditEntry) -> Self {
        // What is no JSON is shown as the text it is: a log hides nothing.
        let value = |text: String| serde_json::from_str(&text).unwrap_or(Value::String(text));
        Self {
            action: entry.action,
            actor: entry.actor,
            after: entry.after.map(value),
            at: entry.at.seconds(),
            before: entry.before.map(value),
            entity: entry.entity,
            entity_id: entry.entity_id,
            request_id: entry.request,
            seq: entry.seq,
        }
    }
}

fn filter(query: &Query) -> Result<AuditFilter, Error> {
    let text = |name| Ok::<_, Error>(query.text(name, rules::NAME_MAX)?.map(str::to_owned));
    Ok(AuditFilter {
        actor: text("actor")?,
        request: text("request_id")?,
        action: text("action")?,
        entity: query.one_of("entity", Entity::ALL.into_iter().map(|entity| (entity.noun(), entity)))?,
        entity_id: query.uuid("entity_id")?,
        since: query.time("since")?,
        // Times are shown in seconds, so the second that is named belongs to it as a whole.
        until: query.time("until")?.map(|at| if at.0 % 1000 == 0 { at.plus_millis(999) } else { at }),
    })
}

/// List changes, newest first
#[utoipa::path(
    get, path = "/audit", tag = "audit", operation_id = "list_audit",
    params(
        ("actor" = Option<String>, Query, description = "Only changes by this actor"),
        ("entity" = Option<String>, Query, description = "Only changes of this kind of entity", example = "developer"),
        ("entity_id" = Option<String>, Query, description = "Only changes of this entity"),
        ("action" = Option<String>, Query, description = "Only what was done like this", example = "delete"),
        ("request_id" = Option<String>, Query, description = "Only what this request changed"),
        ("since" = Option<String>, Query, description = "Only changes from this instant on: seconds since the Unix \
            epoch or an RFC 3339 time", example = "2022-02-11T23:01:15Z"),
        ("until" = Option<String>, Query, description = "Only changes up to this second", example = 1_644_620_475),
        PageArguments,
    ),
    responses(
        (status = 200, description = "A page of the list", body = Page<AuditBody>,
            example = json!({"data": [example()], "next": null, "total": 1})),
        (status = 400, description = "Refused", body = Violation),
    ),
)]
pub async fn list(Seen(app): Seen, query: Query) -> Result<Response, Error> {
    let entries = app.store.audit_log(&filter(&query)?, query.page()?).await?;
    Ok(query.list(entries, AuditBody::from))
}

/// Read a change
#[utoipa::path(
    get, path = "/audit/{seq}", tag = "audit", operation_id = "get_audit_entry",
    params(("seq" = u64, Path, description = "`seq` of the change")),
    responses(
        (status = 200, description = "The change", body = AuditBody, example = json!(example())),
        (status = 404, description = "There is no such change", body = Message),
    ),
)]
pub async fn get(Seen(app): Seen, Segments(seq): Segments<String>) -> Result<Response, Error> {
    let entry = app.store.audit_entry(path::id(&seq)?).await?.ok_or(Error::NotFound)?;
    Ok(reply::ok(&AuditBody::from(entry)))
}

fn example() -> Value {
    json!({
        "action": "update", "actor": "ci", "at": 1_644_620_475, "entity": "role",
        "entity_id": "b7794758-394e-46f1-a9a1-f495f2e97a68",
        "before": {"name": "Billing", "comment": null},
        "after": {"name": "Billing", "comment": "Billing services team"},
        "request_id": "5f60930aad124303ac5a59d121ad4942", "seq": 7
    })
}
