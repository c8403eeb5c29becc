//! Plugins of a developer: what Kong does to the requests of the developer's consumer. What a plugin's configuration
//! may hold is for Kong to say; here it is a bounded record.

use std::fmt;
use std::str::FromStr;

use app_auth_core::ids::DeveloperId;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::Update;
use super::ambient::Timestamp;
use super::rules::{self, Invalid};

/// Most plugins of one developer.
pub const PLUGINS_MAX: u64 = 100;
/// Longest configuration, in bytes of JSON.
pub const CONFIG_MAX: usize = 65_536;
/// Longest name of a plugin, in bytes.
pub const PLUGIN_NAME_MAX: usize = 128;

/// What a plugin handles unless it says otherwise.
const PROTOCOLS: [&str; 4] = ["grpc", "grpcs", "http", "https"];

/// Plugins that find out who the consumer is, or that come before anyone knows: no Kong lets a consumer have one.
const NEVER_OF_A_CONSUMER: [&str; 19] = [
    "acl",
    "acme",
    "application-registration",
    "basic-auth",
    "cors",
    "hmac-auth",
    "jwt",
    "key-auth",
    "key-auth-enc",
    "konnect-application-auth",
    "ldap-auth",
    "ldap-auth-advanced",
    "mtls-auth",
    "oauth2",
    "oauth2-introspection",
    "openid-connect",
    "saml",
    "session",
    "vault-auth",
];

/// Names a plugin, here and in Kong.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PluginId(pub Uuid);

impl PluginId {
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for PluginId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for PluginId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plugin {
    pub id: PluginId,
    pub developer: DeveloperId,
    /// Which plugin; a developer has one of a name.
    pub name: String,
    /// The operator's own name for it, unique among all plugins.
    pub instance_name: Option<String>,
    pub enabled: bool,
    /// Absent: the plugin's own default.
    pub protocols: Option<Vec<String>>,
    /// What the operator set, and nothing else; null where they unset something.
    pub given: Map<String, Value>,
    /// Something in `given` is the text of a form, and only the plugin's schema can tell what it stands for.
    pub textual: bool,
    /// The configuration as Kong answered it, defaults included.
    pub answered: Option<Map<String, Value>>,
    pub tags: Vec<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Plugin {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        rules::text("name", &self.name, PLUGIN_NAME_MAX)?;
        if NEVER_OF_A_CONSUMER.contains(&self.name.as_str()) {
            return Err(Invalid::new("consumer", "value must be null"));
        }
        rules::optional_text("instance_name", self.instance_name.as_deref(), rules::NAME_MAX)?;
        rules::list("protocols", self.protocols.as_deref().unwrap_or_default(), rules::NAME_MAX)?;
        rules::list("tags", &self.tags, rules::NAME_MAX)?;
        if Value::Object(self.given.clone()).to_string().len() > CONFIG_MAX {
            return Err(Invalid::new("config", format!("length must be at most {CONFIG_MAX}")));
        }
        Ok(())
    }

    /// The configuration that holds, as far as it is known.
    pub fn config(&self) -> Map<String, Value> {
        self.answered.clone().unwrap_or_else(|| without_nulls(&self.given))
    }

    /// The protocols that hold, as far as they are known.
    pub fn protocols(&self) -> Vec<String> {
        self.protocols.clone().unwrap_or_else(|| PROTOCOLS.map(str::to_owned).to_vec())
    }

    /// Takes over what Kong made of it.
    pub(crate) fn take(&mut self, answer: PluginAnswer) {
        self.given = answer.given;
        self.textual = false;
        self.answered = Some(answer.config);
        self.protocols = answer.protocols.or_else(|| self.protocols.take());
    }
}

/// What Kong made of a plugin.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PluginAnswer {
    /// What the operator set, each value of the type the plugin's schema has for it.
    pub given: Map<String, Value>,
    /// The whole configuration.
    pub config: Map<String, Value>,
    pub protocols: Option<Vec<String>>,
}

/// A plugin to be made.
#[derive(Clone, Debug)]
pub struct NewPlugin {
    /// Absent: a random one.
    pub id: Option<PluginId>,
    pub name: String,
    pub instance_name: Option<String>,
    pub enabled: bool,
    pub protocols: Option<Vec<String>>,
    pub config: Map<String, Value>,
    /// The configuration came as a form.
    pub textual: bool,
    pub tags: Vec<String>,
}

impl NewPlugin {
    /// With everything else as the plugin itself has it.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            id: None,
            name: name.into(),
            instance_name: None,
            enabled: true,
            protocols: None,
            config: Map::new(),
            textual: false,
            tags: Vec::new(),
        }
    }
}

/// A change to a plugin; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct PluginPatch {
    pub instance_name: Update<String>,
    pub enabled: Option<bool>,
    pub protocols: Update<Vec<String>>,
    /// Member by member: records are merged, everything else is replaced, null unsets.
    pub config: Update<Map<String, Value>>,
    /// The configuration came as a form.
    pub textual: bool,
    pub tags: Update<Vec<String>>,
}

impl PluginPatch {
    pub(crate) fn apply(self, plugin: &mut Plugin) {
        self.instance_name.apply(&mut plugin.instance_name);
        plugin.enabled = self.enabled.unwrap_or(plugin.enabled);
        self.protocols.apply(&mut plugin.protocols);
        match self.config {
            Update::Keep => {}
            Update::Clear => {
                plugin.given.clear();
                plugin.textual = false;
                plugin.answered = None;
            }
            Update::Set(changes) => {
                if let Some(answered) = &mut plugin.answered {
                    // What Kong will make of it is not known; so far this is the best guess.
                    merge(answered, &changes);
                    *answered = without_nulls(answered);
                }
                merge(&mut plugin.given, &changes);
                plugin.textual |= self.textual;
            }
        }
        match self.tags {
            Update::Keep => {}
            Update::Clear => plugin.tags.clear(),
            Update::Set(tags) => plugin.tags = tags,
        }
    }
}

/// Writes changes into a record: records are merged, everything else is replaced.
fn merge(record: &mut Map<String, Value>, changes: &Map<String, Value>) {
    for (name, change) in changes {
        match (record.get_mut(name), change) {
            (Some(Value::Object(inner)), Value::Object(changes)) => merge(inner, changes),
            _ => {
                record.insert(name.clone(), change.clone());
            }
        }
    }
}

fn without_nulls(record: &Map<String, Value>) -> Map<String, Value> {
    let kept = record.iter().filter(|(_, value)| !value.is_null());
    kept.map(|(name, value)| match value {
        Value::Object(inner) => (name.clone(), Value::Object(without_nulls(inner))),
        other => (name.clone(), other.clone()),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(value: Value) -> Map<String, Value> {
        serde_json::from_value(value).unwrap()
    }

    fn plugin(given: Value, answered: Option<Value>) -> Plugin {
        Plugin {
            id: PluginId(Uuid::nil()),
            developer: DeveloperId(Uuid::nil()),
            name: "proxy-cache".into(),
            instance_name: None,
            enabled: true,
            protocols: None,
            given: record(given),
            textual: false,
            answered: answered.map(record),
            tags: Vec::new(),
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
        }
    }

    fn patch(config: Value) -> PluginPatch {
        PluginPatch { config: Update::Set(record(config)), ..PluginPatch::default() }
    }

    #[test]
    fn changes_merge_records_replace_lists_and_null_unsets() {
        let mut plugin = plugin(json!({"a": {"b": 1, "c": [1, 2]}, "d": 1}), None);
        patch(json!({"a": {"c": [3], "e": {"f": 1}}, "d": null})).apply(&mut plugin);
        assert_eq!(plugin.given, record(json!({"a": {"b": 1, "c": [3], "e": {"f": 1}}, "d": null})));
        assert_eq!(plugin.config(), record(json!({"a": {"b": 1, "c": [3], "e": {"f": 1}}})));
    }

    #[test]
    fn what_kong_answered_is_shown_and_what_was_given_is_kept_apart() {
        let mut plugin = plugin(json!({"ttl": 1}), Some(json!({"ttl": 1, "size": 128})));
        patch(json!({"ttl": 2})).apply(&mut plugin);
        assert_eq!(plugin.given, record(json!({"ttl": 2})));
        assert_eq!(plugin.config(), record(json!({"ttl": 2, "size": 128})));
    }

    #[test]
    fn a_plugin_that_no_consumer_can_have_is_refused() {
        let mut plugin = plugin(json!({}), None);
        assert_eq!(plugin.check(), Ok(()));
        plugin.name = "key-auth".into();
        assert_eq!(plugin.check(), Err(Invalid::new("consumer", "value must be null")));
    }

    #[test]
    fn a_configuration_has_a_limit() {
        let plugin = plugin(json!({"a": "x".repeat(CONFIG_MAX)}), None);
        assert_eq!(plugin.check().map_err(|invalid| invalid.field), Err("config"));
    }
}
