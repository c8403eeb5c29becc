//! The filter on Kong's services: put where a product version is served, taken away where none is any more. What an
//! operator attached by hand stays as it is.

use app_auth_core::ids::ServiceId;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::Kong;
use super::admin_api::CallError;
use super::tell::TAG;
use crate::model::ambient;

/// The filter's name in Kong: the name of its file.
const NAME: &str = "app_auth";
/// From this version of Kong on a filter can be configured as a plugin, and lives beside an operator's filter chain.
const PLUGINS_SINCE: (u32, u32) = (3, 9);

/// How the filter is put on a service.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum AttachAs {
    /// As a plugin where Kong can do that, else as a filter chain.
    #[default]
    WhatKongHas,
    Plugin,
    FilterChain,
}

/// What is put on a service.
#[derive(Clone)]
pub struct FilterConfig {
    pub attach_as: AttachAs,
    /// The filter's own configuration, its gateway token among it.
    pub config: Map<String, Value>,
}

/// What stands on a service already.
struct Found {
    /// The service's filter chain, with its filters.
    chain: Option<(Uuid, Vec<Value>)>,
    /// An operator put the filter there.
    by_hand: bool,
}

impl Kong {
    /// Sees to it that the filter stands on a service. [`CallError::Unknown`]: Kong has no such service (yet).
    pub(super) async fn attach(&self, service: ServiceId) -> Result<(), CallError> {
        let Some(filter) = &self.0.filter else { return Ok(()) };
        let found = self.found(service).await?;
        if found.by_hand {
            return Ok(());
        }
        let as_plugin = match filter.attach_as {
            AttachAs::Plugin => true,
            AttachAs::FilterChain => false,
            AttachAs::WhatKongHas => self.takes_filters_as_plugins().await?,
        };
        if as_plugin {
            match self.attach_plugin(service, &filter.config).await {
                // Kong has plugins of that kind, but not this one: it may have the filter all the same.
                Err(CallError::Refused(refusal))
                    if refusal.status == 400 && filter.attach_as == AttachAs::WhatKongHas => {}
                Ok(()) => return self.take_off_chain(service, &found).await,
                Err(error) => return Err(error),
            }
        }
        self.attach_chain(service, &filter.config, &found).await?;
        self.0.api.delete(&self.0.presence, &["plugins", &own_id(service).to_string()]).await
    }

    /// Sees to it that no filter of ours stands on a service.
    pub(super) async fn detach(&self, service: ServiceId) -> Result<(), CallError> {
        self.0.api.delete(&self.0.presence, &["plugins", &own_id(service).to_string()]).await?;
        match self.found(service).await {
            Ok(found) => self.take_off_chain(service, &found).await,
            Err(CallError::Unknown) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn found(&self, service: ServiceId) -> Result<Found, CallError> {
        let (own, service) = (own_id(service), service.to_string());
        let list = async |collection: &str| -> Result<Vec<Value>, CallError> {
            let answer = self.0.api.get(&self.0.presence, &["services", &service, collection]).await?;
            Ok(answer.get("data").and_then(Value::as_array).cloned().unwrap_or_default())
        };
        let plugins = list("plugins").await?;
        let chains = match list("filter-chains").await {
            // A Kong that was built or started without filters.
            Err(CallError::Unknown) => Vec::new(),
            other => other?,
        };
        let chain = chains.first().and_then(|chain| {
            let filters = chain.get("filters").and_then(Value::as_array).cloned().unwrap_or_default();
            Some((id_of(chain)?, filters))
        });
        let in_chain = chain.as_ref().is_some_and(|(_, filters)| {
            filters.iter().any(|filter| is_filter(filter) && !self.is_ours(filter))
        });
        let as_plugin = plugins.iter().any(|plugin| is_filter(plugin) && id_of(plugin) != Some(own));
        Ok(Found { chain, by_hand: in_chain || as_plugin })
    }

    /// By the token, which nobody else has.
    fn is_ours(&self, filter: &Value) -> bool {
        let token = self.0.filter.as_ref().and_then(|filter| filter.config.get("gateway_token"));
        token.is_some() && filter.get("config").and_then(|config| config.get("gateway_token")) == token
    }

    async fn takes_filters_as_plugins(&self) -> Result<bool, CallError> {
        let about = self.0.api.get(&self.0.presence, &[]).await?;
        let version = about.get("version").and_then(Value::as_str).unwrap_or_default();
        let mut numbers = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
        let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        Ok(version >= PLUGINS_SINCE)
    }

    async fn attach_plugin(&self, service: ServiceId, config: &Map<String, Value>) -> Result<(), CallError> {
        let body = json!({
            "name": NAME, "service": {"id": service}, "enabled": true, "config": config, "tags": [TAG],
        });
        let path = ["plugins", &own_id(service).to_string()];
        self.0.api.put(&self.0.presence, &path, &body).await.map(drop)
    }

    /// A service has one chain; where it has one already, the filter joins the others in it, last.
    async fn attach_chain(
        &self,
        service: ServiceId,
        config: &Map<String, Value>,
        found: &Found,
    ) -> Result<(), CallError> {
        let filter = json!({"name": NAME, "enabled": true, "config": config});
        let own = own_id(service);
        if let Some((id, filters)) = &found.chain
            && *id != own
        {
            let others = filters.iter().filter(|filter| !is_filter(filter)).cloned();
            let filters: Vec<_> = others.chain([filter]).collect();
            return self.set_filters(*id, &filters).await;
        }
        let body = json!({"service": {"id": service}, "enabled": true, "filters": [filter], "tags": [TAG]});
        let path = ["filter-chains", &own.to_string()];
        self.0.api.put(&self.0.presence, &path, &body).await.map(drop)
    }

    async fn take_off_chain(&self, service: ServiceId, found: &Found) -> Result<(), CallError> {
        let Some((id, filters)) = &found.chain else { return Ok(()) };
        if *id == own_id(service) {
            return self.0.api.delete(&self.0.presence, &["filter-chains", &id.to_string()]).await;
        }
        let others: Vec<_> = filters.iter().filter(|filter| !self.is_ours(filter)).cloned().collect();
        if others.len() == filters.len() { Ok(()) } else { self.set_filters(*id, &others).await }
    }

    async fn set_filters(&self, chain: Uuid, filters: &[Value]) -> Result<(), CallError> {
        let path = ["filter-chains", &chain.to_string()];
        self.0.api.patch(&self.0.presence, &path, &json!({"filters": filters})).await.map(drop)
    }
}

fn is_filter(entity: &Value) -> bool {
    entity.get("name").and_then(Value::as_str) == Some(NAME)
}

fn id_of(entity: &Value) -> Option<Uuid> {
    entity.get("id").and_then(Value::as_str)?.parse().ok()
}

/// The id in Kong of what we put on a service: always the same, so that it is never put there twice.
fn own_id(service: ServiceId) -> Uuid {
    ambient::derived_id("app-auth filter on a Kong service", service.as_bytes())
}
