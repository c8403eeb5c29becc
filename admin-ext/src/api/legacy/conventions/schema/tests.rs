//! What input becomes and with which words it is refused, kind by kind.

use super::super::texts;
use super::*;
use serde_json::json;

const CONFIG: &[Field] = &[
    Field::new("names", Kind::List { of: &Kind::text(8), min: 1, max: 3 }).required().default("[\"apikey\"]"),
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
        Field::new("meta", Kind::JsonText { max: 64, check: texts::json_object }),
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

#[test]
fn a_rule_of_the_caller_is_told_with_the_others_and_never_hides_one() {
    let mut checked = SCHEMA.check_insert(input(json!({"status": 9, "color": "red"}), false));
    assert_eq!((checked.get("color"), checked.get("status")), (Some(&json!("red")), None));
    for member in ["color", "status"] {
        checked.refuse(member, Problems::Here("not today".into()));
    }
    let expected = json!({"name": "required field missing", "status": "value should be between 0 and 3",
        "color": "not today"});
    assert_eq!(checked.finish().map_err(fields), Err(expected));
}
