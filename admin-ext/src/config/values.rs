//! From the text of a setting to its value, with an error that names the setting and never shows a secret.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::settings::Text;
use crate::model::PlainSecret;

/// A setting that cannot be used, by its name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct ConfigError {
    key: String,
    reason: String,
}

pub(super) fn wrong(key: &str, reason: impl Into<String>) -> ConfigError {
    ConfigError { key: key.to_owned(), reason: reason.into() }
}

/// One setting: its name, and what it was set to.
pub(super) struct Value {
    key: &'static str,
    text: Option<String>,
}

/// The setting of that name.
macro_rules! value {
    ($settings:ident . $name:ident) => {
        crate::config::values::Value::new(stringify!($name), $settings.$name.as_ref())
    };
}
pub(super) use value;

impl Value {
    pub fn new(key: &'static str, text: Option<&Text>) -> Self {
        Self { key, text: text.map(|Text(text)| text.clone()) }
    }

    pub fn text(self) -> Option<String> {
        self.text
    }

    pub fn secret(self) -> Option<PlainSecret> {
        self.text.map(PlainSecret::new)
    }

    /// What `read` makes of the text; its error is the reason.
    pub fn read<T, E: Display>(
        self,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, ConfigError> {
        self.text.map(|text| read(&text).map_err(|error| wrong(self.key, error.to_string()))).transpose()
    }

    /// A value with a notation of its own, like an address.
    pub fn parsed<T: FromStr>(self, default: T, expected: &str) -> Result<T, ConfigError> {
        let parsed = self.read(|text| text.parse().map_err(|_| format!("expected {expected}, got '{text}'")));
        Ok(parsed?.unwrap_or(default))
    }

    /// `true` or `false`; also `on` and `off`, as Kong's configuration has them.
    pub fn truth(self, default: bool) -> Result<bool, ConfigError> {
        self.one_of(default, &[("true", true), ("false", false), ("on", true), ("off", false)])
    }

    pub fn count(self, default: u64, range: RangeInclusive<u64>) -> Result<u64, ConfigError> {
        let parsed = self.read(|text| match text.parse() {
            Ok(count) if range.contains(&count) => Ok(count),
            _ => Err(format!("expected a number from {} to {}, got '{text}'", range.start(), range.end())),
        });
        Ok(parsed?.unwrap_or(default))
    }

    /// One of a few words.
    pub fn one_of<T: Copy>(self, default: T, choices: &[(&str, T)]) -> Result<T, ConfigError> {
        let parsed = self.read(|text| {
            let chosen = choices.iter().find(|(name, _)| *name == text);
            chosen.map(|(_, value)| *value).ok_or_else(|| {
                let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
                format!("expected one of {}, got '{text}'", names.join(", "))
            })
        });
        Ok(parsed?.unwrap_or(default))
    }
}
