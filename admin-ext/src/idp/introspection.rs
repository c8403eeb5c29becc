//! What an issuer says of an opaque token (RFC 7662), asked on behalf of a gateway: as the client that the strategy names,
//! whose secret no gateway has. Nothing of what is asked or answered is kept, logged or quoted.

use std::sync::Arc;
use std::time::Duration;

use app_auth_core::calls::{INTROSPECTION_MAX, PATIENCE_MILLISECONDS};
use serde_json::{Map, Value};
use tokio::sync::Semaphore;
use url::Url;

use super::http::{Call, CallError, IdpHttp};
use crate::model::{AuthMethod, Introspection, PlainSecret};

/// Most questions at the same time.
const AT_ONCE: usize = 64;
/// How much sooner than the gateway's patience we end.
const SLACK: Duration = Duration::from_millis(500);

/// Why there is no answer.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum IntrospectionError {
    /// The strategy does not say what is needed for it.
    #[error("{0}")]
    Incomplete(&'static str),
    /// The issuer does not take the question: our client, most likely.
    #[error("the issuer refuses with status {0}")]
    Refused(u16),
    #[error("{0}")]
    Unusable(&'static str),
    #[error("the issuer does not answer")]
    Away,
    #[error("too many tokens are asked about at the same time")]
    Busy,
}

/// Asks issuers about tokens; cheap to clone.
#[derive(Clone)]
pub struct Introspector {
    http: IdpHttp,
    at_once: Arc<Semaphore>,
}

impl Introspector {
    pub fn new(http: IdpHttp) -> Self {
        Self { http, at_once: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// What an issuer says of a token. `published` is what it says of itself, if anything is known of it.
    pub async fn introspect(
        &self,
        how: &Introspection,
        published: Option<&Map<String, Value>>,
        token: PlainSecret,
    ) -> Result<Map<String, Value>, IntrospectionError> {
        let published = published.and_then(|metadata| metadata.get("introspection_endpoint"));
        let endpoint = how.endpoint.as_deref().or_else(|| published.and_then(Value::as_str));
        let endpoint = endpoint.ok_or(IntrospectionError::Incomplete(
            "the issuer names no introspection endpoint, and neither does introspection_endpoint of the strategy",
        ))?;
        let endpoint = Url::parse(endpoint);
        let endpoint =
            endpoint.map_err(|_| IntrospectionError::Unusable("the introspection endpoint is no URL"))?;
        let call = request(how, endpoint, token)?;
        let Ok(_running) = self.at_once.try_acquire() else { return Err(IntrospectionError::Busy) };
        let patience = Duration::from_millis(u64::from(PATIENCE_MILLISECONDS)).saturating_sub(SLACK);
        let answer = self.http.calls().within(how.timeout.min(patience)).send(call).await;
        match answer.map(|answer| answer.body) {
            Ok(Value::Object(said)) if size(&said) <= INTROSPECTION_MAX => Ok(said),
            Ok(Value::Object(_)) => Err(IntrospectionError::Unusable("the issuer's answer is too large")),
            Ok(_) => Err(IntrospectionError::Unusable("the issuer's answer is no JSON object")),
            Err(CallError::Refused { status, .. }) => Err(IntrospectionError::Refused(status)),
            Err(CallError::Untold(_) | CallError::Failed(_) | CallError::Lost(_)) => {
                Err(IntrospectionError::Away)
            }
        }
    }
}

fn request(how: &Introspection, endpoint: Url, token: PlainSecret) -> Result<Call, IntrospectionError> {
    let mut fields =
        vec![("token".to_owned(), token), ("token_type_hint".to_owned(), PlainSecret::new(&*how.hint))];
    let call = Call::post(endpoint);
    let call = match (how.auth_method, &how.client_id, &how.client_secret) {
        (AuthMethod::None, id, _) => {
            fields.extend(id.iter().map(|id| ("client_id".to_owned(), PlainSecret::new(&**id))));
            call
        }
        (AuthMethod::Basic, Some(id), Some(secret)) => call.basic(id, secret),
        (AuthMethod::Post, Some(id), Some(secret)) => {
            fields.push(("client_id".to_owned(), PlainSecret::new(&**id)));
            fields.push(("client_secret".to_owned(), secret.clone()));
            call
        }
        (_, None, _) => return Err(IntrospectionError::Incomplete(how.no_client())),
        (_, Some(_), None) => {
            return Err(IntrospectionError::Incomplete("the strategy has no client_secret"));
        }
    };
    fields.extend(how.arguments.iter().cloned());
    Ok(call.form(fields))
}

fn size(object: &Map<String, Value>) -> usize {
    serde_json::to_vec(object).map_or(usize::MAX, |text| text.len())
}
