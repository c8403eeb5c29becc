//! Writes the audit log: who changed what, when, from what to what. Secrets are left out, but not that one changed.

use serde_json::{Value, json};
use uuid::Uuid;

use super::sql::signed;
use super::writer::Writer;
use super::{Entity, Result, StoreError, permission};
use crate::model::{
    Application, AuthStrategy, Connection, Credential, CredentialSecret, DcrProvider, Developer,
    DeveloperCredential, PlainSecret, Portal, PortalVersion, Product, ProductVersion, Role, Service,
    StatusCode as _,
};

/// What the audit log tells of an entity.
pub(super) trait Audited {
    const ENTITY: Entity;
    fn id(&self) -> Uuid;
    fn view(&self) -> Value;

    /// What the view leaves out, so that a line can tell that it changed.
    fn secrets(&self) -> Vec<(&str, &PlainSecret)> {
        Vec::new()
    }
}

impl Writer {
    pub(super) async fn audit_created<T: Audited + Sync>(&mut self, after: &T) -> Result<()> {
        self.audit(T::ENTITY, "create", after.id(), None, Some(after.view())).await
    }

    pub(super) async fn audit_updated<T: Audited + Sync>(&mut self, before: &T, after: &T) -> Result<()> {
        let mut view = after.view();
        if let Value::Object(members) = &mut view {
            let known = before.secrets();
            let changed = after.secrets().into_iter().filter(|secret| !known.contains(secret));
            members.extend(changed.map(|(name, _)| (name.to_owned(), json!("(changed)"))));
        }
        self.audit(T::ENTITY, "update", after.id(), Some(before.view()), Some(view)).await
    }

    pub(super) async fn audit_deleted<T: Audited + Sync>(&mut self, before: &T) -> Result<()> {
        self.audit(T::ENTITY, "delete", before.id(), Some(before.view()), None).await
    }

    /// [`StoreError::Forbidden`] if whoever makes the change may not: then nothing of it is made.
    pub(super) async fn audit(
        &mut self,
        entity: Entity,
        action: &'static str,
        id: Uuid,
        before: Option<Value>,
        after: Option<Value>,
    ) -> Result<()> {
        if !permission::may_change(self.actor.role, entity, action, before.as_ref(), after.as_ref()) {
            return Err(StoreError::Forbidden(self.actor.role));
        }
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
            "portal": self.portal,
            "reason": self.reason,
            "password": self.password_hash.as_ref().map(|_| "(set)"),
            "roles": self.roles,
        })
    }
    fn secrets(&self) -> Vec<(&str, &PlainSecret)> {
        self.password_hash.iter().map(|hash| ("password", hash)).collect()
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
            "auth_strategy": self.strategy,
            "client_id": self.client_id,
            "dcr_provider": self.dcr.as_ref().map(|dcr| dcr.provider),
            "labels": self.labels,
            "scopes": self.scopes,
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
            "product_version": self.version,
            "status": self.status.code(),
            "reason": self.reason,
            "suspended": self.suspended,
            "scopes": self.scopes,
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
            "display_name": self.display_name,
            "tags": self.tags,
            "client": client,
        })
    }
    fn secrets(&self) -> Vec<(&str, &PlainSecret)> {
        match &self.secret {
            CredentialSecret::KeyAuth { key } => key.iter().map(|key| ("key", key)).collect(),
            // A client does not change once it is made.
            CredentialSecret::OAuth2 { .. } => Vec::new(),
        }
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
    fn secrets(&self) -> Vec<(&str, &PlainSecret)> {
        self.members.secret.iter().map(|(name, secret)| (name.as_str(), secret)).collect()
    }
}

impl Audited for Service {
    const ENTITY: Entity = Entity::Service;
    fn id(&self) -> Uuid {
        self.id.0
    }
    fn view(&self) -> Value {
        json!({
            "name": self.name,
            "auto_approve": self.auto_approve,
            "key_auth": self.key_auth,
            "oauth2": self.oauth2,
        })
    }
    fn secrets(&self) -> Vec<(&str, &PlainSecret)> {
        let key = self.oauth2.as_ref().and_then(|oauth2| oauth2.provision_key.as_ref());
        key.map(|key| ("provision_key", key)).into_iter().collect()
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

impl Audited for Product {
    const ENTITY: Entity = Entity::Product;
    fn id(&self) -> Uuid {
        self.id.0
    }
    fn view(&self) -> Value {
        json!({
            "name": self.name,
            "description": self.description,
            "labels": self.labels,
            "public_labels": self.public_labels,
        })
    }
}

impl Audited for ProductVersion {
    const ENTITY: Entity = Entity::ProductVersion;
    fn id(&self) -> Uuid {
        self.id.0
    }
    fn view(&self) -> Value {
        json!({
            "api_product": self.product,
            "name": self.name,
            "publish_status": self.publish_status.as_str(),
            "deprecated": self.deprecated,
            "gateway_service": self.service.map(|service| service.id),
            "open": self.opened,
            "labels": self.labels,
        })
    }
}

impl Audited for Portal {
    const ENTITY: Entity = Entity::Portal;
    fn id(&self) -> Uuid {
        self.id.0
    }
    fn view(&self) -> Value {
        json!({
            "name": self.name,
            "display_name": self.display_name,
            "description": self.description,
            "is_public": self.is_public,
            "rbac_enabled": self.rbac_enabled,
            "auto_approve_applications": self.auto_approve_applications,
            "auto_approve_developers": self.auto_approve_developers,
            "custom_domain": self.custom_domain,
            "custom_client_domain": self.custom_client_domain,
            "default_auth_strategy": self.default_strategy,
            "labels": self.labels,
        })
    }
}

impl Audited for PortalVersion {
    const ENTITY: Entity = Entity::PortalVersion;
    fn id(&self) -> Uuid {
        self.id.0
    }
    fn view(&self) -> Value {
        json!({
            "portal": self.portal,
            "product_version": self.version,
            "publish_status": self.publish_status.as_str(),
            "auth_strategy": self.strategy,
            "application_registration_enabled": self.application_registration_enabled,
            "auto_approve_registration": self.auto_approve_registration,
            "deprecated": self.deprecated,
        })
    }
}

impl Audited for AuthStrategy {
    const ENTITY: Entity = Entity::AuthStrategy;
    fn id(&self) -> Uuid {
        self.id.0
    }
    fn view(&self) -> Value {
        json!({
            "name": self.name,
            "display_name": self.display_name,
            "strategy_type": self.strategy_type.as_str(),
            "configs": shown(self),
            "dcr_provider": self.dcr_provider,
            "labels": self.labels,
        })
    }
    fn secrets(&self) -> Vec<(&str, &PlainSecret)> {
        self.secret.iter().map(|(name, secret)| (name.as_str(), secret)).collect()
    }
}

/// A strategy's configuration, with which secrets there are in it.
fn shown(strategy: &AuthStrategy) -> Value {
    let secret = strategy.secret.keys().map(|name| (name.clone(), json!("(set)")));
    strategy.config.clone().into_iter().chain(secret).collect()
}

impl Audited for DcrProvider {
    const ENTITY: Entity = Entity::DcrProvider;
    fn id(&self) -> Uuid {
        self.id.0
    }
    fn view(&self) -> Value {
        json!({
            "name": self.name,
            "display_name": self.display_name,
            "provider_type": self.provider_type.as_str(),
            "issuer": self.issuer,
            "dcr_config": self.config,
            "labels": self.labels,
        })
    }
    fn secrets(&self) -> Vec<(&str, &PlainSecret)> {
        vec![(self.provider_type.secret_member(), &self.secret)]
    }
}
