//! What an operator can set about the console. Knows nothing of requests.

use url::Url;

/// The console's settings.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ConsoleSettings {
    /// Where browsers find the console, if that was set: its origin, followed by [`PREFIX`](super::PREFIX).
    pub url: Option<Url>,
}

impl ConsoleSettings {
    /// Whether browsers come by https, so that cookies can be kept to it.
    pub fn is_https(&self) -> bool {
        self.url.as_ref().is_some_and(|url| url.scheme() == "https")
    }
}
