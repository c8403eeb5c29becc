//! Kong's services, as choices for product versions.

use serde::Deserialize;
use uuid::Uuid;

use super::Kong;
use super::admin_api::{CallError, Refusal};

/// A service of Kong's. What else Kong tells of it does not matter here.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct KongService {
    pub id: Uuid,
    pub name: Option<String>,
    pub protocol: Option<String>,
    pub host: Option<String>,
    pub port: Option<u16>,
    pub path: Option<String>,
    pub enabled: Option<bool>,
}

/// A page of Kong's list.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct KongServices {
    pub data: Vec<KongService>,
    /// Kong's word for where the next page begins.
    #[serde(default)]
    pub offset: Option<String>,
}

/// Why Kong did not answer.
#[derive(Debug)]
pub enum Unanswered {
    Refused(Refusal),
    Away(String),
}

impl Kong {
    /// A page of Kong's services.
    pub async fn services(&self, size: u16, offset: Option<&str>) -> Result<KongServices, Unanswered> {
        let size = size.to_string();
        let mut arguments = vec![("size", size.as_str())];
        arguments.extend(offset.map(|offset| ("offset", offset)));
        let answer = self.0.api.get_with(&self.0.presence, &["services"], &arguments).await;
        let answer = answer.map_err(|error| match error {
            CallError::Refused(refusal) => Unanswered::Refused(refusal),
            CallError::Away(reason) => Unanswered::Away(reason),
            CallError::Unknown => Unanswered::Away("what answers there has no services".into()),
        })?;
        serde_json::from_value(serde_json::Value::Object(answer))
            .map_err(|_| Unanswered::Away("what answers there is no Kong Admin API".into()))
    }
}
