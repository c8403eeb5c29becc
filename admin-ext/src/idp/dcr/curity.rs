//! Curity: client registration and management by RFC 7591 and 7592. The token for a registration counts once
//! (`scope=dcr`); one with `scope=dcrm` manages every client, so no client's own token has to be kept.

use app_auth_core::ids::ApplicationId;
use reqwest::Method;
use serde_json::{Map, Value, json};
use url::Url;

use super::{AUTH_METHOD, Calling, ClientRef, ClientSpec, Dcr, Found, Rotated, gone};
use crate::idp::discovery;
use crate::idp::http::{Call, CallError, Calls, below, text};
use crate::model::{DcrProvider, PlainSecret};

/// For one registration, and for the management of clients.
const REGISTER: &str = "dcr";
const MANAGE: &str = "dcrm";

pub struct Curity {
    issuer: String,
    client_id: String,
    client_secret: PlainSecret,
}

impl Curity {
    pub fn new(provider: &DcrProvider) -> Self {
        Self {
            issuer: provider.issuer.clone(),
            client_id: provider.text("initial_client_id").unwrap_or_default().to_owned(),
            client_secret: provider.secret.clone(),
        }
    }

    /// Where clients are registered, and a token for it.
    async fn begin(&self, calls: &Calls, scope: &'static str) -> Result<(Url, PlainSecret), CallError> {
        let metadata = discovery::metadata(calls, &self.issuer).await.map_err(CallError::before)?;
        let token = self.token(calls, &metadata, scope).await.map_err(CallError::before)?;
        Ok((discovery::endpoint(&metadata, "registration_endpoint")?, token))
    }

    async fn token(
        &self,
        calls: &Calls,
        metadata: &Map<String, Value>,
        scope: &'static str,
    ) -> Result<PlainSecret, CallError> {
        let call = Call::post(discovery::endpoint(metadata, "token_endpoint")?)
            .basic(&self.client_id, &self.client_secret)
            .form(vec![
                ("grant_type", PlainSecret::new("client_credentials")),
                ("scope", PlainSecret::new(scope)),
            ]);
        calls.send(call).await?.secret("access_token")
    }
}

fn metadata(spec: &ClientSpec) -> Map<String, Value> {
    let json = json!({
        "client_name": spec.client_name,
        "redirect_uris": spec.redirect_uris,
        "grant_types": spec.grant_types,
        // Only who sends people to the provider gets answers by way of them (RFC 7591, 2.1).
        "response_types": if spec.grant_types.iter().any(|grant| grant == "authorization_code") { vec!["code"] } else { Vec::new() },
        "scope": spec.scopes.join(" "),
        "token_endpoint_auth_method": AUTH_METHOD,
    });
    match json {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// Where a client is managed: what the provider said, if it is the provider's own, or else its place among the clients.
fn place(registration: &Url, client: &ClientRef) -> Url {
    let said = client.handle.as_deref().and_then(|handle| Url::parse(handle).ok());
    said.filter(|url| url.origin() == registration.origin())
        .unwrap_or_else(|| below(registration, &[&client.client_id]))
}

impl Dcr for Curity {
    fn register<'a>(
        &'a self,
        calls: &'a Calls,
        spec: &'a ClientSpec,
        made: &'a mut Option<ClientRef>,
    ) -> Calling<'a, PlainSecret> {
        Box::pin(async move {
            let (registration, token) = self.begin(calls, REGISTER).await?;
            let call = Call::post(registration).bearer(&token).json(Value::Object(metadata(spec)));
            let answer = calls.send(call).await?;
            let handle = text(&answer.body, "registration_client_uri").filter(|uri| uri.len() <= 2048);
            *made = Some(ClientRef { client_id: answer.text("client_id")?, handle });
            answer.secret("client_secret")
        })
    }

    /// Nothing: whatever the provider is told of a client gives it a new secret, so that the application would be locked
    /// out. It is told when the secret is refreshed.
    fn update<'a>(&'a self, _: &'a Calls, _: &'a ClientRef, _: &'a ClientSpec) -> Calling<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn delete<'a>(&'a self, calls: &'a Calls, client: &'a ClientRef) -> Calling<'a, ()> {
        Box::pin(async move {
            let (registration, token) = self.begin(calls, MANAGE).await?;
            let call = Call::new(Method::DELETE, place(&registration, client)).bearer(&token);
            match calls.send(call).await {
                // A client that is gone is no reason to say more (RFC 7592, 2.3); the token itself was just given.
                Err(CallError::Refused { status: 401, .. }) => Ok(()),
                result => gone(result),
            }
        })
    }

    fn rotate<'a>(
        &'a self,
        calls: &'a Calls,
        client: &'a ClientRef,
        spec: &'a ClientSpec,
    ) -> Calling<'a, Rotated> {
        Box::pin(async move {
            let (registration, token) = self.begin(calls, MANAGE).await?;
            let mut body = metadata(spec);
            body.insert("client_id".to_owned(), client.client_id.clone().into());
            let call = Call::new(Method::PUT, place(&registration, client)).bearer(&token);
            let answer = calls.send(call.json(Value::Object(body))).await?;
            Ok(Rotated { secret: answer.secret("client_secret")?, keep: None })
        })
    }

    fn find<'a>(&'a self, _: &'a Calls, _: ApplicationId, _: &'a str) -> Calling<'a, Found> {
        Box::pin(async { Ok(Found::CannotSearch) })
    }
}
