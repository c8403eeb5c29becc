//! From accepted members to a resource's own structs.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::error::Error;

/// The members a schema accepted, as a struct. The schema has seen to the types, so a failure is a fault of ours; the
/// cause may quote a secret and is not logged.
pub fn typed<T: DeserializeOwned>(members: Map<String, Value>) -> Result<T, Error> {
    serde_json::from_value(Value::Object(members)).map_err(|_| {
        tracing::error!(target_type = std::any::type_name::<T>(), "accepted members do not fit their struct");
        Error::Store
    })
}
