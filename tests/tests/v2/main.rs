//! The v2 APIs through their public door, on both databases: auth strategies and DCR providers, and the portals and API
//! products they govern.

mod api_products;
mod common;
