//! Labels: what operators write on things for themselves, names and values.

use std::collections::BTreeMap;

use super::rules::Invalid;

/// By name, at most [`LABELS_MAX`].
pub type Labels = BTreeMap<String, String>;

/// A change to labels: what is set, and with `None` what is taken away. The rest stays.
pub type LabelChanges = BTreeMap<String, Option<String>>;

/// Most labels of one thing.
pub const LABELS_MAX: usize = 50;

/// Longest name or value of a label, in bytes.
pub const LABEL_MAX: usize = 63;

/// No name may begin with one of these. Capitals are another matter: tools of the field write `KONGCTL-…`.
pub const RESERVED: [&str; 5] = ["kong", "konnect", "mesh", "kic", "_"];

/// What a name or value must match.
pub const PATTERN: &str = "^[a-z0-9A-Z]{1}([a-z0-9A-Z-._]*[a-z0-9A-Z]+)?$";

/// Letters, digits, `-`, `.` and `_`, beginning and ending with a letter or digit; 1 to [`LABEL_MAX`] of them.
pub fn is_label(text: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= LABEL_MAX
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(byte))
}

/// Whether a name begins as only the gateway's own labels may.
pub fn is_reserved(name: &str) -> bool {
    RESERVED.iter().any(|prefix| name.starts_with(prefix))
}

/// Makes a change to the labels of this name. What is too many only together is refused here.
pub fn change(field: &'static str, labels: &mut Labels, changes: LabelChanges) -> Result<(), Invalid> {
    for (name, value) in changes {
        match value {
            Some(value) => {
                labels.insert(name, value);
            }
            None => {
                labels.remove(&name);
            }
        }
    }
    if labels.len() <= LABELS_MAX {
        return Ok(());
    }
    Err(Invalid::new(field, format!("\"{field}\" must have at most {LABELS_MAX} labels")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_short_words_of_letters_and_digits() {
        for good in ["a", "a1", "A-b_c.9", &"x".repeat(63)] {
            assert!(is_label(good), "{good}");
        }
        for bad in ["", "-a", "a-", "a b", "ä", &"x".repeat(64)] {
            assert!(!is_label(bad), "{bad}");
        }
        assert!(is_reserved("kong-env") && is_reserved("_x") && !is_reserved("KONGCTL-namespace"));
    }
}
