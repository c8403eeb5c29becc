//! A client's id and secret in exchange for a token, at the issuer's token endpoint (RFC 6749, 4.4): the request and what
//! its answer means.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;

use crate::gate::call::{Answer, Call, CallKey, Destination, Origin};
use crate::record::{IssuerRecord, OpenIdConnectConfig};

/// Longest answer that is read, in bytes.
const ANSWER_MAX: usize = 64 << 10;
/// Longest time an issuer is given, in milliseconds.
const TIMEOUT_MAX: u64 = 60_000;

/// A client that wants to be let in.
#[derive(Clone, Copy)]
pub struct Client<'a> {
    pub id: &'a [u8],
    pub secret: &'a [u8],
    /// What stands behind `Basic` where the client authenticates so itself: passed on as it is, because issuers do not
    /// agree on whether its parts are encoded.
    pub basic: Option<&'a [u8]>,
}

/// What came of an exchange.
#[derive(Debug, PartialEq, Eq)]
pub enum Exchanged {
    Token {
        token: String,
        /// Seconds.
        expires_in: Option<u64>,
    },
    /// The issuer does not know the client, or does not let it have what it asks for.
    Refused,
    /// The issuer gave no answer that says anything about the client.
    Failed,
}

/// The request. `None` where there is nowhere to send it: the issuer has no token endpoint, or one that would have a
/// secret travel in the clear although its issuer does not.
pub fn request(
    config: &OpenIdConnectConfig,
    issuer: &IssuerRecord,
    client: Client<'_>,
    key: CallKey,
) -> Option<Call> {
    let url = config.token_endpoint.as_deref().or(issuer.token_endpoint.as_deref())?;
    let (origin, path) = Origin::of(url)?;
    if !origin.https && config.token_endpoint.is_none() && issuer.configured.starts_with("https:") {
        return None;
    }
    let mut form = Form(String::from("grant_type=client_credentials"));
    if !config.scopes.is_empty() {
        form.add("scope", config.scopes.join(" ").as_bytes());
    }
    for audience in &config.audience {
        form.add("audience", audience.as_bytes());
    }
    for (name, value) in config.token_post_args_names.iter().zip(&config.token_post_args_values) {
        form.add(name, value.as_bytes());
    }
    let authorization = if posts_secret(config, issuer) {
        form.add("client_id", client.id);
        form.add("client_secret", client.secret);
        None
    } else {
        let given = client.basic.and_then(|basic| std::str::from_utf8(basic).ok()).map(str::to_owned);
        let made = || STANDARD.encode(format!("{}:{}", encode(client.id), encode(client.secret)));
        Some(format!("Basic {}", given.unwrap_or_else(made)))
    };
    Some(Call {
        key,
        to: Destination::Origin(origin),
        path,
        content_type: "application/x-www-form-urlencoded",
        authorization,
        body: form.0.into_bytes(),
        timeout_milliseconds: u32::try_from(config.timeout.clamp(1, TIMEOUT_MAX)).unwrap_or(u32::MAX),
    })
}

/// Whether the issuer wants the secret in the body. Basic is what every issuer must take (RFC 6749, 2.3.1).
fn posts_secret(config: &OpenIdConnectConfig, issuer: &IssuerRecord) -> bool {
    const POST: &str = "client_secret_post";
    let takes = |method: &str| issuer.token_endpoint_auth_methods.iter().any(|known| known == method);
    match config.token_endpoint_auth_method.as_deref() {
        Some(method) => method == POST,
        None => takes(POST) && !takes("client_secret_basic"),
    }
}

/// What an answer means.
pub fn read(answer: &Answer) -> Exchanged {
    #[derive(Deserialize)]
    struct Granted {
        access_token: String,
        token_type: String,
        expires_in: Option<f64>,
    }
    match answer.status {
        _ if answer.body.len() > ANSWER_MAX => Exchanged::Failed,
        Some(200) => match serde_json::from_slice::<Granted>(&answer.body) {
            Ok(granted)
                if granted.token_type.eq_ignore_ascii_case("bearer") && !granted.access_token.is_empty() =>
            {
                // `as` saturates, and what is no number becomes 0.
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "seconds, saturating"
                )]
                let expires_in = granted.expires_in.map(|seconds| seconds as u64);
                Exchanged::Token { token: granted.access_token, expires_in }
            }
            Ok(_) | Err(_) => Exchanged::Failed,
        },
        // RFC 6749, 5.2. Anything else is the issuer's trouble, not the client's.
        Some(400 | 401 | 403) => Exchanged::Refused,
        Some(_) | None => Exchanged::Failed,
    }
}

/// `application/x-www-form-urlencoded`.
struct Form(String);

impl Form {
    fn add(&mut self, name: &str, value: &[u8]) {
        self.0.push('&');
        self.0.push_str(&encode(name.as_bytes()));
        self.0.push('=');
        self.0.push_str(&encode(value));
    }
}

fn encode(text: &[u8]) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let hex = |nibble: u8| HEX.get(usize::from(nibble & 15)).copied().map_or('0', char::from);
    let mut encoded = String::with_capacity(text.len());
    for byte in text {
        if byte.is_ascii_alphanumeric() || b"-._~*".contains(byte) {
            encoded.push(char::from(*byte));
        } else if *byte == b' ' {
            encoded.push('+');
        } else {
            encoded.push('%');
            encoded.push(hex(*byte >> 4));
            encoded.push(hex(*byte));
        }
    }
    encoded
}
