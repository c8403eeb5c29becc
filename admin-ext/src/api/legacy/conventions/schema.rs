//! A small description of an entity's members that validates input with Kong's messages, turns the strings of a form into
//! what the entity wants, and reports everything that is wrong at once.
//!
//! What comes out has the right types and is deserialised into the resource's own structs; the description knows nothing
//! of the database.

use std::collections::BTreeMap;

use serde_json::{Map, Number, Value};

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
    /// An object that is stored as its JSON text; given as either.
    JsonText {
        max: usize,
        rules: fn(&Map<String, Value>) -> Result<(), Problems>,
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

    fn default_value(&self) -> Option<Value> {
        self.default.and_then(|json| serde_json::from_str(json).ok())
    }
}

impl Schema {
    /// Validates the members of a new entity. Defaults are filled in; members without a value are absent.
    pub fn insert(&self, input: Input) -> Result<Map<String, Value>, Error> {
        let checker = Checker { coerce: input.coerce, update: false };
        checker.members(self.fields, input.members, None).map_err(Error::Schema)
    }

    /// Validates changes to an entity whose answer is `current`. Only the members that were given come out; null where one
    /// is unset. Records are merged with what they are now.
    pub fn update(&self, input: Input, current: &Value) -> Result<Map<String, Value>, Error> {
        let checker = Checker { coerce: input.coerce, update: true };
        checker.members(self.fields, input.members, current.as_object()).map_err(Error::Schema)
    }
}

struct Checker {
    /// The strings of a form stand for whatever the schema wants.
    coerce: bool,
    update: bool,
}

fn problem(text: impl Into<String>) -> Problems {
    Problems::Here(text.into())
}

fn missing() -> Problems {
    problem("required field missing")
}

impl Checker {
    fn members(
        &self,
        fields: &[Field],
        mut given: Map<String, Value>,
        current: Option<&Map<String, Value>>,
    ) -> Result<Map<String, Value>, Problems> {
        let mut accepted = Map::new();
        let mut problems = BTreeMap::new();
        for field in fields {
            let now = current.and_then(|current| current.get(field.name));
            match self.member(field, given.remove(field.name), now) {
                Ok(None) => {}
                Ok(Some(value)) => {
                    accepted.insert(field.name.to_owned(), value);
                }
                Err(found) => {
                    problems.insert(field.name.to_owned(), found);
                }
            }
        }
        problems.extend(given.into_iter().map(|(name, _)| (name, problem("unknown field"))));
        if problems.is_empty() { Ok(accepted) } else { Err(Problems::Members(problems)) }
    }

    fn member(
        &self,
        field: &Field,
        given: Option<Value>,
        now: Option<&Value>,
    ) -> Result<Option<Value>, Problems> {
        let value = match given {
            None if self.update => return Ok(None),
            Some(Value::Null) if self.update && (field.required || field.lasting) => return Err(missing()),
            None | Some(Value::Null) => match field.default_value() {
                Some(default) => default,
                None if field.required => return Err(missing()),
                None if !self.update => return Ok(None),
                None => Value::Null,
            },
            Some(value) => value,
        };
        if field.access == Access::ReadOnly && !self.update {
            return Err(problem("read-only field cannot be set"));
        }
        let value = if value.is_null() { value } else { self.value(&field.kind, value, now)? };
        if self.update && field.access != Access::Writable {
            // Sending back what was read changes nothing.
            return if now.unwrap_or(&Value::Null) == &value { Ok(None) } else { Err(immutable()) };
        }
        Ok(Some(value))
    }

    fn value(&self, kind: &Kind, value: Value, now: Option<&Value>) -> Result<Value, Problems> {
        match kind {
            Kind::Text { max, check } => text(value, *max, *check),
            Kind::OneOf(choices) => one_of(value, choices),
            Kind::Integer { min, max } => self.integer(&value, *min, *max),
            Kind::Boolean => self.boolean(&value),
            Kind::Uuid => uuid(&value),
            Kind::List { of, min, max } => self.list(of, value, "expected an array", *min, *max),
            Kind::Set { of, max } => {
                let Value::Array(mut elements) = self.list(of, value, "expected a set", 0, *max)? else {
                    return Err(problem("expected a set"));
                };
                let mut seen = Vec::with_capacity(elements.len());
                elements.retain(|element| {
                    let new = !seen.contains(element);
                    if new {
                        seen.push(element.clone());
                    }
                    new
                });
                Ok(Value::Array(elements))
            }
            Kind::Record(fields) => self.record(fields, value, now),
            Kind::Reference => self.reference(value),
            Kind::JsonText { max, rules } => json_text(value, *max, *rules),
            Kind::Any => Ok(self.like(value, now)),
        }
    }

    fn integer(&self, value: &Value, min: i64, max: i64) -> Result<Value, Problems> {
        let number = match value {
            Value::Number(number) => whole(number),
            Value::String(text) if self.coerce => text.parse().ok(),
            _ => None,
        };
        let number = number.ok_or_else(|| problem("expected an integer"))?;
        if (min..=max).contains(&number) {
            Ok(number.into())
        } else {
            Err(problem(format!("value should be between {min} and {max}")))
        }
    }

    fn boolean(&self, value: &Value) -> Result<Value, Problems> {
        match value {
            Value::Bool(truth) => Ok(Value::Bool(*truth)),
            Value::String(text) if self.coerce && text == "true" => Ok(Value::Bool(true)),
            Value::String(text) if self.coerce && text == "false" => Ok(Value::Bool(false)),
            _ => Err(problem("expected a boolean")),
        }
    }

    fn list(&self, of: &Kind, value: Value, other: &str, min: usize, max: usize) -> Result<Value, Problems> {
        let elements = match value {
            Value::Array(elements) => elements,
            single @ Value::String(_) if self.coerce => vec![single],
            _ => return Err(problem(other)),
        };
        length(elements.len(), min, max)?;
        let mut accepted = Vec::with_capacity(elements.len());
        let mut problems = Vec::with_capacity(elements.len());
        for element in elements {
            let checked = if element.is_null() { Err(missing()) } else { self.value(of, element, None) };
            match checked {
                Ok(element) => {
                    accepted.push(element);
                    problems.push(None);
                }
                Err(found) => problems.push(Some(found)),
            }
        }
        if problems.iter().all(Option::is_none) {
            Ok(Value::Array(accepted))
        } else {
            Err(Problems::Elements(problems))
        }
    }

    fn record(&self, fields: &[Field], value: Value, now: Option<&Value>) -> Result<Value, Problems> {
        let Value::Object(given) = value else {
            return Err(problem("expected a record"));
        };
        let now = now.and_then(Value::as_object);
        let accepted = match now {
            Some(now) if self.update => {
                let mut merged = now.clone();
                merged.extend(self.members(fields, given, Some(now))?);
                merged
            }
            // There is nothing to merge with, so the record is made new.
            _ => Checker { update: false, ..*self }.members(fields, given, None)?,
        };
        Ok(Value::Object(accepted))
    }

    fn reference(&self, value: Value) -> Result<Value, Problems> {
        const FIELDS: &[Field] =
            &[Field::new("id", Kind::Uuid), Field::new("name", Kind::text(rules::NAME_MAX))];
        let reference = self.record(FIELDS, value, None)?;
        match (reference.get("id"), reference.get("name")) {
            (None, None) => Err(Problems::member("id", "required field missing")),
            (Some(_), Some(_)) => Err(problem("only one of 'id' and 'name' may be given")),
            _ => Ok(reference),
        }
    }

    /// The value as the current one's type, so that a form can repeat a member that is not text.
    fn like(&self, value: Value, now: Option<&Value>) -> Value {
        match (&value, now) {
            (Value::String(text), Some(Value::Number(_))) if self.coerce => {
                text.parse::<i64>().map_or(value, Value::from)
            }
            _ => value,
        }
    }
}

fn immutable() -> Problems {
    problem("immutable field cannot be updated")
}

fn length(length: usize, min: usize, max: usize) -> Result<(), Problems> {
    if length < min {
        Err(problem(format!("length must be at least {min}")))
    } else if length > max {
        Err(problem(format!("length must be at most {max}")))
    } else {
        Ok(())
    }
}

fn text(value: Value, max: usize, check: Option<TextCheck>) -> Result<Value, Problems> {
    let Value::String(text) = value else {
        return Err(problem("expected a string"));
    };
    length(text.len(), 1, max)?;
    texts::storable(&text).map_err(problem)?;
    if let Some(check) = check {
        check(&text).map_err(problem)?;
    }
    Ok(Value::String(text))
}

fn one_of(value: Value, choices: &[&str]) -> Result<Value, Problems> {
    match &value {
        Value::String(text) if choices.contains(&text.as_str()) => Ok(value),
        Value::String(_) => Err(problem(format!("expected one of: {}", choices.join(", ")))),
        _ => Err(problem("expected a string")),
    }
}

fn uuid(value: &Value) -> Result<Value, Problems> {
    let Value::String(text) = value else {
        return Err(problem("expected a string"));
    };
    match uuid::Uuid::try_parse(text) {
        // The hyphenated form only: the others (braces, URN, plain) are not what the API answers.
        Ok(id) if text.len() == 36 => Ok(Value::String(id.to_string())),
        _ => Err(problem("expected a valid UUID")),
    }
}

fn json_text(
    value: Value,
    max: usize,
    rules: fn(&Map<String, Value>) -> Result<(), Problems>,
) -> Result<Value, Problems> {
    let not_object = || problem("expected a JSON object");
    let (text, members) = match value {
        Value::String(text) => {
            let Ok(Value::Object(members)) = serde_json::from_str(&text) else {
                return Err(not_object());
            };
            (text, members)
        }
        Value::Object(members) => (serde_json::to_string(&members).map_err(|_| not_object())?, members),
        _ => return Err(not_object()),
    };
    length(text.len(), 0, max)?;
    // Escaped NUL characters are as impossible to store as plain ones once a member is read out.
    if text.contains("\\u0000") {
        return Err(problem("must not contain a NUL character"));
    }
    rules(&members)?;
    Ok(Value::String(text))
}

fn whole(number: &Number) -> Option<i64> {
    number.as_i64().or_else(|| {
        // 3.0 is an integer in JSON; the range keeps the conversion exact.
        let float = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < 9.0e15)?;
        #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
        Some(float as i64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const CONFIG: &[Field] = &[
        Field::new("names", Kind::List { of: &Kind::text(8), min: 1, max: 3 })
            .required()
            .default("[\"apikey\"]"),
        Field::new("hide", Kind::Boolean).required().default("false"),
        Field::new("realm", Kind::text(8)),
    ];
    const SCHEMA: Schema = Schema {
        fields: &[
            Field::new("id", Kind::Uuid).immutable(),
            Field::new("name", Kind::text(8)).required(),
            Field::new("status", Kind::Integer { min: 0, max: 3 }).required().default("1"),
            Field::new("color", Kind::OneOf(&["red", "blue"])),
            Field::new("tags", Kind::Set { of: &Kind::text(8), max: 3 }),
            Field::new("config", Kind::Record(CONFIG)),
            Field::new("service", Kind::Reference),
            Field::new("meta", Kind::JsonText { max: 64, rules: |_| Ok(()) }),
            Field::read_only("created_at"),
        ],
    };

    fn input(members: Value, coerce: bool) -> Input {
        match members {
            Value::Object(members) => Input { members, coerce },
            _ => Input { members: Map::new(), coerce },
        }
    }

    fn inserted(members: Value, coerce: bool) -> Result<Value, Value> {
        SCHEMA.insert(input(members, coerce)).map(Value::Object).map_err(fields)
    }

    fn updated(members: Value, current: &Value) -> Result<Value, Value> {
        SCHEMA.update(input(members, false), current).map(Value::Object).map_err(fields)
    }

    fn fields(error: Error) -> Value {
        match error {
            Error::Schema(problems) => problems.to_value(),
            _ => Value::Null,
        }
    }

    #[test]
    fn each_kind_of_value_is_refused_with_its_message() {
        for (member, value, message) in [
            ("name", json!(1), json!("expected a string")),
            ("name", json!(""), json!("length must be at least 1")),
            ("name", json!("123456789"), json!("length must be at most 8")),
            ("name", json!("a\u{0}b"), json!("must not contain a NUL character")),
            ("status", json!("1"), json!("expected an integer")),
            ("status", json!(1.5), json!("expected an integer")),
            ("status", json!(4), json!("value should be between 0 and 3")),
            ("status", json!(-1), json!("value should be between 0 and 3")),
            ("id", json!(7), json!("expected a string")),
            ("id", json!("7"), json!("expected a valid UUID")),
            ("id", json!("{a82f9477-1a24-45b9-827c-23f1c1a7ebb3}"), json!("expected a valid UUID")),
            ("color", json!("green"), json!("expected one of: red, blue")),
            ("color", json!(1), json!("expected a string")),
            ("tags", json!("a"), json!("expected a set")),
            ("tags", json!([1]), json!(["expected a string"])),
            ("tags", json!(["a", 1, null]), json!([null, "expected a string", "required field missing"])),
            ("tags", json!(["a", "b", "c", "d"]), json!("length must be at most 3")),
            ("config", json!([]), json!("expected a record")),
            ("config", json!({"names": []}), json!({"names": "length must be at least 1"})),
            ("config", json!({"names": "a"}), json!({"names": "expected an array"})),
            ("config", json!({"hide": "true"}), json!({"hide": "expected a boolean"})),
            ("config", json!({"nope": 1}), json!({"nope": "unknown field"})),
            ("service", json!("x"), json!("expected a record")),
            ("service", json!({}), json!({"id": "required field missing"})),
            ("service", json!({"id": "x"}), json!({"id": "expected a valid UUID"})),
            ("service", json!({"nope": 1}), json!({"nope": "unknown field"})),
            (
                "service",
                json!({"id": "a82f9477-1a24-45b9-827c-23f1c1a7ebb3", "name": "x"}),
                json!("only one of 'id' and 'name' may be given"),
            ),
            ("meta", json!("no"), json!("expected a JSON object")),
            ("meta", json!([]), json!("expected a JSON object")),
            ("meta", json!({"a": "\u{0}"}), json!("must not contain a NUL character")),
            ("nope", json!(null), json!("unknown field")),
            ("created_at", json!(1), json!("read-only field cannot be set")),
        ] {
            let mut members = json!({"name": "x"});
            members[member] = value.clone();
            assert_eq!(inserted(members, false), Err(json!({member: message})), "{member}: {value}");
        }
    }

    #[test]
    fn all_problems_are_reported_at_once() {
        let problems = inserted(json!({"status": 9, "nope": 1, "config": {"hide": 1}}), false);
        let expected = json!({"name": "required field missing", "status": "value should be between 0 and 3",
            "nope": "unknown field", "config": {"hide": "expected a boolean"}});
        assert_eq!(problems, Err(expected));
    }

    #[test]
    fn an_insert_fills_defaults_and_leaves_out_what_has_no_value() {
        let entity = inserted(json!({"name": "x", "status": null, "tags": null, "config": {}}), false);
        let expected = json!({"name": "x", "status": 1, "config": {"names": ["apikey"], "hide": false}});
        assert_eq!(entity, Ok(expected));
    }

    #[test]
    fn the_strings_of_a_form_become_what_the_schema_wants() {
        let form = json!({"name": "12", "status": "3", "tags": "a", "config": {"hide": "true", "names": "k"}, "meta": "{\"a\":1}"});
        let expected = json!({"name": "12", "status": 3, "tags": ["a"], "config": {"hide": true, "names": ["k"]},
            "meta": "{\"a\":1}"});
        assert_eq!(inserted(form, true), Ok(expected));
        assert_eq!(
            inserted(json!({"name": "x", "status": "three", "config": {"hide": "yes"}}), true),
            Err(json!({"status": "expected an integer", "config": {"hide": "expected a boolean"}}))
        );
    }

    #[test]
    fn an_object_and_its_text_are_the_same_meta() {
        let object = inserted(json!({"name": "x", "meta": {"full_name": "Wally"}}), false);
        let text = inserted(json!({"name": "x", "meta": "{\"full_name\":\"Wally\"}"}), false);
        assert_eq!(object, text);
    }

    #[test]
    fn an_update_tells_absent_from_null_and_merges_records() {
        let current = json!({"id": "a82f9477-1a24-45b9-827c-23f1c1a7ebb3", "name": "x", "status": 0, "created_at": 5,
            "config": {"names": ["k"], "hide": true, "realm": "r"}});
        let cases = [
            (json!({}), Ok(json!({}))),
            (json!({"tags": null}), Ok(json!({"tags": null}))),
            (json!({"status": null}), Err(json!({"status": "required field missing"}))),
            (json!({"id": current["id"], "created_at": 5}), Ok(json!({}))),
            (
                json!({"id": "b82f9477-1a24-45b9-827c-23f1c1a7ebb3", "created_at": 6}),
                Err(
                    json!({"id": "immutable field cannot be updated", "created_at": "immutable field cannot be updated"}),
                ),
            ),
            (
                json!({"config": {"hide": false, "realm": null}}),
                Ok(json!({"config": {"names": ["k"], "hide": false, "realm": null}})),
            ),
            (json!({"nope": 1}), Err(json!({"nope": "unknown field"}))),
        ];
        for (members, expected) in cases {
            assert_eq!(updated(members.clone(), &current), expected, "{members}");
        }
    }

    #[test]
    fn a_set_keeps_each_value_once() {
        assert_eq!(
            inserted(json!({"name": "x", "tags": ["b", "a", "b"]}), false),
            Ok(json!({"name": "x", "status": 1, "tags": ["b", "a"]}))
        );
    }
}
