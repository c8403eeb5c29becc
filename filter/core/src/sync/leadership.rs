//! The lease: which worker of the node syncs. Taken and kept by compare-and-set, confirmed by a second look, because on
//! one host the first write of a key always succeeds.

use crate::host::SharedData;
use crate::state::keys::SharedKey;
use crate::state::lease::Lease;
use crate::state::table::update;

/// How long a lease holds without being renewed, in milliseconds.
pub const TERM: u64 = 2_000;

/// How often a holder renews and others look, in milliseconds.
const INTERVAL: u64 = 250;

/// Strikes from which on writing is careful. One death in the middle of a page can be a worker that was killed.
const STRIKES: u8 = 2;

/// Strikes from which on no slots for traffic are made as long as the lease lasts, which is as long as the zone.
const SLOT_STRIKES: u8 = 2;

/// Longest time to be careful, in milliseconds.
const CAREFUL_MAX: u64 = 3_600_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Follower,
    /// Wrote the lease and has not seen yet that it stayed.
    Candidate,
    Leader,
}

/// One worker's part in leading the node.
#[derive(Debug)]
pub struct Leadership {
    me: u128,
    role: Role,
    looked_at: u64,
    /// Not to be taken before: others should try.
    cool_until: u64,
    lease: Option<Lease>,
}

/// What a look at the lease changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shift {
    None,
    Won,
    Lost,
}

impl Leadership {
    pub const fn new(me: u128) -> Self {
        Self { me, role: Role::Follower, looked_at: 0, cool_until: 0, lease: None }
    }

    pub fn leads(&self) -> bool {
        self.role == Role::Leader
    }

    /// The worker's random name.
    pub const fn me(&self) -> u128 {
        self.me
    }

    /// The node's random name, once there is a lease.
    pub fn node(&self) -> u128 {
        self.lease.map_or(self.me, |lease| lease.node)
    }

    /// Set while growing values has killed holders lately: until when nothing may grow.
    pub fn careful_until(&self, now: u64) -> Option<u64> {
        let lease = self.lease.filter(|lease| lease.strikes >= STRIKES)?;
        // Never longer than the longest there is, should the clock have been set back.
        (now..=now + CAREFUL_MAX).contains(&lease.careful_until).then_some(lease.careful_until)
    }

    /// Takes the clock's being set back by so many milliseconds into account.
    pub fn set_back(&mut self, by: u64) {
        self.looked_at = self.looked_at.saturating_sub(by);
        self.cool_until = self.cool_until.saturating_sub(by);
    }

    /// Looks at the lease where it is time to; takes, confirms or renews it.
    pub fn tick<S: SharedData>(&mut self, now: u64, shared: &S) -> Shift {
        let due = self.role == Role::Candidate || now.abs_diff(self.looked_at) >= INTERVAL;
        if !due {
            return Shift::None;
        }
        self.looked_at = now;
        match self.role {
            Role::Follower => {
                if now >= self.cool_until {
                    self.take(now, shared);
                }
                Shift::None
            }
            Role::Candidate | Role::Leader => {
                let was = self.role;
                let kept = self.rewrite(shared, |lease| lease.expires_at = now + TERM);
                self.role = if kept { Role::Leader } else { Role::Follower };
                match (was, kept) {
                    (Role::Leader, false) => Shift::Lost,
                    (Role::Candidate, true) => Shift::Won,
                    _ => Shift::None,
                }
            }
        }
    }

    fn take<S: SharedData>(&mut self, now: u64, shared: &S) {
        let mut taken = None;
        let me = self.me;
        let result = update(shared, SharedKey::LEASE, |old| {
            taken = None;
            let old = old.and_then(|old| Lease::decode(old).ok());
            // A lease far in the future was written before the clock was set back.
            if old.is_some_and(|lease| (now..now + 10 * TERM).contains(&lease.expires_at)) {
                return None;
            }
            let mut lease = Lease {
                holder: me,
                node: old.map_or(me, |lease| lease.node),
                expires_at: now + TERM,
                applying: false,
                strikes: old.map_or(0, |lease| lease.strikes),
                careful_until: old.map_or(0, |lease| lease.careful_until),
                making_slots: false,
                slot_strikes: old.map_or(0, |lease| lease.slot_strikes),
            };
            if old.is_some_and(|lease| lease.making_slots) {
                lease.slot_strikes = lease.slot_strikes.saturating_add(1);
            }
            if old.is_some_and(|lease| lease.applying) {
                lease.strikes = lease.strikes.saturating_add(1);
                lease.careful_until = now + careful_for(lease.strikes);
            }
            taken = Some(lease);
            Some(lease.encode())
        });
        if result.is_ok() && taken.is_some() {
            self.lease = taken;
            self.role = Role::Candidate;
        }
    }

    /// Marks the beginning of a page; a holder that dies before [`Self::end_page`] leaves a strike.
    pub fn begin_page<S: SharedData>(&mut self, shared: &S) -> bool {
        let kept = self.rewrite(shared, |lease| lease.applying = true);
        if !kept {
            self.role = Role::Follower;
        }
        kept
    }

    /// Marks the end of a page. `grew`: there was room for more, so the strikes are void.
    pub fn end_page<S: SharedData>(&mut self, shared: &S, grew: bool) {
        self.rewrite(shared, |lease| {
            lease.applying = false;
            if grew {
                lease.strikes = 0;
            }
        });
    }

    /// Whether holders have died of making slots for traffic too often to try it again.
    pub fn may_make_slots(&self) -> bool {
        self.lease.is_some_and(|lease| lease.slot_strikes < SLOT_STRIKES)
    }

    /// Marks the beginning of making slots; a holder that dies before [`Self::end_slots`] leaves a strike.
    pub fn begin_slots<S: SharedData>(&mut self, shared: &S) -> bool {
        self.rewrite(shared, |lease| lease.making_slots = true)
    }

    pub fn end_slots<S: SharedData>(&mut self, shared: &S) {
        self.rewrite(shared, |lease| {
            lease.making_slots = false;
            lease.slot_strikes = 0;
        });
    }

    /// Gives the lease up, so that a worker with another configuration can try.
    pub fn yield_until<S: SharedData>(&mut self, shared: &S, until: u64) {
        self.rewrite(shared, |lease| lease.expires_at = 0);
        self.cool_until = until;
        self.role = Role::Follower;
    }

    fn rewrite<S: SharedData>(&mut self, shared: &S, mut change: impl FnMut(&mut Lease)) -> bool {
        let me = self.me;
        let mut mine = None;
        let result = update(shared, SharedKey::LEASE, |old| {
            mine = None;
            let mut lease = old.and_then(|old| Lease::decode(old).ok()).filter(|lease| lease.holder == me)?;
            change(&mut lease);
            mine = Some(lease);
            Some(lease.encode())
        });
        if let (Ok(_), Some(lease)) = (result, mine) {
            self.lease = Some(lease);
            return true;
        }
        false
    }
}

/// How long to be careful after so many strikes, in milliseconds: 10 s, doubling up to an hour.
fn careful_for(strikes: u8) -> u64 {
    (10_000_u64 << u32::from(strikes.saturating_sub(STRIKES)).min(9)).min(CAREFUL_MAX)
}
