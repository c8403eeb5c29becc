//! How the portal behaves: as configured, where nobody has set it otherwise at run time.

use super::{Result, Store, Writer};
use crate::model::PortalConfig;

impl Store {
    /// How the portal behaves now, on every replica.
    #[expect(clippy::unused_async, reason = "what was set at run time is read from the database")]
    pub async fn portal(&self) -> Result<PortalConfig> {
        Ok(self.0.portal.clone())
    }
}

impl Writer {
    /// How the portal behaves at the instant of this change.
    pub async fn portal(&mut self) -> Result<PortalConfig> {
        self.store.portal().await
    }
}
