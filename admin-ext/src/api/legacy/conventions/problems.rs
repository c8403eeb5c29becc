//! Everything that is wrong with one input, nested like the input, so that a caller can mend it all at once.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Where `fields` puts what is wrong with the entity as a whole; sorts before every member.
const ENTITY: &str = "@entity";

/// What is wrong with a value: itself, or some of the values inside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problems {
    Here(String),
    Members(BTreeMap<String, Problems>),
    /// By position; `None` where an element is as it should be.
    Elements(Vec<Option<Problems>>),
}

impl Problems {
    /// One member is wrong.
    pub fn member(name: &str, problem: impl Into<String>) -> Self {
        Self::Members(BTreeMap::from([(name.to_owned(), Self::Here(problem.into()))]))
    }

    /// The entity as a whole is wrong, not one of its members.
    pub fn entity(problem: impl Into<String>) -> Self {
        let problems = Self::Elements(vec![Some(Self::Here(problem.into()))]);
        Self::Members(BTreeMap::from([(ENTITY.to_owned(), problems)]))
    }

    /// These and others. Where both say something of one member, these count.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Members(mut ours), Self::Members(theirs)) => {
                for (name, problem) in theirs {
                    ours.entry(name).or_insert(problem);
                }
                Self::Members(ours)
            }
            (ours, _) => ours,
        }
    }

    /// The member at a dotted path is wrong.
    pub fn at(path: &str, problem: impl Into<String>) -> Self {
        path.rsplit('.').fold(Self::Here(problem.into()), |inner, name| {
            Self::Members(BTreeMap::from([(name.to_owned(), inner)]))
        })
    }

    /// The `fields` of the error object.
    pub fn to_value(&self) -> Value {
        match self {
            Self::Here(problem) => json!(problem),
            Self::Members(members) => {
                members.iter().map(|(name, inner)| (name.clone(), inner.to_value())).collect()
            }
            Self::Elements(elements) => {
                elements.iter().map(|element| element.as_ref().map_or(Value::Null, Self::to_value)).collect()
            }
        }
    }

    /// The `message` of the error object: how many violations, and each with its path.
    pub fn summary(&self) -> String {
        let mut lines = Vec::new();
        self.collect("", &mut lines);
        match lines.as_slice() {
            [one] => format!("schema violation ({one})"),
            several => format!("{} schema violations ({})", several.len(), several.join("; ")),
        }
    }

    fn collect(&self, path: &str, lines: &mut Vec<String>) {
        match self {
            Self::Here(problem) if path.is_empty() => lines.push(problem.clone()),
            Self::Here(problem) => lines.push(format!("{path}: {problem}")),
            Self::Members(members) => {
                for (name, inner) in members {
                    if name == ENTITY {
                        if let Self::Elements(elements) = inner {
                            elements.iter().flatten().for_each(|inner| inner.collect(path, lines));
                        }
                        continue;
                    }
                    inner.collect(&join(path, name), lines);
                }
            }
            Self::Elements(elements) => {
                for (index, element) in elements.iter().enumerate() {
                    if let Some(inner) = element {
                        inner.collect(&join(path, &(index + 1).to_string()), lines);
                    }
                }
            }
        }
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_violations_are_counted_sorted_and_named_by_path() {
        let problems = Problems::Members(BTreeMap::from([
            ("name".to_owned(), Problems::Here("expected a string".into())),
            ("key_auth".to_owned(), Problems::member("key_names", "expected an array")),
            ("email".to_owned(), Problems::Here("required field missing".into())),
            ("uris".to_owned(), Problems::Elements(vec![None, Some(Problems::Here("bad".into()))])),
        ]));
        assert_eq!(
            problems.summary(),
            "4 schema violations (email: required field missing; key_auth.key_names: expected an array; \
             name: expected a string; uris.2: bad)"
        );
        assert_eq!(
            problems.to_value(),
            json!({"email": "required field missing", "key_auth": {"key_names": "expected an array"},
                "name": "expected a string", "uris": [null, "bad"]})
        );
    }

    #[test]
    fn a_problem_of_the_whole_entity_has_no_path() {
        let problems = Problems::entity("at most 3 credentials");
        assert_eq!(problems.summary(), "schema violation (at most 3 credentials)");
        assert_eq!(problems.to_value(), json!({"@entity": ["at most 3 credentials"]}));
    }

    #[test]
    fn a_dotted_path_is_nested() {
        let problems = Problems::at("key_auth.realm", "too long");
        assert_eq!(problems.summary(), "schema violation (key_auth.realm: too long)");
        assert_eq!(problems.to_value(), json!({"key_auth": {"realm": "too long"}}));
    }
}
