//! What a gateway node holds in its shared data: [`meta`], one [`lease`], and the records in [`bucket`]s.

pub mod bucket;
pub mod envelope;
pub mod keys;
pub mod lease;
pub mod meta;
pub mod policy;
pub mod table;
