//! Somebody's own bridge to whatever provider they have: four calls below one address, with an API key.

use app_auth_core::ids::ApplicationId;
use reqwest::Method;
use serde_json::{Value, json};
use url::Url;

use super::{AUTH_METHOD, Calling, ClientRef, ClientSpec, Dcr, Found, Registration, Rotated, gone};
use crate::idp::http::{Call, CallError, Calls, below};
use crate::model::{DcrProvider, PlainSecret};

pub struct Bridge {
    base: Url,
    api_key: PlainSecret,
    event_hooks: bool,
    refreshes: bool,
}

impl Bridge {
    pub fn new(provider: &DcrProvider) -> Result<Self, CallError> {
        let base = provider.text("dcr_base_url").and_then(|base| Url::parse(base).ok());
        Ok(Self {
            base: base.ok_or_else(|| CallError::Untold("its dcr_base_url is no URL".into()))?,
            api_key: provider.secret.clone(),
            event_hooks: !provider.switch("disable_event_hooks"),
            refreshes: !provider.switch("disable_refresh_secret"),
        })
    }

    fn call(&self, method: Method, path: &[&str]) -> Call {
        Call::new(method, below(&self.base, path)).secret("x-api-key", self.api_key.expose())
    }

    async fn tell(
        &self,
        calls: &Calls,
        client: &ClientRef,
        spec: &ClientSpec,
        event: &'static str,
        more: Vec<(&str, Value)>,
    ) -> Result<(), CallError> {
        if !self.event_hooks {
            return Ok(());
        }
        let mut body = json!({
            "event_type": event,
            "client_id": client.client_id,
            "application_id": spec.application,
            "application_name": spec.name,
            "application_description": spec.description,
            "portal_id": spec.portal,
            "organization_id": spec.organization,
            "developer_id": spec.developer,
            "auth_strategy_id": spec.strategy,
            "dcr_provider_id": spec.provider,
        });
        if let Value::Object(members) = &mut body {
            members.extend(more.into_iter().map(|(name, value)| (name.to_owned(), value)));
        }
        let call = self.call(Method::POST, &[&client.client_id, "event-hook"]);
        calls.send(call.json(body)).await.map(drop)
    }
}

impl Dcr for Bridge {
    fn register<'a>(
        &'a self,
        calls: &'a Calls,
        spec: &'a ClientSpec,
        made: &'a mut Option<ClientRef>,
    ) -> Calling<'a, PlainSecret> {
        Box::pin(async move {
            let body = json!({
                "redirect_uris": spec.redirect_uris,
                "client_name": spec.client_name,
                "grant_types": spec.grant_types,
                "scopes": spec.scopes,
                "token_endpoint_auth_method": AUTH_METHOD,
                "application_description": spec.description,
                "portal_id": spec.portal,
                "organization_id": spec.organization,
                "developer_id": spec.developer,
                "auth_strategy_id": spec.strategy,
                "dcr_provider_id": spec.provider,
            });
            let answer = calls.send(self.call(Method::POST, &[""]).json(body)).await?;
            *made = Some(ClientRef { client_id: answer.text("client_id")?, handle: None });
            answer.secret("client_secret")
        })
    }

    fn update<'a>(
        &'a self,
        calls: &'a Calls,
        client: &'a ClientRef,
        spec: &'a ClientSpec,
    ) -> Calling<'a, ()> {
        let more = vec![("redirect_uris", json!(spec.redirect_uris))];
        Box::pin(self.tell(calls, client, spec, "update_application", more))
    }

    fn delete<'a>(&'a self, calls: &'a Calls, client: &'a ClientRef) -> Calling<'a, ()> {
        Box::pin(async move { gone(calls.send(self.call(Method::DELETE, &[&client.client_id])).await) })
    }

    fn rotate<'a>(
        &'a self,
        calls: &'a Calls,
        client: &'a ClientRef,
        _: &'a ClientSpec,
    ) -> Calling<'a, Rotated> {
        Box::pin(async move {
            let call = self.call(Method::POST, &[&client.client_id, "new-secret"]);
            let answer = calls.send(call.json(json!({}))).await?;
            Ok(Rotated { secret: answer.secret("client_secret")?, keep: None })
        })
    }

    fn find<'a>(&'a self, _: &'a Calls, _: ApplicationId, _: &'a str) -> Calling<'a, Found> {
        Box::pin(async { Ok(Found::CannotSearch) })
    }

    fn registration<'a>(
        &'a self,
        calls: &'a Calls,
        client: &'a ClientRef,
        spec: &'a ClientSpec,
        registration: Registration,
    ) -> Calling<'a, ()> {
        let (event, version) = match registration {
            Registration::Added(version) => ("add_registration", version),
            Registration::Removed(version) => ("remove_registration", version),
        };
        let mut more = vec![("api_product_version_id", json!(version))];
        more.extend(spec.audiences.first().map(|audience| ("audience", json!(audience))));
        Box::pin(self.tell(calls, client, spec, event, more))
    }

    fn follows_registrations(&self) -> bool {
        self.event_hooks
    }

    fn rotates(&self) -> bool {
        self.refreshes
    }
}
