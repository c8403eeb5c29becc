//! Dynamic client registration: what the kinds of providers have in common. One file per kind makes of it the HTTP that
//! the provider understands; none of them knows of our database, and nothing outside knows of their HTTP.

mod auth0;
mod azure_ad;
mod curity;
mod http;
mod okta;

use std::pin::Pin;

use app_auth_core::ids::{ApplicationId, DeveloperId, StrategyId};
use url::Url;
use uuid::Uuid;

use super::http::{CallError, Calls};
use crate::model::{DcrProvider, DcrProviderId, PlainSecret, PortalId, ProviderType, VersionId};
use crate::store::ClientContext;

/// How a client proves itself at the token endpoint: with its secret, in the header (RFC 6749, 2.3.1).
const AUTH_METHOD: &str = "client_secret_basic";
/// What a client may ask for where its strategy does not say.
const DEFAULT_SCOPE: &str = "openid";
/// Most pages that are read of a provider's list.
const PAGES: u32 = 50;

/// A client as a provider is to have it.
#[derive(Clone, Debug)]
pub struct ClientSpec {
    pub application: ApplicationId,
    pub name: String,
    /// The name at the provider; it holds the application's id.
    pub client_name: String,
    pub description: String,
    pub redirect_uris: Vec<String>,
    pub grant_types: Vec<String>,
    pub scopes: Vec<String>,
    /// Of the APIs that its tokens are for, as far as the strategy says.
    pub audiences: Vec<String>,
    /// The scopes of its registrations, and of the application itself.
    pub chosen: Vec<String>,
    pub portal: PortalId,
    pub developer: DeveloperId,
    pub organization: Uuid,
    pub strategy: StrategyId,
    pub provider: DcrProviderId,
}

impl ClientSpec {
    /// What the database says. `organization` stands for all of it.
    pub fn new(context: &ClientContext, organization: Uuid) -> Self {
        let ClientContext { application, portal, strategy, provider, registered, .. } = context;
        let config = strategy.openid_connect();
        let (methods, scopes, audiences) = match config {
            Some(config) => (config.auth_methods, config.scopes, config.audience_required),
            None => (Vec::new(), Vec::new(), Vec::new()),
        };
        let mut chosen = application.scopes.clone();
        chosen.extend(registered.iter().filter(|scope| !application.scopes.contains(scope)).cloned());
        Self {
            application: application.id,
            name: application.name.clone(),
            client_name: application.client_name(),
            description: application.description.clone().unwrap_or_default(),
            redirect_uris: Some(application.redirect_uri.clone())
                .filter(|uri| !uri.is_empty())
                .into_iter()
                .collect(),
            grant_types: grant_types(&methods),
            scopes: if scopes.is_empty() { vec![DEFAULT_SCOPE.to_owned()] } else { scopes },
            audiences,
            chosen,
            portal: *portal,
            developer: application.developer,
            organization,
            strategy: strategy.id,
            provider: provider.id,
        }
    }

    /// A client that is only made to see whether it can be.
    pub fn trial(provider: &DcrProvider, application: ApplicationId, organization: Uuid) -> Self {
        Self {
            application,
            name: "verification".to_owned(),
            client_name: String::new(),
            description: "Made to verify the DCR provider, and deleted at once".to_owned(),
            redirect_uris: Vec::new(),
            grant_types: grant_types(&[]),
            scopes: vec![DEFAULT_SCOPE.to_owned()],
            audiences: Vec::new(),
            chosen: Vec::new(),
            portal: PortalId::DEFAULT,
            developer: DeveloperId(application.0),
            organization,
            strategy: StrategyId(application.0),
            provider: provider.id,
        }
    }
}

/// The grants behind the ways in which a strategy lets callers in. Whoever brings a token has got it with the client's
/// own credentials.
fn grant_types(methods: &[String]) -> Vec<String> {
    const KNOWN: [&str; 4] = ["client_credentials", "authorization_code", "password", "refresh_token"];
    let mut grants: Vec<String> = KNOWN
        .into_iter()
        .filter(|known| methods.iter().any(|method| method == known))
        .map(Into::into)
        .collect();
    if grants.is_empty() {
        grants.push("client_credentials".to_owned());
    }
    grants
}

/// A client that a provider has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientRef {
    pub client_id: String,
    /// What the provider calls it where it does not go by its client id.
    pub handle: Option<String>,
}

/// A new secret, and the provider's name for it where the old ones have still to go.
#[derive(Clone, Debug)]
pub struct Rotated {
    pub secret: PlainSecret,
    pub keep: Option<String>,
}

/// Whether an application is connected to a version now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Registration {
    Added(VersionId),
    Removed(VersionId),
}

/// The clients that were made for an application.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Found {
    Clients(Vec<ClientRef>),
    /// The provider's interface has no way to look for any.
    CannotSearch,
}

/// A call in progress.
pub type Calling<'a, T> = Pin<Box<dyn Future<Output = Result<T, CallError>> + Send + 'a>>;

/// A provider at which clients are registered. Everything may be told it twice, and is the same then as if it had been
/// told once, but for [`Dcr::register`] and [`Dcr::rotate`].
pub trait Dcr: Send + Sync {
    /// Makes a client and answers its secret. `made` is set as soon as the provider has it, so that it can be removed if
    /// the rest fails.
    fn register<'a>(
        &'a self,
        calls: &'a Calls,
        spec: &'a ClientSpec,
        made: &'a mut Option<ClientRef>,
    ) -> Calling<'a, PlainSecret>;

    /// Makes a client what the application is.
    fn update<'a>(&'a self, calls: &'a Calls, client: &'a ClientRef, spec: &'a ClientSpec)
    -> Calling<'a, ()>;

    /// Sees to it that a client is gone.
    fn delete<'a>(&'a self, calls: &'a Calls, client: &'a ClientRef) -> Calling<'a, ()>;

    /// Gives a client a new secret; the old one no longer counts, or goes with [`Dcr::tidy`].
    fn rotate<'a>(
        &'a self,
        calls: &'a Calls,
        client: &'a ClientRef,
        spec: &'a ClientSpec,
    ) -> Calling<'a, Rotated>;

    /// The clients that were made for an application under this name.
    fn find<'a>(
        &'a self,
        calls: &'a Calls,
        application: ApplicationId,
        client_name: &'a str,
    ) -> Calling<'a, Found>;

    /// Removes every secret but one.
    fn tidy<'a>(&'a self, _: &'a Calls, _: &'a ClientRef, _keep: &'a str) -> Calling<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    /// Tells of a registration that has come or gone.
    fn registration<'a>(
        &'a self,
        _: &'a Calls,
        _: &'a ClientRef,
        _: &'a ClientSpec,
        _: Registration,
    ) -> Calling<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    /// Whether it wants to know of registrations.
    fn follows_registrations(&self) -> bool {
        false
    }

    /// Whether it gives clients new secrets.
    fn rotates(&self) -> bool {
        true
    }
}

/// Where the services of Azure are that all tenants share.
#[derive(Clone, Debug)]
pub struct AzureUrls {
    pub login: Url,
    pub graph: Url,
}

/// What speaks to a provider. An error where its configuration cannot be used.
pub fn of(provider: &DcrProvider, azure: &AzureUrls) -> Result<Box<dyn Dcr>, CallError> {
    let issuer =
        || Url::parse(&provider.issuer).map_err(|_| CallError::Untold("its issuer is no URL".into()));
    Ok(match provider.provider_type {
        ProviderType::Okta => Box::new(okta::Okta::new(issuer()?, provider)),
        ProviderType::Auth0 => Box::new(auth0::Auth0::new(issuer()?, provider)),
        ProviderType::AzureAd => Box::new(azure_ad::AzureAd::new(&issuer()?, provider, azure)?),
        ProviderType::Curity => Box::new(curity::Curity::new(provider)),
        ProviderType::Http => Box::new(http::Bridge::new(provider)?),
    })
}

/// Gone already is as good as deleted.
fn gone<T>(result: Result<T, CallError>) -> Result<(), CallError> {
    match result {
        Ok(_) => Ok(()),
        Err(error) if error.is_unknown() => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_follow_from_the_ways_in_and_there_is_always_one() {
        let of =
            |methods: &[&str]| grant_types(&methods.iter().map(|&method| method.into()).collect::<Vec<_>>());
        assert_eq!(of(&["client_credentials", "bearer"]), ["client_credentials"]);
        assert_eq!(of(&["bearer"]), ["client_credentials"]);
        assert_eq!(of(&[]), ["client_credentials"]);
        assert_eq!(of(&["refresh_token", "authorization_code"]), ["authorization_code", "refresh_token"]);
    }
}
