//! The legacy Admin API through its public door, on both databases: `/developers` and what belongs to them, `/services`.

mod application_instances;
mod applications;
mod audit;
mod bodies;
mod common;
mod credentials;
mod developer_credentials;
mod developers;
mod export;
mod import;
mod invite;
mod lists;
mod plugins;
mod portal;
mod reference;
mod reference_developers;
mod roles;
mod services;
mod workspaces;
mod writes;
