//! What the segments of a path name. A segment that cannot name anything is "not found", like one that does not.

use std::str::FromStr;

use app_auth_core::ids::{ApplicationId, CredentialId};
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::error::Error;
use super::texts;
use crate::model::{
    Application, Credential, CredentialKind, Developer, DeveloperRef, PlainSecret, Plugin, PluginId, Role,
    RoleRef, Service, ServiceRef,
};
use crate::store::Store;

/// The variable segments of a path, decoded.
pub struct Segments<T>(pub T);

impl<S, T> FromRequestParts<S> for Segments<T>
where
    S: Send + Sync,
    T: DeserializeOwned + Send,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        // The only way to fail is a segment that is not UTF-8.
        Path::from_request_parts(parts, state)
            .await
            .map(|Path(segments)| Self(segments))
            .map_err(|_| Error::NotFound)
    }
}

/// An identifier.
pub fn id<T: FromStr>(segment: &str) -> Result<T, Error> {
    segment.parse().map_err(|_| Error::NotFound)
}

/// A developer, by e-mail or id.
pub async fn developer(store: &Store, segment: &str) -> Result<Developer, Error> {
    find_developer(store, segment).await?.ok_or(Error::NotFound)
}

/// A developer, by e-mail or id, if there is one.
pub async fn find_developer(store: &Store, segment: &str) -> Result<Option<Developer>, Error> {
    if texts::storable(segment).is_err() {
        return Ok(None);
    }
    Ok(store.developer(&DeveloperRef::parse(segment)).await?)
}

/// An application of a developer.
pub async fn application(store: &Store, developer: &str, application: &str) -> Result<Application, Error> {
    let developer = self::developer(store, developer).await?;
    let application = id::<ApplicationId>(application)?;
    store.application(developer.id, application).await?.ok_or(Error::NotFound)
}

/// A credential of an application, by id or by its key or client id.
pub async fn credential(
    store: &Store,
    application: &Application,
    kind: CredentialKind,
    segment: &str,
) -> Result<Credential, Error> {
    let by_id = match segment.parse::<CredentialId>() {
        Ok(id) => store.credential(application.id, kind, id).await?,
        Err(_) => None,
    };
    let found = match by_id {
        // A key may look like an id.
        None => store.credential_by_key(application, kind, &PlainSecret::new(segment)).await?,
        found => found,
    };
    found.ok_or(Error::NotFound)
}

/// A plugin of a developer, by id or by its `instance_name`, which is never a UUID.
pub async fn plugin(store: &Store, developer: &Developer, segment: &str) -> Result<Plugin, Error> {
    let found = match segment.parse::<PluginId>() {
        Ok(id) => store.plugin(developer.id, id).await?,
        Err(_) if texts::storable(segment).is_ok() => {
            store.plugin_by_instance_name(developer.id, segment).await?
        }
        Err(_) => None,
    };
    found.ok_or(Error::NotFound)
}

/// A service, by name or id.
pub async fn service(store: &Store, segment: &str) -> Result<Service, Error> {
    find_service(store, segment).await?.ok_or(Error::NotFound)
}

/// A service, by name or id, if there is one.
pub async fn find_service(store: &Store, segment: &str) -> Result<Option<Service>, Error> {
    if texts::storable(segment).is_err() {
        return Ok(None);
    }
    Ok(store.service(&ServiceRef::parse(segment)).await?)
}

/// A role, by name or id.
pub async fn role(store: &Store, segment: &str) -> Result<Role, Error> {
    find_role(store, segment).await?.ok_or(Error::NotFound)
}

/// A role, by name or id, if there is one.
pub async fn find_role(store: &Store, segment: &str) -> Result<Option<Role>, Error> {
    if texts::storable(segment).is_err() {
        return Ok(None);
    }
    Ok(store.role(&RoleRef::parse(segment)).await?)
}
