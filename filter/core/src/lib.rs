//! Everything that decides who may use which service, and nothing that knows a gateway.
//!
//! The crate is compiled three times: natively (tests, the admin extension), for `wasm32-wasip1` (the filter) and
//! for `wasm32-unknown-unknown` (tests on Node). It must not name a host, HTTP library or database. Time and
//! shared data come in through arguments and the traits of [`host`].
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]
#![forbid(unsafe_code)]

pub mod cache;
pub mod calls;
pub mod config;
pub mod decision;
pub mod digest;
pub mod feed;
pub mod gate;
pub mod host;
pub mod identity;
pub mod ids;
pub mod memory;
pub mod record;
pub mod refusal;
pub mod request;
pub mod state;
pub mod strategy;
pub mod sync;
pub mod token;
pub mod traffic;
