//! A Kong that follows: what is made, changed and deleted here is so there, whatever happens in between.

mod common;
mod crash;
mod crud;
mod filters;
mod outage;
mod refusals;
mod replicas;
