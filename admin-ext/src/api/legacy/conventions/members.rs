//! From accepted members to a resource's own structs.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::error::Error;
use crate::model::Update;

/// The members a schema accepted, as a struct. The schema has seen to the types, so a failure is a fault of ours; the
/// cause may quote a secret and is not logged.
pub fn typed<T: DeserializeOwned>(members: Map<String, Value>) -> Result<T, Error> {
    serde_json::from_value(Value::Object(members)).map_err(|_| {
        tracing::error!(target_type = std::any::type_name::<T>(), "accepted members do not fit their struct");
        Error::Store
    })
}

/// For members that null unsets; absent is [`Update::Keep`] by the field's default.
pub fn update<'de, D, T>(deserializer: D) -> Result<Update<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(|value| value.map_or(Update::Clear, Update::Set))
}
