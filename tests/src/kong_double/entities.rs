//! Consumers and plugins as Kong keeps them: upserts, uniqueness, the foreign key between them, and Kong's error objects.

use std::collections::BTreeMap;

use axum::http::Method;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::filters::Filters;
use super::schema;

/// An answer: status and body.
pub type Answer = (u16, Value);

pub struct Entities {
    /// As `GET /` tells it.
    pub version: String,
    pub filters: Filters,
    pub consumers: BTreeMap<Uuid, Value>,
    pub plugins: BTreeMap<Uuid, Value>,
    clock: i64,
}

impl Default for Entities {
    fn default() -> Self {
        Self {
            version: "3.9.3".into(),
            filters: Filters::default(),
            consumers: BTreeMap::new(),
            plugins: BTreeMap::new(),
            clock: 0,
        }
    }
}

impl Entities {
    pub fn handle(&mut self, method: &Method, path: &str, query: &str, body: Option<&Value>) -> Answer {
        let segments: Vec<_> = path.trim_matches('/').split('/').collect();
        if let Some(answer) = self.filters.handle(method, &segments, query, body) {
            return answer;
        }
        match (method.as_str(), segments.as_slice()) {
            ("GET", ["schemas", "plugins", name]) => match schema::of_plugin(name) {
                Some(schema) => (200, schema),
                None => (404, json!({"message": format!("No plugin named '{name}'")})),
            },
            (_, [collection @ ("consumers" | "plugins"), id]) => match Uuid::try_parse(id) {
                Ok(id) => self.entity(method, collection, id, body),
                Err(_) => (404, not_found()),
            },
            ("GET", ["consumers"]) => (200, list(&self.consumers)),
            ("GET", ["plugins"]) => (200, list(&self.plugins)),
            ("GET", ["services", id, "plugins"]) => match self.filters.known(id) {
                Some(id) => {
                    let of_service = |plugin: &&Value| plugin["service"]["id"] == json!(id);
                    let plugins: Vec<_> = self.plugins.values().filter(of_service).collect();
                    (200, json!({"data": plugins, "next": null}))
                }
                None => (404, not_found()),
            },
            ("GET", [""]) => (200, json!({"version": self.version, "tagline": "Welcome to kong"})),
            _ => (404, not_found()),
        }
    }

    fn entity(&mut self, method: &Method, collection: &str, id: Uuid, body: Option<&Value>) -> Answer {
        let there = if collection == "consumers" { &mut self.consumers } else { &mut self.plugins };
        match method.as_str() {
            "GET" => there.get(&id).map_or((404, not_found()), |entity| (200, entity.clone())),
            "DELETE" => {
                there.remove(&id);
                if collection == "consumers" {
                    let id = id.to_string();
                    self.plugins.retain(|_, plugin| plugin["consumer"]["id"] != id.as_str());
                }
                (204, Value::Null)
            }
            "PUT" => {
                let body = body.and_then(Value::as_object).cloned().unwrap_or_default();
                let put = if collection == "consumers" {
                    self.put_consumer(id, &body)
                } else {
                    self.put_plugin(id, body)
                };
                put.map_or_else(|refusal| refusal, |entity| (200, entity))
            }
            _ => (405, json!({"message": "Method not allowed"})),
        }
    }

    fn put_consumer(&mut self, id: Uuid, body: &Map<String, Value>) -> Result<Value, Answer> {
        let mut problems = Map::new();
        for (name, value) in body {
            let fine = match name.as_str() {
                "username" | "custom_id" => value.is_null() || value.is_string(),
                "tags" => value.is_null() || value.is_array(),
                _ => {
                    problems.insert(name.clone(), json!("unknown field"));
                    continue;
                }
            };
            if !fine {
                problems.insert(name.clone(), json!("expected a string"));
            }
        }
        let value = |name: &str| body.get(name).cloned().unwrap_or_default();
        if value("username").is_null() && value("custom_id").is_null() {
            let problem = "at least one of these fields must be non-empty: 'custom_id', 'username'";
            problems.insert("@entity".into(), json!([problem]));
        }
        if !problems.is_empty() {
            return Err(schema::violation(&Value::Object(problems)));
        }
        for name in ["username", "custom_id"] {
            let wanted = value(name);
            let taken = |(other, consumer): (&Uuid, &Value)| *other != id && consumer[name] == wanted;
            if !wanted.is_null() && self.consumers.iter().any(taken) {
                return Err(unique(&format!("{{{name}={wanted}}}"), &json!({name: wanted})));
            }
        }
        let entity = json!({"id": id, "username": value("username"), "custom_id": value("custom_id"),
            "tags": value("tags")});
        let entity = self.stamped(entity, self.consumers.get(&id).cloned());
        self.consumers.insert(id, entity.clone());
        Ok(entity)
    }

    fn put_plugin(&mut self, id: Uuid, body: Map<String, Value>) -> Result<Value, Answer> {
        // Since 3.9 a filter can be a plugin.
        let filter = body.get("name") == Some(&json!("app_auth")) && !self.version.starts_with("3.8");
        let mut entity = if filter { self.filters.check_plugin(&body)? } else { schema::plugin(body)? };
        let consumer = entity["consumer"].clone();
        if let Some(owner) = consumer["id"].as_str()
            && !self.consumers.contains_key(&Uuid::try_parse(owner).unwrap_or_default())
        {
            let message = format!(
                "the foreign key '{{id=\"{owner}\"}}' does not reference an existing 'consumers' entity."
            );
            let fields = json!({"consumer": {"id": owner}});
            let body =
                json!({"code": 4, "name": "foreign key violation", "message": message, "fields": fields});
            return Err((400, body));
        }
        for (other, plugin) in &self.plugins {
            if *other == id {
                continue;
            }
            let same = |member: &str| plugin[member] == entity[member];
            if same("name") && same("consumer") && same("service") {
                let key =
                    json!({"consumer": consumer, "name": entity["name"], "route": null, "service": null});
                let told = format!(
                    "{{consumer={{id={}}},name={},route=null,service=null}}",
                    consumer["id"], key["name"]
                );
                return Err(unique(&told, &key));
            }
            let name = &entity["instance_name"];
            if !name.is_null() && plugin["instance_name"] == *name {
                return Err(unique(&format!("{{instance_name={name}}}"), &json!({"instance_name": name})));
            }
        }
        entity["id"] = json!(id);
        let entity = self.stamped(entity, self.plugins.get(&id).cloned());
        self.plugins.insert(id, entity.clone());
        Ok(entity)
    }

    fn stamped(&mut self, mut entity: Value, before: Option<Value>) -> Value {
        self.clock += 1;
        let now = json!(1_700_000_000 + self.clock);
        entity["created_at"] = before.map_or_else(|| now.clone(), |before| before["created_at"].clone());
        entity["updated_at"] = now;
        entity
    }
}

fn list(entities: &BTreeMap<Uuid, Value>) -> Value {
    json!({"data": entities.values().collect::<Vec<_>>(), "next": null})
}

pub fn not_found() -> Value {
    json!({"message": "Not found"})
}

fn unique(told: &str, fields: &Value) -> Answer {
    let message = format!("UNIQUE violation detected on '{told}'");
    (409, json!({"code": 5, "name": "unique constraint violation", "message": message, "fields": fields}))
}
