//! Our OpenAPI document against the published one of auth strategies and DCR providers, operation by operation, and real
//! answers against its schemas. The published document is no part of this project: where it is not, there is nothing to
//! compare.

mod compare;
mod schema;

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use app_auth_tests::binaries;
use app_auth_tests::client::{Answer, send};
use reqwest::Method;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use self::compare::{Document, differences};
use super::common::{
    PROVIDER_TYPES, PROVIDERS, STRATEGIES, key_auth, on_both, openid_connect, provider, with, without,
};

const RESOURCES: [&str; 2] = ["/dcr-providers", "/application-auth-strategies"];

/// In what ours may differ, and why; `*` is anything. One that is no difference any more is a fault, too.
const ACCEPTED: &[(&str, &str)] = &[
    ("* › status 408: ours, not published", "nothing may take for ever, and who waited is told so"),
    ("* › status 503: ours, not published", "a database that is busy is no fault of the caller's"),
    ("* › status 412: ours, not published", "`If-Match` keeps changes from being lost"),
    ("* › status 413: ours, not published", "bodies have a largest size"),
    ("* › status 415: ours, not published", "bodies are JSON and nothing else"),
    ("* /*/{*}* › status 400: ours, not published", "an id in the path that is no UUID is named"),
    (
        "DELETE /dcr-providers/{dcrProviderId} › status 409: ours, not published",
        "a provider that a strategy names is kept, or the strategy would be without it",
    ),
    (
        "PUT /application-auth-strategies/{authStrategyId} › status 409: ours, not published",
        "the type of a strategy in use cannot change: its applications could not get in any more",
    ),
    (
        "PATCH /application-auth-strategies/{authStrategyId} › status 409: ours, not published",
        "the provider of a strategy with clients cannot change: nobody would delete them",
    ),
    ("GET * › query page[number] › minimum: published none, ours 1", "pages begin at 1"),
    (
        "GET * › query page[size] › m*imum: published none, ours 1*",
        "pages have a largest size, and are not empty",
    ),
    (
        "GET /application-auth-strategies › query filter › additionalProperties: published none, ours false",
        "a filter that there is none of is refused: without it, the list would be another one",
    ),
    (
        "GET * › answer.meta.page.*: published *, ours *",
        "numbers of pages and items are whole and not negative",
    ),
    ("*.configs.key-auth › member ttl: ours, not published", "from 2.1.1 of the published document"),
    (
        "PATCH *.configs › {key-auth}.key-auth › member ttl: ours, not published",
        "from 2.1.1 of the published document",
    ),
    (
        "*.key-auth.key_names[] › *: published none, ours *",
        "names of headers: the gateway could look for a key under no other",
    ),
    (
        "*strategy_type=openid_connect.configs.openid-connect › member labels: published, not ours",
        "gone from 2.0.2 of the published document; the object is open, so labels in it are taken all the same",
    ),
    (
        "*.openid-connect › member *: ours, not published",
        "the object is open; what the gateway reads of it has the type that it needs",
    ),
    (
        "* › answer*.dcr_provider.name › m*Length: published none, ours *",
        "it is the name of a provider, which has them",
    ),
    (
        "* › answer* › provider_type=http.dcr_config.dcr_base_url › maxLength: published none, ours 256",
        "as long as what was sent may be",
    ),
];

/// The published document, if it is there.
fn published() -> Result<Option<Value>> {
    let file = "../shared/contracts/application-auth-strategies-2.0.0.openapi.yaml";
    let path: PathBuf = binaries::workspace().join(file);
    if !path.is_file() {
        println!("skipped: there is no {}", path.display());
        return Ok(None);
    }
    let text = std::fs::read_to_string(&path)?;
    Ok(Some(serde_saphyr::from_str(&text).with_context(|| path.display().to_string())?))
}

/// A validator of one of the published answers.
fn validator(published: &Value, path: &str, method: &str, answer: &Answer) -> Result<jsonschema::Validator> {
    let document = Document { json: published, prefix: "" };
    let responses = document.responses(path, method);
    let response = responses.get(&answer.status.to_string()).context("the status is not published")?;
    let media = answer.header("content-type").split(';').next().unwrap_or_default();
    let schema = response["content"].get(media).with_context(|| format!("{media} is not published"))?;
    let whole = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "components": {"schemas": plain(&published["components"]["schemas"])},
        "allOf": [plain(&schema["schema"])],
    });
    jsonschema::validator_for(&whole).map_err(|error| anyhow::anyhow!("{error}"))
}

/// Schemas of OpenAPI 3.0 as JSON Schema has them, where null is a type.
fn plain(schema: &Value) -> Value {
    match schema {
        Value::Object(members) => {
            let mut members: Map<_, _> =
                members.iter().map(|(name, value)| (name.clone(), plain(value))).collect();
            let nullable = members.remove("nullable") == Some(json!(true));
            if nullable && members.contains_key("type") {
                members["type"] = json!([members["type"], "null"]);
            }
            Value::Object(members)
        }
        Value::Array(items) => items.iter().map(plain).collect(),
        other => other.clone(),
    }
}

/// Holds an answer against what is published.
fn hold(published: &Value, method: &Method, template: &str, answer: &Answer) -> Result<()> {
    let method = method.as_str().to_lowercase();
    let validator = validator(published, template, &method, answer)?;
    let body = answer.json();
    let problems: Vec<_> = validator.iter_errors(&body).map(|error| error.to_string()).collect();
    ensure!(problems.is_empty(), "{method} {template} {}: {}\n{body}", answer.status, problems.join("\n"));
    Ok(())
}

fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((begin, rest)) => text.strip_prefix(begin).is_some_and(|text| {
            text.char_indices().map(|(at, _)| at).chain([text.len()]).any(|at| fits(rest, &text[at..]))
        }),
    }
}

#[test]
fn our_document_agrees_with_the_published_one_but_for_what_is_accepted() -> Result<()> {
    let Some(published) = published()? else { return Ok(()) };
    let ours = json!(app_auth_admin::api::openapi());
    let (theirs, own) = (Document { json: &published, prefix: "" }, Document { json: &ours, prefix: "/v2" });
    ensure!(theirs.operations(&RESOURCES).len() == 12, "not the document that was meant");

    let found = differences(&theirs, &own, &RESOURCES);
    let accepted = |line: &&String| ACCEPTED.iter().any(|(pattern, _)| fits(pattern, line));
    let new: Vec<_> = found.iter().filter(|line| !accepted(line)).map(String::as_str).collect();
    assert!(new.is_empty(), "{} differences that nobody accepted:\n{}", new.len(), new.join("\n"));
    let gone = ACCEPTED.iter().filter(|(pattern, _)| !found.iter().any(|line| fits(pattern, line)));
    let gone: Vec<_> = gone.map(|(pattern, _)| *pattern).collect();
    assert!(gone.is_empty(), "accepted, but no difference any more:\n{}", gone.join("\n"));
    Ok(())
}

#[tokio::test]
async fn given_real_answers_when_they_are_held_against_the_published_schemas_then_they_fit() -> Result<()> {
    let Some(published) = published()? else { return Ok(()) };
    on_both(async |client| {
        let (mut seen, mut refusals) = (0, 0);
        let mut call = async |method: Method, template: &str, id: &str, query: &str, body: Value| {
            let path = template.replace("{authStrategyId}", id).replace("{dcrProviderId}", id);
            let request = client.request(method.clone(), &format!("/v2{path}{query}"));
            let answer = send(if body.is_null() { request } else { request.json(&body) }).await?;
            if answer.status != 204 {
                hold(&published, &method, template, &answer)?;
                seen += 1;
                refusals += usize::from(answer.status >= 400);
            }
            Ok::<_, anyhow::Error>(answer)
        };
        let [strategies, providers] = [STRATEGIES, PROVIDERS].map(|list| list.trim_start_matches("/v2"));
        let [strategy, one] = ["{authStrategyId}", "{dcrProviderId}"];
        let [strategy, one] = [format!("{strategies}/{strategy}"), format!("{providers}/{one}")];
        let nobody = Uuid::new_v4().to_string();
        let (get, post, put, patch, delete) =
            (Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE);

        for kind in PROVIDER_TYPES {
            let body = with(provider(kind, "ours"), "/display_name", json!("Ours"));
            let made = call(post.clone(), providers, "", "", body.clone()).await?.expect(201)?.field("id")?;
            call(get.clone(), &one, &made, "", Value::Null).await?.expect(200)?;
            call(patch.clone(), &one, &made, "", json!({"labels": {"a": "b"}})).await?.expect(200)?;
            call(patch.clone(), &one, &made, "", json!({"name": "", "x": 1})).await?.expect(400)?;
            let of = with(openid_connect("tokens"), "/dcr_provider_id", json!(made));
            call(post.clone(), strategies, "", "", of).await?.expect(201)?;
            let missing = without(body, "/dcr_config");
            call(post.clone(), providers, "", "", missing).await?.expect(400)?;
        }
        call(get.clone(), providers, "", "?page[size]=2", Value::Null).await?.expect(200)?;
        call(get.clone(), providers, "", "?page[size]=x&sort=x&filter[x]=1", Value::Null)
            .await?
            .expect(400)?;

        let made =
            call(post.clone(), strategies, "", "", key_auth("keys")).await?.expect(201)?.field("id")?;
        call(get.clone(), &strategy, &made, "", Value::Null).await?.expect(200)?;
        call(put.clone(), &strategy, &made, "", openid_connect("tokens")).await?.expect(201)?;
        let changes = json!({"configs": {"openid-connect": {"leeway": 3}}});
        call(patch.clone(), &strategy, &made, "", changes).await?.expect(200)?;
        call(get.clone(), strategies, "", "?filter[name][contains]=o", Value::Null).await?.expect(200)?;
        call(get.clone(), strategies, "", "?filter[my_attribute]=1", Value::Null).await?.expect(400)?;
        let mut bad = key_auth("");
        bad["configs"]["key-auth"] = json!({"key_names": [], "x": 1});
        bad["strategy_type"] = json!("oauth2");
        call(post.clone(), strategies, "", "", bad.clone()).await?.expect(400)?;
        bad["strategy_type"] = json!("key_auth");
        call(put.clone(), &strategy, &made, "", bad).await?.expect(400)?;
        for method in [get.clone(), patch.clone(), delete.clone()] {
            let body = if method == patch { json!({}) } else { Value::Null };
            call(method.clone(), &strategy, &nobody, "", body.clone()).await?.expect(404)?;
            call(method, &one, &nobody, "", body).await?.expect(404)?;
        }
        call(delete, &strategy, &made, "", Value::Null).await?.expect(204)?;
        let stranger = client.with_token(None);
        for (template, path) in [(strategies, STRATEGIES), (providers, PROVIDERS)] {
            hold(&published, &get, template, &stranger.get(path).await?.expect(401)?)?;
        }
        assert!(seen >= 40 && refusals >= 20, "{seen} {refusals}");
        Ok(())
    })
    .await
}

/// The comparison itself: what is put into a document by hand is found, and nothing else.
#[test]
fn given_one_difference_when_documents_are_compared_then_it_is_found_and_nothing_else() {
    let ours = json!(app_auth_admin::api::openapi());
    let found = |changed: &Value| {
        let [theirs, own] = [&ours, changed].map(|json| Document { json, prefix: "/v2" });
        differences(&theirs, &own, &RESOURCES)
    };
    assert_eq!(found(&ours), Vec::<String>::new());

    let schema = |name: &str, path: &str| format!("/components/schemas/{name}{path}");
    let list = "/paths/~1v2~1dcr-providers";
    for (pointer, value, line) in [
        (
            schema("ProviderChanges", "/properties/name/maxLength"),
            json!(7),
            "PATCH * › request.name › maxLength: *",
        ),
        (
            schema("ProviderChanges", "/additionalProperties"),
            json!(true),
            "PATCH * › request › additionalProperties: *",
        ),
        (
            schema("StrategyInput", "/oneOf/0/required"),
            json!(["configs", "display_name", "strategy_type"]),
            "* › request › strategy_type=key_auth › required: *",
        ),
        (
            schema(
                "StrategyInput",
                "/oneOf/1/properties/configs/properties/openid-connect/properties/scopes/items/maxLength",
            ),
            Value::Null,
            "* › strategy_type=openid_connect.configs.openid-connect.scopes[] › maxLength: *",
        ),
        (schema("StrategyBody", "/oneOf/1/properties/dcr_provider/type"), json!("object"), "* › nullable: *"),
        (
            schema("StrategyBody", "/oneOf/0/properties/more"),
            json!({}),
            "* › member more: ours, not published",
        ),
        (
            schema("ProviderInput", "/oneOf"),
            json!([]),
            "POST /dcr-providers › request › choice *: published, not ours",
        ),
        (format!("{list}/get/parameters/0/name"), json!("size"), "GET /dcr-providers › parameter query *"),
        (format!("{list}/post/responses/201"), Value::Null, "POST /dcr-providers › *"),
        (format!("{list}/delete"), json!({"responses": {}}), "DELETE /dcr-providers: ours, not published"),
    ] {
        let (parent, name) = pointer.rsplit_once('/').unwrap_or_default();
        let mut changed = ours.clone();
        let parent = changed.pointer_mut(parent).unwrap_or_else(|| panic!("there is no {parent}"));
        match (parent, value) {
            (Value::Object(parent), Value::Null) => drop(parent.remove(name)),
            (parent, value) => parent[name] = value,
        }
        let lines = found(&changed);
        assert!(!lines.is_empty(), "{pointer}");
        assert!(lines.iter().all(|found| fits(line, found)), "{pointer}: {lines:?}");
    }
}
