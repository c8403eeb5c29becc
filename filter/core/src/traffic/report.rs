//! What a node's leader tells the admin extension about traffic, as it is on the wire: JSON, `POST`, bearer gateway token.
//!
//! A batch is told until a report with it is answered with 200, and always with the same rows under the same number. Of each
//! reporter a number counts once: the admin extension takes a batch whose `seq` is greater than the last it took of that
//! reporter, and confirms the others as taken already.

use serde::{Deserialize, Serialize};

use super::Outcome;
use crate::ids::{ApplicationId, ServiceId};

/// Takes a [`Report`] and answers 200 when all of it is kept.
pub const REPORT: &str = "/gateway/v1/traffic";

/// Most batches and rows of one report.
pub const BATCHES_MAX: usize = 64;
pub const ROWS_MAX: usize = 10_000;

/// Most requests of one row.
pub const COUNT_MAX: u64 = 1_000_000_000_000;

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Report {
    /// The gateway's name and the filter's version, as in the feed.
    pub node: String,
    pub version: String,
    pub batches: Vec<Batch>,
}

/// What was counted since a reporter's last batch.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Batch {
    /// 32 hexadecimal digits, random. A node has several reporters.
    pub reporter: String,
    /// Rises by one with each batch of the reporter.
    pub seq: u64,
    pub rows: Vec<Row>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Row {
    /// Nil where there was no room to keep applications apart.
    pub application: ApplicationId,
    pub service: ServiceId,
    pub outcome: Outcome,
    /// Requests.
    pub count: u64,
}
