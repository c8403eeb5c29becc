//! One request from its headers to an outcome: state, policy, strategy, decision. The only thing the adapter calls on the
//! request path.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::config::Config;
use crate::decision::{self, Verdict};
use crate::digest::KeyDigest;
use crate::host::SharedData;
use crate::identity::{Forged, Identity};
use crate::ids::StrategyId;
use crate::ids::{Revision, ServiceId, StoreId};
use crate::record::{KeyAuthConfig, Kind, ServiceRecord, Strategy, StrategyConfig};
use crate::refusal::{Ambiguous, Refusal, Unauthenticated, Unavailable};
use crate::request::body;
use crate::request::headers::HeaderMap;
use crate::state::bucket::CredentialView;
use crate::state::meta::{Meta, Table};
use crate::state::policy;
use crate::state::table::{Fault, Reader};
use crate::strategy::key_auth::{self, Body, KEY_MAX, Presented};

/// What a host can and cannot do to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostTraits {
    /// Removing a header reaches the upstream, and removes every copy.
    pub removes_headers: bool,
    /// The host shows at most this many headers.
    pub header_cap: Option<usize>,
}

/// A request, as far as the filter has it.
pub struct Request<'a> {
    pub headers: HeaderMap<'a>,
    /// The service the host routed to, or the one the configuration names.
    pub service: Option<ServiceId>,
    pub body: Body<'a>,
    pub host: HostTraits,
}

/// What to do with a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Let it through as this caller.
    Allow {
        identity: Identity,
        /// Name under which the key was found and must be kept from the upstream, and whether the body holds it too.
        hide: Option<Hide>,
    },
    /// Let it through without an identity: a CORS preflight, or a service that is open.
    Exempt,
    /// Ask again with the body.
    NeedsBody,
    Refuse(Refusal),
}

/// Credentials to take out of a request.
#[derive(Debug, PartialEq, Eq)]
pub struct Hide {
    pub name: String,
    pub in_body: bool,
}

/// Policies that a worker has decoded. Dropped when the store, the load or the policy revision moves.
#[derive(Default)]
pub struct PolicyCache {
    tag: Option<(StoreId, Option<Table>, Revision)>,
    /// `None` inside: the store has no such service.
    policies: BTreeMap<ServiceId, Rc<Option<ServiceRecord>>>,
}

/// Most policies a worker keeps.
const POLICIES_MAX: usize = 4096;

impl PolicyCache {
    fn get(&mut self, meta: &Meta, service: ServiceId) -> Option<Rc<Option<ServiceRecord>>> {
        let tag = Some((meta.store, meta.serving, meta.policy_revision));
        // While a table is being replaced a service may be read from either; nothing is kept then.
        if self.tag != tag || meta.loading.is_some() {
            self.policies.clear();
            self.tag = tag;
        }
        self.policies.get(&service).cloned()
    }

    fn put(&mut self, service: ServiceId, policy: Rc<Option<ServiceRecord>>) {
        if self.policies.len() >= POLICIES_MAX {
            self.policies.clear();
        }
        self.policies.insert(service, policy);
    }
}

/// Decides requests from a node's shared data.
pub struct Gate<'a, S, N> {
    pub reader: Reader<'a, S>,
    pub config: &'a Config,
    pub policies: &'a RefCell<PolicyCache>,
    /// Milliseconds since the Unix epoch; asked for only where it matters. `None`: the host has no clock.
    pub now: N,
}

impl<S: SharedData, N: Fn() -> Option<u64>> Gate<'_, S, N> {
    /// The outcome for a request.
    pub fn decide(&self, request: &Request<'_>) -> Outcome {
        self.try_decide(request).unwrap_or_else(Outcome::Refuse)
    }

    fn try_decide(&self, request: &Request<'_>) -> Result<Outcome, Refusal> {
        if request.host.header_cap.is_some_and(|cap| request.headers.len() >= cap) {
            return Err(Refusal::Ambiguous(Ambiguous::TooManyHeaders));
        }
        if !request.host.removes_headers && Forged::scan(&request.headers).repeated() {
            return Err(Refusal::Ambiguous(Ambiguous::RepeatedIdentity));
        }
        let service = request.service.ok_or(Unavailable::NoService)?;
        let mut meta = self.reader.meta()?;
        self.check_fresh(&meta)?;
        let policy = self.policy(&mut meta, service)?;
        let policy = policy.as_ref().as_ref().ok_or(Unavailable::UnknownService)?;
        if policy.strategies.is_empty() {
            return if policy.open { Ok(Outcome::Exempt) } else { Err(Unavailable::UnknownService.into()) };
        }
        let mut closest = Unauthenticated::NoToken;
        for strategy in &policy.strategies {
            // What is not enforced yet lets nobody in.
            let StrategyConfig::KeyAuth(config) = &strategy.config else { continue };
            match self.try_key_auth(request, &mut meta, service, (strategy.id, config))? {
                Tried::Settled(outcome) => return Ok(outcome),
                Tried::Unauthenticated(cause @ Unauthenticated::DuplicateKey) => {
                    closest = cause;
                    break;
                }
                // A key that is not known under this strategy may be under the next.
                Tried::Unauthenticated(cause) if closest != Unauthenticated::UnknownKey => closest = cause,
                Tried::Unauthenticated(_) => {}
            }
        }
        Err(Refusal::Unauthenticated { cause: closest, challenge: challenges(&policy.strategies) })
    }

    /// One `key_auth` strategy's word on a request.
    fn try_key_auth(
        &self,
        request: &Request<'_>,
        meta: &mut Meta,
        service: ServiceId,
        (strategy, config): (StrategyId, &KeyAuthConfig),
    ) -> Result<Tried, Refusal> {
        if key_auth::is_exempt(config, &request.headers) {
            return Ok(Tried::Settled(Outcome::Exempt));
        }
        let (key, name) = match key_auth::present(config, &request.headers, request.body) {
            Presented::Key { key, name } => (key, name),
            Presented::Nothing => return Ok(Tried::Unauthenticated(Unauthenticated::NoKey)),
            Presented::Duplicate => return Ok(Tried::Unauthenticated(Unauthenticated::DuplicateKey)),
            Presented::NeedsBody => return Ok(Tried::Settled(Outcome::NeedsBody)),
        };
        if key.len() > KEY_MAX {
            return Ok(Tried::Unauthenticated(Unauthenticated::UnknownKey));
        }
        let digest = KeyDigest::of_api_key(&meta.store, strategy, &key);
        let bucket = self.reader.bucket(meta, &digest)?;
        let Some(payload) = bucket.find(&digest, Kind::Credential) else {
            // Where records had to be left out, an unknown key may be a good one.
            return if meta.incomplete {
                Err(Unavailable::Incomplete.into())
            } else {
                Ok(Tried::Unauthenticated(Unauthenticated::UnknownKey))
            };
        };
        let credential = CredentialView::parse(payload).ok_or(Unavailable::UnknownFormat)?;
        // Without a clock an expiring credential counts as expired.
        let now = || (self.now)().unwrap_or(u64::MAX);
        match decision::decide(&credential, strategy, service, now) {
            Verdict::Allow(identity) => {
                let hide = hide(config, name);
                if hide.as_ref().is_some_and(|hide| hide.in_body) && may_hold_fields(request) {
                    return Ok(Tried::Settled(Outcome::NeedsBody));
                }
                Ok(Tried::Settled(Outcome::Allow { identity, hide }))
            }
            Verdict::Expired => Ok(Tried::Unauthenticated(Unauthenticated::UnknownKey)),
            Verdict::Deny(reason) => Err(Refusal::Forbidden(reason)),
        }
    }

    fn check_fresh(&self, meta: &Meta) -> Result<(), Unavailable> {
        /// How far in the future the last contact may seem to be before the clock counts as wrong.
        const SKEW_MILLISECONDS: u64 = 60_000;
        if self.config.max_stale_seconds == 0 {
            return Ok(());
        }
        let now = (self.now)().ok_or(Unavailable::Stale)?;
        let fresh_until =
            meta.last_contact.saturating_add(self.config.max_stale_seconds.saturating_mul(1000));
        if now > fresh_until || now.saturating_add(SKEW_MILLISECONDS) < meta.last_contact {
            return Err(Unavailable::Stale);
        }
        Ok(())
    }

    fn policy(&self, meta: &mut Meta, service: ServiceId) -> Result<Rc<Option<ServiceRecord>>, Unavailable> {
        if meta.serving.is_none() {
            return Err(Unavailable::NoState);
        }
        if let Some(known) = self.policies.borrow_mut().get(meta, service) {
            return Ok(known);
        }
        let digest = KeyDigest::of_service(&meta.store, service);
        let bucket = self.reader.bucket(meta, &digest)?;
        let policy = match bucket.find(&digest, Kind::Service) {
            None => None,
            Some(payload) => Some(policy::decode(payload).ok_or(Unavailable::UnknownFormat)?),
        };
        let policy = Rc::new(policy);
        self.policies.borrow_mut().put(service, policy.clone());
        Ok(policy)
    }
}

/// What one of a service's strategies says.
enum Tried {
    Settled(Outcome),
    /// Not this way; another strategy may know the caller.
    Unauthenticated(Unauthenticated),
}

/// The challenges of all strategies, each once.
fn challenges(strategies: &[Strategy]) -> String {
    let mut all: Vec<String> = Vec::with_capacity(strategies.len());
    for strategy in strategies {
        let challenge = match &strategy.config {
            StrategyConfig::KeyAuth(config) => key_auth::challenge(config.realm.as_deref()),
            StrategyConfig::OpenIdConnect(_) | StrategyConfig::OAuth2(_) => "Bearer".to_owned(),
        };
        if !all.contains(&challenge) {
            all.push(challenge);
        }
    }
    all.join(", ")
}

fn hide(config: &KeyAuthConfig, name: &str) -> Option<Hide> {
    config.hide_credentials.then(|| Hide { name: name.to_owned(), in_body: config.key_in_body })
}

/// Whether there may be an unread body with a second copy of a key that was found elsewhere.
fn may_hold_fields(request: &Request<'_>) -> bool {
    matches!(request.body, Body::Unread)
        && request.headers.first("content-type").and_then(body::Kind::of).is_some()
}

impl From<Unavailable> for Refusal {
    fn from(cause: Unavailable) -> Self {
        Self::Unavailable(cause)
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Unavailable(fault.into())
    }
}

impl From<Fault> for Unavailable {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::NoState => Self::NoState,
            Fault::Torn => Self::Torn,
            Fault::UnknownFormat => Self::UnknownFormat,
            Fault::Lost => Self::Lost,
            Fault::Host(_) => Self::Host,
        }
    }
}
