//! Services in the database.

use app_auth_core::ids::ServiceId;
use sqlx::AnyConnection;
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use super::access_tokens::Ending;
use super::connections::all_of_service;
use super::sql::{Columns as _, List};
use super::{Entity, Result, Reveal, Store, StoreError, Writer, product_versions};
use crate::model::{
    Listed, NewService, OAuth2Settings, Offset, PageRequest, PlainSecret, Service, ServicePatch, ServiceRef,
    VersionId,
};

const COLUMNS: &str =
    "s.id, s.name, s.auto_approve, s.key_auth, s.oauth2, s.provision_key, s.created_at, s.updated_at";

/// Without the provision key.
fn read(row: &AnyRow) -> Result<Service> {
    Ok(Service {
        id: ServiceId(row.uuid("id")?),
        name: row.text("name")?,
        auto_approve: row.truth("auto_approve")?,
        key_auth: serde_json::from_str(&row.text("key_auth")?)
            .map_err(|_| StoreError::Corrupt("services.key_auth"))?,
        oauth2: row.optional_json("oauth2")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

/// Without the provision key.
pub(super) async fn by_ref(conn: &mut AnyConnection, service: &ServiceRef) -> Result<Option<Service>> {
    row_of(conn, service).await?.as_ref().map(read).transpose()
}

async fn row_of(conn: &mut AnyConnection, service: &ServiceRef) -> Result<Option<AnyRow>> {
    Ok(match service {
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
    })
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
                |row| self.open_service(row).map(|service| self.hide_provision_key(service, None)),
                |service| Offset { created_at: service.created_at, id: service.id.0 },
            )
            .await
    }

    pub async fn service(&self, service: &ServiceRef) -> Result<Option<Service>> {
        let found = self.service_by_ref(&mut *self.reader().await?, service).await?;
        Ok(found.map(|service| self.hide_provision_key(service, None)))
    }

    /// How callers of a service get access tokens, with the provision key; `None` if they get none.
    pub async fn oauth2_settings(&self, service: ServiceId) -> Result<Option<OAuth2Settings>> {
        let found = self.service_by_ref(&mut *self.reader().await?, &service.into()).await?;
        Ok(found.and_then(|service| service.oauth2))
    }

    async fn service_by_ref(
        &self,
        conn: &mut AnyConnection,
        service: &ServiceRef,
    ) -> Result<Option<Service>> {
        row_of(conn, service).await?.as_ref().map(|row| self.open_service(row)).transpose()
    }

    fn open_service(&self, row: &AnyRow) -> Result<Service> {
        let mut service = read(row)?;
        if let (Some(oauth2), Some(sealed)) = (&mut service.oauth2, row.optional_bytes("provision_key")?) {
            let opened = self.0.sealer.open_sealed(service.id.as_bytes(), &sealed);
            let key = String::from_utf8(opened.ok_or(StoreError::Sealed)?.to_vec());
            let key = key.map_err(|_| StoreError::Corrupt("services.provision_key"))?;
            oauth2.provision_key = Some(PlainSecret::new(key));
        }
        Ok(service)
    }

    /// What an answer shows: where secrets are not shown, or once only, a provision key that was there before is left out.
    fn hide_provision_key(&self, mut service: Service, before: Option<&Service>) -> Service {
        let hidden = self.hides_secrets() || self.0.reveal == Reveal::Once;
        if let (true, Some(oauth2)) = (hidden, &mut service.oauth2) {
            let known =
                before.map(|before| before.oauth2.as_ref().and_then(|known| known.provision_key.as_ref()));
            if known.is_none_or(|known| known == oauth2.provision_key.as_ref()) {
                oauth2.provision_key = None;
            }
        }
        service
    }

    /// Makes the provision key up if there is none, and seals it.
    fn seal_provision_key(&self, service: &mut Service) -> Result<Option<Vec<u8>>> {
        let Some(oauth2) = &mut service.oauth2 else { return Ok(None) };
        let entropy = &*self.0.entropy;
        let key = match oauth2.provision_key.take() {
            Some(key) => key,
            None => PlainSecret::generate(entropy)?,
        };
        let sealed = self.0.sealer.seal(entropy, service.id.as_bytes(), key.expose().as_bytes())?;
        oauth2.provision_key = Some(key);
        Ok(Some(sealed))
    }
}

impl Writer {
    /// The service as it is until this change ends: nobody else can write meanwhile.
    pub async fn service(&mut self, id: ServiceId) -> Result<Service> {
        let store = self.store.clone();
        let found = store.service_by_ref(self.conn(), &id.into()).await?;
        found.ok_or(StoreError::NotFound(Entity::Service))
    }

    pub async fn create_service(&mut self, new: NewService) -> Result<Service> {
        let mut service = Service {
            id: match new.id {
                Some(id) => id,
                None => ServiceId(self.store.random_id()?),
            },
            name: new.name,
            auto_approve: new.auto_approve,
            key_auth: new.key_auth,
            oauth2: new.oauth2,
            created_at: self.now,
            updated_at: self.now,
        };
        service.check()?;
        let provision_key = self.store.seal_provision_key(&mut service)?;
        sqlx::query(
            "INSERT INTO services (id, name, auto_approve, key_auth, oauth2, provision_key, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(service.id.as_bytes().as_slice())
        .bind(service.name.clone())
        .bind(i64::from(service.auto_approve))
        .bind(key_auth(&service)?)
        .bind(oauth2(&service)?)
        .bind(provision_key)
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
        let store = self.store.clone();
        match (store.service_by_ref(self.conn(), service).await?, service) {
            (Some(before), _) => {
                let after = Service {
                    name: new.name,
                    auto_approve: new.auto_approve,
                    key_auth: new.key_auth,
                    oauth2: new.oauth2,
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
        let before = self.service(id).await?;
        let mut after = before.clone();
        after.name = patch.name.unwrap_or(after.name);
        after.auto_approve = patch.auto_approve.unwrap_or(after.auto_approve);
        patch.key_auth.apply(&mut after.key_auth);
        patch.oauth2.apply(&mut after.oauth2);
        after.updated_at = self.now.after(before.updated_at);
        self.replace_service(&before, after).await
    }

    async fn replace_service(&mut self, before: &Service, mut after: Service) -> Result<Service> {
        after.check()?;
        let provision_key = self.store.seal_provision_key(&mut after)?;
        sqlx::query(
            "UPDATE services SET name = $2, auto_approve = $3, key_auth = $4, oauth2 = $5, provision_key = $6, \
             updated_at = $7 WHERE id = $1",
        )
        .bind(after.id.as_bytes().as_slice())
        .bind(after.name.clone())
        .bind(i64::from(after.auto_approve))
        .bind(key_auth(&after)?)
        .bind(oauth2(&after)?)
        .bind(provision_key)
        .bind(after.updated_at.0)
        .execute(self.conn())
        .await
        .map_err(|error| name_value(error, &after))?;
        if before.oauth2.is_some() && after.oauth2.is_none() {
            self.end_tokens(Ending::OfService(after.id)).await?;
        }
        self.touch_service(after.id);
        self.audit_updated(before, &after).await?;
        Ok(self.store.hide_provision_key(after, Some(before)))
    }

    /// With all connections to it.
    pub async fn delete_service(&mut self, id: ServiceId) -> Result<()> {
        let before = self.service(id).await?;
        self.end_tokens(Ending::OfService(id)).await?;
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

/// `null` where there is none.
fn key_auth(service: &Service) -> Result<String> {
    serde_json::to_string(&service.key_auth).map_err(|_| StoreError::Corrupt("services.key_auth"))
}

/// Without the provision key.
fn oauth2(service: &Service) -> Result<Option<String>> {
    let json = service.oauth2.as_ref().map(serde_json::to_string).transpose();
    json.map_err(|_| StoreError::Corrupt("services.oauth2"))
}

fn name_value(error: sqlx::Error, service: &Service) -> StoreError {
    StoreError::from(error).with_value("id", service.id.to_string()).with_value("name", &service.name)
}
