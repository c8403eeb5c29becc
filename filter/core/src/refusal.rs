//! Every way a request can be refused, and the answer to it.

use std::borrow::Cow;

/// Why a request does not get through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// 401: who is calling cannot be told.
    /// `challenge` names the schemes that would do (RFC 9110, 11.6.1).
    Unauthenticated { cause: Unauthenticated, challenge: String },
    /// 403: an authenticated caller that may not use this service (now).
    Forbidden(Reason),
    /// 403: a good token that does not say what the strategy requires.
    Insufficient { lacking: Lacking, challenge: String },
    /// 400: a request that host and upstream could read differently.
    Ambiguous(Ambiguous),
    /// 503: the filter has nothing it may decide from.
    Unavailable(Unavailable),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unauthenticated {
    NoKey,
    DuplicateKey,
    /// Unknown, expired, deleted or malformed: the caller is not told which.
    UnknownKey,
    /// Only a token would do, and there is none.
    NoToken,
    /// Unknown, expired, forged, of somebody else, or no token at all: the caller is not told which.
    InvalidToken,
    /// More than one token, or one that reads in more than one way.
    RepeatedToken,
    /// The issuer gives this client no token.
    InvalidClient,
    /// Kong's OAuth 2.0: there is no access token.
    MissingAccessToken,
    /// Kong's OAuth 2.0: it is not known, expired, or of another service.
    UnknownAccessToken,
    /// Kong's OAuth 2.0: it is of no service in particular, and this service takes no such.
    GlobalAccessToken,
}

impl Unauthenticated {
    /// `error` and `error_description` of RFC 6750, section 3.1, in the words of Kong's `oauth2` plugin.
    pub const fn oauth2(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::MissingAccessToken => Some(("invalid_request", "The access token is missing")),
            Self::UnknownAccessToken => Some(("invalid_token", "The access token is invalid or has expired")),
            Self::GlobalAccessToken => Some((
                "invalid_token",
                "The access token is global, but the current plugin is configured without 'global_credentials'",
            )),
            _ => None,
        }
    }
}

/// What a token lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lacking {
    Audience,
    Scope,
    Group,
    Role,
}

impl Lacking {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Audience => "wrong_audience",
            Self::Scope => "insufficient_scope",
            Self::Group => "missing_group",
            Self::Role => "missing_role",
        }
    }
}

/// Why an authenticated caller is refused. Told only to that caller, in `X-App-Auth-Reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    DeveloperNotApproved,
    NoConnection,
    Pending,
    Rejected,
    Revoked,
    Suspended,
}

impl Reason {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DeveloperNotApproved => "developer_not_approved",
            Self::NoConnection => "no_connection",
            Self::Pending => "pending",
            Self::Rejected => "rejected",
            Self::Revoked => "revoked",
            Self::Suspended => "suspended",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ambiguous {
    /// As many headers as the host shows at most: there may be more, unseen.
    TooManyHeaders,
    /// An identity header more than once, on a host that can replace only the first.
    RepeatedIdentity,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unavailable {
    Misconfigured,
    NoState,
    Stale,
    Torn,
    UnknownFormat,
    Lost,
    /// The host's memory is full and records had to be left out.
    Incomplete,
    Host,
    /// The host names no service for this request.
    NoService,
    /// The admin extension knows no such service, or no strategy for it.
    UnknownService,
    /// Nothing is known of the issuer of the tokens, or of where to get one.
    UnknownIssuer,
    /// The issuer was asked and did not answer.
    IssuerAway,
    /// The admin extension was asked and did not answer.
    AdminAway,
    /// Too many requests wait for an answer, or one for too many.
    Busy,
}

impl Refusal {
    pub const fn status(&self) -> u16 {
        match self {
            Self::Ambiguous(_) => 400,
            Self::Unauthenticated { .. } => 401,
            Self::Forbidden(_) | Self::Insufficient { .. } => 403,
            Self::Unavailable(_) => 503,
        }
    }

    /// Name for metrics and the access log.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unauthenticated { cause, .. } => match cause {
                Unauthenticated::NoKey => "no_key",
                Unauthenticated::DuplicateKey => "duplicate_key",
                Unauthenticated::UnknownKey => "unknown_key",
                Unauthenticated::NoToken => "no_token",
                Unauthenticated::InvalidToken => "invalid_token",
                Unauthenticated::RepeatedToken => "repeated_token",
                Unauthenticated::InvalidClient => "invalid_client",
                Unauthenticated::MissingAccessToken => "missing_access_token",
                Unauthenticated::UnknownAccessToken => "unknown_access_token",
                Unauthenticated::GlobalAccessToken => "global_access_token",
            },
            Self::Forbidden(reason) => reason.as_str(),
            Self::Insufficient { lacking, .. } => lacking.as_str(),
            Self::Ambiguous(Ambiguous::TooManyHeaders) => "too_many_headers",
            Self::Ambiguous(Ambiguous::RepeatedIdentity) => "repeated_identity_header",
            Self::Unavailable(cause) => match cause {
                Unavailable::Misconfigured => "misconfigured",
                Unavailable::NoState => "no_state",
                Unavailable::Stale => "stale",
                Unavailable::Torn => "torn",
                Unavailable::UnknownFormat => "unknown_format",
                Unavailable::Lost => "lost",
                Unavailable::Incomplete => "incomplete",
                Unavailable::Host => "host_failure",
                Unavailable::NoService => "no_service",
                Unavailable::UnknownService => "unknown_service",
                Unavailable::UnknownIssuer => "unknown_issuer",
                Unavailable::IssuerAway => "issuer_away",
                Unavailable::AdminAway => "admin_extension_away",
                Unavailable::Busy => "busy",
            },
        }
    }

    /// What the caller reads.
    pub const fn message(&self) -> &'static str {
        match self {
            Self::Unauthenticated { cause, .. } => match cause {
                Unauthenticated::NoKey => "No API key found in request",
                Unauthenticated::DuplicateKey => "Duplicate API key found",
                other => match other.oauth2() {
                    Some((_, description)) => description,
                    None => "Unauthorized",
                },
            },
            Self::Forbidden(_) => "You cannot consume this service",
            Self::Insufficient { .. } => "Forbidden",
            Self::Ambiguous(Ambiguous::TooManyHeaders) => "Too many request headers",
            Self::Ambiguous(Ambiguous::RepeatedIdentity) => "A header that identifies the caller is repeated",
            Self::Unavailable(cause) => match cause {
                Unavailable::Misconfigured => "Access control is not configured correctly",
                Unavailable::NoState => "Access control has no state yet",
                Unavailable::Stale => "Access control has lost contact for too long",
                Unavailable::Torn
                | Unavailable::UnknownFormat
                | Unavailable::Lost
                | Unavailable::Incomplete
                | Unavailable::Host => "Access control cannot read its state",
                Unavailable::NoService | Unavailable::UnknownService => {
                    "Access control does not know this service"
                }
                Unavailable::UnknownIssuer => "Access control does not know the issuer of tokens yet",
                Unavailable::IssuerAway => "The issuer of tokens does not answer",
                Unavailable::AdminAway | Unavailable::Busy => "Access control cannot answer now",
            },
        }
    }

    /// The answer. `accept` and `content_type` are the request's headers.
    pub fn response(
        &self,
        accept: Option<&[u8]>,
        content_type: Option<&[u8]>,
        request_id: &str,
        reason_header: bool,
    ) -> Response {
        let mut headers = Vec::with_capacity(4);
        match self {
            Self::Unauthenticated { challenge, .. } => {
                headers.push(("WWW-Authenticate".into(), challenge.clone()));
            }
            Self::Forbidden(reason) if reason_header => {
                headers.push(("X-App-Auth-Reason".into(), reason.as_str().to_owned()));
            }
            Self::Insufficient { lacking, challenge } => {
                headers.push(("WWW-Authenticate".into(), challenge.clone()));
                if reason_header {
                    headers.push(("X-App-Auth-Reason".into(), lacking.as_str().to_owned()));
                }
            }
            Self::Unavailable(_) => headers.push(("Retry-After".into(), "1".to_owned())),
            Self::Forbidden(_) | Self::Ambiguous(_) => {}
        }
        if content_type.is_some_and(is_grpc) {
            let code = self.grpc_status();
            headers.push(("Content-Type".into(), "application/grpc".to_owned()));
            headers.push(("grpc-status".into(), code.to_string()));
            headers.push(("grpc-message".into(), self.message().to_owned()));
            return Response { status: self.status(), headers, body: String::new(), grpc_status: Some(code) };
        }
        // Kong's `oauth2` plugin answers with JSON whatever the caller likes to read.
        if let Self::Unauthenticated { cause, .. } = self
            && let Some((error, description)) = cause.oauth2()
        {
            headers.push(("Content-Type".into(), Media::Json.content_type().to_owned()));
            let body = format!("{{\"error_description\":\"{description}\",\"error\":\"{error}\"}}");
            return Response { status: self.status(), headers, body, grpc_status: None };
        }
        let media = accept.map_or(Media::Json, Media::preferred);
        headers.push(("Content-Type".into(), media.content_type().to_owned()));
        let body = media.render(self.message(), request_id);
        Response { status: self.status(), headers, body, grpc_status: None }
    }

    /// The gRPC status code for the HTTP status.
    const fn grpc_status(&self) -> u8 {
        match self {
            Self::Ambiguous(_) => 3,
            Self::Unauthenticated { .. } => 16,
            Self::Forbidden(_) | Self::Insufficient { .. } => 7,
            Self::Unavailable(_) => 14,
        }
    }
}

/// A local answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(Cow<'static, str>, String)>,
    pub body: String,
    /// Set where the caller speaks gRPC; the body is empty then.
    pub grpc_status: Option<u8>,
}

fn is_grpc(content_type: &[u8]) -> bool {
    content_type.get(..16).is_some_and(|start| start.eq_ignore_ascii_case(b"application/grpc"))
}

/// The forms an error body can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Media {
    Json,
    Html,
    Xml,
    Plain,
}

impl Media {
    /// The one that an `Accept` header (RFC 9110, 12.5.1) likes best; JSON where it likes none of ours.
    fn preferred(accept: &[u8]) -> Self {
        let mut best = (0, Self::Json);
        for range in accept.split(|byte| *byte == b',') {
            let mut parameters = range.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
            let media = match parameters.next().map(<[u8]>::to_ascii_lowercase).as_deref() {
                Some(b"application/json" | b"application/*" | b"*/*") => Self::Json,
                Some(b"text/html") => Self::Html,
                Some(b"application/xml") => Self::Xml,
                Some(b"text/plain" | b"text/*") => Self::Plain,
                _ => continue,
            };
            let quality = parameters.find_map(quality).unwrap_or(1000);
            if quality > best.0 {
                best = (quality, media);
            }
        }
        best.1
    }

    const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json; charset=utf-8",
            Self::Html => "text/html; charset=utf-8",
            Self::Xml => "application/xml; charset=utf-8",
            Self::Plain => "text/plain; charset=utf-8",
        }
    }

    fn render(self, message: &str, request_id: &str) -> String {
        match self {
            Self::Json => format!("{{\n  \"message\":\"{message}\",\n  \"request_id\":\"{request_id}\"\n}}"),
            Self::Html => format!(
                "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{message}</title>\n<h1>{message}</h1>\n<p>request_id: {request_id}</p>\n</html>"
            ),
            Self::Xml => format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<error>\n  <message>{message}</message>\n  <requestid>{request_id}</requestid>\n</error>"
            ),
            Self::Plain => format!("{message}\nrequest_id: {request_id}\n"),
        }
    }
}

/// `q=0.25` in thousandths.
fn quality(parameter: &[u8]) -> Option<u32> {
    let [b'q' | b'Q', b'=', whole, rest @ ..] = parameter else { return None };
    let mut value = match whole {
        b'0' => 0,
        b'1' => 1000,
        _ => return None,
    };
    for (digit, scale) in rest.strip_prefix(b".").unwrap_or_default().iter().zip([100, 10, 1]) {
        value += u32::from(digit.checked_sub(b'0').filter(|digit| *digit <= 9)?) * scale;
    }
    Some(value.min(1000))
}

/// A request id fit for any of the bodies: what is not a letter, digit or one of `-_.:` is left out.
pub fn printable_request_id(raw: &[u8]) -> String {
    raw.iter()
        .take(128)
        .filter(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte))
        .map(|byte| char::from(*byte))
        .collect()
}
