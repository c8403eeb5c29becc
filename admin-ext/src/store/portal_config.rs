//! How the portal behaves: as configured, where nobody has set it otherwise at run time. What was set is read whenever it
//! is asked for, so that every replica knows it at once.

use serde_json::{Map, Value};
use sqlx::AnyConnection;
use uuid::Uuid;

use super::sql::Columns as _;
use super::{Entity, Result, Store, StoreError, Writer};
use crate::model::{PortalConfig, PortalSettings, Timestamp, ambient};

/// What was set at run time, by name.
async fn settings(conn: &mut AnyConnection) -> Result<Map<String, Value>> {
    let rows = sqlx::query("SELECT name, value FROM settings").fetch_all(conn).await?;
    let read = |text: String| serde_json::from_str(&text).map_err(|_| StoreError::Corrupt("settings"));
    rows.iter().map(|row| Ok((row.text("name")?, read(row.text("value")?)?))).collect()
}

fn with(configured: PortalConfig, settings: Map<String, Value>) -> Result<PortalConfig> {
    let settings: PortalSettings =
        serde_json::from_value(Value::Object(settings)).map_err(|_| StoreError::Corrupt("settings"))?;
    settings.over(configured).map_err(|_| StoreError::Corrupt("settings"))
}

impl Store {
    /// How the portal behaves now, on every replica.
    pub async fn portal(&self) -> Result<PortalConfig> {
        with(self.0.portal.clone(), settings(&mut *self.reader().await?).await?)
    }

    /// The id of the only workspace: the same for as long as the store lives.
    pub fn workspace_id(&self) -> Uuid {
        ambient::derived_id("app-auth workspace", &self.id().0)
    }

    /// When the store was first written to.
    pub async fn began_at(&self) -> Result<Timestamp> {
        let row = sqlx::query("SELECT at FROM audit ORDER BY seq LIMIT 1")
            .fetch_optional(&mut *self.reader().await?)
            .await?;
        row.map_or(Ok(Timestamp::default()), |row| row.time("at"))
    }
}

impl Writer {
    /// How the portal behaves at the instant of this change.
    pub async fn portal(&mut self) -> Result<PortalConfig> {
        with(self.store.0.portal.clone(), settings(self.conn()).await?)
    }

    /// Sets what the changes name, as [`PortalSettings`] has it; null puts the configured value back.
    pub async fn set_portal(&mut self, changes: Map<String, Value>) -> Result<PortalConfig> {
        let before = settings(self.conn()).await?;
        let mut after = before.clone();
        for (name, value) in changes {
            if value.is_null() {
                after.remove(&name);
            } else {
                after.insert(name, value);
            }
        }
        let portal = with(self.store.0.portal.clone(), after.clone())?;
        let differs = |name: &&String| before.get(*name) != after.get(*name);
        let names: Vec<_> = before.keys().chain(after.keys()).filter(differs).collect();
        for name in &names {
            self.keep_setting(name, after.get(*name)).await?;
        }
        if !names.is_empty() {
            let view = |settings: &Map<String, Value>| {
                let value = |name: &&String| settings.get(*name).cloned().unwrap_or_default();
                names.iter().map(|name| ((*name).clone(), value(name))).collect()
            };
            let id = self.store.workspace_id();
            self.audit(Entity::Setting, "update", id, Some(view(&before)), Some(view(&after))).await?;
        }
        Ok(portal)
    }

    async fn keep_setting(&mut self, name: &str, value: Option<&Value>) -> Result<()> {
        let query = match value {
            Some(value) => sqlx::query(
                "INSERT INTO settings (name, value) VALUES ($1, $2) \
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            )
            .bind(name.to_owned())
            .bind(value.to_string()),
            None => sqlx::query("DELETE FROM settings WHERE name = $1").bind(name.to_owned()),
        };
        query.execute(self.conn()).await?;
        Ok(())
    }
}
