//! One thing told to Kong: how developers, applications and plugins look there, and in which order they must come. The
//! filter on services is in `filter`.

use serde_json::{Map, Value, json};

use super::admin_api::CallError;
use super::{Kong, coerce};
use crate::model::{Consumer, Plugin, PluginAnswer};
use crate::store::kong::{Desired, Target, Want};

/// Marks what is ours among an operator's own consumers.
pub(super) const TAG: &str = "app_auth";
/// Kong's code for a foreign key that names nothing.
const FOREIGN_KEY_VIOLATION: i64 = 4;

impl Kong {
    /// Makes Kong as it is wanted. What came before it, however often, does not matter.
    pub(super) async fn tell(&self, want: &Want) -> Result<Option<PluginAnswer>, CallError> {
        let timeout = || CallError::Away("no answer in time".into());
        tokio::time::timeout(self.telling_time(), self.call(want)).await.map_err(|_| timeout())?
    }

    async fn call(&self, want: &Want) -> Result<Option<PluginAnswer>, CallError> {
        let result = match &want.desired {
            Desired::Gone => self.delete(want.target).await.map(|()| None),
            Desired::Filter(service) => self.attach(*service).await.map(|()| None),
            // Kong deletes a consumer's plugins with it.
            Desired::GoneWithConsumer => self.delete(Target::Consumer(want.consumer)).await.map(|()| None),
            Desired::Consumer(consumer) => self.put_consumer(consumer).await.map(|()| None),
            Desired::Plugin(both) => self.put_plugin(&both.0, &both.1).await.map(Some),
        };
        if matches!(result, Ok(_) | Err(CallError::Refused(_))) && self.0.presence.answered() {
            self.wake();
        }
        result
    }

    async fn delete(&self, target: Target) -> Result<(), CallError> {
        let collection = match target {
            Target::Consumer(_) => "consumers",
            Target::Plugin(_) => "plugins",
            Target::Filter(service) => return self.detach(service).await,
        };
        self.0.api.delete(&self.0.presence, &[collection, &target.id().to_string()]).await
    }

    async fn put_consumer(&self, consumer: &Consumer) -> Result<(), CallError> {
        let path = ["consumers", &consumer.id.to_string()];
        self.0.api.put(&self.0.presence, &path, &consumer_body(consumer)).await.map(drop)
    }

    async fn put_plugin(&self, plugin: &Plugin, owner: &Consumer) -> Result<PluginAnswer, CallError> {
        let given = self.typed(plugin).await?;
        let body = plugin_body(plugin, &given, owner);
        let id = plugin.id.to_string();
        let path = ["plugins", &id];
        let answer = match self.0.api.put(&self.0.presence, &path, &body).await {
            Err(CallError::Refused(refusal)) if refusal.code() == Some(FOREIGN_KEY_VIOLATION) => {
                self.put_consumer(owner).await?;
                self.0.api.put(&self.0.presence, &path, &body).await?
            }
            other => other?,
        };
        Ok(PluginAnswer {
            given,
            config: answer.get("config").and_then(Value::as_object).cloned().unwrap_or_default(),
            protocols: answer.get("protocols").and_then(|value| serde_json::from_value(value.clone()).ok()),
        })
    }

    /// What was given, with what came as the text of a form as what it stands for.
    async fn typed(&self, plugin: &Plugin) -> Result<Map<String, Value>, CallError> {
        if !plugin.textual {
            return Ok(plugin.given.clone());
        }
        match self.0.api.get(&self.0.presence, &["schemas", "plugins", &plugin.name]).await {
            Ok(schema) => Ok(coerce::config(plugin.given.clone(), &schema)),
            // There is no such plugin: Kong says so itself when it is told of it.
            Err(CallError::Unknown) => Ok(plugin.given.clone()),
            Err(error) => Err(error),
        }
    }
}

fn consumer_body(consumer: &Consumer) -> Value {
    json!({"username": consumer.username, "custom_id": consumer.custom_id, "tags": [TAG]})
}

fn plugin_body(plugin: &Plugin, given: &Map<String, Value>, owner: &Consumer) -> Value {
    let mut body = json!({
        "name": plugin.name,
        "consumer": {"id": owner.id},
        "enabled": plugin.enabled,
        "config": given,
    });
    // What is absent is as the plugin itself has it; null would not be.
    let optional = [
        ("instance_name", plugin.instance_name.as_deref().map(Value::from)),
        ("protocols", plugin.protocols.as_deref().map(Value::from)),
        ("tags", (!plugin.tags.is_empty()).then(|| Value::from(plugin.tags.as_slice()))),
    ];
    if let Value::Object(members) = &mut body {
        members.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    }
    body
}
