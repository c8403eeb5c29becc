//! `openid_connect` at the gate: from what a request presents to facts that were verified, by the worker's memory where it
//! has seen the token before; from facts to the application's record.

use std::rc::Rc;

use super::call::{self, Call, CallKey, Destination};
use super::memory::{ClientState, Known, TokenKey};
use super::policy::{Issuer, OpenIdConnect};
use super::{Gate, Hide, No, Outcome, Request, Tried};
use crate::calls::{
    INTROSPECT, Introspect, PATIENCE_MILLISECONDS, REFRESH_ISSUER, RefreshIssuer, WAIT, WAIT_MAX_MILLISECONDS,
};
use crate::decision::Verdict;
use crate::host::{NativeSignatures, SharedData};
use crate::identity::{CredentialIdentifier, Identity};
use crate::ids::{ServiceId, StrategyId};
use crate::refusal::{Reason, Refusal, Unauthenticated, Unavailable};
use crate::state::meta::Meta;
use crate::strategy::is_exempt;
use crate::strategy::openid_connect::exchange::{self, Client, Exchanged};
use crate::strategy::openid_connect::facts::{Facts, Unmet, Vouched, is_issuer};
use crate::strategy::openid_connect::present::{self, Place, Presented, Takes};
use crate::strategy::openid_connect::{BEARER, CLIENT_CREDENTIALS, INTROSPECTION};
use crate::token::{self, Claims, KeyFingerprint, TOKEN_MAX, TokenFault};
use crate::traffic;

const REFRESH: u8 = b'r';
const ASK: u8 = b'i';
const EXCHANGE: u8 = b'x';
const PAUSE: u8 = b'w';

/// How long a key that its issuer did not have counts as unknown without asking again, in milliseconds.
const UNKNOWN_KEY: u64 = 5_000;
/// How long a client that its issuer refused is refused without asking again.
const REFUSED_CLIENT: u64 = 2_000;
/// How long a token its issuer called inactive is refused without asking again.
const INACTIVE_TOKEN: u64 = 5_000;
/// A client's token is renewed so long before it ends, or at a tenth of its life where that is less.
const MARGIN: u64 = 30_000;
/// How long an exchange may take before another request may try, beyond the time its issuer is given.
const EXCHANGE_SLACK: u64 = 1_000;
/// The first pause of a request that waits for another's exchange.
const FIRST_PAUSE: u64 = 20;

/// A strategy at work on a request.
#[derive(Clone, Copy)]
struct At<'a> {
    request: &'a Request<'a>,
    strategy: StrategyId,
    this: &'a OpenIdConnect,
    issuer: &'a Issuer,
    now: u64,
}

/// What came of looking at a token.
enum Looked {
    Facts(Rc<Facts>),
    Tried(Box<Tried>),
}

fn tried(tried: Tried) -> Looked {
    Looked::Tried(Box::new(tried))
}

fn no(cause: Unauthenticated) -> Tried {
    Tried::No(No::Unauthenticated(cause))
}

const fn unavailable(cause: Unavailable) -> Tried {
    Tried::No(No::Unavailable(cause))
}

impl<S: SharedData, N: Fn() -> Option<u64>, V: NativeSignatures> Gate<'_, S, N, V> {
    /// One `openid_connect` strategy's word on a request.
    pub(super) fn try_openid_connect(
        &self,
        request: &Request<'_>,
        meta: &mut Meta,
        service: ServiceId,
        (strategy, this): (StrategyId, &OpenIdConnect),
    ) -> Result<Tried, Refusal> {
        if is_exempt(this.config.run_on_preflight, &request.headers) {
            return Ok(Tried::Settled(Outcome::Exempt));
        }
        let takes = Takes {
            tokens: this.takes(BEARER) || this.takes(INTROSPECTION),
            clients: this.takes(CLIENT_CREDENTIALS),
        };
        let presented = present::present(&this.config, takes, &request.headers, request.body);
        match presented {
            Presented::Nothing => return Ok(no(Unauthenticated::NoToken)),
            Presented::Repeated => return Ok(no(Unauthenticated::RepeatedToken)),
            Presented::NeedsBody => return Ok(Tried::NeedsBody),
            Presented::Token { .. } | Presented::Client { .. } => {}
        }
        let Some(issuer) = this.issuer.as_deref() else {
            return Ok(unavailable(Unavailable::UnknownIssuer));
        };
        let at = At { request, strategy, this, issuer, now: self.time() };
        match presented {
            Presented::Token { token, place } => {
                let looked = self.look_at(at, meta, &token, this.takes(BEARER));
                self.admit(at, meta, service, looked, place, None)
            }
            Presented::Client { id, secret, basic, place } => {
                let client = Client { id: &id, secret: &secret, basic };
                self.try_client(at, meta, service, client, place)
            }
            _ => Ok(no(Unauthenticated::NoToken)),
        }
    }

    /// From facts to an outcome: the rules of the strategy, then those of the connection.
    fn admit(
        &self,
        at: At<'_>,
        meta: &mut Meta,
        service: ServiceId,
        looked: Looked,
        place: Place,
        exchanged: Option<&str>,
    ) -> Result<Tried, Refusal> {
        let facts = match looked {
            Looked::Facts(facts) => facts,
            Looked::Tried(tried) => return Ok(*tried),
        };
        if let Err(unmet) = facts.check(&at.this.config, at.now) {
            let (no, outcome) = match unmet {
                Unmet::Token => return Ok(no(Unauthenticated::InvalidToken)),
                Unmet::Expired => {
                    let no = No::Unauthenticated(Unauthenticated::InvalidToken);
                    (no, traffic::Outcome::Expired)
                }
                Unmet::Lacks(lacking) => (No::Insufficient(lacking), lacking.into()),
            };
            // Whose it is only says what it counts as: that this cannot be found out changes no answer.
            let caller = self.caller(at, meta, service, &facts).ok().flatten();
            return Ok(caller.map_or(Tried::No(no), |caller| Tried::Known(no, caller.application(), outcome)));
        }
        Ok(match self.caller(at, meta, service, &facts)? {
            Some(Verdict::Allow(identity)) => {
                let identity = match &facts.client {
                    Some(client) => {
                        let credential = CredentialIdentifier::Client(client.id.clone().into_bytes());
                        Identity { credential, ..identity }
                    }
                    None => identity,
                };
                Tried::Settled(allow(at, identity, place, exchanged))
            }
            Some(Verdict::Deny(application, reason)) => {
                Tried::Known(No::Forbidden(reason), application, reason.into())
            }
            Some(Verdict::Expired(application)) => {
                let no = No::Forbidden(Reason::NoConnection);
                Tried::Known(no, application, traffic::Outcome::Expired)
            }
            // Somebody the issuer knows, and we do not.
            None => Tried::No(No::Forbidden(Reason::NoConnection)),
        })
    }

    /// The decision on the application that facts name; `None`: there is no such.
    fn caller(
        &self,
        at: At<'_>,
        meta: &mut Meta,
        service: ServiceId,
        facts: &Facts,
    ) -> Result<Option<Verdict>, Refusal> {
        let mut verdict = None;
        if let Some(client) = &facts.client {
            verdict = self.verdict(meta, &client.digest, at.strategy, service)?;
        }
        if let (None, Some(consumer)) = (&verdict, &facts.consumer) {
            verdict = self.verdict(meta, consumer, at.strategy, service)?;
        }
        Ok(verdict)
    }

    /// What is known of a token, or can be found out.
    fn look_at(&self, at: At<'_>, meta: &Meta, token: &[u8], bearer: bool) -> Looked {
        if token.len() > TOKEN_MAX {
            return tried(no(Unauthenticated::InvalidToken));
        }
        let key = TokenKey::new(at.strategy, token);
        if let Some(facts) = self.recall(at, &key, token) {
            return Looked::Facts(facts);
        }
        let introspects = at.this.takes(INTROSPECTION);
        let both = introspects && at.this.config.introspect_jwt_tokens;
        // Where nobody is asked about opaque tokens, one that is not signed fails like any other.
        if bearer && !both && (!introspects || token::is_jws(token)) {
            return self.verify(at, meta, key, token);
        }
        if both || (introspects && !token::is_jws(token)) {
            return self.introspect(at, meta, key, token);
        }
        tried(no(Unauthenticated::InvalidToken))
    }

    /// What the worker remembers of a token, if all of it still holds.
    fn recall(&self, at: At<'_>, key: &TokenKey, token: &[u8]) -> Option<Rc<Facts>> {
        let mut tokens = self.memory.tokens.borrow_mut();
        let known = tokens.get(key)?;
        if *known.token != *token {
            return None;
        }
        let holds = known.tag == at.this.tag
            && at.now < known.until
            && known.key.as_ref().is_none_or(|key| at.issuer.keys.contains(key));
        if !holds {
            tokens.remove(key);
            return None;
        }
        self.memory.recalled.set(self.memory.recalled.get().saturating_add(1));
        Some(known.facts.clone())
    }

    fn remember(
        &self,
        at: At<'_>,
        key: TokenKey,
        token: &[u8],
        by: Option<KeyFingerprint>,
        facts: &Rc<Facts>,
    ) {
        let longest = at.this.config.cache_ttl.saturating_mul(1000);
        let leeway = at.this.config.leeway.saturating_mul(1000);
        let left = facts.left(at.now).map_or(longest, |left| left.saturating_add(leeway)).min(longest);
        if left > 0 {
            let until = at.now.saturating_add(left);
            let known = Known { token: token.into(), tag: at.this.tag, key: by, until, facts: facts.clone() };
            self.memory.tokens.borrow_mut().put(key, known);
        }
    }

    fn verify(&self, at: At<'_>, meta: &Meta, key: TokenKey, token: &[u8]) -> Looked {
        let (config, name) = (&at.this.config, at.issuer.record.issuer.as_str());
        let of_issuer = |named: &str| is_issuer(config, name, named);
        self.memory.verified.set(self.memory.verified.get().saturating_add(1));
        let verified = match token::verify(token, &at.issuer.keys, self.native, of_issuer) {
            Ok(verified) => verified,
            Err(TokenFault::UnknownKey) => return tried(self.ask_for_key(at, token)),
            Err(_) => return tried(no(Unauthenticated::InvalidToken)),
        };
        let of = (&meta.store, at.strategy);
        let Ok(facts) = Facts::of(&verified.claims, Vouched::BySignature, config, name, of) else {
            return tried(no(Unauthenticated::InvalidToken));
        };
        let facts = Rc::new(facts);
        self.remember(at, key, token, Some(verified.key), &facts);
        Looked::Facts(facts)
    }

    /// The issuer may have a key that nobody here has heard of yet.
    fn ask_for_key(&self, at: At<'_>, token: &[u8]) -> Tried {
        let header = token.split(|byte| *byte == b'.').next().unwrap_or_default();
        let issuer = at.this.config.issuer.as_str();
        let key = call::key(REFRESH, &[issuer.as_bytes(), header]);
        if self.memory.asked.borrow_mut().get(&key).is_some_and(|until| at.now < *until) {
            return no(Unauthenticated::InvalidToken);
        }
        match at.request.progress.answer(&key).map(|answer| answer.status) {
            Some(Some(200 | 404)) => {
                self.memory.asked.borrow_mut().put(key, at.now.saturating_add(UNKNOWN_KEY));
                no(Unauthenticated::InvalidToken)
            }
            Some(_) => unavailable(Unavailable::AdminAway),
            None => ask_admin(key, REFRESH_ISSUER, &RefreshIssuer { issuer: issuer.to_owned() }),
        }
    }

    fn introspect(&self, at: At<'_>, meta: &Meta, key: TokenKey, token: &[u8]) -> Looked {
        // RFC 6750, 2.1: a token is made of these, and anything else is not worth anybody's time.
        let text =
            std::str::from_utf8(token).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_graphic()));
        let Some(text) = text.filter(|text| !text.is_empty()) else {
            return tried(no(Unauthenticated::InvalidToken));
        };
        let ask = call::key(ASK, &[at.strategy.as_bytes(), token]);
        if self.memory.asked.borrow_mut().get(&ask).is_some_and(|until| at.now < *until) {
            return tried(no(Unauthenticated::InvalidToken));
        }
        let Some(answer) = at.request.progress.answer(&ask) else {
            let question = Introspect { strategy: at.strategy, token: text.to_owned() };
            return tried(ask_admin(ask, INTROSPECT, &question));
        };
        let claims = match answer.status {
            Some(200) => Claims::from_json(&answer.body).ok(),
            // The issuer, or the way to it.
            Some(_) => return tried(unavailable(Unavailable::IssuerAway)),
            None => return tried(unavailable(Unavailable::AdminAway)),
        };
        let active = |claims: &Claims| claims.at(&["active".to_owned()]).and_then(serde_json::Value::as_bool);
        let Some(claims) = claims.filter(|claims| active(claims) == Some(true)) else {
            if at.this.config.cache_introspection {
                self.memory.asked.borrow_mut().put(ask, at.now.saturating_add(INACTIVE_TOKEN));
            }
            return tried(no(Unauthenticated::InvalidToken));
        };
        let (config, of) = (&at.this.config, (&meta.store, at.strategy));
        let facts = Facts::of(&claims, Vouched::ByIssuer, config, &at.issuer.record.issuer, of);
        let Ok(facts) = facts.map(Rc::new) else { return tried(no(Unauthenticated::InvalidToken)) };
        if config.cache_introspection {
            self.remember(at, key, token, None, &facts);
        }
        Looked::Facts(facts)
    }

    /// A client's word on itself is as good as the token that its issuer gives for it.
    fn try_client(
        &self,
        at: At<'_>,
        meta: &mut Meta,
        service: ServiceId,
        client: Client<'_>,
        place: Place,
    ) -> Result<Tried, Refusal> {
        let key = call::key(EXCHANGE, &[&at.this.tag, client.id, client.secret]);
        let granted = match self.granted(at, key, client) {
            Ok(granted) => granted,
            Err(tried) => return Ok(*tried),
        };
        let looked = self.look_at(at, meta, granted.token.as_bytes(), true);
        let tried = self.admit(at, meta, service, looked, place, Some(&granted.token))?;
        let is_no_token =
            matches!(&tried, Tried::No(No::Unauthenticated(_)) | Tried::Known(No::Unauthenticated(_), ..));
        if granted.kept && is_no_token {
            // It has ended before its time, or its key has gone: the client is as good as it was, and gets another.
            self.memory.clients.borrow_mut().remove(&key);
            return Ok(ask_issuer(at, key, client));
        }
        Ok(tried)
    }

    /// The token that stands for a client.
    fn granted(&self, at: At<'_>, key: CallKey, client: Client<'_>) -> Result<Granted, Box<Tried>> {
        if let Some(answer) = at.request.progress.answer(&key) {
            return self.take_grant(at, key, exchange::read(answer));
        }
        let since = match self.memory.clients.borrow_mut().get(&key) {
            Some(ClientState::Token { token, until }) if at.now < *until => {
                return Ok(Granted { token: token.clone(), kept: true });
            }
            Some(ClientState::Refused { until }) if at.now < *until => {
                return Err(no(Unauthenticated::InvalidClient).into());
            }
            Some(ClientState::Asking { since }) => Some(*since),
            _ => None,
        };
        let patience = at.this.config.timeout.saturating_add(EXCHANGE_SLACK);
        if since.is_some_and(|since| at.now < since.saturating_add(patience))
            && let Some(pause) = pause(at, key)
        {
            return Err(pause.into());
        }
        Err(ask_issuer(at, key, client).into())
    }

    fn take_grant(&self, at: At<'_>, key: CallKey, exchanged: Exchanged) -> Result<Granted, Box<Tried>> {
        let mut clients = self.memory.clients.borrow_mut();
        match exchanged {
            Exchanged::Token { token, expires_in } => {
                let token: Rc<str> = token.into();
                let config = &at.this.config;
                let life = expires_in.unwrap_or(config.cache_ttl).min(config.cache_ttl).saturating_mul(1000);
                let kept_for = life.saturating_sub(MARGIN.min(life / 10));
                if config.cache_tokens && kept_for > 0 {
                    let until = at.now.saturating_add(kept_for);
                    clients.put(key, ClientState::Token { token: token.clone(), until });
                }
                Ok(Granted { token, kept: false })
            }
            Exchanged::Refused => {
                let until = at.now.saturating_add(REFUSED_CLIENT);
                clients.put(key, ClientState::Refused { until });
                Err(no(Unauthenticated::InvalidClient).into())
            }
            Exchanged::Failed => Err(unavailable(Unavailable::IssuerAway).into()),
        }
    }

    /// From now on other requests of the same client wait for this one's exchange.
    pub(super) fn exchange_begins(&self, call: &Call) {
        if matches!(call.to, Destination::Origin(_)) {
            self.memory.clients.borrow_mut().put(call.key, ClientState::Asking { since: self.time() });
        }
    }
}

/// A token that an issuer gave for a client.
struct Granted {
    token: Rc<str>,
    /// Some time ago.
    kept: bool,
}

fn ask_issuer(at: At<'_>, key: CallKey, client: Client<'_>) -> Tried {
    // What was asked for this request already is not asked again.
    if at.request.progress.answer(&key).is_some() {
        return no(Unauthenticated::InvalidToken);
    }
    match exchange::request(&at.this.config, &at.issuer.record, client, key) {
        Some(call) => Tried::Call(call),
        None => unavailable(Unavailable::UnknownIssuer),
    }
}

/// A pause, while another request asks the issuer. `None`: there is nobody to give one, or it has been long enough.
fn pause(at: At<'_>, exchange: CallKey) -> Option<Tried> {
    let key = call::key(PAUSE, &[&exchange]);
    let times = u32::try_from(at.request.progress.times(&key)).unwrap_or(u32::MAX);
    if at.request.progress.answer(&key).is_some_and(|answer| answer.status != Some(204)) {
        return None;
    }
    let milliseconds = FIRST_PAUSE.saturating_mul(1 << times.min(6)).min(WAIT_MAX_MILLISECONDS);
    Some(Tried::Call(Call {
        key,
        to: Destination::AdminExtension,
        path: format!("{WAIT}?milliseconds={milliseconds}"),
        content_type: "application/json",
        authorization: None,
        body: Vec::new(),
        timeout_milliseconds: PATIENCE_MILLISECONDS,
    }))
}

fn ask_admin(key: CallKey, path: &str, question: &impl serde::Serialize) -> Tried {
    match serde_json::to_vec(question) {
        Ok(body) => Tried::Call(Call {
            key,
            to: Destination::AdminExtension,
            path: path.to_owned(),
            content_type: "application/json",
            authorization: None,
            body,
            timeout_milliseconds: PATIENCE_MILLISECONDS,
        }),
        Err(_) => unavailable(Unavailable::Host),
    }
}

fn allow(at: At<'_>, identity: Identity, place: Place, exchanged: Option<&str>) -> Outcome {
    let hide = at.this.config.hide_credentials.then(|| {
        let arguments: &[&str] = if exchanged.is_some() {
            &[present::CLIENT_ID, present::CLIENT_SECRET]
        } else {
            &[present::TOKEN]
        };
        Hide {
            header: (place == Place::Header).then(|| present::AUTHORIZATION.to_owned()),
            arguments: arguments.iter().map(|name| (*name).to_owned()).collect(),
            in_body: place == Place::Body,
        }
    });
    // The upstream is to see whom the issuer vouches for, and never a client's secret in the header that tells it.
    let authorization =
        exchanged.filter(|_| hide.is_none()).map(|token| format!("Bearer {token}").into_bytes());
    Outcome::Allow { identity, hide, authorization }
}
