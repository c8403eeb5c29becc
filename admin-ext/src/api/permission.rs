//! What each role may ask of the admin APIs, by method and path. The store refuses every change that a role may not make; this
//! refuses it sooner: before a body is read, a Kong or an identity provider is called, or a mail is on its way.

use axum::extract::{MatchedPath, Request};
use axum::http::Method;

use crate::model::AccessRole;

/// Besides reading, what decides about developers and connections. The paths are those of the routes.
const DECISIONS: [(Method, &str); 6] = [
    (Method::PATCH, "/developers/{developer}"),
    (Method::PATCH, "/developers/{developer}/applications/{application}/application_instances/{instance}"),
    (Method::DELETE, "/developers/{developer}/applications/{application}/application_instances/{instance}"),
    (Method::PATCH, "/v2/portals/{portalId}/developers/{developerId}"),
    (Method::PATCH, "/v2/portals/{portalId}/applications/{applicationId}/registrations/{registrationId}"),
    (Method::DELETE, "/v2/portals/{portalId}/applications/{applicationId}/registrations/{registrationId}"),
];

/// Whether a role may ask this at all.
pub fn may_ask(role: AccessRole, request: &Request) -> bool {
    if request.method().is_safe() || role == AccessRole::Admin {
        return true;
    }
    let Some(path) = request.extensions().get::<MatchedPath>() else { return false };
    let path = path.as_str().strip_prefix(super::legacy::WORKSPACE).unwrap_or(path.as_str());
    role == AccessRole::Approver
        && DECISIONS.iter().any(|(method, decision)| method == request.method() && *decision == path)
}
