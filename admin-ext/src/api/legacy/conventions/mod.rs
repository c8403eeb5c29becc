//! The conventions of Kong's Admin API, once for every endpoint: bodies, schemas, errors, lists, answers.

pub mod body;
pub mod error;
pub mod form;
pub mod members;
pub mod path;
pub mod problems;
pub mod query;
pub mod reply;
pub mod schema;
pub mod texts;

pub use body::Input;
pub use error::Error;
pub use path::Segments;
pub use query::Query;
pub use schema::{Checked, Field, Kind, Schema};
