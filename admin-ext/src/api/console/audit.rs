//! `/console/audit`: what was changed, by whom and when; and what exactly one change did.

use std::collections::BTreeSet;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::extract::{Path, Query};
use super::facts;
use super::failure::Failure;
use super::frame::{Answer, Frame};
use super::link::{Link, Pages, cut};
use super::when::When;
use crate::model::{ConnectionStatus, PageRequest, StatusCode as _, Timestamp};
use crate::store::{AuditEntry, AuditFilter, Entity};

/// Lines of one page.
const PAGE: u16 = 50;
/// Longest text that is looked for, in bytes.
const TEXT_MAX: usize = 255;
/// What can be done to something, as far as the list offers it.
const ACTIONS: [&str; 11] = [
    "create", "update", "delete", "revoke", "publish", "invite", "load", "sign_in", "sign_out", "expire",
    "retry",
];

/// The arguments of the list.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Arguments {
    actor: String,
    request: String,
    action: String,
    entity: String,
    entity_id: String,
    since: String,
    until: String,
    after: String,
}

#[derive(Serialize)]
struct Shown {
    filter: Filter,
    actions: [&'static str; 11],
    entities: Vec<&'static str>,
    /// What of the filter makes no sense.
    errors: Vec<&'static str>,
    filtered: bool,
    entries: Vec<Line>,
    pages: Pages,
}

#[derive(Serialize)]
struct Filter {
    actor: String,
    request: String,
    action: String,
    entity: String,
    entity_id: String,
    since: String,
    until: String,
}

#[derive(Serialize)]
struct Line {
    seq: u64,
    at: When,
    actor: String,
    action: String,
    entity: String,
    entity_id: String,
    /// What it is called, as far as the line tells.
    name: Option<String>,
    /// Its page, if it has one and is there.
    page: Option<String>,
}

#[derive(Serialize)]
struct EntryShown {
    entry: Line,
    request: String,
    members: Vec<Member>,
    changes: usize,
}

/// A member before and after.
#[derive(Serialize)]
struct Member {
    name: String,
    before: Option<String>,
    after: Option<String>,
    /// In a word; empty: it stayed.
    change: &'static str,
}

pub async fn list(frame: Frame, Query(arguments): Query<Arguments>) -> Answer {
    let Arguments { mut actor, mut request, mut action, entity, entity_id, since, until, after } = arguments;
    for text in [&mut actor, &mut request, &mut action] {
        *text = text.trim().to_owned();
        cut(text, TEXT_MAX);
    }
    let mut errors = Vec::new();
    let mut check = |given: &str, understood: bool, error| {
        if !given.is_empty() && !understood {
            errors.push(error);
        }
    };
    let known = Entity::ALL.into_iter().find(|known| known.noun() == entity);
    check(&entity, known.is_some(), "Entity: there is none of this name.");
    let id = entity_id.trim().parse::<Uuid>().ok();
    check(&entity_id, id.is_some(), "Id: it is a UUID, such as 855fe098-3bb3-4041-8a3d-149a9e5462c6.");
    let (from, to) = (time(&since), time(&until));
    check(&since, from.is_some(), "Since: it is a date and a time, such as 2026-11-22T09:30.");
    check(&until, to.is_some(), "Until: it is a date and a time, such as 2026-11-22T09:30.");
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let filter = AuditFilter {
        actor: text(&actor),
        request: text(&request),
        action: text(&action),
        entity: known,
        entity_id: id,
        since: from,
        until: to,
    };
    let offset = after.parse().ok();
    let page = PageRequest { size: PAGE, offset, tags: None };
    let (entries, next) = if errors.is_empty() {
        frame.app.store.audit_entries(&filter, page).await?
    } else {
        (Vec::new(), None)
    };
    let link = Link::to("/console/audit")
        .with("actor", &actor)
        .with("request", &request)
        .with("action", &action)
        .with("entity", &entity)
        .with("entity_id", &entity_id)
        .with("since", &since)
        .with("until", &until);
    let filter = Filter { actor, request, action, entity, entity_id, since, until };
    let all = [&filter.actor, &filter.request, &filter.action, &filter.entity, &filter.entity_id];
    let filtered = all.into_iter().chain([&filter.since, &filter.until]).any(|given| !given.is_empty());
    let shown = Shown {
        filtered,
        filter,
        actions: ACTIONS,
        entities: Entity::ALL.map(Entity::noun).to_vec(),
        errors,
        pages: link.pages(offset.is_some(), next),
        entries: entries.into_iter().map(|entry| line(&frame, &entry)).collect(),
    };
    frame.page("audit.html", shown).await
}

/// As a form's field of a date and a time has it, in UTC.
fn time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let at = if text.get(10..).is_some_and(|time| time.contains(['+', '-', 'Z', 'z'])) {
        // It says itself where it is.
        text.parse::<jiff::Timestamp>().ok()?
    } else {
        text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp()
    };
    Some(Timestamp(at.as_millisecond()))
}

pub async fn page(frame: Frame, Path(seq): Path<u64>) -> Answer {
    let found = frame.app.store.audit_entry(seq).await?;
    let entry = found.ok_or(Failure::NotFound("There is no such line in the audit log."))?;
    let members = difference(&entry);
    let shown = EntryShown {
        entry: line(&frame, &entry),
        changes: members.iter().filter(|member| !member.change.is_empty()).count(),
        members,
        request: entry.request,
    };
    frame.page("audit-entry.html", shown).await
}

fn view(text: Option<&str>) -> Map<String, Value> {
    let view = text.and_then(|text| serde_json::from_str(text).ok());
    match view {
        Some(Value::Object(members)) => members,
        _ => Map::new(),
    }
}

fn line(frame: &Frame, entry: &AuditEntry) -> Line {
    let (before, after) = (view(entry.before.as_deref()), view(entry.after.as_deref()));
    let told = if after.is_empty() { &before } else { &after };
    let text = |name: &str| told.get(name).and_then(Value::as_str).map(str::to_owned);
    let id = entry.entity_id.as_str();
    let of_application = || text("application").map(|id| format!("/console/applications/{id}"));
    let gone = entry.action == "delete";
    let page = match entry.entity.as_str() {
        "developer" if !gone => Some(format!("/console/developers/{id}")),
        "application" if !gone => Some(format!("/console/applications/{id}")),
        "connection" | "credential" => of_application(),
        "auth_strategy" if !gone => Some(format!("/console/strategies/{id}")),
        "dcr_provider" if !gone => Some(format!("/console/dcr-providers/{id}")),
        _ => None,
    };
    Line {
        seq: entry.seq,
        at: frame.when(entry.at),
        actor: entry.actor.clone(),
        action: entry.action.clone(),
        entity: entry.entity.clone(),
        entity_id: entry.entity_id.clone(),
        name: ["display_name", "name", "email", "recipient"].into_iter().find_map(text),
        page,
    }
}

/// Every member of what was and what is, those that changed first.
fn difference(entry: &AuditEntry) -> Vec<Member> {
    let (before, after) = (view(entry.before.as_deref()), view(entry.after.as_deref()));
    let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let mut members: Vec<_> = names
        .into_iter()
        .map(|name| {
            let (old, new) = (before.get(name), after.get(name));
            Member {
                name: name.clone(),
                before: old.map(|value| shown(&entry.entity, name, value)),
                after: new.map(|value| shown(&entry.entity, name, value)),
                change: match (old, new) {
                    (None, _) => "added",
                    (_, None) => "removed",
                    (old, new) if old != new => "changed",
                    _ => "",
                },
            }
        })
        .collect();
    members.sort_by_key(|member| member.change.is_empty());
    members
}

/// A value as people read it: statuses have words.
fn shown(entity: &str, name: &str, value: &Value) -> String {
    let has_status = matches!(entity, "developer" | "connection");
    let status = (has_status && name == "status")
        .then(|| value.as_i64().and_then(ConnectionStatus::from_code))
        .flatten();
    status.map_or_else(|| facts::text(value), |status| status.word().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(before: Option<&str>, after: Option<&str>) -> AuditEntry {
        AuditEntry {
            seq: 1,
            at: Timestamp(0),
            actor: String::new(),
            request: String::new(),
            action: "update".into(),
            entity: "connection".into(),
            entity_id: String::new(),
            before: before.map(Into::into),
            after: after.map(Into::into),
        }
    }

    #[test]
    fn a_difference_names_what_changed_first_and_keeps_what_stayed() {
        let told = |before, after| {
            let members = difference(&entry(before, after));
            let told = |member: Member| {
                let (before, after) = (member.before.unwrap_or_default(), member.after.unwrap_or_default());
                format!("{} {}: {before} -> {after}", member.change, member.name)
            };
            members.into_iter().map(told).collect::<Vec<_>>()
        };
        let (before, after) = (
            r#"{"a":"x","status":1,"reason":null}"#,
            r#"{"a":"x","status":0,"reason":"ok","key":"(changed)"}"#,
        );
        assert_eq!(
            told(Some(before), Some(after)),
            [
                "added key:  -> (changed)",
                "changed reason: none -> ok",
                "changed status: pending -> approved",
                " a: x -> x",
            ]
        );
        assert_eq!(told(None, Some(r#"{"scopes":["a","b"]}"#)), ["added scopes:  -> a, b"]);
        assert_eq!(told(Some(r#"{"n":2}"#), None), ["removed n: 2 -> "]);
        assert_eq!(told(Some("not json"), None), Vec::<String>::new());
    }

    #[test]
    fn times_are_read_as_browsers_write_them() {
        assert_eq!(time("2027-01-15T08:00"), Some(Timestamp(1_800_000_000_000)));
        assert_eq!(time("2027-01-15T08:00:01"), Some(Timestamp(1_800_000_001_000)));
        assert_eq!(time("2027-01-15T09:00:00+01:00"), Some(Timestamp(1_800_000_000_000)));
        for nonsense in ["", "yesterday", "2027-13-15T08:00", "2027-01-15T08:00+26:00"] {
            assert_eq!(time(nonsense), None, "{nonsense}");
        }
    }
}
