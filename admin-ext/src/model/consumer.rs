//! What a Kong knows of a developer or an application: a consumer. Nothing here knows how Kong is told.

use app_auth_core::ids::ConsumerId;

use super::application::Application;
use super::developer::Developer;

/// A consumer as it is to be in Kong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Consumer {
    pub id: ConsumerId,
    /// Begins with `developer:` or `application:`, so that it cannot be one an operator made.
    pub username: String,
    pub custom_id: Option<String>,
}

impl From<&Developer> for Consumer {
    fn from(developer: &Developer) -> Self {
        Self {
            id: developer.consumer,
            username: format!("developer:{}", developer.email),
            custom_id: developer.custom_id.clone(),
        }
    }
}

impl From<&Application> for Consumer {
    fn from(application: &Application) -> Self {
        Self {
            id: application.consumer,
            username: format!("application:{}", application.id),
            custom_id: application.custom_id.clone(),
        }
    }
}
