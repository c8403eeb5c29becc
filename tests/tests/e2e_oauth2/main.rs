//! Kong's OAuth 2.0: services that give out access tokens, what callers of the token endpoint get, and what a token is good
//! for at a gateway.

mod at_gateways;
mod endpoint;
mod grants;
mod keeping;
mod services;
mod stage;
