//! Plugins of developers in the database. Whether a Kong hears of them is for [`super::kong`].

use app_auth_core::ids::DeveloperId;
use serde_json::{Map, Value, json};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe};
use uuid::Uuid;

use super::audit::Audited;
use super::sql::{Columns as _, List, count, json_texts, tagged};
use super::{Entity, Result, Store, StoreError, Writer, developers};
use crate::model::plugin::PLUGINS_MAX;
use crate::model::{Listed, NewPlugin, Offset, PageRequest, Plugin, PluginAnswer, PluginId, PluginPatch};

pub(super) const COLUMNS: &str = "p.id, p.developer, p.name, p.instance_name, p.enabled, p.protocols, p.given, \
    p.textual, p.answered, p.tags, p.created_at, p.updated_at";

fn record(text: &str) -> Result<Map<String, Value>> {
    serde_json::from_str(text).map_err(|_| StoreError::Corrupt("developer_plugins.given"))
}

fn json_record(record: &Map<String, Value>) -> String {
    Value::Object(record.clone()).to_string()
}

pub(super) fn read(row: &AnyRow) -> Result<Plugin> {
    let protocols = row.optional_text("protocols")?.map(|text| serde_json::from_str(&text)).transpose();
    Ok(Plugin {
        id: PluginId(row.uuid("id")?),
        developer: DeveloperId(row.uuid("developer")?),
        name: row.text("name")?,
        instance_name: row.optional_text("instance_name")?,
        enabled: row.truth("enabled")?,
        protocols: protocols.map_err(|_| StoreError::Corrupt("developer_plugins.protocols"))?,
        given: record(&row.text("given")?)?,
        textual: row.truth("textual")?,
        answered: row.optional_text("answered")?.as_deref().map(record).transpose()?,
        tags: row.texts("tags")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

pub(super) async fn by_id(conn: &mut AnyConnection, id: PluginId) -> Result<Option<Plugin>> {
    let sql = format!("SELECT {COLUMNS} FROM developer_plugins p WHERE p.id = $1");
    let row = sqlx::query(AssertSqlSafe(sql)).bind(id.as_bytes().as_slice()).fetch_optional(conn).await?;
    row.as_ref().map(read).transpose()
}

/// The developer's plugin a change is about.
async fn existing(conn: &mut AnyConnection, developer: DeveloperId, id: PluginId) -> Result<Plugin> {
    let found = by_id(conn, id).await?.filter(|plugin| plugin.developer == developer);
    found.ok_or(StoreError::NotFound(Entity::Plugin))
}

impl Store {
    pub async fn plugins(&self, developer: DeveloperId, page: PageRequest) -> Result<Listed<Plugin>> {
        let (from, tags) = tagged("developer_plugins p WHERE p.developer = $1", 1, "p", page.tags.as_ref());
        List { columns: COLUMNS, from: &from, bound: 1 + tags.len(), alias: "p" }
            .page(
                &mut *self.reader().await?,
                page,
                |query| {
                    let query = query.bind(developer.as_bytes().to_vec());
                    tags.iter().fold(query, |query, tag| query.bind(tag.clone()))
                },
                |row| read(row).map(|plugin| self.seen(plugin)),
                |plugin| Offset { created_at: plugin.created_at, id: plugin.id.0 },
            )
            .await
    }

    /// The developer's plugin by id; another developer's is not found.
    pub async fn plugin(&self, developer: DeveloperId, id: PluginId) -> Result<Option<Plugin>> {
        let found = by_id(&mut *self.reader().await?, id).await?;
        Ok(found.filter(|plugin| plugin.developer == developer).map(|plugin| self.seen(plugin)))
    }

    /// What an answer shows of it.
    fn seen(&self, mut plugin: Plugin) -> Plugin {
        if self.hides_secrets() {
            plugin.given = without_secrets(&plugin.given);
            plugin.answered = plugin.answered.as_ref().map(without_secrets);
        }
        plugin
    }

    /// The developer's plugin by its `instance_name`.
    pub async fn plugin_by_instance_name(
        &self,
        developer: DeveloperId,
        name: &str,
    ) -> Result<Option<Plugin>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM developer_plugins p WHERE p.instance_name = $1 AND p.developer = $2"
        );
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(name.to_owned())
            .bind(developer.as_bytes().as_slice())
            .fetch_optional(&mut *self.reader().await?)
            .await?;
        Ok(row.as_ref().map(read).transpose()?.map(|plugin| self.seen(plugin)))
    }
}

impl Writer {
    /// [`StoreError::NotFound`] if there is no such developer.
    pub async fn create_plugin(&mut self, developer: DeveloperId, new: NewPlugin) -> Result<Plugin> {
        let owner = developers::existing(self.conn(), developer).await?;
        let sql = "SELECT COUNT(*) AS n FROM developer_plugins WHERE developer = $1";
        let there = count(self.conn(), sql, |query| query.bind(developer.as_bytes().to_vec())).await?;
        if there >= PLUGINS_MAX {
            return Err(StoreError::Limit { entity: Entity::Plugin, limit: PLUGINS_MAX });
        }
        let mut plugin = Plugin {
            id: match new.id {
                Some(id) => id,
                None => PluginId(self.new_id()?),
            },
            developer,
            name: new.name,
            instance_name: new.instance_name,
            enabled: new.enabled,
            protocols: new.protocols,
            given: new.config,
            textual: new.textual,
            answered: None,
            tags: new.tags,
            created_at: self.now,
            updated_at: self.now,
        };
        plugin.check()?;
        self.take_answer(&mut plugin);
        sqlx::query(
            "INSERT INTO developer_plugins (id, developer, name, instance_name, enabled, protocols, given, textual, \
             answered, tags, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        )
        .bind(plugin.id.as_bytes().as_slice())
        .bind(developer.as_bytes().as_slice())
        .bind(plugin.name.clone())
        .bind(plugin.instance_name.clone())
        .bind(i64::from(plugin.enabled))
        .bind(plugin.protocols.as_deref().map(json_texts))
        .bind(json_record(&plugin.given))
        .bind(i64::from(plugin.textual))
        .bind(plugin.answered.as_ref().map(json_record))
        .bind(json_texts(&plugin.tags))
        .bind(plugin.created_at.0)
        .bind(plugin.updated_at.0)
        .execute(self.conn())
        .await
        .map_err(|error| name_value(error, &plugin))?;
        self.mark_plugin(plugin.id, owner.consumer);
        self.audit_created(&plugin).await?;
        Ok(plugin)
    }

    pub async fn update_plugin(
        &mut self,
        developer: DeveloperId,
        id: PluginId,
        patch: PluginPatch,
    ) -> Result<Plugin> {
        let owner = developers::existing(self.conn(), developer).await?;
        let before = existing(self.conn(), developer, id).await?;
        let mut after = before.clone();
        patch.apply(&mut after);
        after.updated_at = self.now;
        after.check()?;
        self.take_answer(&mut after);
        sqlx::query(
            "UPDATE developer_plugins SET instance_name = $2, enabled = $3, protocols = $4, given = $5, textual = $6, \
             answered = $7, tags = $8, updated_at = $9 WHERE id = $1",
        )
        .bind(id.as_bytes().as_slice())
        .bind(after.instance_name.clone())
        .bind(i64::from(after.enabled))
        .bind(after.protocols.as_deref().map(json_texts))
        .bind(json_record(&after.given))
        .bind(i64::from(after.textual))
        .bind(after.answered.as_ref().map(json_record))
        .bind(json_texts(&after.tags))
        .bind(after.updated_at.0)
        .execute(self.conn())
        .await
        .map_err(|error| name_value(error, &after))?;
        self.mark_plugin(id, owner.consumer);
        let told = Some(view(&after, &before.given));
        self.audit(Entity::Plugin, "update", id.0, Some(before.view()), told).await?;
        Ok(after)
    }

    pub async fn delete_plugin(&mut self, developer: DeveloperId, id: PluginId) -> Result<()> {
        let owner = developers::existing(self.conn(), developer).await?;
        let before = existing(self.conn(), developer, id).await?;
        sqlx::query("DELETE FROM developer_plugins WHERE id = $1")
            .bind(id.as_bytes().as_slice())
            .execute(self.conn())
            .await?;
        self.mark_plugin(id, owner.consumer);
        self.audit_deleted(&before).await
    }
}

/// Writes down that a developer's plugins go with the developer (ON DELETE CASCADE, here and in Kong).
pub(super) async fn audit_all_deleted(writer: &mut Writer, developer: DeveloperId) -> Result<()> {
    let sql = format!("SELECT {COLUMNS} FROM developer_plugins p WHERE p.developer = $1");
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(developer.as_bytes().as_slice())
        .fetch_all(writer.conn())
        .await?;
    for row in &rows {
        writer.audit_deleted(&read(row)?).await?;
    }
    Ok(())
}

/// Keeps what Kong made of a plugin that has not changed since.
pub(super) async fn keep_answer(conn: &mut AnyConnection, id: PluginId, answer: PluginAnswer) -> Result<()> {
    let Some(mut plugin) = by_id(conn, id).await? else { return Ok(()) };
    plugin.take(answer);
    sqlx::query(
        "UPDATE developer_plugins SET protocols = $2, given = $3, textual = $4, answered = $5 WHERE id = $1",
    )
    .bind(id.as_bytes().as_slice())
    .bind(plugin.protocols.as_deref().map(json_texts))
    .bind(json_record(&plugin.given))
    .bind(i64::from(plugin.textual))
    .bind(plugin.answered.as_ref().map(json_record))
    .execute(conn)
    .await?;
    Ok(())
}

fn name_value(error: sqlx::Error, plugin: &Plugin) -> StoreError {
    StoreError::from(error)
        .with_value("id", plugin.id.to_string())
        .with_value("name", &plugin.name)
        .with_value("instance_name", plugin.instance_name.as_deref().unwrap_or_default())
}

impl Audited for Plugin {
    const ENTITY: Entity = Entity::Plugin;
    fn id(&self) -> Uuid {
        self.id.0
    }
    fn view(&self) -> Value {
        view(self, &self.given)
    }
}

/// What the audit log tells of a plugin whose configuration was another before.
fn view(plugin: &Plugin, before: &Map<String, Value>) -> Value {
    json!({
        "developer": plugin.developer,
        "name": plugin.name,
        "instance_name": plugin.instance_name,
        "enabled": plugin.enabled,
        "protocols": plugin.protocols,
        "config": redacted(&plugin.given, Some(before)),
        "tags": plugin.tags,
    })
}

/// A configuration as those see it who see no secrets.
fn without_secrets(config: &Map<String, Value>) -> Map<String, Value> {
    match redacted(config, Some(config)) {
        Value::Object(shown) => shown,
        _ => Map::new(),
    }
}

/// A configuration without what its members' names give away as secret, but not without whether it changed.
fn redacted(config: &Map<String, Value>, before: Option<&Map<String, Value>>) -> Value {
    const SECRET: [&str; 8] =
        ["password", "secret", "token", "key", "credential", "auth", "header", "certificate"];
    config
        .iter()
        .map(|(name, value)| {
            let lower = name.to_ascii_lowercase();
            let known = before.and_then(|before| before.get(name));
            let shown = match value {
                Value::Null => Value::Null,
                _ if SECRET.iter().any(|word| lower.contains(word)) => {
                    json!(if known == Some(value) { "(set)" } else { "(changed)" })
                }
                value => shown(value, known),
            };
            (name.clone(), shown)
        })
        .collect()
}

fn shown(value: &Value, before: Option<&Value>) -> Value {
    match value {
        Value::Object(members) => redacted(members, before.and_then(Value::as_object)),
        Value::Array(elements) => {
            let before = |place| before.and_then(|before| before.get(place));
            elements.iter().enumerate().map(|(place, element)| shown(element, before(place))).collect()
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_a_configuration_stay_out_of_the_audit_log_but_not_that_they_changed() {
        let config = |password: &str, key: &str| -> Map<String, Value> {
            let redis = json!({"host": "h", "password": password});
            [("redis", redis), ("list", json!([{"api_key": key}])), ("keys", json!(null))]
                .map(|(name, value)| (name.to_owned(), value))
                .into_iter()
                .collect()
        };
        let (before, after) = (config("hunter2", "k"), config("hunter3", "k"));
        assert_eq!(
            redacted(&after, Some(&before)),
            json!({"redis": {"host": "h", "password": "(changed)"}, "list": [{"api_key": "(set)"}], "keys": null})
        );
    }
}
