//! The errors of Kong's Admin API: `{"message": …}` for what never reached an entity, and
//! `{"code", "name", "message", "fields"}` for what an entity refused. One type for the whole legacy API, so that a status
//! and its body are decided in one place.

use std::borrow::Cow;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::problems::Problems;
use super::reply;
use crate::idp::ClientError;
use crate::kong::Refusal;
use crate::store::StoreError;

/// Why a request was refused. Nothing has changed when one of these is answered.
#[derive(Debug)]
pub enum Error {
    /// Refused before an entity was looked at; the body is the message alone.
    Request(StatusCode, Cow<'static, str>),
    /// A body of a type that is not understood: 415 with an empty body.
    UnsupportedMediaType,
    /// The input breaks the entity's schema.
    Schema(Problems),
    /// An entity with this primary key exists.
    PrimaryKey(Value),
    /// A member names an entity that does not exist, by its id.
    ForeignKey {
        member: &'static str,
        entity: &'static str,
        id: String,
    },
    /// A member names an entity that does not exist, by something other than its id.
    ForeignKeyUnresolved {
        member: &'static str,
        entity: &'static str,
        by: &'static str,
        value: String,
    },
    /// Another entity has the same value in members that must be unique.
    Unique(Map<String, Value>),
    /// The path names no entity.
    NotFound,
    InvalidSize,
    /// `offset` was not made by this list.
    InvalidOffset(String),
    /// A query argument cannot be used.
    InvalidOption {
        name: &'static str,
        problem: String,
    },
    /// The Kong that follows refused; its answer is passed on as it is.
    Kong(Refusal),
    /// Too many requests at once for the database; nothing is wrong with this one.
    Busy,
    /// The store failed; the cause is in the log and not in the answer.
    Store,
}

impl Error {
    /// 400 with a message alone.
    pub fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::Request(StatusCode::BAD_REQUEST, message.into())
    }

    /// A violation by a single member.
    pub fn violation(member: &str, problem: impl Into<String>) -> Self {
        Self::Schema(Problems::member(member, problem))
    }

    /// Another entity has the same value in one member.
    pub fn unique(member: &str, value: impl Into<Value>) -> Self {
        Self::Unique(Map::from_iter([(member.to_owned(), value.into())]))
    }

    /// The `message` of the body.
    pub fn message(&self) -> String {
        self.body().get("message").and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Request(status, _) => *status,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Unique(_) => StatusCode::CONFLICT,
            Self::Kong(refusal) => StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST),
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Store => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Schema(_)
            | Self::PrimaryKey(_)
            | Self::ForeignKey { .. }
            | Self::ForeignKeyUnresolved { .. }
            | Self::InvalidSize
            | Self::InvalidOffset(_)
            | Self::InvalidOption { .. } => StatusCode::BAD_REQUEST,
        }
    }

    /// The body of the answer.
    pub fn body(&self) -> Value {
        match self {
            Self::Request(_, message) => json!({"message": message}),
            Self::UnsupportedMediaType => Value::Null,
            Self::Kong(refusal) => Value::Object(refusal.body.clone()),
            Self::NotFound => json!({"message": "Not found"}),
            Self::Busy => json!({"message": "The database is busy, try again"}),
            Self::Store => json!({"message": "An unexpected error occurred"}),
            Self::Schema(problems) => object(2, "schema violation", problems.summary(), problems.to_value()),
            Self::PrimaryKey(key) => {
                let message = format!("primary key violation on key '{}'", lua_table(key));
                object(3, "primary key violation", message, key.clone())
            }
            Self::ForeignKey { member, entity, id } => {
                let key = json!({"id": id});
                let message = format!(
                    "the foreign key '{}' does not reference an existing '{entity}' entity.",
                    lua_table(&key)
                );
                object(4, "foreign key violation", message, json!({*member: key}))
            }
            Self::Unique(members) => {
                let members = Value::Object(members.clone());
                let message = format!("UNIQUE violation detected on '{}'", lua_table(&members));
                object(5, "unique constraint violation", message, members)
            }
            Self::InvalidOffset(offset) => {
                let message = format!("'{offset}' is not a valid offset");
                object(7, "invalid offset", message, Value::Null)
            }
            Self::InvalidSize => {
                object(9, "invalid size", "size must be an integer between 1 and 1000", Value::Null)
            }
            Self::InvalidOption { name, problem } => {
                let message = format!("invalid option ({name}: {problem})");
                object(11, "invalid options", message, json!({*name: problem}))
            }
            Self::ForeignKeyUnresolved { member, entity, by, value } => {
                let criteria = json!({*by: value});
                let message = format!(
                    "foreign key unresolved ({member}.{by}: no '{entity}' entity is known by '{}')",
                    lua_table(&criteria)
                );
                object(13, "foreign keys unresolved", message, json!({*member: criteria}))
            }
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        match self {
            Self::UnsupportedMediaType => self.status().into_response(),
            Self::Busy => {
                ([(header::RETRY_AFTER, "1")], reply::json(self.status(), &self.body())).into_response()
            }
            _ => reply::json(self.status(), &self.body()),
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Kong(refusal)
    }
}

impl From<ClientError> for Error {
    fn from(error: ClientError) -> Self {
        let status = match error {
            ClientError::Refused(_) => StatusCode::BAD_GATEWAY,
            ClientError::Away(_) => StatusCode::SERVICE_UNAVAILABLE,
            ClientError::NotPossible(_) => StatusCode::CONFLICT,
        };
        Self::Request(status, error.to_string().into())
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unique { field: "id", value, .. } => Self::PrimaryKey(json!({"id": value})),
            StoreError::Unique { field, value, .. } => Self::unique(field, value),
            StoreError::ForeignKey { entity, field, id } => {
                Self::ForeignKey { member: field, entity: entity.plural(), id }
            }
            StoreError::NotFound(_) => Self::NotFound,
            StoreError::Limit { entity, limit } => {
                Self::Schema(Problems::entity(format!("at most {limit} {} are allowed", entity.plural())))
            }
            StoreError::Invalid(invalid) => Self::Schema(Problems::at(invalid.field, invalid.reason)),
            StoreError::InUse { .. } => Self::Request(StatusCode::CONFLICT, error.to_string().into()),
            StoreError::Forbidden(_) => Self::Request(StatusCode::FORBIDDEN, error.to_string().into()),
            StoreError::Busy => Self::Busy,
            failure => {
                tracing::error!(error = %failure, "the store failed");
                Self::Store
            }
        }
    }
}

fn object(code: u8, name: &str, message: impl Into<String>, fields: Value) -> Value {
    let message = message.into();
    match fields {
        Value::Null => json!({"code": code, "name": name, "message": message}),
        fields => json!({"code": code, "name": name, "message": message, "fields": fields}),
    }
}

/// Kong's notation of a key in a message: `{id="…"}`, members sorted by name.
fn lua_table(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            let members: Vec<_> =
                members.into_iter().map(|(name, value)| format!("{name}={}", lua_table(value))).collect();
            format!("{{{}}}", members.join(","))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_the_status_code_name_and_message_of_the_table() {
        let cases = [
            (Error::bad_request("no"), 400, json!({"message": "no"})),
            (Error::NotFound, 404, json!({"message": "Not found"})),
            (
                Error::violation("name", "required field missing"),
                400,
                json!({"code": 2, "name": "schema violation", "message": "schema violation (name: required field missing)",
                    "fields": {"name": "required field missing"}}),
            ),
            (
                Error::PrimaryKey(json!({"id": "1"})),
                400,
                json!({"code": 3, "name": "primary key violation", "message": "primary key violation on key '{id=\"1\"}'",
                    "fields": {"id": "1"}}),
            ),
            (
                Error::ForeignKey { member: "service", entity: "services", id: "1".into() },
                400,
                json!({"code": 4, "name": "foreign key violation",
                    "message": "the foreign key '{id=\"1\"}' does not reference an existing 'services' entity.",
                    "fields": {"service": {"id": "1"}}}),
            ),
            (
                Error::unique("name", "x"),
                409,
                json!({"code": 5, "name": "unique constraint violation",
                    "message": "UNIQUE violation detected on '{name=\"x\"}'", "fields": {"name": "x"}}),
            ),
            (
                Error::InvalidOffset("?".into()),
                400,
                json!({"code": 7, "name": "invalid offset", "message": "'?' is not a valid offset"}),
            ),
            (
                Error::InvalidSize,
                400,
                json!({"code": 9, "name": "invalid size", "message": "size must be an integer between 1 and 1000"}),
            ),
            (
                Error::InvalidOption { name: "status", problem: "expected an integer".into() },
                400,
                json!({"code": 11, "name": "invalid options", "message": "invalid option (status: expected an integer)",
                    "fields": {"status": "expected an integer"}}),
            ),
            (Error::Store, 500, json!({"message": "An unexpected error occurred"})),
        ];
        for (error, status, body) in cases {
            assert_eq!((error.status().as_u16(), error.body()), (status, body));
        }
    }

    #[test]
    fn a_key_of_several_members_is_written_sorted() {
        let key = json!({"service": {"id": "s"}, "application": {"id": "a"}, "n": 1});
        assert_eq!(lua_table(&key), r#"{application={id="a"},n=1,service={id="s"}}"#);
    }
}
