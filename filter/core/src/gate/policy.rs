//! What a worker has decoded of services and issuers: how callers of a service authenticate, ready for use. Kept until the
//! policy revision moves; what did not change then is not made again.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::digest::KeyDigest;
use crate::ids::{Revision, ServiceId, StoreId, StrategyId};
use crate::record::{
    IssuerRecord, KeyAuthConfig, OAuth2Config, OpenIdConnectConfig, ServiceRecord, StrategyConfig,
};
use crate::state::meta::{Meta, Table};
use crate::token::KeySet;

/// How callers of a service authenticate.
pub struct Policy {
    /// In the order in which they are tried.
    pub ways: Vec<Way>,
    /// Whether everybody gets in. Counts only where there is no way.
    pub open: bool,
}

/// One strategy of a service.
pub struct Way {
    pub strategy: StrategyId,
    pub how: How,
}

pub enum How {
    KeyAuth(KeyAuthConfig),
    OpenIdConnect(Box<OpenIdConnect>),
    OAuth2(OAuth2Config),
}

/// An `openid_connect` strategy with what is known of its issuer.
pub struct OpenIdConnect {
    pub config: OpenIdConnectConfig,
    /// `None`: nothing yet.
    pub issuer: Option<Rc<Issuer>>,
    /// A digest over all that facts are taken by. Facts of another are not these.
    pub tag: [u8; 32],
}

impl OpenIdConnect {
    pub fn new(
        (store, strategy): (&StoreId, StrategyId),
        config: OpenIdConnectConfig,
        issuer: Option<Rc<Issuer>>,
    ) -> Self {
        let mut hasher = blake3::Hasher::new_keyed(&store.0);
        hasher.update(strategy.as_bytes());
        let name = issuer.as_deref().map_or("", |issuer| issuer.record.issuer.as_str());
        hasher.update(&u64::try_from(name.len()).unwrap_or(u64::MAX).to_le_bytes()).update(name.as_bytes());
        hasher.update(&serde_json::to_vec(&config).unwrap_or_default());
        Self { tag: *hasher.finalize().as_bytes(), config, issuer }
    }

    pub fn takes(&self, method: &str) -> bool {
        self.config.auth_methods.iter().any(|known| known == method)
    }
}

/// An issuer, its keys ready for use.
pub struct Issuer {
    pub record: IssuerRecord,
    pub keys: KeySet,
}

impl Issuer {
    pub fn new(record: IssuerRecord) -> Self {
        Self { keys: KeySet::new(&record.keys, &record.algorithms), record }
    }
}

/// What a worker has decoded.
#[derive(Default)]
pub struct PolicyCache {
    tag: Option<(StoreId, Option<Table>, Revision)>,
    /// `None` inside: the store has no such service.
    policies: BTreeMap<ServiceId, Rc<Option<Policy>>>,
    /// By a digest of the record, so that one that did not change is not decoded again.
    issuers: BTreeMap<[u8; 32], Rc<Issuer>>,
}

/// Most policies a worker keeps.
const POLICIES_MAX: usize = 4096;
/// Most issuers a worker keeps.
const ISSUERS_MAX: usize = 256;

impl PolicyCache {
    pub(super) fn get(&mut self, meta: &Meta, service: ServiceId) -> Option<Rc<Option<Policy>>> {
        let tag = Some((meta.store, meta.serving, meta.policy_revision));
        // While a table is being replaced a service may be read from either; nothing is kept then.
        if self.tag != tag || meta.loading.is_some() {
            self.policies.clear();
            self.tag = tag;
        }
        self.policies.get(&service).cloned()
    }

    pub(super) fn put(&mut self, service: ServiceId, policy: Rc<Option<Policy>>) {
        if self.policies.len() >= POLICIES_MAX {
            self.policies.clear();
        }
        self.policies.insert(service, policy);
    }

    /// An issuer from its record; `None` if the record does not add up.
    pub(super) fn issuer(
        &mut self,
        payload: &[u8],
        decode: impl FnOnce(&[u8]) -> Option<IssuerRecord>,
    ) -> Option<Rc<Issuer>> {
        let digest = *blake3::hash(payload).as_bytes();
        if let Some(known) = self.issuers.get(&digest) {
            return Some(known.clone());
        }
        let issuer = Rc::new(Issuer::new(decode(payload)?));
        if self.issuers.len() >= ISSUERS_MAX {
            self.issuers.clear();
        }
        self.issuers.insert(digest, issuer.clone());
        Some(issuer)
    }
}

/// Makes a service's record ready. `issuer` finds the issuer with a name.
pub(super) fn prepare<E>(
    store: &StoreId,
    record: ServiceRecord,
    mut issuer: impl FnMut(&KeyDigest) -> Result<Option<Rc<Issuer>>, E>,
) -> Result<Policy, E> {
    let mut ways = Vec::with_capacity(record.strategies.len());
    for strategy in record.strategies {
        let how = match strategy.config {
            StrategyConfig::KeyAuth(config) => How::KeyAuth(config),
            StrategyConfig::OAuth2(config) => How::OAuth2(config),
            StrategyConfig::OpenIdConnect(config) => {
                let issuer = issuer(&KeyDigest::of_issuer(store, &config.issuer))?;
                How::OpenIdConnect(Box::new(OpenIdConnect::new((store, strategy.id), *config, issuer)))
            }
        };
        ways.push(Way { strategy: strategy.id, how });
    }
    Ok(Policy { ways, open: record.open })
}
