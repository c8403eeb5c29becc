//! The test harness: starts the real programs (admin extension, gateway, upstream, PostgreSQL) on free loopback ports
//! and stops them by process id, also after a panic. The scenarios in `tests/` and the `stack` binary are built on it.

pub mod admin;
pub mod at_rest;
pub mod audit;
pub mod bench;
pub mod binaries;
pub mod browser;
pub mod client;
pub mod contract;
pub mod gateway;
pub mod idp_double;
pub mod kong_double;
pub mod oidc_provider;
pub mod portal;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod products;
pub mod raw;
pub mod scene;
pub mod smtp;
pub mod stack;
pub mod upstream;
pub mod wait;
