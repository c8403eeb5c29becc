//! Identity providers: what is learnt from them and what they are told.

mod clients;
mod dcr;
mod discovery;
mod guard;
mod http;
pub mod issuers;
mod operation;
mod sweeper;

pub use self::clients::{ClientError, Clients, Created, Refreshed};
use self::dcr::AzureUrls;
pub use self::http::{IdpConfig, IdpHttp};

/// How identity providers are reached; cheap to clone.
#[derive(Clone)]
pub struct Idp {
    pub http: IdpHttp,
    azure: AzureUrls,
}

impl Idp {
    pub fn new(config: &IdpConfig) -> anyhow::Result<Self> {
        let azure = AzureUrls { login: config.azure_login.clone(), graph: config.azure_graph.clone() };
        Ok(Self { http: IdpHttp::new(config)?, azure })
    }
}
