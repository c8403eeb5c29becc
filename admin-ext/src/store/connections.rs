//! Connections in the database.

use app_auth_core::ids::{ApplicationId, ConnectionId, ServiceId};
use sqlx::AnyConnection;
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use super::mails::Notice;
use super::sql::{Columns as _, List, count};
use super::{Entity, Result, Store, StoreError, Writer, applications, developers, services};
use crate::model::{
    Connection, ConnectionDetail, ConnectionPatch, ConnectionStatus, Listed, NewConnection, Offset,
    PageRequest, Service, StatusCode as _,
};

const COLUMNS: &str = "c.id AS c_id, c.application AS c_application, c.service AS c_service, \
    c.status AS c_status, c.suspended AS c_suspended, c.created_at AS c_created_at, c.updated_at AS c_updated_at";

const JOINED: &str = "connections c JOIN applications a ON a.id = c.application \
    JOIN developers d ON d.id = a.developer WHERE";

fn read(row: &AnyRow) -> Result<Connection> {
    Ok(Connection {
        id: ConnectionId(row.uuid("c_id")?),
        application: ApplicationId(row.uuid("c_application")?),
        service: ServiceId(row.uuid("c_service")?),
        status: ConnectionStatus::from_code(row.int("c_status")?)
            .ok_or(StoreError::Corrupt("connections.status"))?,
        suspended: row.truth("c_suspended")?,
        created_at: row.time("c_created_at")?,
        updated_at: row.time("c_updated_at")?,
    })
}

fn detail_columns() -> String {
    format!("{COLUMNS}, {}, {}", applications::COLUMNS, developers::COLUMNS)
}

fn read_detail(row: &AnyRow) -> Result<ConnectionDetail> {
    Ok(ConnectionDetail {
        connection: read(row)?,
        application: applications::read(row)?,
        developer: developers::read(row)?,
    })
}

async fn by_id(
    conn: &mut AnyConnection,
    application: ApplicationId,
    id: ConnectionId,
) -> Result<Option<ConnectionDetail>> {
    let columns = detail_columns();
    let sql = format!("SELECT {columns} FROM {JOINED} c.id = $1 AND c.application = $2");
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(id.as_bytes().as_slice())
        .bind(application.as_bytes().as_slice())
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(read_detail).transpose()
}

async fn existing(
    conn: &mut AnyConnection,
    application: ApplicationId,
    id: ConnectionId,
) -> Result<ConnectionDetail> {
    by_id(conn, application, id).await?.ok_or(StoreError::NotFound(Entity::Connection))
}

/// Every connection of an application, for what is done to all of them.
pub(super) async fn all_of_application(
    conn: &mut AnyConnection,
    application: ApplicationId,
) -> Result<Vec<Connection>> {
    let sql = format!("SELECT {COLUMNS} FROM connections c WHERE c.application = $1");
    let rows =
        sqlx::query(AssertSqlSafe(sql)).bind(application.as_bytes().as_slice()).fetch_all(conn).await?;
    rows.iter().map(read).collect()
}

/// Every connection to a service, for what is done to all of them.
pub(super) async fn all_of_service(conn: &mut AnyConnection, service: ServiceId) -> Result<Vec<Connection>> {
    let sql = format!("SELECT {COLUMNS} FROM connections c WHERE c.service = $1");
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(service.as_bytes().as_slice()).fetch_all(conn).await?;
    rows.iter().map(read).collect()
}

impl Store {
    pub async fn connections_of_application(
        &self,
        application: ApplicationId,
        page: PageRequest,
    ) -> Result<Listed<ConnectionDetail>> {
        self.connections_where("c.application = $1", application.as_bytes(), page).await
    }

    pub async fn connections_of_service(
        &self,
        service: ServiceId,
        page: PageRequest,
    ) -> Result<Listed<ConnectionDetail>> {
        self.connections_where("c.service = $1", service.as_bytes(), page).await
    }

    async fn connections_where(
        &self,
        condition: &str,
        parent: &[u8; 16],
        page: PageRequest,
    ) -> Result<Listed<ConnectionDetail>> {
        let from = format!("{JOINED} {condition}");
        List { columns: &detail_columns(), from: &from, bound: 1, alias: "c" }
            .page(
                &mut *self.reader().await?,
                page,
                |query| query.bind(parent.to_vec()),
                read_detail,
                |detail| Offset { created_at: detail.connection.created_at, id: detail.connection.id.0 },
            )
            .await
    }

    /// The application's connection; another application's is not found.
    pub async fn connection(
        &self,
        application: ApplicationId,
        connection: ConnectionId,
    ) -> Result<Option<ConnectionDetail>> {
        by_id(&mut *self.reader().await?, application, connection).await
    }
}

impl Writer {
    /// [`StoreError::ForeignKey`] (field `service`) if the service is unknown, [`StoreError::Unique`] (field
    /// `composite_id`) if the application is connected to it already.
    pub async fn create_connection(
        &mut self,
        application: ApplicationId,
        new: NewConnection,
    ) -> Result<ConnectionDetail> {
        applications::existing(self.conn(), application).await?;
        let service = self.connectable(new.service).await?;
        let limit = self.store.limits().connections_per_application;
        let sql = "SELECT COUNT(*) AS n FROM connections WHERE application = $1";
        if count(self.conn(), sql, |query| query.bind(application.as_bytes().to_vec())).await? >= limit {
            return Err(StoreError::Limit { entity: Entity::Connection, limit });
        }
        let by_itself =
            if service.auto_approve { ConnectionStatus::Approved } else { ConnectionStatus::Pending };
        let connection = Connection {
            id: match new.id {
                Some(id) => id,
                None => ConnectionId(self.store.random_id()?),
            },
            application,
            service: service.id,
            status: new.status.unwrap_or(by_itself),
            suspended: new.suspended,
            created_at: self.now,
            updated_at: self.now,
        };
        sqlx::query(
            "INSERT INTO connections (id, application, service, status, suspended, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(connection.id.as_bytes().as_slice())
        .bind(application.as_bytes().as_slice())
        .bind(connection.service.as_bytes().as_slice())
        .bind(i64::from(connection.status.code()))
        .bind(i64::from(connection.suspended))
        .bind(connection.created_at.0)
        .bind(connection.updated_at.0)
        .execute(self.conn())
        .await
        .map_err(|error| name_value(error, &connection))?;
        self.touch_application(application);
        self.audit_created(&connection).await?;
        let detail = existing(self.conn(), application, connection.id).await?;
        self.notify(Notice::Connection { before: None, after: &detail }).await?;
        Ok(detail)
    }

    /// The same errors as [`Writer::create_connection`] if it moves to another service.
    pub async fn update_connection(
        &mut self,
        application: ApplicationId,
        id: ConnectionId,
        patch: ConnectionPatch,
    ) -> Result<ConnectionDetail> {
        let before = existing(self.conn(), application, id).await?.connection;
        let mut after = before.clone();
        if let Some(service) = patch.service {
            after.service = self.connectable(service).await?.id;
        }
        after.status = patch.status.unwrap_or(after.status);
        after.suspended = patch.suspended.unwrap_or(after.suspended);
        after.updated_at = self.now;
        sqlx::query(
            "UPDATE connections SET service = $2, status = $3, suspended = $4, updated_at = $5 WHERE id = $1",
        )
        .bind(id.as_bytes().as_slice())
        .bind(after.service.as_bytes().as_slice())
        .bind(i64::from(after.status.code()))
        .bind(i64::from(after.suspended))
        .bind(after.updated_at.0)
        .execute(self.conn())
        .await
        .map_err(|error| name_value(error, &after))?;
        self.touch_application(application);
        self.audit_updated(&before, &after).await?;
        let detail = existing(self.conn(), application, id).await?;
        self.notify(Notice::Connection { before: Some(&before), after: &detail }).await?;
        Ok(detail)
    }

    pub async fn delete_connection(&mut self, application: ApplicationId, id: ConnectionId) -> Result<()> {
        let before = existing(self.conn(), application, id).await?.connection;
        sqlx::query("DELETE FROM connections WHERE id = $1")
            .bind(id.as_bytes().as_slice())
            .execute(self.conn())
            .await?;
        self.touch_application(application);
        self.audit_deleted(&before).await
    }

    async fn connectable(&mut self, service: ServiceId) -> Result<Service> {
        services::by_ref(self.conn(), &service.into()).await?.ok_or_else(|| StoreError::ForeignKey {
            entity: Entity::Service,
            field: "service",
            id: service.to_string(),
        })
    }
}

fn name_value(error: sqlx::Error, connection: &Connection) -> StoreError {
    StoreError::from(error)
        .with_value("id", connection.id.to_string())
        .with_value("composite_id", connection.composite_id())
}
