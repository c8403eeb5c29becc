//! Auth strategies, one file or folder each: what a request presents, what its challenge is, what makes a credential of
//! its kind a good one. They do not know connections; [`crate::decision`] does.

pub mod key_auth;
pub mod oauth2;
pub mod openid_connect;

use crate::request::headers::HeaderMap;

/// Whether a request passes without authentication because it asks what it may ask (CORS).
pub fn is_exempt(run_on_preflight: bool, headers: &HeaderMap<'_>) -> bool {
    !run_on_preflight && headers.first(":method") == Some(b"OPTIONS")
}
