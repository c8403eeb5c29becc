//! Why no token is given out, in the words of Kong's `oauth2` plugin.

use app_auth_core::calls::TokenAnswer;
use serde::Serialize;

use super::Description;

/// Longest method that an answer repeats, in bytes.
const METHOD_MAX: usize = 32;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    status: u16,
    error: &'static str,
    description: Description,
    challenge: Option<String>,
}

/// RFC 6749 section 5.2.
#[derive(Serialize)]
struct Body<'a> {
    error: &'static str,
    error_description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'a str>,
}

impl Refusal {
    fn new(error: &'static str, description: impl Into<Description>) -> Self {
        Self { status: 400, error, description: description.into(), challenge: None }
    }

    pub fn access_denied(description: &'static str) -> Self {
        Self::new("access_denied", description)
    }

    pub fn unsupported_grant_type() -> Self {
        Self::new("unsupported_grant_type", "Invalid grant_type")
    }

    pub fn invalid_request(description: &'static str) -> Self {
        Self::new("invalid_request", description)
    }

    /// Whoever tried in the header for it is told to do so again.
    pub fn invalid_client(in_header: bool) -> Self {
        let refusal = Self::new("invalid_client", "Invalid client authentication");
        if !in_header {
            return refusal;
        }
        Self { status: 401, challenge: Some(r#"Basic realm="OAuth2.0""#.to_owned()), ..refusal }
    }

    pub fn invalid_scope(description: impl Into<Description>) -> Self {
        Self::new("invalid_scope", description)
    }

    pub fn invalid_provision_key() -> Self {
        Self::new("invalid_provision_key", "Invalid provision_key")
    }

    pub fn invalid_authenticated_userid(description: &'static str) -> Self {
        Self::new("invalid_authenticated_userid", description)
    }

    /// Only `POST` gets tokens. A method that is none of the usual words is not repeated.
    pub fn method(method: &str, realm: Option<&str>) -> Self {
        let usual = method.len() <= METHOD_MAX && method.bytes().all(|byte| byte.is_ascii_alphabetic());
        let method = if usual { method } else { "used" };
        let description = format!("The HTTP method {method} is invalid for the token endpoint");
        let realm = realm.map(|realm| format!(" realm=\"{realm}\"")).unwrap_or_default();
        let challenge = format!("Bearer{realm} error=\"invalid_method\" error_description=\"{description}\"");
        Self { status: 405, challenge: Some(challenge), ..Self::new("invalid_method", description) }
    }

    /// The word for it.
    pub const fn error(&self) -> &'static str {
        self.error
    }

    pub fn answer(&self, state: Option<&str>) -> TokenAnswer {
        let body = Body { error: self.error, error_description: &self.description, state };
        let mut answer = super::answer(self.status, &body);
        if let Some(challenge) = &self.challenge {
            answer.headers.push(("www-authenticate".to_owned(), challenge.clone()));
        }
        if self.status == 405 {
            answer.headers.push(("allow".to_owned(), "POST".to_owned()));
        }
        answer
    }
}
