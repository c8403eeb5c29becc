//! Services, and the filters on them: as plugins (3.9) and as filter chains, one chain a service. A filter's
//! configuration is held against the schema that lies beside the filter, as Kong does.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::http::Method;
use jsonschema::Validator;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::entities::{Answer, not_found};
use super::schema::violation;

static CONFIG: LazyLock<Option<Validator>> = LazyLock::new(|| {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../kong/app_auth.meta.json");
    let meta: Value = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    jsonschema::draft4::new(&meta["config_schema"]).ok()
});

/// What is known of services and their filter chains.
#[derive(Default)]
pub struct Filters {
    pub services: BTreeMap<Uuid, Value>,
    pub chains: BTreeMap<Uuid, Value>,
}

impl Filters {
    /// `None`: the path is none of these.
    pub fn handle(
        &mut self,
        method: &Method,
        segments: &[&str],
        query: &str,
        body: Option<&Value>,
    ) -> Option<Answer> {
        let body = body.and_then(Value::as_object).cloned().unwrap_or_default();
        Some(match (method.as_str(), segments) {
            ("GET", ["services"]) => self.list(query),
            ("PUT", ["services", id]) => {
                let id = Uuid::try_parse(id).ok()?;
                let mut service = body;
                service.insert("id".into(), json!(id));
                service.entry("enabled").or_insert(json!(true));
                self.services.insert(id, Value::Object(service.clone()));
                (200, Value::Object(service))
            }
            ("GET", ["services", id, "filter-chains"]) => match self.known(id) {
                Some(id) => {
                    let of_service = |chain: &&Value| chain["service"]["id"] == json!(id);
                    (
                        200,
                        json!({"data": self.chains.values().filter(of_service).collect::<Vec<_>>(), "next": null}),
                    )
                }
                None => (404, not_found()),
            },
            (_, ["filter-chains", id]) => {
                let id = Uuid::try_parse(id).ok()?;
                self.chain(method, id, body).unwrap_or_else(|refusal| refusal)
            }
            _ => return None,
        })
    }

    /// The service of that id, if there is one.
    pub fn known(&self, id: &str) -> Option<Uuid> {
        Uuid::try_parse(id).ok().filter(|id| self.services.contains_key(id))
    }

    fn list(&self, query: &str) -> Answer {
        let argument = |name: &str| {
            query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default()
        };
        let size = argument("size").parse().unwrap_or(100);
        let from: usize = argument("offset").parse().unwrap_or(0);
        let data: Vec<_> = self.services.values().skip(from).take(size).collect();
        let mut page = json!({"data": data, "next": null});
        if from + size < self.services.len() {
            page["offset"] = (from + size).to_string().into();
            page["next"] = format!("/services?offset={}", from + size).into();
        }
        (200, page)
    }

    fn chain(&mut self, method: &Method, id: Uuid, body: Map<String, Value>) -> Result<Answer, Answer> {
        match method.as_str() {
            "GET" => Ok(self.chains.get(&id).map_or((404, not_found()), |chain| (200, chain.clone()))),
            "DELETE" => {
                self.chains.remove(&id);
                Ok((204, Value::Null))
            }
            "PUT" | "PATCH" => {
                let mut chain = match (self.chains.get(&id), method.as_str()) {
                    (None, "PATCH") => return Err((404, not_found())),
                    (Some(chain), "PATCH") => chain.as_object().cloned().unwrap_or_default(),
                    _ => Map::new(),
                };
                chain.extend(body);
                self.check_chain(id, &chain)?;
                chain.insert("id".into(), json!(id));
                self.chains.insert(id, Value::Object(chain.clone()));
                Ok((200, Value::Object(chain)))
            }
            _ => Err((405, json!({"message": "Method not allowed"}))),
        }
    }

    fn check_chain(&self, id: Uuid, chain: &Map<String, Value>) -> Result<(), Answer> {
        for name in chain.keys() {
            if !["id", "name", "enabled", "service", "route", "filters", "tags"].contains(&name.as_str()) {
                return Err(violation(&json!({name.as_str(): "unknown field"})));
            }
        }
        let service = chain.get("service").and_then(|service| service["id"].as_str()).unwrap_or_default();
        let Some(service) = self.known(service) else {
            return Err(no_such_service(service));
        };
        let other =
            |(other, chain): (&Uuid, &Value)| *other != id && chain["service"]["id"] == json!(service);
        if self.chains.iter().any(other) {
            let message = format!("UNIQUE violation detected on '{{service={{id=\"{service}\"}}}}'");
            let fields = json!({"service": {"id": service}});
            let body = json!({"code": 5, "name": "unique constraint violation", "message": message, "fields": fields});
            return Err((409, body));
        }
        let filters = chain.get("filters").and_then(Value::as_array).cloned().unwrap_or_default();
        for filter in &filters {
            match filter["name"].as_str() {
                Some("app_auth") => check_config(&filter["config"])?,
                Some("other_filter") => {}
                name => {
                    let problem = format!("no such filter: {}", name.unwrap_or_default());
                    return Err(violation(&json!({"filters": [{"name": problem}]})));
                }
            }
        }
        Ok(())
    }

    /// A filter as a plugin, as far as it can be checked without the other plugins.
    pub fn check_plugin(&self, body: &Map<String, Value>) -> Result<Value, Answer> {
        let service = body.get("service").and_then(|service| service["id"].as_str()).unwrap_or_default();
        if self.known(service).is_none() {
            return Err(no_such_service(service));
        }
        check_config(body.get("config").unwrap_or(&Value::Null))?;
        Ok(Value::Object(body.clone()))
    }
}

fn check_config(config: &Value) -> Result<(), Answer> {
    let Some(validator) = CONFIG.as_ref() else {
        return Err((500, json!({"message": "the filter's schema cannot be read"})));
    };
    let problem = validator.iter_errors(config).next().map(|error| error.to_string());
    problem.map_or(Ok(()), |problem| Err(violation(&json!({"config": problem}))))
}

fn no_such_service(id: &str) -> Answer {
    let message =
        format!("the foreign key '{{id=\"{id}\"}}' does not reference an existing 'services' entity.");
    let fields = json!({"service": {"id": id}});
    (400, json!({"code": 4, "name": "foreign key violation", "message": message, "fields": fields}))
}
