//! The filter as it is shipped, on the test host: what must hold on real gateways, whatever their quirks.

mod answers;
mod body;
mod configuration;
mod cost;
mod faults;
mod fuzz;
mod headers;
mod imports;
mod leaders;
mod metrics;
mod outcomes;
mod query;
mod support;
mod sync;
mod tokens;
mod traffic;
mod waiting;
mod zone;
