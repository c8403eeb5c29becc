//! Signing in at an OpenID provider (OpenID Connect Core 1.0, authorization code flow with PKCE): where a browser is to go,
//! and who it is that comes back. Knows no cookie, no session and no page.

use std::sync::Arc;
use std::time::Duration;

use app_auth_core::token::{Claims, IdToken, KeySet, TokenFault};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::Instant;
use url::Url;

use super::discovery::{self, Published};
use super::http::{Answer, Call, CallError, IdpHttp, text};
use super::person::{self, Expected, RoleRule};
use crate::model::{AccessRole, PlainSecret, Timestamp};

/// How long what the provider says of itself is good for. A key that is not among those that are known is asked for at once.
const FRESH: Duration = Duration::from_mins(5);
/// How long it is left alone after it did not answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Longest time that one step may take.
const STEP: Duration = Duration::from_secs(15);
/// Most steps at the same time.
const AT_ONCE: usize = 16;
/// How long a person may take to sign in at the provider.
pub const PENDING_MS: i64 = 10 * 60_000;
/// Longest code or state that comes back, in bytes.
const ARGUMENT_MAX: usize = 2048;

/// Which provider people sign in at, and what they may do then.
#[derive(Clone, Debug)]
pub struct SignInConfig {
    pub issuer: String,
    pub client_id: String,
    pub client_secret: Option<PlainSecret>,
    pub scopes: String,
    /// Where browsers come back to.
    pub redirect_uri: Url,
    pub roles: RoleRule,
}

/// A sign-in that has begun; kept by the browser, sealed.
#[derive(Clone, Serialize, Deserialize)]
pub struct Pending {
    state: String,
    nonce: String,
    verifier: String,
    /// Where to go afterwards.
    pub next: String,
    begun_at: i64,
}

impl Pending {
    /// `secret` makes up a secret.
    pub fn new<E>(
        next: &str,
        now: Timestamp,
        mut secret: impl FnMut() -> Result<PlainSecret, E>,
    ) -> Result<Self, E> {
        Ok(Self {
            state: secret()?.expose().to_owned(),
            nonce: secret()?.expose().to_owned(),
            // RFC 7636 asks for 43 characters at least.
            verifier: format!("{}{}", secret()?.expose(), secret()?.expose()),
            next: next.to_owned(),
            begun_at: now.0,
        })
    }

    /// Whether this is what a browser comes back from, and in time.
    pub fn is_answered_by(&self, answer: &Returned, now: Timestamp) -> bool {
        let age = now.0.saturating_sub(self.begun_at);
        let same = self.state.as_bytes().ct_eq(answer.state.as_deref().unwrap_or_default().as_bytes());
        bool::from(same) && (0..PENDING_MS).contains(&age)
    }

    /// Names the sign-in for as long as it could be answered, and gives nothing of it away.
    pub fn digest(&self) -> [u8; 32] {
        blake3::derive_key("app-auth console sign-in", self.state.as_bytes())
    }

    /// When nobody can come back from it any more.
    pub const fn ends_at(&self) -> Timestamp {
        Timestamp(self.begun_at.saturating_add(PENDING_MS))
    }
}

/// What a browser brings back from the provider (RFC 6749, 4.1.2; RFC 9207).
#[derive(Deserialize, Default)]
pub struct Returned {
    code: Option<String>,
    state: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

/// Somebody who has signed in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Person {
    /// What the audit log calls them.
    pub name: String,
    /// Issuer and subject, which name nobody else.
    pub identity: String,
    pub role: Option<AccessRole>,
}

/// Why nobody has signed in. The words hold no secret and no token.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SignInError {
    /// It cannot be reached, does not answer, or cannot be used.
    #[error("the identity provider cannot be used now: {0}")]
    Away(String),
    /// It answers that it does not let them in.
    #[error("the identity provider refused: {0}")]
    Refused(String),
    /// What it answers is not to be believed.
    #[error("the identity provider's answer cannot be trusted: {0}")]
    Untrusted(&'static str),
}

impl From<CallError> for SignInError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Refused { .. } => Self::Refused(error.to_string()),
            CallError::Untold(_) | CallError::Failed(_) | CallError::Lost(_) => Self::Away(error.to_string()),
        }
    }
}

/// A client of one OpenID provider.
pub struct RelyingParty {
    config: SignInConfig,
    http: IdpHttp,
    asked: Mutex<Option<Asked>>,
    at_once: Semaphore,
}

/// What the provider said of itself when it was asked last.
struct Asked {
    at: Instant,
    answer: Result<Arc<Known>, SignInError>,
}

/// What is known of the provider.
struct Known {
    published: Published,
    keys: Vec<Value>,
}

impl RelyingParty {
    pub fn new(config: SignInConfig, http: IdpHttp) -> Self {
        Self { config, http, asked: Mutex::new(None), at_once: Semaphore::new(AT_ONCE) }
    }

    /// What people know the provider by.
    pub fn host(&self) -> &str {
        person::host(&self.config.issuer)
    }

    /// Where the browser is to go.
    pub async fn address(&self, pending: &Pending) -> Result<Url, SignInError> {
        let _turn = self.turn()?;
        let known = self.known(false).await?;
        let mut url = known.published.authorization_endpoint.clone();
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&pending.verifier));
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.config.client_id)
            .append_pair("redirect_uri", self.config.redirect_uri.as_str())
            .append_pair("scope", &self.config.scopes)
            .append_pair("state", &pending.state)
            .append_pair("nonce", &pending.nonce)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        Ok(url)
    }

    /// Who came back, if the provider vouches for them. [`Pending::is_answered_by`] must have been asked before.
    pub async fn person(
        &self,
        pending: &Pending,
        returned: Returned,
        now: Timestamp,
    ) -> Result<Person, SignInError> {
        let _turn = self.turn()?;
        let known = self.known(false).await?;
        let published = &known.published;
        match &returned.iss {
            Some(issuer) if *issuer != published.issuer => {
                return Err(SignInError::Untrusted("it comes from another issuer"));
            }
            None if published.names_itself => {
                return Err(SignInError::Untrusted("it does not say which issuer it comes from"));
            }
            _ => {}
        }
        if let Some(error) = returned.error {
            let word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
            let known = error.len() <= 64 && error.bytes().all(word);
            return Err(SignInError::Refused(if known {
                error
            } else {
                "no reason that can be shown".into()
            }));
        }
        let code = returned.code.filter(|code| !code.is_empty() && code.len() <= ARGUMENT_MAX);
        let code = code.ok_or(SignInError::Untrusted("it brings no code"))?;
        let answer = self.exchange(published, pending, code).await?;
        let id_token = text(&answer.body, "id_token").map(PlainSecret::new);
        let id_token = id_token.ok_or(SignInError::Untrusted("it gives no ID token"))?;
        let access_token = text(&answer.body, "access_token").map(PlainSecret::new);
        let verified = match verified(&id_token, &known) {
            // Perhaps it has a new key.
            Err(TokenFault::UnknownKey | TokenFault::BadSignature) => {
                verified(&id_token, &*self.known(true).await?)
            }
            result => result,
        };
        let verified = verified
            .map_err(|_| SignInError::Untrusted("its ID token is not signed with one of its keys"))?;
        let expected = Expected {
            issuer: &published.issuer,
            client_id: &self.config.client_id,
            nonce: &pending.nonce,
            access_token_hash: access_token
                .as_ref()
                .map(|token| verified.access_token_hash(token.expose().as_bytes())),
            now,
        };
        person::check(&verified.claims, &expected).map_err(SignInError::Untrusted)?;
        self.described(published, verified.claims, access_token).await
    }

    /// With a role by the ID token or, if that has no such claim, by what the provider says elsewhere.
    async fn described(
        &self,
        published: &Published,
        claims: Claims,
        access_token: Option<PlainSecret>,
    ) -> Result<Person, SignInError> {
        let mut role = self.config.roles.role(&claims);
        let mut about = person::name(&claims);
        let subject = claims.text(&["sub".to_owned()]).unwrap_or_default().into_owned();
        if let (None, Some(endpoint), Some(token)) = (&role, &published.userinfo_endpoint, access_token) {
            let calls = self.http.calls().within(STEP).hiding(&token);
            let said = calls.send(Call::get(endpoint.clone()).bearer(&token)).await?.body.to_string();
            let said = Claims::from_json(said.as_bytes())
                .map_err(|_| SignInError::Untrusted("what it says of the person is no JSON"))?;
            // OpenID Connect Core 1.0, 5.3.2: else it may be about somebody else.
            if said.text(&["sub".to_owned()]).as_deref() != Some(&*subject) {
                return Err(SignInError::Untrusted("what it says of the person is about another one"));
            }
            role = self.config.roles.role(&said);
            about = about.or_else(|| person::name(&said));
        }
        let host = person::host(&published.issuer);
        let name = about.or_else(|| person::shown(&subject)).unwrap_or_default();
        Ok(Person {
            name: format!("{name} ({host})"),
            identity: format!("{}#{subject}", published.issuer),
            role: role.flatten(),
        })
    }

    /// The tokens for a code.
    async fn exchange(
        &self,
        published: &Published,
        pending: &Pending,
        code: String,
    ) -> Result<Answer, SignInError> {
        let field = |name: &'static str, value: &str| (name, PlainSecret::new(value));
        let mut fields = vec![
            field("grant_type", "authorization_code"),
            ("code", PlainSecret::new(code)),
            field("redirect_uri", self.config.redirect_uri.as_str()),
            field("code_verifier", &pending.verifier),
        ];
        let mut call = Call::post(published.token_endpoint.clone());
        let mut calls = self.http.calls().within(STEP);
        let id = &self.config.client_id;
        match &self.config.client_secret {
            Some(secret) if published.takes_basic() => call = call.basic(id, secret),
            secret => {
                fields.push(field("client_id", id));
                fields.extend(secret.iter().map(|secret| ("client_secret", secret.clone())));
            }
        }
        if let Some(secret) = &self.config.client_secret {
            calls = calls.hiding(secret);
        }
        Ok(calls.send(call.form(fields)).await?)
    }

    fn turn(&self) -> Result<tokio::sync::SemaphorePermit<'_>, SignInError> {
        self.at_once.try_acquire().map_err(|_| SignInError::Away("too many sign in at the same time".into()))
    }

    /// What the provider says of itself; `anew`: as it says it now.
    async fn known(&self, anew: bool) -> Result<Arc<Known>, SignInError> {
        let mut asked = self.asked.lock().await;
        if let Some(Asked { at, answer }) = &*asked {
            // Nobody but the provider itself makes us ask anew: by a token that it has just given us.
            let good_for = match answer {
                Ok(_) if anew => Duration::ZERO,
                Ok(_) => FRESH,
                Err(_) => PATIENCE,
            };
            if at.elapsed() < good_for {
                return answer.clone();
            }
        }
        let answer = self.ask().await.map(Arc::new);
        *asked = Some(Asked { at: Instant::now(), answer: answer.clone() });
        answer
    }

    async fn ask(&self) -> Result<Known, SignInError> {
        let calls = self.http.calls().within(STEP);
        let published = discovery::published(&calls, &self.config.issuer).await;
        let published = published.map_err(|error| SignInError::Away(error.to_string()))?;
        // The browser is sent there, by the same rules as we go there.
        self.http
            .may_call(&published.authorization_endpoint)
            .map_err(|error| SignInError::Away(error.into()))?;
        let keys = discovery::keys(&calls, &published.jwks_uri).await;
        let (keys, _) = keys.map_err(|error| SignInError::Away(error.to_string()))?;
        Ok(Known { published, keys })
    }
}

fn verified(id_token: &PlainSecret, known: &Known) -> Result<IdToken, TokenFault> {
    let keys = KeySet::new(&known.keys, &known.published.algorithms);
    IdToken::verify(id_token.expose().as_bytes(), &keys)
}
