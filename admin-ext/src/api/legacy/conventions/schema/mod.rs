//! A small description of an entity's members that validates input with Kong's messages, turns the strings of a form into
//! what the entity wants, and reports everything that is wrong at once.
//!
//! What comes out has the right types and is deserialised into the resource's own structs; the description knows nothing
//! of the database.

mod check;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use self::check::Checker;
use super::body::Input;
use super::error::Error;
use super::problems::Problems;
use super::texts;
use crate::model::rules;

/// The members of an entity that a request may set.
pub struct Schema {
    pub fields: &'static [Field],
}

/// One member.
pub struct Field {
    name: &'static str,
    kind: Kind,
    required: bool,
    lasting: bool,
    /// JSON text of the value used when none is given.
    default: Option<&'static str>,
    access: Access,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Writable,
    /// Set when the entity is made; an update may only repeat it.
    Immutable,
    /// Set by the server; an update may only repeat it, so that what was read can be sent back.
    ReadOnly,
}

/// Whether a text is of a kind; if not, the message that says so.
type TextCheck = fn(&str) -> Result<(), String>;

/// What a member's value may be.
pub enum Kind {
    Text {
        max: usize,
        check: Option<TextCheck>,
    },
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// Inclusive bounds.
    Integer {
        min: i64,
        max: i64,
    },
    Boolean,
    Uuid,
    /// A list in the order given.
    List {
        of: &'static Kind,
        min: usize,
        max: usize,
    },
    /// A list in which a repeated value counts once.
    Set {
        of: &'static Kind,
        max: usize,
    },
    Record(&'static [Field]),
    /// Another entity, by its id or by its name.
    Reference,
    /// A value that is stored as its JSON text; given as either.
    JsonText {
        max: usize,
        check: TextCheck,
    },
    /// Any object, of so many bytes as JSON at most.
    Object {
        max: usize,
    },
    /// Any value; for members that are only ever compared.
    Any,
}

impl Kind {
    pub const fn text(max: usize) -> Self {
        Self::Text { max, check: None }
    }

    pub const fn checked_text(max: usize, check: TextCheck) -> Self {
        Self::Text { max, check: Some(check) }
    }
}

impl Field {
    pub const fn new(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, required: false, lasting: false, default: None, access: Access::Writable }
    }

    /// Must have a value: given, or the default.
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// May be left out of a new entity, but never unset.
    pub const fn lasting(mut self) -> Self {
        self.lasting = true;
        self
    }

    /// JSON text of the value used when none is given; it is validated like any other.
    pub const fn default(mut self, json: &'static str) -> Self {
        self.default = Some(json);
        self
    }

    pub const fn immutable(mut self) -> Self {
        self.access = Access::Immutable;
        self
    }

    /// A member of answers that no request sets.
    pub const fn read_only(name: &'static str) -> Self {
        Self {
            name,
            kind: Kind::Any,
            required: false,
            lasting: false,
            default: None,
            access: Access::ReadOnly,
        }
    }

    /// The tags of an entity, each once; none holds what combines tags in a query.
    pub const fn tags() -> Self {
        const TAGS: Kind = Kind::Set { of: &TAG, max: rules::LIST_MAX };
        const TAG: Kind = Kind::checked_text(rules::NAME_MAX, texts::tag);
        Self::new("tags", TAGS)
    }

    fn default_value(&self) -> Option<Value> {
        self.default.and_then(|json| serde_json::from_str(json).ok())
    }
}

impl Schema {
    /// The names of all members.
    #[cfg(test)]
    pub fn names(&self) -> Vec<&'static str> {
        self.fields.iter().map(|field| field.name).collect()
    }

    /// Validates the members of a new entity. Defaults are filled in; members without a value are absent.
    pub fn insert(&self, input: Input) -> Result<Map<String, Value>, Error> {
        self.check_insert(input).finish()
    }

    /// [`Schema::insert`], for callers who have rules of their own to add.
    pub fn check_insert(&self, input: Input) -> Checked {
        let checker = Checker { coerce: input.coerce, update: false };
        checker.members(self.fields, input.members, None)
    }

    /// Validates changes to an entity whose answer is `current`. Only the members that were given come out; null where one
    /// is unset. Records are merged with what they are now.
    pub fn update(&self, input: Input, current: &Value) -> Result<Map<String, Value>, Error> {
        self.check_update(input, current).finish()
    }

    /// [`Schema::update`], for callers who have rules of their own to add.
    pub fn check_update(&self, input: Input, current: &Value) -> Checked {
        let checker = Checker { coerce: input.coerce, update: true };
        checker.members(self.fields, input.members, current.as_object())
    }
}

/// What a schema made of input: the members that are as they should be, and what is wrong with the others. Rules that
/// need more than the input are added here, so that everything that is wrong is told at once.
pub struct Checked {
    accepted: Map<String, Value>,
    problems: BTreeMap<String, Problems>,
}

impl Checked {
    /// What a member is to be; `None` where it is not given, or wrong.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.accepted.get(name)
    }

    /// Refuses a member. What was wrong with it already is told instead.
    pub fn refuse(&mut self, name: &str, problems: Problems) {
        self.problems.entry(name.to_owned()).or_insert(problems);
    }

    /// The members, if nothing is wrong.
    pub fn finish(self) -> Result<Map<String, Value>, Error> {
        self.accepted().map_err(Error::Schema)
    }

    fn accepted(self) -> Result<Map<String, Value>, Problems> {
        if self.problems.is_empty() { Ok(self.accepted) } else { Err(Problems::Members(self.problems)) }
    }
}
