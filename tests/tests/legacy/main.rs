//! The legacy Admin API through its public door, on both databases: `/developers` and what belongs to them, `/services`.

mod application_instances;
mod applications;
mod bodies;
mod common;
mod credentials;
mod developers;
mod lists;
mod plugins;
mod reference;
mod services;
mod writes;
