//! The gateway nodes: who follows the feed, and how far each has got.
//!
//! Kept in memory, remembered in the database at a low rate, and told to the other replicas, so that a write on any
//! replica can wait for every node.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use app_auth_core::ids::Revision;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, sleep, timeout};

use crate::model::Timestamp;
use crate::store::{Store, StoreError, StoredNode};

/// A node that holds no request is live for so long after it was last heard of.
pub const LIVE_MS: i64 = 15_000;
/// Nodes not heard of for so long are forgotten.
const FORGOTTEN_MS: i64 = 24 * 3_600_000;
/// Most nodes that are kept; the longest unheard of make way.
const NODES_MAX: usize = 1000;
/// How often replicas repeat what they know, and how often it is written down.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// A message holds 8000 bytes at most, and so many nodes stay well below.
const NODES_PER_MESSAGE: usize = 20;
/// What this replica heard itself so recently counts more than what another tells.
const OWN_WORD_MS: i64 = 2_000;

/// The registry; cheap to clone.
#[derive(Clone)]
pub struct Nodes(Arc<Inner>);

struct Inner {
    store: Store,
    nodes: Mutex<HashMap<String, Node>>,
    /// Moves whenever a node has got further, came or went.
    moved: watch::Sender<()>,
    /// There is something to tell the other replicas.
    outbox: Notify,
}

#[derive(Clone)]
struct Node {
    version: String,
    applied: Revision,
    seen_at: Timestamp,
    /// When this replica heard of it itself.
    heard_at: Option<Timestamp>,
    /// Number of feed requests it holds at this replica.
    held: u32,
    /// The applied revision the other replicas know of.
    told: Option<Revision>,
    /// Its last steps, oldest first.
    steps: VecDeque<Step>,
}

/// A node got from one revision to another.
#[derive(Clone, Copy)]
struct Step {
    from: Revision,
    to: Revision,
    at: Timestamp,
}

/// Most steps of a node that are remembered.
const STEPS_MAX: usize = 128;

impl Node {
    fn new(now: Timestamp) -> Self {
        Self {
            version: String::new(),
            applied: Revision(0),
            seen_at: now,
            heard_at: None,
            held: 0,
            told: None,
            steps: VecDeque::new(),
        }
    }

    /// It has applied everything up to a revision, as is known from now on.
    fn reached(&mut self, applied: Revision, now: Timestamp) {
        if applied > self.applied {
            if self.steps.len() >= STEPS_MAX {
                self.steps.pop_front();
            }
            self.steps.push_back(Step { from: self.applied, to: applied, at: now });
        } else if applied < self.applied {
            // It began anew.
            self.steps.clear();
        }
        self.applied = applied;
    }

    /// When it reached a revision, if that is remembered.
    fn reached_at(&self, revision: Revision) -> Option<Timestamp> {
        let step = self.steps.iter().find(|step| step.from < revision && revision <= step.to)?;
        Some(step.at)
    }

    const fn is_live(&self, now: Timestamp) -> bool {
        self.held > 0 || self.seen_at.plus_millis(LIVE_MS).0 > now.0
    }
}

/// A node as it is listed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeStatus {
    pub node: String,
    pub version: String,
    pub applied: Revision,
    pub seen_at: Timestamp,
    pub live: bool,
}

/// How many of the live nodes have got as far as asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    pub applied: usize,
    pub live: usize,
}

/// How far a revision is in force at the live nodes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InForce {
    pub progress: Progress,
    /// When the last of them applied it. Absent: not all have, or it is too long ago to be known.
    pub since: Option<Timestamp>,
}

/// What a replica tells the others of a node.
#[derive(Serialize, Deserialize)]
struct Word {
    node: String,
    version: String,
    applied: Revision,
}

/// A feed request that is being held; when it ends, so does the hold.
pub struct Held {
    nodes: Nodes,
    node: String,
}

impl Held {
    /// The node asked from a revision that cannot be followed, so what it has counts for nothing.
    pub fn lost(&self) {
        if let Some(node) = self.nodes.lock().get_mut(&self.node) {
            node.applied = Revision(0);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let now = self.nodes.0.store.now();
        if let Some(node) = self.nodes.lock().get_mut(&self.node) {
            node.held = node.held.saturating_sub(1);
            node.seen_at = now;
            node.heard_at = Some(now);
        }
    }
}

impl Nodes {
    /// With the nodes known before the last stop.
    pub async fn load(store: Store) -> Result<Self, StoreError> {
        let known = store.load_nodes().await?.into_iter().map(|stored| {
            let node = Node { version: stored.version, applied: stored.applied, ..Node::new(stored.seen_at) };
            (stored.node, node)
        });
        let nodes = Mutex::new(known.collect());
        let (moved, _) = watch::channel(());
        Ok(Self(Arc::new(Inner { store, nodes, moved, outbox: Notify::new() })))
    }

    /// A node asks for changes after a revision: so far it has got.
    pub fn follows(&self, node: &str, version: &str, applied: Revision) -> Held {
        self.hear(node, version, Some(applied), 1);
        Held { nodes: self.clone(), node: node.to_owned() }
    }

    /// A node takes a snapshot: it is there, and has got no further than before.
    pub fn resyncs(&self, node: &str, version: &str) {
        self.hear(node, version, None, 0);
    }

    fn hear(&self, name: &str, version: &str, applied: Option<Revision>, held: u32) {
        let now = self.0.store.now();
        let mut nodes = self.lock();
        if !nodes.contains_key(name) && nodes.len() >= NODES_MAX {
            make_room(&mut nodes);
        }
        let node = nodes.entry(name.to_owned()).or_insert_with(|| Node::new(now));
        if node.version != version {
            version.clone_into(&mut node.version);
        }
        node.reached(applied.unwrap_or(node.applied), now);
        node.seen_at = now;
        node.heard_at = Some(now);
        node.held = node.held.saturating_add(held);
        let news = node.told != Some(node.applied);
        drop(nodes);
        self.0.moved.send_replace(());
        if news {
            self.0.outbox.notify_one();
        }
    }

    /// All nodes, by name.
    pub fn list(&self) -> Vec<NodeStatus> {
        let now = self.0.store.now();
        let mut list: Vec<_> = self
            .lock()
            .iter()
            .map(|(name, node)| NodeStatus {
                node: name.clone(),
                version: node.version.clone(),
                applied: node.applied,
                seen_at: if node.held > 0 { now } else { node.seen_at },
                live: node.is_live(now),
            })
            .collect();
        list.sort_by(|a, b| a.node.cmp(&b.node));
        list
    }

    /// Number of feed requests held here.
    pub fn held(&self) -> u64 {
        self.lock().values().map(|node| u64::from(node.held)).sum()
    }

    /// How far the live nodes are.
    pub fn progress(&self, revision: Revision) -> Progress {
        let now = self.0.store.now();
        let nodes = self.lock();
        let live = nodes.values().filter(|node| node.is_live(now));
        let (applied, live) = live.fold((0, 0), |(applied, live), node| {
            (applied + usize::from(node.applied >= revision), live + 1)
        });
        Progress { applied, live }
    }

    /// How far a revision is in force, and since when.
    pub fn in_force(&self, revision: Revision) -> InForce {
        let now = self.0.store.now();
        let nodes = self.lock();
        let mut progress = Progress { applied: 0, live: 0 };
        let mut since = None;
        for node in nodes.values().filter(|node| node.is_live(now)) {
            progress.live += 1;
            if node.applied >= revision {
                progress.applied += 1;
                since = since.max(node.reached_at(revision));
            }
        }
        InForce { progress, since: since.filter(|_| progress.applied == progress.live) }
    }

    /// Waits until every live node has applied a revision, but no longer than `wait`.
    pub async fn wait_applied(&self, revision: Revision, wait: Duration) -> Progress {
        let deadline = Instant::now() + wait;
        let mut moved = self.0.moved.subscribe();
        loop {
            moved.mark_unchanged();
            let progress = self.progress(revision);
            let left = deadline.saturating_duration_since(Instant::now());
            if progress.applied == progress.live || left.is_zero() {
                return progress;
            }
            // That a node is live no longer announces itself nowhere; so look every second.
            let _ = timeout(left.min(Duration::from_secs(1)), moved.changed()).await;
        }
    }

    /// Writes down what is known and exchanges it with the other replicas, until it is cancelled.
    pub async fn keep(&self, mut incoming: mpsc::Receiver<String>) {
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let everything = tokio::select! {
                Some(message) = incoming.recv() => {
                    self.take(&message);
                    continue;
                }
                () = self.0.outbox.notified() => false,
                _ = heartbeat.tick() => true,
            };
            if everything {
                self.save().await;
            }
            if self.0.store.has_replicas() {
                self.tell(everything).await;
            }
            if !everything {
                // Many nodes that get further at once go out in one message.
                sleep(Duration::from_millis(5)).await;
            }
        }
    }

    /// Writes down what is known of the nodes heard of here.
    pub async fn save(&self) {
        let now = self.0.store.now();
        let nodes: Vec<_> = {
            let mut nodes = self.lock();
            nodes.retain(|_, node| node.held > 0 || node.seen_at.plus_millis(FORGOTTEN_MS) > now);
            let heard = nodes.iter().filter(|(_, node)| {
                let since = node.heard_at.map(|at| at.plus_millis(2 * LIVE_MS));
                node.held > 0 || since.is_some_and(|until| until > now)
            });
            heard
                .map(|(name, node)| StoredNode {
                    node: name.clone(),
                    version: node.version.clone(),
                    applied: node.applied,
                    seen_at: if node.held > 0 { now } else { node.seen_at },
                })
                .collect()
        };
        if nodes.is_empty() {
            return;
        }
        if let Err(error) = self.0.store.save_nodes(&nodes, now.plus_millis(-FORGOTTEN_MS)).await {
            tracing::warn!(%error, "what is known of the gateway nodes was not written down");
        }
    }

    async fn tell(&self, everything: bool) {
        let now = self.0.store.now();
        let words: Vec<_> = self
            .lock()
            .iter_mut()
            .filter(|(_, node)| {
                let own = node.held > 0
                    || node.heard_at.is_some_and(|at| at.plus_millis(LIVE_MS) > now && at == node.seen_at);
                own && (everything || node.told != Some(node.applied))
            })
            .map(|(name, node)| {
                node.told = Some(node.applied);
                Word { node: name.clone(), version: node.version.clone(), applied: node.applied }
            })
            .collect();
        for words in words.chunks(NODES_PER_MESSAGE) {
            let Ok(message) = serde_json::to_string(words) else { continue };
            if let Err(error) = self.0.store.tell_nodes(&message).await {
                tracing::warn!(%error, "the other replicas were not told of the gateway nodes");
            }
        }
    }

    /// Takes what another replica tells. This replica's own messages come back too and change nothing.
    fn take(&self, message: &str) {
        let Ok(words) = serde_json::from_str::<Vec<Word>>(message) else { return };
        let now = self.0.store.now();
        let mut nodes = self.lock();
        for word in words {
            let full = nodes.len() >= NODES_MAX;
            match nodes.get_mut(&word.node) {
                Some(node) if node.held > 0 || heard_just_now(node, now) => {}
                Some(node) => {
                    node.reached(word.applied, now);
                    node.version = word.version;
                    node.seen_at = now;
                    node.told = Some(word.applied);
                }
                None if full => {}
                None => {
                    let mut node = Node { version: word.version, told: Some(word.applied), ..Node::new(now) };
                    node.reached(word.applied, now);
                    nodes.insert(word.node, node);
                }
            }
        }
        drop(nodes);
        self.0.moved.send_replace(());
    }

    /// A panic while the lock was held leaves nothing half done: every change is one assignment after another.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Node>> {
        self.0.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn heard_just_now(node: &Node, now: Timestamp) -> bool {
    node.heard_at.is_some_and(|at| at.plus_millis(OWN_WORD_MS) > now)
}

/// Drops the node that was not heard of for the longest time.
fn make_room(nodes: &mut HashMap<String, Node>) {
    let oldest = nodes
        .iter()
        .filter(|(_, node)| node.held == 0)
        .min_by_key(|(_, node)| node.seen_at)
        .map(|(name, _)| name.clone());
    if let Some(oldest) = oldest {
        nodes.remove(&oldest);
    }
}
