//! What a worker remembers between requests: decoded policies, facts of tokens, tokens it got for clients, keys it asked
//! for in vain. Bounded, and nothing a restarted worker could not do without.

use std::cell::{Cell, RefCell};

use super::call::CallKey;
use super::policy::PolicyCache;
use crate::cache::Cache;
use crate::digest::KeyDigest;
use crate::identity::Identity;
use crate::ids::{Revision, ServiceId, StoreId, StrategyId};
use crate::state::meta::Table;
use crate::strategy::openid_connect::facts::Facts;
use crate::token::KeyFingerprint;

/// Memory for facts, in bytes of one generation; see [`Cache`].
const FACTS_BYTES: usize = 8 << 20;
/// Memory for tokens of clients.
const CLIENTS_BYTES: usize = 1 << 20;
/// Keys that were asked for in vain.
const ASKED: usize = 4096;
/// Memory for callers that were let in, in bytes of one generation.
const CALLERS_BYTES: usize = 4 << 20;
/// Most calls of one worker that requests wait for.
pub const WAITING_MAX: usize = 1024;

/// Which token, under which strategy: its last bytes are as good as random, and the whole token is compared on a hit.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenKey {
    strategy: StrategyId,
    tail: [u8; 32],
}

impl TokenKey {
    pub fn new(strategy: StrategyId, token: &[u8]) -> Self {
        let mut tail = [0; 32];
        let from = token.len().saturating_sub(tail.len());
        for (to, byte) in tail.iter_mut().zip(token.get(from..).unwrap_or_default()) {
            *to = *byte;
        }
        Self { strategy, tail }
    }
}

/// A token that has been verified.
pub struct Known {
    pub token: Box<[u8]>,
    /// [`super::policy::OpenIdConnect::tag`] at that time.
    pub tag: [u8; 32],
    /// The key that vouched for it; `None`: its issuer did, when it was asked.
    pub key: Option<KeyFingerprint>,
    /// From that instant on it must be verified again, in milliseconds since the Unix epoch.
    pub until: u64,
    pub facts: std::rc::Rc<Facts>,
}

/// What is known of a client that wants to exchange its secret for a token.
pub enum ClientState {
    /// Another request is at it, since then.
    Asking {
        since: u64,
    },
    Token {
        token: std::rc::Rc<str>,
        until: u64,
    },
    /// The issuer does not know it.
    Refused {
        until: u64,
    },
}

/// A caller that was let in, and the state of the node by which it was.
pub(super) struct Caller {
    pub state: NodeState,
    pub identity: Identity,
}

/// As long as this does not move, no record does.
pub(super) type NodeState = (StoreId, Option<Table>, Revision);

fn weigh_caller(caller: &Caller) -> usize {
    size_of::<Caller>() + size_of::<(KeyDigest, ServiceId)>() + caller.identity.custom_id.len()
}

fn weigh_known(known: &Known) -> usize {
    size_of::<Known>() + size_of::<TokenKey>() + known.token.len() + known.facts.weight()
}

fn weigh_client(client: &ClientState) -> usize {
    let token = if let ClientState::Token { token, .. } = client { token.len() } else { 0 };
    size_of::<ClientState>() + size_of::<CallKey>() + token
}

pub struct Memory {
    pub policies: RefCell<PolicyCache>,
    pub(super) tokens: RefCell<Cache<TokenKey, Known>>,
    pub(super) clients: RefCell<Cache<CallKey, ClientState>>,
    pub(super) callers: RefCell<Cache<(KeyDigest, ServiceId), Caller>>,
    /// Until when a key counts as unknown without asking again.
    pub(super) asked: RefCell<Cache<CallKey, u64>>,
    waiting: Cell<usize>,
    /// Tokens whose signature was verified, and how many requests found theirs verified.
    pub verified: Cell<u64>,
    pub recalled: Cell<u64>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            policies: RefCell::default(),
            tokens: RefCell::new(Cache::new(FACTS_BYTES, weigh_known)),
            clients: RefCell::new(Cache::new(CLIENTS_BYTES, weigh_client)),
            callers: RefCell::new(Cache::new(CALLERS_BYTES, weigh_caller)),
            asked: RefCell::new(Cache::new(ASKED, |_| 1)),
            waiting: Cell::new(0),
            verified: Cell::new(0),
            recalled: Cell::new(0),
        }
    }
}

impl Memory {
    /// A call has been sent.
    pub fn call_began(&self) {
        self.waiting.set(self.waiting.get().saturating_add(1));
    }

    /// A call has been answered, or nobody waits for its answer any more. A client that was asked about with it is nobody's
    /// business from then on.
    pub fn call_ended(&self, key: &CallKey) {
        self.waiting.set(self.waiting.get().saturating_sub(1));
        let mut clients = self.clients.borrow_mut();
        if matches!(clients.get(key), Some(ClientState::Asking { .. })) {
            clients.remove(key);
        }
    }

    pub(super) const fn is_busy(&self) -> bool {
        self.waiting.get() >= WAITING_MAX
    }
}
