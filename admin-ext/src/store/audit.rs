//! The audit log: who changed what, when, from what to what. Secrets are left out.

use serde_json::{Value, json};
use uuid::Uuid;

use super::sql::{Columns as _, signed};
use super::writer::Writer;
use super::{Entity, Result, Store};
use crate::model::{
    Application, Connection, Credential, CredentialSecret, Developer, DeveloperCredential, Role, Service,
    StatusCode as _, Timestamp,
};

/// What the audit log tells of an entity.
pub(super) trait Audited {
    const ENTITY: Entity;
    fn id(&self) -> Uuid;
    fn view(&self) -> Value;
}

/// One line of the audit log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditEntry {
    pub seq: u64,
    pub at: Timestamp,
    pub actor: String,
    pub request: String,
    pub action: String,
    pub entity: String,
    pub entity_id: String,
    /// JSON texts.
    pub before: Option<String>,
    pub after: Option<String>,
}

impl Writer {
    pub(super) async fn audit_created<T: Audited + Sync>(&mut self, after: &T) -> Result<()> {
        self.audit(T::ENTITY, "create", after.id(), None, Some(after.view())).await
    }

    pub(super) async fn audit_updated<T: Audited + Sync>(&mut self, before: &T, after: &T) -> Result<()> {
        self.audit(T::ENTITY, "update", after.id(), Some(before.view()), Some(after.view())).await
    }

    pub(super) async fn audit_deleted<T: Audited + Sync>(&mut self, before: &T) -> Result<()> {
        self.audit(T::ENTITY, "delete", before.id(), Some(before.view()), None).await
    }

    pub(super) async fn audit(
        &mut self,
        entity: Entity,
        action: &'static str,
        id: Uuid,
        before: Option<Value>,
        after: Option<Value>,
    ) -> Result<()> {
        self.head.audit += 1;
        sqlx::query(
            "INSERT INTO audit (seq, at, actor, request, action, entity, entity_id, before_change, after_change) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(signed(self.head.audit))
        .bind(self.now.0)
        .bind(self.actor.name.clone())
        .bind(self.actor.request.clone())
        .bind(action)
        .bind(entity.noun())
        .bind(id.to_string())
        .bind(before.map(|value| value.to_string()))
        .bind(after.map(|value| value.to_string()))
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }
}

impl Store {
    /// The newest entries of the audit log, newest first.
    pub async fn audit_log(&self, limit: u16) -> Result<Vec<AuditEntry>> {
        let rows = sqlx::query(
            "SELECT seq, at, actor, request, action, entity, entity_id, before_change, after_change \
             FROM audit ORDER BY seq DESC LIMIT $1",
        )
        .bind(i64::from(limit))
        .fetch_all(&mut *self.reader().await?)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(AuditEntry {
                    seq: row.count("seq")?,
                    at: row.time("at")?,
                    actor: row.text("actor")?,
                    request: row.text("request")?,
                    action: row.text("action")?,
                    entity: row.text("entity")?,
                    entity_id: row.text("entity_id")?,
                    before: row.optional_text("before_change")?,
                    after: row.optional_text("after_change")?,
                })
            })
            .collect()
    }
}

impl Audited for Developer {
    const ENTITY: Entity = Entity::Developer;
    fn id(&self) -> Uuid {
        self.id.0
    }
    fn view(&self) -> Value {
        json!({
            "email": self.email.as_str(),
            "status": self.status.code(),
            "meta": self.meta,
            "custom_id": self.custom_id,
            "password": self.password_hash.as_ref().map(|_| "(set)"),
            "roles": self.roles,
        })
    }
}

impl Audited for Application {
    const ENTITY: Entity = Entity::Application;
    fn id(&self) -> Uuid {
        self.id.0
    }
    fn view(&self) -> Value {
        json!({
            "developer": self.developer,
            "name": self.name,
            "redirect_uri": self.redirect_uri,
            "description": self.description,
            "meta": self.meta,
            "custom_id": self.custom_id,
        })
    }
}

impl Audited for Connection {
    const ENTITY: Entity = Entity::Connection;
    fn id(&self) -> Uuid {
        self.id.0
    }
    fn view(&self) -> Value {
        json!({
            "application": self.application,
            "service": self.service,
            "status": self.status.code(),
            "suspended": self.suspended,
        })
    }
}

impl Audited for Credential {
    const ENTITY: Entity = Entity::Credential;
    fn id(&self) -> Uuid {
        self.id.0
    }
    fn view(&self) -> Value {
        let client = match &self.secret {
            CredentialSecret::OAuth2 { name, client_type, redirect_uris, hash_secret, .. } => Some(json!({
                "name": name,
                "client_type": client_type.as_str(),
                "redirect_uris": redirect_uris,
                "hash_secret": hash_secret,
            })),
            CredentialSecret::KeyAuth { .. } => None,
        };
        json!({
            "application": self.application,
            "kind": self.kind().as_str(),
            "last_four": self.last_four,
            "expires_at": self.expires_at.map(|at| at.0),
            "tags": self.tags,
            "client": client,
        })
    }
}

impl Audited for DeveloperCredential {
    const ENTITY: Entity = Entity::Credential;
    fn id(&self) -> Uuid {
        self.id.0
    }
    fn view(&self) -> Value {
        json!({
            "developer": self.developer,
            "kind": self.kind.as_str(),
            "members": self.members.open,
            "last_four": self.last_four,
            "expires_at": self.expires_at.map(|at| at.0),
            "tags": self.tags,
        })
    }
}

impl Audited for Service {
    const ENTITY: Entity = Entity::Service;
    fn id(&self) -> Uuid {
        self.id.0
    }
    fn view(&self) -> Value {
        json!({ "name": self.name, "auto_approve": self.auto_approve, "key_auth": self.key_auth })
    }
}

impl Audited for Role {
    const ENTITY: Entity = Entity::Role;
    fn id(&self) -> Uuid {
        self.id
    }
    fn view(&self) -> Value {
        json!({ "name": self.name, "comment": self.comment })
    }
}
