//! The admin API's calls in the words of the tests: make a developer, an application, a key, a connection; change them.

use anyhow::Result;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{Answer, Client, send};

/// Status of a developer or connection, as the legacy API numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Approved = 0,
    Pending = 1,
    Rejected = 2,
    Revoked = 3,
}

impl Status {
    pub const ALL: [Self; 4] = [Self::Approved, Self::Pending, Self::Rejected, Self::Revoked];

    pub const fn number(self) -> u8 {
        self as u8
    }
}

/// The admin API of one admin extension.
#[derive(Debug, Clone)]
pub struct Portal {
    client: Client,
    /// Seconds for `Prefer: wait` on every write.
    wait: Option<u8>,
}

/// An application and who it belongs to.
#[derive(Debug, Clone)]
pub struct Application {
    pub developer: String,
    pub id: String,
}

impl Application {
    pub fn path(&self) -> String {
        format!("/developers/{}/applications/{}", self.developer, self.id)
    }
}

/// A connection of an application to a service.
#[derive(Debug, Clone)]
pub struct Connection {
    pub application: Application,
    pub id: String,
}

impl Connection {
    pub fn path(&self) -> String {
        format!("{}/application_instances/{}", self.application.path(), self.id)
    }
}

/// A key of an application.
#[derive(Debug, Clone)]
pub struct Key {
    pub application: Application,
    pub id: String,
    pub key: String,
}

impl Key {
    pub fn path(&self) -> String {
        format!("{}/credentials/key-auth/{}", self.application.path(), self.id)
    }
}

impl Portal {
    pub fn new(client: &Client) -> Self {
        Self { client: client.clone(), wait: None }
    }

    /// The same, with every write answered only after all gateways have applied it (or that many seconds).
    #[must_use]
    pub fn waiting(&self, seconds: u8) -> Self {
        Self { wait: Some(seconds), ..self.clone() }
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    async fn write(&self, method: reqwest::Method, path: &str, body: &Value) -> Result<Answer> {
        let mut request = self.client.request(method, path).json(body);
        if let Some(seconds) = self.wait {
            request = request.header("Prefer", format!("wait={seconds}"));
        }
        send(request).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        self.write(reqwest::Method::POST, path, body).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Result<Answer> {
        self.write(reqwest::Method::PATCH, path, body).await
    }

    pub async fn delete(&self, path: &str) -> Result<Answer> {
        let mut request = self.client.request(reqwest::Method::DELETE, path);
        if let Some(seconds) = self.wait {
            request = request.header("Prefer", format!("wait={seconds}"));
        }
        send(request).await
    }

    /// Registers a service under an id; `key_auth` are members of its key-auth settings.
    pub async fn service(&self, id: Uuid, name: &str, key_auth: Value) -> Result<()> {
        self.post("/services", &json!({"id": id, "name": name, "key_auth": key_auth})).await?.expect(201)?;
        Ok(())
    }

    /// A developer with this status and a fresh address; answers the developer's id.
    pub async fn developer(&self, status: Status) -> Result<String> {
        let email = format!("developer-{}@example.com", Uuid::new_v4().simple());
        let body = json!({"email": email, "meta": {"full_name": "A Developer"}, "status": status.number()});
        self.post("/developers", &body).await?.expect(200)?.field("id")
    }

    pub async fn set_developer(&self, developer: &str, status: Status) -> Result<Answer> {
        self.patch(&format!("/developers/{developer}"), &json!({"status": status.number()}))
            .await?
            .expect(200)
    }

    /// An application of a developer, under a fresh name; `members` join the body.
    pub async fn application_with(&self, developer: &str, members: Value) -> Result<Application> {
        let mut body = json!({
            "name": format!("application-{}", Uuid::new_v4().simple()),
            "redirect_uri": "https://application.example.com/callback",
        });
        merge(&mut body, members);
        let path = format!("/developers/{developer}/applications");
        let id = self.post(&path, &body).await?.expect(201)?.field("id")?;
        Ok(Application { developer: developer.into(), id })
    }

    pub async fn application(&self, developer: &str) -> Result<Application> {
        self.application_with(developer, json!({})).await
    }

    /// A key; `members` join the body (`key`, `ttl`, …).
    pub async fn key_with(&self, application: &Application, members: Value) -> Result<Key> {
        let path = format!("{}/credentials/key-auth", application.path());
        let answer = self.post(&path, &members).await?.expect(201)?;
        Ok(Key { application: application.clone(), id: answer.field("id")?, key: answer.field("key")? })
    }

    pub async fn key(&self, application: &Application) -> Result<Key> {
        self.key_with(application, json!({})).await
    }

    /// A connection, in the state the service gives it (pending, or approved if the service says so).
    pub async fn connection(&self, application: &Application, service: Uuid) -> Result<Connection> {
        let path = format!("{}/application_instances", application.path());
        let answer = self.post(&path, &json!({"service": {"id": service}})).await?.expect(201)?;
        Ok(Connection { application: application.clone(), id: answer.field("id")? })
    }

    pub async fn set_connection(&self, connection: &Connection, status: Status) -> Result<Answer> {
        self.patch(&connection.path(), &json!({"status": status.number()})).await?.expect(200)
    }

    pub async fn set_suspended(&self, connection: &Connection, suspended: bool) -> Result<Answer> {
        self.patch(&connection.path(), &json!({"suspended": suspended})).await?.expect(200)
    }

    /// The whole chain at once: an approved developer's application with one key and an approved connection.
    pub async fn approved_key(&self, service: Uuid) -> Result<(Key, Connection)> {
        let developer = self.developer(Status::Approved).await?;
        let application = self.application(&developer).await?;
        let key = self.key(&application).await?;
        let connection = self.connection(&application, service).await?;
        self.set_connection(&connection, Status::Approved).await?;
        Ok((key, connection))
    }
}

fn merge(body: &mut Value, members: Value) {
    if let (Some(body), Value::Object(members)) = (body.as_object_mut(), members) {
        body.extend(members);
    }
}
