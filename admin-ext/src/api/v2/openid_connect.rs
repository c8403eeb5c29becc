//! What the configuration of an `openid_connect` strategy may be. The object is open: whatever the gateway does not read
//! is taken as it is. What the gateway reads has the type and the limits that it needs, and what would make the gate weaker
//! than asked for, because the gateway does not do it, is refused.

use serde_json::{Map, Value};

use super::conventions::{Detail, Member, Object, Parameter, Rule};
use crate::model::AuthStrategy;

const ISSUER: Rule = Rule::Url { max: 256 };
const ENDPOINT: Rule = Rule::Url { max: 2048 };
const CLAIM: Rule = Rule::List { of: &Rule::Text { min: 0, max: 128 }, min: 0, max: 10 };
const SCOPES: Rule = Rule::List { of: &Rule::Text { min: 0, max: 128 }, min: 0, max: 50 };
const AUTH_METHODS: Rule =
    Rule::List { of: &Rule::Text { min: 0, max: METHOD_MAX as u64 }, min: 0, max: METHODS_MAX as u64 };
const ISSUERS: Rule = Rule::List { of: &Rule::Text { min: 1, max: 256 }, min: 0, max: 20 };
const AUDIENCE: Rule = Rule::List { of: &Rule::Text { min: 1, max: 256 }, min: 0, max: 20 };
const NAMES: Rule = Rule::List { of: &Rule::Text { min: 1, max: 128 }, min: 0, max: 20 };
const VALUES: Rule = Rule::List { of: &Rule::Text { min: 0, max: 1024 }, min: 0, max: 20 };
const PLACES: Rule = Rule::List { of: &Rule::Choice(&["header", "query", "body"]), min: 0, max: 3 };
const CONSUMER_BY: Rule = Rule::List { of: &Rule::Choice(&["id", "username", "custom_id"]), min: 0, max: 3 };
const CLIENT: Rule = Rule::OneOrMany { of: &Rule::Text { min: 1, max: 512 }, max: 10 };
const TOKEN_AUTH: Rule = Rule::Choice(&["client_secret_basic", "client_secret_post"]);
const INTROSPECTION_AUTH: Rule = Rule::Choice(&["client_secret_basic", "client_secret_post", "none"]);
const SECONDS: Rule = Rule::Integer { min: 0, max: 1_000_000_000 };
const LEEWAY: Rule = Rule::Integer { min: 0, max: 3600 };
const CACHE_SECONDS: Rule = Rule::Integer { min: 0, max: 86_400 };
const TIMEOUT: Rule = Rule::Integer { min: 1, max: 60_000 };

/// Longest name of a way to prove who one is, and most of them.
const METHOD_MAX: usize = 64;
const METHODS_MAX: usize = 10;
/// The ways of proving who one is that the gateway knows.
const METHODS: [&str; 3] = ["bearer", "client_credentials", "introspection"];
/// Where the configuration is.
const PATH: &str = "configs.openid-connect";

/// The members that the gateway reads, with the types it needs.
macro_rules! openid_connect {
    ($($own:expr),* $(,)?) => {
        Object::open(&[
            $($own,)*
            Member::new("issuers_allowed", ISSUERS, "What a token may name as its issuer instead").nullable(),
            Member::new("bearer_token_param_type", PLACES, "Where a token is looked for").nullable(),
            Member::new("client_credentials_param_type", PLACES, "Where a client's id and secret are looked for").nullable(),
            Member::new("audience", AUDIENCE, "Whom tokens are asked for, where one is got for a caller").nullable(),
            Member::new("token_post_args_names", NAMES, "Further arguments of such a request").nullable(),
            Member::new("token_post_args_values", VALUES, "Their values, in the same order").nullable(),
            Member::new("token_endpoint", ENDPOINT, "Where tokens are got, if not where the issuer says").nullable(),
            Member::new("token_endpoint_auth_method", TOKEN_AUTH, "How a client proves itself there").nullable(),
            Member::new("timeout", TIMEOUT, "How long the issuer may take to answer, in milliseconds").nullable(),
            Member::new("scopes_claim", CLAIM, "Path to the claim that holds a token's scopes").nullable(),
            Member::new("scopes_required", SCOPES, "A token has the scopes of one of these").nullable(),
            Member::new("audience_claim", CLAIM, "Path to the claim that holds a token's audience").nullable(),
            Member::new("audience_required", SCOPES, "A token is for the audiences of one of these").nullable(),
            Member::new("groups_claim", CLAIM, "Path to the claim that holds the caller's groups").nullable(),
            Member::new("groups_required", SCOPES, "A caller is in the groups of one of these").nullable(),
            Member::new("roles_claim", CLAIM, "Path to the claim that holds the caller's roles").nullable(),
            Member::new("roles_required", SCOPES, "A caller has the roles of one of these").nullable(),
            Member::new("claims_forbidden", SCOPES, "Claims that a token must not have").nullable(),
            Member::new("consumer_claim", CLAIM, "Path to the claim that holds an application's `custom_id`").nullable(),
            Member::new("consumer_by", CONSUMER_BY, "What of an application that claim is: `custom_id`").nullable(),
            Member::new("leeway", LEEWAY, "Seconds that clocks may differ").nullable(),
            Member::new("maximum_age", SECONDS, "Longest time since a token was issued, in seconds").nullable(),
            Member::new("client_id", CLIENT, "Of the client that asks the issuer about tokens").nullable(),
            Member::new("client_secret", CLIENT, "Its secret").nullable(),
            Member::new("introspection_endpoint", ENDPOINT, "Where it asks, if not where the issuer says").nullable(),
            Member::new("introspection_endpoint_auth_method", INTROSPECTION_AUTH, "How it proves itself there").nullable(),
            Member::new("introspection_hint", Rule::Text { min: 1, max: 64 }, "`token_type_hint`; `access_token` if absent").nullable(),
            Member::new("introspection_post_args_names", NAMES, "Further arguments of such a request").nullable(),
            Member::new("introspection_post_args_values", VALUES, "Their values, in the same order").nullable(),
            Member::new("introspect_jwt_tokens", Rule::Boolean, "Ask about JSON Web Tokens, too").nullable(),
            Member::new("cache_introspection", Rule::Boolean, "Keep the issuer's answers for a while").nullable(),
            Member::new("cache_tokens", Rule::Boolean, "Keep tokens that were got for callers for a while").nullable(),
            Member::new("cache_ttl", CACHE_SECONDS, "For how long at most, in seconds").nullable(),
            Member::new("run_on_preflight", Rule::Boolean, "Whether `OPTIONS` requests must authenticate, too").nullable(),
            Member::new("hide_credentials", Rule::Boolean, "Whether tokens are kept from the upstream").nullable(),
        ])
    };
}

const ISSUER_ABOUT: &str = "Of the tokens: the issuer, or where its metadata is";
const CREDENTIAL_CLAIM_ABOUT: &str = "Path to the claim that holds the client id of an application";
const SCOPES_ABOUT: &str = "What is asked for where a token is got for a caller";
const AUTH_METHODS_ABOUT: &str = "Of `bearer`, `client_credentials` and `introspection`";

/// A whole configuration.
pub const CONFIG: Object = openid_connect![
    Member::new("issuer", ISSUER, ISSUER_ABOUT).required(),
    Member::new("credential_claim", CLAIM, CREDENTIAL_CLAIM_ABOUT).required(),
    Member::new("scopes", SCOPES, SCOPES_ABOUT).required(),
    Member::new("auth_methods", AUTH_METHODS, AUTH_METHODS_ABOUT).required(),
];
/// Changes of one.
pub const CHANGES: Object = openid_connect![
    Member::new("issuer", ISSUER, ISSUER_ABOUT),
    Member::new("credential_claim", CLAIM, CREDENTIAL_CLAIM_ABOUT),
    Member::new("scopes", SCOPES, SCOPES_ABOUT),
    Member::new("auth_methods", AUTH_METHODS, AUTH_METHODS_ABOUT),
];

/// What is wrong with a whole configuration that the rule of no single member tells. `config` may break those rules; what
/// they say is not said again.
pub fn check(config: &Map<String, Value>, wrong: &mut Vec<Parameter>) {
    let member = |name: &str| config.get(name).filter(|value| !value.is_null());
    check_methods(config, wrong);
    for (name, why) in UNSAFE {
        if member(name).is_some_and(|value| !is_harmless(name, value)) {
            wrong.push(refuse(name, why));
        }
    }
    let finds_nobody = |by: &Value| by.as_array().is_some_and(|by| !by.iter().any(|by| by == "custom_id"));
    let has_claim = member("consumer_claim").and_then(Value::as_array).is_some_and(|claim| !claim.is_empty());
    if has_claim && member("consumer_by").is_some_and(finds_nobody) {
        wrong.push(refuse("consumer_by", "must have custom_id: nothing else finds an application"));
    }
    for (names, values) in [
        ("token_post_args_names", "token_post_args_values"),
        ("introspection_post_args_names", "introspection_post_args_values"),
    ] {
        let length = |name: &str| member(name).map_or(Some(0), |list| list.as_array().map(Vec::len));
        if let (Some(named), Some(given)) = (length(names), length(values))
            && named != given
        {
            wrong.push(refuse(values, &format!("must have one value for each of {names}")));
        }
    }
    if wrong.is_empty() && AuthStrategy::reads_openid_connect(config).is_none() {
        wrong.push(Parameter::body(
            PATH,
            "invalid",
            format!("\"{PATH}\" is nothing that a gateway could use"),
        ));
    }
}

fn check_methods(config: &Map<String, Value>, wrong: &mut Vec<Parameter>) {
    let methods = config.get("auth_methods").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for (place, method) in methods.iter().enumerate().filter(|_| methods.len() <= METHODS_MAX) {
        // What is too long or too many is named by its rule.
        let fits = |method: &str| METHODS.contains(&method) || method.chars().count() > METHOD_MAX;
        if method.as_str().is_none_or(fits) {
            continue;
        }
        let detail = Detail::Choices(METHODS.iter().map(|method| (*method).into()).collect());
        let reason = format!(
            "must be one of [{}]; the browser flow (session, authorization_code, refresh_token), userinfo, password and \
             kong_oauth2 are not supported yet",
            METHODS.join(", ")
        );
        let field = format!("{PATH}.auth_methods[{place}]");
        wrong.push(Parameter { detail, ..Parameter::body(field, "enum", reason) });
    }
    let introspects = methods.iter().any(|method| method == "introspection");
    let auth_method = config.get("introspection_endpoint_auth_method");
    if introspects && auth_method.is_none_or(|method| method != "none") {
        for name in ["client_id", "client_secret"] {
            let empty = match config.get(name) {
                None | Some(Value::Null) => true,
                Some(Value::Array(several)) => several.is_empty(),
                Some(_) => false,
            };
            if empty {
                let field = format!("{PATH}.{name}");
                let reason = format!(
                    "\"{field}\" is required: with it the issuer is asked about tokens (introspection)"
                );
                wrong.push(Parameter::body(field, "required", reason));
            }
        }
    }
}

/// What other gateways can be told to leave out, and ours does not; or to do, and ours cannot.
const UNSAFE: [(&str, &str); 8] = [
    ("anonymous", "is not supported: nobody gets in without authentication"),
    ("verify_signature", "must be true: signatures are always verified"),
    ("verify_claims", "must be true: claims are always verified"),
    ("introspection_check_active", "must be true: a token that is not active never gets in"),
    ("ignore_signature", "must be empty: signatures are always verified"),
    ("enable_hs_signatures", "must be false: tokens are signed with the issuer's own key"),
    ("proof_of_possession_mtls", "must be off: the gateway cannot check it yet"),
    ("proof_of_possession_dpop", "must be off: the gateway cannot check it yet"),
];

fn is_harmless(name: &str, value: &Value) -> bool {
    match name {
        "anonymous" => false,
        "ignore_signature" => value.as_array().is_some_and(Vec::is_empty),
        "enable_hs_signatures" => *value == Value::Bool(false),
        "proof_of_possession_mtls" | "proof_of_possession_dpop" => value == "off",
        _ => *value == Value::Bool(true),
    }
}

fn refuse(name: &str, why: &str) -> Parameter {
    let field = format!("{PATH}.{name}");
    let reason = format!("\"{field}\" {why}");
    Parameter::body(field, "invalid", reason)
}
