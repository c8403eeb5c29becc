//! Connections in the database.

use app_auth_core::ids::{ApplicationId, ConnectionId, ServiceId};
use sqlx::AnyConnection;
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use super::mails::Notice;
use super::sql::{Columns as _, List, count, json_texts};
use super::{
    Entity, Result, Store, StoreError, Writer, applications, developers, portal_versions, product_versions,
    services,
};
use crate::model::{
    Application, Connection, ConnectionDetail, ConnectionPatch, ConnectionStatus, ConnectionTarget,
    Developer, Invalid, Listed, NewConnection, Offset, PageRequest, PortalId, ProductId, ProductVersion,
    StatusCode as _, VersionId, VersionSummary, rules,
};

const COLUMNS: &str = "c.id AS c_id, c.application AS c_application, c.service AS c_service, \
    c.version AS c_version, c.status AS c_status, c.suspended AS c_suspended, c.reason AS c_reason, \
    c.scopes AS c_scopes, c.created_at AS c_created_at, c.updated_at AS c_updated_at";

pub(super) const JOINED: &str = "connections c JOIN applications a ON a.id = c.application \
    JOIN developers d ON d.id = a.developer LEFT JOIN services s ON s.id = c.service \
    LEFT JOIN product_versions v ON v.id = c.version LEFT JOIN api_products p ON p.id = v.product WHERE";

fn read(row: &AnyRow) -> Result<Connection> {
    Ok(Connection {
        id: ConnectionId(row.uuid("c_id")?),
        application: ApplicationId(row.uuid("c_application")?),
        service: row.optional_uuid("c_service")?.map(ServiceId),
        version: row.optional_uuid("c_version")?.map(VersionId),
        status: ConnectionStatus::from_code(row.int("c_status")?)
            .ok_or(StoreError::Corrupt("connections.status"))?,
        suspended: row.truth("c_suspended")?,
        reason: row.optional_text("c_reason")?,
        scopes: row.optional_texts("c_scopes")?,
        created_at: row.time("c_created_at")?,
        updated_at: row.time("c_updated_at")?,
    })
}

pub(super) fn detail_columns() -> String {
    format!(
        "{COLUMNS}, {}, {}, s.name AS s_name, v.name AS v_name, p.id AS p_id, p.name AS p_name",
        applications::COLUMNS,
        developers::COLUMNS
    )
}

pub(super) fn read_detail(row: &AnyRow, blocks: bool) -> Result<ConnectionDetail> {
    let (connection, developer) = (read(row)?, developers::read(row)?);
    let version = match (connection.version, row.optional_uuid("p_id")?) {
        (Some(id), Some(product)) => Some(VersionSummary {
            id,
            name: row.text("v_name")?,
            product: ProductId(product),
            product_name: row.text("p_name")?,
        }),
        _ => None,
    };
    Ok(ConnectionDetail {
        suspended: connection.suspended || !developer.status.lets_in(blocks),
        connection,
        application: applications::read(row)?,
        developer,
        service_name: row.optional_text("s_name")?,
        version,
    })
}

async fn by_id(
    conn: &mut AnyConnection,
    blocks: bool,
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
    row.as_ref().map(|row| read_detail(row, blocks)).transpose()
}

pub(super) async fn existing(
    writer: &mut Writer,
    application: ApplicationId,
    id: ConnectionId,
) -> Result<ConnectionDetail> {
    let blocks = writer.store.0.revoke_developer_blocks;
    let found = by_id(writer.conn(), blocks, application, id).await?;
    found.ok_or(StoreError::NotFound(Entity::Connection))
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

/// Every connection to a version, for what is done to all of them.
pub(super) async fn all_of_version(conn: &mut AnyConnection, version: VersionId) -> Result<Vec<Connection>> {
    let sql = format!("SELECT {COLUMNS} FROM connections c WHERE c.version = $1");
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(version.as_bytes().as_slice()).fetch_all(conn).await?;
    rows.iter().map(read).collect()
}

/// The developers, of one portal or of all, whose applications may use a version.
pub(super) async fn users_of(
    conn: &mut AnyConnection,
    version: VersionId,
    portal: Option<PortalId>,
) -> Result<Vec<Developer>> {
    let columns = developers::COLUMNS;
    let sql = format!(
        "SELECT {columns} FROM developers d WHERE d.id IN (SELECT a.developer FROM connections c \
         JOIN applications a ON a.id = c.application WHERE c.version = $1 AND c.status = $2) ORDER BY d.id"
    );
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(version.as_bytes().as_slice())
        .bind(i64::from(ConnectionStatus::Approved.code()))
        .fetch_all(conn)
        .await?;
    let all = rows.iter().map(developers::read).collect::<Result<Vec<_>>>()?;
    Ok(all.into_iter().filter(|user| portal.is_none_or(|portal| user.portal == portal)).collect())
}

/// Deletes a connection.
pub(super) async fn remove(writer: &mut Writer, before: &Connection) -> Result<()> {
    sqlx::query("DELETE FROM connections WHERE id = $1")
        .bind(before.id.as_bytes().as_slice())
        .execute(writer.conn())
        .await?;
    writer.touch_application(before.application);
    writer.audit_deleted(before).await
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
                |row| read_detail(row, self.0.revoke_developer_blocks),
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
        by_id(&mut *self.reader().await?, self.0.revoke_developer_blocks, application, connection).await
    }
}

impl Writer {
    /// The application's connection as it is until this change ends: nobody else can write meanwhile.
    pub async fn connection(
        &mut self,
        application: ApplicationId,
        id: ConnectionId,
    ) -> Result<ConnectionDetail> {
        existing(self, application, id).await
    }

    /// [`StoreError::ForeignKey`] (field `service`) if the service is unknown, [`StoreError::Unique`] (field
    /// `composite_id`) if the application is connected to it already.
    pub async fn create_connection(
        &mut self,
        application: ApplicationId,
        new: NewConnection,
    ) -> Result<ConnectionDetail> {
        let owner = applications::existing(self.conn(), application).await?;
        let target = self.connectable(&owner, new.target).await?;
        let limit = self.store.limits().connections_per_application;
        let sql = "SELECT COUNT(*) AS n FROM connections WHERE application = $1";
        if count(self.conn(), sql, |query| query.bind(application.as_bytes().to_vec())).await? >= limit {
            return Err(StoreError::Limit { entity: Entity::Connection, limit });
        }
        let by_itself =
            if target.auto_approve { ConnectionStatus::Approved } else { ConnectionStatus::Pending };
        let connection = Connection {
            id: match new.id {
                Some(id) => id,
                None => ConnectionId(self.store.random_id()?),
            },
            application,
            service: target.service,
            version: target.version,
            status: new.status.unwrap_or(by_itself),
            suspended: new.suspended,
            reason: new.reason,
            scopes: new.scopes,
            created_at: self.now,
            updated_at: self.now,
        };
        rules::optional_text("reason", connection.reason.as_deref(), rules::REASON_MAX)?;
        rules::list("scopes", &connection.scopes, rules::NAME_MAX)?;
        sqlx::query(
            "INSERT INTO connections (id, application, service, version, status, suspended, scopes, reason, \
             created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(connection.id.as_bytes().as_slice())
        .bind(application.as_bytes().as_slice())
        .bind(connection.service.map(|service| service.as_bytes().to_vec()))
        .bind(connection.version.map(|version| version.as_bytes().to_vec()))
        .bind(i64::from(connection.status.code()))
        .bind(i64::from(connection.suspended))
        .bind(json_texts(&connection.scopes))
        .bind(connection.reason.clone())
        .bind(connection.created_at.0)
        .bind(connection.updated_at.0)
        .execute(self.conn())
        .await
        .map_err(|error| name_value(error, &connection))?;
        self.touch_application(application);
        self.audit_created(&connection).await?;
        let detail = existing(self, application, connection.id).await?;
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
        let before = existing(self, application, id).await?.connection;
        let mut after = before.clone();
        if let Some(service) = patch.service {
            let owner = applications::existing(self.conn(), application).await?;
            let target = self.connectable(&owner, ConnectionTarget::Service(service)).await?;
            (after.service, after.version) = (target.service, target.version);
        }
        after.status = patch.status.unwrap_or(after.status);
        if after.status != before.status {
            after.reason = None;
        }
        patch.reason.apply(&mut after.reason);
        rules::optional_text("reason", after.reason.as_deref(), rules::REASON_MAX)?;
        after.suspended = patch.suspended.unwrap_or(after.suspended);
        self.rewrite_connection(&before, after).await
    }

    /// Makes a connection what it is to be now.
    pub(super) async fn rewrite_connection(
        &mut self,
        before: &Connection,
        mut after: Connection,
    ) -> Result<ConnectionDetail> {
        let (application, id) = (before.application, before.id);
        after.updated_at = self.now.after(before.updated_at);
        sqlx::query(
            "UPDATE connections SET service = $2, version = $3, status = $4, suspended = $5, reason = $6, \
             updated_at = $7 WHERE id = $1",
        )
        .bind(id.as_bytes().as_slice())
        .bind(after.service.map(|service| service.as_bytes().to_vec()))
        .bind(after.version.map(|version| version.as_bytes().to_vec()))
        .bind(i64::from(after.status.code()))
        .bind(i64::from(after.suspended))
        .bind(after.reason.clone())
        .bind(after.updated_at.0)
        .execute(self.conn())
        .await
        .map_err(|error| name_value(error, &after))?;
        self.touch_application(application);
        self.audit_updated(before, &after).await?;
        let detail = existing(self, application, id).await?;
        self.notify(Notice::Connection { before: Some(before), after: &detail }).await?;
        self.note_connection(before, &after);
        Ok(detail)
    }

    pub async fn delete_connection(&mut self, application: ApplicationId, id: ConnectionId) -> Result<()> {
        let before = existing(self, application, id).await?.connection;
        remove(self, &before).await
    }

    /// Where a connection of this application would lead, if it may be made.
    async fn connectable(
        &mut self,
        application: &Application,
        target: ConnectionTarget,
    ) -> Result<Connectable> {
        match target {
            ConnectionTarget::Service(id) => {
                let found = services::by_ref(self.conn(), &id.into()).await?;
                let service = found.ok_or_else(|| unknown(Entity::Service, "service", id.0))?;
                match product_versions::version_of_service(self.conn(), id).await? {
                    Some(version) => self.connectable_version(application, &version, "service").await,
                    None if application.strategy.is_some() => Err(StoreError::Invalid(Invalid::new(
                        "service",
                        "the application has an auth strategy, and this service stands by itself",
                    ))),
                    None => Ok(Connectable {
                        service: Some(id),
                        version: None,
                        auto_approve: service.auto_approve,
                    }),
                }
            }
            ConnectionTarget::Version(id) => {
                let found = product_versions::version_by_id(self.conn(), id).await?;
                let version =
                    found.ok_or_else(|| unknown(Entity::ProductVersion, "product_version_id", id.0))?;
                self.connectable_version(application, &version, "product_version_id").await
            }
        }
    }

    /// `field` is what the version, or the service it serves, came as.
    async fn connectable_version(
        &mut self,
        application: &Application,
        version: &ProductVersion,
        field: &'static str,
    ) -> Result<Connectable> {
        let refuse = |reason: &str| Err(StoreError::Invalid(Invalid::new(field, reason)));
        let developer = developers::existing(self.conn(), application.developer).await?;
        let offered = portal_versions::offered(self.conn(), developer.portal, version.id).await?;
        let Some((portal, offered)) = offered else {
            return refuse("the product version is not in the application's portal");
        };
        if !offered.application_registration_enabled {
            return refuse("the product version takes no registrations");
        }
        if offered.strategy != application.strategy {
            return refuse("the product version has another auth strategy than the application");
        }
        Ok(Connectable {
            service: version.service.map(|service| service.id),
            version: Some(version.id),
            auto_approve: portal.auto_approve_applications || offered.auto_approve_registration,
        })
    }

    /// Another service serves a version from now on, or none: its connections go with it. Those the service had by
    /// itself become the version's. [`StoreError::Unique`] (field `composite_id`) if an application has both.
    pub(super) async fn relink(
        &mut self,
        version: VersionId,
        before: Option<ServiceId>,
        after: Option<ServiceId>,
    ) -> Result<()> {
        if before == after {
            return Ok(());
        }
        let after_bytes = after.map(|service| service.as_bytes().to_vec());
        let select = "SELECT DISTINCT application FROM connections WHERE version = $1 OR service = $2";
        let rows = sqlx::query(select)
            .bind(version.as_bytes().as_slice())
            .bind(after_bytes.clone())
            .fetch_all(self.conn())
            .await?;
        for row in &rows {
            self.touch_application(ApplicationId(row.uuid("application")?));
        }
        let now = self.now;
        let conflict = |error: sqlx::Error| match StoreError::from(error) {
            StoreError::Unique { .. } => StoreError::InUse {
                entity: Entity::Service,
                reason: "an application is connected to it and to the product version".to_owned(),
            },
            other => other,
        };
        sqlx::query(
            "UPDATE connections SET version = $1, updated_at = CASE WHEN updated_at < $3 THEN $3 \
             ELSE updated_at + 1 END WHERE service = $2 AND version IS NULL",
        )
        .bind(version.as_bytes().as_slice())
        .bind(after_bytes.clone())
        .bind(now.0)
        .execute(self.conn())
        .await
        .map_err(conflict)?;
        let follow = "UPDATE connections SET service = $2, updated_at = CASE WHEN updated_at < $3 THEN $3 \
                      ELSE updated_at + 1 END WHERE version = $1";
        sqlx::query(follow)
            .bind(version.as_bytes().as_slice())
            .bind(after_bytes)
            .bind(now.0)
            .execute(self.conn())
            .await
            .map_err(conflict)?;
        for service in before.into_iter().chain(after) {
            self.touch_service(service);
            self.mark_filter(service);
        }
        Ok(())
    }
}

/// Where a connection leads.
struct Connectable {
    service: Option<ServiceId>,
    version: Option<VersionId>,
    auto_approve: bool,
}

fn unknown(entity: Entity, field: &'static str, id: uuid::Uuid) -> StoreError {
    StoreError::ForeignKey { entity, field, id: id.to_string() }
}

fn name_value(error: sqlx::Error, connection: &Connection) -> StoreError {
    StoreError::from(error)
        .with_value("id", connection.id.to_string())
        .with_value("composite_id", connection.composite_id())
}
