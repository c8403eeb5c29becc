//! Entry of `app_auth.wasm`. The crate adapts a proxy-wasm host to `app-auth-core`, which decides everything.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod host;
mod http;
mod metrics;
mod native;
mod rewrite;
mod root;
mod worker;

use proxy_wasm::traits::RootContext;

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|context_id| -> Box<dyn RootContext> { Box::new(root::Root::new(context_id)) });
}}
