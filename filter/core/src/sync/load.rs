//! Taking a snapshot: several streams of pages, written beside or over the table that is served meanwhile.

use crate::feed::{PAGE_LIMIT, SnapshotPage};
use crate::host::SharedData;
use crate::ids::Revision;
use crate::state::meta::{Meta, Table};
use crate::state::table::{Reader, WriteFault};
use crate::sync::apply::{self, Applied, SweepPosition};
use crate::sync::{Event, Outgoing, Purpose, SNAPSHOT_TIMEOUT, Syncer, Task};

/// Pages asked for at a time. More would load faster, and keep the worker from requests for longer at a stretch.
const STREAMS: usize = 3;

/// A snapshot in progress.
pub(super) enum Load {
    /// Its first page is asked for, or about to be.
    Opening,
    Streaming(Streaming),
}

pub(super) struct Streaming {
    table: Table,
    serving: Option<Table>,
    store: crate::ids::StoreId,
    /// The next cursor of each stream; `None`: complete.
    streams: Vec<Option<String>>,
    /// The smallest revision of a page.
    revision: Revision,
    applied: Applied,
}

impl Syncer {
    pub(super) fn start_load(&mut self, now: u64, reason: &'static str) {
        if !matches!(self.task, Task::Load(Load::Opening)) {
            self.events.push(Event::Loading(reason));
        }
        self.task = Task::Load(Load::Opening);
        self.calls.clear();
        self.retry_at = self.retry_at.max(now);
    }

    pub(super) fn load<S: SharedData>(&mut self, now: u64, shared: &S, out: &mut impl Outgoing) {
        let Task::Load(load) = &self.task else { return };
        let mut wanted = Vec::new();
        match load {
            Load::Opening if self.calls.is_empty() => {
                wanted.push((Purpose::OpenSnapshot, format!("streams={STREAMS}&limit={PAGE_LIMIT}")));
            }
            Load::Opening => {}
            Load::Streaming(streaming) => {
                for (stream, cursor) in streaming.streams.iter().enumerate() {
                    let purpose = Purpose::Snapshot { stream };
                    if let Some(cursor) = cursor
                        && !self.calls.iter().any(|call| call.purpose == purpose)
                    {
                        wanted.push((purpose, format!("cursor={cursor}&limit={PAGE_LIMIT}")));
                    }
                }
            }
        }
        for (purpose, query) in wanted {
            let path = format!("/gateway/v1/snapshot?{query}&{}", self.identification());
            if !self.send(now, shared, out, &path, purpose, SNAPSHOT_TIMEOUT) {
                return;
            }
        }
    }

    pub(super) fn snapshot_page<S: SharedData>(
        &mut self,
        now: u64,
        purpose: Purpose,
        page: &SnapshotPage,
        shared: &S,
    ) {
        if !is_sound(page) {
            return self.failed(now, shared, "a snapshot page that does not add up".to_owned());
        }
        match (&mut self.task, purpose) {
            // Even an empty store has buckets to write, so there is a stream at least.
            (_, Purpose::OpenSnapshot) if page.cursors.is_empty() => {
                return self.failed(now, shared, "a snapshot without streams".to_owned());
            }
            (Task::Load(Load::Opening), Purpose::OpenSnapshot) => match open(now, page, shared) {
                Ok(streaming) => self.task = Task::Load(Load::Streaming(streaming)),
                Err(_) => return self.failed(now, shared, "the host takes no state".to_owned()),
            },
            (Task::Load(Load::Streaming(streaming)), Purpose::Snapshot { stream }) => {
                if page.store != streaming.store || page.bits != streaming.table.bits {
                    return self.start_load(now, "the store has changed on the way");
                }
                if !self.leadership.begin_page(shared) {
                    return self.stand_down();
                }
                let written = streaming.write(stream, page, shared);
                self.leadership.end_page(shared, false);
                if written.is_err() {
                    self.retry_at = now + 10_000;
                    return self.failed(now, shared, "the host has no room for the state".to_owned());
                }
            }
            _ => return,
        }
        self.succeeded();
        self.finish(now, shared);
    }

    /// Puts the loaded table into service once all streams are complete.
    fn finish<S: SharedData>(&mut self, now: u64, shared: &S) {
        let Task::Load(Load::Streaming(streaming)) = &self.task else { return };
        if streaming.streams.iter().any(Option::is_some) {
            return;
        }
        let mut taken = false;
        let result = apply::update_meta(shared, |meta| {
            let mut meta = meta.filter(|meta| meta.loading == Some(streaming.table))?;
            taken = true;
            if let Some(old) = meta.serving {
                meta.leftover_depths |= 1 << old.bits;
            }
            meta.leftover_depths &= !(1 << streaming.table.bits);
            meta.serving = Some(streaming.table);
            meta.loading = None;
            meta.revision = streaming.revision;
            meta.policy_revision = streaming.revision;
            meta.last_contact = now;
            meta.records = streaming.applied.added;
            meta.damaged = false;
            meta.incomplete = streaming.applied.left_out > 0;
            Some(meta)
        });
        if result.is_err() || !taken {
            return self.start_load(now, "another worker loads too");
        }
        self.events.push(Event::Loaded { records: streaming.applied.added, revision: streaming.revision });
        self.counters.snapshots += 1;
        self.leadership.end_page(shared, true);
        self.task = Task::Follow;
        self.reloaded_at = now;
        self.sweep = Some(SweepPosition::default());
    }
}

impl Streaming {
    fn write<S: SharedData>(
        &mut self,
        stream: usize,
        page: &SnapshotPage,
        shared: &S,
    ) -> Result<(), WriteFault> {
        let applied = apply::snapshot_page(shared, self.table, self.serving, page)?;
        self.applied.added += applied.added;
        self.applied.left_out += applied.left_out;
        self.revision = self.revision.min(page.revision);
        if let Some(cursor) = self.streams.get_mut(stream) {
            cursor.clone_from(&page.next);
        }
        Ok(())
    }
}

/// Begins a load in meta. The served table stays in service if it is of the same store.
fn open<S: SharedData>(now: u64, page: &SnapshotPage, shared: &S) -> Result<Streaming, WriteFault> {
    let readable = Reader::new(shared).meta().ok();
    let newest = readable
        .iter()
        .flat_map(|meta| [meta.serving, meta.loading])
        .flatten()
        .map(|table| table.epoch)
        .max();
    // The clock keeps epochs rising even where meta was lost and buckets were not.
    let by_clock = u32::try_from(now / 1000).unwrap_or(0);
    let table =
        Table { bits: page.bits, epoch: newest.map_or(1, |epoch| epoch.saturating_add(1)).max(by_clock) };
    let mut serving = None;
    apply::update_meta(shared, |old| {
        let same_store = old.as_ref().is_some_and(|old| old.store == page.store);
        let mut meta = old.unwrap_or(Meta {
            store: page.store,
            serving: None,
            loading: None,
            revision: Revision(0),
            policy_revision: Revision(0),
            last_contact: 0,
            records: 0,
            leftover_depths: 0,
            damaged: false,
            incomplete: false,
        });
        for table in [meta.loading, meta.serving.filter(|_| !same_store)].into_iter().flatten() {
            meta.leftover_depths |= 1 << table.bits;
        }
        if !same_store {
            meta.serving = None;
            meta.store = page.store;
        }
        meta.loading = Some(table);
        serving = meta.serving;
        Some(meta)
    })?;
    Ok(Streaming {
        table,
        serving,
        store: page.store,
        streams: page.cursors.iter().cloned().map(Some).collect(),
        revision: page.revision,
        applied: Applied::default(),
    })
}

/// Whether a page can be written without looking further: a depth we know, buckets within it, cursors fit for a URL.
fn is_sound(page: &SnapshotPage) -> bool {
    let [first, end] = page.buckets;
    let cursor_is_sound = |cursor: &String| {
        (1..=512).contains(&cursor.len())
            && cursor.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte))
    };
    (crate::feed::BITS_MIN..=crate::feed::BITS_MAX).contains(&page.bits)
        && first <= end
        && end <= 1 << page.bits
        && page.cursors.len() <= 64
        && page.cursors.iter().chain(&page.next).all(cursor_is_sound)
}
