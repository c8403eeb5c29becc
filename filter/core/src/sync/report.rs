//! Telling the admin extension of traffic: the leader keeps the slots there are for it, seals what workers put there, and
//! tells it until that is confirmed. Beside the feed, which nothing that goes wrong here may disturb.

use super::{Event, Outgoing, PATIENCE, Syncer};
use crate::host::SharedData;
use crate::traffic::report::{Batch, REPORT, Report};
use crate::traffic::slot::{self, Slot, SlotFault};

/// How often slots are looked at, in milliseconds.
const LOOK_INTERVAL: u64 = 500;
/// Time between two reports, unless a slot fills up before. With what workers and looking take, a request is reported
/// within five seconds.
const REPORT_INTERVAL: u64 = 4_000;

/// Waiting time after the first report that failed, in milliseconds; doubles up to [`BACK_OFF_MAX`].
const BACK_OFF: u64 = 1_000;
const BACK_OFF_MAX: u64 = 60_000;
/// Waiting time where the admin extension knows no reports: it is older than the filter.
const UNKNOWN_BACK_OFF: u64 = 300_000;

/// How often slots are made, in milliseconds, where they do not stay.
const MAKE_INTERVAL: u64 = 10_000;

/// Rows of a report that goes on to another slot. Writing a report keeps the worker busy.
const ROWS: usize = slot::ROWS / 2;

/// Time allowed for an answer, in milliseconds.
const TIMEOUT: u32 = 10_000;

/// How far the leader's reports are.
#[derive(Default)]
pub(super) struct Reporting {
    pub wanted: bool,
    sent: Option<Sent>,
    looked_at: u64,
    reported_at: u64,
    retry_at: u64,
    failures: u32,
    make_at: u64,
    /// The log says that there is no room.
    no_room: bool,
}

/// A report that waits for its answer.
struct Sent {
    token: u32,
    /// When it counts as lost, should the host never answer.
    deadline: u64,
    batches: Vec<Told>,
}

/// A batch that was told.
#[derive(Clone, Copy)]
struct Told {
    slot: u8,
    generation: u128,
    seq: u64,
    requests: u64,
}

impl Reporting {
    pub fn awaits(&self, token: u32) -> bool {
        self.sent.as_ref().is_some_and(|sent| sent.token == token)
    }

    pub fn set_back(&mut self, by: u64) {
        for planned in [&mut self.looked_at, &mut self.reported_at, &mut self.retry_at, &mut self.make_at] {
            *planned = planned.saturating_sub(by);
        }
        if let Some(sent) = &mut self.sent {
            sent.deadline = sent.deadline.saturating_sub(by);
        }
    }

    fn back_off(&mut self, now: u64, at_least: u64) {
        self.failures = self.failures.saturating_add(1);
        self.retry_at = now + (BACK_OFF << self.failures.min(7)).min(BACK_OFF_MAX).max(at_least);
    }
}

impl Syncer {
    /// Does what is due about traffic. For the leader.
    pub(super) fn report<S: SharedData>(&mut self, now: u64, shared: &S, out: &mut impl Outgoing) {
        if self.reporting.sent.as_ref().is_some_and(|sent| now >= sent.deadline) {
            self.reporting.sent = None;
            self.report_failed(now, "no answer in time".to_owned());
        }
        let is_time = now >= self.reporting.retry_at && now >= self.reporting.looked_at + LOOK_INTERVAL;
        if !self.reporting.wanted || self.reporting.sent.is_some() || !is_time {
            return;
        }
        self.reporting.looked_at = now;
        let due = now >= self.reporting.reported_at + REPORT_INTERVAL;
        let (mut batches, mut told, mut missing) = (Vec::new(), Vec::new(), Vec::new());
        let mut rows = 0;
        for number in 0..slot::COUNT {
            if rows > ROWS {
                // Where so much is going on, the next report follows at once.
                self.reporting.looked_at = 0;
                break;
            }
            match sealed(shared, number, due) {
                Ok(slot) if slot.is_sealed() => {
                    let batch = slot.batch();
                    rows += batch.rows.len();
                    let requests = batch.rows.iter().map(|row| row.count).sum();
                    told.push(Told { slot: number, generation: slot.generation, seq: slot.seq, requests });
                    batches.push(batch);
                }
                Err(fault @ (SlotFault::Missing | SlotFault::Unusable)) => missing.push((number, fault)),
                Ok(_) | Err(SlotFault::Contended | SlotFault::Host(_)) => {}
            }
        }
        self.make_slots(now, &missing, shared);
        if !batches.is_empty() {
            self.send_report(now, batches, told, out);
        }
    }

    fn send_report(&mut self, now: u64, batches: Vec<Batch>, told: Vec<Told>, out: &mut impl Outgoing) {
        let report = Report { node: self.node(), version: self.version.to_owned(), batches };
        let Ok(body) = serde_json::to_vec(&report) else { return };
        match out.post(REPORT, &body, TIMEOUT) {
            Some(token) => {
                let deadline = now + u64::from(TIMEOUT) + u64::from(PATIENCE);
                self.reporting.sent = Some(Sent { token, deadline, batches: told });
                self.reporting.reported_at = now;
            }
            None => self.report_failed(now, "the host does not send: check admin_address".to_owned()),
        }
    }

    /// Takes the answer to a report. Harmless also where another worker leads by now: only what was told goes.
    pub(super) fn reported<S: SharedData>(&mut self, now: u64, status: Option<u16>, shared: &S) {
        let Some(sent) = self.reporting.sent.take() else { return };
        match status {
            Some(200) => {
                self.reporting.failures = 0;
                forget(&sent.batches, shared);
            }
            // It would be refused for ever, and nothing would be counted any more.
            Some(status @ (400 | 413 | 422)) => {
                let requests = sent.batches.iter().map(|told| told.requests).sum();
                self.events.push(Event::TrafficRefused { status, requests });
                forget(&sent.batches, shared);
            }
            Some(404 | 405) => {
                if self.reporting.failures == 0 {
                    self.events.push(Event::TrafficNotTaken);
                }
                self.reporting.back_off(now, UNKNOWN_BACK_OFF);
            }
            Some(status) => self.report_failed(now, format!("status {status}")),
            None => self.report_failed(now, "no connection".to_owned()),
        }
    }

    fn report_failed(&mut self, now: u64, how: String) {
        if self.reporting.failures == 0 {
            self.events.push(Event::TrafficLate(how));
        }
        self.reporting.back_off(now, 0);
    }

    /// Makes slots that are not there, or not to be used. On one host that ends the worker's instance where there is no
    /// room: two of them, at most, for as long as the memory is not emptied.
    fn make_slots<S: SharedData>(&mut self, now: u64, missing: &[(u8, SlotFault)], shared: &S) {
        if missing.is_empty() || now < self.reporting.make_at {
            return;
        }
        self.reporting.make_at = now + MAKE_INTERVAL;
        let mut made = self.leadership.may_make_slots();
        if made && self.leadership.begin_slots(shared) {
            for (number, fault) in missing {
                let generation = self.generation(now, *number);
                made &= slot::make(shared, *number, generation).is_ok();
                if *fault == SlotFault::Unusable {
                    self.events.push(Event::TrafficLost);
                }
            }
            self.leadership.end_slots(shared);
        }
        if !made && !std::mem::replace(&mut self.reporting.no_room, true) {
            self.events.push(Event::NoRoomForTraffic);
        }
    }

    /// A name that no slot ever had.
    fn generation(&self, now: u64, number: u8) -> u128 {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.leadership.me().to_le_bytes()).update(&now.to_le_bytes()).update(&[number]);
        let digest = hasher.finalize();
        u128::from_le_bytes(digest.as_bytes().first_chunk().copied().unwrap_or_default())
    }
}

/// A slot, sealed where there is something to report.
fn sealed<S: SharedData>(shared: &S, number: u8, due: bool) -> Result<Slot, SlotFault> {
    let slot = slot::get(shared, number)?;
    if !slot.can_be_sealed() || !(due || slot.is_crowded()) {
        return Ok(slot);
    }
    let mut sealed = slot;
    slot::update(shared, number, |slot| {
        let is_new = slot.seal();
        sealed = slot.clone();
        is_new
    })?;
    Ok(sealed)
}

fn forget<S: SharedData>(batches: &[Told], shared: &S) {
    for told in batches {
        // If it cannot be forgotten now it is told again, and counts no second time.
        let _ = slot::update(shared, told.slot, |slot| slot.confirm(told.generation, told.seq));
    }
}
