//! The admin extension: owns developers, applications, credentials and connections, and feeds the gateways.
//!
//! `api` → `model` ← `store`: the model knows no HTTP and no SQL, the API knows no SQL, the store knows no HTTP.
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]
#![forbid(unsafe_code)]

pub mod api;
pub mod cli;
pub mod config;
pub mod idp;
pub mod import;
pub mod kong;
pub mod mail;
pub mod model;
pub mod nodes;
pub mod oauth2;
pub mod secrets;
pub mod server;
pub mod store;
#[cfg(test)]
mod testing;
pub mod tls;
