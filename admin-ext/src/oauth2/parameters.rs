//! The parameters of a request, wherever it has them: in the query, and in a form or a JSON object as body. What the body
//! says counts more.

use std::collections::BTreeMap;

use app_auth_core::calls::TokenRequest;
use serde_json::{Map, Value};

/// Those that mean something. Nothing else is kept.
const NAMES: [&str; 10] = [
    "authenticated_userid",
    "client_id",
    "client_secret",
    "code",
    "grant_type",
    "provision_key",
    "redirect_uri",
    "refresh_token",
    "scope",
    "state",
];

/// Secret in most of its parts.
pub struct Parameters(BTreeMap<&'static str, Parameter>);

enum Parameter {
    Text(String),
    /// Given more than once, or no text.
    Other,
}

impl Parameters {
    pub fn read(request: &TokenRequest) -> Self {
        let mut parameters = fields(&request.query);
        let media = request.content_type.as_deref().and_then(|media| media.parse::<mime::Mime>().ok());
        let essence = media.as_ref().map(mime::Mime::essence_str);
        let body = match essence {
            Some("application/x-www-form-urlencoded") => fields(&request.body),
            Some("application/json") => members(&request.body),
            _ => BTreeMap::new(),
        };
        parameters.extend(body);
        Self(parameters)
    }

    /// A parameter that is one text, empty or not.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.0.get(name)? {
            Parameter::Text(text) => Some(text),
            Parameter::Other => None,
        }
    }

    pub fn given(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

fn known(name: &str) -> Option<&'static str> {
    NAMES.into_iter().find(|known| *known == name)
}

fn fields(form: &str) -> BTreeMap<&'static str, Parameter> {
    let mut fields = BTreeMap::new();
    for (name, value) in url::form_urlencoded::parse(form.as_bytes()) {
        let Some(name) = known(&name) else { continue };
        let parameter =
            if fields.contains_key(name) { Parameter::Other } else { Parameter::Text(value.into()) };
        fields.insert(name, parameter);
    }
    fields
}

/// Of what is no JSON object, none.
fn members(json: &str) -> BTreeMap<&'static str, Parameter> {
    let members: Map<String, Value> = serde_json::from_str(json).unwrap_or_default();
    let parameter = |(name, value): (String, Value)| {
        let parameter = match value {
            Value::Null => return None,
            Value::String(text) => Parameter::Text(text),
            _ => Parameter::Other,
        };
        Some((known(&name)?, parameter))
    };
    members.into_iter().filter_map(parameter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str, content_type: Option<&str>, body: &str) -> Parameters {
        Parameters::read(&TokenRequest {
            service: app_auth_core::ids::ServiceId::from_bytes([0; 16]),
            method: "POST".into(),
            https: true,
            forwarded_proto: Vec::new(),
            query: query.into(),
            content_type: content_type.map(Into::into),
            authorization: None,
            body: body.into(),
        })
    }

    #[test]
    fn parameters_come_from_the_query_and_the_body_and_the_body_wins() {
        let (form, json) = ("application/x-www-form-urlencoded; charset=utf-8", "application/json");
        for (query, media, body, scope) in [
            ("scope=a%20b+c", None, "", Some("a b c")),
            ("scope=a", Some(form), "scope=b", Some("b")),
            ("scope=a", Some(json), r#"{"scope": "b"}"#, Some("b")),
            ("scope=a", Some(json), r#"{"scope": null}"#, Some("a")),
            ("scope=a", Some(json), "[", Some("a")),
            ("scope=a", Some("text/plain"), "scope=b", Some("a")),
            ("scope=a", None, "scope=b", Some("a")),
            ("scope=", None, "", Some("")),
        ] {
            assert_eq!(read(query, media, body).text("scope"), scope, "{query} {body}");
        }
    }

    #[test]
    fn what_is_repeated_or_no_text_is_given_but_no_text() {
        for parameters in [
            read("scope=a&scope=b", None, ""),
            read("", Some("application/json"), r#"{"scope": ["a"]}"#),
            read("scope=a", Some("application/json"), r#"{"scope": 1}"#),
        ] {
            assert!(parameters.given("scope"));
            assert_eq!(parameters.text("scope"), None);
        }
        let parameters = read("unknown=1", None, "");
        assert!(!parameters.given("unknown") && !parameters.given("scope"));
    }
}
