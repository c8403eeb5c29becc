//! A small proxy-wasm host (ABI 0.2.1) for tests: runs the real filter, module and all, and imitates the gateways
//! with a switch for each of their quirks.
//!
//! A [`Node`] has workers over one shared zone and a clock that only the test moves, so that nothing here depends on real
//! time. What would crash a real worker or hang a real request panics; what a real host traps becomes a trap.

mod abi;
mod admin;
mod calls;
mod exchange;
mod guest;
mod headers;
mod instance;
mod metrics;
mod module;
mod node;
mod quirks;
mod request;
mod state;
mod wasi;
mod worker;
mod zone;

pub use abi::HOST_CALLS;
pub use admin::{Admin, Mood, TOKEN};
pub use calls::{Answer, Backend, HttpCall, NobodyThere, Silence};
pub use headers::Headers;
pub use metrics::MetricKind;
pub use module::Module;
pub use node::{Node, START};
pub use quirks::{Quirks, WhenFull};
pub use request::{LocalResponse, Outcome, Request, UpstreamRequest, Verdict};
pub use state::LogLine;
pub use wasi::WASI_CALLS;
pub use worker::Worker;
pub use zone::{Tear, Zone, ZoneError};
