//! The v2 APIs through their public door, on both databases: auth strategies and DCR providers, and the portals and API
//! products they govern.

mod agreement;
mod api_products;
mod common;
mod dcr_provider_rules;
mod dcr_providers;
mod enforcement;
mod lists;
mod operations;
mod portal_applications;
mod portals;
mod preconditions;
mod product_rules;
mod product_versions;
mod registrations;
mod strategies;
mod strategy_rules;
mod strategy_tokens;
