//! Kong's OAuth 2.0 token endpoint: what a request relayed by a gateway asks for, and what becomes of it. The rules and
//! their order are those of Kong's `oauth2` plugin, which follows RFC 6749.
//!
//! Nothing here knows HTTP servers or SQL. Whether the client's application may use the service is not asked: a token
//! says who calls, and the gateway holds its connection against every request made with it.

mod client;
mod parameters;
mod refusal;
mod scope;

use std::borrow::Cow;

use app_auth_core::calls::{TokenAnswer, TokenRequest};
use app_auth_core::ids::{Revision, ServiceId};
use app_auth_core::record::TokenRecord;
use serde::Serialize;
use subtle::ConstantTimeEq as _;

use self::client::Presented;
use self::parameters::Parameters;
use self::refusal::Refusal;
use crate::model::{OAuth2Settings, PlainSecret};
use crate::store::{NewAccessToken, OAuth2Client, Refresh, Result, Store};

/// What became of a request.
pub struct Decided {
    pub answer: TokenAnswer,
    /// In a word, to be counted by.
    pub outcome: &'static str,
    /// When a token was given out: from when on gateways know of it.
    pub revision: Option<Revision>,
}

/// Decides a request. `None` if callers of the service get no tokens.
pub async fn decide(store: &Store, request: &TokenRequest) -> Result<Option<Decided>> {
    let Some(settings) = store.oauth2_settings(request.service).await? else { return Ok(None) };
    if request.method != "POST" {
        return Ok(Some(decided(&Refusal::method(&request.method, settings.realm.as_deref()), None)));
    }
    let parameters = Parameters::read(request);
    let state = parameters.text("state");
    let endpoint = Endpoint { store, settings: &settings, request, parameters: &parameters };
    Ok(Some(match endpoint.given().await? {
        Err(refusal) => decided(&refusal, state),
        Ok(given) => Decided {
            answer: answer(200, &Granted { state, ..given.body() }),
            outcome: "issued",
            revision: Some(given.revision),
        },
    }))
}

fn decided(refusal: &Refusal, state: Option<&str>) -> Decided {
    Decided { answer: refusal.answer(state), outcome: refusal.error(), revision: None }
}

/// Headers and body that every answer has.
fn answer(status: u16, body: &impl Serialize) -> TokenAnswer {
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    TokenAnswer {
        status,
        headers: vec![
            header("content-type", "application/json; charset=utf-8"),
            header("cache-control", "no-store"),
            header("pragma", "no-cache"),
        ],
        // Texts and a number always make JSON.
        body: serde_json::to_string(body).unwrap_or_default(),
    }
}

/// RFC 6749 section 5.1.
#[derive(Serialize)]
struct Granted<'a> {
    access_token: &'a str,
    token_type: &'static str,
    /// Seconds. Absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'a str>,
}

struct Given {
    access_token: PlainSecret,
    refresh_token: Option<PlainSecret>,
    expires_in: Option<u64>,
    revision: Revision,
}

impl Given {
    fn body(&self) -> Granted<'_> {
        Granted {
            access_token: self.access_token.expose(),
            token_type: "bearer",
            expires_in: self.expires_in,
            refresh_token: self.refresh_token.as_ref().map(PlainSecret::expose),
            state: None,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Grant {
    ClientCredentials,
    Password,
    RefreshToken,
    /// There are no codes yet, so every code is wrong.
    AuthorizationCode,
}

/// What a client is to get.
struct Claim {
    scope: Option<String>,
    /// The most that may be asked for when the token is refreshed.
    granted: Option<String>,
    authenticated_userid: Option<String>,
    refresh: Refresh,
    replaces: Option<uuid::Uuid>,
}

/// A request at the token endpoint of a service.
struct Endpoint<'a> {
    store: &'a Store,
    settings: &'a OAuth2Settings,
    request: &'a TokenRequest,
    parameters: &'a Parameters,
}

impl Endpoint<'_> {
    async fn given(&self) -> Result<Result<Given, Refusal>> {
        if let Err(refusal) = self.check_https() {
            return Ok(Err(refusal));
        }
        let presented = Presented::by(self.parameters, self.request.authorization.as_deref());
        let client = match &presented.id {
            Some(id) => self.store.oauth2_client(id).await?,
            None => None,
        };
        // Whoever is not the client learns no more than that, whatever else is wrong.
        let authentic = client::authenticate(self.store, client.as_ref(), &presented).await?;
        let (Some(client), Some(client_id)) = (client, presented.id) else {
            return Ok(Err(Refusal::invalid_client(presented.in_header)));
        };
        let grant = authentic.and_then(|()| self.check_redirect_uri(&client)).and_then(|()| self.grant());
        let claim = match grant {
            Ok(grant) => self.claim(grant, &client).await?,
            Err(refusal) => Err(refusal),
        };
        let claim = match claim {
            Ok(claim) => claim,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let refreshed = claim.replaces.is_some();
        let expires_in = self.expires_in(&claim.refresh);
        let new = NewAccessToken {
            service: self.request.service,
            global: self.settings.global_credentials,
            client: client.id,
            client_digest: client.digest,
            client_id,
            scope: claim.scope,
            granted: claim.granted,
            authenticated_userid: claim.authenticated_userid,
            expires_in,
            refresh: claim.refresh,
            replaces: claim.replaces,
        };
        Ok(match self.store.give_token(new).await? {
            Some(given) => Ok(Given {
                access_token: given.access_token,
                refresh_token: given.refresh_token,
                expires_in,
                revision: given.revision,
            }),
            // Somebody else was faster.
            None if refreshed => Err(Refusal::invalid_request("Invalid refresh_token")),
            None => Err(Refusal::invalid_client(presented.in_header)),
        })
    }

    fn check_https(&self) -> Result<(), Refusal> {
        if self.request.https {
            return Ok(());
        }
        match self.request.forwarded_proto.as_slice() {
            _ if !self.settings.accept_http_if_already_terminated => {}
            [proto] if proto.eq_ignore_ascii_case("https") => return Ok(()),
            [] | [_] => {}
            _ => return Err(Refusal::access_denied("Only one X-Forwarded-Proto header allowed")),
        }
        Err(Refusal::access_denied("You must use HTTPS"))
    }

    fn grant(&self) -> Result<Grant, Refusal> {
        match self.parameters.text("grant_type") {
            Some("authorization_code") => Ok(Grant::AuthorizationCode),
            Some("refresh_token") => Ok(Grant::RefreshToken),
            Some("client_credentials") if self.settings.enable_client_credentials => {
                Ok(Grant::ClientCredentials)
            }
            Some("password") if self.settings.enable_password_grant => Ok(Grant::Password),
            _ => Err(Refusal::unsupported_grant_type()),
        }
    }

    /// A redirect URI means nothing where no user comes by, but a wrong one is wrong all the same.
    fn check_redirect_uri(&self, client: &OAuth2Client) -> Result<(), Refusal> {
        let grant = self.parameters.text("grant_type");
        if grant == Some("client_credentials") || !self.parameters.given("redirect_uri") {
            return Ok(());
        }
        let uri = self.parameters.text("redirect_uri");
        if uri.is_some_and(|uri| client.redirect_uris.iter().any(|known| known == uri)) {
            return Ok(());
        }
        Err(Refusal::invalid_request(
            "Invalid redirect_uri that does not match with any redirect_uri created with the application",
        ))
    }

    async fn claim(&self, grant: Grant, client: &OAuth2Client) -> Result<Result<Claim, Refusal>> {
        match grant {
            Grant::ClientCredentials => Ok(self.client_credentials(client)),
            Grant::Password => Ok(self.password()),
            Grant::RefreshToken => self.refresh_token(client).await,
            Grant::AuthorizationCode => Ok(Err(Refusal::invalid_request("Invalid code"))),
        }
    }

    fn client_credentials(&self, client: &OAuth2Client) -> Result<Claim, Refusal> {
        // Whoever knows the id of a public client would be that client (RFC 6749 section 4.4).
        if client.client_type == crate::model::ClientType::Public {
            return Err(Refusal::invalid_client(false));
        }
        if self.parameters.given("authenticated_userid") {
            self.check_provision_key()?;
        }
        let scope = scope::asked(self.parameters, self.settings)?;
        let authenticated_userid = self.authenticated_userid()?;
        Ok(Claim {
            granted: scope.clone(),
            scope,
            authenticated_userid,
            refresh: Refresh::No,
            replaces: None,
        })
    }

    fn password(&self) -> Result<Claim, Refusal> {
        self.check_provision_key()?;
        let Some(authenticated_userid) = self.authenticated_userid()? else {
            return Err(Refusal::invalid_authenticated_userid("Missing authenticated_userid parameter"));
        };
        let scope = scope::asked(self.parameters, self.settings)?;
        Ok(Claim {
            granted: scope.clone(),
            scope,
            authenticated_userid: Some(authenticated_userid),
            refresh: self.new_refresh_token(),
            replaces: None,
        })
    }

    async fn refresh_token(&self, client: &OAuth2Client) -> Result<Result<Claim, Refusal>> {
        let token = self.parameters.text("refresh_token").map(PlainSecret::new);
        let known = match &token {
            Some(token) => self.store.refreshable(token).await?,
            None => None,
        };
        // A token for one service stays one for that service, whatever its settings are now.
        let here = |service: Option<ServiceId>| match service {
            Some(service) => service == self.request.service,
            None => self.settings.global_credentials,
        };
        let (Some(token), Some(known)) = (token, known.filter(|known| here(known.service))) else {
            return Ok(Err(Refusal::invalid_request("Invalid refresh_token")));
        };
        if known.client != client.id {
            return Ok(Err(Refusal::invalid_client(false)));
        }
        let scope = match scope::refreshed(self.parameters, self.settings, known.scope.as_deref()) {
            Ok(scope) => scope,
            Err(refusal) => return Ok(Err(refusal)),
        };
        Ok(Ok(Claim {
            scope,
            granted: known.scope,
            authenticated_userid: known.authenticated_userid,
            refresh: if self.settings.reuse_refresh_token {
                Refresh::Again(token, self.refresh_ttl())
            } else {
                self.new_refresh_token()
            },
            replaces: Some(known.id),
        }))
    }

    fn check_provision_key(&self) -> Result<(), Refusal> {
        let digest = |key: &str| *blake3::hash(key.as_bytes()).as_bytes();
        let given = self.parameters.text("provision_key").map(digest);
        let wanted = self.settings.provision_key.as_ref().map(|key| digest(key.expose()));
        match (given, wanted) {
            (Some(given), Some(wanted)) if bool::from(given.ct_eq(&wanted)) => Ok(()),
            _ => Err(Refusal::invalid_provision_key()),
        }
    }

    /// It becomes a header towards the upstream.
    fn authenticated_userid(&self) -> Result<Option<String>, Refusal> {
        match self.parameters.text("authenticated_userid").map(str::trim).filter(|user| !user.is_empty()) {
            Some(user) if user.len() > TokenRecord::TEXT_MAX || user.chars().any(char::is_control) => {
                Err(Refusal::invalid_authenticated_userid("Invalid authenticated_userid parameter"))
            }
            user => Ok(user.map(str::to_owned)),
        }
    }

    /// A token that lasts for ever needs none.
    fn new_refresh_token(&self) -> Refresh {
        if self.settings.token_expiration == 0 { Refresh::No } else { Refresh::New(self.refresh_ttl()) }
    }

    fn refresh_ttl(&self) -> Option<u64> {
        seconds(self.settings.refresh_token_ttl)
    }

    /// No token outlives what it can be refreshed with: Kong keeps both in one row.
    fn expires_in(&self, refresh: &Refresh) -> Option<u64> {
        let life = seconds(self.settings.token_expiration)?;
        match refresh {
            Refresh::New(Some(ttl)) | Refresh::Again(_, Some(ttl)) => Some(life.min(*ttl)),
            Refresh::No | Refresh::New(None) | Refresh::Again(_, None) => Some(life),
        }
    }
}

/// 0 stands for ever.
fn seconds(setting: u64) -> Option<u64> {
    (setting > 0).then_some(setting)
}

/// A description that is the same for everybody, or was made for this caller.
type Description = Cow<'static, str>;
