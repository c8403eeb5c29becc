//! What all resources of the v2 APIs share: how bodies and query arguments are read and refused, how lists are paged,
//! how answers look, and how two writers are kept from overwriting each other.

mod body;
mod collection;
mod description;
mod json;
mod path;
mod precondition;
mod problem;
pub mod reply;
mod rules;
mod schemas;

pub use self::body::Input;
pub use self::collection::{Collection, Filter, Filters, PageBody, Query};
pub use self::description::described;
pub use self::path::Ids;
pub use self::precondition::IfMatch;
pub use self::problem::{Detail, Parameter, Problem, Source, render};
pub use self::rules::{Member, Object, Rule, Union};
pub(super) use self::schemas::{arguments, bodies};
