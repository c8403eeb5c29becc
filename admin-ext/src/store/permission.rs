//! Which changes each role may make. Every change is written into the audit log, and there it is held against these rules:
//! none can be made around them.

use serde_json::{Map, Value};

use super::Entity;
use crate::model::AccessRole;

/// What a decision about a developer or a connection consists of.
const DECISION: [&str; 2] = ["status", "reason"];

/// Whether a role may make a change, as the audit log tells of it.
pub(super) fn may_change(
    role: AccessRole,
    entity: Entity,
    action: &str,
    before: Option<&Value>,
    after: Option<&Value>,
) -> bool {
    match role {
        AccessRole::Admin => true,
        AccessRole::Viewer => false,
        AccessRole::Approver => match (entity, action) {
            (Entity::Connection, "delete") => true,
            (Entity::Developer | Entity::Connection, "update") => {
                match (before.and_then(Value::as_object), after.and_then(Value::as_object)) {
                    (Some(before), Some(after)) => rest(before).eq(rest(after)),
                    _ => false,
                }
            }
            _ => false,
        },
    }
}

fn rest(view: &Map<String, Value>) -> impl Iterator<Item = (&String, &Value)> {
    view.iter().filter(|(name, _)| !DECISION.contains(&name.as_str()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_approver_decides_and_changes_nothing_else() {
        let before = json!({"status": 1, "reason": null, "email": "a", "password": "(set)"});
        let decided = json!({"status": 0, "reason": "ok", "email": "a", "password": "(set)"});
        let may = |role, entity, action, after: &Value| {
            may_change(role, entity, action, Some(&before), Some(after))
        };
        for entity in Entity::ALL {
            let decidable = matches!(entity, Entity::Developer | Entity::Connection);
            assert_eq!(may(AccessRole::Approver, entity, "update", &decided), decidable, "{entity:?}");
            assert!(!may(AccessRole::Viewer, entity, "update", &decided), "{entity:?}");
            assert!(may(AccessRole::Admin, entity, "update", &decided), "{entity:?}");
            assert!(!may_change(AccessRole::Approver, entity, "create", None, Some(&decided)), "{entity:?}");
            let deletes = may_change(AccessRole::Approver, entity, "delete", Some(&before), None);
            assert_eq!(deletes, entity == Entity::Connection, "{entity:?}");
        }
        for more in [
            json!({"status": 0, "reason": null, "email": "b", "password": "(set)"}),
            json!({"status": 0, "reason": null, "email": "a", "password": "(changed)"}),
            json!({"status": 0, "reason": null, "email": "a"}),
            json!({"status": 0, "reason": null, "email": "a", "password": "(set)", "key": "(changed)"}),
        ] {
            assert!(!may(AccessRole::Approver, Entity::Developer, "update", &more), "{more}");
        }
    }
}
