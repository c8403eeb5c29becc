//! Clients of applications at identity providers: a real one for Curity's way, doubles for the other four. Whatever ends
//! in between, no application is left without its client and no client without its application.

mod changes;
mod common;
mod crash;
mod failures;
mod guard;
mod issuers;
mod registrations;
mod verify;
