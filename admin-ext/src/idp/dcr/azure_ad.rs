//! Azure's Graph: applications, their passwords, and the service principals without which they get no tokens.

use std::time::Duration;

use app_auth_core::ids::ApplicationId;
use reqwest::Method;
use serde_json::{Value, json};
use url::Url;

use super::{AzureUrls, Calling, ClientRef, ClientSpec, Dcr, Found, PAGES, Rotated, gone};
use crate::idp::http::{Answer, Call, CallError, Calls, below, text};
use crate::model::{DcrProvider, PlainSecret};

/// What was made a moment ago is not everywhere yet: how often, and after what wait, it is looked for again.
const LATER: u32 = 4;
const LATER_WAIT: Duration = Duration::from_millis(300);

pub struct AzureAd {
    token_url: Url,
    graph: Url,
    scope: String,
    client_id: String,
    client_secret: PlainSecret,
}

impl AzureAd {
    /// The tenant is the first segment of the issuer's path.
    pub fn new(issuer: &Url, provider: &DcrProvider, azure: &AzureUrls) -> Result<Self, CallError> {
        let tenant =
            issuer.path_segments().and_then(|mut path| path.next()).filter(|tenant| !tenant.is_empty());
        let tenant = tenant.ok_or_else(|| CallError::Untold("its issuer names no tenant".into()))?;
        Ok(Self {
            token_url: below(&azure.login, &[tenant, "oauth2", "v2.0", "token"]),
            graph: below(&azure.graph, &["v1.0"]),
            scope: below(&azure.graph, &[".default"]).to_string(),
            client_id: provider.text("initial_client_id").unwrap_or_default().to_owned(),
            client_secret: provider.secret.clone(),
        })
    }

    async fn token(&self, calls: &Calls) -> Result<PlainSecret, CallError> {
        let call = Call::post(self.token_url.clone()).form(vec![
            ("client_id", PlainSecret::new(self.client_id.clone())),
            ("client_secret", self.client_secret.clone()),
            ("grant_type", PlainSecret::new("client_credentials")),
            ("scope", PlainSecret::new(self.scope.clone())),
        ]);
        let answer = calls.send(call).await.map_err(CallError::before)?;
        answer.secret("access_token").map_err(CallError::before)
    }

    fn call(&self, method: Method, path: &[&str], token: &PlainSecret) -> Call {
        Call::new(method, below(&self.graph, path)).bearer(token)
    }

    /// A call about an application.
    fn on(&self, method: Method, client: &ClientRef, action: &[&str], token: &PlainSecret) -> Call {
        let place = place(client);
        let path: Vec<_> = place.iter().map(String::as_str).chain(action.iter().copied()).collect();
        self.call(method, &path, token)
    }

    /// Makes a call about something that was made a moment ago.
    async fn send_later(&self, calls: &Calls, call: Call) -> Result<Answer, CallError> {
        let mut tries = 1;
        loop {
            match calls.send(call.clone()).await {
                Err(error) if error.is_unknown() && tries < LATER => {
                    tokio::time::sleep(LATER_WAIT * tries).await;
                    tries += 1;
                }
                result => return result,
            }
        }
    }

    /// A new password: its name and itself.
    async fn add_password(
        &self,
        calls: &Calls,
        token: &PlainSecret,
        client: &ClientRef,
    ) -> Result<(String, PlainSecret), CallError> {
        let call = self.on(Method::POST, client, &["addPassword"], token);
        let body = json!({"passwordCredential": {"displayName": "client secret"}});
        let answer = self.send_later(calls, call.json(body)).await?;
        Ok((answer.text("keyId")?, answer.secret("secretText")?))
    }
}

/// Where an application is: by its object id, or else by its client id.
fn place(client: &ClientRef) -> Vec<String> {
    match &client.handle {
        Some(handle) => vec!["applications".to_owned(), handle.clone()],
        None => vec![format!("applications(appId='{}')", client.client_id.replace('\'', "''"))],
    }
}

fn body(spec: &ClientSpec) -> Value {
    json!({"displayName": spec.client_name, "web": {"redirectUris": spec.redirect_uris}})
}

impl Dcr for AzureAd {
    fn register<'a>(
        &'a self,
        calls: &'a Calls,
        spec: &'a ClientSpec,
        made: &'a mut Option<ClientRef>,
    ) -> Calling<'a, PlainSecret> {
        Box::pin(async move {
            let token = self.token(calls).await?;
            let call = self.call(Method::POST, &["applications"], &token);
            let answer = calls.send(call.json(body(spec))).await?;
            let (id, app_id) = (answer.text("id")?, answer.text("appId")?);
            let client = ClientRef { client_id: app_id.clone(), handle: Some(id) };
            *made = Some(client.clone());
            let call = self.call(Method::POST, &["servicePrincipals"], &token);
            match self.send_later(calls, call.json(json!({ "appId": app_id }))).await {
                // An earlier try made it after all.
                Ok(_) | Err(CallError::Refused { status: 409, .. }) => {}
                Err(error) => return Err(error),
            }
            self.add_password(calls, &token, &client).await.map(|(_, secret)| secret)
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
            let call = self.on(Method::PATCH, client, &[], &token);
            calls.send(call.json(body(spec))).await.map(drop)
        })
    }

    fn delete<'a>(&'a self, calls: &'a Calls, client: &'a ClientRef) -> Calling<'a, ()> {
        Box::pin(async move {
            let token = self.token(calls).await?;
            // Its service principal goes with it.
            gone(calls.send(self.on(Method::DELETE, client, &[], &token)).await)
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
            let (key, secret) = self.add_password(calls, &token, client).await?;
            Ok(Rotated { secret, keep: Some(key) })
        })
    }

    fn find<'a>(
        &'a self,
        calls: &'a Calls,
        application: ApplicationId,
        client_name: &'a str,
    ) -> Calling<'a, Found> {
        Box::pin(async move {
            let token = self.token(calls).await?;
            let application = application.to_string();
            let mut url = below(&self.graph, &["applications"]);
            url.query_pairs_mut()
                .append_pair("$filter", &format!("displayName eq '{}'", client_name.replace('\'', "''")))
                .append_pair("$select", "id,appId,displayName");
            let list = url.clone();
            let mut clients = Vec::new();
            for _ in 0..PAGES {
                let answer = calls.send(Call::get(url).bearer(&token)).await?;
                for found in answer.body.get("value").and_then(Value::as_array).into_iter().flatten() {
                    let ours = text(found, "displayName").is_some_and(|name| name.contains(&application));
                    if let (true, Some(client_id), handle) = (ours, text(found, "appId"), text(found, "id")) {
                        clients.push(ClientRef { client_id, handle });
                    }
                }
                let next = text(&answer.body, "@odata.nextLink").and_then(|next| Url::parse(&next).ok());
                match next.filter(|next| next.origin() == list.origin()) {
                    Some(next) => url = next,
                    None => break,
                }
            }
            Ok(Found::Clients(clients))
        })
    }

    fn tidy<'a>(&'a self, calls: &'a Calls, client: &'a ClientRef, keep: &'a str) -> Calling<'a, ()> {
        Box::pin(async move {
            let token = self.token(calls).await?;
            let answer = calls.send(self.on(Method::GET, client, &[], &token)).await?;
            let passwords = answer.body.get("passwordCredentials").and_then(Value::as_array);
            let keys: Vec<_> =
                passwords.into_iter().flatten().filter_map(|password| text(password, "keyId")).collect();
            // Not there yet where we ask: nothing may be removed as long as what is to stay cannot be seen.
            if !keys.iter().any(|key| key == keep) {
                return Err(CallError::Failed("the new secret cannot be seen yet".into()));
            }
            for key in keys.iter().filter(|key| *key != keep) {
                let call = self.on(Method::POST, client, &["removePassword"], &token);
                gone(calls.send(call.json(json!({ "keyId": key }))).await)?;
            }
            Ok(())
        })
    }
}
