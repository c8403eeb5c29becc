//! What texts of particular kinds must look like, with the message for those that do not. No entity is known here.

use serde_json::{Map, Value};
use url::Url;

use crate::model::{Email, MetaField, oauth2, role, rules};

/// Text that either database can store.
pub fn storable(text: &str) -> Result<(), String> {
    if text.contains('\0') { Err("must not contain a NUL character".into()) } else { Ok(()) }
}

/// One e-mail address.
pub fn email(text: &str) -> Result<(), String> {
    Email::parse(text).map(|_| ()).map_err(|invalid| invalid.reason)
}

/// One e-mail address that mail can be sent to.
pub fn mailable(text: &str) -> Result<(), String> {
    email(text)?;
    text.parse::<lettre::Address>().map(|_| ()).map_err(|_| "expected a valid e-mail address".into())
}

/// One address that may have a name before it.
pub fn mailbox(text: &str) -> Result<(), String> {
    rules::mailbox("address", text).map_err(|invalid| invalid.reason)
}

/// The JSON text of what developers tell about themselves.
pub fn meta_fields(text: &str) -> Result<(), String> {
    MetaField::parse_list(text).map(drop).map_err(|invalid| invalid.reason)
}

/// The JSON text of an object.
pub fn json_object(text: &str) -> Result<(), String> {
    serde_json::from_str::<Map<String, Value>>(text).map(drop).map_err(|_| "expected a JSON object".into())
}

/// A redirection endpoint (RFC 6749, 3.1.2): absolute, with a host, and without a fragment. Schemes that a browser would
/// execute are refused.
pub fn redirect_uri(text: &str) -> Result<(), String> {
    rules::redirect_uri("redirect_uri", text).map_err(|invalid| invalid.reason)?;
    let uri = Url::parse(text).ok().filter(Url::has_host).ok_or_else(|| format!("cannot parse '{text}'"))?;
    if matches!(uri.scheme(), "javascript" | "data" | "vbscript" | "file") {
        return Err(format!("scheme not allowed in '{text}'"));
    }
    Ok(())
}

/// An `http` or `https` URL with a host.
pub fn http_url(text: &str) -> Result<(), String> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(()),
        _ => Err("expected a URL like https://host/path".into()),
    }
}

/// A tag: no control characters and none of the two that combine tags in a query.
pub fn tag(text: &str) -> Result<(), String> {
    if text.chars().any(|c| c.is_control() || c == ',' || c == '/') {
        return Err(format!(
            "invalid tag '{}': no control characters, commas or slashes",
            text.escape_debug()
        ));
    }
    Ok(())
}

/// The name of a gateway service: printable, and usable as one segment of a path.
pub fn service_name(text: &str) -> Result<(), String> {
    let reserved = |c: char| !(c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '~'));
    match text.chars().find(|c| reserved(*c)) {
        Some(found) => Err(format!(
            "invalid value '{}': only letters, digits and '.', '-', '_', '~' may be used, not '{}'",
            text.escape_debug(),
            found.escape_debug()
        )),
        None if uuid::Uuid::try_parse(text).is_ok() => Err("must not be a UUID".into()),
        None => Ok(()),
    }
}

/// The name of a role.
pub fn role_name(text: &str) -> Result<(), String> {
    role::check_name(text).map_err(|invalid| invalid.reason)
}

/// The name of the header, argument or field that carries a key.
pub fn key_name(text: &str) -> Result<(), String> {
    if text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')) {
        Ok(())
    } else {
        Err(format!(
            "bad header name '{}', allowed characters are A-Z, a-z, 0-9, '_', and '-'",
            text.escape_debug()
        ))
    }
}

/// The realm of `WWW-Authenticate`: what a quoted string holds without escapes.
pub fn realm(text: &str) -> Result<(), String> {
    if text.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'"' && b != b'\\') {
        Ok(())
    } else {
        Err("only printable ASCII characters without '\"' and '\\' may be used".into())
    }
}

/// One scope of an access token.
pub fn scope(text: &str) -> Result<(), String> {
    if oauth2::is_scope(text) {
        Ok(())
    } else {
        Err("only printable ASCII characters without ' ', '\"' and '\\' may be used".into())
    }
}

/// A credential's key or client id: visible to every place a gateway reads it from, so no control characters and no
/// blank at either end.
pub fn key(text: &str) -> Result<(), String> {
    if text.chars().any(char::is_control) {
        return Err("must not contain control characters".into());
    }
    if text.trim() != text {
        return Err("must not begin or end with a blank".into());
    }
    Ok(())
}

/// One line of text for people.
pub fn line(text: &str) -> Result<(), String> {
    if text.chars().any(char::is_control) {
        Err("must not contain control characters".into())
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_table(check: fn(&str) -> Result<(), String>, good: &[&str], bad: &[&str]) {
        for text in good {
            assert_eq!(check(text), Ok(()), "{text}");
        }
        for text in bad {
            assert!(check(text).is_err(), "{text}");
        }
    }

    #[test]
    fn texts_are_accepted_and_refused_by_their_kind() {
        assert_table(
            email,
            &["a@b", "first.last+tag@example.com", "ü@example.com"],
            &["", "a", "@b", "a@", "a@b@c", "a b@c", "a@b\r\nBcc: x@y", "a@b,c@d", "<a@b>", "a/b@c"],
        );
        assert_table(
            redirect_uri,
            &["https://example.com/cb?x=1", "http://localhost:8080", "myapp://callback"],
            &[
                "",
                "example.com",
                "/path",
                "https://example.com/#top",
                "javascript://x/%0aalert(1)",
                "mailto:a@b",
            ],
        );
        assert_table(
            http_url,
            &["https://example.com", "http://localhost:8080/realms/a"],
            &["", "example.com", "ftp://example.com", "https://"],
        );
        assert_table(
            service_name,
            &["orders", "orders-v1.2_x~", "größe"],
            &["a/b", "a b", "a?b", "a\n", "a82f9477-1a24-45b9-827c-23f1c1a7ebb3"],
        );
        assert_table(key_name, &["apikey", "X-Api_Key9"], &["a b", "a:b", "ä"]);
        assert_table(realm, &["my realm"], &["a\"b", "a\\b", "a\nb", "ä"]);
        assert_table(
            scope,
            &["email", "orders:read", "https://example.com/x"],
            &["a b", "a\"b", "a\\b", "ä"],
        );
        assert_table(key, &["abc", "a b", "ключ"], &[" a", "a ", "a\tb", "a\0b"]);
        assert_table(tag, &["blue", "größe"], &["a,b", "a/b", "a\nb"]);
        assert_table(line, &["My App"], &["a\nb"]);
        assert_table(storable, &["a\nb"], &["a\0b"]);
    }

    #[test]
    fn a_redirect_uri_is_refused_with_the_reason() {
        assert_eq!(redirect_uri("nope"), Err("cannot parse 'nope'".into()));
        assert_eq!(redirect_uri("https://a/#b"), Err("fragment not allowed in 'https://a/#b'".into()));
    }
}
