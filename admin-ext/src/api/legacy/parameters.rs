//! Parameters that several endpoints have, for the description of the API. `conventions` reads them.
#![expect(dead_code, reason = "described here, read by `Query` and `Segments`")]

use utoipa::IntoParams;
use uuid::Uuid;

/// Which page of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageArguments {
    /// Entities per page; 100 by default.
    #[param(minimum = 1, maximum = 1000)]
    size: Option<u16>,
    /// Where the page begins, as `next` of the page before has it.
    offset: Option<String>,
}

/// Which entities of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TagArguments {
    /// Only what has these tags: `a,b` both, `a/b` either.
    tags: Option<String>,
}

/// A developer.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct DeveloperPath {
    /// E-mail address or id.
    developer: String,
}

/// An application of a developer.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct ApplicationPath {
    /// E-mail address or id.
    developer: String,
    application: Uuid,
}

/// A service.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct ServicePath {
    /// Name or id.
    service: String,
}

/// A role.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct RolePath {
    /// Name or id.
    role: String,
}

/// A family of credentials of a developer.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct FamilyPath {
    /// E-mail address or id.
    developer: String,
    /// `basic-auth`, `oauth2`, `hmac-auth`, `jwt`, `key-auth` or `openid-connect`.
    #[param(pattern = "^(basic-auth|oauth2|hmac-auth|jwt|key-auth|openid-connect)$")]
    plugin: String,
}

/// A workspace.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct WorkspacePath {
    /// `default`, or the id.
    workspace: String,
}
