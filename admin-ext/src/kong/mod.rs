//! A Kong whose consumers and plugins follow the developers and applications here, through its Admin API.

use std::time::Duration;

use url::Url;

use crate::model::PlainSecret;

/// Which Kong, and how to call it.
#[derive(Clone, Debug)]
pub struct KongConfig {
    pub admin_url: Url,
    /// Sent as `Kong-Admin-Token`.
    pub token: Option<PlainSecret>,
    /// Of one call.
    pub timeout: Duration,
}
