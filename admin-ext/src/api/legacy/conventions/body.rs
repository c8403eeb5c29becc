//! Reads a request's body, whatever its type, into one tree of members. Bounded in size, number and depth.

use std::fmt::Display;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use mime::Mime;
use serde_json::{Map, Value};

use super::error::Error;
use super::form;

/// Largest body, in bytes.
pub const BODY_MAX: usize = 1024 * 1024;
/// Deepest nesting of a JSON body.
const DEPTH_MAX: usize = 32;
/// Most values in a JSON body.
const VALUES_MAX: usize = 10_000;

/// The members a request gives. Without a body there are none.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Input {
    pub members: Map<String, Value>,
    /// The members came as text (a form), so the schema decides what they stand for.
    pub coerce: bool,
}

impl<S: Send + Sync> FromRequest<S> for Input {
    type Rejection = Error;

    async fn from_request(request: Request, _: &S) -> Result<Self, Error> {
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, BODY_MAX)
            .await
            .map_err(|_| Error::Request(StatusCode::PAYLOAD_TOO_LARGE, "Request body is too large".into()))?;
        read(&parts.headers, body).await
    }
}

async fn read(headers: &HeaderMap, body: Bytes) -> Result<Input, Error> {
    if body.is_empty() {
        return Ok(Input::default());
    }
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media: Mime = content_type.and_then(|value| value.parse().ok()).ok_or(Error::UnsupportedMediaType)?;
    match (media.type_().as_str(), media.subtype().as_str()) {
        ("application", "json") => Ok(Input { members: json(&body)?, coerce: false }),
        ("application", "x-www-form-urlencoded") => {
            from_fields(url::form_urlencoded::parse(&body).into_owned())
        }
        ("multipart", "form-data") => multipart(content_type.unwrap_or_default(), body).await,
        _ => Err(Error::UnsupportedMediaType),
    }
}

/// The members of a JSON object.
pub fn json(body: &[u8]) -> Result<Map<String, Value>, Error> {
    let value = serde_json::from_slice(body).map_err(|_| Error::bad_request("Cannot parse JSON body"))?;
    let Value::Object(mut members) = value else {
        return Err(Error::bad_request("JSON body must be an object"));
    };
    let mut left = VALUES_MAX;
    for value in members.values() {
        bounded(value, DEPTH_MAX - 1, &mut left)?;
    }
    if members.keys().any(|name| name.contains('.')) {
        // As some clients write what is nested, and as Kong reads it.
        members = form::nest(members)
            .map_err(|error| Error::bad_request(format!("Cannot parse JSON body: {error}")))?;
    }
    Ok(members)
}

fn bounded(value: &Value, depth: usize, left: &mut usize) -> Result<(), Error> {
    *left = left.checked_sub(1).ok_or_else(|| {
        Error::bad_request(format!("JSON body must not hold more than {VALUES_MAX} values"))
    })?;
    let below = || {
        depth.checked_sub(1).ok_or_else(|| {
            Error::bad_request(format!("JSON body must not be nested more than {DEPTH_MAX} levels deep"))
        })
    };
    match value {
        Value::Array(elements) => elements.iter().try_for_each(|element| bounded(element, below()?, left)),
        Value::Object(members) => members.values().try_for_each(|member| bounded(member, below()?, left)),
        _ => Ok(()),
    }
}

fn from_fields(fields: impl IntoIterator<Item = (String, String)>) -> Result<Input, Error> {
    let refuse = |reason: &dyn Display| Error::bad_request(format!("Cannot parse form body: {reason}"));
    let fields: Vec<_> = fields.into_iter().take(form::FIELDS_MAX + 1).collect();
    // The decoders put this character where bytes are not UTF-8; what is stored must be what was sent.
    if fields.iter().any(|(name, value)| name.contains('\u{fffd}') || value.contains('\u{fffd}')) {
        return Err(refuse(&"a name or value is not UTF-8"));
    }
    let members = form::decode(fields).map_err(|error| refuse(&error))?;
    Ok(Input { members, coerce: true })
}

async fn multipart(content_type: &str, body: Bytes) -> Result<Input, Error> {
    let unreadable = || Error::bad_request("Cannot parse form body: malformed multipart");
    let boundary = multer::parse_boundary(content_type).map_err(|_| unreadable())?;
    let mut parts = multer::Multipart::new(Body::from(body).into_data_stream(), boundary);
    let mut fields = Vec::new();
    while let Some(part) = parts.next_field().await.map_err(|_| unreadable())? {
        let name = part.name().ok_or_else(unreadable)?.to_owned();
        fields.push((name, part.text().await.map_err(|_| unreadable())?));
        if fields.len() > form::FIELDS_MAX {
            break;
        }
    }
    from_fields(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::IntoResponse;
    use serde_json::json;

    async fn input(content_type: Option<&str>, body: &str) -> Result<Input, Error> {
        let mut request = axum::http::Request::post("/");
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let request = request.body(Body::from(body.to_owned())).map_err(|_| Error::Store)?;
        Input::from_request(request, &()).await
    }

    async fn refusal(content_type: Option<&str>, body: &str) -> (u16, String) {
        let response = input(content_type, body).await.map(|_| ()).into_response();
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), 4096).await.unwrap_or_default();
        (status, String::from_utf8_lossy(&bytes).into_owned())
    }

    #[tokio::test]
    async fn the_three_body_types_give_the_same_members() {
        let multipart = "--b\r\nContent-Disposition: form-data; name=\"service.id\"\r\n\r\nx\r\n--b--\r\n";
        for (content_type, body) in [
            ("application/json", r#"{"service":{"id":"x"}}"#),
            ("application/json; charset=utf-8", r#"{"service":{"id":"x"}}"#),
            ("application/x-www-form-urlencoded", "service.id=x"),
            ("multipart/form-data; boundary=b", multipart),
        ] {
            let members =
                input(Some(content_type), body).await.map(|input| Value::Object(input.members)).ok();
            assert_eq!(members, Some(json!({"service": {"id": "x"}})), "{content_type}");
        }
    }

    #[tokio::test]
    async fn no_body_is_no_members_whatever_its_type() {
        for content_type in [None, Some("application/json"), Some("text/plain")] {
            assert_eq!(input(content_type, "").await.ok(), Some(Input::default()));
        }
    }

    #[tokio::test]
    async fn another_type_with_a_body_is_415_and_empty() {
        for content_type in [None, Some("text/plain"), Some("nonsense"), Some("application/xml")] {
            assert_eq!(refusal(content_type, "x").await, (415, String::new()));
        }
    }

    #[tokio::test]
    async fn a_body_that_cannot_be_read_is_400_with_the_reason() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(40), "]".repeat(40));
        let wide = format!("{{\"a\":[{}0]}}", "0,".repeat(VALUES_MAX));
        for (content_type, body, message) in [
            ("application/json", "{", "Cannot parse JSON body"),
            ("application/json", "[]", "JSON body must be an object"),
            ("application/json", "1", "JSON body must be an object"),
            ("application/json", deep.as_str(), "JSON body must not be nested more than 32 levels deep"),
            ("application/json", wide.as_str(), "JSON body must not hold more than 10000 values"),
            (
                "application/x-www-form-urlencoded",
                "a=1&a.b=2",
                "Cannot parse form body: field 'a.b' contradicts another field of the form",
            ),
            (
                "application/x-www-form-urlencoded",
                "a=%ff",
                "Cannot parse form body: a name or value is not UTF-8",
            ),
            ("multipart/form-data", "x", "Cannot parse form body: malformed multipart"),
            ("multipart/form-data; boundary=b", "x", "Cannot parse form body: malformed multipart"),
        ] {
            let body = refusal(Some(content_type), body).await;
            assert_eq!(body, (400, json!({"message": message}).to_string()));
        }
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_413() {
        let body = format!("a={}", "x".repeat(BODY_MAX));
        assert_eq!(refusal(Some("application/x-www-form-urlencoded"), &body).await.0, 413);
    }
}
