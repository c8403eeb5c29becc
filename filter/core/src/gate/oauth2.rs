//! Kong's OAuth 2.0 at the gate: tokens are looked up like keys, and requests for one go to the admin extension.

use super::call::{self, Call, Destination};
use super::policy::{How, Policy};
use super::{Gate, Hide, No, Outcome, Request, Tried};
use crate::calls::{OAUTH2_TOKEN, PATIENCE_MILLISECONDS, TOKEN_REQUEST_BODY_MAX, TokenAnswer, TokenRequest};
use crate::decision::Verdict;
use crate::digest::KeyDigest;
use crate::host::{NativeSignatures, SharedData};
use crate::identity::{Authenticated, CredentialIdentifier, Identity};
use crate::ids::{ServiceId, StrategyId};
use crate::record::{Kind, OAuth2Config};
use crate::refusal::{Refusal, Response, Unauthenticated, Unavailable};
use crate::request::{Body, body, query};
use crate::state::bucket::TokenView;
use crate::state::meta::Meta;
use crate::strategy::oauth2::{self, Presented};
use crate::traffic;

const PURPOSE: u8 = b'o';

impl<S: SharedData, N: Fn() -> Option<u64>, V: NativeSignatures> Gate<'_, S, N, V> {
    /// One `oauth2` strategy's word on a request.
    pub(super) fn try_oauth2(
        &self,
        request: &Request<'_>,
        meta: &mut Meta,
        service: ServiceId,
        (strategy, config): (StrategyId, &OAuth2Config),
    ) -> Result<Tried, Refusal> {
        let no = |cause| Ok(Tried::No(No::Unauthenticated(cause)));
        let (token, in_header) = match oauth2::present(config, &request.headers, request.body) {
            Presented::Token { token, in_header } => (token, in_header),
            Presented::Nothing => return no(Unauthenticated::MissingAccessToken),
            Presented::Repeated => return no(Unauthenticated::RepeatedToken),
            Presented::NeedsBody => return Ok(Tried::NeedsBody),
        };
        if token.len() > oauth2::TOKEN_MAX {
            return no(Unauthenticated::UnknownAccessToken);
        }
        let digest = KeyDigest::of_access_token(&meta.store, &token);
        let bucket = self.reader.bucket(meta, &digest)?;
        let Some(payload) = bucket.find(&digest, Kind::Token) else {
            return if meta.incomplete {
                Err(Unavailable::Incomplete.into())
            } else {
                no(Unauthenticated::UnknownAccessToken)
            };
        };
        let shown = token;
        let token = TokenView::parse(payload).ok_or(Unavailable::UnknownFormat)?;
        if token.expires_at().is_some_and(|at| self.time() >= at) {
            return no(Unauthenticated::UnknownAccessToken);
        }
        match token.service() {
            Some(of) if of != service => return no(Unauthenticated::UnknownAccessToken),
            None if !config.global_credentials => return no(Unauthenticated::GlobalAccessToken),
            Some(_) | None => {}
        }
        Ok(match self.verdict(meta, &token.credential(), strategy, service)? {
            Some(Verdict::Allow(identity)) => Tried::Settled(Outcome::Allow {
                identity: identified(identity, &token, &token.client_id(&meta.store, &shown)),
                hide: config.hide_credentials.then(|| Hide {
                    header: in_header.then(|| config.auth_header_name.clone()),
                    arguments: vec![oauth2::TOKEN.to_owned()],
                    in_body: !in_header && matches!(request.body, Body::Read(_)),
                }),
                authorization: None,
            }),
            Some(Verdict::Deny(application, reason)) => {
                Tried::Known(No::Forbidden(reason), application, reason.into())
            }
            // The client has ended, and its tokens with it.
            Some(Verdict::Expired(application)) => {
                let no = No::Unauthenticated(Unauthenticated::UnknownAccessToken);
                Tried::Known(no, application, traffic::Outcome::Expired)
            }
            None => Tried::No(No::Unauthenticated(Unauthenticated::UnknownAccessToken)),
        })
    }

    /// What becomes of a request for a token; `None`: it is none.
    pub(super) fn token_endpoint(
        &self,
        request: &Request<'_>,
        service: ServiceId,
        policy: &Policy,
    ) -> Result<Option<Outcome>, Refusal> {
        let config = policy.ways.iter().find_map(|way| match &way.how {
            How::OAuth2(config) => Some(config),
            _ => None,
        });
        let Some(config) = config.filter(|_| oauth2::is_token_endpoint(&request.headers)) else {
            return Ok(None);
        };
        let has_fields = request.headers.first("content-type").and_then(body::Kind::of).is_some();
        let fields = match request.body {
            Body::Unread if has_fields => return Ok(Some(Outcome::NeedsBody)),
            Body::Read(bytes) if bytes.len() <= TOKEN_REQUEST_BODY_MAX => bytes,
            _ => b"",
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let values = |name: &str| {
            let named = |(found, _): &(&[u8], &[u8])| found.eq_ignore_ascii_case(name.as_bytes());
            request.headers.iter().filter(named).map(|(_, value)| text(value)).collect::<Vec<_>>()
        };
        let question = TokenRequest {
            service,
            method: text(request.headers.first(":method").unwrap_or_default()),
            https: request.encrypted,
            forwarded_proto: values("x-forwarded-proto"),
            query: text(
                query::split_target(request.headers.first(":path").unwrap_or_default()).1.unwrap_or_default(),
            ),
            content_type: request.headers.first("content-type").map(text),
            authorization: values(&config.auth_header_name).pop(),
            body: text(fields),
        };
        let question = serde_json::to_vec(&question).map_err(|_| Unavailable::Host)?;
        let key = call::key(PURPOSE, &[&question]);
        let Some(answer) = request.progress.answer(&key) else {
            let call = Call {
                key,
                to: Destination::AdminExtension,
                path: OAUTH2_TOKEN.to_owned(),
                content_type: "application/json",
                authorization: None,
                body: question,
                timeout_milliseconds: PATIENCE_MILLISECONDS,
            };
            return self.wait_for(request, call).map(Some);
        };
        let answer: TokenAnswer = match answer.status {
            Some(200) => serde_json::from_slice(&answer.body).map_err(|_| Unavailable::AdminAway)?,
            _ => return Err(Unavailable::AdminAway.into()),
        };
        let headers = answer.headers.into_iter().map(|(name, value)| (name.into(), value)).collect();
        let response = Response { status: answer.status, headers, body: answer.body, grpc_status: None };
        Ok(Some(Outcome::Answer(response)))
    }
}

/// The identity with what the token says of it.
fn identified(identity: Identity, token: &TokenView<'_>, client_id: &[u8]) -> Identity {
    // The admin extension gives out none of these with a control character, and none may become a header.
    let text =
        |text: Option<&[u8]>| text.filter(|text| !text.iter().any(u8::is_ascii_control)).map(<[u8]>::to_vec);
    let authenticated =
        Authenticated { scope: text(token.scope()), userid: text(token.authenticated_userid()) };
    let client = text(Some(client_id)).unwrap_or_default();
    Identity { credential: CredentialIdentifier::Client(client), authenticated, ..identity }
}
