//! Auth0's Management API: clients, and the grants by which they get tokens for APIs ("resource servers").

use std::collections::{BTreeMap, BTreeSet};

use app_auth_core::ids::ApplicationId;
use reqwest::Method;
use serde_json::{Value, json};
use url::Url;

use super::{AUTH_METHOD, Calling, ClientRef, ClientSpec, Dcr, Found, PAGES, Registration, Rotated, gone};
use crate::idp::http::{Call, CallError, Calls, below, text};
use crate::model::{DcrProvider, PlainSecret};

const PAGE: usize = 100;

pub struct Auth0 {
    issuer: Url,
    client_id: String,
    client_secret: PlainSecret,
    audience: String,
    developer_managed_scopes: bool,
}

impl Auth0 {
    pub fn new(issuer: Url, provider: &DcrProvider) -> Self {
        let audience = match provider.text("initial_client_audience") {
            Some(audience) => audience.to_owned(),
            None => format!("{}/api/v2/", issuer.as_str().trim_end_matches('/')),
        };
        Self {
            issuer,
            client_id: provider.text("initial_client_id").unwrap_or_default().to_owned(),
            client_secret: provider.secret.clone(),
            audience,
            developer_managed_scopes: provider.switch("use_developer_managed_scopes"),
        }
    }

    async fn token(&self, calls: &Calls) -> Result<PlainSecret, CallError> {
        let call = Call::post(below(&self.issuer, &["oauth", "token"])).json(json!({
            "client_id": self.client_id,
            "client_secret": self.client_secret.expose(),
            "audience": self.audience,
            "grant_type": "client_credentials",
        }));
        let answer = calls.send(call).await.map_err(CallError::before)?;
        answer.secret("access_token").map_err(CallError::before)
    }

    fn call(&self, method: Method, path: &[&str], token: &PlainSecret) -> Call {
        Call::new(method, self.url(path)).bearer(token)
    }

    fn url(&self, path: &[&str]) -> Url {
        below(&below(&self.issuer, &["api", "v2"]), path)
    }

    /// Every item of a list.
    async fn list(
        &self,
        calls: &Calls,
        token: &PlainSecret,
        path: &str,
        arguments: &[(&str, &str)],
    ) -> Result<Vec<Value>, CallError> {
        let mut all = Vec::new();
        for page in 0..PAGES {
            let mut url = self.url(&[path]);
            url.query_pairs_mut()
                .extend_pairs(arguments)
                .append_pair("per_page", &PAGE.to_string())
                .append_pair("page", &page.to_string());
            let answer = calls.send(Call::get(url).bearer(token)).await?;
            let Value::Array(items) = answer.body else {
                return Err(CallError::Failed("an answer that is no list".into()));
            };
            let last = items.len() < PAGE;
            all.extend(items);
            if last {
                break;
            }
        }
        Ok(all)
    }

    /// Which scopes a client is to have, by the API that knows them. What a strategy's audiences are is said there;
    /// where none is, every API that knows a scope is meant.
    async fn wanted(
        &self,
        calls: &Calls,
        token: &PlainSecret,
        spec: &ClientSpec,
    ) -> Result<BTreeMap<String, BTreeSet<String>>, CallError> {
        let scopes = if self.developer_managed_scopes { &spec.chosen } else { &spec.scopes };
        let mut wanted = BTreeMap::new();
        for server in self.list(calls, token, "resource-servers", &[]).await? {
            // That of the Management API itself is nobody's to ask for.
            let Some(audience) = text(&server, "identifier") else { continue };
            let system = server.get("is_system").and_then(Value::as_bool).unwrap_or(false);
            let meant = spec.audiences.is_empty() || spec.audiences.contains(&audience);
            if system || !meant || audience == self.audience {
                continue;
            }
            let known = server.get("scopes").and_then(Value::as_array).into_iter().flatten();
            let known: BTreeSet<String> = known.filter_map(|scope| text(scope, "value")).collect();
            let granted: BTreeSet<String> =
                scopes.iter().filter(|scope| known.contains(*scope)).cloned().collect();
            if !granted.is_empty() || !spec.audiences.is_empty() {
                wanted.insert(audience, granted);
            }
        }
        Ok(wanted)
    }

    /// Makes a client's grants what they are to be.
    async fn grant(&self, calls: &Calls, client: &ClientRef, spec: &ClientSpec) -> Result<(), CallError> {
        let token = self.token(calls).await?;
        let mut wanted = self.wanted(calls, &token, spec).await?;
        let arguments = [("client_id", client.client_id.as_str())];
        for grant in self.list(calls, &token, "client-grants", &arguments).await? {
            let (Some(id), Some(audience)) = (text(&grant, "id"), text(&grant, "audience")) else { continue };
            let Some(scopes) = wanted.remove(&audience) else {
                gone(calls.send(self.call(Method::DELETE, &["client-grants", &id], &token)).await)?;
                continue;
            };
            let has = grant.get("scope").and_then(Value::as_array).into_iter().flatten();
            let has: BTreeSet<_> = has.filter_map(Value::as_str).map(str::to_owned).collect();
            if has != scopes {
                let call = self.call(Method::PATCH, &["client-grants", &id], &token);
                calls.send(call.json(json!({ "scope": scopes }))).await?;
            }
        }
        for (audience, scope) in wanted {
            let body = json!({"client_id": client.client_id, "audience": audience, "scope": scope});
            let sent = calls.send(self.call(Method::POST, &["client-grants"], &token).json(body)).await;
            match sent {
                // An earlier try made it after all.
                Ok(_) | Err(CallError::Refused { status: 409, .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Dcr for Auth0 {
    fn register<'a>(
        &'a self,
        calls: &'a Calls,
        spec: &'a ClientSpec,
        made: &'a mut Option<ClientRef>,
    ) -> Calling<'a, PlainSecret> {
        Box::pin(async move {
            let token = self.token(calls).await?;
            let body = json!({
                "name": spec.client_name,
                "app_type": "non_interactive",
                "grant_types": spec.grant_types,
                "callbacks": spec.redirect_uris,
                "token_endpoint_auth_method": AUTH_METHOD,
                "client_metadata": {
                    "konnect_portal_id": spec.portal,
                    "konnect_developer_id": spec.developer,
                    "konnect_org_id": spec.organization,
                    "konnect_application_id": spec.application,
                },
            });
            let answer = calls.send(self.call(Method::POST, &["clients"], &token).json(body)).await?;
            let client = ClientRef { client_id: answer.text("client_id")?, handle: None };
            *made = Some(client.clone());
            let secret = answer.secret("client_secret")?;
            // Which APIs it is for, either the strategy says or its developer does; otherwise an administrator of the
            // provider grants what it may.
            if self.developer_managed_scopes || !spec.audiences.is_empty() {
                self.grant(calls, &client, spec).await?;
            }
            Ok(secret)
        })
    }

    fn update<'a>(
        &'a self,
        calls: &'a Calls,
        client: &'a ClientRef,
        spec: &'a ClientSpec,
    ) -> Calling<'a, ()> {
        Box::pin(async move {
            let token = self.token(calls).await?;
            let body = json!({"name": spec.client_name, "callbacks": spec.redirect_uris});
            let call = self.call(Method::PATCH, &["clients", &client.client_id], &token);
            calls.send(call.json(body)).await.map(drop)
        })
    }

    fn delete<'a>(&'a self, calls: &'a Calls, client: &'a ClientRef) -> Calling<'a, ()> {
        Box::pin(async move {
            let token = self.token(calls).await?;
            // Its grants go with it.
            gone(calls.send(self.call(Method::DELETE, &["clients", &client.client_id], &token)).await)
        })
    }

    fn rotate<'a>(
        &'a self,
        calls: &'a Calls,
        client: &'a ClientRef,
        _: &'a ClientSpec,
    ) -> Calling<'a, Rotated> {
        Box::pin(async move {
            let token = self.token(calls).await?;
            let path = ["clients", client.client_id.as_str(), "rotate-secret"];
            let answer = calls.send(self.call(Method::POST, &path, &token)).await?;
            Ok(Rotated { secret: answer.secret("client_secret")?, keep: None })
        })
    }

    fn find<'a>(&'a self, calls: &'a Calls, application: ApplicationId, _: &'a str) -> Calling<'a, Found> {
        Box::pin(async move {
            let token = self.token(calls).await?;
            let application = application.to_string();
            let arguments = [("fields", "client_id,client_metadata"), ("include_fields", "true")];
            let mut clients = Vec::new();
            for found in self.list(calls, &token, "clients", &arguments).await? {
                let of = found.get("client_metadata").and_then(|of| text(of, "konnect_application_id"));
                if let (true, Some(client_id)) =
                    (of.as_deref() == Some(application.as_str()), text(&found, "client_id"))
                {
                    clients.push(ClientRef { client_id, handle: None });
                }
            }
            Ok(Found::Clients(clients))
        })
    }

    fn registration<'a>(
        &'a self,
        calls: &'a Calls,
        client: &'a ClientRef,
        spec: &'a ClientSpec,
        _: Registration,
    ) -> Calling<'a, ()> {
        Box::pin(self.grant(calls, client, spec))
    }

    fn follows_registrations(&self) -> bool {
        self.developer_managed_scopes
    }
}
