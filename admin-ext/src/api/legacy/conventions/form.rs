//! Decodes form fields (`a.b=1`, `a[]=x`, `a[1]=x`, `a[key]=v`, repeated names) into the tree a JSON body would give.
//!
//! It knows nothing of entities: every leaf is a string or null, and the schema turns leaves into numbers, booleans and
//! lists. Whatever the input, the work and the depth of the result are bounded.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

/// Most fields of one form.
pub const FIELDS_MAX: usize = 1000;
/// Longest name of a field, in bytes.
const NAME_MAX: usize = 1024;
/// Deepest nesting that a name may express.
pub const DEPTH_MAX: usize = 16;

/// Why a form could not be decoded.
#[derive(Debug, PartialEq, Eq)]
pub enum FormError {
    TooManyFields,
    NameTooLong,
    TooDeep(String),
    /// One name is used as a value and as a group of values.
    Conflict(String),
}

impl fmt::Display for FormError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyFields => write!(f, "a form may have at most {FIELDS_MAX} fields"),
            Self::NameTooLong => write!(f, "a field's name may have at most {NAME_MAX} bytes"),
            Self::TooDeep(name) => write!(f, "field '{name}' is nested more than {DEPTH_MAX} levels deep"),
            Self::Conflict(name) => write!(f, "field '{name}' contradicts another field of the form"),
        }
    }
}

/// Decodes the fields of a form in the order in which they came.
pub fn decode<I>(fields: I) -> Result<Map<String, Value>, FormError>
where
    I: IntoIterator<Item = (String, String)>,
{
    let leaf = |value: String| if value.is_empty() { Value::Null } else { Value::String(value) };
    nest(fields.into_iter().map(|(name, value)| (name, leaf(value))))
}

/// Puts values where their names say.
pub fn nest(fields: impl IntoIterator<Item = (String, Value)>) -> Result<Map<String, Value>, FormError> {
    let mut root = BTreeMap::new();
    for (count, (name, value)) in fields.into_iter().enumerate() {
        if count >= FIELDS_MAX {
            return Err(FormError::TooManyFields);
        }
        if name.len() > NAME_MAX {
            return Err(FormError::NameTooLong);
        }
        let path = parse_name(&name);
        if path.len() > DEPTH_MAX {
            return Err(FormError::TooDeep(name));
        }
        let mut steps = path.into_iter();
        let Some(Step::Member(first)) = steps.next() else {
            return Err(FormError::Conflict(name));
        };
        insert(root.entry(first).or_insert(Node::Empty), steps, value)
            .map_err(|Contradiction| FormError::Conflict(name))?;
    }
    Ok(root.into_iter().map(|(name, node)| (name, node.into_value())).collect())
}

/// One step from a value to a value inside it.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Member(String),
    Position(u64),
    Append,
}

/// Splits a field's name into steps. A name that does not follow the notation is one literal name; the schema then says
/// that it does not know the field.
fn parse_name(name: &str) -> Vec<Step> {
    split_name(name).unwrap_or_else(|| vec![Step::Member(name.to_owned())])
}

fn split_name(name: &str) -> Option<Vec<Step>> {
    let end = name.find(['.', '[']).unwrap_or(name.len());
    let (first, mut rest) = name.split_at(end);
    if first.is_empty() || first.contains(']') {
        return None;
    }
    let mut steps = vec![Step::Member(first.to_owned())];
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let (member, tail) = after.split_at(end);
            if member.is_empty() || member.contains(']') {
                return None;
            }
            steps.push(Step::Member(member.to_owned()));
            rest = tail;
        } else {
            let (inside, tail) = rest.strip_prefix('[')?.split_once(']')?;
            steps.push(bracket(inside));
            rest = tail;
        }
    }
    Some(steps)
}

fn bracket(inside: &str) -> Step {
    if inside.is_empty() {
        Step::Append
    } else if let (true, Ok(position)) = (inside.bytes().all(|b| b.is_ascii_digit()), inside.parse()) {
        Step::Position(position)
    } else {
        Step::Member(inside.to_owned())
    }
}

/// A value while the form is read.
enum Node {
    Empty,
    Leaf(Value),
    Object(BTreeMap<String, Node>),
    /// By position; appended elements take the position after the last.
    List(BTreeMap<u64, Node>),
}

impl Node {
    fn into_value(self) -> Value {
        match self {
            Self::Empty => Value::Null,
            Self::Leaf(value) => value,
            Self::Object(members) => {
                Value::Object(members.into_iter().map(|(name, node)| (name, node.into_value())).collect())
            }
            // A lone empty element is the only way to write an empty list in a form.
            Self::List(elements) if elements.len() == 1 && elements.values().all(Node::is_null) => {
                Value::Array(Vec::new())
            }
            Self::List(elements) => Value::Array(elements.into_values().map(Node::into_value).collect()),
        }
    }

    fn is_null(&self) -> bool {
        matches!(self, Self::Empty | Self::Leaf(Value::Null))
    }
}

struct Contradiction;

fn insert(mut node: &mut Node, steps: impl Iterator<Item = Step>, leaf: Value) -> Result<(), Contradiction> {
    for step in steps {
        node = match step {
            Step::Member(name) => members(node)?.entry(name).or_insert(Node::Empty),
            Step::Position(position) => elements(node)?.entry(position).or_insert(Node::Empty),
            Step::Append => {
                let elements = elements(node)?;
                let position = next_position(elements)?;
                elements.entry(position).or_insert(Node::Empty)
            }
        };
    }
    match node {
        Node::Empty => *node = Node::Leaf(leaf),
        // A repeated name, or a plain name beside `name[]`, is a list.
        Node::Leaf(_) | Node::List(_) => {
            let elements = elements(node)?;
            let position = next_position(elements)?;
            elements.insert(position, Node::Leaf(leaf));
        }
        Node::Object(_) => return Err(Contradiction),
    }
    Ok(())
}

fn members(node: &mut Node) -> Result<&mut BTreeMap<String, Node>, Contradiction> {
    if matches!(node, Node::Empty) {
        *node = Node::Object(BTreeMap::new());
    }
    match node {
        Node::Object(members) => Ok(members),
        _ => Err(Contradiction),
    }
}

fn elements(node: &mut Node) -> Result<&mut BTreeMap<u64, Node>, Contradiction> {
    match std::mem::replace(node, Node::Empty) {
        Node::Empty => *node = Node::List(BTreeMap::new()),
        Node::Leaf(first) => *node = Node::List(BTreeMap::from([(1, Node::Leaf(first))])),
        other => *node = other,
    }
    match node {
        Node::List(elements) => Ok(elements),
        _ => Err(Contradiction),
    }
}

fn next_position(elements: &BTreeMap<u64, Node>) -> Result<u64, Contradiction> {
    match elements.last_key_value() {
        None => Ok(1),
        Some((last, _)) => last.checked_add(1).ok_or(Contradiction),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn decoded(form: &str) -> Result<Value, FormError> {
        let fields = url::form_urlencoded::parse(form.as_bytes()).into_owned();
        decode(fields).map(Value::Object)
    }

    #[test]
    fn every_notation_gives_the_tree_a_json_body_would_give() {
        for (form, tree) in [
            ("name=x", json!({"name": "x"})),
            ("name=", json!({"name": null})),
            ("name", json!({"name": null})),
            ("config.strategy=memory&config.ttl=3", json!({"config": {"strategy": "memory", "ttl": "3"}})),
            ("a.b.c=1", json!({"a": {"b": {"c": "1"}}})),
            ("emails[]=a%40x&emails[]=b%40x", json!({"emails": ["a@x", "b@x"]})),
            ("a[2]=y&a[1]=x", json!({"a": ["x", "y"]})),
            ("a=x&a=y&a=z", json!({"a": ["x", "y", "z"]})),
            ("a=x&a[]=y", json!({"a": ["x", "y"]})),
            ("a[1]=x&a[]=y", json!({"a": ["x", "y"]})),
            ("a[]=", json!({"a": []})),
            ("a[]=x&a[]=", json!({"a": ["x", null]})),
            ("labels[env]=dev&labels[team]=core", json!({"labels": {"env": "dev", "team": "core"}})),
            ("a[1].b=x&a[2].b=y", json!({"a": [{"b": "x"}, {"b": "y"}]})),
            ("config.names[]=x", json!({"config": {"names": ["x"]}})),
            ("meta={\"full_name\":\"Wally\"}", json!({"meta": "{\"full_name\":\"Wally\"}"})),
        ] {
            assert_eq!(decoded(form), Ok(tree), "{form}");
        }
    }

    #[test]
    fn a_name_outside_the_notation_is_taken_literally() {
        for name in ["a[", "a]", ".a", "a.", "a..b", "[]", "a[x", "[1]", "", "a[]b"] {
            let tree = decode([(name.to_owned(), "v".to_owned())]);
            assert_eq!(tree, Ok(Map::from_iter([(name.to_owned(), json!("v"))])), "{name}");
        }
    }

    #[test]
    fn a_name_cannot_be_a_value_and_a_group_at_once() {
        for form in
            ["a=1&a.b=2", "a.b=2&a=1", "a[]=1&a.b=2", "a[x]=1&a[]=2", "a[18446744073709551615]=1&a[]=2"]
        {
            assert!(matches!(decoded(form), Err(FormError::Conflict(_))), "{form}");
        }
    }

    #[test]
    fn limits_are_refused_with_the_limit_named() {
        let many = (0..=FIELDS_MAX).map(|i| (format!("f{i}"), String::new()));
        assert_eq!(decode(many), Err(FormError::TooManyFields));
        let deep = vec!["a"; DEPTH_MAX + 1].join(".");
        assert_eq!(decode([(deep.clone(), "x".into())]), Err(FormError::TooDeep(deep)));
        assert_eq!(decode([("a".repeat(NAME_MAX + 1), "x".into())]), Err(FormError::NameTooLong));
    }

    fn depth(value: &Value) -> usize {
        match value {
            Value::Array(elements) => 1 + elements.iter().map(depth).max().unwrap_or(0),
            Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
            _ => 0,
        }
    }

    proptest! {
        #[test]
        fn any_form_is_decoded_or_refused_within_bounds(fields in prop::collection::vec(("[ab.\\[\\]019]{0,24}", "[xy]{0,2}"), 0..24)) {
            let count = fields.len();
            if let Ok(tree) = decode(fields) {
                let tree = Value::Object(tree);
                // A repeated name adds one level of list below the name's own depth.
                prop_assert!(depth(&tree) <= DEPTH_MAX + 1);
                prop_assert!(tree.as_object().is_some_and(|members| members.len() <= count));
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(url::form_urlencoded::parse(&bytes).into_owned());
        }
    }
}
