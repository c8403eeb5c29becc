//! Product versions, their auth strategies and the registrations for them, in force at Envoy.

mod chain;
mod connections;
mod lifetimes;
mod mails;
mod stage;
