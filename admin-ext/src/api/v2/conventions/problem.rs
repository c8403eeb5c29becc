//! Errors of the v2 APIs: RFC 9457 problem details, with every parameter that is wrong.

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::json::set;
use crate::api::ops::RequestId;
use crate::idp::ClientError;
use crate::kong::Refusal;
use crate::store::{Entity, StoreError};

/// The rules that need no detail.
pub const RULES: [&str; 15] = [
    "required",
    "max_length",
    "is_array",
    "is_boolean",
    "is_date_time",
    "is_fqdn",
    "is_integer",
    "is_label",
    "is_number",
    "is_object",
    "is_string",
    "is_uuid",
    "invalid",
    "matches_regex",
    "unknown_property",
];

/// Most parameters that one answer names.
const PARAMETERS_MAX: usize = 200;

/// Where a parameter came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    Body,
    Query,
    Path,
    Header,
}

/// What a rule's name alone does not tell.
#[derive(Clone, PartialEq, Debug)]
pub enum Detail {
    None,
    /// Of `min_length`.
    Minimum(u64),
    /// Of `enum`.
    Choices(Vec<Value>),
    /// Of `dependent_fields`.
    Dependents(Vec<String>),
}

/// One parameter that is wrong.
#[derive(Clone, PartialEq, Debug)]
pub struct Parameter {
    /// Its path, like `configs.key-auth.key_names[0]` or `filter[name]`.
    pub field: String,
    pub rule: &'static str,
    pub source: Source,
    /// In words.
    pub reason: String,
    pub detail: Detail,
}

impl Parameter {
    pub fn new(
        source: Source,
        field: impl Into<String>,
        rule: &'static str,
        reason: impl Into<String>,
    ) -> Self {
        Self { field: field.into(), rule, source, reason: reason.into(), detail: Detail::None }
    }

    pub fn body(field: impl Into<String>, rule: &'static str, reason: impl Into<String>) -> Self {
        Self::new(Source::Body, field, rule, reason)
    }

    /// A member of the body that there is not.
    pub fn unknown(source: Source, field: &str) -> Self {
        Self::new(source, field, "unknown_property", format!("\"{field}\" is not allowed"))
    }

    fn json(&self) -> Value {
        let mut json = serde_json::json!({
            "field": self.field, "rule": self.rule, "source": self.source, "reason": self.reason,
        });
        match &self.detail {
            Detail::None => {}
            Detail::Minimum(minimum) => set(&mut json, "minimum", *minimum),
            Detail::Choices(choices) => set(&mut json, "choices", choices.clone()),
            Detail::Dependents(dependents) => set(&mut json, "dependents", dependents.clone()),
        }
        json
    }
}

/// Why a request is refused.
#[derive(Clone, PartialEq, Debug)]
pub struct Problem {
    pub status: StatusCode,
    pub title: &'static str,
    pub detail: String,
    /// Of 400 only.
    pub invalid_parameters: Vec<Parameter>,
}

impl Problem {
    pub fn new(status: StatusCode, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, title, detail: detail.into(), invalid_parameters: Vec::new() }
    }

    /// 400 with every parameter that is wrong, each once; of very many, the first.
    pub fn invalid(parameters: Vec<Parameter>) -> Self {
        let mut unique: Vec<Parameter> = Vec::with_capacity(parameters.len().min(PARAMETERS_MAX));
        for parameter in parameters {
            if unique.len() < PARAMETERS_MAX && !unique.contains(&parameter) {
                unique.push(parameter);
            }
        }
        Self {
            invalid_parameters: unique,
            ..Self::new(StatusCode::BAD_REQUEST, "Invalid Request", "Invalid Parameters")
        }
    }

    /// 400 with one parameter that is wrong.
    pub fn parameter(parameter: Parameter) -> Self {
        Self::invalid(vec![parameter])
    }

    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", "Invalid credentials")
    }

    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "Forbidden", detail)
    }

    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Not Found", "Not found")
    }

    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "Conflict", detail)
    }

    /// A body that cannot be read at all.
    pub fn unreadable() -> Self {
        Self {
            invalid_parameters: vec![Parameter::body("body", "invalid", "request format is invalid")],
            ..Self::new(StatusCode::BAD_REQUEST, "Bad Request", "Could not parse request body")
        }
    }

    fn json(&self, instance: &str) -> Value {
        let mut json = serde_json::json!({
            "status": self.status.as_u16(), "title": self.title, "instance": instance, "detail": self.detail,
        });
        if !self.invalid_parameters.is_empty() {
            let items: Vec<_> = self.invalid_parameters.iter().map(Parameter::json).collect();
            set(&mut json, "invalid_parameters", items);
        }
        json
    }
}

impl IntoResponse for Problem {
    /// Without its body, which [`render`] writes: only there is it known which request it is about.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// The layer that writes problems. What other layers refused without saying why becomes a problem, too.
pub async fn render(request: Request, next: Next) -> Response {
    let id = request.extensions().get::<RequestId>().and_then(|id| id.0.parse::<Uuid>().ok());
    let mut response = next.run(request).await;
    let status = response.status();
    let problem = match response.extensions_mut().remove::<Problem>() {
        Some(problem) => problem,
        None if status == StatusCode::METHOD_NOT_ALLOWED => {
            Problem::new(status, "Method Not Allowed", "The resource does not have this method")
        }
        None if status == StatusCode::REQUEST_TIMEOUT => {
            Problem::new(status, "Request Timeout", "The request took too long; nothing has changed")
        }
        None => return response,
    };
    let instance = format!("kong:trace:{}", id.unwrap_or_default().as_u128());
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    let mut rendered = Json(problem.json(&instance)).into_response();
    let kind = HeaderValue::from_static("application/problem+json");
    parts.headers.insert(header::CONTENT_TYPE, kind);
    *rendered.status_mut() = parts.status;
    *rendered.headers_mut() = parts.headers;
    *rendered.extensions_mut() = parts.extensions;
    rendered
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unique { entity: Entity::Connection, field: "composite_id", .. } => {
                Self::conflict("the application is registered for it already")
            }
            StoreError::Unique { entity, field, .. } => {
                Self::conflict(format!("another {} has this {field} already", entity.noun()))
            }
            StoreError::ForeignKey { field, id, .. } => Self::parameter(Parameter::body(
                field,
                "invalid",
                format!("\"{field}\" names nothing that exists: {id}"),
            )),
            StoreError::NotFound(_) => Self::not_found(),
            StoreError::InUse { .. } => Self::conflict(error.to_string()),
            StoreError::Limit { entity, limit } => {
                let what = match entity {
                    Entity::Credential => "Credentials",
                    Entity::Application => "Applications",
                    Entity::Connection => "Registrations",
                    _ => "Items",
                };
                Self::forbidden(format!("Maximum number of {what} exceeded. Max Allowed: {limit}"))
            }
            StoreError::Invalid(invalid) => {
                Self::parameter(Parameter::body(invalid.field, "invalid", invalid.reason))
            }
            StoreError::Forbidden(_) => Self::forbidden(error.to_string()),
            StoreError::Busy => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "Service Unavailable",
                "The database is busy, try again; nothing has changed",
            ),
            error => {
                tracing::error!(%error, "a request failed");
                Self::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "Internal Server Error",
                    "An unexpected error occurred",
                )
            }
        }
    }
}

impl From<ClientError> for Problem {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Refused(_) => Self::new(StatusCode::BAD_GATEWAY, "Bad Gateway", error.to_string()),
            ClientError::Away(_) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable", error.to_string())
            }
            ClientError::NotPossible(_) => Self::conflict(error.to_string()),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::conflict(format!("Kong refused it: {}", refusal.message()))
    }
}
