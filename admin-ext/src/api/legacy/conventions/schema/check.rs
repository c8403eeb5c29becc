//! Holds input against a schema: each kind of value by its rule, everything that is wrong collected.

use std::collections::BTreeMap;

use serde_json::{Map, Number, Value};

use super::super::problems::Problems;
use super::super::texts;
use super::{Access, Checked, Field, Kind, TextCheck};
use crate::model::rules;

pub(super) struct Checker {
    /// The strings of a form stand for whatever the schema wants.
    pub(super) coerce: bool,
    /// Members that are not given stay as they are.
    pub(super) update: bool,
}

fn problem(text: impl Into<String>) -> Problems {
    Problems::Here(text.into())
}

fn missing() -> Problems {
    problem("required field missing")
}

impl Checker {
    pub(super) fn members(
        &self,
        fields: &[Field],
        mut given: Map<String, Value>,
        current: Option<&Map<String, Value>>,
    ) -> Checked {
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
        Checked { accepted, problems }
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
            Kind::Object { max } => object(value, *max),
            Kind::JsonText { max, check } => json_text(value, *max, *check),
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
                merged.extend(self.members(fields, given, Some(now)).accepted()?);
                merged
            }
            // There is nothing to merge with, so the record is made new.
            _ => Checker { update: false, ..*self }.members(fields, given, None).accepted()?,
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

fn object(value: Value, max: usize) -> Result<Value, Problems> {
    if !value.is_object() {
        return Err(problem("expected a record"));
    }
    let text = value.to_string();
    length(text.len(), 0, max)?;
    // PostgreSQL does not store it in any form.
    if text.contains("\\u0000") {
        return Err(problem("must not contain a NUL character"));
    }
    Ok(value)
}

fn json_text(value: Value, max: usize, check: TextCheck) -> Result<Value, Problems> {
    let text = match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    length(text.len(), 0, max)?;
    // Escaped NUL characters are as impossible to store as plain ones once a member is read out.
    if text.contains("\\u0000") {
        return Err(problem("must not contain a NUL character"));
    }
    check(&text).map_err(problem)?;
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
