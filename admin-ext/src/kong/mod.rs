//! A Kong whose consumers and plugins follow the developers and applications here, through its Admin API.
//!
//! The database holds markers of what Kong has still to be told ([`crate::store::kong`]). [`change()`] tells Kong of a
//! change while its caller waits, so that Kong's refusals reach them; [`Kong::keep_telling`] tells whatever is left.

mod admin_api;
pub(crate) mod backoff;
mod change;
mod coerce;
pub mod declarative;
mod filter;
mod presence;
mod services;
mod tell;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use url::Url;

use self::admin_api::AdminApi;
use self::presence::Presence;
use crate::model::PlainSecret;
use crate::store::Store;

pub use self::admin_api::Refusal;
pub use self::change::{Changed, Making, Sync, change};
pub use self::filter::{AttachAs, FilterConfig};
pub use self::services::{KongService, KongServices, Unanswered};

/// Which Kong, and how to call it.
#[derive(Clone, Debug)]
pub struct KongConfig {
    pub admin_url: Url,
    /// Sent as `Kong-Admin-Token`.
    pub token: Option<PlainSecret>,
    /// Of one call.
    pub timeout: Duration,
    /// Where the filters find the admin extension; absent: they are attached by hand.
    pub filter: Option<FilterAddress>,
}

impl FilterAddress {
    /// What filters are given.
    pub async fn config(&self, store: &Store) -> crate::store::Result<FilterConfig> {
        let token = match &self.token {
            Some(token) => token.clone(),
            None => store.kong_filter_token().await?,
        };
        let config = [("admin_address", self.address.as_str()), ("gateway_token", token.expose())];
        let config = config.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        Ok(FilterConfig { attach_as: self.attach_as, config })
    }
}

/// What filters are told of where to find the admin extension, as Kong sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FilterAddress {
    /// `host:port`
    pub address: String,
    pub attach_as: AttachAs,
    /// Absent: a token of their own is made.
    pub token: Option<PlainSecret>,
}

/// The Kong that follows; cheap to clone.
#[derive(Clone)]
pub struct Kong(Arc<Inner>);

struct Inner {
    api: AdminApi,
    filter: Option<FilterConfig>,
    /// Of one call.
    timeout: Duration,
    presence: Presence,
    /// Rings when Kong should be tried now, however long the wait was to be.
    awake: Notify,
    /// Its address, without what may be secret in it.
    url: String,
}

/// Most calls' worth of time that telling Kong one thing may take.
const CALLS: u32 = 5;
/// Between the end of the last call under a claim and the end of the claim: as much as the clocks of replicas may
/// differ.
const SLACK: Duration = Duration::from_secs(5);

impl Kong {
    /// `filter`: what is put on services that serve product versions, if that is wanted.
    pub fn new(config: &KongConfig, filter: Option<FilterConfig>) -> anyhow::Result<Self> {
        let mut url = config.admin_url.clone();
        // Neither fails for a URL with a host.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_query(None);
        Ok(Self(Arc::new(Inner {
            api: AdminApi::new(config)?,
            filter,
            timeout: config.timeout,
            presence: Presence::default(),
            awake: Notify::new(),
            url: url.to_string(),
        })))
    }

    /// Has Kong tried at once.
    pub fn wake(&self) {
        self.0.awake.notify_one();
    }

    /// How long telling one thing may take.
    fn telling_time(&self) -> Duration {
        self.0.timeout * CALLS
    }

    /// How long a claim holds, in milliseconds: nothing more is told once the time for one thing has passed.
    pub(crate) fn claim_ms(&self) -> i64 {
        i64::try_from((self.telling_time() * 2 + SLACK).as_millis()).unwrap_or(i64::MAX)
    }
}
