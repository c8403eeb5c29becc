//! One line of an import: a developer, and in JSON also their applications with credentials and connections. Everything is
//! held against the same schemas as single requests are; a line is taken whole or not at all.

use serde_json::{Map, Value};

use super::lines::take_list;
use crate::api::App;
use crate::api::legacy::conventions::problems::Problems;
use crate::api::legacy::conventions::{Error, Input};
use crate::api::legacy::{application_instances as instances, applications, developers, key_auth, oauth2};
use crate::model::{NewApplication, NewCredential};
use crate::store::Writer;

/// Most applications of one line, and most credentials or connections of one of them.
const LIST_MAX: usize = 1000;

/// A line that nothing but the database can refuse any more.
pub struct Entry {
    developer: developers::Planned,
    applications: Vec<PlannedApplication>,
}

struct PlannedApplication {
    new: NewApplication,
    /// Absent: the one that every new application gets.
    clients: Option<Vec<NewCredential>>,
    keys: Vec<key_auth::KeyAuthInput>,
    connections: Vec<instances::InstanceInput>,
}

impl Entry {
    /// Checks what can be checked before the change begins. The refusal names the member by its path.
    pub async fn plan(app: &App, mut input: Input) -> Result<Self, Error> {
        let applications = take_list(&mut input.members, "applications")?.unwrap_or_default();
        bounded("applications", applications.len())?;
        let coerce = input.coerce;
        let developer = developers::plan(app, input).await?;
        let mut planned = Vec::with_capacity(applications.len());
        for (position, members) in (1..).zip(applications) {
            let application = PlannedApplication::plan(app, Input { members, coerce }).await;
            planned.push(application.map_err(|error| within(error, "applications", position))?);
        }
        Ok(Self { developer, applications: planned })
    }

    pub fn email(&self) -> &str {
        self.developer.email().as_str()
    }

    /// Makes everything of the line. After an error the caller undoes what was made of it.
    pub async fn write(self, writer: &mut Writer, app: &App) -> Result<(), Error> {
        let developer = self.developer.write(writer).await?;
        for (position, application) in (1..).zip(self.applications) {
            let written = application.write(writer, app, developer.id).await;
            written.map_err(|error| within(error, "applications", position))?;
        }
        Ok(())
    }
}

impl PlannedApplication {
    async fn plan(app: &App, mut input: Input) -> Result<Self, Error> {
        let coerce = input.coerce;
        let mut lists = [None, None, None];
        for (list, name) in lists.iter_mut().zip(["oauth2", "key_auth", "application_instances"]) {
            *list = take_list(&mut input.members, name)?;
            bounded(name, list.as_ref().map_or(0, Vec::len))?;
        }
        let [clients, keys, connections] = lists;
        let new = applications::new(input)?;
        let clients = match clients {
            None => None,
            Some(given) => {
                let mut clients = Vec::with_capacity(given.len());
                for (position, members) in (1..).zip(given) {
                    let client = oauth2::new(&app.store, Input { members, coerce }).await;
                    clients.push(client.map_err(|error| within(error, "oauth2", position))?);
                }
                Some(clients)
            }
        };
        let keys = each(keys, "key_auth", |members| key_auth::input(Input { members, coerce }))?;
        let connections = each(connections, "application_instances", |members| {
            instances::input(Input { members, coerce })
        })?;
        Ok(Self { new, clients, keys, connections })
    }

    async fn write(
        self,
        writer: &mut Writer,
        app: &App,
        developer: app_auth_core::ids::DeveloperId,
    ) -> Result<(), Error> {
        let application = match self.clients {
            None => writer.create_application(developer, self.new).await?,
            Some(clients) => {
                let application = writer.create_bare_application(developer, self.new).await?;
                for (position, client) in (1..).zip(clients) {
                    let made = writer.create_credential(application.id, client).await;
                    made.map_err(|error| within(error.into(), "oauth2", position))?;
                }
                application
            }
        };
        for (position, key) in (1..).zip(self.keys) {
            let made = writer.create_credential(application.id, key.new_credential(writer.now())).await;
            made.map_err(|error| within(error.into(), "key_auth", position))?;
        }
        for (position, connection) in (1..).zip(self.connections) {
            let made = match connection.new_connection(&app.store).await {
                Ok(new) => writer.create_connection(application.id, new).await.map_err(Error::from),
                Err(error) => Err(error),
            };
            made.map_err(|error| within(error, "application_instances", position))?;
        }
        Ok(())
    }
}

fn bounded(name: &str, length: usize) -> Result<(), Error> {
    if length > LIST_MAX {
        return Err(Error::violation(name, format!("length must be at most {LIST_MAX}")));
    }
    Ok(())
}

fn each<T>(
    given: Option<Vec<Map<String, Value>>>,
    name: &str,
    read: impl Fn(Map<String, Value>) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    (1..)
        .zip(given.unwrap_or_default())
        .map(|(position, members)| read(members).map_err(|error| within(error, name, position)))
        .collect()
}

/// The refusal of an element of a list, as a refusal of the whole: a violation keeps its place, other refusals say where.
fn within(error: Error, list: &str, position: usize) -> Error {
    let problems = match error {
        Error::Schema(problems) => problems,
        other @ (Error::Store | Error::Busy) => return other,
        other => Problems::Here(other.message()),
    };
    let mut elements: Vec<_> = (1..position).map(|_| None).collect();
    elements.push(Some(problems));
    Error::Schema(Problems::Members([(list.to_owned(), Problems::Elements(elements))].into()))
}
