//! Stores full of credentials: an admin extension whose database has been filled, and the file of their keys.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::json;
use uuid::Uuid;

use crate::admin::{Admin, Database};
use crate::portal::Portal;

/// An admin extension with many approved applications, each with one key and a connection to one service.
#[derive(Debug)]
pub struct Store {
    pub admin: Admin,
    pub service: Uuid,
    /// All keys, of equal length, one a line.
    pub keys: PathBuf,
}

impl Store {
    pub async fn make(count: usize, folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let admin = Admin::start(Database::Sqlite).await?;
        let service = Uuid::new_v4();
        let portal = Portal::new(admin.client());
        portal.service(service, "bench", json!({})).await?;
        let keys = folder.join("keys");
        let mut lines = String::new();
        for _ in 0..count {
            let (key, _) = portal.approved_key(service).await?;
            lines.push_str(&key.key);
            lines.push('\n');
        }
        fs::write(&keys, lines)?;
        Ok(Self { admin, service, keys })
    }

    pub fn some_keys(&self, count: usize) -> Result<Vec<String>> {
        Ok(super::read_keys(&self.keys)?.into_iter().take(count).collect())
    }
}
