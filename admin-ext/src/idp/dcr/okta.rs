//! Okta's client registration: `/oauth2/v1/clients` of the organization, with an API token.

use app_auth_core::ids::ApplicationId;
use reqwest::Method;
use serde_json::{Value, json};
use url::Url;

use super::{AUTH_METHOD, Calling, ClientRef, ClientSpec, Dcr, Found, PAGES, Rotated, gone};
use crate::idp::http::{Answer, Call, CallError, Calls, below, text};
use crate::model::{DcrProvider, PlainSecret};

/// What answers have and requests do not.
const READ_ONLY: [&str; 3] = ["client_secret", "client_id_issued_at", "client_secret_expires_at"];

pub struct Okta {
    clients: Url,
    token: PlainSecret,
}

impl Okta {
    pub fn new(issuer: Url, provider: &DcrProvider) -> Self {
        let mut organization = issuer;
        organization.set_path("");
        organization.set_query(None);
        let clients = below(&organization, &["oauth2", "v1", "clients"]);
        Self { clients, token: provider.secret.clone() }
    }

    fn call(&self, method: Method, path: &[&str]) -> Call {
        self.authorized(Call::new(method, below(&self.clients, path)))
    }

    fn authorized(&self, call: Call) -> Call {
        call.secret("authorization", &format!("SSWS {}", self.token.expose()))
    }
}

/// A service's client: it has no grant but its own credentials.
fn metadata(spec: &ClientSpec) -> Value {
    json!({
        "client_name": spec.client_name,
        "redirect_uris": spec.redirect_uris,
        "response_types": ["token"],
        "grant_types": ["client_credentials"],
        "token_endpoint_auth_method": AUTH_METHOD,
        "application_type": "service",
    })
}

impl Dcr for Okta {
    fn register<'a>(
        &'a self,
        calls: &'a Calls,
        spec: &'a ClientSpec,
        made: &'a mut Option<ClientRef>,
    ) -> Calling<'a, PlainSecret> {
        Box::pin(async move {
            let answer = calls.send(self.call(Method::POST, &[]).json(metadata(spec))).await?;
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
        Box::pin(async move {
            let path = [client.client_id.as_str()];
            // What is put replaces all of it, so what others have set there must be in it.
            let before = calls.send(self.call(Method::GET, &path)).await.map_err(CallError::before)?;
            let (Value::Object(mut whole), Value::Object(ours)) = (before.body, metadata(spec)) else {
                return Err(CallError::Untold("an answer that is no client".into()));
            };
            whole.extend(ours);
            whole.retain(|member, _| !READ_ONLY.contains(&member.as_str()));
            calls.send(self.call(Method::PUT, &path).json(Value::Object(whole))).await.map(drop)
        })
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
            let path = [client.client_id.as_str(), "lifecycle", "newSecret"];
            let answer = calls.send(self.call(Method::POST, &path)).await?;
            Ok(Rotated { secret: answer.secret("client_secret")?, keep: None })
        })
    }

    fn find<'a>(
        &'a self,
        calls: &'a Calls,
        application: ApplicationId,
        client_name: &'a str,
    ) -> Calling<'a, Found> {
        Box::pin(async move {
            let application = application.to_string();
            let mut url = self.clients.clone();
            url.query_pairs_mut().append_pair("limit", "200").append_pair("q", client_name);
            let mut clients = Vec::new();
            for _ in 0..PAGES {
                let answer = calls.send(self.authorized(Call::get(url))).await?;
                for found in answer.body.as_array().into_iter().flatten() {
                    let ours = text(found, "client_name").is_some_and(|name| name.contains(&application));
                    if let (true, Some(client_id)) = (ours, text(found, "client_id")) {
                        clients.push(ClientRef { client_id, handle: None });
                    }
                }
                match next(&answer, &self.clients) {
                    Some(next) => url = next,
                    None => break,
                }
            }
            Ok(Found::Clients(clients))
        })
    }
}

/// The `next` of `Link` headers (RFC 8288), as long as it leads to the same list.
fn next(answer: &Answer, list: &Url) -> Option<Url> {
    let links = answer.headers.get_all("link").iter().filter_map(|value| value.to_str().ok());
    let mut links = links.flat_map(|links| links.split(','));
    let next = links.find(|link| link.contains("rel=\"next\""))?;
    let url = next.trim().strip_prefix('<')?.split('>').next()?;
    let url = Url::parse(url).ok()?;
    (url.origin() == list.origin() && url.path() == list.path()).then_some(url)
}
