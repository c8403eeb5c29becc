//! Stores full of credentials: an admin extension whose database has been filled in bulk, and the file of their keys.

use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Result;
use app_auth_admin::store::seed::{SeedPlan, key, seed};
use app_auth_admin::store::{Store as Database, StoreOptions};
use serde_json::json;
use uuid::Uuid;

use super::progress;
use crate::admin::{Admin, Settings, new_token};
use crate::portal::Portal;
use crate::ports;

/// Applications have few keys each in life; many here, so that seeding takes less time than measuring.
const KEYS_PER_APPLICATION: u32 = 100;

/// An admin extension with many credentials, all of them connected to one service and approved.
#[derive(Debug)]
pub struct Store {
    pub admin: Admin,
    pub service: Uuid,
    /// All keys, of equal length, one a line.
    pub keys: PathBuf,
}

impl Store {
    /// Makes `count` credentials, rounded down to whole applications.
    pub async fn make(count: u32, folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let data = folder.join("data");
        let mut admin = Admin::start_from(Settings {
            port: ports::free()?,
            data: data.clone(),
            database_url: None,
            admin_token: new_token(),
            gateway_token: new_token(),
            log: folder.join("admin.log"),
            environment: Vec::new(),
        })
        .await?;
        let service = Uuid::new_v4();
        Portal::new(admin.client()).service(service, "bench", json!({})).await?;
        // It learns of new rows by its own writes, so it must not run meanwhile.
        admin.kill();
        let plan = SeedPlan {
            applications: count / KEYS_PER_APPLICATION,
            keys_per_application: KEYS_PER_APPLICATION,
            service: Some(service.into()),
        };
        let database = Database::open(StoreOptions::in_folder(&data)).await?;
        let tenth = (plan.credentials() / 10).max(100_000);
        let told = |written: u64| {
            if written.is_multiple_of(tenth) {
                progress(&format!("  {written} credentials written"));
            }
        };
        seed(&database, &plan, key, told).await?;
        database.close().await;
        admin.restart().await?;

        let keys = folder.join("keys");
        let mut file = BufWriter::new(fs::File::create(&keys)?);
        for number in 0..plan.credentials() {
            writeln!(file, "{}", key(number))?;
        }
        file.flush()?;
        Ok(Self { admin, service, keys })
    }

    pub fn some_keys(&self, count: usize) -> Result<Vec<String>> {
        Ok(super::read_keys(&self.keys)?.into_iter().take(count).collect())
    }
}
