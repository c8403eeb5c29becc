//! Bearer tokens: what is verified, what is refused, and that the core and a host never differ about it.

mod attacks;
mod claims;
mod examples;
#[cfg(not(target_family = "wasm"))]
mod fuzz;
mod keys;
mod support;
