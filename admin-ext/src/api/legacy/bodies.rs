//! Shapes that several resources answer with.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

/// Another entity, by its id alone.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct Ref {
    pub id: Uuid,
}

impl<T: Into<Uuid>> From<T> for Ref {
    fn from(id: T) -> Self {
        Self { id: id.into() }
    }
}

/// Another entity, by its id or by its name.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct Reference {
    pub id: Option<Uuid>,
    pub name: Option<String>,
}

/// Refused before an entity was looked at.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"message": "Not found"}))]
pub struct Message {
    pub message: String,
}

/// Refused by an entity; `fields` is nested like the input.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "code": 2, "name": "schema violation", "message": "schema violation (name: required field missing)",
    "fields": {"name": "required field missing"}
}))]
pub struct Violation {
    pub code: u8,
    pub name: String,
    pub message: String,
    #[schema(value_type = Option<Object>)]
    pub fields: Option<Value>,
}

/// An object, or its JSON text.
pub struct JsonText;

impl PartialSchema for JsonText {
    fn schema() -> RefOr<Schema> {
        let either = OneOfBuilder::new()
            .item(ObjectBuilder::new().schema_type(Type::String))
            .item(ObjectBuilder::new().schema_type(Type::Object));
        RefOr::T(Schema::OneOf(either.build()))
    }
}

impl ToSchema for JsonText {}
