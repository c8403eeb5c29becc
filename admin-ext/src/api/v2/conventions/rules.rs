//! What a body may be, written down once: bodies are held against it and the OpenAPI document is made from it.

use serde_json::{Map, Value, json};
use url::Url;
use utoipa::openapi::{RefOr, Schema};

use super::json::set;
use super::problem::{Detail, Parameter, Source};
use crate::model::labels;

/// An object.
#[derive(Debug)]
pub struct Object {
    pub members: &'static [Member],
    /// Members that are not named here are taken as they are.
    pub open: bool,
}

/// A member of an object.
#[derive(Debug)]
pub struct Member {
    pub name: &'static str,
    pub about: &'static str,
    pub rule: Rule,
    required: bool,
    nullable: bool,
    /// Taken in requests and never shown.
    secret: bool,
}

/// What a member's value must be.
#[derive(Debug)]
pub enum Rule {
    /// So many characters.
    Text {
        min: u64,
        max: u64,
    },
    /// A text of these characters only.
    Pattern {
        min: u64,
        max: u64,
        pattern: &'static str,
        fits: fn(&str) -> bool,
    },
    /// An absolute http or https URL, without a password: what is shown to everybody holds no secret.
    Url {
        max: u64,
    },
    Hostname {
        max: u64,
    },
    Email {
        max: u64,
    },
    Uuid,
    /// RFC 3339.
    Time,
    Boolean,
    Integer {
        min: i64,
        max: i64,
    },
    Choice(&'static [&'static str]),
    List {
        of: &'static Rule,
        min: u64,
        max: u64,
    },
    /// One of something, or a list of at most so many.
    OneOrMany {
        of: &'static Rule,
        max: u64,
    },
    Object(&'static Object),
    /// An object by any names.
    Map(&'static Rule),
    /// Null, or this.
    OrNull(&'static Rule),
    /// Exactly one of these members.
    OneOf(&'static [(&'static str, &'static Object)]),
    /// One of these objects. Which one is for the resource to know, and to check.
    AnyOf(&'static [&'static Object]),
    /// Names and values; see [`labels`].
    Labels,
    /// Names and values; null takes one away.
    LabelChanges,
}

impl Member {
    /// One that may be absent.
    pub const fn new(name: &'static str, rule: Rule, about: &'static str) -> Self {
        Self { name, about, rule, required: false, nullable: false, secret: false }
    }

    pub const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    pub const fn nullable(self) -> Self {
        Self { nullable: true, ..self }
    }

    pub const fn secret(self) -> Self {
        Self { secret: true, ..self }
    }
}

/// One of several objects, told apart by one of their members.
#[derive(Debug)]
pub struct Union {
    pub tag: &'static str,
    pub variants: &'static [(&'static str, &'static Object)],
}

impl Union {
    /// Everything that is wrong with a body.
    pub fn check(&self, body: &Map<String, Value>, wrong: &mut Vec<Parameter>) {
        let names: Vec<_> = self.variants.iter().map(|(name, _)| *name).collect();
        match body.get(self.tag) {
            None => wrong.push(missing(self.tag)),
            Some(Value::String(given)) => match self.variants.iter().find(|(name, _)| name == given) {
                Some((_, object)) => object.check(body, "", wrong),
                None => wrong.push(not_one_of(self.tag, &names)),
            },
            Some(_) => wrong.push(not_a(self.tag, "is_string", "a utf-8 string")),
        }
    }

    /// As OpenAPI has it.
    pub fn openapi(&self) -> RefOr<Schema> {
        let variants: Vec<_> = self.variants.iter().map(|(_, object)| object.json()).collect();
        schema(json!({"oneOf": variants}))
    }
}

impl Object {
    pub const fn closed(members: &'static [Member]) -> Self {
        Self { members, open: false }
    }

    pub const fn open(members: &'static [Member]) -> Self {
        Self { members, open: true }
    }

    /// Everything that is wrong with a body. `prefix` is empty, or the path of the object.
    pub fn check(&self, body: &Map<String, Value>, prefix: &str, wrong: &mut Vec<Parameter>) {
        let path = |name: &str| if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") };
        for member in self.members {
            match body.get(member.name) {
                None if member.required => wrong.push(missing(&path(member.name))),
                Some(Value::Null) if member.nullable => {}
                None => {}
                Some(value) => member.rule.check(value, &path(member.name), wrong),
            }
        }
        if !self.open {
            let known = |name: &str| self.members.iter().any(|member| member.name == name);
            let unknown = body.keys().filter(|name| !known(name));
            wrong.extend(unknown.map(|name| Parameter::unknown(Source::Body, &path(name))));
        }
    }

    /// As OpenAPI has it.
    pub fn openapi(&self) -> RefOr<Schema> {
        schema(self.json())
    }

    fn json(&self) -> Value {
        let properties: Map<_, _> =
            self.members.iter().map(|member| (member.name.to_owned(), member.json())).collect();
        let required: Vec<_> =
            self.members.iter().filter(|member| member.required).map(|member| member.name).collect();
        let mut json = json!({"type": "object", "properties": properties});
        if !required.is_empty() {
            set(&mut json, "required", required);
        }
        set(&mut json, "additionalProperties", self.open);
        json
    }
}

impl Member {
    fn json(&self) -> Value {
        let mut json = self.rule.json();
        if !self.about.is_empty() {
            set(&mut json, "description", self.about);
        }
        if self.nullable {
            json = nullable(json);
        }
        if self.secret {
            set(&mut json, "writeOnly", true);
        }
        json
    }
}

fn nullable(mut json: Value) -> Value {
    match json.get("type").cloned() {
        Some(Value::String(kind)) => {
            set(&mut json, "type", json!([kind, "null"]));
            json
        }
        _ => json!({"oneOf": [json, {"type": "null"}]}),
    }
}

fn schema(json: Value) -> RefOr<Schema> {
    // Everything above makes schemas; a test reads every one of them.
    serde_json::from_value(json).unwrap_or_else(|_| RefOr::T(Schema::default()))
}

impl Rule {
    fn check(&self, value: &Value, field: &str, wrong: &mut Vec<Parameter>) {
        match self {
            Self::Boolean => match value {
                Value::Bool(_) => {}
                _ => wrong.push(not_a(field, "is_boolean", "true or false")),
            },
            Self::Integer { min, max } => match value.as_i64() {
                None => wrong.push(not_a(field, "is_integer", "an integer")),
                Some(number) if !(min..=max).contains(&&number) => {
                    let reason = format!("value of \"{field}\" must be between {min} and {max}");
                    wrong.push(Parameter::body(field, "invalid", reason));
                }
                Some(_) => {}
            },
            Self::List { of, min, max } => check_list(value, field, (of, *min, *max), wrong),
            Self::OneOrMany { of, max } => match value {
                Value::Array(_) => check_list(value, field, (of, 0, *max), wrong),
                one => of.check(one, field, wrong),
            },
            Self::Object(object) => match value {
                Value::Object(members) => object.check(members, field, wrong),
                _ => wrong.push(not_an_object(field)),
            },
            Self::Map(rule) => match value {
                Value::Object(members) => {
                    for (name, value) in members {
                        rule.check(value, &format!("{field}.{name}"), wrong);
                    }
                }
                _ => wrong.push(not_an_object(field)),
            },
            Self::OrNull(rule) => {
                if !value.is_null() {
                    rule.check(value, field, wrong);
                }
            }
            Self::OneOf(variants) => check_one_of(value, field, variants, wrong),
            Self::AnyOf(_) if !value.is_object() => wrong.push(not_an_object(field)),
            Self::AnyOf(_) => {}
            Self::Labels => check_labels(value, field, false, wrong),
            Self::LabelChanges => check_labels(value, field, true, wrong),
            _ => match value.as_str() {
                Some(text) => self.check_text(text, field, wrong),
                None => wrong.push(not_a(field, "is_string", "a utf-8 string")),
            },
        }
    }

    fn check_text(&self, text: &str, field: &str, wrong: &mut Vec<Parameter>) {
        let range = match self {
            Self::Text { min, max } | Self::Pattern { min, max, .. } => Some((*min, *max)),
            Self::Url { max } => Some((0, *max)),
            Self::Hostname { max } | Self::Email { max } => Some((1, *max)),
            _ => None,
        };
        if let Some((min, max)) = range
            && !check_length(text, field, min, max, wrong)
        {
            return;
        }
        match self {
            Self::Text { .. } if text.contains('\0') => {
                let reason = format!("value of \"{field}\" must not contain NUL characters");
                wrong.push(Parameter::body(field, "invalid", reason));
            }
            Self::Pattern { pattern, fits, .. } if !fits(text) => {
                let reason = format!("{field} must match /{pattern}/ regular expression");
                wrong.push(Parameter::body(field, "matches_regex", reason));
            }
            Self::Url { .. } if !is_url(text) => {
                wrong.push(Parameter::body(field, "invalid", format!("\"{field}\" must be a valid URL")));
            }
            Self::Hostname { .. } if !is_hostname(text) => {
                let reason = format!("\"{field}\" must be a host name");
                wrong.push(Parameter::body(field, "is_fqdn", reason));
            }
            Self::Email { .. } if crate::model::Email::parse(text).is_err() => {
                let reason = format!("\"{field}\" must be a valid e-mail address");
                wrong.push(Parameter::body(field, "invalid", reason));
            }
            Self::Uuid if text.len() != 36 || text.parse::<uuid::Uuid>().is_err() => {
                wrong.push(Parameter::body(field, "is_uuid", format!("\"{field}\" must be a valid UUID")));
            }
            Self::Time if text.parse::<jiff::Timestamp>().is_err() => {
                let reason = format!("\"{field}\" must be a time like 2026-01-31T12:00:00Z");
                wrong.push(Parameter::body(field, "is_date_time", reason));
            }
            Self::Choice(choices) if !choices.contains(&text) => wrong.push(not_one_of(field, choices)),
            _ => {}
        }
    }

    /// As OpenAPI has it.
    fn json(&self) -> Value {
        let text = |min: &u64, max: &u64| {
            let mut json = json!({"type": "string", "maxLength": max});
            if *min > 0 {
                set(&mut json, "minLength", *min);
            }
            json
        };
        let with = |mut json: Value, name: &str, value: Value| {
            set(&mut json, name, value);
            json
        };
        match self {
            Self::Boolean => json!({"type": "boolean"}),
            Self::Integer { min, max } => json!({"type": "integer", "minimum": min, "maximum": max}),
            Self::List { of, min, max } => {
                let mut json = json!({"type": "array", "items": of.json(), "maxItems": max});
                if *min > 0 {
                    set(&mut json, "minItems", *min);
                }
                json
            }
            Self::OneOrMany { of, max } => {
                json!({"oneOf": [of.json(), {"type": "array", "items": of.json(), "maxItems": max}]})
            }
            Self::Object(object) => object.json(),
            Self::Map(rule) => json!({"type": "object", "additionalProperties": rule.json()}),
            Self::OrNull(rule) => nullable(rule.json()),
            Self::OneOf(variants) => {
                let variant = |(name, object): &(&str, &Object)| {
                    json!({"type": "object", "required": [name], "additionalProperties": false,
                        "properties": {(*name): object.json()}})
                };
                json!({"oneOf": variants.iter().map(variant).collect::<Vec<_>>()})
            }
            Self::AnyOf(variants) => {
                json!({"anyOf": variants.iter().map(|object| object.json()).collect::<Vec<_>>()})
            }
            Self::Labels | Self::LabelChanges => {
                let value = json!({"type": "string", "minLength": 1, "maxLength": labels::LABEL_MAX,
                    "pattern": labels::PATTERN});
                let value = if matches!(self, Self::LabelChanges) { nullable(value) } else { value };
                json!({"type": "object", "maxProperties": labels::LABELS_MAX, "additionalProperties": value})
            }
            Self::Text { min, max } => text(min, max),
            Self::Pattern { min, max, pattern, .. } => with(text(min, max), "pattern", (*pattern).into()),
            Self::Url { max } => with(text(&0, max), "format", "url".into()),
            Self::Hostname { max } => with(text(&1, max), "format", "hostname".into()),
            Self::Email { max } => with(text(&1, max), "format", "email".into()),
            Self::Uuid => json!({"type": "string", "format": "uuid"}),
            Self::Time => json!({"type": "string", "format": "date-time"}),
            Self::Choice(choices) => json!({"type": "string", "enum": choices}),
        }
    }
}

/// Absolute, of the web, and without a user's name or password.
fn is_url(text: &str) -> bool {
    let written_so = !text.contains(|c: char| c.is_control() || c.is_whitespace());
    let is_web = |url: Url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
    };
    written_so && Url::parse(text).is_ok_and(is_web)
}

fn is_hostname(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    text.split('.').all(label)
}

/// Whether it is as long as it may be.
fn check_length(text: &str, field: &str, min: u64, max: u64, wrong: &mut Vec<Parameter>) -> bool {
    let length = text.chars().count() as u64;
    if length < min {
        let reason = format!("{field} must be longer than or equal to {min} characters");
        let detail = Detail::Minimum(min);
        wrong.push(Parameter { detail, ..Parameter::body(field, "min_length", reason) });
    } else if length > max {
        let reason = format!("value of \"{field}\" must not exceed {max} characters");
        wrong.push(Parameter::body(field, "max_length", reason));
    }
    (min..=max).contains(&length)
}

fn check_list(value: &Value, field: &str, (of, min, max): (&Rule, u64, u64), wrong: &mut Vec<Parameter>) {
    let Value::Array(items) = value else {
        wrong.push(Parameter::body(field, "is_array", format!("\"{field}\" must be an array")));
        return;
    };
    let length = items.len() as u64;
    if length < min {
        let reason = format!("\"{field}\" must have at least {min} items");
        let detail = Detail::Minimum(min);
        wrong.push(Parameter { detail, ..Parameter::body(field, "min_length", reason) });
    } else if length > max {
        let reason = format!("\"{field}\" must have at most {max} items");
        wrong.push(Parameter::body(field, "max_length", reason));
        return;
    }
    for (place, item) in items.iter().enumerate() {
        of.check(item, &format!("{field}[{place}]"), wrong);
    }
}

fn check_one_of(
    value: &Value,
    field: &str,
    variants: &[(&'static str, &Object)],
    wrong: &mut Vec<Parameter>,
) {
    let Value::Object(members) = value else {
        wrong.push(not_an_object(field));
        return;
    };
    let names: Vec<_> = variants.iter().map(|(name, _)| *name).collect();
    let given: Vec<_> = variants.iter().filter(|(name, _)| members.contains_key(*name)).collect();
    match given.as_slice() {
        [(name, object)] => match members.get(*name) {
            Some(Value::Object(inner)) => object.check(inner, &format!("{field}.{name}"), wrong),
            _ => wrong.push(not_an_object(&format!("{field}.{name}"))),
        },
        [] => wrong.push(not_one_of(field, &names)),
        [_, ..] => {
            let reason = format!("\"{field}\" must have exactly one of {}", names.join(", "));
            wrong.push(Parameter::body(field, "invalid", reason));
        }
    }
    let unknown = members.keys().filter(|name| !names.contains(&name.as_str()));
    wrong.extend(unknown.map(|name| Parameter::unknown(Source::Body, &format!("{field}.{name}"))));
}

fn check_labels(value: &Value, field: &str, nullable: bool, wrong: &mut Vec<Parameter>) {
    let Value::Object(members) = value else {
        wrong.push(not_an_object(field));
        return;
    };
    if members.len() > labels::LABELS_MAX {
        let reason = format!("\"{field}\" must have at most {} labels", labels::LABELS_MAX);
        wrong.push(Parameter::body(field, "max_length", reason));
        return;
    }
    for (name, value) in members {
        let field = format!("{field}.{name}");
        if !labels::is_label(name) || labels::is_reserved(name) {
            let reason = format!(
                "a label's name has 1 to {} letters, digits, '-', '.' and '_', begins and ends with a letter or digit, \
                 and begins with none of {}",
                labels::LABEL_MAX,
                labels::RESERVED.join(", ")
            );
            wrong.push(Parameter::body(&field, "is_label", reason));
        }
        match value {
            Value::Null if nullable => {}
            Value::String(text) if labels::is_label(text) => {}
            Value::String(text) if text.chars().count() > labels::LABEL_MAX => {
                let reason = format!("value of \"{field}\" must not exceed {} characters", labels::LABEL_MAX);
                wrong.push(Parameter::body(&field, "max_length", reason));
            }
            Value::String(_) => {
                let reason = format!("{field} must match /{}/ regular expression", labels::PATTERN);
                wrong.push(Parameter::body(&field, "is_label", reason));
            }
            _ => wrong.push(not_a(&field, "is_string", "a utf-8 string")),
        }
    }
}

fn missing(field: &str) -> Parameter {
    Parameter::body(field, "required", format!("\"{field}\" is required"))
}

fn not_a(field: &str, rule: &'static str, what: &str) -> Parameter {
    Parameter::body(field, rule, format!("value of \"{field}\" must be {what}"))
}

fn not_an_object(field: &str) -> Parameter {
    Parameter::body(field, "is_object", format!("\"{field}\" must be an object"))
}

fn not_one_of(field: &str, choices: &[&str]) -> Parameter {
    let reason = format!("must be one of [{}]", choices.join(", "));
    let detail = Detail::Choices(choices.iter().map(|choice| (*choice).into()).collect());
    Parameter { detail, ..Parameter::body(field, "enum", reason) }
}
