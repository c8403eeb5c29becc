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
use crate::admin::{Admin, Database as DatabaseKind, Settings, new_token};
use crate::portal::Portal;
use crate::ports;
use crate::postgres::PostgresDatabase;

/// How full a store is made.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub applications: u32,
    pub keys_per_application: u32,
    pub applications_per_developer: u32,
}

impl Shape {
    /// So many keys, rounded down to whole applications. Applications have few keys each in life; many here, so that
    /// seeding takes less time than measuring.
    pub const fn of_keys(count: u32) -> Self {
        Self { applications: count / 100, keys_per_application: 100, applications_per_developer: 100 }
    }

    pub fn credentials(self) -> u64 {
        u64::from(self.applications) * u64::from(self.keys_per_application)
    }
}

/// An admin extension with many credentials, all of them connected to one service and approved.
#[derive(Debug)]
pub struct Store {
    pub admin: Admin,
    pub service: Uuid,
    /// All keys, of equal length, one a line.
    pub keys: PathBuf,
    // After the admin extension, so that it is the last to end.
    _postgres: Option<PostgresDatabase>,
}

impl Store {
    /// Makes a store of this shape. One on PostgreSQL is as durable as SQLite is: every write waits for the disk.
    pub async fn fill(shape: Shape, database: DatabaseKind, folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let postgres = match database {
            DatabaseKind::Sqlite => None,
            DatabaseKind::Postgres => Some(PostgresDatabase::create_durable().await?),
        };
        let database_url = postgres.as_ref().map(PostgresDatabase::url);
        let data = folder.join("data");
        let mut admin = Admin::start_from(Settings {
            port: ports::free()?,
            data: data.clone(),
            database_url: database_url.clone(),
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
            applications: shape.applications,
            keys_per_application: shape.keys_per_application,
            applications_per_developer: shape.applications_per_developer,
            service: Some(service.into()),
        };
        let options = StoreOptions { database_url, ..StoreOptions::in_folder(&data) };
        let database = Database::open(options).await?;
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
        Ok(Self { admin, service, keys, _postgres: postgres })
    }

    pub fn some_keys(&self, count: usize) -> Result<Vec<String>> {
        Ok(super::read_keys(&self.keys)?.into_iter().take(count).collect())
    }
}
