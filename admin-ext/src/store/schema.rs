//! The schema: migrations that run at every start, one text for both databases.

use sqlx::AnyPool;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr as _};

use super::sql::Backend;
use super::{Result, StoreError};

/// Every migration in order. What is committed here never changes again; the next change is a new file.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "initial", include_str!("../../migrations/0001_initial.sql")),
    (2, "developers", include_str!("../../migrations/0002_developers.sql")),
    (3, "products", include_str!("../../migrations/0003_products.sql")),
    (4, "tokens", include_str!("../../migrations/0004_tokens.sql")),
    (5, "traffic", include_str!("../../migrations/0005_traffic.sql")),
    (6, "console", include_str!("../../migrations/0006_console.sql")),
    (7, "lists", include_str!("../../migrations/0007_lists.sql")),
    (8, "undo", include_str!("../../migrations/0008_undo.sql")),
];

/// Brings the database to the newest schema.
pub(super) async fn migrate(pool: &AnyPool, backend: Backend) -> Result<()> {
    let migrations = MIGRATIONS
        .iter()
        .map(|&(version, description, sql)| {
            let sql = match backend {
                Backend::Sqlite => sql.into_sql_str(),
                Backend::Postgres => AssertSqlSafe(sql.replace("BLOB", "BYTEA")).into_sql_str(),
            };
            Migration::new(version, description.into(), MigrationType::Simple, sql, false)
        })
        .collect();
    let migrator = Migrator::with_migrations(migrations);
    migrator.run(pool).await.map_err(|error| StoreError::Database(error.into()))
}
