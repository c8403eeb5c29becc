//! Services in the database.

use app_auth_core::ids::ServiceId;
use sqlx::AnyConnection;
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use super::connections::all_of_service;
use super::sql::{Columns as _, List};
use super::{Entity, Result, Store, StoreError, Writer, product_versions};
use crate::model::{Listed, NewService, Offset, PageRequest, Service, ServicePatch, ServiceRef, VersionId};

const COLUMNS: &str = "s.id, s.name, s.auto_approve, s.key_auth, s.created_at, s.updated_at";

fn read(row: &AnyRow) -> Result<Service> {
    Ok(Service {
        id: ServiceId(row.uuid("id")?),
        name: row.text("name")?,
        auto_approve: row.truth("auto_approve")?,
        key_auth: serde_json::from_str(&row.text("key_auth")?)
            .map_err(|_| StoreError::Corrupt("services.key_auth"))?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

pub(super) async fn by_ref(conn: &mut AnyConnection, service: &ServiceRef) -> Result<Option<Service>> {
    let row = match service {
        ServiceRef::Id(id) => {
            sqlx::query(AssertSqlSafe(format!("SELECT {COLUMNS} FROM services s WHERE s.id = $1")))
                .bind(id.as_bytes().as_slice())
                .fetch_optional(conn)
                .await?
        }
        ServiceRef::Name(name) => {
            sqlx::query(AssertSqlSafe(format!("SELECT {COLUMNS} FROM services s WHERE s.name = $1")))
                .bind(name.clone())
                .fetch_optional(conn)
                .await?
        }
    };
    row.as_ref().map(read).transpose()
}

async fn existing(conn: &mut AnyConnection, id: ServiceId) -> Result<Service> {
    by_ref(conn, &id.into()).await?.ok_or(StoreError::NotFound(Entity::Service))
}

/// What is known of a service, by its id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KnownService {
    pub name: String,
    /// The version it serves.
    pub version: Option<VersionId>,
}

impl Store {
    /// What is known of a service; `None` if it was never registered.
    pub async fn known_service(&self, id: ServiceId) -> Result<Option<KnownService>> {
        let row = sqlx::query(
            "SELECT s.name, v.id AS version FROM services s LEFT JOIN product_versions v ON v.service = s.id \
             WHERE s.id = $1",
        )
        .bind(id.as_bytes().as_slice())
        .fetch_optional(&mut *self.reader().await?)
        .await?;
        row.map(|row| {
            let version = row.optional_uuid("version")?.map(VersionId);
            Ok(KnownService { name: row.text("name")?, version })
        })
        .transpose()
    }

    /// The services that serve product versions, with their names, in the order of the names.
    pub async fn linked_services(&self) -> Result<Vec<(ServiceId, String)>> {
        let rows = sqlx::query(
            "SELECT s.id, s.name FROM services s JOIN product_versions v ON v.service = s.id ORDER BY s.name",
        )
        .fetch_all(&mut *self.reader().await?)
        .await?;
        rows.iter().map(|row| Ok((ServiceId(row.uuid("id")?), row.text("name")?))).collect()
    }

    pub async fn services(&self, page: PageRequest) -> Result<Listed<Service>> {
        List { columns: COLUMNS, from: "services s WHERE 1 = 1", bound: 0, alias: "s" }
            .page(
                &mut *self.reader().await?,
                page,
                |query| query,
                read,
                |service| Offset { created_at: service.created_at, id: service.id.0 },
            )
            .await
    }

    pub async fn service(&self, service: &ServiceRef) -> Result<Option<Service>> {
        by_ref(&mut *self.reader().await?, service).await
    }
}

impl Writer {
    /// The service as it is until this change ends: nobody else can write meanwhile.
    pub async fn service(&mut self, id: ServiceId) -> Result<Service> {
        existing(self.conn(), id).await
    }

    pub async fn create_service(&mut self, new: NewService) -> Result<Service> {
        let service = Service {
            id: match new.id {
                Some(id) => id,
                None => ServiceId(self.store.random_id()?),
            },
            name: new.name,
            auto_approve: new.auto_approve,
            key_auth: new.key_auth,
            created_at: self.now,
            updated_at: self.now,
        };
        service.check()?;
        sqlx::query(
            "INSERT INTO services (id, name, auto_approve, key_auth, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(service.id.as_bytes().as_slice())
        .bind(service.name.clone())
        .bind(i64::from(service.auto_approve))
        .bind(settings(&service)?)
        .bind(service.created_at.0)
        .bind(service.updated_at.0)
        .execute(self.conn())
        .await
        .map_err(|error| name_value(error, &service))?;
        self.touch_service(service.id);
        self.audit_created(&service).await?;
        Ok(service)
    }

    /// Makes the service, or replaces the whole of it. By name: the service of that name, or a new one with the name of
    /// `new`. The id in the reference counts, not the one in `new`.
    pub async fn put_service(&mut self, service: &ServiceRef, new: NewService) -> Result<Service> {
        match (by_ref(self.conn(), service).await?, service) {
            (Some(before), _) => {
                let after = Service {
                    name: new.name,
                    auto_approve: new.auto_approve,
                    key_auth: new.key_auth,
                    updated_at: self.now,
                    ..before.clone()
                };
                self.replace_service(&before, after).await
            }
            (None, ServiceRef::Id(id)) => self.create_service(NewService { id: Some(*id), ..new }).await,
            (None, ServiceRef::Name(_)) => self.create_service(new).await,
        }
    }

    pub async fn update_service(&mut self, id: ServiceId, patch: ServicePatch) -> Result<Service> {
        let before = existing(self.conn(), id).await?;
        let mut after = before.clone();
        after.name = patch.name.unwrap_or(after.name);
        after.auto_approve = patch.auto_approve.unwrap_or(after.auto_approve);
        after.key_auth = patch.key_auth.unwrap_or(after.key_auth);
        after.updated_at = self.now.after(before.updated_at);
        self.replace_service(&before, after).await
    }

    async fn replace_service(&mut self, before: &Service, after: Service) -> Result<Service> {
        after.check()?;
        sqlx::query(
            "UPDATE services SET name = $2, auto_approve = $3, key_auth = $4, updated_at = $5 WHERE id = $1",
        )
        .bind(after.id.as_bytes().as_slice())
        .bind(after.name.clone())
        .bind(i64::from(after.auto_approve))
        .bind(settings(&after)?)
        .bind(after.updated_at.0)
        .execute(self.conn())
        .await
        .map_err(|error| name_value(error, &after))?;
        self.touch_service(after.id);
        self.audit_updated(before, &after).await?;
        Ok(after)
    }

    /// With all connections to it.
    pub async fn delete_service(&mut self, id: ServiceId) -> Result<()> {
        let before = existing(self.conn(), id).await?;
        if let Some(version) = product_versions::version_of_service(self.conn(), id).await? {
            // What is connected to a version stays so, with no service for now.
            self.unlink(&version).await?;
        }
        for connection in all_of_service(self.conn(), id).await? {
            self.touch_application(connection.application);
            self.audit_deleted(&connection).await?;
        }
        // The connections go with it (ON DELETE CASCADE).
        sqlx::query("DELETE FROM services WHERE id = $1")
            .bind(id.as_bytes().as_slice())
            .execute(self.conn())
            .await?;
        self.touch_service(id);
        self.audit_deleted(&before).await
    }
}

fn settings(service: &Service) -> Result<String> {
    serde_json::to_string(&service.key_auth).map_err(|_| StoreError::Corrupt("services.key_auth"))
}

fn name_value(error: sqlx::Error, service: &Service) -> StoreError {
    StoreError::from(error).with_value("id", service.id.to_string()).with_value("name", &service.name)
}
