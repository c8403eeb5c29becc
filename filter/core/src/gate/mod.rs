//! One request from its headers to an outcome: state, policy, strategies, decision. The only thing the adapter calls on
//! the request path.
//!
//! Strategies are tried in the order of the service's record, each on the credentials that are its own; the first that
//! lets the caller in does. What stands in the headers and the target comes before any body is read, and what is known
//! comes before anybody is asked. Where none lets the caller in, the refusal is the most telling one: that something
//! could not be found out, then that a good credential does not suffice, then that a credential is not one, then that
//! there is none.

pub mod call;
pub mod memory;
mod oauth2;
mod openid_connect;
mod policy;

use std::rc::Rc;

use self::call::{Call, Progress};
use self::memory::Memory;
use self::policy::{How, Issuer, Policy};
use crate::config::Config;
use crate::decision::{self, Verdict};
use crate::digest::KeyDigest;
use crate::host::{NativeSignatures, SharedData};
use crate::identity::{Forged, Identity};
use crate::ids::{ApplicationId, ServiceId, StrategyId};
use crate::record::{KeyAuthConfig, Kind};
use crate::refusal::{Ambiguous, Lacking, Reason, Refusal, Response, Unauthenticated, Unavailable};
use crate::request::headers::HeaderMap;
use crate::request::{Body, body};
use crate::state::bucket::CredentialView;
use crate::state::meta::Meta;
use crate::state::policy as bytes;
use crate::state::table::{Fault, Reader};
use crate::strategy::key_auth::{self, KEY_MAX, Presented};
use crate::strategy::{is_exempt, oauth2 as oauth2_strategy, openid_connect as openid_connect_strategy};
use crate::traffic;

/// What a host can and cannot do to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostTraits {
    /// Removing a header reaches the upstream, and removes every copy.
    pub removes_headers: bool,
    /// The host shows at most this many headers.
    pub header_cap: Option<usize>,
}

/// A request, as far as the filter has it.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    pub headers: HeaderMap<'a>,
    /// The service the host routed to, or the one the configuration names.
    pub service: Option<ServiceId>,
    pub body: Body<'a>,
    /// The caller's own connection is encrypted. Asked for where tokens are given out only.
    pub encrypted: bool,
    pub host: HostTraits,
    /// What it has waited for.
    pub progress: &'a Progress,
}

/// What to do with a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Let it through as this caller.
    Allow {
        identity: Identity,
        /// What of the credentials must be kept from the upstream.
        hide: Option<Hide>,
        /// What the upstream is to find in `Authorization`, where that is not what the caller wrote. Secret.
        authorization: Option<Vec<u8>>,
    },
    /// Let it through without an identity: a CORS preflight, or a service that is open.
    Exempt,
    /// Ask again with the body.
    NeedsBody,
    /// Make this call, and ask again with its answer.
    Call(Call),
    /// Answer the request here: it was not meant for the upstream.
    Answer(Response),
    Refuse(Refusal),
}

/// What to do with a request, and what it counts as.
#[derive(Debug, PartialEq, Eq)]
pub struct Decision {
    pub outcome: Outcome,
    /// To be counted when the outcome is carried out. `None`: it is not decided yet, or no application was recognised.
    pub counts_as: Option<traffic::Key>,
}

impl From<Outcome> for Decision {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, counts_as: None }
    }
}

impl From<Refusal> for Decision {
    fn from(refusal: Refusal) -> Self {
        Outcome::Refuse(refusal).into()
    }
}

/// Credentials to take out of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hide {
    pub header: Option<String>,
    /// Arguments of the query, and fields of the body.
    pub arguments: Vec<String>,
    pub in_body: bool,
}

/// Decides requests from a node's shared data.
pub struct Gate<'a, S, N, V> {
    pub reader: Reader<'a, S>,
    pub config: &'a Config,
    pub memory: &'a Memory,
    pub native: &'a V,
    /// Milliseconds since the Unix epoch; asked for only where it matters. `None`: the host has no clock.
    pub now: N,
}

/// What one of a service's strategies says.
enum Tried {
    Settled(Outcome),
    /// The body has to be read before it can say anything.
    NeedsBody,
    /// It cannot say before this has been answered.
    Call(Call),
    /// Not this way; another strategy may know the caller.
    No(No),
    /// Not this way, and it knows whose request it is.
    Known(No, ApplicationId, traffic::Outcome),
}

/// Why a strategy does not let a caller in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum No {
    Unauthenticated(Unauthenticated),
    Forbidden(Reason),
    Insufficient(Lacking),
    Unavailable(Unavailable),
}

impl No {
    /// The more it says, the higher.
    const fn rank(self) -> u8 {
        match self {
            Self::Unauthenticated(Unauthenticated::NoToken) => 1,
            Self::Unauthenticated(Unauthenticated::NoKey | Unauthenticated::MissingAccessToken) => 2,
            Self::Unauthenticated(_) => 3,
            Self::Forbidden(_) | Self::Insufficient(_) => 4,
            Self::Unavailable(_) => 5,
        }
    }
}

impl<S: SharedData, N: Fn() -> Option<u64>, V: NativeSignatures> Gate<'_, S, N, V> {
    /// The decision on a request.
    pub fn decide(&self, request: &Request<'_>) -> Decision {
        self.try_decide(request).unwrap_or_else(Decision::from)
    }

    fn try_decide(&self, request: &Request<'_>) -> Result<Decision, Refusal> {
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
        if policy.ways.is_empty() {
            return if policy.open {
                Ok(Outcome::Exempt.into())
            } else {
                Err(Unavailable::UnknownService.into())
            };
        }
        if let Some(outcome) = self.token_endpoint(request, service, policy)? {
            return Ok(outcome.into());
        }
        let mut refusals: Vec<No> = Vec::new();
        // The most telling one of those that know whose request it is.
        let mut known: Option<(No, traffic::Key)> = None;
        let key = |application, outcome| traffic::Key { application, service, outcome };
        let (mut needs_body, mut call) = (false, None);
        for way in &policy.ways {
            let tried = match &way.how {
                How::KeyAuth(config) => {
                    self.try_key_auth(request, &mut meta, service, (way.strategy, config))?
                }
                How::OpenIdConnect(strategy) => {
                    self.try_openid_connect(request, &mut meta, service, (way.strategy, strategy))?
                }
                How::OAuth2(config) => {
                    self.try_oauth2(request, &mut meta, service, (way.strategy, config))?
                }
            };
            match tried {
                Tried::Settled(outcome) => {
                    let counts_as = match &outcome {
                        Outcome::Allow { identity, .. } => {
                            Some(key(identity.application, traffic::Outcome::Allowed))
                        }
                        _ => None,
                    };
                    return Ok(Decision { outcome, counts_as });
                }
                Tried::NeedsBody => needs_body = true,
                Tried::Call(wanted) => {
                    call.get_or_insert(wanted);
                    refusals.push(No::Unauthenticated(Unauthenticated::NoToken));
                }
                Tried::Known(no, application, outcome) => {
                    refusals.push(no);
                    if known.is_none_or(|(before, _)| no.rank() > before.rank()) {
                        known = Some((no, key(application, outcome)));
                    }
                }
                Tried::No(no) => {
                    refusals.push(no);
                    // What reads in two ways is not for another strategy to make sense of.
                    if let No::Unauthenticated(
                        Unauthenticated::DuplicateKey | Unauthenticated::RepeatedToken,
                    ) = no
                    {
                        return Err(refusal(policy, &refusals, no));
                    }
                }
            }
        }
        if needs_body {
            return Ok(Outcome::NeedsBody.into());
        }
        if let Some(call) = call {
            return self.wait_for(request, call).map(Decision::from);
        }
        let closest = refusals.iter().copied().reduce(|a, b| if b.rank() > a.rank() { b } else { a });
        let closest = closest.unwrap_or(No::Unauthenticated(Unauthenticated::NoToken));
        // It is the application's only if nothing more telling was said.
        let counts_as = known.filter(|(no, _)| no.rank() == closest.rank()).map(|(_, key)| key);
        Ok(Decision { outcome: Outcome::Refuse(refusal(policy, &refusals, closest)), counts_as })
    }

    /// Lets a request wait, if neither it nor the worker has waited enough.
    fn wait_for(&self, request: &Request<'_>, call: Call) -> Result<Outcome, Refusal> {
        if request.progress.is_exhausted() || self.memory.is_busy() {
            return Err(Unavailable::Busy.into());
        }
        self.exchange_begins(&call);
        Ok(Outcome::Call(call))
    }

    /// One `key_auth` strategy's word on a request.
    fn try_key_auth(
        &self,
        request: &Request<'_>,
        meta: &mut Meta,
        service: ServiceId,
        (strategy, config): (StrategyId, &KeyAuthConfig),
    ) -> Result<Tried, Refusal> {
        if is_exempt(config.run_on_preflight, &request.headers) {
            return Ok(Tried::Settled(Outcome::Exempt));
        }
        let no = |cause| Ok(Tried::No(No::Unauthenticated(cause)));
        let (key, name) = match key_auth::present(config, &request.headers, request.body) {
            Presented::Key { key, name } => (key, name),
            Presented::Nothing => return no(Unauthenticated::NoKey),
            Presented::Duplicate => return no(Unauthenticated::DuplicateKey),
            Presented::NeedsBody => return Ok(Tried::NeedsBody),
        };
        if key.len() > KEY_MAX {
            return no(Unauthenticated::UnknownKey);
        }
        let digest = KeyDigest::of_api_key(&meta.store, strategy, &key);
        let verdict = self.verdict(meta, &digest, strategy, service)?;
        Ok(match verdict {
            Some(Verdict::Allow(identity)) => {
                let hide = config.hide_credentials.then(|| Hide {
                    header: Some(name.to_owned()),
                    arguments: vec![name.to_owned()],
                    in_body: config.key_in_body,
                });
                if hide.as_ref().is_some_and(|hide| hide.in_body) && may_hold_fields(request) {
                    return Ok(Tried::NeedsBody);
                }
                Tried::Settled(Outcome::Allow { identity, hide, authorization: None })
            }
            Some(Verdict::Deny(application, reason)) => {
                Tried::Known(No::Forbidden(reason), application, reason.into())
            }
            Some(Verdict::Expired(application)) => {
                let no = No::Unauthenticated(Unauthenticated::UnknownKey);
                Tried::Known(no, application, traffic::Outcome::Expired)
            }
            None => Tried::No(No::Unauthenticated(Unauthenticated::UnknownKey)),
        })
    }

    /// The decision on the credential that is kept under a digest; `None`: there is none.
    fn verdict(
        &self,
        meta: &mut Meta,
        digest: &KeyDigest,
        strategy: StrategyId,
        service: ServiceId,
    ) -> Result<Option<Verdict>, Refusal> {
        // Every change of a record moves the revision, so that what was decided at this one holds at this one. While a
        // table is being replaced, records may be read from either.
        let state = (meta.store, meta.serving, meta.revision);
        let key = (*digest, service);
        if meta.loading.is_none()
            && let Some(known) = self.memory.callers.borrow_mut().get(&key)
            && known.state == state
            && known.identity.strategy == strategy
        {
            return Ok(Some(Verdict::Allow(known.identity.clone())));
        }
        let bucket = self.reader.bucket(meta, digest)?;
        let Some(payload) = bucket.find(digest, Kind::Credential) else {
            // Where records had to be left out, an unknown credential may be a good one.
            return if meta.incomplete { Err(Unavailable::Incomplete.into()) } else { Ok(None) };
        };
        let credential = CredentialView::parse(payload).ok_or(Unavailable::UnknownFormat)?;
        let verdict = decision::decide(&credential, strategy, service, || self.time());
        if let Verdict::Allow(identity) = &verdict
            && credential.expires_at().is_none()
            && (meta.store, meta.serving, meta.revision) == state
        {
            let caller = memory::Caller { state, identity: identity.clone() };
            self.memory.callers.borrow_mut().put(key, caller);
        }
        Ok(Some(verdict))
    }

    /// Without a clock everything that can expire has.
    fn time(&self) -> u64 {
        (self.now)().unwrap_or(u64::MAX)
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

    fn policy(&self, meta: &mut Meta, service: ServiceId) -> Result<Rc<Option<Policy>>, Unavailable> {
        if meta.serving.is_none() {
            return Err(Unavailable::NoState);
        }
        if let Some(known) = self.memory.policies.borrow_mut().get(meta, service) {
            return Ok(known);
        }
        let digest = KeyDigest::of_service(&meta.store, service);
        let bucket = self.reader.bucket(meta, &digest)?;
        let policy = match bucket.find(&digest, Kind::Service) {
            None => None,
            Some(payload) => {
                let record = bytes::decode(payload).ok_or(Unavailable::UnknownFormat)?;
                let store = meta.store;
                Some(policy::prepare(&store, record, |digest| self.issuer(meta, digest))?)
            }
        };
        let policy = Rc::new(policy);
        self.memory.policies.borrow_mut().put(service, policy.clone());
        Ok(policy)
    }

    fn issuer(&self, meta: &mut Meta, digest: &KeyDigest) -> Result<Option<Rc<Issuer>>, Unavailable> {
        let bucket = self.reader.bucket(meta, digest)?;
        let Some(payload) = bucket.find(digest, Kind::Issuer) else { return Ok(None) };
        let mut policies = self.memory.policies.borrow_mut();
        policies.issuer(payload, bytes::decode_issuer).map(Some).ok_or(Unavailable::UnknownFormat)
    }
}

/// The answer that a strategy's word comes to. `causes` are the words of all of them, in their order.
fn refusal(policy: &Policy, causes: &[No], closest: No) -> Refusal {
    match closest {
        No::Unauthenticated(cause) => {
            Refusal::Unauthenticated { cause, challenge: challenges(policy, causes) }
        }
        No::Forbidden(reason) => Refusal::Forbidden(reason),
        No::Unavailable(cause) => cause.into(),
        No::Insufficient(lacking) => {
            let of = |(way, no): (&policy::Way, &No)| match (&way.how, *no == closest) {
                (How::OpenIdConnect(strategy), true) => {
                    Some(openid_connect_strategy::insufficient(&strategy.config, lacking))
                }
                _ => None,
            };
            let challenge = policy.ways.iter().zip(causes).find_map(of).unwrap_or_default();
            Refusal::Insufficient { lacking, challenge }
        }
    }
}

/// The challenges of all strategies, each once (RFC 9110, 11.6.1).
fn challenges(policy: &Policy, causes: &[No]) -> String {
    let mut all: Vec<String> = Vec::with_capacity(policy.ways.len());
    for (at, way) in policy.ways.iter().enumerate() {
        let cause = match causes.get(at) {
            Some(No::Unauthenticated(cause)) => Some(*cause),
            _ => None,
        };
        let challenge = match &way.how {
            How::KeyAuth(config) => key_auth::challenge(config.realm.as_deref()),
            How::OpenIdConnect(strategy) => openid_connect_strategy::challenge(&strategy.config, cause),
            How::OAuth2(config) => oauth2_strategy::challenge(config.realm.as_deref(), cause),
        };
        if !all.contains(&challenge) {
            all.push(challenge);
        }
    }
    all.join(", ")
}

/// Whether there may be an unread body with a second copy of a credential that was found elsewhere.
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
