//! Applications in the database.

use app_auth_core::ids::{ApplicationId, ConsumerId, DeveloperId, StrategyId};
use sqlx::AnyConnection;
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use super::access_tokens::Ending;
use super::sql::{Columns as _, List, count, json_labels, json_texts};
use super::{
    Entity, Result, Store, StoreError, Writer, auth_strategies, connections, credentials, developers, portals,
};
use crate::model::{
    Application, ApplicationPatch, DcrClient, DcrProviderId, Listed, NewApplication, NewCredential,
    NewSecret, Offset, PageRequest, Update, labels, rules::Invalid,
};

/// Of the table `applications a`; the names do not clash in joins.
pub(super) const COLUMNS: &str = "a.id AS a_id, a.developer AS a_developer, a.consumer AS a_consumer, \
    a.name AS a_name, a.redirect_uri AS a_redirect_uri, a.description AS a_description, a.meta AS a_meta, \
    a.custom_id AS a_custom_id, a.strategy AS a_strategy, a.client_id AS a_client_id, \
    a.dcr_provider AS a_dcr_provider, a.dcr_handle AS a_dcr_handle, a.labels AS a_labels, a.scopes AS a_scopes, \
    a.created_at AS a_created_at, a.updated_at AS a_updated_at";

pub(super) fn read(row: &AnyRow) -> Result<Application> {
    Ok(Application {
        id: ApplicationId(row.uuid("a_id")?),
        developer: DeveloperId(row.uuid("a_developer")?),
        consumer: ConsumerId(row.uuid("a_consumer")?),
        name: row.text("a_name")?,
        redirect_uri: row.text("a_redirect_uri")?,
        description: row.optional_text("a_description")?,
        meta: row.optional_text("a_meta")?,
        custom_id: row.optional_text("a_custom_id")?,
        strategy: row.optional_uuid("a_strategy")?.map(StrategyId),
        client_id: row.optional_text("a_client_id")?,
        dcr: match row.optional_uuid("a_dcr_provider")? {
            Some(provider) => Some(DcrClient {
                provider: DcrProviderId(provider),
                handle: row.optional_text("a_dcr_handle")?,
            }),
            None => None,
        },
        labels: row.labels("a_labels")?,
        scopes: row.optional_texts("a_scopes")?,
        created_at: row.time("a_created_at")?,
        updated_at: row.time("a_updated_at")?,
    })
}

pub(super) async fn by_id(conn: &mut AnyConnection, id: ApplicationId) -> Result<Option<Application>> {
    let row = sqlx::query(AssertSqlSafe(format!("SELECT {COLUMNS} FROM applications a WHERE a.id = $1")))
        .bind(id.as_bytes().as_slice())
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(read).transpose()
}

/// The application a change is about.
pub(super) async fn existing(conn: &mut AnyConnection, id: ApplicationId) -> Result<Application> {
    by_id(conn, id).await?.ok_or(StoreError::NotFound(Entity::Application))
}

/// The developer's application a change is about.
async fn existing_of(
    conn: &mut AnyConnection,
    developer: DeveloperId,
    id: ApplicationId,
) -> Result<Application> {
    let found = by_id(conn, id).await?.filter(|application| application.developer == developer);
    found.ok_or(StoreError::NotFound(Entity::Application))
}

impl Store {
    pub async fn applications(
        &self,
        developer: DeveloperId,
        page: PageRequest,
    ) -> Result<Listed<Application>> {
        List { columns: COLUMNS, from: "applications a WHERE a.developer = $1", bound: 1, alias: "a" }
            .page(
                &mut *self.reader().await?,
                page,
                |query| query.bind(developer.as_bytes().to_vec()),
                read,
                |application| Offset { created_at: application.created_at, id: application.id.0 },
            )
            .await
    }

    /// The developer's application; another developer's is not found.
    pub async fn application(
        &self,
        developer: DeveloperId,
        application: ApplicationId,
    ) -> Result<Option<Application>> {
        let found = by_id(&mut *self.reader().await?, application).await?;
        Ok(found.filter(|application| application.developer == developer))
    }
}

impl Writer {
    /// The application as it is until this change ends: nobody else can write meanwhile.
    pub async fn application(&mut self, id: ApplicationId) -> Result<Application> {
        existing(self.conn(), id).await
    }

    /// With its hidden consumer and, where keys prove who it is, a first `oauth2` credential. [`StoreError::NotFound`] if there is no such developer.
    pub async fn create_application(
        &mut self,
        developer: DeveloperId,
        new: NewApplication,
    ) -> Result<Application> {
        let application = self.create_bare_application(developer, new).await?;
        if self.knows_keys(&application).await? {
            credentials::create(self, &application, NewCredential::new(NewSecret::oauth2())).await?;
        }
        Ok(application)
    }

    /// [`Writer::create_application`] without a credential, for applications that come with theirs.
    pub async fn create_bare_application(
        &mut self,
        developer: DeveloperId,
        new: NewApplication,
    ) -> Result<Application> {
        let portal = developers::existing(self.conn(), developer).await?.portal;
        let strategy = match new.strategy {
            None => portals::default_strategy(self.conn(), portal).await?,
            given => given,
        };
        self.check_client(strategy, new.dcr.as_ref()).await?;
        let limit = self.store.limits().applications_per_developer;
        let sql = "SELECT COUNT(*) AS n FROM applications WHERE developer = $1";
        if count(self.conn(), sql, |query| query.bind(developer.as_bytes().to_vec())).await? >= limit {
            return Err(StoreError::Limit { entity: Entity::Application, limit });
        }
        let application = Application {
            id: match new.id {
                Some(id) => id,
                None => ApplicationId(self.new_id()?),
            },
            developer,
            consumer: ConsumerId(self.new_id()?),
            name: new.name,
            redirect_uri: new.redirect_uri,
            description: new.description,
            meta: new.meta,
            custom_id: new.custom_id,
            strategy,
            client_id: new.client_id,
            dcr: new.dcr,
            labels: new.labels,
            scopes: new.scopes,
            created_at: self.now,
            updated_at: self.now,
        };
        application.check()?;
        self.check_client_id(&application).await?;
        sqlx::query(
            "INSERT INTO applications (id, developer, consumer, name, redirect_uri, description, meta, custom_id, \
             strategy, client_id, dcr_provider, dcr_handle, labels, scopes, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
        )
        .bind(application.id.as_bytes().as_slice())
        .bind(developer.as_bytes().as_slice())
        .bind(application.consumer.as_bytes().as_slice())
        .bind(application.name.clone())
        .bind(application.redirect_uri.clone())
        .bind(application.description.clone())
        .bind(application.meta.clone())
        .bind(application.custom_id.clone())
        .bind(application.strategy.map(|strategy| strategy.as_bytes().to_vec()))
        .bind(application.client_id.clone())
        .bind(application.dcr.as_ref().map(|dcr| dcr.provider.as_bytes().to_vec()))
        .bind(application.dcr.as_ref().and_then(|dcr| dcr.handle.clone()))
        .bind(json_labels(&application.labels))
        .bind(json_texts(&application.scopes))
        .bind(application.created_at.0)
        .bind(application.updated_at.0)
        .execute(self.conn())
        .await
        .map_err(|error| name_value(error, &application))?;
        self.touch_application(application.id);
        self.mark_application(None, Some(&application));
        self.audit_created(&application).await?;
        Ok(application)
    }

    pub async fn update_application(
        &mut self,
        developer: DeveloperId,
        id: ApplicationId,
        patch: ApplicationPatch,
    ) -> Result<Application> {
        let before = existing_of(self.conn(), developer, id).await?;
        if before.dcr.is_some() && patch.client_id != Update::Keep {
            return Err(Invalid::new("client_id", "the identity provider chooses it").into());
        }
        let mut after = before.clone();
        after.name = patch.name.unwrap_or(after.name);
        after.redirect_uri = patch.redirect_uri.unwrap_or(after.redirect_uri);
        patch.description.apply(&mut after.description);
        patch.meta.apply(&mut after.meta);
        patch.custom_id.apply(&mut after.custom_id);
        patch.client_id.apply(&mut after.client_id);
        labels::change("labels", &mut after.labels, patch.labels)?;
        after.scopes = patch.scopes.unwrap_or(after.scopes);
        after.updated_at = self.now.after(before.updated_at);
        after.check()?;
        if before.client_id != after.client_id {
            self.check_client_id(&after).await?;
        }
        sqlx::query(
            "UPDATE applications SET name = $2, redirect_uri = $3, description = $4, meta = $5, custom_id = $6, \
             client_id = $7, labels = $8, scopes = $9, updated_at = $10 WHERE id = $1",
        )
        .bind(id.as_bytes().as_slice())
        .bind(after.name.clone())
        .bind(after.redirect_uri.clone())
        .bind(after.description.clone())
        .bind(after.meta.clone())
        .bind(after.custom_id.clone())
        .bind(after.client_id.clone())
        .bind(json_labels(&after.labels))
        .bind(json_texts(&after.scopes))
        .bind(after.updated_at.0)
        .execute(self.conn())
        .await
        .map_err(|error| name_value(error, &after))?;
        if (&before.custom_id, &before.client_id) != (&after.custom_id, &after.client_id) {
            self.touch_application(id);
        }
        self.mark_application(Some(&before), Some(&after));
        self.audit_updated(&before, &after).await?;
        Ok(after)
    }

    /// An application whose strategy registers clients has one.
    async fn check_client(&mut self, strategy: Option<StrategyId>, dcr: Option<&DcrClient>) -> Result<()> {
        let Some(strategy) = strategy else { return Ok(()) };
        let strategy = auth_strategies::by_id(self.conn(), strategy).await?;
        let provider = strategy.and_then(|strategy| strategy.dcr_provider);
        if provider == dcr.map(|dcr| dcr.provider) {
            return Ok(());
        }
        Err(Invalid::new("auth_strategy_id", "the clients of its applications are made by a DCR provider")
            .into())
    }

    /// With its credentials and connections.
    pub async fn delete_application(&mut self, developer: DeveloperId, id: ApplicationId) -> Result<()> {
        existing_of(self.conn(), developer, id).await?;
        delete(self, id).await
    }
}

/// Deletes an application and, each with its line in the audit log, what belongs to it.
pub(super) async fn delete(writer: &mut Writer, id: ApplicationId) -> Result<()> {
    let before = existing(writer.conn(), id).await?;
    for connection in connections::all_of_application(writer.conn(), id).await? {
        writer.audit_deleted(&connection).await?;
    }
    for credential in credentials::all_of_application(writer, id).await? {
        writer.audit_deleted(&credential).await?;
    }
    writer.end_tokens(Ending::OfApplication(id)).await?;
    // Credentials and connections go with it (ON DELETE CASCADE).
    sqlx::query("DELETE FROM applications WHERE id = $1")
        .bind(id.as_bytes().as_slice())
        .execute(writer.conn())
        .await?;
    writer.touch_application(id);
    writer.mark_application(Some(&before), None);
    writer.orphan_client(&before).await?;
    writer.audit_deleted(&before).await
}

fn name_value(error: sqlx::Error, application: &Application) -> StoreError {
    StoreError::from(error)
        .with_value("id", application.id.to_string())
        .with_value("name", &application.name)
        .with_value("client_id", application.client_id.as_deref().unwrap_or_default())
        .with_value("custom_id", application.custom_id.as_deref().unwrap_or_default())
}
