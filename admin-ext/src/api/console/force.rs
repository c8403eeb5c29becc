//! In force: on how many of the live gateways something is applied, and since when.

use std::time::Duration;

use app_auth_core::ids::{ApplicationId, Revision};
use serde::Serialize;

use super::failure::Failure;
use super::frame::Frame;
use super::when::When;
use crate::nodes::{InForce, Progress};

/// How long a form waits for the gateways before the page it leads to is shown.
const MOMENT: Duration = Duration::from_millis(500);

#[derive(Serialize)]
pub struct Force {
    id: String,
    applied: usize,
    live: usize,
    state: &'static str,
    since: Option<When>,
    /// Where to look again, and how often.
    url: String,
    again: &'static str,
}

impl Force {
    pub async fn of_application(frame: &Frame, id: ApplicationId) -> Result<Self, Failure> {
        let revision = frame.app.store.revision_of_application(id).await?;
        Ok(Self::new(frame, id.to_string(), format!("/console/applications/{id}/force"), revision))
    }

    pub fn new(frame: &Frame, id: String, url: String, revision: Revision) -> Self {
        let InForce { progress: Progress { applied, live }, since } = frame.app.nodes.in_force(revision);
        let (state, again) = match live {
            0 => ("none", "3s"),
            _ if applied == live => ("all", "10s"),
            _ => ("some", "1s"),
        };
        Self { id, applied, live, state, since: frame.when_if(since), url, again }
    }
}

/// Waits a moment for the gateways, and says how far a change is applied.
pub async fn told(frame: &Frame, revision: Revision) -> String {
    let Progress { applied, live } = frame.app.nodes.wait_applied(revision, MOMENT).await;
    match live {
        0 => "No gateway is connected now; each applies it when it is back.".to_owned(),
        1 if applied == 1 => "In force on the one gateway.".to_owned(),
        _ if applied == live => format!("In force on all {live} gateways."),
        _ => format!("In force on {applied} of {live} gateways so far."),
    }
}
