//! Tokens at the gateway: a real OpenID provider gives them out, a real gateway checks them.

mod admin_calls;
mod bearer;
mod clients;
mod opaque;
mod rotation;
mod several;
mod stage;
