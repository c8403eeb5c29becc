//! Identity providers: what is learnt from them and what they are told.

use std::sync::Arc;
use std::time::Duration;

mod clients;
mod dcr;
mod discovery;
mod guard;
mod http;
pub mod introspection;
pub mod issuers;
mod operation;
mod person;
mod refresh;
mod relying_party;
mod sweeper;

pub use self::clients::{ClientError, Clients, Created, Refreshed};
use self::dcr::AzureUrls;
pub use self::http::{IdpConfig, IdpHttp};
pub use self::introspection::Introspector;
pub use self::person::{RoleRule, is_issuer};
pub use self::refresh::{Refreshed as IssuerRefreshed, refresh as refresh_issuer};
pub use self::relying_party::{
    PENDING_MS, Pending, Person, RelyingParty, Returned, SignInConfig, SignInError,
};

/// How identity providers are reached; cheap to clone.
#[derive(Clone)]
pub struct Idp {
    pub http: IdpHttp,
    pub introspector: Introspector,
    /// Where people sign in at the console, if anywhere.
    pub sign_in: Option<Arc<RelyingParty>>,
    azure: AzureUrls,
    /// Between the beginnings of two fetches of one issuer, at least.
    issuer_interval: Duration,
}

impl Idp {
    pub fn new(config: &IdpConfig) -> anyhow::Result<Self> {
        let azure = AzureUrls { login: config.azure_login.clone(), graph: config.azure_graph.clone() };
        let http = IdpHttp::new(config)?;
        let introspector = Introspector::new(http.clone());
        let sign_in = config.sign_in.clone();
        let sign_in = sign_in.map(|config| Arc::new(RelyingParty::new(config, http.clone())));
        Ok(Self { http, introspector, sign_in, azure, issuer_interval: config.issuer_interval })
    }
}
